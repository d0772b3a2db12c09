//! A file to which each message is appended as one line of JSON.
//!
//! The line is on the disk before the message counts as sent, and one that is there already is
//! not written again: here nothing is ever doubled. What a killed process left of a line is
//! ended before the next.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{Letter, Trouble};

/// How much of the end of the file is searched for the message: more than can have been written
/// since an attempt of ours that was cut off.
const SEARCHED: u64 = 4 << 20;

/// Appends it.
pub(super) async fn send(path: &Path, letter: &Letter) -> Result<String, Trouble> {
    let (path, key, line) = (path.to_owned(), letter.parts.id.clone(), letter.json());
    let writing = tokio::task::spawn_blocking(move || {
        append(&path, &key, &line)
            .map_err(|error| Trouble::later(format!("{}: {error}", path.display())))
    });
    writing.await.unwrap_or_else(|error| Err(Trouble::later(error.to_string())))
}

fn append(path: &Path, key: &str, line: &str) -> io::Result<String> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    // Two routes, or two deliverers, may have the same file.
    file.lock()?;
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

    #[test]
    fn a_message_is_a_line_once_also_after_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        append(&path, "k1", "{\"id\":\"k1\"}").unwrap();
        assert_eq!(append(&path, "k1", "{\"id\":\"k1\"}").unwrap(), "was there already");
        fs::write(&path, "{\"id\":\"k1\"}\n{\"id\":\"k2\",").unwrap();
        append(&path, "k2", "{\"id\":\"k2\"}").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"id\":\"k1\"}\n{\"id\":\"k2\",\n{\"id\":\"k2\"}\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_says_so() {
        let error = append(Path::new("/nowhere/alerts.jsonl"), "k", "{}").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
