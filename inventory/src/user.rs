//! Who may look at the page and act on it: users, their sessions, and keys of the API.
//!
//! What may be done follows from one role or scope, and how long an attempt to sign in has to
//! wait from how many failed before it. Tokens are known here by their SHA-256 alone: who reads
//! the database can sign in with none of them.

use std::{fmt, str::FromStr};

use model::Timestamp;
use ring::digest::{SHA256, digest};
use thiserror::Error;

use crate::hex::hex;

/// What a user may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Begins scans and sends messages again.
    Operator,
    /// Decides, and replaces registers.
    Approver,
    /// Says who may do what.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// Its name on the command line and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| NameError::of(text, "viewer, operator, approver or admin"))
    }
}

/// What a key of the API opens.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// The calendar of when certificates end, by an address with the key in it, and nothing else:
    /// programs that fetch calendars know no other way. Never beside another scope.
    Calendar,
    /// The numbers at `/metrics`, and nothing else.
    Metrics,
    /// What a viewer may do.
    Read,
    /// What an operator may do.
    Write,
    /// What an approver may do.
    Approve,
    /// What an admin may do.
    Manage,
}

impl Scope {
    /// All, the least first.
    pub const ALL: [Self; 6] =
        [Self::Calendar, Self::Metrics, Self::Read, Self::Write, Self::Approve, Self::Manage];

    /// Its name on the command line and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Write => "write",
            Self::Approve => "approve",
            Self::Manage => "manage",
        }
    }

    /// The role whose rights it gives, if it gives any.
    #[must_use]
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Calendar | Self::Metrics => None,
            Self::Read => Some(Role::Viewer),
            Self::Write => Some(Role::Operator),
            Self::Approve => Some(Role::Approver),
            Self::Manage => Some(Role::Admin),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known
            .ok_or_else(|| NameError::of(text, "calendar, metrics, read, write, approve or manage"))
    }
}

/// Why a key cannot have these scopes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ScopeError {
    /// It has none.
    #[error("a key has a scope: calendar, metrics, read, write, approve or manage")]
    Nothing,
    /// One for calendars opens something else.
    #[error(
        "a key for calendars opens nothing else: it stands in an address that other programs keep"
    )]
    Calendar,
}

/// Puts the scopes of a key in order, each once.
///
/// # Errors
///
/// Where a key cannot have them.
pub fn check_scopes(mut scopes: Vec<Scope>) -> Result<Vec<Scope>, ScopeError> {
    scopes.sort_unstable();
    scopes.dedup();
    match scopes.as_slice() {
        [] => Err(ScopeError::Nothing),
        [Scope::Calendar, _, ..] => Err(ScopeError::Calendar),
        _ => Ok(scopes),
    }
}

/// The text is none of what it can be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text:?} is not {expected}")]
pub struct NameError {
    text: String,
    expected: &'static str,
}

impl NameError {
    fn of(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// Somebody who may sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its number, which is never another's.
    pub id: i64,
    /// Its name, as it was given first; another spelling with capitals is the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its password was set last.
    pub password_at: Timestamp,
    /// When it signed in last.
    pub signed_in_at: Option<Timestamp>,
    /// Since when it may not sign in, whatever it brings; `None` where it may.
    pub disabled_at: Option<Timestamp>,
    /// Who it is to the provider that vouches for it; `None` for one with a password.
    pub identity: Option<Identity>,
}

impl User {
    /// When its password was set last, where it has one.
    #[must_use]
    pub fn password_set(&self) -> Option<Timestamp> {
        self.identity.is_none().then_some(self.password_at)
    }
}

/// Who somebody is to a provider of OpenID Connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// What it calls the person, for good.
    pub subject: String,
    /// What it says that people call the person: hostile text.
    pub called: String,
}

/// Somebody whom a provider vouches for just now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// What it calls the person, for good.
    pub subject: &'a str,
    /// What it says that people call the person: hostile text.
    pub called: String,
    /// What the person could be called here, the best first.
    pub names: Vec<&'a str>,
}

/// What the names of users begin with whom a provider vouches for. No name of a local user can:
/// [`check_name`] takes no colon.
pub const FROM_PROVIDER: &str = "oidc:";

/// What somebody is to be called: the first name that can be one, and the name that is nobody else's
/// in any case, should that be taken.
#[must_use]
pub fn provider_names(person: &Person<'_>) -> [String; 2] {
    let text = format!("{}\n{}", person.issuer, person.subject);
    let hash = hex(digest(&SHA256, text.as_bytes()).as_ref());
    let certain: String = hash.chars().take(16).collect();
    let named = person.names.iter().find_map(|name| check_name(name).ok());
    match named {
        Some(name) => {
            [format!("{FROM_PROVIDER}{name}"), format!("{FROM_PROVIDER}{name}:{certain}")]
        }
        None => [format!("{FROM_PROVIDER}{certain}"), format!("{FROM_PROVIDER}:{certain}")],
    }
}

/// Checks the name of a user or a key: from 1 to 64 letters, digits, `.`, `_`, `-` and `@`.
///
/// # Errors
///
/// Where it is another.
pub fn check_name(text: &str) -> Result<&str, NameError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    // Browsers take the names "." and ".." out of addresses.
    let is_dots = text.chars().all(|c| c == '.');
    match (1..=64).contains(&text.len()) && text.chars().all(fits) && !is_dots {
        true => Ok(text),
        false => Err(NameError::of(text, "a name: up to 64 of a-z A-Z 0-9 . _ - @")),
    }
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PasswordError {
    /// It is too short.
    #[error("a password has at least {SHORTEST} letters")]
    Short,
    /// It is too long to be hashed in a time that others can wait for.
    #[error("a password has at most {LONGEST} letters")]
    Long,
    /// It is the name, or one letter again and again.
    #[error("the password is the name, or as easily guessed")]
    Guessed,
}

/// The fewest letters of a password (ASVS 2.1.1).
pub const SHORTEST: usize = 12;
/// The most (ASVS 2.1.2 asks for 128 at most).
pub const LONGEST: usize = 128;

/// Checks a new password of the user of that name.
///
/// # Errors
///
/// Says what is wrong with it, and never the password.
pub fn check_password(name: &str, password: &str) -> Result<(), PasswordError> {
    let letters = password.chars().count();
    if letters < SHORTEST {
        return Err(PasswordError::Short);
    }
    if letters > LONGEST {
        return Err(PasswordError::Long);
    }
    let (name, plain) = (name.to_lowercase(), password.to_lowercase());
    let repeats = !name.is_empty() && plain.replace(&name, "").chars().count() < SHORTEST / 2;
    let mut different: Vec<char> = plain.chars().collect();
    different.sort_unstable();
    different.dedup();
    match repeats || different.len() < 4 || plain.starts_with("password") {
        true => Err(PasswordError::Guessed),
        false => Ok(()),
    }
}

/// The form in which a token is kept: the SHA-256 of its text, in hexadecimal. It is 256 random
/// bits, so nothing is gained by a slower hash.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

/// A browser that is signed in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The hash of its token.
    pub hash: String,
    /// Who it is.
    pub user: User,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub used_at: Timestamp,
    /// From which address it began.
    pub address: String,
    /// What the browser called itself: hostile text.
    pub agent: String,
}

/// How long sessions last, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lasting {
    /// Without being used.
    pub idle: i64,
    /// In any case.
    pub absolute: i64,
}

impl Lasting {
    /// Whether a session of these times is over.
    #[must_use]
    pub fn is_over(self, created_at: Timestamp, used_at: Timestamp, now: Timestamp) -> bool {
        now >= used_at.plus_seconds(self.idle) || now >= created_at.plus_seconds(self.absolute)
    }
}

/// A key of the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiToken {
    /// What people call it.
    pub name: String,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
}

impl ApiToken {
    /// The greatest of the roles that its scopes give.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.scopes.iter().filter_map(|scope| scope.role()).max()
    }

    /// Whether it is one for calendars.
    #[must_use]
    pub fn is_for_calendars(&self) -> bool {
        self.scopes == [Scope::Calendar]
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// What attempts to sign in are counted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// The name, whether somebody has it or not.
    Name,
    /// The address.
    Address,
}

impl Counted {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Address => "address",
        }
    }

    /// The longest pause, in seconds. That of a name is shorter: whoever guesses must not keep its
    /// owner out. It still makes 60 attempts an hour at most (ASVS 2.2.1 asks for 100).
    const fn longest_pause(self) -> i64 {
        match self {
            Self::Name => 60,
            Self::Address => 900,
        }
    }

    /// For how many seconds nothing more is tried after so many failures: nothing at first, since
    /// people mistype, then twice as long each time.
    #[must_use]
    pub fn pause(self, failures: u32) -> i64 {
        const FREE: u32 = 3;
        match failures.checked_sub(FREE) {
            None => 0,
            Some(over) => (1_i64 << over.min(20)).min(self.longest_pause()),
        }
    }
}

/// After so many seconds without another failure an attempt is forgotten.
pub const FORGIVEN: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn a_key_for_the_numbers_opens_nothing_else() {
        let token = |scopes: &[Scope]| ApiToken {
            name: "prometheus".into(),
            scopes: scopes.to_vec(),
            created_at: Timestamp(0),
            created_by: "sato".into(),
            expires_at: Some(Timestamp::from_seconds(10)),
            used_at: None,
        };
        assert_eq!(token(&[Scope::Metrics]).role(), None);
        assert_eq!(token(&[Scope::Read, Scope::Approve]).role(), Some(Role::Approver));
        assert!(!token(&[]).is_expired(Timestamp::from_seconds(9)));
        assert!(token(&[]).is_expired(Timestamp::from_seconds(10)));
    }

    #[test]
    fn passwords_that_are_guessed_first_are_not_taken() {
        let check = |password: &str| check_password("sato", password);
        assert_eq!(check("elevenchars"), Err(PasswordError::Short));
        let long = "long ".repeat(26);
        assert_eq!(check(&long), Err(PasswordError::Long));
        for guessed in ["satosatosato", "Sato-Sato-Sato", "aaaaaaaaaaaaaa", "Password1234!"] {
            assert_eq!(check(guessed), Err(PasswordError::Guessed), "{guessed}");
        }
        assert_eq!(check("correct horse battery"), Ok(()));
        // Twelve letters of any script, blanks too.
        assert_eq!(check("とても長い合言葉です よ!"), Ok(()));
    }

    #[test]
    fn who_fails_again_and_again_waits_longer_and_longer() {
        let pauses: Vec<i64> = (1..=7).map(|failures| Counted::Name.pause(failures)).collect();
        assert_eq!(pauses, [0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(Counted::Name.pause(u32::MAX), 60);
        assert_eq!(Counted::Address.pause(40), 900);
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_in_any_case() {
        let lasting = Lasting { idle: 100, absolute: 1_000 };
        let at = Timestamp::from_seconds;
        assert!(!lasting.is_over(at(0), at(900), at(999)));
        assert!(lasting.is_over(at(0), at(900), at(1_000)));
        assert!(lasting.is_over(at(0), at(0), at(100)));
    }

    #[test]
    fn whoever_a_provider_vouches_for_has_a_name_that_no_local_user_can_have() {
        let names = |names: &[&'static str]| {
            let (issuer, subject) = ("https://login.office.example", "7");
            let names = names.to_vec();
            provider_names(&Person { issuer, subject, called: String::new(), names })
        };
        let [plain, certain] = names(&["佐藤", "a b", "sato@office.example", "sato"]);
        assert_eq!(plain, "oidc:sato@office.example");
        assert!(certain.starts_with("oidc:sato@office.example:") && certain.len() == 41);
        let [plain, other] = names(&["", "oidc:sato", "x\ny"]);
        assert_eq!(plain.len(), 21, "{plain}");
        assert_ne!(plain, other);
        for name in [plain, certain, other] {
            assert!(check_name(&name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        for name in ["", "..", "a b", "a\nb", "さとう", "<b>", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert_eq!(check_name("sato.k-2@office"), Ok("sato.k-2@office"));
    }
}
