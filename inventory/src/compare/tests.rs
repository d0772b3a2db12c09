use std::net::{IpAddr, Ipv4Addr};

use certs::{
    Key, KeyKind, SelfSigned, Trust,
    chain::{Judgement, Reason},
    revocation::{Signer, Standing},
    store::{Format, PrivateKey},
};
use model::{
    AddressRange, Cpe, Identifier, MachineIdKind, Method, NameSource, NetworkRole, PortState,
    RouterProtocol, Site, Strength, Subject, TlsExtent, TlsServer, TlsVersion, Transport, Use,
    Vantage,
};

use super::*;
use crate::{
    asset::{Assigned, Deployment, KnownTls, Name, ServiceState, Software},
    chain::{Chain, KeptList},
    file::FileCertificate,
    heard::{Heard, What},
    register::{Entry, read},
};

const DAY: i64 = 86_400;
const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);
const YESTERDAY: Timestamp = NOW.plus_seconds(-DAY);

/// An asset with identifiers as text: MACs, addresses and host names are told apart by
/// their look, and `serial:` marks a serial number.
fn asset(id: i64, identifiers: &[&str]) -> Asset {
    let mut asset = Asset {
        id: AssetId(id),
        site: Site("plant".into()),
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
        identity_uncertain: false,
        identifiers: Vec::new(),
        names: Vec::new(),
        alive_by: vec![Method::Arp, Method::Echo],
        services: Vec::new(),
        software: Vec::new(),
        os: None,
        deployments: Vec::new(),
        anomalies: Vec::new(),
        heard: Vec::new(),
    };
    for text in identifiers {
        let identifier = if let Some(serial) = text.strip_prefix("serial:") {
            Identifier::MachineId(MachineIdKind::Serial, serial.into())
        } else if let Ok(mac) = text.parse() {
            Identifier::Mac(mac)
        } else if let Ok(address) = text.parse() {
            Identifier::Address(address)
        } else {
            asset.names.push(Name {
                name: (*text).into(),
                source: NameSource::Mdns,
                last_seen: YESTERDAY,
            });
            Identifier::HostName((*text).into())
        };
        asset.identifiers.push(Assigned {
            identifier,
            strength: Strength::Moderate,
            first_seen: YESTERDAY,
            last_seen: YESTERDAY,
            current: true,
            because: "said so".into(),
        });
    }
    asset
}

fn with_software(mut asset: Asset, product: &str, version: Option<&str>) -> Asset {
    asset.software.push(Software {
        product: product.into(),
        version: version.map(str::to_owned),
        cpe: version.map(|version| Cpe::application("maker", product, Some(version))),
        source: "192.0.2.9:22/tcp ssh".into(),
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
        current: true,
    });
    asset
}

fn with_service(mut asset: Asset, port: u16, product: Option<&str>, state: PortState) -> Asset {
    let address = asset.addresses().next().unwrap();
    asset.services.push(ServiceState {
        address,
        transport: Transport::Tcp,
        port,
        state,
        protocol: None,
        product: product.map(str::to_owned),
        version: None,
        cpe: None,
        tls: false,
        attributes: BTreeMap::new(),
        tls_server: None,
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
    });
    asset
}

fn with_certificate(mut asset: Asset, certificate: &Certificate, chain: &[&Certificate]) -> Asset {
    let address = asset.addresses().next().unwrap();
    asset.deployments.push(Deployment {
        sha256: certificate.sha256.clone(),
        chain: chain.iter().map(|above| above.sha256.clone()).collect(),
        address,
        port: 443,
        transport: Transport::Tcp,
        server_name: None,
        protocol_version: TlsVersion(0x0304),
        starttls: None,
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
        current: true,
    });
    asset
}

/// A certificate and one that may follow it.
fn renewal() -> (Certificate, Certificate) {
    let old = Certificate {
        spki_sha256: Some("aa".into()),
        not_before: Some(NOW.plus_seconds(-20 * DAY)),
        ..certificate("www.example.jp", "Example CA")
    };
    let new = Certificate {
        sha256: "new".into(),
        spki_sha256: Some("bb".into()),
        ..certificate("www.example.jp", "Example CA")
    };
    (old, new)
}

/// A place that served the one and serves the other.
fn renewed(old: &Certificate, new: &Certificate) -> World {
    let mut world = good().certificates(&[old, new]);
    let known = std::mem::take(&mut world.assets[0].deployments).len();
    assert!(known <= 1, "the good world has one certificate at the most");
    let mut asset = with_certificate(world.assets[0].clone(), old, &[]);
    asset.deployments[0].current = false;
    asset.deployments[0].last_seen = YESTERDAY.plus_seconds(-1);
    asset.deployments[0].first_seen = YESTERDAY.plus_seconds(-DAY);
    world.assets[0] = with_certificate(asset, new, &[]);
    world
}

/// A file with those certificates.
fn file(path: &str, private_key: PrivateKey, mode: u32, held: &[&Certificate]) -> KeptFile {
    let held = held.iter().map(|certificate| FileCertificate {
        sha256: certificate.sha256.clone(),
        entry: None,
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
        current: true,
    });
    KeptFile {
        vantage: Vantage { site: Site("plant".into()), name: "web7".into() },
        path: path.to_owned(),
        format: Format::Pem,
        private_key,
        mode,
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
        present: true,
        certificates: held.collect(),
    }
}

/// A certificate without a fault; `name` stands for its bytes.
fn certificate(name: &str, issuer: &str) -> Certificate {
    Certificate {
        subject: format!("CN={name}"),
        issuer: format!("CN={issuer},O=Example\\, Inc."),
        names: vec![name.to_owned()],
        not_before: Some(NOW.plus_seconds(-10 * DAY)),
        not_after: Some(NOW.plus_seconds(380 * DAY)),
        key: Key {
            algorithm: "EC".into(),
            kind: KeyKind::Ec,
            bits: Some(256),
            curve: Some("P-256".into()),
        },
        spki_sha256: Some(format!("{:0>64}", name.len())),
        self_signed: SelfSigned::No,
        anomalies: Vec::new(),
        ..certs::parse(name.as_bytes())
    }
}

/// A scan that looked at these addresses with ARP and echo, `days` ago.
fn scan(days: i64, addresses: &str) -> ScanRecord {
    let range = crate::register::address_range(addresses).unwrap();
    ScanRecord {
        vantage: Vantage { site: Site("plant".into()), name: "here".into() },
        started_at: NOW.plus_seconds(-days * DAY),
        ended_at: None,
        io: "raw".into(),
        probes_sent: 9,
        replies: 1,
        drops: 0,
        complete: true,
        gaps: Vec::new(),
        coverage: vec![model::Coverage {
            range,
            methods: vec![Method::Arp, Method::Echo],
            tcp: "22,443,8006".parse().unwrap(),
            udp: model::PortSet::default(),
        }],
    }
}

#[derive(Clone, Default)]
struct World {
    assets: Vec<Asset>,
    devices: Option<Vec<DeviceEntry>>,
    software: Option<Vec<SoftwareEntry>>,
    issuers: Option<Vec<IssuerEntry>>,
    certificates: Vec<Certificate>,
    files: Vec<KeptFile>,
    chains: Chains,
    scans: Vec<ScanRecord>,
    network: Network,
    decided: Decided,
}

#[track_caller]
fn entries<E: Entry>(csv: &str) -> Option<Vec<E>> {
    let import = read::<E>(csv.as_bytes()).unwrap();
    assert_eq!(import.errors, []);
    Some(import.entries)
}

impl World {
    fn of(assets: impl IntoIterator<Item = Asset>) -> Self {
        Self { assets: assets.into_iter().collect(), ..Self::default() }
    }

    #[track_caller]
    fn devices(self, csv: &str) -> Self {
        let csv = format!("reference,mac,ip,host name,serial,status,valid from,valid until\n{csv}");
        Self { devices: entries(&csv), ..self }
    }

    #[track_caller]
    fn software(self, csv: &str) -> Self {
        let csv = format!("product,version,status,support ends,scope\n{csv}");
        Self { software: entries(&csv), ..self }
    }

    #[track_caller]
    fn issuers(self, csv: &str) -> Self {
        let csv = format!("issuer,certificate hash,key hash\n{csv}");
        Self { issuers: entries(&csv), ..self }
    }

    fn certificates(self, certificates: &[&Certificate]) -> Self {
        Self { certificates: certificates.iter().copied().cloned().collect(), ..self }
    }

    fn files(self, files: impl IntoIterator<Item = KeptFile>) -> Self {
        Self { files: files.into_iter().collect(), ..self }
    }

    /// With a verdict on what the first asset serves.
    fn judged(mut self, trust: Trust, path: &[&str], reasons: &[Reason]) -> Self {
        let chain = Chain::of(self.assets[0].deployments.last().unwrap());
        let path = path.iter().map(|sha256| (*sha256).to_owned()).collect();
        self.chains.add(chain, Judgement { trust, path, reasons: reasons.to_vec() });
        self
    }

    fn scans(self, scans: impl IntoIterator<Item = ScanRecord>) -> Self {
        Self { scans: scans.into_iter().collect(), ..self }
    }

    fn compare(&self) -> Comparison {
        compare(&Input {
            assets: &self.assets,
            devices: self.devices.as_deref(),
            software: self.software.as_deref(),
            issuers: self.issuers.as_deref(),
            decided: &self.decided,
            files: &self.files,
            certificates: &self.certificates,
            chains: &self.chains,
            network: &self.network,
            scans: &self.scans,
            thresholds: Thresholds::default(),
            offset: Offset::UTC,
            as_of: NOW,
        })
    }

    fn rules(&self) -> Vec<&'static str> {
        self.compare().detections.iter().map(|detection| detection.rule).collect()
    }

    /// The state of the first asset and the reason, which must contain `because`.
    #[track_caller]
    fn first_is(&self, state: Registration, because: &str) {
        let comparison = self.compare();
        let got = comparison.asset(self.assets[0].id).unwrap();
        assert_eq!(got.state, state, "{}", got.reason);
        assert!(got.reason.contains(because), "{:?} does not contain {because:?}", got.reason);
    }

    #[track_caller]
    fn cannot_tell(&self, rule: &str, subject: &str, expected: bool) {
        let key = FindingKey { rule: rule.into(), subject: subject.into() };
        assert_eq!(self.compare().checked(&key), !expected, "{key:?}");
    }
}

/// A server of TLS 1.2 and 1.3 in good order.
fn server() -> TlsServer {
    TlsServer {
        asked: TlsExtent::Thorough,
        cut: false,
        starttls: None,
        accepted: [(0x0303, 0xc02f), (0x0304, 0x1301)]
            .map(|(version, suite)| (TlsVersion(version), BTreeSet::from([suite])))
            .into(),
        refused: [0x0300, 0x0301, 0x0302].map(TlsVersion).into(),
        groups: BTreeSet::from([0x1d]),
        dh_bits: Some(2048),
        protocols: BTreeSet::new(),
        client_authorities: None,
        compression: Some(0),
        secure_renegotiation: Some(true),
        extended_master_secret: Some(true),
        hybrid: Some(true),
    }
}

/// The good world with a server.
fn with_server(server: TlsServer) -> World {
    let mut world = good();
    let asset = with_service(world.assets[0].clone(), 443, None, PortState::Open);
    world.assets[0] = asset;
    world.assets[0].services[0].tls_server = Some(KnownTls { server, last_seen: YESTERDAY });
    world
}

/// The good world with a host certificate that was made in November and ends then.
fn with_host_certificate(end: &str) -> World {
    let mut world = good();
    let asset = with_service(world.assets[0].clone(), 22, None, PortState::Open);
    world.assets[0] = asset;
    let validity = format!("2026-11-01T00:00:00Z/{end}");
    world.assets[0].services[0].attributes.insert("host_certificate:ssh-ed25519".into(), validity);
    world
}

/// The good world with a server that accepts one thing more.
fn accepts(version: u16, suite: Option<u16>) -> World {
    let mut server = server();
    server.accepted.entry(TlsVersion(version)).or_default().extend(suite);
    with_server(server)
}

const MAC: &str = "00:11:22:33:44:55";
const OTHER_MAC: &str = "00:11:22:33:44:66";
const RANDOM_MAC: &str = "02:11:22:33:44:55";
const IP: &str = "192.0.2.9";

fn looked_for() -> [ScanRecord; 3] {
    [1, 2, 3].map(|hours| ScanRecord {
        started_at: NOW.plus_seconds(-3600 * hours),
        ..scan(0, "192.0.2.0/24")
    })
}

/// Everything approved: what breaks a rule below differs from this in one thing.
fn good() -> World {
    World::of([with_software(asset(1, &[MAC, IP]), "OpenSSH", Some("9.2p1"))])
        .devices("PC-1,00:11:22:33:44:55,192.0.2.9,,,,,\n")
        .software("OpenSSH,>= 9,approved,,\n")
        .issuers("Example CA,,\n")
}

fn www() -> Certificate {
    certificate("www.example.jp", "Example CA")
}

/// The good world with a certificate that clients refuse for that reason; the organisation has
/// roots of its own.
fn refused(trust: Trust, reason: Reason) -> World {
    let leaf = www();
    let mut world = good().certificates(&[&leaf]);
    world.assets[0] = with_certificate(world.assets[0].clone(), &leaf, &[]);
    world.chains = Chains::with_own_roots();
    world.judged(trust, &[&leaf.sha256], &[reason])
}

fn with_list(signer: Signer, outdated: bool) -> World {
    let mut world = good();
    world.chains.add_list(KeptList {
        path: "/etc/ca.crl".into(),
        issuer: "CN=Example CA".into(),
        next_update: Some(YESTERDAY),
        standing: Standing { signer, outdated },
    });
    world
}

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80));

/// One server, which is not the first asset.
fn approved() -> Approved {
    Approved::read(["192.0.2.1"]).unwrap()
}

/// The good world in which the first asset was heard to say or do that.
fn told(what: What, network: Network) -> World {
    let mut world = World { network, ..good() };
    let address = world.assets[0].addresses().next().unwrap();
    world.assets[0].heard.push(Heard {
        subject: Subject::Address(address),
        what,
        first_seen: YESTERDAY,
        last_seen: YESTERDAY,
    });
    world
}

/// For each rule, a world that breaks it and no other.
fn broken(rule: &str) -> World {
    match rule {
        "device.unregistered" => good().devices("PC-2,00:11:22:33:44:66,DHCP,,,,,\n"),
        "device.rejected" => good().devices("PC-1,00:11:22:33:44:55,,,,rejected,,\n"),
        "device.expired" => good().devices("PC-1,00:11:22:33:44:55,,,,,,2026-11-20\n"),
        "device.retired-seen" => good().devices("PC-1,00:11:22:33:44:55,,,,廃棄,,\n"),
        "device.missing" => good().scans(looked_for()),
        "device.conflicting" => {
            good().devices("PC-1,00:11:22:33:44:55,,,,,,\nPC-2,,192.0.2.9,,,,,\n")
        }
        "device.identity-uncertain" => {
            let world = World::of([asset(1, &[IP])]);
            world.devices("PC-1,00:11:22:33:44:55,192.0.2.9,,,,,\n")
        }
        "software.forbidden" => good().software("OpenSSH,,forbidden,,\n"),
        "software.unregistered" => good().software("nginx,,approved,,\n"),
        "software.version-not-approved" => good().software("OpenSSH,>= 9.3,approved,,\n"),
        "software.support-ended" => good().software("OpenSSH,,approved,2026-11-21,\n"),
        "software.required-missing" => {
            let mut world = good();
            world.assets.push(with_service(
                with_software(asset(2, &[OTHER_MAC, "192.0.2.10"]), "Zabbix", None),
                8006,
                Some("Zabbix"),
                PortState::Open,
            ));
            world
                .devices("PC-1,00:11:22:33:44:55,,,,,,\nPC-2,00:11:22:33:44:66,,,,,,\n")
                .software("OpenSSH,,approved,,\nZabbix,,required,,PC-1; PC-2\n")
                .scans([scan(2, "192.0.2.0/24")])
        }
        "cert.unapproved-issuer" => {
            let leaf = certificate("www.example.jp", "Nobody CA");
            let mut world = good().certificates(&[&leaf]);
            world.assets[0] = with_certificate(world.assets[0].clone(), &leaf, &[]);
            world
        }
        "cert.renewed-not-everywhere" => {
            let (old, new) = renewal();
            let mut world = renewed(&old, &new);
            let second = asset(1, &[MAC, "192.0.2.10"]);
            let place = with_certificate(second, &old, &[]).deployments.remove(0);
            world.assets[0]
                .deployments
                .push(Deployment { address: "192.0.2.10".parse().unwrap(), ..place });
            world
        }
        "cert.renewed-same-key" => {
            let (old, new) = renewal();
            renewed(&old, &Certificate { spki_sha256: old.spki_sha256.clone(), ..new })
        }
        "cert.renewed-other-issuer" => {
            let (old, new) = renewal();
            let issuer = "CN=Other CA,O=Example\\, Inc.".to_owned();
            renewed(&old, &Certificate { issuer, ..new }).issuers("Example CA,,\nOther CA,,\n")
        }
        "ssh.certificate-expired" => with_host_certificate("2026-11-21T00:00:00Z"),
        "ssh.certificate-expiring" => with_host_certificate("2026-11-23T00:00:00Z"),
        "cert.missing-intermediate" => {
            let held = Some(certificate("Issuing CA", "Root CA").sha256);
            let issuer = "CN=Issuing CA".to_owned();
            refused(Trust::Private, Reason::MissingIntermediate { issuer, held })
        }
        "cert.expired-issuer" => {
            let leaf = www();
            let above =
                Certificate { not_after: Some(YESTERDAY), ..certificate("Example CA", "Root CA") };
            let leaf = Certificate { issuer: above.subject.clone(), ..leaf };
            let mut world = good().certificates(&[&leaf, &above]);
            world.issuers = None;
            world.assets[0] = with_certificate(world.assets[0].clone(), &leaf, &[&above]);
            let reason = Reason::ExpiredIntermediate(above.sha256.clone());
            world.judged(Trust::Private, &[&leaf.sha256, &above.sha256, "root"], &[reason])
        }
        "cert.unknown-issuer" => World {
            issuers: None,
            ..refused(Trust::Unknown, Reason::UnknownIssuer("CN=Nobody".to_owned()))
        },
        "cert.self-signed" => {
            World { issuers: None, ..refused(Trust::Unknown, Reason::SelfSigned) }
        }
        "cert.name-mismatch" => {
            let mut world = refused(Trust::Private, Reason::NameMismatch);
            world.assets[0].deployments[0].server_name = Some("mail.example.jp".into());
            let leaf = world.assets[0].deployments[0].sha256.clone();
            world.chains.note_misnamed(leaf, "mail.example.jp");
            world
        }
        "cert.bad-signature" => refused(Trust::Unknown, Reason::BadSignature("ab".to_owned())),
        "cert.revoked" => refused(Trust::Private, Reason::Revoked),
        "cert.chain-refused" => {
            refused(Trust::Private, Reason::Constraint("it may not issue for this".to_owned()))
        }
        "crl.outdated" => with_list(Signer::Issuer, true),
        "crl.bad-signature" => with_list(Signer::Other, false),
        "tls.ssl2" => accepts(0x0002, None),
        "tls.ssl3" => accepts(0x0300, Some(0x0035)),
        "tls.old-version" => accepts(0x0302, Some(0x0035)),
        "tls.null" => accepts(0x0303, Some(0x003b)),
        "tls.anonymous" => accepts(0x0303, Some(0x00a6)),
        "tls.export" => accepts(0x0303, Some(0x0008)),
        "tls.des" => accepts(0x0303, Some(0x0009)),
        "tls.rc4" => accepts(0x0303, Some(0xc011)),
        "tls.3des" => accepts(0x0303, Some(0x000a)),
        "tls.short-dh" => with_server(TlsServer { dh_bits: Some(1024), ..server() }),
        "tls.compression" => with_server(TlsServer { compression: Some(1), ..server() }),
        "tls.insecure-renegotiation" => {
            with_server(TlsServer { secure_renegotiation: Some(false), ..server() })
        }
        "dhcp.rogue-server" => {
            let network = Network { dhcp_servers: approved(), ..Network::default() };
            told(What::Role(NetworkRole::DhcpServer), network)
        }
        "ra.rogue-router" => {
            let network = Network { routers: approved(), ..Network::default() };
            let role = NetworkRole::Router(RouterProtocol::RouterAdvertisement);
            told(What::Role(role), network)
        }
        "dns.unapproved-resolver" => {
            let network = Network { resolvers: approved(), ..Network::default() };
            told(What::Use(Use::Resolver(STRANGER)), network)
        }
        "ntp.unapproved-server" => {
            let network = Network { time_servers: approved(), ..Network::default() };
            told(What::Use(Use::TimeServer(STRANGER)), network)
        }
        "cleartext.in-use" => {
            let spoken = Use::Cleartext { protocol: "telnet".into(), server: STRANGER };
            told(What::Use(spoken), Network::default())
        }
        "key.readable" => good().files([file("/etc/a.key", PrivateKey::Plain, 0o644, &[])]),
        other => panic!("add a world that breaks the rule {other}"),
    }
}

#[test]
fn each_rule_fires_on_its_own_example_and_on_no_other() {
    assert_eq!(good().rules(), [] as [&str; 0]);
    for rule in RULES {
        let comparison = broken(rule.id).compare();
        let fired: Vec<_> = comparison.detections.iter().map(|detection| detection.rule).collect();
        assert_eq!(fired, [rule.id]);
        let detection = &comparison.detections[0];
        assert!(detection.severity <= rule.severity, "{}", rule.id);
        assert!(detection.title.starts_with(rule.title), "{}", detection.title);
        assert!(!detection.detail.is_empty());
    }
}

#[test]
fn a_server_in_good_order_breaks_no_rule_and_a_broken_one_only_while_it_serves() {
    assert_eq!(with_server(server()).rules(), [] as [&str; 0]);
    let old = || accepts(0x0301, Some(0x0035));
    let detection = &old().compare().detections[0];
    assert_eq!(detection.subject, "endpoint:plant/192.0.2.9:443/tcp");
    assert_eq!(detection.detail, "192.0.2.9:443/tcp (192.0.2.9): it accepts TLSv1.0");
    let with_state = |state| {
        let mut world = old();
        world.assets[0].services[0].state = state;
        world
    };
    assert_eq!(with_state(PortState::Filtered).rules(), ["tls.old-version"]);
    assert_eq!(with_state(PortState::Closed).rules(), [] as [&str; 0]);
    with_state(PortState::Closed).cannot_tell("tls.old-version", &detection.subject, false);
    // Its address went to another asset.
    let mut moved = old();
    moved.assets[0].identifiers.iter_mut().for_each(|assigned| {
        assigned.current &= !matches!(assigned.identifier, Identifier::Address(_));
    });
    assert!(!moved.rules().contains(&"tls.old-version"));
    // Several weak suites are one problem.
    let mut many = server();
    let weak = [0x0001, 0x0002, 0x003b, 0xc006, 0xc010, 0xc001, 0xc00b];
    many.accepted.entry(TlsVersion(0x0303)).or_default().extend(weak);
    let compared = with_server(many).compare();
    assert_eq!(compared.detections.len(), 1);
    assert!(compared.detections[0].detail.ends_with(" and 2 more"), "{compared:?}");
}

#[test]
fn who_is_approved_by_address_or_mac_is_none_of_a_rogue_and_nobody_is_before_a_decision() {
    let check = |list: &[&str], expected: &[&str]| {
        let approved = Approved::read(list.iter().copied()).unwrap();
        let network = Network { dhcp_servers: approved, ..Network::default() };
        assert_eq!(
            told(What::Role(NetworkRole::DhcpServer), network).rules(),
            expected,
            "{list:?}"
        );
    };
    check(&[], &[]);
    check(&["192.0.2.1"], &["dhcp.rogue-server"]);
    check(&["192.0.2.1", IP], &[]);
    check(&["192.0.2.0/28"], &[]);
    check(&["192.0.2.1", MAC], &[]);
    assert_eq!(Approved::read(["192.0.2.1", "nonsense"]), Err("nonsense"));
    let undecided = told(What::Role(NetworkRole::DhcpServer), Network::default());
    undecided.cannot_tell("dhcp.rogue-server", "asset:1", true);
    undecided.cannot_tell("cleartext.in-use", "asset:1 cleartext:ftp", false);
}

#[test]
fn what_is_asked_and_spoken_is_one_finding_with_the_first_few() {
    let network = Network { resolvers: approved(), ..Network::default() };
    let mut world = told(What::Use(Use::Resolver(STRANGER)), network);
    for n in 1..=6 {
        let server = IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        let mut heard = world.assets[0].heard[0].clone();
        heard.what = What::Use(Use::Resolver(server));
        world.assets[0].heard.push(heard);
    }
    let detections = world.compare().detections;
    assert_eq!(detections.len(), 1);
    let expected = "asks 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6 and 1 more";
    assert!(detections[0].detail.ends_with(expected), "{}", detections[0].detail);
    let spoken = Use::Cleartext { protocol: "snmp_v2c".into(), server: STRANGER };
    let detection = &told(What::Use(spoken.clone()), Network::default()).compare().detections[0];
    assert_eq!(detection.subject, "asset:1 cleartext:snmp_v2c");
    assert_eq!(detection.severity, Severity::Info);
    let allowed = BTreeSet::from(["snmp_v2c".to_owned()]);
    let network = Network { cleartext: allowed, ..Network::default() };
    assert_eq!(told(What::Use(spoken), network).rules(), [] as [&str; 0]);
}

#[test]
fn a_host_certificate_is_judged_by_its_lifetime_and_one_without_an_end_never() {
    let severity = |end| {
        let detections = with_host_certificate(end).compare().detections;
        detections.first().map(|detection| (detection.rule, detection.severity))
    };
    let expiring = "ssh.certificate-expiring";
    assert_eq!(severity("2026-11-22T20:00:00Z"), Some((expiring, Severity::Critical)));
    assert_eq!(severity("2026-11-28T00:00:00Z"), Some((expiring, Severity::Warning)));
    assert_eq!(severity("2027-11-01T00:00:00Z"), None);
    assert_eq!(severity(".."), None);
}

#[test]
fn rules_are_told_apart_and_cited() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(rule.citation.contains("CIS Controls v8"), "{}", rule.id);
        assert!(certs::rules::rule(rule.id).is_none(), "{} is a certificate rule", rule.id);
    }
}

#[test]
fn without_a_register_nothing_is_unregistered() {
    let world = World { devices: None, software: None, issuers: None, ..broken("device.rejected") };
    assert_eq!(world.rules(), [] as [&str; 0]);
    world.first_is(Registration::Unknown, "no device register");
    world.cannot_tell("device.unregistered", "asset:1", true);
    world.cannot_tell("software.unregistered", "asset:1 software:openssh", true);
    world.cannot_tell("cert.unapproved-issuer", "certificate:ab", true);
    world.cannot_tell("cert.expired", "certificate:ab", false);
}

#[test]
fn a_mac_is_asked_before_a_name_and_a_name_before_an_address() {
    let register = "A,00:11:22:33:44:55,,,,,,\nB,,,pc-7.example.jp,,,,\nC,,192.0.2.9,,,,,\n\
                    D,,,,sn-4,,,\nE,,192.0.2.64/26,,,,,\n";
    let check = |identifiers: &[&str], state, because| {
        World::of([asset(1, identifiers)]).devices(register).first_is(state, because);
    };
    check(&[MAC], Registration::Registered, "matches A by MAC");
    check(&["serial:SN-4"], Registration::Registered, "matches D by serial number");
    check(&["pc-7"], Registration::Registered, "matches B by host name pc-7");
    check(&["pc-7.example.jp"], Registration::Registered, "matches B");
    check(&["pc-7.example.com"], Registration::Unregistered, "");
    check(&["192.0.2.9"], Registration::Registered, "matches C by address 192.0.2.9 only (weak)");
    check(&["192.0.2.70"], Registration::Registered, "192.0.2.64-192.0.2.127 (weak)");
    check(&["192.0.2.63"], Registration::Unregistered, "none of its identifiers");
    check(&["localhost"], Registration::Unregistered, "");
    check(&[MAC, "192.0.2.9"], Registration::Conflicting, "address 192.0.2.9 to C");
    check(&[MAC, "pc-7"], Registration::Conflicting, "host name pc-7 to B");
    check(&["serial:sn-4", MAC], Registration::Conflicting, "serial number sn-4 to D");
    check(&["pc-7", "192.0.2.9"], Registration::Conflicting, "address 192.0.2.9 to C");
}

#[test]
fn a_random_mac_is_weak_and_says_so() {
    World::of([asset(1, &[RANDOM_MAC])])
        .devices("A,02:11:22:33:44:55,,,,,,\n")
        .first_is(Registration::Registered, "(weak)");
}

#[test]
fn what_may_be_a_known_device_under_a_new_name_says_so() {
    let uncertain = Asset { identity_uncertain: true, ..asset(1, &[RANDOM_MAC]) };
    let world = World::of([uncertain]).devices("A,00:11:22:33:44:55,,,,,,\n");
    world.first_is(Registration::Unregistered, "may be a known device under new ones");
    assert_eq!(world.rules(), ["device.unregistered"]);
}

#[test]
fn a_borrowed_address_or_name_is_not_enough() {
    let register = "A,00:11:22:33:44:55,192.0.2.9,pc-7,,,,\n";
    let address = World::of([asset(1, &[OTHER_MAC, IP])]).devices(register);
    address.first_is(Registration::Unregistered, "whose MAC is another than 00:11:22:33:44:66");
    let random = World::of([asset(1, &[RANDOM_MAC, IP])]).devices(register);
    random.first_is(Registration::Unregistered, "whose MAC is another");
    let name = World::of([asset(1, &[OTHER_MAC, "pc-7"])]).devices(register);
    name.first_is(Registration::Conflicting, "host name pc-7 belongs to A");
    // A phone that changes its MAC is recognised by its name.
    let phone = World::of([asset(1, &[RANDOM_MAC, "pc-7"])]).devices(register);
    phone.first_is(Registration::Registered, "host name pc-7");
    // The name server alone.
    let mut named = asset(1, &[IP, "pc-7"]);
    named.names[0].source = NameSource::Dns;
    let only_dns = World::of([named.clone()]).devices("A,00:11:22:33:44:55,,pc-7,,,,\n");
    only_dns.first_is(Registration::IdentityUncertain, "only the name server told");
    let no_mac = World::of([named]).devices("A,,,pc-7,,,,\n");
    no_mac.first_is(Registration::Registered, "host name pc-7");
    // The MAC cannot be seen from here.
    let far = World::of([asset(1, &[IP])]).devices(register);
    far.first_is(Registration::IdentityUncertain, "address 192.0.2.9 only");
}

#[test]
fn two_registered_devices_in_one_asset_conflict() {
    let world = World::of([asset(1, &[MAC, OTHER_MAC])])
        .devices("A,00:11:22:33:44:55,,,,,,\nB,00:11:22:33:44:66,,,,rejected,,\n");
    world.first_is(Registration::Conflicting, "A and B");
    // One of them must not be there at all.
    assert_eq!(world.compare().detections[0].severity, Severity::Critical);
    let one = World::of([asset(1, &[MAC, OTHER_MAC])])
        .devices("A,00:11:22:33:44:55 00:11:22:33:44:66,,,,,,\n");
    one.first_is(Registration::Registered, "A");
}

#[test]
fn an_entry_in_a_conflict_is_not_missing() {
    let world = World::of([asset(1, &[MAC, IP])])
        .devices("A,00:11:22:33:44:55,192.0.2.7,,,,,\nB,,192.0.2.9,,,,,\n")
        .scans(
            looked_for().map(|scan| ScanRecord { started_at: NOW.plus_seconds(-2 * DAY), ..scan }),
        );
    assert_eq!(world.rules(), ["device.conflicting"]);
    let states: Vec<_> = world.compare().entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [Registration::Conflicting; 2]);
}

#[test]
fn a_former_identifier_matches_nothing() {
    let mut it = asset(1, &[MAC, IP]);
    it.identifiers[0].current = false;
    let world = World::of([it]).devices("A,00:11:22:33:44:55,,,,,,\n");
    world.first_is(Registration::Unregistered, "");
}

#[test]
fn approval_lasts_to_the_end_of_its_last_day() {
    // NOW is 2026-11-22T09:30:00Z; the asset was seen the day before at that time.
    let until = |day: &str| {
        World::of([asset(1, &[MAC])]).devices(&format!("A,00:11:22:33:44:55,,,,,,{day}\n"))
    };
    until("2026-11-22").first_is(Registration::Registered, "");
    until("2026-11-20").first_is(Registration::Expired, "ended with 2026-11-20");
    // Not seen since it ended.
    until("2026-11-21").first_is(Registration::Expired, "ended with 2026-11-21");
    assert_eq!(until("2026-11-21").rules(), [] as [&str; 0]);
    let from = World::of([asset(1, &[MAC])]).devices("A,00:11:22:33:44:55,,,,,2026-11-23,\n");
    from.first_is(Registration::Unregistered, "only from 2026-11-23 on");
    assert_eq!(from.rules(), ["device.unregistered"]);
}

#[test]
fn missing_needs_three_looks_by_a_way_it_answers() {
    let looks = |count: usize, change: fn(&mut ScanRecord)| {
        let mut scans = looked_for()[..count].to_vec();
        scans.iter_mut().for_each(change);
        let world = good().scans(scans);
        (world.compare().entries[0].state, world)
    };
    let (state, world) = looks(3, |_| {});
    assert_eq!(state, Registration::Missing);
    world.first_is(Registration::Missing, "in vain");
    assert_eq!(looks(2, |_| {}).0, Registration::Registered);
    assert_eq!(looks(3, |scan| scan.drops = 1).0, Registration::Registered);
    let udp = |scan: &mut ScanRecord| scan.coverage[0].methods = vec![Method::Udp];
    assert_eq!(looks(3, udp).0, Registration::Registered);
    let elsewhere = |scan: &mut ScanRecord| scan.vantage.site = Site("office".into());
    assert_eq!(looks(3, elsewhere).0, Registration::Registered);
}

#[test]
fn what_is_gone_is_missing_and_nothing_else() {
    for rule in ["device.unregistered", "device.rejected", "device.expired", "device.retired-seen"]
    {
        let world = broken(rule).scans(looked_for());
        assert!(!world.rules().contains(&rule), "{rule}");
        // And that is known, not a lack of looking.
        world.cannot_tell(rule, "asset:1", false);
    }
}

#[test]
fn an_entry_never_seen_is_missing_only_where_somebody_looked() {
    let world = |line: &str| World::of([]).devices(line).scans(looked_for());
    let state = |line: &str| world(line).compare().entries[0].state;
    assert_eq!(state("A,00:11:22:33:44:55,192.0.2.7,,,,,\n"), Registration::Missing);
    assert_eq!(state("A,,192.0.2.7,,,,,\n"), Registration::Missing);
    assert_eq!(state("A,,192.0.2.7 192.0.3.7,,,,,\n"), Registration::Unknown);
    assert_eq!(state("A,,192.0.3.7,,,,,\n"), Registration::Unknown);
    assert_eq!(state("A,00:11:22:33:44:55,DHCP,,,,,\n"), Registration::Unknown);
    assert_eq!(state("A,,192.0.2.0/28,,,,,\n"), Registration::Unknown);
    assert_eq!(state("A,,192.0.2.7,,,retired,,\n"), Registration::Unknown);
    // Approved since this morning: the looks before it do not count.
    assert_eq!(state("A,,192.0.2.7,,,,2026-11-23,\n"), Registration::Unknown);
    world("A,,192.0.3.7,,,,,\n").cannot_tell("device.missing", "device:A", true);
    world("A,,192.0.2.7,,,retired,,\n").cannot_tell("device.missing", "device:A", false);
    // Another site that never got that far cannot say that nobody has the address.
    let mut office = scan(0, "192.0.2.0/24");
    office.vantage.site = Site("office".into());
    let two_sites = world("A,,192.0.2.7,,,,,\n");
    let two_sites = World { scans: [two_sites.scans.clone(), vec![office]].concat(), ..two_sites };
    assert_eq!(two_sites.compare().entries[0].state, Registration::Unknown);
}

#[test]
fn a_version_that_nobody_told_breaks_no_rule_and_proves_nothing() {
    let unknown = |register: &str| {
        World::of([with_software(asset(1, &[MAC]), "OpenSSH", None)]).software(register)
    };
    let any = unknown("OpenSSH,any,approved,,\n");
    assert_eq!(any.rules(), [] as [&str; 0]);
    any.cannot_tell("software.version-not-approved", "asset:1 software:openssh", false);
    let narrow = unknown("OpenSSH,>= 9,approved,,\nOpenSSH,< 8,forbidden,,\n");
    assert_eq!(narrow.rules(), [] as [&str; 0]);
    narrow.cannot_tell("software.version-not-approved", "asset:1 software:openssh", true);
    narrow.cannot_tell("software.forbidden", "asset:1 software:openssh", true);
    assert_eq!(unknown("OpenSSH,,forbidden,,\n").rules(), ["software.forbidden"]);
}

#[test]
fn entries_count_where_their_scope_says() {
    let world = |scope: &str| {
        good().software(&format!("OpenSSH,,approved,,\nOpenSSH,,forbidden,,{scope}\n")).rules()
    };
    for scope in ["PC-1", "pc-1; other", MAC, "192.0.2.0/28", "", "全社"] {
        assert_eq!(world(scope), ["software.forbidden"], "{scope}");
    }
    for scope in ["PC-2", "PC1", OTHER_MAC, "192.0.2.16/28"] {
        assert_eq!(world(scope), [] as [&str; 0], "{scope}");
    }
    let elsewhere = good().software("OpenSSH,,approved,,PC-2\n").compare();
    assert!(elsewhere.detections[0].detail.contains("for this asset"));
}

#[test]
fn the_end_of_support_is_told_ahead_and_grows() {
    let severity = |day: &str| {
        let world = good().software(&format!("OpenSSH,,approved,{day},\n"));
        world.compare().detections.first().map(|detection| detection.severity)
    };
    assert_eq!(severity("2026-11-21"), Some(Severity::Warning));
    assert_eq!(severity("2026-11-22"), Some(Severity::Info));
    assert_eq!(severity("2027-02-19"), Some(Severity::Info));
    assert_eq!(severity("2027-03-01"), None);
    // A second entry with longer support, or none that ends.
    let longer = good().software("OpenSSH,,approved,2026-01-01,\nOpenSSH,,approved,2030-01-01,\n");
    assert_eq!(longer.rules(), [] as [&str; 0]);
    let endless = good().software("OpenSSH,,approved,2026-01-01,\nOpenSSH,,approved,,\n");
    assert_eq!(endless.rules(), [] as [&str; 0]);
}

#[test]
fn required_software_is_missing_only_where_it_would_be_seen() {
    let subject = "asset:1 software:zabbix";
    let check = |change: &dyn Fn(&mut World), expected: &[&str]| {
        let mut world = broken("software.required-missing");
        change(&mut world);
        assert_eq!(world.rules(), expected);
        if expected.is_empty() {
            world.cannot_tell("software.required-missing", subject, true);
        }
    };
    check(&|_| {}, &["software.required-missing"]);
    check(&|world| world.scans.clear(), &[]);
    // The scan came after it was last seen: it may have been off.
    check(&|world| world.assets[0].last_seen = NOW.plus_seconds(-3 * DAY), &[]);
    // Nobody asked the port where it answers elsewhere.
    check(&|world| world.scans[0].coverage[0].tcp = "22".parse().unwrap(), &[]);
    // Nobody has seen it anywhere: we might not know it if we met it.
    check(&|world| world.assets[1].services.clear(), &[]);
    let open = |product: Option<&'static str>, state| {
        move |world: &mut World| {
            world.assets[0] = with_service(world.assets[0].clone(), 8006, product, state);
        }
    };
    check(&open(None, PortState::Open), &[]);
    check(&open(None, PortState::Filtered), &[]);
    check(&open(None, PortState::Closed), &["software.required-missing"]);
}

/// A world with one asset that serves the leaf with these certificates above it.
fn serving(leaf: &Certificate, chain: &[&Certificate]) -> World {
    let all: Vec<&Certificate> = chain.iter().copied().chain([leaf]).collect();
    World::of([with_certificate(asset(1, &[IP]), leaf, chain)]).certificates(&all)
}

#[test]
fn certificate_rules_run_over_what_is_served() {
    let expired = Certificate { not_after: Some(YESTERDAY), ..certificate("old", "CA") };
    let world = serving(&expired, &[]);
    assert_eq!(world.rules(), ["cert.expired"]);
    let detection = &world.compare().detections[0];
    assert_eq!(detection.subject, format!("certificate:{}", expired.sha256));
    assert!(detection.detail.contains("192.0.2.9:443/tcp"), "{}", detection.detail);

    let mut replaced = world.clone();
    replaced.assets[0].deployments[0].current = false;
    assert_eq!(replaced.rules(), [] as [&str; 0]);

    for (state, expected) in
        [(PortState::Closed, &[][..]), (PortState::Filtered, &["cert.expired"])]
    {
        let mut port = world.clone();
        port.assets[0] = with_service(port.assets[0].clone(), 443, None, state);
        assert_eq!(port.rules(), expected, "{state}");
    }
}

#[test]
fn certificates_above_the_leaf_are_judged_as_far_as_they_lead() {
    let expired =
        |certificate: Certificate| Certificate { not_after: Some(YESTERDAY), ..certificate };
    let leaf = Certificate { issuer: "CN=Issuing CA".into(), ..certificate("www", "") };
    let above = Certificate { issuer: "CN=Root CA".into(), ..certificate("Issuing CA", "") };
    let root = Certificate { issuer: "CN=Root CA".into(), ..certificate("Root CA", "") };
    let stray = expired(certificate("Stray CA", "x"));
    assert_eq!(serving(&leaf, &[&above, &expired(root), &stray]).rules(), [] as [&str; 0]);
    let above = expired(above);
    let comparison = serving(&leaf, &[&above]).compare();
    assert_eq!(comparison.detections.len(), 1);
    assert_eq!(comparison.detections[0].subject, format!("certificate:{}", above.sha256));
}

#[test]
fn one_certificate_in_many_places_is_one_finding() {
    let expired = Certificate { not_after: Some(YESTERDAY), ..certificate("old", "CA") };
    let assets =
        (1..=30).map(|n| with_certificate(asset(n, &[&format!("192.0.2.{n}")]), &expired, &[]));
    let comparison = World::of(assets).certificates(&[&expired]).compare();
    assert_eq!(comparison.detections.len(), 1);
    assert!(comparison.detections[0].detail.contains("and 20 more"));
}

#[test]
fn a_certificate_that_was_not_handed_over_is_not_judged() {
    let leaf = certificate("www", "CA");
    let world = World { certificates: Vec::new(), ..serving(&leaf, &[]) }.issuers("Other CA,,\n");
    assert_eq!(world.rules(), [] as [&str; 0]);
    world.cannot_tell("cert.expired", &format!("certificate:{}", leaf.sha256), true);
    world.cannot_tell("cert.unapproved-issuer", &format!("certificate:{}", leaf.sha256), true);
}

#[test]
fn an_issuer_is_approved_by_hash_or_by_name() {
    let root = Certificate { issuer: "CN=Root CA".into(), ..certificate("Root CA", "") };
    let above = Certificate { issuer: "CN=Root CA".into(), ..certificate("Issuing CA", "") };
    let leaf = Certificate { issuer: "CN=Issuing CA".into(), ..certificate("www", "") };
    let fake = Certificate { sha256: "f".repeat(64), spki_sha256: None, ..root.clone() };
    let none: &[&str] = &[];
    let check = |register: String, chain: &[&Certificate], expected: &[&str]| {
        assert_eq!(serving(&leaf, chain).issuers(&register).rules(), expected, "{register}");
    };
    let no = &["cert.unapproved-issuer"][..];
    check("Root CA,,\n".into(), &[&above], none);
    check("ＲＯＯＴ ｃａ,,\n".into(), &[&above, &root], none);
    check("Other CA,,\n".into(), &[&above, &root], no);
    // The chain is walked by names: a stranger's certificate in it approves nothing.
    check(format!(",{},\n", certificate("Stranger", "x").sha256), &[&above], no);
    check(format!("Root CA,{},\n", root.sha256), &[&above, &root], none);
    check(format!(",,{}\n", above.spki_sha256.clone().unwrap()), &[&above], none);
    // Servers leave the root out: then its name has to do.
    check(format!("Root CA,{},\n", root.sha256), &[&above], none);
    // It was served, and is another than the registered one.
    check(format!("Root CA,{},\n", root.sha256), &[&above, &fake], no);
    // Pinned leaf.
    check(format!(",{},\n", leaf.sha256), &[], none);
    // By organisation, with an escaped comma in the name.
    let by_organisation = serving(&certificate("www", "Some CA"), &[]);
    assert_eq!(by_organisation.issuers("\"Example, Inc.\",,\n").rules(), none);
}

#[test]
fn who_was_rejected_is_stopped_by_hash_and_name_whatever_the_register_calls_it() {
    let leaf = certificate("www", "Some CA");
    let world = |csv: &str, rejected: &str, chain: &[&Certificate]| {
        let rejected = serving(&leaf, chain).issuers(rejected).issuers.unwrap_or_default();
        let mut decided = Decided::default();
        decided.rejected_issuers = rejected;
        World { decided, ..serving(&leaf, chain) }
            .issuers(csv)
            .rules()
            .contains(&"cert.unapproved-issuer")
    };
    let above = Certificate {
        subject: leaf.issuer.clone(),
        is_ca: true,
        ..certificate("Some CA", "Root CA")
    };
    let hash = format!(",{},\n", above.sha256);
    let name = format!("\"{}\",,\n", leaf.issuer);
    for csv in ["Some CA,,\n", "Root CA,,\n"] {
        assert!(!world(csv, "", &[&above]), "{csv}");
        assert!(world(csv, &hash, &[&above]), "{csv}");
        assert!(world(csv, &name, &[&above]), "{csv}");
    }
    assert!(!world("Some CA,,\n", "Other CA,,\n", &[&above]));
}

#[test]
fn a_chain_in_a_circle_ends() {
    let a = Certificate { subject: "CN=a".into(), issuer: "CN=b".into(), ..certificate("a", "") };
    let b = Certificate { subject: "CN=b".into(), issuer: "CN=a".into(), ..certificate("b", "") };
    let world = serving(&a, &[&b, &a, &b]).issuers("Other CA,,\n");
    assert_eq!(world.rules(), ["cert.unapproved-issuer"]);
}

#[test]
fn the_same_input_gives_the_same_answer_whatever_the_order() {
    let mut world = broken("software.required-missing");
    world.assets.push(asset(3, &["192.0.2.30"]));
    let forward = world.compare();
    assert_eq!(world.compare(), forward);
    world.assets.reverse();
    assert_eq!(world.compare().detections, forward.detections);
}

#[test]
fn ten_thousand_assets_against_ten_thousand_entries() {
    const COUNT: u32 = 10_000;
    let mac = |n: u32| format!("00:11:22:{:02x}:{:02x}:{:02x}", n >> 16, n >> 8 & 255, n & 255);
    let address = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
    let assets = (0..COUNT).map(|n| {
        let it = asset(n.into(), &[&mac(n), &address(n), &format!("pc-{n}")]);
        with_software(it, &format!("Product {n}"), Some("1.2.3"))
    });
    let devices: String = (0..COUNT)
        .map(|n| format!("R-{n},{},{},pc-{n}.example.jp,,,,\n", mac(n + 100), address(n + 100)))
        .chain((0..COUNT).map(|n| format!("S-{n},,{}-{},,,,,\n", address(n), address(n + 3))))
        .collect();
    let software: String = (0..COUNT)
        .map(|n| format!("Product {n},>= 1,required,,PC-{n}; {}\n", address(n ^ 1)))
        .collect();
    let world = World::of(assets)
        .devices(&devices)
        .software(&software)
        .scans((0..100).map(|day| scan(day, "10.0.0.0/16")));
    let comparison = world.compare();
    assert_eq!(comparison.assets.len(), COUNT as usize);
    // The names of the first hundred are registered with other MACs, and so on: what counts
    // here is that everything was judged.
    assert_eq!(comparison.entries.len(), 2 * COUNT as usize);
}

#[test]
fn names_lead_back() {
    for state in Registration::ALL {
        assert_eq!(Registration::from_name(state.as_str()), Some(state));
    }
    assert_eq!(AddressRange::single(IP.parse().unwrap()).to_string(), IP);
}

#[test]
fn what_lies_in_a_file_is_judged_and_named_by_its_path() {
    let expired = Certificate { not_after: Some(YESTERDAY), ..certificate("old", "CA") };
    let root = Certificate {
        subject: "CN=CA".into(),
        issuer: "CN=CA".into(),
        is_ca: true,
        not_after: Some(YESTERDAY),
        ..certificate("CA", "CA")
    };
    let world =
        |files: Vec<KeptFile>| World::default().certificates(&[&expired, &root]).files(files);
    let found = world(vec![file("/etc/a.pem", PrivateKey::None, 0o644, &[&expired, &root])]);
    let detections = found.compare().detections;
    let [detection] = &detections[..] else { panic!("{detections:?}") };
    assert_eq!(detection.rule, "cert.expired");
    assert_eq!(detection.subject, format!("certificate:{}", expired.sha256));
    assert!(detection.detail.contains("old on /etc/a.pem (web7)"), "{}", detection.detail);
    assert_eq!(detection.asset, None);
    // A root is trusted and not served, unless it is alone and no authority's, or beside a key.
    let bundle = file("/etc/ca.pem", PrivateKey::None, 0o644, &[&root, &root]);
    assert_eq!(world(vec![bundle.clone()]).rules(), [""; 0]);
    let alone = world(vec![file("/etc/ca.pem", PrivateKey::None, 0o644, &[&root])]);
    assert_eq!(alone.rules(), ["cert.authority-no-key-usage", "cert.expired"]);
    let authority = Certificate { key_usage: vec!["keyCertSign".into()], ..root.clone() };
    let trusted = file("/etc/ca.pem", PrivateKey::None, 0o644, &[&authority]);
    assert_eq!(World::default().certificates(&[&authority]).files([trusted]).rules(), [""; 0]);
    let own = KeptFile { private_key: PrivateKey::Encrypted, ..bundle };
    assert_eq!(world(vec![own]).rules(), ["cert.authority-no-key-usage", "cert.expired"]);
    // What was in it once, or in one that is gone, raises nothing.
    let mut past = file("/etc/a.pem", PrivateKey::None, 0o644, &[&expired]);
    past.certificates[0].current = false;
    let gone = KeptFile { present: false, ..file("/b", PrivateKey::Plain, 0o644, &[&expired]) };
    assert_eq!(world(vec![past, gone]).rules(), [""; 0]);
}

#[test]
fn the_issuer_of_what_lies_in_a_file_is_asked_for() {
    let leaf = certificate("www", "CA");
    let root = Certificate {
        subject: leaf.issuer.clone(),
        issuer: leaf.issuer.clone(),
        is_ca: true,
        ..certificate("CA", "CA")
    };
    let held = file("/etc/a.pem", PrivateKey::None, 0o644, &[&leaf, &root]);
    let world = World::default().certificates(&[&leaf, &root]).files([held]);
    assert_eq!(world.rules(), [""; 0]);
    assert_eq!(world.clone().issuers("Another CA,,\n").rules(), ["cert.unapproved-issuer"]);
    assert_eq!(world.issuers(&format!(",{},\n", root.sha256)).rules(), [""; 0]);
}

#[test]
fn a_key_that_all_may_read_is_a_finding_of_its_file() {
    for (key, mode, found) in [
        (PrivateKey::Plain, 0o644, true),
        (PrivateKey::Plain, 0o604, true),
        (PrivateKey::Plain, 0o640, false),
        (PrivateKey::Encrypted, 0o644, false),
        (PrivateKey::None, 0o644, false),
    ] {
        let world = World::default().files([file("/etc/a.key", key, mode, &[])]);
        let detections = world.compare().detections;
        let subjects: Vec<&str> = detections.iter().map(|d| d.subject.as_str()).collect();
        let expected: &[&str] = if found { &["file:plant/web7:/etc/a.key"] } else { &[] };
        assert_eq!(subjects, expected, "{key:?} {mode:o}");
    }
}

#[test]
fn an_unknown_issuer_is_told_to_who_said_whom_he_trusts_and_once() {
    let world = broken("cert.unknown-issuer");
    assert_eq!(world.rules(), ["cert.unknown-issuer"]);
    // Nobody said whom the organisation trusts, or its register decides.
    let mut silent = world.clone();
    silent.chains = Chains::default();
    let reason = Reason::UnknownIssuer("CN=Nobody".to_owned());
    let silent = silent.judged(Trust::Unknown, &[&www().sha256], &[reason]);
    assert_eq!(silent.rules(), [] as [&str; 0]);
    assert_eq!(world.clone().issuers("Example CA,,\n").rules(), [] as [&str; 0]);
    assert_eq!(world.clone().issuers("Other CA,,\n").rules(), ["cert.unapproved-issuer"]);

    // A root that has an address for its certificate need not be served; an intermediate of a
    // public authority must be.
    let missing = Reason::MissingIntermediate { issuer: "CN=a".into(), held: None };
    let world = World { issuers: None, ..refused(Trust::Unknown, missing) };
    assert_eq!(world.rules(), ["cert.unknown-issuer"]);
}

#[test]
fn an_expired_authority_that_clients_can_do_without_is_a_note() {
    let mut world = broken("cert.expired-issuer");
    let detection = world.compare().detections.remove(0);
    assert_eq!(detection.severity, Severity::Critical);
    assert!(detection.subject.ends_with(&certificate("Example CA", "").sha256));
    assert!(detection.detail.contains("clients refuse what is served on 192.0.2.9:443/tcp"));
    let leaf = world.assets[0].deployments[0].sha256.clone();
    world.chains = Chains::default();
    let world = world.judged(Trust::Private, &[&leaf, "root"], &[]);
    let detection = world.compare().detections.remove(0);
    assert_eq!((detection.rule, detection.severity), ("cert.expired-issuer", Severity::Info));

    // An expired root is not served, and is a finding all the same.
    let world = refused(Trust::Public, Reason::ExpiredRoot("root".into()));
    let detection = world.compare().detections.remove(0);
    assert_eq!(detection.subject, "certificate:root");
    assert_eq!((detection.rule, detection.severity), ("cert.expired-issuer", Severity::Warning));
}

#[test]
fn what_the_public_demands_is_asked_of_public_chains_alone() {
    let rules = |trust| {
        let world = refused(trust, Reason::ExpiredLeaf);
        world.rules().into_iter().filter(|rule| rule.starts_with("cert.public")).count()
    };
    assert_eq!((rules(Trust::Private), rules(Trust::Unknown)), (0, 0));
    assert!(rules(Trust::Public) > 0);
}

#[test]
fn a_name_that_the_register_lists_is_one_that_people_use() {
    let mut world = broken("cert.name-mismatch");
    assert_eq!(world.compare().detections[0].severity, Severity::Info);
    world = world.devices("PC-1,00:11:22:33:44:55,192.0.2.9,mail.example.jp,,,,\n");
    let detection = world.compare().detections.remove(0);
    assert_eq!(detection.severity, Severity::Warning);
    assert!(detection.detail.contains("it is for www.example.jp, and mail.example.jp was asked"));
}

#[test]
fn a_chain_that_was_not_judged_resolves_nothing() {
    let mut world = broken("cert.revoked");
    let subject = format!("certificate:{}", www().sha256);
    world.cannot_tell("cert.revoked", &subject, false);
    world.chains = Chains::with_own_roots();
    assert_eq!(world.rules(), [] as [&str; 0]);
    world.cannot_tell("cert.revoked", &subject, true);
}
