//! Telephony over datagrams (SIP): what telephones and their exchanges run.
//!
//! Only what a sender says of itself counts. A request that went through a proxy has its mark
//! (a second Via). A response loses such marks on its way back, so that the program named in
//! it is the sender's only where nobody passes responses on: those to REGISTER and OPTIONS, and
//! the refusals and the "trying" that each hop makes by itself. Users, numbers and addresses in
//! the messages are not looked at, and of a program's words the name and the version alone are
//! kept, because telephones write their own hardware address behind them.

use model::{Endpoint, Fact, FingerprintKind, Service, Subject};
use wire::{ip, sip::Overheard, udp};

use super::{Told, stream::family};
use crate::probe::product;

/// The port of RFC 3261, section 19.1.2.
pub(super) const PORT: u16 = 5_060;

/// What a datagram from or to the port tells.
pub(super) fn read(packet: &ip::Packet<'_>, datagram: &udp::Datagram<'_>, told: &mut Vec<Told>) {
    // Who holds a way through NAT open sends a few bytes that are no message (RFC 5626).
    let Ok(heard) = Overheard::parse(datagram.payload) else { return };
    let endpoint = Subject::Endpoint(Endpoint::udp(packet.source, datagram.source_port));
    let Overheard { status, method, hops, routed, software } = heard;
    let own = match status {
        Some(100 | 401 | 403 | 407) => !routed,
        Some(_) => !routed && matches!(&*method, "REGISTER" | "OPTIONS"),
        None => hops == 1,
    };
    let software = software.filter(|_| own);
    // Responses come from where requests are taken. So do a telephone's own requests, if it
    // sends them from the port at which it is called.
    let serves = status.is_some() || (datagram.source_port == PORT && own);
    if serves {
        let mut service = Service::of("sip");
        let named = software
            .as_deref()
            .and_then(|text| product::find(text).or_else(|| product::guess(text)))
            .filter(|product| !looks_like_a_number(&product.name));
        product::put(&mut service, named);
        told.push(Told::new(endpoint, Fact::Service(service), &[]));
    }
    if let (None, Some(value)) = (status, software.as_deref().and_then(family)) {
        let kind = FingerprintKind::UserAgent;
        let fact = Fact::Fingerprint { kind, value };
        told.push(Told::new(Subject::Address(packet.source), fact, &[]));
    }
}

/// Whether a name may be a telephone's number or hardware address.
fn looks_like_a_number(name: &str) -> bool {
    name.chars().filter(char::is_ascii_hexdigit).count() >= 8
        && name.chars().filter(char::is_ascii_digit).count() >= 4
}
