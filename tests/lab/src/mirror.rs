//! A place to listen, and somebody to listen to: the switch made a hub, a sensor on a cable of its
//! own, and real clients that talk with the lab's servers.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{LabError, network::Namespace};

/// Two further namespaces on the lab's switch, which sends every frame to everybody from then on.
/// They end with this; the switch stays a hub.
#[derive(Debug)]
pub struct Mirror {
    sensor: Namespace,
    client: Namespace,
}

impl Mirror {
    pub(crate) fn on(switch: &Namespace) -> Result<Self, LabError> {
        // A switch that forgets at once where everybody is has to tell all of them everything.
        switch.run("ip link set br0 type bridge ageing_time 0")?;
        let sensor = Namespace::new("sensor")?;
        sensor.be_quiet()?;
        sensor.plug(Self::LISTENS, switch, "02:00:5e:00:53:04", &[])?;
        sensor.plug("eth0", switch, Self::SENSOR_MAC, &["198.18.0.5/24"])?;
        let client = Namespace::new("client")?;
        client.plug_into(switch, Self::CLIENT_MAC, &["198.18.0.3/24", "2001:db8::3/64"])?;
        Ok(Self { sensor, client })
    }

    /// The sensor's interface that hears everything and has no address. Its other one, `eth0`, has
    /// [`Mirror::SENSOR`], for questions.
    pub const LISTENS: &str = "mirror0";
    /// The sensor's address.
    pub const SENSOR: &str = "198.18.0.5";
    /// The MAC address that it belongs to.
    pub const SENSOR_MAC: &str = "02:00:5e:00:53:05";
    /// The client's IPv4 address; its other one is 2001:db8::3.
    pub const CLIENT: &str = "198.18.0.3";
    /// The client's MAC address.
    pub const CLIENT_MAC: &str = "02:00:5e:00:53:03";

    /// A command that will run where the sensor stands.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        self.sensor.command(program)
    }

    /// How often an interface of the sensor's is held open by somebody who listens to everything.
    pub fn listeners(&self) -> Result<u64, LabError> {
        let text = self.sensor.output(&format!("ip -d -o link show {}", Self::LISTENS))?;
        let mut words = text.split_whitespace().skip_while(|word| *word != "promiscuity").skip(1);
        let number = words.next().and_then(|word| word.parse().ok());
        number.ok_or_else(|| LabError::Command { command: "ip -d link show".into(), output: text })
    }

    /// Packets that have left the sensor so far, by the kernel's own count: by the interface that
    /// listens, and by the other.
    pub fn packets_sent(&self) -> Result<[u64; 2], LabError> {
        let sent = |interface: &str| {
            let path = format!("/sys/class/net/{interface}/statistics/tx_packets");
            let text = self.sensor.output(&format!("cat {path}"))?;
            let number = text.trim().parse();
            number.map_err(|_| LabError::Command { command: path, output: text })
        };
        Ok([sent(Self::LISTENS)?, sent("eth0")?])
    }

    /// Has the sensor's kernel count from now on the packets that it sends to these addresses,
    /// and those to anybody else.
    pub fn count_packets(&self, targets: &[&str]) -> Result<(), LabError> {
        let targets = targets.join(",");
        for line in [
            "nft add table inet lab",
            "nft add chain inet lab output { type filter hook output priority 0 ; }",
            &format!("nft add rule inet lab output ip daddr {{ {targets} }} counter accept"),
            "nft add rule inet lab output counter",
        ] {
            self.sensor.run(line)?;
        }
        Ok(())
    }

    /// What was counted: packets to the targets, and to anybody else.
    pub fn packets_counted(&self) -> Result<[u64; 2], LabError> {
        let text = self.sensor.output("nft list chain inet lab output")?;
        let counts = text.split("counter packets ").skip(1);
        let mut counts = counts.map(|rest| rest.split_whitespace().next()?.parse().ok());
        match (counts.next().flatten(), counts.next().flatten()) {
            (Some(to_targets), Some(to_others)) => Ok([to_targets, to_others]),
            _ => Err(LabError::Command { command: "nft list chain".into(), output: text }),
        }
    }

    /// Lets the client use every service of the lab once, by IPv4, and some by IPv6.
    ///
    /// # Errors
    ///
    /// A client is not installed, or has not ended after 20 s.
    pub fn use_services(&self) -> Result<(), LabError> {
        // It has been away: it asks where they are, which is all that binds their addresses.
        self.client.run("ip neigh flush all")?;
        let mut running = Vec::new();
        for line in CLIENTS {
            let child = self
                .client
                .command(Path::new("timeout"))
                .args(["20", "sh", "-c", line])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            running.push((line, child));
        }
        for (line, child) in running {
            let output = child.wait_with_output()?;
            // What a server answers is its own affair: a refused login is heard as well. That
            // nobody asked it, or waited too long, is not.
            if let Some(124 | 126 | 127) | None = output.status.code() {
                let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let output = format!("{} {text}", output.status);
                return Err(LabError::Command { command: (*line).to_owned(), output });
            }
        }
        Ok(())
    }
}

/// What the client does, in lines of sh. Passwords are wrong on purpose.
const CLIENTS: &[&str] = &[
    "ssh-keyscan -T 10 198.18.0.10 198.18.0.11 198.18.0.42 198.18.0.44 2001:db8::10",
    "ssh-keyscan -T 10 -p 50022 198.18.0.41",
    "curl -sS http://198.18.0.12/ http://198.18.0.13/ http://198.18.0.14/",
    "lpstat -h 198.18.0.26:631 -r -p",
    "curl -sS 'http://[2001:db8::14]/' 'http://[2001:db8::13]/'",
    "curl -sSk --resolve nginx.lab.example:443:198.18.0.12 https://nginx.lab.example/",
    "openssl s_client -connect 198.18.0.13:8443 -servername apache.lab.example",
    "curl -sS smtp://198.18.0.15/",
    "curl -sS pop3://198.18.0.16/; curl -sS imap://198.18.0.16/",
    "curl -sSk pop3s://198.18.0.16/; curl -sSk imaps://198.18.0.16/",
    "openssl s_client -starttls imap -connect 198.18.0.16:143 -servername dovecot.lab.example",
    "curl -sS -u somebody:nothing ftp://198.18.0.17/",
    "smbclient -N -L //198.18.0.18",
    "snmpget -v2c -c public 198.18.0.19 1.3.6.1.2.1.1.5.0",
    "dig +time=5 @198.18.0.20 version.bind CH TXT; dig +tcp +time=5 @198.18.0.20 version.bind CH TXT",
    "redis-cli -h 198.18.0.21 INFO server",
    "mariadb -h 198.18.0.22 -u lab -e 'SELECT 1'",
    "psql 'host=198.18.0.23 user=lab dbname=lab connect_timeout=10' -c 'SELECT 1'",
    "mosquitto_sub -h 198.18.0.24 -t '$SYS/broker/version' -C 1 -W 10",
    "ldapsearch -x -H ldap://198.18.0.25 -b '' -s base",
    "ntpdig -t 5 198.18.0.27; ntpq -c rv 198.18.0.27",
    "{ printf 'version\\r\\n'; sleep 1; printf 'quit\\r\\n'; } | curl -sS telnet://198.18.0.28:11211",
    "sleep 3 | curl -sS -m 5 telnet://198.18.0.29",
    "f=$(mktemp); printf '[libdefaults]\\ndefault_realm = LAB.EXAMPLE\\ndns_lookup_kdc = false\\n\
     [realms]\\nLAB.EXAMPLE = {\\nkdc = 198.18.0.30\\n}\\n' > $f; \
     echo nothing | KRB5_CONFIG=$f kinit -c $f.tickets 'PC-7$'; rm -f $f $f.tickets",
    // It answers nobody, but says where it is.
    "curl -sS -m 2 http://198.18.0.40/",
];
