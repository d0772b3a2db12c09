//! A user's home with the program in it: nothing of the machine's own configuration.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A folder for the database and files of one test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The program, with this home and nothing else of the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.dress(Command::new(program()), arguments)
    }

    /// The same where the lab's scanner stands.
    pub(crate) fn command_in(&self, lab: &lab::Lab, arguments: &[&str]) -> Command {
        self.dress(lab.command(Path::new(program())), arguments)
    }

    /// The same where a sensor stands.
    pub(crate) fn command_at(&self, mirror: &lab::Mirror, arguments: &[&str]) -> Command {
        self.dress(mirror.command(Path::new(program())), arguments)
    }

    /// The same where these lines of hosts(5) are known, and no others.
    pub(crate) fn command_knowing(
        &self,
        lab: &lab::Lab,
        hosts: &str,
        arguments: &[&str],
    ) -> Command {
        let hosts = self.write("hosts", hosts);
        let mut command = lab.command(Path::new("unshare"));
        let script = "mount --bind \"$0\" /etc/hosts; exec \"$@\"";
        command.args(["--mount", "sh", "-euc", script]).arg(hosts).arg(program());
        self.dress(command, arguments)
    }

    fn dress(&self, mut command: Command, arguments: &[&str]) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("DAICHO_DATABASE", self.path("daicho.db"))
            .env("DAICHO_SITE_VANTAGE", "test")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Runs with `--format json` and reads what it prints; the command must succeed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut command = self.command(arguments);
        command.args(["--format", "json"]);
        Run::of(command.output().unwrap()).json()
    }
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_daicho")
}

/// Runs a command line whose words hold no blanks, such as one of `ip`'s.
#[track_caller]
pub(crate) fn must(line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line} (this test needs root): {said}");
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "stderr:\n{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no JSON ({error}) in:\n{}\nstderr:\n{}", self.stdout, self.stderr)
        })
    }
}
