//! What the tests of the probes share.

use super::Talk;

/// A conversation that came to this.
pub(crate) fn talk(heard: &[Vec<u8>], ended: bool) -> Talk<'_> {
    Talk {
        address: std::net::IpAddr::from([192, 0, 2, 1]),
        port: 7,
        tls: false,
        server_name: None,
        cookie: 0x0a0b_0c0d,
        heard,
        ended,
    }
}

/// The same, of text.
pub(crate) fn heard(turns: &[&str]) -> Vec<Vec<u8>> {
    turns.iter().map(|turn| turn.as_bytes().to_vec()).collect()
}
