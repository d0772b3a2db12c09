//! Messages to people: what waits, what was sent, what a pass of delivery did.

use inventory::outbox::Message;
use serde::Serialize;

use crate::notify::Delivered;

/// A message of `alert list` and `alert retry`.
#[derive(Debug, Serialize)]
pub(crate) struct MessageJson<'a> {
    pub(crate) id: i64,
    pub(crate) key: &'a str,
    pub(crate) route: &'a str,
    pub(crate) state: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) news: u64,
    pub(crate) created_at: String,
    pub(crate) due_at: String,
    pub(crate) attempts: u32,
    pub(crate) ended_at: Option<String>,
    pub(crate) outcome: Option<&'a str>,
}

impl<'a> From<&'a Message> for MessageJson<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: message.id,
            key: &message.key,
            route: &message.route,
            state: message.state.as_str(),
            severity: message.severity.as_str(),
            news: message.items.saturating_add(message.more),
            created_at: message.created_at.to_string(),
            due_at: message.due_at.to_string(),
            attempts: message.attempts,
            ended_at: message.ended_at.map(|at| at.to_string()),
            outcome: message.outcome.as_deref(),
        }
    }
}

/// `alert test`.
#[derive(Debug, Serialize)]
pub(crate) struct TestedJson<'a> {
    pub(crate) route: &'a str,
    pub(crate) sent: bool,
    pub(crate) words: &'a str,
}

/// `alert deliver`.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveredJson<'a> {
    pub(crate) sent: u64,
    pub(crate) put_off: u64,
    pub(crate) failed: u64,
    pub(crate) troubles: &'a [String],
}

impl<'a> From<&'a Delivered> for DeliveredJson<'a> {
    fn from(delivered: &'a Delivered) -> Self {
        let Delivered { sent, put_off, failed, troubles } = delivered;
        Self { sent: *sent, put_off: *put_off, failed: *failed, troubles }
    }
}
