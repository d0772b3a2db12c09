//! Datagrams that no router passes on: their sender is on this link, so that the frame's source
//! is the sender's own link-layer address.
//!
//! All other packets stand behind whichever router forwards them, and bind nothing.

use std::net::IpAddr;

use model::MacAddr;
use wire::ip;

use super::Told;

/// Binds the packet's source to the frame's, where nothing can have been in between. Virtual
/// routers speak from an address of their role, which [`Told::binding`] refuses.
pub(super) fn bind(frame_source: Option<MacAddr>, packet: &ip::Packet<'_>, told: &mut Vec<Told>) {
    if let Some(mac) = frame_source.filter(|_| stays_on_link(packet)) {
        told.extend(Told::binding(packet.source, mac, &[]));
    }
}

fn stays_on_link(packet: &ip::Packet<'_>) -> bool {
    match (packet.source, packet.destination) {
        // 224.0.0.0/24 is never forwarded, whatever its time to live (RFC 5771, section 4). To
        // other groups 255 says that nobody took one off. Broadcasts stay on the link too, but
        // relays are in use that send them on with their sender's address.
        (_, IpAddr::V4(to)) => {
            matches!(to.octets(), [224, 0, 0, _]) || (to.is_multicast() && packet.ttl == u8::MAX)
        }
        // Nor are packets from or to addresses of the link (RFC 4291, sections 2.5.6 and 2.7).
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            from.is_unicast_link_local()
                || matches!(to.octets(), [0xff, scope, ..] if scope & 0x0f == 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, destination: &str, ttl: u8, expected: bool) {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let packet = ip::Packet {
            source,
            destination,
            ttl,
            protocol: ip::UDP,
            fragment: false,
            payload: &[],
        };
        assert_eq!(stays_on_link(&packet), expected, "{source} to {destination}");
    }

    #[test]
    fn only_what_cannot_have_been_routed_stays() {
        check("192.0.2.7", "224.0.0.251", 1, true);
        check("192.0.2.7", "239.255.255.250", 4, false);
        check("192.0.2.7", "239.255.255.250", 255, true);
        check("192.0.2.7", "255.255.255.255", 64, false);
        check("192.0.2.7", "192.0.2.9", 255, false);
        check("fe80::7", "fe80::9", 64, true);
        check("2001:db8::7", "ff02::fb", 64, true);
        check("2001:db8::7", "ff05::2", 64, false);
        check("2001:db8::7", "2001:db8::9", 255, false);
    }
}
