//! Cells to values: several in one cell, in the spellings of hand-kept lists.

use std::net::{IpAddr, Ipv4Addr};

use model::{AddressRange, MacAddr};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::{Day, ParseDayError, ScopeItem, heading::plain};
use crate::version::{ParseVersionRuleError, VersionRule};

/// What is wrong with a line, or looks wrong.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Reason {
    /// Not a MAC address.
    #[error("{0} is not a MAC address (expected twelve hexadecimal digits)")]
    NotMac(String),
    /// A MAC address that no interface has.
    #[error("{0} is a group address or a placeholder: no device has it")]
    NoDevicesMac(MacAddr),
    /// Not a network address.
    #[error(
        "{0} is not an address (expected 192.0.2.7, 2001:db8::7, 192.0.2.0/24 or \
         192.0.2.10-192.0.2.40)"
    )]
    NotAddress(String),
    /// An address that no device has.
    #[error("{0} is a multicast, broadcast or unspecified address: no device has it")]
    NoDevicesAddress(IpAddr),
    /// A range that runs backwards.
    #[error("the range {0} runs backwards")]
    Backwards(String),
    /// Not a name.
    #[error("{0} is not a name: it has more than 253 characters")]
    NameTooLong(String),
    /// Not a date.
    #[error("{0}")]
    NotDate(#[from] ParseDayError),
    /// Not a version rule.
    #[error("{0}")]
    NotVersionRule(#[from] ParseVersionRuleError),
    /// Not a state of an entry.
    #[error("{text} is not a state (expected {expected}, or the Japanese words for them)")]
    NotStatus {
        /// What is written.
        text: String,
        /// What could be.
        expected: &'static str,
    },
    /// Not a hash.
    #[error("{0} is not a SHA-256 hash (expected 64 hexadecimal digits)")]
    NotHash(String),
    /// A hash too short to be trusted.
    #[error("{0} is a SHA-1 or MD5 thumbprint; give the SHA-256 one, the others can be forged")]
    WeakHash(String),
    /// Valid until a day before it is valid from.
    #[error("it is valid until {until}, before it is valid from {from}")]
    NeverValid {
        /// The first day.
        from: Day,
        /// The last day.
        until: Day,
    },
    /// Nothing in the line names anything.
    #[error("nothing in this line names a {0}")]
    Nameless(&'static str),
    /// More cells than headings.
    #[error(
        "it has {cells} cells and the heading row {expected}; a cell that contains the separator \
         has to stand in quotation marks"
    )]
    TooManyCells {
        /// How many cells.
        cells: usize,
        /// How many headings.
        expected: usize,
    },
    /// Bytes that are no character.
    #[error("{0} contains bytes that are no character in the file's encoding")]
    Undecodable(String),
    /// More text than a cell holds.
    #[error("the cell holds more than {0} characters")]
    CellTooLong(usize),
    /// A quotation mark without its partner.
    #[error(
        "a quotation mark opens a cell here and is never closed{}",
        if *given_up { "; nothing behind this line was read" } else { "" }
    )]
    OpenQuote {
        /// True where this happened too often to go on.
        given_up: bool,
    },
    /// Two entries share what only one can have.
    #[error("{value} is already in line {first}")]
    Duplicate {
        /// What they share.
        value: String,
        /// The line of the first.
        first: u64,
    },
    /// Two lines say the same.
    #[error("it says the same as line {first}, and was read once")]
    SameLine {
        /// The line of the first.
        first: u64,
    },
    /// A device that the network can never show.
    #[error("it has no MAC, address, host name or serial number: nothing seen can ever match it")]
    Unmatchable,
    /// A range that approves a great many addresses.
    #[error("it covers {0}, every address of which counts as this entry")]
    WideRange(AddressRange),
}

/// How many addresses an entry may cover without a remark.
const WIDE: u128 = 1 << 16;

/// The part of a value that a message shows: one line, not endless.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN).and_then(|(at, _)| text.get(..at)) {
        Some(start) => format!("{start:?}…"),
        None => format!("{text:?}"),
    }
}

/// Characters that make a spreadsheet take a cell for a formula when it opens a file
/// (OWASP, "CSV Injection"), and their full-width forms, which Excel takes as well.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA)
}

/// A cell's text as it was meant: trimmed, without the apostrophe that [`guard`] puts.
pub(super) fn cell(text: &str) -> String {
    let text = text.trim();
    let meant = text.strip_prefix('\'').filter(|_| is_formula(text)).unwrap_or(text);
    meant.trim().to_owned()
}

/// A cell's text as an export writes it: no spreadsheet will run it, and [`cell`] gives
/// back the text. One apostrophe is added to those there are, so nothing is lost.
pub(crate) fn guard(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// Whether a cell only says that there is nothing to say.
fn is_nothing(text: &str) -> bool {
    const NOTHING: [&str; 22] = [
        "",
        "-",
        "--",
        "ー",
        "―",
        "‐",
        "—",
        "–",
        "/",
        "*",
        "?",
        "none",
        "n/a",
        "na",
        "nil",
        "unknown",
        "なし",
        "無し",
        "無",
        "不明",
        "未定",
        "該当なし",
    ];
    NOTHING.contains(&text)
}

/// Notes in parentheses say which interface or what for; they are no part of a value.
fn without_notes(text: &str) -> String {
    let mut depth = 0_usize;
    let mut rest = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' | '【' | '〔' => depth = depth.saturating_add(1),
            ')' | '】' | '〕' if depth > 0 => {
                depth = depth.saturating_sub(1);
                rest.push(' ');
            }
            _ if depth == 0 => rest.push(c),
            _ => {}
        }
    }
    rest
}

/// The values of a cell, separated by line breaks, commas, semicolons, `、`, `・` or `|`.
fn pieces(text: &str) -> Vec<String> {
    let text = without_notes(&plain(text));
    if is_nothing(text.trim()) {
        return Vec::new();
    }
    text.split(['\n', ',', ';', '、', '・', '|'])
        .map(|piece| piece.trim().to_owned())
        .filter(|piece| !is_nothing(piece))
        .collect()
}

/// The MAC addresses of a cell.
pub(super) fn macs(text: &str) -> Result<Vec<MacAddr>, Reason> {
    let mut list: Vec<MacAddr> = Vec::new();
    for piece in pieces(text).iter().flat_map(|piece| piece.split('/')).map(str::trim) {
        // A blank may separate addresses, or the octets of one.
        match piece.parse() {
            Ok(mac) => list.push(mac),
            Err(_) => {
                for word in piece.split_whitespace() {
                    list.push(word.parse().map_err(|_| Reason::NotMac(quote(word)))?);
                }
            }
        }
    }
    match list.iter().find(|mac| mac.is_group() || mac.0 == [0; 6]) {
        Some(mac) => Err(Reason::NoDevicesMac(*mac)),
        None => Ok(list),
    }
}

/// The addresses, networks and ranges of a cell.
pub(super) fn addresses(text: &str) -> Result<Vec<AddressRange>, Reason> {
    // Words for "whatever it is given".
    const DYNAMIC: [&str; 7] = ["dhcp", "dynamic", "auto", "自動", "自動取得", "動的", "可変"];
    let mut list = Vec::new();
    for piece in pieces(text) {
        let mut joined = piece.replace('〜', "~");
        for sign in ['-', '~'] {
            let parts: Vec<&str> = joined.split(sign).map(str::trim).collect();
            joined = parts.join(&sign.to_string());
        }
        for word in joined.split_whitespace().filter(|word| !DYNAMIC.contains(word)) {
            match network(word) {
                Some(range) => list.push(range),
                None => {
                    for part in word.split('/').filter(|part| !part.is_empty()) {
                        list.push(range(part)?);
                    }
                }
            }
        }
    }
    for range in &list {
        let no_device = |address: IpAddr| {
            address.is_multicast()
                || address.is_unspecified() && range.len() == 1
                || address == IpAddr::V4(Ipv4Addr::BROADCAST)
        };
        if let Some(address) = [range.first(), range.last()].into_iter().find(|a| no_device(*a)) {
            return Err(Reason::NoDevicesAddress(address));
        }
    }
    Ok(list)
}

/// The first of these ranges that covers more than a remark is needed for.
pub(super) fn wide(ranges: &[AddressRange]) -> Option<Reason> {
    ranges.iter().find(|range| range.len() > WIDE).map(|range| Reason::WideRange(*range))
}

/// One address. Three digits in every octet are padding, not octal numbers.
fn address(text: &str) -> Option<IpAddr> {
    let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
    if let Ok(address) = without_zone.parse() {
        return Some(address);
    }
    let octets: Vec<&str> = text.split('.').collect();
    let padded = octets.iter().all(|o| o.len() == 3 && o.bytes().all(|b| b.is_ascii_digit()));
    let octets: [&str; 4] = octets.try_into().ok().filter(|_| padded)?;
    let [a, b, c, d] = octets.map(|octet| octet.parse::<u8>().ok());
    Some(Ipv4Addr::new(a?, b?, c?, d?).into())
}

/// `192.0.2.0/24` is the network; `192.0.2.7/24` is an address with its mask written behind.
fn network(text: &str) -> Option<AddressRange> {
    let (first, mask) = text.split_once('/')?;
    let first = address(first)?;
    let (bits, width) = match first {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32_u32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let length = match mask.parse::<u32>() {
        Ok(length) => length,
        // `/255.255.255.0`
        Err(_) => {
            let mask = u32::from(mask.parse::<Ipv4Addr>().ok().filter(|_| first.is_ipv4())?);
            let length = mask.leading_ones();
            (length.checked_add(mask.trailing_zeros()) == Some(32)).then_some(length)?
        }
    };
    let free = width.checked_sub(length)?;
    let hosts = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size.saturating_sub(1));
    if bits & hosts != 0 {
        return Some(AddressRange::single(first));
    }
    let last = bits | hosts;
    let last = match first {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(last).ok()?.into()),
        IpAddr::V6(_) => IpAddr::V6(last.into()),
    };
    AddressRange::new(first, last)
}

/// `192.0.2.7`, `192.0.2.10-40`, `192.0.2.10~192.0.2.40`.
fn range(text: &str) -> Result<AddressRange, Reason> {
    let wrong = || Reason::NotAddress(quote(text));
    let Some((first, last)) = text.split_once(['-', '~']) else {
        return address(text).map(AddressRange::single).ok_or_else(wrong);
    };
    let first = address(first).ok_or_else(wrong)?;
    let last = match (address(last), first) {
        (Some(last), _) => last,
        (None, IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, last.parse().map_err(|_| wrong())?))
        }
        (None, IpAddr::V6(_)) => return Err(wrong()),
    };
    match first.is_ipv4() == last.is_ipv4() {
        true => AddressRange::new(first, last).ok_or_else(|| Reason::Backwards(quote(text))),
        false => Err(wrong()),
    }
}

/// An address, a network or a range, as registers and gaps write them.
#[must_use]
pub fn address_range(text: &str) -> Option<AddressRange> {
    let text = plain(text);
    network(&text).or_else(|| range(&text).ok())
}

/// The host names or serial numbers of a cell: lower case, without a trailing dot.
pub(super) fn names(text: &str) -> Result<Vec<String>, Reason> {
    // RFC 1035, section 2.3.4, without the root's dot.
    const MAX: usize = 253;
    let pieces = pieces(text);
    let words = pieces.iter().flat_map(|piece| piece.split([' ', '\t', '/']));
    let mut list = Vec::new();
    for word in words.map(|word| word.trim_end_matches('.')).filter(|word| !is_nothing(word)) {
        if word.len() > MAX {
            return Err(Reason::NameTooLong(quote(word)));
        }
        list.push(word.to_owned());
    }
    Ok(list)
}

/// The SHA-256 hashes of a cell, in lower-case hexadecimal.
pub(super) fn hashes(text: &str) -> Result<Vec<String>, Reason> {
    let mut list = Vec::new();
    for piece in pieces(text) {
        let label = piece.rsplit_once('=').map_or(piece.as_str(), |(_, value)| value);
        let label = label.trim().trim_start_matches("sha-256").trim_start_matches("sha256");
        let digits: String =
            label.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-')).collect();
        let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
        match (hexadecimal, digits.len()) {
            (true, 64) => list.push(digits),
            (true, 40 | 32) => return Err(Reason::WeakHash(quote(&piece))),
            _ => return Err(Reason::NotHash(quote(&piece))),
        }
    }
    Ok(list)
}

/// A day, or none where the cell says that there is no limit.
pub(super) fn day(text: &str) -> Result<Option<Day>, Reason> {
    const NO_LIMIT: [&str; 8] =
        ["無期限", "永久", "無制限", "期限なし", "期限無し", "never", "unlimited", "permanent"];
    let plain = plain(text);
    match is_nothing(&plain) || NO_LIMIT.contains(&plain.as_str()) {
        true => Ok(None),
        false => Ok(Some(text.parse()?)),
    }
}

/// A version rule; an empty cell means any version.
pub(super) fn version_rule(text: &str) -> Result<VersionRule, Reason> {
    Ok(text.parse()?)
}

/// Which assets an entry of the software register is about; nothing means all.
pub(super) fn scope(text: &str) -> Vec<ScopeItem> {
    const ALL: [&str; 12] = [
        "all",
        "all assets",
        "any",
        "everything",
        "全て",
        "すべて",
        "全部",
        "全社",
        "全機器",
        "全端末",
        "全資産",
        "共通",
    ];
    let text: String = text.nfkc().collect();
    let items: Vec<&str> =
        text.split(['\n', ',', ';', '、', '|']).map(str::trim).filter(|i| !i.is_empty()).collect();
    let all = |item: &&str| is_nothing(item) || ALL.contains(&item.to_lowercase().as_str());
    if items.iter().all(all) {
        return Vec::new();
    }
    let mut list: Vec<ScopeItem> = items.into_iter().map(scope_item).collect();
    list.sort();
    list.dedup();
    list
}

/// A MAC address, an address or network, or else a name or reference.
pub(super) fn scope_item(text: &str) -> ScopeItem {
    if let Ok(mac) = text.parse() {
        return ScopeItem::Mac(mac);
    }
    match network(text).or_else(|| range(text).ok()) {
        Some(range) => ScopeItem::Addresses(range),
        None => ScopeItem::Name(text.to_owned()),
    }
}

/// The meaning of a state's word, from a list of words with their meanings.
pub(super) fn status<T: Copy>(
    text: &str,
    words: &[(T, &[&str])],
    empty: T,
    expected: &'static str,
) -> Result<T, Reason> {
    let folded = super::fold(&without_notes(&plain(text)));
    if text.trim().is_empty() {
        return Ok(empty);
    }
    let sign = plain(text);
    words
        .iter()
        .find(|(_, words)| {
            words
                .iter()
                .any(|word| *word == sign || super::fold(word) == folded && !folded.is_empty())
        })
        .map(|(meaning, _)| *meaning)
        .ok_or_else(|| Reason::NotStatus { text: quote(text), expected })
}

/// Address ranges as text in an entry's stored form.
pub(super) mod ranges {
    use model::AddressRange;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::register) fn serialize<S: Serializer>(
        ranges: &[AddressRange],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ranges.iter().map(ToString::to_string))
    }

    pub(in crate::register) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AddressRange>, D::Error> {
        let list = Vec::<String>::deserialize(deserializer)?;
        list.iter().map(|text| super::range(text).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: ToString>(got: Result<Vec<T>, Reason>, expected: Result<&[&str], &str>) {
        let got = got
            .map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|reason| reason.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_cell_holds_several_macs() {
        let two: Result<&[&str], &str> = Ok(&["00:11:22:33:44:55", "00:11:22:33:44:66"]);
        for text in [
            "00:11:22:33:44:55\n00-11-22-33-44-66",
            "0011.2233.4455, 0011.2233.4466",
            "001122334455;001122334466",
            "00:11:22:33:44:55 / 00:11:22:33:44:66",
            "００：１１：２２：３３：４４：５５、００ー１１ー２２ー３３ー４４ー６６",
            "00:11:22:33:44:55 00:11:22:33:44:66",
            "00:11:22:33:44:55（有線）\n00:11:22:33:44:66（無線）",
            "00 11 22 33 44 55, 00 11 22 33 44 66",
        ] {
            check(macs(text), two);
        }
        check(macs("－"), Ok(&[]));
        check(macs("なし"), Ok(&[]));
        check(macs("00:11:22:33:44"), Err("\"00:11:22:33:44\" is not a MAC address"));
        check(macs("00:00:00:00:00:00"), Err("no device has it"));
        check(macs("ff:ff:ff:ff:ff:ff"), Err("no device has it"));
    }

    #[test]
    fn a_cell_holds_addresses_networks_and_ranges() {
        check(addresses("１９２．０．２．７"), Ok(&["192.0.2.7"]));
        check(addresses("192.0.2.7/192.0.2.8"), Ok(&["192.0.2.7", "192.0.2.8"]));
        check(addresses("192.0.2.7 2001:DB8::7%eth0"), Ok(&["192.0.2.7", "2001:db8::7"]));
        check(addresses("192.0.2.0/24"), Ok(&["192.0.2.0-192.0.2.255"]));
        check(addresses("192.0.2.0/255.255.255.0"), Ok(&["192.0.2.0-192.0.2.255"]));
        check(addresses("192.0.2.7/24"), Ok(&["192.0.2.7"]));
        check(addresses("192.0.2.10 ～ 192.0.2.40"), Ok(&["192.0.2.10-192.0.2.40"]));
        check(addresses("192.0.2.10〜40"), Ok(&["192.0.2.10-192.0.2.40"]));
        check(addresses("192.0.2.10-40、192.0.2.50"), Ok(&["192.0.2.10-192.0.2.40", "192.0.2.50"]));
        check(addresses("192.168.001.010"), Ok(&["192.168.1.10"]));
        check(addresses("DHCP"), Ok(&[]));
        check(addresses("自動取得（DHCP）"), Ok(&[]));
        check(addresses("192.0.2.40-192.0.2.10"), Err("runs backwards"));
        check(addresses("192.0.2.256"), Err("\"192.0.2.256\" is not an address"));
        check(addresses("192.0.2.1:80"), Err("is not an address"));
        check(addresses("192.168.01.10"), Err("is not an address"));
        check(addresses("10.0.0.0/33"), Err("is not an address"));
        check(addresses("224.0.0.1"), Err("no device has it"));
        check(addresses("0.0.0.0"), Err("no device has it"));
        check(addresses("::/0"), Err("multicast"));
        check(addresses("192.0.2.1-2001:db8::1"), Err("is not an address"));
    }

    #[test]
    fn names_and_hashes() {
        check(names("PC-7.Example.JP.\nＰＣ－８"), Ok(&["pc-7.example.jp", "pc-8"]));
        check(names(&"x".repeat(254)), Err("more than 253"));
        let hash = "AB:".repeat(31) + "CD";
        let plain = "ab".repeat(31) + "cd";
        check(hashes(&hash), Ok(&[&plain]));
        check(hashes(&format!("SHA256 Fingerprint={hash}")), Ok(&[&plain]));
        check(hashes(&format!("sha256:{plain}")), Ok(&[&plain]));
        check(hashes(&"ab ".repeat(20)), Err("SHA-1"));
        check(hashes("xyz"), Err("not a SHA-256 hash"));
    }

    #[test]
    fn no_spreadsheet_runs_a_cell_and_nothing_is_lost() {
        for text in ["=1+1", "+81-3", "-", "@x", "＝x", "'=x", "''-x", "'x", "x=1", "it's"] {
            let guarded = guard(text);
            assert!(!guarded.starts_with(FORMULA), "{guarded}");
            assert_eq!(cell(&guarded), text, "{guarded}");
        }
    }

    #[test]
    fn days_may_have_no_end() {
        assert_eq!(day("無期限"), Ok(None));
        assert_eq!(day(""), Ok(None));
        assert_eq!(day("2026/11/22"), Ok("2026-11-22".parse().ok()));
        assert!(day("soon").is_err());
    }
}
