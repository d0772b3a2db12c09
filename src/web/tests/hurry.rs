//! Whoever is slow keeps nobody else out, and whoever goes away undoes nothing.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    routing,
};
use inventory::user::{Role, token_hash};
use model::{Site as Place, Vantage};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Site, routes::router};
use crate::{
    clock,
    web::{
        patience::{Hurried, Patience},
        server::requests,
    },
};

const SHORT: Patience = Patience {
    head: Duration::from_millis(200),
    pause: Duration::from_millis(200),
    body: Duration::from_millis(500),
    write: Duration::from_millis(200),
};

/// A connection to a page of so little patience, and what serves it.
fn connect(router: Router) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = duplex(4 << 10);
    let (sender, closed) = watch::channel(false);
    let peer = "192.0.2.7:5000".parse().unwrap();
    let served = tokio::spawn(async move {
        requests(Hurried::new(theirs, SHORT.write), peer, router, SHORT, closed).await;
        drop(sender);
    });
    (ours, served)
}

impl Site {
    async fn impatient() -> Self {
        let mut site = Self::new().await;
        site.router = Router::new();
        std::sync::Arc::get_mut(&mut site.shared.0).unwrap().patience = SHORT;
        site.router = router(site.shared.clone());
        site
    }
}

/// All that comes within a while.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn whoever_sends_the_head_of_a_request_slowly_is_not_waited_for() {
    let site = Site::impatient().await;
    let (mut stream, served) = connect(site.router.clone());
    let began = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    timeout(Duration::from_secs(10), served).await.unwrap().unwrap();
    assert!(began.elapsed() >= SHORT.head, "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_sends_a_body_slowly_is_not_waited_for() {
    let site = Site::impatient().await;
    let token = site.session(Role::Viewer).await;
    let head = format!(
        "POST /account/sessions HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-daicho={token}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf="
    );
    // One who says nothing more, and one who always says a little.
    for is_silent in [true, false] {
        let (stream, _served) = connect(site.router.clone());
        let (mut reading, mut writing) = tokio::io::split(stream);
        writing.write_all(head.as_bytes()).await.unwrap();
        let drip = async {
            loop {
                sleep(Duration::from_millis(20)).await;
                if is_silent || writing.write_all(b"a").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = [0; 12];
        let answered = timeout(Duration::from_secs(10), reading.read_exact(&mut answer));
        tokio::select! {
            answered = answered => { answered.unwrap().unwrap(); }
            () = drip => unreachable!(),
        }
        assert_eq!(&answer, b"HTTP/1.1 408", "{is_silent}");
    }
}

#[tokio::test]
async fn whoever_reads_slowly_is_not_waited_for() {
    let large = "x".repeat(1 << 20);
    let router = Router::new().route("/", routing::get(move || async move { large }));
    let ask = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // One who reads nothing, and one who always reads a little.
    for is_silent in [true, false] {
        let (mut stream, served) = connect(router.clone());
        stream.write_all(ask).await.unwrap();
        let drip = async {
            loop {
                sleep(Duration::from_millis(20)).await;
                if !is_silent {
                    drop(stream.read(&mut [0; 10]).await);
                }
            }
        };
        tokio::select! {
            ended = timeout(Duration::from_secs(10), served) => ended.unwrap().unwrap(),
            () = drip => unreachable!(),
        }
    }
    // And who reads gets all of it.
    let (mut stream, _served) = connect(router);
    stream.write_all(ask).await.unwrap();
    assert!(rest(&mut stream).await.ends_with(&"x".repeat(1 << 20)));
}

#[tokio::test]
async fn what_was_decided_is_followed_to_its_end_when_the_browser_goes_away() {
    let site = Site::new().await;
    site.sweep(2).await;
    let token = site.session(Role::Approver).await;
    let request = site.post("/decide", &token, "asset=1&verdict=approved&reason=bought");
    let decided = async {
        while site.shared.store.decisions().await.unwrap().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    // The browser goes away once it is committed, in the middle of what follows.
    tokio::select! {
        _ = request => {}
        () = decided => {}
    }
    let reviewed = async {
        while site.open("device.unregistered").await.is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), reviewed).await.unwrap();
}

#[tokio::test]
async fn what_takes_long_to_compute_keeps_nobody_waiting() {
    let site = Site::new().await;
    let long = Duration::from_millis(1_500);
    let began = Instant::now();
    let work = site.shared.apart(move |_| async move {
        std::thread::sleep(long);
        Ok(())
    });
    let other = async {
        sleep(Duration::from_millis(50)).await;
        let answer = site.get("/healthz", None).await;
        (answer.status, began.elapsed())
    };
    let (work, (status, served)) = tokio::join!(work, other);
    work.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(served < long && began.elapsed() >= long, "{served:?}");
}

#[tokio::test]
async fn a_page_that_lies_open_keeps_no_session_alive_and_does_not_outlive_it() {
    let site = Site::new().await;
    let store = &site.shared.store;
    let now = clock::now();
    let vantage = Vantage { site: Place("office".into()), name: "here".into() };
    store.begin_scan(&vantage, now, "connect", &["x".into()], "watch").await.unwrap();
    let since = now.plus_seconds(-1_500);
    let token = site.session_since(Role::Viewer, since).await;
    let (user, _) = store.user("viewer").await.unwrap().unwrap();
    let used = async || {
        store.sessions(&user, site.shared.lasting(), clock::now()).await.unwrap()[0].used_at
    };
    let follow = Request::get("/scans/1/events")
        .header(header::COOKIE, format!("__Host-daicho={token}"))
        .header(header::ACCEPT, "text/event-stream");
    let follow = site.send(follow.body(Body::empty()).unwrap());
    let leave = async {
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(used().await, since);
        // A person's request is a use.
        assert_eq!(site.get("/account", Some(&token)).await.status, StatusCode::OK);
        assert!(used().await >= now);
        let hash = token_hash(&token);
        let lasting = site.shared.lasting();
        let silent = inventory::store::Use::Silent;
        let session = store.session(&hash, lasting, silent, clock::now()).await.unwrap().unwrap();
        store.sign_out(&session, clock::now()).await.unwrap();
    };
    let both = async { tokio::join!(follow, leave) };
    let (followed, ()) = timeout(Duration::from_secs(15), both).await.unwrap();
    assert_eq!(followed.status, StatusCode::OK);
    assert!(followed.text.ends_with("event: end\ndata: over\n\n"), "{}", followed.text);
}
