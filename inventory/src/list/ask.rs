//! What a query asks for, found in what is held: how many there are, a page of them in order, and
//! how they are spread over the values of a field.
//!
//! What is asked of an asset is answered once for each asset, and what is asked of what many things
//! share once for each of these; the things themselves only look the answers up. Whether a row fits
//! is decided by the same function as on the command line (`Node::matches`).

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use model::Timestamp;

use super::{
    held::{AssetPart, Held},
    row::{Asset, Endpoint, Listed, Program},
    sort::{Cursor, Direction, Place, Sort, Value},
};
use crate::{
    cores,
    query::{Candidate, Cell, Column, Kind, Level, Node, Query, Row},
};

/// The most values of a facet; the others are few.
const VALUES: usize = 50;

/// So many things have a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Count {
    /// The value; empty where none is known.
    pub value: String,
    /// How many have it.
    pub count: u64,
}

/// How what a query asks for is spread over the values of a field, the most first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facet {
    /// The field of the query language.
    pub field: &'static str,
    /// Its values.
    pub values: Vec<Count>,
}

/// Which part of a list.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) query: Query,
    pub(crate) sort: Sort,
    pub(crate) direction: Direction,
    pub(crate) after: Option<Cursor>,
    /// Rows.
    pub(crate) size: usize,
    pub(crate) as_of: Timestamp,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Answer<'h> {
    /// Rows that the query asks for.
    pub(crate) total: u64,
    /// Where those of the page stand, in order, and the one behind them, if there is one.
    pub(crate) places: Vec<Place<'h>>,
}

/// A query whose parts know of which row they are asked.
enum Step<'q> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// Of the thing itself.
    Row(&'q Node),
    /// The answer for the thing's asset, by its place among the nodes asked of assets.
    Asset(usize),
    /// The answer for what it shares, likewise.
    Shared(usize),
    /// The answer for its address, likewise.
    Address(usize),
}

#[derive(Default)]
struct Nodes<'q> {
    assets: Vec<&'q Node>,
    shared: Vec<&'q Node>,
    addresses: Vec<&'q Node>,
}

/// What a node asks.
#[derive(Clone, Copy, Eq, PartialEq)]
enum About {
    Row,
    /// The address of an endpoint: the next endpoints mostly have the same.
    Address,
    Asset,
    Shared,
}

/// What all of the node asks, if that is one and the same.
fn about(node: &Node) -> Option<About> {
    match node {
        Node::Leaf(leaf) => Some(match (leaf.field.level, leaf.field.column) {
            (Level::Asset, _) => About::Asset,
            (Level::Shared, _) => About::Shared,
            (Level::Row, Column::Address) => About::Address,
            (Level::Row, _) => About::Row,
        }),
        Node::Not(node) => about(node),
        Node::All(nodes) | Node::Any(nodes) => {
            let mut all = nodes.iter().map(about);
            let first = all.next()??;
            all.all(|one| one == Some(first)).then_some(first)
        }
    }
}

impl<'q> Nodes<'q> {
    fn step(&mut self, node: &'q Node) -> Step<'q> {
        let place = |nodes: &mut Vec<&'q Node>| {
            nodes.push(node);
            nodes.len().saturating_sub(1)
        };
        match (about(node), node) {
            (Some(About::Asset), _) => Step::Asset(place(&mut self.assets)),
            (Some(About::Shared), _) => Step::Shared(place(&mut self.shared)),
            (Some(About::Address), _) => Step::Address(place(&mut self.addresses)),
            (Some(About::Row), _) | (None, Node::Leaf(_)) => Step::Row(node),
            (None, Node::Not(node)) => Step::Not(Box::new(self.step(node))),
            (None, Node::All(nodes)) => Step::All(self.steps(nodes)),
            (None, Node::Any(nodes)) => Step::Any(self.steps(nodes)),
        }
    }

    /// What is answered already comes first.
    fn steps(&mut self, nodes: &'q [Node]) -> Vec<Step<'q>> {
        let mut steps: Vec<Step<'q>> = nodes.iter().map(|node| self.step(node)).collect();
        steps.sort_by_key(|step| matches!(step, Step::Row(_)));
        steps
    }
}

/// What was answered of one row's asset, and of what it shares.
#[derive(Clone, Copy)]
struct Known<'k> {
    /// By node, then by the asset's place in its part.
    assets: &'k [Vec<bool>],
    asset: usize,
    /// By node, then by number.
    shared: &'k [Vec<bool>],
    number: usize,
    /// By node.
    address: &'k [bool],
}

impl Step<'_> {
    fn fits(&self, row: &dyn Row, known: Known<'_>, as_of: Timestamp) -> bool {
        let answer = |of: &[Vec<bool>], node: usize, at: usize| {
            of.get(node).and_then(|of| of.get(at)).copied().unwrap_or_default()
        };
        match self {
            Self::All(steps) => steps.iter().all(|step| step.fits(row, known, as_of)),
            Self::Any(steps) => steps.iter().any(|step| step.fits(row, known, as_of)),
            Self::Not(step) => !step.fits(row, known, as_of),
            Self::Row(node) => fits(node, row, as_of),
            Self::Asset(node) => answer(known.assets, *node, known.asset),
            Self::Shared(node) => answer(known.shared, *node, known.number),
            Self::Address(node) => known.address.get(*node).copied().unwrap_or_default(),
        }
    }
}

/// What a part is asked for: every row that fits is handed on, with the number of what it shares.
trait Take<'h>: Sized + Send {
    fn take<L: Listed<'h>>(&mut self, row: &L, number: u32);
}

/// The first rows of an order behind a place, and how many there are in all.
struct First<'h, 'a> {
    sort: Sort,
    direction: Direction,
    after: Option<&'a Place<'a>>,
    size: usize,
    total: u64,
    kept: Vec<Place<'h>>,
    /// The last place that can still be among them.
    last: Option<Place<'h>>,
}

impl<'h> Take<'h> for First<'h, '_> {
    fn take<L: Listed<'h>>(&mut self, row: &L, _: u32) {
        self.total = self.total.saturating_add(1);
        let behind =
            |one: &Place<'_>, other: &Place<'_>| self.direction.compare(one, other).is_gt();
        // Most are told by the value alone.
        if let Some([last, ..]) = &self.last
            && self.direction.compare(&row.value(self.sort.column), last).is_gt()
        {
            return;
        }
        let place = row.place(self.sort.column);
        if self.last.as_ref().is_some_and(|last| behind(&place, last))
            || self.after.is_some_and(|after| !behind(&place, after))
        {
            return;
        }
        self.kept.push(place);
        if self.kept.len() >= self.size.saturating_mul(2).max(64) {
            self.cut();
        }
    }
}

impl First<'_, '_> {
    /// Keeps as many as are asked for.
    fn cut(&mut self) {
        if self.kept.len() > self.size {
            let direction = self.direction;
            let order = |one: &Place<'_>, other: &Place<'_>| direction.compare(one, other);
            self.kept.select_nth_unstable_by(self.size, order);
            self.kept.truncate(self.size);
            self.last = self.kept.iter().copied().max_by(order);
        }
    }
}

/// How often there is each number of what is shared, and each value of some columns.
struct Tally<'h> {
    columns: &'static [Column],
    numbers: HashMap<u32, u64>,
    values: BTreeMap<[Value<'h>; 3], u64>,
}

impl<'h> Take<'h> for Tally<'h> {
    fn take<L: Listed<'h>>(&mut self, row: &L, number: u32) {
        let count = if self.columns.is_empty() {
            self.numbers.entry(number).or_default()
        } else {
            let mut values = [Value::Nothing; 3];
            for (value, column) in values.iter_mut().zip(self.columns) {
                *value = row.value(*column);
            }
            self.values.entry(values).or_default()
        };
        *count = count.saturating_add(1);
    }
}

/// What can be narrowed down by, and the columns for it.
const fn facets(kind: Kind) -> (&'static [&'static str], &'static [Column]) {
    match kind {
        Kind::Assets => (
            &["class", "registration", "site"],
            &[Column::Class, Column::Registration, Column::Site],
        ),
        Kind::Certificates => (&["trust", "key"], &[Column::Trust, Column::Key]),
        Kind::Findings => {
            (&["severity", "state", "rule"], &[Column::Severity, Column::State, Column::Rule])
        }
        Kind::Services => (
            &["protocol", "port", "transport", "state", "product"],
            &[Column::Protocol, Column::Port, Column::Transport, Column::State, Column::Product],
        ),
        Kind::Software => (&["product", "version"], &[Column::Product, Column::Version]),
    }
}

impl Held {
    /// A page and the row behind it, and how many rows there are.
    pub(crate) fn ask(&self, ask: &Ask) -> Answer<'_> {
        let after = ask.after.as_ref().and_then(Cursor::place);
        let parts = self.each(&ask.query, ask.as_of, || First {
            sort: ask.sort,
            direction: ask.direction,
            after: after.as_ref(),
            size: ask.size.saturating_add(1),
            total: 0,
            kept: Vec::new(),
            last: None,
        });
        let mut answer = Answer::default();
        for part in parts {
            answer.total = answer.total.saturating_add(part.total);
            answer.places.extend(part.kept);
        }
        answer.places.sort_unstable_by(|one, other| ask.direction.compare(one, other));
        answer.places.truncate(ask.size.saturating_add(1));
        answer
    }

    /// How what a query asks for is spread over the fields by which people narrow it down.
    pub(crate) fn facets(&self, query: &Query, as_of: Timestamp) -> Vec<Facet> {
        let (fields, columns) = facets(query.kind());
        let is_shared = matches!(query.kind(), Kind::Services | Kind::Software);
        let parts = self.each(query, as_of, || Tally {
            columns: if is_shared { &[] } else { columns },
            numbers: HashMap::new(),
            values: BTreeMap::new(),
        });
        let mut counts: Vec<BTreeMap<Value<'_>, u64>> = vec![BTreeMap::new(); fields.len()];
        for part in parts {
            for (values, count) in part.values {
                add(&mut counts, values, count);
            }
            for (number, count) in part.numbers {
                let value = |column: &Column| match query.kind() {
                    Kind::Software => self.products.get(number).map(|one| one.value(*column)),
                    _ => self.kinds.get(number).map(|one| one.value(*column)),
                };
                let values = columns.iter().map(|column| value(column).unwrap_or(Value::Nothing));
                add(&mut counts, values, count);
            }
        }
        let facet = |(field, counts): (&&'static str, BTreeMap<Value<'_>, u64>)| {
            let counts = counts.into_iter().map(|(value, count)| (shown(value), count));
            Facet { field, values: most(counts) }
        };
        fields.iter().zip(counts).map(facet).collect()
    }

    /// What each part gives, in their order.
    fn each<'h, T: Take<'h>>(
        &'h self,
        query: &Query,
        as_of: Timestamp,
        new: impl Fn() -> T + Sync,
    ) -> Vec<T> {
        let plan = Plan::of(self, query, as_of);
        let none = Known { assets: &[], asset: 0, shared: &plan.shared, number: 0, address: &[] };
        match query.kind() {
            Kind::Assets => cores::each_large(self.assets.iter().collect(), |part| {
                plan.taken(part.rows(), new())
            }),
            Kind::Services => cores::each_large(self.assets.iter().collect(), |part| {
                let (mut taker, answers) = (new(), plan.about(part));
                let mut at: (Option<IpAddr>, Vec<bool>) = (None, Vec::new());
                for service in &part.services {
                    let (asset, number) = (service.asset as usize, service.kind as usize);
                    let row = Endpoint { part, kinds: &self.kinds, service };
                    if at.0 != Some(service.address) {
                        let fits = |node: &&Node| fits(node, &row, as_of);
                        at = (
                            Some(service.address),
                            plan.nodes.addresses.iter().map(fits).collect(),
                        );
                    }
                    let known = Known { assets: &answers, asset, number, address: &at.1, ..none };
                    if plan.root.fits(&row, known, as_of) {
                        taker.take(&row, service.kind);
                    }
                }
                taker
            }),
            Kind::Software => cores::each_large(self.assets.iter().collect(), |part| {
                let (mut taker, answers) = (new(), plan.about(part));
                for (at, software) in part.software.iter().enumerate() {
                    let (asset, number) = (software.asset as usize, software.kind as usize);
                    let row = Program { part, products: &self.products, software, at };
                    let known = Known { assets: &answers, asset, number, ..none };
                    if plan.root.fits(&row, known, as_of) {
                        taker.take(&row, software.kind);
                    }
                }
                taker
            }),
            Kind::Certificates => cores::each_large(self.certificates.iter().collect(), |part| {
                plan.taken(part.rows(), new())
            }),
            Kind::Findings => {
                let assets = self.assets.iter().collect();
                let answers = cores::each_large(assets, |part| plan.about(part));
                // What holds of a thing that has no asset.
                let of_nobody = |node: &&Node| vec![fits(node, &Nobody, as_of)];
                let nobody: Vec<Vec<bool>> = plan.nodes.assets.iter().map(of_nobody).collect();
                cores::each_large(self.findings.iter().collect(), |part| {
                    let mut taker = new();
                    for row in part.rows() {
                        let place = self.asset(row.asset());
                        let about = place.and_then(|(part, at)| Some((answers.get(part)?, at)));
                        let (assets, asset) = about.unwrap_or((&nobody, 0));
                        if plan.root.fits(&row, Known { assets, asset, ..none }, as_of) {
                            taker.take(&row, 0);
                        }
                    }
                    taker
                })
            }
        }
    }
}

/// A query with what is answered before any row of its kind is looked at.
struct Plan<'q> {
    root: Step<'q>,
    nodes: Nodes<'q>,
    /// By node, then by number.
    shared: Vec<Vec<bool>>,
    as_of: Timestamp,
}

impl<'q> Plan<'q> {
    fn of(held: &Held, query: &'q Query, as_of: Timestamp) -> Self {
        let mut nodes = Nodes::default();
        let root = nodes.step(query.root());
        let shared = |node: &&Node| match query.kind() {
            Kind::Software => held.products.by_number(false, |row| fits(node, row, as_of)),
            _ => held.kinds.by_number(false, |row| fits(node, row, as_of)),
        };
        let shared = nodes.shared.iter().map(shared).collect();
        Self { root, nodes, shared, as_of }
    }

    /// Hands on what fits of rows of which all that is asked is their own.
    fn taken<'h, L, T>(&self, rows: impl Iterator<Item = L>, mut taker: T) -> T
    where
        L: Listed<'h>,
        T: Take<'h>,
    {
        let known = Known { assets: &[], asset: 0, shared: &self.shared, number: 0, address: &[] };
        let rows = rows.filter(|row| self.root.fits(row, known, self.as_of));
        rows.for_each(|row| taker.take(&row, 0));
        taker
    }

    /// What is asked of assets, answered for each of a part.
    fn about(&self, part: &AssetPart) -> Vec<Vec<bool>> {
        let fits = |node: &Node, asset: Asset<'_>| {
            node.matches(Candidate { row: &asset, asset: Some(&asset) }, self.as_of)
        };
        let all = |node: &&Node| part.rows().map(|asset| fits(node, asset)).collect();
        self.nodes.assets.iter().map(all).collect()
    }
}

/// A row that knows nothing.
struct Nobody;

impl Row for Nobody {
    fn cell(&self, _: Column) -> Cell<'_> {
        Cell::Nothing
    }
}

fn fits(node: &Node, row: &dyn Row, as_of: Timestamp) -> bool {
    node.matches(Candidate { row, asset: None }, as_of)
}

fn add<'h>(
    counts: &mut [BTreeMap<Value<'h>, u64>],
    values: impl IntoIterator<Item = Value<'h>>,
    more: u64,
) {
    for (counts, value) in counts.iter_mut().zip(values) {
        let count = counts.entry(value).or_default();
        *count = count.saturating_add(more);
    }
}

/// The values that most have.
pub(crate) fn most(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Count> {
    let count = |(value, count)| Count { value, count };
    let mut values: Vec<Count> = counts.into_iter().map(count).collect();
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    values.truncate(VALUES);
    values
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Nothing | Value::NoAddress => String::new(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.to_owned(),
        Value::Address(address) => address.to_string(),
    }
}
