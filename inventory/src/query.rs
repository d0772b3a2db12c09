//! `assets --where`: which assets to show.
//!
//! ```text
//! query = [ term { "and" term } ]
//! term  = field ( "=" | "!=" | "~" | "!~" ) value      text; "~" means contains
//!       | "address" "in" network                       192.0.2.0/24, 192.0.2.1-192.0.2.9
//!       | ( "seen" | "first" ) ( "<" | ">" ) age       seen<7d: less than seven days ago
//! ```
//!
//! A field may have several values, such as every open port: `=` asks whether one of them
//! fits, `!=` whether none does. Upper and lower case are the same. There is no `or` and no
//! nesting: what needs them is asked of the JSON output with a tool made for it.

use std::{net::IpAddr, str::FromStr};

use model::{AddressRange, PortState, Timestamp, Transport};
use thiserror::Error;

use crate::{asset::Asset, compare::Registration};

/// Which assets to show. The empty query is all of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
}

/// An asset with what was concluded about it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The asset.
    pub asset: &'a Asset,
    /// The maker of its network interface, where known.
    pub vendor: Option<&'a str>,
    /// Its class, such as `printer`.
    pub class: &'a str,
    /// What it is in the light of the device register.
    pub registration: Registration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Term {
    Text { field: Field, test: Test, value: String },
    Port { port: u16, transport: Option<Transport>, open: bool },
    Address(AddressRange),
    Age { of: Moment, than: Than, seconds: i64 },
}

/// A field with texts. What each is stands in [`FIELDS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Id,
    Site,
    Name,
    Address,
    Mac,
    Vendor,
    Class,
    Os,
    Registration,
    Protocol,
    Product,
    Version,
    Cpe,
    Certificate,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Test {
    Equals,
    Differs,
    Contains,
    Lacks,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    First,
    Last,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Than {
    Younger,
    Older,
}

const FIELDS: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("site", Field::Site),
    ("name", Field::Name),
    ("address", Field::Address),
    ("mac", Field::Mac),
    ("vendor", Field::Vendor),
    ("class", Field::Class),
    ("os", Field::Os),
    ("registration", Field::Registration),
    ("protocol", Field::Protocol),
    ("product", Field::Product),
    ("version", Field::Version),
    ("cpe", Field::Cpe),
    ("certificate", Field::Certificate),
];

/// The text is not a query.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("in {term:?}: {problem}")]
pub struct QueryError {
    /// The part of the query that is wrong.
    pub term: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a term.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Problem {
    /// Nothing that compares.
    #[error("expected a field, a comparison (=, !=, ~, !~, <, > or in) and a value")]
    NoComparison,
    /// No such field.
    #[error("{0:?} is not a field (one of {fields}, port, seen, first)", fields = fields())]
    Field(String),
    /// The field cannot be compared like that.
    #[error("{field} cannot be compared with {comparison:?}: use {use_}")]
    Comparison {
        /// The field.
        field: String,
        /// What was written.
        comparison: String,
        /// What can be.
        use_: &'static str,
    },
    /// Nothing to compare with.
    #[error("there is no value after the comparison")]
    NoValue,
    /// A quotation that does not end, or goes on after its end.
    #[error("a quoted value begins and ends with a double quote")]
    Quote,
    /// Not a port.
    #[error("{0:?} is not a port (443, or 161/udp)")]
    Port(String),
    /// Not a network.
    #[error("{0:?} is not a network (192.0.2.0/24, 192.0.2.1-192.0.2.9, or an address)")]
    Network(String),
    /// Not an age.
    #[error("{0:?} is not an age (a number and s, m, h, d or w, such as 7d)")]
    Age(String),
    /// Not a registration.
    #[error("{0:?} is not a registration (one of {list})", list = registrations())]
    Registration(String),
}

fn fields() -> String {
    FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn registrations() -> String {
    Registration::ALL.map(Registration::as_str).join(", ")
}

impl Query {
    /// Whether the asset is among those asked for, as things stand at `as_of`.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>, as_of: Timestamp) -> bool {
        self.terms.iter().all(|term| term.matches(candidate, as_of))
    }
}

impl Term {
    fn matches(&self, candidate: &Candidate<'_>, as_of: Timestamp) -> bool {
        let asset = candidate.asset;
        match self {
            Self::Text { field, test, value } => {
                let values = field.values(candidate);
                let equals = |text: &String| text.to_lowercase() == *value;
                let contains = |text: &String| text.to_lowercase().contains(value);
                match test {
                    Test::Equals => values.iter().any(equals),
                    Test::Differs => !values.iter().any(equals),
                    Test::Contains => values.iter().any(contains),
                    Test::Lacks => !values.iter().any(contains),
                }
            }
            Self::Port { port, transport, open } => {
                let found = asset.services.iter().any(|service| {
                    service.state == PortState::Open
                        && service.port == *port
                        && transport.is_none_or(|transport| transport == service.transport)
                });
                found == *open
            }
            Self::Address(range) => asset.addresses().any(|address| range.contains(address)),
            Self::Age { of, than, seconds } => {
                let moment = match of {
                    Moment::First => asset.first_seen,
                    Moment::Last => asset.last_seen,
                };
                match than {
                    Than::Younger => as_of.seconds_since(moment) < *seconds,
                    Than::Older => as_of.seconds_since(moment) > *seconds,
                }
            }
        }
    }
}

impl Field {
    fn values(self, candidate: &Candidate<'_>) -> Vec<String> {
        let asset = candidate.asset;
        let open = || asset.services.iter().filter(|service| service.state == PortState::Open);
        let software = || asset.software.iter().filter(|software| software.current);
        match self {
            Self::Id => vec![asset.id.to_string()],
            Self::Site => vec![asset.site.0.clone()],
            Self::Name => asset.names.iter().map(|name| name.name.clone()).collect(),
            Self::Address => asset.addresses().map(|address| address.to_string()).collect(),
            Self::Mac => asset.macs().map(|mac| mac.to_string()).collect(),
            Self::Vendor => candidate.vendor.map(str::to_owned).into_iter().collect(),
            Self::Class => vec![candidate.class.to_owned()],
            Self::Os => asset
                .os
                .iter()
                .map(|os| match &os.version {
                    Some(version) => format!("{} {version}", os.name),
                    None => os.name.clone(),
                })
                .collect(),
            Self::Registration => vec![candidate.registration.as_str().to_owned()],
            Self::Protocol => open().filter_map(|service| service.protocol.clone()).collect(),
            Self::Product => open()
                .filter_map(|service| service.product.clone())
                .chain(software().map(|software| software.product.clone()))
                .collect(),
            Self::Version => open()
                .filter_map(|service| service.version.clone())
                .chain(software().filter_map(|software| software.version.clone()))
                .collect(),
            Self::Cpe => open()
                .filter_map(|service| service.cpe.clone())
                .chain(software().filter_map(|software| software.cpe.clone()))
                .map(|cpe| cpe.0)
                .collect(),
            Self::Certificate => asset
                .deployments
                .iter()
                .filter(|deployment| deployment.current)
                .map(|deployment| deployment.sha256.clone())
                .collect(),
        }
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let terms = split(text);
        // "" is all assets; a forgotten term beside an "and" is a mistake.
        if terms.len() == 1 && terms.iter().all(|term| term.trim().is_empty()) {
            return Ok(Self::default());
        }
        let read = |term: &&str| {
            let term = term.trim();
            Term::read(term).map_err(|problem| QueryError { term: term.to_owned(), problem })
        };
        Ok(Self { terms: terms.iter().map(read).collect::<Result<_, _>>()? })
    }
}

/// The parts between the words `and` that stand outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut quoted = false;
    let mut start = 0;
    let mut word = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match c {
            '"' => quoted = !quoted,
            _ if c.is_whitespace() && !quoted => {
                if text[word..at].eq_ignore_ascii_case("and") {
                    terms.push(&text[start..word]);
                    start = at;
                }
                word = at + c.len_utf8();
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

impl Term {
    fn read(text: &str) -> Result<Self, Problem> {
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (field, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let (comparison, value) = comparison(rest).ok_or(Problem::NoComparison)?;
        let field = field.to_ascii_lowercase();
        if field.is_empty() {
            return Err(Problem::NoComparison);
        }
        let value = unquote(value.trim())?;
        let refused = |use_| Problem::Comparison {
            field: field.clone(),
            comparison: comparison.to_owned(),
            use_,
        };
        match (field.as_str(), comparison) {
            ("seen" | "first", "<" | ">") => Ok(Self::Age {
                of: if field == "seen" { Moment::Last } else { Moment::First },
                than: if comparison == "<" { Than::Younger } else { Than::Older },
                seconds: age(&value).ok_or(Problem::Age(value))?,
            }),
            ("seen" | "first", _) => Err(refused("< or >")),
            ("port", "=" | "!=") => {
                let (port, transport) = port(&value).ok_or(Problem::Port(value))?;
                Ok(Self::Port { port, transport, open: comparison == "=" })
            }
            ("port", _) => Err(refused("= or !=")),
            ("address", "in") => Ok(Self::Address(network(&value).ok_or(Problem::Network(value))?)),
            _ => {
                let known = FIELDS.iter().find(|(name, _)| *name == field);
                let Some((_, known)) = known else { return Err(Problem::Field(field)) };
                let test = match comparison {
                    "=" => Test::Equals,
                    "!=" => Test::Differs,
                    "~" => Test::Contains,
                    "!~" => Test::Lacks,
                    _ if *known == Field::Address => return Err(refused("=, !=, ~, !~ or in")),
                    _ => return Err(refused("=, !=, ~ or !~")),
                };
                known.text(test, value.to_lowercase())
            }
        }
    }
}

impl Field {
    /// The comparison of its texts with `value`, in the spelling that the texts have.
    fn text(self, test: Test, value: String) -> Result<Term, Problem> {
        let whole = matches!(test, Test::Equals | Test::Differs);
        let value = match self {
            Self::Registration if whole && Registration::from_name(&value).is_none() => {
                return Err(Problem::Registration(value));
            }
            // However people write it, the asset has it in one spelling.
            Self::Mac if whole => {
                value.parse::<model::MacAddr>().map_or(value, |mac| mac.to_string())
            }
            Self::Address if whole => {
                value.parse::<IpAddr>().map_or(value, |address| address.to_string())
            }
            _ => value,
        };
        Ok(Term::Text { field: self, test, value })
    }
}

/// The comparison at the beginning and what follows it.
fn comparison(text: &str) -> Option<(&str, &str)> {
    for sign in ["!=", "!~", "=", "~", "<", ">"] {
        if text.starts_with(sign) {
            return Some(text.split_at(sign.len()));
        }
    }
    let (word, rest) = text.split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("in").then_some(("in", rest))
}

fn unquote(text: &str) -> Result<String, Problem> {
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(Problem::Quote)?,
        None => text,
    };
    match (inner.is_empty(), inner.contains('"')) {
        (true, _) => Err(Problem::NoValue),
        (_, true) => Err(Problem::Quote),
        _ => Ok(inner.to_owned()),
    }
}

fn port(text: &str) -> Option<(u16, Option<Transport>)> {
    let (port, transport) = match text.split_once('/') {
        Some((port, transport)) => (port, Some(transport.to_ascii_lowercase().parse().ok()?)),
        None => (text, None),
    };
    Some((port.parse().ok().filter(|port| *port != 0)?, transport))
}

fn network(text: &str) -> Option<AddressRange> {
    if let Some((first, last)) = text.split_once('-') {
        return AddressRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?);
    }
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse().ok().map(AddressRange::single);
    };
    let prefix: u32 = prefix.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u32::from(address) & !host;
            (prefix <= 32).then(|| AddressRange::new(v4(first), v4(first | host)))?
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u128::from(address) & !host;
            (prefix <= 128).then(|| AddressRange::new(v6(first), v6(first | host)))?
        }
    }
}

fn v4(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

fn v6(number: u128) -> IpAddr {
    IpAddr::V6(number.into())
}

/// An age in seconds.
fn age(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Cpe, Identifier, NameSource, Site, Strength};

    use super::*;
    use crate::asset::{AssetId, Assigned, Name, OperatingSystem, ServiceState, Software};

    const NOW: Timestamp = Timestamp::from_seconds(10_000_000);

    fn days_ago(days: i64) -> Timestamp {
        NOW.plus_seconds(-86_400 * days)
    }

    fn assigned(identifier: Identifier, current: bool) -> Assigned {
        Assigned {
            identifier,
            strength: Strength::Moderate,
            first_seen: days_ago(20),
            last_seen: days_ago(3),
            current,
            because: "arp".into(),
        }
    }

    fn service(port: u16, transport: Transport, state: PortState) -> ServiceState {
        ServiceState {
            address: "192.0.2.9".parse().unwrap(),
            transport,
            port,
            state,
            protocol: Some("http".into()),
            product: Some("nginx".into()),
            version: Some("1.22.1".into()),
            cpe: Some(Cpe::application("f5", "nginx", Some("1.22.1"))),
            tls: false,
            attributes: BTreeMap::new(),
            tls_server: None,
            first_seen: days_ago(20),
            last_seen: days_ago(3),
        }
    }

    fn printer() -> Asset {
        Asset {
            id: AssetId(7),
            site: Site("plant".into()),
            first_seen: days_ago(20),
            last_seen: days_ago(3),
            identity_uncertain: false,
            identifiers: vec![
                assigned(Identifier::Address("192.0.2.9".parse().unwrap()), true),
                assigned(Identifier::Address("198.51.100.9".parse().unwrap()), false),
                assigned(Identifier::Mac("00:00:5e:00:53:07".parse().unwrap()), true),
            ],
            names: vec![Name {
                name: "prn-7.example.com".into(),
                source: NameSource::Dns,
                last_seen: days_ago(3),
            }],
            alive_by: vec![],
            services: vec![
                service(80, Transport::Tcp, PortState::Open),
                service(161, Transport::Udp, PortState::Open),
                service(23, Transport::Tcp, PortState::Closed),
            ],
            software: vec![Software {
                product: "CUPS and friends".into(),
                version: None,
                cpe: None,
                source: "192.0.2.9:631/tcp ipp".into(),
                first_seen: days_ago(20),
                last_seen: days_ago(3),
                current: true,
            }],
            os: Some(OperatingSystem {
                name: "Debian".into(),
                version: Some("12".into()),
                cpe: None,
                last_seen: days_ago(3),
            }),
            deployments: vec![],
            anomalies: vec![],
            heard: vec![],
        }
    }

    #[track_caller]
    fn check(query: &str, expected: bool) {
        let asset = printer();
        let candidate = Candidate {
            asset: &asset,
            vendor: Some("Brother Industries"),
            class: "printer",
            registration: Registration::Unregistered,
        };
        let query: Query = query.parse().unwrap_or_else(|error| panic!("{query:?}: {error}"));
        assert_eq!(query.matches(&candidate, NOW), expected, "{query:?}");
    }

    #[track_caller]
    fn refuse(query: &str, expected: &str) {
        assert_eq!(query.parse::<Query>().unwrap_err().to_string(), expected, "{query:?}");
    }

    #[test]
    fn every_field_finds_what_it_is_for() {
        for query in [
            "",
            "  ",
            "id=7",
            "site=plant",
            "name~prn",
            "address=192.0.2.9",
            "mac=00-00-5E-00-53-07",
            "mac~5e:00",
            "vendor~brother",
            "class=printer",
            "os=debian 12",
            "os ~ Debian",
            "registration=unregistered",
            "protocol=http",
            "product~NGINX",
            "product=\"cups and friends\"",
            "version=1.22.1",
            "cpe~f5",
            "certificate!=ab",
            "port=80",
            "port=161/udp",
        ] {
            check(query, true);
        }
    }

    #[test]
    fn one_of_several_values_is_enough_and_none_is_the_opposite() {
        check("port!=80", false);
        check("port!=81", true);
        check("address!=192.0.2.9", false);
        check("product!~nginx", false);
        check("product!~apache", true);
        check("class!=printer", false);
    }

    #[test]
    fn what_is_past_does_not_count() {
        check("port=23", false);
        check("address=198.51.100.9", false);
        check("address in 198.51.100.0/24", false);
        check("port=161/tcp", false);
    }

    #[test]
    fn networks_of_every_form() {
        check("address in 192.0.2.0/24", true);
        check("address in 192.0.2.8/29", true);
        check("address in 192.0.2.77/32", false);
        check("address IN 192.0.2.1-192.0.2.9", true);
        check("address in 192.0.2.9", true);
        check("address in 0.0.0.0/0", true);
        check("address in 2001:db8::/32", false);
    }

    #[test]
    fn ages_count_from_as_of() {
        check("seen<4d", true);
        check("seen<3d", false);
        check("seen>3d", false);
        check("seen>71h", true);
        check("first>2w", true);
        check("first<3w and seen<4d", true);
    }

    #[test]
    fn terms_are_joined_by_and() {
        check("class=printer and port=80 AND seen<7d", true);
        check("class=printer and port=81", false);
        check("product = \"cups and friends\" and site=plant", true);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refuse(
            "prot=80",
            "in \"prot=80\": \"prot\" is not a field (one of id, site, name, address, mac, \
             vendor, class, os, registration, protocol, product, version, cpe, certificate, \
             port, seen, first)",
        );
        refuse(
            "class=printer and",
            "in \"\": expected a field, a comparison (=, !=, ~, !~, <, > or in) and a value",
        );
        refuse(
            "printer",
            "in \"printer\": expected a field, a comparison (=, !=, ~, !~, <, > or in) and a value",
        );
        refuse("port=ssh", "in \"port=ssh\": \"ssh\" is not a port (443, or 161/udp)");
        refuse("port=0", "in \"port=0\": \"0\" is not a port (443, or 161/udp)");
        refuse("port~80", "in \"port~80\": port cannot be compared with \"~\": use = or !=");
        refuse("seen=7d", "in \"seen=7d\": seen cannot be compared with \"=\": use < or >");
        refuse(
            "seen<7",
            "in \"seen<7\": \"7\" is not an age (a number and s, m, h, d or w, such as 7d)",
        );
        refuse(
            "seen<9999999999999999w",
            "in \"seen<9999999999999999w\": \"9999999999999999w\" is not an age (a number and s, \
             m, h, d or w, such as 7d)",
        );
        refuse(
            "address in 192.0.2.0/33",
            "in \"address in 192.0.2.0/33\": \"192.0.2.0/33\" is not a network (192.0.2.0/24, \
             192.0.2.1-192.0.2.9, or an address)",
        );
        refuse(
            "class in x",
            "in \"class in x\": class cannot be compared with \"in\": use =, !=, ~ or !~",
        );
        refuse("name=", "in \"name=\": there is no value after the comparison");
        refuse("name=\"a", "in \"name=\\\"a\": a quoted value begins and ends with a double quote");
        refuse(
            "registration=approved",
            "in \"registration=approved\": \"approved\" is not a registration (one of registered, \
             unregistered, rejected, expired, retired-but-seen, missing, unknown, conflicting, \
             identity-uncertain)",
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC*") {
            let _ = text.parse::<Query>();
        }
    }
}
