//! How much goes by QUIC: its flows are known by their hellos, and all that follows is a datagram
//! between the same two ends. Volumes of both are one volume.

use std::net::IpAddr;

use model::Timestamp;
use wire::{ip, udp};

use super::{super::Told, End, Flows, table::NO_USE};

/// How many flows are counted at once, 16 bytes each. With more, all begin again.
const MOST: usize = 1 << 16;

/// What tells their hashes from those of TCP.
const APART: u64 = 1 << 63;

impl Flows {
    fn hash_of(&self, packet: &ip::Packet<'_>, datagram: &udp::Datagram<'_>) -> u64 {
        let from = End { address: packet.source, port: datagram.source_port };
        let to = End { address: packet.destination, port: datagram.destination_port };
        self.tag(from, to) ^ APART
    }

    /// Counts the datagram, where it is one of a flow whose service is known.
    pub(in crate::capture) fn count_datagram(
        &mut self,
        at: Timestamp,
        packet: &ip::Packet<'_>,
        datagram: &udp::Datagram<'_>,
        told: &mut Vec<Told>,
    ) {
        if self.uses.datagrams.is_empty() {
            return;
        }
        if let Some(used) = self.uses.datagrams.get(&self.hash_of(packet, datagram)).copied() {
            self.uses.add(used, datagram.payload.len(), at, told);
        }
    }

    /// From now on the flow of the datagram counts for that use of that client.
    pub(in crate::capture) fn count_from(
        &mut self,
        packet: &ip::Packet<'_>,
        datagram: &udp::Datagram<'_>,
        (client, domain): (IpAddr, String),
    ) {
        let used = self.uses.of(client, domain);
        if used == NO_USE {
            return;
        }
        let hash = self.hash_of(packet, datagram);
        if self.uses.datagrams.len() >= MOST {
            self.uses.datagrams.clear();
        }
        self.uses.datagrams.insert(hash, used);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{Fact, Subject, Use, Volume};

    use super::*;

    #[test]
    fn datagrams_of_a_known_flow_add_to_its_volume_both_ways_and_others_do_not() {
        let (client, server) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(203, 0, 113, 9));
        let payload = vec![0x40; 1_200];
        let mut flows = Flows::new(1 << 20);
        let mut told = Vec::new();
        let mut send = |flows: &mut Flows, forth: bool, port: u16, begins: bool| {
            let (source, destination) = if forth { (client, server) } else { (server, client) };
            let (from, to) = if forth { (port, 443) } else { (443, port) };
            let ends = ip::Ends::V4(source, destination);
            let bytes = udp::datagram(ends, from, to, &payload);
            let bytes = ip::packet(ends, ip::UDP, 64, &bytes);
            let packet = ip::Packet::parse(&bytes).unwrap();
            let datagram = udp::Datagram::parse(packet.payload).unwrap();
            if begins {
                flows.count_from(&packet, &datagram, (client.into(), "example.com".into()));
            }
            flows.count_datagram(Timestamp(7), &packet, &datagram, &mut told);
        };
        send(&mut flows, true, 40_000, true);
        for n in 0..1_000 {
            send(&mut flows, n % 2 == 0, 40_000, false);
            // Another flow, of which nobody knows where it goes.
            send(&mut flows, true, 40_001, false);
        }
        let used = Use::Cloud { domain: "example.com".into(), volume: Volume::Medium };
        // Each has a moment, at which the volume grew.
        let told: Vec<(Subject, Fact)> = told.into_iter().map(|t| (t.subject, t.fact)).collect();
        assert_eq!(told, [(Subject::Address(client.into()), Fact::Use(used))]);
    }
}
