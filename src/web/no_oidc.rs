//! In the place of `oidc` in a program that was built without it.

use anyhow::{Result, bail};

use super::{language::Language, routes::Route};

/// There is none.
#[derive(Debug)]
pub(crate) enum Oidc {}

pub(super) fn routes() -> Vec<Route> {
    Vec::new()
}

pub(crate) fn check(_: &config::oidc::Oidc) -> Result<()> {
    bail!(
        "web.oidc.issuer: this program was built without OpenID Connect (the feature oidc): take \
         the setting away, or use one that was built with it"
    )
}

impl Oidc {
    pub(crate) fn load(setting: &config::oidc::Oidc) -> Result<Self> {
        check(setting)?;
        bail!("there is no OpenID Connect in this program")
    }

    pub(crate) fn button(&self, _: Language) -> String {
        match *self {}
    }

    pub(crate) async fn farewell(&self) -> Option<String> {
        match *self {}
    }

    pub(crate) async fn look(&self) -> Result<String, String> {
        match *self {}
    }
}
