//! How fast it is: `cargo test -p daicho-scanner --lib -- --ignored --nocapture xdp::measure`,
//! one test at a time on a quiet machine. A virtual cable is not a wire.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::time::{Duration, Instant};

use super::{assemble::Reg::*, tests::*, *};

/// Five times what the newest zmap sends here, in a second.
const GOAL: f64 = 2.7e6;

const FIRST: u32 = 0x0100_0000;

/// A program that says the same of every frame.
fn always(verdict: Verdict) -> OwnedFd {
    let mut a = Assembler::default();
    a.number(R0, verdict as u64);
    a.exit();
    kernel::load(kernel::Kind::Xdp, c"daicho_always", &a.finish().unwrap()).unwrap()
}

/// What a thread used: of time, and of a processor.
#[derive(Clone, Copy)]
struct Clock {
    wall: Instant,
    processor: u64,
}

impl Clock {
    fn now() -> Self {
        let used = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let processor = used.split(' ').next().unwrap().parse().unwrap();
        Self { wall: Instant::now(), processor }
    }

    /// Prints it for each frame, and returns how many a second one processor makes.
    fn print(self, what: &str, frames: u64) -> f64 {
        let now = Self::now();
        let wall = frames as f64 / (now.wall - self.wall).as_secs_f64();
        let processor = frames as f64 / (now.processor - self.processor) as f64 * 1e9;
        println!(
            "{what}: {:.2} million a second, {:.2} with a processor to itself ({:.0} ns each)",
            wall / 1e6,
            processor / 1e6,
            1e9 / processor
        );
        processor
    }
}

fn net(kind: Kind, addresses: u32, ports: u16) -> Probes {
    Probes::ranges(kind, [7; 16], &[(FIRST, FIRST + addresses - 1)], (1..=ports).collect())
}

fn ranges(ports: u16) -> Probes {
    let ranges = (0..200).map(|n| (FIRST + (n << 16), FIRST + (n << 16) + 25_000));
    Probes::ranges(Kind::Syn, [7; 16], &ranges.collect::<Vec<_>>(), (1..=ports).collect())
}

fn hosts(count: u32, ports: u16) -> Probes {
    let hosts = (0..count).map(|n| (Ipv4Addr::from_bits(FIRST + n * 3), ROUTER));
    Probes::hosts(Kind::Syn, [7; 16], hosts.collect(), (1..=ports).collect())
}

/// The program alone, without driver and frames.
#[test]
#[ignore = "measures"]
fn making() {
    for (name, of) in [
        ("SYN, /16", net(Kind::Syn, 1 << 16, 200)),
        ("SYN, /15", net(Kind::Syn, 1 << 17, 200)),
        ("SYN, 70,000 addresses", net(Kind::Syn, 70_000, 200)),
        ("SYN, 1,000 hosts", hosts(1_000, 200)),
        ("SYN, 250,000 hosts", hosts(250_000, 200)),
        ("SYN, 200 ranges", ranges(200)),
        ("ARP, /16", net(Kind::Arp, 1 << 16, 1)),
        ("ARP, /8", net(Kind::Arp, 1 << 24, 1)),
        ("echo, /8", net(Kind::Echo, 1 << 24, 1)),
    ] {
        let desk = Desk::new().unwrap();
        let course = Course::new(&of.work, &desk).unwrap();
        let mut best = u32::MAX;
        for turn in 0..20 {
            let from = turn * u64::from(MOST_FRAMES) % (of.work.order.size() / 2);
            course.seek(&desk, from);
            desk.open(u64::MAX);
            let program = course.program.as_fd();
            let (_, time) = kernel::run_dry(program, &mut [0; FRAME], MOST_FRAMES).unwrap();
            assert!(desk.get(Field::Made) > u64::from(MOST_FRAMES) * 9 / 10);
            best = best.min(time);
        }
        println!("{name}: {best} ns");
    }
    let of = net(Kind::Syn, 1 << 22, 1);
    let desk = Desk::new().unwrap();
    let course = Course::new(&of.work, &desk).unwrap();
    course.bits.bytes().iter().for_each(|byte| byte.store(0xff, Relaxed));
    course.seek(&desk, 0);
    desk.open(u64::MAX);
    let (_, time) = kernel::run_dry(course.program.as_fd(), &mut [0; FRAME], MOST_FRAMES).unwrap();
    let skipped = desk.get(Field::Skipped);
    assert!(skipped > 1 << 19);
    let each = f64::from(time) * f64::from(MOST_FRAMES) / skipped as f64;
    println!("passing over {skipped} settled: {each:.1} ns each, {time} ns for a run");
}

#[test]
#[ignore = "measures"]
fn sending() {
    on_a_cable(|| {
        let sink = always(Verdict::Drop);
        let _attached = kernel::attach(sink.as_fd(), index("far")).unwrap();
        let near = index("near");
        let constant = always(Verdict::Transmit);
        let anchor = Anchor::new().unwrap();
        let held = anchor.hold(constant.as_fd()).unwrap();
        let frame = [2; FRAME];
        for batch in [16, 64, 256] {
            for call in [1_024, 4_096, MOST_FRAMES] {
                let (calls, clock) = (2_000_000 / call, Clock::now());
                for _ in 0..calls {
                    kernel::run_live(constant.as_fd(), &frame, near, call, batch).unwrap();
                }
                let what = format!("constant, {batch} in a bundle, {call} in a call");
                clock.print(&what, (calls * call).into());
            }
        }
        drop(held);
        let clock = Clock::now();
        for _ in 0..10 {
            kernel::run_live(constant.as_fd(), &frame, near, MOST_FRAMES, BATCH).unwrap();
        }
        clock.print("constant, not held by the anchor", 10 * u64::from(MOST_FRAMES));
        for (name, of) in [
            ("SYN, /16", net(Kind::Syn, 1 << 16, 40)),
            ("SYN, /15", net(Kind::Syn, 1 << 17, 20)),
            ("SYN, 1,000 hosts", hosts(1_000, 2_000)),
            ("SYN, 250,000 hosts", hosts(250_000, 10)),
            ("SYN, 200 ranges", ranges(1)),
            ("ARP, /11", net(Kind::Arp, 1 << 21, 1)),
            ("echo, /11", net(Kind::Echo, 1 << 21, 1)),
        ] {
            let start = Instant::now();
            let mut sender = Sender::open(near).unwrap();
            let opened = start.elapsed();
            sender.begin(&of.work).unwrap();
            println!("{name}: open after {opened:?}, ready after {:?}", start.elapsed());
            let (mut best, mut refused, mut longest) = (0_f64, 0, Duration::ZERO);
            for _pass in 0..3 {
                sender.seek(0);
                let (mut taken, clock) = (0, Clock::now());
                while sender.cursor() < of.work.order.size() {
                    let start = Instant::now();
                    let sent = sender.send(u64::MAX, 4_096).unwrap();
                    longest = longest.max(start.elapsed());
                    taken += sent.frames;
                    refused += sent.refused.len();
                }
                best = best.max(clock.print(name, taken));
            }
            println!("{name}: {refused} refused, the longest call took {longest:?}");
            assert!(best > GOAL, "{name}: only {best} a second");
        }
    });
}
