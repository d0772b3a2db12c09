//! A map: what is at which address, by subnets as people think of them, and the devices that hold
//! the network together. It is drawn here and not by the browser, and the same network is drawn the
//! same way each time.

mod blocks;
mod links;
mod program;
#[cfg(test)]
mod tests;

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    asset::AssetId,
    query::Kind,
    store::{Junction, Sheet},
};
use serde::Deserialize;

use super::{
    Shared,
    asked::Question,
    language::Language,
    lists::address,
    page::{Page, encoded, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::Viewer,
    words::{Words, words},
};
use blocks::{Block, Cell, Look};
use links::Diagram;

words! {
    /// The texts of the map.
    Texts {
        legend: "What the shapes mean", "記号の説明";
        critical: "critical finding", "重大な検出事項";
        unregistered: "not registered", "未登録";
        warning: "warning", "警告";
        registered: "registered", "登録済み";
        plain: "seen", "検出";
        addresses: "addresses", "アドレス";
        larger: "Larger", "拡大";
        more: "more are not drawn", "件は非表示";
        junctions: "Routers, switches and whom they reach", "ルーター・スイッチと接続先";
        sensors: "Where we listen", "センサー";
        devices: "Devices", "機器";
        subnets: "Subnets", "サブネット";
        as_table: "The same as a table", "表で表示";
        device: "Device", "機器";
        roles: "Says that it is", "役割";
        neighbors: "Its port, and who hears it", "ポートと検出元";
        nothing: "Nothing was seen yet.", "まだ何も検出されていません。";
        next: "More subnets", "次のサブネット";
        first: "The first subnets", "最初のサブネット";
        back: "The map", "マップ";
        list: "The list", "一覧";
        address: "Address", "アドレス";
        many_devices: "Only the first 300 devices on the way are shown, in the order of the sites: a query for class:network lists all.", "経路上の機器は拠点の順に最初の300台だけを表示しています。すべては class:network の検索で一覧できます。";
        name: "Name", "名前";
        class: "Class", "種類";
        state: "State", "状態";
        asset: "Asset", "資産";
    }
}

impl Texts {
    const fn look_name(&self, look: Look) -> &'static str {
        match look {
            Look::Critical => self.critical,
            Look::Unregistered => self.unregistered,
            Look::Warning => self.warning,
            Look::Registered => self.registered,
            Look::Plain => self.plain,
        }
    }

    /// The shapes with what they mean.
    fn shapes(&self) -> [(&'static str, String, &'static str); 5] {
        Look::ALL.map(|look| (look.class(), look.shape(0, 0, 10), self.look_name(look)))
    }
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = program::routes();
    routes.extend([get("/map", show), get("/map/block", one)]);
    routes
}

/// Subnets of a page, and addresses that are looked at for them.
const BLOCKS: usize = 100;
const PLOTS: u32 = 30_000;

/// Devices that are looked at, and rows of a table.
const JUNCTIONS: u16 = 300;

#[derive(Deserialize)]
struct Asked {
    /// The site and the address behind which the page begins.
    site: Option<String>,
    after: Option<String>,
    block: Option<String>,
}

struct SiteShown {
    name: String,
    diagram: Option<Diagram>,
    blocks: Vec<Block>,
}

/// A device in the table.
struct Device {
    asset: i64,
    name: String,
    site: String,
    roles: String,
    addresses: String,
    neighbors: String,
}

#[derive(Template)]
#[template(path = "map.html")]
struct Map {
    page: Page,
    texts: &'static Texts,
    sites: Vec<SiteShown>,
    devices: Vec<Device>,
    /// Whether there are more than are looked at.
    are_more: bool,
    next: Option<String>,
    first: bool,
}

async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Question<Asked>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let site = asked.site.unwrap_or_default();
    // What is no address begins at the beginning: links grow old.
    let after = asked.after.and_then(|after| after.parse().ok());
    let sheet = after.map_or(Sheet::First, |after| Sheet::After(&site, after));
    let place = shared.lists().await?;
    let plots = shared.store.plots(sheet, PLOTS).await?;
    let mut junctions = shared.store.junctions(JUNCTIONS.saturating_add(1)).await?;
    drop(place);
    let are_more = junctions.len() > usize::from(JUNCTIONS);
    junctions.truncate(usize::from(JUNCTIONS));
    let is_cut = plots.len() >= PLOTS as usize;
    let (drawn, next) = blocks::blocks(&plots, BLOCKS, is_cut, texts);
    let mut sites: Vec<SiteShown> = Vec::new();
    for block in drawn {
        let same = |site: &&mut SiteShown| {
            site.blocks.first().is_some_and(|first: &Block| first.site == block.site)
        };
        match sites.last_mut().filter(same) {
            Some(site) => site.blocks.push(block),
            None => sites.push(SiteShown {
                name: shown(&block.site),
                // That of a site which goes on here is where it began.
                diagram: match after.is_some() && block.site == site {
                    true => None,
                    false => links::diagram(&junctions, &block.site, visitor.language),
                },
                blocks: vec![block],
            }),
        }
    }
    html(&Map {
        page: Page::new(&visitor, Words::of(visitor.language).map),
        texts,
        sites,
        devices: match after {
            None => junctions.iter().map(|one| device(one, visitor.language)).collect(),
            Some(_) => Vec::new(),
        },
        are_more,
        next: next.map(|(site, after)| format!("/map?site={}&after={after}", encoded(&site))),
        first: after.is_some(),
    })
}

fn device(one: &Junction, language: Language) -> Device {
    const FEW: usize = 8;
    let roles: Vec<String> =
        one.roles.iter().map(|role| language.said(&role.to_string())).collect();
    let some: Vec<String> = one.addresses.iter().take(FEW).map(ToString::to_string).collect();
    let more = one.addresses.len().saturating_sub(FEW);
    let neighbors = one.neighbors.iter().map(|(neighbor, names)| {
        let port = neighbor.port.as_deref().unwrap_or("?");
        format!("{port} ({}): {}", neighbor.protocol, names.join(", "))
    });
    Device {
        asset: one.asset.0,
        name: shown(&links::called(one)),
        site: shown(&one.site),
        roles: shown(&roles.join(", ")),
        addresses: match more {
            0 => some.join(" "),
            more => format!("{} +{more}", some.join(" ")),
        },
        neighbors: shown(&neighbors.collect::<Vec<_>>().join("; ")),
    }
}

struct AddressRow {
    asset: AssetId,
    address: String,
    name: String,
    class: String,
    look: &'static str,
    state: &'static str,
}

#[derive(Template)]
#[template(path = "block.html")]
struct One {
    page: Page,
    texts: &'static Texts,
    list: String,
    block: Block,
    cells: Vec<Cell>,
    rows: Vec<AddressRow>,
}

async fn one(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Question<Asked>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let site = asked.site.unwrap_or_default();
    let named = asked.block.as_deref().and_then(blocks::range);
    let range = named.ok_or(Trouble::NotFound)?;
    let place = shared.lists().await?;
    let plots = shared.store.plots(Sheet::Block(&site, range), PLOTS).await?;
    drop(place);
    let block = blocks::blocks(&plots, 1, false, texts).0.pop().ok_or(Trouble::NotFound)?;
    let rows = plots.iter().take(blocks::CELLS).map(|plot| {
        let look = Look::of(plot);
        AddressRow {
            asset: plot.asset,
            address: plot.address.to_string(),
            name: shown(&plot.name),
            class: shown(&visitor.language.value(Kind::Assets, "class", &plot.class)),
            look: look.tone(),
            state: texts.look_name(look),
        }
    });
    html(&One {
        page: Page::new(&visitor, format!("{} · {}", block.name, shown(&site))),
        texts,
        list: address("/assets", &block.query),
        cells: blocks::cells(&plots, texts),
        rows: rows.collect(),
        block,
    })
}
