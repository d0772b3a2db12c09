//! Who made a network interface, by the prefix of its link-layer address.
//!
//! The prefixes are the IEEE's public registries (MA-L, MA-M, MA-S and the older IAB), as
//! compiled into the crate `oui-data`: a perfect hash in the binary's read-only pages, so a
//! look-up allocates nothing and nothing is built at start. The longest prefix wins.

use std::borrow::Cow;

use model::MacAddr;
use oui_data::Registry;

/// When the registries were taken from the IEEE (the release of the crate that holds them).
pub const DATA_DATE: &str = "2026-10-17";

/// The version of the crate that holds them; a test compares it with the lock file, so that
/// the date cannot be forgotten.
pub const DATA_VERSION: &str = "0.2.4";

/// The organisation to which the address block was assigned, as the IEEE writes it.
///
/// `None` for addresses that software chose (they have no maker), for groups, virtual
/// routers and all zeroes, for blocks that are not assigned and for those whose owner had
/// the name withheld.
#[must_use]
pub fn vendor(mac: MacAddr) -> Option<Cow<'static, str>> {
    if mac.is_locally_administered()
        || mac.is_group()
        || mac.is_virtual_router()
        || mac == MacAddr([0; 6])
    {
        return None;
    }
    let mut text = [0; 12];
    for (digits, octet) in text.chunks_exact_mut(2).zip(mac.0) {
        for (digit, nibble) in digits.iter_mut().zip([octet >> 4, octet & 15]) {
            *digit = b"0123456789ABCDEF"[usize::from(nibble)];
        }
    }
    let entry = oui_data::lookup(std::str::from_utf8(&text).ok()?)?;
    // A CID is for identifiers that are not addresses.
    if matches!(entry.registry(), Registry::Cid) {
        return None;
    }
    let name = entry.organization();
    match name {
        // A block that was divided, and this part of it is nobody's.
        "" | "Private" | "IEEE Registration Authority" => None,
        _ if name.contains(['\n', '\u{a0}']) => {
            // The crate writes a line break where the registry has two blanks.
            Some(Cow::Owned(name.split_whitespace().collect::<Vec<_>>().join(" ")))
        }
        _ => Some(Cow::Borrowed(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mac: &str, expected: Option<&str>) {
        assert_eq!(vendor(mac.parse().unwrap()).as_deref(), expected, "{mac}");
    }

    #[test]
    fn the_longest_prefix_wins() {
        check("00:00:00:00:00:01", Some("XEROX CORPORATION"));
        check("00:00:0c:12:34:56", Some("Cisco Systems, Inc"));
        // MA-M: 28 bits.
        check("b8:4c:87:40:00:00", Some("Blum Novotest GmbH"));
        // MA-S: 36 bits.
        check("8c:1f:64:af:a0:00", Some("DATA ELECTRONIC DEVICES, INC"));
        // IAB, below 40-D8-55.
        check("40:d8:55:0d:70:00", Some("Avant Technologies"));
    }

    #[test]
    fn what_software_chose_has_no_maker() {
        for mac in [
            "02:00:00:00:00:01",
            // A CID's prefix, which is local by construction.
            "ea:27:01:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:5e:00:01:07",
            "00:00:00:00:00:00",
        ] {
            check(mac, None);
        }
    }

    #[test]
    fn no_name_has_a_line_break() {
        for entry in oui_data::OUI_ENTRIES.values() {
            let digits = format!("{:0<12}", entry.oui());
            if let Some(name) = vendor(digits.parse().unwrap()) {
                assert!(!name.contains(char::is_control) && !name.is_empty(), "{digits}: {name:?}");
            }
        }
    }

    #[test]
    fn the_date_is_that_of_the_version_in_use() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        let (_, after) = lock.split_once("name = \"oui-data\"\nversion = \"").unwrap();
        let version = after.split('"').next().unwrap();
        assert_eq!(version, DATA_VERSION, "look up when it was released and correct DATA_DATE");
    }
}
