//! What is found, held against what is true.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;

use super::{Series, grouped, in_turn, in_turn_with, of, ratio, speed::UNBRAKED, tell_all};
use crate::{
    ground::{Ground, Run},
    measure::Report,
    tools::{Score, Tool, daicho, daicho_has, masscan, rustscan, score, zmap, zmap_is_new},
    truth::{Block, Closed, Endpoint, Network, Place},
};

const MOST: Duration = Duration::from_secs(300);

fn held(run: &Run, truth: &[Endpoint]) -> Score {
    score(&run.found.open, truth).unwrap_or(Score { recall: 0.0, wrong: 0, twice: 0 })
}

/// A /16 at 16 ports as fast as it goes, nothing lost on the way.
pub(super) fn recall(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Router)?;
    let network = Network { alive: 0.3, open: 0.25, ..Network::new(Place::Router) };
    let ports: Vec<u16> = (1..=16).collect();
    let truth = network.open_endpoints(&Block(16), &ports);
    let one_port = network.open_endpoints(&Block(16), &[16]);
    let mut tools: Vec<Tool> = Vec::new();
    for tier in ["raw", "xdp"] {
        if tier == "raw" || daicho_has("xdp")? {
            let line = "--ports 1-16 --assume-alive --no-services";
            let block = Block(16).range();
            let tool = daicho(&format!("{block} {line} {UNBRAKED} --io {tier}"))?;
            tools.push(tool.named(&format!("daicho {tier}")));
        }
    }
    let count = tools.len();
    tools.push(masscan("198.18.0.0/16 -p1-16 --rate 100000000"));
    let ports = if zmap_is_new() { "-p1-16" } else { "-p16" };
    tools.push(zmap(&format!("198.18.0.0/16 {ports} -r0 -T1")));
    let all = in_turn(&mut ground, &network, tools, MOST);
    let truth_for = |series: &Series| {
        let one = !zmap_is_new() && series.tool.name.contains("zmap");
        if one { &one_port } else { &truth }
    };
    let figures = |series: &Series| {
        let least = series.runs.iter().map(|run| held(run, truth_for(series)).recall);
        let sum = |of: fn(&Score) -> usize| -> usize {
            series.runs.iter().map(|run| of(&held(run, truth_for(series)))).sum()
        };
        format!(
            "{:.4} % at the least, {} wrong, {} twice, {} drops told, {} undelivered, {:.1} s, {} SYNs/s",
            least.fold(1.0, f64::min) * 100.0,
            sum(|score| score.wrong),
            sum(|score| score.twice),
            series.runs.iter().map(|run| run.found.drops).sum::<u64>(),
            series.runs.iter().map(|run| run.undelivered).sum::<u64>(),
            series.wall(),
            grouped(series.median(|run| run.counters.syns_per_second())),
        )
    };
    let peers = tell_all(all.get(count..).unwrap_or_default(), figures);
    for series in all.iter().take(count) {
        let sets: BTreeSet<BTreeSet<Endpoint>> =
            series.runs.iter().map(|run| run.found.open.iter().copied().collect()).collect();
        let clean = series.runs.iter().all(|run| {
            let score = held(run, &truth);
            score.recall >= 1.0
                && score.wrong + score.twice == 0
                && run.found.drops == 0
                && run.found.complete
        });
        report.row(
            &format!(
                "recall without loss at the highest rate, a /16 at 16 ports, {} open",
                truth.len()
            ),
            format!(
                "{}; {} set(s) in {} runs; {peers}",
                series.tell(figures),
                sets.len(),
                series.runs.len()
            ),
            "100 %, none wrong, none twice, no drop, complete, the same set from each seed",
            series.runs.len() > 1 && sets.len() == 1 && clean,
        );
    }
    Ok(())
}

/// A /16 at one port, 1 and 5 % of the questions lost; where most answer, and where hardly
/// anybody does. Where all did, ours would ask whether one firewall answers for them.
pub(super) fn recall_at_loss(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Router)?;
    let answering = Network { alive: 0.7, open: 0.3, ..Network::new(Place::Router) };
    let silent = Network { alive: 0.1, open: 0.9, closed: Closed::Silent, ..answering };
    for (told, network) in [("seven in ten answer", answering), ("one in ten answers", silent)] {
        for (loss, goal) in [(0.01, 0.999), (0.05, 0.995)] {
            let network = Network { loss, ..network };
            let truth = network.open_endpoints(&Block(16), &[80]);
            let tools = vec![
                daicho(&format!(
                    "{} --ports 80 --assume-alive --no-services --rate 50000 \
                     --host-rate 10000 --io raw",
                    Block(16).range()
                ))?,
                masscan("198.18.0.0/16 -p80 --rate 50000 --retries 1"),
                zmap("198.18.0.0/16 -p80 -r50000 -T1 -P2"),
                zmap("198.18.0.0/16 -p80 -r50000 -T1").named("zmap -P1"),
            ];
            let all = in_turn(&mut ground, &network, tools, MOST);
            let seen = |series: &Series| series.median(|run| held(run, &truth).recall);
            let packets = |series: &Series| series.median(|run| run.counters.asked()) as f64;
            let figures = tell_all(&all, |series| {
                format!("{:.3} % with {} packets", seen(series) * 100.0, grouped(packets(series)))
            });
            let peer = |name| of(&all, name).map_or(0.0, packets);
            let reached = of(&all, "daicho").is_some_and(|ours| {
                seen(ours) >= goal
                    && packets(ours) <= 0.6 * peer("masscan")
                    && packets(ours) <= peer("zmap")
            });
            report.row(
                &format!(
                    "recall at {} % loss, a /16 at one port, {told}, {} open",
                    loss * 100.0,
                    truth.len()
                ),
                figures,
                &format!("≥ {:.1} %, ≤ 0.6 × masscan's packets, ≤ zmap -P2's", goal * 100.0),
                reached,
            );
        }
    }
    Ok(())
}

/// Without privilege, against a kernel that really listens.
pub(super) fn connect(report: &mut Report) -> Result<()> {
    const QUESTIONS: f64 = 25_600.0;
    // Behind a router and with usual ports open: one MAC for all addresses of a link would be a
    // firewall's, and so would a network whose every address is the same and has none of these.
    let mut ground = Ground::new(Place::Router)?;
    let _listener = ground.listen("198.18.0.0/24", "4,8,16,22,64,80")?;
    let truth: Vec<Endpoint> =
        Block(24).iter().flat_map(|a| [4, 8, 16, 22, 64, 80].map(|port| (a, port))).collect();
    let line = format!("{} --ports 1-100 --no-services {UNBRAKED}", Block(24).range());
    let tools = vec![
        daicho(&format!("{line} --io connect"))?.named("daicho connect"),
        daicho(&format!("{line} --io raw"))?.named("daicho raw"),
        rustscan("-a 198.18.0.0/24 -r 1-100 -b 4500 -t 1500")?,
    ];
    let all = in_turn_with(&mut ground, tools, |ground, tool| ground.run_with_kernel(tool, MOST));
    let recall = |series: &Series| series.median(|run| held(run, &truth).recall);
    let speed = |series: &Series| ratio(QUESTIONS, series.cpu());
    let figures = tell_all(&all, |series| {
        format!(
            "{} a second of one core, {:.2} s, {} packets, {:.2} %",
            grouped(speed(series)),
            series.wall(),
            series.median(|run| run.arrived),
            recall(series) * 100.0
        )
    });
    let sets = |name: &str| -> BTreeSet<BTreeSet<Endpoint>> {
        let runs = of(&all, name).map_or(&[][..], |series| &series.runs);
        runs.iter().map(|run| run.found.open.iter().copied().collect()).collect()
    };
    let same = sets("connect").len() == 1 && sets("connect") == sets("raw");
    let reached = of(&all, "connect").zip(of(&all, "RustScan")).is_some_and(|(ours, peer)| {
        speed(ours) >= 2.0 * speed(peer) && recall(ours) >= recall(peer)
    });
    report.row(
        "connections to a /24 at 100 ports of a listening kernel, by processor time",
        format!("{figures}; the same services in both tiers: {}", if same { "yes" } else { "no" }),
        "≥ 2 × RustScan's, recall at least its, the same as the raw tier",
        reached && same,
    );
    Ok(())
}
