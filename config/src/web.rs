//! The settings of the web page.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    ConfigError, Layers,
    oidc::{self, Oidc},
    units,
};

/// How the page is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Web {
    /// Where; `None` for no page.
    pub listen: Option<SocketAddr>,
    /// The names by which it is asked for, beside addresses and the machine's own.
    pub names: Vec<String>,
    /// How what is said is kept from others.
    pub secrecy: Secrecy,
    /// For how long a session lasts without being used.
    pub idle: Duration,
    /// For how long it lasts in any case.
    pub absolute: Duration,
    /// Who may read the numbers at `/metrics`.
    pub metrics: Metrics,
    /// Whose people may sign in beside local users.
    pub oidc: Option<Oidc>,
}

/// How what is said is kept from others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Secrecy {
    /// TLS with a certificate that is made when there is none.
    OwnCertificate,
    /// TLS with the certificate and the key in these files.
    Files {
        /// The certificate and what leads to its root, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
    /// None: the page does not leave the machine.
    Plain,
}

/// Who may read the numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Metrics {
    /// Nobody.
    No,
    /// Who has a token with that scope.
    Token,
    /// Also whoever asks from this machine.
    Loopback,
}

/// `page` is where messages say that the page is.
pub(crate) fn read(layers: &Layers, page: Option<&str>) -> Result<Web, ConfigError> {
    let listen = layers.read("web.listen", |value| {
        let text = units::text(value)?;
        if text.is_empty() {
            return Ok(None);
        }
        let expected = "expected an address and a port, such as \"127.0.0.1:8443\"";
        text.parse::<SocketAddr>().map(Some).map_err(|_| expected.to_owned())
    })?;
    let path = |key| Ok(PathBuf::from(layers.read(key, units::text)?));
    let (certificate, key): (PathBuf, PathBuf) = (path("web.certificate")?, path("web.key")?);
    let is_plain = layers.read("web.plain", units::switch)?;
    let secrecy = match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) if is_plain => {
            if listen.is_some_and(|listen| !listen.ip().is_loopback()) {
                return Err(layers.refuse(
                    "web.plain",
                    "only where web.listen is an address of this machine alone, such as \
                     127.0.0.1: passwords would cross the network in the clear",
                ));
            }
            Secrecy::Plain
        }
        (true, true) => Secrecy::OwnCertificate,
        (false, false) if is_plain => {
            return Err(layers.refuse("web.plain", "not together with web.certificate"));
        }
        (false, false) => Secrecy::Files { certificate, key },
        (true, false) => return Err(layers.refuse("web.certificate", "web.key needs it")),
        (false, true) => return Err(layers.refuse("web.key", "web.certificate needs it")),
    };
    let (minute, day) = (Duration::from_secs(60), crate::DAY);
    let idle = layers.read("web.idle", |value| units::duration(value, 5 * minute, day))?;
    let absolute = layers.read("web.absolute", |value| units::duration(value, idle, 30 * day))?;
    let oidc = oidc::read(layers, &secrecy, page)?;
    Ok(Web {
        listen,
        names: layers.read("web.names", units::texts)?,
        secrecy,
        idle,
        absolute,
        metrics: layers.read("web.metrics", |value| match units::text(value)?.as_str() {
            "no" => Ok(Metrics::No),
            "token" => Ok(Metrics::Token),
            "loopback" => Ok(Metrics::Loopback),
            other => Err(format!("{other:?} is not who may read (no, token, loopback)")),
        })?,
        oidc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Web, String> {
        let mut layers = Layers::defaults();
        layers.add_file("site.toml", file).map_err(|error| error.to_string())?;
        read(&layers, None).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_no_page_unless_somebody_asks_for_one() {
        let web = load("").unwrap();
        assert_eq!((web.listen, web.secrecy), (None, Secrecy::OwnCertificate));
        assert_eq!((web.idle.as_secs(), web.absolute.as_secs()), (1_800, 43_200));
    }

    #[test]
    fn passwords_never_cross_a_network_in_the_clear() {
        let web = load("[web]\nlisten = \"[::1]:80\"\nplain = true").unwrap();
        assert_eq!(web.secrecy, Secrecy::Plain);
        for address in ["0.0.0.0", "[::]", "192.0.2.7"] {
            let file = format!("[web]\nlisten = \"{address}:80\"\nplain = true");
            assert!(load(&file).unwrap_err().contains("in the clear"), "{address}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        assert!(load("[web]\ncertificate = \"/a\"").unwrap_err().contains("web.key"));
        assert!(load("[web]\nkey = \"/a\"").unwrap_err().contains("web.certificate"));
        assert!(load("[web]\ncertificate = \"/a\"\nkey = \"/b\"").is_ok());
        assert!(load("[web]\nlisten = \"localhost\"").unwrap_err().contains("127.0.0.1:8443"));
        assert!(load("[web]\nabsolute = \"10m\"").unwrap_err().contains("expected from"));
    }
}
