//! From observations to sightings: what one address said of itself in one scan.
//!
//! A [`Sighting`] collects the identifiers that were seen together, each with its strength
//! and with what led to it. It knows nothing of assets; `identity` decides whose they are.
//! Only what answered is a sighting: a name in the name service or a filtered port says
//! nothing of whether somebody is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{
    Fact, FingerprintKind, Identifier, MacAddr, MachineIdKind, Method, NameSource, Observation,
    PortState, Site, Strength, Subject, Timestamp,
};

use crate::cores;

/// What was seen of one address (or of a link-layer address without one) in one scan, while
/// it answered with one link-layer address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// The site.
    pub site: Site,
    /// The network address; `None` where only frames were seen.
    pub address: Option<IpAddr>,
    /// When it first answered.
    pub from: Timestamp,
    /// When it last answered.
    pub at: Timestamp,
    /// What names it, sorted by identifier, each once, the address included.
    pub identifiers: Vec<Seen>,
    /// SSH host keys: the port, the algorithm, the key's SHA-256.
    pub host_keys: BTreeSet<(u16, String, String)>,
    /// Its names with who said them.
    pub names: BTreeSet<(NameSource, String)>,
    /// What its DHCP client asks for, how its programs begin TLS and its system TCP: by these a
    /// kind of device is known, but not which one.
    pub habits: BTreeSet<(FingerprintKind, String)>,
    /// Whether all that is known of it was heard, unasked.
    pub only_heard: bool,
    /// True where it answers with the link-layer address of a virtual router, so that what
    /// it says belongs to whichever device holds that role now.
    pub virtual_router: bool,
    /// How many other link-layer addresses answered for the address before this one.
    pub turn: usize,
    /// How many link-layer addresses answered for the address and were left out.
    pub left_out: usize,
    /// The places of its observations in the slice that they came from.
    pub observations: Vec<usize>,
}

impl Sighting {
    /// The link-layer addresses that tell interfaces apart.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> + '_ {
        self.identifiers.iter().filter_map(|seen| match seen.identifier {
            Identifier::Mac(mac) if is_of_an_interface(mac) => Some(mac),
            _ => None,
        })
    }
}

/// An identifier in a sighting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The identifier.
    pub identifier: Identifier,
    /// How far it can be trusted.
    pub strength: Strength,
    /// When first in this scan.
    pub from: Timestamp,
    /// When last in this scan.
    pub at: Timestamp,
    /// What led to it, in words.
    pub because: String,
}

/// How many link-layer addresses of one network address are followed in one scan. More is
/// an attack or a fault, and each could cost an asset.
const MOST_MACS: usize = 32;

/// How to read a certificate's key: from its DER to the SHA-256 of its SubjectPublicKeyInfo
/// (RFC 5280, section 4.1) in lower-case hexadecimal, or `None` where it cannot be read.
pub type LeafKey<'a> = &'a (dyn Fn(&[u8]) -> Option<String> + Sync);

/// The sightings in these observations, sorted by site, address and turn.
#[must_use]
pub fn sightings(observations: &[Observation], leaf_key: LeafKey<'_>) -> Vec<Sighting> {
    sightings_as_of(observations, leaf_key, Timestamp(i64::MAX))
}

/// The same, with observations from later than `as_of` (a sensor's clock runs ahead) taken
/// as made at `as_of`: a moment in the future would never be followed by a newer one.
#[must_use]
pub(crate) fn sightings_as_of(
    observations: &[Observation],
    leaf_key: LeafKey<'_>,
    as_of: Timestamp,
) -> Vec<Sighting> {
    let mut groups: BTreeMap<(&Site, Name), Vec<usize>> = BTreeMap::new();
    let mut address_of: BTreeMap<(&Site, MacAddr), IpAddr> = BTreeMap::new();
    for (i, observation) in observations.iter().enumerate() {
        let site = &observation.vantage.site;
        let Some(address) = observation.subject.address().map(|address| address.to_canonical())
        else {
            continue;
        };
        if !is_of_one_device(address) {
            continue;
        }
        groups.entry((site, Name::Address(address))).or_default().push(i);
        if let Fact::LinkAddress(mac) = observation.fact {
            let first = address_of.entry((site, mac)).or_insert(address);
            *first = address.min(*first);
        }
    }
    // What is known of a link-layer address alone belongs to the network address that
    // answers with it, where there is one.
    for (i, observation) in observations.iter().enumerate() {
        let Subject::Mac(mac) = observation.subject else { continue };
        if !is_of_an_interface(mac) {
            continue;
        }
        let site = &observation.vantage.site;
        let name = address_of.get(&(site, mac)).map_or(Name::Mac(mac), |a| Name::Address(*a));
        groups.entry((site, name)).or_default().push(i);
    }
    let read = Read { observations, leaf_key, as_of };
    let groups = groups.into_iter().collect();
    let made = cores::each(groups, |((site, name), indices)| read.group(site, name, indices));
    made.into_iter().flatten().collect()
}

/// By which name the network knows what is seen.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Name {
    Address(IpAddr),
    Mac(MacAddr),
}

struct Read<'a> {
    observations: &'a [Observation],
    leaf_key: LeafKey<'a>,
    as_of: Timestamp,
}

impl Read<'_> {
    fn at(&self, i: usize) -> Timestamp {
        self.observations[i].observed_at.min(self.as_of)
    }

    /// The sightings of one address: one for each link-layer address that answered for it,
    /// in the order in which they were last seen.
    fn group(&self, site: &Site, name: Name, indices: Vec<usize>) -> Vec<Sighting> {
        let mut links: Vec<(Timestamp, MacAddr)> = indices
            .iter()
            .filter_map(|&i| match self.observations[i].fact {
                Fact::LinkAddress(mac) if is_usable(mac) => Some((self.at(i), mac)),
                _ => None,
            })
            .collect();
        links.sort_unstable();
        if links.iter().any(|(_, mac)| mac.is_virtual_router()) {
            links.retain(|(_, mac)| mac.is_virtual_router());
        }
        let mut last: BTreeMap<MacAddr, Timestamp> = BTreeMap::new();
        for &(at, mac) in &links {
            last.insert(mac, at);
        }
        let mut order: Vec<(Timestamp, MacAddr)> = last.into_iter().map(|(m, t)| (t, m)).collect();
        order.sort_unstable();
        let left_out = order.len().saturating_sub(MOST_MACS);
        order.drain(..left_out);
        let virtual_router = order.iter().any(|(_, mac)| mac.is_virtual_router());
        if order.len() <= 1 || virtual_router {
            let made = self.sighting(site, name, indices, virtual_router, 0, left_out);
            return made.into_iter().collect();
        }
        // Whom the other facts are about is told by the last answer before them.
        let mut parts: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
        let part_of = |mac: MacAddr| order.iter().position(|(_, other)| *other == mac);
        for i in indices {
            let part = match self.observations[i].fact {
                Fact::LinkAddress(mac) => match part_of(mac) {
                    Some(part) => part,
                    None => continue,
                },
                _ => {
                    let after = links.partition_point(|(at, _)| *at <= self.at(i));
                    let before = links.get(after.saturating_sub(1));
                    before.and_then(|(_, mac)| part_of(*mac)).unwrap_or(0)
                }
            };
            parts[part].push(i);
        }
        let made = parts
            .into_iter()
            .filter_map(|part| self.sighting(site, name, part, virtual_router, 0, left_out));
        let mut made: Vec<Sighting> = made.collect();
        made.iter_mut().enumerate().for_each(|(turn, sighting)| sighting.turn = turn);
        made
    }

    fn sighting(
        &self,
        site: &Site,
        name: Name,
        observations: Vec<usize>,
        virtual_router: bool,
        turn: usize,
        left_out: usize,
    ) -> Option<Sighting> {
        let answered = || observations.iter().filter(|&&i| is_presence(&self.observations[i]));
        let from = answered().map(|&i| self.at(i)).min()?;
        let at = answered().map(|&i| self.at(i)).max()?;
        let mut seen = Collected::default();
        let address = match name {
            Name::Address(address) => {
                let methods: BTreeSet<&str> =
                    answered().map(|&i| self.observations[i].method.as_str()).collect();
                let methods: Vec<&str> = methods.into_iter().collect();
                let because = format!("answered {}", methods.join(", "));
                seen.add(Identifier::Address(address), from, &|| because.clone());
                seen.add(Identifier::Address(address), at, &|| because.clone());
                Some(address)
            }
            Name::Mac(mac) => {
                seen.add(Identifier::Mac(mac), from, &|| "seen in frames".to_owned());
                seen.add(Identifier::Mac(mac), at, &|| "seen in frames".to_owned());
                None
            }
        };
        let mut host_keys = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut habits = BTreeSet::new();
        for &i in &observations {
            let Observation { method, subject, fact, .. } = &self.observations[i];
            let at = self.at(i);
            match fact {
                Fact::LinkAddress(mac) if is_usable(*mac) => {
                    seen.add(Identifier::Mac(*mac), at, &|| match method {
                        Method::Arp => format!("arp reply from {subject}"),
                        Method::NeighborTable => format!("neighbour table entry of {subject}"),
                        _ => format!("{method} answer of {subject}"),
                    });
                }
                Fact::HostName { name, source } => {
                    let name = plain_name(name);
                    if name.is_empty() {
                        continue;
                    }
                    if tells_apart(&name) {
                        seen.add(Identifier::HostName(name.clone()), at, &|| {
                            format!("{} name of {subject}", source_text(*source))
                        });
                    }
                    names.insert((*source, name));
                }
                Fact::HostKey(key) if !key.sha256.is_empty() => {
                    seen.add(Identifier::SshHostKey(key.sha256.clone()), at, &|| {
                        format!("{} host key of {subject}", key.algorithm)
                    });
                    if let Subject::Endpoint(endpoint) = subject {
                        host_keys.insert((
                            endpoint.port,
                            key.algorithm.clone(),
                            key.sha256.clone(),
                        ));
                    }
                }
                // Whoever passes a server's words on has another key.
                Fact::Certificates(chain) if !matches!(subject, Subject::Mac(_)) => {
                    let key = chain.chain.first().and_then(|leaf| (self.leaf_key)(leaf));
                    if let Some(key) = key {
                        seen.add(Identifier::TlsKey(key), at, &|| {
                            format!("key of the certificate served at {subject}")
                        });
                    }
                }
                Fact::Fingerprint { kind, value }
                    if matches!(
                        kind,
                        FingerprintKind::Dhcp | FingerprintKind::Ja4 | FingerprintKind::TcpSyn
                    ) =>
                {
                    habits.insert((*kind, value.clone()));
                }
                Fact::MachineId { kind, value } => {
                    let value = value.trim();
                    if names_a_machine(value) {
                        seen.add(Identifier::MachineId(*kind, value.to_owned()), at, &|| {
                            format!("told by {subject} ({method})")
                        });
                    }
                }
                _ => {}
            }
        }
        let is_heard = |i: &usize| self.observations[*i].method == Method::Capture;
        let only_heard = observations.iter().all(is_heard);
        let mut identifiers = seen.into_vec();
        if virtual_router {
            // Another device tells other keys and names tomorrow, at the same address.
            identifiers.retain(|seen| {
                matches!(seen.identifier, Identifier::Address(_) | Identifier::Mac(_))
            });
            host_keys.clear();
        }
        Some(Sighting {
            site: site.clone(),
            address,
            from,
            at,
            identifiers,
            host_keys,
            names,
            habits,
            only_heard,
            virtual_router,
            turn,
            left_out,
            observations,
        })
    }
}

#[derive(Default)]
struct Collected(BTreeMap<Identifier, Seen>);

impl Collected {
    /// Notes that the identifier was seen. The reason kept is that of the earliest time, so
    /// that the order of the observations does not matter.
    fn add(&mut self, identifier: Identifier, at: Timestamp, because: &dyn Fn() -> String) {
        match self.0.get_mut(&identifier) {
            Some(seen) => {
                let because = because();
                if (at, &because) < (seen.from, &seen.because) {
                    seen.because = because;
                }
                seen.from = seen.from.min(at);
                seen.at = seen.at.max(at);
            }
            None => {
                let strength = strength(&identifier);
                let seen = Seen {
                    identifier: identifier.clone(),
                    strength,
                    from: at,
                    at,
                    because: because(),
                };
                self.0.insert(identifier, seen);
            }
        }
    }

    fn into_vec(self) -> Vec<Seen> {
        self.0.into_values().collect()
    }
}

/// How far an identifier can be trusted to mean one asset, before anything is known that
/// speaks against it. The reasons are in `docs/identity.md`.
#[must_use]
pub fn strength(identifier: &Identifier) -> Strength {
    match identifier {
        Identifier::Mac(mac) if !is_of_an_interface(*mac) => Strength::Weak,
        Identifier::Mac(mac) if mac.is_locally_administered() => Strength::Weak,
        Identifier::Mac(_) | Identifier::SshHostKey(_) | Identifier::TlsKey(_) => {
            Strength::Moderate
        }
        Identifier::Address(_) | Identifier::HostName(_) => Strength::Weak,
        // Hardware type 1 and a MAC (RFC 2132, section 9.14) is that MAC once more.
        Identifier::MachineId(MachineIdKind::DhcpClientId, value) => {
            match value.strip_prefix("01").filter(|rest| rest.len() == 12) {
                Some(rest) => {
                    rest.parse().map_or(Strength::Moderate, |mac| strength(&Identifier::Mac(mac)))
                }
                None => Strength::Moderate,
            }
        }
        // It is of a chassis: what is told at several of its ports is of one device, but
        // devices that are stacked share it.
        Identifier::MachineId(MachineIdKind::ChassisId, _) => Strength::Moderate,
        // A copy of a disk has it, too; and a client's key may be a person's.
        Identifier::MachineId(MachineIdKind::DhcpDuid | MachineIdKind::ClientKey, _) => {
            Strength::Moderate
        }
        Identifier::MachineId(_, _) => Strength::Strong,
    }
}

/// Whether the device chose the name itself, so that the name goes where the device goes.
/// A name in the name service belongs to the address, one in a greeting to the service.
#[must_use]
pub(crate) const fn is_own_name(source: NameSource) -> bool {
    match source {
        NameSource::Mdns
        | NameSource::Nbns
        | NameSource::Ntlm
        | NameSource::Snmp
        | NameSource::Dhcp
        | NameSource::Llmnr
        | NameSource::Discovery
        | NameSource::Kerberos => true,
        // A log's header may have come a long way before its last sender.
        NameSource::Dns | NameSource::Banner | NameSource::Syslog | NameSource::ServerName => false,
    }
}

pub(crate) const fn source_text(source: NameSource) -> &'static str {
    match source {
        NameSource::Dns => "dns",
        NameSource::Mdns => "mdns",
        NameSource::Nbns => "nbns",
        NameSource::Ntlm => "ntlm",
        NameSource::Snmp => "snmp",
        NameSource::Banner => "banner",
        NameSource::Dhcp => "dhcp",
        NameSource::Llmnr => "llmnr",
        NameSource::Discovery => "discovery",
        NameSource::Syslog => "syslog",
        NameSource::Kerberos => "kerberos",
        NameSource::ServerName => "server_name",
    }
}

/// Lower case, without a trailing dot, NUL or blanks, at most 255 bytes (RFC 1035, 2.3.4).
pub(crate) fn plain_name(name: &str) -> String {
    let name: String = name.trim_matches(['\0', ' ', '.']).to_lowercase();
    name.chars().filter(|c| !c.is_control()).take(255).collect()
}

/// Names that makers give to every unit; they say what it is, not which one.
const COMMON_NAMES: [&str; 16] = [
    "localhost",
    "localhost.localdomain",
    "localhost.local",
    "unknown",
    "none",
    "(none)",
    "iphone",
    "iphone.local",
    "ipad",
    "ipad.local",
    "android",
    "android.local",
    "raspberrypi",
    "raspberrypi.local",
    "openwrt",
    "esp32",
];

/// Whether a name can tell one asset from another.
pub(crate) fn tells_apart(name: &str) -> bool {
    !COMMON_NAMES.contains(&name) && name.parse::<IpAddr>().is_err()
}

/// Whether the text is a machine's number, and not what firmware says that has none.
fn names_a_machine(value: &str) -> bool {
    let digits = || value.chars().filter(char::is_ascii_alphanumeric);
    let Some(first) = digits().next() else { return false };
    let repeats = digits().all(|c| c == first) && digits().count() > 1;
    let phrase = value.to_ascii_lowercase();
    let filler =
        ["to be filled by o.e.m.", "default string", "system serial number", "none", "n/a"];
    !repeats && value != "0" && phrase != "not specified" && !filler.contains(&phrase.as_str())
}

/// Whether the address is an address at all: not a group's, not all zeroes (the loopback
/// interface has that).
fn is_usable(mac: MacAddr) -> bool {
    !mac.is_group() && mac != MacAddr([0; 6])
}

/// Whether the address belongs to one interface.
pub(crate) fn is_of_an_interface(mac: MacAddr) -> bool {
    is_usable(mac) && !mac.is_virtual_router()
}

fn is_of_one_device(address: IpAddr) -> bool {
    !(address.is_multicast()
        || address.is_unspecified()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast()))
}

/// Whether the observation means that somebody was there.
pub(crate) fn is_presence(observation: &Observation) -> bool {
    match &observation.fact {
        // What others are told of an address, or ask there for, is not its own word.
        Fact::HostName { source: NameSource::Dns | NameSource::ServerName, .. }
            if observation.method == Method::Capture =>
        {
            false
        }
        Fact::HostName { .. } => !matches!(observation.method, Method::Resolver | Method::Import),
        Fact::PortState(state) | Fact::Ports { state, .. } => {
            matches!(state, PortState::Open | PortState::Closed)
        }
        _ => true,
    }
}
