//! Every probe there is, in the order in which the driver prefers them where several
//! would do.

use super::Probe;

/// All probes. The one that takes whatever speaks comes last.
#[must_use]
pub fn all() -> &'static [&'static dyn Probe] {
    &[
        &super::ssh::Ssh,
        &super::http::Http,
        &super::smtp::Smtp,
        &super::pop3::Pop3,
        &super::imap::Imap,
        &super::ftp::Ftp,
        &super::telnet::Telnet,
        &super::redis::Redis,
        &super::memcached::Memcached,
        &super::rtsp::Rtsp,
        &super::vnc::Vnc,
        &super::mysql::Mysql,
        &super::postgresql::Postgresql,
        &super::mqtt::Mqtt,
        &super::smb::Smb,
        &super::rdp::Rdp,
        &super::ldap::Ldap,
        &super::ipp::Ipp,
        &super::dns::DnsTcp,
        &super::dns::DnsUdp,
        &super::ntp::Ntp,
        &super::snmp::WITH_PUBLIC,
        &super::snmp::WITH_PUBLIC_V1,
        &super::snmp::WITHOUT_COMMUNITY,
        &super::mdns::Mdns,
        &super::ssdp::Ssdp,
        &super::rpcbind::Rpcbind,
        &super::ipmi::Ipmi,
        &super::l2tp::L2tp,
        &super::bacnet::Bacnet,
        &super::one_question::TFTP,
        &super::one_question::KERBEROS,
        &super::one_question::NETBIOS,
        &super::one_question::XDMCP,
        &super::one_question::CLDAP,
        &super::one_question::SLP,
        &super::one_question::QUIC,
        &super::one_question::IKE,
        &super::one_question::MODBUS,
        &super::one_question::MODBUS_TCP,
        &super::one_question::OPENVPN,
        &super::one_question::SQL_BROWSER,
        &super::one_question::RADIUS,
        &super::one_question::IPMSG,
        &super::one_question::STUN,
        &super::one_question::KNX,
        &super::one_question::WS_DISCOVERY,
        &super::one_question::SIP,
        &super::one_question::NAT_PMP,
        &super::one_question::LLMNR,
        &super::one_question::MNDP,
        &super::one_question::COAP,
        &super::one_question::DTLS,
        &super::one_question::FINS,
        &super::one_question::UBIQUITI,
        &super::one_question::MEMCACHED,
        &super::one_question::ENIP,
        &super::one_question::ENIP_TCP,
        &super::banner::Banner,
    ]
}

/// Protocols that are for owners who allow them: whoever makes a dialogue excepts these by
/// name otherwise. They use a community, which is a password of a kind.
pub const ON_REQUEST: [&str; 2] = ["snmp-public", "snmp-public-v1"];

#[cfg(test)]
mod tests {
    use model::Transport;
    use proptest::prelude::*;

    use super::*;
    use crate::probe::{Step, testing};

    #[test]
    fn each_protocol_comes_once_and_the_catch_all_last() {
        let mut seen = std::collections::BTreeSet::new();
        for probe in all() {
            assert!(
                seen.insert((probe.protocol(), probe.transport())),
                "{} twice",
                probe.protocol()
            );
        }
        assert_eq!(all().last().map(|probe| probe.protocol()), Some("unknown"));
    }

    #[test]
    fn nobody_claims_silence() {
        for probe in all() {
            assert!(!probe.recognises(b""), "{}", probe.protocol());
            let silent = [Vec::new()];
            let reading = probe.read(&testing::talk(&silent, true));
            assert!(reading.facts.is_empty(), "{}", probe.protocol());
        }
    }

    proptest! {
        /// A server may say anything: no probe panics, and none goes on for ever.
        #[test]
        fn every_probe_bears_random_bytes(
            turns in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..120), 1..8),
            ended: bool,
        ) {
            for probe in all() {
                let mut said = 0;
                let mut heard = vec![turns[0].clone()];
                while said < 40 {
                    match probe.request(&testing::talk(&heard, ended)) {
                        Step::Finish | Step::Listen => break,
                        Step::Say(_) | Step::Reconnect(_) => {
                            said += 1;
                            heard.push(turns[said % turns.len()].clone());
                        }
                    }
                }
                prop_assert!(said < 40, "{} does not come to an end", probe.protocol());
                let _ = probe.read(&testing::talk(&heard, true));
                let _ = probe.recognises(&turns[0]);
            }
        }
    }

    #[test]
    fn ports_are_where_clients_look() {
        for (port, protocol) in
            [(22, "ssh"), (80, "http"), (25, "smtp"), (143, "imap"), (21, "ftp")]
        {
            let first = all().iter().find(|probe| {
                probe.transport() == Transport::Tcp && probe.ports().first() == Some(&port)
            });
            assert_eq!(first.map(|probe| probe.protocol()), Some(protocol));
        }
    }
}
