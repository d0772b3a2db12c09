//! What users and other programs hand in: registers, version rules, queries, targets, ports,
//! settings, dates.

use std::hint::black_box;

use inventory::{
    query::{Kind, Query},
    register::{self, Day, DeviceEntry, Entry, IssuerEntry, SoftwareEntry},
    store::Offset,
    version::{Version, VersionRule},
};
use scanner::{
    ports::PortSpec,
    targets::{self, Purpose, Selection},
};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "inventory/register/device",
        run: run_register::<DeviceEntry>,
        seeds: seeds_device,
    },
    Target {
        name: "inventory/register/software",
        run: run_register::<SoftwareEntry>,
        seeds: seeds_software,
    },
    Target {
        name: "inventory/register/issuer",
        run: run_register::<IssuerEntry>,
        seeds: seeds_issuer,
    },
    Target { name: "inventory/register/stored", run: run_stored, seeds: seeds_stored },
    Target { name: "inventory/version", run: run_version, seeds: seeds_version },
    Target { name: "inventory/query", run: run_query, seeds: seeds_query },
    Target { name: "scanner/targets", run: run_targets, seeds: seeds_targets },
    Target { name: "scanner/ports", run: run_ports, seeds: seeds_ports },
    Target { name: "config/file", run: run_file, seeds: seeds_file },
    Target { name: "config/environment", run: run_environment, seeds: seeds_environment },
    Target { name: "model/text", run: run_model, seeds: seeds_model },
];

fn list(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// In UTF-8, and in UTF-16 with its mark.
fn files(texts: &[&str]) -> Vec<Vec<u8>> {
    let mut all = list(texts);
    for text in texts {
        let wide = std::iter::once(0xfeff).chain(text.encode_utf16());
        all.push(wide.flat_map(u16::to_le_bytes).collect());
    }
    all
}

fn run_register<E: Entry>(bytes: &[u8]) {
    let Ok(import) = register::read::<E>(bytes) else { return };
    for problem in import.errors.iter().chain(&import.warnings) {
        black_box(problem.to_string());
    }
    for entry in &import.entries {
        // What was read is stored and comes back the same.
        let back = E::from_stored(&entry.to_stored());
        assert!(back.is_ok_and(|back| back == *entry), "{:?} is not stored whole", entry.label());
    }
    black_box(register::to_csv(&import.entries));
    black_box(register::diff(&import.entries, &[]));
}

fn seeds_device() -> Vec<Vec<u8>> {
    let mut seeds = files(&[
        "reference,mac,ip,hostname,owner,status,valid until\nA-7,00:11:22:33:44:55,192.0.2.7,pc7,Sato,approved,2027-03-31\n",
        "管理番号;MACアドレス;IPアドレス;機器名;状態\nB-1;００１１．２２３３．４４５５;192.0.2.8;\"二行\n目\";承認\n",
        "Asset list 2026\n\nreference\tmac\tnotes\nC-1\t00-11-22-33-44-66, 00-11-22-33-44-67\tx\nC-1\t\t\n",
    ]);
    // "MACアドレス" in CP932.
    seeds.push(b"MAC\x83A\x83h\x83\x8c\x83X,reference\r\n0011.2233.4455,D-1\r\n".to_vec());
    seeds.push(include_bytes!("../../tests/registers/devices.xlsx").to_vec());
    seeds.push(include_bytes!("../../tests/registers/devices.xls").to_vec());
    seeds.push(include_bytes!("../../tests/registers/devices.ods").to_vec());
    seeds
}

fn seeds_software() -> Vec<Vec<u8>> {
    files(&[
        "product,publisher,version,status,support ends,scope\nOpenSSH,OpenBSD,\">= 9.2, < 10\",approved,2027-01-01,all\n",
        "ソフトウェア名,バージョン,提供元,区分,サポート期限\nnginx,any,F5,禁止,令和8年3月31日\n",
    ])
}

fn seeds_issuer() -> Vec<Vec<u8>> {
    files(&[
        "name,certificate sha256,key sha256\nExample Root,00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,\n",
    ])
}

fn run_stored(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    black_box(DeviceEntry::from_stored(&text).is_ok());
    black_box(SoftwareEntry::from_stored(&text).is_ok());
    black_box(IssuerEntry::from_stored(&text).is_ok());
}

fn seeds_stored() -> Vec<Vec<u8>> {
    fn stored<E: Entry>(seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let imports = seeds.into_iter().filter_map(|seed| register::read::<E>(&seed).ok());
        imports.flat_map(|import| import.entries).map(|e| e.to_stored().into_bytes()).collect()
    }
    [
        stored::<DeviceEntry>(seeds_device()),
        stored::<SoftwareEntry>(seeds_software()),
        stored::<IssuerEntry>(seeds_issuer()),
    ]
    .concat()
}

fn run_version(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // A rule, then a version to hold against it.
    let (rule, version) = text.split_once('\n').unwrap_or((&text, &text));
    let version = Version::new(version);
    black_box(version.cmp(&Version::new(rule)));
    if let Ok(rule) = rule.parse::<VersionRule>() {
        black_box(rule.matches(&version));
        let again = rule.to_string().parse::<VersionRule>();
        assert!(again.is_ok(), "{rule} cannot be read again");
    }
}

fn seeds_version() -> Vec<Vec<u8>> {
    list(&[
        "any\n1",
        ">= 1.2, < 2\n1.10~rc1",
        "= 1:9.2p1-2+deb12u2\n9.2p1",
        "＞＝ １．２\n1.2.0",
        "!= 3\n4",
    ])
}

fn run_query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for kind in Kind::ALL {
        match Query::parse(kind, &text, Offset::UTC) {
            Ok(query) => drop(black_box(query)),
            Err(error) => {
                // A page underlines it there.
                assert_eq!(text.get(error.range.clone()), Some(error.term.as_str()));
                drop(black_box(error.to_string()));
            }
        }
    }
}

fn seeds_query() -> Vec<Vec<u8>> {
    list(&[
        "port:22 and not class:printer",
        "(vendor:\"Acme Corp\" or os:debian) name:fs*",
        "address:192.0.2.0/24 seen<30d",
        "product=openssh (portable) or version:\"9.2 p1\"",
        "port:22,443/tcp or address in 192.0.2.1 - 192.0.2.9 and os !~ debian 12",
        "severity:critical,warning expires<30d trust:public \"two words\"",
        "00:00:5e:00:53:07 or 2001:db8::1 and tls:yes",
        "not (not (registration:unregistered))",
        "expires<=2027-01 and seen>=2026-11-01 or first:today,yesterday,2025",
    ])
}

fn run_targets(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for purpose in [Purpose::Target, Purpose::Exclusion] {
        if let Err(error) = targets::parse(&text, purpose) {
            black_box(error.to_string());
        }
        let mut selection = Selection::default();
        selection.add_list(purpose, "list", &text);
        for error in selection.errors() {
            black_box(error.to_string());
        }
        black_box(selection.scope().permitted_count());
        black_box(selection.count(false).is_ok());
    }
}

fn seeds_targets() -> Vec<Vec<u8>> {
    list(&[
        "192.0.2.7",
        "192.0.2.0/24",
        "192.0.2.10-40",
        "192.0.2.10-192.0.3.9",
        "2001:db8::/112",
        "[2001:db8::1]",
        "fs7.example.com",
        "@list.txt",
        "192.0.2.1 # the router\n\n198.51.100.0/25\n@other\nname",
    ])
}

fn run_ports(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<PortSpec>() {
        Ok(ports) => drop(black_box((ports.len(), ports.to_string()))),
        Err(error) => drop(black_box(error.to_string())),
    }
    if let Ok(ports) = text.parse::<model::PortSet>() {
        assert!(ports.len() <= 65_536);
        assert_eq!(ports.to_string().parse(), Ok(ports));
    }
}

fn seeds_ports() -> Vec<Vec<u8>> {
    list(&["22,80,8000-8100,u:161", "all", "default", "u:53,u:67-69", "1-65535", "22-22,443"])
}

fn load(layers: &config::Layers) {
    match config::Config::from_layers(layers) {
        Ok(settings) => drop(black_box(settings)),
        Err(error) => drop(black_box(error.to_string())),
    }
}

fn run_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut layers = config::Layers::defaults();
    if let Err(error) = layers.add_file("site.toml", &text) {
        black_box(error.to_string());
    }
    load(&layers);
    black_box(config::duration(&text).is_ok());
}

fn seeds_file() -> Vec<Vec<u8>> {
    list(&[
        "[sweep]\nprofile = \"ot\"\nports = \"22\"\nrate = \"50pps\"\n[site]\nname = \"plant\"\n",
        "[scope]\nexclude = [\"192.0.2.7\", \"198.51.100.0/24\"]\n[certificates]\nexpiring_warning = \"30d\"\n",
        "[services]\nenabled = true\nconcurrency = 7\nread_limit = \"64KiB\"\ntime_limit = \"5s\"\n",
        "30d",
    ])
}

/// Lines of `NAME=value`.
fn run_environment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let variables = text.lines().filter_map(|line| line.split_once('='));
    let mut layers = config::Layers::defaults();
    // A command line has few flags, and for each unknown one all names are compared.
    for (name, value) in variables.clone().take(50) {
        if let Err(error) = layers.add_flag("--flag", name, value) {
            black_box(error.to_string());
        }
    }
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    if let Err(error) = layers.add_environment(variables) {
        black_box(error.to_string());
    }
    load(&layers);
}

fn seeds_environment() -> Vec<Vec<u8>> {
    list(&[
        "DAICHO_SITE_NAME=office\nDAICHO_SWEEP_RATE=100pps",
        "sweep.rate=7pps\nservices.concurrency=12\nscope.exclude=192.0.2.1, 192.0.2.2",
        "DAICHO_REGISTER_UTC_OFFSET=+09:00\nDAICHO_SERVICES_SNMP_PUBLIC=true",
    ])
}

fn run_model(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(mac) = text.parse::<model::MacAddr>() {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
    if let Ok(moment) = text.parse::<model::Timestamp>() {
        black_box(moment.to_string());
    }
    black_box(text.parse::<Day>().is_ok());
    for kind in ["mac", "address", "host_name", "serial"] {
        black_box(model::Identifier::from_parts(kind, &text));
    }
    black_box(model::Cpe::application(&text, &text, Some(&text)).0.len());
}

fn seeds_model() -> Vec<Vec<u8>> {
    list(&[
        "00:11:22:33:44:55",
        "0011.2233.4455",
        "００－１１－２２－３３－４４－５５",
        "2026-11-22",
        "2026-11-22T09:30:00Z",
        "令和8年11月22日",
        "H31.4.30",
        "2026/11/22",
        "2001:db8::1",
    ])
}
