//! What there is, in numbers.

use std::collections::BTreeMap;

use model::Timestamp;
use sqlx::{Connection, Row as _, SqliteConnection};

use super::{
    super::{Store, StoreError},
    Count,
};
use crate::{
    asset::{AssetId, EventKind},
    list::ask::most,
};

/// What was there on a day at a site.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "numbers of what their names say")]
pub struct Day {
    /// As `2027-03-31`.
    pub day: String,
    pub site: String,
    pub assets: u64,
    pub registered: u64,
    pub unregistered: u64,
    pub services: u64,
    pub software: u64,
    pub certificates: u64,
    /// Open findings: critical, warnings, worth knowing.
    pub findings: [u64; 3],
}

/// A site in numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "numbers of what their names say")]
pub struct Site {
    pub site: String,
    pub assets: u64,
    pub services: u64,
}

/// Something that happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    /// When.
    pub at: Timestamp,
    /// To which asset, if to one.
    pub asset: Option<AssetId>,
    /// What.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// In words.
    pub detail: String,
}

/// Everything in numbers, as the last review left it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overview {
    /// The sites.
    pub sites: Vec<Site>,
    /// Assets by registration, the most first.
    pub registrations: Vec<Count>,
    /// Assets by class, the most first.
    pub classes: Vec<Count>,
    /// Open findings: critical, warnings, worth knowing.
    pub findings: [u64; 3],
    /// Certificates in use by the days that they are still valid: of each number of days the certificates
    /// that have fewer, and not fewer than the number before. 0 are those that have ended.
    pub certificates: Vec<(u32, u64)>,
    /// Certificates that are valid for longer, or nobody knows how long.
    pub certificates_later: u64,
    /// What happened last, the latest first.
    pub news: Vec<News>,
    /// What was there each day, the latest first.
    pub days: Vec<Day>,
}

/// The days of [`Overview::certificates`].
const DAYS: [u32; 5] = [0, 7, 30, 60, 90];

impl Store {
    /// Whether there are assets that no list has, because nobody could look at them so far: a review
    /// fills them.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn lacks_lists(&self) -> Result<bool, StoreError> {
        let mut reader = self.reader().await?;
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM asset) AND NOT EXISTS (SELECT 1 FROM listed_asset)",
        )
        .fetch_one(&mut *reader)
        .await
        .map_err(self.failed("looking for the lists"))
    }

    /// Everything in numbers.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn overview(&self, as_of: Timestamp) -> Result<Overview, StoreError> {
        let failed = self.failed("reading the overview");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        overview(&mut snapshot, as_of).await.map_err(&failed)
    }
}

fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

async fn overview(connection: &mut SqliteConnection, as_of: Timestamp) -> sqlx::Result<Overview> {
    let mut overview = Overview::default();
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    let (mut registrations, mut classes) = (BTreeMap::new(), BTreeMap::new());
    let assets: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
        "SELECT site_shown, registration, class, count(*), sum(service_count)
         FROM listed_asset GROUP BY 1, 2, 3",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (site, registration, class, assets, services) in assets {
        let (assets, services) = (number(assets), number(services));
        let known = sites.entry(site.clone());
        let known = known.or_insert(Site { site, assets: 0, services: 0 });
        known.assets = known.assets.saturating_add(assets);
        known.services = known.services.saturating_add(services);
        for (counts, value) in [(&mut registrations, registration), (&mut classes, class)] {
            let count: &mut u64 = counts.entry(value).or_default();
            *count = count.saturating_add(assets);
        }
    }
    overview.sites = sites.into_values().collect();
    overview.registrations = most(registrations);
    overview.classes = most(classes);
    let findings: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT rank, count(*) FROM listed_finding WHERE state = 'open' GROUP BY rank",
    )
    .fetch_all(&mut *connection)
    .await?;
    let of = |rank: i64| findings.iter().find(|(known, _)| *known == rank);
    overview.findings = [2, 1, 0].map(|rank| of(rank).map_or(0, |(_, count)| number(*count)));
    certificates(connection, as_of, &mut overview).await?;
    let news: Vec<(i64, Option<i64>, String, String, String)> = sqlx::query_as(
        "SELECT at, asset, kind, subject, detail FROM event ORDER BY id DESC LIMIT 20",
    )
    .fetch_all(&mut *connection)
    .await?;
    let told = |(at, asset, kind, subject, detail): (i64, Option<i64>, String, _, _)| News {
        at: Timestamp(at),
        asset: asset.map(AssetId),
        kind: EventKind::from_name(&kind).map_or(kind, |kind| kind.as_str().to_owned()),
        subject,
        detail,
    };
    overview.news = news.into_iter().map(told).collect();
    let days = sqlx::query(
        "SELECT day, site, assets, registered, unregistered, services, software, certificates,
             critical, warning, info
         FROM daily WHERE day IN (SELECT DISTINCT day FROM daily ORDER BY day DESC LIMIT 90)
         ORDER BY day DESC, site",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in days {
        let count = |at: usize| row.try_get::<i64, _>(at).map(number);
        overview.days.push(Day {
            day: row.try_get(0)?,
            site: row.try_get(1)?,
            assets: count(2)?,
            registered: count(3)?,
            unregistered: count(4)?,
            services: count(5)?,
            software: count(6)?,
            certificates: count(7)?,
            findings: [count(8)?, count(9)?, count(10)?],
        });
    }
    Ok(overview)
}

/// The certificates by the days that they still have.
async fn certificates(
    connection: &mut SqliteConnection,
    as_of: Timestamp,
    overview: &mut Overview,
) -> sqlx::Result<()> {
    let mut statement = sqlx::query_as(
        "SELECT CASE WHEN not_after < $1 THEN 0 WHEN not_after < $2 THEN 1 WHEN not_after < $3 THEN 2
             WHEN not_after < $4 THEN 3 WHEN not_after < $5 THEN 4 ELSE -1 END AS part, count(*)
         FROM listed_certificate WHERE places > 0 GROUP BY part",
    );
    for days in DAYS {
        let end = as_of.plus_seconds(i64::from(days).saturating_mul(86_400));
        statement = statement.bind(end.0);
    }
    let counts: Vec<(i64, i64)> = statement.fetch_all(connection).await?;
    let counts: BTreeMap<i64, u64> =
        counts.into_iter().map(|(part, count)| (part, number(count))).collect();
    let of = |part: i64| counts.get(&part).copied().unwrap_or_default();
    let parts = DAYS.into_iter().zip(0..);
    overview.certificates = parts.map(|(days, part)| (days, of(part))).collect();
    overview.certificates_later = of(-1);
    Ok(())
}
