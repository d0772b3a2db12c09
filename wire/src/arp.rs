//! Address Resolution Protocol for IPv4 over Ethernet, RFC 826.

use std::net::Ipv4Addr;

use model::MacAddr;

use crate::{Malformed, Reader};

/// An ARP message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    /// What the sender wants.
    pub operation: Operation,
    /// The sender's link-layer address, as it says itself.
    pub sender_mac: MacAddr,
    /// The sender's network address; 0.0.0.0 in an address probe (RFC 5227, section 1.1).
    pub sender_ip: Ipv4Addr,
    /// Whose link-layer address is asked for (then meaningless), or who had asked.
    pub target_mac: MacAddr,
    /// The address asked about, or that of the asker.
    pub target_ip: Ipv4Addr,
}

/// What an ARP sender wants. The numbers are IANA's "ARP Parameters".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Who has this address?
    Request,
    /// I have.
    Reply,
    /// Any other number.
    Other(u16),
}

impl Operation {
    const fn number(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Other(number) => number,
        }
    }
}

impl Arp {
    /// The question who has `target`.
    #[must_use]
    pub const fn request(sender_mac: MacAddr, sender_ip: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_mac,
            sender_ip,
            target_mac: MacAddr([0; 6]),
            target_ip: target,
        }
    }

    /// Reads a message. What follows it is padding of the frame and is not looked at.
    ///
    /// # Errors
    ///
    /// It ends too soon, or it is not about IPv4 over Ethernet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        exactly(&mut r, "hardware type", 1)?;
        exactly(&mut r, "protocol type", 0x0800)?;
        exactly(&mut r, "address lengths", 0x0604)?;
        let operation = match r.u16("operation")? {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => Operation::Other(other),
        };
        Ok(Self {
            operation,
            sender_mac: MacAddr(r.array("sender hardware address")?),
            sender_ip: Ipv4Addr::from(r.array::<4>("sender protocol address")?),
            target_mac: MacAddr(r.array("target hardware address")?),
            target_ip: Ipv4Addr::from(r.array::<4>("target protocol address")?),
        })
    }

    /// The message as bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&[0, 1, 8, 0, 6, 4]);
        bytes.extend_from_slice(&self.operation.number().to_be_bytes());
        bytes.extend_from_slice(&self.sender_mac.0);
        bytes.extend_from_slice(&self.sender_ip.octets());
        bytes.extend_from_slice(&self.target_mac.0);
        bytes.extend_from_slice(&self.target_ip.octets());
        bytes
    }
}

fn exactly(r: &mut Reader<'_>, field: &'static str, wanted: u16) -> Result<(), Malformed> {
    match r.u16(field)? {
        got if got == wanted => Ok(()),
        got => Err(r.invalid(field, got)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    // By hand from RFC 826.
    const REQUEST: [u8; 28] = [
        0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
        2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // sender
        0, 0, 0, 0, 0, 0, 192, 0, 2, 9, // target
    ];

    #[track_caller]
    fn check(offset: usize, value: u8, expected: Result<Operation, &str>) {
        let mut bytes = REQUEST;
        bytes[offset] = value;
        let got = Arp::parse(&bytes).map(|arp| arp.operation).map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_request_is_built_and_read() {
        let arp = Arp::request(HERE, Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 9));
        assert_eq!(arp.build(), REQUEST);
        assert_eq!(Arp::parse(&REQUEST), Ok(arp));
        let theirs = etherparse::ArpPacketSlice::from_slice(&REQUEST).unwrap();
        assert_eq!(theirs.operation(), etherparse::ArpOperation::REQUEST);
        assert_eq!(theirs.target_protocol_addr(), [192, 0, 2, 9]);
    }

    #[test]
    fn unknown_operations_are_kept_and_foreign_links_named() {
        check(7, 2, Ok(Operation::Reply));
        check(7, 9, Ok(Operation::Other(9)));
        check(1, 6, Err("hardware type at byte 0: value 6 is not allowed here"));
        check(4, 8, Err("address lengths at byte 4: value 2052 is not allowed here"));
    }

    #[test]
    fn every_cut_is_an_error() {
        for len in 0..REQUEST.len() {
            let error = Arp::parse(&REQUEST[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }
}
