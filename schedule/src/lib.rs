//! When a job is to run: cron lines in time zones, jitter, windows, and what was missed.
//!
//! Everything here is a function of what it is given, the time included: no clock is read and
//! nothing is waited for, so that a year passes in a test within a second. What a job does, how
//! it is started and where its state is kept is not known here. Time zones come in as values:
//! who reads the system's files of them is the program.

mod line;
mod planned;
mod scheduler;
mod window;

pub use line::{CronLine, CronLineError, Schedule, minute_of_week};
pub use planned::{Lane, Missed, Planned};
pub use scheduler::{Ending, Limits, Order, Past, Scheduler, Unfinished};
pub use window::Window;
