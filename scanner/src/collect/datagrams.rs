//! Collecting over datagrams: DTLS and QUIC, where a lost one is sent again and an answer may
//! come twice.

use std::time::Duration;

use certs::hello::{
    Collected, DatagramCollector, HelloError, Progress, Question, QuicCollector, Shares,
};

use super::{BYTES, concluded};
use crate::{
    Permit,
    dialogue::Pace,
    net::datagram::Datagram,
    probe::tls::{self, Collection, Served},
};

/// How often something of ours is sent while no answer comes.
const SENDINGS: usize = 3;

/// One attempt over one socket, in what it has of the protocol's.
trait Attempt: Sized {
    /// The size of datagrams that what is to be sent is cut into.
    const SIZE: usize;

    /// How long a first answer is waited for before ours is sent again, and how long any other.
    const PATIENCE: [Duration; 2];

    /// What to send first, and again where no answer comes.
    fn again(&mut self) -> Vec<u8>;
    fn feed(&mut self, datagram: &[u8]) -> Progress;
    fn end(&mut self) -> Progress;
    /// What to send before leaving, whatever came of it; empty for nothing.
    fn farewell(&mut self, collected: Option<&Collected>) -> Vec<u8>;
}

impl Attempt for DatagramCollector {
    const SIZE: usize = usize::MAX;

    /// Servers send theirs again after a second by themselves.
    const PATIENCE: [Duration; 2] = [Duration::from_millis(1_500); 2];

    fn again(&mut self) -> Vec<u8> {
        self.last().to_vec()
    }

    fn feed(&mut self, datagram: &[u8]) -> Progress {
        self.feed(datagram)
    }

    fn end(&mut self) -> Progress {
        self.end()
    }

    fn farewell(&mut self, collected: Option<&Collected>) -> Vec<u8> {
        collected.map(|_| self.farewell()).unwrap_or_default()
    }
}

impl Attempt for QuicCollector {
    const SIZE: usize = Self::DATAGRAM;

    /// As long as clients wait (RFC 9002, section 6.2.2), then what the longest ways take: a server
    /// to which our answer got lost may not send anything before it hears another.
    const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(400)];

    fn again(&mut self) -> Vec<u8> {
        self.again()
    }

    fn feed(&mut self, datagram: &[u8]) -> Progress {
        self.feed(datagram)
    }

    fn end(&mut self) -> Progress {
        self.end()
    }

    /// A server that is not told keeps what it has of us for ten seconds.
    fn farewell(&mut self, _: Option<&Collected>) -> Vec<u8> {
        self.farewell()
    }
}

/// Asks one UDP endpoint by DTLS what the collection wants to know, one socket after another.
pub async fn collect_by_dtls(
    to: Permit,
    port: u16,
    collection: Collection,
    pace: &Pace,
    time: Duration,
) -> Served {
    let begin = |question: &Question, entropy| Ok(DatagramCollector::new(question, entropy));
    collect(to, port, collection, pace, time, begin).await
}

/// Asks one by QUIC. `shares` are those of the whole run.
pub async fn collect_by_quic(
    to: Permit,
    port: u16,
    collection: Collection,
    pace: &Pace,
    time: Duration,
    shares: &Shares,
) -> Served {
    let begin = |question: &Question, entropy| QuicCollector::new(question, entropy, shares);
    collect(to, port, collection, pace, time, begin).await
}

async fn collect<A: Attempt>(
    to: Permit,
    port: u16,
    mut collection: Collection,
    pace: &Pace,
    time: Duration,
    begin: impl Fn(&Question, [u8; 64]) -> Result<A, HelloError>,
) -> Served {
    while let Some(question) = collection.next() {
        let mut entropy = [0; 64];
        let attempt = getrandom::fill(&mut entropy)
            .map_err(|_| HelloError::NoRandomness)
            .and_then(|()| begin(&question, entropy));
        let outcome = match attempt {
            Err(why) => tls::Outcome::Failed(why),
            Ok(mut attempt) => match Datagram::open(to, port, pace).await {
                Ok(socket) => exchange(&socket, &mut attempt, pace, time).await,
                Err(_) => tls::Outcome::NoConnection,
            },
        };
        collection.record(outcome);
    }
    collection.finish()
}

/// One attempt over one socket.
async fn exchange<A: Attempt>(
    socket: &Datagram,
    attempt: &mut A,
    pace: &Pace,
    time: Duration,
) -> tls::Outcome {
    let clock = pace.clock();
    let Ok(()) = send::<A>(socket, &attempt.again()).await else {
        return tls::Outcome::NoConnection;
    };
    let until = clock.now().saturating_add(time);
    let (mut sendings, mut heard) = (1, 0);
    let outcome = loop {
        let left = until.saturating_sub(clock.now());
        if left.is_zero() {
            break tls::Outcome::TimedOut;
        }
        if heard > BYTES {
            break tls::Outcome::Failed(HelloError::TooLarge);
        }
        let [first, later] = A::PATIENCE;
        let patience = if heard == 0 { first } else { later };
        let progress = match socket.receive(BYTES, patience.min(left)).await {
            // Nobody is there, says an ICMP error.
            Err(_) => return tls::Outcome::NoConnection,
            Ok(Some(datagram)) => {
                heard = heard.saturating_add(datagram.len().max(1));
                sendings = 0;
                attempt.feed(&datagram)
            }
            Ok(None) if sendings < SENDINGS => {
                sendings += 1;
                Progress::Say(attempt.again())
            }
            Ok(None) => break tls::Outcome::TimedOut,
        };
        match progress {
            Progress::More => {}
            Progress::Say(ours) => {
                if send::<A>(socket, &ours).await.is_err() {
                    return tls::Outcome::NoConnection;
                }
            }
            over => break concluded(over),
        }
    };
    // A chain that had come by then is kept.
    let outcome = match attempt.end() {
        Progress::Done(collected) => tls::Outcome::Collected(collected),
        _ => outcome,
    };
    // It may have gone; it has said what we wanted.
    let _ = send::<A>(socket, &attempt.farewell(outcome.collected())).await;
    outcome
}

async fn send<A: Attempt>(socket: &Datagram, ours: &[u8]) -> std::io::Result<()> {
    for datagram in ours.chunks(A::SIZE) {
        socket.send(datagram).await?;
    }
    Ok(())
}
