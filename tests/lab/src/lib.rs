//! A network in namespaces with real servers, for tests and measurements.
//!
//! [`Lab::up`] makes a switch (a bridge in a namespace of its own), a namespace for each
//! asset with its own MAC and addresses, and starts one real server of Debian in each.
//! Nothing in it has a way out: the namespaces are joined to each other only, and their
//! addresses are of 198.18.0.0/24 (RFC 2544) and 2001:db8::/64 (RFC 3849).
//! The truth about a server is what the kernel of its namespace and dpkg say, so a
//! test compares the product with that and not with itself.

mod asset;
mod mirror;
mod network;
mod servers;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use thiserror::Error;

pub use asset::{Asset, Service, Transport};
pub use mirror::Mirror;
use network::Namespace;

/// The network of the lab.
pub const NETWORK: &str = "198.18.0.0/24";
/// The block for all of whose addresses one firewall answers.
pub const FIREWALLED: &str = "198.18.0.96-198.18.0.127";
/// Before and after it moves, the address of the asset that moves.
pub const MOVING: [&str; 2] = ["198.18.0.42", "198.18.0.43"];

/// The lab could not be made, or a server in it does not run.
#[derive(Debug, Error)]
pub enum LabError {
    /// A command of the system failed.
    #[error("the lab needs root and network namespaces, but `{command}` failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// What it printed, or why it could not start.
        output: String,
    },
    /// A file of the lab could not be written.
    #[error("cannot write a file of the lab")]
    File(#[from] io::Error),
    /// A certificate of the lab could not be made.
    #[error("cannot make a certificate of the lab")]
    Certificate(#[from] rcgen::Error),
    /// A server did not begin to listen.
    #[error(
        "{name} did not begin to listen on {missing:?} within {seconds} s; its output:\n{output}"
    )]
    Silent {
        /// The asset's name.
        name: String,
        /// The ports that stayed closed.
        missing: Vec<u16>,
        /// How long it was waited for.
        seconds: u64,
        /// The end of what it printed.
        output: String,
    },
}

/// A running lab. Everything in it ends with it.
#[derive(Debug)]
pub struct Lab {
    // Declared in the order in which they must end: processes, namespaces, files.
    assets: Vec<Asset>,
    scanner: Namespace,
    switch: Namespace,
    folder: tempfile::TempDir,
}

/// How long a server may take until it listens. Databases make their files first.
const START: Duration = Duration::from_secs(90);

impl Lab {
    /// The scanner's IPv4 address.
    pub const SCANNER: &str = "198.18.0.2";
    /// Its MAC address.
    pub const SCANNER_MAC: &str = "02:00:5e:00:53:02";

    /// Makes the network and starts every server; returns when all of them listen.
    pub fn up() -> Result<Self, LabError> {
        Self::with(servers::all())
    }

    /// The same with only those assets whose name is listed: for tests of one thing.
    pub fn with_only(names: &[&str]) -> Result<Self, LabError> {
        Self::with(servers::all().into_iter().filter(|s| names.contains(&s.name)).collect())
    }

    /// Other servers: those that begin TLS after some words in the clear. The certificate of each
    /// is in [`Lab::folder`], as `NAME/cert.pem`, before that of the lab's authority.
    pub fn before_tls() -> Result<Self, LabError> {
        Self::with(servers::before_tls())
    }

    fn with(servers: Vec<servers::Server>) -> Result<Self, LabError> {
        let folder = tempfile::Builder::new().prefix("daicho-lab-").tempdir()?;
        // Servers run as their own users and must reach their files.
        open_to_all(folder.path())?;
        let authority = servers::Authority::new()?;
        let switch = Namespace::new("switch")?;
        // It forwards, and says nothing of its own.
        switch.be_quiet()?;
        switch.run("ip link add br0 type bridge stp_state 0")?;
        switch.run("ip link set br0 up")?;
        let scanner = Namespace::new("scanner")?;
        scanner.plug_into(&switch, Self::SCANNER_MAC, &["198.18.0.2/24", "2001:db8::2/64"])?;
        let mut lab = Self { assets: Vec::new(), scanner, switch, folder };
        for server in servers {
            let asset = Asset::start(server, &lab.switch, lab.folder.path(), &authority)?;
            lab.assets.push(asset);
        }
        let deadline = Instant::now() + START;
        for asset in &mut lab.assets {
            asset.wait_until_it_listens(deadline, START.as_secs())?;
        }
        Ok(lab)
    }

    /// Every asset, with what is true of it.
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// The asset of that name.
    #[must_use]
    pub fn asset(&self, name: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.name() == name)
    }

    /// A command that will run where the scanner stands: in a namespace with an address of
    /// the lab's network and no other way.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        self.scanner.command(program)
    }

    /// Gives an asset another IPv4 address, as DHCP might.
    pub fn move_address(&self, name: &str, from: &str, to: &str) -> Result<(), LabError> {
        self.in_namespace_of(name, |space| {
            space.run(&format!("ip addr del {from}/24 dev eth0"))?;
            space.run(&format!("ip addr add {to}/24 dev eth0"))
        })
    }

    /// Gives an asset another MAC address, as telephones do.
    pub fn change_mac(&self, name: &str, mac: &str) -> Result<(), LabError> {
        self.in_namespace_of(name, |space| space.run(&format!("ip link set eth0 address {mac}")))?;
        self.forget_neighbors()
    }

    /// Gives the scanner a further address, and with it a further network on its link in which
    /// nobody else is.
    pub fn widen(&self, address: &str) -> Result<(), LabError> {
        self.scanner.run(&format!("ip addr add {address} dev eth0"))
    }

    /// Empties the scanner's neighbour table, as if it had not spoken with anybody lately.
    pub fn forget_neighbors(&self) -> Result<(), LabError> {
        self.scanner.run("ip neigh flush all")
    }

    /// Takes the scanner's cable out (`false`) or plugs it in again.
    pub fn set_cable(&self, connected: bool) -> Result<(), LabError> {
        let state = if connected { "up" } else { "down" };
        self.scanner.run(&format!("ip link set eth0 {state}"))
    }

    /// Makes a hub of the switch and plugs in a sensor that hears everything, and a client.
    pub fn mirror(&self) -> Result<Mirror, LabError> {
        Mirror::on(&self.switch)
    }

    /// Packets that have left the scanner's interface so far, by the kernel's own count.
    pub fn packets_sent(&self) -> Result<u64, LabError> {
        let text = self.scanner.output("cat /sys/class/net/eth0/statistics/tx_packets")?;
        text.trim()
            .parse()
            .map_err(|_| LabError::Command { command: "cat tx_packets".into(), output: text })
    }

    /// A folder for files of the test, removed with the lab.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn in_namespace_of(
        &self,
        name: &str,
        act: impl FnOnce(&Namespace) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        match self.asset(name) {
            Some(asset) => act(asset.namespace()),
            None => Err(LabError::Command {
                command: format!("find the asset {name}"),
                output: "the lab has no such asset".into(),
            }),
        }
    }
}

/// Lets everybody enter and read a folder.
fn open_to_all(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// The upstream version of a Debian package, as a service tells it: without epoch and
/// Debian's revision, `1:9.2p1-2+deb12u7` is `9.2p1`. `None` where it is not installed.
#[must_use]
pub fn upstream_version(package: &str) -> Option<String> {
    let query = ["-W", "-f", "${Version}", package];
    let output = Command::new("dpkg-query").args(query).output().ok()?;
    let full = String::from_utf8(output.stdout).ok().filter(|text| !text.is_empty())?;
    let without_epoch = full.split_once(':').map_or(full.as_str(), |(_, rest)| rest);
    let upstream = without_epoch.rsplit_once('-').map_or(without_epoch, |(left, _)| left);
    // A repacked or patched upstream archive is still that upstream version.
    let end = upstream.find(['+', '~']).unwrap_or(upstream.len());
    Some(upstream[..end].to_owned())
}
