//! Whether clients would accept what is served: a verdict for each chain in each place.
//!
//! The roots and the revocation lists are handed in, as the time is: nothing here knows from
//! where a machine has its roots. Each distinct chain is judged once, however many places serve
//! it, by `certs::chain`; what follows from a verdict is for `compare`.

mod memory;
mod stapled;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use certs::{
    Certificate, Trust,
    chain::{Judgement, Pool, Purpose, Question, Reason, Roots, is_for, judge},
    revocation::{List, Lists, Standing},
};
use model::Timestamp;

use crate::{
    asset::{Asset, Deployment},
    cores,
    download::Fetched,
    file::KeptFile,
    register::IssuerEntry,
};

pub(crate) use memory::{Memory, Remembered};
pub use stapled::Stapled;

/// Whom the organisation's clients trust, and what they know of revocation.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Anchors {
    /// The roots that the public trusts, DER.
    pub public: Vec<Vec<u8>>,
    /// The organisation's own, DER. One that is in both is its own.
    pub own: Vec<Vec<u8>>,
    /// Revocation lists.
    pub lists: Lists,
    /// Where each list lies, in the order of the lists.
    pub list_paths: Vec<String>,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The assets with what they serve.
    pub assets: &'a [Asset],
    /// The files with certificates.
    pub files: &'a [KeptFile],
    /// The certificates that those name, as read.
    pub certificates: &'a [Certificate],
    /// Their DER, by hash.
    pub ders: &'a HashMap<String, Vec<u8>>,
    /// The issuer register, where one was imported: a self-signed certificate that it lists by
    /// a hash is a root of the organisation's own.
    pub issuers: Option<&'a [IssuerEntry]>,
    /// What servers stapled to theirs.
    pub stapled: &'a [Stapled],
    /// What was fetched of what they name.
    pub fetched: &'a Fetched,
}

/// A chain as it is served or lies in a file: what one verdict is about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Chain {
    /// SHA-256 of the leaf, lower-case hexadecimal.
    pub leaf: String,
    /// SHA-256 of what came with it, in its order.
    pub above: Vec<String>,
}

impl Chain {
    /// What is served there.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        Self { leaf: deployment.sha256.clone(), above: deployment.chain.clone() }
    }

    /// By what it is remembered what was said of it, for a purpose.
    pub(crate) fn key(&self, purpose: Purpose) -> String {
        memory::asked(self, purpose)
    }

    /// What a file holds with one of its certificates. A file may hold thousands of leaves, of
    /// which none stands above another.
    #[must_use]
    pub fn in_file(file: &KeptFile, leaf: &str, known: &HashMap<&str, &Certificate>) -> Self {
        let issues = |sha256: &&String| known.get(sha256.as_str()).is_none_or(|one| may_issue(one));
        let others = file.current().map(|held| &held.sha256).filter(|sha256| *sha256 != leaf);
        Self { leaf: leaf.to_owned(), above: others.filter(issues).cloned().collect() }
    }
}

/// Whether it says that it is an authority's, or is from before certificates said so.
pub(crate) fn may_issue(certificate: &Certificate) -> bool {
    certificate.is_ca || certificate.version < Some(3)
}

/// The verdicts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Chains {
    verdicts: HashMap<Chain, Judgement>,
    /// Of each certificate on a path to a root.
    trust: HashMap<String, Trust>,
    /// Leaves that are not for the names by which they were asked for.
    misnamed: HashSet<(String, String)>,
    /// The names of the roots that paths lead to, RFC 4514, by hash.
    roots: BTreeMap<String, String>,
    /// Whether anybody said whom the organisation trusts beside the public.
    own_roots: bool,
    /// The revocation lists, each with what it is worth.
    lists: Vec<KeptList>,
}

/// A revocation list and what it is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptList {
    /// Where it lies.
    pub path: String,
    /// Whose it is, an RFC 4514 string.
    pub issuer: String,
    /// When the next one is due.
    pub next_update: Option<Timestamp>,
    /// What it is worth.
    pub standing: Standing,
}

impl Chains {
    /// Judges every chain that is served now or lies in a file.
    #[must_use]
    pub fn judge(evidence: &Evidence<'_>, anchors: &Anchors, as_of: Timestamp) -> Self {
        Self::recall(evidence, anchors, &Memory::default(), as_of).0
    }

    /// The same, with what is remembered; and what is to be remembered from now on.
    pub(crate) fn recall(
        evidence: &Evidence<'_>,
        anchors: &Anchors,
        memory: &Memory,
        as_of: Timestamp,
    ) -> (Self, Memory) {
        let known: HashMap<&str, &Certificate> =
            evidence.certificates.iter().map(|one| (one.sha256.as_str(), one)).collect();
        let public: BTreeSet<&[u8]> = anchors.public.iter().map(Vec::as_slice).collect();
        let registered = registered_roots(evidence, &public);
        let own: Vec<&[u8]> = anchors.own.iter().map(Vec::as_slice).chain(registered).collect();
        let own_roots = !own.is_empty();
        let roots = Roots::new(public.iter().copied(), own.iter().copied());
        if roots.is_empty() {
            return (Self::default(), Memory::default());
        }
        let asked = asked(evidence, &known);
        let above: HashSet<&String> = asked.iter().flat_map(|(chain, _)| &chain.above).collect();
        // In the order of their hashes, so that the answer does not depend on a hash table.
        let issuers = evidence
            .certificates
            .iter()
            .filter(|one| one.is_ca || (may_issue(one) && above.contains(&one.sha256)));
        let issuers: BTreeMap<&String, &Vec<u8>> =
            issuers.filter_map(|one| evidence.ders.get_key_value(&one.sha256)).collect();
        let lists = anchors.lists.joined(&evidence.fetched.lists);
        let basis = memory::basis(anchors, &lists, issuers.values().map(|der| der.as_slice()));
        let pool = Pool::new(issuers.into_values().map(Vec::as_slice));
        let turning_points = pool.turning_points().chain(roots.turning_points());
        let (since, until) = memory::around(turning_points, as_of);
        let mut chains = Self { own_roots, ..Self::default() };
        let mut open = Vec::new();
        for (chain, purpose) in asked {
            let key = memory::asked(&chain, purpose);
            match memory.recall(&key, &basis, as_of) {
                Some(judgement) => chains.add(chain, judgement.clone()),
                None => open.push((chain, purpose, key)),
            }
        }
        let answer = |(chain, purpose, key): (Chain, Purpose, String)| {
            let der = |sha256: &String| evidence.ders.get(sha256).map(Vec::as_slice);
            let leaf = der(&chain.leaf)?;
            let served: Vec<&[u8]> = chain.above.iter().map(der).collect::<Option<_>>()?;
            let lists = &lists;
            let question = Question { leaf, served: &served, name: None, as_of, purpose, lists };
            let judgement = judge(&question, &pool, &roots);
            let all = [&chain.leaf].into_iter().chain(&chain.above);
            let all = all.filter_map(|sha256| known.get(sha256.as_str()));
            let ends = [since, until].into_iter().chain(all.flat_map(|one| one.turning_points()));
            let (since, until) = memory::around(ends, as_of);
            Some((chain, key, Remembered { since, until, judgement }))
        };
        let mut fresh = Memory { basis, ..Memory::default() };
        for (chain, key, kept) in cores::each(open, answer).into_iter().flatten() {
            chains.add(chain, kept.judgement.clone());
            fresh.verdicts.insert(key, kept);
        }
        // Not remembered with the verdict: a server brings another response every few days.
        chains.revoke(&stapled::revoked(evidence, &known, &own, &anchors.public));
        let name = |sha256: &String| Some((sha256.clone(), roots.name(sha256)?));
        let ends = chains.verdicts.values().filter(|verdict| verdict.trust != Trust::Unknown);
        let ends: BTreeSet<&String> = ends.filter_map(|verdict| verdict.path.last()).collect();
        chains.roots = ends.into_iter().filter_map(name).collect();
        chains.misnamed = misnamed(evidence, &chains.verdicts);
        let worth = |(list, path): (&List, &String)| KeptList {
            path: path.clone(),
            issuer: list.issuer.clone(),
            next_update: list.next_update,
            standing: list.standing(&pool, &roots, as_of),
        };
        chains.lists = anchors.lists.iter().zip(&anchors.list_paths).map(worth).collect();
        (chains, fresh)
    }

    /// Notes a verdict.
    pub(crate) fn add(&mut self, chain: Chain, judgement: Judgement) {
        if judgement.trust != Trust::Unknown {
            for sha256 in &judgement.path {
                let trust = self.trust.entry(sha256.clone()).or_default();
                // An authority that both trust is held to what the public demands.
                if *trust != Trust::Public {
                    *trust = judgement.trust;
                }
            }
        }
        self.verdicts.insert(chain, judgement);
    }

    /// Adds to the verdicts that their leaf is revoked.
    fn revoke(&mut self, revoked: &HashSet<&str>) {
        for (chain, verdict) in &mut self.verdicts {
            if revoked.contains(chain.leaf.as_str()) && !verdict.reasons.contains(&Reason::Revoked)
            {
                verdict.reasons.push(Reason::Revoked);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn with_own_roots() -> Self {
        Self { own_roots: true, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn note_misnamed(&mut self, leaf: String, name: &str) {
        self.misnamed.insert((leaf, name.to_owned()));
    }

    #[cfg(test)]
    pub(crate) fn add_list(&mut self, list: KeptList) {
        self.lists.push(list);
    }

    /// The verdict on a chain. `None` where it was not judged: no root is known, or a part of
    /// it is not stored.
    #[must_use]
    pub fn verdict(&self, chain: &Chain) -> Option<&Judgement> {
        self.verdicts.get(chain)
    }

    /// The verdicts on each leaf, by its hash, in the order of its chains.
    #[must_use]
    pub fn by_leaf(&self) -> BTreeMap<&str, Vec<(&Chain, &Judgement)>> {
        let mut leaves: BTreeMap<&str, Vec<(&Chain, &Judgement)>> = BTreeMap::new();
        for (chain, verdict) in &self.verdicts {
            leaves.entry(&chain.leaf).or_default().push((chain, verdict));
        }
        for chains in leaves.values_mut() {
            chains.sort_by_key(|(chain, _)| *chain);
        }
        leaves
    }

    /// Who trusts a certificate, by the paths on which it is.
    #[must_use]
    pub fn trust(&self, sha256: &str) -> Trust {
        self.trust.get(sha256).copied().unwrap_or_default()
    }

    /// Whether what was served in answer to that name is for another.
    #[must_use]
    pub fn is_misnamed(&self, leaf: &str, name: &str) -> bool {
        !self.misnamed.is_empty() && self.misnamed.contains(&(leaf.to_owned(), name.to_owned()))
    }

    /// The name of a root that a path leads to, RFC 4514.
    #[must_use]
    pub fn root_name(&self, sha256: &str) -> Option<&str> {
        self.roots.get(sha256).map(String::as_str)
    }

    /// Whether anybody said whom the organisation trusts beside the public.
    #[must_use]
    pub const fn has_own_roots(&self) -> bool {
        self.own_roots
    }

    /// The revocation lists, each with what it is worth.
    #[must_use]
    pub fn lists(&self) -> &[KeptList] {
        &self.lists
    }
}

/// The self-signed certificates that the issuer register lists by a hash, unless the public
/// trusts them anyway. One that others signed is approved, but does not end a path.
fn registered_roots<'a>(
    evidence: &Evidence<'a>,
    public: &BTreeSet<&[u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let entries = evidence.issuers.unwrap_or_default();
    let hashes: HashSet<&String> =
        entries.iter().flat_map(|e| e.certificate_hashes.iter().chain(&e.key_hashes)).collect();
    let ders = evidence.ders;
    let listed = evidence.certificates.iter().filter(move |one| {
        let by_key = one.spki_sha256.as_ref().is_some_and(|key| hashes.contains(key));
        one.subject == one.issuer && (hashes.contains(&one.sha256) || by_key)
    });
    let ders: Vec<&[u8]> =
        listed.filter_map(|one| ders.get(&one.sha256)).map(Vec::as_slice).collect();
    let public: Vec<bool> = ders.iter().map(|der| public.contains(der)).collect();
    ders.into_iter().zip(public).filter(|(_, public)| !public).map(|(der, _)| der)
}

/// Every chain once, with what its leaf is used for.
fn asked(evidence: &Evidence<'_>, known: &HashMap<&str, &Certificate>) -> Vec<(Chain, Purpose)> {
    let served = evidence.assets.iter().flat_map(|asset| &asset.deployments);
    let served = served.filter(|deployment| deployment.current);
    let mut asked: BTreeSet<Chain> = served.map(Chain::of).collect();
    let mut purposes: HashMap<String, Purpose> = HashMap::new();
    for file in evidence.files {
        for held in file.current() {
            let Some(certificate) = known.get(held.sha256.as_str()).filter(|one| !one.is_ca) else {
                continue;
            };
            let purposes_of = &certificate.extended_key_usage;
            let serves = purposes_of.is_empty()
                || purposes_of.iter().any(|p| p == "serverAuth" || p == "anyExtendedKeyUsage");
            if !serves {
                purposes.insert(held.sha256.clone(), Purpose::Client);
            }
            asked.insert(Chain::in_file(file, &held.sha256, known));
        }
    }
    let served: HashSet<&String> = evidence
        .assets
        .iter()
        .flat_map(|asset| &asset.deployments)
        .map(|deployment| &deployment.sha256)
        .collect();
    let purpose = |chain: &Chain| match served.contains(&chain.leaf) {
        true => Purpose::Server,
        false => purposes.get(&chain.leaf).copied().unwrap_or(Purpose::Server),
    };
    asked.into_iter().map(|chain| (chain.clone(), purpose(&chain))).collect()
}

/// Which leaves that lead to a root are not for the names by which they were asked for.
fn misnamed(
    evidence: &Evidence<'_>,
    verdicts: &HashMap<Chain, Judgement>,
) -> HashSet<(String, String)> {
    let trusted: HashSet<&String> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.trust != Trust::Unknown)
        .map(|(chain, _)| &chain.leaf)
        .collect();
    let asked: BTreeSet<(&String, &String)> = evidence
        .assets
        .iter()
        .flat_map(|asset| &asset.deployments)
        .filter(|deployment| deployment.current && trusted.contains(&deployment.sha256))
        .filter_map(|deployment| Some((&deployment.sha256, deployment.server_name.as_ref()?)))
        .collect();
    let is_other = |(leaf, name): &(&String, &String)| {
        evidence.ders.get(*leaf).is_some_and(|der| is_for(der, name) == Some(false))
    };
    asked.into_iter().filter(is_other).map(|(leaf, name)| (leaf.clone(), name.clone())).collect()
}
