//! The language in which lists are asked for: `--where`, the page and the API.
//!
//! ```text
//! query = [ any ]
//! any   = all { "or" all }
//! all   = one { [ "and" ] one }
//! one   = "not" one | "(" any ")" | term
//! term  = word                                         looked for in names, addresses, products …
//!       | field ":" value { "," value }                 one of these
//!       | field ( "=" | "!=" | "~" | "!~" ) text        "~" means contains
//!       | "address" ( ":" | "=" | "!=" | "in" ) network 192.0.2.0/24, 192.0.2.1-192.0.2.9
//!       | field ( "<" | "<=" | ">" | ">=" ) ( age | day | number )
//!                                                       seen<7d: less than seven days ago
//!       | field ( ":" | "=" | "!=" ) day                expires:2026-12: in that month
//! day   = "2026-12-24" | "2026-12" | "2026" | "today" | "yesterday" | "tomorrow"
//! ```
//!
//! What a field with ":" compares is what people mean by it: a part of a text, the whole of a word.
//! A field may have several values, such as every open port: `=` asks whether one of them fits, `!=`
//! whether none does. Upper and lower case are the same. A text after `=` and its like goes on to
//! the next `and` or `or`, as it did when there was nothing else; after ":" it is a word or quoted.
//!
//! A day, a month and a year have a beginning and an end, at the organisation's distance from UTC:
//! `<` is before it, `>` after it, `<=` and `>=` include it.

mod error;
mod field;
mod read;
mod value;
mod when;

use std::{borrow::Cow, collections::HashSet, net::IpAddr};

use jiff::tz::Offset;
use model::{AddressRange, Timestamp, Transport};

use crate::register::Day;

pub use error::{Problem, QueryError};
pub use field::{Column, Field, Kind, Level};

/// The longest query, in bytes.
pub const LONGEST: usize = 4_096;
/// Comparisons in a query, each value of a list counted, and each field in which a word is
/// looked for. The database's own limits are far above.
pub const MOST_TERMS: usize = 200;
/// Parentheses in parentheses, and nots.
pub const DEEPEST: usize = 20;

/// Which things of a kind to show.
#[derive(Clone, Debug)]
pub struct Query {
    kind: Kind,
    root: Node,
}

/// A part of a query. A comparison is never of what is not: that is [`Node::Not`] of it.
#[derive(Clone, Debug)]
pub enum Node {
    /// All of these, so nothing at all asks for everything.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A comparison.
    Leaf(Leaf),
}

/// A comparison of a field.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The field.
    pub field: &'static Field,
    /// With what.
    pub test: Test,
}

/// What a field is compared with. Texts are folded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Test {
    /// One of its texts is this.
    Equals(String),
    /// One of its texts has this in it.
    Contains(String),
    /// One of its addresses is in this.
    Within(AddressRange),
    /// It is this port.
    Port(u16, Option<Transport>),
    /// The number is this.
    Is(i64),
    /// The number, or moment, is less than this.
    Less(Bound),
    /// The number, or moment, is more than this.
    More(Bound),
    /// It is this or less.
    AtMost(Bound),
    /// It is this or more.
    AtLeast(Bound),
    /// The moment is from the one on and before the other.
    Between(Bound, Bound),
}

/// What a number or a moment is measured against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// A number.
    Number(i64),
    /// A moment so many seconds after now, before it where negative.
    Seconds(i64),
    /// The first moment of the day so many days after today.
    Midnight(i32, Offset),
}

impl Bound {
    /// The number that the column is compared with.
    #[must_use]
    pub fn value(self, as_of: Timestamp) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Seconds(seconds) => as_of.0.saturating_add(seconds.saturating_mul(1_000_000)),
            Self::Midnight(days, offset) => {
                let today = Day::of(as_of, offset).starts_at(offset);
                today.plus_seconds(i64::from(days).saturating_mul(86_400)).0
            }
        }
    }
}

/// The value of a moment that is not known: neither before nor after anything.
pub const NEVER: i64 = i64::MAX;

/// A value of a row.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// The row has no such column.
    Nothing,
    /// A number, a moment in microseconds since 1970, or 0 and 1.
    Number(i64),
    /// Folded text, or several between line ends.
    Text(Cow<'a, str>),
    /// Addresses.
    Addresses(&'a [IpAddr]),
}

/// A row that can be asked.
pub trait Row {
    /// The value in that column.
    fn cell(&self, column: Column) -> Cell<'_>;
}

/// A thing with the asset that it belongs to, if it belongs to one.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// The thing.
    pub row: &'a dyn Row,
    /// Its asset.
    pub asset: Option<&'a dyn Row>,
}

/// Text as it is compared: in lower case, and a space for what is no letter or sign, so that
/// nothing that a device says ends a text between line ends.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().to_lowercase()
}

/// Several texts as one: each folded, between line ends, in their order, none twice.
pub fn fold_all<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut known = HashSet::new();
    let mut all = String::new();
    for text in texts {
        let text = fold(text.as_ref());
        if !text.is_empty() && !known.contains(&text) {
            all.push_str(if all.is_empty() { "\n" } else { "" });
            all.push_str(&text);
            all.push('\n');
            known.insert(text);
        }
    }
    all
}

/// A whole text among several.
pub(crate) fn between(text: &str) -> String {
    format!("\n{text}\n")
}

impl Query {
    /// Everything of a kind.
    #[must_use]
    pub const fn everything(kind: Kind) -> Self {
        Self { kind, root: Node::All(Vec::new()) }
    }

    /// Reads a query for things of a kind. The empty text is everything. Days in it begin at the
    /// organisation's distance from UTC.
    ///
    /// # Errors
    ///
    /// Says where it is wrong, and how.
    pub fn parse(kind: Kind, text: &str, offset: Offset) -> Result<Self, QueryError> {
        read::read(kind, text, offset).map(|root| Self { kind, root })
    }

    /// Whether it asks for everything there is.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        matches!(&self.root, Node::All(nodes) if nodes.is_empty())
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What it asks.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// Whether the thing is among those asked for, as things stand at `as_of`.
    #[must_use]
    pub fn matches(&self, candidate: Candidate<'_>, as_of: Timestamp) -> bool {
        self.root.matches(candidate, as_of)
    }
}

impl Node {
    pub(crate) fn matches(&self, candidate: Candidate<'_>, as_of: Timestamp) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(candidate, as_of)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(candidate, as_of)),
            Self::Not(node) => !node.matches(candidate, as_of),
            Self::Leaf(leaf) => leaf.matches(candidate, as_of),
        }
    }
}

impl Leaf {
    fn matches(&self, candidate: Candidate<'_>, as_of: Timestamp) -> bool {
        let row = match self.field.level {
            Level::Row | Level::Shared => candidate.row,
            Level::Asset => match candidate.asset {
                Some(asset) => asset,
                None => return false,
            },
        };
        match (row.cell(self.field.column), &self.test) {
            (Cell::Text(text), Test::Equals(value)) if self.field.many => {
                text.contains(&between(value))
            }
            (Cell::Text(text), Test::Equals(value)) => text == *value,
            (Cell::Text(text), Test::Contains(value)) => text.contains(value),
            (Cell::Text(text), Test::Port(port, transport)) => match transport {
                Some(transport) => text.contains(&format!("\n{port}/{transport}\n")),
                None => text.contains(&format!("\n{port}/")),
            },
            (Cell::Addresses(addresses), Test::Within(range)) => {
                addresses.iter().any(|address| range.contains(*address))
            }
            (Cell::Addresses(addresses), Test::Contains(value)) => {
                addresses.iter().any(|address| address.to_string().contains(value))
            }
            (Cell::Number(number), Test::Port(port, transport)) => {
                number == i64::from(*port)
                    && transport.is_none_or(|transport| match row.cell(Column::Transport) {
                        Cell::Text(text) => text == transport.as_str(),
                        _ => false,
                    })
            }
            (Cell::Number(number), Test::Is(value)) => number == *value,
            (Cell::Number(number), Test::Less(bound)) => number < bound.value(as_of),
            (Cell::Number(number), Test::More(bound)) => {
                number > bound.value(as_of) && number != NEVER
            }
            (Cell::Number(number), Test::AtMost(bound)) => {
                number <= bound.value(as_of) && number != NEVER
            }
            (Cell::Number(number), Test::AtLeast(bound)) => {
                number >= bound.value(as_of) && number != NEVER
            }
            (Cell::Number(number), Test::Between(from, until)) => {
                number >= from.value(as_of) && number < until.value(as_of)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
