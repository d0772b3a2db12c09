use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A 48-bit link-layer address (IEEE 802 MAC address, EUI-48).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones: every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// True if software chose the address, so that it may change at any time.
    ///
    /// Phones and laptops randomise their address per network (the U/L bit of
    /// IEEE 802-2014, 8.2.2). Such an address says which interface is talking
    /// now, not which device it belongs to.
    #[must_use]
    pub fn is_locally_administered(self) -> bool {
        self.0[0] & 0b10 != 0
    }

    /// True for a group address (multicast or broadcast), which no interface owns.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 0b01 != 0
    }

    /// True for the address of a virtual router, which moves between devices:
    /// VRRP (RFC 9568, section 7.3), HSRP version 1 and 2 (RFC 2281, section 5.1;
    /// Cisco's published range), so it identifies a role and never an asset.
    #[must_use]
    pub fn is_virtual_router(self) -> bool {
        matches!(
            self.0,
            [0x00, 0x00, 0x5e, 0x00, 0x01 | 0x02, _]
                | [0x00, 0x00, 0x0c, 0x07, 0xac, _]
                | [0x00, 0x00, 0x0c, 0x9f, 0xf0..=0xff, _]
                | [0x00, 0x05, 0x73, 0xa0, 0x00..=0x0f, _]
        )
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

/// The text is not a MAC address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseMacError(String);

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a MAC address (expected twelve hexadecimal digits)", self.0)
    }
}

impl std::error::Error for ParseMacError {}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Reads every spelling that people use: `00:11:22:33:44:55`,
    /// `00-11-22-33-44-55`, `0011.2233.4455`, `001122334455`, `0:1:2:3:4:5`, upper or
    /// lower case, and the full-width digits and separators of Japanese documents.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseMacError(text.to_owned());
        let plain: String = text.trim().chars().map(half_width).collect();
        let groups: Vec<&str> = plain.split([':', '-', '.', ' ']).collect();
        let digits: String = match groups.len() {
            // Some systems leave out leading zeros, and then all of them. A single digit beside
            // a group with its zero is no such spelling but a digit that was lost.
            6 => {
                let leaves_out = groups.iter().any(|group| group.len() == 1);
                let keeps = groups.iter().any(|group| group.len() == 2 && group.starts_with('0'));
                if leaves_out && keeps {
                    return Err(error());
                }
                groups.iter().map(|group| format!("{group:0>2}")).collect()
            }
            1..=3 => groups.concat(),
            _ => return Err(error()),
        };
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        let number = u64::from_str_radix(&digits, 16).map_err(|_| error())?;
        let [_, _, octets @ ..] = number.to_be_bytes();
        Ok(Self(octets))
    }
}

impl TryFrom<String> for MacAddr {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The ASCII form of a full-width character (Unicode block FF01–FF5E), else the
/// character itself. Japanese input methods produce these for plain digits.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' => '-',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<[u8; 6]>) {
        assert_eq!(text.parse().ok(), expected.map(MacAddr), "{text:?}");
    }

    #[test]
    fn every_spelling_is_one_address() {
        let it = Some([0x00, 0x11, 0x22, 0x33, 0x44, 0xaa]);
        for text in [
            "00:11:22:33:44:aa",
            "00-11-22-33-44-AA",
            "0011.2233.44aa",
            "00112233-44AA",
            "0011223344AA",
            " 0:11:22:33:44:aa ",
            "00:11:22:33:44:AA",
            "00ー11ー22ー33ー44ーaa",
        ] {
            check(text, it);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check("00:11:22:33:44:a", None);
        for text in ["", "00:11:22:33:44", "00:11:22:33:44:5g", "001:1:2:3:4:5", "+11223344556"] {
            check(text, None);
        }
    }

    #[test]
    fn virtual_routers_are_known() {
        assert!("00:00:5e:00:01:07".parse::<MacAddr>().unwrap().is_virtual_router());
        assert!("00:00:0c:07:ac:01".parse::<MacAddr>().unwrap().is_virtual_router());
        assert!(!"00:00:5e:00:53:01".parse::<MacAddr>().unwrap().is_virtual_router());
    }
}
