//! Keeps the rate at what the network bears: asks the witnesses of [`super::congestion`] in
//! between, and sets the pacer's pace, which all that is sent follows, by whatever way.

use std::{net::IpAddr, time::Duration};

use model::MacAddr;

use super::{
    congestion::Congestion,
    engine::{End, Engine},
    state::Ask,
};
use crate::{
    LinkError,
    net::{Answer, Link, Reply},
    plan::Plan,
    rate::Tempo,
};

/// How often it is looked whether answers were lost.
const LOOK: Duration = Duration::from_millis(100);

/// How often what the witnesses said is looked at.
const TURN: Duration = Duration::from_millis(1);

const SECOND: Duration = Duration::from_secs(1);

/// The rate that is being found out.
#[derive(Debug)]
pub(super) struct Adapting {
    congestion: Congestion,
    /// What the link lost until the last look, and when the next is due.
    drops: u64,
    next_look: Duration,
    next_turn: Duration,
}

impl Adapting {
    /// `None` where the rate is given.
    pub(super) fn new(plan: &Plan, link: &mut dyn Link) -> Option<Self> {
        let rates = plan.rates;
        match rates.tempo {
            Tempo::Steady => None,
            Tempo::From(_) => {
                let now = link.now();
                let congestion = Congestion::new(rates.first(), rates.total, rates.per_host, now);
                Some(Self { congestion, drops: link.drops(), next_look: now, next_turn: now })
            }
        }
    }

    /// Packets a second in all, as of now.
    pub(super) const fn rate(&self) -> u32 {
        self.congestion.rate()
    }

    /// Goes on after others had the link, who lost so many answers: that is theirs.
    pub(super) fn go_on(&mut self, lost: u64, now: Duration) {
        self.drops = self.drops.saturating_add(lost);
        self.congestion.look_away(now);
    }
}

impl Engine<'_> {
    /// Looks how the network bears it, sets the pace, and asks witnesses while it sends.
    pub(super) fn adapt(&mut self, now: Duration) -> Result<(), End> {
        let Some(adapting) = &mut self.adapting else { return Ok(()) };
        if now < adapting.next_turn {
            return match adapting.congestion.may_ask(now, self.outcome.probes_sent) {
                true => self.ask_witnesses(now),
                false => Ok(()),
            };
        }
        adapting.next_turn = now.saturating_add(TURN);
        if now >= adapting.next_look {
            adapting.next_look = now.saturating_add(LOOK);
            let drops = self.link.drops();
            if drops > adapting.drops {
                adapting.drops = drops;
                adapting.congestion.refuse(now);
            }
        }
        let pacer = &mut *self.pacer;
        adapting.congestion.judge(now, |since| {
            let since = since.max(now.saturating_sub(SECOND));
            let millis = u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
            let rate = u64::from(pacer.sent_since(since)).saturating_mul(1_000) / millis.max(1);
            u32::try_from(rate).unwrap_or(u32::MAX)
        });
        let rate = adapting.congestion.rate();
        if rate != pacer.pace() {
            pacer.set_pace(rate);
        }
        self.ask_witnesses(now)
    }

    fn ask_witnesses(&mut self, now: Duration) -> Result<(), End> {
        if self.resume_at > now || now.saturating_sub(self.last_sent) > LOOK {
            return Ok(());
        }
        while self.pacer.earliest_to_anyone(now, 1) <= now {
            let questions = self.outcome.probes_sent;
            let due = self.adapting.as_mut().and_then(|a| a.congestion.due(now, questions));
            let Some((address, ask)) = due else { break };
            let number = self.state.addresses.number(address);
            let is_spared = |number| self.state.is_failed(number) || self.is_limited(number);
            let is_spared = self.pacer.rate_to(address) < self.sweep.plan.rates.per_host
                || number.is_some_and(is_spared);
            let is_in_doubt = number.is_some_and(|number| self.is_in_doubt(number));
            let Some(adapting) = &mut self.adapting else { break };
            if is_spared {
                adapting.congestion.dismiss(address);
                continue;
            }
            adapting.congestion.put_off(address, now);
            let has_room = self.pacer.earliest_for(address, now, 1) <= now;
            if !is_in_doubt && has_room {
                self.ask_witness(address, ask, now)?;
            }
        }
        Ok(())
    }

    fn ask_witness(&mut self, address: IpAddr, ask: Ask, now: Duration) -> Result<(), End> {
        let Ok(permit) = self.sweep.plan.scope.permit(address) else { return Ok(()) };
        let question = self.question(address, ask, 0);
        match self.link.send(permit, &question) {
            Ok(()) => {}
            Err(LinkError::Busy { .. }) => return self.back_off(now),
            // What is wrong shows at the sweep's own questions.
            Err(_) => return Ok(()),
        }
        self.outcome.probes_sent += 1;
        self.pacer.sent(address, now, 1);
        if let Some(adapting) = &mut self.adapting {
            adapting.congestion.asked(address, now, self.outcome.probes_sent);
        }
        Ok(())
    }

    /// The system refused packets.
    pub(super) fn note_refusal(&mut self, now: Duration) {
        if let Some(adapting) = &mut self.adapting {
            adapting.congestion.refuse(now);
            self.pacer.set_pace(adapting.congestion.rate());
        }
    }

    /// An address answered, to a question that was asked once: it may be asked again what
    /// makes nobody send more than this answer.
    pub(super) fn meet_witness(
        &mut self,
        (address, mac): (IpAddr, Option<MacAddr>),
        ask: Ask,
        accepted: bool,
        took: Duration,
    ) {
        if let Some(adapting) = &mut self.adapting
            && !accepted
            && !matches!(ask, Ask::Udp(_))
        {
            adapting.congestion.meet(address, mac, ask, took, self.link.now());
        }
    }

    /// Whether the reply is a witness's, and says nothing that was not known.
    pub(super) fn is_of_witness(&mut self, reply: &Reply) -> bool {
        let Some(adapting) = &mut self.adapting else { return false };
        let ask = match reply.answer {
            Answer::Arp(_) => Ask::Arp,
            Answer::Neighbor(_) => Ask::Neighbor,
            Answer::Echo => Ask::Echo,
            Answer::Timestamp => Ask::Timestamp,
            Answer::TcpClosed(port) => Ask::Tcp(port),
            Answer::TcpReset(port) => Ask::Ack(port),
            _ => return false,
        };
        if !adapting.congestion.hear(reply.about, ask, self.link.now()) {
            return false;
        }
        // A device that may be in trouble has answered, whatever it was asked for.
        let number = self.state.addresses.number(reply.about);
        !number.is_some_and(|number| self.is_in_doubt(number))
    }
}
