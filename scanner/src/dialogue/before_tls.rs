//! Which endpoints have TLS behind words in the clear, and saying those words.

use model::{Fact, Transport};

use super::{
    Visited,
    line::{Line, Read},
    visit::CANNOT_CONNECT,
};
use crate::probe::starttls::{Refusal, Starttls, Step};

/// The dialogue that is worth a try at a TCP port after this visit: it speaks in the clear, and
/// the protocol is not one that must not be spoken.
pub(super) fn choose(
    visited: &Visited,
    transport: Transport,
    port: u16,
    except: &[String],
) -> Option<Starttls> {
    let unreachable = visited.gap.as_deref().is_some_and(|gap| gap.starts_with(CANNOT_CONNECT));
    if transport != Transport::Tcp || visited.tls || visited.conversations == 0 || unreachable {
        return None;
    }
    let service = visited.observations.iter().find_map(|observation| match &observation.fact {
        Fact::Service(service) => Some((service.protocol.as_str(), &observation.evidence[..])),
        _ => None,
    });
    let (name, heard) = service.map_or((None, &[][..]), |(name, heard)| (Some(name), heard));
    let chosen = Starttls::choose(name, heard, port)?;
    (!except.iter().any(|name| name == chosen.name())).then_some(chosen)
}

/// Talks until the next byte is one of TLS. Returns how many bytes came behind the server's
/// consent, in the clear: somebody put them there, and they are dropped.
pub(crate) async fn open(
    line: &mut Line,
    protocol: Starttls,
    name: &str,
) -> Result<usize, Refusal> {
    let mut heard = vec![Vec::new()];
    loop {
        match protocol.next(&heard, name) {
            Step::Ready(used) => {
                let came = heard.last().map_or(0, Vec::len);
                return Ok(came.saturating_sub(used));
            }
            Step::Refuse(why) => return Err(why),
            Step::Say(message) => {
                line.write(&message).await.map_err(|_| Refusal::HungUp)?;
                heard.push(Vec::new());
            }
            Step::Listen => {
                let Some(last) = heard.last_mut() else { return Err(Refusal::Otherwise) };
                let left = line.left();
                match line.read(last, left).await {
                    Read::Some => {}
                    Read::Silence => return Err(Refusal::TimedOut),
                    Read::End if line.stream.is_exhausted() => return Err(Refusal::TooMuch),
                    Read::End | Read::Broken(_) => return Err(Refusal::HungUp),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Endpoint, Method, Observation, Service, Site, Subject, Vantage};

    use super::*;

    fn visited(service: Option<&str>) -> Visited {
        let endpoint = Endpoint::tcp([192, 0, 2, 1].into(), 7);
        let observation = |name| Observation {
            observed_at: model::Timestamp::from_seconds(0),
            vantage: Vantage { site: Site("test".into()), name: "here".into() },
            method: Method::Dialogue,
            subject: Subject::Endpoint(endpoint),
            fact: Fact::Service(Service::of(name)),
            evidence: Vec::new(),
        };
        let observations = service.map(observation).into_iter().collect();
        Visited { observations, conversations: 1, ..Visited::default() }
    }

    #[test]
    fn tls_at_once_and_forbidden_words_have_no_dialogue() {
        let tcp = |visited: &Visited, port| choose(visited, Transport::Tcp, port, &[]);
        assert_eq!(tcp(&visited(Some("imap")), 7), Some(Starttls::Imap));
        assert_eq!(tcp(&visited(Some("http")), 143), None);
        assert_eq!(tcp(&visited(None), 1433), Some(Starttls::Mssql));
        let udp = choose(&visited(Some("ldap")), Transport::Udp, 389, &[]);
        assert_eq!(udp, None);
        let except = ["imap".to_owned()];
        assert_eq!(choose(&visited(Some("imap")), Transport::Tcp, 143, &except), None);
        assert_eq!(tcp(&Visited { tls: true, ..visited(Some("imap")) }, 143), None);
        let gap = Some(format!("{CANNOT_CONNECT}: refused"));
        assert_eq!(tcp(&Visited { gap, ..visited(None) }, 1433), None);
        assert_eq!(tcp(&Visited { conversations: 0, ..visited(None) }, 1433), None);
    }
}
