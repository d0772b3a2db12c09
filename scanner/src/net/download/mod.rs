//! Fetching what certificates name: revocation lists, and the answers of OCSP responders.
//!
//! This is the only traffic to addresses that are no targets. Each connection takes a
//! [`DownloadPermit`](crate::DownloadPermit), which the scope gives only where the
//! configuration allows downloads and the address, as resolved, is not excluded. Nothing
//! is fetched from a host that nobody named in advance, not even by way of a redirection.
//! What comes back is bytes: whoever asked for them checks who signed them, and for that
//! reason TLS believes every server here.

mod address;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};
use wire::http::{self, End};

pub use address::{Host, NotFetched, Scheme, WebAddress};

use crate::{
    Refused, Scope,
    dialogue::Pace,
    net::{
        clock::Clock,
        resolve::{ResolveError, Resolver},
        stream::{Stream, TlsError},
    },
    rate::{Pacer, Rates, Tempo},
};

/// How often a server may say that what is asked for is elsewhere.
const MAX_REDIRECTIONS: usize = 2;

/// The head of a response is no longer.
const MAX_HEAD: usize = 32 << 10;

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 3;

/// Packets a second to one server, as many as to all. It is a server of the web, and no
/// device of the network.
const RATE: u32 = 1_000;

/// What a download may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub bytes: usize,
    /// How long it may take in all.
    pub time: Duration,
    /// How long the server may be silent, and how long connecting may take.
    pub silence: Duration,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Question<'a> {
    /// For what lies there.
    Get,
    /// For the answer to this, which is of that media type.
    Post {
        /// Such as `application/ocsp-request`.
        media_type: &'a str,
        /// The question.
        body: &'a [u8],
    },
}

/// Nothing was fetched.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The text is no address that can be asked.
    #[error(transparent)]
    Address(#[from] NotFetched),
    /// A redirection leads to a host that no certificate names.
    #[error("it leads on to {0}, which nobody named")]
    Stranger(String),
    /// It leads on and on.
    #[error("it leads on more than {MAX_REDIRECTIONS} times")]
    Redirections,
    /// The name leads to no address.
    #[error("the address of {name} is not known")]
    Resolve {
        /// The name.
        name: String,
        /// Why not.
        source: ResolveError,
    },
    /// The scope does not let us.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody answers there.
    #[error("cannot connect to {address} port {port}")]
    Connect {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// It is asked inside TLS, and does not speak it.
    #[error("it does not speak TLS with us")]
    Tls(#[source] TlsError),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The server said nothing for too long, or took too long.
    #[error("it took too long")]
    Slow,
    /// The answer is larger than it may be.
    #[error("it is larger than {0} KiB")]
    Large(usize),
    /// It ended before its end.
    #[error("it ended too early")]
    Short,
    /// It is no answer of a web server.
    #[error("what came is no answer of a web server")]
    Malformed,
    /// The server gives nothing.
    #[error("the server answers with status {0}")]
    Status(u16),
}

impl DownloadError {
    /// Whether the server itself is at fault, so that there is no use in asking it more.
    #[must_use]
    pub const fn is_about_the_server(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Refused(_)
                | Self::Connect { .. }
                | Self::Tls(_)
                | Self::Slow
        )
    }
}

/// Fetches. Clones share their rate.
#[derive(Clone, Debug)]
pub struct Downloader {
    scope: Arc<Scope>,
    resolver: Resolver,
    /// Who may be asked.
    hosts: Arc<BTreeSet<Host>>,
    pace: Pace,
}

impl Downloader {
    /// One that may ask these hosts, as far as the scope lets it.
    #[must_use]
    pub fn new(scope: Scope, resolver: Resolver, hosts: BTreeSet<Host>) -> Self {
        let tempo = Tempo::Steady;
        let rates = Rates { total: RATE, per_host: RATE, per_network: RATE, tempo };
        let pace = Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start());
        Self { scope: Arc::new(scope), resolver, hosts: Arc::new(hosts), pace }
    }

    /// The body of the answer.
    ///
    /// # Errors
    ///
    /// There is none, for the reason given.
    pub async fn fetch(
        &self,
        from: &WebAddress,
        question: Question<'_>,
        limits: &Limits,
    ) -> Result<Vec<u8>, DownloadError> {
        let until = Instant::now().checked_add(limits.time).ok_or(DownloadError::Slow)?;
        let mut at = from.clone();
        for _ in 0..=MAX_REDIRECTIONS {
            if !self.hosts.contains(&at.host) {
                return Err(DownloadError::Stranger(at.host.to_string()));
            }
            let asked = timeout_at(until, self.ask(&at, question, limits));
            let response = asked.await.map_err(|_| DownloadError::Slow)??;
            match response.status {
                200 => return Ok(response.body),
                // A question goes on as the same question, which 303 would not let it.
                301 | 302 | 307 | 308 => {
                    let location = response.field("location").ok_or(DownloadError::Malformed)?;
                    at = at.join(location)?;
                }
                status => return Err(DownloadError::Status(status)),
            }
        }
        Err(DownloadError::Redirections)
    }

    async fn ask(
        &self,
        at: &WebAddress,
        question: Question<'_>,
        limits: &Limits,
    ) -> Result<http::Response, DownloadError> {
        let mut stream = self.connect(at, limits).await?;
        if at.scheme == Scheme::Https {
            let name = match &at.host {
                Host::Name(name) => Some(name.as_str()),
                Host::Address(_) => None,
            };
            let greeted = timeout(limits.silence, stream.begin_tls(name));
            greeted.await.map_err(|_| DownloadError::Slow)?.map_err(DownloadError::Tls)?;
        }
        let request = request(at, question);
        stream.turn(request.len()).await;
        let written = timeout(limits.silence, stream.write(&request));
        written.await.map_err(|_| DownloadError::Slow)?.map_err(DownloadError::Broken)?;
        let response = read(&mut stream, limits).await;
        stream.close().await;
        response
    }

    /// Connects to the first address of the host that may be asked and answers.
    async fn connect(&self, at: &WebAddress, limits: &Limits) -> Result<Stream, DownloadError> {
        let addresses = match &at.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match self.resolver.addresses(name).await {
                Ok((addresses, _)) => addresses,
                Err(source) => return Err(DownloadError::Resolve { name: name.clone(), source }),
            },
        };
        let mut failure = None;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            let permit = match self.scope.permit_download(address) {
                Ok(permit) => permit,
                Err(refused) => {
                    failure.get_or_insert(DownloadError::Refused(refused));
                    continue;
                }
            };
            // TLS and the head come on top of the body.
            let allowance = limits.bytes.saturating_mul(2).saturating_add(MAX_HEAD);
            let (port, pace) = (at.port, &self.pace);
            let connecting =
                Stream::connect_for_download(permit, port, pace, allowance, limits.silence);
            match connecting.await {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = Some(DownloadError::Connect { address, port, source }),
            }
        }
        Err(failure.unwrap_or(DownloadError::Malformed))
    }
}

fn request(at: &WebAddress, question: Question<'_>) -> Vec<u8> {
    let method = match question {
        Question::Get => "GET",
        Question::Post { .. } => "POST",
    };
    let mut head = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: daicho/{}\r\nAccept: */*\r\n\
         Connection: close\r\n",
        at.path,
        at.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let mut body: &[u8] = &[];
    if let Question::Post { media_type, body: bytes } = question {
        // Writing to a text cannot fail.
        let _ = write!(head, "Content-Type: {media_type}\r\nContent-Length: {}\r\n", bytes.len());
        body = bytes;
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Reads a response to its end. The body is looked at once, when all of it is there.
async fn read(stream: &mut Stream, limits: &Limits) -> Result<http::Response, DownloadError> {
    let large = || DownloadError::Large(limits.bytes >> 10);
    let mut bytes = Vec::new();
    let mut head = None;
    loop {
        let reading = timeout(limits.silence, stream.read(&mut bytes));
        let len = reading.await.map_err(|_| DownloadError::Slow)?.map_err(DownloadError::Broken)?;
        let ended = len == 0;
        if head.is_none() {
            head = Head::of(&bytes)?;
        }
        match &head {
            None if ended => return Err(DownloadError::Short),
            None if bytes.len() > MAX_HEAD => return Err(DownloadError::Malformed),
            None => continue,
            Some(head) => {
                let body = bytes.len().saturating_sub(head.len);
                let most = limits.bytes.saturating_add(if head.chunked { MAX_HEAD } else { 0 });
                if body > most || head.length.is_some_and(|length| length > limits.bytes) {
                    return Err(large());
                }
                let whole = match head.length {
                    Some(length) => body >= length,
                    None => head.chunked && bytes.ends_with(b"0\r\n\r\n"),
                };
                if !(ended || whole) {
                    continue;
                }
            }
        }
        let response = http::response(&bytes).map_err(|_| DownloadError::Malformed)?;
        return match response.end {
            _ if response.broken.is_some() => Err(DownloadError::Malformed),
            _ if response.body.len() > limits.bytes => Err(large()),
            End::More if ended => Err(DownloadError::Short),
            End::More => continue,
            End::Complete | End::AtClose => Ok(response),
        };
    }
}

/// What the head of a response says of its body.
struct Head {
    /// Its own length, with the empty line.
    len: usize,
    length: Option<usize>,
    chunked: bool,
}

impl Head {
    /// `None` while it is not whole.
    fn of(bytes: &[u8]) -> Result<Option<Self>, DownloadError> {
        let ends = [&b"\r\n\r\n"[..], b"\n\n"];
        let end = ends.iter().filter_map(|end| {
            let at = bytes.windows(end.len()).position(|window| window == *end)?;
            Some(at.saturating_add(end.len()))
        });
        let Some(len) = end.min() else {
            let is_none = !bytes.is_empty() && !http::looks_like_response(bytes);
            return if is_none { Err(DownloadError::Malformed) } else { Ok(None) };
        };
        let head = bytes.get(..len).unwrap_or(bytes);
        let head = http::response(head).map_err(|_| DownloadError::Malformed)?;
        let coding = head.field("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        let chunked = coding.contains("chunked");
        // Longer than can be counted is longer than is read.
        let number = |text: &str| text.parse::<u64>().ok();
        let length = head.field("content-length").and_then(number).filter(|_| !chunked);
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        Ok(Some(Self { len, length, chunked }))
    }
}

#[cfg(test)]
mod tests;
