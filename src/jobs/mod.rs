//! Jobs: the commands that are given by a schedule instead of a person.
//!
//! A job runs as the command would, with the same settings and by the same code, wherever it was
//! started from. What is here is what a person would do around it: see that it does not run
//! already, note that it begins, say when it is enough, and note how it ended.

mod changed;
mod keep;
mod lock;
mod plan;
mod run;

pub(crate) use lock::Lock;
pub(crate) use plan::{Plan, plan, schedule_text};
pub(crate) use run::{Asked, end_with_the_service, execute, handed_down, new_run};
