//! From what an HTTP client calls itself to its family: name, major version, system.
//!
//! A User-Agent in full is nearly a name of its user (build numbers, plug-ins, sometimes an
//! address); its family is what many share.

/// Browsers by the token that only they have, the ones that wear others' tokens first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Thunderbird/", "Thunderbird"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("MSIE ", "Internet Explorer"),
];

/// Systems by what browsers and others say of them, the more particular first.
const SYSTEMS: &[(&str, &str)] = &[
    ("Windows NT 10.0", "Windows 10 or later"),
    ("Windows NT 6.3", "Windows 8.1"),
    ("Windows NT 6.2", "Windows 8"),
    ("Windows NT 6.1", "Windows 7"),
    ("Windows NT 6.0", "Windows Vista"),
    ("Windows NT 5.2", "Windows Server 2003"),
    ("Windows NT 5.1", "Windows XP"),
    ("Windows NT 5.0", "Windows 2000"),
    ("iPhone OS", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Darwin/", "Darwin"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
];

/// The family, `name/version; system` with what is known of it; `None` where nothing is.
pub(in crate::capture) fn family(agent: &str) -> Option<String> {
    let version =
        |rest: &str| -> String { rest.chars().take_while(char::is_ascii_digit).take(6).collect() };
    // Without the browser's own name the version is that of whoever built on it.
    let is_safari = |token: &str| token != "Version/" || agent.contains("Safari/");
    let browser = first_of(BROWSERS, agent, is_safari)
        .map(|(name, rest)| (*name).to_owned() + "/" + &version(rest));
    let ie = || {
        let (_, rest) = agent.split_once("Trident/")?;
        rest.contains("rv:11").then(|| "Internet Explorer/11".to_owned())
    };
    let name = browser.or_else(ie).or_else(|| plain(agent))?;
    let name = name.trim_end_matches('/');
    Some(match first_of(SYSTEMS, agent, |_| true) {
        Some((system, rest)) => match release(system, rest, agent) {
            Some(release) => format!("{name}; {system} {release}"),
            None => format!("{name}; {system}"),
        },
        None => name.to_owned(),
    })
}

/// The major version of a system, where what clients say of it is true: browsers on macOS stay at
/// 10.15, and Chrome on Android at 10 with a machine called K.
fn release(system: &str, rest: &str, agent: &str) -> Option<String> {
    let rest = match system {
        "iOS" => rest,
        "iPadOS" => agent.split_once("CPU OS").map(|(_, rest)| rest)?,
        "Android" if !rest.starts_with(" 10; K)") => rest,
        _ => return None,
    };
    let digits: String = rest.strip_prefix(' ')?.chars().take_while(char::is_ascii_digit).collect();
    (1..=2).contains(&digits.len()).then_some(digits)
}

/// The first row of a table whose token begins a word of the text, and what is behind it.
fn first_of<'a>(
    table: &[(&str, &'static str)],
    text: &'a str,
    is_meant: impl Fn(&str) -> bool,
) -> Option<(&'static str, &'a str)> {
    let mut best = None;
    let mut before = 0_u8;
    let bit = |letter: u8| 1_u128.checked_shl(letter.into()).unwrap_or(0);
    let first = |token: &str| token.bytes().next().map_or(0, bit);
    let letters = table.iter().fold(0, |all, (token, _)| all | first(token));
    // Tokens are found at ASCII letters, so that each is at the beginning of a character.
    for (at, byte) in text.bytes().enumerate() {
        let is_start = letters & bit(byte) != 0 && !before.is_ascii_alphanumeric();
        before = byte;
        if !is_start {
            continue;
        }
        // What stands further down in the table than what was found does not matter.
        let rows = best.map_or(table.len(), |(row, _, _)| row);
        let Some(rest) = text.get(at..) else { continue };
        let found = table.iter().take(rows).enumerate().find_map(|(row, (token, name))| {
            if token.bytes().next() != Some(byte) || !is_meant(token) {
                return None;
            }
            rest.strip_prefix(token).map(|behind| (row, *name, behind))
        });
        best = found.or(best);
    }
    best.map(|(_, name, behind)| (name, behind))
}

/// The first word of a program that is no browser, with as much of its version as two numbers.
fn plain(agent: &str) -> Option<String> {
    let word = agent.split([' ', '(', ';', ',']).next()?;
    let (name, version) = word.split_once('/').unwrap_or((word, ""));
    let is_name = (2..=40).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
        && name.chars().filter(char::is_ascii_digit).count() <= 4
        && name.contains(|c: char| c.is_ascii_alphabetic());
    let mut numbers = version.split('.');
    let number = |part: Option<&str>| -> Option<String> {
        let digits: String = part?.chars().take_while(char::is_ascii_digit).collect();
        (1..=6).contains(&digits.len()).then_some(digits)
    };
    let major = number(numbers.next());
    let minor = number(numbers.next()).filter(|_| major.is_some());
    let version = [major, minor].into_iter().flatten().collect::<Vec<_>>().join(".");
    is_name.then(|| format!("{name}/{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_what_many_share() {
        let check = |agent: &str, expected: Option<&str>| {
            assert_eq!(family(agent).as_deref(), expected, "{agent}");
        };
        let browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
            Gecko) Chrome/120.0.6099.71 Safari/537.36";
        check(browser, Some("Chrome/120; Windows 10 or later"));
        check(&format!("{browser} Edg/119.0.1"), Some("Edge/119; Windows 10 or later"));
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 \
            (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1";
        check(phone, Some("Safari/16; iOS 16"));
        let frozen = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
            Chrome/120.0.0.0 Mobile Safari/537.36";
        check(frozen, Some("Chrome/120; Android"));
        let tablet = "Mozilla/5.0 (iPad; CPU OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
            like Gecko) Version/17.1 Mobile/15E148 Safari/604.1";
        check(tablet, Some("Safari/17; iPadOS 17"));
        check("curl/7.88.1", Some("curl/7.88"));
        check("Wget/1.21.3 (linux-gnu)", Some("Wget/1.21"));
        check("Microsoft-Delivery-Optimization/10.0", Some("Microsoft-Delivery-Optimization/10.0"));
        check(
            "Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B Build/TP1A)",
            Some("Dalvik/2.1; Android 13"),
        );
        check("alice@example.com", None);
        check("8f14e45fceea167a5a36dedd4bea2543", None);
        check("", None);
    }
}
