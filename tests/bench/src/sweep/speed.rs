//! What sending costs: packets a second, processor time, memory.

use std::time::Duration;

use anyhow::Result;

use super::{Series, grouped, in_turn, of, ratio, tell_all};
use crate::{
    ground::Ground,
    measure::Report,
    tools::{daicho, masscan, nmap, own, score, zmap, zmap_is_new},
    truth::{Block, Network, Place},
};

/// Options of ours that take every brake off.
pub(super) const UNBRAKED: &str = "--rate 10000000 --host-rate 1000000";

/// The ground itself: it is what it computes, and is no slower than the peers.
pub(super) fn ground(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Router)?;
    let network = Network { alive: 0.5, open: 0.3, ..Network::new(Place::Router) };
    let ports: Vec<u16> = (1..=20).collect();
    let tool = nmap("-sS -Pn -T4 -p1-20 198.18.0.0/26");
    let run = ground.run(&network, &tool, Duration::from_secs(120))?;
    let truth = network.open_endpoints(&Block(26), &ports);
    let found = score(&run.found.open, &truth)?;
    report.row(
        "the ground is what it computes (nmap, slowly)",
        format!(
            "{} of {} open endpoints, {} wrong",
            run.found.open.len(),
            truth.len(),
            found.wrong
        ),
        "all, none wrong",
        found.recall >= 1.0 && found.wrong == 0,
    );
    // As fast as the fastest peer sends, with an answer to each question, and none that it
    // would have to print.
    let network = Network { open: 0.0, ..Network::new(Place::Router) };
    const COPIES: u64 = 20;
    let copies = if zmap_is_new() { format!("-p1-{COPIES}") } else { format!("-p80 -P{COPIES}") };
    let line = format!("198.18.0.0/15 {copies} -r0 -T1 -c1");
    let run = ground.run(&network, &zmap(&line), Duration::from_secs(120))?;
    let [asked, answers] = ["syn", "answers"].map(|name| run.counters.get(name));
    report.row(
        "the ground answers as fast as zmap asks",
        format!(
            "{} questions at {}/s, {} answers, {} not delivered",
            grouped(asked as f64),
            grouped(run.counters.syns_per_second()),
            grouped(answers as f64),
            run.undelivered
        ),
        "an answer to each but the scanner's address, all delivered",
        asked > 0 && answers + COPIES >= asked && run.undelivered == 0,
    );
    Ok(())
}

/// Packets a second into a sink, one sending thread.
pub(super) fn rate(report: &mut Report, tier: &str) -> Result<()> {
    const PORTS: u64 = 40;
    const QUESTIONS: u64 = PORTS << 17;
    let mut ground = Ground::new(Place::Router)?;
    let sink = Network { sink: true, counted: QUESTIONS, ..Network::new(Place::Router) };
    let ours = daicho(&format!(
        "{} --ports 1-{PORTS} --assume-alive --no-services {UNBRAKED} --io {tier} --yes-large",
        Block(15).range()
    ))?;
    let copies = if zmap_is_new() { format!("-p1-{PORTS}") } else { format!("-p80 -P{PORTS}") };
    let tools = vec![
        ours.clone(),
        zmap(&format!("198.18.0.0/15 {copies} -r0 -T1 -c1")),
        masscan(&format!("198.18.0.0/15 -p1-{PORTS} --rate 100000000 --wait 0")),
        own(&format!("pnet-send eth0 {QUESTIONS}"))?,
    ];
    let all = in_turn(&mut ground, &sink, tools, Duration::from_secs(300));
    let speed = |series: &Series| series.median(|run| run.counters.syns_per_second());
    let mine = of(&all, "daicho").map_or(0.0, speed);
    let peer = |name| ratio(mine, of(&all, name).map_or(0.0, speed));
    let (zmap, masscan, pnet) = (peer("zmap"), peer("masscan"), peer("pnet"));
    let figures = tell_all(&all, |series| format!("{}/s", grouped(speed(series))));
    let (goal, reached) = match tier {
        "xdp" => ("≥ 5 × the newest zmap", zmap >= 5.0),
        _ => (
            "≥ 1.3 × the newest zmap, ≥ 2 × masscan, ≥ 4 × pnet",
            zmap >= 1.3 && masscan >= 2.0 && pnet >= 4.0,
        ),
    };
    report.row(
        &format!("{} packets into a sink, tier {tier}", grouped(QUESTIONS as f64)),
        format!("{figures}: {zmap:.2} × zmap, {masscan:.2} × masscan, {pnet:.2} × pnet"),
        goal,
        reached,
    );
    if of(&all, "daicho").is_none() {
        return Ok(());
    }
    // Once more, with every packet looked at: its checksums, and whether it was there before.
    let counting = Network { distinct: true, ..sink };
    let run = ground.run(&counting, &ours, Duration::from_secs(300))?;
    // A sink answers nothing, so that each question may be asked again.
    let [asked, repeats, malformed] =
        ["syn", "repeats", "malformed"].map(|name| run.counters.get(name));
    report.row(
        &format!("distinct and well-formed packets of these, tier {tier}"),
        format!("{} distinct of {asked} sent, {malformed} malformed", asked - repeats),
        "every question was asked, none malformed",
        asked - repeats == QUESTIONS && malformed == 0,
    );
    Ok(())
}

/// Processor time at 10,000 packets a second.
pub(super) fn cpu(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Router)?;
    let network = Network { alive: 0.3, open: 0.3, ..Network::new(Place::Router) };
    let most = Duration::from_secs(120);
    let tools = vec![
        daicho(&format!(
            "{} --ports 80 --assume-alive --no-services --rate 10000 --host-rate 10000 --io raw",
            Block(16).range()
        ))?,
        zmap("198.18.0.0/16 -p80 -r10000 -T1"),
        masscan("198.18.0.0/16 -p80 --rate 10000"),
    ];
    let all = in_turn(&mut ground, &network, tools, most);
    let each = |series: &Series| {
        series.median(|run| {
            run.cost.cpu.as_secs_f64() * 10_000.0 / run.counters.get("syn").max(1) as f64
        })
    };
    let theirs = of(&all, "zmap");
    let share = ratio(of(&all, "daicho").map_or(f64::MAX, each), theirs.map_or(0.0, each));
    let figures = tell_all(&all, |series| {
        format!("{:.2} s in all, {:.4} s for 10,000 packets", series.cpu(), each(series))
    });
    report.row(
        "processor time of a /16 at one port at 10,000 packets a second",
        format!("{figures}: {share:.2} × zmap"),
        "≤ 0.2 × zmap",
        theirs.is_some() && share <= 0.2,
    );
    Ok(())
}

/// Memory for as many questions as a /8 has at one port.
pub(super) fn memory(report: &mut Report) -> Result<()> {
    const GOAL_KIB: u64 = 64 << 10;
    let mut ground = Ground::new(Place::Router)?;
    // In a namespace only 198.18.0.0/15 may be used: 2^17 addresses × 2^7 ports are the 2^24
    // questions of a /8, though not its 2^24 addresses.
    let network = Network { alive: 0.01, open: 0.01, ..Network::new(Place::Router) };
    let tool = daicho(&format!(
        "{} --ports 1-128 --assume-alive --no-services {UNBRAKED} --io raw --yes-large",
        Block(15).range()
    ))?;
    let run = ground.run(&network, &tool, Duration::from_secs(900))?;
    report.row(
        "resident memory for the 16,777,216 questions of a /8 (a /15 at 128 ports)",
        format!("{} MiB, {:.1} s", run.cost.peak_kib >> 10, run.cost.wall.as_secs_f64()),
        "≤ 64 MiB",
        run.cost.peak_kib <= GOAL_KIB,
    );
    Ok(())
}
