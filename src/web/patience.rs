//! How long somebody is waited for who sends or reads slowly.
//!
//! Whoever sends the body of a request has to send some of it all the time, and whoever is sent an
//! answer has to take it: else a few slow ones hold every connection there is. The head of a
//! request has its own limit, which hyper keeps (`server`).

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// The limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a handshake, and for the head of a request; also between two requests.
    pub(super) head: Duration,
    /// For so long nothing of a body may come.
    pub(super) pause: Duration,
    /// For so long a body may come in all.
    pub(super) body: Duration,
    /// For so long the other side may take less than [`LEAST`] while something waits for it.
    pub(super) write: Duration,
}

impl Patience {
    pub(super) const USUAL: Self = Self {
        head: Duration::from_secs(15),
        pause: Duration::from_secs(15),
        body: Duration::from_secs(60),
        write: Duration::from_secs(30),
    };
}

/// Bytes that are taken within [`Patience::write`], at least: 2 KiB a second.
pub(super) const LEAST: usize = 60 << 10;

/// A connection whose other side has to read.
pub(super) struct Hurried<S> {
    inner: S,
    patience: Duration,
    /// Since when something waits, until when so much has to be taken, and how much was since.
    waits: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Hurried<S> {
    pub(super) const fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, waits: None }
    }

    /// What the other side took, or an error where it takes too little for too long.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some((_, taken)) = &mut self.waits {
                    *taken = taken.saturating_add(bytes);
                    if *taken >= LEAST {
                        self.waits = None;
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = self.patience;
                let (end, _) = self.waits.get_or_insert_with(|| (Box::pin(sleep(patience)), 0));
                ready!(end.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hurried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hurried<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        // Nothing waits: what lies above flushes once it has written everything.
        self.waits = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Whether a body did not come in time.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request, which breaks off where it does not come in time.
pub(super) fn hurried(body: Body, patience: Patience, late: &Late) -> Body {
    let (end, pause) = (Instant::now() + patience.body, Box::pin(sleep(patience.pause)));
    Body::new(Coming { body, patience: patience.pause, end, pause, late: late.clone() })
}

/// See [`hurried`].
struct Coming {
    body: Body,
    patience: Duration,
    end: Instant,
    pause: Pin<Box<Sleep>>,
    late: Late,
}

impl http_body::Body for Coming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let next = (Instant::now() + self.patience).min(self.end);
            self.pause.as_mut().reset(next);
            // Whoever sends a byte a second is never silent.
            if Instant::now() < self.end || frame.is_none() {
                return Poll::Ready(frame);
            }
        } else {
            ready!(self.pause.as_mut().poll(context));
        }
        self.late.0.store(true, Ordering::Relaxed);
        let late = io::Error::from(io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
