//! What can be wrong with a certificate.
//!
//! A rule is a function of one certificate and a [`Context`]: a moment, the organisation's
//! [`Thresholds`] and whether the public trusts its chain. It cannot look anything up, so
//! running the rules over the inventory is a loop and a rule is tested without a network or a
//! clock. Whether an issuer is approved is not here: that is the register's question.
//!
//! Each room has the rules of one subject. What only breaks a profile is worth no more than a
//! note: an administrator cannot change it before the next renewal.

mod authority;
mod key;
mod name;
mod revocation;
mod signature;
mod structure;
mod subject;
mod usage;
pub(crate) mod validity;

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::{Unit, civil::Date};
use model::{Severity, Timestamp};

use crate::{
    Certificate,
    der::{self, Element, Quirks},
};

/// A thing that can be wrong with a certificate.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Stable name. Findings and configuration refer to it; never reuse one.
    pub id: &'static str,
    /// One line for people who did not write the rule.
    pub title: &'static str,
    /// Where the requirement comes from.
    pub citation: &'static str,
    /// It is asked of certificates whose validity begins on that day (UTC) or later. `None`
    /// where it is asked of all, because what it warns of does not depend on their age.
    pub effective: Option<Date>,
    /// Whose chains it is about.
    pub applies: Applies,
    /// Which certificates of a chain it is about.
    pub about: About,
    /// The most that a failure of it matters; each [`Verdict::Fail`] has its own.
    pub severity: Severity,
    /// The rule itself. Callers want [`Rule::judge`], which asks first whether it applies.
    check: fn(&Certificate, &Context) -> Verdict,
}

/// Whose chains a rule is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Applies {
    /// Every chain.
    Always,
    /// Those that lead to a root which the public trusts: the requirements of the
    /// CA/Browser Forum bind nobody else.
    PubliclyTrusted,
}

/// Which certificates a rule is about. One that could not be recognised at all is `Any`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum About {
    /// Every one, readable or not.
    Any,
    /// Those that may issue others.
    Authority,
    /// Those that may not.
    Leaf,
    /// Leaves which a TLS server may present: for that purpose, for any, or for none in
    /// particular.
    Server,
    /// The same, and authorities that have names as a server has: a device's own certificate
    /// often is both.
    Named,
}

/// Whether the public trusts the chain of a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Trust {
    /// It leads to a root of a public root programme.
    Public,
    /// It leads to a root of the organisation's own, or is its own root.
    Private,
    /// Nobody has looked. Treated as private, since a wrong accusation is worse than none.
    #[default]
    Unknown,
}

/// What a rule is told beside the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    /// The moment at which the certificate is judged.
    pub as_of: Timestamp,
    /// What the organisation wants.
    pub thresholds: Thresholds,
    /// Whether the public trusts its chain.
    pub trust: Trust,
}

/// What a rule concluded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The rule is not about this kind of certificate, or the field it needs cannot be read.
    NotApplicable,
    /// All is well.
    Pass,
    /// The certificate breaks the rule.
    Fail {
        /// How much it matters.
        severity: Severity,
        /// The reason, with the values that led there.
        detail: String,
    },
}

/// What an organisation may want otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// When an expiry is worth a warning: a third of the lifetime left means that two thirds
    /// of it are over and the certificate should have been renewed.
    pub expiry_warning: Remaining,
    /// When an expiry is critical.
    pub expiry_critical: Remaining,
    /// RSA keys with a shorter modulus are weak, in bits.
    pub rsa_bits: u32,
    /// Elliptic-curve keys over a smaller field are weak, in bits.
    pub ec_bits: u32,
}

/// A remaining time that depends on the lifetime: a part of it, but never more than so much.
/// A share alone would warn about a ten-year certificate for three years; a number of days
/// alone would always warn about a six-day one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remaining {
    /// So many parts of the lifetime …
    pub parts: u32,
    /// … when it is divided into so many: 1 of 3 for a third. 0 counts as 1.
    pub of: u32,
    /// The most, in seconds.
    pub cap: i64,
}

impl Remaining {
    /// For a certificate with this lifetime, both in seconds.
    #[must_use]
    pub fn of(self, lifetime: i64) -> i64 {
        let parts = lifetime.saturating_mul(i64::from(self.parts));
        parts.div_euclid(i64::from(self.of.max(1))).min(self.cap)
    }
}

pub(crate) const DAY: i64 = 86_400;

impl Default for Thresholds {
    /// A third and a tenth of the lifetime, at most 30 and 7 days; 2048 and 224 bits.
    fn default() -> Self {
        Self {
            expiry_warning: Remaining { parts: 1, of: 3, cap: 30 * DAY },
            expiry_critical: Remaining { parts: 1, of: 10, cap: 7 * DAY },
            rsa_bits: 2048,
            ec_bits: 224,
        }
    }
}

/// Every certificate rule, in the order in which reports list them.
pub const RULES: &[Rule] = &[
    validity::EXPIRED,
    validity::NOT_YET_VALID,
    validity::EXPIRING,
    validity::REVERSED,
    validity::TIME_TYPE,
    validity::TIME_FORM,
    validity::LIFETIME_825,
    validity::LIFETIME_398,
    validity::LIFETIME_200,
    validity::LIFETIME_100,
    validity::LIFETIME_47,
    key::WEAK,
    key::EXPONENT,
    key::SMALL_EXPONENT,
    key::SMALL_FACTOR,
    key::MODULUS_SIZE,
    key::CURVE,
    key::PARAMETERS,
    signature::WEAK,
    signature::MISMATCH,
    signature::PARAMETERS,
    signature::NOT_ALLOWED,
    structure::MALFORMED,
    structure::VERSION,
    structure::VERSION_EXTENSIONS,
    structure::UNIQUE_IDENTIFIER,
    structure::SERIAL,
    structure::LONG_SERIAL,
    structure::NO_ISSUER,
    structure::DUPLICATE_EXTENSION,
    structure::CRITICAL,
    structure::NOT_CRITICAL,
    structure::UNKNOWN_CRITICAL,
    structure::PRECERTIFICATE,
    structure::NO_TIMESTAMPS,
    structure::EMPTY_EXTENSION,
    structure::KEY_USAGE_EMPTY,
    name::NONE,
    name::NO_SUBJECT,
    name::NOT_CRITICAL,
    name::EMPTY,
    name::NUL,
    name::CHARACTERS,
    name::UNDERSCORE,
    name::WILDCARD,
    name::LABELS,
    name::LENGTH,
    name::HYPHEN,
    name::RESERVED_LABEL,
    name::ADDRESS_AS_NAME,
    name::ADDRESS_SIZE,
    name::INTERNAL,
    name::RESERVED_ADDRESS,
    name::KIND,
    name::COMMON,
    name::URI,
    subject::COUNTRY_FORM,
    subject::LENGTH,
    subject::CONTROL,
    subject::PLACEHOLDER,
    subject::UNIT,
    subject::AUTHORITY_SUBJECT,
    authority::NO_SUBJECT,
    authority::CONSTRAINTS_NOT_CRITICAL,
    authority::NO_KEY_USAGE,
    authority::KEY_USAGE_NOT_CRITICAL,
    authority::MAY_NOT_SIGN,
    authority::MAY_NOT_REVOKE,
    authority::NO_KEY_ID,
    authority::NO_ISSUER_KEY_ID,
    authority::SIGNS_WITHOUT_BEING,
    authority::SERVER_MAY_ISSUE,
    authority::PATH_LENGTH,
    authority::CONSTRAINTS_ON_LEAF,
    authority::CONSTRAINTS_RANGE,
    authority::MAPS_ANY_POLICY,
    authority::ROOT_PURPOSES,
    usage::PUBLIC_SIGNS,
    usage::NO_PURPOSE,
    usage::OTHER_PURPOSES,
    usage::CLIENTS,
    usage::CRITICAL_ANY,
    usage::CRITICAL,
    usage::UNFIT,
    revocation::NO_SOURCE,
    revocation::LIST_ADDRESS,
    revocation::POINT,
    revocation::RESPONDER_ADDRESS,
    revocation::ISSUER_ADDRESS,
    revocation::ACCESS_METHOD,
    revocation::ACCESS_TWICE,
    revocation::NO_POLICIES,
    revocation::POLICY_TWICE,
];

/// The rule of that id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl Rule {
    /// What the rule says of a certificate: [`Verdict::NotApplicable`] where it is not about
    /// such a one, or came after it.
    #[must_use]
    pub fn judge(&self, certificate: &Certificate, context: &Context) -> Verdict {
        let applies = match self.applies {
            Applies::Always => true,
            Applies::PubliclyTrusted => {
                context.trust == Trust::Public && certificate.is_recognisable()
            }
        };
        let in_force = || match (self.effective, certificate.not_before) {
            (Some(day), Some(first)) => start_of(day).is_some_and(|start| first >= start),
            _ => true,
        };
        if applies && self.about.includes(certificate) && in_force() {
            (self.check)(certificate, context)
        } else {
            Verdict::NotApplicable
        }
    }
}

impl About {
    /// Whether a certificate is one of these.
    #[must_use]
    pub fn includes(self, certificate: &Certificate) -> bool {
        let leaf = || certificate.is_recognisable() && !certificate.is_ca;
        match self {
            Self::Any => true,
            Self::Authority => certificate.is_ca,
            Self::Leaf => leaf(),
            Self::Server => leaf() && may_serve(certificate),
            Self::Named => certificate.is_recognisable() && may_serve(certificate),
        }
    }
}

fn may_serve(certificate: &Certificate) -> bool {
    let purposes = &certificate.extended_key_usage;
    purposes.is_empty() || purposes.iter().any(|p| p == "serverAuth" || p == "anyExtendedKeyUsage")
}

/// The first moment of a day, in UTC.
pub(crate) fn start_of(day: Date) -> Option<Timestamp> {
    let days = Date::constant(1970, 1, 1).until((Unit::Day, day)).ok()?.get_days();
    Some(Timestamp::from_seconds(i64::from(days).checked_mul(DAY)?))
}

const fn day(year: i16, month: i8, day: i8) -> Option<Date> {
    Some(Date::constant(year, month, day))
}

/// RFC 2459, of which RFC 5280 keeps most requirements.
const RFC_2459: Option<Date> = day(1999, 1, 1);
const RFC_5280: Option<Date> = day(2008, 5, 1);
/// The Baseline Requirements, version 1.0.
const BASELINE: Option<Date> = day(2012, 7, 1);
/// The Baseline Requirements, version 2.0.0: certificate profiles (ballot SC-062v2).
const PROFILES: Option<Date> = day(2023, 9, 15);

fn fail_if(broken: bool, severity: Severity, detail: impl FnOnce() -> String) -> Verdict {
    if broken { Verdict::Fail { severity, detail: detail() } } else { Verdict::Pass }
}

/// A mere breach of a profile: one note with everything that was found.
fn note_all(problems: &[String]) -> Verdict {
    fail_with(Severity::Info, problems)
}

/// How many problems of one kind a detail names.
const NAMED: usize = 10;

fn fail_with(severity: Severity, problems: &[String]) -> Verdict {
    fail_if(!problems.is_empty(), severity, || {
        let named = problems.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        match problems.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named}; and {more} more"),
        }
    })
}

const ALTERNATIVE_NAME: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const POLICIES: &str = "2.5.29.32";
const PURPOSES: &str = "2.5.29.37";

/// The elements of a constructed element's contents.
fn children(body: &[u8]) -> Vec<Element<'_>> {
    der::children(body, &mut Quirks::default())
}

/// The elements inside the one element that these bytes are.
fn inside(whole: &[u8]) -> Vec<Element<'_>> {
    children(whole).first().map_or_else(Vec::new, |element| children(element.body))
}

/// The value of an extension, if the certificate has it.
fn value<'a>(certificate: &'a Certificate, id: &str) -> Option<&'a [u8]> {
    certificate.encodings.extension(id).map(|extension| extension.value.as_slice())
}

/// The alternative names as written: tag and contents.
fn alternative_names(certificate: &Certificate) -> Vec<Element<'_>> {
    value(certificate, ALTERNATIVE_NAME).map_or_else(Vec::new, inside)
}

/// The DNS names among them, as text; what is no UTF-8 has replacement characters.
fn dns_names(certificate: &Certificate) -> Vec<String> {
    let names = alternative_names(certificate).into_iter();
    names
        .filter(|name| name.tag == 0x82)
        .map(|name| String::from_utf8_lossy(name.body).into_owned())
        .collect()
}

fn is_uri(name: &Element<'_>, scheme: &str) -> bool {
    name.tag == 0x86
        && name.body.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// A length of time for people: whole days, or hours below two days.
pub(crate) fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..7200 => (seconds.div_euclid(60), "minute"),
        7200..172_800 => (seconds.div_euclid(3600), "hour"),
        _ => (seconds.div_euclid(DAY), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
