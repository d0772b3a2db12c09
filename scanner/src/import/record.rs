//! A record of any format, and the observations that it makes.

use std::net::IpAddr;

use model::{
    Fact, MacAddr, MachineIdKind, Method, NameSource, Observation, Service, Subject, Timestamp,
};
use wire::lines;

use super::{Context, Counts, Item, Problem, Wrong, time::AHEAD, wrong};
use crate::is_not_unicast;

/// How long a name may be: a dotted one has at most 253 characters (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// How long an identifier of a client may be (RFC 8415, section 11.1: a DUID has 130 bytes at
/// most; an option of DHCP has 255).
const LONGEST_ID: usize = 255;

/// Where the readers put what they find.
pub(super) struct Out<'a> {
    pub(super) context: &'a Context,
    counts: &'a mut Counts,
    sink: &'a mut dyn FnMut(Item),
    /// The line that is read.
    pub(super) line: u64,
}

impl<'a> Out<'a> {
    pub(super) fn new(
        context: &'a Context,
        counts: &'a mut Counts,
        sink: &'a mut dyn FnMut(Item),
        line: u64,
    ) -> Self {
        Self { context, counts, sink, line }
    }

    /// Counts a record that tells something.
    pub(super) fn record(&mut self) {
        self.counts.records = self.counts.records.saturating_add(1);
    }

    pub(super) fn problem(&mut self, Wrong(reason): Wrong) {
        self.counts.problems = self.counts.problems.saturating_add(1);
        (self.sink)(Item::Problem(Problem { line: self.line, reason }));
    }

    pub(super) fn tell(&mut self, at: Timestamp, subject: Subject, fact: Fact, evidence: &[u8]) {
        self.counts.observations = self.counts.observations.saturating_add(1);
        let evidence = evidence.get(..Observation::MAX_EVIDENCE).unwrap_or(evidence).to_vec();
        (self.sink)(Item::Observation(Observation {
            observed_at: at,
            vantage: self.context.vantage.clone(),
            method: Method::Import,
            subject,
            fact,
            evidence,
        }));
    }

    /// The moment, if it is one at which something can have been seen. A clock may be ahead a
    /// little.
    pub(super) fn past(&self, at: Option<Timestamp>) -> Result<Timestamp, Wrong> {
        let Some(at) = at else { return wrong("its time cannot be read") };
        if at > self.context.as_of.plus_seconds(AHEAD) {
            return wrong(format!("its time, {at}, lies in the future"));
        }
        Ok(at)
    }
}

/// What a DHCP server knows of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) address: Option<IpAddr>,
    pub(super) mac: Option<MacAddr>,
    /// As the client or the server wrote it.
    pub(super) name: Option<String>,
    /// The client identifier of DHCPv4, in bytes.
    pub(super) id: Option<Vec<u8>>,
    /// The DUID of DHCPv6, in bytes.
    pub(super) duid: Option<Vec<u8>>,
    pub(super) vendor_class: Option<String>,
}

impl Client {
    /// Tells what is known of it. What is said of a client is said of its link-layer address,
    /// if that is known: it has its network address not for long.
    pub(super) fn tell(
        &self,
        at: Option<Timestamp>,
        evidence: &str,
        out: &mut Out<'_>,
    ) -> Result<(), Wrong> {
        let at = out.past(at)?;
        let evidence = evidence.as_bytes();
        let mac = self.mac.filter(|mac| is_of_an_interface(*mac));
        let address = self.address.map(|address| address.to_canonical());
        let address = address.filter(|address| !is_not_unicast(*address));
        let subject = match (mac, address) {
            (Some(mac), _) => Subject::Mac(mac),
            (None, Some(address)) => Subject::Address(address),
            (None, None) => return wrong("it names neither an address nor a device"),
        };
        out.record();
        match (mac, address) {
            (Some(mac), Some(address)) => {
                out.tell(at, Subject::Address(address), Fact::LinkAddress(mac), evidence);
            }
            // It has talked with the server.
            _ => out.tell(at, subject, Fact::Alive { ttl: None }, evidence),
        }
        if let Some(name) = self.name.as_deref().and_then(host_name) {
            let fact = Fact::HostName { name, source: NameSource::Dhcp };
            out.tell(at, subject, fact, evidence);
        }
        let ids = [(MachineIdKind::DhcpClientId, &self.id), (MachineIdKind::DhcpDuid, &self.duid)];
        for (kind, id) in ids {
            let id = id.as_deref().filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
            if let Some(id) = id {
                let value = id.iter().map(|byte| format!("{byte:02x}")).collect();
                out.tell(at, subject, Fact::MachineId { kind, value }, evidence);
            }
        }
        let class = self.vendor_class.as_deref().map(|class| lines::text(class.as_bytes()));
        if let Some(class) = class.filter(|class| !class.is_empty()) {
            let mut service = Service::of("dhcp-client");
            service.attributes.insert("vendor_class".to_owned(), class);
            out.tell(at, subject, Fact::Service(service), evidence);
        }
        Ok(())
    }
}

/// A line of a neighbour table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbor<'a> {
    pub(super) at: Timestamp,
    pub(super) address: IpAddr,
    pub(super) mac: MacAddr,
    /// What the resolver calls it.
    pub(super) name: Option<&'a str>,
}

impl Neighbor<'_> {
    /// Tells it, unless it is of a group or of nobody: tables have such lines, too.
    pub(super) fn tell(self, evidence: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let at = out.past(Some(self.at))?;
        let address = self.address.to_canonical();
        if is_not_unicast(address) || self.mac.is_group() || self.mac == MacAddr([0; 6]) {
            return Ok(());
        }
        out.record();
        let (subject, evidence) = (Subject::Address(address), evidence.as_bytes());
        out.tell(at, subject, Fact::LinkAddress(self.mac), evidence);
        if let Some(name) = self.name.and_then(host_name) {
            let fact = Fact::HostName { name, source: NameSource::Dns };
            out.tell(at, subject, fact, evidence);
        }
        Ok(())
    }
}

/// Whether the address belongs to one interface.
pub(super) fn is_of_an_interface(mac: MacAddr) -> bool {
    !mac.is_group() && !mac.is_virtual_router() && mac != MacAddr([0; 6])
}

/// The name as facts want it. What a client calls itself is no host name by RFC 1123 as often
/// as not (blanks, brackets, a NUL at its end), and says who it is all the same; an address or
/// a mark for "none" does not.
pub(super) fn host_name(raw: &str) -> Option<String> {
    let name = lines::text(raw.as_bytes()).to_lowercase();
    let name = name.trim_matches(['.', ' ', '"']);
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME;
    let says = !matches!(name, "*" | "?" | "-") && name.parse::<IpAddr>().is_err();
    (fits && says).then(|| name.to_owned())
}

/// The bytes of `01:02:ab`, `0102ab` or `0102.ab`. `None` where it is something else.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let separated = text.contains([':', '-']);
    let groups = text.split([':', '-', '.', ' ']).filter(|group| !group.is_empty());
    let digits: String = match separated {
        true => groups.map(|group| format!("{group:0>2}")).collect(),
        false => groups.collect(),
    };
    if digits.is_empty()
        || !digits.len().is_multiple_of(2)
        || digits.len() > LONGEST_ID.saturating_mul(2)
    {
        return None;
    }
    let digits = digits.as_bytes();
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The link-layer address that these bytes are, or that they are after the number of Ethernet
/// (RFC 2132, section 9.14).
pub(super) fn mac_of_bytes(bytes: &[u8]) -> Option<MacAddr> {
    let bytes = match bytes {
        [1, rest @ ..] if rest.len() == 6 => rest,
        bytes => bytes,
    };
    bytes.try_into().ok().map(MacAddr)
}

/// The words of a line.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_as_they_are_written() {
        assert_eq!(host_name("PC-7\0").as_deref(), Some("pc-7"));
        assert_eq!(host_name("Sato's iPhone.").as_deref(), Some("sato's iphone"));
        assert_eq!([host_name("*"), host_name("192.0.2.1"), host_name(" ")], [None, None, None]);
        assert_eq!(hex("01:0:ab"), Some(vec![1, 0, 0xab]));
        assert_eq!(hex("0100.1122.3344.55").map(|b| b.len()), Some(7));
        assert_eq!([hex("abc"), hex("zz"), hex("")], [None, None, None]);
        let mac = Some(MacAddr([0, 17, 34, 51, 68, 85]));
        assert_eq!(mac_of_bytes(&[1, 0, 17, 34, 51, 68, 85]), mac);
        assert_eq!(mac_of_bytes(&[0, 17, 34, 51, 68, 85]), mac);
        assert_eq!(mac_of_bytes(&[0; 7]), None);
    }
}
