//! One request to a web server and its answer (RFC 9112): for webhooks, and for a provider of OpenID
//! Connect (`src/web/oidc`).
//!
//! No redirection is followed: it would lead to where nobody configured. What a webhook answers is
//! read as far as a person wants to see of it, what a provider does whole or not at all. A proxy is
//! asked for a tunnel and told nothing of the request, for addresses of http too.

use std::{io, time::Duration};

use config::route::WebhookUrl;
use scanner::net::download::{Host, Scheme, WebAddress};
#[cfg(feature = "oidc")]
use tokio::time::timeout;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use wire::http::{self, End, Response};

use super::{Trouble, secret, tls::Trust};

/// An answer is read so far.
const MOST: usize = 64 << 10;

/// Once the head of an answer is there, which has the status, the rest is waited for so long
/// and not beyond the time limit: what was accepted does not count as failed.
const REST: Duration = Duration::from_secs(2);

/// What is posted.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) media_type: &'static str,
    /// Names and values; neither holds a line's end.
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What is asked of whoever answers in JSON.
#[cfg(feature = "oidc")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    /// To give something.
    Get,
    /// To take a form, and who sends it where that does not stand in it.
    Form { body: &'a str, authorization: Option<&'a str> },
}

/// Asks, and gives the whole answer, of not more than so many bytes.
///
/// # Errors
///
/// In words, where there is none in time, it is longer, or it is not whole.
#[cfg(feature = "oidc")]
pub(crate) async fn whole(
    to: &WebAddress,
    proxy: Option<&WebAddress>,
    trust: &Trust,
    ask: Ask<'_>,
    limit: Duration,
    most: usize,
) -> Result<Response, String> {
    let server = bare(&to.host);
    let asking = async {
        let stream = match proxy {
            None => connect(&server, to.port).await?,
            Some(proxy) => tunnel(proxy, to).await?,
        };
        let accept = ("Accept", "application/json".to_owned());
        let request = match ask {
            Ask::Get => request(to, "GET", None, &[accept], &[]),
            Ask::Form { body, authorization } => {
                let own = authorization.map(|value| ("Authorization", value.to_owned()));
                let fields: Vec<_> = [accept].into_iter().chain(own).collect();
                let form = "application/x-www-form-urlencoded";
                request(to, "POST", Some(form), &fields, body.as_bytes())
            }
        };
        match to.scheme {
            Scheme::Http => exchange_whole(stream, &request, &server, most).await,
            Scheme::Https => {
                let stream = trust.connect(stream, &server).await?;
                exchange_whole(stream, &request, &server, most).await
            }
        }
    };
    match timeout(limit, asking).await {
        Ok(answer) => answer.map_err(|trouble| trouble.words),
        Err(_) => Err(format!("{server} did not answer within {} s", limit.as_secs())),
    }
}

#[cfg(feature = "oidc")]
async fn exchange_whole(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
    server: &str,
    most: usize,
) -> Result<Response, Trouble> {
    let broken = |error| Trouble::later(format!("{server}: the connection broke: {error}"));
    stream.write_all(request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 8_192]);
    loop {
        let len = stream.read(&mut piece).await.map_err(broken)?;
        bytes.extend_from_slice(piece.get(..len).unwrap_or_default());
        if bytes.len() > most {
            return Err(Trouble::later(format!("{server} answers with more than {most} bytes")));
        }
        match http::response(&bytes) {
            Ok(answer) if answer.broken.is_some() => {
                return Err(Trouble::later(format!("{server} gives no answer of a web server")));
            }
            Ok(answer) if answer.end == End::Complete => return Ok(answer),
            Ok(answer) if answer.end == End::AtClose && len == 0 => return Ok(answer),
            Ok(_) | Err(_) if len > 0 => {}
            _ => return Err(Trouble::later(format!("{server} ended in the middle of its answer"))),
        }
    }
}

/// Where to, as it is now.
pub(super) fn address(url: &WebhookUrl) -> Result<WebAddress, Trouble> {
    let read = match url {
        WebhookUrl::Given(url) => WebAddress::read(url),
        WebhookUrl::Secret(from) => WebAddress::read(&secret(from)?),
    };
    // The address may be a secret, so it is not shown.
    read.map_err(|error| Trouble::refused(format!("the address of the webhook: {error}")))
}

/// Posts and gives the answer; how much of its body is there is the server's affair.
pub(super) async fn post(
    to: &WebAddress,
    proxy: Option<&WebAddress>,
    trust: &Trust,
    post: &Post,
    limit: Duration,
) -> Result<Response, Trouble> {
    let until = Instant::now() + limit;
    let server = bare(&to.host);
    let stream = match proxy {
        None => connect(&server, to.port).await?,
        Some(proxy) => tunnel(proxy, to).await?,
    };
    let accept = [("Accept", "*/*".to_owned())];
    let fields = [&accept[..], &post.fields].concat();
    let request = request(to, "POST", Some(post.media_type), &fields, &post.body);
    match to.scheme {
        Scheme::Http => exchange(stream, &request, &server, until).await,
        Scheme::Https => {
            let stream = trust.connect(stream, &server).await?;
            exchange(stream, &request, &server, until).await
        }
    }
}

/// A host without the brackets that addresses have around IPv6.
fn bare(host: &Host) -> String {
    match host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    }
}

/// A connection to a server.
pub(super) async fn connect(server: &str, port: u16) -> Result<TcpStream, Trouble> {
    TcpStream::connect((server, port))
        .await
        .map_err(|error| Trouble::later(format!("cannot connect to {server} port {port}: {error}")))
}

/// A connection through a proxy (RFC 9110, section 9.3.6).
async fn tunnel(proxy: &WebAddress, to: &WebAddress) -> Result<TcpStream, Trouble> {
    let server = bare(&proxy.host);
    let mut stream = connect(&server, proxy.port).await?;
    let authority = format!("{}:{}", to.host, to.port);
    let ask = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let broken = |error| Trouble::later(format!("the proxy {server}: {error}"));
    stream.write_all(ask.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 << 10 {
            return Err(Trouble::later(format!("the proxy {server} answers too much")));
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    match http::response(&head) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(stream),
        Ok(answer) => {
            let words = format!("the proxy {server} answers {} {}", answer.status, answer.reason);
            Err(Trouble::later(words))
        }
        Err(_) => Err(Trouble::later(format!("{server} is no proxy of http"))),
    }
}

fn request(
    to: &WebAddress,
    method: &str,
    media_type: Option<&str>,
    fields: &[(&'static str, String)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: daicho/{}\r\nConnection: close\r\n",
        to.path,
        to.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(media_type) = media_type {
        let length = body.len();
        head.push_str(&format!("Content-Type: {media_type}\r\nContent-Length: {length}\r\n"));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
    server: &str,
    until: Instant,
) -> Result<Response, Trouble> {
    let broken = |error| Trouble::later(format!("{server}: the connection broke: {error}"));
    stream.write_all(request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut bytes = Vec::new();
    let mut rest: Option<Instant> = None;
    loop {
        let mut piece = [0; 4_096];
        let reading = stream.read(&mut piece);
        let read = match rest {
            Some(rest) => timeout_at(rest, reading)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            None => reading.await,
        };
        let ended = match read {
            Ok(len) => {
                bytes.extend_from_slice(piece.get(..len).unwrap_or_default());
                len == 0
            }
            // Some servers end TLS without a farewell once they have said everything, and some
            // end nothing.
            Err(_) if !bytes.is_empty() => true,
            Err(error) => return Err(broken(error)),
        };
        match http::response(&bytes) {
            Ok(answer) if answer.end == End::Complete || ended || bytes.len() > MOST => {
                return Ok(answer);
            }
            Ok(_) => {
                rest.get_or_insert_with(|| until.min(Instant::now() + REST));
            }
            Err(_) if ended => {
                return Err(Trouble::later(format!("{server} gives no answer of a web server")));
            }
            Err(_) if bytes.len() > MOST => {
                return Err(Trouble::later(format!("{server} answers too much")));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_whose_body_has_no_end_is_an_answer() {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await.unwrap();
        let until = Instant::now() + Duration::from_millis(200);
        let answer = exchange(ours, b"POST", "192.0.2.1", until).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
        // Held until here.
        drop(theirs);
    }
}
