//! What dnsmasq says, with `log-dhcp` or without.

use std::{collections::HashMap, net::IpAddr};

use crate::import::{
    Wrong,
    record::{Client, hex, mac_of_bytes},
    wrong,
};

/// How many exchanges are remembered whose end has not come.
const MOST: usize = 1_000;

/// What clients said in exchanges that are not over, by the numbers of those.
#[derive(Debug, Default)]
pub(super) struct Talks(HashMap<String, String>);

/// What tells of a client, and the words before its vendor class.
const TELLS: [&str; 5] = ["DHCPACK(", "DHCPREQUEST(", "DHCPDISCOVER(", "DHCPINFORM(", "DHCPREPLY("];
const VENDOR: &str = "vendor class: ";

pub(super) fn start(line: &str) -> Option<usize> {
    if let Some(at) = line.find("dnsmasq-dhcp")
        && line.contains(VENDOR)
    {
        return Some(at);
    }
    TELLS.iter().filter_map(|tells| line.find(tells)).min().map(|at| {
        // The number of the exchange stands before it.
        let before = line.get(..at).unwrap_or_default().trim_end();
        let digits = before.bytes().rev().take_while(u8::is_ascii_digit).count();
        let number = before.len().saturating_sub(digits);
        let is_number = digits > 0 && before.get(..number).is_some_and(|rest| rest.ends_with(' '));
        if is_number { number } else { at }
    })
}

impl Talks {
    /// `3456 DHCPACK(br0) 192.0.2.5 00:00:5e:00:53:01 pc-7`
    pub(super) fn read(&mut self, message: &str) -> Result<Option<Client>, Wrong> {
        if let Some((before, class)) = message.split_once(VENDOR) {
            let number = before.split_whitespace().last().unwrap_or_default();
            if number.bytes().all(|b| b.is_ascii_digit()) && self.0.len() < MOST {
                self.0.insert(number.to_owned(), class.to_owned());
            }
            return Ok(None);
        }
        let mut words = message.split_whitespace().peekable();
        let number = words.next_if(|word| word.bytes().all(|b| b.is_ascii_digit()));
        let kind = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let mut client = Client::default();
        // An inquiry or a search has no address before the hardware's, or the one it wishes.
        let mut places = rest.iter().copied();
        let mut next = places.next();
        if let Some(address) = next.and_then(|word| word.parse::<IpAddr>().ok()) {
            let has_it = kind.starts_with("DHCPACK") || kind.starts_with("DHCPREPLY");
            client.address = Some(address).filter(|_| has_it || kind.starts_with("DHCPINFORM"));
            next = places.next();
        }
        let Some(bytes) = next.and_then(hex) else {
            return wrong("it has no hardware address");
        };
        if kind.starts_with("DHCPREPLY") {
            client.duid = Some(bytes);
        } else {
            client.mac = mac_of_bytes(&bytes);
        }
        // The last word may be why nothing comes of it, and then is no name.
        if client.address.is_some() {
            client.name = places.next().map(str::to_owned);
        }
        if let Some(number) = number {
            client.vendor_class = match client.address {
                Some(_) => self.0.remove(number),
                None => self.0.get(number).cloned(),
            };
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        Ok(Some(client))
    }
}
