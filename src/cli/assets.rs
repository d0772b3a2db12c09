//! `daicho assets`: the inventory, with reasons.

use anyhow::{Result, ensure};
use inventory::{
    asset::{AssetId, Event, EventKind},
    class,
    heard::What,
    opinion,
    owner::Owner,
    query::Kind,
    store::{
        Compared, OpenMode, Portrait, Store, StoreError, StoredFinding, StoredObservation,
        list::AssetEntry,
    },
};
use model::{Fact, Observation, Use};
use serde_json::{Value, json};

use crate::{
    cli::{
        args::{Asked, Assets, Format},
        existing_for,
    },
    clock,
    compose::Settings,
    report::{
        asset::{self, Shown},
        count, finding, hex,
        list::Asking,
        print, print_json, print_json_list,
        table::{Table, printable},
    },
    tell,
};

pub(crate) async fn run(
    settings: &Settings,
    command: Option<&Assets>,
    list: &Asked,
    format: Format,
) -> Result<()> {
    match command {
        None => show_all(settings, list, format).await,
        Some(Assets::List(list)) => show_all(settings, list, format).await,
        Some(Assets::Show { id }) => show(settings, AssetId(*id), format).await,
        Some(Assets::Merge { from, into, reason }) => {
            given(reason)?;
            let store = existing_for(settings).await?;
            store.merge(AssetId(*from), AssetId(*into), reason, clock::now()).await?;
            store.review(clock::now(), &settings.policy).await?;
            tell::line(&format!(
                "asset {from} is part of asset {into} now; undo: daicho assets split {from}"
            ));
            Ok(())
        }
        Some(Assets::Split { id, reason }) => {
            given(reason)?;
            let store = existing_for(settings).await?;
            store.split(AssetId(*id), reason, clock::now()).await?;
            store.review(clock::now(), &settings.policy).await?;
            tell::line(&format!("asset {id} stands for itself again"));
            Ok(())
        }
    }
}

/// A merge and a split are decisions, and those who ask later are owed the reason.
fn given(reason: &str) -> Result<()> {
    ensure!(!reason.trim().is_empty(), "--reason: say why, for those who ask later");
    Ok(())
}

async fn show_all(settings: &Settings, list: &Asked, format: Format) -> Result<()> {
    let query = list.query(Kind::Assets, settings)?;
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let as_of = clock::now();
    let compared = store.compare(as_of, &settings.policy).await?;
    let shown = match query.is_everything() {
        true => Shown::all(&compared),
        false => Asking::new(&compared, &store.findings().await?, &query, as_of).assets(),
    };
    match format {
        Format::Json => print_json_list(&shown, Shown::json),
        Format::Text if shown.is_empty() => print("no assets\n"),
        Format::Text => print(&asset::table(&shown)),
    }
}

async fn show(settings: &Settings, id: AssetId, format: Format) -> Result<()> {
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    // More of anything than that no asset has.
    let whole = Whole::load(settings, &store, id, u32::MAX).await?;
    match format {
        Format::Json => print_json(&whole.json()?),
        Format::Text => print(&text(&whole.known, &whole.shown()?)),
    }
}

/// The asset's JSON with everything that led to it; of findings, observations and events the latest
/// so many.
pub(crate) async fn whole_json(
    settings: &Settings,
    store: &Store,
    id: AssetId,
    most: u32,
) -> Result<Value> {
    Whole::load(settings, store, id, most).await?.json()
}

/// An asset with what was concluded of it.
struct Whole {
    known: Portrait,
    standing: Standing,
}

enum Standing {
    /// As the last review left it: one asset costs one asset.
    Listed(Box<AssetEntry>),
    /// Where no list has it, because nobody looks at lists or it came since: as it follows from the
    /// whole inventory.
    Compared(Box<Compared>),
}

impl Standing {
    async fn compared(settings: &Settings, store: &Store) -> Result<Self> {
        Ok(Self::Compared(store.compare(clock::now(), &settings.policy).await?.into()))
    }
}

/// The same as [`whole_json`] by comparing the whole inventory, whatever is listed.
#[cfg(test)]
pub(crate) async fn compared_json(
    settings: &Settings,
    store: &Store,
    id: AssetId,
    most: u32,
) -> Result<Value> {
    let standing = Standing::compared(settings, store).await?;
    Whole { known: store.portrait(id, most).await?, standing }.json()
}

impl Whole {
    async fn load(settings: &Settings, store: &Store, id: AssetId, most: u32) -> Result<Self> {
        let known = store.portrait(id, most).await?;
        let standing = match store.listed_asset(known.asset.id).await? {
            Some(entry) => Standing::Listed(entry.into()),
            None => Standing::compared(settings, store).await?,
        };
        Ok(Self { known, standing })
    }

    fn shown(&self) -> Result<Shown<'_>> {
        let asset = &self.known.asset;
        match &self.standing {
            Standing::Listed(entry) => Ok(Shown::listed(asset, entry)),
            Standing::Compared(compared) => {
                let state = compared.comparison.asset(asset.id);
                Ok(Shown::new(asset, state.ok_or(StoreError::NoAsset(asset.id))?))
            }
        }
    }

    /// Who answers for a finding.
    fn owners(&self, stored: &StoredFinding) -> Vec<&Owner> {
        match &self.standing {
            Standing::Listed(_) => {
                self.known.owners.get(&stored.id).into_iter().flatten().collect()
            }
            Standing::Compared(compared) => compared.owners.of_finding(&stored.finding),
        }
    }

    fn json(&self) -> Result<Value> {
        let (known, shown) = (&self.known, self.shown()?);
        let asset = &known.asset;
        let mut value = serde_json::to_value(shown.json())?;
        let identifiers: Vec<Value> = asset
            .identifiers
            .iter()
            .map(|assigned| {
                json!({
                    "kind": assigned.identifier.kind(),
                    "value": assigned.identifier.value(),
                    "strength": assigned.strength.as_str(),
                    "first_seen": assigned.first_seen.to_string(),
                    "last_seen": assigned.last_seen.to_string(),
                    "current": assigned.current,
                    "because": assigned.because,
                })
            })
            .collect();
        let observations = known.observations.rows.iter().map(observation_json);
        let observations: Vec<Value> = observations.collect::<Result<_, _>>()?;
        let events: Vec<Value> = known.events.rows.iter().map(event_json).collect();
        let merges: Vec<Value> = known
            .merges
            .iter()
            .map(|merge| {
                json!({
                    "from": merge.from.0,
                    "into": merge.into.0,
                    "because": merge.because,
                    "by_person": merge.by_person,
                    "at": merge.at.to_string(),
                    "undone_at": merge.undone.as_ref().map(|(at, _)| at.to_string()),
                })
            })
            .collect();
        let findings = known.findings.rows.iter();
        let findings: Vec<_> =
            findings.map(|found| finding::owned(found, self.owners(found))).collect();
        let why: Vec<String> =
            class::classify(asset).map_or_else(Vec::new, |judged| judged.reasons.clone());
        let Value::Object(object) = &mut value else { return Ok(value) };
        object.insert("registration_reason".into(), shown.reason.into());
        object.insert("class_reasons".into(), json!(why));
        object.insert("os_reasons".into(), json!(opinion::reasons(asset)));
        object.insert("identifiers".into(), identifiers.into());
        object.insert("observations".into(), observations.into());
        object.insert("events".into(), events.into());
        object.insert("findings".into(), serde_json::to_value(findings)?);
        object.insert("merges".into(), merges.into());
        Ok(value)
    }
}

/// Something that happened, as docs/json.md promises it.
pub(crate) fn event_json(event: &Event) -> Value {
    json!({
        "at": event.at.to_string(),
        "kind": event.kind.as_str(),
        "subject": event.subject,
        "detail": event.detail,
    })
}

/// Something that was observed, as docs/json.md promises it.
pub(crate) fn observation_json(stored: &StoredObservation) -> serde_json::Result<Value> {
    let seen = &stored.observation;
    Ok(json!({
        "method": seen.method.as_str(),
        "vantage": seen.vantage.name,
        "subject": seen.subject.to_string(),
        "fact": serde_json::to_value(&seen.fact)?,
        "evidence": evidence(seen),
        "first_seen": stored.first_seen.to_string(),
        "last_seen": seen.observed_at.to_string(),
        "times": stored.times,
    }))
}

/// What an observation rests on: mostly text of the other side's, once a DER, which is for
/// programs.
fn evidence(seen: &Observation) -> String {
    match seen.fact {
        Fact::OcspResponse { .. } => hex(&seen.evidence),
        _ => String::from_utf8_lossy(&seen.evidence).into_owned(),
    }
}

fn text(known: &Portrait, shown: &Shown<'_>) -> String {
    let asset = &known.asset;
    let mut text = format!("asset {} at site {}\n", asset.id, printable(&asset.site.0));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<13} {}\n", printable(value)));
        }
    };
    line("registration", &format!("{}: {}", shown.registration, shown.reason));
    let class = class::classify(asset);
    if let Some(judged) = &class {
        line("class", &format!("{}: {}", judged.class.as_str(), judged.reasons.join("; ")));
    }
    line("vendor", shown.vendor.as_deref().unwrap_or_default());
    if let Some(os) = &asset.os {
        let version = os.version.as_deref().unwrap_or_default();
        line("system", format!("{} {version}", os.name).trim_end());
        line("because", &opinion::reasons(asset).join("; "));
    }
    line("alive by", &asset.alive_by.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", "));
    line("first seen", &asset.first_seen.to_string());
    line("last seen", &asset.last_seen.to_string());
    if asset.identity_uncertain {
        line("identity", "uncertain: only what changes by itself says that this is one asset");
    }

    let mut identifiers = Table::new(&["identifier", "value", "strength", "now", "because"]);
    for assigned in &asset.identifiers {
        identifiers.row([
            assigned.identifier.kind().to_owned(),
            assigned.identifier.value(),
            assigned.strength.as_str().to_owned(),
            if assigned.current { "yes" } else { "no" }.to_owned(),
            assigned.because.clone(),
        ]);
    }
    let mut services =
        Table::new(&["endpoint", "state", "protocol", "product", "version", "last open"]);
    for service in &asset.services {
        let endpoint = model::Endpoint {
            address: service.address,
            transport: service.transport,
            port: service.port,
        };
        let tls = if service.tls { "+tls" } else { "" };
        services.row([
            endpoint.to_string(),
            service.state.to_string(),
            format!("{}{tls}", service.protocol.as_deref().unwrap_or_default()),
            service.product.clone().unwrap_or_default(),
            service.version.clone().unwrap_or_default(),
            service.last_seen.to_string(),
        ]);
    }
    let mut heard = Table::new(&["heard of", "kind", "what", "first seen", "last seen"]);
    for one in &asset.heard {
        let (kind, what) = in_words(&one.what);
        heard.row([
            one.subject.to_string().as_str(),
            kind,
            &what,
            &one.first_seen.to_string(),
            &one.last_seen.to_string(),
        ]);
    }
    let mut observations = Table::new(&["method", "subject", "fact", "times", "last seen"]);
    for stored in &known.observations.rows {
        let seen = &stored.observation;
        let fact = told(&seen.fact);
        observations.row([
            seen.method.as_str().to_owned(),
            seen.subject.to_string(),
            fact,
            stored.times.to_string(),
            seen.observed_at.to_string(),
        ]);
    }
    let mut events = Table::new(&["at", "event", "subject", "detail"]);
    for event in &known.events.rows {
        let kind: EventKind = event.kind;
        events.row([event.at.to_string().as_str(), kind.as_str(), &event.subject, &event.detail]);
    }
    for (rows, table) in [
        (asset.identifiers.len(), identifiers.render()),
        (asset.services.len(), services.render()),
        (asset.heard.len(), heard.render()),
        (
            known.findings.rows.len(),
            finding::table(&known.findings.rows.iter().collect::<Vec<_>>()),
        ),
        (known.events.rows.len(), events.render()),
        (known.observations.rows.len(), observations.render()),
    ] {
        if rows > 0 {
            text.push_str(&format!("\n{table}"));
        }
    }
    text
}

/// What was heard, for people: its kind and itself.
fn in_words(what: &What) -> (&'static str, String) {
    match what {
        What::Role(role) => ("role", role.to_string()),
        What::Use(Use::Resolver(server)) => ("resolver", server.to_string()),
        What::Use(Use::TimeServer(server)) => ("time server", server.to_string()),
        What::Use(Use::Cloud { domain, volume }) => ("cloud", format!("{domain} ({volume})")),
        What::Use(Use::Cleartext { protocol, server }) => {
            ("cleartext", format!("{protocol} with {server}"))
        }
        What::Fingerprint(kind, value) => ("fingerprint", format!("{kind}: {value}")),
        What::Neighbor(neighbor) => {
            let parts = [
                &neighbor.system_name,
                &neighbor.chassis,
                &neighbor.port,
                &neighbor.platform,
                &neighbor.system_description,
                &neighbor.version,
            ];
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            ("neighbour", format!("{}: {}", neighbor.protocol, parts.join("; ")))
        }
        What::Vlan(number) => ("vlan", number.to_string()),
    }
}

/// A fact for people. Of a chain only how it was served: its bytes are for programs, and would
/// push everything else out of the column.
pub(crate) fn told(fact: &Fact) -> String {
    match fact {
        Fact::Certificates(served) => {
            let name = served.server_name.as_ref().map(|name| format!(" for {name}"));
            let starttls = served.starttls.as_ref().map(|which| match which.contains("eap") {
                true => format!(" in {which}"),
                false => format!(" after {which} STARTTLS"),
            });
            format!(
                "chain of {} by {}{}{}",
                served.chain.len(),
                served.protocol_version,
                name.unwrap_or_default(),
                starttls.unwrap_or_default(),
            )
        }
        Fact::Tls(server) => {
            let accepted = server.accepted.iter().map(|(version, suites)| match suites.len() {
                0 => version.to_string(),
                many => format!("{version} ({})", count(many as u64, "suite", "suites")),
            });
            format!("accepts {}", accepted.collect::<Vec<_>>().join(", "))
        }
        // Facts derive serde for exactly this; one that could not be shown would be a mistake
        // of ours and is not worth losing the rest over.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use model::{CertificateChain, TlsVersion};

    use super::*;

    #[test]
    fn what_was_heard_is_told_in_words() {
        let server = "192.0.2.1".parse().unwrap();
        let neighbor = model::Neighbor {
            system_name: Some("sw7".to_owned()),
            port: Some("e7".to_owned()),
            ..model::Neighbor::of(model::DiscoveryProtocol::Lldp)
        };
        for (what, kind, words) in [
            (What::Role(model::NetworkRole::DhcpServer), "role", "dhcp server"),
            (What::Use(Use::TimeServer(server)), "time server", "192.0.2.1"),
            (
                What::Use(Use::Cleartext { protocol: "telnet".to_owned(), server }),
                "cleartext",
                "telnet with 192.0.2.1",
            ),
            (What::Neighbor(neighbor), "neighbour", "lldp: sw7; e7"),
        ] {
            assert_eq!(in_words(&what), (kind, words.to_owned()));
        }
    }

    #[test]
    fn a_chain_is_told_without_its_bytes() {
        let mut served = CertificateChain {
            chain: vec![vec![0x30; 900]; 2],
            server_name: None,
            protocol_version: TlsVersion(0x0304),
            starttls: None,
        };
        assert_eq!(told(&Fact::Certificates(served.clone())), "chain of 2 by TLSv1.3");
        served.server_name = Some("www.example".to_owned());
        served.starttls = Some("smtp".to_owned());
        let expected = "chain of 2 by TLSv1.3 for www.example after smtp STARTTLS";
        assert_eq!(told(&Fact::Certificates(served)), expected);
    }
}
