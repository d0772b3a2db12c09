//! Rows of lists in the light of a query: in memory, as things stand when a command asks.

use std::collections::BTreeMap;

use inventory::{
    cores,
    list::{AssetRow, FindingRow, Lister, ServiceRow, SoftwareRow},
    query::{Candidate, Query},
    store::{Compared, StoredFinding},
};
use model::Timestamp;

use crate::report::{
    asset::Shown,
    json::{ListedServiceJson, ListedSoftwareJson},
    table::Table,
};

/// What is asked, and of what.
pub(crate) struct Asking<'a, 'q> {
    compared: &'a Compared,
    query: &'q Query,
    as_of: Timestamp,
    assets: BTreeMap<i64, AssetRow>,
}

impl<'a, 'q> Asking<'a, 'q> {
    pub(crate) fn new(
        compared: &'a Compared,
        findings: &[StoredFinding],
        query: &'q Query,
        as_of: Timestamp,
    ) -> Self {
        let lister = Lister::new(compared, findings);
        let row = |(asset, state)| lister.asset(asset, state);
        let rows = cores::each(lister.assets().collect(), row);
        let assets = rows.into_iter().map(|row| (row.id, row)).collect();
        Self { compared, query, as_of, assets }
    }

    /// The assets, in the order of the comparison.
    pub(crate) fn assets(&self) -> Vec<Shown<'a>> {
        let mut shown = Shown::all(self.compared);
        shown.retain(|shown| {
            self.assets
                .get(&shown.asset.id.0)
                .is_some_and(|row| self.query.matches(Candidate::of(row, None), self.as_of))
        });
        shown
    }

    /// Whether a finding is among those asked for.
    pub(crate) fn has_finding(&self, stored: &StoredFinding) -> bool {
        let row = FindingRow::of(stored, &self.compared.owners);
        self.query.matches(Candidate::of(&row, self.assets.get(&row.asset)), self.as_of)
    }

    /// The endpoints, by asset, address and port.
    pub(crate) fn services(&self) -> Vec<(&AssetRow, ServiceRow)> {
        let all = self.compared.assets.iter().flat_map(ServiceRow::of);
        let of = all.filter_map(|row| Some((self.assets.get(&row.asset)?, row)));
        of.filter(|(asset, row)| self.query.matches(Candidate::of(row, Some(asset)), self.as_of))
            .collect()
    }

    /// The products, by asset.
    pub(crate) fn software(&self) -> Vec<(&AssetRow, SoftwareRow)> {
        let all = self.compared.assets.iter().flat_map(SoftwareRow::of);
        let of = all.filter_map(|row| Some((self.assets.get(&row.asset)?, row)));
        of.filter(|(asset, row)| self.query.matches(Candidate::of(row, Some(asset)), self.as_of))
            .collect()
    }
}

/// The first name of an asset.
fn name(asset: &AssetRow) -> Option<String> {
    asset.names.split('\n').find(|name| !name.is_empty()).map(str::to_owned)
}

pub(crate) fn service_json((asset, row): &(&AssetRow, ServiceRow)) -> ListedServiceJson {
    let kind = &row.kind;
    ListedServiceJson {
        asset: row.asset,
        site: asset.site.clone(),
        name: name(asset),
        address: row.address.to_string(),
        transport: kind.transport,
        port: kind.port,
        state: kind.state,
        protocol: kind.protocol.clone(),
        product: kind.product.clone(),
        version: kind.version.clone(),
        cpe: kind.cpe.clone(),
        tls: kind.tls,
        first_seen: Timestamp(row.first_seen).to_string(),
        last_seen: Timestamp(row.last_seen).to_string(),
    }
}

pub(crate) fn software_json((asset, row): &(&AssetRow, SoftwareRow)) -> ListedSoftwareJson {
    ListedSoftwareJson {
        asset: row.asset,
        site: asset.site.clone(),
        name: name(asset),
        product: row.product.product.clone(),
        version: row.product.version.clone(),
        cpe: row.product.cpe.clone(),
        source: row.source.clone(),
        first_seen: Timestamp(row.first_seen).to_string(),
        last_seen: Timestamp(row.last_seen).to_string(),
    }
}

pub(crate) fn service_table(rows: &[(&AssetRow, ServiceRow)]) -> String {
    let headings =
        ["asset", "name", "endpoint", "state", "protocol", "product", "version", "last open"];
    let mut table = Table::new(&headings);
    for row in rows {
        let shown = service_json(row);
        let tls = if shown.tls { "+tls" } else { "" };
        let (address, transport, port) = (row.1.address, shown.transport, shown.port);
        let endpoint = match address.is_ipv6() {
            true => format!("[{address}]:{port}/{transport}"),
            false => format!("{address}:{port}/{transport}"),
        };
        table.row([
            shown.asset.to_string(),
            shown.name.unwrap_or_default(),
            endpoint,
            shown.state.to_owned(),
            format!("{}{tls}", shown.protocol.unwrap_or_default()),
            shown.product.unwrap_or_default(),
            shown.version.unwrap_or_default(),
            shown.last_seen,
        ]);
    }
    table.render()
}

pub(crate) fn software_table(rows: &[(&AssetRow, SoftwareRow)]) -> String {
    let mut table = Table::new(&["asset", "name", "product", "version", "source", "last seen"]);
    for row in rows {
        let shown = software_json(row);
        table.row([
            shown.asset.to_string(),
            shown.name.unwrap_or_default(),
            shown.product,
            shown.version.unwrap_or_default(),
            shown.source,
            shown.last_seen,
        ]);
    }
    table.render()
}
