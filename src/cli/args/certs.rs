//! The arguments of `daicho certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Asked;

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Read certificates out of files: PEM, DER, PKCS#7, PKCS#12, JKS, and what Kubernetes, nginx
    /// and Apache name
    Collect(Collect),
    /// List the certificates that are served or lie in files
    List {
        /// Only those that end within this time from now, or have ended, such as 30d
        #[arg(long, value_name = "TIME")]
        expiring: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
    /// Everything known of one certificate: its chains, who trusts it and why not
    Show {
        /// Its SHA-256, or the first digits
        sha256: String,
    },
    /// Fetch the revocation lists that certificates name, and ask their OCSP responders, as far as
    /// certificates.download of the configuration allows it
    Refresh,
    /// What the coming lifetimes of public certificates (200, 100 and 47 days) will mean here
    Readiness,
}

#[derive(Args, Debug)]
pub(crate) struct Collect {
    /// A file, or a folder with everything below it; may be given several times (default:
    /// certificates.files of the configuration)
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// A file whose first line is a password to try on what is encrypted; may be given several
    /// times. DAICHO_CERTIFICATES_PASSWORD holds another
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Vec<PathBuf>,
}
