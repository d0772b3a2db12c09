//! What can be asked of each kind of thing: the words of the language, and the columns behind
//! them. The columns are those of the projection (`crate::list`), whose rows have them in memory
//! and whose tables have them on disk.

use model::{PortState, Transport};

use crate::{class::Class, compare::Registration, finding::FindingState};

/// A kind of thing that is listed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Assets, merged ones as one.
    Assets,
    /// Endpoints of assets.
    Services,
    /// Products on assets.
    Software,
    /// Certificates that are served or lie in files.
    Certificates,
    /// Problems.
    Findings,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Assets, Self::Services, Self::Software, Self::Certificates, Self::Findings];

    /// Its name in addresses of pages and in cursors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Services => "services",
            Self::Software => "software",
            Self::Certificates => "certificates",
            Self::Findings => "findings",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The names of its fields, in the order of the documentation.
    pub fn fields(self) -> impl Iterator<Item = &'static str> {
        self.table().iter().map(|field| field.name)
    }

    pub(super) fn field(self, name: &str) -> Option<&'static Field> {
        self.table().iter().find(|field| field.name == name)
    }

    const fn table(self) -> &'static [Field] {
        match self {
            Self::Assets => ASSETS,
            Self::Services => SERVICES,
            Self::Software => SOFTWARE,
            Self::Certificates => CERTIFICATES,
            Self::Findings => FINDINGS,
        }
    }

    /// The fields in which a bare word is looked for.
    pub(super) const fn searched(self) -> &'static [Field] {
        match self {
            Self::Assets => SEARCH_ASSETS,
            Self::Services => SEARCH_SERVICES,
            Self::Software => SEARCH_SOFTWARE,
            Self::Certificates => SEARCH_CERTIFICATES,
            Self::Findings => SEARCH_FINDINGS,
        }
    }
}

/// A column of a row. Texts are folded, and where a thing has several of them they are one
/// text, each between line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are what the columns are called everywhere")]
pub enum Column {
    Id,
    Asset,
    Site,
    Names,
    Addresses,
    Macs,
    Vendor,
    Class,
    Os,
    Registration,
    /// Of the entry of the device register, as the next two.
    Owner,
    Department,
    Location,
    Ports,
    Protocols,
    Products,
    Versions,
    Cpes,
    Certificates,
    Critical,
    Warning,
    Uncertain,
    FirstSeen,
    LastSeen,
    Address,
    Port,
    Transport,
    State,
    Protocol,
    Product,
    Version,
    Cpe,
    Tls,
    Source,
    Subject,
    Issuer,
    Sha256,
    Key,
    Trust,
    NotAfter,
    RenewBy,
    Assets,
    Sites,
    Owners,
    Rule,
    Severity,
    Title,
    /// Columns by which lists are sorted, and which no word of the language asks for.
    ServiceCount,
    SoftwareCount,
    CertificateCount,
    Problems,
    Rank,
    Places,
}

/// Which row has the column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// The thing's own.
    Row,
    /// That of what many things share: the kind of a service, the product of software.
    Shared,
    /// That of the asset that the thing belongs to, if it belongs to one.
    Asset,
}

/// How a field is compared, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Text of which a part is enough for `:`.
    Text,
    /// Text that `:` compares as a whole.
    Name,
    /// The same, of these words.
    Word(fn() -> Vec<&'static str>),
    /// Like [`Self::Text`], in however people write link-layer addresses.
    Mac,
    /// The number of an asset, beside others.
    Ids,
    Number,
    Flag,
    Port,
    Address,
    /// A moment that was: a length of time is how long ago.
    Past,
    /// A moment to come: a length of time is from now on.
    Future,
}

/// A word of the language.
#[derive(Debug)]
pub struct Field {
    pub(super) name: &'static str,
    /// Which row has it.
    pub level: Level,
    /// The column.
    pub column: Column,
    /// Whether the column has several texts.
    pub many: bool,
    pub(super) shape: Shape,
}

const fn one(name: &'static str, level: Level, column: Column, shape: Shape) -> Field {
    Field { name, level, column, many: false, shape }
}

const fn many(name: &'static str, level: Level, column: Column, shape: Shape) -> Field {
    Field { name, level, column, many: true, shape }
}

fn registrations() -> Vec<&'static str> {
    Registration::ALL.map(Registration::as_str).to_vec()
}

fn classes() -> Vec<&'static str> {
    Class::ALL.map(Class::as_str).to_vec()
}

fn port_states() -> Vec<&'static str> {
    [PortState::Open, PortState::Closed, PortState::Filtered].map(PortState::as_str).to_vec()
}

fn transports() -> Vec<&'static str> {
    [Transport::Tcp, Transport::Udp].map(Transport::as_str).to_vec()
}

fn trusts() -> Vec<&'static str> {
    vec!["public", "private", "untrusted", "unknown"]
}

fn severities() -> Vec<&'static str> {
    use model::Severity::{Critical, Info, Warning};
    [Info, Warning, Critical].map(model::Severity::as_str).to_vec()
}

fn finding_states() -> Vec<&'static str> {
    FindingState::ALL.map(FindingState::as_str).to_vec()
}

use Column as C;
use Level::{Asset as A, Row as R, Shared as S};

const ASSETS: &[Field] = &[
    one("id", R, C::Id, Shape::Number),
    one("site", R, C::Site, Shape::Name),
    many("name", R, C::Names, Shape::Text),
    many("address", R, C::Addresses, Shape::Address),
    many("mac", R, C::Macs, Shape::Mac),
    one("vendor", R, C::Vendor, Shape::Text),
    one("class", R, C::Class, Shape::Word(classes)),
    one("os", R, C::Os, Shape::Text),
    one("registration", R, C::Registration, Shape::Word(registrations)),
    one("owner", R, C::Owner, Shape::Text),
    one("department", R, C::Department, Shape::Text),
    one("location", R, C::Location, Shape::Text),
    many("port", R, C::Ports, Shape::Port),
    many("protocol", R, C::Protocols, Shape::Name),
    many("product", R, C::Products, Shape::Text),
    many("version", R, C::Versions, Shape::Name),
    many("cpe", R, C::Cpes, Shape::Text),
    many("certificate", R, C::Certificates, Shape::Text),
    one("critical", R, C::Critical, Shape::Number),
    one("warning", R, C::Warning, Shape::Number),
    one("uncertain", R, C::Uncertain, Shape::Flag),
    one("seen", R, C::LastSeen, Shape::Past),
    one("first", R, C::FirstSeen, Shape::Past),
];

const SERVICES: &[Field] = &[
    one("address", R, C::Address, Shape::Address),
    one("port", S, C::Port, Shape::Port),
    one("transport", S, C::Transport, Shape::Word(transports)),
    one("state", S, C::State, Shape::Word(port_states)),
    one("protocol", S, C::Protocol, Shape::Name),
    one("product", S, C::Product, Shape::Text),
    one("version", S, C::Version, Shape::Name),
    one("cpe", S, C::Cpe, Shape::Text),
    one("tls", S, C::Tls, Shape::Flag),
    one("asset", R, C::Asset, Shape::Number),
    one("site", A, C::Site, Shape::Name),
    many("name", A, C::Names, Shape::Text),
    many("mac", A, C::Macs, Shape::Mac),
    one("vendor", A, C::Vendor, Shape::Text),
    one("class", A, C::Class, Shape::Word(classes)),
    one("registration", A, C::Registration, Shape::Word(registrations)),
    one("seen", R, C::LastSeen, Shape::Past),
    one("first", R, C::FirstSeen, Shape::Past),
];

const SOFTWARE: &[Field] = &[
    one("product", S, C::Product, Shape::Text),
    one("version", S, C::Version, Shape::Name),
    one("cpe", S, C::Cpe, Shape::Text),
    one("source", R, C::Source, Shape::Text),
    one("asset", R, C::Asset, Shape::Number),
    one("site", A, C::Site, Shape::Name),
    many("name", A, C::Names, Shape::Text),
    many("address", A, C::Addresses, Shape::Address),
    many("mac", A, C::Macs, Shape::Mac),
    one("vendor", A, C::Vendor, Shape::Text),
    one("class", A, C::Class, Shape::Word(classes)),
    one("registration", A, C::Registration, Shape::Word(registrations)),
    one("seen", R, C::LastSeen, Shape::Past),
    one("first", R, C::FirstSeen, Shape::Past),
];

const CERTIFICATES: &[Field] = &[
    one("subject", R, C::Subject, Shape::Text),
    one("issuer", R, C::Issuer, Shape::Text),
    many("name", R, C::Names, Shape::Text),
    one("sha256", R, C::Sha256, Shape::Text),
    one("key", R, C::Key, Shape::Text),
    one("trust", R, C::Trust, Shape::Word(trusts)),
    one("expires", R, C::NotAfter, Shape::Future),
    one("renew", R, C::RenewBy, Shape::Future),
    one("places", R, C::Places, Shape::Number),
    many("asset", R, C::Assets, Shape::Ids),
    many("site", R, C::Sites, Shape::Name),
    many("address", R, C::Addresses, Shape::Text),
    many("owner", R, C::Owners, Shape::Text),
    one("seen", R, C::LastSeen, Shape::Past),
    one("first", R, C::FirstSeen, Shape::Past),
];

const FINDINGS: &[Field] = &[
    one("id", R, C::Id, Shape::Number),
    one("rule", R, C::Rule, Shape::Text),
    one("severity", R, C::Severity, Shape::Word(severities)),
    one("state", R, C::State, Shape::Word(finding_states)),
    one("subject", R, C::Subject, Shape::Text),
    one("title", R, C::Title, Shape::Text),
    many("owner", R, C::Owners, Shape::Text),
    one("asset", R, C::Asset, Shape::Number),
    one("site", A, C::Site, Shape::Name),
    many("name", A, C::Names, Shape::Text),
    many("address", A, C::Addresses, Shape::Address),
    one("class", A, C::Class, Shape::Word(classes)),
    one("registration", A, C::Registration, Shape::Word(registrations)),
    one("seen", R, C::LastSeen, Shape::Past),
    one("first", R, C::FirstSeen, Shape::Past),
];

const SEARCH_ASSETS: &[Field] = &[
    many("", R, C::Names, Shape::Text),
    many("", R, C::Addresses, Shape::Text),
    many("", R, C::Macs, Shape::Text),
    one("", R, C::Vendor, Shape::Text),
    many("", R, C::Products, Shape::Text),
];

const SEARCH_SERVICES: &[Field] = &[
    one("", S, C::Protocol, Shape::Text),
    one("", S, C::Product, Shape::Text),
    one("", R, C::Address, Shape::Text),
    many("", A, C::Names, Shape::Text),
    many("", A, C::Macs, Shape::Text),
    one("", A, C::Vendor, Shape::Text),
];

const SEARCH_SOFTWARE: &[Field] = &[
    one("", S, C::Product, Shape::Text),
    many("", A, C::Names, Shape::Text),
    many("", A, C::Addresses, Shape::Text),
    many("", A, C::Macs, Shape::Text),
    one("", A, C::Vendor, Shape::Text),
];

const SEARCH_CERTIFICATES: &[Field] = &[
    one("", R, C::Subject, Shape::Text),
    one("", R, C::Issuer, Shape::Text),
    many("", R, C::Names, Shape::Text),
    many("", R, C::Addresses, Shape::Text),
    one("", R, C::Sha256, Shape::Text),
];

const SEARCH_FINDINGS: &[Field] = &[
    one("", R, C::Title, Shape::Text),
    one("", R, C::Subject, Shape::Text),
    many("", R, C::Owners, Shape::Text),
    many("", A, C::Names, Shape::Text),
    many("", A, C::Addresses, Shape::Text),
    many("", A, C::Macs, Shape::Text),
    one("", A, C::Vendor, Shape::Text),
];
