//! The whole program, tested from the outside, and the rules of its house.

mod architecture;
