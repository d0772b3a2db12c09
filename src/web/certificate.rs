//! The certificate that the page shows: one's own files, read again when they change, or one
//! that is made at the first start and lies beside the database.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail, ensure};
use config::web::Secrecy;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{compose::Settings, tell};

/// How long a certificate of ours holds. Browsers ask for no less of one that nobody else issued.
const DAYS: i64 = 825;

/// What is shown to browsers, from two files.
#[derive(Debug)]
pub(super) struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    /// The names for one of ours, if it is.
    own: Option<Vec<String>>,
    current: RwLock<Arc<CertifiedKey>>,
    read: RwLock<[Option<SystemTime>; 2]>,
}

impl Shown {
    /// What the configuration says; `None` for no TLS.
    pub(super) fn open(settings: &Settings, hosts: &[String]) -> Result<Option<Arc<Self>>> {
        let mut names = None;
        let (certificate, key) = match &settings.web.secrecy {
            Secrecy::Plain => return Ok(None),
            Secrecy::Files { certificate, key } => (certificate.clone(), key.clone()),
            Secrecy::OwnCertificate => {
                names = Some(hosts.to_vec());
                let (certificate, key) = own(&settings.database);
                renew(&certificate, &key, hosts)?;
                (certificate, key)
            }
        };
        let times = times(&certificate, &key);
        let current = RwLock::new(Arc::new(load(&certificate, &key)?));
        let read = RwLock::new(times);
        Ok(Some(Arc::new(Self { certificate, key, own: names, current, read })))
    }

    /// Reads the files again where they are others than before. What cannot be used is said, and
    /// the old ones stay.
    pub(super) fn refresh(&self) {
        if let Some(names) = &self.own
            && let Err(error) = renew(&self.certificate, &self.key, names)
        {
            tell::failure(&error);
        }
        let now = times(&self.certificate, &self.key);
        if self.read.read().is_ok_and(|read| *read == now) {
            return;
        }
        match load(&self.certificate, &self.key) {
            Ok(loaded) => {
                if let Ok(mut current) = self.current.write() {
                    *current = Arc::new(loaded);
                }
                tell::line("the page's certificate was read again");
            }
            Err(error) => {
                let why = tell::chain(error.as_ref());
                tell::line(&format!("the page's certificate stays as it was: {why}"));
            }
        }
        if let Ok(mut read) = self.read.write() {
            *read = now;
        }
    }

    /// How TLS is spoken.
    pub(super) fn server(self: Arc<Self>) -> Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().context("TLS")?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.read().ok().map(|current| Arc::clone(&current))
    }
}

fn times(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let cannot = |path: &Path| format!("cannot use {}", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| cannot(certificate))?;
    ensure!(!chain.is_empty(), "{}: there is no certificate in it", certificate.display());
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| cannot(key))?;
    let signer = ring::sign::any_supported_type(&secret).with_context(|| cannot(key))?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        // What cannot be compared (a key of an unusual kind) shows at the first connection.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => bail!("{} is not the key of {}", key.display(), certificate.display()),
    }
}

/// Where the certificate of ours and its key are.
fn own(database: &Path) -> (PathBuf, PathBuf) {
    let folder = database.parent().unwrap_or(Path::new(""));
    (folder.join("web-certificate.pem"), folder.join("web-key.pem"))
}

/// Makes a certificate of ours where there is none, where it is nearly over, and where it is for
/// other names than these.
fn renew(certificate: &Path, key: &Path, hosts: &[String]) -> Result<()> {
    match key.exists() && suits(certificate, hosts) {
        true => Ok(()),
        false => make(certificate, key, hosts),
    }
}

/// Whether it is there, not over within a month, and for these names and no others.
fn suits(certificate: &Path, hosts: &[String]) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(certificate) else { return false };
    let known = certs::parse(&der);
    let soon = crate::clock::now().plus_seconds(30 * 86_400);
    let names = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
    let (has, wanted): (BTreeSet<String>, BTreeSet<String>) = (names(&known.names), names(hosts));
    known.not_after.is_some_and(|end| end > soon) && has == wanted
}

fn make(certificate: &Path, key: &Path, hosts: &[String]) -> Result<()> {
    let pair = rcgen::KeyPair::generate().context("cannot make a key")?;
    let mut params =
        rcgen::CertificateParams::new(hosts.to_vec()).context("cannot make a certificate")?;
    let name = hosts.first().map_or("daicho", String::as_str);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Daicho");
    let now = crate::clock::now().0.div_euclid(1_000_000);
    let day = |days: i64| rcgen_time(now.saturating_add(days.saturating_mul(86_400)));
    (params.not_before, params.not_after) = (day(-1)?, day(DAYS)?);
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let made = params.self_signed(&pair).context("cannot make a certificate")?;
    write(key, &pair.serialize_pem(), 0o600)?;
    write(certificate, &made.pem(), 0o644)?;
    tell::line(&format!(
        "a certificate was made for the page: {}; browsers will not know it",
        certificate.display()
    ));
    Ok(())
}

/// A day as rcgen has it.
fn rcgen_time(seconds: i64) -> Result<time::OffsetDateTime> {
    time::OffsetDateTime::from_unix_timestamp(seconds).context("a day that is none")
}

/// Writes it so that nobody sees half of it, nor a secret for a moment.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let new = path.with_extension("new");
    let written = (|| {
        // What was left by one that was killed.
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_for_its_owner_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = folder.path().join("daicho.db");
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let (certificate, key) = own(&database);
        renew(&certificate, &key, &hosts).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let first = fs::read(&certificate).unwrap();
        renew(&certificate, &key, &hosts).unwrap();
        assert_eq!(fs::read(&certificate).unwrap(), first);
        let loaded = load(&certificate, &key).unwrap();
        let parsed = certs::parse(loaded.cert.first().unwrap());
        assert!(parsed.not_after.unwrap() > crate::clock::now());
        // With other names it is another one, and one without its key as well.
        let more = [&hosts[..], &["daicho.office.example".to_owned()]].concat();
        renew(&certificate, &key, &more).unwrap();
        let second = fs::read(&certificate).unwrap();
        assert_ne!(second, first);
        assert!(suits(&certificate, &more) && !suits(&certificate, &hosts));
        fs::remove_file(&key).unwrap();
        renew(&certificate, &key, &more).unwrap();
        assert_ne!(fs::read(&certificate).unwrap(), second);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_old_one_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        make(&path("a.pem"), &path("a.key"), &["a".to_owned()]).unwrap();
        make(&path("b.pem"), &path("b.key"), &["b".to_owned()]).unwrap();
        let error = load(&path("a.pem"), &path("b.key")).unwrap_err();
        assert!(error.to_string().contains("is not the key of"), "{error}");
        let shown = Shown {
            own: None,
            certificate: path("a.pem"),
            key: path("a.key"),
            current: RwLock::new(Arc::new(load(&path("a.pem"), &path("a.key")).unwrap())),
            read: RwLock::new([None, None]),
        };
        let before = shown.current.read().unwrap().cert.clone();
        fs::copy(path("b.key"), path("a.key")).unwrap();
        shown.refresh();
        assert_eq!(shown.current.read().unwrap().cert, before);
        fs::copy(path("b.pem"), path("a.pem")).unwrap();
        *shown.read.write().unwrap() = [None, None];
        shown.refresh();
        assert_ne!(shown.current.read().unwrap().cert, before);
    }
}
