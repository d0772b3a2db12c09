//! One UDP endpoint: each likely probe's questions, until one is answered.

use std::{io, time::Duration};

use model::Transport;

use super::{
    order,
    visit::{CANNOT_CONNECT, MAX_TURNS, Visit, keep_longest},
};
use crate::{
    net::datagram::Datagram,
    probe::{Probe, Reading, Step, udp::tunnel},
};

/// How long an answer is waited for before the question is repeated once.
const UDP_WAIT: Duration = Duration::from_secs(1);

impl Visit<'_> {
    pub(super) async fn run_udp(&mut self) {
        let port = self.open.endpoint.port;
        let mut probes = order::likely(port, Transport::Udp, &self.dialogue.except);
        // On a port that no probe knows it may have answered to the question for TLS in datagrams.
        if let (true, Some(reply)) = (probes.is_empty(), &self.open.reply) {
            probes = order::answered_with(reply, &self.dialogue.except);
        }
        if let Some(reply) = &self.open.reply {
            keep_longest(&mut self.answered, reply);
        }
        for probe in probes {
            if !self.may_connect() {
                break;
            }
            match self.udp_conversation(probe).await {
                Ok(reading) if !reading.facts.is_empty() => {
                    self.visited.quic = reading.facts.iter().any(tunnel::has_quic_of_ours);
                    self.visited.tls |= self.visited.quic || probe.protocol() == "dtls";
                    return self.report(reading, false);
                }
                Ok(_) => {}
                Err(error) => self.note(format!("{CANNOT_CONNECT}: {error}")),
            }
        }
        self.give_up();
    }

    async fn udp_conversation(&mut self, probe: &'static dyn Probe) -> io::Result<Reading> {
        let limits = self.dialogue.limits;
        let socket =
            Datagram::open(self.permit, self.open.endpoint.port, &self.dialogue.pace).await?;
        let cookie = self.cookie();
        let clock = self.dialogue.pace.clock();
        let until = clock.now().saturating_add(limits.time);
        let mut heard = vec![Vec::new()];
        let mut read = 0_usize;
        while heard.len() <= MAX_TURNS && read < limits.bytes {
            let step = probe.request(&self.talk(&heard, false, cookie, false));
            let (Step::Say(message) | Step::Reconnect(message)) = step else {
                break;
            };
            heard.push(Vec::new());
            // Datagrams get lost: one repetition, then silence counts.
            for _ in 0..2 {
                let left = until.saturating_sub(clock.now());
                if left.is_zero() {
                    break;
                }
                socket.send(&message).await?;
                let most = limits.bytes - read;
                if let Some(datagram) = socket.receive(most, UDP_WAIT.min(left)).await? {
                    read += datagram.len().max(1);
                    if let Some(last) = heard.last_mut() {
                        *last = datagram;
                    }
                    break;
                }
            }
            if heard.last().is_some_and(Vec::is_empty) {
                break;
            }
        }
        if let Some(answer) = heard.iter().find(|turn| !turn.is_empty()) {
            keep_longest(&mut self.answered, answer);
        }
        Ok(probe.read(&self.talk(&heard, true, cookie, false)))
    }
}
