//! What is held answers what the rows of the command line answer, in every order and page by page.

use std::collections::{BTreeSet, HashMap};

use certs::Thresholds;
use model::{
    Cpe, Identifier, NameSource, PortState, Severity, Site, Strength, Timestamp, TlsVersion,
    Transport,
};
use proptest::prelude::*;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    super::{
        Compared, Policy, StoredFinding,
        migrate::{MIGRATIONS, migrate},
    },
    *,
};
use crate::{
    asset::{Asset, AssetId, Assigned, Deployment, Name, OperatingSystem, ServiceState, Software},
    chain::Anchors,
    compare::{AssetState, Network, Registration},
    finding::{Finding, FindingKey, FindingState},
    list::{AssetRow, FindingRow, Lister, ServiceRow, SoftwareRow, held::Held},
    query::{Candidate, Kind},
    store::Offset,
};

const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    fn maybe(&mut self, of: &[&str]) -> Option<String> {
        (self.roll(3) > 0).then(|| self.one(of).to_owned())
    }

    fn moment(&mut self) -> Timestamp {
        NOW.plus_seconds(-86_400 * i64::try_from(self.roll(20)).unwrap())
    }
}

const ADDRESSES: [&str; 6] =
    ["192.0.2.9", "192.0.2.10", "198.51.100.7", "2001:db8::9", "2001:db8::a", "203.0.113.1"];
const NAMES: [&str; 5] = ["prn-7.example", "ÄRGER.example", "srv\n1", "ns.example", "a b"];
const PRODUCTS: [&str; 4] = ["nginx", "OpenSSH", "CUPS and friends", "Ä\u{0}ther"];
const VERSIONS: [&str; 3] = ["1.22.1", "9.2p1", "1.2"];
const SITES: [&str; 3] = ["plant", "Büro", "depot"];

fn asset(dice: &mut Dice, id: i64) -> Asset {
    let assigned = |identifier, current| Assigned {
        identifier,
        strength: Strength::Moderate,
        first_seen: NOW,
        last_seen: NOW,
        current,
        because: String::new(),
    };
    let mut identifiers = Vec::new();
    for _ in 0..dice.roll(4) {
        let address = dice.one(&ADDRESSES).parse().unwrap();
        identifiers.push(assigned(Identifier::Address(address), dice.roll(4) > 0));
    }
    if dice.roll(2) > 0 {
        let mac = format!("00:00:5e:00:53:{:02x}", dice.roll(4));
        identifiers.push(assigned(Identifier::Mac(mac.parse().unwrap()), true));
    }
    let mut services: Vec<ServiceState> = Vec::new();
    for _ in 0..dice.roll(5) {
        let service = ServiceState {
            address: dice.one(&ADDRESSES).parse().unwrap(),
            transport: dice.one(&[Transport::Tcp, Transport::Udp]),
            port: dice.one(&[22, 80, 443, 4433]),
            state: dice.one(&[PortState::Open, PortState::Closed]),
            protocol: dice.maybe(&["ssh", "http", "HTTP"]),
            product: dice.maybe(&PRODUCTS),
            version: dice.maybe(&VERSIONS),
            cpe: dice.maybe(&["cpe:2.3:a:f5:nginx", "cpe:2.3:a:x:y"]).map(Cpe),
            tls: dice.roll(2) > 0,
            attributes: Default::default(),
            tls_server: None,
            first_seen: dice.moment(),
            last_seen: dice.moment(),
        };
        let place = |s: &ServiceState| (s.address, s.transport, s.port);
        if services.iter().all(|known| place(known) != place(&service)) {
            services.push(service);
        }
    }
    let mut software: Vec<Software> = Vec::new();
    for _ in 0..dice.roll(3) {
        let one = Software {
            product: dice.one(&PRODUCTS).to_owned(),
            version: dice.maybe(&VERSIONS),
            cpe: None,
            source: dice.one(&["192.0.2.9:22/tcp SSH", "banner"]).to_owned(),
            first_seen: dice.moment(),
            last_seen: dice.moment(),
            current: dice.roll(4) > 0,
        };
        let what = |s: &Software| (s.product.clone(), s.version.clone(), s.source.clone());
        if software.iter().all(|known| what(known) != what(&one)) {
            software.push(one);
        }
    }
    let mut deployments = Vec::new();
    for _ in 0..dice.roll(3) {
        deployments.push(Deployment {
            sha256: sha256(dice.roll(6)),
            chain: Vec::new(),
            address: dice.one(&ADDRESSES).parse().unwrap(),
            port: 443,
            transport: Transport::Tcp,
            server_name: None,
            protocol_version: TlsVersion(0x0304),
            starttls: None,
            first_seen: dice.moment(),
            last_seen: dice.moment(),
            current: dice.roll(3) > 0,
        });
    }
    let name = |name: &str| Name { name: name.to_owned(), source: NameSource::Dns, last_seen: NOW };
    let names = (0..dice.roll(3)).map(|_| name(dice.one(&NAMES))).collect();
    Asset {
        id: AssetId(id),
        site: Site(dice.one(&SITES).to_owned()),
        first_seen: dice.moment(),
        last_seen: dice.moment(),
        identity_uncertain: dice.roll(2) > 0,
        identifiers,
        names,
        alive_by: Vec::new(),
        services,
        software,
        os: dice.maybe(&["Debian", "IOS XE"]).map(|name| OperatingSystem {
            name,
            version: dice.maybe(&["12", "17.3"]),
            cpe: None,
            last_seen: NOW,
        }),
        deployments,
        anomalies: Vec::new(),
        heard: Vec::new(),
    }
}

fn sha256(number: usize) -> String {
    format!("{number:064x}")
}

fn compared(dice: &mut Dice) -> Compared {
    let mut compared = Compared::default();
    for id in 0..dice.roll(30) {
        let asset = asset(dice, i64::try_from(id).unwrap() + 1);
        compared.comparison.assets.push(AssetState {
            asset: asset.id,
            state: dice.one(&Registration::ALL),
            entry: None,
            reason: "because".to_owned(),
        });
        compared.assets.push(asset);
    }
    for number in 0..6 {
        let mut one = certs::parse(b"nothing");
        one.sha256 = sha256(number);
        one.subject = format!("CN={}", dice.one(&NAMES));
        one.issuer = "CN=Root Ä".to_owned();
        one.names = vec![dice.one(&NAMES).to_owned()];
        one.key.bits = Some(2_048);
        let days = i64::try_from(dice.roll(80)).unwrap() - 20;
        one.not_before = Some(NOW.plus_seconds(-86_400 * 100));
        one.not_after = (dice.roll(4) > 0).then(|| NOW.plus_seconds(86_400 * days));
        compared.certificates.push(one);
    }
    compared
}

fn findings(dice: &mut Dice, assets: usize) -> Vec<StoredFinding> {
    let finding = |dice: &mut Dice, id: i64| Finding {
        key: FindingKey {
            rule: dice.one(&["device.unregistered", "certificate.expired"]).to_owned(),
            subject: format!("asset:{id}"),
        },
        asset: (dice.roll(3) > 0)
            .then(|| AssetId(i64::try_from(dice.roll(assets + 1)).unwrap() + 1)),
        severity: dice.one(&[Severity::Info, Severity::Warning, Severity::Critical]),
        title: format!("{} is not registered", dice.one(&NAMES)),
        detail: "detail".to_owned(),
        state: dice.one(&FindingState::ALL),
        first_seen: dice.moment(),
        last_seen: dice.moment(),
        resolved_at: None,
        accepted: None,
    };
    (1..=20).map(|id| StoredFinding { id, finding: finding(dice, id) }).collect()
}

const FIELDS: &[(Kind, &[&str])] = &[
    (
        Kind::Assets,
        &[
            "id<9",
            "id:3,4",
            "site:büro",
            "site!=plant",
            "site~L",
            "name:prn",
            "name=\"srv 1\"",
            "name!~example",
            "address:192.0.2.0/24",
            "address!=2001:db8::9",
            "address~2.1",
            "address in 2001:db8::/64",
            "mac:5e:00",
            "mac=00:00:5e:00:53:01",
            "vendor:x",
            "class=\"server\"",
            "os:debian",
            "os=ios xe 17.3",
            "registration:registered,unknown",
            "port:22",
            "port:443/udp",
            "port!=80",
            "protocol:http",
            "product:ssh",
            "product=nginx",
            "version:1.2",
            "version~1.2",
            "cpe:f5",
            "certificate:0000",
            "critical>0",
            "warning:1",
            "uncertain:yes",
            "seen<7d",
            "first>3d",
            "seen:2026-11",
            "first>=2026-11-15",
            "nginx",
            "äther",
            "192.0.2",
            "\"a b\"",
            "ärger",
        ],
    ),
    (
        Kind::Services,
        &[
            "address:192.0.2.9",
            "address in 192.0.2.0/24",
            "address~db8",
            "port:22,80",
            "port:443/tcp",
            "port!=80/udp",
            "transport:udp",
            "state:open",
            "protocol:http",
            "product:ngi",
            "version:9.2p1",
            "cpe~x:y",
            "tls:yes",
            "asset:3",
            "asset>5",
            "site:plant",
            "name:prn",
            "name!=ns.example",
            "mac:53:0",
            "class:server",
            "registration:expired",
            "seen<9d",
            "first<2w",
            "ssh",
            "db8",
            "ärger",
        ],
    ),
    (
        Kind::Software,
        &[
            "product:open",
            "product=cups and friends",
            "version:1.2",
            "cpe:x",
            "source:ssh",
            "source=banner",
            "asset<7",
            "site:depot",
            "name~a",
            "address:192.0.2.0/24",
            "address~51.100",
            "mac:53",
            "class:server",
            "registration!=registered",
            "seen<5d",
            "first>1w",
            "nginx",
            "example",
        ],
    ),
    (
        Kind::Certificates,
        &[
            "subject:prn",
            "issuer=\"cn=root ä\"",
            "name:example",
            "sha256:0003",
            "key:2048",
            "trust:unknown,public",
            "expires<30d",
            "expires>0d",
            "renew<10d",
            "expires<=2026-12",
            "renew!=2026",
            "places>=1",
            "asset:2,3",
            "site:plant",
            "site!=depot",
            "address:192.0.2",
            "owner:sato",
            "seen<9d",
            "first<9d",
            "root",
            "ärger",
        ],
    ),
    (
        Kind::Findings,
        &[
            "id<9",
            "rule:certificate",
            "rule=device.unregistered",
            "severity:critical",
            "severity!=info",
            "state:open,accepted",
            "subject:asset",
            "title:prn",
            "owner:x",
            "asset:0",
            "asset:3",
            "site:plant",
            "site!=plant",
            "name:example",
            "address:192.0.2.0/24",
            "class:server",
            "registration:unregistered",
            "seen<8d",
            "first>4d",
            "ärger",
            "192.0.2",
        ],
    ),
];

fn query(dice: &mut Dice, terms: &[&str], depth: usize) -> String {
    match dice.roll(if depth == 0 { 3 } else { 8 }) {
        0..=2 => dice.one(terms).to_owned(),
        3 => format!("not ({})", query(dice, terms, depth - 1)),
        4 | 5 => {
            format!("({}) and ({})", query(dice, terms, depth - 1), query(dice, terms, depth - 1))
        }
        _ => format!("({}) or ({})", query(dice, terms, depth - 1), query(dice, terms, depth - 1)),
    }
}

struct Lists {
    connection: SqliteConnection,
    held: Held,
    /// Kinds of services and products as shown, by number.
    kinds: HashMap<i64, String>,
    products: HashMap<i64, String>,
}

fn policy() -> Policy {
    Policy {
        thresholds: Thresholds::default(),
        offset: jiff::tz::Offset::UTC,
        network: Network::default(),
        anchors: std::sync::Arc::new(Anchors::default()),
        routes: Vec::new(),
    }
}

/// What makes a row the one that it is, for people and for the database alike.
fn names(
    compared: &Compared,
    findings: &[StoredFinding],
    text: &str,
    kind: Kind,
) -> BTreeSet<String> {
    let query =
        Query::parse(kind, text, Offset::UTC).unwrap_or_else(|error| panic!("{text}: {error}"));
    let lister = Lister::new(compared, findings);
    let assets: Vec<AssetRow> =
        lister.assets().map(|(asset, state)| lister.asset(asset, state)).collect();
    let of = |id: i64| assets.iter().find(|asset| asset.id == id);
    let services = compared.assets.iter().flat_map(ServiceRow::of);
    let software = compared.assets.iter().flat_map(SoftwareRow::of);
    match kind {
        Kind::Assets => assets
            .iter()
            .filter(|row| query.matches(Candidate::of(*row, None), NOW))
            .map(|row| row.id.to_string())
            .collect(),
        Kind::Services => services
            .filter(|row| query.matches(Candidate::of(row, of(row.asset)), NOW))
            .map(|row| format!("{} {} {}", row.asset, row.address, row.kind.shown()))
            .collect(),
        Kind::Software => software
            .filter(|row| query.matches(Candidate::of(row, of(row.asset)), NOW))
            .map(|row| format!("{} {} {}", row.asset, row.product.shown(), row.source))
            .collect(),
        Kind::Certificates => lister
            .certificates(&Thresholds::default())
            .iter()
            .filter(|row| query.matches(Candidate::of(*row, None), NOW))
            .map(|row| row.sha256.clone())
            .collect(),
        Kind::Findings => findings
            .iter()
            .map(|stored| FindingRow::of(stored, &compared.owners))
            .filter(|row| query.matches(Candidate::of(row, of(row.asset)), NOW))
            .map(|row| row.id.to_string())
            .collect(),
    }
}

impl Lists {
    async fn new() -> Self {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate(&mut connection, MIGRATIONS).await.unwrap();
        let (kinds, products) = (HashMap::new(), HashMap::new());
        Self { connection, held: Held::default(), kinds, products }
    }

    async fn write(&mut self, compared: &Compared, findings: &[StoredFinding]) {
        let known = Known::load(&mut self.connection).await.map_err(|_| "reading failed").unwrap();
        let plan = Plan::new(known, compared, findings, &policy());
        plan.write(&mut self.connection, &policy(), NOW)
            .await
            .map_err(|_| "writing failed")
            .unwrap();
        self.held = hold::read(&mut self.connection, &self.held)
            .await
            .map_err(|_| "reading failed")
            .unwrap();
        self.kinds = self.shown("SELECT id, shown FROM service_kind").await;
        self.products = self.shown("SELECT id, shown FROM product").await;
    }

    async fn shown(&mut self, statement: &'static str) -> HashMap<i64, String> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as(statement).fetch_all(&mut self.connection).await.unwrap();
        rows.into_iter().collect()
    }

    /// What makes the row that stands there the one that it is.
    fn name(&self, kind: Kind, place: &Place<'_>) -> String {
        match (kind, place) {
            (
                Kind::Services,
                [_, Value::Number(asset), Value::Address(at), Value::Number(kind)],
            ) => {
                format!("{asset} {at} {}", self.kinds[kind])
            }
            (
                Kind::Software,
                [_, Value::Number(asset), Value::Number(kind), Value::Text(source)],
            ) => format!("{asset} {} {source}", self.products[kind]),
            (Kind::Assets | Kind::Findings, [_, Value::Number(id), ..]) => id.to_string(),
            (Kind::Certificates, [_, Value::Text(sha256), ..]) => (*sha256).to_owned(),
            (kind, place) => panic!("no row of {kind:?} stands at {place:?}"),
        }
    }

    /// The same names, from what is held.
    fn names(&self, text: &str, kind: Kind) -> BTreeSet<String> {
        let ask = Ask {
            query: Query::parse(kind, text, Offset::UTC).unwrap(),
            sort: Sort::usual(kind),
            direction: Direction::Up,
            after: None,
            size: 10_000,
            as_of: NOW,
        };
        let answer = self.held.ask(&ask);
        assert_eq!(answer.total, answer.places.len() as u64, "{text}");
        answer.places.iter().map(|place| self.name(kind, place)).collect()
    }

    /// Every page of a list, put together: of each row by what it is sorted, and what it is.
    fn pages(&self, query: &Query, sort: Sort, direction: Direction, size: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let cursor = after.map(|text| Cursor::read(&text, sort, direction).unwrap());
            let query = query.clone();
            let ask = Ask { query, sort, direction, after: cursor, size, as_of: NOW };
            let answer = self.held.ask(&ask);
            let rows = answer.places.iter().take(size);
            all.extend(
                rows.map(|place| format!("{:?} {}", place[0], self.name(sort.kind(), place))),
            );
            after = Found::of(answer, &ask).next;
            if after.is_none() {
                return all;
            }
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_held_and_the_rows_of_the_command_line_agree(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let compared = compared(&mut dice);
        let findings = findings(&mut dice, compared.assets.len());
        run(async {
            let mut lists = Lists::new().await;
            lists.write(&compared, &findings).await;
            for (kind, terms) in FIELDS {
                for _ in 0..12 {
                    let text = query(&mut dice, terms, 4);
                    let expected = names(&compared, &findings, &text, *kind);
                    prop_assert_eq!(lists.names(&text, *kind), expected, "{:?} {}", kind, text);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_second_review_leaves_what_one_alone_would(seeds in any::<(u64, u64)>()) {
        let mut dice = (Dice(seeds.0), Dice(seeds.1));
        let (first, second) = (compared(&mut dice.0), compared(&mut dice.1));
        let (old, new) = (findings(&mut dice.0, 9), findings(&mut dice.1, 9));
        run(async {
            let (mut both, mut alone) = (Lists::new().await, Lists::new().await);
            both.write(&first, &old).await;
            both.write(&second, &new).await;
            alone.write(&second, &new).await;
            for statement in CONTENTS {
                let mut found = [Vec::new(), Vec::new()];
                for (lists, found) in [&mut both, &mut alone].into_iter().zip(&mut found) {
                    let rows: Vec<String> =
                        sqlx::query_scalar(*statement).fetch_all(&mut lists.connection).await.unwrap();
                    *found = rows;
                }
                prop_assert_eq!(&found[0], &found[1], "{}", statement);
            }
            for (kind, _) in FIELDS {
                for sort in Sort::of(*kind) {
                    let all = Query::everything(*kind);
                    let pages = |lists: &Lists| {
                        let rows = lists.pages(&all, sort, Direction::Up, 500);
                        rows.into_iter().collect::<BTreeSet<String>>()
                    };
                    // Of one only what changed was read again, of the other everything.
                    prop_assert_eq!(pages(&both), pages(&alone));
                }
            }
            let before: i64 = changes(&mut both).await;
            both.write(&second, &new).await;
            prop_assert_eq!(changes(&mut both).await, before, "the same again writes nothing");
            Ok(())
        })?;
    }

    #[test]
    fn no_cursor_is_too_odd(text in "([0-9a-f]{0,60}|\\PC{0,20})") {
        let sort = Sort::usual(Kind::Services);
        prop_assert_eq!(Cursor::read(&text, sort, Direction::Up), Err(CursorError));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn pages_have_every_row_once_in_order(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let compared = compared(&mut dice);
        let findings = findings(&mut dice, compared.assets.len());
        run(async {
            let mut lists = Lists::new().await;
            lists.write(&compared, &findings).await;
            for (kind, terms) in FIELDS {
                let text = dice.one(&["", dice_term(terms, seed)]);
                let query = Query::parse(*kind, text, Offset::UTC).unwrap();
                let expected = names(&compared, &findings, text, *kind).len();
                for sort in Sort::of(*kind) {
                    for direction in [Direction::Up, Direction::Down] {
                        let whole = lists.pages(&query, sort, direction, 500);
                        let parts = lists.pages(&query, sort, direction, 3);
                        let distinct: BTreeSet<&String> = whole.iter().collect();
                        prop_assert_eq!(distinct.len(), expected, "{} {}", text, sort.name);
                        prop_assert_eq!(&parts, &whole, "{} {}", text, sort.name);
                    }
                }
            }
            Ok(())
        })?;
    }
}

/// Some orders, and what the database sorts by.
const ORDERS: &[(Kind, &str, &str)] = &[
    (Kind::Assets, "address", "SELECT id FROM listed_asset ORDER BY address = x'', address, id"),
    (Kind::Assets, "name", "SELECT id FROM listed_asset ORDER BY names, id"),
    (Kind::Assets, "findings", "SELECT id FROM listed_asset ORDER BY critical, warning, info, id"),
    (Kind::Assets, "seen", "SELECT id FROM listed_asset ORDER BY last_seen, id"),
    (Kind::Findings, "severity", "SELECT id FROM listed_finding ORDER BY rank, id"),
    (Kind::Findings, "title", "SELECT id FROM listed_finding ORDER BY title, id"),
    (
        Kind::Services,
        "port",
        "SELECT asset || ' ' || text || ' ' || shown
         FROM listed_service AS s JOIN service_kind ON service_kind.id = kind
             JOIN listed_address AS l USING (asset, address)
         ORDER BY port, asset, s.address, kind",
    ),
    (
        Kind::Certificates,
        "expires",
        "SELECT sha256 FROM listed_certificate ORDER BY not_after, sha256",
    ),
];

#[test]
fn orders_are_those_of_the_database() {
    let mut dice = Dice(11);
    let compared = compared(&mut dice);
    let findings = findings(&mut dice, compared.assets.len());
    run(async {
        let mut lists = Lists::new().await;
        lists.write(&compared, &findings).await;
        for (kind, name, statement) in ORDERS {
            let sort = Sort::from_name(*kind, name).unwrap();
            let statement = format!(
                "SELECT CAST(x AS TEXT) FROM (SELECT 0 AS x WHERE 0 UNION ALL
                SELECT * FROM ({statement} LIMIT 1000))"
            );
            let expected: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
                .fetch_all(&mut lists.connection)
                .await
                .unwrap();
            assert!(expected.len() > 2, "{name}");
            let ask = Ask {
                query: Query::everything(*kind),
                sort,
                direction: Direction::Up,
                after: None,
                size: 10_000,
                as_of: NOW,
            };
            let answer = lists.held.ask(&ask);
            let found: Vec<String> =
                answer.places.iter().map(|place| lists.name(*kind, place)).collect();
            assert_eq!(found, expected, "{kind:?} by {name}");
        }
    });
}

fn dice_term<'t>(terms: &[&'t str], seed: u64) -> &'t str {
    terms[usize::try_from(seed % terms.len() as u64).unwrap()]
}

async fn changes(lists: &mut Lists) -> i64 {
    sqlx::query_scalar("SELECT total_changes()").fetch_one(&mut lists.connection).await.unwrap()
}

/// Everything, but for numbers that are given in the order of coming.
const CONTENTS: &[&str] = &[
    "SELECT id || digest || shape || names || site FROM listed_asset ORDER BY 1",
    "SELECT asset || text || current FROM listed_address ORDER BY 1",
    "SELECT asset || hex(address) || shown || first_seen || ' ' || last_seen
     FROM listed_service JOIN service_kind ON id = kind ORDER BY 1",
    "SELECT shown || product FROM service_kind ORDER BY 1",
    "SELECT asset || source || shown || last_seen FROM listed_software JOIN product ON id = kind
     ORDER BY 1",
    "SELECT shown FROM product ORDER BY 1",
    "SELECT sha256 || digest FROM listed_certificate ORDER BY 1",
    "SELECT id || digest FROM listed_finding ORDER BY 1",
];
