//! Certificates from servers that an honest TLS client does not get on with, on loopback:
//! OpenSSL's `s_server` in one odd configuration after another, rustls where OpenSSL of today
//! is too old, and servers of our own for what neither speaks any more. Certificates behind
//! some words in the clear, from servers of our own where Debian has none. And over datagrams:
//! `s_server` for DTLS, quinn for QUIC.
#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    reason = "a test prints what it found and may fail loudly"
)]

mod before_tls;
mod configurations;
mod dtls;
mod hostile;
mod hostile_quic;
mod identity;
mod lab;
mod modern;
mod openssl;
mod own;
mod own13;
mod peers;
mod quic;
mod relay;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use certs::hello::{ServerName, Shares};
use model::AddressRange;
use scanner::{
    Permit, Scope,
    collect::collect_certificates,
    dialogue::Pace,
    net::clock::Clock,
    probe::{
        starttls::Starttls,
        tls::{Collection, Extent, Served},
    },
    rate::{Pacer, Rates},
};

/// Asks a port of loopback, as a sweep would.
fn collect(port: u16, names: impl IntoIterator<Item = ServerName>) -> Served {
    ask(port, names, Extent::Versions)
}

/// Asks it so much.
fn ask(port: u16, names: impl IntoIterator<Item = ServerName>, extent: Extent) -> Served {
    hold(port, Collection::new(names, extent))
}

/// Asks it behind a dialogue.
fn ask_behind(port: u16, dialogue: Starttls) -> Served {
    hold(port, Collection::new([], Extent::Versions).behind(Some(dialogue)))
}

fn hold(port: u16, collection: Collection) -> Served {
    let (permit, pace, runtime) = here();
    let time = Duration::from_secs(20);
    runtime.block_on(collect_certificates(
        permit,
        port,
        collection,
        &pace,
        time,
        &Shares::default(),
    ))
}

/// What it takes to ask loopback, in a hurry.
fn here() -> (Permit, Pace, tokio::runtime::Runtime) {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let scope = Scope::new(vec![AddressRange::single(here)], vec![]);
    let rates = Rates { total: 100_000, per_host: 100_000, ..Rates::default() };
    let pace = Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    (scope.permit(here).expect("it is the scope"), pace, runtime.expect("a runtime"))
}
