//! Servers of our own: the first flight of SSL 2.0 to TLS 1.2, in the clear, as servers sent
//! it that no library makes any more. They never finish a handshake, and need no key for it.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// No server of the lab lives longer, whatever becomes of its test. With other tools asked it
/// takes minutes.
const LIFE: Duration = Duration::from_secs(600);

/// How long a server waits for a client to go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a client asked for.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    /// Whether it came in a record of SSL 2.0.
    pub(crate) framed: bool,
    /// The bytes of the message.
    pub(crate) length: usize,
    pub(crate) version: u16,
    pub(crate) suites: Vec<u16>,
    pub(crate) extensions: BTreeMap<u16, Vec<u8>>,
}

impl Hello {
    fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut start = [0; 2];
        stream.read_exact(&mut start)?;
        let framed = start[0] & 0x80 != 0;
        if framed {
            let length = usize::from(u16::from_be_bytes([start[0] & 0x7f, start[1]]));
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            // Type, version, then three lengths, of which the first is that of the suites.
            let version = u16::from_be_bytes([body[1], body[2]]);
            let suites = usize::from(u16::from_be_bytes([body[3], body[4]]));
            let suites = body[9..9 + suites].chunks(3).filter(|kind| kind[0] == 0);
            let suites = suites.map(|kind| u16::from_be_bytes([kind[1], kind[2]])).collect();
            return Ok(Self { framed, length, version, suites, ..Self::default() });
        }
        let mut rest = [0; 3];
        stream.read_exact(&mut rest)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([rest[1], rest[2]]))];
        stream.read_exact(&mut body)?;
        Ok(parse(&body).unwrap_or_default())
    }

    /// The name that it asked for.
    pub(crate) fn name(&self) -> Option<String> {
        let name = self.extensions.get(&0)?.get(5..)?;
        String::from_utf8(name.to_vec()).ok()
    }
}

/// Reads a ClientHello. It is one of ours, so what is missing is not there.
pub(crate) fn parse(body: &[u8]) -> Option<Hello> {
    let number = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().unwrap()));
    let version = number(4)?;
    let mut at = 38 + 1 + usize::from(*body.get(38)?);
    let length = usize::from(number(at)?);
    let suites = body.get(at + 2..at + 2 + length)?.chunks(2);
    let suites = suites.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    at += 2 + length;
    at += 1 + usize::from(*body.get(at)?) + 2;
    let mut extensions = BTreeMap::new();
    while let (Some(kind), Some(length)) = (number(at), number(at + 2)) {
        let data = body.get(at + 4..at + 4 + usize::from(length))?;
        extensions.insert(kind, data.to_vec());
        at += 4 + usize::from(length);
    }
    Some(Hello { framed: false, length: body.len(), version, suites, extensions })
}

/// What a server does with a hello.
pub(crate) enum Answer {
    /// Says this and waits.
    Say(Vec<u8>),
    /// Says this, each byte in a packet of its own.
    Trickle(Vec<u8>),
    /// Closes without a word.
    HangUp,
}

/// A fatal alert of that number.
pub(crate) fn refusal(alert: u8) -> Answer {
    Answer::Say(vec![21, 3, 1, 0, 2, 2, alert])
}

/// A server, ended when it goes out of scope.
pub(crate) struct Own {
    pub(crate) port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Own {
    /// Starts one that does this with each hello.
    pub(crate) fn start(answer: impl Fn(&Hello) -> Answer + Send + 'static) -> Self {
        Self::serve(move |mut stream| {
            let hello = Hello::read(&mut stream)?;
            match answer(&hello) {
                Answer::Say(bytes) => stream.write_all(&bytes)?,
                Answer::Trickle(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte])?;
                    }
                }
                Answer::HangUp => return Ok(()),
            }
            stream.read_to_end(&mut Vec::new()).map(drop)
        })
    }

    /// Starts one that does this with each connection, one after the other.
    pub(crate) fn serve(attend: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let began = Instant::now();
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) && began.elapsed() < LIFE {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                // A client that leaves early is no matter.
                let _ = attend(stream);
            }
        });
        Self { port, over, thread: Some(thread) }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn u24(length: usize) -> [u8; 3] {
    let [_, high, middle, low] = u32::try_from(length).unwrap().to_be_bytes();
    [high, middle, low]
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u24(body.len()), body].concat()
}

/// Records of these contents, each of at most `size` bytes.
pub(crate) fn records(version: u16, size: usize, contents: &[u8]) -> Vec<u8> {
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22][..], &version.to_be_bytes(), &length, part].concat()
    };
    contents.chunks(size).flat_map(record).collect()
}

/// A ServerHello with these extensions.
pub(crate) fn server_hello(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body =
        [&version.to_be_bytes()[..], &[7; 32], &[0], &suite.to_be_bytes(), &[0]].concat();
    if !extensions.is_empty() {
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
    }
    message(2, &body)
}

/// A Certificate message.
pub(crate) fn certificate(chain: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = chain.iter().flat_map(|der| [&u24(der.len()), *der].concat()).collect();
    message(11, &[&u24(list.len())[..], &list].concat())
}

/// A ServerKeyExchange over a prime of so many bits, with a signature that is noise.
pub(crate) fn dhe(bits: usize) -> Vec<u8> {
    let length = u16::try_from(bits / 8).unwrap().to_be_bytes();
    let number = vec![0xff; bits / 8];
    message(12, &[&length[..], &number, &[0, 1, 2], &length, &number, &[4, 1, 0, 2, 9, 9]].concat())
}

/// A whole first flight: ServerHello, Certificate, these messages, ServerHelloDone.
pub(crate) fn flight(version: u16, suite: u16, chain: &[&[u8]], more: &[Vec<u8>]) -> Vec<u8> {
    let hello = server_hello(version, suite, &[]);
    [hello, certificate(chain), more.concat(), message(14, &[])].concat()
}
