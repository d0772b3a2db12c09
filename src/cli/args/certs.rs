//! The arguments of `daicho certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use model::Severity;

use super::{Asked, with_unit};

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Ask servers for their certificates, and for nothing else; or read certificates out of files:
    /// PEM, DER, PKCS#7, PKCS#12, JKS, and what Kubernetes, nginx and Apache name
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
    // By an attribute: the brackets of an address would be a link in a comment.
    #[arg(
        value_name = "TARGET[:PORT]",
        conflicts_with = "file",
        help = "Whom to ask: a target as for a sweep with or without a port, such as \
                mail.example.com:25, 192.0.2.0/24:8443, [2001:db8::1]:636, 192.0.2.9:u:443 (QUIC or \
                DTLS), or @FILE. A host name is asked for by its name"
    )]
    pub(crate) targets: Vec<String>,
    /// The ports of targets without one: 443,8443,u:443
    #[arg(long, value_name = "SPEC", default_value = "443", requires = "targets")]
    pub(crate) ports: String,
    /// Never ask this target; wins over everything
    #[arg(long, value_name = "TARGET", requires = "targets")]
    pub(crate) exclude: Vec<String>,
    /// Packets a second in all
    #[arg(long, value_name = "PPS", requires = "targets")]
    pub(crate) rate: Option<String>,
    /// Packets a second to one asset
    #[arg(long, value_name = "PPS", requires = "targets")]
    pub(crate) host_rate: Option<String>,
    /// Rates by name: polite, normal, fast or ot
    #[arg(long, value_name = "NAME", requires = "targets")]
    pub(crate) profile: Option<String>,
    /// How much to ask: certificates, versions or thorough, as for a sweep
    #[arg(long, value_name = "EXTENT", requires = "targets")]
    pub(crate) tls: Option<String>,
    /// Exit with 1 if there is an open finding of this severity or above
    #[arg(long, value_name = "SEVERITY", requires = "targets")]
    pub(crate) fail_on: Option<Severity>,
    /// A file, or a folder with everything below it; may be given several times (default:
    /// certificates.files of the configuration)
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// A file whose first line is a password to try on what is encrypted; may be given several
    /// times. DAICHO_CERTIFICATES_PASSWORD holds another
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Vec<PathBuf>,
}

impl Collect {
    /// The same without anybody to ask: out of these files.
    pub(crate) fn of_files(file: Vec<PathBuf>) -> Self {
        Self {
            targets: Vec::new(),
            ports: String::new(),
            exclude: Vec::new(),
            rate: None,
            host_rate: None,
            profile: None,
            tls: None,
            fail_on: None,
            file,
            password_file: Vec::new(),
        }
    }

    /// The settings that the flags stand for: flag, setting, value.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let given = [
            ("--rate", "sweep.rate", self.rate.as_deref().map(with_unit)),
            ("--host-rate", "sweep.host_rate", self.host_rate.as_deref().map(with_unit)),
            ("--profile", "sweep.profile", self.profile.clone()),
            ("--tls", "services.tls", self.tls.clone()),
        ];
        given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect()
    }
}
