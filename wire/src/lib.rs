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
pub mod ber;
pub mod dhcp;
pub mod dns;
pub mod ethernet;
pub mod http;
pub mod icmp;
pub mod ip;
pub mod ipp;
pub mod ldap;
pub mod lines;
pub mod mqtt;
pub mod mysql;
pub mod nbns;
pub mod ndp;
pub mod ntlm;
pub mod ntp;
pub mod postgresql;
pub mod rdp;
mod reader;
pub mod smb2;
pub mod snmp;
pub mod ssdp;
pub mod ssh;
pub mod tcp;
pub mod telnet;
pub mod udp;

pub use reader::{Malformed, Problem, Reader};
