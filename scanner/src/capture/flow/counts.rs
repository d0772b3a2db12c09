//! What became of flows, in numbers.

/// What became of the flows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FlowCounts {
    /// Flows seen.
    pub flows: u64,
    /// Flows of which nothing more was wanted, and whose place was taken: no loss.
    pub forgotten: u64,
    /// Flows that were given up unread for want of memory.
    pub given_up: u64,
    /// Flows that ended with something missing in what would have been read.
    pub with_gaps: u64,
}

impl FlowCounts {
    /// Of two who listen side by side.
    pub(in crate::capture) fn and(self, other: Self) -> Self {
        Self {
            flows: self.flows.saturating_add(other.flows),
            forgotten: self.forgotten.saturating_add(other.forgotten),
            given_up: self.given_up.saturating_add(other.given_up),
            with_gaps: self.with_gaps.saturating_add(other.with_gaps),
        }
    }
}
