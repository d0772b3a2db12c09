//! How fast an interface is listened to: the product and a reader of the same ring that looks at
//! nothing, in turns, at the end of a cable between two namespaces, while a sender at the other
//! end gives all that it can.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use pnet::datalink::{self, Channel};
use scanner::net::{
    file,
    linux::{
        Shape,
        monitor::{Heard, Monitor},
    },
};

use crate::{
    measure::{Report, median},
    tasks::program,
};

const RUNS: usize = 5;
/// With how many readers the product listens.
const READERS: [usize; 2] = [1, 2];
/// How long the sender sends.
const SPAN: Duration = Duration::from_secs(4);
/// What the product's own ring has.
const SHAPE: Shape = Shape { block_size: 1 << 20, blocks: 64, age: 50 };

/// Sends the frames of a capture again and again, for the span, from an interface.
pub(crate) fn blast(interface: &str, path: &str) -> Result<()> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    // What is longer than the cable takes is not sent.
    file::frames(Path::new(path), &mut |_, _, bytes| {
        if (14..=1514).contains(&bytes.len()) {
            frames.push(bytes.to_vec());
        }
    })?;
    ensure!(!frames.is_empty(), "there is no frame in {path}");
    let all = datalink::interfaces();
    let interface = all.iter().find(|i| i.name == interface).context("no such interface")?;
    let Channel::Ethernet(mut sender, _receiver) =
        datalink::channel(interface, datalink::Config::default())?
    else {
        bail!("not an Ethernet");
    };
    let (began, mut sent) = (Instant::now(), 0_u64);
    while began.elapsed() < SPAN {
        for frame in &frames {
            // A full queue is no failure: what arrived is counted at the other end.
            if sender.send_to(frame, None).context("closed")?.is_ok() {
                sent += 1;
            }
        }
    }
    println(&format!("{sent} {}", began.elapsed().as_secs_f64()))
}

/// Takes frames and looks at nothing, until the line is quiet.
pub(crate) fn take(interface: &str) -> Result<()> {
    let mut monitor = Monitor::open(interface, SHAPE)?;
    println("listening")?;
    let (mut frames, mut quiet) = (0_u64, Instant::now());
    while frames == 0 || quiet.elapsed() < Duration::from_secs(1) {
        ensure!(quiet.elapsed() < Duration::from_secs(60), "nobody sends");
        let before = frames;
        let came = monitor.listen(Duration::from_millis(100), &mut |_, _, _, _| frames += 1)?;
        ensure!(!matches!(came, Heard::Down), "the interface went down");
        if frames > before {
            quiet = Instant::now();
        }
    }
    println(&format!("{frames} {}", monitor.lost()))
}

fn println(line: &str) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Two namespaces and a cable, gone when dropped.
struct Cable([String; 2]);

impl Cable {
    fn new() -> Result<Self> {
        let names = ["ear", "mouth"].map(|end| format!("bench-{}-{end}", std::process::id()));
        let cable = Self(names);
        let [ear, mouth] = &cable.0;
        for name in [ear, mouth] {
            system(&["ip", "netns", "add", name])?;
        }
        let link =
            ["link", "add", "ear0", "type", "veth", "peer", "name", "mouth0", "netns", mouth];
        system(&[&["ip", "-n", ear][..], &link[..]].concat())?;
        for (name, interface) in [(ear, "ear0"), (mouth, "mouth0")] {
            // Nobody may send but the sender: no IPv6 of the kernel's own.
            let quiet = format!("net.ipv6.conf.{interface}.disable_ipv6=1");
            system(&["ip", "netns", "exec", name, "sysctl", "-q", "-w", &quiet])?;
            system(&["ip", "-n", name, "link", "set", interface, "up"])?;
        }
        Ok(cable)
    }

    fn command(&self, end: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[end]]).arg(program);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.0 {
            // A failure here has nobody to tell.
            let _ = system(&["ip", "netns", "del", name]);
        }
    }
}

fn system(words: &[&str]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no command")?;
    let output = Command::new(program).args(arguments).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", words.join(" "), error.trim());
    Ok(())
}

/// One who listens, and the lines that it says.
struct Listener(Child, mpsc::Receiver<String>);

impl Listener {
    fn start(
        mut command: Command,
        says_on: fn(&mut Child) -> Box<dyn std::io::Read + Send>,
    ) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = BufReader::new(says_on(&mut child));
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self(child, said))
    }

    /// The next line in which that stands.
    fn says(&self, part: &str) -> Result<String> {
        loop {
            let line = self.1.recv_timeout(Duration::from_secs(60)).context("it says nothing")?;
            if line.contains(part) {
                return Ok(line);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one run heard a second while the sender sent, and how much was lost.
type Run = (f64, u64);

fn send(cable: &Cable, own: &Path, file: &str) -> Result<f64> {
    let output = cable.command(1, own).args(["blast", "mouth0", file]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "the sender: {}", String::from_utf8_lossy(&output.stderr));
    let (_, seconds) = text.trim().split_once(' ').context("the sender said nothing")?;
    Ok(seconds.parse()?)
}

fn run_null(cable: &Cable, own: &Path, file: &str) -> Result<Run> {
    let mut command = cable.command(0, own);
    command.args(["take", "ear0"]);
    let taker = Listener::start(command, |child| Box::new(child.stdout.take().expect("piped")))?;
    taker.says("listening")?;
    let seconds = send(cable, own, file)?;
    let line = taker.says(" ")?;
    let (frames, lost) = line.split_once(' ').context("no counts")?;
    Ok((frames.parse::<f64>()? / seconds, lost.parse()?))
}

fn run_own(cable: &Cable, own: &Path, file: &str, readers: usize) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let mut command = cable.command(0, &program()?);
    command.args(["watch", "--interface", "ear0", "--duration", "8s"]);
    command.args(["--readers", &readers.to_string()]);
    command.env("DAICHO_DATABASE", folder.path().join("d.db")).env("HOME", folder.path());
    let watch = Listener::start(command, |child| Box::new(child.stderr.take().expect("piped")))?;
    // It says nothing before it is over: the ring is there when the database is.
    let began = Instant::now();
    while !folder.path().join("d.db").exists() {
        ensure!(began.elapsed() < Duration::from_secs(10), "watch does not begin");
        thread::park_timeout(Duration::from_millis(10));
    }
    thread::park_timeout(Duration::from_millis(300));
    let seconds = send(cable, own, file)?;
    let line = watch.says("heard ")?;
    let number = |text: Option<&str>| -> Result<f64> {
        let digits = text.and_then(|text| text.split(' ').next()).context("no count")?;
        Ok(digits.parse()?)
    };
    let heard = number(line.split("heard ").nth(1))?;
    let lost = number(line.split("; ").nth(1))?;
    Ok((heard / seconds, lost as u64))
}

/// The rows, with the frames of a capture.
pub(crate) fn live(report: &mut Report, file: &str) -> Result<()> {
    let own = std::env::current_exe()?;
    let cable = Cable::new()?;
    let mut null = (Vec::new(), 0);
    let mut ours = READERS.map(|readers| (readers, Vec::new(), 0));
    for _ in 0..RUNS {
        let (rate, lost) = run_null(&cable, &own, file)?;
        null.0.push(rate);
        null.1 += lost;
        for (readers, rates, all_lost) in &mut ours {
            let (rate, lost) = run_own(&cable, &own, file, *readers)?;
            rates.push(rate);
            *all_lost += lost;
        }
    }
    let (null, null_lost) = (median(null.0), null.1);
    report.row(
        "live on veth: a reader of the ring that looks at nothing",
        format!("{null:.0} packets/s, {null_lost} lost in {RUNS} runs"),
        "(told, no goal)",
        true,
    );
    for (readers, rates, lost) in ours {
        let rate = median(rates);
        report.row(
            &format!("live on veth: `daicho watch --readers {readers}`"),
            format!("{rate:.0} packets/s, {lost} lost in {RUNS} runs, {:.2} of that", rate / null),
            ">= 0.8 of that",
            rate >= 0.8 * null,
        );
    }
    Ok(())
}
