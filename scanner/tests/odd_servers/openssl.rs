//! OpenSSL's `s_server` as a server of the lab.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use certs::hello::ServerName;
use scanner::probe::tls::Served;

use crate::{
    collect,
    identity::{Identity, text},
};

/// Every suite that OpenSSL still has, at any strength.
pub(crate) const LOW: &str = "ALL:@SECLEVEL=0";

/// A server, ended when it goes out of scope.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one on a free port of loopback, for at most 500 connections.
    pub(crate) fn start(identity: &Identity, arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", identity, arguments)
    }

    /// Starts one there.
    pub(crate) fn start_at(place: &str, identity: &Identity, arguments: &[&str]) -> Self {
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", place, "-naccept", "500"])
            .args(["-cert", text(&identity.certificate), "-key", text(&identity.key)])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the openssl command is installed");
        let output = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        // `ACCEPT 127.0.0.1:40123`, once it listens; without the place where that was given.
        let port = lines.find_map(|line| {
            let chosen = line.strip_prefix("ACCEPT")?;
            let place = if chosen.is_empty() { place } else { chosen };
            place.rsplit(':').next()?.parse().ok()
        });
        // It must not stop on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(port) = port else {
            let status = process.wait();
            panic!("openssl s_server {}: {status:?}", arguments.join(" "));
        };
        Self { process, port }
    }

    pub(crate) fn ask(&self, names: &[&str]) -> Served {
        let names = names.iter().map(|name| ServerName::new(name).expect("a host name"));
        collect(self.port, names)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
