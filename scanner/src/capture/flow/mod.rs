//! Flows of TCP: who accepts connections, how systems begin them, and the first bytes of each.
//!
//! In bounded memory and by the capture's own clock. A flow is read until its facts are known
//! (`super::stream` says when), or it ends, or nothing comes any more; from then on its packets
//! cost a look into the table and no more. Flows are told apart by their addresses and ports
//! alone: where a mirror shows the two directions in two VLANs, or a packet before and after a
//! router, they are one.

mod counts;
mod half;
mod table;
mod uses;
mod volume;

use std::{collections::VecDeque, hash::BuildHasher, net::IpAddr};

use foldhash::quality::RandomState;
use model::{Endpoint, Fact, FingerprintKind, PortState, Subject, Timestamp, Use};
use wire::{
    Malformed, ip,
    tcp::{self, Rest, Segment},
};

use super::{
    Told,
    recent::Recent,
    signature::{self, Of},
    stream::{self, Conversation, Families, Roles, Turn, Verdict},
};
pub use counts::FlowCounts;
use half::Half;
use table::{Entry, KNOWN, NO_USE, Table};
use uses::Uses;

/// How long a flow is waited for, in seconds: who has said nothing new for as long says
/// nothing more that tells who it is.
const PATIENCE: i64 = 30;

/// How often the parts of a conversation are counted; longer ones are known before.
const MOST_TURNS: usize = 24;

/// One end of a flow.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct End {
    address: IpAddr,
    port: u16,
}

/// A flow that is still read.
#[derive(Debug)]
struct Open {
    tag: u64,
    /// The client's end and the server's, as far as is known.
    ends: [End; 2],
    roles: Roles,
    /// What each sent, in the same order.
    halves: [Half; 2],
    turns: Vec<Turn>,
    last: Timestamp,
    /// Whether both sides were seen to want it, so that the client is really there.
    agreed: bool,
    /// How much of what it holds is counted.
    counted: usize,
    /// Which one this is of all: a place is used again.
    serial: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flows {
    table: Table,
    open: Vec<Option<Box<Open>>>,
    free: Vec<u32>,
    /// The open ones in the order in which they began to be waited for.
    order: VecDeque<(Timestamp, u32, u64)>,
    /// Bytes that open flows hold, and may hold.
    bytes: usize,
    most_bytes: usize,
    serial: u64,
    hasher: RandomState,
    recent: Recent,
    uses: Uses,
    families: Families,
    counts: FlowCounts,
}

impl Flows {
    /// Flows that take at most so many bytes: a quarter for the table, half for what is read;
    /// the rest is for what else a capture holds.
    pub(super) fn new(memory: usize) -> Self {
        Self::with_uses(memory, Uses::default())
    }

    /// Others in as much memory, of which the volumes are counted together.
    pub(super) fn beside(&self) -> Self {
        Self::with_uses(self.most_bytes.saturating_mul(2), self.uses.beside())
    }

    fn with_uses(memory: usize, uses: Uses) -> Self {
        Self {
            table: Table::new(memory / 4),
            open: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            bytes: 0,
            most_bytes: memory / 2,
            serial: 0,
            hasher: RandomState::default(),
            recent: Recent::new(),
            uses,
            families: Families::default(),
            counts: FlowCounts::default(),
        }
    }

    /// What became of them.
    pub(super) const fn counts(&self) -> FlowCounts {
        self.counts
    }

    /// How many bytes they take now.
    pub(super) fn memory(&self) -> usize {
        self.table.bytes().saturating_add(self.bytes)
    }

    /// Takes a segment. `whole` is its packet's bytes, where they are known.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        packet: &ip::Packet<'_>,
        whole: &[u8],
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        let segment = Segment::parse(packet.payload)?;
        self.settle_before(at, told);
        let from = End { address: packet.source, port: segment.source_port };
        let to = End { address: packet.destination, port: segment.destination_port };
        let tag = self.tag(from, to);
        let begins = signature::of(&segment);
        let now = at.0.div_euclid(1_000_000) as u32;
        let mut place = None;
        if let Some(entry) = self.table.find(tag) {
            entry.seen = now;
            if entry.open != KNOWN {
                place = Some(entry.open);
            } else if begins != Some(Of::Syn) {
                // All is known: a look, and what it adds to a volume.
                if entry.used != NO_USE {
                    let used = entry.used;
                    let len = Rest::of(packet.payload).data.len();
                    self.uses.add(used, len, at, told);
                }
                return Ok(());
            }
        }
        let rest = Rest::of(packet.payload);
        if let Some(of) = begins {
            self.sign(at, of, from, whole, &segment, &rest, told);
        }
        let place = match place {
            Some(place) => place,
            // A refusal or an end of something unseen is no flow.
            None if segment.flags & tcp::RST != 0 => return Ok(()),
            None if begins.is_none() && rest.data.is_empty() => return Ok(()),
            None => match self.begin(at, now, tag, from, to, &segment, told) {
                Some(place) => place,
                None => return Ok(()),
            },
        };
        self.read(at, place, from, &segment, &rest, told);
        Ok(())
    }

    fn tag(&self, from: End, to: End) -> u64 {
        let fold = |end: End| match end.address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 16) | u128::from(end.port),
            IpAddr::V6(v6) => u128::from(v6).rotate_left(16) ^ u128::from(end.port),
        };
        let (one, other) = (fold(from), fold(to));
        self.hasher.hash_one((one.min(other), one.max(other))).max(1)
    }

    /// Tells the fingerprint of who begins, and that a port is open of who accepts.
    #[expect(clippy::too_many_arguments, reason = "a segment and all that is around it")]
    fn sign(
        &mut self,
        at: Timestamp,
        of: Of,
        from: End,
        whole: &[u8],
        segment: &Segment,
        rest: &Rest<'_>,
        told: &mut Vec<Told>,
    ) {
        if whole.is_empty() || !super::is_of_a_station(from.address) {
            return;
        }
        // Clients begin from ports of the moment, servers answer from theirs.
        let port = if of == Of::Syn { 0 } else { from.port };
        let ttl = whole.get(8).copied().filter(|_| whole.first().is_some_and(|v| v >> 4 == 4));
        let look = (from.address, port, ttl, segment.window, rest.options.len());
        if !self.recent.is_news(at, self.hasher.hash_one(look)) {
            return;
        }
        let value = signature::signature(of, whole, segment, rest);
        let evidence = whole.get(..whole.len().saturating_sub(rest.data.len())).unwrap_or(whole);
        let (subject, kind) = match of {
            Of::Syn => (Subject::Address(from.address), FingerprintKind::TcpSyn),
            Of::SynAck => {
                let endpoint = Endpoint::tcp(from.address, from.port);
                (Subject::Endpoint(endpoint), FingerprintKind::TcpSynAck)
            }
        };
        told.push(Told::new(subject, Fact::Fingerprint { kind, value }, evidence));
    }

    /// Makes a place for a flow of which this is the first segment seen.
    #[expect(clippy::too_many_arguments, reason = "a segment and all that is around it")]
    fn begin(
        &mut self,
        at: Timestamp,
        now: u32,
        tag: u64,
        from: End,
        to: End,
        segment: &Segment,
        told: &mut Vec<Told>,
    ) -> Option<u32> {
        let (ends, roles) = match signature::of(segment) {
            Some(Of::Syn) => ([from, to], Roles::Seen),
            Some(Of::SynAck) => ([to, from], Roles::Seen),
            // Servers have the lower port, more often than not.
            None if from.port <= to.port => ([to, from], Roles::Guessed),
            None => ([from, to], Roles::Guessed),
        };
        self.serial = self.serial.wrapping_add(1);
        let open = Box::new(Open {
            tag,
            ends,
            roles,
            halves: <[Half; 2]>::default(),
            turns: Vec::new(),
            last: at,
            agreed: false,
            counted: size_of::<Open>(),
            serial: self.serial,
        });
        self.bytes = self.bytes.saturating_add(open.counted);
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let place = u32::try_from(self.open.len()).ok().filter(|place| *place != KNOWN)?;
                self.open.push(None);
                place
            }
        };
        *self.open.get_mut(usize::try_from(place).ok()?)? = Some(open);
        self.order.push_back((at, place, self.serial));
        self.counts.flows = self.counts.flows.saturating_add(1);
        let entry = Entry { open: place, seen: now, used: NO_USE };
        match self.table.find(tag) {
            Some(known) => *known = entry,
            None => match self.table.insert(tag, entry) {
                Some(Entry { open: KNOWN, .. }) => {
                    self.counts.forgotten = self.counts.forgotten.saturating_add(1);
                }
                Some(unread) => self.give_up(unread.open, told),
                None => {}
            },
        }
        while self.bytes > self.most_bytes {
            let (_, oldest, serial) = self.order.pop_front()?;
            if self.is_open(oldest, serial) {
                self.give_up(oldest, told);
            }
        }
        Some(place)
    }

    fn is_open(&self, place: u32, serial: u64) -> bool {
        self.get(place).is_some_and(|open| open.serial == serial)
    }

    fn get(&self, place: u32) -> Option<&Open> {
        self.open.get(usize::try_from(place).ok()?)?.as_deref()
    }

    fn read(
        &mut self,
        at: Timestamp,
        place: u32,
        from: End,
        segment: &Segment,
        rest: &Rest<'_>,
        told: &mut Vec<Told>,
    ) {
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(Some(open)) = self.open.get_mut(index) else { return };
        open.last = at;
        let grew = open.take(from, segment, rest, &mut |address| {
            let look = self.hasher.hash_one(("accepts", from.address, from.port));
            if self.recent.is_news(at, look) {
                let subject = Subject::Endpoint(Endpoint::tcp(address, from.port));
                told.push(Told::new(subject, Fact::PortState(PortState::Open), &[]));
            }
        });
        let room = open.room();
        self.bytes = self.bytes.saturating_add(room).saturating_sub(open.counted);
        open.counted = room;
        if open.agreed && from == open.ends[0] && segment.flags & tcp::SYN == 0 {
            open.agreed = false;
            let client = open.ends[0].address;
            if self.recent.is_news(at, self.hasher.hash_one(("client", client)))
                && super::is_of_a_station(client)
            {
                told.push(Told::new(Subject::Address(client), Fact::Alive { ttl: None }, &[]));
            }
        }
        let [client, server] = &open.halves;
        let over = segment.has(tcp::RST) || (client.ended && server.ended);
        let full = client.is_full() && server.is_full();
        if over || full {
            self.settle(place, told);
        } else if grew {
            let before = told.len();
            let verdict = stream::read(&open.conversation(false, &self.families), told);
            stamp(told, before, at);
            match verdict {
                Verdict::Known => {
                    let used = cloud_of(told, before);
                    self.close(place, used);
                }
                Verdict::Part => {}
                Verdict::More => told.truncate(before),
            }
        }
    }

    /// Tells what a flow has, and wants no more of it.
    fn settle(&mut self, place: u32, told: &mut Vec<Told>) {
        let before = told.len();
        if let Some(open) = self.get(place) {
            let _ = stream::read(&open.conversation(true, &self.families), told);
            stamp(told, before, open.last);
            if open.halves.iter().any(Half::has_gap) {
                self.counts.with_gaps = self.counts.with_gaps.saturating_add(1);
            }
        }
        let used = cloud_of(told, before);
        self.close(place, used);
    }

    /// The same for want of memory.
    fn give_up(&mut self, place: u32, told: &mut Vec<Told>) {
        self.counts.given_up = self.counts.given_up.saturating_add(1);
        self.settle(place, told);
    }

    /// Forgets what a flow said, and remembers that it is known, and which service it uses.
    fn close(&mut self, place: u32, used: Option<(IpAddr, String)>) {
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(open) = self.open.get_mut(index).and_then(Option::take) else { return };
        self.bytes = self.bytes.saturating_sub(open.counted);
        self.free.push(place);
        if let Some(entry) = self.table.find(open.tag)
            && entry.open == place
        {
            entry.open = KNOWN;
            if let Some((client, domain)) = used {
                entry.used = self.uses.of(client, domain);
            }
        }
    }

    /// Settles what has waited long enough. The clock of a capture may step: what waits since
    /// the future has waited too.
    pub(super) fn settle_before(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        while let Some((since, place, serial)) = self.order.front().copied() {
            if self.is_open(place, serial) {
                if now.seconds_since(since).saturating_abs() <= PATIENCE {
                    return;
                }
                self.settle(place, told);
            }
            self.order.pop_front();
        }
    }

    /// Settles all: nothing more will come.
    pub(super) fn settle_all(&mut self, told: &mut Vec<Told>) {
        while let Some((_, place, serial)) = self.order.pop_front() {
            if self.is_open(place, serial) {
                self.settle(place, told);
            }
        }
    }
}

/// Gives what was told from that place on the time of its flow.
fn stamp(told: &mut [Told], from: usize, at: Timestamp) {
    for fact in told.iter_mut().skip(from) {
        fact.at = Some(at);
    }
}

/// Who uses which service of the Internet, by what was told from that place on.
pub(super) fn cloud_of(told: &[Told], from: usize) -> Option<(IpAddr, String)> {
    told.iter().skip(from).find_map(|told| match (told.subject, &told.fact) {
        (Subject::Address(client), Fact::Use(Use::Cloud { domain, .. })) => {
            Some((client, domain.clone()))
        }
        _ => None,
    })
}

impl Open {
    /// Takes a segment from one end. Says whether either stream has grown; `accepts` is called
    /// for a SYN-ACK that answers.
    fn take(
        &mut self,
        from: End,
        segment: &Segment,
        rest: &Rest<'_>,
        accepts: &mut dyn FnMut(IpAddr),
    ) -> bool {
        // Who talks with itself is the client first.
        let by_client = from == self.ends[0];
        let [client, server] = &mut self.halves;
        let (own, other) = if by_client { (client, server) } else { (server, client) };
        let mut sequence = segment.sequence;
        match signature::of(segment) {
            Some(Of::Syn) => {
                sequence = sequence.wrapping_add(1);
                if own.has_begun() && !own.begins_at(sequence) {
                    // The ends are used again, and the old flow said nothing to the end.
                    self.ends = if by_client { self.ends } else { [self.ends[1], self.ends[0]] };
                    self.halves = <[Half; 2]>::default();
                    self.turns.clear();
                    self.roles = Roles::Seen;
                    self.halves[0].begin(sequence);
                } else {
                    own.begin(sequence);
                }
            }
            Some(Of::SynAck) => {
                let answers = !other.has_begun() || other.begins_at(segment.acknowledgement);
                if !answers || by_client {
                    return false;
                }
                own.begin(sequence.wrapping_add(1));
                // What it acknowledges is where the client's words begin.
                other.begin(segment.acknowledgement);
                self.agreed = true;
                if super::is_of_a_station(from.address) {
                    accepts(from.address);
                }
            }
            None => {}
        }
        let [client, server] = &mut self.halves;
        let own = if by_client { client } else { server };
        own.ended |= segment.has(tcp::FIN);
        if rest.data.is_empty() {
            return false;
        }
        if segment.has(tcp::SYN) {
            sequence = segment.sequence.wrapping_add(1);
        }
        let grew = own.add(sequence, rest.data);
        if by_client && segment.has(tcp::ACK) {
            self.turn(sequence, segment.acknowledgement);
        }
        grew
    }

    /// Notes how much the client had heard when it said something: by what it acknowledges,
    /// so that it is the same whatever order the segments come in.
    fn turn(&mut self, sequence: u32, acknowledgement: u32) {
        let [client, server] = &self.halves;
        let (Some(said), Some(heard)) =
            (client.distance(sequence), server.distance(acknowledgement))
        else {
            return;
        };
        let place = self.turns.partition_point(|turn| turn.said < said);
        if self.turns.get(place).is_none_or(|turn| turn.said != said) {
            self.turns.insert(place, Turn { said, heard });
            // The later ones matter less.
            self.turns.truncate(MOST_TURNS);
        }
    }

    fn room(&self) -> usize {
        let halves = self.halves.iter().map(Half::room).fold(0, usize::saturating_add);
        let turns = self.turns.capacity().saturating_mul(size_of::<Turn>());
        size_of::<Self>().saturating_add(halves).saturating_add(turns)
    }

    fn conversation<'a>(&'a self, ended: bool, families: &'a Families) -> Conversation<'a> {
        let [client, server] = &self.halves;
        Conversation {
            client: self.ends[0].address,
            server: Endpoint::tcp(self.ends[1].address, self.ends[1].port),
            client_port: self.ends[0].port,
            roles: self.roles,
            said: client.stream(),
            heard: server.stream(),
            turns: &self.turns,
            ended,
            families,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
