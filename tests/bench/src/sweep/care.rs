//! What is done to the assets: caps, limits, fragile devices, and time at default rates.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};

use super::{in_turn, tell_all};
use crate::{
    ground::Ground,
    measure::Report,
    tools::{daicho, daicho_alive, daicho_has, masscan, nmap, score},
    truth::{Block, Network, Place},
};

const MOST: Duration = Duration::from_secs(300);

/// No second in which an asset gets more than its cap, by the far end's clock.
pub(super) fn caps(report: &mut Report) -> Result<()> {
    const CAP: u64 = 40;
    for place in [Place::Link, Place::Router] {
        let mut ground = Ground::new(place)?;
        let network = Network { alive: 0.5, open: 0.1, watch: true, ..Network::new(place) };
        let tool = daicho(&format!(
            "{} --ports 1001-1150 --no-services --rate 100000 --host-rate {CAP} --io raw",
            Block(25).range()
        ))?;
        let all = in_turn(&mut ground, &network, vec![tool], MOST);
        let most = |name: &str| {
            let peaks = all.iter().flat_map(|series| &series.runs);
            peaks.map(|run| run.counters.get(name)).max()
        };
        let figures = tell_all(&all, |series| {
            format!(
                "at most {} questions, {} packets with the kernel's resets, {:.1} s",
                most("peak_asked").unwrap_or_default(),
                most("peak").unwrap_or_default(),
                series.wall()
            )
        });
        let told = if place == Place::Link { "on the link" } else { "behind a router" };
        report.row(
            &format!("most to one asset in any one second, cap {CAP}, {told}"),
            figures,
            &format!("≤ {CAP}"),
            most("peak_asked").is_some_and(|peak| peak > 0 && peak <= CAP),
        );
    }
    Ok(())
}

/// An asset that gives 100 answers a second, whatever is asked.
pub(super) fn rate_limited(report: &mut Report) -> Result<()> {
    const LIMIT: u32 = 100;
    const ASSET: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);
    let mut ground = Ground::new(Place::Router)?;
    let network = Network { limit: LIMIT, open: 0.2, ..Network::new(Place::Router) };
    let ports: Vec<u16> = (1..=1000).collect();
    let mut truth = network.open_endpoints(&Block(28), &ports);
    truth.retain(|(address, _)| *address == ASSET);
    let tool = daicho(&format!(
        "{ASSET} --ports 1-1000 --no-services --rate 100000 --host-rate 1000 --io raw"
    ))?;
    let (run, seconds) = ground.run_watching(&network, &tool, MOST, |maps| maps.seconds(ASSET))?;
    let busy: Vec<u64> = seconds.into_iter().take_while(|count| *count > 0).collect();
    // The last second is a part of one.
    let settled = busy.get(3..busy.len().saturating_sub(1)).unwrap_or_default();
    let pace = settled.iter().sum::<u64>() as f64 / settled.len().max(1) as f64;
    let seen = score(&run.found.open, &truth)?;
    let limit = f64::from(LIMIT);
    report.row(
        "an asset that answers 100 times a second, asked 1,000 ports at 1,000 a second",
        format!(
            "{pace:.0} packets a second after three seconds (each second: {busy:?}), \
             {:.2} % of {} open ports, {:.1} s, {} not answered; told: {}",
            seen.recall * 100.0,
            truth.len(),
            run.cost.wall.as_secs_f64(),
            run.counters.get("limited"),
            [run.found.limits, run.found.gaps].concat().join(", "),
        ),
        "within a factor of 1.2 of 100 after 3 s (or done by then), recall ≥ 99 %",
        seen.recall >= 0.99 && (settled.is_empty() || (limit / 1.2..=limit * 1.2).contains(&pace)),
    );
    Ok(())
}

/// Assets that die for good after more than ten packets in one second.
pub(super) fn fragile(report: &mut Report) -> Result<()> {
    let mut ground = Ground::new(Place::Link)?;
    let network = Network { fragile: 0.25, open: 0.05, ..Network::new(Place::Link) };
    let fragile = Block(26).iter().filter(|address| network.is_fragile(*address)).count();
    let ports = "1-20,102,502,9100,44818,47808";
    let ours = |profile: &str| {
        let line = format!("{} --ports {ports} --no-services --io raw", Block(26).range());
        Ok::<_, anyhow::Error>(
            daicho(&format!("{line} --profile {profile}"))?.named(&format!("daicho {profile}")),
        )
    };
    let tools = vec![
        ours("ot")?,
        ours("normal")?,
        masscan(&format!("198.18.0.0/26 -p{ports} --rate 10000")),
        nmap(&format!("-sS -T4 -p{ports} 198.18.0.0/26")),
    ];
    let all = in_turn(&mut ground, &network, tools, MOST);
    let deaths = |series: &super::Series| {
        series.runs.iter().map(|run| run.counters.get("deaths")).max().unwrap_or(u64::MAX)
    };
    let figures = tell_all(&all, |series| {
        format!("{} dead at the most, {:.1} s", deaths(series), series.wall())
    });
    report.row(
        &format!("of {fragile} fragile assets (more than 10 packets in a second) die"),
        figures,
        "none under ot, none under normal",
        fragile > 0 && all.iter().take(2).all(|series| deaths(series) == 0),
    );
    Ok(())
}

/// Who is alive, at the default rate.
fn liveness(report: &mut Report, wide: Block, most: u64) -> Result<()> {
    ensure!(daicho_has("--discover")?, "this build cannot ask for liveness only");
    for (place, told) in [(Place::Link, "on the link"), (Place::Router, "behind a router")] {
        let mut ground = Ground::new(place)?;
        let network = Network { alive: 0.1, open: 0.1, ..Network::new(place) };
        let tool = daicho_alive(&format!("{} --io raw", wide.range()))?;
        let run = ground.run(&network, &tool, Duration::from_secs(2 * most))?;
        let truth: Vec<_> = wide.iter().filter(|address| network.is_alive(*address)).collect();
        let seen = score(&run.found.alive, &truth)?;
        let wall = run.cost.wall.as_secs_f64();
        report.row(
            &format!("who is alive in a /{}, {told}, default rate", wide.0),
            format!("{wall:.1} s, {:.2} % of {}", seen.recall * 100.0, truth.len()),
            &format!("< {most} s, all"),
            wall < most as f64 && seen.recall >= 1.0,
        );
    }
    Ok(())
}

pub(super) fn liveness24(report: &mut Report) -> Result<()> {
    liveness(report, Block(24), 10)
}

pub(super) fn liveness16(report: &mut Report) -> Result<()> {
    liveness(report, Block(16), 600)
}
