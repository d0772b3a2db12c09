//! The product against real servers: every asset, every open port, product and version of
//! every service that tells, by name, in both tiers. What is true comes from dpkg and from the
//! kernels of the lab's namespaces.

use std::{collections::BTreeSet, fmt::Write as _};

use lab::{Asset, Lab};
use serde_json::Value;

use crate::{
    home::{Home, Run},
    mirror,
};

/// Claims about one run, collected so that one failure does not hide the others.
#[derive(Default)]
pub(crate) struct Claims {
    held: usize,
    broken: String,
}

impl Claims {
    pub(crate) fn claim(&mut self, holds: bool, what: impl FnOnce() -> String) {
        match holds {
            true => self.held += 1,
            false => writeln!(self.broken, "- {}", what()).unwrap(),
        }
    }

    pub(crate) fn settle(self) {
        assert!(
            self.broken.is_empty(),
            "{} claims held, these did not:\n{}",
            self.held,
            self.broken
        );
        assert!(self.held > 0, "nothing was claimed");
    }
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The asset that has this address now.
pub(crate) fn at<'a>(assets: &'a Value, address: &str) -> Option<&'a Value> {
    let mut found = assets
        .as_array()
        .into_iter()
        .flatten()
        .filter(|asset| texts(&asset["addresses"]).contains(&address));
    let first = found.next();
    assert!(found.next().is_none(), "two assets have {address}");
    first
}

pub(crate) fn service<'a>(
    asset: &'a Value,
    wanted: &lab::Service,
    address: &str,
) -> Option<&'a Value> {
    asset["services"].as_array()?.iter().find(|service| {
        service["port"] == wanted.port
            && service["transport"] == wanted.transport.as_str()
            && service["address"] == address
    })
}

/// Everything that the lab knows of this asset and that its services tell strangers.
pub(crate) fn check_asset(claims: &mut Claims, tier: &str, truth: &Asset, assets: &Value) {
    let (name, address) = (truth.name(), truth.address());
    let Some(asset) = at(assets, address) else {
        return claims.claim(false, || format!("{tier}: {name} at {address} was not found"));
    };
    let macs = texts(&asset["macs"]);
    claims.claim(macs == [truth.mac()], || {
        format!("{tier}: {name} has {macs:?}, not {}", truth.mac())
    });

    let open: BTreeSet<(u64, &str)> = asset["services"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|service| service["state"] == "open" && service["address"] == address)
        .filter_map(|service| Some((service["port"].as_u64()?, service["transport"].as_str()?)))
        .filter(|(port, _)| *port != 50022)
        .collect();
    // The ports of the default list; the high port is asked for in a sweep of its own.
    let told: BTreeSet<(u64, &str)> = truth
        .services()
        .iter()
        .filter(|service| service.port != 50022)
        .map(|service| (service.port.into(), service.transport.as_str()))
        .collect();
    claims.claim(open == told, || format!("{tier}: {name} has open {open:?}, not {told:?}"));

    for wanted in truth.services().iter().filter(|service| service.port != 50022) {
        let Some(found) = service(asset, wanted, address) else { continue };
        check_service(claims, tier, name, wanted, found);
        if let Some(product) = wanted.product {
            let listed = asset["software"].as_array().into_iter().flatten();
            let mut listed = listed.map(|software| &software["product"]);
            claims.claim(listed.any(|listed| listed == product), || {
                format!("{tier}: {name}: {product} is not among its software {}", asset["software"])
            });
        }
    }
}

fn check_service(
    claims: &mut Claims,
    tier: &str,
    name: &str,
    wanted: &lab::Service,
    found: &Value,
) {
    let port = wanted.port;
    let mut same = |what: &str, expected: Value| {
        let got = &found[what];
        claims.claim(*got == expected, || {
            format!("{tier}: {name}:{port} has {what} {got}, not {expected} (in {found})")
        });
    };
    same("protocol", wanted.protocol.into());
    same("tls", wanted.tls.into());
    if let Some(product) = wanted.product {
        same("product", product.into());
    }
    if wanted.package.is_some() {
        let version = wanted.version().expect("the package is installed");
        same("version", version.into());
    }
}

pub(crate) fn sweep(lab: &Lab, home: &Home, arguments: &[&str]) -> Value {
    let line = [&["sweep"], arguments, &["--format", "json"]].concat();
    Run::of(home.command_in(lab, &line).output().unwrap()).json()
}

fn check_whole(claims: &mut Claims, tier: &str, lab: &Lab, result: &Value) {
    let scan = &result["scan"];
    claims.claim(scan["io"] == tier, || format!("{tier}: the scan says io {}", scan["io"]));
    claims.claim(scan["drops"] == 0, || format!("{tier}: drops {}", scan["drops"]));
    for asset in lab.assets().iter().filter(|asset| asset.name() != "firewall") {
        check_asset(claims, tier, asset, &result["assets"]);
    }
    // Nothing else is there but the scanner itself.
    let known: BTreeSet<&str> =
        lab.assets().iter().map(Asset::address).chain(["198.18.0.2"]).collect();
    for asset in result["assets"].as_array().into_iter().flatten() {
        for address in texts(&asset["addresses"]) {
            claims.claim(known.contains(address) || address.contains(':'), || {
                format!("{tier}: there is nothing at {address}, but {asset} was reported")
            });
        }
    }
    // The firewall that answers for a /27 is one gap and no assets.
    let gaps: Vec<&Value> = scan["gaps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|gap| gap["target"].as_str().is_some_and(|target| target.contains("198.18.0.96")))
        .collect();
    claims.claim(gaps.len() == 1, || format!("{tier}: gaps for the firewall: {gaps:?}"));
}

#[test]
fn the_lab_is_found_as_it_is_in_both_tiers() {
    let lab = Lab::up().unwrap();
    let mut claims = Claims::default();
    let homes = ["raw", "connect"].map(|tier| (tier, Home::new()));
    for (tier, home) in &homes {
        // In the connect tier, what answers ARP and nothing else is seen only where the kernel has
        // to ask for it: an entry that it confirmed shortly before proves nothing.
        lab.forget_neighbors().unwrap();
        let result = sweep(&lab, home, &[lab::NETWORK, "--io", tier]);
        check_whole(&mut claims, tier, &lab, &result);
        check_certificates(&mut claims, tier, home, &result);

        let high = sweep(&lab, home, &["198.18.0.41", "--ports", "50022", "--io", tier]);
        let truth = lab.asset("highport").unwrap();
        let found = at(&high["assets"], truth.address())
            .and_then(|asset| service(asset, &truth.services()[0], truth.address()).cloned());
        match &found {
            Some(found) => {
                check_service(&mut claims, tier, "highport", &truth.services()[0], found);
            }
            None => claims.claim(false, || format!("{tier}: highport's port is not there: {high}")),
        }
    }
    let [(_, swept), _] = &homes;
    mirror::check(&lab, &mut claims, swept);
    community(&lab, &mut claims);
    changes(&lab, &mut claims);
    claims.settle();
}

/// SNMP's community `public` is used only where the configuration allows it.
fn community(lab: &Lab, claims: &mut Claims) {
    for allowed in [false, true] {
        let home = Home::new();
        let mut command =
            home.command_in(lab, &["sweep", "198.18.0.19", "--ports", "u:161", "--format", "json"]);
        command.env("DAICHO_SERVICES_SNMP_PUBLIC", allowed.to_string());
        let result = Run::of(command.output().unwrap()).json();
        let names = texts(&result["assets"][0]["names"]);
        let told = names.contains(&"switch7.lab.example");
        claims.claim(told == allowed, || format!("public allowed: {allowed}, names: {names:?}"));
    }
}

fn check_certificates(claims: &mut Claims, tier: &str, home: &Home, result: &Value) {
    let served = home.json(&["certs", "list"]);
    let places: BTreeSet<String> = served
        .as_array()
        .into_iter()
        .flatten()
        .filter(|certificate| {
            texts(&certificate["names"]).iter().any(|name| name.ends_with("lab.example"))
        })
        .flat_map(|certificate| certificate["endpoints"].as_array().into_iter().flatten())
        .map(|place| format!("{}:{}", place["address"].as_str().unwrap(), place["port"]))
        .collect();
    // Dovecot's at its two ports of TLS and, behind STARTTLS, at the other two.
    let dovecot = [110, 143, 993, 995].map(|port| format!("198.18.0.16:{port}"));
    let others = ["198.18.0.12:443", "198.18.0.13:8443"].map(str::to_owned);
    let wanted: BTreeSet<String> = others.into_iter().chain(dovecot).collect();
    claims.claim(places == wanted, || format!("{tier}: certificates are served at {places:?}"));

    let rules: BTreeSet<(&str, &str)> = result["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finding| Some((finding["rule"].as_str()?, finding["severity"].as_str()?)))
        .collect();
    for rule in [("cert.expired", "critical"), ("cert.expiring", "critical")] {
        claims.claim(rules.contains(&rule), || format!("{tier}: no {rule:?} among {rules:?}"));
    }
    let expiring = home.json(&["certs", "list", "--expiring", "30d"]);
    let subjects: Vec<&str> = expiring
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|certificate| certificate["subject"].as_str())
        .collect();
    for name in ["nginx", "apache"] {
        claims.claim(subjects.iter().any(|subject| subject.contains(name)), || {
            format!("{tier}: {name}'s certificate is not among the expiring ones: {subjects:?}")
        });
    }
    claims.claim(!subjects.iter().any(|subject| subject.contains("dovecot")), || {
        format!("{tier}: dovecot's certificate is not expiring: {subjects:?}")
    });
}

/// What changes between two sweeps changes in the same inventory and makes no new assets.
fn changes(lab: &Lab, claims: &mut Claims) {
    let home = Home::new();
    let [before, after] = lab::MOVING;
    let only = |home: &Home| sweep(lab, home, &["198.18.0.40-44", "--io", "raw"]);
    let first = only(&home);
    let id =
        |result: &Value, address| at(&result["assets"], address).map(|asset| asset["id"].clone());
    let (moving, rotating) = (id(&first, before), id(&first, "198.18.0.44"));
    claims.claim(moving.is_some() && rotating.is_some(), || format!("both are there: {first}"));

    lab.move_address("moving", before, after).unwrap();
    for (number, mac) in (2..=6).map(|n| (n, format!("02:1a:2b:3c:4d:{n:02x}"))) {
        lab.change_mac("rotating", &mac).unwrap();
        let again = only(&home);
        let now = (id(&again, after), id(&again, "198.18.0.44"));
        claims.claim(now == (moving.clone(), rotating.clone()), || {
            format!("sweep {number}: ids are {now:?}, not {moving:?} and {rotating:?}")
        });
    }
    lab.move_address("moving", after, before).unwrap();
    let listed = home.json(&["assets"]);
    let count = listed.as_array().map(Vec::len);
    // silent, highport, moving, rotating: four, whatever their addresses and MACs did.
    claims.claim(count == Some(4), || format!("{count:?} assets: {listed}"));
    let shown = home.json(&["assets", "show", &moving.unwrap_or_default().to_string()]);
    let kinds: Vec<&str> = shown["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    claims.claim(count("asset_first_seen") == 1, || format!("events of moving: {kinds:?}"));
    claims.claim(count("address_moved") == 1, || format!("events of moving: {kinds:?}"));
}
