//! What kind of thing an asset is, by weighted reasons that are kept and shown.
//!
//! No single sign decides: makers of printers also make cameras, and anything can listen on
//! port 80. Each sign adds its weight to a class; the class with most weight wins if it has
//! enough and no other has as much. The rules are a table, written from what the protocols
//! and makers' own names mean.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::LazyLock,
};

use model::{FingerprintKind, MacAddr};

use crate::{asset::Asset, vendor};

/// A kind of asset.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Prints or scans paper.
    Printer,
    /// Moves frames or packets: switch, router, firewall, access point.
    Network,
    /// Serves others.
    Server,
    /// A person's computer.
    Workstation,
    /// Sees.
    Camera,
    /// Controls a machine or a building.
    Controller,
    /// Keeps files for others.
    Storage,
    /// A telephone on a desk.
    Phone,
    /// A telephone or tablet in a pocket.
    Mobile,
    /// Runs virtual machines.
    Hypervisor,
    /// Keeps the power up.
    Power,
    /// Treats or watches patients.
    Medical,
    /// The board beside a server that manages it.
    Management,
    /// Shows pictures or plays sound.
    Media,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 14] = [
        Self::Printer,
        Self::Network,
        Self::Server,
        Self::Workstation,
        Self::Camera,
        Self::Controller,
        Self::Storage,
        Self::Phone,
        Self::Mobile,
        Self::Hypervisor,
        Self::Power,
        Self::Medical,
        Self::Management,
        Self::Media,
    ];

    /// Its name in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Printer => "printer",
            Self::Network => "network",
            Self::Server => "server",
            Self::Workstation => "workstation",
            Self::Camera => "camera",
            Self::Controller => "controller",
            Self::Storage => "storage",
            Self::Phone => "phone",
            Self::Mobile => "mobile",
            Self::Hypervisor => "hypervisor",
            Self::Power => "power",
            Self::Medical => "medical",
            Self::Management => "management",
            Self::Media => "media",
        }
    }

    /// Whether a careless question can stop it, or what it controls.
    #[must_use]
    pub const fn is_fragile(self) -> bool {
        matches!(self, Self::Printer | Self::Controller | Self::Medical | Self::Power)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an asset is, and why we think so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Classified {
    /// Its class.
    pub class: Class,
    /// What speaks for that class, the weightiest first, each with its weight (1 is a hint,
    /// 10 as good as certain): `port 9100 is open (4)`.
    pub reasons: Vec<String>,
}

/// One sign of a class.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reason {
    weight: u32,
    text: String,
}

/// The weight that a class must have.
const ENOUGH: u32 = 3;

/// Where a sign is looked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Sign {
    /// In the interface maker's name.
    Maker,
    /// In a product or an operating system that it tells.
    Product,
    /// In the title or another attribute that a service told.
    Said,
    /// The protocol of an open service.
    Protocol,
    /// An open port.
    Port,
    /// A host name beginning with it.
    Name,
    /// In a part in the network that it announces.
    Role,
}

/// A class, where its sign is, what it is, and its weight. Words are lower case and match
/// whole words.
type Rule = (Class, Sign, &'static str, u32);

#[rustfmt::skip]
const RULES: &[Rule] = {
    use Class::*;
    use Sign::{Maker, Name, Port, Product, Protocol, Role, Said};
    &[
        // IPP (RFC 8011), LPD (RFC 1179), raw printing.
        (Printer, Protocol, "ipp", 4), (Printer, Port, "9100", 4), (Printer, Port, "515", 3), (Printer, Port, "631", 2),
        (Printer, Maker, "brother", 3), (Printer, Maker, "seiko epson", 4), (Printer, Maker, "kyocera", 4),
        (Printer, Maker, "lexmark", 5), (Printer, Maker, "ricoh", 4), (Printer, Maker, "xerox", 3), (Printer, Maker, "oki electric", 4),
        (Printer, Maker, "konica minolta", 4), (Printer, Maker, "canon", 3), (Printer, Maker, "zebra technologies", 3),
        (Printer, Product, "laserjet", 8), (Printer, Product, "officejet", 8), (Printer, Product, "jetdirect", 8), (Printer, Product, "bizhub", 8),
        (Printer, Said, "laserjet", 7), (Printer, Said, "printer", 5), (Printer, Name, "prn", 3), (Printer, Name, "printer", 3), (Printer, Name, "npi", 2),
        // A CUPS server also speaks IPP, and is a computer.
        (Server, Product, "cups", 4),

        (Network, Maker, "cisco systems", 3), (Network, Maker, "juniper networks", 4), (Network, Maker, "arista networks", 4),
        (Network, Maker, "ubiquiti", 3), (Network, Maker, "routerboard.com", 4), (Network, Maker, "fortinet", 4), (Network, Maker, "aruba", 3),
        (Network, Maker, "extreme networks", 4), (Network, Maker, "ruckus", 4), (Network, Maker, "palo alto networks", 4), (Network, Maker, "yamaha", 2),
        (Network, Maker, "allied telesis", 4), (Network, Maker, "alaxala", 4), (Network, Maker, "mikrotik", 4), (Network, Maker, "tp-link", 2), (Network, Maker, "netgear", 2), (Network, Maker, "buffalo", 1),
        (Network, Product, "ios", 6), (Network, Product, "ios-xe", 8), (Network, Product, "nx-os", 8), (Network, Product, "junos", 8), (Network, Product, "routeros", 8), (Network, Product, "fortios", 8),
        (Network, Product, "fortigate", 8), (Network, Product, "pan-os", 8), (Network, Product, "pfsense", 8), (Network, Product, "opnsense", 8), (Network, Product, "openwrt", 8), (Network, Product, "edgeos", 8), (Network, Product, "vyos", 8), (Network, Product, "arubaos", 8),
        (Network, Port, "179", 3), (Network, Port, "8291", 4), (Network, Port, "4786", 4), (Network, Said, "router", 3), (Network, Said, "switch", 3), (Network, Said, "firewall", 3), (Network, Said, "access point", 4),
        (Network, Name, "sw", 2), (Network, Name, "switch", 3), (Network, Name, "router", 3), (Network, Name, "gw", 2), (Network, Name, "fw", 2), (Network, Name, "ap", 2),

        // What is announced is meant so, but servers route and bridge for what runs on them.
        (Network, Role, "router", 4), (Network, Role, "virtual router", 6), (Network, Role, "switch", 4), (Network, Role, "spanning tree", 3), (Network, Role, "access point", 6), (Network, Role, "cable modem", 6), (Network, Role, "repeater", 4), (Network, Role, "querier", 2), (Network, Role, "dhcp server", 1),
        (Network, Said, "cisco ios", 5), (Network, Said, "catalyst", 6), (Network, Said, "arubaap", 8), (Network, Said, "cisco ap", 8), (Network, Said, "routerboard", 6),
        (Phone, Role, "phone", 8), (Phone, Said, "yealink", 6), (Phone, Said, "polycom", 5), (Phone, Said, "snom", 6), (Phone, Said, "grandstream", 5), (Printer, Said, "jetdirect", 7),
        (Mobile, Said, "iphone", 7), (Mobile, Said, "ipad", 7), (Media, Said, "appletv", 7), (Workstation, Said, "macbook", 7), (Workstation, Said, "imac", 6),

        (Server, Protocol, "smtp", 2), (Server, Protocol, "imap", 2), (Server, Protocol, "pop3", 2), (Server, Protocol, "ldap", 2), (Server, Protocol, "mysql", 3), (Server, Protocol, "postgresql", 3),
        (Server, Protocol, "redis", 3), (Server, Protocol, "memcached", 3), (Server, Protocol, "mqtt", 2), (Server, Protocol, "dns", 1), (Server, Protocol, "ssh", 1), (Server, Protocol, "ntp", 1),
        (Server, Product, "windows server", 8), (Server, Product, "nginx", 2), (Server, Product, "apache", 2), (Server, Product, "apache httpd", 2), (Server, Product, "postfix", 3), (Server, Product, "dovecot", 3),
        (Server, Product, "openssh", 1), (Server, Product, "debian", 1), (Server, Product, "ubuntu", 1), (Server, Product, "red hat enterprise linux", 3), (Server, Product, "microsoft iis", 3), (Server, Product, "bind", 3), (Server, Product, "openldap", 3),
        (Server, Port, "88", 3), (Server, Port, "1433", 3), (Server, Port, "1521", 3), (Server, Name, "srv", 3), (Server, Name, "server", 3), (Server, Name, "mail", 2), (Server, Name, "db", 2), (Server, Name, "www", 2),

        (Workstation, Product, "windows 10", 6), (Workstation, Product, "windows 11", 6), (Workstation, Product, "windows 7", 6), (Workstation, Product, "macos", 6),
        (Workstation, Protocol, "rdp", 1), (Workstation, Protocol, "vnc", 1), (Workstation, Name, "pc", 3), (Workstation, Name, "desktop", 4), (Workstation, Name, "laptop", 4), (Workstation, Name, "nb", 1), (Workstation, Name, "ws", 2), (Workstation, Name, "macbook", 5),

        (Camera, Protocol, "rtsp", 4), (Camera, Port, "554", 2), (Camera, Port, "37777", 4), (Camera, Maker, "axis communications", 5), (Camera, Maker, "hangzhou hikvision", 5), (Camera, Maker, "zhejiang dahua", 5), (Camera, Maker, "hanwha", 3), (Camera, Maker, "mobotix", 6), (Camera, Maker, "i-pro", 4), (Camera, Maker, "vivotek", 6),
        (Camera, Said, "ip camera", 6), (Camera, Said, "network camera", 6), (Camera, Said, "webcam", 4), (Camera, Name, "cam", 3), (Camera, Name, "camera", 3), (Camera, Name, "ipc", 2),

        // S7 (RFC 1006), Modbus/TCP, EtherNet/IP, BACnet/IP, OPC UA, FINS, MELSEC, DNP3, IEC 60870-5-104.
        (Controller, Port, "102", 5), (Controller, Port, "502", 5), (Controller, Port, "44818", 5), (Controller, Port, "47808", 5), (Controller, Port, "4840", 3), (Controller, Port, "9600", 3), (Controller, Port, "5007", 3), (Controller, Port, "20000", 3), (Controller, Port, "2404", 5), (Controller, Port, "1962", 5), (Controller, Port, "48898", 5),
        (Controller, Maker, "siemens", 3), (Controller, Maker, "rockwell automation", 5), (Controller, Maker, "schneider electric", 4), (Controller, Maker, "omron", 4), (Controller, Maker, "mitsubishi electric", 3), (Controller, Maker, "keyence", 4), (Controller, Maker, "beckhoff", 5), (Controller, Maker, "wago", 5), (Controller, Maker, "phoenix contact", 5), (Controller, Maker, "yokogawa", 4), (Controller, Maker, "fanuc", 5), (Controller, Maker, "moxa", 3), (Controller, Maker, "hms industrial", 4), (Controller, Maker, "b&r", 4),
        (Controller, Product, "simatic", 8), (Controller, Product, "twincat", 8), (Controller, Said, "simatic", 7), (Controller, Said, "plc", 5), (Controller, Name, "plc", 4),

        (Storage, Port, "2049", 3), (Storage, Port, "3260", 3), (Storage, Port, "548", 2), (Storage, Protocol, "smb", 1), (Storage, Maker, "synology", 6), (Storage, Maker, "qnap", 6), (Storage, Maker, "netapp", 6), (Storage, Maker, "buffalo", 2),
        (Storage, Product, "synology", 8), (Storage, Product, "qnap", 8), (Storage, Product, "truenas", 8), (Storage, Product, "diskstation", 8), (Storage, Said, "diskstation", 6), (Storage, Said, "synology", 6), (Storage, Said, "qnap", 6), (Storage, Name, "nas", 4), (Storage, Name, "diskstation", 5),

        (Phone, Port, "5060", 3), (Phone, Port, "5061", 2), (Phone, Maker, "polycom", 5), (Phone, Maker, "yealink", 6), (Phone, Maker, "snom", 6), (Phone, Maker, "avaya", 3), (Phone, Maker, "grandstream", 5), (Phone, Name, "sep", 3), (Phone, Said, "ip phone", 6),

        (Mobile, Port, "62078", 6), (Mobile, Product, "android", 5), (Mobile, Product, "ipados", 8), (Mobile, Name, "iphone", 5), (Mobile, Name, "ipad", 5), (Mobile, Name, "android", 4), (Mobile, Name, "galaxy", 3), (Mobile, Name, "pixel", 3),

        (Hypervisor, Product, "esxi", 10), (Hypervisor, Product, "vmware esxi", 10), (Hypervisor, Product, "proxmox", 9), (Hypervisor, Product, "xcp-ng", 9), (Hypervisor, Product, "nutanix", 8), (Hypervisor, Port, "902", 3), (Hypervisor, Port, "8006", 5), (Hypervisor, Port, "2179", 4), (Hypervisor, Port, "16509", 4), (Hypervisor, Said, "proxmox", 8), (Hypervisor, Said, "esxi", 8), (Hypervisor, Name, "esx", 3), (Hypervisor, Name, "esxi", 4), (Hypervisor, Name, "pve", 4),

        (Power, Maker, "american power conversion", 6), (Power, Maker, "eaton", 4), (Power, Maker, "cyberpower", 5), (Power, Maker, "vertiv", 5), (Power, Maker, "liebert", 5), (Power, Port, "3493", 3), (Power, Said, "ups", 4), (Power, Product, "apc", 5), (Power, Name, "ups", 4), (Power, Name, "pdu", 4),

        // DICOM (PS3.8) and HL7 over MLLP.
        (Medical, Port, "104", 4), (Medical, Port, "11112", 5), (Medical, Port, "2575", 4), (Medical, Protocol, "dicom", 8), (Medical, Maker, "philips patient monitoring", 8), (Medical, Maker, "philips medical", 8), (Medical, Maker, "ge medical", 7), (Medical, Maker, "siemens healthcare", 8), (Medical, Maker, "siemens healthineers", 8), (Medical, Maker, "draeger", 5), (Medical, Maker, "fukuda denshi", 8), (Medical, Maker, "nihon kohden", 8), (Medical, Maker, "mindray", 6), (Medical, Maker, "baxter", 5),

        (Management, Port, "623", 4), (Management, Port, "17988", 4), (Management, Port, "5900", 1), (Management, Said, "idrac", 9), (Management, Said, "integrated lights-out", 9), (Management, Said, "ilo", 6), (Management, Said, "megarac", 8), (Management, Said, "ipmi", 5), (Management, Product, "idrac", 9), (Management, Product, "ilo", 8), (Management, Name, "idrac", 6), (Management, Name, "ilo", 5), (Management, Name, "ipmi", 5), (Management, Name, "bmc", 5),

        (Media, Port, "8009", 4), (Media, Port, "7000", 2), (Media, Port, "1400", 4), (Media, Maker, "sonos", 6), (Media, Maker, "roku", 6), (Media, Maker, "barco", 4), (Media, Maker, "crestron", 4), (Media, Said, "projector", 5), (Media, Name, "chromecast", 6), (Media, Name, "appletv", 6), (Media, Name, "projector", 4),
    ]
};

/// Rules with their numbers, by sign and by the first byte of their words.
type ByFirst = HashMap<(Sign, u8), Vec<(usize, &'static Rule)>>;

/// All rules: most texts need a look at a few.
static BY_FIRST: LazyLock<ByFirst> = LazyLock::new(|| {
    let mut by_first = ByFirst::new();
    for (number, rule) in RULES.iter().enumerate() {
        let (_, sign, word, _) = rule;
        let first = word.as_bytes().first().copied();
        by_first.entry((*sign, first.unwrap_or_default())).or_default().push((number, rule));
    }
    by_first
});

/// What an asset shows, in the words that rules look at. The first of several texts that
/// show a rule's sign is the reason.
fn reasons(asset: &Asset) -> BTreeMap<usize, (Class, Reason)> {
    let open = || asset.services.iter().filter(|s| s.state == model::PortState::Open);
    let software = asset.software.iter().filter(|software| software.current);
    let mut found = Found::default();
    found.words(Sign::Maker, asset.macs().filter_map(vendor::vendor));
    let products = software.map(|software| &software.product);
    let products = products.chain(asset.os.iter().map(|os| &os.name));
    found.words(Sign::Product, products.map(|name| Cow::Borrowed(name.as_str())));
    const TOLD: [&str; 6] = ["title", "realm", "description", "model", "friendly_name", "banner"];
    let attributes = open().flat_map(|s| TOLD.iter().filter_map(|name| s.attributes.get(*name)));
    let neighbors = asset.neighbors().flat_map(|neighbor| {
        let texts = [&neighbor.platform, &neighbor.system_description, &neighbor.version];
        texts.into_iter().flatten()
    });
    let said = attributes.chain(neighbors).map(String::as_str);
    let said = said.chain(asset.fingerprints(FingerprintKind::DhcpVendorClass));
    found.words(Sign::Said, said.map(Cow::Borrowed));
    let roles = asset.roles().map(|(_, role)| Cow::Owned(role.to_string()));
    found.words(Sign::Role, roles);
    let protocols = open().filter_map(|service| service.protocol.as_deref());
    found.texts(Sign::Protocol, protocols.map(Cow::Borrowed), |text, word| text == word);
    let ports = open().map(|service| Cow::Owned(service.port.to_string()));
    found.texts(Sign::Port, ports, |text, word| text == word);
    let names = asset.names.iter().map(|name| Cow::Borrowed(name.name.as_str()));
    found.texts(Sign::Name, names, begins);
    found.0
}

/// The reasons found so far, by the number of the rule.
#[derive(Default)]
struct Found(BTreeMap<usize, (Class, Reason)>);

impl Found {
    /// Looks for the rules' words in texts, in any case, not as part of longer ones.
    fn words<'t>(&mut self, sign: Sign, texts: impl Iterator<Item = Cow<'t, str>>) {
        for text in sorted(texts) {
            let lower = text.to_lowercase();
            let mut inside = false;
            for (at, c) in lower.char_indices() {
                let is_start = !std::mem::replace(&mut inside, c.is_alphanumeric());
                if let Some(rest) = lower.get(at..).filter(|_| is_start) {
                    self.at(sign, rest, &text, |rest, words| {
                        rest.strip_prefix(words)
                            .is_some_and(|after| !after.starts_with(char::is_alphanumeric))
                    });
                }
            }
        }
    }

    /// Compares texts with the rules' words.
    fn texts<'t>(
        &mut self,
        sign: Sign,
        texts: impl Iterator<Item = Cow<'t, str>>,
        is: fn(&str, &str) -> bool,
    ) {
        for text in sorted(texts) {
            self.at(sign, &text, &text, is);
        }
    }

    fn at(&mut self, sign: Sign, rest: &str, text: &str, is: fn(&str, &str) -> bool) {
        let Some(first) = rest.as_bytes().first() else { return };
        for (number, (class, _, word, weight)) in
            BY_FIRST.get(&(sign, *first)).into_iter().flatten()
        {
            if is(rest, word) {
                self.0.entry(*number).or_insert_with(|| {
                    let text = match sign {
                        Sign::Maker => format!("interface made by {text}"),
                        Sign::Product => format!("runs {text}"),
                        Sign::Said => format!("says {text:?}"),
                        Sign::Protocol => format!("speaks {text}"),
                        Sign::Port => format!("port {text} is open"),
                        Sign::Role => format!("says that it is a {text}"),
                        Sign::Name => format!("is named {text}"),
                    };
                    (*class, Reason { weight: *weight, text })
                });
            }
        }
    }
}

fn sorted<'t>(texts: impl Iterator<Item = Cow<'t, str>>) -> Vec<Cow<'t, str>> {
    let mut texts: Vec<Cow<'t, str>> = texts.collect();
    texts.sort();
    texts.dedup();
    texts
}

/// Whether a host name begins with the word, followed by no further letter: `sw-3`, `sw3`,
/// `sw.example`, and not `swift`.
fn begins(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
}

/// What kind of thing an asset is, as far as its interfaces' makers, its services, products
/// and names tell; `None` where they tell too little, or of two kinds alike.
#[must_use]
pub fn classify(asset: &Asset) -> Option<Classified> {
    let mut shown: BTreeMap<Class, Vec<Reason>> = BTreeMap::new();
    for (class, reason) in reasons(asset).into_values() {
        shown.entry(class).or_default().push(reason);
    }
    let mut found: Vec<(u32, Class, Vec<Reason>)> = Vec::new();
    for (class, mut reasons) in shown {
        // Two rules may see one sign (`server`, `windows server`): the weightier counts.
        reasons.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.text.cmp(&b.text)));
        let mut kept: Vec<Reason> = Vec::new();
        for reason in reasons {
            if kept.iter().all(|other| other.text != reason.text) {
                kept.push(reason);
            }
        }
        let weight = kept.iter().map(|reason| reason.weight).sum();
        found.push((weight, class, kept));
    }
    let most = found.iter().map(|(weight, ..)| *weight).max().filter(|most| *most >= ENOUGH)?;
    let mut best = found.into_iter().filter(|(weight, ..)| *weight == most);
    match (best.next(), best.next()) {
        (Some((_, class, reasons)), None) => {
            let told = |Reason { weight, text }: Reason| format!("{text} ({weight})");
            Some(Classified { class, reasons: reasons.into_iter().map(told).collect() })
        }
        _ => None,
    }
}

/// What the maker of an interface alone tells of a device, for one of which nothing else is
/// known yet. `None` where it tells too little.
#[must_use]
pub fn by_maker(mac: MacAddr) -> Option<Class> {
    let mut found = Found::default();
    found.words(Sign::Maker, vendor::vendor(mac).into_iter());
    let (class, reason) = found.0.into_values().max_by_key(|(_, reason)| reason.weight)?;
    (reason.weight >= ENOUGH).then_some(class)
}

#[cfg(test)]
mod tests {
    use model::{
        DiscoveryProtocol, Endpoint, Fact, MacAddr, Method, NameSource, Neighbor, NetworkRole,
        Observation, RouterProtocol, Service, Site, Subject, Timestamp, Vantage,
    };

    use super::*;
    use crate::{asset::AssetId, identity};

    enum Has {
        Mac(&'static str),
        Service(u16, &'static str, Option<&'static str>),
        Title(u16, &'static str),
        Name(&'static str),
        Os(&'static str),
        Fact(Fact),
    }

    fn asset(has: &[Has]) -> Asset {
        let address = "192.0.2.1".parse().unwrap();
        let see: Vec<Observation> = has
            .iter()
            .map(|has| {
                let place = |port| Subject::Endpoint(Endpoint::tcp(address, port));
                let service = |protocol: &str, product: Option<&str>, title: Option<&str>| {
                    let title = title.map(|title| ("title".to_owned(), title.to_owned()));
                    Fact::Service(Service {
                        product: product.map(str::to_owned),
                        attributes: title.into_iter().collect(),
                        ..Service::of(protocol)
                    })
                };
                let (subject, fact) = match has {
                    Has::Mac(mac) => {
                        let mac: MacAddr = mac.parse().unwrap();
                        (Subject::Address(address), Fact::LinkAddress(mac))
                    }
                    Has::Service(port, protocol, product) => {
                        (place(*port), service(protocol, *product, None))
                    }
                    Has::Title(port, title) => (place(*port), service("http", None, Some(title))),
                    Has::Name(name) => {
                        let name = (*name).to_owned();
                        let fact = Fact::HostName { name, source: NameSource::Mdns };
                        (Subject::Address(address), fact)
                    }
                    Has::Fact(fact) => (Subject::Address(address), fact.clone()),
                    Has::Os(name) => {
                        let (name, version, cpe) = ((*name).to_owned(), None, None);
                        (Subject::Address(address), Fact::OperatingSystem { name, version, cpe })
                    }
                };
                Observation {
                    observed_at: Timestamp::from_seconds(1),
                    vantage: Vantage { site: Site("plant".into()), name: "here".into() },
                    method: Method::Dialogue,
                    subject,
                    fact,
                    evidence: Vec::new(),
                }
            })
            .collect();
        let update = identity::update(&[], AssetId(1), &see, Timestamp::from_seconds(2));
        update.assets.into_iter().next().unwrap()
    }

    #[track_caller]
    fn check(has: &[Has], expected: Option<Class>) {
        let classified = classify(&asset(has));
        assert_eq!(classified.as_ref().map(|c| c.class), expected, "{classified:?}");
        if let Some(classified) = classified {
            assert!(!classified.reasons.is_empty());
        }
    }

    #[test]
    fn each_class_has_an_example() {
        use Has::{Mac, Name, Os, Service, Title};
        check(&[Service(9100, "jetdirect", None), Service(631, "ipp", None)], Some(Class::Printer));
        check(&[Mac("00:00:0c:01:02:03"), Service(22, "ssh", None)], Some(Class::Network));
        check(
            &[Service(22, "ssh", Some("OpenSSH")), Service(25, "smtp", Some("Postfix"))],
            Some(Class::Server),
        );
        check(&[Os("Windows 11"), Service(3389, "rdp", None)], Some(Class::Workstation));
        check(&[Service(554, "rtsp", None), Title(80, "IP Camera")], Some(Class::Camera));
        check(&[Service(502, "modbus", None)], Some(Class::Controller));
        check(&[Title(5000, "Synology DiskStation"), Name("nas-2")], Some(Class::Storage));
        check(&[Service(5060, "sip", None), Title(80, "IP Phone")], Some(Class::Phone));
        check(&[Name("iphone-von-anna.local")], Some(Class::Mobile));
        check(&[Service(443, "http", Some("VMware ESXi"))], Some(Class::Hypervisor));
        check(&[Title(80, "UPS 3000"), Name("ups1")], Some(Class::Power));
        check(&[Service(11112, "dicom", None)], Some(Class::Medical));
        check(&[Title(443, "iDRAC9")], None);
        check(&[Title(443, "Integrated Lights-Out 5")], Some(Class::Management));
        check(&[Service(8009, "cast", None), Name("chromecast-1")], Some(Class::Media));
    }

    #[test]
    fn what_is_announced_tells_the_class() {
        let role = |role| Has::Fact(Fact::Role(role));
        check(&[role(NetworkRole::Router(RouterProtocol::Ospf))], Some(Class::Network));
        check(&[role(NetworkRole::Switch)], Some(Class::Network));
        check(&[role(NetworkRole::DhcpServer)], None);
        check(&[role(NetworkRole::Phone), role(NetworkRole::Station)], Some(Class::Phone));
        let neighbor = Neighbor {
            platform: Some("Cisco IP Phone 7960".to_owned()),
            ..Neighbor::of(DiscoveryProtocol::Cdp)
        };
        check(&[Has::Fact(Fact::Neighbor(neighbor))], Some(Class::Phone));
        let class = |value: &str| {
            let kind = FingerprintKind::DhcpVendorClass;
            Has::Fact(Fact::Fingerprint { kind, value: value.to_owned() })
        };
        check(&[class("Hewlett-Packard JetDirect")], Some(Class::Printer));
        check(&[class("android-dhcp-13")], Some(Class::Mobile));
        check(&[class("MSFT 5.0")], None);
        check(&[class("udhcp 1.22.1")], None);
        // A computer that routes for what runs on it.
        let has = [
            Has::Service(22, "ssh", Some("OpenSSH")),
            Has::Service(3306, "mysql", None),
            Has::Os("Debian"),
            role(NetworkRole::Router(RouterProtocol::Discovery)),
        ];
        check(&has, Some(Class::Server));
    }

    #[test]
    fn a_maker_of_printers_is_enough() {
        for (mac, expected) in [
            ("00:80:77:01:02:03", Some(Class::Printer)),
            // Chosen by software: nobody made it.
            ("02:80:77:01:02:03", None),
            // A maker of computers of all kinds.
            ("00:1b:21:01:02:03", None),
        ] {
            assert_eq!(by_maker(mac.parse().unwrap()), expected, "{mac}");
        }
    }

    #[test]
    fn too_little_is_no_class() {
        check(&[Has::Mac("02:00:00:00:00:01")], None);
        check(&[Has::Service(22, "ssh", None)], None);
        check(&[Has::Name("swift")], None);
    }

    #[test]
    fn a_print_server_is_a_server_by_what_it_runs() {
        let has = [
            Has::Service(631, "ipp", Some("CUPS")),
            Has::Service(22, "ssh", Some("OpenSSH")),
            Has::Service(25, "smtp", Some("Postfix")),
        ];
        check(&has, Some(Class::Server));
    }

    #[test]
    fn the_reasons_are_told() {
        let classified = classify(&asset(&[Has::Service(502, "modbus", None)])).unwrap();
        assert_eq!(classified.reasons, ["port 502 is open (5)"]);
        assert!(classified.class.is_fragile());
    }

    #[test]
    fn rules_are_written_to_be_matched() {
        for (class, sign, word, weight) in RULES {
            assert_eq!(*word, word.to_lowercase(), "{class} {sign:?}");
            assert!((1..=10).contains(weight), "{class} {word}");
            if *sign == Sign::Port {
                assert!(word.parse::<u16>().is_ok_and(|port| port > 0), "{word}");
            }
        }
    }

    #[test]
    fn every_class_has_rules_and_a_name() {
        for class in Class::ALL {
            assert!(RULES.iter().any(|(of, ..)| *of == class), "{class}");
        }
    }
}
