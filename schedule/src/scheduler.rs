//! What is to be started now.
//!
//! The scheduler is told the time and what ended, and answers with orders. All that it must not
//! forget is the moment up to which each job is settled and how its last run ended: whoever
//! carries out an order writes those down in one transaction, so that a program that is killed
//! anywhere finds out at its next start what is still to be done, once.

use std::collections::BTreeMap;

use model::{RunResult, Timestamp};

use crate::planned::{Lane, Missed, Planned};

/// What holds for all jobs together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// So many run at once, those that listen not counted.
    pub at_once: usize,
}

/// What is known of a job from before the program was started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Past {
    /// Up to when (included) everything that was due has been run or given up. `None` for a job
    /// that is new, or whose schedule is another now: it owes nothing.
    pub settled: Option<Timestamp>,
    /// Its last run that was due, and how that ended.
    pub last: Option<Unfinished>,
}

/// A run that may be owed still.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unfinished {
    /// When it was due.
    pub due: Timestamp,
    /// The how manieth attempt at it that was, from 1.
    pub attempt: u32,
    /// How that ended.
    pub result: RunResult,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Begin a run. It is settled with this.
    Start {
        /// The job.
        name: String,
        /// When it was due; `None` for one that always runs.
        due: Option<Timestamp>,
        /// The how manieth attempt this is, from 1.
        attempt: u32,
        /// How many earlier ones it makes up for that have no run of their own, itself not
        /// counted.
        missed: u32,
    },
    /// Begin a run that somebody wants, beside the schedule: it settles nothing.
    Wished {
        /// The job.
        name: String,
    },
    /// Note that runs are left out. They are settled with this.
    Skip {
        /// The job.
        name: String,
        /// When the last of them was due.
        due: Timestamp,
        /// How many there are, that one counted.
        missed: u32,
    },
    /// Note that nothing is owed from before this.
    Settle {
        /// The job.
        name: String,
        /// The moment.
        at: Timestamp,
    },
}

/// How a run ended, as far as it matters for what comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// By itself, well or not.
    Over,
    /// Because we asked for it: it is still owed.
    Stopped,
    /// Its process broke: it is tried again, not at once and not for ever.
    Crashed,
}

/// What begins later than this after it was due was missed. As long as a slow start of the
/// system, or a clock that is put right, may take.
const GRACE: i64 = 300;

/// How often one run that crashes or is cut off is begun.
const ATTEMPTS: u32 = 3;

/// The first and the longest pause, in seconds, before what crashed is begun again.
const FIRST_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 300;

/// What ran so many seconds is no sign of a start that fails.
const RAN_WELL: i64 = 600;

/// A clock that is put back by more than this was wrong before, and what was settled by it too.
const WRONG_CLOCK: i64 = 86_400;

/// What is looked for in the time in between when a window is shut.
const WINDOW_LOOK: i64 = 60;

/// A run that is to begin as soon as it may.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: Option<Timestamp>,
    /// Since when it could have begun: who waits longest comes first.
    since: Timestamp,
    attempt: u32,
    /// Earlier ones that it makes up for.
    missed: u32,
    noted: Noted,
    not_before: Timestamp,
}

/// Whether what is due was begun before, and so has a run in somebody's books.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Noted {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    due: Option<Timestamp>,
    attempt: u32,
    missed: u32,
    noted: Noted,
    since: Timestamp,
    reason: Reason,
}

/// Why something runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Reason {
    /// It was due.
    Schedule,
    /// Somebody wanted it.
    Wish,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
struct Wished {
    since: Timestamp,
    not_before: Timestamp,
}

#[derive(Clone, Debug)]
struct State {
    planned: Planned,
    settled: Option<Timestamp>,
    /// The first time after that, and when it begins.
    next: Option<(Timestamp, Timestamp)>,
    waiting: Option<Waiting>,
    running: Option<Running>,
    /// Since when somebody wants it to be run, and before when it is not tried.
    wished: Option<Wished>,
    /// How often one that always runs ended soon after it began, in a row.
    failures: u32,
    /// It is planned no more and runs still.
    retired: bool,
}

/// Which jobs run, which wait, and up to when each is settled.
#[derive(Clone, Debug)]
pub struct Scheduler {
    jobs: BTreeMap<String, State>,
    limits: Limits,
}

impl Scheduler {
    /// A scheduler of these jobs. `past` says what is known of each from before.
    #[must_use]
    pub fn new(planned: Vec<Planned>, limits: Limits, past: &dyn Fn(&str) -> Past) -> Self {
        let state = |planned: Planned| {
            let Past { settled, last } = past(&planned.name);
            let mut state = State::new(planned, settled);
            state.waiting = last.and_then(|last| state.owed(last));
            (state.planned.name.clone(), state)
        };
        Self { jobs: planned.into_iter().map(state).collect(), limits }
    }

    /// Takes other jobs. What runs goes on, and is counted until it ends; a job that has the
    /// same schedule as before owes what it owed, any other owes nothing.
    pub fn replan(&mut self, planned: Vec<Planned>, limits: Limits) {
        self.limits = limits;
        let mut before = std::mem::take(&mut self.jobs);
        for planned in planned {
            let mut state = State::new(planned, None);
            if let Some(old) = before.remove(&state.planned.name) {
                state.running = old.running;
                state.wished = old.wished;
                if old.planned.schedule == state.planned.schedule {
                    state.settle(old.settled);
                    state.waiting = old.waiting;
                }
            }
            self.jobs.insert(state.planned.name.clone(), state);
        }
        for (name, mut state) in before.into_iter().filter(|(_, old)| old.running.is_some()) {
            state.retired = true;
            state.waiting = None;
            self.jobs.insert(name, state);
        }
    }

    /// What is to be done at this moment. What is ordered to start runs from now on.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Order> {
        let mut orders = Vec::new();
        for state in self.jobs.values_mut().filter(|state| !state.retired) {
            state.look(now, &mut orders);
        }
        self.start(now, &mut orders);
        orders
    }

    fn start(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        let mut ready: Vec<(Timestamp, Reason, String)> = Vec::new();
        for (name, state) in self.jobs.iter().filter(|(_, state)| state.may_run()) {
            let due = state.waiting.filter(|_| state.is_ready(now));
            ready.extend(due.map(|waiting| (waiting.since, Reason::Schedule, name.clone())));
            let wished = state.wished.filter(|wished| wished.not_before <= now);
            ready.extend(wished.map(|wished| (wished.since, Reason::Wish, name.clone())));
        }
        ready.sort();
        let running = self.jobs.values().filter(|state| state.running.is_some());
        let mut taken: Vec<Lane> = running.map(|state| state.planned.lane.clone()).collect();
        let mut room = self
            .limits
            .at_once
            .saturating_sub(taken.iter().filter(|lane| !matches!(lane, Lane::Listening)).count());
        for (_, reason, name) in ready {
            let Some(state) = self.jobs.get_mut(&name).filter(|state| state.may_run()) else {
                continue;
            };
            let lane = state.planned.lane.clone();
            let is_counted = lane != Lane::Listening;
            let is_shared = taken.iter().any(|other| lane.shares_with(other));
            // Who cannot begin keeps its place from those behind.
            if is_counted {
                taken.push(lane);
            }
            if is_shared || (is_counted && room == 0) {
                continue;
            }
            if is_counted {
                room -= 1;
            }
            let since = now;
            if reason == Reason::Wish {
                let Some(Wished { since, .. }) = state.wished.take() else { continue };
                let (due, attempt, missed, noted) = (None, 1, 0, Noted::Yes);
                state.running = Some(Running { due, attempt, missed, noted, since, reason });
                orders.push(Order::Wished { name });
                continue;
            }
            let Some(waiting) = state.waiting.take() else { continue };
            let Waiting { due, attempt, missed, noted, .. } = waiting;
            state.running = Some(Running { due, attempt, missed, noted, since, reason });
            orders.push(Order::Start { name, due, attempt, missed });
        }
    }

    /// A run goes on that was begun before the program was started, or by somebody else: it is
    /// counted, and what comes after its end goes by how that was.
    pub fn adopt(&mut self, name: &str, due: Option<Timestamp>, attempt: u32, since: Timestamp) {
        let Some(state) = self.jobs.get_mut(name) else { return };
        let is_due = due.is_some() || state.planned.schedule.is_none();
        let reason = if is_due { Reason::Schedule } else { Reason::Wish };
        let (missed, noted) = (0, Noted::Yes);
        state.running = Some(Running { due, attempt, missed, noted, since, reason });
    }

    /// Somebody wants a job to be run since then, beside its schedule. It begins as soon as it
    /// does not run and nothing that it must not share is taken; at any time, whatever its
    /// windows. False where there is no such job.
    pub fn wish(&mut self, name: &str, since: Timestamp) -> bool {
        let Some(state) = self.jobs.get_mut(name).filter(|state| !state.retired) else {
            return false;
        };
        let wished = state.wished.get_or_insert(Wished { since, not_before: since });
        wished.since = wished.since.min(since);
        true
    }

    /// Notes that a run ended.
    pub fn ended(&mut self, name: &str, now: Timestamp, ending: Ending) {
        let Some(state) = self.jobs.get_mut(name) else { return };
        let Some(ran) = state.running.take() else { return };
        if state.retired {
            self.jobs.remove(name);
            return;
        }
        match (ran.due, ending) {
            // It settled nothing, and owes nothing.
            _ if ran.reason == Reason::Wish => {}
            (None, _) => {
                let well = now.seconds_since(ran.since) >= RAN_WELL || ending == Ending::Stopped;
                state.failures = if well { 0 } else { state.failures.saturating_add(1) };
                let pause = if state.failures == 0 { 0 } else { pause(state.failures) };
                let attempt = ran.attempt.saturating_add(1);
                state.waiting = Some(Waiting::again(ran, attempt, now.plus_seconds(pause)));
            }
            // Another one is due already: that makes up for it.
            (Some(_), _) if state.waiting.is_some() => {}
            (Some(_), Ending::Stopped) if state.planned.missed == Missed::Once => {
                state.waiting = Some(Waiting::again(ran, ran.attempt, now));
            }
            (Some(_), Ending::Crashed) if ran.attempt < ATTEMPTS => {
                let later = now.plus_seconds(pause(ran.attempt));
                state.waiting = Some(Waiting::again(ran, ran.attempt.saturating_add(1), later));
            }
            (Some(_), Ending::Over | Ending::Stopped | Ending::Crashed) => {}
        }
    }

    /// Takes an order to start back: it could not be carried out, and is tried again in so many
    /// seconds. Until then it keeps nobody else from beginning.
    pub fn put_back(&mut self, name: &str, now: Timestamp, pause: i64) {
        let Some(state) = self.jobs.get_mut(name) else { return };
        let Some(ran) = state.running.take() else { return };
        let Running { due, attempt, missed, noted, since, reason } = ran;
        let not_before = now.plus_seconds(pause);
        if reason == Reason::Wish {
            state.wished = Some(Wished { since, not_before });
            return;
        }
        state.waiting = Some(Waiting { due, since, attempt, missed, noted, not_before });
    }

    /// When there is something to do again if nothing ends before: then, or as soon as the time
    /// is told otherwise, [`tick`](Self::tick) is called.
    #[must_use]
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let waking = |state: &State| {
            let due = state.next.map(|(_, begins)| begins);
            let later = state.waiting.filter(|_| state.running.is_none()).and_then(|waiting| {
                match waiting.not_before > now {
                    true => Some(waiting.not_before),
                    false if !state.planned.may_begin(now) => Some(now.plus_seconds(WINDOW_LOOK)),
                    // It waits for others.
                    false => None,
                }
            });
            let wished = state.wished.filter(|_| state.running.is_none());
            let wished = wished.map(|wished| wished.not_before).filter(|at| *at > now);
            [due, later, wished].into_iter().flatten().min()
        };
        self.jobs.values().filter(|state| !state.retired).filter_map(waking).min()
    }

    /// The jobs that run.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        let running = self.jobs.iter().filter(|(_, state)| state.running.is_some());
        running.map(|(name, _)| name.as_str())
    }
}

impl Waiting {
    /// Another attempt at what ran.
    const fn again(ran: Running, attempt: u32, not_before: Timestamp) -> Self {
        let Running { due, since, .. } = ran;
        Self { due, since, attempt, missed: 0, noted: Noted::Yes, not_before }
    }
}

impl State {
    fn new(planned: Planned, settled: Option<Timestamp>) -> Self {
        let mut state = Self {
            planned,
            settled: None,
            next: None,
            waiting: None,
            running: None,
            wished: None,
            failures: 0,
            retired: false,
        };
        state.settle(settled);
        state
    }

    fn settle(&mut self, until: Option<Timestamp>) {
        self.settled = until;
        self.next = until.and_then(|until| self.planned.upcoming(until).next());
    }

    /// What is owed of the last run: one that broke is tried again, one that was stopped goes
    /// on, one that ended is over.
    fn owed(&self, last: Unfinished) -> Option<Waiting> {
        // With another schedule nothing is owed, and what always runs is begun anyway.
        self.settled.filter(|_| self.planned.schedule.is_some())?;
        let attempt = match last.result {
            RunResult::Stopped => last.attempt,
            RunResult::CutOff | RunResult::Crashed => last.attempt.saturating_add(1),
            RunResult::Done | RunResult::Incomplete | RunResult::Failed | RunResult::Skipped => {
                return None;
            }
        };
        let is_made_up = self.planned.missed == Missed::Once && attempt <= ATTEMPTS;
        is_made_up.then_some(Waiting {
            due: Some(last.due),
            since: last.due,
            attempt,
            missed: 0,
            noted: Noted::Yes,
            not_before: last.due,
        })
    }

    /// Sees what has come, and whether it is run.
    fn look(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        let name = self.planned.name.clone();
        // Pauses are by the clock too, and a clock that was put back does not lengthen them.
        if let Some(waiting) = &mut self.waiting {
            waiting.not_before = waiting.not_before.min(now.plus_seconds(LONGEST_PAUSE));
        }
        if let Some(wished) = &mut self.wished {
            wished.not_before = wished.not_before.min(now.plus_seconds(LONGEST_PAUSE));
        }
        if self.planned.schedule.is_none() {
            if self.running.is_none() && self.waiting.is_none() {
                self.waiting = Some(Waiting {
                    due: None,
                    since: now,
                    attempt: 1,
                    missed: 0,
                    noted: Noted::No,
                    not_before: now,
                });
            }
            return;
        }
        let right = |at: &Timestamp| *at <= now.plus_seconds(WRONG_CLOCK);
        let Some(settled) = self.settled.filter(right) else {
            self.settle(Some(now));
            orders.push(Order::Settle { name, at: now });
            return;
        };
        if self.next.is_none_or(|(_, begins)| begins > now) {
            return;
        }
        let Some((due, begins, count)) = self.planned.come(settled, now) else { return };
        self.settle(Some(due));
        // What somebody wanted beside the schedule is nothing that it missed by.
        let is_late = self.running.is_some_and(|ran| ran.reason == Reason::Schedule);
        let is_missed = is_late || now.seconds_since(begins) > GRACE;
        if is_missed && self.planned.missed == Missed::Skip && self.waiting.is_none() {
            orders.push(Order::Skip { name, due, missed: count });
            return;
        }
        // One that still waits is made up for by this one.
        let earlier = self.waiting.map_or(0, |waiting| {
            waiting.missed.saturating_add(u32::from(waiting.noted == Noted::No))
        });
        self.waiting = Some(Waiting {
            due: Some(due),
            since: begins,
            attempt: 1,
            missed: count.saturating_sub(1).saturating_add(earlier),
            noted: Noted::No,
            not_before: now,
        });
    }

    fn is_ready(&self, now: Timestamp) -> bool {
        let is_time = self.waiting.is_some_and(|waiting| waiting.not_before <= now);
        is_time && self.may_run() && self.planned.may_begin(now)
    }

    const fn may_run(&self) -> bool {
        self.running.is_none() && !self.retired
    }
}

/// How long what failed so often in a row waits, in seconds.
fn pause(failures: u32) -> i64 {
    let doubled = 1_i64.checked_shl(failures.saturating_sub(1).min(32)).unwrap_or(i64::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
