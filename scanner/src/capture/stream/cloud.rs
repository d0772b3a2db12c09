//! The registered domain of a name: what somebody pays a registry for.
//!
//! By a rule and a short list, not by the Public Suffix List, whose licence (MPL 2.0) is not the
//! project's: below a country's two letters, a second label that is one of the words that
//! countries use for kinds of owners counts as part of the suffix (`co.uk`, `ne.jp`, `com.br`).
//! A country with its own words gives its second-level domain instead, which is coarser and
//! never another owner's.

use std::net::IpAddr;

/// The words for kinds of owners, of which every one is used so by several registries.
const KINDS: &[&str] = &[
    "ac", "co", "com", "ed", "edu", "gen", "go", "gob", "gouv", "gov", "govt", "gr", "gub", "id",
    "idv", "info", "ltd", "me", "mil", "ne", "net", "nhs", "nom", "or", "org", "plc", "police",
    "sch", "school", "web",
];

/// Ends of names that are of no registry (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`, and
/// what routers make up).
const PRIVATE: &[&str] = &[
    "local",
    "localhost",
    "localdomain",
    "lan",
    "home",
    "internal",
    "intranet",
    "corp",
    "test",
    "invalid",
    "arpa",
    "onion",
    "workgroup",
    "private",
    "domain",
];

/// The registered domain of a name; `None` for a name that no registry gave.
pub(super) fn registered(name: &str) -> Option<&str> {
    let mut labels = name.rsplit('.');
    let top = labels.next()?;
    let second = labels.next().filter(|label| !label.is_empty())?;
    let is_word = top.len() > 1 && !top.bytes().all(|byte| byte.is_ascii_digit());
    if !is_word || PRIVATE.contains(&top) {
        return None;
    }
    let is_country = top.len() == 2;
    let third = labels.next().filter(|_| is_country && KINDS.contains(&second));
    let len = match third {
        Some(third) => third.len().saturating_add(second.len()).saturating_add(4),
        // A suffix alone has no owner.
        None if is_country && KINDS.contains(&second) => return None,
        None => second.len().saturating_add(top.len()).saturating_add(1),
    };
    name.get(name.len().checked_sub(len)?..)
}

/// The registered domain, where the server is one of the Internet.
pub(in crate::capture) fn domain_of(name: &str, server: IpAddr) -> Option<String> {
    is_global(server).then(|| registered(name).map(str::to_owned))?
}

/// Whether the Internet has a way to the address (RFC 6890 and the registries that it made).
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                // Shared (RFC 6598), benchmarks (RFC 2544), protocol assignments.
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
                || (a, b, c) == (192, 0, 0))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast is 2000::/3, less documentation and benchmarks.
            let documentation =
                (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000);
            let benchmark = (first, second) == (0x2001, 2);
            first & 0xe000 == 0x2000 && !documentation && !benchmark
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registered_domain_is_what_has_an_owner() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(registered(name), expected);
        check("www.example.com", Some("example.com"));
        check("example.com", Some("example.com"));
        check("a.b.c.example.co.uk", Some("example.co.uk"));
        check("example.co.jp", Some("example.co.jp"));
        check("co.uk", None);
        check("login.example.de", Some("example.de"));
        check("s3.eu-central-1.example.cloud", Some("example.cloud"));
        check("com", None);
        check("printer.local", None);
        check("1.0.0.127.in-addr.arpa", None);
        check("192.0.2.1", None);
        check("", None);
        check(".com", None);
    }

    #[test]
    fn only_the_internet_is_a_cloud() {
        let of = |address: [u8; 4]| domain_of("www.example.com", address.into());
        assert_eq!(of([10, 0, 0, 7]), None);
        assert_eq!(of([93, 184, 216, 34]).as_deref(), Some("example.com"));
    }
}
