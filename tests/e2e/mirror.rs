//! Listening at a mirror port of the lab while real clients talk with its servers: without one
//! packet sent, then with questions to what is heard, and one inventory whichever way it was filled.
//! Called by the test of the lab, so that the lab starts once.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lab::{Asset, Lab, Mirror};
use serde_json::Value;

use crate::{
    before_tls::{fingerprint, is_served},
    home::{Home, Run},
    lab::{Claims, at, check_asset, service, sweep, texts},
};

/// The longest that is waited for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What may be asked: all servers, but for those that nobody spoke with, and one that is excluded.
const TARGETS: [&str; 2] = ["198.18.0.10-198.18.0.30", "198.18.0.41-198.18.0.44"];
const EXCLUDED: &str = "198.18.0.14";
/// The same for the kernel's own filter.
const ASKED: [&str; 3] =
    ["198.18.0.10-198.18.0.13", "198.18.0.15-198.18.0.30", "198.18.0.41-198.18.0.44"];

/// Whose product a conversation between others does not show, because it stands in what they say
/// to each other: a message that was subscribed to, entries of a directory, the reason of a refusal
/// that proxies give as well.
const UNTOLD: [&str; 3] = ["mosquitto", "slapd", "postgresql"];

/// A watch that is under way, its words in a file.
struct Watch<'a> {
    home: &'a Home,
    child: Child,
}

impl<'a> Watch<'a> {
    fn begin(mirror: &Mirror, home: &'a Home, more: &[&str], windows: &str) -> Self {
        let before = mirror.listeners().unwrap();
        let line = ["--format", "json", "watch", "--interface", Mirror::LISTENS];
        let child = home
            .command_at(mirror, &[&line, more].concat())
            .env("DAICHO_SCOPE_WINDOWS", windows)
            .stdout(Stdio::piped())
            .stderr(File::create(home.path("watch.log")).unwrap())
            .spawn()
            .unwrap();
        let watch = Self { home, child };
        let listens = wait_until(|| mirror.listeners().unwrap() > before);
        assert!(listens, "{}", watch.log());
        watch
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path("watch.log")).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }

    /// How many requests were asked by now, and how many wait, as it says when it is asked.
    fn asked(&self) -> Option<(usize, usize)> {
        self.signal("-USR1");
        thread::sleep(Duration::from_millis(500));
        let log = self.log();
        let line = log.lines().rev().find_map(|line| line.split_once("; asked "))?.1;
        let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let mut number = || numbers.next()?.parse().ok();
        let (asked, _, waiting) = (number()?, number()?, number()?);
        Some((asked, waiting))
    }

    /// What it heard, and its last line, once it was asked to end.
    fn wait_with_line(self) -> (Value, String) {
        let home = self.home;
        let result = self.wait();
        let log = fs::read_to_string(home.path("watch.log")).unwrap();
        let line = log.lines().rev().find(|line| line.contains("heard ")).unwrap_or_default();
        (result, line.to_owned())
    }

    fn end(self) -> Value {
        self.signal("-TERM");
        self.wait()
    }

    fn wait(self) -> Value {
        let output = self.child.wait_with_output().unwrap();
        let stderr = fs::read_to_string(self.home.path("watch.log")).unwrap();
        Run { stderr, ..Run::of(output) }.json()
    }
}

/// Waits for that, and says whether it came.
fn wait_until(mut is: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Those with whom the client talks, or tries to.
fn spoke(lab: &Lab) -> impl Iterator<Item = &Asset> {
    lab.assets().iter().filter(|asset| asset.name() != "firewall")
}

pub(crate) fn check(lab: &Lab, claims: &mut Claims, swept: &Home) {
    let mirror = lab.mirror().unwrap();
    let heard = Home::new();
    let before = swept.json(&["assets"]);
    listen(lab, &mirror, claims, swept, &heard);
    listening_after_a_sweep_adds_nobody(lab, claims, swept, &before);
    sweeping_after_a_watch_adds_nobody(lab, claims, &heard);
    ask(lab, &mirror, claims);
}

/// A window that is not open today.
fn closed_window() -> &'static str {
    let today = Command::new("date").arg("+%u").output().unwrap().stdout;
    if today.starts_with(b"1") { "Thu 03:00-03:01" } else { "Mon 03:00-03:01" }
}

/// Four watches at once: one fills a new inventory, another one that a sweep filled, one that would
/// ask waits for its window, and one listens with two readers and tells what one alone tells.
fn listen(lab: &Lab, mirror: &Mirror, claims: &mut Claims, swept: &Home, heard: &Home) {
    let sent = mirror.packets_sent().unwrap();
    let watches = [swept, heard].map(|home| Watch::begin(mirror, home, &[], ""));
    let patient = Home::new();
    let ask = [&["--ask"], &TARGETS[..]].concat();
    let waiting = Watch::begin(mirror, &patient, &ask, closed_window());
    let two = Home::new();
    let by_two = Watch::begin(mirror, &two, &["--readers", "2"], "");
    mirror.use_services().unwrap();
    // A block of the ring is handed over within a moment.
    thread::sleep(Duration::from_millis(300));
    let [swept, heard] = watches;
    // Both at one moment, since systems speak of themselves at any.
    [&heard, &by_two].into_iter().for_each(|watch| watch.signal("-TERM"));
    let (result, (of_two, line)) = (heard.wait(), by_two.wait_with_line());
    swept.end();
    let waited = waiting.end();
    check_two_readers(claims, [&result, &of_two], &line);
    let now = mirror.packets_sent().unwrap();
    claims.claim(sent == now, || format!("heard: {sent:?} packets were sent before, {now:?} now"));
    let scan = &waited["scan"];
    let gap = scan["gaps"][0].to_string();
    claims.claim(gap.contains("not asked before the end") && scan["probes_sent"] == 0, || {
        format!("closed window: {scan}")
    });
    let scan = &result["scan"];
    claims
        .claim(scan["complete"] == true && scan["probes_sent"] == 0 && scan["drops"] == 0, || {
            format!("heard: the scan says {scan}")
        });
    for truth in spoke(lab) {
        check_heard(claims, truth, &result["assets"]);
    }
    // The machine asked for a ticket in its own name.
    let client = at(&result["assets"], Mirror::CLIENT);
    claims.claim(client.is_some_and(|client| texts(&client["names"]).contains(&"pc-7")), || {
        format!("heard: the client has not told its name: {client:?}")
    });
    check_nobody_else(lab, claims, "heard", &result["assets"]);
}

/// One reader and two that share the interface tell of the same assets and services; both of the two
/// heard something.
fn check_two_readers(claims: &mut Claims, [one, two]: [&Value; 2], line: &str) {
    let told = |result: &Value| -> BTreeSet<String> {
        let assets = result["assets"].as_array().unwrap();
        let of = |asset: &Value| {
            let services = asset["services"].as_array().unwrap();
            let services: BTreeSet<String> = services
                .iter()
                .map(|s| {
                    let [address, port, protocol] = ["address", "port", "protocol"].map(|k| &s[k]);
                    format!("{address} {port} {protocol} {} {}", s["product"], s["version"])
                })
                .collect();
            // Systems make themselves known at link-local addresses when they like.
            let addresses = texts(&asset["addresses"]);
            let addresses: Vec<_> = addresses.iter().filter(|a| !a.starts_with("fe80:")).collect();
            format!("{} {addresses:?} {} {services:?}", asset["macs"], asset["names"])
        };
        assets.iter().map(of).collect()
    };
    let (one, two) = (told(one), told(two));
    claims.claim(one == two, || {
        let only = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect::<Vec<_>>();
        format!(
            "two readers: {:?} only by one, {:?} only by two",
            only(&one, &two),
            only(&two, &one)
        )
    });
    let shares =
        line.rsplit("; ").next().and_then(|part| part.strip_suffix(" frames by 2 readers"));
    let both = shares.and_then(|shares| shares.split_once(" + ")).is_some_and(|(a, b)| {
        [a, b].iter().all(|count| count.parse::<u64>().is_ok_and(|count| count > 0))
    });
    claims.claim(both, || format!("two readers: {line}"));
}

/// What the client's conversations show of a server, to whoever hears them.
fn check_heard(claims: &mut Claims, truth: &Asset, assets: &Value) {
    let (name, address) = (truth.name(), truth.address());
    let Some(asset) = at(assets, address) else {
        return claims.claim(false, || format!("heard: {name} at {address} was not found"));
    };
    let macs = texts(&asset["macs"]);
    claims.claim(macs == [truth.mac()], || format!("heard: {name} has {macs:?}"));
    for wanted in truth.services() {
        let port = wanted.port;
        let Some(found) = service(asset, wanted, address) else {
            claims.claim(false, || format!("heard: {name}:{port} is not among {asset}"));
            continue;
        };
        claims.claim(found["state"] == "open", || format!("heard: {name}:{port}: {found}"));
        // Who encrypts from the first byte on shows no more than that.
        if wanted.tls {
            claims.claim(!found["tls_server"].is_null(), || format!("heard: {name}: {found}"));
            continue;
        }
        claims.claim(found["protocol"] == wanted.protocol, || {
            format!("heard: {name}:{port} is no {}: {found}", wanted.protocol)
        });
        if UNTOLD.contains(&name) {
            continue;
        }
        if let Some(product) = wanted.product {
            claims.claim(found["product"] == product, || {
                format!("heard: {name}:{port} is no {product}: {found}")
            });
        }
        if let Some(version) = wanted.version() {
            claims.claim(found["version"] == version, || {
                format!("heard: {name}:{port} has not version {version}: {found}")
            });
        }
    }
}

/// Every asset is one of the lab's, by its addresses and hardware addresses, and none of them is
/// there twice.
fn check_nobody_else(lab: &Lab, claims: &mut Claims, what: &str, assets: &Value) {
    let assets_of_the_lab = lab.assets().iter().map(|truth| (truth.address(), truth.mac()));
    let known: Vec<(String, &str)> = assets_of_the_lab
        .chain([
            (Mirror::CLIENT, Mirror::CLIENT_MAC),
            (Mirror::SENSOR, Mirror::SENSOR_MAC),
            (Lab::SCANNER, Lab::SCANNER_MAC),
        ])
        .flat_map(|(address, mac)| {
            let (_, number) = address.rsplit_once('.').unwrap();
            [(address.to_owned(), mac), (format!("2001:db8::{number}"), mac)]
        })
        .collect();
    let mut seen = BTreeSet::new();
    for asset in assets.as_array().into_iter().flatten() {
        let addresses = texts(&asset["addresses"]);
        let by_address = known.iter().filter(|(address, _)| addresses.contains(&address.as_str()));
        let macs: BTreeSet<&str> =
            by_address.map(|(_, mac)| *mac).chain(texts(&asset["macs"])).collect();
        let one = macs.len() == 1 && macs.iter().all(|mac| known.iter().any(|(_, m)| m == mac));
        claims.claim(one, || format!("{what}: nobody of ours: {asset}"));
        claims.claim(macs.iter().all(|mac| seen.insert((*mac).to_owned())), || {
            format!("{what}: a second one: {asset}")
        });
    }
}

/// By which id each is known.
fn ids(lab: &Lab, assets: &Value) -> Vec<(&'static str, Option<Value>)> {
    let id = |truth: &Asset| at(assets, truth.address()).map(|asset| asset["id"].clone());
    spoke(lab).map(|truth| (truth.name(), id(truth))).collect()
}

fn listening_after_a_sweep_adds_nobody(
    lab: &Lab,
    claims: &mut Claims,
    home: &Home,
    before: &Value,
) {
    let after = home.json(&["assets"]);
    let (was, is) = (ids(lab, before), ids(lab, &after));
    claims.claim(was == is, || format!("sweep, watch: ids were {was:?} and are {is:?}"));
    check_joined(lab, claims, "sweep, watch", &after);
    let client = at(&after, Mirror::CLIENT);
    claims.claim(client.is_some(), || format!("sweep, watch: no client in {after}"));
    let [was, is] = [before, &after].map(|assets| assets.as_array().map_or(0, Vec::len));
    claims.claim(is == was + 1, || format!("sweep, watch: {was} assets were there, {is} are"));
}

fn sweeping_after_a_watch_adds_nobody(lab: &Lab, claims: &mut Claims, home: &Home) {
    let before = home.json(&["assets"]);
    let targets: Vec<&str> = spoke(lab).map(Asset::address).collect();
    // No more ports than there are services, so that it is over soon.
    let ports: BTreeSet<String> = spoke(lab)
        .flat_map(Asset::services)
        .map(|service| match service.transport {
            lab::Transport::Tcp => service.port.to_string(),
            lab::Transport::Udp => format!("u:{}", service.port),
        })
        .collect();
    let ports = ports.into_iter().collect::<Vec<_>>().join(",");
    let options = ["--ports", &ports, "--io", "raw", "--host-rate", "200"];
    let result = sweep(lab, home, &[&targets[..], &options].concat());
    let after = home.json(&["assets"]);
    let (was, is) = (ids(lab, &before), ids(lab, &after));
    claims.claim(was == is, || format!("watch, sweep: ids were {was:?} and are {is:?}"));
    let seen = result["assets"].as_array().map(Vec::len);
    claims.claim(seen == Some(targets.len()), || format!("watch, sweep: it saw {seen:?} assets"));
    for truth in spoke(lab) {
        check_asset(claims, "watch, sweep", truth, &after);
    }
    check_joined(lab, claims, "watch, sweep", &after);
    let [was, is] = [&before, &after].map(|assets| assets.as_array().map_or(0, Vec::len));
    claims.claim(is == was, || format!("watch, sweep: {was} assets were there, {is} are"));
}

/// Each is there once, with its one hardware address and what was told of it by both ways.
fn check_joined(lab: &Lab, claims: &mut Claims, what: &str, assets: &Value) {
    check_nobody_else(lab, claims, what, assets);
    for truth in spoke(lab) {
        let Some(asset) = at(assets, truth.address()) else { continue };
        let macs = texts(&asset["macs"]);
        let name = truth.name();
        claims.claim(macs == [truth.mac()], || format!("{what}: {name} has {macs:?}"));
    }
    // The client used these by IPv6 as well.
    for (name, address) in [("openssh", "2001:db8::10"), ("lighttpd", "2001:db8::14")] {
        let first = lab.asset(name).and_then(|truth| at(assets, truth.address()));
        let second = at(assets, address);
        claims.claim(second.is_some() && first == second, || {
            format!("{what}: {address} is not {name}'s: {first:?}, {second:?}")
        });
    }
}

/// With questions to what is heard: everything that a sweep would tell, from the targets alone.
fn ask(lab: &Lab, mirror: &Mirror, claims: &mut Claims) {
    let home = Home::new();
    let [listening, _] = mirror.packets_sent().unwrap();
    mirror.count_packets(&ASKED).unwrap();
    let options = ["--exclude", EXCLUDED, "--ask"];
    let watch = Watch::begin(mirror, &home, &[&options[..], &TARGETS].concat(), "");
    mirror.use_services().unwrap();
    let targets = || {
        let asked = |truth: &&Asset| !matches!(truth.name(), "silent" | "lighttpd");
        spoke(lab).filter(asked)
    };
    let endpoints: usize = targets().map(|truth| truth.services().len()).sum();
    let is_over = |(asked, waiting)| asked >= endpoints && waiting == 0;
    let over = wait_until(|| watch.asked().is_some_and(is_over));
    let log = watch.log();
    let line = log.lines().last().unwrap_or_default();
    claims.claim(over, || format!("asked: {endpoints} endpoints were to be asked: {line}"));
    let result = watch.end();

    let [to_targets, to_others] = mirror.packets_counted().unwrap();
    claims.claim(to_targets > 0 && to_others == 0, || {
        format!("asked: {to_targets} packets went to targets, {to_others} to others")
    });
    let [now, _] = mirror.packets_sent().unwrap();
    claims.claim(listening == now, || "asked: the interface that listens sent something".into());
    let scan = &result["scan"];
    let answered = scan["replies"].as_u64().and_then(|replies| usize::try_from(replies).ok());
    claims.claim(scan["probes_sent"].as_u64() > Some(0) && answered >= Some(endpoints), || {
        format!("asked: {endpoints} endpoints, and the scan says {scan}")
    });
    for truth in targets() {
        check_asset(claims, "asked", truth, &result["assets"]);
    }
    check_nobody_else(lab, claims, "asked", &result["assets"]);
    // The sensor's own questions are no habit of a user's.
    let sensor = at(&result["assets"], Mirror::SENSOR).map(|asset| asset["id"].clone());
    let all = result["findings"].as_array().into_iter().flatten();
    let own: Vec<&Value> =
        all.filter(|finding| Some(&finding["asset"]) == sensor.as_ref()).collect();
    claims.claim(own.is_empty(), || format!("asked: findings about the sensor: {own:?}"));
    let certificates = home.json(&["certs", "list"]);
    for (name, ports) in [("nginx", &[443][..]), ("apache", &[8443]), ("dovecot", &[993, 995])] {
        let truth = lab.asset(name).unwrap();
        let sha256 = fingerprint(&lab.folder().join(name).join("cert.pem"));
        for service in truth.services().iter().filter(|service| ports.contains(&service.port)) {
            claims.claim(is_served(&certificates, &sha256, truth.address(), service), || {
                format!("asked: {name}:{} does not serve {sha256}: {certificates}", service.port)
            });
        }
    }
    // The names that the client asked for are asked for.
    for name in ["nginx", "apache"] {
        let name = format!("{name}.lab.example");
        let asked = certificates.as_array().into_iter().flatten().any(|certificate| {
            let mut places = certificate["endpoints"].as_array().into_iter().flatten();
            places.any(|place| place["server_name"] == name.as_str())
        });
        claims.claim(asked, || format!("asked: nobody was asked for {name}: {certificates}"));
    }
}
