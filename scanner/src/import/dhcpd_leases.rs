//! Leases of ISC dhcpd, dhcpd.leases(5) and dhcpd6.leases: one after the other, each time that
//! one changed, so that a file may have the same lease often.
//!
//! A lease says when the client was last in touch (`cltt`), or else when it began; that is when
//! the device was seen, whether the lease still holds or not. One that was abandoned or never
//! given has no client.

use std::net::IpAddr;

use model::{Observation, Timestamp};

use super::{
    Lines, Wrong,
    record::{Client, Out, hex, mac_of_bytes},
    time, wrong,
};

/// How deep blocks are followed; real ones go two deep.
const MAX_DEPTH: usize = 8;

/// The state of the reading: the blocks that are open.
#[derive(Debug, Default)]
pub(super) struct Leases {
    open: Vec<Block>,
    /// Blocks that are too deep to be followed.
    deeper: usize,
}

/// A block that was begun.
#[derive(Debug)]
enum Block {
    /// `lease ADDRESS {`
    Lease(Box<Lease>),
    /// `ia-na "IAID and DUID" {`
    Association { duid: Option<Vec<u8>>, contact: Option<Timestamp> },
    /// `iaaddr ADDRESS {`
    Address(Box<Lease>),
    /// One that says nothing of a client.
    Other,
}

#[derive(Debug, Default)]
struct Lease {
    client: Client,
    starts: Option<Timestamp>,
    contact: Option<Timestamp>,
    /// What the server says of it that means that nobody has it.
    nobody: bool,
    /// Whether a statement in it could not be read.
    broken: Option<String>,
    /// Its beginning, as it was written but for lines and blanks.
    text: String,
}

impl Lines for Leases {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let mut result = Ok(());
        for statement in statements(line) {
            let read = match statement {
                Statement::Opens(head) => {
                    self.begin(head);
                    Ok(())
                }
                Statement::Closes => self.close(out),
                Statement::Says(text) => {
                    self.say(text);
                    Ok(())
                }
            };
            if result.is_ok() {
                result = read;
            }
        }
        result
    }
}

impl Leases {
    fn begin(&mut self, head: &str) {
        if self.open.len() >= MAX_DEPTH {
            self.deeper = self.deeper.saturating_add(1);
            return;
        }
        let (kind, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
        let address: Option<IpAddr> = rest.trim().parse().ok();
        let lease = |duid: Option<Vec<u8>>, contact| {
            let client = Client { address, duid, ..Client::default() };
            let broken = address.is_none().then(|| format!("{:?} is no address", rest.trim()));
            Box::new(Lease { client, contact, broken, text: head.to_owned(), ..Lease::default() })
        };
        let block = match (kind, self.open.last()) {
            ("lease", _) => Block::Lease(lease(None, None)),
            ("ia-na" | "ia-ta", _) => {
                // The number of the association is in front of the DUID.
                let id = quoted(rest);
                let duid = id.and_then(|id| id.get(4..).map(<[u8]>::to_vec));
                Block::Association { duid, contact: None }
            }
            ("iaaddr", Some(Block::Association { duid, contact })) => {
                Block::Address(lease(duid.clone(), *contact))
            }
            _ => Block::Other,
        };
        self.open.push(block);
    }

    fn close(&mut self, out: &mut Out<'_>) -> Result<(), Wrong> {
        if let Some(deeper) = self.deeper.checked_sub(1) {
            self.deeper = deeper;
            return Ok(());
        }
        match self.open.pop() {
            Some(Block::Lease(lease) | Block::Address(lease)) => lease.tell(out),
            Some(Block::Association { .. } | Block::Other) => Ok(()),
            None => wrong("a block ends that did not begin"),
        }
    }

    fn say(&mut self, text: &str) {
        if self.deeper > 0 {
            return;
        }
        let (key, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match self.open.last_mut() {
            Some(Block::Lease(lease) | Block::Address(lease)) => {
                if lease.text.len() < Observation::MAX_EVIDENCE {
                    lease.text.push_str("; ");
                    lease.text.push_str(text);
                }
                lease.say(key, rest.trim());
            }
            Some(Block::Association { contact, .. }) if key == "cltt" => *contact = moment(rest),
            _ => {}
        }
    }
}

impl Lease {
    fn say(&mut self, key: &str, rest: &str) {
        match key {
            "starts" => self.starts = self.time(rest),
            "cltt" => self.contact = self.time(rest),
            "hardware" => {
                let (kind, address) = rest.split_once(' ').unwrap_or((rest, ""));
                let bytes = hex(address);
                // Other kinds of hardware than Ethernet have addresses of other lengths.
                if kind == "ethernet" {
                    self.client.mac = bytes.as_deref().and_then(mac_of_bytes);
                    if self.client.mac.is_none() {
                        self.broken = Some(format!("{address:?} is no hardware address"));
                    }
                }
            }
            "uid" => self.client.id = quoted(rest).or_else(|| hex(rest)),
            "client-hostname" => self.client.name = quoted(rest).map(text_of),
            "binding" => {
                let state = rest.trim_start_matches("state").trim();
                self.nobody = matches!(state, "abandoned" | "backup" | "reset");
            }
            "abandoned" => self.nobody = true,
            "set" => {
                if let Some((name, value)) = rest.split_once('=')
                    && name.trim() == "vendor-class-identifier"
                {
                    self.client.vendor_class = quoted(value).map(text_of);
                }
            }
            _ => {}
        }
    }

    fn time(&mut self, text: &str) -> Option<Timestamp> {
        let read = moment(text);
        if read.is_none() && text != "never" {
            self.broken = Some(format!("{text:?} is no time"));
        }
        read
    }

    fn tell(self, out: &mut Out<'_>) -> Result<(), Wrong> {
        if let Some(broken) = self.broken {
            return wrong(broken);
        }
        let Client { mac, duid, id, .. } = &self.client;
        let has_client = mac.is_some() || duid.is_some() || id.is_some();
        let at = self.contact.or(self.starts);
        // A lease that was never given has neither.
        if self.nobody || !has_client || at.is_none() {
            return Ok(());
        }
        self.client.tell(at, &self.text, out)
    }
}

/// `4 2026/11/27 04:08:27`, in UTC, or `epoch 1795752507`.
fn moment(text: &str) -> Option<Timestamp> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    if first == "epoch" {
        return time::epoch(words.next()?);
    }
    let day = time::date(words.next()?, '/')?;
    time::civil(day, time::clock(words.next()?)?).as_utc()
}

/// A statement of a line.
enum Statement<'a> {
    /// What stands before a brace that opens.
    Opens(&'a str),
    /// A brace that closes.
    Closes,
    /// What stands before a semicolon.
    Says(&'a str),
}

/// The statements of a line: what is in quotes or behind `#` ends none.
fn statements(line: &str) -> Vec<Statement<'_>> {
    let mut all = Vec::new();
    let (mut start, mut in_quotes, mut escaped) = (0, false, false);
    for (at, c) in line.char_indices() {
        if in_quotes {
            in_quotes = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        let before = || line.get(start..at).unwrap_or_default().trim();
        let statement = match c {
            '"' => {
                in_quotes = true;
                continue;
            }
            '#' => return all,
            '{' => Statement::Opens(before()),
            '}' => Statement::Closes,
            ';' => Statement::Says(before()),
            _ => continue,
        };
        all.push(statement);
        start = at.saturating_add(1);
    }
    all
}

/// The bytes of a text in quotes, with `\ooo` (octal) and `\c` resolved. `None` without quotes.
fn quoted(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::new();
    let mut rest = inner.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal = rest.get(..3).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = rest.get(3..).unwrap_or_default();
        } else if let Some((next, after)) = rest.split_first() {
            bytes.push(*next);
            rest = after;
        }
    }
    Some(bytes)
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
