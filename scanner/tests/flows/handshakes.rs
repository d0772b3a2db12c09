//! Handshakes of TLS that travel otherwise than over TCP: in datagrams, and in EAP.

use std::{collections::BTreeSet, path::Path};

use model::{Endpoint, Fact, MachineIdKind, Observation, Subject};
use ring::digest;

use super::{capture, corpus, frames, listen, zeek::rows};

fn sha256(der: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The certificates that are told, by the text of whom and what carried them.
fn certificates(told: &[Observation]) -> BTreeSet<(String, String)> {
    told.iter()
        .filter_map(|o| match &o.fact {
            Fact::Certificates(chain) => Some((&o.subject, chain)),
            _ => None,
        })
        .flat_map(|(subject, chain)| {
            let how = chain.starttls.clone().unwrap_or_default();
            let about = format!("{subject} {} {how}", chain.protocol_version);
            chain.chain.iter().map(move |der| (about.clone(), sha256(der)))
        })
        .collect()
}

/// Who showed which key.
fn client_keys(told: &[Observation]) -> BTreeSet<(String, String)> {
    told.iter()
        .filter_map(|o| match &o.fact {
            Fact::MachineId { kind: MachineIdKind::ClientKey, value } => {
                Some((o.subject.to_string(), value.clone()))
            }
            _ => None,
        })
        .collect()
}

fn heard(path: &Path) -> Vec<Observation> {
    let frames = frames(path).unwrap();
    let told = listen(&mut capture(), &frames);
    // Datagrams of DTLS say the same in another order; EAP has only one.
    if !path.to_string_lossy().contains("eap") {
        let backwards: Vec<_> = frames.into_iter().rev().collect();
        let again = listen(&mut capture(), &backwards);
        assert_eq!(certificates(&again), certificates(&told), "{}", path.display());
    }
    told
}

#[test]
fn handshakes_in_datagrams_are_zeeks() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("zeek");
    for (trace, log) in [
        ("dtls1_0", "scripts.base.protocols.ssl.dtls/ssl.log"),
        ("dtls1_2", "scripts.base.protocols.ssl.dtls/ssl1_2.log"),
    ] {
        let told = heard(&folder.join("Traces/tls").join(trace).with_extension("pcap"));
        for row in rows(&folder.join("Baseline").join(log)) {
            let address = row["id.resp_h"].parse().unwrap();
            let server = Endpoint::udp(address, row["id.resp_p"].parse().unwrap());
            let version = row["version"].replace("v1", "v1.");
            let wanted: BTreeSet<(String, String)> = row["cert_chain_fps"]
                .split(',')
                .map(|sha256| (format!("{server} {version} "), sha256.to_owned()))
                .collect();
            assert_eq!(certificates(&told), wanted, "{trace}");
        }
    }
}

/// What tshark reads of the same captures (`tls.handshake.certificate` and its like for DTLS): a
/// chain of two in EAP-TLS with a client that shows its own, one in PEAP, and one in UDT's DTLS.
#[test]
fn certificates_in_eap_and_in_other_datagrams_are_tsharks() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("wireshark");
    for (name, about, chain, client) in [
        (
            "wpa-eap-tls.pcap.gz",
            "10:6f:3f:0e:33:3c TLSv1.0 eap-tls",
            &[
                "161c9feca1a6ca3b38cbe27ce8262fa6012adc2b8624466f2d104b6330c2983a",
                "5b9b5476da467dadf4c949a8bdc52778f8a48b2ea7782baa356a948227e8a466",
            ][..],
            Some((
                "24:77:03:d2:5e:a8",
                "bff14b2309de6806cfdc13507d2a93b0ff66b2c9bcd68c4a1879ad6409467631",
            )),
        ),
        (
            "wpa2-ft-eap.pcapng.gz",
            "02:00:00:00:01:00 TLSv1.2 peap",
            &[
                "577bbabe0a25ae874ea87e22ba61c00a3d68a2a29f765f5909f2c949268bdcfd",
                "f75a953c1aa9967926525d4d860d1ff7e872f7088782f060768d12aecbd5f25e",
            ],
            None,
        ),
        (
            "udt-dtls.pcapng.gz",
            "192.168.50.29:9000/udp DTLSv1.0 ",
            &["5c2342bdd0b7f34024f6c7d88775818595fa047fae6940620a9bdbd96be8ec0e"],
            None,
        ),
    ] {
        let told = heard(&folder.join(name));
        let wanted: BTreeSet<(String, String)> =
            chain.iter().map(|der| (about.to_owned(), (*der).to_owned())).collect();
        assert_eq!(certificates(&told), wanted, "{name}");
        let client = client.map(|(mac, key)| (mac.to_owned(), key.to_owned()));
        assert_eq!(client_keys(&told), client.into_iter().collect(), "{name}");
    }
}

/// The ends of a call have certificates of their own making, and serve nobody.
#[test]
fn a_call_in_datagrams_shows_no_server() {
    let Some(folder) = corpus() else { return };
    let told = heard(&folder.join("zeek/Traces/tls/webrtc-stun.pcap"));
    assert!(!told.is_empty());
    assert_eq!(certificates(&told), BTreeSet::new());
    assert!(!told.iter().any(|o| matches!(o.subject, Subject::Endpoint(_))));
}
