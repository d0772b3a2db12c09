//! A server of HTTP/3 and its certificate, from a sweep into the inventory.

use std::{net::SocketAddr, sync::Arc};

use quinn::crypto::rustls::QuicServerConfig;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;

use crate::{hello::Openssl, home::Home};

/// A server that takes clients for as long as the runtime lives; the SHA-256 of its certificate.
fn serve(place: SocketAddr) -> (tokio::runtime::Runtime, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["web.example.com".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let sha256 = certs::parse(&certificate).sha256.to_string();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = {
        let _inside = runtime.enter();
        quinn::Endpoint::server(config, place).unwrap()
    };
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            // What becomes of a client is no matter.
            drop(tokio::spawn(async move { incoming.await.is_ok() }));
        }
    });
    (runtime, sha256)
}

#[test]
fn the_certificate_of_a_server_of_quic_is_in_the_inventory() {
    // An address that is only this test's, for the port is one of those where QUIC is likely.
    let (_server, sha256) = serve("127.0.92.1:8443".parse().unwrap());
    let home = Home::new();
    let result = home.json(&["sweep", "127.0.92.1", "--ports", "u:8443", "--io", "connect"]);
    assert_eq!(result["scan"]["gaps"], json!([]), "{result:#}");

    let certificates = home.json(&["certs", "list"]);
    let [certificate] = &certificates.as_array().unwrap()[..] else { panic!("{certificates:#}") };
    assert_eq!(certificate["sha256"], sha256);
    assert_eq!(certificate["names"], json!(["web.example.com"]));
    let place = |server_name: Option<&str>| {
        json!({
            "address": "127.0.92.1", "port": 8443, "transport": "udp", "protocol": "quic",
            "protocol_version": "TLSv1.3", "server_name": server_name, "starttls": null,
        })
    };
    let mut places = certificate["endpoints"].as_array().unwrap().clone();
    places.sort_by_key(|place| place["server_name"].to_string());
    assert_eq!(places, [place(Some("web.example.com")), place(None)]);

    let asset = &result["assets"][0];
    let service = &asset["services"][0];
    assert_eq!((&service["protocol"], &service["state"]), (&json!("quic"), &json!("open")));
    let server = &service["tls_server"];
    assert_eq!(server["application_protocols"], json!(["h3"]));
    assert_eq!(server["accepted"][0]["version"], "TLSv1.3");
    assert_eq!(asset["certificates"], json!([sha256]));
}

#[test]
fn ports_that_are_named_are_asked_for_quic_and_dtls_whatever_their_number() {
    let (_server, sha256) = serve("127.0.92.2:40443".parse().unwrap());
    let home = Home::new();
    // A port as the kernel lists it.
    let listens = |port: &str| std::fs::read_to_string("/proc/net/udp").unwrap().contains(port);
    let dtls = ["-dtls", "-listen"];
    let _dtls = Openssl::serve(&home, "127.0.92.3:40444", &dtls, || listens(":9DFC "));
    // One that listens for other clients only when a client has gone, but bears QUIC.
    let _odd = Openssl::serve(&home, "127.0.92.3:40445", &["-dtls"], || listens(":9DFD "));
    let ways = |result: &serde_json::Value| {
        let certificates = home.json(&["certs", "list"]);
        let certificates = certificates.as_array().unwrap();
        assert_eq!(certificates.len(), 2, "{result:#}");
        let mut ways: Vec<_> = certificates
            .iter()
            .map(|certificate| {
                let place = &certificate["endpoints"][0];
                (place["port"].as_u64().unwrap(), place["protocol"].as_str().unwrap().to_owned())
            })
            .collect();
        ways.sort();
        assert!(certificates.iter().any(|certificate| certificate["sha256"] == sha256));
        ways
    };
    let expected = |dtls| [(40_443, "quic".to_owned()), (dtls, "dtls".to_owned())];
    let ports = "u:40443,u:40444";
    let result = home.json(&["sweep", "127.0.92.2-3", "--ports", ports, "--io", "connect"]);
    assert_eq!(ways(&result), expected(40_444));
    std::fs::remove_file(home.path("daicho.db")).unwrap();
    let places = ["127.0.92.2:u:40443", "127.0.92.3:u:40445"];
    let result = home.json(&[&["certs", "collect"], &places[..]].concat());
    assert_eq!(result["scan"]["gaps"], json!([]), "{result:#}");
    assert_eq!(ways(&result), expected(40_445));
}
