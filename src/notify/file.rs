//! A file to which each message is appended as one line of JSON.
//!
//! The line is on the disk before the message counts as sent, and one that is there already is
//! not written again, as long as it is in the last 4 MiB of the file. What a killed process left
//! of a line is ended before the next.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{Letter, Trouble};

/// How much of the end of the file is searched for the message: more than can have been written
/// since an attempt of ours that was cut off.
const SEARCHED: u64 = 4 << 20;

/// Between two looks whether the file is free.
const PAUSE: Duration = Duration::from_millis(20);

/// Appends it.
pub(super) async fn send(path: &Path, letter: &Letter, limit: Duration) -> Result<String, Trouble> {
    let (path, key, line) = (path.to_owned(), letter.parts.id.clone(), letter.json());
    let writing = tokio::task::spawn_blocking(move || {
        append(&path, &key, &line, limit)
            .map_err(|error| Trouble::later(format!("{}: {error}", path.display())))
    });
    writing.await.unwrap_or_else(|error| Err(Trouble::later(error.to_string())))
}

fn append(path: &Path, key: &str, line: &str, limit: Duration) -> io::Result<String> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    // Two routes, or two deliverers, may have the same file.
    lock(&file, limit)?;
    let end = tail(&mut file)?;
    // Half a line is none, whatever it holds.
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = end.get(..whole).unwrap_or_default();
    if lines.windows(key.len()).any(|window| window == key.as_bytes()) {
        return Ok("was there already".to_owned());
    }
    let torn = whole < end.len();
    let text = format!("{}{line}\n", if torn { "\n" } else { "" });
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    Ok(format!("appended {} bytes", text.len()))
}

/// Not for ever: whoever has the file may have forgotten it.
fn lock(file: &File, limit: Duration) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < limit => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let words = format!("somebody else kept it locked for {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn tail(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SEARCHED)))?;
    let mut end = Vec::new();
    file.take(SEARCHED).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_message_is_a_line_once_also_after_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        append(&path, "k1", "{\"id\":\"k1\"}", LONG).unwrap();
        assert_eq!(append(&path, "k1", "{\"id\":\"k1\"}", LONG).unwrap(), "was there already");
        fs::write(&path, "{\"id\":\"k1\"}\n{\"id\":\"k2\",").unwrap();
        append(&path, "k2", "{\"id\":\"k2\"}", LONG).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"id\":\"k1\"}\n{\"id\":\"k2\",\n{\"id\":\"k2\"}\n");
    }

    #[test]
    fn a_file_that_somebody_keeps_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let other = File::create(&path).unwrap();
        other.lock().unwrap();
        let error = append(&path, "k", "{}", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.to_string(), "somebody else kept it locked for 100ms");
        other.unlock().unwrap();
        append(&path, "k", "{\"id\":\"k\"}", LONG).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_says_so() {
        let error = append(Path::new("/nowhere/alerts.jsonl"), "k", "{}", LONG).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
