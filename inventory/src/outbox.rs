//! Messages on their way: what one is, and when to try again.
//!
//! Time and chance come in as arguments, so that an hour without a mail server can be tried in
//! a test. Who sends, and where to, is not known here.

use model::{Severity, Timestamp};

use crate::route::Item;

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MessageState {
    /// It waits: for more of its kind, for its time, or for another attempt.
    Pending,
    /// Somebody is sending it, or was when their process ended.
    Sending,
    /// The other side has it.
    Sent,
    /// It was given up. A person may have it tried again.
    Failed,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sending, Self::Sent, Self::Failed];

    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A message without what it tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its number, which people use.
    pub id: i64,
    /// What the receiver knows it by: the same at every attempt, and no other's. 32 hexadecimal
    /// digits.
    pub key: String,
    /// Which way it goes.
    pub route: String,
    /// What became of it.
    pub state: MessageState,
    /// The most that anything in it matters.
    pub severity: Severity,
    /// When its first piece of news was written.
    pub created_at: Timestamp,
    /// Not to be sent before.
    pub due_at: Timestamp,
    /// Pieces of news in it.
    pub items: u64,
    /// Pieces of news that were left out because there were too many.
    pub more: u64,
    /// Attempts so far, one that is under way counted.
    pub attempts: u32,
    /// When the first attempt began.
    pub first_attempt_at: Option<Timestamp>,
    /// What the last attempt came to, in the words of the other side.
    pub outcome: Option<String>,
    /// When it was sent or given up.
    pub ended_at: Option<Timestamp>,
}

/// A message that is ours to send until the lease ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claimed {
    /// The message.
    pub message: Message,
    /// What it tells.
    pub items: Vec<Item>,
    /// Who has it.
    pub by: String,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// It may go better later; not before so many seconds, where the other side said so.
    Later(Option<i64>),
    /// The other side will not have this message.
    Refused,
}

/// The first pause, seconds.
const FIRST: i64 = 30;
/// The longest, seconds.
const LONGEST: i64 = 3_600;
/// Attempts after which a refusal is believed: some are a mistake of somebody's who repairs it.
const REFUSALS: u32 = 4;

/// When to try again after that many attempts, or `None` to give up. The pauses double from
/// half a minute to an hour, each shorter or longer by up to a quarter, so that those who
/// failed together do not come back together; after refusals they are ten times as long.
///
/// `chance` is any number, `expire` how many seconds after the first attempt to give up.
#[must_use]
pub fn retry_at(
    message: &Message,
    failure: Failure,
    expire: i64,
    chance: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    let doubled = FIRST.saturating_mul(1 << message.attempts.saturating_sub(1).min(16));
    let pause = match failure {
        Failure::Later(asked) => doubled.min(LONGEST).max(asked.unwrap_or(0).clamp(0, LONGEST)),
        Failure::Refused if message.attempts >= REFUSALS => return None,
        Failure::Refused => doubled.saturating_mul(10).min(LONGEST),
    };
    // From three to five quarters of it.
    let part = i64::try_from(chance % 1_001).unwrap_or(500);
    let least = match failure {
        Failure::Later(Some(asked)) => asked.clamp(0, LONGEST),
        _ => 0,
    };
    let pause = (pause.saturating_mul(1_500 + part) / 2_000).max(least);
    let next = now.plus_seconds(pause);
    let first = message.first_attempt_at.unwrap_or(now);
    (next.seconds_since(first) < expire).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attempts: u32) -> Message {
        Message {
            id: 1,
            key: "ab".into(),
            route: "mail".into(),
            state: MessageState::Sending,
            severity: Severity::Warning,
            created_at: Timestamp::from_seconds(0),
            due_at: Timestamp::from_seconds(0),
            items: 1,
            more: 0,
            attempts,
            first_attempt_at: Some(Timestamp::from_seconds(0)),
            outcome: None,
            ended_at: None,
        }
    }

    const DAY: i64 = 86_400;

    fn pause(attempts: u32, failure: Failure, chance: u64) -> Option<i64> {
        let now = Timestamp::from_seconds(100);
        retry_at(&message(attempts), failure, 3 * DAY, chance, now).map(|at| at.seconds_since(now))
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_spread() {
        let middle = |attempts| pause(attempts, Failure::Later(None), 500);
        assert_eq!([1, 2, 3, 7, 8, 60].map(middle), [30, 60, 120, 1_920, 3_600, 3_600].map(Some));
        assert_eq!(pause(1, Failure::Later(None), 0), Some(22));
        assert_eq!(pause(1, Failure::Later(None), 1_000), Some(37));
        for chance in 0..2_000 {
            let pause = pause(40, Failure::Later(None), chance).unwrap();
            assert!((2_700..=4_500).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_pause_but_not_for_a_day() {
        assert_eq!(pause(1, Failure::Later(Some(600)), 0), Some(600));
        assert_eq!(pause(1, Failure::Later(Some(-5)), 500), Some(30));
        assert_eq!(pause(1, Failure::Later(Some(90_000)), 500), Some(3_600));
    }

    #[test]
    fn a_refusal_is_believed_after_a_few_attempts() {
        assert_eq!(pause(1, Failure::Refused, 500), Some(300));
        assert_eq!(pause(3, Failure::Refused, 500), Some(1_200));
        assert_eq!(pause(4, Failure::Refused, 500), None);
    }

    #[test]
    fn a_message_is_given_up_when_its_time_is_over() {
        let now = Timestamp::from_seconds(3 * DAY - 100);
        assert_eq!(retry_at(&message(9), Failure::Later(None), 3 * DAY, 500, now), None);
        assert!(retry_at(&message(9), Failure::Later(None), 4 * DAY, 500, now).is_some());
    }

    #[test]
    fn an_hour_without_a_server_costs_a_few_attempts_and_at_most_an_hour_more() {
        for chance in [0, 500, 1_000] {
            let (mut now, mut attempts) = (Timestamp::from_seconds(0), 1);
            while now.seconds() < 3_600 {
                let failed = message(attempts);
                now = retry_at(&failed, Failure::Later(None), 3 * DAY, chance, now).unwrap();
                attempts += 1;
            }
            assert!((7..=9).contains(&attempts), "{attempts}");
            assert!(now.seconds() < 7_200, "{now}");
        }
    }

    #[test]
    fn names_lead_back() {
        for state in MessageState::ALL {
            assert_eq!(MessageState::from_name(state.as_str()), Some(state));
        }
    }
}
