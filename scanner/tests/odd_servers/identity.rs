//! Certificates and keys for the servers, made by the `openssl` command: rcgen makes none of
//! version 1, with MD5, of 512 bits or on odd curves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A certificate and its key, in files.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) der: Vec<u8>,
}

#[track_caller]
pub(crate) fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the openssl command is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}: {told}", arguments.join(" "));
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Makes a self-signed certificate, with these arguments to `genpkey` and to `req`.
pub(crate) fn identity(
    folder: &TempDir,
    name: &str,
    key_arguments: &[&str],
    arguments: &[&str],
) -> Identity {
    let path = |suffix: &str| folder.path().join(format!("{name}.{suffix}"));
    let (certificate, key) = (path("pem"), path("key"));
    openssl(&[&["genpkey", "-out", text(&key)], key_arguments].concat());
    let subject = format!("/CN={name}");
    let request = ["req", "-x509", "-key", text(&key), "-subj", &subject, "-days", "30"];
    openssl(&[&request, arguments, &["-out", text(&certificate)]].concat());
    read(certificate, key)
}

/// The same in version 1 of X.509, with these arguments to `x509` such as `-sha1`.
pub(crate) fn identity_v1(
    folder: &TempDir,
    name: &str,
    key_arguments: &[&str],
    arguments: &[&str],
) -> Identity {
    let path = |suffix: &str| folder.path().join(format!("{name}.{suffix}"));
    let (certificate, key, request) = (path("pem"), path("key"), path("csr"));
    openssl(&[&["genpkey", "-out", text(&key)], key_arguments].concat());
    let subject = format!("/CN={name}");
    openssl(&["req", "-new", "-key", text(&key), "-subj", &subject, "-out", text(&request)]);
    let sign = ["x509", "-req", "-in", text(&request), "-signkey", text(&key), "-days", "30"];
    openssl(&[&sign, arguments, &["-out", text(&certificate)]].concat());
    read(certificate, key)
}

fn read(certificate: PathBuf, key: PathBuf) -> Identity {
    let der = certificate.with_extension("der");
    openssl(&["x509", "-in", text(&certificate), "-outform", "DER", "-out", text(&der)]);
    let der = fs::read(der).expect("openssl wrote it");
    Identity { certificate, key, der }
}
