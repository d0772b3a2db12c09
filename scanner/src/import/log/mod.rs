//! Log lines of DHCP servers, alone or in a syslog among everybody's.
//!
//! A line begins with a time (syslog of either kind, ISO 8601, that of Kea, of MikroTik and of
//! Cisco); the rest is searched for what a DHCP server says of a client. Everything else in the
//! file is no problem and is passed over, and so is what says nothing of who is there (offers,
//! refusals, releases).

mod cisco;
mod dhcpd;
mod dnsmasq;
mod kea;
mod mikrotik;

use model::Timestamp;

use super::{
    Context, Lines, Wrong,
    record::{Out, words},
    time::{self, Civil},
};

/// Whose words a line has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Server {
    Dhcpd,
    Dnsmasq,
    Kea,
    MikroTik,
    Cisco,
}

/// The readers of what each server says.
#[derive(Debug, Default)]
pub(super) struct Servers {
    dnsmasq: dnsmasq::Talks,
}

/// A log file.
#[derive(Debug, Default)]
pub(super) struct Log {
    servers: Servers,
}

/// Whether a DHCP server says something in this line that is read.
pub(super) fn is_told(line: &str) -> bool {
    server(line).is_some()
}

/// Whose line it is, and what that says, without what stands before.
fn server(line: &str) -> Option<(Server, &str)> {
    let from = |start: Option<usize>| line.get(start?..);
    if let Some(message) = from(line.find("DHCP4_").or_else(|| line.find("DHCP6_"))) {
        return Some((Server::Kea, message));
    }
    if let Some(message) = from(cisco::start(line)) {
        return Some((Server::Cisco, message));
    }
    if let Some(message) = from(mikrotik::start(line)) {
        return Some((Server::MikroTik, message));
    }
    if let Some(message) = from(dnsmasq::start(line)) {
        return Some((Server::Dnsmasq, message));
    }
    from(dhcpd::start(line)).map(|message| (Server::Dhcpd, message))
}

impl Servers {
    /// Reads what that server says. Returns whether it told of a client.
    pub(super) fn read(
        &mut self,
        server: Server,
        message: &str,
        at: Option<Timestamp>,
        out: &mut Out<'_>,
    ) -> Result<bool, Wrong> {
        let client = match server {
            Server::Dhcpd => dhcpd::read(message)?,
            Server::Dnsmasq => self.dnsmasq.read(message)?,
            Server::Kea => kea::read(message)?,
            Server::MikroTik => mikrotik::read(message)?,
            Server::Cisco => cisco::read(message)?,
        };
        let Some(client) = client else { return Ok(false) };
        client.tell(at, message, out)?;
        Ok(true)
    }
}

impl Lines for Log {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let Some((server, message)) = server(line) else { return Ok(()) };
        let at = stamp(line, out.context);
        self.servers.read(server, message, at, out).map(drop)
    }
}

/// When the line was written. Where there are several times, the first is that of who collected
/// it, whose clock is the better one.
fn stamp(line: &str, context: &Context) -> Option<Timestamp> {
    // A priority, and a version after it (RFC 5424, section 6.2).
    let line = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((_, rest)) => rest.strip_prefix("1 ").unwrap_or(rest),
        None => line,
    };
    let all: Vec<&str> = words(line).take(8).collect();
    // Names and numbers may stand before it.
    (0..4).find_map(|place| stamp_at(all.get(place..)?, context))
}

fn stamp_at(words: &[&str], context: &Context) -> Option<Timestamp> {
    let word = |place: usize| words.get(place).copied().unwrap_or_default();
    let first = word(0).trim_start_matches(['*', '.', '[']).trim_end_matches([']', ':']);
    let local = &context.local;
    if let Some(at) = time::rfc3339(first, local) {
        return Some(at);
    }
    let clock_of = |place: usize| time::clock(word(place).trim_end_matches([':', ']']));
    if let (Some(day), Some(clock)) = (time::date(first, '-'), clock_of(1)) {
        return local.moment(time::civil(day, clock));
    }
    let (month, day, year, clock) = match first.split('/').collect::<Vec<&str>>().as_slice() {
        // nov/27/2026 04:08:27
        [month, day, year] => (time::month(month)?, time::number(day)?, Some(*year), clock_of(1)?),
        // nov/27 04:08:27
        [month, day] => (time::month(month)?, time::number(day)?, None, clock_of(1)?),
        // Nov 27 04:08:27, Nov 27 2026 04:08:27
        _ => {
            let (month, day) = (time::month(first)?, time::number(word(1))?);
            match clock_of(2) {
                Some(clock) => (month, day, None, clock),
                None => (month, day, Some(word(2)), clock_of(3)?),
            }
        }
    };
    match year {
        Some(year) => local.moment(time::civil((time::number(year)?, month, day), clock)),
        None => {
            let (hour, minute, second) = clock;
            let civil = Civil { year: 0, month, day, hour, minute, second };
            time::without_year(civil, local, context.written)
        }
    }
}
