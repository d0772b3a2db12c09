//! From text to a query.

use std::{net::IpAddr, ops::Range};

use jiff::tz::Offset;
use model::MacAddr;

use super::{
    Bound, DEEPEST, Kind, LONGEST, Leaf, MOST_TERMS, Node, Problem, QueryError, Test,
    error::nearest,
    field::{Field, Shape},
    fold,
    value::{network, number, port},
    when::When,
};

pub(super) fn read(kind: Kind, text: &str, offset: Offset) -> Result<Node, QueryError> {
    let mut reader = Reader { kind, text, offset, at: 0, terms: 0, depth: 0 };
    if text.len() > LONGEST {
        return Err(reader.error(0..text.len(), Problem::Long));
    }
    reader.space();
    if reader.rest().is_empty() {
        return Ok(Node::All(Vec::new()));
    }
    let node = reader.any()?;
    match reader.rest() {
        "" => Ok(node),
        // Only this ends an expression before the text does.
        _ => Err(reader.error(reader.at..reader.at.saturating_add(1), Problem::Parenthesis)),
    }
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sign {
    Has,
    Equals,
    Differs,
    Contains,
    Lacks,
    Less,
    More,
    AtMost,
    AtLeast,
    In,
}

impl Sign {
    /// The longer ones first.
    const ALL: [(&'static str, Self); 9] = [
        ("!=", Self::Differs),
        ("!~", Self::Lacks),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        (":", Self::Has),
        ("=", Self::Equals),
        ("~", Self::Contains),
        ("<", Self::Less),
        (">", Self::More),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, sign)| *sign == self).map_or("in", |(text, _)| text)
    }

    const fn is_negative(self) -> bool {
        matches!(self, Self::Differs | Self::Lacks)
    }

    /// The other way round.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::More => Self::Less,
            Self::AtMost => Self::AtLeast,
            Self::AtLeast => Self::AtMost,
            other => other,
        }
    }

    /// Compares with a bound; `None` where it does not order.
    const fn bounded(self, bound: Bound) -> Option<Test> {
        match self {
            Self::Less => Some(Test::Less(bound)),
            Self::More => Some(Test::More(bound)),
            Self::AtMost => Some(Test::AtMost(bound)),
            Self::AtLeast => Some(Test::AtLeast(bound)),
            _ => None,
        }
    }

    /// Compares with what lasts from one bound to another: before it, after it, in it.
    const fn spanned(self, from: Bound, until: Bound) -> Test {
        match self {
            Self::Less => Test::Less(from),
            Self::AtMost => Test::Less(until),
            Self::More => Test::AtLeast(until),
            Self::AtLeast => Test::AtLeast(from),
            _ => Test::Between(from, until),
        }
    }
}

struct Reader<'t> {
    kind: Kind,
    text: &'t str,
    offset: Offset,
    at: usize,
    terms: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.text.len());
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.skip(rest.len().saturating_sub(rest.trim_start().len()));
    }

    fn error(&self, range: Range<usize>, problem: Problem) -> QueryError {
        let range = range.start.min(self.text.len())..range.end.min(self.text.len());
        let term = self.text.get(range.clone()).unwrap_or_default().to_owned();
        QueryError { range, term, problem }
    }

    /// Whether that word of the language comes next.
    fn comes(&self, word: &str) -> bool {
        let Some((start, rest)) = self.rest().split_at_checked(word.len()) else { return false };
        let ends = rest.chars().next().is_none_or(|c| c.is_whitespace() || c == '(' || c == ')');
        start.eq_ignore_ascii_case(word) && ends
    }

    fn any(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.all()?];
        while self.comes("or") {
            self.skip(2);
            nodes.push(self.all()?);
        }
        Ok(one_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.one()?];
        loop {
            self.space();
            if self.comes("and") {
                self.skip(3);
            } else if self.rest().is_empty() || self.rest().starts_with(')') || self.comes("or") {
                return Ok(one_or(nodes, Node::All));
            }
            nodes.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Node, QueryError> {
        self.space();
        let start = self.at;
        let (negated, opened) = (self.comes("not"), self.rest().starts_with('('));
        if !negated && !opened {
            return self.term();
        }
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST {
            return Err(self.error(start..self.text.len(), Problem::Deep));
        }
        let node = if negated {
            self.skip(3);
            Node::Not(Box::new(self.one()?))
        } else {
            self.skip(1);
            let node = self.any()?;
            if !self.rest().starts_with(')') {
                return Err(self.error(start..start.saturating_add(1), Problem::Parenthesis));
            }
            self.skip(1);
            node
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(node)
    }

    fn term(&mut self) -> Result<Node, QueryError> {
        let start = self.at;
        let rest = self.rest();
        if rest.is_empty() || rest.starts_with(')') || self.comes("and") || self.comes("or") {
            let word = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
            return Err(self.error(start..start.saturating_add(word), Problem::Nothing));
        }
        if rest.starts_with('"') {
            let (_, text) = self.value(start, &[])?;
            return self.search(start, &text);
        }
        match self.comparison() {
            Some((name, sign)) => self.compare(start, name, sign),
            None => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || c == '(' || c == ')' || c == '"');
                let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                if word.starts_with(['=', '!', '~', '<', '>', ':', ',']) {
                    let range = start..start.saturating_add(word.len());
                    return Err(self.error(range, Problem::Nothing));
                }
                self.skip(word.len());
                self.search(start, word)
            }
        }
    }

    /// The field and the comparison that come next, read, if they do. What looks like an address
    /// is one.
    fn comparison(&mut self) -> Option<(&'t str, Sign)> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic() && !c.is_ascii_digit())?;
        let (name, after) = rest.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
        let spaced = after.trim_start();
        let space = after.len().saturating_sub(spaced.len());
        let (word, sign) = match Sign::ALL.iter().find(|(word, _)| spaced.starts_with(word)) {
            // A colon after a space is a part of something else.
            Some((_, Sign::Has)) if space > 0 || is_address(rest) => return None,
            Some((word, sign)) => (*word, *sign),
            None => {
                let is_in = spaced.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("in"));
                let ends =
                    spaced.get(2..).is_some_and(|rest| rest.starts_with(char::is_whitespace));
                let known = self.kind.field(&name.to_ascii_lowercase()).is_some();
                (space > 0 && is_in && ends && known).then_some(("in", Sign::In))?
            }
        };
        self.skip(name.len().saturating_add(space).saturating_add(word.len()));
        Some((name, sign))
    }

    fn compare(&mut self, start: usize, name: &str, sign: Sign) -> Result<Node, QueryError> {
        let named = start..start.saturating_add(name.len());
        let lower = name.to_ascii_lowercase();
        let Some(field) = self.kind.field(&lower) else {
            let problem = Problem::Field {
                meant: nearest(&lower, self.kind.fields()),
                fields: self.kind.fields().collect::<Vec<_>>().join(", "),
                name: name.to_owned(),
            };
            return Err(self.error(named, problem));
        };
        if let Some(use_) = refused(&field.shape, sign) {
            let comparison = sign.as_str().to_owned();
            let problem = Problem::Comparison { field: lower, comparison, use_ };
            return Err(self.error(start..self.at, problem));
        }
        self.space();
        let mut leaves = Vec::new();
        loop {
            let (range, value) = match sign {
                Sign::Has => self.value(start, &[','])?,
                Sign::Less | Sign::More | Sign::AtMost | Sign::AtLeast => self.value(start, &[])?,
                _ => self.long_value(start)?,
            };
            let test = test(field, sign, &value, self.offset);
            let test = test.map_err(|problem| self.error(range, problem))?;
            self.count(start, 1)?;
            leaves.push(Node::Leaf(Leaf { field, test }));
            if sign != Sign::Has || !self.rest().starts_with(',') {
                break;
            }
            self.skip(1);
            self.space();
        }
        let node = one_or(leaves, Node::Any);
        Ok(if sign.is_negative() { Node::Not(Box::new(node)) } else { node })
    }

    /// A bare word, looked for where words are.
    fn search(&mut self, start: usize, word: &str) -> Result<Node, QueryError> {
        let fields = self.kind.searched();
        self.count(start, fields.len())?;
        let value = fold(word);
        let leaf = |field| Node::Leaf(Leaf { field, test: Test::Contains(value.clone()) });
        Ok(Node::Any(fields.iter().map(leaf).collect()))
    }

    fn count(&mut self, start: usize, terms: usize) -> Result<(), QueryError> {
        self.terms = self.terms.saturating_add(terms);
        match self.terms > MOST_TERMS {
            true => Err(self.error(start..self.at, Problem::Many)),
            false => Ok(()),
        }
    }

    /// A quoted text.
    fn quoted(&mut self, ends: &[char]) -> Result<(Range<usize>, String), QueryError> {
        let start = self.at;
        self.skip(1);
        let Some(end) = self.rest().find('"') else {
            return Err(self.error(start..self.text.len(), Problem::Quote));
        };
        let text = self.rest().get(..end).unwrap_or_default().to_owned();
        self.skip(end.saturating_add(1));
        let range = start..self.at;
        let after = self.rest().chars().next();
        if after.is_some_and(|c| !c.is_whitespace() && c != ')' && !ends.contains(&c)) {
            let length = after.map_or(0, char::len_utf8);
            return Err(self.error(start..self.at.saturating_add(length), Problem::Quote));
        }
        match text.trim().is_empty() {
            true => Err(self.error(range, Problem::NoValue)),
            false => Ok((range, text)),
        }
    }

    /// A word, or what is quoted. `before` is where its term began.
    fn value(
        &mut self,
        before: usize,
        ends: &[char],
    ) -> Result<(Range<usize>, String), QueryError> {
        if self.rest().starts_with('"') {
            return self.quoted(ends);
        }
        let start = self.at;
        // Beside the value itself, a word of the language is none.
        let end = match self.comes("and") || self.comes("or") {
            true => 0,
            false => self.unquoted(|c, _| c.is_whitespace() || ends.contains(&c)),
        };
        self.finish(before, start, end)
    }

    /// What is quoted, or everything to the next `and` or `or`.
    fn long_value(&mut self, before: usize) -> Result<(Range<usize>, String), QueryError> {
        if self.rest().starts_with('"') {
            return self.quoted(&[]);
        }
        let start = self.at;
        let ends = |c: char, rest: &str| {
            let word = rest.trim_start();
            let next = |word: &str, with: &str| {
                word.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
                    && word
                        .get(with.len()..)
                        .and_then(|rest| rest.chars().next())
                        .is_none_or(|c| c.is_whitespace() || c == '(')
            };
            c.is_whitespace() && (next(word, "and") || next(word, "or"))
        };
        let end = match self.comes("and") || self.comes("or") {
            true => 0,
            false => self.unquoted(ends),
        };
        self.finish(before, start, end)
    }

    /// Where the value that begins here ends: a parenthesis that it did not open ends it too.
    fn unquoted(&self, ends: impl Fn(char, &str) -> bool) -> usize {
        let rest = self.rest();
        let mut open = 0_usize;
        for (at, c) in rest.char_indices() {
            match c {
                '(' => open = open.saturating_add(1),
                ')' if open == 0 => return at,
                ')' => open = open.saturating_sub(1),
                _ if ends(c, rest.get(at..).unwrap_or_default()) => return at,
                _ => {}
            }
        }
        rest.len()
    }

    fn finish(
        &mut self,
        before: usize,
        start: usize,
        end: usize,
    ) -> Result<(Range<usize>, String), QueryError> {
        let text = self.rest().get(..end).unwrap_or_default().trim_end();
        self.skip(end);
        let range = start..start.saturating_add(text.len());
        match (text.is_empty(), text.contains('"')) {
            (true, _) => {
                let read = self.text.get(before..start).unwrap_or_default().trim_end();
                Err(self.error(before..before.saturating_add(read.len()), Problem::NoValue))
            }
            (_, true) => Err(self.error(range, Problem::Quote)),
            _ => Ok((range, text.to_owned())),
        }
    }
}

fn one_or(mut nodes: Vec<Node>, all: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            all(nodes)
        }
    }
}

/// Whether the word that begins here is a network or link-layer address, or the beginning of one.
fn is_address(text: &str) -> bool {
    let word = text.split(|c: char| c.is_whitespace() || c == ')').next().unwrap_or_default();
    let digits = word
        .split(':')
        .all(|part| part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits || word.parse::<IpAddr>().is_ok()
}

/// What to compare with instead, where the field cannot be compared like that.
const fn refused(shape: &Shape, sign: Sign) -> Option<&'static str> {
    use Sign::{AtLeast, AtMost, Contains, Differs, Equals, Has, In, Lacks, Less, More};
    let is_ordered = matches!(shape, Shape::Number | Shape::Past | Shape::Future);
    match (shape, sign) {
        (_, Contains | Lacks | In) if is_ordered => Some(":, =, !=, <, <=, > or >="),
        (_, _) if is_ordered => None,
        (Shape::Port | Shape::Flag | Shape::Ids, Has | Equals | Differs) => None,
        (Shape::Port | Shape::Flag | Shape::Ids, _) => Some(":, = or !="),
        (Shape::Address, Less | More | AtMost | AtLeast) => Some(":, =, !=, ~, !~ or in"),
        (Shape::Address, _) => None,
        (_, Less | More | AtMost | AtLeast | In) => Some(":, =, !=, ~ or !~"),
        (_, Has | Equals | Differs | Contains | Lacks) => None,
    }
}

fn test(field: &Field, sign: Sign, value: &str, offset: Offset) -> Result<Test, Problem> {
    let part = matches!(sign, Sign::Contains | Sign::Lacks);
    let folded = fold(value);
    Ok(match &field.shape {
        Shape::Text if part || sign == Sign::Has => Test::Contains(folded),
        Shape::Text => Test::Equals(folded),
        Shape::Name | Shape::Word(_) | Shape::Address if part => Test::Contains(folded),
        Shape::Name => Test::Equals(folded),
        Shape::Word(words) => {
            let words = words();
            if !words.contains(&folded.as_str()) {
                return Err(Problem::Word {
                    field: field.name,
                    value: value.to_owned(),
                    meant: nearest(&folded, words.iter().copied()),
                    words: words.join(", "),
                });
            }
            Test::Equals(folded)
        }
        // However people write it, the asset has it in one spelling.
        Shape::Mac => match (value.parse::<MacAddr>(), part || sign == Sign::Has) {
            (Ok(mac), _) => Test::Equals(mac.to_string()),
            (Err(_), true) => Test::Contains(folded),
            (Err(_), false) => Test::Equals(folded),
        },
        Shape::Address => {
            Test::Within(network(value).ok_or_else(|| Problem::Network(value.to_owned()))?)
        }
        Shape::Port => {
            let (port, transport) = port(&folded).ok_or_else(|| Problem::Port(value.to_owned()))?;
            Test::Port(port, transport)
        }
        Shape::Ids => Test::Equals(number(value)?.to_string()),
        Shape::Number => {
            let number = number(value)?;
            sign.bounded(Bound::Number(number)).unwrap_or(Test::Is(number))
        }
        Shape::Flag => match folded.as_str() {
            "yes" | "true" | "1" => Test::Is(1),
            "no" | "false" | "0" => Test::Is(0),
            _ => return Err(Problem::Flag(value.to_owned())),
        },
        shape @ (Shape::Past | Shape::Future) => match (When::read(value, offset)?, shape) {
            (When::Span(from, until), _) => sign.spanned(from, until),
            // Less than seven days ago is after the moment seven days ago.
            (When::Length(seconds), Shape::Past) => {
                let test = sign.turned().bounded(Bound::Seconds(seconds.saturating_neg()));
                test.ok_or_else(|| Problem::Length(value.to_owned()))?
            }
            (When::Length(seconds), _) => {
                let test = sign.bounded(Bound::Seconds(seconds));
                test.ok_or_else(|| Problem::Length(value.to_owned()))?
            }
        },
    })
}
