//! Responses that openssl makes, as a responder would: of the issuer itself, of one whom it
//! appointed, of a stranger; of other certificates, cut and refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly"
)]

use std::{fs, process::Command};

use certs::{
    certificates_in,
    revocation::{Response, ResponseError, Signer, Status, request},
};
use tempfile::TempDir;

/// A folder with a CA, two servers, a responder that the CA appointed and a stranger.
struct Office {
    folder: TempDir,
}

impl Office {
    fn new() -> Self {
        let office = Self { folder: tempfile::tempdir().unwrap() };
        office.write("responder.ext", "extendedKeyUsage=OCSPSigning\n");
        office.write("plain.ext", "extendedKeyUsage=serverAuth\n");
        for name in ["ca", "stranger"] {
            office.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
                 -out {name}.pem -days 30 -subj /CN={name}"
            ));
        }
        for (name, ext, serial) in
            [("server", "plain", 17), ("other", "plain", 18), ("responder", "responder", 19)]
        {
            office.openssl(&format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out \
                 {name}.csr -subj /CN={name}"
            ));
            office.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -days 20 \
                 -extfile {ext}.ext -out {name}.pem"
            ));
        }
        office
    }

    fn write(&self, name: &str, contents: &str) {
        fs::write(self.folder.path().join(name), contents).unwrap();
    }

    #[track_caller]
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
        certificates_in(&pem).remove(0)
    }

    /// What that signer says of the server whose line of the CA's index is this.
    fn respond(&self, index: &str, signer: &str, more: &str) -> Vec<u8> {
        self.write("index", index);
        self.openssl(&format!(
            "ocsp -index index -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -issuer ca.pem \
             -cert server.pem -no_nonce -noverify -respout response {more}"
        ));
        fs::read(self.folder.path().join("response")).unwrap()
    }
}

const GOOD: &str = "V\t350101000000Z\t\t11\tunknown\t/CN=server\n";
const REVOKED: &str = "R\t350101000000Z\t260301000000Z,keyCompromise\t11\tunknown\t/CN=server\n";
const OTHERS: &str = "V\t350101000000Z\t\t12\tunknown\t/CN=other\n";

#[test]
fn a_response_says_what_its_authority_says() {
    let office = Office::new();
    let (server, ca) = (office.der("server"), office.der("ca"));
    let read = |response: &[u8]| Response::read(response, &server, [&ca[..]]);

    let good = read(&office.respond(GOOD, "ca", "-ndays 3")).unwrap();
    assert_eq!((good.status, good.signer), (Status::Good, Signer::Issuer));
    let next = good.next_update.unwrap();
    assert_eq!(next.seconds_since(good.this_update.unwrap()), 3 * 86_400);
    assert!(!good.is_outdated(next) && good.is_outdated(next.plus_seconds(1)));

    let revoked = read(&office.respond(REVOKED, "ca", "")).unwrap();
    let at = Some("2026-03-01".parse().unwrap());
    assert_eq!((revoked.status, revoked.signer), (Status::Revoked(at), Signer::Issuer));
    assert_eq!(revoked.next_update, None);
    assert_eq!(read(&office.respond(OTHERS, "ca", "")).unwrap().status, Status::Unknown);

    // Whom the issuer certified for that speaks for it, and nobody else does.
    let signer = |name: &str| read(&office.respond(GOOD, name, "")).unwrap().signer;
    assert_eq!(signer("responder"), Signer::Issuer);
    assert_eq!(signer("other"), Signer::Other);
    assert_eq!(signer("stranger"), Signer::Other);
}

#[test]
fn what_says_nothing_of_the_certificate_says_why() {
    let office = Office::new();
    let (server, ca) = (office.der("server"), office.der("ca"));
    let response = office.respond(GOOD, "ca", "");
    let read = |response: &[u8]| Response::read(response, &server, [&ca[..]]);
    let (other, stranger) = (office.der("other"), office.der("stranger"));
    assert_eq!(Response::read(&response, &other, [&ca[..]]), Err(ResponseError::Other));
    assert_eq!(Response::read(&response, &server, [&stranger[..]]), Err(ResponseError::NoIssuer));
    assert_eq!(Response::read(&response, &server, []), Err(ResponseError::NoIssuer));
    assert_eq!(Response::read(&response, b"noise", [&ca[..]]), Err(ResponseError::NoIssuer));
    // Try later.
    assert_eq!(read(&[0x30, 3, 0x0a, 1, 3]), Err(ResponseError::Refused(3)));
    for noise in [&b""[..], b"noise", &[0x30, 0], &[0x30, 3, 0x0a, 1, 0], &server] {
        assert_eq!(read(noise), Err(ResponseError::Unreadable));
    }
    // A bit turned over anywhere, or an end too early, makes nobody's word of it.
    for at in 0..response.len() {
        let mut changed = response.clone();
        changed[at] ^= 1;
        for bytes in [&changed[..], &response[..at]] {
            let word = read(bytes).is_ok_and(|word| word.signer == Signer::Issuer);
            let same = read(bytes) == read(&response);
            assert!(!word || same, "byte {at}");
        }
    }
}

#[test]
fn a_question_is_one_that_a_responder_answers() {
    let office = Office::new();
    let (server, ca) = (office.der("server"), office.der("ca"));
    let question = request(&server, &ca).unwrap();
    fs::write(office.folder.path().join("question"), &question).unwrap();
    office.write("index", REVOKED);
    // openssl reads it, and answers as the responder.
    office.openssl(
        "ocsp -reqin question -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -noverify \
         -respout response",
    );
    let response = fs::read(office.folder.path().join("response")).unwrap();
    let said = Response::read(&response, &server, [&ca[..]]).unwrap();
    assert!(matches!(said.status, Status::Revoked(_)), "{said:?}");
    // It is the question that openssl itself asks, byte for byte.
    office.openssl("ocsp -issuer ca.pem -cert server.pem -no_nonce -reqout theirs");
    assert_eq!(fs::read(office.folder.path().join("theirs")).unwrap(), question);
    // Nobody is asked about what another issued, nor about noise.
    assert_eq!(request(&server, &office.der("stranger")), None);
    assert_eq!(request(b"noise", &ca), None);
    assert_eq!(request(&server, b"noise"), None);
}
