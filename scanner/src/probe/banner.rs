//! Servers that speak first in a protocol that no other probe knows.
//!
//! Their first line is kept as evidence. A few protocols are told by it alone; of the
//! rest we say that we do not know.

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product, stable};

/// The probe.
pub struct Banner;

/// First bytes, protocol, and the product where one product alone says them.
const PROTOCOLS: &[(&[u8], &str, Option<&str>)] = &[
    (b"@RSYNCD:", "rsync", None),
    (b"OK MPD ", "mpd", Some("Music Player Daemon")),
    (b"Asterisk Call Manager/", "ami", Some("Asterisk Call Manager")),
    (b"INFO {\"server_id\"", "nats", None),
    (b"( success ( ", "svn", None),
    (b"NBDMAGIC", "nbd", None),
    (b"\"IMPLEMENTATION\" ", "managesieve", None),
    (b"# munin node at ", "munin", None),
    (b"<stream:stream", "xmpp", None),
    (b":irc", "irc", None),
    (b"AMQP", "amqp", None),
    (b"NOTICE AUTH", "irc", None),
    (b"200 NNTP", "nntp", None),
    (b"Zabbix", "zabbix", None),
];

impl Probe for Banner {
    fn protocol(&self) -> &'static str {
        "unknown"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        !banner.is_empty()
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        if lines::has_line(talk.heard(0)) { Step::Finish } else { Step::Listen }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let heard = talk.heard(0);
        if heard.is_empty() {
            return Reading::default();
        }
        let line = lines::lines(heard).find(|line| !line.trim_ascii().is_empty()).unwrap_or(&[]);
        let text = lines::text(line);
        let known = PROTOCOLS.iter().find(|(mark, _, _)| heard.starts_with(mark));
        let is_news = matches!(heard.get(..4), Some(b"200 " | b"201 "))
            && ["nntp", "news"].iter().any(|word| text.to_ascii_lowercase().contains(word));
        let mut service = Service::of(match known {
            Some((_, protocol, _)) => protocol,
            None if is_news => "nntp",
            None => self.protocol(),
        });
        match known {
            Some((mark, _, Some(name))) => {
                let version = text.get(mark.len()..).and_then(|rest| rest.split(' ').next());
                product::put(&mut service, Some(product::named(name, version)));
            }
            Some(_) => {}
            None => product::put(&mut service, product::find(&text)),
        }
        // Bytes that are not text make no readable attribute; the evidence has them.
        let printable = line.iter().filter(|b| b.is_ascii_graphic() || **b == b' ').count();
        if printable * 10 >= line.len() * 9
            && known.is_none_or(|(_, protocol, _)| *protocol != "nats")
            && let Some(banner) = stable(&text)
        {
            service.attributes.insert("banner".into(), banner);
        }
        Reading { facts: vec![Fact::Service(service)], evidence: heard.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[track_caller]
    fn check(banner: &[u8], protocol: &str, product: Option<&str>, kept: Option<&str>) {
        let turns = vec![banner.to_vec()];
        let reading = Banner.read(&talk(&turns, true));
        let Fact::Service(service) = &reading.facts[0] else { panic!("{reading:?}") };
        assert_eq!((service.protocol.as_str(), service.product.as_deref()), (protocol, product));
        assert_eq!(service.attributes.get("banner").map(String::as_str), kept);
        assert_eq!(reading.evidence, banner);
    }

    #[test]
    fn the_first_line_is_kept() {
        check(b"HELLO machine 7\r\nmore\r\n", "unknown", None, Some("HELLO machine 7"));
        check(b"@RSYNCD: 31.0\n", "rsync", None, Some("@RSYNCD: 31.0"));
        check(b"OK MPD 0.23.5\n", "mpd", Some("Music Player Daemon"), Some("OK MPD 0.23.5"));
        check(b"\x01\x02\x03\xff\xfe", "unknown", None, None);
        check(
            b"200 news.example.org NNTP ready\r\n",
            "nntp",
            None,
            Some("200 news.example.org NNTP ready"),
        );
    }

    #[test]
    fn silence_is_nothing() {
        assert!(Banner.read(&talk(&heard(&[""]), true)).facts.is_empty());
        assert_eq!(Banner.request(&talk(&heard(&["half"]), false)), Step::Listen);
        assert_eq!(Banner.request(&talk(&heard(&["whole\n"]), false)), Step::Finish);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), n in 0..14_usize) {
            let turns = vec![[PROTOCOLS[n].0, &bytes].concat()];
            let _ = Banner.read(&talk(&turns, true));
            let _ = Banner.read(&talk(&[bytes], true));
        }
    }
}
