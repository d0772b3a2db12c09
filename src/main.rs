//! The command line. Everything meets here and nothing is decided here.

fn main() {}
