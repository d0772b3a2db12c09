//! From the targets on the command line to a scope: reads `@file`, asks the name service.

use std::{collections::HashMap, fs, net::IpAddr};

use anyhow::{Context as _, Result, bail, ensure};
use model::Gap;
use scanner::{
    Scope,
    net::resolve::Resolver,
    plan::Addresses,
    targets::{Purpose, Selection},
};

use crate::{cli::args::Shard, tell};

/// Whom to ask, and what of the targets could not be understood or found.
pub(crate) struct Chosen {
    pub(crate) scope: Scope,
    /// The names by which addresses were given: servers answer differently to their name.
    pub(crate) names: HashMap<IpAddr, Vec<String>>,
    pub(crate) gaps: Vec<Gap>,
}

/// Reads the exclusions, then the targets.
///
/// A mistake on the command line ends the command, because the user is there to mend it; a
/// bad line of a list, or a target's name that does not resolve, costs only itself and becomes a
/// gap. An exclusion that cannot be understood or resolved always ends the command: it
/// would let through what it was to keep out.
pub(crate) async fn choose(
    targets: &[String],
    excluded: &[String],
    allow_large: bool,
) -> Result<Chosen> {
    let mut selection = Selection::default();
    add(&mut selection, Purpose::Exclusion, excluded)?;
    let exclusions_wrong = selection.errors().len();
    add(&mut selection, Purpose::Target, targets)?;
    let mut gaps = Vec::new();
    let mut fatal = Vec::new();
    for (index, error) in selection.errors().iter().enumerate() {
        match error.place.is_some() && index >= exclusions_wrong {
            true => gaps.push(Gap { target: error.argument.clone(), reason: error.to_string() }),
            false => fatal.push(error.to_string()),
        }
    }
    if !fatal.is_empty() {
        bail!("{}", fatal.join("\n"));
    }
    let names = resolve(&mut selection, &mut gaps).await?;
    for gap in &gaps {
        tell::line(&format!("not asked: {}: {}", gap.target, gap.reason));
    }
    if selection.count(allow_large)? == 0 && selection.scope().areas().is_empty() {
        bail!("there is nothing to ask: no target is left");
    }
    Ok(Chosen { scope: selection.scope(), names, gaps })
}

/// A scope of no target, for what is sent elsewhere: these exclusions hold for that as well.
///
/// # Errors
///
/// An exclusion cannot be understood or resolved.
pub(crate) async fn exclusions(excluded: &[String]) -> Result<Scope> {
    let mut selection = Selection::default();
    add(&mut selection, Purpose::Exclusion, excluded)?;
    let wrong: Vec<String> = selection.errors().iter().map(ToString::to_string).collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    resolve(&mut selection, &mut Vec::new()).await?;
    Ok(selection.scope())
}

fn add(selection: &mut Selection, purpose: Purpose, arguments: &[String]) -> Result<()> {
    for argument in arguments {
        if let Some(path) = selection.add(purpose, argument) {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read the list {path}"))?;
            selection.add_list(purpose, &path, &text);
        }
    }
    Ok(())
}

async fn resolve(
    selection: &mut Selection,
    gaps: &mut Vec<Gap>,
) -> Result<HashMap<IpAddr, Vec<String>>> {
    let mut by_address: HashMap<IpAddr, Vec<String>> = HashMap::new();
    for purpose in [Purpose::Exclusion, Purpose::Target] {
        let names = selection.names(purpose).to_vec();
        if names.is_empty() {
            continue;
        }
        let resolved = Resolver::system()?.all(&names).await;
        if let (Purpose::Exclusion, Some(gap)) = (purpose, resolved.gaps.first()) {
            bail!("the exclusion {} cannot be kept: {}", gap.target, gap.reason);
        }
        gaps.extend(resolved.gaps);
        for (name, addresses) in resolved.found {
            for address in addresses {
                selection.add_resolved(purpose, &name, address);
                if purpose == Purpose::Target {
                    by_address.entry(address).or_default().push(name.clone());
                }
            }
        }
    }
    Ok(by_address)
}
/// The part of the targets that this sweep asks: one of several equal shards, and of that what
/// comes behind so many addresses.
///
/// Shards are stretches of the addresses in ascending order: together they are all of them,
/// each once, whoever works on them, and a network that one firewall answers for stays in one.
///
/// # Errors
///
/// There is nothing left, or nobody knows yet which addresses there are.
pub(crate) fn part(scope: &Scope, shard: Option<Shard>, behind: Option<u64>) -> Result<Scope> {
    if shard.is_none() && behind.is_none() {
        return Ok(scope.clone());
    }
    if let Some(area) = scope.areas().first() {
        bail!(
            "{area} is searched, and what is found differs from time to time: neither --shard nor \
             --resume-at can say a part of it"
        );
    }
    let mut addresses = Addresses::new(scope);
    let all = addresses.count();
    if let Some(Shard { number, of }) = shard {
        let start = |number: u64| {
            u64::try_from(u128::from(all) * u128::from(number) / u128::from(of)).unwrap_or(all)
        };
        let (from, until) = (start(number - 1), start(number));
        addresses = addresses.part(from, until.saturating_sub(from));
    }
    if let Some(behind) = behind {
        addresses = addresses.part(behind, u64::MAX);
    }
    ensure!(addresses.count() > 0, "there is no address left in this part of the targets");
    Ok(Scope::new(addresses.ranges().to_vec(), Vec::new()))
}
