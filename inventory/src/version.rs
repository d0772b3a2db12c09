//! Versions as people write them, in one order, and the rules that a software register
//! puts on them.
//!
//! A version is what a banner, a package list or a register says: `9.2p1`, `1.1.1w`,
//! `1:2.4.57-2+deb12u1`, `v1.0-rc1`. No single scheme fits all of them, so the order is
//! our own: total, the same for everything, and documented in `docs/registers.md`. It
//! follows dpkg where the schemes disagree about epochs, revisions and `~`, and people
//! where dpkg would surprise them (`1.2` equals `1.2.0`, `rc` comes before the release).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::allow_attributes, reason = "a test may fail loudly")
)]

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// A version, in its own spelling. Two spellings of one version are equal: `v1.2` is `1.2.0`.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    epoch: Option<String>,
    upstream: Vec<Token>,
    revision: Vec<Token>,
}

/// A part of a version. The end of a version is a part as well, and the order of the
/// variants says what it means that one version goes on where the other ends.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Token {
    /// `~` comes before the end: `1.0~deb12u1` is older than `1.0`.
    Before,
    /// A word for something not yet released.
    Unreleased(String),
    /// Where the shorter version ends.
    End,
    /// Any other word: `1.1.1w` is newer than `1.1.1`, and older than `1.1.1.1`.
    Word(String),
    /// Digits, without leading zeros, by length and then by value: no number overflows.
    Number(usize, String),
}

/// Words that mean "before the release" when they follow a version.
const UNRELEASED: [&str; 10] =
    ["alpha", "beta", "cr", "dev", "nightly", "pre", "preview", "rc", "snapshot", "canary"];

impl Version {
    /// Reads any text; one without a single digit is compared by its words.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let folded: String = text.nfkc().collect::<String>().trim().to_lowercase();
        let plain = without_label(&folded);
        let (epoch, rest) = match plain.split_once(':') {
            Some((epoch, rest)) if is_number(epoch) => {
                (Some(epoch.trim_start_matches('0').to_owned()), rest)
            }
            _ => (None, plain),
        };
        // Debian and Red Hat put the packager's own count behind a hyphen. A hyphen before a
        // letter is a pre-release (`1.0-rc1`) and belongs to the version itself.
        let (upstream, revision) = rest
            .match_indices('-')
            // Of a run of hyphens the first one decides: each would look behind all of them.
            .filter(|(at, _)| !rest.split_at(*at).0.ends_with('-'))
            .map(|(at, _)| rest.split_at(at))
            .map(|(upstream, behind)| (upstream, behind.trim_start_matches('-')))
            .find(|(_, behind)| behind.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or((rest, ""));
        Self {
            text: text.trim().to_owned(),
            epoch,
            upstream: tokens(upstream),
            revision: tokens(revision),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// This version in as much detail as `rule` has: a rule that names no epoch, no
    /// packager's revision and no `+` addition is about the maker's version, whoever built it.
    fn in_detail_of(&self, rule: &Self) -> Self {
        let mut cut = self.clone();
        if rule.epoch.is_none() {
            cut.epoch = None;
        }
        if rule.revision.is_empty() {
            cut.revision.clear();
            if !rule.text.contains('+')
                && let Some((upstream, _)) = cut.text.split_once('+')
            {
                cut.upstream = Self::new(upstream).upstream;
            }
        }
        cut
    }

    /// Whether the numbers of `prefix` are the first of this version.
    fn starts_with(&self, prefix: &[Token]) -> bool {
        let missing = Token::Number(0, String::new());
        let mut own = self.upstream.iter().take_while(|t| matches!(t, Token::Number(..)));
        prefix.iter().all(|token| *own.next().unwrap_or(&missing) == *token)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let epoch = |version: &Self| {
            version.epoch.as_ref().map_or((0, String::new()), |e| (e.len(), e.clone()))
        };
        epoch(self)
            .cmp(&epoch(other))
            .then_with(|| compare(&self.upstream, &other.upstream))
            .then_with(|| compare(&self.revision, &other.revision))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn compare(a: &[Token], b: &[Token]) -> Ordering {
    const END: &Token = &Token::End;
    a.iter().chain([END]).cmp(b.iter().chain([END]))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Takes `v`, `ver.` and `version` off: people write them, and they say nothing.
fn without_label(text: &str) -> &str {
    for label in ["version", "ver.", "ver", "v.", "v"] {
        let rest = text.strip_prefix(label).map(str::trim_start);
        if let Some(rest) = rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            return rest;
        }
    }
    text
}

/// Runs of digits and of letters, without the zeros that say nothing: those that no
/// further number follows, so that `1.2`, `1.2.0` and `1.02` are one version.
fn tokens(text: &str) -> Vec<Token> {
    let mut list: Vec<Token> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same_kind = |c: char| match first {
            _ if first.is_ascii_digit() => c.is_ascii_digit(),
            _ => c.is_alphabetic() && first.is_alphabetic(),
        };
        let len = rest.find(|c| !same_kind(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (run, behind) = rest.split_at(len);
        rest = behind;
        if first.is_ascii_digit() {
            let digits = run.trim_start_matches('0');
            list.push(Token::Number(digits.len(), digits.to_owned()));
            continue;
        }
        let token = match first {
            '~' => Token::Before,
            _ if !first.is_alphabetic() => continue,
            _ if UNRELEASED.contains(&run) => Token::Unreleased(run.to_owned()),
            _ => Token::Word(run.to_owned()),
        };
        drop_zeros(&mut list);
        list.push(token);
    }
    drop_zeros(&mut list);
    list
}

fn drop_zeros(list: &mut Vec<Token>) {
    while list.last() == Some(&Token::Number(0, String::new())) {
        list.pop();
    }
}

/// Which versions of a product an entry of the software register is about.
///
/// Its text form is normalised and reads back as the same rule.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct VersionRule {
    /// All of them must hold; none means any version.
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    relation: Relation,
    version: Version,
    /// The numbers of `version`, zeros included, for [`Relation::Series`].
    prefix: Vec<Token>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.relation == other.relation && self.version.text == other.version.text
    }
}

impl Eq for Condition {}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `1.2.x`: everything that begins with these numbers.
    Series,
}

impl VersionRule {
    /// The rule that every version meets, and an unknown one as well.
    pub const ANY: Self = Self { conditions: Vec::new() };

    /// Whether every version meets it.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether the version meets the rule.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.conditions.iter().all(|condition| {
            let order = version.in_detail_of(&condition.version).cmp(&condition.version);
            match condition.relation {
                Relation::Equal => order.is_eq(),
                Relation::NotEqual => order.is_ne(),
                Relation::Less => order.is_lt(),
                Relation::LessOrEqual => order.is_le(),
                Relation::Greater => order.is_gt(),
                Relation::GreaterOrEqual => order.is_ge(),
                Relation::Series => version.starts_with(&condition.prefix),
            }
        })
    }
}

impl fmt::Display for VersionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        for (at, Condition { relation, version, .. }) in self.conditions.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match relation {
                Relation::Equal => write!(f, "{comma}= {version}")?,
                Relation::NotEqual => write!(f, "{comma}!= {version}")?,
                Relation::Less => write!(f, "{comma}< {version}")?,
                Relation::LessOrEqual => write!(f, "{comma}<= {version}")?,
                Relation::Greater => write!(f, "{comma}> {version}")?,
                Relation::GreaterOrEqual => write!(f, "{comma}>= {version}")?,
                Relation::Series => write!(f, "{comma}{version}.x")?,
            }
        }
        Ok(())
    }
}

/// The text is not a version rule.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{0:?} is not a version rule (expected any, a version like 1.2, a series like 1.2.x, or \
     comparisons like >= 1.2, < 2)"
)]
pub struct ParseVersionRuleError(String);

impl FromStr for VersionRule {
    type Err = ParseVersionRuleError;

    /// Reads `any`, `= 1.2`, `1.2` (the same), `!= 1.2`, `>= 1.2, < 2`, `1.2.x`, and the
    /// Japanese `1.2以上`, `1.2以降`, `1.2以下`, `1.2以前`, `1.2未満`. Several conditions,
    /// separated by commas or by `、`, must all hold.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseVersionRuleError(text.trim().to_owned());
        let folded: String = text.nfkc().collect();
        let folded = folded.trim().to_lowercase();
        const ANY: [&str; 11] = [
            "",
            "any",
            "all",
            "*",
            "-",
            "全て",
            "すべて",
            "全バージョン",
            "指定なし",
            "制限なし",
            "問わない",
        ];
        if ANY.contains(&folded.as_str()) {
            return Ok(Self::ANY);
        }
        let parts = folded.split([',', '、', ';', '\n']).map(str::trim);
        let conditions = parts
            .map(|part| condition(part).ok_or_else(error))
            .collect::<Result<Vec<Condition>, _>>()?;
        Ok(Self { conditions })
    }
}

fn condition(part: &str) -> Option<Condition> {
    const BEFORE: [(&str, Relation); 11] = [
        ("==", Relation::Equal),
        ("!=", Relation::NotEqual),
        (">=", Relation::GreaterOrEqual),
        ("=>", Relation::GreaterOrEqual),
        ("≥", Relation::GreaterOrEqual),
        ("<=", Relation::LessOrEqual),
        ("=<", Relation::LessOrEqual),
        ("≤", Relation::LessOrEqual),
        ("=", Relation::Equal),
        (">", Relation::Greater),
        ("<", Relation::Less),
    ];
    const BEHIND: [(&str, Relation); 7] = [
        ("以上", Relation::GreaterOrEqual),
        ("以降", Relation::GreaterOrEqual),
        ("or later", Relation::GreaterOrEqual),
        ("or newer", Relation::GreaterOrEqual),
        ("以下", Relation::LessOrEqual),
        ("以前", Relation::LessOrEqual),
        ("未満", Relation::Less),
    ];
    let before = BEFORE.iter().find_map(|(sign, r)| Some((part.strip_prefix(sign)?, *r)));
    let behind = || BEHIND.iter().find_map(|(word, r)| Some((part.strip_suffix(word)?, *r)));
    let (version, relation) = match before.or_else(behind) {
        Some(found) => found,
        None => match part.strip_suffix(".x").or_else(|| part.strip_suffix(".*")) {
            Some(series) => (series, Relation::Series),
            None => (part, Relation::Equal),
        },
    };
    let text = without_label(version.trim());
    // Not a version: no number in front, a second sign, or words in between.
    let plain = |c: char| c.is_alphanumeric() || ".:-+~_".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
        return None;
    }
    let mut prefix = Vec::new();
    if relation == Relation::Series {
        for number in text.split('.') {
            let digits = Some(number).filter(|n| is_number(n))?.trim_start_matches('0');
            prefix.push(Token::Number(digits.len(), digits.to_owned()));
        }
    }
    Some(Condition { relation, version: Version::new(text), prefix })
}

impl From<VersionRule> for String {
    fn from(rule: VersionRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for VersionRule {
    type Error = ParseVersionRuleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn ascending(versions: &[&str]) {
        for (at, a) in versions.iter().enumerate() {
            for (behind, b) in versions.iter().enumerate() {
                let order = Version::new(a).cmp(&Version::new(b));
                assert_eq!(order, at.cmp(&behind), "{a} against {b}");
            }
        }
    }

    #[test]
    fn versions_ascend_as_people_read_them() {
        ascending(&["1.2~rc1", "1.2-alpha", "1.2beta2", "1.2rc1", "1.2", "1.2a", "1.2.1", "1.10"]);
        ascending(&["1.1.1", "1.1.1a", "1.1.1w", "1.1.2", "3.0.0"]);
        ascending(&["8.9p1", "9.2", "9.2p1", "9.2p2", "9.10"]);
        ascending(&["2.4.57", "2.4.57-2", "2.4.57-2+deb12u1", "2.4.57-2+deb12u2", "2.4.57-10"]);
        ascending(&["99.0", "1:0.1", "1:2", "2:0"]);
        ascending(&["1.99999999999999999999", "1.100000000000000000000", "2"]);
        ascending(&["2023-12-31", "2024-01-15", "2024-02-01"]);
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for (a, b) in [
            ("1.2", "1.2.0"),
            ("v1.2", "1.2"),
            ("Ver.1.2", "Version 1.2"),
            ("1.02", "1.2"),
            ("１．２", "1.2"),
            ("1.2.0p1", "1.2p1"),
            ("0:1.2", "1.2"),
            ("1.2RC1", "1.2-rc.1"),
        ] {
            assert_eq!(Version::new(a), Version::new(b), "{a} and {b}");
        }
    }

    #[track_caller]
    fn check(rule: &str, meets: &[&str], breaks: &[&str]) {
        let rule: VersionRule = rule.parse().unwrap();
        for version in meets {
            assert!(rule.matches(&Version::new(version)), "{rule} should hold for {version}");
        }
        for version in breaks {
            assert!(!rule.matches(&Version::new(version)), "{rule} should not hold for {version}");
        }
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn rules_hold_for_what_they_say() {
        check("any", &["", "1", "unknown"], &[]);
        check("= 1.2", &["1.2", "1.2.0", "v1.2"], &["1.2.1", "1.2p1", "1.2rc1"]);
        check("1.2", &["1.2"], &["1.3"]);
        check(">= 1.2, < 2", &["1.2", "1.99", "1.2p1"], &["1.1", "2.0", "1.2~rc1"]);
        check("1.2.x", &["1.2", "1.2.9", "1.2p1", "1.2.0"], &["1.20", "1.3", "1", "2.1.2"]);
        check("1.0.*", &["1", "1.0", "1.0.5"], &["1.1"]);
        check("!= 3.0.7", &["3.0.6"], &["3.0.7"]);
        check("９.２以上", &["9.2p1", "10"], &["9.1"]);
        check("1.2以降、2.0未満", &["1.5"], &["2.0", "1.1"]);
        check("8.9p1 or later", &["9.0"], &["8.9"]);
    }

    #[test]
    fn a_rule_about_the_makers_version_ignores_who_built_it() {
        check("= 2.4.57", &["2.4.57-2+deb12u1", "2.4.57+dfsg", "1:2.4.57-1"], &["2.4.58-1"]);
        check("<= 2.4.57", &["2.4.57-2+deb12u1"], &["2.4.57a"]);
        check("= 2.4.57-2", &["2.4.57-2"], &["2.4.57-3", "2.4.57"]);
        check(">= 1:2.0", &["1:2.1"], &["2.1", "99"]);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["latest", ">= ", ">> 1", "1.2 or so", "1.2,", "x.1", "a.x", "> 1 < 2"] {
            let error = text.parse::<VersionRule>().unwrap_err().to_string();
            assert!(error.contains(&format!("{:?}", text.trim())), "{error}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-c.~+:-]{0,12}", "[0-2](\\.[0-2]){0,3}(p|rc|~)?[0-1]?(-[0-1])?", ".{0,8}"]
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in text(), b in text(), c in text()) {
            let [a, b, c] = [a, b, c].map(|text| Version::new(&text));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
        }

        #[test]
        fn a_rule_reads_back(text in text()) {
            if let Ok(rule) = text.parse::<VersionRule>() {
                prop_assert_eq!(rule.to_string().parse(), Ok(rule));
            }
        }
    }
}
