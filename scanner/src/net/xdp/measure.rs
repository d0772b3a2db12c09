//! How fast it is, on a virtual cable; run alone, with `--release --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::{
    assemble::{Op::*, Reg::*, Size::*, When::*},
    tests::*,
    *,
};

/// A program that sends the frame as it is.
fn constant() -> OwnedFd {
    let mut a = Assembler::default();
    a.number(R0, Verdict::Transmit as u64);
    a.exit();
    kernel::load(kernel::Kind::Xdp, c"daicho_constant", &a.finish().unwrap()).unwrap()
}

fn drop_program() -> OwnedFd {
    let mut a = Assembler::default();
    a.number(R0, Verdict::Drop as u64);
    a.exit();
    kernel::load(kernel::Kind::Xdp, c"daicho_drop", &a.finish().unwrap()).unwrap()
}

fn rate(frames: u64, time: Duration) -> String {
    format!(
        "{:>6.2} million/s, {:>6.1} ns each",
        frames as f64 / time.as_secs_f64() / 1e6,
        time.as_secs_f64() * 1e9 / frames as f64
    )
}

#[test]
#[ignore = "measures"]
fn measure() {
    on_a_cable(|| {
        let _attached = kernel::attach(drop_program().as_fd(), index("far")).unwrap();
        let near = index("near");
        let constant = constant();
        let anchor = Anchor::new().unwrap();
        let _held = anchor.hold(constant.as_fd()).unwrap();
        let mut frame = [0_u8; FRAME];
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        frame[12..14].copy_from_slice(&[8, 0]);
        for batch in [16, 32, 64, 128, 256] {
            for call in [1_024, 4_096, 16_384_u32] {
                let start = Instant::now();
                let calls = 2_000_000 / call;
                for _ in 0..calls {
                    kernel::run_live(constant.as_fd(), &frame, near, call, batch).unwrap();
                }
                let time = start.elapsed();
                println!(
                    "constant, batch {batch:>3}, call {call:>6}: {}",
                    rate((calls * call).into(), time)
                );
            }
        }
        let far = 0xc612_0000;
        for (name, of) in [
            (
                "syn, one range",
                Probes::ranges(Kind::Syn, [7; 16], &[(far, far + 0x1_ffff)], (1..=40).collect()),
            ),
            (
                "echo",
                Probes::ranges(
                    Kind::Echo,
                    [7; 16],
                    &[(0x0100_0000, 0x0100_0000 + 5_000_000)],
                    vec![0],
                ),
            ),
            (
                "arp",
                Probes::ranges(
                    Kind::Arp,
                    [7; 16],
                    &[(0x0100_0000, 0x0100_0000 + 5_000_000)],
                    vec![0],
                ),
            ),
            (
                "syn, 200 ranges",
                Probes::ranges(
                    Kind::Syn,
                    [7; 16],
                    &(0..200)
                        .map(|n| (0x0100_0000 + n * 65_536, 0x0100_0000 + n * 65_536 + 25_000))
                        .collect::<Vec<_>>(),
                    vec![443],
                ),
            ),
            (
                "syn, hosts",
                Probes::hosts(
                    Kind::Syn,
                    [7; 16],
                    (0..250_000)
                        .map(|n| (Ipv4Addr::from_bits(0x0100_0000 + n * 3), ROUTER))
                        .collect(),
                    (1..=20).collect(),
                ),
            ),
        ] {
            let start = Instant::now();
            let mut sender = Sender::open(near).unwrap();
            let opened = start.elapsed();
            let start = Instant::now();
            sender.begin(&of.work).unwrap();
            let begun = start.elapsed();
            println!("{name}: opened in {opened:?}, begun in {begun:?}");
            for pass in 0..3 {
                sender.seek(0);
                let (mut taken, mut refused, mut longest) = (0, 0, Duration::ZERO);
                let start = Instant::now();
                while sender.cursor() < of.work.order.size() {
                    let call = Instant::now();
                    let sent = sender.send(u64::MAX, u32::MAX).unwrap();
                    longest = longest.max(call.elapsed());
                    taken += sent.frames;
                    refused += sent.refused.len();
                }
                println!(
                    "{name}, pass {pass}: {}, refused {refused}, longest call {longest:?}",
                    rate(taken, start.elapsed())
                );
            }
        }
    });
}
