//! What changes while somebody looks: server-sent events, from what other processes write into the
//! store.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http_body::Frame;
use inventory::store::{Changes, Use};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{Shared, trouble::Trouble, visit::Visitor};
use crate::clock;

/// What is to be said.
pub(super) enum Said {
    /// Texts for elements of the page, by their ids.
    Values(Value),
    /// Nothing new.
    Nothing,
    /// It is over: the page is loaded again.
    End,
}

/// How often it is looked for changes.
const LOOK: Duration = Duration::from_secs(1);

/// Without news a line is sent after so long: a browser that is gone is noticed by it.
const ALIVE: Duration = Duration::from_secs(15);

/// After so long the browser asks again, and is asked again who it is.
const LONGEST: Duration = Duration::from_secs(600);

/// Says what `look` finds whenever something was written, until it is over, or whoever looks may not
/// any more: a session ends meanwhile as any other, and nothing that is said here keeps it alive.
pub(super) fn stream<L, F>(
    shared: &Shared,
    visitor: &Visitor,
    mut changes: Changes,
    look: L,
) -> Response
where
    L: Fn() -> F + Send + 'static,
    F: Future<Output = Result<Said, Trouble>> + Send,
{
    let (sender, receiver) = mpsc::channel(4);
    let (shared, visitor) = (shared.clone(), visitor.clone());
    tokio::spawn(async move {
        let began = Instant::now();
        let (mut spoke, mut last) = (Instant::now(), String::new());
        let mut is_first = true;
        while began.elapsed() < LONGEST {
            // One that was killed writes nothing that tells of it.
            let is_quiet = spoke.elapsed() >= ALIVE;
            let changed = is_first || is_quiet || changes.any().await.unwrap_or(true);
            is_first = false;
            let said = match changed {
                true if !still_may(&shared, &visitor).await => Ok(Said::End),
                true => look().await,
                false => Ok(Said::Nothing),
            };
            let line = match said {
                // What broke is told by the page that is loaded again.
                Err(_) | Ok(Said::End) => "event: end\ndata: over\n\n".to_owned(),
                Ok(Said::Values(values)) => format!("event: values\ndata: {values}\n\n"),
                Ok(Said::Nothing) => String::new(),
            };
            let is_over = line.starts_with("event: end");
            let line = match line {
                line if !line.is_empty() && line != last => {
                    last.clone_from(&line);
                    line
                }
                _ if spoke.elapsed() >= ALIVE => ":\n\n".to_owned(),
                _ => String::new(),
            };
            if !line.is_empty() {
                spoke = Instant::now();
                // A browser that does not read is not waited for.
                if !matches!(timeout(ALIVE, sender.send(Bytes::from(line))).await, Ok(Ok(()))) {
                    return;
                }
            }
            if is_over {
                return;
            }
            sleep(LOOK).await;
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::new(Channel(receiver))).into_response()
}

/// Whether somebody is still signed in as they were when they began to look.
async fn still_may(shared: &Shared, visitor: &Visitor) -> bool {
    let Some(own) = visitor.session() else { return true };
    let now = clock::now();
    let found = shared.store.session(&own.hash, shared.lasting(), Use::Silent, now).await;
    found.is_ok_and(|found| found.is_some_and(|found| found.user.role == own.user.role))
}

/// A body of what comes out of a channel.
struct Channel(mpsc::Receiver<Bytes>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
