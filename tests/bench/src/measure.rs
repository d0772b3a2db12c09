//! Running a command and reading what it cost from the kernel.

use std::{
    fs,
    io::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// What one run of a command cost.
#[derive(Clone)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Processor time, its own and the kernel's for it.
    pub(crate) cpu: Duration,
    /// The most memory that was resident, in KiB.
    pub(crate) peak_kib: u64,
    pub(crate) stdout: String,
    /// `None` where a signal ended it.
    pub(crate) code: Option<i32>,
}

/// Runs a command to its end; it must succeed.
pub(crate) fn run(mut command: Command) -> Result<Cost> {
    command.stderr(Stdio::inherit());
    let cost = run_within(&mut command, Duration::MAX)?;
    ensure!(cost.code == Some(0), "{command:?} ended with {:?}", cost.code);
    Ok(cost)
}

/// Runs a command to its end, however it ends. One that takes longer than `most` is killed, and
/// that is an error.
pub(crate) fn run_within(command: &mut Command, most: Duration) -> Result<Cost> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut output = child.stdout.take().context("no output")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut output, &mut text).map(|_| text)
    });
    let mut peak_kib = 0;
    let mut killed = false;
    let (code, cpu) = loop {
        peak_kib = peak_kib.max(resident_peak(&child));
        if let Some(end) = reap(&child)? {
            break end;
        }
        if !killed && started.elapsed() > most {
            child.kill()?;
            killed = true;
        }
        // A pace for reading the kernel's high-water mark, which is gone with the process.
        thread::park_timeout(Duration::from_millis(2));
    };
    let wall = started.elapsed();
    let stdout = reader.join().ok().context("the reader failed")??;
    ensure!(!killed, "not done within {} s", most.as_secs());
    Ok(Cost { wall, cpu, peak_kib, stdout, code })
}

/// The exit code and the processor time of a process that has ended. `None` while it runs.
#[expect(unsafe_code, reason = "std does not tell what a process cost")]
fn reap(child: &Child) -> Result<Option<(Option<i32>, Duration)>> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let id = libc::pid_t::try_from(child.id())?;
    // SAFETY: both places are ours and valid for the call; all zeros is a valid rusage.
    let (ended, usage) = unsafe {
        let ended = libc::wait4(id, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (ended, usage.assume_init())
    };
    ensure!(ended >= 0, "wait4: {}", std::io::Error::last_os_error());
    if ended == 0 {
        return Ok(None);
    }
    let time = |time: libc::timeval| -> Result<Duration> {
        Ok(Duration::from_secs(time.tv_sec.try_into()?)
            + Duration::from_micros(time.tv_usec.try_into()?))
    };
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    Ok(Some((code, time(usage.ru_utime)? + time(usage.ru_stime)?)))
}

/// The high-water mark of the process's resident memory, by the kernel.
fn resident_peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

/// The median of several runs; the default of none.
pub(crate) fn median<T: PartialOrd + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What was measured, as rows of a table.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<[String; 4]>,
    broken: Vec<String>,
}

impl Report {
    /// One measurement, with what it must reach.
    pub(crate) fn row(&mut self, what: &str, measured: String, goal: &str, reached: bool) {
        let verdict = if reached { "yes" } else { "NO" };
        if !reached {
            self.broken.push(format!("{what}: {measured}, not {goal}"));
        }
        self.rows.push([what.to_owned(), measured, goal.to_owned(), verdict.to_owned()]);
    }

    /// Prints the table, and fails if a goal was missed.
    pub(crate) fn print(self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "Machine: {}\n", machine())?;
        writeln!(out, "| what | measured | must reach | reached |\n|---|---|---|---|")?;
        for [what, measured, goal, verdict] in &self.rows {
            writeln!(out, "| {what} | {measured} | {goal} | {verdict} |")?;
        }
        ensure!(self.broken.is_empty(), "missed: {}", self.broken.join("; "));
        Ok(())
    }
}

/// Processor, cores, memory, kernel: what the numbers came from.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let value =
            text.lines().find(|line| line.starts_with(name)).and_then(|l| l.split_once(':'));
        value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processor}, {cores} cores, {memory} of memory, Linux {}", kernel.trim())
}
