//! What is cut, flipped and shuffled: nothing panics, nothing grows, nobody is invented.

use std::{collections::BTreeSet, net::IpAddr};

use model::{Fact, PortState, Timestamp};
use scanner::capture::{LinkType, MEMORY};

use super::{capture, corpus, files, frames, listen};

/// Numbers that are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }
}

type Frames = Vec<(LinkType, Timestamp, Vec<u8>)>;

/// Who accepts connections.
fn servers(frames: &Frames) -> BTreeSet<(IpAddr, u16)> {
    let mut capture = capture();
    let told = listen(&mut capture, frames);
    assert!(capture.memory() <= MEMORY);
    told.iter()
        .filter_map(|o| match (&o.subject, &o.fact) {
            (model::Subject::Endpoint(e), Fact::PortState(PortState::Open)) => {
                Some((e.address, e.port))
            }
            _ => None,
        })
        .collect()
}

/// Whether an address stands in a frame as its sender does, before the port.
fn stands_in(frame: &[u8], address: IpAddr, port: u16) -> bool {
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let places = frame.windows(octets.len()).enumerate().filter(|(_, bytes)| *bytes == octets);
    places.into_iter().any(|(at, _)| {
        let rest = &frame[at..];
        rest.windows(2).any(|two| two == port.to_be_bytes())
    })
}

/// Every capture of the corpus of at most so many bytes: the large ones say no more.
const LARGEST: u64 = 4 << 20;

#[test]
fn damage_is_borne_and_invents_no_server() {
    let Some(folder) = corpus() else { return };
    let mut paths = Vec::new();
    for name in ["zeek", "tcpdump", "wireshark"] {
        files(&folder.join(name), &mut paths);
    }
    let mut numbers = Numbers(7);
    let (mut read, mut cut_servers, mut shuffled_more) = (0, 0, Vec::new());
    for path in &paths {
        if path.metadata().unwrap().len() > LARGEST {
            continue;
        }
        let Ok(whole) = frames(path) else { continue };
        read += 1;
        let sound = servers(&whole);
        // Cut as a snapshot length cuts: what is left of a frame tells of nobody else.
        let mut cut = whole.clone();
        for (_, _, bytes) in &mut cut {
            bytes.truncate(numbers.below(bytes.len() + 1));
        }
        let found = servers(&cut);
        cut_servers += found.len();
        // Without the words that were cut another protocol may be known by the rest, but never
        // of somebody who sent nothing.
        for (address, port) in found.difference(&sound) {
            let sent = whole.iter().any(|(_, _, bytes)| stands_in(bytes, *address, *port));
            assert!(sent, "{}: {address} {port}", path.display());
        }
        // Some bytes of each frame are others.
        let mut flipped = whole.clone();
        for (_, _, bytes) in &mut flipped {
            for _ in 0..3 {
                let at = numbers.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
        servers(&flipped);
        // In any order, with the times that they have.
        let mut shuffled = whole;
        for n in (1..shuffled.len()).rev() {
            shuffled.swap(n, numbers.below(n + 1));
        }
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let more: Vec<_> = servers(&shuffled).difference(&sound).copied().collect();
        shuffled_more.extend(more.into_iter().map(|server| (name.clone(), server)));
    }
    println!(
        "damage: {read} captures; {cut_servers} servers left in cut ones, {} more than before in \
         shuffled ones",
        shuffled_more.len()
    );
    assert!(read > 1_000, "{read}");
    // Those that are more are servers, which their captures hide where the order is sound: made
    // up sequence numbers part what they say from what came before (the first), and a segment that
    // a fuzzer gave every flag looks as if the server began (the second). In another order an
    // answer stands first.
    let more: Vec<(&str, &str)> = vec![
        ("zeek/Traces/modbus/fuzz-1011.pcap", "10.10.5.104:502"),
        ("zeek/Traces/modbus/fuzz-72.pcap", "166.161.16.230:502"),
    ];
    let found: Vec<(&str, String)> = shuffled_more
        .iter()
        .map(|(name, (address, port))| (name.as_str(), format!("{address}:{port}")))
        .collect();
    let found: Vec<(&str, &str)> =
        found.iter().map(|(name, server)| (*name, server.as_str())).collect();
    assert_eq!(found, more);
}
