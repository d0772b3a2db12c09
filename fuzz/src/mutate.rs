//! Damage: from a valid message to one that a broken or hostile sender would send.
//!
//! A small generator of our own, so that the same seed gives the same inputs on every
//! machine and for ever: a failure that is reported can be made again.

/// A xorshift generator (Marsaglia, "Xorshift RNGs", 2003; the 64-bit triple 13, 7, 17).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts at a seed. Zero, which the generator cannot leave, counts as one.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, or zero where `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        // The remainder of a 64-bit number is below `end`, so it fits again.
        self.roll().checked_rem(end).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[3]
    }
}

/// How long an input may become.
pub const LONGEST: usize = 64 << 10;

/// Values that length and count fields break at.
const EXTREMES: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x84];

/// One input: a seed with one to four kinds of damage.
pub fn damaged(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.below(4) {
        damage(&mut bytes, seeds, dice);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn damage(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    match dice.below(10) {
        // A flipped bit.
        0 | 1 => {
            let bit = 1 << dice.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
        // Another byte.
        2 => {
            let value = dice.byte();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        // An extreme in one, two or four bytes, as in a length field.
        3 | 4 => {
            let value = EXTREMES[dice.below(EXTREMES.len())];
            let fill = if dice.below(2) == 0 { value } else { 0xff };
            let width = 1 << dice.below(3);
            for (n, byte) in bytes.iter_mut().skip(at).take(width).enumerate() {
                *byte = if n == 0 { value } else { fill };
            }
        }
        // A cut.
        5 => bytes.truncate(at),
        // A piece that comes twice, or many times.
        6 => {
            let len = 1 + dice.below(16);
            let piece: Vec<u8> = bytes.iter().skip(at).take(len).copied().collect();
            let times = if dice.below(16) == 0 { 2_000 } else { 1 + dice.below(3) };
            let end = at + piece.len();
            bytes.splice(end..end, piece.repeat(times));
        }
        // The head of this one and the tail of another.
        7 => {
            let other = seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(dice.below(other.len())..).unwrap_or_default());
        }
        // Something left out.
        8 => {
            let end = (at + 1 + dice.below(8)).min(bytes.len());
            bytes.drain(at..end);
        }
        // Something put in.
        _ => {
            let noise: Vec<u8> = (0..=dice.below(8)).map(|_| dice.byte()).collect();
            bytes.splice(at..at, noise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_damage() {
        let seeds = [b"one message".to_vec(), b"and another one".to_vec()];
        let run = |seed| {
            let mut dice = Dice::new(seed);
            (0..500).map(|_| damaged(&seeds, &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let different: std::collections::BTreeSet<_> = run(7).into_iter().collect();
        assert!(different.len() > 400, "{}", different.len());
    }

    #[test]
    fn nothing_and_too_much_are_borne() {
        let mut dice = Dice::new(0);
        for _ in 0..500 {
            assert!(damaged(&[], &mut dice).len() <= LONGEST);
            assert!(damaged(&[Vec::new()], &mut dice).len() <= LONGEST);
            assert!(damaged(&[vec![7; LONGEST + 9]], &mut dice).len() <= LONGEST);
        }
    }
}
