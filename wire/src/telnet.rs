//! Telnet commands in a stream (RFC 854, RFC 855).
//!
//! Separates what a server prints from the options it wants to negotiate, and refuses
//! all of them: the answer to DO is WONT and to WILL is DONT, which every terminal may
//! say (RFC 854, page 2). It knows one option by name: that which begins TLS.

/// Interpret as command.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// START_TLS: 46 in the IANA registry, from draft-altman-telnet-starttls.
pub const START_TLS: u8 = 46;

/// Our offer to begin TLS. Who knows it answers with DO, who does not with DONT.
pub const OFFER_TLS: [u8; 3] = [IAC, WILL, START_TLS];

/// Either side says with it that its next byte is one of TLS: FOLLOWS.
pub const TLS_FOLLOWS: [u8; 6] = [IAC, SB, START_TLS, 1, IAC, SE];

/// What a server sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Heard {
    /// What it prints, without commands.
    pub text: Vec<u8>,
    /// Options that it asks us to switch on.
    pub wants: Vec<u8>,
    /// Options that it offers.
    pub offers: Vec<u8>,
    /// Options that it asks us to leave off.
    pub forbids: Vec<u8>,
    /// How many commands there were, of any kind.
    pub commands: usize,
}

impl Heard {
    /// The polite refusal of everything wanted and offered, each once.
    #[must_use]
    pub fn refusal(&self) -> Vec<u8> {
        let mut said = Vec::new();
        for (reply, options) in [(WONT, &self.wants), (DONT, &self.offers)] {
            let mut options = options.clone();
            options.sort_unstable();
            options.dedup();
            for option in options {
                said.extend([IAC, reply, option]);
            }
        }
        said
    }
}

/// Reads as far as the bytes go. A command cut at the end is left out.
#[must_use]
pub fn read(bytes: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let mut rest = bytes;
    loop {
        match rest {
            [] | [IAC] | [IAC, WILL | WONT | DO | DONT] => return heard,
            [IAC, IAC, after @ ..] => {
                heard.text.push(IAC);
                rest = after;
            }
            [IAC, verb @ (WILL | WONT | DO | DONT), option, after @ ..] => {
                heard.commands = heard.commands.saturating_add(1);
                match *verb {
                    DO => heard.wants.push(*option),
                    DONT => heard.forbids.push(*option),
                    WILL => heard.offers.push(*option),
                    _ => {}
                }
                rest = after;
            }
            [IAC, SB, after @ ..] => {
                heard.commands = heard.commands.saturating_add(1);
                let end = after.windows(2).position(|pair| pair == [IAC, SE]);
                rest = match end {
                    Some(end) => after.get(end.saturating_add(2)..).unwrap_or(&[]),
                    None => return heard,
                };
            }
            [IAC, _, after @ ..] => {
                heard.commands = heard.commands.saturating_add(1);
                rest = after;
            }
            [byte, after @ ..] => {
                heard.text.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], text: &[u8], refusal: &[u8]) {
        let heard = read(bytes);
        assert_eq!(heard.text, text);
        assert_eq!(heard.refusal(), refusal);
    }

    #[test]
    fn options_are_refused_and_text_is_kept() {
        check(b"login: ", b"login: ", b"");
        check(
            &[IAC, DO, 24, IAC, DO, 32, IAC, WILL, 3, b'h', b'i', IAC, DO, 24],
            b"hi",
            &[IAC, WONT, 24, IAC, WONT, 32, IAC, DONT, 3],
        );
        check(&[b'a', IAC, SB, 24, 1, IAC, SE, b'b'], b"ab", b"");
        check(&[b'a', IAC, IAC, b'b', IAC, 241], &[b'a', IAC, b'b'], b"");
        assert_eq!(read(&[IAC, DONT, START_TLS]).forbids, [START_TLS]);
    }

    #[test]
    fn every_cut_says_what_is_whole() {
        let whole = [b'x', IAC, DO, 1, IAC, SB, 5, 6, IAC, SE, b'y'];
        for len in 0..whole.len() {
            let heard = read(&whole[..len]);
            assert!(heard.text.len() <= 1 && heard.wants.len() <= 1, "{len}");
        }
        assert_eq!(read(&whole).text, b"xy");
    }

    proptest! {
        #[test]
        fn nothing_panics_or_grows(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let heard = read(&bytes);
            prop_assert!(heard.text.len() <= bytes.len());
            prop_assert!(heard.refusal().len() <= bytes.len().max(3));
        }
    }
}
