//! A year of schedules on a virtual clock, against a walk through every minute of it.
//!
//! The walk knows nothing of croner or of the scheduler: it looks at each minute of the year, at
//! what the clock on the wall shows in it, and at the fields of the line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use jiff::tz::TimeZone;
use model::{RunResult, Timestamp};
use schedule::{
    CronLine, Ending, Lane, Limits, Missed, Order, Past, Planned, Schedule, Scheduler, Unfinished,
};

/// Europe/Berlin, America/New_York and two zones that change at midnight (Asia/Beirut,
/// America/Havana), as rules: the system's files are not asked.
const ZONES: [&str; 5] = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "EET-2EEST,M3.5.0/0,M10.5.0/0",
    "CST5CDT,M3.2.0/0,M11.1.0/1",
];

/// Fields of numbers, so that the walk can read them with a few lines of its own.
const LINES: [&str; 9] = [
    "30 2 * * *",
    "30 2,14 * * *",
    "0 0 * * *",
    "15 0 1 * *",
    "0 3 29 2 *",
    "0 * * * *",
    "45 23 * * 6,0",
    "*/20 1-3 * * *",
    "0 22 * * 1-5",
];

/// From October to November of the next year, with the leap day of 2028.
fn year() -> (i64, i64) {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().seconds();
    (at("2027-10-01"), at("2028-11-30"))
}

/// The fields of a line: for each, which numbers it names.
struct Fields([Vec<bool>; 5]);

impl Fields {
    fn of(line: &str) -> Self {
        let fields: Vec<&str> = line.split(' ').collect();
        Self(std::array::from_fn(|at| (0..60).map(|number| is_in(fields[at], number)).collect()))
    }

    /// Whether the clock on the wall shows what they say, at so many minutes since 1970-01-01
    /// 00:00 on that wall. No line here names both days of the month and of the week.
    fn name(&self, wall: i64) -> bool {
        let Self([minutes, hours, days, months, weekdays]) = self;
        if !minutes[(wall % 60) as usize] || !hours[(wall / 60 % 24) as usize] {
            return false;
        }
        let passed = wall / 1_440;
        let (mut year, mut month, mut left) = (1970, 1, passed);
        let long = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        while left >= 365 + i64::from(long(year)) {
            left -= 365 + i64::from(long(year));
            year += 1;
        }
        let february = 28 + i64::from(long(year));
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if left < length {
                break;
            }
            left -= length;
            month += 1;
        }
        // 1970-01-01 was a Thursday.
        days[left as usize + 1] && months[month] && weekdays[(passed as usize + 4) % 7]
    }
}

/// Whether a number is in a field such as `1-3`, `2,14`, `*/20` or `*`.
fn is_in(field: &str, number: i64) -> bool {
    field.split(',').any(|part| match (part.split_once('/'), part.split_once('-')) {
        (Some((_, step)), _) => number % step.parse::<i64>().unwrap() == 0,
        (_, Some((from, until))) => {
            (from.parse().unwrap()..=until.parse::<i64>().unwrap()).contains(&number)
        }
        _ => part == "*" || part.parse() == Ok(number),
    })
}

/// What the walks found, by line and zone: each is gone once.
type Walks = BTreeMap<(String, String), Arc<Vec<i64>>>;

static WALKS: Mutex<Walks> = Mutex::new(BTreeMap::new());

/// Every moment of the year, and of the day behind it, at which the line is due, in seconds.
fn walk(line: &str, zone: &TimeZone) -> Arc<Vec<i64>> {
    let mut walks = WALKS.lock().unwrap();
    let walked = walks.entry((line.to_owned(), format!("{zone:?}")));
    Arc::clone(walked.or_insert_with(|| Arc::new(go(line, zone))))
}

fn go(line: &str, zone: &TimeZone) -> Vec<i64> {
    let (from, until) = year();
    let hourly = line.split(' ').nth(1) == Some("*");
    let fields = Fields::of(line);
    let mut found = Vec::new();
    let mut shown = i64::MIN;
    let mut offset = 0;
    // The walk begins before the year does, so that it knows what the clock has shown.
    for at in (from / 60 - 1_440)..(until / 60 + 1_440) {
        if at % 15 == 0 || shown == i64::MIN {
            let moment = jiff::Timestamp::from_second(at * 60).unwrap();
            offset = i64::from(zone.to_offset(moment).seconds()) / 60;
        }
        let wall = at + offset;
        let again = wall <= shown;
        // What was passed over since the minute before comes now.
        let passed = if shown == i64::MIN { wall } else { (shown + 1).min(wall) };
        let due = match hourly {
            true => fields.name(wall),
            false if passed == wall => !again && fields.name(wall),
            false => !again && (passed..=wall).any(|wall| fields.name(wall)),
        };
        if due && at * 60 > from {
            found.push(at * 60);
        }
        shown = shown.max(wall);
    }
    found
}

fn planned(name: &str, line: &str, zone: &TimeZone, jitter: u32, missed: Missed) -> Planned {
    let line: CronLine = line.parse().unwrap();
    Planned {
        name: name.to_owned(),
        schedule: Some(Schedule { line, zone: zone.clone() }),
        jitter,
        missed,
        windows: Vec::new(),
        lane: Lane::Free,
    }
}

#[test]
fn a_line_is_due_when_the_clock_on_the_wall_says_so() {
    let (from, until) = year();
    let mut total = 0;
    for zone in ZONES {
        let zone = TimeZone::posix(zone).unwrap();
        for line in LINES {
            let planned = planned("job", line, &zone, 0, Missed::Once);
            let dues = planned.upcoming(Timestamp::from_seconds(from));
            let dues = dues.map(|(due, _)| due.seconds());
            let dues: Vec<i64> = dues.take_while(|due| *due < until + 86_400).collect();
            assert_eq!(dues, *walk(line, &zone), "{line} in {zone:?}");
            total += dues.len();
        }
    }
    assert!(total > 60_000, "{total}");
    let leap = walk("0 3 29 2 *", &TimeZone::UTC);
    assert_eq!(*leap, ["2028-02-29T03:00:00Z".parse::<Timestamp>().unwrap().seconds()]);
}

/// A small generator of numbers: the same seed, the same year.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(most).unwrap()).unwrap()
    }
}

/// A run as the store would have it.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    due: Timestamp,
    attempt: u32,
    missed: u32,
    /// By the clock on the wall, and in truth.
    begun: (Timestamp, i64),
    ends: i64,
    result: Option<RunResult>,
}

/// A machine: its clock, its store, and a program on it that may be killed.
struct World {
    jobs: Vec<Planned>,
    /// What the clock shows is so many seconds ahead of the truth.
    ahead: i64,
    settled: BTreeMap<String, Timestamp>,
    rows: Vec<Row>,
    /// Which of those have not ended.
    open: Vec<usize>,
    program: Option<Scheduler>,
    longest: i64,
    dice: Dice,
}

const LIMITS: Limits = Limits { at_once: 3 };

impl World {
    fn new(jobs: Vec<Planned>, longest: i64, seed: u64) -> Self {
        Self {
            jobs,
            ahead: 0,
            settled: BTreeMap::new(),
            rows: Vec::new(),
            open: Vec::new(),
            program: None,
            longest,
            dice: Dice(seed),
        }
    }

    fn wall(&self, at: i64) -> Timestamp {
        Timestamp::from_seconds(at + self.ahead)
    }

    fn begin(&mut self) {
        let past = |name: &str| {
            let last = self.rows.iter().rev().find(|row| row.name == name);
            let last = last.and_then(|row| {
                Some(Unfinished { due: row.due, attempt: row.attempt, result: row.result? })
            });
            Past { settled: self.settled.get(name).copied(), last }
        };
        self.program = Some(Scheduler::new(self.jobs.clone(), LIMITS, &past));
    }

    fn kill(&mut self) {
        self.program = None;
        for number in self.open.drain(..) {
            self.rows[number].result = Some(RunResult::CutOff);
        }
    }

    /// Ends what has ended, and begins what is to begin.
    fn tick(&mut self, at: i64) {
        let now = self.wall(at);
        let Some(program) = &mut self.program else { return };
        let rows = &mut self.rows;
        self.open.retain(|number| {
            let row = &mut rows[*number];
            if row.ends <= at {
                row.result = Some(RunResult::Done);
                program.ended(&row.name, now, Ending::Over);
            }
            row.ends > at
        });
        for order in program.tick(now) {
            match order {
                Order::Settle { name, at } => {
                    self.settled.insert(name, at);
                }
                Order::Skip { name, due, missed } => {
                    self.settled.insert(name.clone(), due);
                    self.rows.push(Row {
                        name,
                        due,
                        attempt: 1,
                        missed: missed - 1,
                        begun: (now, at),
                        ends: at,
                        result: Some(RunResult::Skipped),
                    });
                }
                Order::Wished { name } => panic!("nobody wants {name}"),
                Order::Start { name, due, attempt, missed } => {
                    let due = due.unwrap();
                    let settled = self.settled.entry(name.clone()).or_insert(due);
                    *settled = (*settled).max(due);
                    let ends = at + 1 + self.dice.below(self.longest);
                    let result = None;
                    let begun = (now, at);
                    self.open.push(self.rows.len());
                    self.rows.push(Row { name, due, attempt, missed, begun, ends, result });
                }
            }
        }
    }

    /// When the program next has something to do.
    fn next(&self, at: i64) -> Option<i64> {
        let program = self.program.as_ref()?;
        let due = program.wake_at(self.wall(at)).map(|due| due.seconds() - self.ahead);
        let ends = self.open.iter().map(|number| self.rows[*number].ends).min();
        [due, ends].into_iter().flatten().min().map(|next| next.max(at + 1))
    }
}

/// The lines in all zones, spread over three of them each so that the year stays short.
fn jobs(jitter: u32, missed: Missed) -> Vec<Planned> {
    let zones = ZONES.map(|zone| TimeZone::posix(zone).unwrap());
    let pairs = LINES.iter().enumerate().flat_map(|(number, line)| {
        let zones = &zones;
        (0..zones.len()).filter(move |zone| (number + zone) % 2 == 0).map(move |zone| (line, zone))
    });
    let job = |(line, zone): (&&str, usize)| {
        planned(&format!("{line} in {zone}"), line, &zones[zone], jitter, missed)
    };
    pairs.map(job).collect()
}

#[test]
fn in_a_quiet_year_every_run_begins_when_it_is_due_and_once() {
    let (from, until) = year();
    let mut world = World::new(jobs(0, Missed::Once), 1, 1);
    world.begin();
    let mut at = from;
    while at < until {
        world.tick(at);
        at = world.next(at).unwrap_or(until);
    }
    for job in &world.jobs {
        let schedule = job.schedule.as_ref().unwrap();
        let rows: Vec<&Row> = world.rows.iter().filter(|row| row.name == job.name).collect();
        let dues: Vec<i64> = rows.iter().map(|row| row.due.seconds()).collect();
        let walked = walk(schedule.line.text(), &schedule.zone);
        let walked: Vec<i64> = walked.iter().copied().filter(|due| *due < until).collect();
        assert_eq!(dues, walked, "{}", job.name);
        assert!(rows.iter().all(|row| (row.missed, row.attempt) == (0, 1)));
        // Three at once, and each takes a second: who waits, waits seconds.
        let late = rows.iter().map(|row| row.begun.1 - row.due.seconds()).max().unwrap();
        assert!(late <= 8, "{}: {late} s late", job.name);
    }
}

/// A year in which the clock is put forward and back, and the program is killed, both at random.
fn troubled(missed: Missed, seed: u64) -> World {
    let (from, until) = year();
    let mut world = World::new(jobs(120, missed), 3_000, seed);
    world.begin();
    let mut at = from;
    let (mut kill, mut step, mut back) = (from + 86_400, from + 86_400, None);
    while at < until {
        if back.is_some_and(|back| at >= back) {
            back = None;
            world.begin();
        }
        if at >= kill {
            kill = at + 3_600 + world.dice.below(4 * 86_400);
            if world.program.is_some() {
                world.kill();
                // Most often it is started again at once, and sometimes it is away for days.
                let away = match world.dice.below(4) {
                    0 => world.dice.below(3 * 86_400),
                    _ => world.dice.below(20),
                };
                back = Some(at + away);
            }
        }
        if at >= step {
            step = at + 3_600 + world.dice.below(9 * 86_400);
            world.ahead = world.dice.below(6 * 3_600) - 3 * 3_600;
            // Looked at within half a minute.
            at += world.dice.below(30);
        }
        world.tick(at);
        let events = [Some(kill), Some(step), back, world.next(at)];
        at = events.into_iter().flatten().min().unwrap_or(until).max(at + 1);
    }
    world
}

/// None lost, none twice, none over itself, never more at once than allowed.
fn check_books(world: &World) {
    let (_, until) = year();
    for job in &world.jobs {
        let rows: Vec<&Row> = world.rows.iter().filter(|row| row.name == job.name).collect();
        let Some(last) = rows.last() else { continue };
        let mut over: Vec<i64> = Vec::new();
        let mut dues_begun = BTreeSet::new();
        for pair in rows.windows(2) {
            match pair[0].due == pair[1].due {
                true => assert!(pair[1].attempt > pair[0].attempt, "{}: {pair:?}", job.name),
                false => assert!(pair[1].due > pair[0].due, "{}: {pair:?}", job.name),
            }
        }
        for row in &rows {
            dues_begun.insert(row.due);
            if row.result == Some(RunResult::Done) {
                over.push(row.due.seconds());
            }
        }
        // Each time that came has a run of its own, or is one of those that a run made up for.
        let booked = dues_begun.len() + rows.iter().map(|row| row.missed as usize).sum::<usize>();
        let twice = over.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{}: done twice", job.name);
        let schedule = job.schedule.as_ref().unwrap();
        let dues = walk(schedule.line.text(), &schedule.zone);
        let came = dues.iter().filter(|due| **due <= last.due.seconds()).count();
        assert_eq!(booked, came, "{}: lost or doubled", job.name);
        // What is left out is only noted, whatever runs.
        let begun: Vec<&&Row> =
            rows.iter().filter(|row| row.result != Some(RunResult::Skipped)).collect();
        for pair in begun.windows(2) {
            let ended = match pair[0].result {
                Some(RunResult::Done) => pair[0].ends,
                _ => pair[0].begun.1,
            };
            assert!(ended <= pair[1].begun.1, "{}: over itself: {pair:?}", job.name);
        }
        // What was due a week before the end was not left lying.
        let week = dues.iter().rev().find(|due| **due < until - 7 * 86_400).unwrap();
        assert!(last.due.seconds() >= *week, "{}: stands still since {last:?}", job.name);
    }
}

#[test]
fn in_a_troubled_year_no_run_is_lost_and_none_is_done_twice() {
    let mut ended = BTreeMap::new();
    for seed in 1..=2 {
        let world = troubled(Missed::Once, seed);
        check_books(&world);
        for row in &world.rows {
            *ended.entry(row.result.map(RunResult::as_str)).or_insert(0) += 1;
            assert_ne!(row.result, Some(RunResult::Skipped));
        }
    }
    assert!(ended[&Some("done")] > 10_000 && ended[&Some("cut off")] > 100, "{ended:?}");
}

#[test]
fn in_a_troubled_year_what_is_to_be_left_out_is_left_out_and_noted() {
    let world = troubled(Missed::Skip, 7);
    check_books(&world);
    let late = |row: &&Row| row.begun.0.seconds_since(row.due);
    let skipped = |row: &&Row| row.result == Some(RunResult::Skipped);
    assert!(world.rows.iter().filter(skipped).count() > 100);
    // Nothing that begins was missed: it is late by what the limit of three costs, no more.
    let begun = world.rows.iter().filter(|row| !skipped(row));
    let latest = begun.map(|row| late(&row)).max().unwrap();
    assert!(latest < 3_600 + 120 + 300, "{latest} s");
}
