//! Redis and what descends from it (RESP, the protocol of redis.io): version and mode.
//!
//! A server that wants a password says so in Redis's own words, which is an answer too.

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Redis;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const INFO: &[u8] = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";
const QUIT: &[u8] = b"*1\r\n$4\r\nQUIT\r\n";

/// How the answer to PING tells the server.
fn answer(heard: &[u8]) -> Option<&'static str> {
    let marks: [(&[u8], &str); 4] = [
        (b"+PONG\r\n", "none"),
        (b"-NOAUTH ", "required"),
        (b"-DENIED Redis is running in protected mode", "protected mode"),
        (b"-MISCONF ", "none"),
    ];
    marks.iter().find(|(mark, _)| heard.starts_with(mark)).map(|(_, auth)| *auth)
}

impl Probe for Redis {
    fn protocol(&self) -> &'static str {
        "redis"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[6379, 6380, 26379]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        // In protected mode it speaks first, and closes.
        banner.starts_with(b"-DENIED Redis")
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let heard = talk.heard(talk.said());
        match talk.said() {
            0 if heard.is_empty() => Step::Say(PING.to_vec()),
            1 if !lines::has_line(heard) => Step::Listen,
            1 if heard.starts_with(b"+PONG") => Step::Say(INFO.to_vec()),
            1 if answer(heard).is_some() => Step::Say(QUIT.to_vec()),
            2 if talk.heard(1).starts_with(b"+PONG") && bulk(heard).is_none() => Step::Listen,
            2 if talk.heard(1).starts_with(b"+PONG") => Step::Say(QUIT.to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let first = if talk.heard(0).is_empty() { talk.heard(1) } else { talk.heard(0) };
        let Some(auth) = answer(first) else {
            return Reading::default();
        };
        let info = bulk(talk.heard(2)).unwrap_or(&[]);
        let field = |name: &str| {
            lines::lines(info).map(lines::text).find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key == name).then(|| value.to_owned())
            })
        };
        let mut service = Service::of("redis");
        let software = match field("valkey_version") {
            Some(version) => product::named("valkey", Some(&version)),
            None => product::named("redis", field("redis_version").as_deref()),
        };
        product::put(&mut service, Some(software));
        service.attributes.insert("authentication".into(), auth.into());
        for (name, key) in [("mode", "redis_mode"), ("architecture", "arch_bits"), ("system", "os")]
        {
            if let Some(value) = field(key) {
                service.attributes.insert(name.into(), value);
            }
        }
        let mut facts = vec![Fact::Service(service)];
        // `Linux 6.1.0-18-amd64 x86_64`: the kernel's own name and release.
        if let Some(os) = field("os") {
            let mut words = os.split(' ');
            if let (Some("Linux"), release) = (words.next(), words.next()) {
                facts.push(product::system("Linux", release, Some(("linux", "linux_kernel"))));
            }
        }
        let evidence = if info.is_empty() { first } else { info };
        Reading { facts, evidence: evidence.to_vec() }
    }
}

/// A whole bulk string. An error in its place is an empty one: the answer has come.
fn bulk(heard: &[u8]) -> Option<&[u8]> {
    if heard.starts_with(b"-") {
        return lines::has_line(heard).then_some(&[]);
    }
    let rest = heard.strip_prefix(b"$")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let len: usize = lines::text(rest.get(..end)?).parse().ok()?;
    rest.get(end + 1..)?.get(..len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    const INFO_ANSWER: &str = "$78\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux 6.1.0 x86_64\r\n\r\n";

    #[test]
    fn an_open_server_tells_its_version() {
        let mut turns = heard(&[""]);
        assert_eq!(Redis.request(&talk(&turns, false)), Step::Say(PING.to_vec()));
        turns.push(b"+PONG\r\n".to_vec());
        assert_eq!(Redis.request(&talk(&turns, false)), Step::Say(INFO.to_vec()));
        for len in 0..INFO_ANSWER.len() - 2 {
            let cut = [turns.clone(), heard(&[&INFO_ANSWER[..len]])].concat();
            assert_eq!(Redis.request(&talk(&cut, false)), Step::Listen, "{len}");
            assert_eq!(Redis.read(&talk(&cut, true)).facts.len(), 1);
        }
        turns.extend(heard(&[INFO_ANSWER]));
        assert_eq!(Redis.request(&talk(&turns, false)), Step::Say(QUIT.to_vec()));
        let facts = Redis.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.cpe.as_ref().unwrap().0, "cpe:2.3:a:redis:redis:7.0.15:*:*:*:*:*:*:*");
        assert_eq!(service.attributes["mode"], "standalone");
        assert_eq!(facts.len(), 2);
    }

    #[test]
    fn a_locked_server_is_known_by_its_refusal() {
        let turns = heard(&["", "-NOAUTH Authentication required.\r\n"]);
        assert_eq!(Redis.request(&talk(&turns, false)), Step::Say(QUIT.to_vec()));
        let facts = Redis.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Redis"));
        assert_eq!(service.attributes["authentication"], "required");
        assert!(Redis.read(&talk(&heard(&["", "-ERR what\r\n"]), true)).facts.is_empty());
        assert!(Redis.recognises(b"-DENIED Redis is running in protected mode because"));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let turns = vec![Vec::new(), b"+PONG\r\n".to_vec(), [b"$".to_vec(), bytes].concat()];
            let _ = Redis.request(&talk(&turns, false));
            let _ = Redis.read(&talk(&turns, true));
        }
    }
}
