//! The names by which servers are to be asked. A server shows the certificate of a name only to
//! who asks for it, and a certificate that nobody asks for is renewed, or expires, unseen.
//!
//! Names are told by many: by clients that were heard to ask for them, by the name service, by
//! certificates, by the devices themselves, by the device register. An endpoint is asked for a few
//! of them at a time. Those under which it showed a certificate of their own come first, so that
//! each of these is seen again; who tells many other names cannot crowd them out, and is asked for
//! these in turns. Names that lead to what everybody is shown are asked for seldom.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use certs::hello::ServerName;
use model::{Endpoint, NameSource, Timestamp};

use crate::{
    asset::{Asset, Deployment},
    evidence::tells_apart,
    register::{DeviceEntry, DeviceStatus},
};

/// The names to ask for, by where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerNames {
    /// Where it was asked before.
    endpoints: HashMap<Endpoint, Vec<ServerName>>,
    /// And at any other port of that address.
    addresses: HashMap<IpAddr, Vec<ServerName>>,
}

/// How a name is known, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    /// A client asked for it there, and was answered.
    Heard,
    /// The name service, a certificate that is served there, the device register.
    Told,
    /// The device's own word, which may be of its own network only.
    Own,
    /// A log or a greeting.
    Mentioned,
}

/// What became of asking an endpoint for a name.
struct Asked {
    last: Timestamp,
    /// Whether it showed another certificate than without a name.
    is_news: bool,
}

impl ServerNames {
    /// At most so many names are to be asked for at one endpoint.
    pub const MOST: usize = 8;

    /// Of those that led to what everybody is shown, so many are asked for again.
    const PLAIN: usize = 2;

    /// What is known of these assets at the addresses that are wanted. `certificate` tells the
    /// names in a certificate, by its SHA-256. `turn` is another number each time, so that
    /// everybody has a turn where there are too many.
    #[must_use]
    pub fn of_assets(
        assets: &[Asset],
        devices: &[DeviceEntry],
        certificate: &dyn Fn(&str) -> Vec<String>,
        wanted: &dyn Fn(IpAddr) -> bool,
        turn: u64,
    ) -> Self {
        let mut all = Self::default();
        let registered = registered(devices);
        for asset in assets {
            let mut known: BTreeMap<ServerName, (Rank, Timestamp)> = BTreeMap::new();
            for name in asset.names.iter().filter(|name| tells_apart(&name.name)) {
                let how = (rank(name.source), name.last_seen);
                ServerName::new(&name.name)
                    .into_iter()
                    .for_each(|name| note(&mut known, name, how));
            }
            let mut read = BTreeSet::new();
            for served in asset.deployments.iter().filter(|served| served.current) {
                if !read.insert(&served.sha256) {
                    continue;
                }
                let names = certificate(&served.sha256);
                for name in names.iter().filter_map(|name| ServerName::new(name)) {
                    note(&mut known, name, (Rank::Told, served.last_seen));
                }
            }
            let mut addresses: Vec<IpAddr> =
                asset.addresses().filter(|address| wanted(*address)).collect();
            addresses.dedup();
            for address in addresses {
                let mut here = known.clone();
                for name in registered.get(&address).into_iter().flatten() {
                    note(&mut here, name.clone(), (Rank::Told, Timestamp(i64::MIN)));
                }
                all.learn(asset, address, &by_worth(here), turn);
            }
        }
        for (address, names) in registered {
            if wanted(address) && !all.addresses.contains_key(&address) {
                let names: Vec<ServerName> = names.into_iter().take(Self::MOST).collect();
                all.addresses.insert(address, names);
            }
        }
        all
    }

    /// The names to ask for there, the most important one first.
    #[must_use]
    pub fn at(&self, endpoint: Endpoint) -> &[ServerName] {
        let known = self.endpoints.get(&endpoint);
        known.or_else(|| self.addresses.get(&endpoint.address)).map_or(&[], Vec::as_slice)
    }

    fn learn(&mut self, asset: &Asset, address: IpAddr, names: &[ServerName], turn: u64) {
        let mut places: BTreeMap<Endpoint, Vec<&Deployment>> = BTreeMap::new();
        let here = |served: &&Deployment| served.current && served.address == address;
        for served in asset.deployments.iter().filter(here) {
            let Deployment { transport, port, .. } = *served;
            places.entry(Endpoint { address, transport, port }).or_default().push(served);
        }
        for (endpoint, served) in places {
            self.endpoints.insert(endpoint, choose(names, &asked(&served), turn));
        }
        let names = choose(names, &BTreeMap::new(), turn);
        if !names.is_empty() {
            self.addresses.insert(address, names);
        }
    }
}

/// The names that the register gives to single addresses.
fn registered(devices: &[DeviceEntry]) -> BTreeMap<IpAddr, BTreeSet<ServerName>> {
    let mut names: BTreeMap<IpAddr, BTreeSet<ServerName>> = BTreeMap::new();
    for entry in devices.iter().filter(|entry| entry.status == DeviceStatus::Approved) {
        let single = entry.addresses.iter().filter(|range| range.first() == range.last());
        for address in single.map(model::AddressRange::first) {
            let all = entry.host_names.iter().filter_map(|name| ServerName::new(name));
            names.entry(address).or_default().extend(all);
        }
    }
    names
}

const fn rank(source: NameSource) -> Rank {
    match source {
        NameSource::ServerName => Rank::Heard,
        NameSource::Dns => Rank::Told,
        NameSource::Mdns
        | NameSource::Nbns
        | NameSource::Ntlm
        | NameSource::Snmp
        | NameSource::Dhcp
        | NameSource::Llmnr
        | NameSource::Discovery
        | NameSource::Kerberos => Rank::Own,
        NameSource::Banner | NameSource::Syslog => Rank::Mentioned,
    }
}

/// Keeps the best of what is known of a name.
fn note(
    known: &mut BTreeMap<ServerName, (Rank, Timestamp)>,
    name: ServerName,
    (rank, when): (Rank, Timestamp),
) {
    let best = known.entry(name).or_insert((rank, when));
    *best = (best.0.min(rank), best.1.max(when));
}

/// The best known names first, of those the latest.
fn by_worth(known: BTreeMap<ServerName, (Rank, Timestamp)>) -> Vec<ServerName> {
    let mut names: Vec<_> = known.into_iter().collect();
    names.sort_by(|(_, (a, x)), (_, (b, y))| a.cmp(b).then(y.cmp(x)));
    names.into_iter().map(|(name, _)| name).collect()
}

/// What the certificates at one endpoint say of the names that it was asked for.
fn asked(served: &[&Deployment]) -> BTreeMap<ServerName, Asked> {
    let nameless = served.iter().filter(|served| served.server_name.is_none());
    let nameless: BTreeSet<&str> = nameless.map(|served| served.sha256.as_str()).collect();
    let mut asked = BTreeMap::new();
    for served in served {
        let Some(name) = served.server_name.as_deref().and_then(ServerName::new) else { continue };
        let is_news = !nameless.contains(served.sha256.as_str());
        let known = asked.entry(name).or_insert(Asked { last: served.last_seen, is_news });
        known.last = known.last.max(served.last_seen);
        known.is_news |= is_news;
    }
    asked
}

/// The names to ask for where these are known, and those were asked for.
fn choose(names: &[ServerName], asked: &BTreeMap<ServerName, Asked>, turn: u64) -> Vec<ServerName> {
    let longest_ago = |is_news: bool| {
        let mut all: Vec<_> = asked.iter().filter(|(_, asked)| asked.is_news == is_news).collect();
        all.sort_by_key(|(_, asked)| asked.last);
        all.into_iter().map(|(name, _)| name.clone())
    };
    let mut chosen: Vec<ServerName> = longest_ago(true).collect();
    let mut plain: Vec<ServerName> =
        longest_ago(false).filter(|name| names.contains(name)).take(ServerNames::PLAIN).collect();
    let mut fresh: Vec<ServerName> =
        names.iter().filter(|name| !asked.contains_key(name)).cloned().collect();
    let others = fresh.len().saturating_add(plain.len()).min(ServerNames::MOST / 2);
    chosen.truncate(ServerNames::MOST.saturating_sub(others));
    let places = ServerNames::MOST.saturating_sub(chosen.len());
    if fresh.len() > places {
        let turn = usize::try_from(turn).unwrap_or_default();
        let begin = turn.wrapping_mul(places).checked_rem(fresh.len()).unwrap_or_default();
        fresh.rotate_left(begin);
    }
    chosen.append(&mut fresh);
    chosen.append(&mut plain);
    chosen.truncate(ServerNames::MOST);
    chosen
}

#[cfg(test)]
mod tests {
    use model::{Identifier, Site, Strength, TlsVersion, Transport};

    use super::*;
    use crate::asset::{AssetId, Assigned, Name};

    const HERE: &str = "192.0.2.9";

    fn asset(names: &[(&str, NameSource, i64)], served: &[(Option<&str>, &str, i64)]) -> Asset {
        let address: IpAddr = HERE.parse().unwrap();
        Asset {
            id: AssetId(1),
            site: Site("plant".into()),
            first_seen: Timestamp(0),
            last_seen: Timestamp(0),
            identity_uncertain: false,
            identifiers: vec![Assigned {
                identifier: Identifier::Address(address),
                strength: Strength::Weak,
                first_seen: Timestamp(0),
                last_seen: Timestamp(0),
                current: true,
                because: String::new(),
            }],
            names: names
                .iter()
                .map(|(name, source, last_seen)| Name {
                    name: (*name).to_owned(),
                    source: *source,
                    last_seen: Timestamp(*last_seen),
                })
                .collect(),
            alive_by: Vec::new(),
            services: Vec::new(),
            software: Vec::new(),
            os: None,
            deployments: served
                .iter()
                .map(|(server_name, sha256, last_seen)| Deployment {
                    sha256: (*sha256).to_owned(),
                    chain: Vec::new(),
                    address,
                    port: 443,
                    transport: Transport::Tcp,
                    server_name: server_name.map(str::to_owned),
                    protocol_version: TlsVersion(0x0304),
                    starttls: None,
                    first_seen: Timestamp(0),
                    last_seen: Timestamp(*last_seen),
                    current: true,
                })
                .collect(),
            anomalies: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn names(asset: &Asset, turn: u64) -> ServerNames {
        // A certificate is called as what it is for.
        let certificate = |sha256: &str| sha256.split(' ').map(str::to_owned).collect();
        let all = std::slice::from_ref(asset);
        ServerNames::of_assets(all, &[], &certificate, &|_| true, turn)
    }

    fn at(names: &ServerNames, port: u16) -> Vec<&str> {
        let endpoint = Endpoint::tcp(HERE.parse().unwrap(), port);
        names.at(endpoint).iter().map(ServerName::as_str).collect()
    }

    #[test]
    fn every_source_counts_the_best_and_latest_first_and_only_host_names() {
        use NameSource::{Banner, Dhcp, Dns, Mdns, ServerName};
        let asset = asset(
            &[
                ("greeting.example", Banner, 99),
                ("device", Dhcp, 98),
                ("old.example", ServerName, 1),
                ("new.example", ServerName, 2),
                ("named.example", Dns, 3),
                ("localhost", Mdns, 99),
                ("a b", Mdns, 99),
                ("192.0.2.1", Dns, 99),
            ],
            &[(None, "*.example san.example", 2)],
        );
        let expected = [
            "new.example",
            "old.example",
            "named.example",
            "san.example",
            "device",
            "greeting.example",
        ];
        let names = names(&asset, 0);
        assert_eq!(at(&names, 443), expected);
        // A port where nobody asked yet.
        assert_eq!(at(&names, 8443), expected);
        let elsewhere = |address| address != HERE.parse::<IpAddr>().unwrap();
        let all = [asset];
        let none = ServerNames::of_assets(&all, &[], &|_| Vec::new(), &elsewhere, 0);
        assert_eq!(none, ServerNames::default());
    }

    #[test]
    fn names_with_a_certificate_of_their_own_are_seen_again_each_time() {
        let heard: Vec<String> = (0..100).map(|number| format!("junk-{number}.example")).collect();
        let heard: Vec<_> =
            heard.iter().map(|name| (name.as_str(), NameSource::ServerName, 9)).collect();
        let served = [
            (None, "all", 5),
            (Some("shop.example"), "shop", 5),
            (Some("mail.example"), "mail", 4),
            (Some("plain.example"), "all", 5),
        ];
        let asset = asset(&heard, &served);
        let mut asked = BTreeSet::new();
        for turn in 0..20 {
            let names = names(&asset, turn);
            let here = at(&names, 443);
            assert_eq!(here.len(), ServerNames::MOST);
            assert_eq!(here[..2], ["mail.example", "shop.example"]);
            asked.extend(here.into_iter().map(str::to_owned));
        }
        // And nobody who is new waits for ever: 100 names, six at a time, besides those of the
        // certificates.
        assert!(heard.iter().all(|(name, ..)| asked.contains(*name)), "{asked:?}");
    }

    #[test]
    fn many_certificates_of_their_own_leave_room_for_what_is_new_and_take_turns() {
        let own: Vec<String> = (0..20).map(|number| format!("{number}.example")).collect();
        let served: Vec<_> = own
            .iter()
            .zip(0..)
            .map(|(name, seen)| (Some(name.as_str()), name.as_str(), seen))
            .chain([(None, "*", 20)])
            .collect();
        let asset = asset(&[("new.example", NameSource::ServerName, 1)], &served);
        let names = names(&asset, 3);
        let expected = ["0", "1", "2", "3", "4", "5", "6"].map(|name| format!("{name}.example"));
        assert_eq!(at(&names, 443)[..7], expected);
        assert_eq!(at(&names, 443)[7..], ["new.example"]);
    }

    #[test]
    fn what_led_to_nothing_is_asked_for_seldom() {
        let known: Vec<String> = (0..6).map(|number| format!("{number}.example")).collect();
        let named: Vec<_> = known.iter().map(|name| (name.as_str(), NameSource::Dns, 1)).collect();
        let served: Vec<_> = known
            .iter()
            .zip(0..)
            .map(|(name, seen)| (Some(name.as_str()), "*", seen))
            .chain([(None, "*", 9), (Some("gone.example"), "*", -1)])
            .collect();
        let names = names(&asset(&named, &served), 0);
        assert_eq!(at(&names, 443).len(), ServerNames::PLAIN);
        assert!(!at(&names, 443).contains(&"gone.example"), "nobody tells that name any more");
    }

    #[test]
    fn the_register_names_addresses_of_which_nothing_is_known_yet() {
        let entry = |address: &str, name: &str, status| DeviceEntry {
            reference: name.to_owned(),
            name: None,
            macs: Vec::new(),
            addresses: vec![model::AddressRange::single(address.parse().unwrap())],
            host_names: vec![name.to_owned()],
            machine_ids: Vec::new(),
            owner: None,
            department: None,
            location: None,
            purpose: None,
            status,
            valid_from: None,
            valid_until: None,
            extra: BTreeMap::new(),
        };
        let devices = [
            entry(HERE, "shop.example", DeviceStatus::Approved),
            entry("192.0.2.10", "old.example", DeviceStatus::Retired),
        ];
        let names = ServerNames::of_assets(&[], &devices, &|_| Vec::new(), &|_| true, 0);
        assert_eq!(at(&names, 443), ["shop.example"]);
        assert_eq!(names.addresses.len(), 1);
    }
}
