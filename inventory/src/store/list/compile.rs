//! A query as SQL. What people write is only ever bound; the text of a statement is made of words
//! that stand here.
//!
//! What is asked of a thing's asset, or of what many things share, is asked of those tables once,
//! and the rows of the thing only look whether they are among the answers. Parts of a query that ask
//! the same table are asked together.

use std::fmt::Write as _;

use model::Timestamp;
use sqlx::{AssertSqlSafe, Sqlite, query::Query as Statement, sqlite::SqliteArguments};

use super::key_of;
use crate::query::{Bound, Column, Kind, Leaf, Level, Node, Query, Test, between};

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bind {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A piece of a statement with what is bound in it, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn bind(&mut self, bind: Bind) {
        self.text.push('?');
        self.binds.push(bind);
    }

    pub(super) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.binds.extend(other.binds);
    }

    /// The statement. It is made for once: there are more than would be worth keeping.
    pub(super) fn statement(self) -> Statement<'static, Sqlite, SqliteArguments> {
        let mut statement = sqlx::query(AssertSqlSafe(self.text)).persistent(false);
        for bind in self.binds {
            statement = match bind {
                Bind::Number(number) => statement.bind(number),
                Bind::Text(text) => statement.bind(text),
                Bind::Bytes(bytes) => statement.bind(bytes),
            };
        }
        statement
    }
}

/// How a statement calls the columns by which a thing's asset and kind are found. With a plus before
/// them no index is used for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) asset: &'static str,
    pub(super) kind: &'static str,
}

/// Where the condition is what finds the rows.
pub(super) const FINDING: Names = Names { asset: "r.asset", kind: "r.kind" };
/// Where the rows are found by their order, and the condition only looks at each.
pub(super) const LOOKING: Names = Names { asset: "+r.asset", kind: "+r.kind" };
/// The same, in the order of what they share.
pub(super) const SHARING: Names = Names { asset: "+r.asset", kind: "k.id" };

/// The condition that a query is.
pub(super) fn condition(query: &Query, names: Names, as_of: Timestamp) -> Sql {
    let compiler = Compiler { kind: query.kind(), names, as_of };
    let mut sql = Sql::default();
    compiler.node(query.root(), &mut sql);
    sql
}

struct Compiler {
    kind: Kind,
    names: Names,
    as_of: Timestamp,
}

/// The table that all of the node asks, if it is one of another row than the thing's own. What is
/// not must be said of the thing: a thing without an asset has none of another name.
fn elsewhere(node: &Node) -> Option<Level> {
    let (Node::All(nodes) | Node::Any(nodes)) = node else {
        return match node {
            Node::Leaf(leaf) if leaf.field.level != Level::Row => Some(leaf.field.level),
            _ => None,
        };
    };
    let mut levels = nodes.iter().map(elsewhere);
    let first = levels.next()??;
    levels.all(|level| level == Some(first)).then_some(first)
}

impl Compiler {
    fn node(&self, node: &Node, sql: &mut Sql) {
        if let Some(level) = elsewhere(node) {
            return self.among(level, sql, |sql| self.plain(node, sql));
        }
        match node {
            Node::All(nodes) => self.several(nodes, " AND ", "1", sql),
            Node::Any(nodes) => self.several(nodes, " OR ", "0", sql),
            Node::Not(node) => {
                sql.push("NOT (");
                self.node(node, sql);
                sql.push(")");
            }
            Node::Leaf(leaf) => self.leaf(leaf, "r", sql),
        }
    }

    /// Those that ask the same table elsewhere together, then the others.
    fn several(&self, nodes: &[Node], between: &str, none: &str, sql: &mut Sql) {
        if nodes.is_empty() {
            return sql.push(none);
        }
        let mut parts = Vec::new();
        for level in [Level::Asset, Level::Shared] {
            let those = nodes.iter().filter(|node| elsewhere(node) == Some(level));
            let those: Vec<&Node> = those.collect();
            if !those.is_empty() {
                let mut part = Sql::default();
                self.among(level, &mut part, |part| self.joined(&those, between, part));
                parts.push(part);
            }
        }
        for node in nodes.iter().filter(|node| elsewhere(node).is_none()) {
            let mut part = Sql::default();
            self.node(node, &mut part);
            parts.push(part);
        }
        sql.push("(");
        for (number, part) in parts.into_iter().enumerate() {
            sql.push(if number > 0 { between } else { "" });
            sql.append(part);
        }
        sql.push(")");
    }

    fn joined(&self, nodes: &[&Node], between: &str, sql: &mut Sql) {
        for (number, node) in nodes.iter().enumerate() {
            sql.push(if number > 0 { between } else { "" });
            self.plain(node, sql);
        }
    }

    /// That the thing's row in another table is among those for which `what` holds.
    fn among(&self, level: Level, sql: &mut Sql, what: impl FnOnce(&mut Sql)) {
        let (name, table) = match (level, self.kind) {
            (Level::Asset | Level::Row, _) => (self.names.asset, "listed_asset"),
            (Level::Shared, Kind::Software) => (self.names.kind, "product"),
            (Level::Shared, _) => (self.names.kind, "service_kind"),
        };
        let _ = write!(sql.text, "{name} IN (SELECT a.id FROM {table} AS a WHERE ");
        what(sql);
        sql.push(")");
    }

    /// A node all of which is asked of one table.
    fn plain(&self, node: &Node, sql: &mut Sql) {
        match node {
            Node::All(nodes) | Node::Any(nodes) => {
                let between = if matches!(node, Node::All(_)) { " AND " } else { " OR " };
                sql.push("(");
                self.joined(&nodes.iter().collect::<Vec<_>>(), between, sql);
                sql.push(")");
            }
            Node::Leaf(leaf) => self.leaf(leaf, "a", sql),
            // `elsewhere` lets no such node come here.
            Node::Not(_) => sql.push("0"),
        }
    }

    fn leaf(&self, leaf: &Leaf, row: &str, sql: &mut Sql) {
        let field = leaf.field;
        let column = format!("{row}.{}", column(field.column));
        let listed = field.column == Column::Addresses && self.kind != Kind::Certificates;
        match &leaf.test {
            Test::Within(range) => {
                if listed {
                    let _ = write!(
                        sql.text,
                        "{row}.id IN (SELECT asset FROM listed_address
                             WHERE current = 1 AND address BETWEEN "
                    );
                } else {
                    let _ = write!(sql.text, "({column} BETWEEN ");
                }
                sql.bind(Bind::Bytes(key_of(range.first())));
                sql.push(" AND ");
                sql.bind(Bind::Bytes(key_of(range.last())));
                sql.push(")");
            }
            Test::Contains(text) if listed || field.column == Column::Address => {
                let which = match listed {
                    true => ".id IN (SELECT asset FROM listed_address WHERE current = 1 AND ",
                    false => ".address IN (SELECT address FROM listed_address WHERE ",
                };
                let _ = write!(sql.text, "{row}{which}instr(text, ");
                sql.bind(Bind::Text(text.clone()));
                sql.push(") > 0)");
            }
            Test::Equals(text) if !field.many => {
                let _ = write!(sql.text, "{column} = ");
                sql.bind(Bind::Text(text.clone()));
            }
            Test::Equals(text) => has(sql, &column, between(text)),
            Test::Contains(text) => has(sql, &column, text.clone()),
            Test::Port(port, transport) if field.many => {
                let text = match transport {
                    Some(transport) => format!("\n{port}/{transport}\n"),
                    None => format!("\n{port}/"),
                };
                has(sql, &column, text);
            }
            Test::Port(port, transport) => {
                let _ = write!(sql.text, "({column} = ");
                sql.bind(Bind::Number((*port).into()));
                if let Some(transport) = transport {
                    let _ = write!(sql.text, " AND {row}.transport = ");
                    sql.bind(Bind::Text(transport.to_string()));
                }
                sql.push(")");
            }
            Test::Is(number) => {
                let _ = write!(sql.text, "{column} = ");
                sql.bind(Bind::Number(*number));
            }
            Test::Less(bound) => self.bound(sql, &column, "<", *bound),
            Test::More(bound) => {
                self.bound(sql, &format!("{} AND {column}", known(&column)), ">", *bound);
            }
        }
    }

    fn bound(&self, sql: &mut Sql, column: &str, sign: &str, bound: Bound) {
        let _ = write!(sql.text, "({column} {sign} ");
        sql.bind(Bind::Number(bound.value(self.as_of)));
        sql.push(")");
    }
}

/// That a moment or a number is known (`query::NEVER`).
fn known(column: &str) -> String {
    format!("{column} <> 9223372036854775807")
}

fn has(sql: &mut Sql, column: &str, text: String) {
    let _ = write!(sql.text, "instr({column}, ");
    sql.bind(Bind::Text(text));
    sql.push(") > 0");
}

/// What the tables of lists call a column.
const fn column(column: Column) -> &'static str {
    match column {
        Column::Id => "id",
        Column::Asset => "asset",
        Column::Site => "site",
        Column::Names => "names",
        Column::Addresses => "addresses",
        Column::Macs => "macs",
        Column::Vendor => "vendor",
        Column::Class => "class",
        Column::Os => "os",
        Column::Registration => "registration",
        Column::Ports => "ports",
        Column::Protocols => "protocols",
        Column::Products => "products",
        Column::Versions => "versions",
        Column::Cpes => "cpes",
        Column::Certificates => "certificates",
        Column::Critical => "critical",
        Column::Warning => "warning",
        Column::Uncertain => "uncertain",
        Column::FirstSeen => "first_seen",
        Column::LastSeen => "last_seen",
        Column::Address => "address",
        Column::Port => "port",
        Column::Transport => "transport",
        Column::State => "state",
        Column::Protocol => "protocol",
        Column::Product => "product",
        Column::Version => "version",
        Column::Cpe => "cpe",
        Column::Tls => "tls",
        Column::Source => "source",
        Column::Subject => "subject",
        Column::Issuer => "issuer",
        Column::Sha256 => "sha256",
        Column::Key => "key",
        Column::Trust => "trust",
        Column::NotAfter => "not_after",
        Column::RenewBy => "renew_by",
        Column::Assets => "assets",
        Column::Sites => "sites",
        Column::Owners => "owners",
        Column::Rule => "rule",
        Column::Severity => "severity",
        Column::Title => "title",
    }
}
