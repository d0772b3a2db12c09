//! One asset of the lab: a namespace and what runs in it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    LabError,
    network::Namespace,
    servers::{Authority, Server},
    upstream_version,
};

/// TCP or UDP.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Its name in the product's JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A service of an asset and what it tells.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its port.
    pub port: u16,
    /// Its transport.
    pub transport: Transport,
    /// The application protocol's name, as the product calls it.
    pub protocol: &'static str,
    /// Whether it speaks TLS from the first byte.
    pub tls: bool,
    /// The product, if the service tells it to strangers.
    pub product: Option<&'static str>,
    /// The package whose version it tells to strangers, if it does.
    pub package: Option<&'static str>,
}

impl Service {
    /// The version that the service tells, from dpkg.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.package.and_then(upstream_version)
    }
}

/// An asset of the lab.
#[derive(Debug)]
pub struct Asset {
    // The process ends before its namespace goes.
    process: Process,
    server: Server,
    namespace: Namespace,
    log: PathBuf,
}

/// The first process of a PID namespace and, with it, all that it started.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // unshare --kill-child takes the whole PID namespace along.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Asset {
    pub(crate) fn start(
        server: Server,
        switch: &Namespace,
        folder: &Path,
        authority: &Authority,
    ) -> Result<Self, LabError> {
        let namespace = Namespace::new(server.name)?;
        let mut addresses: Vec<String> =
            server.addresses.iter().map(|address| format!("{address}/24")).collect();
        addresses.push(format!("2001:db8::{}/64", server.number));
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        namespace.plug_into(switch, &server.mac, &addresses)?;
        for line in server.network {
            namespace.run(line)?;
        }
        let folder = folder.join(server.name);
        fs::create_dir(&folder)?;
        crate::open_to_all(&folder)?;
        authority.write_for(&server, &folder)?;
        let script = folder.join("run.sh");
        fs::write(&script, format!("{PROLOGUE}{}{}", server.settings, server.script))?;
        let log = folder.join("output.log");
        let output = fs::File::create(&log)?;
        // If the test is killed, so is the asset: setpriv ties unshare to the test's thread, and
        // unshare ties its whole PID namespace to itself. The namespace's first process is a shell
        // that stays, because a server that changes its user loses that tie.
        let mut command: Command = namespace.command(Path::new("setpriv"));
        command
            .args(["--pdeathsig", "KILL", "unshare", "--pid", "--mount", "--fork"])
            .args(["--kill-child=KILL", "--mount-proc"])
            .args(["sh", "-c", "sh -eu \"$1\"; exit $?", "sh"])
            .arg(&script)
            .env("D", &folder)
            .env("SNMP_PERSISTENT_DIR", &folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let process = Process(command.spawn()?);
        Ok(Self { process, server, namespace, log })
    }

    /// Waits for the state in which every port is bound, by the namespace's own kernel.
    pub(crate) fn wait_until_it_listens(
        &mut self,
        deadline: Instant,
        seconds: u64,
    ) -> Result<(), LabError> {
        loop {
            let bound = self.listening();
            let missing: Vec<u16> = self
                .server
                .services
                .iter()
                .filter(|service| !bound.contains(&(service.transport, service.port)))
                .map(|service| service.port)
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            let ended = self.process.0.try_wait()?.is_some();
            if ended || Instant::now() >= deadline {
                let log = fs::read(&self.log).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                let output = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                let name = self.server.name.to_owned();
                return Err(LabError::Silent { name, missing, seconds, output });
            }
            // Polling the kernel's table: a namespace has no event for "begins to listen".
            thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The ports that sockets of the asset are bound to on addresses that others can reach.
    #[must_use]
    pub fn listening(&self) -> BTreeSet<(Transport, u16)> {
        const LISTEN: &str = "0A";
        let tables = [
            (Transport::Tcp, "tcp"),
            (Transport::Tcp, "tcp6"),
            (Transport::Udp, "udp"),
            (Transport::Udp, "udp6"),
        ];
        let mut ports = BTreeSet::new();
        for (transport, table) in tables {
            let path = format!("/proc/{}/net/{table}", self.process.0.id());
            let text = fs::read_to_string(path).unwrap_or_default();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let [_, local, remote, state, ..] = fields[..] else { continue };
                let unconnected = remote.ends_with(":0000");
                let wanted = match transport {
                    Transport::Tcp => state == LISTEN,
                    Transport::Udp => unconnected,
                };
                let Some((address, port)) = local.split_once(':') else { continue };
                let loopback = address == "0100007F" || address.ends_with("01000000");
                if let (true, false, Ok(port)) = (wanted, loopback, u16::from_str_radix(port, 16)) {
                    ports.insert((transport, port));
                }
            }
        }
        ports
    }

    /// Its name in the lab.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.server.name
    }

    /// Its first IPv4 address when the lab starts.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server.addresses.first().map_or("", String::as_str)
    }

    /// Its MAC address when the lab starts.
    #[must_use]
    pub fn mac(&self) -> &str {
        &self.server.mac
    }

    /// Its services.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.server.services
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

/// What every server's script begins with: private folders for what servers like to write,
/// so that nothing of the lab is seen outside of it. `$D` is the asset's folder.
const PROLOGUE: &str = "\
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
cd \"$D\"
";
