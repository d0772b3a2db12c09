//! The product's vocabulary, as types.
//!
//! A word of `docs/glossary.md` that appears in code is defined here, once.
//! There is no I/O here, no clock and no opinion: every other crate speaks to
//! its neighbours in these types.
//!
//! [`Observation`] and [`Fact`] derive serde on purpose: they are the form in
//! which observations are stored, exchanged and replayed. Nothing else does:
//! the database, the command line and the reports keep their own types.

mod cpe;
mod endpoint;
mod heard;
mod identifier;
mod mac;
mod observation;
mod ports;
mod run;
mod scan;
mod severity;
mod site;
mod time;
mod tls;

pub use cpe::Cpe;
pub use endpoint::{Endpoint, Transport};
pub use heard::{
    DiscoveryProtocol, FingerprintKind, Neighbor, NetworkRole, RedundancyProtocol, RouterProtocol,
    Use, Volume,
};
pub use identifier::{Identifier, MachineIdKind, NameSource, Strength};
pub use mac::{MacAddr, ParseMacError};
pub use observation::{
    CertificateChain, Fact, HostCertificate, HostKey, Method, Observation, PortState, Service,
    Subject, TlsVersion,
};
pub use ports::{ParsePortsError, PortSet};
pub use run::{RunId, RunResult};
pub use scan::{AddressRange, Coverage, Gap, ScanId, ScanRecord};
pub use severity::Severity;
pub use site::{Site, Vantage};
pub use time::{ParseTimestampError, Timestamp};
pub use tls::{TlsExtent, TlsServer};
