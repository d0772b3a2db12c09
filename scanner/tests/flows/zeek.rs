//! Agreement with Zeek.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use model::{
    Endpoint, Fact, FingerprintKind, NameSource, Observation, Subject, TlsVersion, Transport,
};
use ring::digest;

use super::{capture, corpus, frames, listen};

pub(super) type Row = BTreeMap<String, String>;

/// The rows of a log, by the names of its columns; only what stands there is in a row.
pub(super) fn rows(path: &Path) -> Vec<Row> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut names: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(fields) = line.strip_prefix("#fields\t") {
            names = fields.split('\t').collect();
        } else if !line.starts_with('#') {
            let cells = names.iter().zip(line.split('\t'));
            let set = cells.filter(|(_, cell)| !matches!(*cell, "-" | "(empty)"));
            rows.push(set.map(|(n, c)| ((*n).to_owned(), c.to_owned())).collect());
        }
    }
    rows
}

/// Calls `check` for each row of each log of that name, with what is heard of its capture.
fn each(log: &str, check: &mut dyn FnMut(&str, &Row, &[Observation])) -> Option<()> {
    let folder = corpus()?.join("zeek");
    let list = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let mut heard: BTreeMap<String, Vec<Observation>> = BTreeMap::new();
    for line in list.lines().skip(1) {
        let (trace, baseline) = line.split_once('\t').unwrap();
        if Path::new(baseline).file_name().unwrap() != format!("{log}.log").as_str() {
            continue;
        }
        let path = folder.join("Traces").join(trace);
        let Ok(frames) = frames(&path) else {
            println!("{trace} is not read");
            continue;
        };
        let told = heard.entry(trace.to_owned()).or_insert_with(|| listen(&mut capture(), &frames));
        for row in rows(&folder.join("Baseline").join(baseline)) {
            check(trace, &row, told);
        }
    }
    Some(())
}

/// How many of those that a log has agree, and which do not.
#[derive(Default)]
struct Score {
    all: usize,
    missing: BTreeSet<String>,
    agreed: usize,
}

impl Score {
    fn add(&mut self, agrees: bool, what: impl FnOnce() -> String) {
        self.all += 1;
        if agrees {
            self.agreed += 1;
        } else {
            self.missing.insert(what());
        }
    }

    /// Prints it, and holds it against what is known to differ.
    #[track_caller]
    fn check(&self, name: &str, expected: (usize, usize)) {
        println!("zeek: {name}: {} of {}", self.agreed, self.all);
        for missing in &self.missing {
            println!("  not so: {missing}");
        }
        assert_eq!((self.agreed, self.all), expected, "{name}");
    }
}

fn endpoint(row: &Row) -> Option<Endpoint> {
    let address: IpAddr = row.get("id.resp_h")?.parse().ok()?;
    Some(Endpoint::tcp(address, row.get("id.resp_p")?.parse().ok()?))
}

fn has(told: &[Observation], subject: Subject, test: &dyn Fn(&Fact) -> bool) -> bool {
    told.iter().any(|o| o.subject == subject && test(&o.fact))
}

#[test]
fn server_names_versions_and_suites_of_tls_are_zeeks() {
    let [mut names, mut versions] = [(); 2].map(|()| Score::default());
    let each = each("ssl", &mut |trace, row, told| {
        let version = row.get("version").map(String::as_str).unwrap_or_default();
        // Datagrams are not flows of TCP.
        if version.starts_with("DTLS") || trace.contains("dtls") || trace.starts_with("quic") {
            return;
        }
        let Some(server) = endpoint(row) else { return };
        let subject = Subject::Endpoint(server);
        if let Some(name) = row.get("server_name") {
            let named = has(told, subject, &|fact| {
                matches!(fact, Fact::HostName { name: n, source: NameSource::ServerName }
                    if *n == name.to_lowercase())
            });
            names.add(named, || format!("{trace} {server} {name}"));
        }
        if !version.is_empty() {
            // Zeek writes TLSv12 where we write TLSv1.2, and TLSv10 likewise.
            let same = |v: &TlsVersion| v.to_string().replace('.', "") == version;
            let spoken = has(
                told,
                subject,
                &|fact| matches!(fact, Fact::Tls(tls) if tls.accepted.keys().any(same)),
            );
            versions.add(spoken, || format!("{trace} {server} {version}"));
        }
    });
    if each.is_some() {
        names.check("server names", (9, 13));
        versions.check("versions", (41, 46));
    }
}

#[test]
fn server_names_of_quic_are_zeeks() {
    let mut names = Score::default();
    let each = each("quic", &mut |trace, row, told| {
        let (Some(server), Some(name)) = (endpoint(row), row.get("server_name")) else { return };
        let subject = Subject::Endpoint(Endpoint { transport: Transport::Udp, ..server });
        let named = has(told, subject, &|fact| {
            matches!(fact, Fact::HostName { name: n, source: NameSource::ServerName }
                if *n == name.to_lowercase())
        });
        names.add(named, || format!("{trace} {server} {name}"));
    });
    if each.is_some() {
        names.check("server names of QUIC", (4, 11));
    }
}

#[test]
fn certificates_are_zeeks() {
    let mut score = Score::default();
    let each = each("x509", &mut |trace, row, told| {
        let Some(wanted) = row.get("fingerprint") else { return };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let found = told.iter().any(|o| match &o.fact {
            Fact::Certificates(chain) => chain
                .chain
                .iter()
                .any(|der| hex(digest::digest(&digest::SHA256, der).as_ref()) == *wanted),
            _ => false,
        });
        let subject = row.get("certificate.subject").cloned().unwrap_or_default();
        let role = if row.get("client_cert").is_some_and(|c| c == "T") { "client" } else { "" };
        score.add(found, || format!("{trace} {role} {wanted} {subject}"));
    });
    if each.is_some() {
        score.check("certificates", (70, 74));
    }
}

#[test]
fn versions_of_ssh_are_zeeks() {
    let [mut servers, mut clients, mut keys] = [(); 3].map(|()| Score::default());
    let each = each("ssh", &mut |trace, row, told| {
        let Some(server) = endpoint(row) else { return };
        let client: IpAddr = row["id.orig_h"].parse().unwrap();
        let says = |subject: Subject, banner: &str| {
            let rest = banner.splitn(3, '-').nth(2).unwrap_or(banner).trim().to_owned();
            has(told, subject, &|fact| {
                matches!(fact, Fact::Service(service)
                if service.attributes.get("banner").is_some_and(|b| *b == rest))
            })
        };
        if let Some(banner) = row.get("server") {
            servers.add(says(Subject::Endpoint(server), banner), || {
                format!("{trace} {server} {banner}")
            });
        }
        if let Some(banner) = row.get("client") {
            clients.add(says(Subject::Address(client), banner), || {
                format!("{trace} {client} {banner}")
            });
        }
        if row.contains_key("host_key_fingerprint") {
            let shown =
                has(told, Subject::Endpoint(server), &|fact| matches!(fact, Fact::HostKey(_)));
            keys.add(shown, || format!("{trace} {server}"));
        }
    });
    if each.is_some() {
        servers.check("SSH servers", (47, 47));
        clients.check("SSH clients", (47, 47));
        keys.check("SSH host keys", (18, 18));
    }
}

#[test]
fn http_servers_and_clients_are_zeeks() {
    let [mut servers, mut clients] = [(); 2].map(|()| Score::default());
    let each = each("http", &mut |trace, row, told| {
        let Some(server) = endpoint(row) else { return };
        let client: IpAddr = row["id.orig_h"].parse().unwrap();
        if row.contains_key("status_code") {
            let found = has(
                told,
                Subject::Endpoint(server),
                &|fact| matches!(fact, Fact::Service(service) if service.protocol == "http"),
            );
            servers.add(found, || format!("{trace} {server}"));
        }
        if let Some(agent) = row.get("user_agent") {
            let found = has(told, Subject::Address(client), &|fact| {
                matches!(fact, Fact::Fingerprint { kind: FingerprintKind::UserAgent, .. })
            });
            clients.add(found, || format!("{trace} {client} {agent}"));
        }
    });
    if each.is_some() {
        servers.check("HTTP servers", (154, 158));
        clients.check("HTTP clients", (94, 95));
    }
}

#[test]
fn known_services_are_zeeks() {
    let mut score = Score::default();
    let each = each("known_services", &mut |trace, row, told| {
        if row.get("port_proto").is_none_or(|proto| proto != "tcp") {
            return;
        }
        let Some(Ok(address)) = row.get("host").map(|host| host.parse::<IpAddr>()) else { return };
        let port: u16 = row["port_num"].parse().unwrap();
        let subject = Endpoint { address, transport: Transport::Tcp, port };
        for service in row.get("service").map_or("", String::as_str).split(',') {
            let found = has(told, Subject::Endpoint(subject), &|fact| match (service, fact) {
                ("SSL", Fact::Tls(_)) => true,
                (name, Fact::Service(service)) => name.eq_ignore_ascii_case(&service.protocol),
                _ => false,
            });
            score.add(found, || format!("{trace} {subject} {service}"));
        }
    });
    if each.is_some() {
        score.check("known services", (2, 4));
    }
}
