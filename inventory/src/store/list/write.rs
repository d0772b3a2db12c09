//! The projection: what a review concluded, as rows for lists. Of these what is another than before
//! (`plan`) is written here.

use std::net::IpAddr;

use model::Timestamp;
use sqlx::SqliteConnection;

use super::{
    super::{
        insert::{Value, insert},
        review::Policy,
        scan::{LoadError, json},
    },
    key_of,
    plan::{Changed, Plan},
    shared,
};
use crate::{
    finding::FindingState,
    list::{CertificateRow, FindingRow},
    query::fold,
    register::Day,
};

/// Rows that are removed with one statement.
const ROWS: usize = 5_000;

impl Plan {
    /// Brings the projection up to what was concluded.
    pub(in crate::store) async fn write(
        &self,
        connection: &mut SqliteConnection,
        policy: &Policy,
        as_of: Timestamp,
    ) -> Result<(), LoadError> {
        let before = changes(connection).await?;
        assets(connection, &self.assets, &self.gone_assets).await?;
        certificates(connection, &self.certificates, &self.gone_certificates).await?;
        findings(connection, &self.findings, &self.gone_findings).await?;
        if changes(connection).await? != before {
            changed(connection).await?;
        }
        daily(connection, &Day::of(as_of, policy.offset).to_string()).await?;
        Ok(())
    }
}

/// How many rows this connection changed so far.
async fn changes(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT total_changes()").fetch_one(connection).await
}

/// Tells whoever holds what is listed (`hold`) that it is another.
async fn changed(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let statement = "UPDATE list_generation SET generation = generation + 1";
    sqlx::query(statement).execute(connection).await.map(|_| ())
}

async fn assets(
    connection: &mut SqliteConnection,
    changed: &[Changed],
    gone: &[i64],
) -> sqlx::Result<()> {
    for chunk in gone.chunks(ROWS) {
        run(
            connection,
            "DELETE FROM listed_asset WHERE id IN (SELECT value FROM json_each($1))",
            chunk,
        )
        .await?;
    }
    let others = changed.iter().filter(|one| one.is_other).map(|one| one.row.asset.id);
    let emptied: Vec<i64> = others.chain(gone.iter().copied()).collect();
    for chunk in emptied.chunks(ROWS) {
        for statement in [
            "DELETE FROM listed_address WHERE asset IN (SELECT value FROM json_each($1))",
            "DELETE FROM listed_service WHERE asset IN (SELECT value FROM json_each($1))",
            "DELETE FROM listed_software WHERE asset IN (SELECT value FROM json_each($1))",
        ] {
            run(connection, statement, chunk).await?;
        }
    }
    write_assets(connection, changed).await?;
    write_addresses(connection, changed).await?;
    let services = changed.iter().flat_map(|one| &one.row.services);
    shared::services(connection, services).await?;
    let software = changed.iter().flat_map(|one| &one.row.software);
    shared::software(connection, software).await?;
    if !emptied.is_empty() {
        for statement in [
            "DELETE FROM service_kind WHERE id NOT IN (SELECT kind FROM listed_service)",
            "DELETE FROM product WHERE id NOT IN (SELECT kind FROM listed_software)",
        ] {
            sqlx::query(statement).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn run(
    connection: &mut SqliteConnection,
    statement: &'static str,
    numbers: &[i64],
) -> sqlx::Result<()> {
    sqlx::query(statement).bind(json(numbers)).execute(connection).await?;
    Ok(())
}

async fn write_assets(connection: &mut SqliteConnection, changed: &[Changed]) -> sqlx::Result<()> {
    let keys: Vec<Vec<u8>> = changed
        .iter()
        .map(|one| one.row.asset.addresses.first().copied().map_or_else(Vec::new, key_of))
        .collect();
    let rows = changed.iter().zip(&keys).map(|(one, key)| {
        let row = &one.row.asset;
        let values: [Value<'_>; 33] = [
            row.id.into(),
            (&one.shape).into(),
            (&one.digest).into(),
            fold(&row.site).into(),
            (&row.site).into(),
            key.as_slice().into(),
            (&row.names).into(),
            (&row.macs).into(),
            (&row.vendor).into(),
            (&row.class).into(),
            (&row.os).into(),
            (&row.os_shown).into(),
            (&row.registration).into(),
            (&row.reason).into(),
            (&row.ports).into(),
            (&row.protocols).into(),
            (&row.products).into(),
            (&row.versions).into(),
            (&row.cpes).into(),
            (&row.certificates).into(),
            row.identity_uncertain.into(),
            row.service_count.into(),
            row.software_count.into(),
            row.certificate_count.into(),
            row.first_seen.into(),
            row.last_seen.into(),
            row.critical.into(),
            row.warning.into(),
            row.info.into(),
            (&row.entry).into(),
            (&row.owner).into(),
            (&row.department).into(),
            (&row.location).into(),
        ];
        values
    });
    let into = "listed_asset (id, shape, digest, site, site_shown, address, names, macs, vendor,
        class, os, os_shown, registration, reason, ports, protocols, products, versions, cpes, certificates,
        uncertain, service_count, software_count, certificate_count, first_seen, last_seen,
        critical, warning, info, entry, owner, department, location)";
    // Whatever stood there is replaced as a whole.
    let otherwise = "ON CONFLICT (id) DO UPDATE SET shape = excluded.shape,
        digest = excluded.digest, site = excluded.site, site_shown = excluded.site_shown,
        address = excluded.address, names = excluded.names, macs = excluded.macs,
        vendor = excluded.vendor, class = excluded.class, os = excluded.os, os_shown = excluded.os_shown,
        registration = excluded.registration, reason = excluded.reason, ports = excluded.ports,
        protocols = excluded.protocols, products = excluded.products,
        versions = excluded.versions, cpes = excluded.cpes,
        certificates = excluded.certificates, uncertain = excluded.uncertain,
        service_count = excluded.service_count, software_count = excluded.software_count,
        certificate_count = excluded.certificate_count, first_seen = excluded.first_seen,
        last_seen = excluded.last_seen, critical = excluded.critical, warning = excluded.warning,
        info = excluded.info, entry = excluded.entry, owner = excluded.owner,
        department = excluded.department, location = excluded.location";
    insert(connection, into, otherwise, rows).await
}

async fn write_addresses(
    connection: &mut SqliteConnection,
    changed: &[Changed],
) -> sqlx::Result<()> {
    let all = changed.iter().flat_map(|one| {
        let asset = one.row.asset.id;
        one.row.addresses.iter().map(move |(address, current)| (asset, *address, *current))
    });
    let all: Vec<(i64, IpAddr, bool, Vec<u8>)> =
        all.map(|(asset, address, current)| (asset, address, current, key_of(address))).collect();
    let rows = all.iter().map(|(asset, address, current, key)| {
        [(*asset).into(), key.as_slice().into(), (*address).into(), (*current).into()]
    });
    let into = "listed_address (asset, address, text, current)";
    // Of the same shape, so the same.
    insert(connection, into, "ON CONFLICT (asset, address) DO NOTHING", rows).await
}

async fn certificates(
    connection: &mut SqliteConnection,
    changed: &[(CertificateRow, String)],
    gone: &[String],
) -> sqlx::Result<()> {
    let changed_too = changed.iter().map(|(row, _)| &row.sha256);
    let gone: Vec<&String> = gone.iter().chain(changed_too).collect();
    for chunk in gone.chunks(ROWS) {
        sqlx::query(
            "DELETE FROM listed_certificate WHERE sha256 IN (SELECT value FROM json_each($1))",
        )
        .bind(json(chunk))
        .execute(&mut *connection)
        .await?;
    }
    let rows = changed.iter().map(|(row, digest)| {
        let values: [Value<'_>; 18] = [
            (&row.sha256).into(),
            digest.into(),
            (&row.subject).into(),
            (&row.issuer).into(),
            (&row.names).into(),
            (&row.key).into(),
            (&row.trust).into(),
            (&row.problems).into(),
            row.not_after.into(),
            row.renew_by.into(),
            (&row.assets).into(),
            (&row.sites).into(),
            (&row.addresses).into(),
            (&row.owners).into(),
            (&row.owners_shown).into(),
            row.places.into(),
            row.first_seen.into(),
            row.last_seen.into(),
        ];
        values
    });
    let into = "listed_certificate (sha256, digest, subject, issuer, names, key, trust, problems,
        not_after, renew_by, assets, sites, addresses, owners, owners_shown, places, first_seen,
        last_seen)";
    insert(connection, into, "", rows).await
}

async fn findings(
    connection: &mut SqliteConnection,
    changed: &[(FindingRow, String)],
    gone: &[i64],
) -> sqlx::Result<()> {
    let changed_too = changed.iter().map(|(row, _)| row.id);
    let gone: Vec<i64> = gone.iter().copied().chain(changed_too).collect();
    for chunk in gone.chunks(ROWS) {
        let statement = "DELETE FROM listed_finding WHERE id IN (SELECT value FROM json_each($1))";
        run(connection, statement, chunk).await?;
    }
    let rows = changed.iter().map(|(row, digest)| {
        let rank: i64 = match row.severity.as_str() {
            "critical" => 2,
            "warning" => 1,
            _ => 0,
        };
        let values: [Value<'_>; 13] = [
            row.id.into(),
            digest.into(),
            (&row.rule).into(),
            (&row.severity).into(),
            rank.into(),
            (&row.state).into(),
            (&row.subject).into(),
            (&row.title).into(),
            (&row.owners).into(),
            (&row.owners_shown).into(),
            row.asset.into(),
            row.first_seen.into(),
            row.last_seen.into(),
        ];
        values
    });
    let into = "listed_finding (id, digest, rule, severity, rank, state, subject, title, owners,
        owners_shown, asset, first_seen, last_seen)";
    insert(connection, into, "", rows).await
}

/// Notes in the list of findings that somebody accepted one, or took that back; the next review
/// writes its row anew.
pub(in crate::store) async fn decided(
    connection: &mut SqliteConnection,
    id: i64,
    state: FindingState,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE listed_finding SET state = $2, digest = '' WHERE id = $1")
        .bind(id)
        .bind(state.as_str())
        .execute(&mut *connection)
        .await?;
    changed(connection).await
}

/// Today's numbers. A site from which nothing is listed any more keeps those that it had. Findings
/// about no asset are of no site.
async fn daily(connection: &mut SqliteConnection, day: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO daily
         SELECT $1, site_shown, count(*), sum(registration = 'registered'),
             sum(registration = 'unregistered'), sum(service_count),
             sum(software_count), sum(certificate_count), sum(critical), sum(warning), sum(info)
         FROM listed_asset WHERE true GROUP BY site_shown
         UNION ALL
         SELECT $1, '', 0, 0, 0, 0, 0, 0, coalesce(sum(rank = 2), 0), coalesce(sum(rank = 1), 0),
             coalesce(sum(rank = 0), 0)
         FROM listed_finding WHERE state = 'open' AND asset = 0
         HAVING count(*) > 0 OR EXISTS (SELECT 1 FROM daily WHERE day = $1 AND site = '')
         ON CONFLICT (day, site) DO UPDATE SET assets = excluded.assets,
             registered = excluded.registered, unregistered = excluded.unregistered,
             services = excluded.services, software = excluded.software,
             certificates = excluded.certificates, critical = excluded.critical,
             warning = excluded.warning, info = excluded.info
         WHERE (assets, registered, unregistered, services, software, certificates, critical,
                 warning, info)
             <> (excluded.assets, excluded.registered, excluded.unregistered, excluded.services,
                 excluded.software, excluded.certificates, excluded.critical, excluded.warning,
                 excluded.info)",
    )
    .bind(day)
    .execute(connection)
    .await?;
    Ok(())
}
