//! Dynamic Host Configuration Protocol for IPv4, RFC 2131 and RFC 2132: what clients and
//! servers tell each other.
//!
//! Read by hand, not by dhcproto: that gives up the whole message for one option that is
//! no UTF-8, loses the option in front of a cut repetition, and its borrowed form panics
//! on a hardware address length above 212. Here everything in front of the break is kept.

use std::{collections::BTreeMap, net::Ipv4Addr};

use model::MacAddr;

use crate::{Malformed, Reader};

/// The port of servers and relays.
pub const SERVER_PORT: u16 = 67;
/// The port of clients.
pub const CLIENT_PORT: u16 = 68;

/// What begins the options (RFC 2131, section 3).
const MAGIC: u32 = 0x6382_5363;

/// Option numbers, RFC 2132 and IANA's "BOOTP Vendor Extensions and DHCP Options".
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const PARAMETERS: u8 = 55;
    pub(super) const VENDOR_CLASS: u8 = 60;
    pub(super) const CLIENT_ID: u8 = 61;
    pub(super) const CLIENT_FQDN: u8 = 81;
    pub(super) const END: u8 = 255;
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Whether a client (BOOTREQUEST) sent it; a server (BOOTREPLY) otherwise.
    pub from_client: bool,
    /// The client's hardware address, where it is an Ethernet one.
    pub hardware: Option<MacAddr>,
    /// `ciaddr`: the address that the client has and answers at; unspecified otherwise.
    pub client: Ipv4Addr,
    /// `yiaddr`: the address that the server gives; unspecified otherwise.
    pub yours: Ipv4Addr,
    /// `giaddr`: the relay that passed it on; unspecified where there was none.
    pub relay: Ipv4Addr,
    /// What the message is for; `None` in BOOTP, which has no such option.
    pub kind: Option<Kind>,
    /// What is wrong with the options, where they could not be read to their end.
    pub broken: Option<Malformed>,
    options: BTreeMap<u8, Vec<u8>>,
}

/// What a message is for (RFC 2132, section 9.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A client looks for servers.
    Discover,
    /// A server offers an address.
    Offer,
    /// A client asks for an address, or for more time with the one it has.
    Request,
    /// A client found the address in use.
    Decline,
    /// A server gives the address.
    Acknowledge,
    /// A server refuses.
    Refuse,
    /// A client gives its address back.
    Release,
    /// A client with an address of its own asks for settings.
    Inform,
    /// Any other number.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Acknowledge,
            6 => Self::Refuse,
            7 => Self::Release,
            8 => Self::Inform,
            other => Self::Other(other),
        }
    }
}

impl Message {
    /// Reads a datagram.
    ///
    /// An option that comes several times is one value in pieces (RFC 3396), and options may
    /// go on in the `file` and `sname` fields (RFC 2132, section 9.3).
    ///
    /// # Errors
    ///
    /// The fixed part of 236 bytes is not there, or `op` is neither 1 nor 2. What is wrong
    /// with the options is in [`Message::broken`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let from_client = match r.u8("op")? {
            1 => true,
            2 => false,
            other => return Err(r.invalid("op", other)),
        };
        let hardware_type = r.u8("htype")?;
        let hardware_len = r.u8("hlen")?;
        r.take("hops, xid, secs, flags", 9)?;
        let client = Ipv4Addr::from(r.array::<4>("ciaddr")?);
        let yours = Ipv4Addr::from(r.array::<4>("yiaddr")?);
        r.take("siaddr", 4)?;
        let relay = Ipv4Addr::from(r.array::<4>("giaddr")?);
        let [a, b, c, d, e, f, ..] = r.array::<16>("chaddr")?;
        let server_name = r.take("sname", 64)?;
        let file = r.take("file", 128)?;
        let ethernet = (hardware_type, hardware_len) == (1, 6);
        let mut message = Self {
            from_client,
            hardware: ethernet.then_some(MacAddr([a, b, c, d, e, f])),
            client,
            yours,
            relay,
            kind: None,
            broken: None,
            options: BTreeMap::new(),
        };
        // Without the magic number it is plain BOOTP.
        if matches!(r.u32("magic cookie"), Ok(MAGIC)) {
            message.read_options(r, file, server_name);
        }
        Ok(message)
    }

    fn read_options(&mut self, r: Reader<'_>, file: &[u8], server_name: &[u8]) {
        let mut result = self.read_field(r);
        let overload = self.first(option::OVERLOAD).unwrap_or_default();
        if overload & 1 != 0 {
            result = result.and(self.read_field(Reader::new(file)));
        }
        if overload & 2 != 0 {
            result = result.and(self.read_field(Reader::new(server_name)));
        }
        self.broken = result.err();
        self.kind = self.first(option::MESSAGE_TYPE).map(Kind::from);
    }

    /// Reads options up to their end mark, or to the end of the field: not every sender
    /// writes the mark.
    fn read_field(&mut self, mut r: Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            match r.u8("option code")? {
                option::PAD => {}
                option::END => break,
                code => {
                    let len = r.u8("option length")?;
                    let value = r.take("option", len.into())?;
                    self.options.entry(code).or_default().extend_from_slice(value);
                }
            }
        }
        Ok(())
    }

    fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(&code).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    fn first(&self, code: u8) -> Option<u8> {
        self.option(code)?.first().copied()
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.option(code)?.first_chunk::<4>().copied().map(Ipv4Addr::from)
    }

    /// The client's name for itself (option 12), up to the first NUL: RFC 2132, section 2,
    /// allows one at the end, and some firmware sends what its memory held behind it.
    #[must_use]
    pub fn host_name(&self) -> Option<&[u8]> {
        self.option(option::HOST_NAME).and_then(until_nul)
    }

    /// The client's full name (option 81, RFC 4702) in dotted form, whichever of the two
    /// encodings it came in.
    #[must_use]
    pub fn full_name(&self) -> Option<Vec<u8>> {
        /// The flag for the encoding of RFC 1035; the older one is plain text.
        const ENCODED: u8 = 4;
        let [flags, _, _, name @ ..] = self.option(option::CLIENT_FQDN)? else { return None };
        if flags & ENCODED == 0 {
            return until_nul(name).map(<[u8]>::to_vec);
        }
        let mut r = Reader::new(name);
        let mut labels = Vec::new();
        // A partial name has no root label at its end (section 2.3.1).
        while let Ok(len) = r.u8("label length") {
            match (len, r.take("label", len.into())) {
                (1..=63, Ok(label)) => labels.push(label),
                _ => break,
            }
        }
        (!labels.is_empty()).then(|| labels.join(&b'.'))
    }

    /// What kind of client it is, in its maker's words (option 60), up to the first NUL.
    #[must_use]
    pub fn vendor_class(&self) -> Option<&[u8]> {
        self.option(option::VENDOR_CLASS).and_then(until_nul)
    }

    /// The client's number for itself (option 61), its type first.
    #[must_use]
    pub fn client_id(&self) -> Option<&[u8]> {
        // RFC 2132, section 9.14: at least two bytes.
        self.option(option::CLIENT_ID).filter(|id| id.len() >= 2)
    }

    /// The settings that the client asks for (option 55), in its own order, which is the
    /// same for all clients of one make.
    #[must_use]
    pub fn parameters(&self) -> &[u8] {
        self.option(option::PARAMETERS).unwrap_or_default()
    }

    /// The address that the client wishes for (option 50).
    #[must_use]
    pub fn requested(&self) -> Option<Ipv4Addr> {
        self.address(option::REQUESTED_ADDRESS)
    }

    /// The server's address (option 54).
    #[must_use]
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.address(option::SERVER)
    }
}

fn until_nul(text: &[u8]) -> Option<&[u8]> {
    text.split(|&byte| byte == 0).next().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    /// A message of a client without an address, with these fields and options.
    fn message(server_name: &[u8], file: &[u8], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
        bytes.resize(28, 0);
        bytes.extend(MAC);
        bytes.resize(44, 0);
        bytes.extend(server_name);
        bytes.resize(108, 0);
        bytes.extend(file);
        bytes.resize(236, 0);
        bytes.extend([0x63, 0x82, 0x53, 0x63]);
        bytes.extend(options);
        bytes
    }

    const REQUEST: &[u8] = b"\x35\x01\x03\x0c\x03pc7\x3c\x08MSFT 5.0\
        \x3d\x07\x01\x02\0\0\0\0\x09\x37\x03\x01\x03\x06\x32\x04\xc0\0\x02\x07\
        \x36\x04\xc0\0\x02\x01\xff";

    #[test]
    fn a_request_says_who_the_client_is() {
        let read = Message::parse(&message(b"", b"", REQUEST)).unwrap();
        assert!(read.from_client);
        assert_eq!((read.hardware, read.kind), (Some(MacAddr(MAC)), Some(Kind::Request)));
        assert_eq!(read.host_name(), Some(&b"pc7"[..]));
        assert_eq!(read.vendor_class(), Some(&b"MSFT 5.0"[..]));
        assert_eq!(read.client_id(), Some(&[1, 2, 0, 0, 0, 0, 9][..]));
        assert_eq!(read.parameters(), [1, 3, 6]);
        assert_eq!(read.requested(), Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(read.server(), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(read.broken, None);
    }

    #[test]
    fn every_cut_is_an_error_or_keeps_what_came_before() {
        let bytes = message(b"", b"", REQUEST);
        let whole = Message::parse(&bytes).unwrap();
        for len in 0..bytes.len() {
            match Message::parse(&bytes[..len]) {
                Err(error) => {
                    assert!(len < 236, "cut at {len}");
                    assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
                }
                Ok(cut) => {
                    assert!(len >= 236, "cut at {len}");
                    let kept = |(code, value)| whole.options.get(code) == Some(value);
                    assert!(cut.options.iter().all(kept), "cut at {len}");
                }
            }
        }
    }

    #[track_caller]
    fn check_name(bytes: &[u8], expected: Option<&[u8]>) {
        assert_eq!(Message::parse(bytes).unwrap().host_name(), expected);
    }

    #[test]
    fn options_go_on_in_the_other_fields() {
        check_name(&message(b"", b"\x0c\x02ab\xff", b"\x34\x01\x01\xff"), Some(b"ab"));
        check_name(&message(b"\x0c\x02cd\xff", b"", b"\x34\x01\x02\xff"), Some(b"cd"));
        let both = message(b"\x0c\x02cd\xff", b"\x0c\x02ab\xff", b"\x34\x01\x03\xff");
        check_name(&both, Some(b"abcd"));
        // Where nothing says so, the fields are names of a server and of a file.
        check_name(&message(b"\x0c\x02cd\xff", b"\x0c\x02ab\xff", b"\xff"), None);
        // An overload in an overloaded field is not followed again.
        check_name(&message(b"", b"\x34\x01\x03\xff", b"\x34\x01\x01\xff"), None);
    }

    #[test]
    fn a_value_in_pieces_is_one_and_a_nul_ends_it() {
        check_name(&message(b"", b"", b"\x0c\x02ab\0\x35\x01\x01\x0c\x01c\xff"), Some(b"abc"));
        check_name(&message(b"", b"", b"\x0c\x06pc\x007x\0\xff"), Some(b"pc"));
        check_name(&message(b"", b"", b"\x0c\x02\0a\xff"), None);
        check_name(&message(b"", b"", b"\x0c\0\xff"), None);
    }

    #[track_caller]
    fn check_full_name(option: &[u8], expected: Option<&[u8]>) {
        let mut options = vec![81, u8::try_from(option.len()).unwrap()];
        options.extend_from_slice(option);
        let read = Message::parse(&message(b"", b"", &options)).unwrap();
        assert_eq!(read.full_name().as_deref(), expected);
    }

    #[test]
    fn full_names_come_in_two_encodings() {
        check_full_name(b"\x04\0\0\x03pc7\x07example\0", Some(b"pc7.example"));
        check_full_name(b"\x04\0\0\x03pc7", Some(b"pc7"));
        check_full_name(b"\0\0\0pc7.example", Some(b"pc7.example"));
        check_full_name(b"\x04\0\0\xc0\x0c", None);
        check_full_name(b"\x04\0", None);
    }

    #[test]
    fn a_break_in_the_options_is_named_and_hides_nothing() {
        let read = Message::parse(&message(b"", b"", b"\x0c\x02ab\x3c\xf0x")).unwrap();
        assert_eq!(read.host_name(), Some(&b"ab"[..]));
        assert_eq!(read.broken.unwrap().field, "option");
        let mut other = message(b"", b"", REQUEST);
        other[2] = 255;
        assert_eq!(Message::parse(&other).unwrap().hardware, None);
        other[0] = 3;
        assert_eq!(Message::parse(&other).unwrap_err().field, "op");
    }

    proptest! {
        #[test]
        fn nothing_panics(
            fields in proptest::collection::vec(any::<u8>(), 192),
            options in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = message(&fields[..64], &fields[64..], &[52, 1, 3]);
            bytes.extend(options);
            let read = Message::parse(&bytes).unwrap();
            let _ = (read.host_name(), read.full_name(), read.client_id(), read.parameters());
        }
    }
}
