//! The scanners that are measured: how each is called, and how what it prints is read.

use std::{collections::BTreeSet, net::Ipv4Addr, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::truth::{AWAY, Endpoint, SCANNER};

/// What a scanner says it found, in its order and with what it says twice.
#[derive(Clone, Default)]
pub(crate) struct Found {
    pub(crate) open: Vec<Endpoint>,
    pub(crate) alive: Vec<Ipv4Addr>,
    /// Packets that it says it lost, and whether it says that it did all. Peers do not say.
    pub(crate) drops: u64,
    pub(crate) complete: bool,
    /// Why it says that a part was not looked at.
    pub(crate) gaps: Vec<String>,
    /// Who it says answers only so many packets a second.
    pub(crate) limits: Vec<String>,
}

/// One way of calling a scanner.
#[derive(Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) line: Vec<String>,
    pub(crate) read: fn(&str) -> Result<Found>,
    /// Exit codes that are no failure.
    pub(crate) codes: &'static [i32],
    /// It does not end on a silent wire.
    pub(crate) needs_noise: bool,
}

impl Tool {
    fn new(name: &str, line: &str, read: fn(&str) -> Result<Found>) -> Self {
        let line = line.split_whitespace().map(str::to_owned).collect();
        Self { name: name.to_owned(), line, read, codes: &[0], needs_noise: false }
    }

    /// The same under another name in the table.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }
}

/// The product's binary, built beside this one.
pub(crate) fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("no folder")?.join("daicho");
    ensure!(path.exists(), "{} is not there: cargo build --release first", path.display());
    Ok(path)
}

/// `daicho sweep` with these arguments.
pub(crate) fn daicho(arguments: &str) -> Result<Tool> {
    let path = program()?;
    let line = format!("{} sweep {arguments} --interface eth0 --format json", path.display());
    Ok(Tool::new("daicho", &line, read_daicho))
}

/// The same, finding who is alive and asking no ports.
pub(crate) fn daicho_alive(arguments: &str) -> Result<Tool> {
    daicho(&format!("{arguments} --ports none --no-services"))
}

/// Whether the product has that option, or that value of one, as its help says.
pub(crate) fn daicho_has(word: &str) -> Result<bool> {
    let output = Command::new(program()?).args(["sweep", "--help"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).contains(word))
}

/// masscan without its wait at the end; it always waits a second at the start.
pub(crate) fn masscan(arguments: &str) -> Tool {
    let router = crate::ground::FAR_MAC;
    let line = format!(
        "masscan {arguments} --interface eth0 --router-mac {router} --open-only -oL /dev/stdout"
    );
    Tool { needs_noise: true, ..Tool::new("masscan", &line, read_masscan) }
}

/// zmap: the one that `ZMAP` names, or the system's.
pub(crate) fn zmap(arguments: &str) -> Tool {
    let path = std::env::var("ZMAP").unwrap_or_else(|_| "zmap".into());
    let router = crate::ground::FAR_MAC;
    // Its default list of networks that it must not touch has the one for benchmarks.
    let line = format!(
        "{path} {arguments} -b /dev/null -G {router} -i eth0 -q -v 0 -O csv -f saddr,sport -o - \
         --output-filter=success=1&&repeat=0"
    );
    Tool::new(if zmap_is_new() { "newest zmap" } else { "zmap 2.1" }, &line, read_pairs)
}

/// Whether zmap can ask several ports: the fourth version learned it.
pub(crate) fn zmap_is_new() -> bool {
    let path = std::env::var("ZMAP").unwrap_or_else(|_| "zmap".into());
    let output = Command::new(path).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let digit = text.unwrap_or_default().chars().find(char::is_ascii_digit);
    digit.is_some_and(|digit| digit >= '4')
}

pub(crate) fn nmap(arguments: &str) -> Tool {
    Tool::new("nmap", &format!("nmap -n {arguments} -oG -"), read_nmap)
}

pub(crate) fn rustscan(arguments: &str) -> Result<Tool> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().find(|folder| folder.ends_with("target"));
    let path = target.context("not in target")?.join("tools/bin/rustscan");
    ensure!(path.exists(), "RustScan is not there: tests/bench/install");
    let path = path.display();
    let line = format!("{path} --no-config --no-banner -g --ulimit 20000 {arguments}");
    Ok(Tool::new("RustScan", &line, read_rustscan))
}

pub(crate) fn arp_scan(arguments: &str) -> Tool {
    Tool::new("arp-scan", &format!("arp-scan -I eth0 -q -x -N {arguments}"), read_first_words)
}

pub(crate) fn fping(arguments: &str) -> Tool {
    let tool = Tool::new("fping", &format!("fping -a -q {arguments}"), read_first_words);
    // 1: some address did not answer.
    Tool { codes: &[0, 1], ..tool }
}

/// A mode of this program.
pub(crate) fn own(arguments: &str) -> Result<Tool> {
    let path = std::env::current_exe()?;
    let line = format!("{} {arguments}", path.display());
    Ok(Tool::new("pnet loop", &line, |_| Ok(Found::default())))
}

fn read_daicho(text: &str) -> Result<Found> {
    let result: Value = serde_json::from_str(text)?;
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Found {
        drops: result["scan"]["drops"].as_u64().context("no drops")?,
        complete: result["scan"]["complete"].as_bool().context("no complete")?,
        gaps: each(&result["scan"]["gaps"]).iter().map(|gap| gap["reason"].to_string()).collect(),
        limits: each(&result["scan"]["rate_limited"]).iter().map(ToString::to_string).collect(),
        ..Found::default()
    };
    for asset in each(&result["assets"]) {
        for address in each(&asset["addresses"]) {
            let address: Ipv4Addr = address.as_str().context("no address")?.parse()?;
            // The scanner itself is an asset of its network, too.
            if address != SCANNER && address != AWAY {
                found.alive.push(address);
            }
        }
        for service in each(&asset["services"]) {
            if service["state"] == "open" && service["transport"] == "tcp" {
                let address = service["address"].as_str().context("no address")?.parse()?;
                found
                    .open
                    .push((address, service["port"].as_u64().context("no port")?.try_into()?));
            }
        }
    }
    Ok(found)
}

/// `open tcp 80 198.18.0.1 1795717296`
fn read_masscan(text: &str) -> Result<Found> {
    let mut found = Found::default();
    for line in text.lines() {
        if let ["open", "tcp", port, address, ..] = line.split(' ').collect::<Vec<_>>()[..] {
            found.open.push((address.parse()?, port.parse()?));
        }
    }
    Ok(found)
}

/// `198.18.0.1,80`, with a line of names above.
fn read_pairs(text: &str) -> Result<Found> {
    let mut found = Found::default();
    for (address, port) in text.lines().filter_map(|line| line.split_once(',')) {
        if let Ok(address) = address.parse() {
            found.open.push((address, port.trim().parse()?));
        }
    }
    Ok(found)
}

/// `Host: 198.18.0.1 ()\tPorts: 22/open/tcp//ssh///, 23/closed/tcp//telnet///`
fn read_nmap(text: &str) -> Result<Found> {
    let mut found = Found::default();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("Host: ") else { continue };
        let (address, rest) = rest.split_once(' ').context("no address")?;
        let address: Ipv4Addr = address.parse()?;
        if rest.contains("Status: Up") {
            found.alive.push(address);
        }
        let ports = rest.split('\t').find_map(|part| part.strip_prefix("Ports: "));
        for port in ports.into_iter().flat_map(|ports| ports.split(", ")) {
            if let [port, "open", "tcp", ..] = port.split('/').collect::<Vec<_>>()[..] {
                found.open.push((address, port.parse()?));
            }
        }
    }
    Ok(found)
}

/// `198.18.0.1 -> [22,80]`
fn read_rustscan(text: &str) -> Result<Found> {
    let mut found = Found::default();
    for (address, ports) in text.lines().filter_map(|line| line.split_once(" -> ")) {
        let Ok(address) = address.trim().parse() else { continue };
        for port in ports.trim_matches(['[', ']', ' ']).split(',') {
            found.open.push((address, port.trim().parse()?));
        }
    }
    Ok(found)
}

/// Lines that begin with an address.
fn read_first_words(text: &str) -> Result<Found> {
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    let alive = words.filter_map(|word| word.parse().ok()).collect();
    Ok(Found { alive, ..Found::default() })
}

/// What was found of what is true.
pub(crate) struct Score {
    /// The share of the truth, 0 to 1.
    pub(crate) recall: f64,
    /// Said, and not true.
    pub(crate) wrong: usize,
    /// Said more than once.
    pub(crate) twice: usize,
}

/// Holds what was said against what is true.
pub(crate) fn score<T: Ord + Copy>(said: &[T], truth: &[T]) -> Result<Score> {
    if truth.is_empty() {
        bail!("nothing is true of this network");
    }
    let truth: BTreeSet<T> = truth.iter().copied().collect();
    let unique: BTreeSet<T> = said.iter().copied().collect();
    let right = unique.intersection(&truth).count();
    Ok(Score {
        recall: right as f64 / truth.len() as f64,
        wrong: unique.len() - right,
        twice: said.len() - unique.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

    #[test]
    fn every_tool_is_read_as_it_prints() {
        let masscan = read_masscan("#masscan\nopen tcp 80 198.18.0.1 1795717296\n# end\n");
        assert_eq!(masscan.unwrap().open, [(HOST, 80)]);
        assert_eq!(read_pairs("saddr,sport\n198.18.0.1,80\n").unwrap().open, [(HOST, 80)]);
        let nmap = read_nmap(
            "# Nmap\nHost: 198.18.0.1 ()\tStatus: Up\n\
             Host: 198.18.0.1 ()\tPorts: 22/closed/tcp//ssh///, 80/open/tcp//http///\tIgnored\n",
        )
        .unwrap();
        assert_eq!((nmap.alive, nmap.open), (vec![HOST], vec![(HOST, 80)]));
        let rustscan = read_rustscan("198.18.0.1 -> [22,80]\n").unwrap();
        assert_eq!(rustscan.open, [(HOST, 22), (HOST, 80)]);
        assert_eq!(read_first_words("198.18.0.1\t02:00:5e:12:00:01\n").unwrap().alive, [HOST]);
        let daicho = read_daicho(
            r#"{"scan": {"drops": 2, "complete": false, "gaps": [{"reason": "limit"}]},
                "assets": [{"addresses": ["198.18.0.1"], "services": [
                    {"address": "198.18.0.1", "port": 80, "transport": "tcp", "state": "open"},
                    {"address": "198.18.0.1", "port": 81, "transport": "tcp", "state": "closed"}]}]}"#,
        )
        .unwrap();
        assert_eq!((daicho.open, daicho.alive), (vec![(HOST, 80)], vec![HOST]));
        assert_eq!((daicho.drops, daicho.complete, daicho.gaps.len()), (2, false, 1));
    }

    #[test]
    fn a_score_tells_what_is_missing_wrong_and_said_twice() {
        let score = score(&[1, 1, 2, 9], &[1, 2, 3, 4]).unwrap();
        assert!((score.recall - 0.5).abs() < f64::EPSILON);
        assert_eq!((score.wrong, score.twice), (1, 1));
    }
}
