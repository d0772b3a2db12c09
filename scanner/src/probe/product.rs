//! From what a server calls itself to a product, its version and its CPE name.
//!
//! Banners have a regular structure: a name, a separator, a version, a remark. So the
//! reading is general and works for products that nobody wrote down; the table only adds
//! the maker's spelling and the CPE pair (vendor, product) under which the National
//! Vulnerability Database files it. A product that is not in the table gets no CPE name:
//! a guessed one would match the wrong vulnerabilities.

use model::{Cpe, Fact, Service};

use super::{known::Known, spelled};

/// A product that a server named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Product {
    /// In its maker's spelling, where known.
    pub name: String,
    /// The upstream version.
    pub version: Option<String>,
    /// The CPE 2.3 name, where known.
    pub cpe: Option<Cpe>,
}

/// Words that stand between a name and its version and mean nothing.
const FILLERS: &[&str] = &[
    "version",
    "ver",
    "v",
    "release",
    "server",
    "service",
    "services",
    "esmtp",
    "smtp",
    "mail",
    "pop3",
    "imap",
    "imap4",
    "imap4rev1",
    "ftp",
    "receiver",
    "patch",
    "pro",
    "on",
    "for",
    "build",
    "software",
    "tm",
    "imapd",
    "edition",
    "enterprise",
    "nt-esmtp",
    "web",
    "r",
    "@",
];

/// The product of that name.
#[must_use]
pub fn named(name: &str, version: Option<&str>) -> Product {
    let lower = name.trim().to_ascii_lowercase().replace('_', " ");
    let version = version.map(upstream).filter(|version| !version.is_empty());
    match spelled::of_name(&lower) {
        Some(known) => known.product(version),
        None => Product { name: name.trim().to_owned(), version, cpe: None },
    }
}

impl Known {
    fn product(&self, version: Option<String>) -> Product {
        let cpe =
            self.cpe.map(|(vendor, product)| Cpe::application(vendor, product, version.as_deref()));
        Product { name: self.name.to_owned(), version, cpe }
    }
}

/// The product of the table that is named first in a free text, with the version behind
/// its name.
#[must_use]
pub fn find(text: &str) -> Option<Product> {
    let (known, after) = spelled::first_in(text)?;
    Some(known.product(version_after(after)))
}

/// The version right behind a name: past separators and words that mean nothing.
fn version_after(text: &str) -> Option<String> {
    let separators: &[char] = &['/', '(', ')', ',', ';', ':', '[', ']', '#', '"'];
    let words = text.split(|c: char| c.is_whitespace() || separators.contains(&c));
    let words = words.map(|word| word.trim_matches(['.', '-', '_', '='])).filter(|w| !w.is_empty());
    let mut words = words.take(7).peekable();
    let mut marked = false;
    while let Some(word) = words.next() {
        let lower = word.to_ascii_lowercase();
        // A version of four numbers looks like an address, unless a word says what it is.
        if is_version(word) && (marked || !is_address(word)) {
            let version = upstream(word);
            return Some(match words.peek() {
                Some(stage @ (&"beta" | &"alpha")) => format!("{version} {stage}"),
                _ => version,
            });
        }
        marked = is_version_word(&lower);
        // Another spelling of the name may stand between: `Bitvise SSH Server (WinSSHD) 6.03`.
        if !spelled::is_one(&lower) && !FILLERS.contains(&lower.as_str()) {
            return None;
        }
    }
    None
}

fn is_version_word(lower: &str) -> bool {
    matches!(lower, "version" | "ver" | "v" | "release")
}

/// A version anywhere in a free text, with the words before it that may be the product's
/// name: what can be said of a product that is not in the table. Where the text says
/// `version` and names nothing, the product's name is empty.
#[must_use]
pub fn guess(text: &str) -> Option<Product> {
    let separators: &[char] = &['(', ')', ',', ';', ':', '[', ']', '"', '*', '<', '>', '='];
    let words = text.split(|c: char| c.is_whitespace() || separators.contains(&c));
    let words = words.map(|word| word.trim_matches(['.', '-', '_', '!', '#', '\'']));
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    let mut name: Vec<&str> = Vec::new();
    let mut marked = false;
    while let Some(word) = words.next() {
        let (before, rest) = match word.split_once('/') {
            Some((before, rest)) if is_version(rest) => (before, rest),
            // `v7.02/key`: the version comes first.
            Some((version, _)) if is_version(version) && version.contains('.') => ("", version),
            _ => ("", word),
        };
        let lower = word.to_ascii_lowercase();
        // A bare number is a version only behind a word that says so, or in `name/4`.
        let plain = rest.chars().all(|c| c.is_ascii_digit());
        marked |= rest.starts_with(['v', 'V']) && !plain;
        let certain = marked || !before.is_empty();
        if is_version(rest) && if plain || is_address(rest) { certain } else { true } {
            let named_by = if before.is_empty() { name.join(" ") } else { before.to_owned() };
            // `Version 1.4 (1.4.0.7)`: the longer one is the same one, in full.
            let dots = |word: &str| word.matches('.').count();
            let full = words
                .peek()
                .copied()
                .filter(|next| marked && is_version(next) && dots(next) > dots(rest));
            let version = full.unwrap_or(rest);
            return (marked || !named_by.is_empty()).then(|| named(&named_by, Some(version)));
        }
        marked = is_version_word(&lower);
        if is_name_word(word, &lower) {
            name.push(word);
            if name.len() > 3 {
                name.remove(0);
            }
        } else if !FILLERS.contains(&lower.as_str()) {
            name.clear();
        }
    }
    None
}

/// Whether a word may be part of a product's name in a greeting.
fn is_name_word(word: &str, lower: &str) -> bool {
    const GREETINGS: &[&str] = &[
        "welcome",
        "to",
        "the",
        "this",
        "is",
        "ready",
        "at",
        "hello",
        "hi",
        "from",
        "with",
        "a",
        "an",
        "and",
        "of",
        "running",
        "using",
        "login",
        "please",
        "you",
        "are",
        "your",
        "connected",
        "powered",
        "by",
    ];
    let host_like = word.contains('.') || word.contains('@');
    !host_like
        && !FILLERS.contains(&lower)
        && !GREETINGS.contains(&lower)
        && word.chars().any(char::is_alphabetic)
}

fn is_address(word: &str) -> bool {
    word.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a word looks like a version: a digit first, perhaps behind a `v`, and only
/// what versions are made of.
#[must_use]
pub fn is_version(word: &str) -> bool {
    let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
    // A time of the day or a date is none.
    let date = word.len() == 10 && word.as_bytes().get(4) == Some(&b'-');
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.len() <= 40
        && !date
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_' | '~'))
}

/// A version without a leading `v` and without a distribution's suffix: `7.4-2+deb12u1`
/// is `7.4`, `8.13.5-3ubuntu1` is `8.13.5`.
#[must_use]
pub fn upstream(version: &str) -> String {
    const DISTRIBUTIONS: &[&str] = &[
        "deb", "ubuntu", "build", ".el", ".fc", ".amzn", "+b", "~bpo", "-release", "+dfsg", "-rpm",
    ];
    let version = version.trim().trim_end_matches(['.', ',', '-', '+']);
    let version = ["Release-", "release-"]
        .iter()
        .find_map(|prefix| version.strip_prefix(prefix))
        .unwrap_or(version);
    let version = match version.strip_prefix(['v', 'V']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => version,
    };
    // A patch set's or vendor's name behind a plus sign (`8.9.3+Sun`), and versions that
    // are written twice (`9.53-9.53`).
    let vendor = version
        .find('+')
        .filter(|plus| version[plus + 1..].starts_with(|c: char| c.is_ascii_uppercase()));
    let version = version.get(..vendor.unwrap_or(version.len())).unwrap_or(version);
    let version = match version.split_once('-') {
        Some((once, again)) if again.is_empty() || once == again.trim_start_matches('-') => once,
        _ => version.split("--").next().unwrap_or(version),
    };
    let lower = version.to_ascii_lowercase();
    if DISTRIBUTIONS.iter().any(|mark| lower.contains(mark)) {
        let cut = version.find(['-', '+', '~']).unwrap_or(version.len());
        return version.get(..cut).unwrap_or(version).to_owned();
    }
    version.to_owned()
}

/// The operating system that a remark names, as a fact. A distribution's package revision
/// does not tell its release for sure, so there is no version here.
#[must_use]
pub fn operating_system(remark: &str) -> Option<Fact> {
    type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);
    const SYSTEMS: &[Row] = &[
        // Ubuntu's packages carry Debian's name too, so it comes first.
        ("ubuntu", "Ubuntu", Some(("canonical", "ubuntu_linux"))),
        ("raspbian", "Raspbian", Some(("raspbian", "raspbian"))),
        ("debian", "Debian", Some(("debian", "debian_linux"))),
        ("red hat", "Red Hat Enterprise Linux", Some(("redhat", "enterprise_linux"))),
        ("redhat", "Red Hat Enterprise Linux", Some(("redhat", "enterprise_linux"))),
        ("centos", "CentOS", Some(("centos", "centos"))),
        ("rocky linux", "Rocky Linux", Some(("rockylinux", "rocky_linux"))),
        ("almalinux", "AlmaLinux", Some(("almalinux", "almalinux"))),
        ("oracle linux", "Oracle Linux", Some(("oracle", "linux"))),
        ("fedora", "Fedora", Some(("fedoraproject", "fedora"))),
        ("amazon linux", "Amazon Linux", Some(("amazon", "linux"))),
        ("alpine", "Alpine Linux", Some(("alpinelinux", "alpine_linux"))),
        ("gentoo", "Gentoo", Some(("gentoo", "linux"))),
        ("suse", "SUSE Linux", None),
        ("freebsd", "FreeBSD", Some(("freebsd", "freebsd"))),
        ("openbsd", "OpenBSD", Some(("openbsd", "openbsd"))),
        ("netbsd", "NetBSD", Some(("netbsd", "netbsd"))),
        ("win32", "Windows", Some(("microsoft", "windows"))),
        ("win64", "Windows", Some(("microsoft", "windows"))),
        ("windows", "Windows", Some(("microsoft", "windows"))),
        ("sunos", "SunOS", Some(("oracle", "solaris"))),
        ("solaris", "Solaris", Some(("oracle", "solaris"))),
        ("openvms", "OpenVMS", None),
        ("mikrotik", "RouterOS", Some(("mikrotik", "routeros"))),
        ("routeros", "RouterOS", Some(("mikrotik", "routeros"))),
        ("vxworks", "VxWorks", Some(("windriver", "vxworks"))),
    ];
    let lower = remark.to_ascii_lowercase();
    let (_, name, cpe) = SYSTEMS.iter().find(|(mark, _, _)| lower.contains(mark))?;
    Some(system(name, None, *cpe))
}

/// An operating system as a fact.
#[must_use]
pub fn system(name: &str, version: Option<&str>, cpe: Option<(&str, &str)>) -> Fact {
    Fact::OperatingSystem {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        cpe: cpe.map(|(vendor, product)| Cpe::operating_system(vendor, product, version)),
    }
}

/// Writes a product into a service.
pub fn put(service: &mut Service, product: Option<Product>) {
    if let Some(product) = product {
        service.product = Some(product.name).filter(|name| !name.is_empty());
        service.version = product.version;
        service.cpe = product.cpe;
    }
}

/// A host name as facts want it, if the word is one that means a machine: dotted, of
/// letters, digits and hyphens (RFC 1123, section 2.1), not an address, not `localhost`.
#[must_use]
pub fn host_name(word: &str) -> Option<String> {
    let name = word.trim_end_matches('.');
    let is = |text: &str, other: &str| text.eq_ignore_ascii_case(other);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    let (first, last) = ("localhost", ".localdomain");
    let local = name.get(..first.len()).is_some_and(|start| is(start, first))
        || name
            .len()
            .checked_sub(last.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| is(end, last));
    // `smtp.4` or `1.2.3` is a version; the last label of a name has a letter first.
    let top = name.rsplit_once('.').map(|(_, top)| top);
    let top = top.is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()));
    (name.len() <= 253 && top && !local && name.split('.').all(label))
        .then(|| name.to_ascii_lowercase())
}

/// The name as a fact, learned from a greeting.
#[must_use]
pub fn host_name_fact(word: &str) -> Option<Fact> {
    let name = host_name(word)?;
    Some(Fact::HostName { name, source: model::NameSource::Banner })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::known::PRODUCTS, *};

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let got = find(text).or_else(|| guess(text));
        let got = got.as_ref().map(|p| (p.name.as_str(), p.version.as_deref()));
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn products_are_found_in_greetings() {
        check("mail.example.org ESMTP Postfix (Debian/GNU)", Some(("Postfix", None)));
        check("mail.example.org ESMTP Exim 4.96 Sun, 22 Nov 2026", Some(("Exim", Some("4.96"))));
        check("(vsFTPd 3.0.3)", Some(("vsftpd", Some("3.0.3"))));
        check("h ESMTP Sendmail 8.17.1/8.17.1/Debian-2; Sun", Some(("Sendmail", Some("8.17.1"))));
        check(
            "FileZilla Server version 0.9.41 beta",
            Some(("FileZilla Server", Some("0.9.41 beta"))),
        );
        check("h Microsoft ESMTP MAIL Service, Version: 10.0.1 ready", {
            Some(("Exchange Server", Some("10.0.1")))
        });
        check("Example Mail Server, Version 1.4 (1.4.0.7)", Some(("Example", Some("1.4.0.7"))));
        check("host FTP server (Version 6.00LS) ready", Some(("host", Some("6.00LS"))));
        check("[192.0.2.1] ESMTP Receiver Version 3.4.6.0 Ready", Some(("", Some("3.4.6.0"))));
        check("SomeFtp v2.1 ready", Some(("SomeFtp", Some("2.1"))));
        check("192.0.2.1 FTP server ready", None);
        check("Welcome, it is 10:30", None);
        check("", None);
    }

    #[test]
    fn distribution_suffixes_go() {
        for (full, expected) in [
            ("9.2p1", "9.2p1"),
            ("7.4.33-1+deb12u2", "7.4.33"),
            ("v0.70", "0.70"),
            ("4.3.24-release", "4.3.24"),
            ("9.4.48.v20220622", "9.4.48.v20220622"),
            ("Release-4.6.7", "4.6.7"),
        ] {
            assert_eq!(upstream(full), expected);
        }
    }

    #[test]
    fn only_names_of_machines_are_host_names() {
        assert_eq!(host_name("Mail.Example.ORG."), Some("mail.example.org".into()));
        for word in
            ["mail", "localhost", "localhost.localdomain", "1.2.3.4", "a..b", "-a.b", "v1.2", ""]
        {
            assert_eq!(host_name(word), None, "{word:?}");
        }
    }

    #[test]
    fn the_table_has_each_spelling_once_and_a_cpe_of_the_right_form() {
        let mut seen = std::collections::BTreeSet::new();
        for known in PRODUCTS {
            for spelling in known.spellings {
                assert!(seen.insert(*spelling), "{spelling} twice");
                assert_eq!(*spelling, spelling.to_ascii_lowercase());
                let product = named(spelling, Some("1.2"));
                assert_eq!(product.name, known.name);
                if let Some(cpe) = product.cpe {
                    assert!(cpe.0.starts_with("cpe:2.3:a:") && cpe.0.contains(":1.2:"), "{cpe}");
                }
            }
        }
    }

    #[test]
    fn an_operating_system_is_named_but_not_dated() {
        let fact = operating_system("Debian-8ubuntu1.4").unwrap();
        assert_eq!(fact, system("Ubuntu", None, Some(("canonical", "ubuntu_linux"))));
        assert_eq!(operating_system("Unix"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,120}") {
            let _ = find(&text);
            let _ = guess(&text);
            let _ = host_name(&text);
            let _ = upstream(&text);
        }
    }
}
