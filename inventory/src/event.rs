//! The events that reasoning derives, worded in one place.
//!
//! An event is written once. So each function here is called where state changes from one
//! value to another, never where a state merely persists, and says both values.

use std::net::IpAddr;

use model::{Endpoint, Identifier, PortState, Timestamp};

use crate::asset::{AssetId, Event, EventKind};

fn event(at: Timestamp, asset: AssetId, kind: EventKind, subject: String, detail: String) -> Event {
    Event { at, asset: Some(asset), kind, subject, detail }
}

/// An asset was seen for the first time.
pub(crate) fn first_seen(at: Timestamp, asset: AssetId, subject: String, because: &str) -> Event {
    event(at, asset, EventKind::AssetFirstSeen, subject, because.to_owned())
}

/// An identifier was added to an asset.
pub(crate) fn identifier_added(
    at: Timestamp,
    asset: AssetId,
    identifier: &Identifier,
    because: &str,
) -> Event {
    let subject = identifier.to_string();
    event(at, asset, EventKind::IdentifierAdded, subject, because.to_owned())
}

/// An asset answers at another address than before.
pub(crate) fn address_moved(
    at: Timestamp,
    asset: AssetId,
    from: IpAddr,
    to: IpAddr,
    because: &str,
) -> Event {
    let detail = format!("from {from} to {to}: {because}");
    event(at, asset, EventKind::AddressMoved, to.to_string(), detail)
}

/// An address went from one asset to another, or two answer for it.
pub(crate) fn address_conflict(
    at: Timestamp,
    (asset, holder): (AssetId, AssetId),
    address: IpAddr,
    because: &str,
) -> Event {
    let detail = format!("was asset {holder}'s, answered by asset {asset}: {because}");
    event(at, asset, EventKind::AddressConflict, address.to_string(), detail)
}

/// The identifiers of one sighting belong to several assets.
pub(crate) fn ambiguous(
    at: Timestamp,
    asset: AssetId,
    identifier: &Identifier,
    others: &[AssetId],
    because: &str,
) -> Event {
    const MOST_NAMED: usize = 8;
    let mut named: Vec<String> = others.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if let Some(more) = others.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    let word = if others.len() == 1 { "asset" } else { "assets" };
    let detail = format!("also on {word} {}: {because}", named.join(", "));
    event(at, asset, EventKind::IdentityAmbiguous, identifier.to_string(), detail)
}

/// What was learned shows that two assets are one.
pub(crate) fn merged(at: Timestamp, into: AssetId, from: AssetId, because: &str) -> Event {
    event(at, into, EventKind::Merged, format!("asset {from}"), because.to_owned())
}

/// A port is open that was not.
pub(crate) fn port_opened(
    at: Timestamp,
    asset: AssetId,
    endpoint: Endpoint,
    before: Option<PortState>,
) -> Event {
    let before = before.map_or("not seen open before".to_owned(), |state| format!("was {state}"));
    event(at, asset, EventKind::PortOpened, endpoint.to_string(), before)
}

/// A port that was open is closed or filtered.
pub(crate) fn port_closed(
    at: Timestamp,
    asset: AssetId,
    endpoint: Endpoint,
    now: PortState,
) -> Event {
    let detail = format!("was open, is {now}");
    event(at, asset, EventKind::PortClosed, endpoint.to_string(), detail)
}

/// A service tells another product or version than before.
pub(crate) fn product_changed(
    at: Timestamp,
    asset: AssetId,
    endpoint: Endpoint,
    (before, now): (&str, &str),
) -> Event {
    let detail = format!("was {before}, is {now}");
    event(at, asset, EventKind::ProductChanged, endpoint.to_string(), detail)
}

/// The operating system is another than before.
pub(crate) fn os_changed(
    at: Timestamp,
    asset: AssetId,
    source: String,
    (before, now): (&str, &str),
) -> Event {
    let detail = format!("was {before}, is {now}");
    event(at, asset, EventKind::OsChanged, source, detail)
}

/// A place serves another certificate than before.
pub(crate) fn certificate_replaced(
    at: Timestamp,
    asset: AssetId,
    endpoint: Endpoint,
    (before, now): (&str, &str),
) -> Event {
    let detail = format!("was sha256 {before}, is sha256 {now}");
    event(at, asset, EventKind::CertificateReplaced, endpoint.to_string(), detail)
}

/// An asset broke a protocol, or was left alone, as it had not before.
pub(crate) fn anomaly_seen(
    at: Timestamp,
    asset: AssetId,
    subject: String,
    (protocol, problem): (&str, &str),
) -> Event {
    event(at, asset, EventKind::AnomalySeen, subject, format!("{protocol}: {problem}"))
}
