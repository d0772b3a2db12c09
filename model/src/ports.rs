use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A set of port numbers, written as ranges: `22,80,8000-8100`.
///
/// Port 0 is never a member: nothing can listen on it (RFC 6335, section 6).
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortSet {
    /// Disjoint, not adjacent, ascending.
    ranges: Vec<(u16, u16)>,
}

impl PortSet {
    /// Every port from 1 to 65535.
    #[must_use]
    pub fn all() -> Self {
        Self { ranges: vec![(1, u16::MAX)] }
    }

    /// Whether `port` is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= port);
        after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|(_, last)| port <= *last)
    }

    /// How many ports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        Self::from_ranges(ports.into_iter().map(|port| (port, port)).collect())
    }
}

impl PortSet {
    fn from_ranges(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.retain(|(_, last)| *last > 0);
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            let first = first.max(1);
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl From<PortSet> for String {
    fn from(ports: PortSet) -> Self {
        ports.to_string()
    }
}

/// The text is not a set of ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsePortsError {
    /// The part that is wrong.
    pub part: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for ParsePortsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {:?}: {}", self.part, self.problem)
    }
}

impl std::error::Error for ParsePortsError {}

impl FromStr for PortSet {
    type Err = ParsePortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| match part.trim().parse::<u16>() {
            Ok(0) => Err(ParsePortsError { part: part.into(), problem: "0 is not a port" }),
            Ok(port) => Ok(port),
            Err(_) => Err(ParsePortsError {
                part: part.into(),
                problem: "expected a number from 1 to 65535, or a range like 8000-8100",
            }),
        };
        let mut ranges = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                let problem = "the range runs backwards";
                return Err(ParsePortsError { part: part.into(), problem });
            }
            ranges.push((first, last));
        }
        Ok(Self::from_ranges(ranges))
    }
}

impl TryFrom<String> for PortSet {
    type Error = ParsePortsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text.parse::<PortSet>().map(|set| set.to_string()).map_err(|e| e.to_string());
        assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn ranges_are_joined_and_sorted() {
        check("80,22,8000-8100,8050-8200,81", Ok("22,80-81,8000-8200"));
        check("1-65535,5", Ok("1-65535"));
        check("", Ok(""));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("22,90-80", Err("port \"90-80\": the range runs backwards"));
        check("0", Err("port \"0\": 0 is not a port"));
        check(
            "22,ssh",
            Err("port \"ssh\": expected a number from 1 to 65535, or a range like 8000-8100"),
        );
    }

    #[test]
    fn membership_and_count_agree_with_iteration() {
        let set: PortSet = "22,80-81,8000-8200".parse().unwrap();
        assert_eq!(set.len(), set.iter().count());
        assert!(set.iter().all(|port| set.contains(port)));
        assert!(!set.contains(82) && !set.contains(21) && !set.contains(8201));
        assert_eq!(PortSet::all().len(), 65_535);
    }
}
