//! The whole program, tested from the outside.
