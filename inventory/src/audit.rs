//! What people did, in a chain that shows where it was changed.
//!
//! Each entry carries the SHA-256 of itself and of the hash before it, so that an entry that is
//! changed, put in, taken out or moved breaks the chain there. Whoever can write the file can make a
//! new chain from any place on, and cut off its end: neither shows in the chain itself. Both show
//! to somebody who kept a hash of it elsewhere. Where the chain is kept is not known here.

use std::fmt;

use model::Timestamp;
use ring::digest::{SHA256, digest};
use thiserror::Error;

use crate::{approval::Verdict, hex::hex};

/// The hash before the first entry.
pub const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who does something: the name that a person gave or was known by, and the account of the
/// operating system where that is another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// The person.
    pub name: String,
    /// Whose account it was done with, where that has another name.
    pub account: Option<String>,
}

impl Actor {
    /// The program by itself.
    #[must_use]
    pub fn program() -> Self {
        Self { name: "daicho".to_owned(), account: None }
    }
}

/// `sato`, `sato (account root)`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.account.as_ref().filter(|account| **account != self.name) {
            Some(account) => write!(f, " (account {account})"),
            None => Ok(()),
        }
    }
}

/// What can be done that is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A decision was made: the verdict says which.
    Decide(Verdict),
    /// A second person confirmed a decision.
    Confirm,
    /// A decision was taken back.
    Withdraw,
    /// A decision ended because its device was not seen for too long.
    End,
    /// A register was replaced by a file.
    Import,
    /// A finding was accepted.
    Accept,
    /// The acceptance of a finding was taken back.
    Reopen,
    /// Two assets were said to be one.
    Merge,
    /// A merge was undone.
    Split,
    /// A user was made.
    AddUser,
    /// A user was removed.
    RemoveUser,
    /// A user has another role.
    SetRole,
    /// A user has another password.
    SetPassword,
    /// A user may not sign in for now.
    DisableUser,
    /// A user may again.
    EnableUser,
    /// A key of the API was made.
    AddToken,
    /// A key of the API was removed.
    RemoveToken,
    /// Somebody signed in.
    SignIn,
    /// Somebody tried to.
    FailedSignIn,
    /// Sessions were ended.
    SignOut,
    /// A job was begun from the page.
    RunJob,
    /// A message is tried again.
    Retry,
    /// A test was sent by a route.
    Test,
    /// The database was replaced by a backup of it.
    Restore,
    /// What is old was removed.
    Prune,
    /// A view of a list was shared with everybody.
    ShareView,
    /// A shared view was given another name.
    RenameView,
    /// A shared view was changed.
    ChangeView,
    /// A shared view was removed.
    RemoveView,
}

impl Action {
    /// Every one.
    pub const ALL: [Self; 32] = [
        Self::Decide(Verdict::Approved),
        Self::Decide(Verdict::Investigating),
        Self::Decide(Verdict::Rejected),
        Self::Decide(Verdict::Retired),
        Self::Confirm,
        Self::Withdraw,
        Self::End,
        Self::Import,
        Self::Accept,
        Self::Reopen,
        Self::Merge,
        Self::Split,
        Self::AddUser,
        Self::RemoveUser,
        Self::SetRole,
        Self::SetPassword,
        Self::DisableUser,
        Self::EnableUser,
        Self::AddToken,
        Self::RemoveToken,
        Self::SignIn,
        Self::FailedSignIn,
        Self::SignOut,
        Self::RunJob,
        Self::Retry,
        Self::Test,
        Self::Restore,
        Self::Prune,
        Self::ShareView,
        Self::RenameView,
        Self::ChangeView,
        Self::RemoveView,
    ];

    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decide(verdict) => verdict.deed(),
            Self::Confirm => "confirm",
            Self::Withdraw => "withdraw",
            Self::End => "end",
            Self::Import => "import",
            Self::Accept => "accept",
            Self::Reopen => "reopen",
            Self::Merge => "merge",
            Self::Split => "split",
            Self::AddUser => "add_user",
            Self::RemoveUser => "remove_user",
            Self::SetRole => "set_role",
            Self::SetPassword => "set_password",
            Self::DisableUser => "disable_user",
            Self::EnableUser => "enable_user",
            Self::AddToken => "add_token",
            Self::RemoveToken => "remove_token",
            Self::SignIn => "sign_in",
            Self::FailedSignIn => "failed_sign_in",
            Self::SignOut => "sign_out",
            Self::RunJob => "run_job",
            Self::Retry => "retry",
            Self::Test => "test",
            Self::Restore => "restore",
            Self::Prune => "prune",
            Self::ShareView => "share_view",
            Self::RenameView => "rename_view",
            Self::ChangeView => "change_view",
            Self::RemoveView => "remove_view",
        }
    }
}

/// Something that was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub who: String,
    /// What was done, as [`Action::as_str`] calls it.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What exactly.
    pub detail: String,
    /// Why, as the person said it; "" where nobody was asked.
    pub reason: String,
}

/// A deed in the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3, without gaps.
    pub number: i64,
    /// What was done.
    pub deed: Deed,
    /// The hash of it and of the entry before it, lower-case hexadecimal.
    pub hash: String,
}

/// The hash of an entry: SHA-256 over the hash before it, its number, the moment in microseconds
/// since 1970, who, action, subject, detail and reason, each as `LENGTH:TEXT,` with the length in
/// bytes of its UTF-8 (netstrings), so that no two entries are the same bytes.
#[must_use]
pub fn hash(before: &str, number: i64, deed: &Deed) -> String {
    let (number, at) = (number.to_string(), deed.at.0.to_string());
    let Deed { at: _, who, action, subject, detail, reason } = deed;
    let mut bytes = Vec::new();
    for text in [before, &number, &at, who, action, subject, detail, reason] {
        bytes.extend_from_slice(format!("{}:{text},", text.len()).as_bytes());
    }
    hex(digest(&SHA256, &bytes).as_ref())
}

/// Where a chain is broken.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Broken {
    /// An entry's number is not the next.
    #[error("entry {expected} is missing: the next is {found}")]
    Missing {
        /// The number that should come.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// An entry is not what was hashed.
    #[error("entry {number} was changed, or one before it, since it was written")]
    Changed {
        /// Its number.
        number: i64,
    },
}

/// A chain that is being followed from its beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// The number of the last entry.
    pub entries: i64,
    /// Its hash.
    pub head: String,
}

impl Default for Chain {
    fn default() -> Self {
        Self { entries: 0, head: START.to_owned() }
    }
}

impl Chain {
    /// Follows the chain by one entry.
    ///
    /// # Errors
    ///
    /// Where the entry is not the one that was written behind those before.
    pub fn follow(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let expected = self.entries.saturating_add(1);
        if entry.number != expected {
            return Err(Broken::Missing { expected, found: entry.number });
        }
        if hash(&self.head, entry.number, &entry.deed) != entry.hash {
            return Err(Broken::Changed { number: entry.number });
        }
        self.entries = expected;
        self.head.clone_from(&entry.hash);
        Ok(())
    }

    /// The entry behind the last.
    #[must_use]
    pub fn append(&self, deed: Deed) -> AuditEntry {
        let number = self.entries.saturating_add(1);
        AuditEntry { number, hash: hash(&self.head, number, &deed), deed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(subject: &str) -> Deed {
        Deed {
            at: Timestamp::from_seconds(1_795_339_800),
            who: "sato".into(),
            action: "approve".into(),
            subject: subject.into(),
            detail: "decision 1".into(),
            reason: "台帳に追加".into(),
        }
    }

    fn chain(subjects: &[&str]) -> Vec<AuditEntry> {
        let mut chain = Chain::default();
        subjects
            .iter()
            .map(|subject| {
                let entry = chain.append(deed(subject));
                chain.follow(&entry).unwrap();
                entry
            })
            .collect()
    }

    fn verify(entries: &[AuditEntry]) -> Result<Chain, Broken> {
        let mut chain = Chain::default();
        entries.iter().try_for_each(|entry| chain.follow(entry)).map(|()| chain)
    }

    #[test]
    fn the_hash_is_what_the_manual_says() {
        // docs/database.md tells how to compute it with other tools; this was computed so.
        assert_eq!(
            hash(START, 1, &deed("asset 7")),
            "6c47e1cb6357e26b0fc91a04e44cc559f1aa5167bf838c5b58930db4ac0cf222"
        );
    }

    #[test]
    fn whatever_is_done_to_an_entry_breaks_the_chain_there() {
        let good = chain(&["a", "b", "c", "d"]);
        assert_eq!(verify(&good).unwrap().entries, 4);
        let broken = |change: &dyn Fn(&mut Vec<AuditEntry>)| {
            let mut entries = good.clone();
            change(&mut entries);
            verify(&entries).unwrap_err()
        };
        let changed = |number| Broken::Changed { number };
        assert_eq!(broken(&|all| all[1].deed.subject = "x".into()), changed(2));
        assert_eq!(broken(&|all| all[1].deed.at = Timestamp(0)), changed(2));
        assert_eq!(broken(&|all| all[2].deed.reason.clear()), changed(3));
        assert_eq!(broken(&|all| all[0].hash = START.into()), changed(1));
        assert_eq!(broken(&|all| drop(all.remove(1))), Broken::Missing { expected: 2, found: 3 });
        assert_eq!(broken(&|all| all.swap(1, 2)), Broken::Missing { expected: 2, found: 3 });
        // An entry that is moved with its number, and one that was made anew without those behind.
        assert_eq!(
            broken(&|all| {
                all.swap(1, 2);
                (all[1].number, all[2].number) = (2, 3);
            }),
            changed(2)
        );
        assert_eq!(
            broken(&|all| {
                all[1].deed.who = "mori".into();
                all[1].hash = hash(&all[0].hash, 2, &all[1].deed);
            }),
            changed(3)
        );
        // What is cut off at the end does not show in what is left, only to who kept the head.
        let cut = verify(&good[..2]).unwrap();
        assert_eq!((cut.entries, &cut.head), (2, &good[1].hash));
    }

    #[test]
    fn texts_cannot_trade_letters() {
        let mut other = deed("a");
        (other.subject, other.detail) = ("adecision 1".into(), String::new());
        assert_ne!(hash(START, 1, &deed("a")), hash(START, 1, &other));
    }
}
