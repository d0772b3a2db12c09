//! The registered domain of a name: what somebody pays a registry for.
//!
//! By the first part of the Public Suffix List, which the registries write. Its second part is of
//! owners who let others have names below theirs (`github.io`, `s3.amazonaws.com`): there it is
//! the owner who runs the service, and whose name is told.

use std::net::IpAddr;

/// The registered domain of a name; `None` for a name that no registry gave.
pub(super) fn registered(name: &str) -> Option<&str> {
    // On the list, but of addresses and of homes (RFC 3172, RFC 8375): nobody's to register.
    if name.ends_with(".arpa") {
        return None;
    }
    let mut rest = name;
    let mut owned = None;
    loop {
        match psl::suffix(rest.as_bytes())?.typ()? {
            psl::Type::Icann => return psl::domain_str(rest).or(owned),
            psl::Type::Private => {
                owned = Some(rest);
                (_, rest) = rest.split_once('.')?;
            }
        }
    }
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
        check("www.example.chiyoda.tokyo.jp", Some("example.chiyoda.tokyo.jp"));
        check("somebody.github.io", Some("github.io"));
        check("github.io", Some("github.io"));
        check("a.bucket.s3.amazonaws.com", Some("amazonaws.com"));
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
