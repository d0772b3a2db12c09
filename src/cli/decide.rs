//! `daicho approve`, `investigate`, `reject` and `retire`: what somebody decides.

use anyhow::{Context as _, Result, bail};
use inventory::{
    approval::{self, Decision, Identities, Matter, Proposal, Verdict},
    asset::{Asset, AssetId},
    compare::AssetState,
    query::{Kind, Query},
    register::{self, Day, Entry, IssuerEntry, LineProblem, Reason, SoftwareEntry},
    store::{Compared, ReviewSummary, Rule, Store, StoreError},
};
use jiff::tz::Offset;
use model::{Identifier, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    cli::{
        Unusable,
        args::{About, AboutAsset, AboutIssuer, AboutSoftware, Format, Terms},
        existing_for,
    },
    clock,
    compose::Settings,
    report::{count, decision, list::Asking, print, print_json, table::Table},
    tell,
};

/// For how long somebody may be finding out, in seconds, where nobody says.
const INVESTIGATION: i64 = 14 * 86_400;

pub(crate) async fn run(
    settings: &Settings,
    verdict: Verdict,
    about: &About,
    format: Format,
) -> Result<()> {
    let store = existing_for(settings).await?;
    if let About::Asset(about) = about
        && about.dry_run
    {
        return preview(&assets(settings, &store, about).await?, format);
    }
    let proposals = proposals(settings, &store, verdict, about).await?;
    let first = is_first(&store, verdict, &proposals).await?;
    let now = clock::now();
    let made = store.decide(&proposals, settings.rule, now, settings.policy.offset).await?;
    report(&follow(settings, &store, made).await?, settings.policy.offset, format)?;
    if let Some(what) = first.filter(|_| settings.rule == Rule::OnePerson) {
        tell::line(&format!(
            "no {what} register was imported: from now on every {what} that is not approved is \
             unregistered"
        ));
    }
    Ok(())
}

/// What is to be decided of what somebody named. The page asks in the same way.
pub(crate) async fn proposals(
    settings: &Settings,
    store: &Store,
    verdict: Verdict,
    about: &About,
) -> Result<Vec<Proposal>> {
    let (matters, terms, idle_days) = match about {
        About::Asset(about) => {
            let matters = assets(settings, store, about).await?;
            (matters, &about.terms, about.idle.map(|days| days.0))
        }
        About::Software(about) => (vec![Matter::Software(software(about)?)], &about.terms, None),
        About::Issuer(about) => (vec![Matter::Issuer(issuer(about)?)], &about.terms, None),
    };
    let terms = approval::Terms { idle_days, ..terms_of(verdict, terms, settings.policy.offset)? };
    let proposal = |matter| Proposal { matter, verdict, terms: terms.clone() };
    Ok(matters.into_iter().map(proposal).collect())
}

/// What was decided or ended, with the review that follows from it.
pub(crate) struct Followed {
    pub(crate) decisions: Vec<Decision>,
    review: ReviewSummary,
}

/// Has what follows from decisions follow at once, as at the end of a scan.
pub(crate) async fn follow(
    settings: &Settings,
    store: &Store,
    decisions: Vec<Decision>,
) -> Result<Followed, StoreError> {
    let review = store.review(clock::now(), &settings.policy).await?;
    Ok(Followed { decisions, review })
}

impl Followed {
    fn state(&self, decision: &Decision) -> Option<&AssetState> {
        self.review.compared.comparison.asset(decision.matter.asset()?)
    }

    /// As `docs/json.md` promises it: each decision with what the asset is now.
    pub(crate) fn json(&self, as_of: Timestamp, offset: Offset) -> Vec<Value> {
        let one = |one: &Decision| {
            let mut value = decision::json(one, as_of, offset);
            if let Value::Object(object) = &mut value {
                let state = self.state(one).map(|state| state.state.as_str());
                object.insert("registration".into(), json!(state));
            }
            value
        };
        self.decisions.iter().map(one).collect()
    }
}

/// Prints what was decided, and what follows from it.
pub(crate) fn report(followed: &Followed, offset: Offset, format: Format) -> Result<()> {
    let (now, made) = (clock::now(), &followed.decisions);
    match format {
        Format::Json => print_json(&followed.json(now, offset))?,
        Format::Text => {
            print(&decision::table(made, now, offset))?;
            for decision in made {
                if let Some(state) = followed.state(decision) {
                    tell::line(&format!("{}: {} ({})", decision.matter, state.state, state.reason));
                }
            }
        }
    }
    let waits = made.iter().filter(|one| one.second == approval::Second::Awaited).count();
    if waits > 0 {
        let what = count(waits as u64, "decision waits", "decisions wait");
        tell::line(&format!("{what} for a second person: daicho decisions confirm ID"));
    }
    let resolved = followed
        .review
        .changes
        .iter()
        .filter(|change| change.kind == inventory::finding::ChangeKind::Resolved)
        .count();
    if resolved > 0 {
        tell::line(&format!("resolved: {}", count(resolved as u64, "finding", "findings")));
    }
    Ok(())
}

/// Which list the first approval begins, where none was imported.
async fn is_first(
    store: &Store,
    verdict: Verdict,
    proposals: &[Proposal],
) -> Result<Option<&'static str>> {
    let first = proposals.first().map(|proposal| proposal.matter.kind());
    let Some(kind) = first.filter(|_| verdict == Verdict::Approved) else {
        return Ok(None);
    };
    let is_known = store.registers().await?.iter().any(|register| register.kind == kind)
        || store.decisions().await?.iter().any(|decision| {
            decision.matter.kind() == kind && decision.verdict == Verdict::Approved
        });
    Ok((!is_known).then(|| kind.as_str()))
}

fn terms_of(verdict: Verdict, terms: &Terms, offset: Offset) -> Result<approval::Terms> {
    let Terms { reason, until, exception } = terms;
    let day = |text: &str| text.parse::<Day>().context("--until");
    let until = match (until, verdict) {
        (Some(text), _) => Some(day(text)?),
        (None, Verdict::Investigating) => {
            // A day there ends by its own clock.
            let ahead = INVESTIGATION.saturating_add(i64::from(offset.seconds()));
            let end = clock::now().plus_seconds(ahead).to_string();
            Some(day(end.split_once('T').map_or("", |(day, _)| day))?)
        }
        (None, _) => None,
    };
    Ok(approval::Terms { reason: reason.clone(), until, idle_days: None, exception: *exception })
}

/// The assets that somebody named, with what they would be known by.
pub(crate) async fn assets(
    settings: &Settings,
    store: &Store,
    about: &AboutAsset,
) -> Result<Vec<Matter>> {
    let unknown = about.known_by.iter().find(|kind| !Identifier::KINDS.contains(&kind.as_str()));
    if let Some(unknown) = unknown {
        let kinds = Identifier::KINDS.join(", ");
        bail!(Unusable(format!("--known-by: {unknown:?} is none of {kinds}")));
    }
    let as_of = clock::now();
    let compared = store.compare(as_of, &settings.policy).await?;
    let chosen = chosen(settings, store, about, &compared).await?;
    let identities = Identities::new(&compared.assets);
    let kinds = Some(about.known_by.as_slice()).filter(|kinds| !kinds.is_empty());
    let matter = |asset: &Asset| Matter::Asset {
        asset: asset.id,
        label: label(asset),
        site: asset.site.clone(),
        identifiers: identities.of(asset, kinds),
    };
    let matters: Vec<Matter> = chosen.into_iter().map(matter).collect();
    match matters.is_empty() {
        true => bail!(NothingMatches),
        false => Ok(matters),
    }
}

async fn chosen<'a>(
    settings: &Settings,
    store: &Store,
    about: &AboutAsset,
    compared: &'a Compared,
) -> Result<Vec<&'a Asset>> {
    if let Some(query) = &about.query {
        let query = Query::parse(Kind::Assets, query, settings.policy.offset)?;
        let findings = store.findings().await?;
        let asking = Asking::new(compared, &findings, &query, clock::now());
        return Ok(asking.assets().into_iter().map(|shown| shown.asset).collect());
    }
    let mut list: Vec<&Asset> = Vec::new();
    for id in &about.ids {
        // Every number of a merge leads to the whole.
        let id = match compared.comparison.asset(AssetId(*id)) {
            Some(state) => state.asset,
            None => store.asset(AssetId(*id)).await?.asset.id,
        };
        let asset = compared.assets.iter().find(|asset| asset.id == id);
        let asset = asset.ok_or(StoreError::NoAsset(id))?;
        if !list.iter().any(|known| known.id == asset.id) {
            list.push(asset);
        }
    }
    Ok(list)
}

/// How people recognise an asset.
fn label(asset: &Asset) -> String {
    let name = asset.names.first().map(|name| name.name.clone());
    let address = asset.addresses().next().map(|address| address.to_string());
    let mac = asset.macs().next().map(|mac| mac.to_string());
    let parts: Vec<String> = [name, address.or(mac)].into_iter().flatten().collect();
    match parts.is_empty() {
        true => "unnamed".to_owned(),
        false => parts.join(", "),
    }
}

fn known_by(matter: &Matter) -> Vec<String> {
    match matter {
        Matter::Asset { identifiers, .. } => identifiers.iter().map(ToString::to_string).collect(),
        Matter::Software(_) | Matter::Issuer(_) => Vec::new(),
    }
}

/// What would be decided about, as `docs/json.md` promises it.
pub(crate) fn preview_json(matters: &[Matter]) -> Vec<Value> {
    let one = |matter: &Matter| {
        json!({
            "asset": matter.asset().map(|asset| asset.0),
            "subject": matter.to_string(),
            "known_by": known_by(matter),
        })
    };
    matters.iter().map(one).collect()
}

fn preview(matters: &[Matter], format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(&preview_json(matters)),
        Format::Text => {
            let mut table = Table::new(&["about", "known by"]);
            for matter in matters {
                table.row([matter.to_string(), known_by(matter).join(", ")]);
            }
            print(&table.render())
        }
    }
}

/// A query asks for nothing that there is.
#[derive(Debug, Error)]
#[error("no asset matches: nothing was decided")]
pub(crate) struct NothingMatches;

/// What somebody named cannot be an entry of a register.
#[derive(Debug, Error)]
#[error("{}", .reason.as_ref().map_or_else(|| "nothing was named".to_owned(), ToString::to_string))]
pub(crate) struct WrongCell {
    /// The heading of the cell that is wrong, if it is one.
    pub(crate) heading: Option<String>,
    /// `None` where nothing was named.
    pub(crate) reason: Option<Reason>,
}

/// An entry as a register would give it, with all that is read of one.
fn entry<E: Entry>(cells: &[(&str, Option<&String>)]) -> Result<E, WrongCell> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let headings: Vec<&str> = cells.iter().map(|(heading, _)| *heading).collect();
    let values: Vec<String> =
        cells.iter().map(|(_, cell)| quoted(cell.map_or("", String::as_str))).collect();
    let csv = format!("{}\n{}\n", headings.join(","), values.join(","));
    let nothing = |_| WrongCell { heading: None, reason: None };
    let import = register::read::<E>(csv.as_bytes()).map_err(nothing)?;
    match (import.entries.into_iter().next(), import.errors.into_iter().next()) {
        (Some(entry), None) => Ok(entry),
        (_, Some(LineProblem { field, reason, .. })) => {
            Err(WrongCell { heading: field, reason: Some(reason) })
        }
        (None, None) => Err(WrongCell { heading: None, reason: None }),
    }
}

/// The entry that a decision about a product rests on.
pub(crate) fn software(about: &AboutSoftware) -> Result<SoftwareEntry, WrongCell> {
    entry(&[
        ("product", Some(&about.product)),
        ("publisher", about.publisher.as_ref()),
        ("version", about.versions.as_ref()),
        ("scope", about.scope.as_ref()),
    ])
}

/// The entry that a decision about an authority rests on.
pub(crate) fn issuer(about: &AboutIssuer) -> Result<IssuerEntry, WrongCell> {
    entry(&[
        ("issuer", about.name.as_ref()),
        ("certificate sha256", about.certificate.as_ref()),
        ("key sha256", about.key.as_ref()),
    ])
}
