//! The audit log of Microsoft's DHCP server (`DhcpSrvLog-Mon.log`, `DhcpV6SrvLog-Mon.log`).
//!
//! Text explains the numbers of the events first, in the language of the system and in its
//! encoding; then comes a heading and a line for each event, separated by commas. The numbers
//! are the same everywhere, and so the text of an event does not matter; nor does a heading that
//! cannot be read, for the columns stand in the same order in every language. User names are
//! passed over.

use std::net::IpAddr;

use model::Timestamp;

use super::{
    Lines, Wrong,
    record::{Client, Out, hex, mac_of_bytes},
    time::{self, LocalTime},
    wrong,
};

/// Whether times were found to be of DHCPv6, whose columns are others.
#[derive(Debug, Default)]
pub(super) struct Audit {
    six: bool,
}

/// Whether the line is the heading before the events.
pub(super) fn is_heading(line: &str) -> bool {
    let mut fields = line.split(',').map(str::trim);
    let first = fields.next().unwrap_or_default();
    let heads = matches!(first, "ID" | "イベント ID" | "イベントID");
    heads && fields.count() >= 6
}

/// Whether the line is an event: a number, a date, a time.
pub(super) fn is_event(line: &str) -> bool {
    let mut fields = line.split(',').map(str::trim);
    let number = fields.next().and_then(time::number);
    let (date, clock) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    number.is_some_and(|n| n <= 99_999) && day(date).is_some() && time::clock(clock).is_some()
}

impl Lines for Audit {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        if is_heading(line) {
            self.six = line.to_ascii_lowercase().contains("duid");
            return Ok(());
        }
        let fields: Vec<&str> =
            line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let field = |place: usize| fields.get(place).copied().filter(|field| !field.is_empty());
        // Explanations begin with no number, or have no comma behind it.
        let Some(event) = fields.first().and_then(|first| time::number(first)) else {
            return Ok(());
        };
        if fields.len() < 4 {
            return Ok(());
        }
        let is_six = self.six || event >= 11_000;
        let tells = match is_six {
            // Request, renewal, rebinding, and what a client asks that has an address.
            true => matches!(event, 11_002 | 11_004 | 11_005),
            // A new lease, a renewal, one of BOOTP (20, 21 for dynamic ones).
            false => matches!(event, 10 | 11 | 20 | 21),
        };
        if !tells {
            return Ok(());
        }
        let at = moment(fields.get(1), fields.get(2), &out.context.local);
        let Some(text) = field(4) else { return wrong("it has no address") };
        let Ok(address) = text.parse::<IpAddr>() else {
            return wrong(format!("{text:?} is no address"));
        };
        let mut client = Client {
            address: Some(address),
            name: field(5).map(str::to_owned),
            ..Client::default()
        };
        if is_six {
            client.duid = field(8).and_then(hex);
            if client.duid.is_none() {
                return wrong("it has no DUID");
            }
        } else {
            let hardware = field(6).and_then(hex);
            client.mac = hardware.as_deref().and_then(mac_of_bytes);
            if client.mac.is_none() {
                // Clients of remote access have an identifier of their own instead.
                client.id = hardware;
            }
            if client.mac.is_none() && client.id.is_none() {
                return wrong("it has no hardware address");
            }
            // The class stands as hexadecimal and as text.
            client.vendor_class = field(14).map(str::to_owned);
        }
        // Without the user's name, which stands behind.
        let evidence = fields.get(..7).unwrap_or(&fields).join(",");
        client.tell(at, &evidence, out)
    }
}

/// `11/27/26`, month first in every language, or `2026/11/27`.
fn day(text: &str) -> Option<(i64, i64, i64)> {
    if let Some(day) = time::date(text, '/') {
        return Some(day);
    }
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let year = match year.len() {
        2 => time::number(year)?.checked_add(2_000)?,
        4 => time::number(year)?,
        _ => return None,
    };
    parts.next().is_none().then_some((year, time::number(month)?, time::number(day)?))
}

fn moment(date: Option<&&str>, clock: Option<&&str>, local: &LocalTime) -> Option<Timestamp> {
    local.moment(time::civil(day(date?)?, time::clock(clock?)?))
}
