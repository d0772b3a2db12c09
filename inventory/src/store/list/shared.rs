//! Endpoints and software, whose rows share what they are: of a million endpoints there are a few
//! thousand kinds, each written once.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::{
    super::insert::{Value, insert},
    key_of,
};
use crate::{
    list::{Product, ServiceKind, ServiceRow, SoftwareRow},
    query::fold,
};

/// The numbers of what many rows share, with new ones for what is new.
struct Shared {
    numbers: HashMap<String, i64>,
    last: i64,
}

impl Shared {
    async fn load(
        connection: &mut SqliteConnection,
        statement: &'static str,
    ) -> sqlx::Result<Self> {
        let rows: Vec<(String, i64)> = sqlx::query_as(statement).fetch_all(connection).await?;
        let last = rows.iter().map(|(_, id)| *id).max().unwrap_or_default();
        Ok(Self { numbers: rows.into_iter().collect(), last })
    }

    /// The number, and whether it is new.
    fn number(&mut self, shown: String) -> (i64, bool) {
        if let Some(number) = self.numbers.get(&shown) {
            return (*number, false);
        }
        self.last = self.last.saturating_add(1);
        self.numbers.insert(shown, self.last);
        (self.last, true)
    }
}

/// Writes endpoints of assets, and the kinds that they are of.
pub(super) async fn services<'r>(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &'r ServiceRow>,
) -> sqlx::Result<()> {
    let mut kinds = Shared::load(connection, "SELECT shown, id FROM service_kind").await?;
    let mut known: HashMap<&ServiceKind, i64> = HashMap::new();
    let mut new: Vec<(i64, String, &ServiceKind)> = Vec::new();
    let mut all = Vec::new();
    for service in rows {
        let kind = *known.entry(&service.kind).or_insert_with(|| {
            let shown = service.kind.shown();
            let (number, is_new) = kinds.number(shown.clone());
            if is_new {
                new.push((number, shown, &service.kind));
            }
            number
        });
        all.push((service, kind, key_of(service.address)));
    }
    let rows = new.iter().map(|(number, shown, kind)| {
        let text = |text: &Option<String>| fold(text.as_deref().unwrap_or_default());
        let values: [Value<'_>; 10] = [
            (*number).into(),
            shown.into(),
            kind.transport.into(),
            kind.port.into(),
            kind.state.into(),
            text(&kind.protocol).into(),
            text(&kind.product).into(),
            text(&kind.version).into(),
            text(&kind.cpe).into(),
            kind.tls.into(),
        ];
        values
    });
    let into =
        "service_kind (id, shown, transport, port, state, protocol, product, version, cpe, tls)";
    insert(connection, into, "", rows).await?;
    let rows = all.iter().map(|(service, kind, key)| {
        let values: [Value<'_>; 5] = [
            service.asset.into(),
            key.as_slice().into(),
            (*kind).into(),
            service.first_seen.into(),
            service.last_seen.into(),
        ];
        values
    });
    let into = "listed_service (asset, address, kind, first_seen, last_seen)";
    let otherwise = "ON CONFLICT (asset, address, kind) DO UPDATE SET
        first_seen = excluded.first_seen, last_seen = excluded.last_seen";
    insert(connection, into, otherwise, rows).await
}

/// Writes products on assets, and which they are.
pub(super) async fn software<'r>(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &'r SoftwareRow>,
) -> sqlx::Result<()> {
    let mut products = Shared::load(connection, "SELECT shown, id FROM product").await?;
    let mut new: Vec<(i64, String, &Product)> = Vec::new();
    let mut all = Vec::new();
    for one in rows {
        let shown = one.product.shown();
        let (number, is_new) = products.number(shown.clone());
        if is_new {
            new.push((number, shown, &one.product));
        }
        all.push((one, number));
    }
    let rows = new.iter().map(|(number, shown, product)| {
        let text = |text: &Option<String>| fold(text.as_deref().unwrap_or_default());
        let values: [Value<'_>; 5] = [
            (*number).into(),
            shown.into(),
            fold(&product.product).into(),
            text(&product.version).into(),
            text(&product.cpe).into(),
        ];
        values
    });
    insert(connection, "product (id, shown, product, version, cpe)", "", rows).await?;
    let rows = all.iter().map(|(one, number)| {
        let values: [Value<'_>; 6] = [
            one.asset.into(),
            (*number).into(),
            (&one.source).into(),
            fold(&one.source).into(),
            one.first_seen.into(),
            one.last_seen.into(),
        ];
        values
    });
    let into = "listed_software (asset, kind, source_shown, source, first_seen, last_seen)";
    let otherwise = "ON CONFLICT (asset, kind, source_shown) DO UPDATE SET
        first_seen = excluded.first_seen, last_seen = excluded.last_seen";
    insert(connection, into, otherwise, rows).await
}
