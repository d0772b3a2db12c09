//! Network namespaces, through the system's own `ip`.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::LabError;

/// A network namespace of its own name, gone when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

/// Several labs may run at once in one process.
static COUNT: AtomicU32 = AtomicU32::new(0);

impl Namespace {
    pub(crate) fn new(what: &str) -> Result<Self, LabError> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lab-{}-{number}-{what}", std::process::id());
        system(&["ip", "netns", "add", &name])?;
        let space = Self { name };
        space.run("ip link set lo up")?;
        Ok(space)
    }

    /// Keeps the system from speaking by itself, which it does as soon as it has IPv6.
    pub(crate) fn be_quiet(&self) -> Result<(), LabError> {
        let off = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
        self.run(&format!("sysctl -qw {off}"))
    }

    /// Joins this namespace to the switch by a cable, its end named `eth0`.
    pub(crate) fn plug_into(
        &self,
        switch: &Self,
        mac: &str,
        addresses: &[&str],
    ) -> Result<(), LabError> {
        self.plug("eth0", switch, mac, addresses)
    }

    /// The same with another name.
    pub(crate) fn plug(
        &self,
        interface: &str,
        switch: &Self,
        mac: &str,
        addresses: &[&str],
    ) -> Result<(), LabError> {
        let port = format!("p{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let Self { name } = self;
        switch.run(&format!(
            "ip link add {port} type veth peer name {interface} address {mac} netns {name}"
        ))?;
        switch.run(&format!("ip link set {port} master br0 up"))?;
        for address in addresses {
            let flags = if address.contains(':') { " nodad" } else { "" };
            self.run(&format!("ip addr add {address} dev {interface}{flags}"))?;
        }
        self.run(&format!("ip link set {interface} up"))
    }

    /// Runs a command line without quoting in the namespace.
    pub(crate) fn run(&self, line: &str) -> Result<(), LabError> {
        self.output(line).map(drop)
    }

    /// The same, with what it printed.
    pub(crate) fn output(&self, line: &str) -> Result<String, LabError> {
        let mut words = vec!["ip", "netns", "exec", self.name.as_str()];
        words.extend(line.split_whitespace());
        system(&words)
    }

    /// A command that will run in the namespace.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A failure here has nobody to tell; the name holds the process id, so a leftover
        // is seen for what it is and disturbs no later lab.
        let _ = system(&["ip", "netns", "del", &self.name]);
    }
}

fn system(words: &[&str]) -> Result<String, LabError> {
    let failed = |output: String| LabError::Command { command: words.join(" "), output };
    let (program, arguments) =
        words.split_first().ok_or_else(|| failed("nothing to run".into()))?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
