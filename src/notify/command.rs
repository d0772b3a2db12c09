//! A program of the administrator's, which gets the message as JSON on its standard input.
//!
//! It is started without a shell, with nothing of our environment but where programs and the
//! home are, in a process group of its own, which is killed as a whole when its time is over.
//! Where it ends with 0 the message counts as sent.

use std::{
    env,
    io::{Read, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Letter, Trouble};

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The last bytes of what it says that are kept.
const SAID: usize = 4_096;

/// Once it has ended, the end of what it says is waited for so long: who left its group may
/// hold the pipe for ever.
const REST: Duration = Duration::from_millis(500);

/// Runs it.
pub(super) async fn send(
    words: &[String],
    letter: &Letter,
    limit: Duration,
) -> Result<String, Trouble> {
    let (words, key, input) = (words.to_vec(), letter.parts.id.clone(), letter.json());
    let running = tokio::task::spawn_blocking(move || run(&words, &key, input, limit));
    running.await.unwrap_or_else(|error| Err(Trouble::later(error.to_string())))
}

fn run(words: &[String], key: &str, input: String, limit: Duration) -> Result<String, Trouble> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Trouble::refused("there is no program"));
    };
    let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];
    let kept = kept.into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .env("DAICHO_MESSAGE", key)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| Trouble::later(format!("cannot start {program}: {error}")))?;
    // Threads, because a program may neither read nor close. They end with the pipes.
    if let Some(mut stdin) = child.stdin.take() {
        thread::spawn(move || {
            let _ = stdin.write_all(input.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        });
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let (done, ended) = mpsc::channel::<()>();
    if let Some(stderr) = child.stderr.take() {
        let said = Arc::clone(&said);
        thread::spawn(move || {
            listen(stderr, &said);
            drop(done);
        });
    }
    let status = wait(&mut child, limit);
    kill_group(&child);
    let Some(status) = status else {
        // It was killed, so this does not last.
        let _ = child.wait();
        return Err(Trouble::later(format!("{program} took longer than {limit:?}")));
    };
    let _ = ended.recv_timeout(REST);
    let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    match status.success() {
        true => Ok(format!("{program} ended with success {last}")),
        false => Err(Trouble::later(format!("{program}: {status}: {last}"))),
    }
}

/// Reads to the end, so that whoever writes can go on, and keeps the last of it.
fn listen(mut from: impl Read, said: &Mutex<Vec<u8>>) {
    let mut piece = [0; 4_096];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(piece.get(..len).unwrap_or_default());
        let over = said.len().saturating_sub(SAID);
        said.drain(..over);
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if began.elapsed() < limit => thread::sleep(PAUSE),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// What it started ends with it.
fn kill_group(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // There may be nobody left in it.
    let _ = id.map(|id| kill_process_group(id, Signal::KILL));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests::letter_of;

    fn shell(script: &str, limit: Duration) -> Result<String, String> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        let letter = letter_of("title $(reboot)", "`x`");
        run(&words, &letter.parts.id, letter.json(), limit).map_err(|trouble| trouble.words)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn it_gets_the_message_as_json_and_nothing_of_our_environment() {
        let said = shell("cat >&2; env | wc -l >&2; echo \"$DAICHO_MESSAGE\" >&2", LONG).unwrap();
        assert!(said.ends_with("00000000000000000000000000000001"), "{said}");
        let said = shell("grep -c 'title $(reboot)' >&2", LONG).unwrap();
        assert!(said.ends_with(" 1"), "{said}");
        let said = shell("echo \"[$CARGO_MANIFEST_DIR]\" >&2", LONG).unwrap();
        assert!(said.ends_with("[]"), "{said}");
    }

    #[test]
    fn its_exit_code_decides_and_its_last_words_are_kept() {
        let error = shell("echo no modem >&2; exit 3", LONG).unwrap_err();
        assert_eq!(error, "/bin/sh: exit status: 3: no modem");
        let missing = run(&["/nowhere/page".to_owned()], "k", String::new(), LONG);
        assert!(missing.unwrap_err().words.starts_with("cannot start /nowhere/page: "));
    }

    #[test]
    fn one_that_says_much_is_heard_to_the_end_and_nobody_who_is_left_is_waited_for() {
        let said = shell("head -c 300000 /dev/zero >&2 && echo && echo last >&2", LONG).unwrap();
        assert!(said.ends_with("last"), "{said}");
        let began = Instant::now();
        let said = shell("setsid sleep 8 & sleep 0.2; echo gone >&2", LONG).unwrap();
        assert!(said.ends_with("gone"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }

    #[test]
    fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let error = shell(&script, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error, "/bin/sh took longer than 300ms");
        thread::sleep(Duration::from_millis(1_200));
        assert!(!mark.exists(), "a grandchild lived on");
    }
}
