//! Who asks for a page, and what each page asks of whom.
//!
//! A handler takes one of the guards as its first argument: [`Anyone`], [`Viewer`], [`Operator`],
//! [`Approver`], [`Admin`] or [`Numbers`]. Without one it is no handler of a route (`routes`), which
//! does not compile; with one it is never called for somebody else. What changes something takes
//! a [`Form`] or an [`Upload`] last, which are read only where the form came from a page of ours.

use std::net::IpAddr;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Multipart, Request},
    http::request::Parts,
};
use inventory::{
    audit::Actor,
    user::{ApiToken, Role, Session},
};
use ring::hmac;

use super::{Shared, asked::Refusal, language::Language, trouble::Trouble};
use crate::report::hex;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Somebody who has not signed in.
    Nobody,
    /// A user in a browser.
    User(Box<Session>),
    /// A program with a key.
    Program(Box<ApiToken>),
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Theme {
    /// As the system is.
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// What is known of a request before anything is done for it.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) who: Who,
    /// What forms have to bring back; "" where there is nothing to bind them to.
    pub(crate) form_token: String,
    pub(crate) language: Language,
    pub(crate) theme: Theme,
    pub(crate) peer: IpAddr,
    /// What the browser calls itself: hostile text.
    pub(crate) agent: String,
    /// The path that was asked for, with the question behind it.
    pub(crate) path: String,
}

impl Visitor {
    /// What may be done at most.
    pub(crate) fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Nobody => None,
            Who::User(session) => Some(session.user.role),
            Who::Program(token) => token.role(),
        }
    }

    pub(crate) fn may(&self, role: Role) -> bool {
        self.role().is_some_and(|own| own >= role)
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.who {
            Who::User(session) => Some(session),
            Who::Nobody | Who::Program(_) => None,
        }
    }

    /// For the audit and for four eyes: a key is its maker's hand, and what it decides its maker
    /// decides.
    pub(crate) fn actor(&self) -> Actor {
        match &self.who {
            Who::Nobody => Actor::program(),
            Who::User(session) => Actor { name: session.user.name.clone(), account: None },
            Who::Program(token) => {
                // As an actor is written: the account with which the key was made is the maker's
                // as well.
                let key = format!("key {}", token.name);
                let made = token.created_by.strip_suffix(')');
                match made.and_then(|made| made.rsplit_once(" (account ")) {
                    Some((maker, account)) => {
                        Actor { name: maker.to_owned(), account: Some(format!("{account}, {key}")) }
                    }
                    None => Actor { name: token.created_by.clone(), account: Some(key) },
                }
            }
        }
    }

    /// The address by which attempts are counted: whoever has one of IPv6 has all of its /64.
    pub(crate) fn counted_address(&self) -> String {
        match self.peer.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }

    /// Whether a form came from a page that we gave to this very browser.
    pub(crate) fn check_form(&self, given: Option<&str>) -> Result<(), Trouble> {
        // A program's key is in no browser that somebody could make send it.
        if matches!(self.who, Who::Program(_)) {
            return Ok(());
        }
        let given = given.unwrap_or_default();
        match !self.form_token.is_empty() && is_same(given, &self.form_token) {
            true => Ok(()),
            false => Err(Trouble::Forged("the form is not from a page of this session")),
        }
    }
}

/// Compares in a time that does not tell where they differ.
fn is_same(left: &str, right: &str) -> bool {
    let differ = left.bytes().zip(right.bytes()).fold(0, |all, (l, r)| all | (l ^ r));
    left.len() == right.len() && differ == 0
}

/// What forms have to bring back: it follows from the token in the browser's cookie, which no
/// other page can read, and leads not back to it.
pub(crate) fn form_token(token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    hex(hmac::sign(&key, b"form").as_ref())
}

/// What a route asks of whoever asks for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Nothing.
    Anyone,
    /// A role, or more.
    Role(Role),
    /// What the configuration says of the numbers.
    Numbers,
    /// A key for calendars in the address.
    Calendars,
}

/// An argument of a handler that lets through only whom it is for.
pub(crate) trait Guard: FromRequestParts<Shared, Rejection = Trouble> {
    const ACCESS: Access;
}

/// The visitor as the gate left it with the request.
pub(super) fn visitor(parts: &Parts) -> Result<Visitor, Trouble> {
    let found = parts.extensions.get::<Visitor>().cloned();
    found.ok_or_else(|| Trouble::Failed("a request that did not pass the gate".to_owned()))
}

/// For everybody, signed in or not.
pub(crate) struct Anyone(pub(crate) Visitor);

impl FromRequestParts<Shared> for Anyone {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Trouble> {
        visitor(parts).map(Self)
    }
}

impl Guard for Anyone {
    const ACCESS: Access = Access::Anyone;
}

macro_rules! guards {
    ($($(#[$words:meta])* $name:ident;)*) => {$(
        $(#[$words])*
        pub(crate) struct $name(pub(crate) Visitor);

        impl FromRequestParts<Shared> for $name {
            type Rejection = Trouble;

            async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Trouble> {
                let visitor = visitor(parts)?;
                match visitor.may(Role::$name) {
                    true => Ok(Self(visitor)),
                    false if matches!(visitor.who, Who::Nobody) => Err(Trouble::SignIn),
                    false => Err(Trouble::Role(Role::$name)),
                }
            }
        }

        impl Guard for $name {
            const ACCESS: Access = Access::Role(Role::$name);
        }
    )*};
}

guards! {
    /// For whoever may look.
    Viewer;
    /// For whoever may begin scans.
    Operator;
    /// For whoever may decide.
    Approver;
    /// For whoever may say who may do what.
    Admin;
}

/// For whoever may read the numbers.
pub(crate) struct Numbers(());

impl FromRequestParts<Shared> for Numbers {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Trouble> {
        use config::web::Metrics;
        use inventory::user::Scope;
        let visitor = visitor(parts)?;
        let has_token = match &visitor.who {
            Who::Program(token) => {
                token.scopes.contains(&Scope::Metrics) || visitor.may(Role::Viewer)
            }
            Who::User(_) => true,
            Who::Nobody => false,
        };
        // Behind a proxy on this machine everybody comes from here.
        let is_here = visitor.peer.to_canonical().is_loopback()
            && shared.settings.web.secrecy != config::web::Secrecy::Plain;
        match shared.settings.web.metrics {
            Metrics::No => Err(Trouble::NotFound),
            Metrics::Loopback if is_here => Ok(Self(())),
            Metrics::Loopback | Metrics::Token if has_token => Ok(Self(())),
            Metrics::Loopback | Metrics::Token => Err(Trouble::SignIn),
        }
    }
}

impl Guard for Numbers {
    const ACCESS: Access = Access::Numbers;
}

/// For a program that has a key for calendars in the address, and for nobody else: whoever can sign
/// in, or send a header, has the same elsewhere.
pub(crate) struct Calendars(pub(crate) Visitor);

impl FromRequestParts<Shared> for Calendars {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Trouble> {
        let visitor = visitor(parts)?;
        match &visitor.who {
            Who::Program(key) if key.is_for_calendars() => Ok(Self(visitor)),
            _ => Err(Trouble::SignIn),
        }
    }
}

impl Guard for Calendars {
    const ACCESS: Access = Access::Calendars;
}

/// The arguments of a handler of which the first is a guard.
pub(crate) trait Guarded {
    const ACCESS: Access;
}

/// Those of which the last is a form that was checked.
pub(crate) trait Checked: Guarded {}

/// A body that is read only where it came from a page of ours.
pub(crate) trait FromPage {}

impl FromPage for Form {}
impl FromPage for Upload {}

macro_rules! guarded {
    ($([$($between:ident),*];)*) => {$(
        impl<M, G: Guard, $($between,)* L> Guarded for (M, G, $($between,)* L) {
            const ACCESS: Access = G::ACCESS;
        }

        impl<M, G: Guard, $($between,)* L: FromPage> Checked for (M, G, $($between,)* L) {}
    )*};
}

impl<M, G: Guard> Guarded for (M, G) {
    const ACCESS: Access = G::ACCESS;
}

guarded! {
    [];
    [A];
    [A, B];
    [A, B, C];
}

/// What was filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl From<Vec<(String, String)>> for Fields {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

impl Fields {
    /// The text in a field, without blanks around it; "" where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default().trim()
    }

    /// The same as it was typed, where blanks may matter.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The text, where there is one.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All that has that name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.given(name).is_some()
    }
}

/// A form that was filled in on a page of ours.
#[derive(Clone, Debug)]
pub(crate) struct Form(pub(crate) Fields);

/// The name of the field with the form's token.
const TOKEN: &str = "csrf";

impl FromRequest<Shared> for Form {
    type Rejection = Trouble;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Trouble> {
        let (parts, body) = request.into_parts();
        let visitor = visitor(&parts)?;
        let request = Request::from_parts(parts, body);
        let read = axum::Form::<Vec<(String, String)>>::from_request(request, shared).await;
        let axum::Form(fields) = read.map_err(|rejection| match rejection.status().as_u16() {
            413 => Trouble::TooLarge,
            _ => Refusal::Form.into(),
        })?;
        let fields = Fields(fields);
        visitor.check_form(Some(fields.exact(TOKEN)))?;
        Ok(Self(fields))
    }
}

/// A form with a file.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) fields: Fields,
    /// What the browser calls the file: hostile text.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

impl FromRequest<Shared> for Upload {
    type Rejection = Trouble;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Trouble> {
        let (parts, body) = request.into_parts();
        let visitor = visitor(&parts)?;
        let request = Request::from_parts(parts, body);
        let broken = |status: u16| match status {
            413 => Trouble::TooLarge,
            _ => Refusal::Upload.into(),
        };
        let mut multipart = Multipart::from_request(request, shared)
            .await
            .map_err(|rejection| broken(rejection.status().as_u16()))?;
        let mut upload =
            Self { fields: Fields::default(), name: String::new(), bytes: Bytes::new() };
        loop {
            let next = multipart.next_field().await;
            let Some(field) = next.map_err(|error| broken(error.status().as_u16()))? else { break };
            let name = field.name().unwrap_or_default().to_owned();
            match field.file_name().map(str::to_owned) {
                Some(file) => {
                    upload.name = file;
                    let bytes = field.bytes().await;
                    upload.bytes = bytes.map_err(|error| broken(error.status().as_u16()))?;
                }
                None => {
                    let text = field.text().await;
                    let text = text.map_err(|error| broken(error.status().as_u16()))?;
                    upload.fields.0.push((name, text));
                }
            }
        }
        visitor.check_form(Some(upload.fields.exact(TOKEN)))?;
        Ok(upload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_follows_from_the_session_and_tells_nothing_of_it() {
        let token = form_token("secret");
        assert_eq!(token, form_token("secret"));
        assert_ne!(token, form_token("secreu"));
        assert_eq!(token.len(), 64);
        assert!(!is_same(&token, ""));
        assert!(!is_same("", &token) && is_same(&token, &token.clone()));
    }
}
