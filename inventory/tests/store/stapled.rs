//! What servers staple, from their response to a finding. The responses are openssl's.

use std::{fs, sync::Arc};

use inventory::{
    chain::Anchors,
    finding::FindingState,
    store::{Policy, Store},
};

use super::*;

const GOOD: &str = "V\t350101000000Z\t\t11\tunknown\t/CN=server\n";
const REVOKED: &str = "R\t350101000000Z\t260301000000Z,keyCompromise\t11\tunknown\t/CN=server\n";

/// An authority, its server, and a stranger.
struct Office {
    folder: TempDir,
}

impl Office {
    fn new() -> Self {
        let office = Self { folder: tempfile::tempdir().unwrap() };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for name in ["ca", "stranger"] {
            let out = format!("-keyout {name}.key -out {name}.pem -subj /CN={name}");
            office.openssl(&format!("req -x509 {key} {out} -days 30"));
        }
        office.openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
        office.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 17 -days 20 -out \
             server.pem",
        );
        office
    }

    fn openssl(&self, line: &str) {
        let run = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    }

    fn der(&self, name: &str) -> Vec<u8> {
        let pem = fs::read(self.folder.path().join(format!("{name}.pem"))).unwrap();
        certs::certificates_in(&pem).remove(0)
    }

    /// What that signer says of the server.
    fn response(&self, index: &str, signer: &str) -> Vec<u8> {
        fs::write(self.folder.path().join("index"), index).unwrap();
        self.openssl(&format!(
            "ocsp -index index -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -issuer ca.pem \
             -cert server.pem -no_nonce -noverify -respout response"
        ));
        fs::read(self.folder.path().join("response")).unwrap()
    }
}

/// A sweep in which the server stapled this. Returns the state of the finding, if there is one.
async fn stapled(
    folder: &Folder,
    store: &Store,
    office: &Office,
    seconds: i64,
    response: Vec<u8>,
) -> Option<FindingState> {
    let (server, ca) = (office.der("server"), office.der("ca"));
    let sha256 = certs::parse(&server).sha256;
    let tls = |fact| {
        let subject = Subject::Endpoint(Endpoint::tcp(address(7), 443));
        observation(seconds, subject, Method::Tls, fact)
    };
    let chain = CertificateChain {
        chain: vec![server, ca.clone()],
        server_name: None,
        protocol_version: TlsVersion(0x0304),
        starttls: None,
    };
    let of = Fact::OcspResponse { certificate: sha256.clone() };
    let seen = [
        link(seconds, 7),
        tls(Fact::Certificates(chain)),
        Observation { evidence: response, ..tls(of) },
    ];
    let scan = folder.begin(store, seconds).await;
    store.write_observations(scan, seen).await.unwrap();
    store.digest(scan, at(seconds + 1)).await.unwrap();
    let policy = Policy {
        thresholds: certs::Thresholds::default(),
        offset: jiff::tz::Offset::UTC,
        network: inventory::compare::Network::default(),
        anchors: Arc::new(Anchors { own: vec![ca], ..Anchors::default() }),
        routes: Vec::new(),
    };
    // While the certificates that were made just now are valid.
    let now = certs::parse(&office.der("server")).not_before.unwrap().plus_seconds(86_400);
    let review = store.review(now.plus_seconds(seconds), &policy).await.unwrap();
    let mut found =
        review.findings.into_iter().filter(|stored| stored.finding.key.rule == "cert.revoked");
    let first = found.next().map(|stored| stored.finding);
    assert!(found.next().is_none());
    if let Some(finding) = &first {
        assert!(finding.key.subject.contains(&sha256), "{finding:?}");
    }
    first.map(|finding| finding.state)
}

#[tokio::test]
async fn a_stapled_response_that_says_revoked_is_a_finding_until_it_says_otherwise() {
    let (folder, office) = (Folder::new(), Office::new());
    let store = folder.store().await;
    let say = |index, signer| office.response(index, signer);
    let state = |seconds, response| stapled(&folder, &store, &office, seconds, response);
    assert_eq!(state(10, say(GOOD, "ca")).await, None);
    // Whoever is not the issuer, nor appointed by it, says nothing; nor does noise.
    assert_eq!(state(20, say(REVOKED, "stranger")).await, None);
    assert_eq!(state(30, b"noise".to_vec()).await, None);
    assert_eq!(state(40, say(REVOKED, "ca")).await, Some(FindingState::Open));
    assert_eq!(state(50, say(REVOKED, "ca")).await, Some(FindingState::Open));
    assert_eq!(state(60, say(GOOD, "ca")).await, Some(FindingState::Resolved));
}
