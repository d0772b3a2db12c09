//! Probes of one question each, for the protocols whose first answer is all that we read:
//! most are spoken by UDP. How each is asked and read is in [`super::udp`]; here each gets its place in the
//! catalog.
//!
//! WireGuard has none: it is silent to everybody whose key it does not know (its white paper,
//! section 5.1), and no question changes that.

use model::{Fact, Transport};

use super::{
    Probe, Reading, Step, Talk,
    udp::{control, data, device, login, tunnel, voice, windows},
};

/// A probe that asks one question and reads its answer.
#[derive(Clone, Copy)]
pub struct OneQuestion {
    protocol: &'static str,
    transport: Transport,
    ports: &'static [u16],
    ask: fn(&Talk<'_>) -> Vec<u8>,
    read: fn(&Talk<'_>) -> Vec<Fact>,
}

macro_rules! one_question {
    ($($(#[$doc:meta])* $name:ident = $protocol:literal on $ports:expr, $ask:path, $read:path;)+) => {
        $($(#[$doc])* pub const $name: OneQuestion = OneQuestion {
            protocol: $protocol,
            transport: Transport::Udp,
            ports: &$ports,
            ask: $ask,
            read: $read,
        };)+
    };
}

one_question! {
    /// Trivial File Transfer, RFC 1350.
    TFTP = "tftp" on [69], data::ask_tftp, data::read_tftp;
    /// Key distribution centres, RFC 4120.
    KERBEROS = "kerberos" on [88], login::ask_kerberos, login::read_kerberos;
    /// NetBIOS names, RFC 1002.
    NETBIOS = "netbios-ns" on [137], windows::ask_netbios, windows::read_netbios;
    /// X display managers.
    XDMCP = "xdmcp" on [177], login::ask_xdmcp, login::read_xdmcp;
    /// LDAP without a connection, [MS-ADTS].
    CLDAP = "ldap" on [389], windows::ask_cldap, windows::read_cldap;
    /// Service Location Protocol, RFC 2608.
    SLP = "slp" on [427], device::ask_slp, device::read_slp;
    /// QUIC, RFC 9000: HTTP/3, and DNS of RFC 9250.
    QUIC = "quic" on [443, 853, 8443], tunnel::ask_quic, tunnel::read_quic;
    /// Internet Key Exchange, RFC 7296.
    IKE = "isakmp" on [500, 4500], tunnel::ask_ike, tunnel::read_ike;
    /// Modbus over UDP.
    MODBUS = "modbus" on [502], control::ask_modbus, control::read_modbus;
    /// OpenVPN.
    OPENVPN = "openvpn" on [1194], tunnel::ask_openvpn, tunnel::read_openvpn;
    /// SQL Server's browser, [MC-SQLR].
    SQL_BROWSER = "ms-sql-browser" on [1434], windows::ask_sql, windows::read_sql;
    /// RADIUS, RFC 5997; for accounting, and on the ports of before RFC 2865.
    RADIUS = "radius" on [1812, 1813, 1645, 1646], login::ask_radius, login::read_radius;
    /// IP Messenger.
    IPMSG = "ipmsg" on [2425], windows::ask_ipmsg, windows::read_ipmsg;
    /// STUN, RFC 8489.
    STUN = "stun" on [3478], voice::ask_stun, voice::read_stun;
    /// KNXnet/IP.
    KNX = "knx" on [3671], control::ask_knx, control::read_knx;
    /// WS-Discovery.
    WS_DISCOVERY = "ws-discovery" on [3702], device::ask_ws_discovery, device::read_ws_discovery;
    /// Telephones, RFC 3261.
    SIP = "sip" on [5060], voice::ask_sip, voice::read_sip;
    /// NAT Port Mapping Protocol, RFC 6886.
    NAT_PMP = "nat-pmp" on [5351], device::ask_nat_pmp, device::read_nat_pmp;
    /// Link-local names, RFC 4795.
    LLMNR = "llmnr" on [5355], windows::ask_llmnr, windows::read_llmnr;
    /// MikroTik's neighbour discovery.
    MNDP = "mndp" on [5678], device::ask_mndp, device::read_mndp;
    /// Small devices, RFC 7252.
    COAP = "coap" on [5683], device::ask_coap, device::read_coap;
    /// Datagram TLS, RFC 6347: small devices, relays, RADIUS, and VPNs of web gateways.
    DTLS = "dtls" on [5684, 4433, 5349, 2083, 443, 8443], tunnel::ask_dtls, tunnel::read_dtls;
    /// Omron's controllers.
    FINS = "fins" on [9600], control::ask_fins, control::read_fins;
    /// Ubiquiti's discovery.
    UBIQUITI = "ubiquiti" on [10001], device::ask_ubiquiti, device::read_ubiquiti;
    /// memcached by UDP.
    MEMCACHED = "memcached" on [11211], data::ask_memcached, data::read_memcached;
    /// EtherNet/IP.
    ENIP = "enip" on [44818], control::ask_enip, control::read_enip;
}

/// Modbus over TCP, where it frames its messages the same way.
pub const MODBUS_TCP: OneQuestion = OneQuestion { transport: Transport::Tcp, ..MODBUS };
/// EtherNet/IP over TCP, where its messages are the same.
pub const ENIP_TCP: OneQuestion = OneQuestion { transport: Transport::Tcp, ..ENIP };

/// More than any answer over TCP is long.
const LONGEST: usize = 1_024;

impl OneQuestion {
    /// Whether more is to come: a datagram is whole, a stream may come in pieces.
    fn is_whole(&self, talk: &Talk<'_>) -> bool {
        let heard = talk.heard(1);
        talk.ended
            || match self.transport {
                Transport::Udp => !heard.is_empty(),
                Transport::Tcp => heard.len() > LONGEST || !(self.read)(talk).is_empty(),
            }
    }
}

impl Probe for OneQuestion {
    fn protocol(&self) -> &'static str {
        self.protocol
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn ports(&self) -> &'static [u16] {
        self.ports
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say((self.ask)(talk)),
            1 if !self.is_whole(talk) => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let facts = (self.read)(talk);
        let evidence = if facts.is_empty() { Vec::new() } else { talk.heard(1).to_vec() };
        Reading { facts, evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing;

    #[test]
    fn an_answer_by_tcp_may_come_in_pieces() {
        let mut heard = vec![vec![]];
        let talk = testing::talk(&heard, false);
        let Step::Say(question) = MODBUS_TCP.request(&talk) else { panic!("it asks") };
        // The transaction's number, an exception: it knows no such function.
        let answer = [&question[..2], &[0, 0, 0, 3, 0xff, 0xab, 1][..]].concat();
        for len in 0..answer.len() {
            let heard = [vec![], answer[..len].to_vec()];
            assert_eq!(MODBUS_TCP.request(&testing::talk(&heard, false)), Step::Listen, "{len}");
            assert_eq!(MODBUS_TCP.request(&testing::talk(&heard, true)), Step::Finish, "{len}");
        }
        heard.push(answer);
        let talk = testing::talk(&heard, false);
        assert_eq!(MODBUS_TCP.request(&talk), Step::Finish);
        assert_eq!(MODBUS_TCP.read(&talk).facts.len(), 1);
        heard[1] = vec![0; LONGEST + 1];
        assert_eq!(MODBUS_TCP.request(&testing::talk(&heard, false)), Step::Finish);
    }

    #[test]
    fn one_question_is_asked_and_its_answer_read() {
        let mut heard = vec![vec![]];
        let talk = testing::talk(&heard, false);
        assert_eq!(MEMCACHED.request(&talk), Step::Say(data::ask_memcached(&talk)));
        heard.push(vec![]);
        assert_eq!(MEMCACHED.request(&testing::talk(&heard, false)), Step::Listen);
        assert_eq!(MEMCACHED.request(&testing::talk(&heard, true)), Step::Finish);
        heard[1] = b"\x0c\x0d\0\0\0\x01\0\0VERSION 1.6.18\r\n".to_vec();
        let talk = testing::talk(&heard, false);
        assert_eq!(MEMCACHED.request(&talk), Step::Finish);
        assert_eq!(MEMCACHED.read(&talk).facts.len(), 1);
        heard[1] = b"something else".to_vec();
        assert_eq!(MEMCACHED.read(&testing::talk(&heard, true)), Reading::default());
    }
}
