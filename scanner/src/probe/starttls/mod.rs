//! From words in the clear to TLS: the short dialogues that come before it.
//!
//! One file per protocol or family. Each is a pure function of what was heard so far, as a
//! [`crate::probe::Probe`] is, and ends as soon as the next byte is one of TLS, or it is clear
//! that none will be. No dialogue names a user, and none goes on inside TLS.
//! [`Starttls::choose`] says which one fits an endpoint. `crate::dialogue` holds them on a
//! connection, and `crate::collect` sends its hellos behind them.

mod database;
mod ftp;
mod irc;
mod ldap;
mod mail;
mod mailbox;
mod nntp;
mod rdp;
mod tds;
mod telnet;
#[cfg(test)]
mod tests;
mod vnc;
mod xmpp;

use thiserror::Error;
use wire::{
    Problem, Reader,
    lines::{self, Reply},
};

pub use tds::Framing;

/// A protocol in which TLS comes after a few words in the clear.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Starttls {
    /// Mail (RFC 3207).
    Smtp,
    /// Mail, handed to a mailbox (RFC 2033, RFC 3207).
    Lmtp,
    /// Mailboxes (RFC 9051, section 6.2.1).
    Imap,
    /// Mailboxes (RFC 2595, section 4).
    Pop3,
    /// Rules for mailboxes (RFC 5804, section 2.2).
    Managesieve,
    /// Files (RFC 4217).
    Ftp,
    /// News (RFC 4642).
    Nntp,
    /// Messages, a client's door (RFC 6120, section 5).
    XmppClient,
    /// Messages, the door for other servers.
    XmppServer,
    /// Directories (RFC 4511, section 4.14).
    Ldap,
    /// A database (PostgreSQL documentation, section "SSL Session Encryption").
    Postgresql,
    /// A database (MySQL internals, Protocol::SSLRequest).
    Mysql,
    /// A database ([MS-TDS], section 2.2.6.5).
    Mssql,
    /// Chat (IRCv3, "tls Extension").
    Irc,
    /// Remote desktops ([MS-RDPBCGR], section 5.4.5).
    Rdp,
    /// Remote desktops (RFB, security type VeNCrypt).
    Vnc,
    /// Terminals (draft-altman-telnet-starttls).
    Telnet,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The answer is not complete: read on.
    Listen,
    /// Send this, then ask again.
    Say(Vec<u8>),
    /// The next byte of either side is one of TLS. Of what was heard last, so many bytes belong
    /// to the dialogue: whatever came behind them, in the clear, is not to be believed.
    Ready(usize),
    /// There will be no TLS.
    Refuse(Refusal),
}

/// Why it did not come to TLS.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// It has no TLS for us.
    #[error("it does not offer STARTTLS")]
    NotOffered,
    /// What it says is not of the protocol.
    #[error("what it says is not the protocol that was expected")]
    Otherwise,
    /// It speaks the protocol and will not have us, or not now, in its own words.
    #[error("it refuses before TLS: {0}")]
    Refused(String),
    /// It serves names, and not the one that was asked for.
    #[error("it does not serve the names that are known for it")]
    UnknownName,
    /// It closed the connection.
    #[error("it hung up before TLS")]
    HungUp,
    /// It says more than belongs there.
    #[error("it says too much before TLS")]
    TooMuch,
    /// Its time was over.
    #[error("it let its time pass before TLS")]
    TimedOut,
}

impl Refusal {
    /// Whether this is an answer, and not a failure to get one: there is no certificate here.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::NotOffered | Self::Otherwise)
    }
}

impl Starttls {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Imap,
        Self::Pop3,
        Self::Managesieve,
        Self::Ftp,
        Self::Nntp,
        Self::XmppClient,
        Self::XmppServer,
        Self::Ldap,
        Self::Postgresql,
        Self::Mysql,
        Self::Mssql,
        Self::Irc,
        Self::Rdp,
        Self::Vnc,
        Self::Telnet,
    ];

    /// How much a server may say before TLS, in bytes.
    pub const MAX_HEARD: usize = 8 << 10;

    /// How many lines.
    pub const MAX_LINES: usize = 256;

    /// How many messages of ours a dialogue takes at most.
    pub const MAX_SAID: usize = 8;

    /// Its name, as in `model::Service::protocol` where both have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Managesieve => "managesieve",
            Self::Ftp => "ftp",
            Self::Nntp => "nntp",
            Self::XmppClient => "xmpp-client",
            Self::XmppServer => "xmpp-server",
            Self::Ldap => "ldap",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
            Self::Mssql => "mssql",
            Self::Irc => "irc",
            Self::Rdp => "rdp",
            Self::Vnc => "vnc",
            Self::Telnet => "telnet",
        }
    }

    /// The dialogue for an endpoint that speaks in the clear: by the service that was found
    /// there; where none was, by what it said, and then by its port.
    #[must_use]
    pub fn choose(service: Option<&str>, heard: &[u8], port: u16) -> Option<Self> {
        match service.filter(|name| *name != "unknown") {
            // LMTP answers as SMTP does.
            Some("smtp") if port == 24 || mail::says_lmtp(heard) => Some(Self::Lmtp),
            Some(name) => Self::ALL.into_iter().find(|protocol| protocol.name() == name),
            None => Self::recognise(heard).or_else(|| {
                // Where the server speaks first and has said nothing, it would say nothing again.
                let port = Self::at_port(port);
                port.filter(|protocol| !heard.is_empty() || protocol.client_speaks_first())
            }),
        }
    }

    /// The protocols that no probe knows, by what their servers say first or to a question that
    /// they do not understand.
    fn recognise(heard: &[u8]) -> Option<Self> {
        let contains = |word: &[u8]| heard.windows(word.len()).any(|window| window == word);
        match heard {
            [b'2', b'2', b'0', ..] if mail::says_lmtp(heard) => Some(Self::Lmtp),
            [b'2', b'0', b'0' | b'1', b' ', ..] => Some(Self::Nntp),
            _ if heard.starts_with(b"\"IMPLEMENTATION\"") => Some(Self::Managesieve),
            _ if contains(b"jabber:client") => Some(Self::XmppClient),
            _ if contains(b"jabber:server") => Some(Self::XmppServer),
            [b':', ..] if contains(b" NOTICE ") => Some(Self::Irc),
            _ if heard.starts_with(b"NOTICE ") => Some(Self::Irc),
            _ => None,
        }
    }

    /// The dialogue that is usual at a port.
    #[must_use]
    pub const fn at_port(port: u16) -> Option<Self> {
        match port {
            21 => Some(Self::Ftp),
            23 | 2_323 => Some(Self::Telnet),
            24 => Some(Self::Lmtp),
            25 | 26 | 587 | 2_525 | 10_025 => Some(Self::Smtp),
            110 => Some(Self::Pop3),
            119 | 433 => Some(Self::Nntp),
            143 => Some(Self::Imap),
            389 | 3_268 => Some(Self::Ldap),
            1_433 | 2_433 => Some(Self::Mssql),
            3_306 => Some(Self::Mysql),
            3_389 | 3_390 => Some(Self::Rdp),
            4_190 => Some(Self::Managesieve),
            5_222 => Some(Self::XmppClient),
            5_269 => Some(Self::XmppServer),
            5_432 | 5_433 | 6_432 => Some(Self::Postgresql),
            5_900..=5_910 => Some(Self::Vnc),
            6_660..=6_669 => Some(Self::Irc),
            _ => None,
        }
    }

    const fn client_speaks_first(self) -> bool {
        match self {
            Self::Smtp
            | Self::Lmtp
            | Self::Imap
            | Self::Pop3
            | Self::Managesieve
            | Self::Ftp
            | Self::Nntp
            | Self::Mysql
            | Self::Vnc => false,
            Self::XmppClient
            | Self::XmppServer
            | Self::Ldap
            | Self::Postgresql
            | Self::Mssql
            | Self::Irc
            | Self::Rdp
            | Self::Telnet => true,
        }
    }

    /// Whether its servers count connections that end before a login, and shut out the address
    /// that has too many: MySQL after 100 (`max_connect_errors`), TigerVNC after five. They are
    /// asked as gently as what is fragile.
    #[must_use]
    pub const fn counts_strangers(self) -> bool {
        matches!(self, Self::Mysql | Self::Vnc)
    }

    /// What to do next. `heard[0]` came before we said anything, `heard[n]` after our n-th
    /// message, and the last one may grow. `name` is what the server may know itself by; only
    /// XMPP asks for one.
    #[must_use]
    pub fn next(self, heard: &[Vec<u8>], name: &str) -> Step {
        let bytes: usize = heard.iter().map(Vec::len).sum();
        let ends = heard.iter().flatten().filter(|byte| **byte == b'\n').count();
        if bytes > Self::MAX_HEARD || ends > Self::MAX_LINES || heard.len() > Self::MAX_SAID {
            return Step::Refuse(Refusal::TooMuch);
        }
        match self {
            Self::Smtp => mail::smtp(heard),
            Self::Lmtp => mail::lmtp(heard),
            Self::Imap => mailbox::imap(heard),
            Self::Pop3 => mailbox::pop3(heard),
            Self::Managesieve => mailbox::managesieve(heard),
            Self::Ftp => ftp::next(heard),
            Self::Nntp => nntp::next(heard),
            Self::XmppClient => xmpp::client(heard, name),
            Self::XmppServer => xmpp::server(heard, name),
            Self::Ldap => ldap::next(heard),
            Self::Postgresql => database::postgresql(heard),
            Self::Mysql => database::mysql(heard),
            Self::Mssql => tds::next(heard),
            Self::Irc => irc::next(heard),
            Self::Rdp => rdp::next(heard),
            Self::Vnc => vnc::next(heard),
            Self::Telnet => telnet::next(heard),
        }
    }
}

const NOT_OFFERED: Step = Step::Refuse(Refusal::NotOffered);
const OTHERWISE: Step = Step::Refuse(Refusal::Otherwise);

fn say(message: &[u8]) -> Step {
    Step::Say(message.to_vec())
}

/// A refusal in these words.
fn refused(words: &[u8]) -> Step {
    Step::Refuse(Refusal::Refused(lines::text(words)))
}

/// What to do where a message does not read: wait for the rest of it, if that is all it lacks.
fn unread(why: &wire::Malformed) -> Step {
    match why.problem {
        Problem::Truncated => Step::Listen,
        Problem::Invalid(_) => OTHERWISE,
    }
}

/// The first numbered reply and its length, or what to do where there is none.
fn reply(heard: &[u8]) -> Result<(Reply, usize), Step> {
    let mut r = Reader::new(heard);
    match lines::reply(&mut r) {
        Ok(reply) => Ok((reply, r.offset())),
        // The code can be seen before its line is whole: nothing else need be waited for.
        Err(_) if !heard.iter().take(3).all(u8::is_ascii_digit) => Err(OTHERWISE),
        Err(why) => Err(unread(&why)),
    }
}

/// A refusal in the words of a reply.
fn refused_by(reply: &Reply) -> Step {
    Step::Refuse(Refusal::Refused(lines::squeeze(&format!("{} {}", reply.code, reply.text()))))
}

/// The whole lines, each with where it ends, its end left out.
fn whole_lines(heard: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut end = 0_usize;
    heard.split_inclusive(|byte| *byte == b'\n').filter_map(move |line| {
        end = end.saturating_add(line.len());
        Some((line.strip_suffix(b"\n")?.trim_ascii_end(), end))
    })
}

/// Whether a line begins with that word, in any case.
fn begins(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && line.get(word.len()).is_none_or(|next| !next.is_ascii_alphanumeric())
}
