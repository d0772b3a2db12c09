//! Namespaces, their servers, and questions to them.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use model::AddressRange;
use scanner::{
    LinkError, Permit, Scope,
    net::{
        Answer, Link, Question, Reply,
        connect::ConnectLink,
        linux::Shape,
        raw::{RawLink, Via},
    },
};

/// Which part of the test this process is.
const ROLE: &str = "LINKS_ROLE";
/// The name that the namespaces of this test begin with.
const PREFIX: &str = "LINKS_PREFIX";

pub(crate) const FAR_V4: &str = "198.18.0.2";
pub(crate) const FAR_V6: &str = "2001:db8::2";
pub(crate) const FAR_MAC: &str = "02:00:00:00:00:02";
/// Behind the far namespace.
pub(crate) const BEYOND: &str = "198.19.0.9";
pub(crate) const NOBODY: &str = "198.18.0.77";

/// The longest that a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// What to start the body of a test with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct With {
    /// A limit on open files.
    pub(crate) open_files: Option<u32>,
    /// Without CAP_NET_RAW.
    pub(crate) unprivileged: bool,
}

/// Runs `body` in a namespace at the other end of whose cable is another.
pub(crate) fn lab(with: With, body: fn(&Lab)) {
    match env::var(ROLE).ok().as_deref() {
        None => Lab::run(with),
        Some("far") => serve(),
        Some("near") => body(&Lab { prefix: env::var(PREFIX).unwrap() }),
        Some(other) => panic!("{ROLE}={other}"),
    }
}

pub(crate) struct Lab {
    prefix: String,
}

impl Lab {
    fn run(with: With) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let lab = Made(Self { prefix: format!("links-{}-{number}", std::process::id()) });
        let lab = &lab.0;
        let (near, far, beyond) = (lab.name("near"), lab.name("far"), lab.name("beyond"));
        for name in [&near, &far, &beyond] {
            must(Command::new("ip").args(["netns", "add", name]));
            // Addresses are used at once, not after a second of asking who else has them.
            lab.write(name, "/proc/sys/net/ipv6/conf/all/accept_dad", "0");
            lab.write(name, "/proc/sys/net/ipv6/conf/default/accept_dad", "0");
            lab.ip_in(name, "link set lo up");
        }
        lab.cable((&near, "near0", "02:00:00:00:00:01"), (&far, "far0", FAR_MAC));
        lab.cable((&far, "far1", "02:00:00:00:00:12"), (&beyond, "beyond0", "02:00:00:00:00:19"));
        for (namespace, address) in [
            (&near, "198.18.0.1/24 dev near0"),
            (&near, "2001:db8::1/64 dev near0 nodad"),
            (&far, "198.18.0.2/24 dev far0"),
            (&far, "2001:db8::2/64 dev far0 nodad"),
            (&far, "198.19.0.1/24 dev far1"),
            (&beyond, "198.19.0.9/24 dev beyond0"),
        ] {
            lab.ip_in(namespace, &format!("address add {address}"));
        }
        lab.ip_in(&near, "route add 198.19.0.0/24 via 198.18.0.2");
        lab.ip_in(&near, "route add 203.0.113.0/24 via 198.18.0.2");
        lab.ip_in(&beyond, "route add default via 198.19.0.1");
        lab.write(&far, "/proc/sys/net/ipv4/ip_forward", "1");
        // Errors at any rate: the tests ask faster than one a second.
        for namespace in [&far, &beyond] {
            lab.write(namespace, "/proc/sys/net/ipv4/icmp_ratelimit", "0");
            lab.write(namespace, "/proc/sys/net/ipv6/icmp/ratelimit", "0");
        }
        let servers = [Server::start(lab, &far), Server::start(lab, &beyond)];
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &near]);
        if let Some(limit) = with.open_files {
            command.args(["prlimit", &format!("--nofile={limit}:{limit}"), "--"]);
        }
        if with.unprivileged {
            command.args(["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]);
        }
        let status = itself(&mut command, lab, "near").status().expect("the test starts again");
        drop(servers);
        assert!(status.success(), "the part in the namespace failed, see above");
    }

    pub(crate) fn name(&self, end: &str) -> String {
        format!("{}-{end}", self.prefix)
    }

    fn cable(&self, one: (&str, &str, &str), other: (&str, &str, &str)) {
        must(Command::new("ip").args([
            "link", "add", one.1, "netns", one.0, "address", one.2, "type", "veth", "peer", "name",
            other.1, "netns", other.0, "address", other.2,
        ]));
        for (namespace, interface, _) in [one, other] {
            self.ip_in(namespace, &format!("link set {interface} up"));
        }
    }

    pub(crate) fn write(&self, namespace: &str, path: &str, value: &str) {
        let script = format!("echo {value} > {path}");
        must(Command::new("ip").args(["netns", "exec", namespace, "sh", "-c", &script]));
    }

    fn ip_in(&self, namespace: &str, command: &str) {
        must(Command::new("ip").args(["-n", namespace]).args(command.split(' ')));
    }

    pub(crate) fn near(&self, command: &str) {
        self.ip_in(&self.name("near"), command);
    }

    pub(crate) fn far(&self, command: &str) {
        self.ip_in(&self.name("far"), command);
    }

    /// Lets the far end treat arriving packets by these rules.
    pub(crate) fn filter(&self, rules: &str) {
        let chain = "type filter hook input priority 0; policy accept;";
        let table = format!("table inet lab {{\nchain input {{\n{chain} {rules}\n}}\n}}");
        let far = self.name("far");
        must(Command::new("ip").args(["netns", "exec", &far, "nft", &table]));
    }

    /// What a file of /proc says in the far namespace.
    pub(crate) fn read_far(&self, path: &str) -> String {
        let far = self.name("far");
        let mut command = Command::new("ip");
        let output = command.args(["netns", "exec", &far, "cat", path]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A lab that its maker takes down.
struct Made(Lab);

impl Drop for Made {
    fn drop(&mut self) {
        for end in ["near", "far", "beyond"] {
            // What was not made cannot be taken down.
            let name = self.0.name(end);
            let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} (this test needs root): {said}");
}

/// The program of this test, running this test again, in another role.
fn itself<'a>(command: &'a mut Command, lab: &Lab, role: &str) -> &'a mut Command {
    let thread = thread::current();
    command
        // Not current_exe: a build that runs meanwhile may have put another there.
        .arg(format!("/proc/{}/exe", std::process::id()))
        .args(["--exact", thread.name().unwrap(), "--nocapture"])
        .env(ROLE, role)
        .env(PREFIX, &lab.prefix)
}

/// A program in a namespace that answers on TCP port 22 and on UDP port 161.
struct Server(Child, BufReader<ChildStdout>);

impl Server {
    fn start(lab: &Lab, namespace: &str) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]);
        let command = itself(&mut command, lab, "far");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let ready = said.by_ref().lines().map_while(Result::ok).any(|line| line.contains("ready"));
        assert!(ready, "the servers in {namespace} did not start");
        Self(child, said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.0.stdin.take());
        // It ends after its last words, which somebody has to read.
        self.1.read_to_end(&mut Vec::new()).unwrap();
        self.0.wait().unwrap();
    }
}

/// What a TFTP server says to who asks for a file that is not there.
pub(crate) const NO_SUCH_FILE: &[u8] = b"\0\x05\0\x01no such file\0";

fn serve() {
    let any = Ipv6Addr::UNSPECIFIED;
    let _tcp = TcpListener::bind((any, 22)).unwrap();
    let udp = UdpSocket::bind((any, 161)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = udp.recv_from(&mut buffer) {
            buffer[..len].reverse();
            let _ = udp.send_to(&buffer[..len], from);
        }
    });
    let tftp = UdpSocket::bind((any, 69)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, from)) = tftp.recv_from(&mut buffer) {
            // From a port of its own choosing, as a TFTP server does.
            let transfer = UdpSocket::bind((any, 0)).unwrap();
            let _ = transfer.send_to(NO_SUCH_FILE, from);
        }
    });
    io::stdout().write_all(b"ready\n").unwrap();
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn permit(to: IpAddr) -> Permit {
    Scope::new(vec![AddressRange::single(to)], Vec::new()).permit(to).unwrap()
}

pub(crate) fn raw() -> RawLink {
    RawLink::open(None, [7; 16]).unwrap()
}

/// Both ways of opening an interface for frames.
pub(crate) fn ways() -> [Via; 2] {
    [Via::Ring(Shape::default()), Via::Portable]
}

pub(crate) fn raw_via(via: Via) -> RawLink {
    RawLink::open_via(via, None, [7; 16]).unwrap()
}

/// Hands one question to the system.
pub(crate) fn send(link: &mut dyn Link, to: IpAddr, question: &Question) -> Result<(), LinkError> {
    link.send(permit(to), question)?;
    link.flush()
}

pub(crate) fn connect() -> ConnectLink {
    ConnectLink::open(None, [7; 16]).unwrap()
}

/// The first reply to one question.
#[track_caller]
pub(crate) fn ask(link: &mut dyn Link, to: &str, question: Question) -> Reply {
    assert!(link.can_ask(address(to), &question), "{to} {question:?}");
    send(link, address(to), &question).unwrap_or_else(|error| panic!("{to}: {error:?}"));
    let end = link.now() + PATIENCE;
    let reply = link.receive(end).unwrap();
    reply.unwrap_or_else(|| panic!("{to} does not answer {question:?}"))
}

#[track_caller]
pub(crate) fn check(link: &mut dyn Link, to: &str, question: Question, expected: Answer) {
    let reply = ask(link, to, question);
    assert_eq!((reply.about, reply.answer), (address(to), expected));
}

/// Nothing comes back in a time in which everything else here does.
#[track_caller]
pub(crate) fn check_silence(link: &mut dyn Link, to: &str, question: Question) {
    send(link, address(to), &question).unwrap();
    let end = link.now() + Duration::from_millis(300);
    assert_eq!(link.receive(end).unwrap(), None);
    assert!(link.now() < end + Duration::from_millis(100), "it waited past the end");
}
