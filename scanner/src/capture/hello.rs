//! What a handshake of TLS that was heard says of its two sides, as facts, however it travelled:
//! over TCP, in datagrams, in EAP.

use std::collections::{BTreeMap, BTreeSet};

use certs::hello::heard::Side;
use model::{CertificateChain, Fact, MachineIdKind, TlsExtent, TlsServer, TlsVersion};

/// The version and the suite that a server chose. `starttls` is what came before, or carried it.
pub(super) fn chosen(server: &Side, starttls: Option<&str>) -> Option<Fact> {
    let hello = server.server.as_ref().filter(|hello| !hello.is_retry)?;
    Some(Fact::Tls(TlsServer {
        // Somebody else asked, for what we would not have: a part of what it accepts.
        asked: TlsExtent::Gentle,
        cut: true,
        starttls: starttls.map(str::to_owned),
        accepted: BTreeMap::from([(hello.version, BTreeSet::from([hello.suite]))]),
        refused: BTreeSet::new(),
        groups: BTreeSet::new(),
        dh_bits: None,
        protocols: hello.protocol.iter().cloned().collect(),
        client_authorities: server.asks_certificate.then(BTreeSet::new),
        compression: None,
        secure_renegotiation: None,
        extended_master_secret: None,
        hybrid: None,
    }))
}

/// The certificates that a server showed, if it did. `otherwise` is the version where its hello
/// was not heard.
pub(super) fn certificates(
    server: &Side,
    server_name: Option<String>,
    otherwise: TlsVersion,
    starttls: Option<&str>,
) -> Option<Fact> {
    let protocol_version = server.server.as_ref().map_or(otherwise, |hello| hello.version);
    let (chain, starttls) = (server.chain.clone(), starttls.map(str::to_owned));
    let chain = CertificateChain { chain, server_name, protocol_version, starttls };
    (!chain.chain.is_empty()).then_some(Fact::Certificates(chain))
}

/// The key of the certificate that a client showed, if it did. Its certificate is as a rule a
/// person's, with name and mail address, and goes no further than this.
pub(super) fn client_key(client: &Side) -> Option<Fact> {
    let sha256 = certs::parse(client.chain.first()?).spki_sha256?;
    Some(Fact::MachineId { kind: MachineIdKind::ClientKey, value: sha256 })
}
