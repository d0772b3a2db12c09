//! Probes of one question each, for the UDP protocols whose first answer is all that we
//! read. Question and answer are those of [`super::udp`]; here each gets its place in the
//! catalog.

use model::Transport;

use super::{Probe, Reading, Step, Talk, udp};

/// A probe that asks a port's first question and reads its answer.
pub struct OneQuestion {
    protocol: &'static str,
    ports: &'static [u16],
}

macro_rules! one_question {
    ($($(#[$doc:meta])* $name:ident = $protocol:literal on $ports:expr;)+) => {
        $($(#[$doc])* pub const $name: OneQuestion =
            OneQuestion { protocol: $protocol, ports: &$ports };)+
    };
}

one_question! {
    /// Trivial File Transfer, RFC 1350.
    TFTP = "tftp" on [69];
    /// The port mapper, RFC 1833.
    RPCBIND = "rpcbind" on [111];
    /// NetBIOS names, RFC 1002.
    NETBIOS = "netbios-ns" on [137];
    /// LDAP without a connection, [MS-ADTS].
    CLDAP = "ldap" on [389];
    /// Internet Key Exchange, RFC 7296.
    IKE = "isakmp" on [500, 4500];
    /// Management controllers, DMTF DSP0136.
    IPMI = "ipmi" on [623];
    /// OpenVPN.
    OPENVPN = "openvpn" on [1194];
    /// SQL Server's browser, [MC-SQLR].
    SQL_BROWSER = "ms-sql-browser" on [1434];
    /// IP Messenger.
    IPMSG = "ipmsg" on [2425];
    /// STUN, RFC 8489.
    STUN = "stun" on [3478];
    /// WS-Discovery.
    WS_DISCOVERY = "ws-discovery" on [3702];
    /// Telephones, RFC 3261.
    SIP = "sip" on [5060];
    /// Small devices, RFC 7252.
    COAP = "coap" on [5683];
    /// memcached by UDP.
    MEMCACHED = "memcached" on [11211];
    /// Building control, ANSI/ASHRAE 135.
    BACNET = "bacnet" on [47808];
}

impl Probe for OneQuestion {
    fn protocol(&self) -> &'static str {
        self.protocol
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        self.ports
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(udp::payload(self.port(talk), talk.cookie)),
            1 if talk.heard(1).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        udp::read(talk.address, self.port(talk), talk.cookie, talk.heard(1))
    }
}

impl OneQuestion {
    /// The port whose language is spoken, where the conversation is on another.
    fn port(&self, talk: &Talk<'_>) -> u16 {
        let known = self.ports.iter().find(|port| **port == talk.port);
        known.or(self.ports.first()).copied().unwrap_or(talk.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing;

    #[test]
    fn one_question_is_asked_and_its_answer_read() {
        let mut heard = vec![vec![]];
        let talk = testing::talk(&heard, false);
        assert_eq!(MEMCACHED.request(&talk), Step::Say(udp::payload(11211, talk.cookie)));
        heard.push(vec![]);
        assert_eq!(MEMCACHED.request(&testing::talk(&heard, false)), Step::Listen);
        assert_eq!(MEMCACHED.request(&testing::talk(&heard, true)), Step::Finish);
        heard[1] = b"\x0c\x0d\0\0\0\x01\0\0VERSION 1.6.18\r\n".to_vec();
        let talk = testing::talk(&heard, false);
        assert_eq!(MEMCACHED.request(&talk), Step::Finish);
        assert_eq!(MEMCACHED.read(&talk).facts.len(), 1);
    }
}
