//! Which datagram is read by whom: by its ports, the server's first.

use wire::{
    Malformed, bacnet, dhcp as dhcp_ports, dhcpv6 as dhcpv6_ports, dns::lasting_parts, hsrp, ip,
    nbns, ntp, snmp, ssdp, syslog, tftp, udp, ws_discovery,
};

use super::{Told, devices, dhcp, dhcpv6, link::Frame, mdns, names, routing, tickets, uses, voice};

/// Hands on what a datagram says that it would say again in the same words, of protocols in which
/// that is common. Says whether it is of one.
pub(super) fn words(datagram: &udp::Datagram<'_>, take: &mut impl FnMut(&[u8])) -> bool {
    let is_of = |port| [datagram.source_port, datagram.destination_port].contains(&port);
    let bytes = datagram.payload;
    // A question's number is new each time. That of mDNS is 0.
    if is_of(names::DNS_PORT) || is_of(names::LLMNR_PORT) || is_of(mdns::PORT) {
        if lasting_parts(bytes, take).is_err() {
            take(bytes.get(2..).unwrap_or_default());
        }
        return true;
    }
    if is_of(nbns::PORT) {
        take(bytes.get(2..).unwrap_or_default());
        return true;
    }
    let announces = [ssdp::PORT, ws_discovery::PORT, MNDP_PORT, UBIQUITI_PORT];
    let announces = announces.into_iter().any(is_of);
    if announces {
        take(bytes);
    }
    announces
}

/// Reads a datagram.
///
/// # Errors
///
/// A message breaks its protocol or is cut; what was told before stays. Ports that a client may
/// as well have chosen at random promise no protocol, and what is none there is no error.
pub(super) fn read(
    frame: &Frame<'_>,
    packet: &ip::Packet<'_>,
    datagram: &udp::Datagram<'_>,
    known: &devices::Known,
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let bytes = datagram.payload;
    let ports = (datagram.source_port, datagram.destination_port);
    if let (
        dhcp_ports::CLIENT_PORT | dhcp_ports::SERVER_PORT,
        dhcp_ports::CLIENT_PORT | dhcp_ports::SERVER_PORT,
    ) = ports
    {
        return dhcp::read(frame.source, bytes, told);
    }
    // Everybody else has an address.
    if !super::is_of_a_station(packet.source) {
        return Ok(());
    }
    match ports {
        (
            dhcpv6_ports::CLIENT_PORT | dhcpv6_ports::SERVER_PORT,
            dhcpv6_ports::CLIENT_PORT | dhcpv6_ports::SERVER_PORT,
        ) => dhcpv6::read(frame.source, packet, bytes, told),
        (mdns::PORT, _) => mdns::read(packet, bytes, told),
        (names::DNS_PORT, _) | (_, names::DNS_PORT) => names::of_dns(packet, bytes, told),
        (names::LLMNR_PORT, _) => names::of_llmnr(packet, bytes, told),
        (nbns::PORT, _) => names::of_nbns(packet, bytes, told),
        (nbns::DATAGRAM_PORT, nbns::DATAGRAM_PORT) => {
            names::of_netbios_datagram(packet, bytes, told)
        }
        (ssdp::PORT, _) | (_, ssdp::PORT) => devices::of_ssdp(packet, bytes, known, told),
        (LDAP_PORT, _) => {
            uses::of_ldap(packet, bytes, told);
            Ok(())
        }
        (tickets::PORT, _) | (_, tickets::PORT) => {
            tickets::read(packet, datagram, told);
            Ok(())
        }
        (ntp::PORT, _) | (_, ntp::PORT) => uses::of_ntp(packet, bytes, told),
        (snmp::PORT, _) => uses::of_snmp(packet, true, bytes, told),
        (_, snmp::PORT | snmp::TRAP_PORT) => uses::of_snmp(packet, false, bytes, told),
        (_, hsrp::PORT | hsrp::PORT_V6) => routing::of_hsrp(packet, bytes, told),
        (ws_discovery::PORT, _) | (_, ws_discovery::PORT) => {
            devices::of_ws_discovery(packet, bytes, told);
            Ok(())
        }
        (_, syslog::PORT) => {
            uses::of_syslog(packet, bytes, told);
            Ok(())
        }
        (_, tftp::PORT) => {
            uses::of_tftp(packet, bytes, told);
            Ok(())
        }
        (MNDP_PORT, MNDP_PORT) => {
            devices::of_mndp(frame, packet, bytes, told);
            Ok(())
        }
        (UBIQUITI_PORT, _) | (_, UBIQUITI_PORT) => {
            devices::of_ubiquiti(packet, bytes, told);
            Ok(())
        }
        (bacnet::PORT, _) | (_, bacnet::PORT) => {
            devices::of_bacnet(packet, bytes, told);
            Ok(())
        }
        (voice::PORT, _) | (_, voice::PORT) => {
            voice::read(packet, datagram, told);
            Ok(())
        }
        (devices::ENIP_PORT, _) => {
            devices::of_enip(packet, bytes, told);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where domain controllers answer by datagram ([MS-ADTS], section 3.1.1.3.2).
const LDAP_PORT: u16 = 389;

/// MikroTik's and Ubiquiti's discovery.
const MNDP_PORT: u16 = 5_678;
const UBIQUITI_PORT: u16 = 10_001;
