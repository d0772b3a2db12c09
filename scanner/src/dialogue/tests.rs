//! The driver against small servers on the loopback: friendly, slow, hostile.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::{AddressRange, Endpoint, Fact, Observation, Service, Site, Vantage};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    net::clock::Clock,
    rate::{Pacer, Rates},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A driver in a hurry.
fn dialogue(rates: Rates) -> Dialogue {
    let clock = Clock::start();
    Dialogue {
        scope: Arc::new(Scope::new(vec![AddressRange::single(HERE)], vec![])),
        vantage: Vantage { site: Site("test".into()), name: "here".into() },
        limits: Limits {
            time: Duration::from_millis(600),
            banner: Duration::from_millis(60),
            ..Limits::default()
        },
        pace: Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), clock),
        stop: Stop::new(),
        except: Vec::new(),
        control_systems: ControlSystems::LeaveAlone,
    }
}

fn fast() -> Dialogue {
    dialogue(Rates { total: 100_000, per_host: 100_000, ..Rates::default() })
}

/// A server that does this with each connection. Returns its port.
async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket));
        }
    });
    port
}

/// Talks with these ports; what was learned, and the rest.
async fn talk(dialogue: &Dialogue, ports: &[u16]) -> (Vec<Observation>, Outcome) {
    let open = ports.iter().map(|port| Open::at(Endpoint::tcp(HERE, *port))).collect();
    let mut observations = Vec::new();
    let outcome = dialogue.converse(open, &mut |o| observations.push(o), &mut |_, _| {}).await;
    (observations, outcome)
}

fn services(observations: &[Observation]) -> Vec<&Service> {
    let service = |o: &'_ Observation| matches!(o.fact, Fact::Service(_));
    let services = observations.iter().filter(|o| service(o));
    services
        .map(|o| match &o.fact {
            Fact::Service(service) => service,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_mail_server_on_an_odd_port_is_recognised_and_left_politely() {
    let said = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&said);
    let port = serve(move |mut socket| {
        let log = Arc::clone(&log);
        async move {
            socket.write_all(b"220 mail.example.org ESMTP Postfix\r\n").await.unwrap();
            let mut bytes = [0; 500];
            loop {
                let len = socket.read(&mut bytes).await.expect("no reset");
                if len == 0 {
                    log.lock().unwrap().push_str("<end>");
                    return;
                }
                let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
                log.lock().unwrap().push_str(&text);
                let answer: &[u8] = if text.starts_with("EHLO") {
                    b"250-mail.example.org\r\n250 STARTTLS\r\n"
                } else {
                    b"221 bye\r\n"
                };
                socket.write_all(answer).await.unwrap();
            }
        }
    })
    .await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?}") };
    assert_eq!((service.protocol.as_str(), service.product.as_deref()), ("smtp", Some("Postfix")));
    assert_eq!(service.attributes["starttls"], "yes");
    assert!(observations[0].evidence.starts_with(b"220 mail.example.org"));
    assert_eq!((outcome.conversations, outcome.complete), (1, true));
    assert_eq!(outcome.gaps, []);
    // Its certificate is behind STARTTLS, and nobody has asked for it yet.
    assert_eq!(outcome.starttls, [(Endpoint::tcp(HERE, port), Starttls::Smtp)]);
    assert_eq!(outcome.tls, []);
    // The server's task ends after ours: its last line is waited for, not slept for.
    while !said.lock().unwrap().ends_with("<end>") {
        tokio::task::yield_now().await;
    }
    assert_eq!(*said.lock().unwrap(), "EHLO daicho.invalid\r\nQUIT\r\n<end>");
}

#[tokio::test]
async fn a_silent_server_costs_its_limits_and_is_a_gap() {
    let port = serve(|socket| async move {
        let mut socket = socket;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let dialogue = fast();
    let start = dialogue.pace.clock().now();
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    assert_eq!(observations, []);
    assert_eq!(outcome.gaps.len(), 1, "{outcome:?}");
    assert!(outcome.complete);
    assert_eq!(outcome.conversations, 2);
    let took = dialogue.pace.clock().now() - start;
    assert!(took < dialogue.limits.time * 4, "{took:?}");
}

#[tokio::test]
async fn a_reset_is_a_gap() {
    let port = serve(|socket| async move {
        let _ = socket.set_zero_linger();
    })
    .await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    assert_eq!(observations, []);
    assert_eq!(outcome.gaps.len(), 1, "{outcome:?}");
}

#[tokio::test]
async fn a_closed_port_is_a_gap_after_one_connection() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (_, outcome) = talk(&fast(), &[port]).await;
    assert_eq!(outcome.conversations, 1);
    assert!(outcome.gaps[0].reason.starts_with("it is not reachable any more"), "{outcome:?}");
}

#[tokio::test]
async fn a_slow_banner_is_read_to_its_end() {
    let port = serve(|mut socket| async move {
        let _ = socket.set_nodelay(true);
        for byte in b"SSH-2.0-Slow_1.0\r\n" {
            let _ = socket.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (observations, _) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?}") };
    assert_eq!((service.protocol.as_str(), service.product.as_deref()), ("ssh", Some("Slow")));
}

#[tokio::test]
async fn a_tarpit_costs_one_limit_and_its_bytes_are_kept() {
    let port = serve(|mut socket| async move {
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let dialogue = fast();
    let start = dialogue.pace.clock().now();
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    let took = dialogue.pace.clock().now() - start;
    let [service] = services(&observations)[..] else { panic!("{observations:?}") };
    assert_eq!(service.protocol, "unknown");
    assert!(observations[0].evidence.starts_with(b"xx"));
    assert_eq!(outcome.conversations, 1);
    assert!(took < dialogue.limits.time * 2, "{took:?}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_called_so() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let port = serve(move |mut socket| {
        let count = Arc::clone(&count);
        async move {
            let block = [b'A'; 4_096];
            // A gigabyte, unless we leave.
            for _ in 0..250_000 {
                if socket.write_all(&block).await.is_err() {
                    return;
                }
                count.fetch_add(block.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    let dialogue = fast();
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    assert_eq!(services(&observations)[0].protocol, "unknown");
    assert!(
        observations.iter().any(|o| matches!(&o.fact, Fact::Anomaly { problem, .. }
            if problem == "says more than 65536 bytes")),
        "{observations:?}"
    );
    assert!(observations.iter().all(|o| o.evidence.len() <= Observation::MAX_EVIDENCE));
    assert_eq!(outcome.conversations, 1);
    // What the kernels on both sides hold comes on top of what we read.
    assert!(sent.load(Ordering::Relaxed) < 8 << 20);
}

const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 18\r\n\r\n<title>Hi</title>\r\n";

/// TLS for `localhost`, serving `PAGE` to each question.
fn tls_page() -> impl Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.unwrap())
        .unwrap();
    let config = Arc::new(config);
    move |mut socket| {
        let config = Arc::clone(&config);
        Box::pin(async move {
            let mut tls = rustls::ServerConnection::new(config).unwrap();
            let mut bytes = [0; 4_096];
            loop {
                let Ok(len @ 1..) = socket.read(&mut bytes).await else { return };
                tls.read_tls(&mut &bytes[..len]).unwrap();
                let processed = tls.process_new_packets();
                let mut question = Vec::new();
                let _ = std::io::Read::read_to_end(&mut tls.reader(), &mut question);
                if question.starts_with(b"GET ") {
                    std::io::Write::write_all(&mut tls.writer(), PAGE).unwrap();
                }
                let mut out = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut out).unwrap();
                }
                if socket.write_all(&out).await.is_err() || processed.is_err() {
                    return;
                }
            }
        })
    }
}

#[tokio::test]
async fn tls_on_an_odd_port_is_found_and_spoken_through() {
    let port = serve(tls_page()).await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?} {outcome:?}") };
    assert_eq!((service.protocol.as_str(), service.tls), ("http", true));
    assert_eq!(service.product.as_deref(), Some("nginx"));
    assert_eq!(service.attributes["title"], "Hi");
    assert_eq!(outcome.tls, [Endpoint::tcp(HERE, port)]);
}

#[tokio::test]
async fn a_complaint_about_plain_text_leads_to_tls() {
    let page = tls_page();
    let port = serve(move |mut socket| {
        let page = page(TcpStream::from_std(std::net::TcpStream::from(
            std::os::fd::OwnedFd::from(socket2::SockRef::from(&socket).try_clone().unwrap()),
        ))
        .unwrap());
        async move {
            let mut first = [0; 1];
            socket.peek(&mut first).await.unwrap();
            if first[0] == b'G' {
                let _ = socket.read(&mut [0; 500]).await;
                let text = "The plain HTTP request was sent to HTTPS port";
                let answer = format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len());
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
                let _ = socket.read_to_end(&mut Vec::new()).await;
            } else {
                page.await;
            }
        }
    })
    .await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?} {outcome:?}") };
    assert_eq!((service.protocol.as_str(), service.tls), ("http", true));
    assert_eq!(outcome.tls.len(), 1);
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_still_shows_its_icon() {
    let port = serve(|mut socket| async move {
        let mut bytes = [0; 1_000];
        let Ok(len) = socket.read(&mut bytes).await else { return };
        let answer: &[u8] = match bytes[..len].starts_with(b"GET /favicon.ico ") {
            true => b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nicon",
            false => b"HTTP/1.0 200 OK\r\nServer: Boa/0.94\r\n\r\n<title>Camera</title>",
        };
        let _ = socket.write_all(answer).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?} {outcome:?}") };
    assert_eq!(service.product.as_deref(), Some("Boa"));
    assert!(service.attributes.contains_key("favicon_mmh3"), "{service:?}");
    assert_eq!(outcome.conversations, 2);
}

/// How many connections are open, and how many were at most.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

async fn gauged(gauge: &Arc<Gauge>) -> u16 {
    let gauge = Arc::clone(gauge);
    serve(move |mut socket| {
        let gauge = Arc::clone(&gauge);
        let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.most.fetch_max(now, Ordering::SeqCst);
        async move {
            let _ = socket.write_all(b"SSH-1.5-x_1.0\r\n").await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
            gauge.now.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await
}

#[tokio::test]
async fn one_asset_gets_two_connections_at_once_and_no_more() {
    let gauge = Arc::new(Gauge::default());
    let mut ports = Vec::new();
    for _ in 0..12 {
        ports.push(gauged(&gauge).await);
    }
    let (observations, outcome) = talk(&fast(), &ports).await;
    assert_eq!(services(&observations).len(), 12, "{outcome:?}");
    assert_eq!(gauge.most.load(Ordering::SeqCst), 2);
}

/// A controller on its usual port: it answers its one question, in two pieces, and counts what
/// else it is told.
#[tokio::test]
async fn a_controller_is_asked_for_its_name_plate_where_that_is_allowed() {
    const PORT: u16 = 44_818;
    let listener = TcpListener::bind((HERE, PORT)).await.unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut question = [0; 24];
            socket.read_exact(&mut question).await.unwrap();
            log.lock().unwrap().push(question);
            let mut item = vec![1, 0, 0, 2, 0xaf, 0x12, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0];
            item.extend([1, 0, 14, 0, 55, 0, 20, 11, 0x30, 0, 0x78, 0x56, 0x34, 0x12, 8]);
            item.extend(b"1756-L71");
            let len = item.len() as u8;
            let mut answer = question.to_vec();
            answer[2] = len + 6;
            answer.extend([1, 0, 0x0c, 0, len, 0]);
            answer.extend(item);
            let (first, second) = answer.split_at(30);
            socket.write_all(first).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            socket.write_all(second).await.unwrap();
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest).await;
            assert_eq!(rest, [0; 0], "nothing but the question is said");
        }
    });
    let alone = fast();
    let (observations, outcome) = talk(&alone, &[PORT]).await;
    assert_eq!((observations.len(), outcome.left_alone.len()), (0, 1));
    assert_eq!(said.lock().unwrap().len(), 0);

    let allowed = Dialogue { control_systems: ControlSystems::Ask, ..fast() };
    let (observations, outcome) = talk(&allowed, &[PORT]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?}, {outcome:?}") };
    assert_eq!(service.protocol, "enip");
    assert_eq!(service.attributes.get("model").map(String::as_str), Some("1756-L71"));
    assert_eq!(said.lock().unwrap().len(), 1, "one connection");
}

#[tokio::test]
async fn a_printer_gets_one_connection_at_once_and_its_print_port_none() {
    let gauge = Arc::new(Gauge::default());
    let mut ports = vec![9_100];
    for _ in 0..6 {
        ports.push(gauged(&gauge).await);
    }
    let (observations, outcome) = talk(&fast(), &ports).await;
    assert_eq!(services(&observations).len(), 6);
    assert_eq!(gauge.most.load(Ordering::SeqCst), 1);
    assert_eq!(outcome.left_alone, [Endpoint::tcp(HERE, 9_100)]);
    assert!(outcome.complete && outcome.gaps.is_empty());
}

#[tokio::test]
async fn the_pace_is_kept() {
    let gauge = Arc::new(Gauge::default());
    let mut ports = Vec::new();
    for _ in 0..4 {
        ports.push(gauged(&gauge).await);
    }
    let rate = 50;
    let dialogue = dialogue(Rates { total: 1_000, per_host: rate, ..Rates::default() });
    let start = dialogue.pace.clock().now();
    let (observations, _) = talk(&dialogue, &ports).await;
    let took = dialogue.pace.clock().now() - start;
    assert_eq!(services(&observations).len(), 4);
    // SYN, ACK, one read, FIN, ACK, and the read of the end: at least six for each.
    let packets = dialogue.pace.packets();
    assert!(packets >= 20, "{packets}");
    // The first packets go at once; everything after them comes at the rate.
    let least = Duration::from_secs_f64((packets as f64 - 5.0) / f64::from(rate));
    assert!(took >= least, "{packets} packets in {took:?}");
}

#[tokio::test]
async fn a_store_that_hangs_up_on_browsers_is_asked_in_its_own_words() {
    let port = serve(|mut socket| async move {
        let mut bytes = [0; 500];
        let Ok(len) = socket.read(&mut bytes).await else { return };
        if bytes[..len].starts_with(b"*1\r\n$4\r\nPING") {
            let _ = socket.write_all(b"-NOAUTH Authentication required.\r\n").await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let (observations, outcome) = talk(&fast(), &[port]).await;
    let [service] = services(&observations)[..] else { panic!("{observations:?} {outcome:?}") };
    assert_eq!(service.product.as_deref(), Some("Redis"));
    assert_eq!(outcome.conversations, 3);
}

#[tokio::test]
async fn nothing_is_sent_out_of_scope() {
    let gauge = Arc::new(Gauge::default());
    let port = gauged(&gauge).await;
    let mut dialogue = fast();
    dialogue.scope =
        Arc::new(Scope::new(vec![AddressRange::single(HERE)], vec![AddressRange::single(HERE)]));
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    assert_eq!(observations, []);
    assert_eq!(outcome.gaps[0].reason, "127.0.0.1 is excluded");
    assert_eq!((outcome.conversations, dialogue.pace.packets()), (0, 0));
    assert_eq!(gauge.most.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stop_ends_it_with_a_gap() {
    let mut dialogue = fast();
    dialogue.limits.time = Duration::from_secs(3_600);
    dialogue.limits.banner = Duration::from_secs(3_600);
    let stop = dialogue.stop.clone();
    // The stop comes in the middle of the conversation: the server asks for it.
    let port = serve(move |mut socket| {
        let stop = stop.clone();
        async move {
            stop.by_signal(2);
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    assert_eq!(observations, []);
    assert!(!outcome.complete);
    assert_eq!(outcome.gaps[0].target, "1 endpoints");
    assert!(outcome.gaps[0].reason.contains("SIGINT"));
}

#[tokio::test]
async fn a_udp_reply_that_nobody_reads_is_kept() {
    let dialogue = fast();
    let open = Open { reply: Some(b"odd".to_vec()), ..Open::at(Endpoint::udp(HERE, 7)) };
    let mut observations = Vec::new();
    let outcome =
        dialogue.converse(vec![open], &mut |o| observations.push(o), &mut |_, _| {}).await;
    assert_eq!(services(&observations)[0].protocol, "unknown");
    assert_eq!(observations[0].evidence, b"odd");
    assert_eq!((outcome.conversations, dialogue.pace.packets()), (0, 0));
}

#[test]
fn a_reply_on_an_unknown_port_says_whether_it_is_worth_a_conversation() {
    let named = |reply: &[u8], except: &[String]| -> Vec<&str> {
        super::order::answered_with(reply, except).iter().map(|probe| probe.protocol()).collect()
    };
    // A HelloVerifyRequest, and a list of versions.
    let verify = [&[22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 3, 0, 0, 3][..], &[0; 5]].concat();
    let verify = [&verify[..], &[0, 0, 3, 254, 255, 0]].concat();
    assert_eq!(named(&verify, &[]), ["dtls"]);
    let versions = [&[0x80, 0, 0, 0, 0, 1, 7, 1, 8][..], &[0, 0, 0, 1]].concat();
    assert_eq!(named(&versions, &[]), ["quic"]);
    assert_eq!(named(&versions, &["quic".to_owned()]), Vec::<&str>::new());
    assert_eq!(named(b"odd", &[]), Vec::<&str>::new());
}

#[tokio::test]
async fn a_protocol_that_is_not_allowed_is_not_spoken() {
    let gauge = Arc::new(Gauge::default());
    let port = gauged(&gauge).await;
    let mut dialogue = fast();
    dialogue.except = vec!["ssh".into(), "http".into()];
    let (observations, outcome) = talk(&dialogue, &[port]).await;
    assert_eq!(observations, []);
    assert_eq!(outcome.gaps.len(), 1);
    assert_eq!(outcome.conversations, 0);
}
