//! IRC: STARTTLS before a name is given (IRCv3, "tls Extension").

use super::{NOT_OFFERED, OTHERWISE, Step, refused, say, whole_lines};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    match heard {
        // Servers look the client's name up before they say something. It need not be waited for.
        [_] => say(b"STARTTLS\r\n"),
        [_, answer] => {
            if answer.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
                return OTHERWISE;
            }
            for (line, end) in whole_lines(answer) {
                // The sender comes first, behind a colon, where there is one.
                let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                let first = words.next().unwrap_or_default();
                let command = match first.first() {
                    Some(b':') => words.next().unwrap_or_default(),
                    _ => first,
                };
                match command {
                    b"670" => return Step::Ready(end),
                    b"691" | b"ERROR" => return refused(line),
                    // Unknown command, not registered.
                    b"421" | b"451" => return NOT_OFFERED,
                    _ if !command.iter().all(u8::is_ascii_alphanumeric) => return OTHERWISE,
                    // Notices and the like.
                    _ => {}
                }
            }
            Step::Listen
        }
        _ => OTHERWISE,
    }
}
