//! The protocols of lines in which the server speaks first: mail, file transfer, terminals.
//!
//! The greeting and what the server answers to questions about itself go to the probes; the
//! rest of the conversation is only looked at for whether somebody shows a secret, and when TLS
//! can no longer come.

use wire::{lines, telnet as options};

use super::{Conversation, Roles, Told, Verdict, begins};
use crate::probe::{self, Probe, banner as other};
use model::Fact;

/// How much a server may say before it is known that TLS will not come.
const LONG: usize = 8 << 10;

/// What a protocol's client says.
struct Words {
    /// Behind it TLS does not come any more.
    goes_on: &'static [&'static str],
    /// It shows a secret with this.
    shows: &'static [&'static str],
    /// What the probe asks, in its order.
    asks: &'static [&'static str],
    /// Whether a word stands before the command.
    tagged: bool,
    /// The name of its use in the clear.
    clear: &'static str,
}

const FTP: Words = Words {
    goes_on: &["PASS", "QUIT", "USER"],
    shows: &["PASS"],
    asks: &["SYST", "FEAT"],
    tagged: false,
    clear: "ftp",
};
const SMTP: Words = Words {
    goes_on: &["MAIL", "AUTH", "QUIT"],
    shows: &["AUTH PLAIN", "AUTH LOGIN"],
    asks: &["EHLO"],
    tagged: false,
    clear: "smtp_auth",
};
const POP3: Words = Words {
    goes_on: &["USER", "APOP", "AUTH", "QUIT"],
    shows: &["PASS"],
    asks: &["CAPA"],
    tagged: false,
    clear: "pop3",
};
const IMAP: Words = Words {
    goes_on: &["LOGIN", "AUTHENTICATE", "LOGOUT"],
    shows: &["LOGIN", "AUTHENTICATE PLAIN", "AUTHENTICATE LOGIN"],
    asks: &["CAPABILITY", "ID"],
    tagged: true,
    clear: "imap",
};

/// Who greets with `220`: what it says, then what is said to it, then its port.
fn is_ftp(talk: &Conversation<'_>, greeting: &[u8]) -> bool {
    let lower = greeting.to_ascii_lowercase();
    let has = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    if has(b"smtp") {
        return false;
    }
    let speaks = |words: &[&str]| talk.says(|line| words.iter().any(|word| begins(line, word)));
    has(b"ftp")
        || speaks(&["USER", "SYST", "FEAT", "AUTH TLS", "AUTH SSL", "PASV"])
        || (talk.server.port == 21 && !speaks(&["EHLO", "HELO"]))
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let greeting = talk.greeting();
    let (words, probe): (&Words, &dyn Probe) = match greeting {
        [b'2', b'2', b'0', b' ' | b'-', ..] if is_ftp(talk, greeting) => (&FTP, &probe::ftp::Ftp),
        [b'2', b'2', b'0', b' ' | b'-', ..] => (&SMTP, &probe::smtp::Smtp),
        // In the middle of a conversation these are Redis' words as well.
        [b'+', b'O', b'K', b' ' | b'\r', ..]
            if talk.roles == Roles::Seen || matches!(talk.server.port, 110 | 995) =>
        {
            (&POP3, &probe::pop3::Pop3)
        }
        [b'*', b' ', b'O', b'K', b' ', ..] => (&IMAP, &probe::imap::Imap),
        // A server that was not heard, whose client gives itself away.
        [] if !talk.said.is_empty() && talk.heard.is_empty() && talk.ended => {
            return unheard(talk, told);
        }
        _ => return None,
    };
    let command = |line: &[u8], word: &str| match words.tagged {
        true => line
            .iter()
            .position(|b| *b == b' ')
            .is_some_and(|at| begins(line.get(at.saturating_add(1)..).unwrap_or_default(), word)),
        false => begins(line, word),
    };
    let says = |all: &[&str]| talk.says(|line| all.iter().any(|word| command(line, word)));
    let shows = says(words.shows);
    let answered = talk.heard.len() > greeting.len();
    // A name alone is followed by its secret, or by nothing.
    let waits_for_secret = !shows && talk.heard.len() < LONG && says(&["USER"]);
    let goes_on = says(words.goes_on) && answered && !waits_for_secret;
    if !(talk.ended || goes_on || talk.heard.len() > LONG) {
        return Some(Verdict::More);
    }
    let mut heard = vec![greeting.to_vec()];
    for asked in words.asks {
        let answer = talk.answer_to(|line| command(line, asked)).unwrap_or_default();
        heard.push(answer.to_vec());
    }
    let knows = talk.ask(probe, &heard, told);
    if shows && knows {
        talk.tell_cleartext(words.clear, told);
    }
    Some(Verdict::Known)
}

/// What a client alone shows of a protocol in which both names and secrets are lines.
fn unheard(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let says = |word: &str| talk.says(|line| begins(line, word));
    let words = match talk.server.port {
        21 => &FTP,
        110 => &POP3,
        _ => return None,
    };
    (says("USER") && says("PASS")).then(|| {
        talk.tell_cleartext(words.clear, told);
        Verdict::Known
    })
}

/// Telnet: the words before anybody has typed, since what is typed comes back as an echo.
pub(super) fn telnet(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let negotiates = |stream: &[u8]| matches!(stream, [255, 250..=254, ..]);
    if !negotiates(talk.heard) && !negotiates(talk.said) {
        return None;
    }
    let typed = typed_at(talk.said);
    let heard = match typed {
        // As much as had been heard when the client typed it.
        Some(typed) => {
            let turn = talk.turns.iter().rfind(|turn| turn.said <= typed);
            turn.map_or(0, |turn| turn.heard)
        }
        None => talk.heard.len(),
    };
    let prompt = talk.heard.get(..heard).unwrap_or_default();
    if typed.is_none() && !talk.ended {
        return Some(Verdict::More);
    }
    if !talk.turns.is_empty() {
        talk.ask(&probe::telnet::Telnet, &[prompt.to_vec()], told);
    }
    if typed.is_some() && !talk.heard.is_empty() {
        talk.tell_cleartext("telnet", told);
    }
    Some(Verdict::Known)
}

/// Where the client's first byte is that is no command of the protocol's.
fn typed_at(said: &[u8]) -> Option<usize> {
    const IAC: u8 = 255;
    const SB: u8 = 250;
    let mut at = 0_usize;
    loop {
        match said.get(at..)? {
            [] => return None,
            [IAC, SB, inside @ ..] => {
                let end = inside.windows(2).position(|two| two == [IAC, 240])?;
                at = at.saturating_add(end).saturating_add(4);
            }
            [IAC, 251..=254, _, ..] => at = at.saturating_add(3),
            [IAC, 251..=254] | [IAC] => return None,
            [IAC, _, ..] => at = at.saturating_add(2),
            [0, ..] => at = at.saturating_add(1),
            _ => return Some(at),
        }
    }
}

/// Servers that greet in a protocol of which only the greeting is known.
pub(super) fn banner(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let greeting = talk.greeting();
    if !lines::has_line(greeting) || options::read(greeting).commands > 0 {
        return None;
    }
    let reading = other::Banner.read(&talk.talk(&[greeting.to_vec()]));
    let protocol = reading.facts.iter().find_map(|fact| match fact {
        Fact::Service(service) if service.protocol != "unknown" => Some(&service.protocol),
        _ => None,
    })?;
    if talk.may_turn_to_tls(protocol) {
        return Some(Verdict::More);
    }
    talk.tell(reading, told);
    Some(Verdict::Known)
}
