//! Results of masscan: JSON, an object for each reply on a line of its own, and its list. Its XML
//! is like nmap's and is read there.

use std::net::IpAddr;

use model::{Endpoint, Fact, PortState, Service, Subject, Timestamp, Transport};
use serde_json::Value;
use wire::lines;

use super::{Lines, Wrong, record::Out, time, wrong};

#[derive(Debug)]
pub(super) struct Json;

#[derive(Debug)]
pub(super) struct List;

impl Lines for Json {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        // The brackets and commas around the objects may stand on their lines, or by
        // themselves; a last line that is no JSON says that it is finished.
        let text = line.trim().trim_end_matches(',').trim_start_matches(',').trim();
        if matches!(text, "" | "[" | "]" | "{finished: 1}") {
            return Ok(());
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return wrong(format!("it is no JSON: {error}")),
        };
        let all = match value {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.iter().try_for_each(|one| reply(one, text, out))
    }
}

fn reply(value: &Value, evidence: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
    let Some(address) = value.get("ip").and_then(Value::as_str).and_then(|ip| ip.parse().ok())
    else {
        return wrong("it has no address");
    };
    let at = match value.get("timestamp") {
        Some(Value::String(text)) => time::epoch(text),
        Some(Value::Number(number)) => number.as_i64().map(Timestamp::from_seconds),
        _ => None,
    };
    let Some(Value::Array(ports)) = value.get("ports") else { return wrong("it has no ports") };
    for port in ports {
        let text = |name: &str| port.get(name).and_then(Value::as_str);
        let number = port.get("port").and_then(Value::as_u64);
        let service = port.get("service");
        let said = |name: &str| service?.get(name)?.as_str();
        let found = Found {
            at,
            address,
            transport: text("proto").unwrap_or("tcp"),
            port: number.and_then(|number| u16::try_from(number).ok()),
            // A banner has no status: there was somebody to say it.
            state: text("status").or(said("name").map(|_| "open")),
            ttl: port.get("ttl").and_then(Value::as_u64).and_then(|ttl| u8::try_from(ttl).ok()),
            service: said("name"),
            banner: said("banner"),
        };
        found.tell(evidence, out)?;
    }
    Ok(())
}

impl Lines for List {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        if line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.splitn(7, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (kind, transport, port, address, at) = (word(), word(), word(), word(), word());
        let (state, service, banner) = match kind {
            "open" | "closed" => (kind, None, None),
            "banner" => ("open", Some(word()), Some(word())),
            _ => return wrong("it is neither a port nor a banner"),
        };
        let Ok(address) = address.parse() else {
            return wrong(format!("{address:?} is no address"));
        };
        let found = Found {
            at: time::epoch(at),
            address,
            transport,
            port: port.parse().ok(),
            state: Some(state),
            ttl: None,
            service,
            banner,
        };
        found.tell(line, out)
    }
}

/// A port that answered another scanner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) at: Option<Timestamp>,
    pub(super) address: IpAddr,
    pub(super) transport: &'a str,
    pub(super) port: Option<u16>,
    pub(super) state: Option<&'a str>,
    pub(super) ttl: Option<u8>,
    /// What it was found to speak.
    pub(super) service: Option<&'a str>,
    /// What it said.
    pub(super) banner: Option<&'a str>,
}

impl Found<'_> {
    pub(super) fn tell(self, evidence: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let evidence = evidence.as_bytes();
        let at = out.past(self.at)?;
        let address = self.address.to_canonical();
        if crate::is_not_unicast(address) {
            return wrong(format!("{address} is not the address of one device"));
        }
        let transport = match self.transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            // An echo: somebody is there.
            "icmp" => {
                out.record();
                let fact = Fact::Alive { ttl: self.ttl };
                out.tell(at, Subject::Address(address), fact, evidence);
                return Ok(());
            }
            // SCTP and others, of which nothing is kept.
            _ => return Ok(()),
        };
        let (Some(port), Some(state)) = (self.port.filter(|port| *port != 0), self.state) else {
            return wrong("its port or its state cannot be read");
        };
        let Some(state) = PortState::from_name(state) else { return Ok(()) };
        out.record();
        let endpoint = Endpoint { address, transport, port };
        if matches!(state, PortState::Open | PortState::Closed) {
            out.tell(at, Subject::Address(address), Fact::Alive { ttl: self.ttl }, evidence);
        }
        out.tell(at, Subject::Endpoint(endpoint), Fact::PortState(state), evidence);
        // masscan's titles, certificates and the like are parts of what a service said.
        let protocol = self.service.filter(|name| {
            matches!(
                *name,
                "http" | "ssh" | "ftp" | "smtp" | "pop3" | "imap" | "telnet" | "vnc" | "smb"
            )
        });
        if let Some(protocol) = protocol {
            let mut service = Service::of(protocol);
            let banner = self.banner.map(|banner| lines::text(banner.as_bytes()));
            if let Some(banner) = banner.filter(|banner| !banner.is_empty() && protocol == "ssh") {
                service.attributes.insert("banner".to_owned(), banner);
            }
            out.tell(at, Subject::Endpoint(endpoint), Fact::Service(service), evidence);
        }
        Ok(())
    }
}
