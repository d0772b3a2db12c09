//! A connection with the time that it has left.

use std::{io, time::Duration};

use crate::net::{clock::Clock, stream::Stream};

/// A connection and when its time is over.
pub(crate) struct Line {
    pub(crate) stream: Stream,
    pub(crate) clock: Clock,
    pub(crate) until: Duration,
}

pub(crate) enum Read {
    Some,
    Silence,
    End,
    Broken(io::Error),
}

impl Line {
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_sub(self.clock.now())
    }

    pub(crate) async fn read(&mut self, into: &mut Vec<u8>, wait: Duration) -> Read {
        match tokio::time::timeout(wait, self.stream.read(into)).await {
            Err(_) => Read::Silence,
            Ok(Ok(0)) => Read::End,
            Ok(Ok(_)) => Read::Some,
            Ok(Err(error)) => Read::Broken(error),
        }
    }

    /// Says something. The wait for our own pace is not the server's, so it is added to
    /// its time; what the server itself takes is not.
    pub(crate) async fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let (before, limit) = (self.clock.now(), self.left());
        self.stream.turn(message.len()).await;
        self.until = self.until.saturating_add(self.clock.now().saturating_sub(before));
        tokio::time::timeout(limit, self.stream.write(message))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
