//! Collecting over datagrams: DTLS, where a lost one is sent again and an answer may come twice.

use std::time::Duration;

use certs::hello::{DatagramCollector, HelloError, Progress};

use super::{BYTES, concluded};
use crate::{
    Permit,
    dialogue::Pace,
    net::datagram::Datagram,
    probe::tls::{self, Collection, Served},
};

/// How long a datagram is waited for before ours is sent again. Servers send theirs again after
/// a second by themselves.
const AGAIN: Duration = Duration::from_millis(1_500);

/// How often one datagram of ours is sent.
const SENDINGS: usize = 3;

/// Asks one UDP endpoint by DTLS what the collection wants to know, one socket after another.
pub async fn collect_by_dtls(
    to: Permit,
    port: u16,
    mut collection: Collection,
    pace: &Pace,
    time: Duration,
) -> Served {
    while let Some(question) = collection.next() {
        let mut entropy = [0; 64];
        let outcome = match getrandom::fill(&mut entropy) {
            Err(_) => tls::Outcome::Failed(HelloError::NoRandomness),
            Ok(()) => {
                let mut collector = DatagramCollector::new(&question, entropy);
                match Datagram::open(to, port, pace).await {
                    Ok(socket) => exchange(&socket, &mut collector, pace, time).await,
                    Err(_) => tls::Outcome::NoConnection,
                }
            }
        };
        collection.record(outcome);
    }
    collection.finish()
}

/// One attempt over one socket.
async fn exchange(
    socket: &Datagram,
    collector: &mut DatagramCollector,
    pace: &Pace,
    time: Duration,
) -> tls::Outcome {
    let clock = pace.clock();
    let Ok(()) = socket.send(collector.last()).await else { return tls::Outcome::NoConnection };
    let until = clock.now().saturating_add(time);
    let (mut sendings, mut heard) = (1, 0);
    let outcome = loop {
        let left = until.saturating_sub(clock.now());
        if left.is_zero() || heard > BYTES {
            break concluded(collector.end());
        }
        let progress = match socket.receive(BYTES, AGAIN.min(left)).await {
            // Nobody is there, says an ICMP error.
            Err(_) => return tls::Outcome::NoConnection,
            Ok(Some(datagram)) => {
                heard = heard.saturating_add(datagram.len().max(1));
                collector.feed(&datagram)
            }
            Ok(None) if sendings < SENDINGS => {
                sendings += 1;
                Progress::Say(collector.last().to_vec())
            }
            Ok(None) => break tls::Outcome::TimedOut,
        };
        match progress {
            Progress::More => {}
            Progress::Say(datagram) => {
                if socket.send(&datagram).await.is_err() {
                    return tls::Outcome::NoConnection;
                }
            }
            over => break concluded(over),
        }
    };
    // A chain that had come by then is kept.
    let outcome = match (outcome, collector.end()) {
        (tls::Outcome::TimedOut, Progress::Done(collected)) => tls::Outcome::Collected(collected),
        (outcome, _) => outcome,
    };
    if matches!(outcome, tls::Outcome::Collected(_)) {
        // It may have gone; it has said what we wanted.
        let _ = socket.send(&collector.farewell()).await;
    }
    outcome
}
