use std::{fmt, str::FromStr};

/// The store's number for a run of a job.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RunId(pub i64);

/// How a run of a job ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RunResult {
    /// It did everything it was to do.
    Done,
    /// Its time was over, or it could not look everywhere: what it found is stored.
    Incomplete,
    /// It could not do its work, and said why.
    Failed,
    /// Somebody asked for its end before it was done: what it had found is stored.
    Stopped,
    /// It was ended from outside without a word: killed, or the power went.
    CutOff,
    /// Its process broke.
    Crashed,
    /// It was missed and not to be made up.
    Skipped,
}

impl RunResult {
    /// Every result.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Incomplete,
        Self::Failed,
        Self::Stopped,
        Self::CutOff,
        Self::Crashed,
        Self::Skipped,
    ];

    /// The name, as it is stored and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::CutOff => "cut off",
            Self::Crashed => "crashed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunResult {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|result| result.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is not how a run ends"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_is_read_as_it_is_written() {
        for result in RunResult::ALL {
            assert_eq!(result.to_string().parse(), Ok(result));
        }
        assert!("well".parse::<RunResult>().is_err());
    }
}
