//! Who trusts certificates, who answers for them, and how ready they are.

use certs::chain::Reason;
use inventory::owner::Owner;
use serde::Serialize;

/// Who answers for something, by an entry of the device register.
#[derive(Debug, Serialize)]
pub(crate) struct OwnerJson {
    pub(crate) entry: String,
    pub(crate) owner: Option<String>,
    pub(crate) department: Option<String>,
}

impl From<&Owner> for OwnerJson {
    fn from(owner: &Owner) -> Self {
        Self {
            entry: owner.entry.clone(),
            owner: owner.owner.clone(),
            department: owner.department.clone(),
        }
    }
}

/// Why clients refuse a chain.
#[derive(Debug, Serialize)]
pub(crate) struct RefusalJson {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl From<&Reason> for RefusalJson {
    fn from(reason: &Reason) -> Self {
        Self { reason: reason.as_str(), detail: reason.to_string() }
    }
}

/// A chain as `certs show` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct ChainJson {
    pub(crate) served: Vec<LinkJson>,
    pub(crate) path: Vec<LinkJson>,
    pub(crate) root: Option<&'static str>,
    pub(crate) problems: Vec<RefusalJson>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LinkJson {
    pub(crate) sha256: String,
    pub(crate) subject: Option<String>,
}

/// What `certs readiness` prints.
#[derive(Debug, Serialize)]
pub(crate) struct ReadinessJson {
    pub(crate) public: usize,
    pub(crate) milestones: Vec<MilestoneJson>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MilestoneJson {
    pub(crate) days: i64,
    pub(crate) from: String,
    pub(crate) in_force: bool,
    pub(crate) ready: usize,
    pub(crate) longer: Vec<LongerJson>,
    pub(crate) cut_short: usize,
    pub(crate) renewals_a_year_now: f64,
    pub(crate) renewals_a_year_then: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct LongerJson {
    pub(crate) sha256: String,
    pub(crate) names: Vec<String>,
    pub(crate) not_after: Option<String>,
    pub(crate) renew_by: String,
    pub(crate) owners: Vec<OwnerJson>,
}
