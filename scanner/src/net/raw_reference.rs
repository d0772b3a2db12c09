//! Questions as packets, made the plain way: what every quicker way of making them is held
//! against.

use std::net::IpAddr;

use wire::{
    icmp,
    ip::{self, Ends},
    tcp, udp,
};

use super::{
    Question,
    raw_cookie::{Cookies, TcpCookie},
    raw_frames::HOP_LIMIT,
};

/// A question as an IP packet. `None` for ARP and neighbour solicitation, which are not
/// packets to the target (see [`super::raw_frames::who_has`]), and for what the family does not have.
pub(super) fn packet(cookies: &Cookies, ends: Ends, question: &Question) -> Option<Vec<u8>> {
    let (ours, theirs) = addresses(ends);
    let (protocol, inside) = match question {
        Question::Arp | Question::NeighborSolicitation => return None,
        Question::Echo => {
            let cookie = cookies.echo(ours, theirs);
            let inside = icmp::echo_request(ends, cookie.identifier, cookie.sequence, &cookie.data);
            let protocol = match ends {
                Ends::V4(..) => ip::ICMP,
                Ends::V6(..) => ip::ICMPV6,
            };
            (protocol, inside)
        }
        Question::Timestamp => {
            let cookie = cookies.timestamp(ours, theirs);
            let Ends::V4(..) = ends else { return None };
            let inside =
                icmp::timestamp_request(cookie.identifier, cookie.sequence, cookie.originate);
            (ip::ICMP, inside)
        }
        Question::Ack(port) => {
            let TcpCookie { port: our_port, sequence } = cookies.ack(ours, theirs, *port);
            (ip::TCP, tcp::ack(ends, our_port, *port, sequence, sequence))
        }
        Question::Tcp(port) => {
            let cookie = cookies.tcp(ours, theirs, *port);
            (ip::TCP, tcp::syn(ends, cookie.port, *port, cookie.sequence))
        }
        Question::Udp(port, payload) => {
            let our_port = cookies.udp(ours, theirs, *port);
            (ip::UDP, udp::datagram(ends, our_port, *port, payload))
        }
    };
    Some(ip::packet(ends, protocol, HOP_LIMIT, &inside))
}

fn addresses(ends: Ends) -> (IpAddr, IpAddr) {
    match ends {
        Ends::V4(ours, theirs) => (ours.into(), theirs.into()),
        Ends::V6(ours, theirs) => (ours.into(), theirs.into()),
    }
}
