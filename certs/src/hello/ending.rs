//! How an attempt ends: the warnings that came on the way, and the chain or why there is none.

use wire::Reader;

use super::{Collected, HelloError, Progress, Step};

/// What has become of an attempt so far.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    warnings: Vec<u8>,
    outcome: Option<Result<Collected, HelloError>>,
}

impl Ending {
    pub(crate) const fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// RFC 8446, section 6. A warning, such as that the server does not know the name, does not
    /// end the attempt: servers go on after it, and so must we.
    pub(crate) fn alert(&mut self, body: &[u8]) -> Result<Step, HelloError> {
        match Reader::new(body).array("alert")? {
            [1, 0] => Err(HelloError::Cut),
            [1, description] => {
                if self.warnings.len() < 16 && !self.warnings.contains(&description) {
                    self.warnings.push(description);
                }
                Ok(Step::More)
            }
            [_, description] => Err(HelloError::Alert(description)),
        }
    }

    /// Why no more comes, `nothing` having come so far or something: a warning that was sent
    /// then was the reason.
    pub(crate) fn silence(&self, nothing: bool) -> HelloError {
        match self.warnings.last() {
            Some(warning) => HelloError::Alert(*warning),
            None if nothing => HelloError::Silent,
            None => HelloError::Cut,
        }
    }

    /// Takes what the last bytes led to. A chain that has come stays, whatever went wrong after
    /// it.
    pub(crate) fn take(
        &mut self,
        step: Result<Step, HelloError>,
        collected: impl FnOnce() -> Option<Collected>,
    ) -> Progress {
        let why = match step {
            Ok(Step::More) => return Progress::More,
            Ok(Step::Say(bytes)) => return Progress::Say(bytes),
            Ok(Step::Done) => HelloError::NoCertificate,
            Err(why) => why,
        };
        let warnings = &self.warnings;
        let collected =
            collected().map(|collected| Collected { warnings: warnings.clone(), ..collected });
        self.outcome = Some(collected.ok_or(why));
        self.progress()
    }

    pub(crate) fn progress(&self) -> Progress {
        match &self.outcome {
            None => Progress::More,
            Some(Ok(collected)) => Progress::Done(Box::new(collected.clone())),
            Some(Err(why)) => Progress::Failed(why.clone()),
        }
    }
}
