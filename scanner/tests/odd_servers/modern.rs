//! Servers of rustls, for certificates and choices that OpenSSL of today's Debian lacks.

use std::{io, sync::Arc};

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Algorithm};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
    crypto::{CryptoProvider, ring as provider},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::{CertifiedKey, Signer, SigningKey},
};
use wire::ber;

use crate::own::Own;

/// Certificates in the order of preference, each with the name that it is for; without, for
/// every name and none.
pub(crate) type Choices = Vec<(Option<&'static str>, Arc<CertifiedKey>)>;

/// A server that presents the first certificate whose name is asked for and whose key can
/// sign as the client wants.
pub(crate) fn start(choices: Choices) -> Own {
    serve(config(provider::default_provider(), None, choices))
}

/// The configuration of such a server with that provider, which may want a client certificate.
pub(crate) fn config(
    provider: CryptoProvider,
    clients: Option<RootCertStore>,
    choices: Choices,
) -> ServerConfig {
    let provider = Arc::new(provider);
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        Some(roots) => config.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap(),
        ),
        None => config.with_no_client_auth(),
    };
    config.with_cert_resolver(Arc::new(Chooser(choices)))
}

/// A server of that configuration.
pub(crate) fn serve(config: ServerConfig) -> Own {
    let config = Arc::new(config);
    Own::serve(move |mut stream| {
        let connection = ServerConnection::new(Arc::clone(&config));
        let mut connection = connection.map_err(io::Error::other)?;
        // As far as the client goes, which is to the certificate; a refusal is written too.
        let ended = connection.complete_io(&mut stream);
        while connection.wants_write() {
            connection.write_tls(&mut stream)?;
        }
        ended.map(drop)
    })
}

#[derive(Debug)]
struct Chooser(Choices);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |(name, key): &&(Option<&str>, Arc<CertifiedKey>)| {
            (name.is_none() || *name == hello.server_name())
                && key.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        self.0.iter().find(fits).map(|(_, key)| Arc::clone(key))
    }
}

/// A self-signed certificate for these names, and its key.
pub(crate) fn certified(names: &[&str], algorithm: &'static Algorithm) -> Arc<CertifiedKey> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = provider::default_provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// A certificate with an ML-DSA-65 key (RFC 9881), and a key that signs with noise: the
/// certificate comes before the signature.
pub(crate) fn ml_dsa() -> Arc<CertifiedKey> {
    let sequence = |parts: &[Vec<u8>]| ber::write_all(0x30, parts);
    let algorithm = sequence(&[ber::write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12])]);
    let pair = sequence(&[ber::write(6, &[0x55, 4, 3]), ber::write(0x0c, b"ml-dsa.example")]);
    let name = sequence(&[ber::write_all(0x31, &[pair])]);
    let time = |text: &[u8]| ber::write(0x17, text);
    let body = sequence(&[
        ber::write(0xa0, &ber::write(2, &[2])),
        ber::write(2, &[7]),
        algorithm.clone(),
        name.clone(),
        sequence(&[time(b"260101000000Z"), time(b"360101000000Z")]),
        name,
        sequence(&[algorithm.clone(), ber::write(3, &[&[0][..], &[7; 1952]].concat())]),
    ]);
    let der = sequence(&[body, algorithm, ber::write(3, &[&[0][..], &[9; 3309]].concat())]);
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(der)], Arc::new(Noise)))
}

/// A key that signs as ML-DSA-65, with noise.
#[derive(Debug)]
struct Noise;

const ML_DSA_65: u16 = 0x0905;

impl SigningKey for Noise {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let knows = offered.iter().any(|scheme| u16::from(*scheme) == ML_DSA_65);
        knows.then(|| Box::new(Self) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(0)
    }
}

impl Signer for Noise {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![9; 3309])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::from(ML_DSA_65)
    }
}
