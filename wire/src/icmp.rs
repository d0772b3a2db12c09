//! ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, timestamp, and the errors that quote our packets.
//!
//! An error names nobody but its sender; whom it is about stands in the packet that it
//! quotes, which [`Quote`] reads as far as it is there.

use std::net::IpAddr;

use crate::{Malformed, Reader, ip, ip::Packet, tcp, udp};

/// The types of RFC 792's timestamp messages.
const TIMESTAMP: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;

/// A message of either version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// Somebody asks whether we are there.
    EchoRequest(Echo<'a>),
    /// An answer to that.
    EchoReply(Echo<'a>),
    /// Somebody asks what time it is here. ICMP only.
    TimestampRequest(Times),
    /// An answer to that.
    TimestampReply(Times),
    /// A packet could not be delivered.
    Error {
        /// Why not.
        refusal: Refusal,
        /// The packet, from its IP header on, as far as it is quoted.
        quoted: &'a [u8],
    },
    /// Anything else, by its type.
    Other(u8),
}

/// What identifies an echo, and what it carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo<'a> {
    /// Which series of echoes.
    pub identifier: u16,
    /// Which one of the series.
    pub sequence: u16,
    /// The data, to be returned as it is.
    pub data: &'a [u8],
}

/// What identifies a timestamp message, and the times in it: milliseconds since midnight
/// UT, or with the highest bit set any other number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// Which series of questions.
    pub identifier: u16,
    /// Which one of the series.
    pub sequence: u16,
    /// When the asker sent the question: returned as it is.
    pub originate: u32,
    /// When the answerer received it.
    pub receive: u32,
    /// When the answerer sent its answer.
    pub transmit: u32,
}

impl Times {
    /// What follows the checksum.
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            identifier: r.u16("identifier")?,
            sequence: r.u16("sequence number")?,
            originate: r.u32("originate timestamp")?,
            receive: r.u32("receive timestamp")?,
            transmit: r.u32("transmit timestamp")?,
        })
    }
}

/// Why a packet was not delivered, as far as it matters for what is said of a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// There is no way to the address, or nobody there.
    NoWay,
    /// The port is not open (from the target), or a filter pretends so.
    Port,
    /// A filter says that it does not let this through, or the target does not know the
    /// transport protocol.
    Filter,
    /// Another error, which says nothing about the target.
    Other,
}

impl Refusal {
    /// The meaning of an ICMP error (RFC 792; RFC 1122, section 3.2.2.1; RFC 1812,
    /// section 5.2.7.1), or `None` where the type is not an error.
    #[must_use]
    pub const fn of_icmp(kind: u8, code: u8) -> Option<Self> {
        Some(match (kind, code) {
            // Net, host, source route, net and host unknown, host isolated, and both for
            // this type of service.
            (3, 0 | 1 | 5 | 6 | 7 | 8 | 11 | 12) => Self::NoWay,
            (3, 3) => Self::Port,
            // Protocol, net, host and communication prohibited, and the two of precedence.
            (3, 2 | 9 | 10 | 13 | 14 | 15) => Self::Filter,
            // In transit: a routing loop, or farther away than any packet gets.
            (11, 0) => Self::NoWay,
            (3 | 4 | 5 | 11 | 12, _) => Self::Other,
            _ => return None,
        })
    }

    /// The meaning of an ICMPv6 error (RFC 4443, section 3), or `None` where the type is
    /// not an error.
    #[must_use]
    pub const fn of_icmpv6(kind: u8, code: u8) -> Option<Self> {
        Some(match (kind, code) {
            // No route, beyond the scope of the source address, address.
            (1, 0 | 2 | 3) => Self::NoWay,
            (1, 4) => Self::Port,
            // Prohibited, source address policy, reject route (both are kinds of the first).
            (1, 1 | 5 | 6) => Self::Filter,
            (3, 0) => Self::NoWay,
            (0..=127, _) => Self::Other,
            _ => return None,
        })
    }
}

impl<'a> Message<'a> {
    /// Reads an ICMP message.
    ///
    /// # Errors
    ///
    /// The eight bytes that every kind begins with are not there, or the three times of a
    /// timestamp message.
    pub fn parse_icmp(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match bytes.first() {
            Some(&TIMESTAMP) => {
                r.take("type, code and checksum", 4)?;
                Times::read(&mut r).map(Self::TimestampRequest)
            }
            Some(&TIMESTAMP_REPLY) => {
                r.take("type, code and checksum", 4)?;
                Times::read(&mut r).map(Self::TimestampReply)
            }
            _ => Self::parse(bytes, 8, 0, Refusal::of_icmp),
        }
    }

    /// Reads an ICMPv6 message. Neighbour discovery is [`Message::Other`]: see
    /// [`crate::ndp`].
    ///
    /// # Errors
    ///
    /// The eight bytes that every kind begins with are not there.
    pub fn parse_icmpv6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse(bytes, 128, 129, Refusal::of_icmpv6)
    }

    fn parse(
        bytes: &'a [u8],
        request: u8,
        reply: u8,
        refusal: fn(u8, u8) -> Option<Refusal>,
    ) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("type")?;
        let code = r.u8("code")?;
        r.u16("checksum")?;
        let identifier = r.u16("rest of header")?;
        let sequence = r.u16("rest of header")?;
        let echo = Echo { identifier, sequence, data: r.rest() };
        Ok(match refusal(kind, code) {
            Some(refusal) => Self::Error { refusal, quoted: r.rest() },
            None if kind == request => Self::EchoRequest(echo),
            None if kind == reply => Self::EchoReply(echo),
            None => Self::Other(kind),
        })
    }
}

/// The packet that an error is about: one of ours, if the caller's cookie says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quote {
    /// Who had sent it.
    pub source: IpAddr,
    /// For whom it was.
    pub destination: IpAddr,
    /// What it was.
    pub what: Quoted,
}

/// What kind of packet was quoted. Eight bytes of transport header must be there, which
/// is what RFC 792 demands of the sender of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quoted {
    /// A TCP segment.
    Tcp(tcp::Start),
    /// A UDP datagram, by its source and its destination port.
    Udp(u16, u16),
    /// An echo request, by its identifier and its sequence number.
    Echo(u16, u16),
    /// A timestamp request, by the same.
    Timestamp(u16, u16),
}

impl Quote {
    /// Reads what an error quotes.
    ///
    /// # Errors
    ///
    /// It does not reach to the eighth byte of a TCP, UDP or ICMP header, is not the
    /// first part of a packet, or holds another protocol.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::parse(bytes)?;
        let mut r = Reader::new(packet.payload);
        if packet.fragment {
            return Err(r.invalid("quoted fragment offset", 1_u8));
        }
        let what = match packet.protocol {
            ip::TCP => Quoted::Tcp(tcp::Start::parse(packet.payload)?),
            ip::UDP => {
                let datagram = udp::Datagram::parse(packet.payload)?;
                Quoted::Udp(datagram.source_port, datagram.destination_port)
            }
            ip::ICMP | ip::ICMPV6 => {
                let kind = r.u8("quoted type")?;
                let refused = r.invalid("quoted type", kind);
                r.take("quoted code and checksum", 3)?;
                let identifier = r.u16("quoted identifier")?;
                let sequence = r.u16("quoted sequence number")?;
                match (packet.protocol, kind) {
                    (ip::ICMP, 8) | (ip::ICMPV6, 128) => Quoted::Echo(identifier, sequence),
                    (ip::ICMP, TIMESTAMP) => Quoted::Timestamp(identifier, sequence),
                    _ => return Err(refused),
                }
            }
            other => return Err(r.invalid("quoted protocol", other)),
        };
        Ok(Self { source: packet.source, destination: packet.destination, what })
    }
}

/// Builds an echo request for either version.
#[must_use]
pub fn echo_request(ends: ip::Ends, identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let kind = match ends {
        ip::Ends::V4(..) => 8,
        ip::Ends::V6(..) => 128,
    };
    let mut bytes = Vec::with_capacity(data.len().saturating_add(8));
    bytes.extend_from_slice(&[kind, 0, 0, 0]);
    bytes.extend_from_slice(&identifier.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(data);
    let sum = checksum(ends, &bytes);
    ip::put(&mut bytes, 2, sum);
    bytes
}

/// The payload of an IPv6 packet of protocol [`DESTINATION_OPTIONS`]: an ICMPv6 message behind
/// an option that nobody knows (RFC 4727: one for experiments), whose highest bits
/// say that whoever does not know it answers with an error, to a group too (RFC 8200,
/// section 4.2). The error quotes the message.
#[must_use]
pub fn behind_unknown_option(message: &[u8]) -> Vec<u8> {
    // Next header, one unit of eight bytes, the option and four bytes in it.
    let mut bytes = vec![ip::ICMPV6, 0, 0x9e, 4, 0, 0, 0, 0];
    bytes.extend_from_slice(message);
    bytes
}

/// The protocol number of destination options.
pub const DESTINATION_OPTIONS: u8 = 60;

/// The type and the code of the error that says that an option is not known (RFC 4443,
/// section 3.4).
pub const UNKNOWN_OPTION: [u8; 2] = [4, 2];

/// Builds a timestamp request, which ICMPv6 does not have.
#[must_use]
pub fn timestamp_request(identifier: u16, sequence: u16, originate: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend_from_slice(&[TIMESTAMP, 0, 0, 0]);
    bytes.extend_from_slice(&identifier.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&originate.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let sum = pnet::packet::util::checksum(&bytes, 1);
    ip::put(&mut bytes, 2, sum);
    bytes
}

/// ICMPv6 sums the addresses too (RFC 4443, section 2.3); ICMP does not.
pub(crate) fn checksum(ends: ip::Ends, message: &[u8]) -> u16 {
    match ends {
        ip::Ends::V4(..) => pnet::packet::util::checksum(message, 1),
        ip::Ends::V6(..) => ends.checksum(ip::ICMPV6, message, 1),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use etherparse::{Icmpv4Slice, Icmpv6Slice};

    use super::*;
    use crate::Problem;

    const V4: ip::Ends = ip::Ends::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 9));
    const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
    const V6: ip::Ends = ip::Ends::V6(A, B);

    fn error(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, code, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(quoted);
        bytes
    }

    #[test]
    fn an_echo_request_has_these_bytes() {
        // 0800+1234+5678+cafe = 0x13baa → 0x3bab, complement 0xc454.
        let bytes = echo_request(V4, 0x1234, 0x5678, &[0xca, 0xfe]);
        assert_eq!(bytes, [8, 0, 0xc4, 0x54, 0x12, 0x34, 0x56, 0x78, 0xca, 0xfe]);
        let theirs = Icmpv4Slice::from_slice(&bytes).unwrap();
        assert_eq!(theirs.header().icmp_type.calc_checksum(theirs.payload()), theirs.checksum());
        let bytes = echo_request(V6, 1, 2, b"data");
        let theirs = Icmpv6Slice::from_slice(&bytes).unwrap();
        assert!(theirs.is_checksum_valid(A.octets(), B.octets()));
    }

    #[test]
    fn both_versions_of_echo_are_read() {
        let request = echo_request(V4, 7, 9, b"data");
        let echo = Echo { identifier: 7, sequence: 9, data: b"data" };
        assert_eq!(Message::parse_icmp(&request), Ok(Message::EchoRequest(echo)));
        let mut reply = request.clone();
        reply[0] = 0;
        assert_eq!(Message::parse_icmp(&reply), Ok(Message::EchoReply(echo)));
        reply[0] = 129;
        assert_eq!(Message::parse_icmpv6(&reply), Ok(Message::EchoReply(echo)));
        assert_eq!(Message::parse_icmp(&reply), Ok(Message::Other(129)));
        // Type 0 is an echo reply in ICMP and an unknown error in ICMPv6.
        reply[0] = 0;
        let expected = Message::Error { refusal: Refusal::Other, quoted: b"data" };
        assert_eq!(Message::parse_icmpv6(&reply), Ok(expected));
    }

    #[test]
    fn a_timestamp_request_has_these_bytes() {
        // 0d00+1234+5678+8000+0007 = 0xf5b3, complement 0x0a4c.
        let bytes = timestamp_request(0x1234, 0x5678, 0x8000_0007);
        assert_eq!(bytes[..8], [13, 0, 0x0a, 0x4c, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(bytes[8..], [0x80, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        let theirs = Icmpv4Slice::from_slice(&bytes).unwrap();
        assert_eq!(theirs.header().icmp_type.calc_checksum(theirs.payload()), theirs.checksum());
    }

    #[test]
    fn timestamps_are_read_whole_or_not_at_all() {
        let mut bytes = timestamp_request(7, 9, 0x8000_0007);
        let mut clock =
            Times { identifier: 7, sequence: 9, originate: 0x8000_0007, receive: 0, transmit: 0 };
        assert_eq!(Message::parse_icmp(&bytes), Ok(Message::TimestampRequest(clock)));
        bytes[0] = 14;
        bytes[15] = 5;
        bytes[19] = 6;
        (clock.receive, clock.transmit) = (5, 6);
        assert_eq!(Message::parse_icmp(&bytes), Ok(Message::TimestampReply(clock)));
        for len in 0..bytes.len() {
            let error = Message::parse_icmp(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
        // ICMPv6 has no such message: 14 is an unknown error there.
        let expected = Message::Error { refusal: Refusal::Other, quoted: &bytes[8..] };
        assert_eq!(Message::parse_icmpv6(&bytes), Ok(expected));
    }

    #[test]
    fn refusals_are_told_apart() {
        for (kind, code, expected) in [
            (3, 0, Some(Refusal::NoWay)),
            (3, 1, Some(Refusal::NoWay)),
            (3, 2, Some(Refusal::Filter)),
            (3, 3, Some(Refusal::Port)),
            (3, 4, Some(Refusal::Other)),
            (3, 9, Some(Refusal::Filter)),
            (3, 10, Some(Refusal::Filter)),
            (3, 13, Some(Refusal::Filter)),
            (3, 200, Some(Refusal::Other)),
            (11, 0, Some(Refusal::NoWay)),
            (11, 1, Some(Refusal::Other)),
            (8, 0, None),
        ] {
            assert_eq!(Refusal::of_icmp(kind, code), expected, "type {kind}, code {code}");
        }
        for (kind, code, expected) in [
            (1, 0, Some(Refusal::NoWay)),
            (1, 1, Some(Refusal::Filter)),
            (1, 3, Some(Refusal::NoWay)),
            (1, 4, Some(Refusal::Port)),
            (1, 5, Some(Refusal::Filter)),
            (2, 0, Some(Refusal::Other)),
            (3, 0, Some(Refusal::NoWay)),
            (135, 0, None),
        ] {
            assert_eq!(Refusal::of_icmpv6(kind, code), expected, "type {kind}, code {code}");
        }
    }

    #[test]
    fn quotes_of_every_length_are_read_as_far_as_they_say_who() {
        for ends in [V4, V6] {
            let (kind, protocol, header) = match ends {
                ip::Ends::V4(..) => (3, ip::ICMP, 20),
                ip::Ends::V6(..) => (1, ip::ICMPV6, 40),
            };
            let start = tcp::Start { source_port: 61_000, destination_port: 22, sequence: 77 };
            for (inside, number, what) in [
                (tcp::syn(ends, 61_000, 22, 77), ip::TCP, Quoted::Tcp(start)),
                (udp::datagram(ends, 61_000, 53, b"question"), ip::UDP, Quoted::Udp(61_000, 53)),
                (echo_request(ends, 5, 6, b"cookies!"), protocol, Quoted::Echo(5, 6)),
                (timestamp_request(5, 6, 7), ip::ICMP, Quoted::Timestamp(5, 6)),
            ] {
                let packet = ip::packet(ends, number, 64, &inside);
                for len in 0..=packet.len() {
                    let bytes = error(kind, 1, &packet[..len]);
                    let message = match ends {
                        ip::Ends::V4(..) => Message::parse_icmp(&bytes),
                        ip::Ends::V6(..) => Message::parse_icmpv6(&bytes),
                    };
                    let Ok(Message::Error { quoted, .. }) = message else {
                        panic!("{message:?}");
                    };
                    match Quote::parse(quoted) {
                        Ok(quote) => {
                            assert!(len >= header + 8, "{what:?} cut at {len}");
                            assert_eq!(quote.what, what);
                            assert_eq!(ip::Ends::new(quote.source, quote.destination), Some(ends));
                        }
                        Err(error) => {
                            assert!(len < header + 8, "{what:?} cut at {len}: {error}");
                            assert_eq!(error.problem, Problem::Truncated);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_echo_behind_an_unknown_option_is_read_from_the_error() {
        let echo = echo_request(V6, 5, 6, b"cookies!");
        let asked = ip::packet(V6, DESTINATION_OPTIONS, 64, &behind_unknown_option(&echo));
        // Two highest bits "10", and a length that fills the unit.
        assert_eq!(asked[40..48], [58, 0, 0x9e, 4, 0, 0, 0, 0]);
        let [kind, code] = UNKNOWN_OPTION;
        for len in 0..=asked.len() {
            let bytes = error(kind, code, &asked[..len]);
            let Ok(Message::Error { refusal: Refusal::Other, quoted }) =
                Message::parse_icmpv6(&bytes)
            else {
                panic!("cut at {len}");
            };
            match Quote::parse(quoted) {
                Ok(quote) => {
                    assert!(len >= 56, "cut at {len}");
                    assert_eq!(quote.what, Quoted::Echo(5, 6));
                }
                Err(_) => assert!(len < 56, "cut at {len}"),
            }
        }
    }

    #[test]
    fn only_questions_are_quoted() {
        let reply = ip::packet(V4, ip::ICMP, 64, &[0, 0, 0, 0, 0, 5, 0, 6]);
        let error = Quote::parse(&reply).unwrap_err();
        assert_eq!(error.to_string(), "quoted type at byte 0: value 0 is not allowed here");
        let gre = ip::packet(V4, 47, 64, &[0; 8]);
        assert_eq!(Quote::parse(&gre).unwrap_err().field, "quoted protocol");
    }

    #[test]
    fn every_cut_of_a_message_is_an_error_until_its_header_is_there() {
        let bytes = echo_request(V4, 1, 2, b"data");
        for len in 0..bytes.len() {
            assert_eq!(Message::parse_icmp(&bytes[..len]).is_ok(), len >= 8, "cut at {len}");
            assert_eq!(Message::parse_icmpv6(&bytes[..len]).is_ok(), len >= 8, "cut at {len}");
        }
    }
}
