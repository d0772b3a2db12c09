//! Days for calendars (RFC 5545).

use jiff::civil::Date;
use model::Timestamp;

/// Something on a day.
pub(super) struct Event {
    /// What makes it the same the next time that the file is read.
    pub(super) id: String,
    pub(super) day: Date,
    pub(super) summary: String,
    pub(super) description: String,
    /// The page about it.
    pub(super) page: Option<String>,
}

/// The most bytes of a line, without its end (section 3.1).
const LINE: usize = 75;

/// A calendar of these, made at that moment.
pub(super) fn calendar(events: impl Iterator<Item = Event>, now: Timestamp) -> String {
    let stamp = now.to_string();
    let stamp: String = stamp.split('.').next().unwrap_or_default().chars().collect();
    let stamp: String = stamp.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut text = String::new();
    for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Daicho//Certificates//EN"] {
        add(&mut text, line);
    }
    for event in events {
        add(&mut text, "BEGIN:VEVENT");
        add(&mut text, &format!("UID:{}@daicho", escaped(&event.id)));
        add(&mut text, &format!("DTSTAMP:{stamp}Z"));
        add(&mut text, &format!("DTSTART;VALUE=DATE:{}", event.day.strftime("%Y%m%d")));
        add(&mut text, &format!("SUMMARY:{}", escaped(&event.summary)));
        add(&mut text, &format!("DESCRIPTION:{}", escaped(&event.description)));
        if let Some(page) = &event.page {
            // A URI is no text and has nothing to escape; what would end the line is left out.
            let page: String = page.chars().filter(|c| !c.is_control()).collect();
            add(&mut text, &format!("URL:{page}"));
        }
        // Nobody is busy because of it.
        add(&mut text, "TRANSP:TRANSPARENT");
        add(&mut text, "END:VEVENT");
    }
    add(&mut text, "END:VCALENDAR");
    text
}

/// A text as a value (section 3.3.11). No control character but the end of a line is left.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Adds a line, folded between letters where it is too long.
fn add(text: &mut String, line: &str) {
    let mut length = 0_usize;
    for c in line.chars() {
        if length.saturating_add(c.len_utf8()) > LINE {
            text.push_str("\r\n ");
            length = 1;
        }
        text.push(c);
        length = length.saturating_add(c.len_utf8());
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(summary: &str) -> Event {
        Event {
            id: "ab12".to_owned(),
            day: Date::constant(2026, 12, 3),
            summary: summary.to_owned(),
            description: "CN=ca, O=Example\nSato; Sales\\IT".to_owned(),
            page: Some("https://daicho.example/certificates/ab12".to_owned()),
        }
    }

    #[test]
    fn an_event_is_written_as_the_standard_has_it() {
        let text = calendar([event("shop.example")].into_iter(), Timestamp(1_795_339_800_123_456));
        let expected = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Daicho//Certificates//EN\r\n\
            BEGIN:VEVENT\r\nUID:ab12@daicho\r\nDTSTAMP:20261122T093000Z\r\n\
            DTSTART;VALUE=DATE:20261203\r\nSUMMARY:shop.example\r\n\
            DESCRIPTION:CN=ca\\, O=Example\\nSato\\; Sales\\\\IT\r\n\
            URL:https://daicho.example/certificates/ab12\r\nTRANSP:TRANSPARENT\r\n\
            END:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_lines_are_folded_between_letters_and_unfolded_to_what_they_were() {
        let summary = "台帳の証明書".repeat(30);
        let text = calendar([event(&summary)].into_iter(), Timestamp(0));
        assert!(text.split("\r\n").all(|line| line.len() <= LINE), "{text}");
        assert!(text.replace("\r\n ", "").contains(&format!("SUMMARY:{summary}\r\n")));
    }

    #[test]
    fn nothing_that_a_certificate_says_becomes_a_line_of_its_own() {
        let hostile = "x\r\nEND:VEVENT\r\nBEGIN:VALARM\u{0}\u{85}\rATTACH:evil";
        let text = calendar([event(hostile)].into_iter(), Timestamp(0));
        assert_eq!(text.matches("\r\nEND:VEVENT\r\n").count(), 1);
        assert!(!text.contains("\r\nATTACH") && !text.contains("\r\nBEGIN:VALARM"), "{text}");
        assert!(text.replace("\r\n", "").chars().all(|c| !c.is_control()));
    }
}
