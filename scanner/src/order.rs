//! The order of questions: keyed, invertible, and held in a few words of memory.
//!
//! Nothing here is a secret that protects anything: the order spreads questions over a
//! network so that neighbours, and what is behind one switch, do not get theirs together,
//! and maps a number back to its place, so that one bit for each number answers "seen?".
//! Answers prove themselves by cookies (`net::raw_cookie`). That is why the rounds are
//! cheap: the same steps run in the kernel, where the program of `net::xdp` makes the
//! packets by itself.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::plan::Key;

/// How many rounds a [`Permutation`] has. Three would do against one who only watches
/// (Luby and Rackoff, 1988); four weak ones were once shown to clump in another scanner.
pub(crate) const ROUNDS: usize = 6;

/// The multipliers of a round: odd, and with bits spread evenly (the fractional part of the
/// golden ratio, and a prime that passes the tests below in this place).
pub(crate) const MULTIPLIERS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

/// A keyed order of the numbers below `size`: each comes once, and from one the next
/// cannot be foreseen without the key. A *turn* makes another order of the same key.
///
/// A balanced Feistel network (Luby and Rackoff, 1988) over the smallest even number of
/// bits that holds `size`, walking on while the outcome lies outside (Black and Rogaway,
/// "Ciphers with Arbitrary Finite Domains", 2002, section 5): less than four steps on
/// average. A round multiplies twice and takes the upper bits.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    size: u64,
    half: u32,
    rounds: [u64; ROUNDS],
}

impl Permutation {
    /// The order of the numbers below `size` that belongs to `key`. At most 2^62.
    #[must_use]
    pub fn new(key: Key, size: u64) -> Self {
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        let half = bits.div_ceil(2).clamp(1, 31);
        let round = |number: usize| {
            let mut hasher = SipHasher13::new_with_key(&key);
            hasher.write_u64(size);
            hasher.write_usize(number);
            hasher.finish()
        };
        Self { size, half, rounds: std::array::from_fn(round) }
    }

    /// How many numbers.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bits of each half, and the keys of the rounds: all that another machine needs to
    /// make the same order.
    pub(crate) const fn parts(&self) -> (u32, &[u64; ROUNDS]) {
        (self.half, &self.rounds)
    }

    /// The number at that place of the order. Places at or behind the size give themselves.
    #[must_use]
    pub const fn at(&self, place: u64) -> u64 {
        self.at_turn(place, 0)
    }

    /// The place at which that number comes, the reverse of [`Permutation::at`].
    #[must_use]
    pub const fn place(&self, number: u64) -> u64 {
        self.place_in_turn(number, 0)
    }

    /// The number at that place of that turn's order.
    #[must_use]
    pub const fn at_turn(&self, place: u64, turn: u32) -> u64 {
        if place >= self.size {
            return place;
        }
        // A permutation of the larger domain comes back into the smaller one at the
        // latest where it began, so this ends.
        let mut value = self.forward(place, turn);
        while value >= self.size {
            value = self.forward(value, turn);
        }
        value
    }

    /// The reverse of [`Permutation::at_turn`].
    #[must_use]
    pub const fn place_in_turn(&self, number: u64, turn: u32) -> u64 {
        if number >= self.size {
            return number;
        }
        let mut value = self.backward(number, turn);
        while value >= self.size {
            value = self.backward(value, turn);
        }
        value
    }

    const fn forward(&self, value: u64, turn: u32) -> u64 {
        let [mut left, mut right] = self.split(value);
        let mut round = 0;
        while round < ROUNDS {
            [left, right] = [right, left ^ self.mix(round, turn, right)];
            round += 1;
        }
        (left << self.half) | right
    }

    const fn backward(&self, value: u64, turn: u32) -> u64 {
        let [mut left, mut right] = self.split(value);
        let mut round = ROUNDS;
        while round > 0 {
            round -= 1;
            [left, right] = [right ^ self.mix(round, turn, left), left];
        }
        (left << self.half) | right
    }

    const fn mask(&self) -> u64 {
        (1 << self.half) - 1
    }

    const fn split(&self, value: u64) -> [u64; 2] {
        [(value >> self.half) & self.mask(), value & self.mask()]
    }

    const fn mix(&self, round: usize, turn: u32, value: u64) -> u64 {
        let mut x = (value | ((turn as u64) << 32)) ^ self.rounds[round];
        x = x.wrapping_mul(MULTIPLIERS[0]);
        x ^= x >> 32;
        x = x.wrapping_mul(MULTIPLIERS[1]);
        (x >> 32) & self.mask()
    }
}

/// The order of the questions "address × port": every question once, each round one
/// question to every address, so that an address gets its questions at even distances.
///
/// Where `R` packets a second go to `H` addresses, no second holds more than `R / H + 2` to
/// one of them, whatever the key.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    addresses: Permutation,
    ports: Permutation,
}

impl Order {
    /// The order of `addresses × ports` questions that belongs to `key`. A question's number
    /// is that of its port times the number of addresses, and that of its address.
    #[must_use]
    pub fn new(key: Key, addresses: u64, ports: u64) -> Self {
        Self {
            addresses: Permutation::new(key, addresses),
            // Of another size, or turned: never the same order as that of the addresses.
            ports: Permutation::new(key.map(|byte| !byte), ports),
        }
    }

    /// How many questions.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.addresses.size.saturating_mul(self.ports.size)
    }

    /// The orders of which it is made: of addresses (turned by the round) and of ports.
    pub(crate) const fn parts(&self) -> (&Permutation, &Permutation) {
        (&self.addresses, &self.ports)
    }

    /// The numbers of the address and of the port that are asked at that place. `None` at or
    /// behind the size.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<(u64, u64)> {
        let round = place.checked_div(self.addresses.size)?;
        if round >= self.ports.size {
            return None;
        }
        let turn = turn(round);
        Some((self.addresses.at_turn(place % self.addresses.size, turn), self.ports.at(round)))
    }

    /// The place at which that port of that address is asked.
    #[must_use]
    pub fn place(&self, address: u64, port: u64) -> u64 {
        let round = self.ports.place(port);
        let within = self.addresses.place_in_turn(address, turn(round));
        round.saturating_mul(self.addresses.size).saturating_add(within)
    }
}

/// The turn of a round; there are never more than 2 × 65,536 ports.
fn turn(round: u64) -> u32 {
    u32::try_from(round).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_once(key: [u8; 16], size in 1_u64..3_000, turn in 0_u32..300) {
            let order = Permutation::new(key, size);
            let mut seen = vec![false; usize::try_from(size).unwrap()];
            for place in 0..size {
                let number = order.at_turn(place, turn);
                prop_assert!(number < size);
                prop_assert_eq!(order.place_in_turn(number, turn), place);
                prop_assert!(!std::mem::replace(&mut seen[usize::try_from(number).unwrap()], true));
            }
        }

        #[test]
        fn large_orders_lead_back(key: [u8; 16], size in 1_u64..=1 << 62, at: u64) {
            let place = at % size;
            let order = Permutation::new(key, size);
            prop_assert_eq!(order.place(order.at(place)), place);
        }

        #[test]
        fn every_question_comes_once_and_every_address_in_each_round(
            key: [u8; 16],
            addresses in 1_u64..80,
            ports in 1_u64..40,
        ) {
            let order = Order::new(key, addresses, ports);
            let mut seen = std::collections::BTreeSet::new();
            for round in 0..ports {
                let mut asked = std::collections::BTreeSet::new();
                for within in 0..addresses {
                    let place = round * addresses + within;
                    let (address, port) = order.at(place).unwrap();
                    prop_assert!(address < addresses && port < ports);
                    prop_assert_eq!(order.place(address, port), place);
                    prop_assert!(asked.insert(address) && seen.insert((address, port)));
                }
            }
            prop_assert_eq!(order.at(order.size()), None);
        }
    }

    /// Pearson's chi-squared of the /24 networks that come within the first part of a
    /// /16's order, and of the distance from one to the next.
    #[test]
    fn the_order_does_not_clump() {
        for seed in 0..32_u8 {
            let order = Permutation::new([seed; 16], 65_536);
            let turn = u32::from(seed);
            let picks: Vec<u64> = (0..16_384).map(|place| order.at_turn(place, turn)).collect();
            let mut by_net = [0_f64; 256];
            let mut by_step = [0_f64; 256];
            for pair in picks.windows(2) {
                by_net[usize::try_from(pair[0] >> 8).unwrap()] += 1.0;
                let step = pair[1].wrapping_sub(pair[0]) & 0xffff;
                by_step[usize::try_from(step >> 8).unwrap()] += 1.0;
            }
            for counts in [by_net, by_step] {
                let chi: f64 = counts.iter().map(|n| (n - 64.0).powi(2) / 64.0).sum();
                // 255 degrees of freedom: mean 255, standard deviation 22.6. Drawing
                // without putting back lowers the first by a quarter.
                assert!((130.0..370.0).contains(&chi), "key {seed}: {chi}");
            }
        }
    }

    #[test]
    fn another_key_or_turn_is_another_order() {
        let one = Permutation::new([1; 16], 1_000);
        let other = Permutation::new([2; 16], 1_000);
        assert!((0..1_000).filter(|place| one.at(*place) == other.at(*place)).count() < 20);
        assert!((0..1_000).filter(|place| one.at(*place) == one.at_turn(*place, 1)).count() < 20);
        assert!((0..1_000).all(|p| one.at(p) == Permutation::new([1; 16], 1_000).at(p)));
    }
}
