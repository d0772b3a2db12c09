//! Results of nmap in XML, and masscan's, which are like them.
//!
//! Only elements and their attributes are looked at. The reader expands no entity but the five
//! of XML itself, follows no reference and keeps no text, so that a document type costs nothing,
//! whatever it declares. Hosts that are down, names that are from a table of ports, and guesses at
//! systems are no observations.

use std::net::IpAddr;

use model::{
    Cpe, Endpoint, Fact, MacAddr, NameSource, PortState, Service, Subject, Timestamp, Transport,
};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    Wrong,
    record::{Out, host_name, is_of_an_interface},
    time, wrong,
};

/// How many addresses, names and ports of a host are kept: more are somebody's joke.
const MOST: usize = 70_000;

/// What is known of the host that is read.
#[derive(Debug, Default)]
struct Host {
    at: Option<Timestamp>,
    /// `None` where it is not said; masscan does not.
    up: Option<bool>,
    ttl: Option<u8>,
    addresses: Vec<IpAddr>,
    mac: Option<MacAddr>,
    names: Vec<String>,
    ports: Vec<Port>,
    broken: Option<String>,
}

#[derive(Debug, Default)]
struct Port {
    transport: Option<Transport>,
    number: Option<u16>,
    state: Option<PortState>,
    service: Option<Service>,
    cpes: Vec<String>,
}

pub(super) fn read(bytes: &[u8], out: &mut Out<'_>) {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    let mut reading = Reading::default();
    let mut counted = (0, 1);
    loop {
        let event = reader.read_event();
        counted = lines_until(text.as_bytes(), reader.buffer_position(), counted);
        out.line = counted.1;
        match event {
            Ok(Event::Start(element)) => reading.begin(&element, false),
            Ok(Event::Empty(element)) => {
                reading.begin(&element, true);
                reading.end(element.name().as_ref(), out);
            }
            Ok(Event::End(element)) => reading.end(element.name().as_ref(), out),
            Ok(Event::Text(text)) if reading.in_cpe => reading.cpe(&text),
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                out.problem(Wrong(format!("it is not XML from here on: {error}")));
                break;
            }
        }
    }
    if reading.host.is_some() {
        out.problem(Wrong("it ends in the middle of a host".to_owned()));
    } else if !reading.is_run {
        out.problem(Wrong("it is no result of nmap or masscan".to_owned()));
    }
}

/// Counts the ends of lines up to that place, from one before it on.
fn lines_until(bytes: &[u8], to: u64, (from, line): (usize, u64)) -> (usize, u64) {
    let to = usize::try_from(to).unwrap_or(bytes.len()).min(bytes.len()).max(from);
    let piece = bytes.get(from..to).unwrap_or_default();
    let ends = piece.iter().filter(|byte| **byte == b'\n').count();
    (to, line.saturating_add(u64::try_from(ends).unwrap_or(0)))
}

#[derive(Debug, Default)]
struct Reading {
    is_run: bool,
    /// Whose result it is, which is the evidence of all that it tells.
    by: String,
    /// When the run began, for hosts that do not say.
    began: Option<Timestamp>,
    host: Option<Host>,
    /// Systems that it guesses have such names as services, but behind all ports.
    in_port: bool,
    in_cpe: bool,
}

/// An attribute, with the entities of XML resolved; one that has others has none.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    quick_xml::escape::unescape(&found.value).ok().map(std::borrow::Cow::into_owned)
}

impl Reading {
    fn begin(&mut self, element: &BytesStart<'_>, is_empty: bool) {
        let get = |name: &str| attribute(element, name);
        let name = element.name();
        match (name.as_ref(), self.host.as_mut()) {
            ("nmaprun", _) => {
                self.is_run = true;
                // Not with which arguments: credentials may be among them.
                let by = [get("scanner"), get("version")].into_iter().flatten();
                self.by = wire::lines::text(by.collect::<Vec<String>>().join(" ").as_bytes());
                self.began = get("start").as_deref().and_then(time::epoch);
            }
            ("host", _) if self.is_run => {
                let at = get("endtime").or_else(|| get("starttime"));
                let at = at.as_deref().and_then(time::epoch).or(self.began);
                self.host = Some(Host { at, ..Host::default() });
            }
            ("status", Some(host)) => {
                host.up = get("state").map(|state| state == "up");
                host.ttl = ttl(get("reason_ttl"));
            }
            ("address", Some(host)) => host.address(get("addr"), get("addrtype").as_deref()),
            ("hostname", Some(host)) if host.names.len() < MOST => {
                host.names.extend(get("name").as_deref().and_then(host_name));
            }
            ("port", Some(host)) if host.ports.len() < MOST => {
                let transport = match get("protocol").as_deref() {
                    Some("tcp") => Some(Transport::Tcp),
                    Some("udp") => Some(Transport::Udp),
                    _ => None,
                };
                let number = get("portid").and_then(|id| id.parse().ok());
                host.ports.push(Port { transport, number, ..Port::default() });
                self.in_port = true;
            }
            ("state", Some(host)) if self.in_port => {
                host.ttl = host.ttl.or(ttl(get("reason_ttl")));
                if let Some(port) = host.ports.last_mut() {
                    port.state = get("state").as_deref().and_then(PortState::from_name);
                }
            }
            ("service", Some(host)) if self.in_port => {
                if let Some(port) = host.ports.last_mut() {
                    port.service = service(&get);
                }
            }
            ("cpe", Some(_)) => self.in_cpe = self.in_port && !is_empty,
            _ => {}
        }
    }

    fn cpe(&mut self, text: &str) {
        let port = self.host.as_mut().and_then(|host| host.ports.last_mut());
        if let Some(port) = port.filter(|port| port.service.is_some() && port.cpes.len() < 8) {
            port.cpes.push(text.trim().to_owned());
        }
    }

    fn end(&mut self, name: &str, out: &mut Out<'_>) {
        match name {
            "cpe" => self.in_cpe = false,
            "port" => self.in_port = false,
            "host" => {
                self.in_port = false;
                if let Some(host) = self.host.take()
                    && let Err(wrong) = host.tell(self.by.as_bytes(), out)
                {
                    out.problem(wrong);
                }
            }
            _ => {}
        }
    }
}

/// The time to live of an answer; nmap writes 0 where it does not know it.
fn ttl(text: Option<String>) -> Option<u8> {
    text?.parse().ok().filter(|ttl| *ttl != 0)
}

/// What speaks there, if nmap asked and did not only look the port up.
fn service(get: &dyn Fn(&str) -> Option<String>) -> Option<Service> {
    let is_asked = get("method").as_deref() == Some("probed");
    let name = get("name").filter(|name| is_asked && !name.is_empty() && name != "unknown")?;
    let is_inside = get("tunnel").as_deref() == Some("ssl");
    let text = |name: &str| {
        let text = wire::lines::text(get(name)?.as_bytes());
        (!text.is_empty()).then_some(text)
    };
    let mut service = Service::of(&name.to_lowercase());
    service.tls = is_inside;
    service.product = text("product");
    // Behind the version nmap writes whose package it is.
    let version = text("version").unwrap_or_default();
    let (version, package) = version.split_once(' ').unwrap_or((&version, ""));
    service.version = Some(version.to_owned()).filter(|version| !version.is_empty());
    let more = [package.to_owned(), text("extrainfo").unwrap_or_default()];
    let more: Vec<&str> = more.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if !more.is_empty() {
        service.attributes.insert("extra".to_owned(), more.join("; "));
    }
    Some(service)
}

impl Host {
    fn address(&mut self, text: Option<String>, kind: Option<&str>) {
        let text = text.unwrap_or_default();
        if self.addresses.len() >= MOST {
            return;
        }
        match kind {
            Some("mac") => self.mac = text.parse().ok(),
            _ => match text.parse() {
                Ok(address) => self.addresses.push(address),
                Err(_) => self.broken = Some(format!("{text:?} is no address")),
            },
        }
    }

    fn tell(self, by: &[u8], out: &mut Out<'_>) -> Result<(), Wrong> {
        if self.up == Some(false) {
            return Ok(());
        }
        if let Some(broken) = self.broken {
            return wrong(broken);
        }
        let Some(address) = self.addresses.first().copied() else {
            return wrong("a host has no address");
        };
        let address = address.to_canonical();
        if crate::is_not_unicast(address) {
            return wrong(format!("{address} is not the address of one device"));
        }
        let at = out.past(self.at)?;
        out.record();
        let subject = Subject::Address(address);
        let is_open = |port: &Port| matches!(port.state, Some(PortState::Open | PortState::Closed));
        if self.up == Some(true) || self.ports.iter().any(is_open) {
            out.tell(at, subject, Fact::Alive { ttl: self.ttl }, by);
        }
        if let Some(mac) = self.mac.filter(|mac| is_of_an_interface(*mac)) {
            out.tell(at, subject, Fact::LinkAddress(mac), by);
        }
        for name in self.names {
            out.tell(at, subject, Fact::HostName { name, source: NameSource::Dns }, by);
        }
        for port in self.ports {
            let (Some(transport), Some(number)) = (port.transport, port.number) else { continue };
            let (Some(state), true) = (port.state, number != 0) else { continue };
            let endpoint = Subject::Endpoint(Endpoint { address, transport, port: number });
            out.tell(at, endpoint, Fact::PortState(state), by);
            if let Some(mut service) = port.service.filter(|_| state == PortState::Open) {
                // Of several names the application's is meant, and not the system's.
                let cpes = port.cpes.iter().filter(|cpe| cpe.starts_with("cpe:/a:"));
                service.cpe = cpes.filter_map(|cpe| cpe_of(cpe)).next();
                out.tell(at, endpoint, Fact::Service(service), by);
            }
        }
        Ok(())
    }
}

/// A CPE 2.3 name of the 2.2 names that nmap writes.
fn cpe_of(text: &str) -> Option<Cpe> {
    let mut parts = text.strip_prefix("cpe:/a:")?.split(':');
    let (vendor, product) = (parts.next()?, parts.next()?);
    Some(Cpe::application(vendor, product, parts.next().filter(|version| !version.is_empty())))
}
