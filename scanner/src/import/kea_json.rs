//! Kea in JSON: the answer to its commands `lease4-get-all` and `lease6-get-all`, one such lease
//! a line, and logs of which each line is an object with Kea's own text in it.

use std::net::IpAddr;

use model::Timestamp;
use serde_json::Value;

use super::{
    Wrong,
    log::{self, Server},
    record::{Client, Out, hex, mac_of_bytes},
    time, wrong,
};

/// How deep leases may lie in an answer.
const MAX_DEPTH: usize = 6;

pub(super) fn read(bytes: &[u8], out: &mut Out<'_>) {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if is_answer(&value) => {
            out.line = lines_in(bytes);
            leases(&value, 0, out);
        }
        _ => read_lines(bytes, out),
    }
}

/// Whether it is what a command answers, be it that there is no lease. Of a log with one line
/// the whole is an object as well.
fn is_answer(value: &Value) -> bool {
    let first = value.get(0).unwrap_or(value);
    ["result", "arguments", "leases", "ip-address"].iter().any(|name| first.get(name).is_some())
}

/// An object a line.
fn read_lines(bytes: &[u8], out: &mut Out<'_>) {
    let mut servers = log::Servers::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        if !text.is_empty() {
            let read = match serde_json::from_slice::<Value>(text) {
                Ok(value) => object(&value, &mut servers, out),
                Err(error) => wrong(format!("it is no JSON: {error}")),
            };
            if let Err(wrong) = read {
                out.problem(wrong);
            }
        }
        out.line = out.line.saturating_add(1);
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(ends).unwrap_or(u64::MAX).saturating_add(1)
}

/// Reads the leases in an answer.
fn leases(value: &Value, depth: usize, out: &mut Out<'_>) {
    if value.get("ip-address").is_some() {
        if let Err(wrong) = lease(value, out) {
            out.problem(wrong);
        }
        return;
    }
    let inner: Vec<&Value> = match value {
        Value::Array(all) if depth < MAX_DEPTH => all.iter().collect(),
        Value::Object(_) if depth < MAX_DEPTH => {
            ["arguments", "leases"].iter().filter_map(|name| value.get(name)).collect()
        }
        _ => Vec::new(),
    };
    for one in inner {
        leases(one, depth.saturating_add(1), out);
    }
}

/// A line of a log, or a lease by itself.
fn object(value: &Value, servers: &mut log::Servers, out: &mut Out<'_>) -> Result<(), Wrong> {
    if value.get("ip-address").is_some() {
        return lease(value, out);
    }
    let text = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str());
    let Some(message) = text(&["message", "msg", "MESSAGE"]) else { return Ok(()) };
    let id = text(&["messageId", "message_id", "id"]).unwrap_or_default();
    let message = format!("{id} {message}");
    let at = text(&["timestamp", "time", "@timestamp", "date"]);
    let at = at.and_then(|at| time::rfc3339(at, &out.context.local));
    servers.read(Server::Kea, &message, at, out).map(drop)
}

fn lease(value: &Value, out: &mut Out<'_>) -> Result<(), Wrong> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let number = |name: &str| value.get(name).and_then(Value::as_i64);
    let Some(address) = text("ip-address").and_then(|text| text.parse::<IpAddr>().ok()) else {
        return wrong("its ip-address is none");
    };
    let is_held = matches!(number("state").unwrap_or(0), 0 | 2);
    if !is_held || text("type") == Some("IA_PD") {
        return Ok(());
    }
    let began = number("cltt").or_else(|| {
        let expire = number("expire")?;
        expire.checked_sub(number("valid-lft")?)
    });
    let bytes = |name: &str| text(name).and_then(hex);
    let client = Client {
        address: Some(address),
        mac: bytes("hw-address").as_deref().and_then(mac_of_bytes),
        name: text("hostname").map(str::to_owned),
        id: bytes("client-id"),
        duid: bytes("duid"),
        vendor_class: None,
    };
    client.tell(began.map(Timestamp::from_seconds), &value.to_string(), out)
}
