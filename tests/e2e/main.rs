//! The whole program, tested from the outside, and the rules of its house.

mod alert;
mod architecture;
mod bad_input;
mod before_tls;
mod browser;
mod cli;
mod files;
mod hello;
mod home;
mod import;
mod keep;
mod lab;
mod lasting;
mod listen;
mod mirror;
#[cfg(feature = "oidc")]
mod oidc;
mod parts;
mod privacy;
mod quic;
mod refresh;
mod reload;
mod rivals;
mod robust;
mod rotation;
mod search;
mod serve;
mod story;
mod talk;
mod trust;
mod watch;
mod web;
