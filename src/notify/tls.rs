//! TLS to destinations, which have to prove who they are: to the system's roots, or to those
//! that the route names instead.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use anyhow::{Context as _, Result};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Trouble;
use crate::{tell, trusted};

/// Read when they are needed first, and once.
static SYSTEM: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| Arc::new(config(trusted::system_roots())));

/// Whom to believe. Without own roots, the system's are read when they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Trust(Option<Arc<ClientConfig>>);

impl Trust {
    /// Reads the roots, where the route names some.
    pub(crate) fn load(roots: Option<&Path>) -> Result<Self> {
        let own = roots.map(own_roots).transpose()?;
        Ok(Self(own.map(|own| Arc::new(config(own)))))
    }

    /// TLS over a connection, with a server of that name or address.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        server: &str,
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let config = self.0.clone().unwrap_or_else(|| Arc::clone(&SYSTEM));
        let name = ServerName::try_from(server.to_owned())
            .map_err(|_| Trouble::refused(format!("{server} is no name for a server of TLS")))?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| Trouble::later(format!("TLS with {server}: {}", tell::chain(&error))))
    }
}

/// The roots in a file that a route names, as DER.
pub(super) fn own_roots(path: &Path) -> Result<Vec<Vec<u8>>> {
    trusted::roots_in(path).with_context(|| format!("roots: {} cannot be used", path.display()))
}

fn config(roots: Vec<Vec<u8>>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    // What cannot be a root (some of the system's are odd) is left out.
    store.add_parsable_certificates(roots.into_iter().map(Into::into));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    match builder.with_safe_default_protocol_versions() {
        Ok(builder) => builder.with_root_certificates(store).with_no_client_auth(),
        Err(error) => unreachable!("ring knows both versions of TLS: {error}"),
    }
}
