//! What the two sides of a TCP connection said, as facts.
//!
//! Each dissector looks at the streams so far and says whether they are its protocol's, and
//! whether all that it can tell is there. Where the protocol is one that we ask ourselves, what
//! the server answered is given to the probe's own `read`: the two ways of seeing say the same
//! words. Nothing of what users say to each other is kept: no path, query, cookie, user name or
//! secret, and evidence is only what a server says to everybody.

mod agent;
mod binary;
mod cloud;
mod control;
mod database;
mod http;
mod lines;
mod mark;
mod ssh;
mod store;
mod tls;
mod windows;

use std::net::IpAddr;

pub(super) use agent::family;
pub(super) use cloud::domain_of;

use model::{Endpoint, Fact, PortState, Subject, Use};
use wire::{Malformed, Problem};

use super::{Told, memo::Memo};
use crate::probe::{Probe, Reading, Talk};

/// How sure it is who the client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Roles {
    /// Who began was seen.
    Seen,
    /// By their ports; what they say may show that it is the other way round.
    Guessed,
}

/// A moment at which the client said something: how much it had said and heard before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Turn {
    pub(super) said: usize,
    pub(super) heard: usize,
}

/// A conversation so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversation<'a> {
    pub(super) client: IpAddr,
    pub(super) client_port: u16,
    pub(super) server: Endpoint,
    pub(super) roles: Roles,
    /// What the client said, from its first byte on and without a gap.
    pub(super) said: &'a [u8],
    /// What the server said.
    pub(super) heard: &'a [u8],
    /// When the client spoke, in the order of its words; empty where that was not seen.
    pub(super) turns: &'a [Turn],
    /// Whether nothing more will come.
    pub(super) ended: bool,
    /// What clients that call themselves so were found to be.
    pub(super) families: &'a Families,
}

/// By what clients call themselves, their family.
pub(super) type Families = Memo<Option<String>>;

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// What comes next may say more; nothing is told yet.
    More,
    /// The same, but what was told already must not wait: a controller is left alone once it is
    /// known for one.
    Part,
    /// All was told.
    Known,
}

/// How much is heard of a conversation that nobody knows.
const MOST_UNKNOWN: usize = 2_048;

/// What a dissector makes of a conversation; `None` where it is not of its protocol.
type Dissector = fn(&Conversation<'_>, &mut Vec<Told>) -> Option<Verdict>;

/// In this order: the surest first.
const DISSECTORS: &[Dissector] = &[
    ssh::read,
    http::read,
    lines::read,
    windows::smb,
    windows::rdp,
    windows::kerberos,
    database::mysql,
    database::postgresql,
    database::redis,
    database::memcached,
    store::mssql,
    store::oracle,
    store::mongodb,
    control::modbus,
    control::enip,
    control::s7,
    control::opcua,
    control::dicom,
    control::hl7,
    binary::vnc,
    binary::mqtt,
    binary::ldap,
    binary::dns,
    lines::telnet,
    mark::read,
    lines::banner,
];

/// Tells what a conversation shows, where it shows all that it will; at its end, what there is.
pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Verdict {
    let turned = talk.turned();
    let talk = match talk.roles {
        Roles::Guessed if talk.is_backwards() => &turned,
        _ => talk,
    };
    let before = told.len();
    let verdict = tls::read(talk, told).or_else(|| plain(talk, told));
    let verdict = match verdict {
        Some(Verdict::More | Verdict::Part) if talk.ended => Verdict::Known,
        Some(verdict) => verdict,
        None if talk.ended => Verdict::Known,
        None if talk.said.len().saturating_add(talk.heard.len()) > MOST_UNKNOWN => Verdict::Known,
        None => Verdict::More,
    };
    // Who speaks a protocol as its server accepts connections, even where nobody saw it do so.
    let server = Subject::Endpoint(talk.server);
    let speaks = told
        .iter()
        .skip(before)
        .any(|told| told.subject == server && matches!(told.fact, Fact::Service(_) | Fact::Tls(_)));
    if speaks {
        told.push(Told::new(server, Fact::PortState(PortState::Open), &[]));
    }
    verdict
}

/// The same without a look for TLS.
fn plain(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if talk.said.is_empty() && talk.heard.is_empty() {
        return None;
    }
    DISSECTORS.iter().find_map(|dissector| dissector(talk, told))
}

impl<'a> Conversation<'a> {
    /// The same with client and server exchanged.
    fn turned(&self) -> Self {
        Self {
            client: self.server.address,
            client_port: self.server.port,
            server: Endpoint::tcp(self.client, self.client_port),
            said: self.heard,
            heard: self.said,
            // Who spoke when is of no use where the beginning was not seen.
            turns: &[],
            ..*self
        }
    }

    /// Whether the side that was taken for the server speaks as only clients do, or the other
    /// as only servers do.
    fn is_backwards(&self) -> bool {
        let client = |bytes: &[u8]| tls::is_client(bytes) || http::is_request(bytes);
        let server = |bytes: &[u8]| tls::is_server(bytes) || http::is_response(bytes);
        (client(self.heard) && !client(self.said)) || (server(self.said) && !server(self.heard))
    }

    /// What the server said before the client said anything. Where it was not seen who spoke
    /// when, what the server said at all.
    fn greeting(&self) -> &'a [u8] {
        let before = self.turns.first().map_or(self.heard.len(), |turn| turn.heard);
        self.heard.get(..before).unwrap_or(self.heard)
    }

    /// What the server answered to the first words of the client's in which a line is as asked
    /// for, up to when it spoke again.
    fn answer_to(&self, is: impl Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
        let ends = self.turns.iter().skip(1).map(|turn| (turn.said, turn.heard));
        let ends = ends.chain([(self.said.len(), self.heard.len())]);
        self.turns.iter().zip(ends).find_map(|(turn, (said, heard))| {
            let part = self.said.get(turn.said..said)?;
            let asked = wire::lines::lines(part).any(&is);
            asked.then(|| self.heard.get(turn.heard..heard)).flatten()
        })
    }

    /// More, where what was heard only ends too soon and may go on.
    fn more_if_cut(&self, why: &Malformed) -> Option<Verdict> {
        (why.problem == Problem::Truncated && !self.ended).then_some(Verdict::More)
    }

    /// Whether a conversation in a protocol that is known by its first words may still go on in
    /// TLS.
    fn may_turn_to_tls(&self, protocol: &str) -> bool {
        const KNOW_STARTTLS: [&str; 4] = ["xmpp", "irc", "nntp", "managesieve"];
        /// Whoever has said more does not mean to.
        const MOST: usize = 4 << 10;
        let len = self.said.len().saturating_add(self.heard.len());
        !self.ended && len < MOST && KNOW_STARTTLS.contains(&protocol)
    }

    /// Whether the client said a line that is as asked for.
    fn says(&self, is: impl Fn(&[u8]) -> bool) -> bool {
        wire::lines::lines(self.said).any(is)
    }

    /// The conversation as if it was ours, for a probe to read.
    fn talk<'b>(&self, heard: &'b [Vec<u8>]) -> Talk<'b> {
        Talk {
            address: self.server.address,
            port: self.server.port,
            tls: false,
            server_name: None,
            cookie: 0,
            heard,
            ended: true,
        }
    }

    /// Gives a probe what was heard, part by part, and tells what it reads.
    fn ask(&self, probe: &dyn Probe, heard: &[Vec<u8>], told: &mut Vec<Told>) -> bool {
        let reading = probe.read(&self.talk(heard));
        let knows = !reading.facts.is_empty();
        self.tell(reading, told);
        knows
    }

    /// Tells what was read of the server.
    fn tell(&self, reading: Reading, told: &mut Vec<Told>) {
        // The first line is what everybody is greeted with.
        let line = wire::lines::lines(&reading.evidence).next().unwrap_or_default();
        for fact in reading.facts {
            let is_own = matches!(fact, Fact::Service(_));
            let evidence = if is_own { line } else { &[] };
            told.push(Told::new(Subject::Endpoint(self.server), fact, evidence));
        }
    }

    fn tell_server(&self, fact: Fact, told: &mut Vec<Told>) {
        told.push(Told::new(Subject::Endpoint(self.server), fact, &[]));
    }

    fn tell_client(&self, fact: Fact, told: &mut Vec<Told>) {
        told.push(Told::new(Subject::Address(self.client), fact, &[]));
    }

    /// Tells that the client shows secrets to everybody on the way.
    fn tell_cleartext(&self, protocol: &str, told: &mut Vec<Told>) {
        let protocol = protocol.to_owned();
        let used = Use::Cleartext { protocol, server: self.server.address };
        self.tell_client(Fact::Use(used), told);
    }
}

/// Whether a line begins with a word, in any case, and ends behind it or goes on after a blank.
fn begins(line: &[u8], word: &str) -> bool {
    line.split_at_checked(word.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(word.as_bytes()) && matches!(rest.first(), None | Some(b' '))
    })
}

#[cfg(test)]
mod tests;
