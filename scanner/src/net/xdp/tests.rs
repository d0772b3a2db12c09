//! The programs, run by this machine's kernel: dry, and on a virtual cable in a network
//! namespace of the test's own thread. They need root and the programs ip, mount and taskset.

use std::{collections::BTreeSet, fs, net::IpAddr, process::Command, thread};

use model::AddressRange;
use proptest::{prelude::*, test_runner::TestRunner};
use wire::{ethernet, ip::Ends};

use super::{
    super::{Question, interfaces::interface, raw_frames::who_has, raw_reference::packet},
    assemble::{Op::*, Reg::*, Size::*, When::*},
    *,
};
use crate::{Scope, plan::Addresses};

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub(super) const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
const OURS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// A work, and what it asks of whom.
pub(super) struct Probes {
    pub(super) work: Work,
    /// The address of each number, and where frames to it go.
    whom: Box<dyn Fn(u64) -> (Ipv4Addr, MacAddr)>,
}

impl Probes {
    pub(super) fn ranges(
        kind: Kind,
        key: [u8; 16],
        ranges: &[(u32, u32)],
        ports: Vec<u16>,
    ) -> Self {
        let ranges = ranges.iter().map(|(first, last)| {
            let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
            AddressRange::new(address(*first), address(*last)).unwrap()
        });
        let addresses = Addresses::new(&Scope::new(ranges.collect(), vec![]));
        let targets = Targets::ranges(&addresses, ROUTER).unwrap();
        let whom = move |number| match addresses.at(number) {
            Some(IpAddr::V4(address)) => (address, ROUTER),
            other => panic!("{number} is {other:?}"),
        };
        Self { work: work(kind, key, targets, ports), whom: Box::new(whom) }
    }

    pub(super) fn hosts(
        kind: Kind,
        key: [u8; 16],
        hosts: Vec<(Ipv4Addr, MacAddr)>,
        ports: Vec<u16>,
    ) -> Self {
        let all = AddressRange::new([1, 0, 0, 0].into(), [223, 255, 255, 255].into()).unwrap();
        let scope = Scope::new(vec![all], vec![]);
        let permits =
            hosts.iter().map(|(address, mac)| (scope.permit((*address).into()).unwrap(), *mac));
        let targets = Targets::hosts(permits).unwrap();
        let whom = move |number| hosts[usize::try_from(number).unwrap()];
        Self { work: work(kind, key, targets, ports), whom: Box::new(whom) }
    }

    /// What the raw tier sends at that place.
    fn expected(&self, place: u64) -> Vec<u8> {
        let (address, port) = self.work.order.at(place).unwrap();
        let (theirs, hop) = (self.whom)(address);
        let Work { kind, ours, mac, cookies, ports, .. } = &self.work;
        let question = match kind {
            Kind::Arp => return who_has(*mac, (*ours).into(), theirs.into()).unwrap(),
            Kind::Echo => Question::Echo,
            Kind::Syn => Question::Tcp(ports[usize::try_from(port).unwrap()]),
        };
        let packet = packet(cookies, Ends::V4(*ours, theirs), &question).unwrap();
        ethernet::frame(hop, *mac, ethernet::IPV4, &packet)
    }

    /// The number of the question at that place.
    fn number(&self, place: u64) -> u64 {
        let (address, port) = self.work.order.at(place).unwrap();
        port * self.work.targets.count() + address
    }
}

fn work(kind: Kind, key: [u8; 16], targets: Targets, ports: Vec<u16>) -> Work {
    Work {
        order: Order::new(key, targets.count(), ports.len() as u64),
        targets,
        ports,
        kind,
        ours: OURS,
        mac: HERE,
        cookies: Cookies::new(key.map(|byte| byte.rotate_left(3)), 61_000..=65_535),
    }
}

/// The next frame that the program makes, if it makes one before its steps are over.
fn next(course: &Course, desk: &Desk) -> Option<Vec<u8>> {
    // A page that somebody else has used.
    let mut frame = vec![0xa5; FRAME];
    desk.open(course.order.size());
    match kernel::run_dry(course.program.as_fd(), &mut frame, 1).unwrap().0 {
        verdict if verdict == Verdict::Transmit as u32 => Some(frame),
        verdict => {
            assert_eq!(verdict, Verdict::Drop as u32);
            None
        }
    }
}

/// The frames of some places, from `first` on, are those of the raw tier.
#[track_caller]
fn check_frames(of: &Probes, first: u64, count: u64) {
    let desk = Desk::new().unwrap();
    let course = Course::new(&of.work, &desk).unwrap_or_else(|error| panic!("{error}"));
    course.seek(&desk, first);
    for place in first..of.work.order.size().min(first + count) {
        let frame = loop {
            match next(&course, &desk) {
                Some(frame) => break frame,
                // In the middle of a long walk.
                None => assert_eq!(desk.get(Field::Place), place),
            }
        };
        assert_eq!(frame, of.expected(place), "place {place}");
        assert_eq!(desk.get(Field::Place), place + 1);
    }
}

fn keys() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Arp, Kind::Echo, Kind::Syn])
}

fn ports(kind: Kind, ports: Vec<u16>) -> Vec<u16> {
    if kind == Kind::Syn { ports } else { vec![0] }
}

#[test]
fn every_probe_to_ranges_is_byte_for_byte_that_of_the_raw_tier() {
    let ranges = prop::collection::vec((any::<u16>(), 0_u32..3_000), 1..40);
    let all = (kinds(), keys(), ranges, prop::collection::vec(any::<u16>(), 1..9), any::<u64>());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(150));
    let result = runner.run(&all, |(kind, key, ranges, asked, at)| {
        // From 16.0.0.0 on, one in each 4,096 or so.
        let ranges: BTreeSet<(u32, u32)> = ranges
            .iter()
            .map(|(start, len)| (u32::from(*start) << 12, *len))
            .map(|(start, len)| (0x1000_0000 + start, 0x1000_0000 + start + len))
            .collect();
        let ranges: Vec<_> = ranges.into_iter().collect();
        let of = Probes::ranges(kind, key, &ranges, ports(kind, asked));
        check_frames(&of, at % of.work.order.size(), 40);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn every_probe_to_hosts_is_byte_for_byte_that_of_the_raw_tier() {
    let host = (0x0b00_0000_u32..0x7f00_0000, any::<[u8; 6]>());
    let hosts = prop::collection::vec(host, 1..60);
    let all = (kinds(), keys(), hosts, prop::collection::vec(any::<u16>(), 1..40), any::<u64>());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(100));
    let result = runner.run(&all, |(kind, key, hosts, asked, at)| {
        let hosts = hosts.iter().map(|(bits, mac)| (Ipv4Addr::from_bits(*bits), MacAddr(*mac)));
        let of = Probes::hosts(kind, key, hosts.collect(), ports(kind, asked));
        check_frames(&of, at % of.work.order.size(), 200);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn large_networks_and_many_ports_are_walked_alike() {
    // All of 2^30 and 2^31 addresses, one more than a power of four, and the last address.
    for (first, last) in [(1 << 24, (1 << 24) + (1 << 30) - 1), (1 << 24, 0x8100_0000 + 7)] {
        let of = Probes::ranges(Kind::Syn, [9; 16], &[(first, last)], vec![443]);
        for at in [0, 12_345_678, of.work.order.size() - 200] {
            check_frames(&of, at, 200);
        }
    }
    let of = Probes::ranges(Kind::Echo, [3; 16], &[(0xc612_0000, 0xc612_0100)], vec![0]);
    check_frames(&of, 0, 300);
    let of =
        Probes::ranges(Kind::Syn, [4; 16], &[(0xc612_0000, 0xc612_0004)], (0..=65_535).collect());
    check_frames(&of, of.work.order.size() - 1_000, 2_000);
    check_frames(&of, 0, 1_000);
}

#[test]
fn settled_questions_are_passed_over_and_all_others_asked_once() {
    let of = Probes::ranges(Kind::Syn, [5; 16], &[(0xc612_0000, 0xc612_0fff)], vec![22, 80, 443]);
    let desk = Desk::new().unwrap();
    let course = Course::new(&of.work, &desk).unwrap();
    let size = of.work.order.size();
    let is_settled = |number: u64| number % 7 != 3 || (2_000..6_000).contains(&number);
    (0..size).filter(|number| is_settled(*number)).for_each(|number| course.settle(number));
    let mut wanted = (0..size).filter(|place| !is_settled(of.number(*place)));
    course.seek(&desk, 0);
    let mut skipped = 0;
    while desk.get(Field::Place) < size {
        let frame = next(&course, &desk);
        skipped += desk.get(Field::Skipped);
        assert!(desk.get(Field::Skipped) <= 64, "one run walks too far");
        if let Some(frame) = frame {
            assert_eq!(frame, of.expected(wanted.next().unwrap()));
        }
    }
    assert_eq!(wanted.next(), None);
    assert_eq!(skipped, (0..size).filter(|number| is_settled(*number)).count() as u64);
    assert_eq!(next(&course, &desk), None);
}

#[test]
fn a_program_that_the_kernel_refuses_is_told_with_its_words() {
    let mut a = Assembler::default();
    a.op(Move, R0, R5);
    a.exit();
    let program = a.finish().unwrap();
    let error = kernel::load(kernel::Kind::Xdp, c"daicho_wrong", &program).unwrap_err();
    assert!(error.to_string().ends_with("R5 !read_ok"), "{error}");
}

/// Runs `body` in a network namespace of its own, with a virtual cable from `near` to `far`.
pub(in super::super) fn on_a_cable<T: Send + 'static>(body: fn() -> T) -> T {
    let thread = thread::spawn(move || {
        leave_the_network();
        run("ip link add near address 02:00:00:00:00:01 type veth peer name far");
        run("ip link set near up");
        run("ip link set far up");
        body()
    });
    thread.join().unwrap()
}

#[expect(unsafe_code, reason = "std does not offer unshare")]
fn leave_the_network() {
    // SAFETY: unshare(2) takes no pointers, and only this thread leaves.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    assert_eq!(left, 0, "{}", io::Error::last_os_error());
    // What /sys says of interfaces is about the network of whoever mounted it.
    run("mount --make-rprivate /");
    run("mount -t sysfs sysfs /sys");
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn index(name: &str) -> u32 {
    interface(name).unwrap().index
}

/// Counts SYNs at the far end of the cable, each question by itself, and lets nothing on.
struct Sink {
    counts: Map,
    _attached: OwnedFd,
}

impl Sink {
    /// For addresses from `first` on and ports from 1 to `ports`.
    fn new(first: u32, addresses: usize, ports: u16) -> Self {
        let counts = Map::new(c"daicho_sink", addresses * usize::from(ports) * 4).unwrap();
        let mut a = Assembler::default();
        let out = a.label();
        a.load(Word, R6, R1, 0);
        a.load(Word, R2, R1, 4);
        a.op(Move, R3, R6);
        a.op(Add, R3, FRAME as i32);
        a.jump_if(R3, Above, R2, out);
        a.load(Half, R1, R6, 12);
        a.jump_if(R1, NotEqual, i32::from(ethernet::IPV4.to_be()), out);
        a.load(Byte, R1, R6, 23);
        a.jump_if(R1, NotEqual, 6, out);
        a.load(Word, R1, R6, 30);
        a.network_order(R1, 32);
        a.number(R2, first.into());
        a.op(Sub, R1, R2);
        a.op(Mul, R1, i32::from(ports));
        a.load(Half, R2, R6, 36);
        a.network_order(R2, 16);
        a.op(Add, R1, R2);
        a.op(Sub, R1, 1);
        a.jump_if(R1, AtLeast, i32::try_from(counts.len() / 4).unwrap(), out);
        a.op(ShiftLeft, R1, 2);
        a.map_value(R2, counts.fd(), 0);
        a.op(Add, R2, R1);
        a.load(Word, R1, R2, 0);
        a.op(Add, R1, 1);
        a.store(Word, R2, 0, R1);
        a.here(out);
        a.number(R0, Verdict::Drop as u64);
        a.exit();
        let program = a.finish().unwrap();
        let program = kernel::load(kernel::Kind::Xdp, c"daicho_sink", &program).unwrap();
        let attached = kernel::attach(program.as_fd(), index("far")).unwrap();
        Self { counts, _attached: attached }
    }

    fn counts(&self) -> Vec<u32> {
        self.counts.words().iter().map(|count| count.load(Relaxed)).collect()
    }

    /// Waits until nothing more arrives.
    fn wait(&self) {
        let mut last = 0;
        loop {
            thread::sleep(std::time::Duration::from_millis(30));
            let sum = self.counts().iter().map(|count| u64::from(*count)).sum();
            if sum == last {
                return;
            }
            last = sum;
        }
    }
}

#[test]
fn frames_arrive_once_each_and_in_the_second_pass_only_those_not_settled() {
    on_a_cable(|| {
        const FIRST: u32 = 0xc612_0000;
        let sink = Sink::new(FIRST, 1 << 12, 50);
        let of = Probes::ranges(Kind::Syn, [8; 16], &[(FIRST, FIRST + 0xfff)], (1..=50).collect());
        let mut sender = Sender::open(index("near")).unwrap();
        sender.begin(&of.work).unwrap();
        let size = of.work.order.size();
        let mut expected = vec![0_u32; usize::try_from(size).unwrap()];
        for pass in 0..2_u32 {
            sender.seek(0);
            let mut taken = 0;
            let mut again = BTreeSet::new();
            while sender.cursor() < size {
                let sent = sender.send(size, 4_096).unwrap();
                assert_eq!(sent.cursor, sender.cursor());
                taken += sent.frames;
                again.extend(sent.refused);
            }
            sink.wait();
            let mut asked = 0;
            for place in 0..size {
                let (address, port) = of.work.order.at(place).unwrap();
                let number = of.number(place);
                if (pass == 0 || number.is_multiple_of(2)) && !again.contains(&place) {
                    expected[usize::try_from(address * 50 + port).unwrap()] += 1;
                    asked += 1;
                }
            }
            assert_eq!(taken, asked);
            assert!(asked > size / 3, "only {asked} of {size} were taken");
            assert_eq!(sink.counts(), expected, "pass {pass}");
            (0..size).filter(|number| number % 2 == 1).for_each(|number| sender.settle(number));
        }
    });
}

/// Makes the far end take frames out of its ring in a thread, on our processor: so the ring
/// fills while we send.
fn slow_far_end() {
    fs::write("/sys/class/net/far/threaded", "1").unwrap();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
    let processor = allowed.unwrap().split([',', '-']).next().unwrap().to_owned();
    let ours = fs::read_link("/proc/thread-self").unwrap();
    let ours = ours.file_name().unwrap().to_str().unwrap().to_owned();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let theirs = processes.filter(|process| {
        fs::read_to_string(process.path().join("comm"))
            .is_ok_and(|name| name.starts_with("napi/far-"))
    });
    let theirs: Vec<_> = theirs.map(|process| process.file_name().into_string().unwrap()).collect();
    assert!(!theirs.is_empty(), "the far end has no thread");
    for thread in theirs.iter().chain([&ours]) {
        run(&format!("taskset -pc {processor} {thread}"));
    }
}

#[test]
fn what_the_driver_has_no_room_for_is_told_exactly() {
    on_a_cable(|| {
        const FIRST: u32 = 0xc612_0000;
        let sink = Sink::new(FIRST, 1 << 15, 1);
        slow_far_end();
        let of = Probes::ranges(Kind::Syn, [6; 16], &[(FIRST, FIRST + 0x7fff)], vec![1]);
        let mut sender = Sender::open(index("near")).unwrap();
        sender.begin(&of.work).unwrap();
        let size = of.work.order.size();
        let mut expected = vec![0_u32; usize::try_from(size).unwrap()];
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..20 {
            sender.seek(0);
            let mut again = BTreeSet::new();
            while sender.cursor() < size {
                let sent = sender.send(size, u32::MAX).unwrap();
                taken += sent.frames;
                again.extend(sent.refused);
            }
            refused += again.len() as u64;
            for place in (0..size).filter(|place| !again.contains(place)) {
                let (address, _) = of.work.order.at(place).unwrap();
                expected[usize::try_from(address).unwrap()] += 1;
            }
            if refused > 0 {
                break;
            }
        }
        assert!(refused > 0 && taken > 0, "the ring never filled: {taken} were taken");
        assert_eq!((taken + refused) % size, 0);
        sink.wait();
        assert!(sink.counts() == expected, "others arrived than were told of");
    });
}

#[test]
fn a_call_ends_where_it_is_told() {
    on_a_cable(|| {
        let _sink = Sink::new(0, 1, 1);
        let of = Probes::ranges(Kind::Echo, [8; 16], &[(0xc612_0000, 0xc613_ffff)], vec![0]);
        let mut sender = Sender::open(index("near")).unwrap();
        sender.begin(&of.work).unwrap();
        let made = |sent: &Sent| sent.frames + sent.refused.len() as u64;
        let sent = sender.send(u64::MAX, 1_000).unwrap();
        assert_eq!((made(&sent), sent.cursor, sent.skipped), (1_000, 1_000, 0));
        let sent = sender.send(1_300, 1_000).unwrap();
        assert_eq!((made(&sent), sent.cursor), (300, 1_300));
        let sent = sender.send(1_300, 1_000).unwrap();
        assert_eq!((made(&sent), sent.cursor), (0, 1_300));
        let start = std::time::Instant::now();
        let sent = sender.send(u64::MAX, u32::MAX).unwrap();
        assert_eq!((made(&sent), sent.cursor), (16_384, 17_684));
        assert!(start.elapsed().as_millis() < 100, "{:?}", start.elapsed());
        // Passing over everything is as short.
        (0..of.work.order.size()).for_each(|number| sender.settle(number));
        let start = std::time::Instant::now();
        let sent = sender.send(u64::MAX, u32::MAX).unwrap();
        assert_eq!((made(&sent), sent.cursor), (0, of.work.order.size()));
        assert!(start.elapsed().as_millis() < 100, "{:?}", start.elapsed());
        sender.seek(7);
        assert_eq!(sender.cursor(), 7);
    });
}

#[test]
fn an_interface_that_takes_no_frames_is_unfit_and_says_why() {
    on_a_cable(|| {
        for name in ["lo", "near"] {
            let reason = fit(index(name)).unwrap_err().to_string();
            assert!(reason.contains("takes no XDP frames"), "{name}: {reason}");
        }
        let reason = fit(999).unwrap_err().to_string();
        assert!(reason.contains("No such device"), "{reason}");
        let _sink = Sink::new(0, 1, 1);
        fit(index("near")).unwrap();
    });
}

#[test]
fn three_capabilities_are_enough_and_each_is_needed() {
    const THREE: [Capability; 3] =
        [Capability::CAP_NET_ADMIN, Capability::CAP_BPF, Capability::CAP_PERFMON];
    /// Leaves this thread those alone.
    fn keep(capabilities: impl IntoIterator<Item = Capability>) {
        let kept = capabilities.into_iter().collect();
        caps::set(None, CapSet::Effective, &kept).unwrap();
        caps::set(None, CapSet::Permitted, &kept).unwrap();
    }
    on_a_cable(|| {
        let _sink = Sink::new(0, 1, 1);
        let near = index("near");
        keep(THREE);
        // Permitted is enough: it is made effective.
        caps::clear(None, CapSet::Effective).unwrap();
        let of = Probes::ranges(Kind::Echo, [8; 16], &[(0xc612_0000, 0xc613_ffff)], vec![0]);
        let mut sender = Sender::open(near).unwrap();
        sender.begin(&of.work).unwrap();
        assert!(sender.send(u64::MAX, 64).unwrap().frames > 0);
    });
    on_a_cable(|| {
        let _sink = Sink::new(0, 1, 1);
        keep([Capability::CAP_NET_ADMIN, Capability::CAP_BPF]);
        let reason = fit(index("near")).unwrap_err().to_string();
        assert_eq!(reason, "it needs CAP_PERFMON");
        assert!(Witness::new(&Desk::new().unwrap()).is_err(), "it is not needed after all");
    });
    on_a_cable(|| {
        let _sink = Sink::new(0, 1, 1);
        keep([Capability::CAP_PERFMON, Capability::CAP_BPF]);
        let reason = fit(index("near")).unwrap_err().to_string();
        assert_eq!(reason, "it needs CAP_NET_ADMIN");
        assert!(try_live(index("near")).is_err(), "it is not needed after all");
    });
    on_a_cable(|| {
        let _sink = Sink::new(0, 1, 1);
        keep([Capability::CAP_PERFMON, Capability::CAP_NET_ADMIN]);
        let reason = fit(index("near")).unwrap_err().to_string();
        assert_eq!(reason, "it needs CAP_BPF");
        assert!(Desk::new().is_err(), "it is not needed after all");
    });
}

#[test]
fn frames_that_never_reach_the_driver_are_refused_every_one() {
    on_a_cable(|| {
        let sink = Sink::new(0, 1, 1);
        let of = Probes::ranges(Kind::Echo, [8; 16], &[(0xc612_0000, 0xc613_ffff)], vec![0]);
        let mut sender = Sender::open(index("near")).unwrap();
        sender.begin(&of.work).unwrap();
        run("ip link set near down");
        let sent = sender.send(u64::MAX, 100).unwrap();
        assert_eq!((sent.frames, sent.refused), (0, (0..100).collect::<Vec<_>>()));
        run("ip link set near up");
        assert!(sender.send(u64::MAX, 100).unwrap().frames > 0);
        drop(sink);
        // Nobody takes frames at the far end any more.
        let sent = sender.send(u64::MAX, 100).unwrap();
        assert_eq!((sent.frames, sent.refused.len()), (0, 100));
        run("ip link del near");
        let error = sender.send(u64::MAX, 100).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    });
}
