//! What somebody decided about an asset, a product or an issuer.
//!
//! Decisions are kept beside the registers and laid over them when both are compared with the
//! inventory: importing a register again touches none, and a decision changes no entry. A decision
//! about an asset rests on identifiers, not on the asset's number: it goes where they go. What the
//! decisions come to at a moment is worked out in `apply`; where they are kept is decided by `store`.

mod apply;
mod overrule;

use std::{collections::HashMap, fmt};

use jiff::tz::Offset;
use model::{Identifier, NameSource, Site, Strength, Timestamp};
use thiserror::Error;

use crate::{
    asset::{Asset, AssetId},
    register::{Day, Entry as _, IssuerEntry, RegisterKind, SoftwareEntry},
};

pub use apply::{About, Decided, DecidedDevice, DecidedSoftware, apply};
pub use overrule::{Overruled, overruled};

/// The number of a decision.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DecisionId(pub i64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It may be there.
    Approved,
    /// Somebody is finding out; until then it is a note.
    Investigating,
    /// It must not be there.
    Rejected,
    /// It was taken out of service.
    Retired,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Approved, Self::Investigating, Self::Rejected, Self::Retired];

    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Investigating => "investigating",
            Self::Rejected => "rejected",
            Self::Retired => "retired",
        }
    }

    /// What somebody does who decides so.
    #[must_use]
    pub const fn deed(self) -> &'static str {
        match self {
            Self::Approved => "approve",
            Self::Investigating => "investigate",
            Self::Rejected => "reject",
            Self::Retired => "retire",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == name)
    }
}

/// What a decision is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Matter {
    /// A device.
    Asset {
        /// The asset of which it was decided.
        asset: AssetId,
        /// How people recognised it then.
        label: String,
        /// The site at which its names and addresses count.
        site: Site,
        /// What it is known by: each of them is enough.
        identifiers: Vec<Identifier>,
    },
    /// A product, in these versions on these assets.
    Software(SoftwareEntry),
    /// An authority.
    Issuer(IssuerEntry),
}

impl Matter {
    /// Which register would list it.
    #[must_use]
    pub const fn kind(&self) -> RegisterKind {
        match self {
            Self::Asset { .. } => RegisterKind::Device,
            Self::Software(_) => RegisterKind::Software,
            Self::Issuer(_) => RegisterKind::Issuer,
        }
    }

    /// The asset, if it is about one.
    #[must_use]
    pub const fn asset(&self) -> Option<AssetId> {
        match self {
            Self::Asset { asset, .. } => Some(*asset),
            _ => None,
        }
    }

    /// Whether a decision about the other settles what one about this one said.
    #[must_use]
    pub fn is_settled_by(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Asset { asset, identifiers, .. },
                Self::Asset { asset: later, identifiers: these, .. },
            ) => {
                // One that both share, such as the address of a repaired one, is no whole device.
                let all = !identifiers.is_empty();
                asset == later || all && identifiers.iter().all(|one| these.contains(one))
            }
            (Self::Software(old), Self::Software(new)) => {
                old.key() == new.key() && old.scope == new.scope && old.version == new.version
            }
            (Self::Issuer(old), Self::Issuer(new)) => is_same_issuer(old, new),
            _ => false,
        }
    }
}

/// Whether two entries mean one authority: hashes say so where both have some of a kind, for names
/// can be anybody's; else the names.
fn is_same_issuer(a: &IssuerEntry, b: &IssuerEntry) -> bool {
    let kinds = [(&a.certificate_hashes, &b.certificate_hashes), (&a.key_hashes, &b.key_hashes)];
    let both = kinds.iter().filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let mut both = both.peekable();
    match both.peek() {
        Some(_) => both.any(|(a, b)| a.iter().any(|hash| b.contains(hash))),
        None => a.key() == b.key(),
    }
}

/// `asset 7 (pc-7, 192.0.2.7)`, `software OpenSSH (OpenBSD) >= 9.2`, `issuer Example Root`.
impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset { asset, label, .. } => write!(f, "asset {asset} ({label})"),
            Self::Software(entry) => write!(f, "software {} {}", entry.label(), entry.version),
            Self::Issuer(entry) => write!(f, "issuer {}", entry.label()),
        }
    }
}

/// On what terms it was decided.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Why.
    pub reason: String,
    /// The last day on which it holds, included; `None` for no end.
    pub until: Option<Day>,
    /// After how many days in which it was not seen an approval ends.
    pub idle_days: Option<u32>,
    /// Whether it is an exception to what is otherwise asked, such as support by the maker.
    pub exception: bool,
}

/// Whether a second person has to agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Second {
    /// One was enough.
    NotNeeded,
    /// Nobody did yet, so that nothing follows from it.
    Awaited,
    /// Somebody did.
    Given {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// Why a decision ended before its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndReason {
    /// Another one about the same followed.
    Followed,
    /// Somebody took it back.
    Withdrawn,
    /// Its device was not seen for as long as it says.
    Idle,
}

impl EndReason {
    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::Withdrawn => "withdrawn",
            Self::Idle => "idle",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Followed, Self::Withdrawn, Self::Idle].into_iter().find(|one| one.as_str() == name)
    }
}

/// That a decision ended before its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Whose doing it was.
    pub by: String,
    /// Why.
    pub because: EndReason,
}

/// Something that somebody decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Its number.
    pub id: DecisionId,
    /// What it is about.
    pub matter: Matter,
    /// What was decided.
    pub verdict: Verdict,
    /// On what terms.
    pub terms: Terms,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Whether a second person agreed.
    pub second: Second,
    /// Whether it ended before its time.
    pub ended: Option<Ended>,
}

/// How a decision stands at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// A second person has to agree first.
    Pending,
    /// It holds.
    Holds,
    /// Its last day is over, or its device was not seen for too long.
    Expired,
    /// Another one followed, or it was taken back.
    Ended,
}

impl Standing {
    /// Its name in the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Holds => "holds",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

impl Decision {
    /// How it stands at that moment, where days are so far from UTC.
    #[must_use]
    pub fn standing(&self, as_of: Timestamp, offset: Offset) -> Standing {
        match (&self.ended, &self.second) {
            (Some(Ended { because: EndReason::Idle, .. }), _) => Standing::Expired,
            (Some(_), _) => Standing::Ended,
            (None, _) if self.terms.until.is_some_and(|day| day.ends_at(offset) <= as_of) => {
                Standing::Expired
            }
            (None, Second::Awaited) => Standing::Pending,
            (None, _) => Standing::Holds,
        }
    }

    /// What it says, for people: `approved by sato on 2026-11-27 until 2027-03-31 (decision 12):
    /// because`.
    #[must_use]
    pub fn text(&self) -> String {
        let Terms { reason, until, idle_days, exception } = &self.terms;
        let mut text = match self.verdict {
            Verdict::Investigating => format!("being investigated by {}", self.by),
            verdict => format!("{} by {}", verdict.as_str(), self.by),
        };
        if let Second::Given { by, .. } = &self.second {
            text.push_str(&format!(" and {by}"));
        }
        let moment = self.at.to_string();
        let day = moment.split_once('T').map_or(moment.as_str(), |(day, _)| day);
        text.push_str(&format!(" on {day}"));
        if let Some(until) = until {
            text.push_str(&format!(" until {until}"));
        }
        if let Some(days) = idle_days {
            text.push_str(&format!(", or until it is not seen for {days} days"));
        }
        if *exception {
            text.push_str(", as an exception");
        }
        text.push_str(&format!(" (decision {}): {reason}", self.id));
        text
    }
}

/// A decision that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// What it is about.
    pub matter: Matter,
    /// What is decided.
    pub verdict: Verdict,
    /// On what terms.
    pub terms: Terms,
}

/// The decision cannot be made like that.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ProposalError {
    /// A decision has a reason.
    #[error("a decision needs a reason, for those who ask later")]
    NoReason,
    /// It would be over before it begins.
    #[error("the decision would end with {0}, which is over")]
    InThePast(Day),
    /// Only what is seen can be idle.
    #[error("only the approval of an asset ends when it is not seen")]
    IdleOfWhat,
    /// Only an approval can be one.
    #[error("only an approval is an exception")]
    ExceptionToWhat,
    /// Nothing to know the asset by.
    #[error("{0} has none of the identifiers that were asked for, so nothing would be decided")]
    NoIdentifier(String),
}

impl Proposal {
    /// Whether it can be made.
    ///
    /// # Errors
    ///
    /// Where its terms make no sense, or nothing would follow from it.
    pub fn check(&self, as_of: Timestamp, offset: Offset) -> Result<(), ProposalError> {
        let Terms { reason, until, idle_days, exception } = &self.terms;
        let approves = self.verdict == Verdict::Approved;
        match (&self.matter, until) {
            _ if reason.trim().is_empty() => Err(ProposalError::NoReason),
            (_, Some(day)) if day.ends_at(offset) <= as_of => Err(ProposalError::InThePast(*day)),
            (matter, _) if idle_days.is_some() && !(approves && matter.asset().is_some()) => {
                Err(ProposalError::IdleOfWhat)
            }
            _ if *exception && !approves => Err(ProposalError::ExceptionToWhat),
            (Matter::Asset { identifiers, .. }, _) if identifiers.is_empty() => {
                Err(ProposalError::NoIdentifier(self.matter.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// Which identifiers are wanted.
type Wanted<'a> = &'a dyn Fn(&Identifier, Strength) -> bool;

/// How many assets have each identifier, so that none is relied on that says nothing.
pub struct Identities<'a>(HashMap<(Option<&'a Site>, &'a Identifier), usize>);

impl<'a> Identities<'a> {
    /// Counts those of all assets.
    #[must_use]
    pub fn new(assets: &'a [Asset]) -> Self {
        let mut times = HashMap::new();
        for asset in assets {
            for one in asset.identifiers.iter().filter(|one| one.current) {
                let count: &mut usize =
                    times.entry(Self::place(asset, &one.identifier)).or_default();
                *count = count.saturating_add(1);
            }
        }
        Self(times)
    }

    /// The same name or address at another site is another.
    fn place<'b>(
        asset: &'b Asset,
        identifier: &'b Identifier,
    ) -> (Option<&'b Site>, &'b Identifier) {
        let is_local = matches!(identifier, Identifier::Address(_) | Identifier::HostName(_));
        (is_local.then_some(&asset.site), identifier)
    }

    /// What a decision about the asset rests on: of its current identifiers those of the `kinds`
    /// that were asked for; else those that it keeps (the MAC that it was made with, keys, numbers
    /// that it reports), else its own word for its name, else the MAC that its software chose, else
    /// its addresses. Never one that another asset has as well, such as the key of a whole fleet.
    #[must_use]
    pub fn of(&self, asset: &Asset, kinds: Option<&[String]>) -> Vec<Identifier> {
        let is_own = |one: &Identifier| {
            let times = self.0.get(&Self::place(asset, one)).copied().unwrap_or_default();
            times < 2 && !matches!(one, Identifier::Mac(mac) if mac.is_virtual_router())
        };
        let own: Vec<(&Identifier, Strength)> = asset
            .identifiers
            .iter()
            .filter(|one| one.current && is_own(&one.identifier))
            .map(|one| (&one.identifier, one.strength))
            .collect();
        let pick = |wanted: Wanted<'_>| -> Vec<Identifier> {
            let found = own.iter().filter(|(one, strength)| wanted(one, *strength));
            found.map(|(one, _)| (*one).clone()).collect()
        };
        if let Some(kinds) = kinds {
            return pick(&|one, _| kinds.iter().any(|kind| kind == one.kind()));
        }
        let told = |name: &String| {
            let by_itself = |known: &&crate::asset::Name| known.source != NameSource::Dns;
            asset.names.iter().filter(by_itself).any(|known| known.name == *name)
        };
        let ranks: [Wanted<'_>; 4] = [
            &|one, strength| match one {
                Identifier::Mac(mac) => !mac.is_locally_administered(),
                Identifier::Address(_) | Identifier::HostName(_) => false,
                _ => strength >= Strength::Moderate,
            },
            &|one, _| matches!(one, Identifier::HostName(name) if told(name)),
            &|one, _| matches!(one, Identifier::Mac(_)),
            &|one, _| matches!(one, Identifier::Address(_)),
        ];
        ranks.into_iter().map(pick).find(|found| !found.is_empty()).unwrap_or_default()
    }
}
