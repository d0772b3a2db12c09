//! One endpoint: attempt after attempt, until something is recognised.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use model::{Endpoint, Fact, Method, Observation, Service, Subject, Transport};
use wire::lines;

use super::{
    Dialogue, Open, Visited, before_tls,
    line::{Line, Read},
    order::{self, Attempt},
};
use crate::{
    Permit,
    net::stream::{Stream, TlsError},
    probe::{Probe, Reading, Step, Talk},
};

/// Messages of ours in one conversation. No probe comes near.
pub(super) const MAX_TURNS: usize = 16;

/// How long a banner that nobody recognises yet may go on.
const SETTLE: Duration = Duration::from_millis(400);

/// Talks with one endpoint.
pub(super) async fn visit(dialogue: Arc<Dialogue>, open: Open) -> Visited {
    let permit = match dialogue.scope.permit(open.endpoint.address) {
        Ok(permit) => permit,
        Err(refused) => {
            return Visited { gap: Some(refused.to_string()), ..Visited::default() };
        }
    };
    let mut visit = Visit {
        dialogue: &dialogue,
        open: &open,
        permit,
        visited: Visited::default(),
        fallback: None,
        unasked: Vec::new(),
        answered: Vec::new(),
        trouble: None,
    };
    match open.endpoint.transport {
        Transport::Tcp => visit.tcp().await,
        Transport::Udp => visit.run_udp().await,
    }
    let mut visited = visit.visited;
    let Endpoint { transport, port, .. } = open.endpoint;
    visited.starttls = before_tls::choose(&visited, transport, port, &dialogue.except);
    visited
}

pub(super) struct Visit<'a> {
    pub(super) dialogue: &'a Dialogue,
    pub(super) open: &'a Open,
    pub(super) permit: Permit,
    pub(super) visited: Visited,
    /// Facts that stand if nothing better comes.
    fallback: Option<(Reading, bool)>,
    /// The longest of what was said unasked.
    unasked: Vec<u8>,
    /// The longest of what was answered to a question that it did not understand.
    pub(super) answered: Vec<u8>,
    /// What went wrong first.
    trouble: Option<String>,
}

/// A conversation that ended.
struct Ended {
    probe: &'static dyn Probe,
    heard: Vec<Vec<u8>>,
    reading: Reading,
    /// Whether the server closed the connection.
    closed: bool,
}

impl Visit<'_> {
    async fn tcp(&mut self) {
        let port = self.open.endpoint.port;
        let mut attempts: VecDeque<Attempt> = order::attempts(port, &self.dialogue.except).into();
        let mut tried: Vec<Attempt> = Vec::new();
        while let Some(attempt) = attempts.pop_front() {
            if tried.iter().any(|before| before.is(attempt)) {
                continue;
            }
            if !self.may_connect() {
                break;
            }
            let first = tried.is_empty();
            tried.push(attempt);
            let Some(ended) = self.attempt(attempt, first).await else {
                // A port that refuses or swallows connections does so the next time too.
                if self.visited.conversations == 1 && self.is_unreachable() {
                    break;
                }
                continue;
            };
            let tls = attempt.is_tls();
            let heard = ended.heard.iter().find(|turn| !turn.is_empty()).map_or(&[][..], |t| t);
            if !tls && order::wants_tls(heard) {
                if !ended.reading.facts.is_empty() {
                    self.fallback = Some((ended.reading, false));
                }
                let probe = order::attempts(port, &self.dialogue.except).into_iter();
                attempts.extend(probe.filter(|attempt| attempt.is_tls()));
                attempts.rotate_right(1);
                continue;
            }
            if !ended.reading.facts.is_empty() && order::is_specific(ended.probe) {
                return self.report(ended.reading, tls);
            }
            tried.push(if tls { Attempt::Tls(ended.probe) } else { Attempt::Plain(ended.probe) });
            let unasked = ended.heard.first().map_or(&[][..], Vec::as_slice);
            if !unasked.is_empty() {
                // It speaks first: only who knows its words is worth another connection.
                keep_longest(&mut self.unasked, unasked);
                let next = order::recognisers(unasked, port, &self.dialogue.except)
                    .into_iter()
                    .map(|probe| if tls { Attempt::Tls(probe) } else { Attempt::Plain(probe) })
                    .find(|next| !tried.iter().any(|before| before.is(*next)))
                    .filter(|next| order::is_specific(next.probe()));
                if let Some(next) = next {
                    attempts = VecDeque::from([next]);
                    continue;
                }
                if ended.reading.facts.is_empty() {
                    let heard = [unasked.to_vec()];
                    let talk = self.talk(&heard, true, 0, tls);
                    let reading = crate::probe::banner::Banner.read(&talk);
                    return self.report(reading, tls);
                }
                return self.report(ended.reading, tls);
            }
            keep_longest(&mut self.answered, heard);
            if !tls && ended.closed && heard.is_empty() && ended.probe.protocol() == "http" {
                attempts.extend(order::after_hanging_up(&self.dialogue.except));
            }
            if let Some(probe) = order::recognise(heard, port, &self.dialogue.except)
                && order::is_specific(probe)
            {
                attempts.push_front(if tls { Attempt::Tls(probe) } else { Attempt::Plain(probe) });
            } else if tls && let Some(http) = order::http() {
                attempts.push_front(Attempt::Tls(http));
            }
        }
        self.give_up();
    }

    /// Whether one more connection is allowed; if so, it is counted.
    pub(super) fn may_connect(&mut self) -> bool {
        let allowed = self.visited.conversations < u64::from(self.dialogue.limits.per_endpoint);
        if allowed {
            self.visited.conversations += 1;
        }
        allowed
    }

    fn is_unreachable(&self) -> bool {
        self.trouble.as_deref().is_some_and(|trouble| trouble.starts_with(CANNOT_CONNECT))
    }

    /// One conversation. `None` where it did not come to one.
    async fn attempt(&mut self, attempt: Attempt, first: bool) -> Option<Ended> {
        let mut line = self.connect().await?;
        if attempt.is_tls() {
            let name = self.open.server_name.as_deref();
            let began = tokio::time::timeout(line.left(), line.stream.begin_tls(name)).await;
            match began {
                Ok(Ok(())) => self.visited.tls = true,
                Ok(Err(error)) => {
                    if let TlsError::Refused(_) = error {
                        self.visited.tls = true;
                    }
                    self.note(format!("{}: {}", error, source(&error)));
                    line.stream.close().await;
                    return None;
                }
                Err(_) => {
                    self.note("it did not answer our TLS handshake in time".to_owned());
                    line.stream.close().await;
                    return None;
                }
            }
        }
        let mut heard = vec![Vec::new()];
        let mut ended = false;
        let mut probe = attempt.probe();
        let cookie = self.cookie();
        let speaks_first = order::server_speaks_first(
            probe,
            &self.talk(&heard, false, cookie, line.stream.is_tls()),
        );
        let known = probe.ports().contains(&self.open.endpoint.port);
        let patience = match (speaks_first, known, first) {
            (true, ..) => line.left(),
            (false, false, true) => self.dialogue.limits.banner.min(line.left()),
            // Who was silent before, or waits for us by habit, need not be waited for.
            _ => Duration::ZERO,
        };
        if !patience.is_zero() {
            ended = self.listen_for_banner(&mut line, &mut heard, patience).await;
            if let Some(banner) = heard.first().filter(|banner| !banner.is_empty())
                && !probe.recognises(banner)
                && let Some(better) =
                    order::recognise(banner, self.open.endpoint.port, &self.dialogue.except)
            {
                probe = better;
            }
            if heard.first().is_some_and(Vec::is_empty) && (speaks_first || ended) {
                self.note(match ended {
                    true => "it closed the connection without a word".to_owned(),
                    false => "it accepted the connection and said nothing".to_owned(),
                });
                line.stream.close().await;
                return None;
            }
        }
        let reading = self.hold(&mut line, probe, &mut heard, &mut ended, cookie).await;
        let closed = ended && !line.left().is_zero();
        line.stream.close().await;
        Some(Ended { probe, heard, reading, closed })
    }

    async fn connect(&mut self) -> Option<Line> {
        let limits = self.dialogue.limits;
        let connecting = Stream::connect(
            self.permit,
            self.open.endpoint.port,
            &self.dialogue.pace,
            limits.bytes,
            limits.time,
        );
        match connecting.await {
            Ok(stream) => {
                let clock = self.dialogue.pace.clock();
                Some(Line { stream, clock, until: clock.now().saturating_add(limits.time) })
            }
            Err(error) => {
                self.note(format!("{CANNOT_CONNECT}: {error}"));
                None
            }
        }
    }

    /// Waits for the server to speak first, and on until somebody recognises what it says
    /// or it pauses. True where it closed.
    async fn listen_for_banner(
        &mut self,
        line: &mut Line,
        heard: &mut [Vec<u8>],
        patience: Duration,
    ) -> bool {
        let Some(banner) = heard.first_mut() else {
            return false;
        };
        let mut wait = patience;
        loop {
            match line.read(banner, wait).await {
                Read::Some => {}
                Read::Silence => return false,
                Read::End => return true,
                Read::Broken(error) => {
                    self.note(format!("the connection broke: {error}"));
                    return true;
                }
            }
            let port = self.open.endpoint.port;
            let recognised = order::recognise(banner, port, &self.dialogue.except);
            if recognised.is_some_and(order::is_specific) || line.stream.is_exhausted() {
                return false;
            }
            // A line may come byte by byte; behind it, a pause is the end.
            wait = if lines::has_line(banner) { SETTLE.min(line.left()) } else { line.left() };
        }
    }

    /// Lets the probe lead the conversation to its end, and reads what it showed.
    async fn hold(
        &mut self,
        line: &mut Line,
        probe: &'static dyn Probe,
        heard: &mut Vec<Vec<u8>>,
        ended: &mut bool,
        cookie: u32,
    ) -> Reading {
        let tls = line.stream.is_tls();
        loop {
            if heard.len() > MAX_TURNS {
                break;
            }
            let step = probe.request(&self.talk(heard, *ended, cookie, tls));
            match step {
                Step::Finish => break,
                Step::Listen if *ended => break,
                Step::Listen => {
                    let Some(last) = heard.last_mut() else { break };
                    let left = line.left();
                    match line.read(last, left).await {
                        Read::Some => {}
                        Read::Silence | Read::End => *ended = true,
                        Read::Broken(error) => {
                            self.note(format!("the connection broke: {error}"));
                            *ended = true;
                        }
                    }
                }
                Step::Say(_) if *ended => break,
                Step::Say(message) => {
                    let Ok(()) = line.write(&message).await else { break };
                    heard.push(Vec::new());
                }
                Step::Reconnect(message) => {
                    if !self.may_connect() {
                        break;
                    }
                    let Some(next) = self.again(tls).await else { break };
                    std::mem::replace(line, next).stream.close().await;
                    *ended = false;
                    let Ok(()) = line.write(&message).await else { break };
                    heard.push(Vec::new());
                }
            }
        }
        let mut reading = probe.read(&self.talk(heard, true, cookie, tls));
        if line.stream.is_exhausted() && *ended {
            reading.facts.push(Fact::Anomaly {
                protocol: probe.protocol().to_owned(),
                problem: format!("says more than {} bytes", self.dialogue.limits.bytes),
            });
            if reading.facts.len() == 1 {
                reading.facts.insert(0, Fact::Service(Service::of("unknown")));
                reading.evidence = heard.concat();
            }
        }
        reading
    }

    /// Another connection like the one before.
    async fn again(&mut self, tls: bool) -> Option<Line> {
        let mut line = self.connect().await?;
        if tls {
            let name = self.open.server_name.as_deref();
            let began = tokio::time::timeout(line.left(), line.stream.begin_tls(name)).await;
            if !matches!(began, Ok(Ok(()))) {
                return None;
            }
        }
        Some(line)
    }

    pub(super) fn talk<'t>(
        &'t self,
        heard: &'t [Vec<u8>],
        ended: bool,
        cookie: u32,
        tls: bool,
    ) -> Talk<'t> {
        Talk {
            address: self.open.endpoint.address,
            port: self.open.endpoint.port,
            tls,
            server_name: self.open.server_name.as_deref(),
            cookie,
            heard,
            ended,
        }
    }

    /// A number for transaction ids that a stranger off the path cannot guess. A weak one
    /// does no harm: the sockets are connected.
    pub(super) fn cookie(&self) -> u32 {
        let mut bytes = [0; 4];
        match getrandom::fill(&mut bytes) {
            Ok(()) => u32::from_ne_bytes(bytes),
            Err(_) => self.dialogue.pace.clock().now().subsec_nanos(),
        }
    }

    pub(super) fn note(&mut self, trouble: String) {
        self.trouble.get_or_insert(trouble);
    }

    /// Nothing was recognised: says what little is known, or that nothing is.
    pub(super) fn give_up(&mut self) {
        if let Some((reading, tls)) = self.fallback.take() {
            return self.report(reading, tls);
        }
        let evidence = match self.unasked.is_empty() {
            true => std::mem::take(&mut self.answered),
            false => std::mem::take(&mut self.unasked),
        };
        if self.visited.tls || !evidence.is_empty() {
            let facts = vec![Fact::Service(Service::of("unknown"))];
            return self.report(Reading { facts, evidence }, self.visited.tls);
        }
        let reason =
            self.trouble.take().unwrap_or_else(|| "it answers to nothing that we ask".into());
        self.visited.gap = Some(reason);
    }

    pub(super) fn report(&mut self, reading: Reading, tls: bool) {
        let observed_at = self.dialogue.pace.clock().timestamp();
        let endpoint = self.open.endpoint;
        let mut evidence = reading.evidence;
        evidence.truncate(Observation::MAX_EVIDENCE);
        for mut fact in reading.facts {
            if let Fact::Service(service) = &mut fact {
                service.tls = tls;
            }
            let subject = match fact {
                Fact::Alive { .. } | Fact::LinkAddress(_) | Fact::Ports { .. } => {
                    Subject::Address(endpoint.address)
                }
                _ => Subject::Endpoint(endpoint),
            };
            self.visited.observations.push(Observation {
                observed_at,
                vantage: self.dialogue.vantage.clone(),
                method: Method::Dialogue,
                subject,
                fact,
                evidence: evidence.clone(),
            });
        }
    }
}

/// How a gap begins whose endpoint let no conversation begin.
pub(super) const CANNOT_CONNECT: &str = "it is not reachable any more";

fn source(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

pub(super) fn keep_longest(kept: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > kept.len() {
        kept.clear();
        kept.extend_from_slice(bytes.get(..Observation::MAX_EVIDENCE).unwrap_or(bytes));
    }
}
