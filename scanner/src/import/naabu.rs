//! Results of naabu: JSON, an open port a line.

use serde_json::Value;

use super::{Lines, Wrong, masscan::Found, record::Out, time, wrong};

#[derive(Debug)]
pub(super) struct Json;

impl Lines for Json {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => return wrong(format!("it is no JSON: {error}")),
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let Some(address) = text("ip").and_then(|ip| ip.parse().ok()) else {
            return wrong("it has no address");
        };
        // Older ones have an object of port and protocol there.
        let port = value.get("port");
        let number = port.and_then(|port| port.as_u64().or_else(|| port.get("Port")?.as_u64()));
        let at = text("timestamp").and_then(|at| time::rfc3339(at, &out.context.local));
        let found = Found {
            at,
            address,
            transport: text("protocol").unwrap_or("tcp"),
            port: number.and_then(|number| u16::try_from(number).ok()),
            state: Some("open"),
            ttl: None,
            service: None,
            banner: None,
        };
        found.tell(line, out)
    }
}
