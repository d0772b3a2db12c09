//! The measuring ground: two namespaces and a cable, no way out, and on the far end a network
//! that answers from the kernel's lowest layer, or the kernel itself.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    counters::{Counters, Maps},
    measure::{Cost, run_within},
    tools::{Found, Tool},
    truth::{AWAY, GATEWAY, Network, Place, SCANNER},
};

const SOURCE: &str = include_str!("../ground.bpf.c");
/// Of the far end. A scanner that is told the router's MAC is told this one.
pub(crate) const FAR_MAC: &str = "02:00:5e:00:53:01";
const NEAR_MAC: &str = "02:00:5e:00:53:02";

/// A namespace, gone when dropped.
struct Namespace(String);

impl Namespace {
    fn new(what: &str) -> Result<Self> {
        let name = format!("ground-{}-{what}", std::process::id());
        system(&["ip", "netns", "add", &name])?;
        let space = Self(name);
        space.run("ip link set lo up")?;
        Ok(space)
    }

    /// Runs a command line without quoting.
    fn run(&self, line: &str) -> Result<String> {
        let mut words = vec!["ip", "netns", "exec", &self.0];
        words.extend(line.split_whitespace());
        system(&words)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A failure here has nobody to tell; the next ground sweeps up.
        let _ = system(&["ip", "netns", "del", &self.0]);
    }
}

/// The ground. Everything in it ends with it.
pub(crate) struct Ground {
    near: Namespace,
    far: Namespace,
    folder: tempfile::TempDir,
    place: Place,
    built: BTreeMap<String, PathBuf>,
}

/// One run of a tool on the ground.
pub(crate) struct Run {
    pub(crate) cost: Cost,
    pub(crate) found: Found,
    /// By the far end's books; zeros where the kernel answers.
    pub(crate) counters: Counters,
    /// Answers that the far end gave and the scanner's interface did not get.
    pub(crate) undelivered: u64,
    /// Packets that came to the far end's interface, by the kernel's count.
    pub(crate) arrived: u64,
}

impl Ground {
    /// Namespaces and cable; nobody answers yet.
    pub(crate) fn new(place: Place) -> Result<Self> {
        sweep_up()?;
        let folder = tempfile::Builder::new().prefix("daicho-ground-").tempdir()?;
        let (near, far) = (Namespace::new("near")?, Namespace::new("far")?);
        // One queue, so that the far end's program is never run twice at once.
        near.run(&format!(
            "ip link add eth0 address {NEAR_MAC} numrxqueues 1 numtxqueues 1 type veth \
             peer name eth0 address {FAR_MAC} numrxqueues 1 numtxqueues 1 netns {}",
            far.0
        ))?;
        for space in [&near, &far] {
            space.run("ip link set eth0 addrgenmode none up")?;
        }
        // The far end checks sums, so that the kernel must not leave them to a device.
        near.run("ethtool -K eth0 tx off")?;
        match place {
            Place::Link => near.run(&format!("ip addr add {SCANNER}/15 dev eth0"))?,
            Place::Router => {
                near.run(&format!("ip addr add {AWAY}/24 dev eth0"))?;
                near.run(&format!("ip route add 198.18.0.0/15 via {GATEWAY}"))?
            }
        };
        Ok(Self { near, far, folder, place, built: BTreeMap::new() })
    }

    /// From now on the far end answers as that network does, with new books.
    fn answer(&mut self, network: &Network) -> Result<Maps> {
        ensure!(network.place == self.place, "a network for another ground");
        let object = self.build(network)?;
        let object = object.display();
        for (space, part) in [(&self.near, "near"), (&self.far, "far")] {
            space.run("ip link set dev eth0 xdpdrv off")?;
            space.run(&format!("ip link set dev eth0 xdpdrv obj {object} sec xdp.{part}"))?;
        }
        let links: Value = serde_json::from_str(&self.far.run("ip -j link show dev eth0")?)?;
        let program = &links[0]["xdp"]["prog"]["id"];
        Maps::of(program.as_u64().context("no program on the far end")?)
    }

    fn build(&mut self, network: &Network) -> Result<PathBuf> {
        let name = network.name();
        if let Some(object) = self.built.get(&name) {
            return Ok(object.clone());
        }
        let source = self.folder.path().join("ground.bpf.c");
        fs::write(&source, SOURCE)?;
        let object = self.folder.path().join(format!("{}.o", self.built.len()));
        let headers = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let mut command = Command::new("clang");
        command.args(["-O2", "-g", "-Wall", "-Werror", "-fno-strict-aliasing", "-target", "bpf"]);
        command.arg(headers).args(network.definitions());
        command.arg("-c").arg(&source).arg("-o").arg(&object);
        let output = command.output().context("clang is needed: tests/bench/install")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ground.bpf.c does not build: {said}");
        self.built.insert(name, object.clone());
        Ok(object)
    }

    /// Runs a tool once against that network, from nothing: new books, an empty neighbour
    /// table, a folder of its own, and no longer than that.
    pub(crate) fn run(&mut self, network: &Network, tool: &Tool, most: Duration) -> Result<Run> {
        self.run_watching(network, tool, most, |_| Ok(())).map(|(run, ())| run)
    }

    /// The same, and reads more of the books before they close.
    pub(crate) fn run_watching<T>(
        &mut self,
        network: &Network,
        tool: &Tool,
        most: Duration,
        read: impl FnOnce(&Maps) -> Result<T>,
    ) -> Result<(Run, T)> {
        let maps = self.answer(network)?;
        let mut run = self.run_tool(tool, most)?;
        run.counters = maps.counters()?;
        run.undelivered = run.counters.get("answers").saturating_sub(run.undelivered);
        progress(tool, &run);
        Ok((run, read(&maps)?))
    }

    /// Runs a tool while the far end's kernel answers for the first addresses of the network,
    /// with a program that listens there.
    pub(crate) fn run_with_kernel(&mut self, tool: &Tool, most: Duration) -> Result<Run> {
        let mut run = self.run_tool(tool, most)?;
        run.undelivered = 0;
        progress(tool, &run);
        Ok(run)
    }

    /// Lets the far end's kernel be the router, and answer for that block with a listener.
    pub(crate) fn listen(&self, block: &str, ports: &str) -> Result<Helper> {
        self.far.run(&format!("ip route add local {block} dev lo"))?;
        self.far.run(&format!("ip addr add {GATEWAY}/24 dev eth0"))?;
        let mut child = self.far_helper(&["listen", ports])?.stdout(Stdio::piped()).spawn()?;
        // It says one line when it listens.
        let mut ready = [0];
        let mut output = child.stdout.take().context("no output")?;
        std::io::Read::read_exact(&mut output, &mut ready).context("the listener failed")?;
        Ok(Helper(child))
    }

    fn far_helper(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.far.0]).arg(std::env::current_exe()?).args(words);
        Ok(command)
    }

    fn run_tool(&self, tool: &Tool, most: Duration) -> Result<Run> {
        self.near.run("ip neigh flush all")?;
        let folder = tempfile::tempdir_in(self.folder.path())?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.near.0]).args(&tool.line);
        command.current_dir(folder.path()).env("HOME", folder.path());
        command.env("DAICHO_DATABASE", folder.path().join("daicho.db"));
        let _noise = match tool.needs_noise {
            true => Some(Helper(self.far_helper(&["noise", "eth0"])?.spawn()?)),
            false => None,
        };
        let before = [packets(&self.near, "rx")?, packets(&self.far, "rx")?];
        let said = folder.path().join("stderr");
        command.stderr(fs::File::create(&said)?);
        let cost = run_within(&mut command, most)?;
        if !cost.code.is_some_and(|code| tool.codes.contains(&code)) {
            let said = fs::read_to_string(&said)?;
            // One line, for a cell of a table.
            let said = said.trim().lines().next().unwrap_or_default();
            bail!("{} ended with {:?}: {said:.200}", tool.name, cost.code);
        }
        let delivered = packets(&self.near, "rx")? - before[0];
        let arrived = packets(&self.far, "rx")? - before[1];
        let found = (tool.read)(&cost.stdout)
            .with_context(|| format!("{} printed {:.300}", tool.name, cost.stdout))?;
        Ok(Run { cost, found, counters: Counters::default(), undelivered: delivered, arrived })
    }
}

/// A mode of this program on the far end, ended when dropped.
pub(crate) struct Helper(std::process::Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One line for each run, for whoever waits.
fn progress(tool: &Tool, run: &Run) {
    let [syns, lost] = ["syn", "lost"].map(|name| run.counters.get(name));
    let line = format!(
        "{}: {:.2} s, cpu {:.2} s, {} KiB, {} packets, {syns} SYNs at {:.0}/s, {} open, {} alive, \
         {lost} lost, {} undelivered",
        tool.name,
        run.cost.wall.as_secs_f64(),
        run.cost.cpu.as_secs_f64(),
        run.cost.peak_kib,
        run.arrived,
        run.counters.syns_per_second(),
        run.found.open.len(),
        run.found.alive.len(),
        run.undelivered,
    );
    // Whoever closed the terminal does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn packets(space: &Namespace, way: &str) -> Result<u64> {
    let text = space.run(&format!("cat /sys/class/net/eth0/statistics/{way}_packets"))?;
    Ok(text.trim().parse()?)
}

/// Removes the namespaces of measurements that were killed.
fn sweep_up() -> Result<()> {
    for entry in fs::read_dir("/run/netns").into_iter().flatten() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("ground-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            system(&["ip", "netns", "del", &name])?;
        }
    }
    Ok(())
}

fn system(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("nothing to run")?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the ground needs root; {}: {said}", words.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
