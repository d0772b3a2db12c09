//! Cookies: what the browser keeps for us.

use anyhow::{Context as _, Result};
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use config::web::Secrecy;

use super::Shared;
use crate::report::hex;

/// A cookie that is a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cookie {
    /// The token of a session.
    Session,
    /// What forms are bound to before there is a session.
    Entry,
    /// What binds the answer of a provider of OpenID Connect to the browser that was sent there.
    #[cfg(feature = "oidc")]
    Flow,
}

/// Cookies that are no secrets.
pub(super) const LANGUAGE: &str = "daicho-language";
pub(super) const THEME: &str = "daicho-theme";

impl Shared {
    /// What a cookie is called. With the prefix browsers take it from this host alone, for all
    /// of it, and over TLS alone.
    pub(super) fn cookie_name(&self, cookie: Cookie) -> &'static str {
        match (cookie, &self.settings.web.secrecy) {
            (Cookie::Session, Secrecy::Plain) => "daicho",
            (Cookie::Entry, Secrecy::Plain) => "daicho-entry",
            (Cookie::Session, _) => "__Host-daicho",
            (Cookie::Entry, _) => "__Host-daicho-entry",
            #[cfg(feature = "oidc")]
            (Cookie::Flow, Secrecy::Plain) => "daicho-flow",
            #[cfg(feature = "oidc")]
            (Cookie::Flow, _) => "__Host-daicho-flow",
        }
    }

    fn is_secure(&self) -> bool {
        self.settings.web.secrecy != Secrecy::Plain
    }
}

/// 256 random bits, in hexadecimal.
pub(crate) fn new_token() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(hex(&bytes))
}

/// The value of a cookie.
pub(super) fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then(|| value.to_owned())
    })
}

impl Cookie {
    /// When browsers bring it along. A provider's page leads back to us, and with a strict cookie
    /// nobody would know who comes.
    const fn same_site(self) -> &'static str {
        match self {
            Self::Session | Self::Entry => "Strict",
            #[cfg(feature = "oidc")]
            Self::Flow => "Lax",
        }
    }
}

/// Has the browser keep a secret until it is closed.
pub(super) fn set(shared: &Shared, response: &mut Response, cookie: Cookie, value: &str) {
    let (name, site) = (shared.cookie_name(cookie), cookie.same_site());
    let secure = if shared.is_secure() { "; Secure" } else { "" };
    add(response, format!("{name}={value}; Path=/; HttpOnly; SameSite={site}{secure}"));
}

/// Has the browser forget it.
pub(super) fn clear(shared: &Shared, response: &mut Response, cookie: Cookie) {
    let (name, site) = (shared.cookie_name(cookie), cookie.same_site());
    let secure = if shared.is_secure() { "; Secure" } else { "" };
    add(response, format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite={site}{secure}"));
}

/// Has the browser keep what somebody chose, for a year. `value` is one of a few words of ours.
pub(super) fn keep(shared: &Shared, response: &mut Response, name: &str, value: &str) {
    let secure = if shared.is_secure() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
    add(response, text);
}

fn add(response: &mut Response, text: String) {
    // Names and values are letters of ours.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
