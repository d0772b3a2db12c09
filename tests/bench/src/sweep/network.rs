//! Whole commands on whole networks: what a user waits for.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Result;

use super::{Series, grouped, in_turn, of, ratio, speed::UNBRAKED, tell_all};
use crate::{
    ground::{Ground, Run},
    measure::Report,
    tools::{
        Tool, arp_scan, daicho, daicho_alive, daicho_has, fping, masscan, nmap, rustscan, score,
        zmap, zmap_is_new,
    },
    truth::{Block, Closed, Network, Place},
};

const MOST: Duration = Duration::from_secs(300);

/// Ours as fast as it may, each tier that it has.
fn ours(arguments: &str) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for tier in ["raw", "xdp"] {
        if daicho_has("xdp")? || tier != "xdp" {
            let line = format!("{arguments} --no-services {UNBRAKED} --io {tier}");
            tools.push(daicho(&line)?.named(&format!("daicho {tier}")));
        }
    }
    Ok(tools)
}

/// A /24 at 100 ports where everybody answers, the whole command.
pub(super) fn dense(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Link)?;
    let network = Network::new(Place::Link);
    let block = Block(24);
    let mut tools = ours(&format!("{} --ports 1-100", Block(24).range()))?;
    let count = tools.len();
    tools.push(masscan("198.18.0.0/24 -p1-100 --rate 100000"));
    // The old one knows one port: as many questions at that.
    let new = zmap_is_new();
    let questions = if new { "198.18.0.0/24 -p1-100" } else { "198.18.0.0/15 -p80 -n25600" };
    tools.push(zmap(&format!("{questions} -r100000 -T1")));
    tools.push(nmap("-sS -T5 --min-rate 5000 -p1-100 198.18.0.0/24"));
    tools.push(rustscan("-a 198.18.0.0/24 -r 1-100 -b 4500 -t 1500")?);
    let all = in_turn(&mut ground, &network, tools, MOST);
    let ports: Vec<u16> = (1..=100).collect();
    let truth = network.open_endpoints(&block, &ports);
    let recall = |run: &Run| score(&run.found.open, &truth).map_or(0.0, |score| score.recall);
    let is_other = |series: &Series| !new && series.tool.name.contains("zmap");
    let figures = tell_all(&all, |series| match is_other(series) {
        true => format!("{:.2} s (one port, as many questions)", series.wall()),
        false => format!("{:.2} s ({:.2} %)", series.wall(), series.median(recall) * 100.0),
    });
    // A peer that did not run is not beaten.
    let wall = |name| of(&all, name).map_or(0.0, Series::wall);
    for series in all.iter().take(count) {
        let (mine, seen) = (series.wall(), series.median(recall));
        let within = |name, share: f64| mine <= share * wall(name);
        report.row(
            &format!("a /24 at 100 ports, all answering, {}", series.tool.name),
            format!("{} ({} open endpoints; recall in brackets)", figures, truth.len()),
            "≤ 1/10 of masscan's and zmap's time, ≤ nmap's, ≤ 1/4 of RustScan's; recall 100 %",
            !series.runs.is_empty()
                && seen >= 1.0
                && within("masscan", 0.1)
                && within("zmap", 0.1)
                && within("nmap", 1.0)
                && within("RustScan", 0.25),
        );
    }
    Ok(())
}

/// The same where one address in twenty is alive and closed ports say nothing.
pub(super) fn sparse(report: &mut Report) -> Result<()> {
    for (place, told) in [(Place::Link, "on the link"), (Place::Router, "behind a router")] {
        let mut ground = Ground::new(place)?;
        let network =
            Network { alive: 0.05, open: 0.05, closed: Closed::Silent, ..Network::new(place) };
        let mut tools = ours(&format!("{} --ports 1-100", Block(24).range()))?;
        let count = tools.len();
        tools.push(nmap("-sS -T4 -p1-100 198.18.0.0/24"));
        let all = in_turn(&mut ground, &network, tools, MOST);
        let ports: Vec<u16> = (1..=100).collect();
        let truth = network.open_endpoints(&Block(24), &ports);
        let recall = |run: &Run| score(&run.found.open, &truth).map_or(0.0, |score| score.recall);
        let figures = tell_all(&all, |series| {
            format!("{:.2} s ({:.2} %)", series.wall(), series.median(recall) * 100.0)
        });
        let peer = of(&all, "nmap");
        let (wall, seen) = peer.map_or((0.0, 1.0), |peer| (peer.wall(), peer.median(recall)));
        for series in all.iter().take(count) {
            report.row(
                &format!("a /24 at 100 ports, one in 20 alive, {told}, {}", series.tool.name),
                format!("{figures} ({} open endpoints; recall in brackets)", truth.len()),
                "≤ 1/4 of nmap's time, recall at least its",
                !series.runs.is_empty()
                    && series.wall() <= 0.25 * wall
                    && series.median(recall) >= seen,
            );
        }
    }
    Ok(())
}

/// Who is alive in a /16 on the link, by ARP.
pub(super) fn arp(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Link)?;
    let network = Network::new(Place::Link);
    let tools = vec![
        daicho_alive(&format!("{} --discover arp --io raw {UNBRAKED}", WIDE.range()))?,
        arp_scan(&format!("{WIDE} --bandwidth=100000000")).named("arp-scan at 100 Mbit/s"),
        // At its default a /16 takes two minutes: a sixteenth of it tells its speed.
        arp_scan(&SMALL.to_string()).named("arp-scan by default (a /20)"),
    ];
    let all = in_turn(&mut ground, &network, tools, MOST);
    let peers = [("by default", 50.0), ("100 Mbit", 1.0)];
    let goal = "≥ 50 × arp-scan by default, ≥ 1 × at 100 Mbit/s, recall at least its";
    liveness(report, "a /16 on the link by ARP", goal, &network, &all, &peers);
    Ok(())
}

/// Who is alive in a /16 behind a router, by ICMP echo. Where nine in ten answer, nmap is
/// quick; fping takes its millisecond for each in any case.
pub(super) fn icmp(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Router)?;
    for (told, alive) in [("half", 0.5), ("nine in ten", 0.9)] {
        let network = Network { alive, ..Network::new(Place::Router) };
        let tools = vec![
            daicho_alive(&format!("{} --discover echo --io raw {UNBRAKED}", WIDE.range()))?,
            fping(&format!("-i1 -r1 -g {WIDE}")),
            nmap(&format!("-sn -PE -T5 {WIDE}")),
        ];
        let all = in_turn(&mut ground, &network, tools, MOST);
        let goal = "≥ 10 × fping, ≥ 2 × nmap -sn -PE -T5, recall at least theirs";
        let peers = [("fping", 10.0), ("nmap", 2.0)];
        let what = format!("a /16 behind a router by echo, {told} of it alive");
        liveness(report, &what, goal, &network, &all, &peers);
    }
    Ok(())
}

const WIDE: Block = Block(16);
const SMALL: Block = Block(20);

/// A row of addresses a second and recall, against so many times the speed of those peers.
fn liveness(
    report: &mut Report,
    what: &str,
    goal: &str,
    network: &Network,
    all: &[Series],
    peers: &[(&str, f64)],
) {
    let block = |series: &Series| if series.tool.name.contains("/20") { SMALL } else { WIDE };
    let truth = |block: Block| -> Vec<Ipv4Addr> {
        block.iter().filter(|address| network.is_alive(*address)).collect()
    };
    let (wide, small) = (truth(WIDE), truth(SMALL));
    let truth = |series: &Series| if block(series).0 == SMALL.0 { &small } else { &wide };
    let speed = |series: &Series| ratio(f64::from(block(series).len()), series.wall());
    let recall = |series: &Series| {
        series.median(|run| score(&run.found.alive, truth(series)).map_or(0.0, |s| s.recall))
    };
    let figures = tell_all(all, |series| {
        format!("{} addresses/s ({:.3} %)", grouped(speed(series)), recall(series) * 100.0)
    });
    let reached = of(all, "daicho").is_some_and(|ours| {
        peers.iter().all(|(name, times)| {
            of(all, name).is_some_and(|peer| {
                speed(ours) >= times * speed(peer) && recall(ours) >= recall(peer)
            })
        })
    });
    report.row(what, format!("{figures} (recall in brackets)"), goal, reached);
}
