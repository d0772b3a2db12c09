//! What other tools obtain from the same servers, for the columns behind ours. They are asked
//! only where `DAICHO_PEERS` is set: that takes minutes, and proves nothing about us. Servers of
//! our own never finish a handshake, and a tool that prints only after one gets nothing there.

use std::{
    collections::BTreeSet,
    env,
    process::{Command, Stdio},
};

/// A tool that prints certificates.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    /// The arguments for a port of loopback.
    arguments: fn(u16) -> Vec<String>,
    /// And those for a name that is to be asked for.
    server_name: fn(&str) -> Vec<String>,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "openssl",
        program: "openssl",
        arguments: |port| words(&format!("s_client -showcerts -connect 127.0.0.1:{port}")),
        server_name: |name| words(&format!("-servername {name}")),
    },
    Peer {
        name: "openssl, low",
        program: "openssl",
        arguments: |port| {
            let cipher = "-cipher ALL:COMPLEMENTOFALL:@SECLEVEL=0";
            words(&format!("s_client -showcerts {cipher} -connect 127.0.0.1:{port}"))
        },
        server_name: |name| words(&format!("-servername {name}")),
    },
    Peer {
        name: "sslscan",
        program: "sslscan",
        arguments: |port| {
            let less = "--no-ciphersuites --no-groups --no-heartbleed --no-compression";
            let less = format!("{less} --no-renegotiation --no-fallback --show-certificate");
            words(&format!("--no-colour {less} 127.0.0.1:{port}"))
        },
        server_name: |name| words(&format!("--sni-name={name}")),
    },
    Peer {
        name: "nmap ssl-cert",
        program: "nmap",
        arguments: |port| words(&format!("-sT -Pn -n -v -v --script ssl-cert -p {port} 127.0.0.1")),
        server_name: |name| words(&format!("--script-args tls.servername={name}")),
    },
];

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The peers that are wanted and installed. Those that are not are told of.
pub(crate) fn peers() -> Vec<&'static Peer> {
    if env::var_os("DAICHO_PEERS").is_none() {
        println!("other tools are not asked: DAICHO_PEERS is not set");
        return Vec::new();
    }
    let installed = |peer: &&Peer| {
        let ran = Command::new(peer.program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ran.is_err() {
            println!("{} is not installed: it has no column", peer.program);
        }
        ran.is_ok()
    };
    PEERS.iter().filter(installed).collect()
}

impl Peer {
    /// The certificates that it prints when it is asked without a name and with each of these,
    /// by their SHA-256.
    pub(crate) fn ask(&self, port: u16, names: &[&str]) -> BTreeSet<String> {
        let names = std::iter::once(None).chain(names.iter().map(Some));
        names.flat_map(|name| self.run(port, name.copied())).collect()
    }

    fn run(&self, port: u16, name: Option<&str>) -> Vec<String> {
        let mut command = Command::new("timeout");
        command.arg("20").arg(self.program).args((self.arguments)(port));
        if let Some(name) = name {
            command.args((self.server_name)(name));
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
        let Ok(output) = output else { return Vec::new() };
        // What stands before each line of a script's output, and within it.
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().map(|line| line.trim_start_matches(['|', '_', ' ']).trim_end());
        let text = lines.collect::<Vec<_>>().join("\n");
        let all = certs::certificates_in(text.as_bytes()).into_iter();
        all.map(|der| certs::parse(&der).sha256).collect()
    }
}
