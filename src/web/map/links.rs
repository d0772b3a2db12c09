//! The devices of a site that hold its network together, between those who hear them and the subnets
//! that they are in: three columns with lines between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use inventory::store::Junction;
use model::NetworkRole;

use super::{Texts, blocks::block_of};
use crate::web::{
    language::Language,
    page::{encoded, shown},
};

/// Devices and subnets that are drawn of a site.
const MOST: usize = 60;

/// The drawing's own units: where the columns begin, how wide a name is, how high a row.
const SENSORS: usize = 0;
const DEVICES: usize = 330;
const SUBNETS: usize = 740;
const WIDTH: usize = 250;
const ROW: usize = 28;
const TOP: usize = 22;

/// Letters of a name that have room.
const LETTERS: usize = 34;

pub(super) struct Node {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) text: String,
    /// In full.
    pub(super) title: String,
    /// Where it leads; "" for nowhere.
    pub(super) address: String,
}

pub(super) struct Line {
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
    /// What it says.
    pub(super) title: String,
}

/// See the module.
pub(super) struct Diagram {
    /// Where it begins, and how wide it is: without those who hear there is a column less.
    pub(super) left: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) headings: [(usize, &'static str); 3],
    pub(super) nodes: Vec<Node>,
    pub(super) lines: Vec<Line>,
    pub(super) more: usize,
    pub(super) spoken: String,
}

/// What a device is called.
pub(super) fn called(one: &Junction) -> String {
    let told = one.neighbors.iter().find_map(|(neighbor, _)| neighbor.system_name.clone());
    let name = Some(one.name.clone()).filter(|name| !name.is_empty()).or(told);
    let address = || one.addresses.first().map(ToString::to_string);
    name.or_else(address).unwrap_or_else(|| format!("#{}", one.asset))
}

fn cut(text: &str) -> String {
    let text = shown(text);
    match text.chars().nth(LETTERS) {
        Some(_) => text.chars().take(LETTERS - 1).chain(['…']).collect(),
        None => text,
    }
}

/// The devices of a site; `None` where there are none.
pub(super) fn diagram(junctions: &[Junction], site: &str, language: Language) -> Option<Diagram> {
    let texts = Texts::of(language);
    let mut own: Vec<&Junction> = junctions.iter().filter(|one| one.site == site).collect();
    if own.is_empty() {
        return None;
    }
    // Beside the subnets that they are in, so that lines are short.
    own.sort_by_key(|one| (one.addresses.first().map(|address| block_of(*address)), one.asset));
    let more = own.len().saturating_sub(MOST);
    own.truncate(MOST);
    let all: BTreeSet<(IpAddr, u8)> =
        own.iter().flat_map(|one| one.addresses.iter().map(|address| block_of(*address))).collect();
    let subnets: BTreeMap<(IpAddr, u8), usize> =
        all.iter().take(MOST).enumerate().map(|(row, block)| (*block, row)).collect();
    let more = more.saturating_add(all.len().saturating_sub(MOST));
    let hears = own.iter().flat_map(|one| one.neighbors.iter().flat_map(|(_, names)| names));
    let hears: BTreeSet<&String> = hears.collect();
    let more = more.saturating_add(hears.len().saturating_sub(MOST));
    let sensors: BTreeMap<&String, usize> =
        hears.into_iter().take(MOST).enumerate().map(|(row, name)| (name, row)).collect();
    let y = |row: usize| TOP + row * ROW;
    let middle = |row: usize| y(row) + ROW / 2 - 2;
    let (mut nodes, mut lines) = (Vec::new(), Vec::new());
    for (name, row) in &sensors {
        let (text, title) = (cut(name), shown(name));
        nodes.push(Node { x: SENSORS, y: y(*row), text, title, address: String::new() });
    }
    for (row, one) in own.iter().enumerate() {
        let name = called(one);
        let is_router = |role: &NetworkRole| {
            matches!(role, NetworkRole::Router(_) | NetworkRole::VirtualRouter { .. })
        };
        let mark = if one.roles.iter().any(is_router) { "⇄ " } else { "" };
        let roles: Vec<String> =
            one.roles.iter().map(|role| language.said(&role.to_string())).collect();
        nodes.push(Node {
            x: DEVICES,
            y: y(row),
            text: cut(&format!("{mark}{name}")),
            title: shown(&format!("{name}: {}", roles.join(", "))),
            address: format!("/assets/{}", one.asset),
        });
        for (neighbor, names) in &one.neighbors {
            for sensor in names.iter().filter_map(|name| sensors.get(name)) {
                let title = shown(neighbor.port.as_deref().unwrap_or_default());
                let from = (SENSORS + WIDTH, middle(*sensor));
                lines.push(Line { from, to: (DEVICES, middle(row)), title });
            }
        }
        let reached: BTreeSet<_> = one.addresses.iter().map(|address| block_of(*address)).collect();
        for block in reached {
            let Some(subnet) = subnets.get(&block) else { continue };
            let own = one.addresses.iter().filter(|address| block_of(**address) == block);
            let own: Vec<String> = own.map(ToString::to_string).collect();
            let from = (DEVICES + WIDTH, middle(row));
            lines.push(Line { from, to: (SUBNETS, middle(*subnet)), title: own.join(" ") });
        }
    }
    for ((start, length), row) in &subnets {
        let name = format!("{start}/{length}");
        let address = format!("/map/block?site={}&block={}", encoded(site), encoded(&name));
        nodes.push(Node { x: SUBNETS, y: y(*row), text: name.clone(), title: name, address });
    }
    let rows = own.len().max(subnets.len()).max(sensors.len());
    let left = if sensors.is_empty() { DEVICES - 2 } else { 0 };
    Some(Diagram {
        left,
        width: SUBNETS + WIDTH + 10 - left,
        height: y(rows),
        headings: [
            (SENSORS, if sensors.is_empty() { "" } else { texts.sensors }),
            (DEVICES, texts.devices),
            (SUBNETS, texts.subnets),
        ],
        spoken: format!(
            "{} {}, {} {}, {} {}",
            sensors.len(),
            texts.sensors,
            own.len(),
            texts.devices,
            subnets.len(),
            texts.subnets
        ),
        nodes,
        lines,
        more,
    })
}
