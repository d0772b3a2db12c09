//! Servers on loopback, good and bad ones.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::Instant,
};

use model::AddressRange;

use super::*;
use crate::Downloads;

/// A server that answers each connection as `answer` does, and notes the requests.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { return };
                let request = request_of(&connection);
                noted.lock().unwrap().push(request.clone());
                answer(&request, &mut connection);
            }
        });
        Self { port, requests }
    }

    fn saying(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref().to_vec();
        Self::new(move |_, connection| {
            let _ = connection.write_all(&text);
        })
    }

    fn address(&self, path: &str) -> WebAddress {
        WebAddress::read(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// The head and the body of a request.
fn request_of(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return text;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + &String::from_utf8_lossy(&body)
}

const LIMITS: Limits =
    Limits { bytes: 100_000, time: Duration::from_secs(2), silence: Duration::from_millis(500) };

fn downloader(excluded: &[&str], downloads: Downloads) -> Downloader {
    let excluded = excluded.iter().map(|text| AddressRange::single(text.parse().unwrap()));
    let scope = Scope::new(Vec::new(), excluded.collect()).with_downloads(downloads);
    let hosts = ["127.0.0.1".parse().unwrap()].map(Host::Address);
    Downloader::new(scope, Resolver::system().unwrap(), hosts.into_iter().collect())
}

async fn get(server: &Server) -> Result<Vec<u8>, DownloadError> {
    downloader(&[], Downloads::Allowed)
        .fetch(&server.address("/a.crl"), Question::Get, &LIMITS)
        .await
}

#[tokio::test]
async fn a_body_is_fetched_however_it_is_sent() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello and more",
    ] {
        let server = Server::saying(text);
        assert_eq!(get(&server).await.unwrap(), b"hello", "{text}");
        let request = server.requests.lock().unwrap()[0].clone();
        let expected = format!("GET /a.crl HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", server.port);
        assert!(request.starts_with(&expected), "{request}");
    }
}

#[tokio::test]
async fn a_question_is_posted() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let question = Question::Post { media_type: "application/ocsp-request", body: b"why" };
    let fetching = downloader(&[], Downloads::Allowed);
    let body = fetching.fetch(&server.address("/"), question, &LIMITS).await.unwrap();
    assert_eq!(body, b"ok");
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Content-Type: application/ocsp-request\r\nContent-Length: 3\r\n"));
    assert!(request.ends_with("\r\n\r\nwhy"), "{request}");
}

#[tokio::test]
async fn nothing_is_sent_where_it_is_not_allowed_or_excluded() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for fetching in
        [downloader(&[], Downloads::Forbidden), downloader(&["127.0.0.1"], Downloads::Allowed)]
    {
        let fetched = fetching.fetch(&server.address("/"), Question::Get, &LIMITS).await;
        assert!(matches!(fetched, Err(DownloadError::Refused(_))), "{fetched:?}");
    }
    let strange = WebAddress::read(&format!("http://localhost:{}/", server.port)).unwrap();
    let fetched = downloader(&[], Downloads::Allowed).fetch(&strange, Question::Get, &LIMITS).await;
    assert!(matches!(fetched, Err(DownloadError::Stranger(_))), "{fetched:?}");
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn two_redirections_are_followed_and_no_third() {
    let server = Server::new(|request, connection| {
        let step = request.split(' ').nth(1).unwrap_or_default().len();
        let text = match step {
            4.. => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            step => format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\n\r\n", "x".repeat(step)),
        };
        let _ = connection.write_all(text.as_bytes());
    });
    let fetching = downloader(&[], Downloads::Allowed);
    let fetch = |path: &str| {
        let (fetching, address) = (fetching.clone(), server.address(path));
        async move { fetching.fetch(&address, Question::Get, &LIMITS).await }
    };
    assert_eq!(fetch("/x").await.unwrap(), b"ok");
    assert_eq!(server.asked(), 3);
    let round = Server::saying("HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n");
    assert!(matches!(get(&round).await, Err(DownloadError::Redirections)));
    assert_eq!(round.asked(), 3);
    // Elsewhere than to whom a certificate names, it does not go.
    let away = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{}/\r\n\r\n", round.port);
    let away = Server::saying(away);
    assert!(matches!(get(&away).await, Err(DownloadError::Stranger(_))));
    let other = Server::saying("HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\n\r\n");
    assert!(matches!(get(&other).await, Err(DownloadError::Address(_))));
}

#[tokio::test]
async fn what_is_too_large_too_slow_or_no_answer_costs_its_limit_and_no_more() {
    type Answer = Box<dyn Fn(&str, &mut TcpStream) + Send>;
    type Expected = fn(&DownloadError) -> bool;
    let endless: Answer = Box::new(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.write_all(&[b'x'; 4_096]).is_ok() {}
    });
    let endless_head: Answer = Box::new(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n");
        while connection.write_all(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").is_ok() {}
    });
    let dripping: Answer = Box::new(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n");
        while connection.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let silent: Answer = Box::new(|_, connection| {
        let _ = connection.read(&mut [0; 16]);
    });
    let is: [(Answer, Expected); 4] = [
        (endless, |error| matches!(error, DownloadError::Large(_))),
        (endless_head, |error| matches!(error, DownloadError::Malformed)),
        (dripping, |error| matches!(error, DownloadError::Slow)),
        (silent, |error| matches!(error, DownloadError::Slow)),
    ];
    for (number, (answer, expected)) in is.into_iter().enumerate() {
        let server = Server::new(answer);
        let before = Instant::now();
        let error = get(&server).await.unwrap_err();
        assert!(expected(&error), "{number}: {error:?}");
        assert!(before.elapsed() < Duration::from_secs(4), "{number}");
    }
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n", "it is larger than 97 KiB"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "it ended too early"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "it ended too early"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "the server answers with status 404",
        ),
        ("HTTP/1.1 302 Found\r\n\r\n", "what came is no answer of a web server"),
        ("SSH-2.0-OpenSSH\r\n", "what came is no answer of a web server"),
        ("", "it ended too early"),
    ] {
        let error = get(&Server::saying(text)).await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}
