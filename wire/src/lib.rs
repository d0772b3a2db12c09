//! Bytes to values, one file per protocol.
//!
//! Every function here is a function of a byte slice. Input comes from a hostile
//! network: it is read through [`Reader`], nothing indexes or panics, and no length
//! field decides an allocation. A message that breaks its protocol is a
//! [`Malformed`] value with the field's name, for the caller to report.
//! The builders of our own questions live beside the readers of their answers.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

pub mod arp;
pub mod bacnet;
pub mod ber;
pub mod cdp;
pub mod coap;
pub mod dcp;
pub mod dhcp;
pub mod dhcpv6;
pub mod dicom;
pub mod dns;
pub mod dtls;
pub mod eap;
pub mod edp;
pub mod eigrp;
pub mod enip;
pub mod ethernet;
pub mod fins;
pub mod hl7;
pub mod hsrp;
pub mod http;
pub mod icmp;
pub mod igmp;
pub mod ike;
pub mod ip;
pub mod ipp;
pub mod kerberos;
pub mod knx;
pub mod l2tp;
pub mod ldap;
pub mod lines;
pub mod llc;
pub mod lldp;
pub mod mld;
pub mod mndp;
pub mod modbus;
pub mod mongodb;
pub mod mqtt;
pub mod mysql;
pub mod nat_pmp;
pub mod nbns;
pub mod ndp;
pub mod ntlm;
pub mod ntp;
pub mod opcua;
pub mod openvpn;
pub mod ospf;
pub mod postgresql;
pub mod quic;
pub mod radius;
pub mod rdp;
mod reader;
pub mod rmcp;
pub mod rpc;
pub mod s7;
pub mod sip;
pub mod slp;
pub mod smb2;
pub mod snmp;
pub mod sqlr;
pub mod ssdp;
pub mod ssh;
pub mod stp;
pub mod stun;
pub mod syslog;
pub mod tcp;
pub mod tds;
pub mod telnet;
pub mod tftp;
pub mod tns;
pub mod ubiquiti;
pub mod udp;
pub mod vrrp;
pub mod ws_discovery;
pub mod xdmcp;

pub use reader::{Malformed, Problem, Reader};
