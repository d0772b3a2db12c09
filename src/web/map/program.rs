//! The map for programs: blocks of addresses with how they stand, the addresses of one, and the
//! devices that hold the network together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::store::{Junction, Plot, Sheet};
use model::AddressRange;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    JUNCTIONS, PLOTS,
    blocks::{self, Look},
};
use crate::web::{
    Shared,
    api::{About, PART, get, rows, told},
    asked::{Question, Refusal},
    routes::Route,
    trouble::Trouble,
    visit::Viewer,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/map",
            map,
            About::read(
                "Blocks of addresses (an IPv4 /24, an IPv6 /64) with how many addresses stand how, \
                 each by the worst of whoever has it",
                "{items: [Block], next: text?}",
            )
            .asking(PART),
        ),
        get(
            "/api/v1/map/block",
            block,
            About::read(
                "The addresses of a block, each once for each asset that has it",
                "{site: text, block: text, items: [Plot], next: text?}",
            )
            .asking(&[
                ("site", "its site, as the map has it"),
                ("block", "the block, as the map has it"),
                ("after", "where the part begins: what the one before said is next"),
                ("rows", "how many, 1 to 500; 100 where it is not said"),
            ]),
        ),
        get(
            "/api/v1/map/junctions",
            junctions,
            About::read(
                "Routers, switches and whatever tells its neighbours what it is, the first 300 by \
                 site and number, and whether there are more",
                "{items: [Junction], more: bool}",
            ),
        ),
    ]
}

#[derive(Deserialize)]
struct Part {
    site: Option<String>,
    block: Option<String>,
    after: Option<String>,
    rows: Option<u16>,
}

async fn map(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let after = part.after.as_deref().map(place).transpose()?;
    let sheet = after.map_or(Sheet::First, |(site, after)| Sheet::After(site, after));
    let lists = shared.lists().await?;
    let plots = shared.store.plots(sheet, PLOTS).await?;
    drop(lists);
    let is_cut = plots.len() >= PLOTS as usize;
    let (parts, next) = blocks::parts(&plots, rows(part.rows) as usize, is_cut);
    let items: Vec<Value> = parts.into_iter().filter_map(block_json).collect();
    let next = next.map(|(site, after)| format!("{after} {site}"));
    told(&headers, &json!({"items": items, "next": next}))
}

/// Behind which address of which site a part begins.
fn place(text: &str) -> Result<(&str, IpAddr), Trouble> {
    let read = text.split_once(' ').and_then(|(after, site)| Some((site, after.parse().ok()?)));
    read.ok_or(Refusal::Place.into())
}

fn block_json(plots: &[Plot]) -> Option<Value> {
    let first = plots.first()?;
    let all = blocks::distinct(plots);
    let mut value = json!({
        "site": first.site,
        "block": blocks::name(first.address),
        "addresses": all.len(),
    });
    for look in Look::ALL {
        value[look.as_str()] = all.iter().filter(|(_, one)| *one == look).count().into();
    }
    Some(value)
}

async fn block(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let site = part.site.as_deref().unwrap_or_default();
    let name = part.block.as_deref().unwrap_or_default();
    let range = blocks::range(name).ok_or(Trouble::NotFound)?;
    let rest = match &part.after {
        None => Some(range),
        Some(after) => {
            let after = after.parse().ok().filter(|after| range.contains(*after));
            behind(after.ok_or(Trouble::from(Refusal::Place))?, range)
        }
    };
    let (rows, mut plots) = (rows(part.rows), Vec::new());
    if let Some(rest) = rest {
        let lists = shared.lists().await?;
        plots = shared.store.plots(Sheet::Block(site, rest), rows.saturating_add(1)).await?;
        drop(lists);
    }
    if plots.is_empty() && part.after.is_none() {
        return Err(Trouble::NotFound);
    }
    let (rows, mut next) = (rows as usize, None);
    if plots.len() > rows {
        let cut = plots.pop().map(|plot| plot.address);
        // Of an address that several claim all are in one part, where that has room for them.
        let whole = plots.iter().take_while(|plot| Some(plot.address) != cut).count();
        plots.truncate(if whole > 0 { whole } else { rows });
        next = plots.last().map(|last| last.address.to_string());
    }
    let items: Vec<Value> = plots.iter().map(plot_json).collect();
    told(&headers, &json!({"site": site, "block": name, "items": items, "next": next}))
}

/// What of a range is behind one of its addresses.
fn behind(after: IpAddr, range: AddressRange) -> Option<AddressRange> {
    let first: IpAddr = match after {
        IpAddr::V4(after) => Ipv4Addr::from_bits(after.to_bits().checked_add(1)?).into(),
        IpAddr::V6(after) => Ipv6Addr::from_bits(after.to_bits().checked_add(1)?).into(),
    };
    AddressRange::new(first, range.last())
}

fn plot_json(plot: &Plot) -> Value {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    json!({
        "address": plot.address.to_string(),
        "asset": plot.asset.0,
        "name": text(&plot.name),
        "class": text(&plot.class),
        "registration": plot.registration.as_str(),
        "critical": plot.critical,
        "warning": plot.warning,
        "look": Look::of(plot).as_str(),
    })
}

async fn junctions(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let lists = shared.lists().await?;
    let mut found = shared.store.junctions(JUNCTIONS.saturating_add(1)).await?;
    drop(lists);
    let more = found.len() > usize::from(JUNCTIONS);
    found.truncate(usize::from(JUNCTIONS));
    let items: Vec<Value> = found.iter().map(junction_json).collect();
    told(&headers, &json!({"items": items, "more": more}))
}

fn junction_json(one: &Junction) -> Value {
    let neighbors = one.neighbors.iter().map(|(neighbor, heard_at)| {
        let mut value = json!(neighbor);
        value["heard_at"] = json!(heard_at);
        value
    });
    json!({
        "asset": one.asset.0,
        "site": one.site,
        "name": Some(&one.name).filter(|name| !name.is_empty()),
        "addresses": one.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "roles": one.roles,
        "neighbors": neighbors.collect::<Vec<_>>(),
    })
}
