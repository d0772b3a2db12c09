//! Leases of dnsmasq: `expiry mac address name client-id`, and behind a line `duid …` those of
//! DHCPv6, whose second word is a number and whose last is the client's DUID.
//!
//! The file says when a lease ends and not when it began. dnsmasq writes it anew at each change,
//! so a lease that is in it and has not ended was good when the file was written; of one that has
//! ended, the end is the last moment at which it was.

use std::net::IpAddr;

use model::Timestamp;

use super::{
    Lines, Wrong,
    record::{Client, Out, hex, mac_of_bytes},
    time, wrong,
};

#[derive(Debug)]
pub(super) struct Leases;

impl Lines for Leases {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (expiry, hardware, address, name, id) = match *words.as_slice() {
            // The server's own.
            ["duid", _] => return Ok(()),
            [expiry, hardware, address, name, id] => (expiry, hardware, address, name, id),
            [expiry, hardware, address, name] => (expiry, hardware, address, name, "*"),
            _ => return wrong("it has not the five words of a lease"),
        };
        let Some(expiry) = time::epoch(expiry) else {
            return wrong(format!("{expiry:?} is no time"));
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return wrong(format!("{address:?} is no address"));
        };
        let id = match id {
            "*" => None,
            id => match hex(id) {
                Some(id) => Some(id),
                None => return wrong(format!("{id:?} is no client identifier")),
            },
        };
        let mut client =
            Client { address: Some(address), name: Some(name.into()), ..Client::default() };
        if address.is_ipv6() {
            // The second word is the number of the association, with a T for temporary ones.
            client.duid = id;
        } else {
            // Hardware that is not Ethernet has its number in front: `06-aa:bb…`.
            let bytes = hex(hardware);
            client.mac = bytes.as_deref().and_then(mac_of_bytes);
            if bytes.is_none() {
                return wrong(format!("{hardware:?} is no hardware address"));
            }
            client.id = id;
        }
        // A lease without an end has the time 0.
        let written = out.context.written;
        let at = if expiry == Timestamp(0) { written } else { expiry.min(written) };
        client.tell(Some(at), line, out)
    }
}
