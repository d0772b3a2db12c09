//! What the routes are to tell, from the findings and events to the outbox.

use std::collections::{BTreeMap, HashMap};

use model::{ScanRecord, Severity, Timestamp};
use sqlx::SqliteConnection;

use super::{
    StoredFinding, alert, event,
    insert::insert,
    load::Merges,
    review::Compared,
    scan::{LoadError, count, json},
};
use crate::{
    asset::{AssetId, Event, EventKind},
    owner::Owner,
    route::{About, Happened, Item, Known, Memory, Route, news},
};

/// Events that one review looks at; the next goes on behind them.
const EVENTS: i64 = 2_000;

/// Pieces of news in a message at most. More are counted.
const ITEMS: u64 = 500;

/// What there is to tell of.
pub(super) struct Seen<'a> {
    pub(super) findings: &'a [StoredFinding],
    pub(super) compared: &'a Compared,
    pub(super) merges: &'a Merges,
    pub(super) scans: &'a [ScanRecord],
    /// The last event of which the others know what it is about.
    pub(super) last_event: i64,
}

/// Decides for each route what is to be told, remembers it, and writes it into the outbox.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    routes: &[Route],
    Seen { findings, compared, merges, scans, last_event }: &Seen<'_>,
    as_of: Timestamp,
) -> Result<(), LoadError> {
    if routes.is_empty() {
        return Ok(());
    }
    let sites: HashMap<AssetId, &str> =
        compared.assets.iter().map(|asset| (asset.id, asset.site.0.as_str())).collect();
    let site_of = |asset: Option<AssetId>| asset.and_then(|asset| sites.get(&asset).copied());
    let known: Vec<Known<'_>> = findings
        .iter()
        .map(|stored| Known {
            id: stored.id,
            finding: &stored.finding,
            site: site_of(stored.finding.asset),
            owners: names(compared.owners.of_finding(&stored.finding)),
        })
        .collect();
    for route in routes {
        let (events, seen) = events_for(connection, route, *last_event).await?;
        let happened: Vec<Happened<'_>> = events
            .into_iter()
            .map(|event| {
                // What happened to an asset before it was merged into another is the other's.
                let asset = event.asset.map(|asset| merges.root(asset));
                Happened {
                    site: site_of(asset),
                    owners: names(asset.and_then(|asset| compared.owners.of_asset(asset))),
                    event,
                }
            })
            .collect();
        let before = Memory {
            told: alert::load(connection, &route.name).await?,
            sites: load_sites(connection, &route.name).await?,
        };
        let (items, after) = news(route, &before, &known, &happened, scans, as_of);
        alert::write(connection, &route.name, &before.told, &after.told).await?;
        if after.sites != before.sites {
            write_sites(connection, &route.name, &after).await?;
        }
        // Where nothing happened nothing is written, and a review is what it was.
        sqlx::query(
            "INSERT INTO route (name, event) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET event = excluded.event
             WHERE event < excluded.event",
        )
        .bind(&route.name)
        .bind(seen)
        .execute(&mut *connection)
        .await?;
        append(connection, route, &items, as_of).await?;
    }
    Ok(())
}

/// Each person and each department once.
fn names<'a>(owners: impl IntoIterator<Item = &'a Owner>) -> Vec<String> {
    let mut names: Vec<String> = owners
        .into_iter()
        .flat_map(|owner| [&owner.owner, &owner.department])
        .flatten()
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The events up to `last` that a route has not looked at and may tell, and the number of the last
/// one that it has looked at then. A route that is new begins with what happens from now on.
async fn events_for(
    connection: &mut SqliteConnection,
    route: &Route,
    last: i64,
) -> Result<(Vec<Event>, i64), LoadError> {
    let seen: Option<i64> = sqlx::query_scalar("SELECT event FROM route WHERE name = $1")
        .bind(&route.name)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(seen) = seen.filter(|seen| *seen < last) else { return Ok((Vec::new(), last)) };
    let wanted =
        |kind: &EventKind| About::of_event(*kind).is_some_and(|about| route.about.contains(&about));
    let kinds: Vec<&str> =
        EventKind::ALL.iter().filter(|kind| wanted(kind)).map(|kind| kind.as_str()).collect();
    if kinds.is_empty() {
        return Ok((Vec::new(), last));
    }
    type Row = (i64, i64, Option<i64>, String, String, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, at, asset, kind, subject, detail FROM event
         WHERE id > $1 AND id <= $4 AND kind IN (SELECT value FROM json_each($2))
         ORDER BY id LIMIT $3",
    )
    .bind(seen)
    .bind(json(&kinds))
    .bind(EVENTS)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let all = i64::try_from(rows.len()).is_ok_and(|rows| rows < EVENTS);
    let last = rows.last().filter(|_| !all).map_or(last, |row| row.0);
    let read = |(_, at, asset, kind, subject, detail): Row| {
        event::read((at, asset, kind, subject, detail))
    };
    Ok((rows.into_iter().map(read).collect::<Result<_, LoadError>>()?, last))
}

async fn load_sites(
    connection: &mut SqliteConnection,
    route: &str,
) -> Result<BTreeMap<String, (Timestamp, bool)>, LoadError> {
    let rows: Vec<(String, i64, bool)> =
        sqlx::query_as("SELECT site, since, settled FROM baseline WHERE route = $1")
            .bind(route)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(site, since, settled)| (site, (Timestamp(since), settled))).collect())
}

async fn write_sites(
    connection: &mut SqliteConnection,
    route: &str,
    memory: &Memory,
) -> sqlx::Result<()> {
    let rows: Vec<_> =
        memory.sites.iter().map(|(site, (since, settled))| (site, since, settled)).collect();
    sqlx::query(
        "INSERT OR REPLACE INTO baseline (route, site, since, settled)
         SELECT $1, value ->> 0, value ->> 1, value ->> 2 FROM json_each($2)",
    )
    .bind(route)
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds news to the route's message that nobody began to send, or to a new one. The news comes
/// with the worst first.
async fn append(
    connection: &mut SqliteConnection,
    route: &Route,
    items: &[Item],
    as_of: Timestamp,
) -> sqlx::Result<()> {
    let Some(worst) = items.iter().map(|item| item.severity).max() else { return Ok(()) };
    // What was tried once may have arrived, so nothing is added to it any more.
    let open: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT id, due_at, (SELECT count(*) FROM outbox_item WHERE message = id) FROM outbox
         WHERE route = $1 AND state = 'pending' AND attempts = 0 ORDER BY id DESC LIMIT 1",
    )
    .bind(&route.name)
    .fetch_optional(&mut *connection)
    .await?;
    // What is urgent is never merely counted for want of room.
    let urgent = items.iter().filter(|item| route.is_urgent(item.severity)).count() as u64;
    let fits = |there: i64| count(urgent.min(ITEMS)).saturating_add(there) <= count(ITEMS);
    let open = open.filter(|(_, _, there)| urgent == 0 || fits(*there));
    let due = route.due_at(open.map(|(_, due, _)| Timestamp(due)), worst, as_of);
    let (message, there) = match open {
        Some((message, _, there)) => {
            sqlx::query(
                "UPDATE outbox SET due_at = $1, severity = max(severity, $2) WHERE id = $3",
            )
            .bind(due.0)
            .bind(rank(worst))
            .bind(message)
            .execute(&mut *connection)
            .await?;
            (message, u64::try_from(there).unwrap_or(0))
        }
        None => {
            let message = sqlx::query_scalar(
                "INSERT INTO outbox (key, route, state, severity, created_at, due_at)
                 VALUES (lower(hex(randomblob(16))), $1, 'pending', $2, $3, $4) RETURNING id",
            )
            .bind(&route.name)
            .bind(rank(worst))
            .bind(as_of.0)
            .bind(due.0)
            .fetch_one(&mut *connection)
            .await?;
            (message, 0)
        }
    };
    let room = usize::try_from(ITEMS.saturating_sub(there)).unwrap_or(0);
    let left_out = count(items.len().saturating_sub(room) as u64);
    if left_out > 0 {
        sqlx::query("UPDATE outbox SET more = more + $1 WHERE id = $2")
            .bind(left_out)
            .bind(message)
            .execute(&mut *connection)
            .await?;
    }
    let rows = items.iter().take(room).zip(count(there)..).map(|(item, number)| {
        [
            message.into(),
            number.into(),
            item.kind.as_str().into(),
            item.at.into(),
            (&item.rule).into(),
            item.severity.as_str().into(),
            (&item.subject).into(),
            (&item.title).into(),
            (&item.detail).into(),
            (&item.site).into(),
            item.asset.into(),
            item.finding.into(),
            json(&item.owners).into(),
        ]
    });
    let into = "outbox_item (message, number, kind, at, rule, severity, subject, title, detail, \
                site, asset, finding, owners)";
    insert(connection, into, "", rows).await
}

/// A severity as the outbox orders them.
pub(super) const fn rank(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}
