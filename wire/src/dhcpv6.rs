//! Dynamic Host Configuration Protocol for IPv6, RFC 8415: what clients and servers tell each
//! other. Everything in front of a break is kept.

use std::net::Ipv6Addr;

use model::MacAddr;

use crate::{Malformed, Reader};

/// The port of clients.
pub const CLIENT_PORT: u16 = 546;
/// The port of servers and relays.
pub const SERVER_PORT: u16 = 547;

/// A message between a client and a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// What it is for (section 7.3).
    pub kind: Kind,
    /// The client's number for itself (section 11).
    pub client: Option<Duid>,
    /// The server's.
    pub server: Option<Duid>,
    /// The options that the client asks for, in its own order.
    pub wishes: Vec<u16>,
    /// The client's name in dotted form (RFC 4704).
    pub name: Option<Vec<u8>>,
    /// What kind of client it is: the number of its maker (IANA, Private Enterprise Numbers),
    /// and the first of its words.
    pub vendor_class: Option<(u32, Vec<u8>)>,
    /// The addresses that are asked for or given, at most 16.
    pub addresses: Vec<Ipv6Addr>,
    /// What is wrong with the options, where they could not be read to their end.
    pub broken: Option<Malformed>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// From a client: solicit, request, confirm, renew, rebind, release, decline,
    /// information-request.
    FromClient(u8),
    /// From a server: advertise, reply, reconfigure.
    FromServer(u8),
    /// From a relay to a server, or back, with such a message in it.
    Relayed(u8),
    /// Any other number.
    Other(u8),
}

impl Kind {
    /// The number of a reply, which gives what was asked for.
    pub const REPLY: Self = Self::FromServer(7);
}

impl From<u8> for Kind {
    fn from(number: u8) -> Self {
        match number {
            1 | 3..=6 | 8 | 9 | 11 => Self::FromClient(number),
            2 | 7 | 10 => Self::FromServer(number),
            12 | 13 => Self::Relayed(number),
            other => Self::Other(other),
        }
    }
}

/// A number that a client or a server has for itself (section 11), 3 to 130 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duid(pub Vec<u8>);

impl Duid {
    /// The link-layer address of one of its interfaces, where the number is made of one.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        const ETHERNET: u16 = 1;
        let mut r = Reader::new(&self.0);
        let kind = r.u16("DUID type").ok()?;
        let hardware = r.u16("hardware type").ok()?;
        if kind == 1 {
            r.u32("time").ok()?;
        }
        let mac = MacAddr(r.array("link-layer address").ok()?);
        (matches!(kind, 1 | 3) && hardware == ETHERNET && r.is_at_end()).then_some(mac)
    }
}

impl Message {
    /// Reads a datagram. What is inside of a relay's is not read: it is of another link.
    ///
    /// # Errors
    ///
    /// The head of four bytes is not there. What is wrong with the options is in
    /// [`Message::broken`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = Kind::from(r.u8("msg-type")?);
        r.u24("transaction-id")?;
        let mut message = Self {
            kind,
            client: None,
            server: None,
            wishes: Vec::new(),
            name: None,
            vendor_class: None,
            addresses: Vec::new(),
            broken: None,
        };
        if matches!(kind, Kind::FromClient(_) | Kind::FromServer(_)) {
            message.broken = message.read_options(&mut r).err();
        }
        Ok(message)
    }

    fn read_options(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let code = r.u16("option-code")?;
            let len = r.u16("option-len")?;
            let mut value = r.nested("option-data", len.into())?;
            match code {
                1 => self.client = duid(value.rest()),
                2 => self.server = duid(value.rest()),
                3 => {
                    value.take("IAID, T1, T2", 12)?;
                    self.read_addresses(&mut value)?;
                }
                4 => {
                    value.u32("IAID")?;
                    self.read_addresses(&mut value)?;
                }
                6 => {
                    self.wishes.clear();
                    while !value.is_at_end() {
                        self.wishes.push(value.u16("requested-option-code")?);
                    }
                }
                16 => {
                    let maker = value.u32("enterprise-number")?;
                    let words = match value.u16("vendor-class-len") {
                        Ok(len) => value.take_up_to(len.into()).to_vec(),
                        Err(_) => Vec::new(),
                    };
                    self.vendor_class = Some((maker, words));
                }
                39 => {
                    value.u8("flags")?;
                    self.name = name(&mut value);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The addresses among the options of an identity association (section 21.6).
    fn read_addresses(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        const MOST: usize = 16;
        while !r.is_at_end() {
            let code = r.u16("option-code")?;
            let len = r.u16("option-len")?;
            let mut value = r.nested("option-data", len.into())?;
            if code == 5 && self.addresses.len() < MOST {
                self.addresses.push(Ipv6Addr::from(value.array::<16>("IPv6-address")?));
            }
        }
        Ok(())
    }
}

fn duid(bytes: &[u8]) -> Option<Duid> {
    (3..=130).contains(&bytes.len()).then(|| Duid(bytes.to_vec()))
}

/// Labels with dots between them. A partial name has no root label at its end.
fn name(r: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    while let Ok(len) = r.u8("label length") {
        match (len, r.take("label", len.into())) {
            (1..=63, Ok(label)) => labels.push(label),
            _ => break,
        }
    }
    (!labels.is_empty()).then(|| labels.join(&b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        [&code.to_be_bytes()[..], &len.to_be_bytes(), value].concat()
    }

    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

    fn request() -> Vec<u8> {
        let address = [&ADDRESS.octets()[..], &[0; 8]].concat();
        let association = [&[0; 12][..], &option(5, &address)].concat();
        [
            vec![3, 1, 2, 3],
            option(1, &[0, 1, 0, 1, 9, 9, 9, 9, 0, 0, 0x5e, 0, 0x53, 1]),
            option(2, &[0, 3, 0, 1, 0, 0, 0x5e, 0, 0x53, 2]),
            option(3, &association),
            option(6, &[0, 23, 0, 24]),
            option(16, b"\0\0\x01\x37\0\x08MSFT 5.0"),
            option(39, b"\0\x03pc7\x07example\0"),
        ]
        .concat()
    }

    #[test]
    fn a_request_says_who_the_client_is() {
        let read = Message::parse(&request()).unwrap();
        assert_eq!(read.kind, Kind::FromClient(3));
        assert_eq!(read.client.unwrap().mac(), Some(MacAddr([0, 0, 0x5e, 0, 0x53, 1])));
        assert_eq!(read.server.unwrap().mac(), Some(MacAddr([0, 0, 0x5e, 0, 0x53, 2])));
        assert_eq!((read.wishes, read.addresses), (vec![23, 24], vec![ADDRESS]));
        assert_eq!(read.vendor_class, Some((311, b"MSFT 5.0".to_vec())));
        assert_eq!((read.name, read.broken), (Some(b"pc7.example".to_vec()), None));
    }

    #[test]
    fn every_cut_is_an_error_or_keeps_what_came_before() {
        let bytes = request();
        let whole = Message::parse(&bytes).unwrap();
        for len in 0..bytes.len() {
            match Message::parse(&bytes[..len]) {
                Err(error) => assert!(len < 4 && error.problem == Problem::Truncated),
                Ok(cut) => {
                    assert!(len >= 4 && cut.name.is_none(), "cut at {len}");
                    assert!(cut.client.is_none() || cut.client == whole.client);
                    assert!(whole.addresses.starts_with(&cut.addresses));
                }
            }
        }
    }

    #[test]
    fn not_every_number_is_made_of_an_address() {
        let check = |bytes: &[u8], is_made: bool| {
            assert_eq!(Duid(bytes.to_vec()).mac().is_some(), is_made, "{bytes:?}");
        };
        check(&[0, 3, 0, 1, 0, 0, 0x5e, 0, 0x53, 1], true);
        check(&[0, 3, 0, 6, 0, 0, 0x5e, 0, 0x53, 1], false);
        check(&[0, 2, 0, 1, 0, 0, 0x5e, 0, 0x53, 1], false);
        check(&[0, 3, 0, 1, 0, 0, 0x5e], false);
        // What a relay carries is not of this link.
        let relayed = [&[12, 0, 0, 0][..], &request()[4..]].concat();
        let read = Message::parse(&relayed).unwrap();
        assert_eq!((read.kind, read.client), (Kind::Relayed(12), None));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(read) = Message::parse(&bytes) {
                let _ = read.client.map(|duid| duid.mac());
            }
            let _ = Message::parse(&[&[1, 0, 0, 0], &bytes[..]].concat());
            let _ = Message::parse(&[&[1, 0, 0, 0, 0, 3, 0, 60], &bytes[..]].concat());
        }
    }
}
