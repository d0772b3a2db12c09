//! The connections to the page: TLS, limits in number and time, and the end.
//!
//! HTTP/1.1 alone: a browser on the same network gains little by HTTP/2, whose streams and header
//! tables would be more to bound. Whoever says nothing is not waited for.

use std::{
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{Extension, Router};
use config::web::Secrecy;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use scanner::stop::Stop;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared, certificate,
    crowd::{Bounds, Crowd},
    gate::Peer,
    listen,
    patience::{Hurried, Patience},
    privilege, routes, settings,
};
use crate::{cli::args::Cli, compose::Settings, jobs::end_with_the_service, tell};

/// Connections at once.
const CONNECTIONS: usize = 256;

/// From whom they may be.
const BOUNDS: Bounds = Bounds { all: CONNECTIONS, one: 64, network: 128, newcomers: 64 };

/// The most bytes of the head of a request.
const HEAD_BYTES: usize = 32 << 10;

/// How often it is looked whether the certificate's files are others.
const CERTIFICATE: Duration = Duration::from_secs(10);

/// How long answers that are on their way are waited for at the end.
const LAST_WORDS: Duration = Duration::from_millis(600);

/// How long work that is being done is waited for at the end.
const LAST_WORK: Duration = Duration::from_millis(500);

/// Why serving ended.
enum End {
    Asked(u8),
    /// With another configuration, which can be served.
    Reload(Box<Ready>),
}

/// A page that can be served: everything that may fail was done.
struct Ready {
    shared: Shared,
    shown: Option<Arc<certificate::Shown>>,
    tls: Option<TlsAcceptor>,
    listener: TcpListener,
}

impl Ready {
    async fn new(settings: Settings, listener: TcpListener) -> Result<Self> {
        let shared = Shared::open(settings).await?;
        let hosts = [shared.hosts.0.clone(), vec!["127.0.0.1".into(), "::1".into()]].concat();
        let shown = certificate::Shown::open(&shared.settings, &hosts)?;
        let tls = shown.clone().map(certificate::Shown::server).transpose()?;
        listener.set_nonblocking(true).context("cannot listen")?;
        Ok(Self { shared, shown, tls: tls.map(TlsAcceptor::from), listener })
    }

    /// What the configuration says now, at the same place or at another.
    async fn again(&self, cli: &Cli) -> Result<Self> {
        let (new, address) = settings(cli)?;
        let listener = match self.listener.local_addr().is_ok_and(|old| old == address) {
            true => self.listener.try_clone().context("cannot listen")?,
            false => listen(address)?,
        };
        Self::new(new, listener).await
    }
}

/// Serves the page until SIGINT or SIGTERM, or until the service that began it wants the end.
/// Returns the exit code.
pub(crate) fn run(cli: &Cli, served: bool) -> Result<u8> {
    let (current, address) = settings(cli)?;
    let listener = listen(address)?;
    // Ports below 1024 may take a capability: this is the last time that there is one.
    privilege::give_up(cli, &current)?;
    let stop = Stop::new();
    if served {
        end_with_the_service(&stop)?;
    }
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let mut ready = Ready::new(current, listener).await?;
        loop {
            match serve(ready, cli, &stop, served).await? {
                End::Asked(code) => return Ok(code),
                End::Reload(new) => ready = *new,
            }
            tell::line("page: reloaded");
        }
    });
    // Work that did not end in time is not waited for: what it had committed is there.
    runtime.shutdown_background();
    code
}

fn runtime() -> Result<Runtime> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    // A page that many look at must not take the machine from the scans.
    threads.worker_threads(2).enable_all().build().context("cannot start the threads")
}

async fn serve(ready: Ready, cli: &Cli, stop: &Stop, served: bool) -> Result<End> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let bound = ready.listener.try_clone().context("cannot listen")?;
    let listener = tokio::net::TcpListener::from_std(bound).context("cannot listen")?;
    let address = listener.local_addr().context("cannot listen")?;
    let scheme = if ready.tls.is_some() { "https" } else { "http" };
    tell::line(&format!("page: at {scheme}://{address}/"));
    if ready.shared.store.users().await?.is_empty() {
        tell::line("page: nobody can sign in yet: daicho user add NAME --role admin");
    }
    let (closing, closed) = watch::channel(false);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let crowd = Arc::new(Crowd::default());
    // Behind a proxy on this machine everybody comes from one address.
    let bounds = match ready.shared.settings.web.secrecy {
        Secrecy::Plain => Bounds { one: CONNECTIONS, network: CONNECTIONS, newcomers: 0, ..BOUNDS },
        Secrecy::OwnCertificate | Secrecy::Files { .. } => BOUNDS,
    };
    let router = routes::router(ready.shared.clone());
    let mut connections = JoinSet::new();
    let mut certificates = interval(CERTIFICATE);
    let mut stopping = interval(Duration::from_millis(100));
    let end = loop {
        tokio::select! {
            // The service begins us anew when the configuration is another.
            _ = hangup.recv(), if !served => match ready.again(cli).await {
                Ok(new) => break End::Reload(Box::new(new)),
                Err(error) => {
                    let why = tell::chain(error.as_ref());
                    tell::line(&format!("page: not reloaded, it stays as it was: {why}"));
                }
            },
            _ = interrupt.recv() => break End::Asked(0),
            _ = terminate.recv() => break End::Asked(0),
            _ = stopping.tick() => if stop.is_requested() { break End::Asked(0) },
            _ = certificates.tick() => if let Some(shown) = &ready.shown { shown.refresh() },
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &room) => {
                let (stream, peer, place) = accepted;
                let Some(guest) = crowd.admit(peer.ip(), bounds) else {
                    let line = format!("page: refused: {} has too many connections", peer.ip());
                    ready.shared.log.line(&line);
                    continue;
                };
                let (tls, router, closed) = (ready.tls.clone(), router.clone(), closed.clone());
                let patience = ready.shared.patience;
                connections.spawn(async move {
                    connection(stream, peer, tls, router, patience, closed).await;
                    drop((guest, place));
                });
            }
        }
    };
    drop(listener);
    // Nobody listens where there are no connections.
    let _ = closing.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_WORDS, all).await.is_err() {
        connections.abort_all();
    }
    drop(router);
    ready.shared.works.end(LAST_WORK).await;
    // A task that is being ended may have it still; the log is folded in the next time then.
    if let Ok(inner) = Arc::try_unwrap(ready.shared.0) {
        inner.store.close().await;
    }
    Ok(end)
}

/// The next connection for which there is room.
async fn accept(
    listener: &tokio::net::TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(room).acquire_owned().await else {
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            // Too many files are open, or the other side is gone: neither is for long.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    patience: Patience,
    closed: watch::Receiver<bool>,
) {
    // Small answers go at once.
    let _ = stream.set_nodelay(true);
    let stream = Hurried::new(stream, patience.write);
    match tls {
        Some(tls) => {
            // Whoever speaks no TLS, or does not take our certificate, is told by TLS.
            if let Ok(Ok(stream)) = timeout(patience.head, tls.accept(stream)).await {
                requests(stream, peer, router, patience, closed).await;
            }
        }
        None => requests(stream, peer, router, patience, closed).await,
    }
}

pub(super) async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    mut closed: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(64);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What is wrong with a connection is the other side's concern.
        _ = connection.as_mut() => {}
        () = async { drop(closed.wait_for(|closed| *closed).await) } => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
