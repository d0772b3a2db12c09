//! ARP, RFC 826, and its use for finding out whether an address is free, RFC 5227.

use std::net::IpAddr;

use wire::{
    Malformed,
    arp::{Arp, Operation},
};

use super::{Told, link::Frame};

/// The sender of a request or of a reply says which address it has. One that only asks
/// whether an address is free names none (0.0.0.0), so that it binds nothing; one that
/// announces its address asks for it itself, and is a sender like any other.
pub(super) fn read(frame: &Frame<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    let message = match Arp::parse(frame.payload) {
        Ok(message) => message,
        Err(error) => {
            told.extend(Told::anomaly(frame.source, "arp", &error));
            return Err(error);
        }
    };
    if !matches!(message.operation, Operation::Request | Operation::Reply) {
        return Ok(());
    }
    // Who answers for others puts its own address there (proxy ARP). Two different ones are a
    // forgery or a fault of the capture, and bind nothing.
    match frame.source {
        Some(source) if source != message.sender_mac => {
            if super::is_of_an_interface(source) {
                let problem = "the message names another sender than the frame".to_owned();
                told.push(Told::problem(source, "arp", problem));
            }
        }
        _ => {
            let evidence = frame.payload.get(..28).unwrap_or_default();
            let address = IpAddr::V4(message.sender_ip);
            told.extend(Told::binding(address, message.sender_mac, evidence));
        }
    }
    Ok(())
}
