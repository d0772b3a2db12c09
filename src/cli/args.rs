//! The command line: names, help and which setting a flag stands for. Decides nothing.

mod certs;
mod decide;
mod keep;
mod register;
mod scans;
mod service;
mod web;

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::Severity;
use scanner::import;

pub(crate) use certs::{Certs, Collect};
pub(crate) use decide::{
    About, AboutAsset, AboutIssuer, AboutSoftware, Audit, Days, Decisions, DecisionsList, Terms,
};
pub(crate) use keep::{Backup, Demo, Prune, Restore};
pub(crate) use register::{Kind, Register, RegisterImport};
pub(crate) use scans::{Scans, ScansList};
pub(crate) use service::{Alert, Jobs};
pub(crate) use web::{Token, User};

/// Tells what is on the network, what was approved, and what is about to break.
#[derive(Debug, Parser)]
#[command(name = "daicho", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    /// Configuration file (default: $XDG_CONFIG_HOME/daicho/daicho.toml or /etc/daicho/daicho.toml,
    /// where there is one)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The SQLite file with the inventory
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Who gives this command, for the audit (default: the user of this account)
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) acting_as: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are printed. Everything else goes to standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs; see docs/json.md
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the network: which assets, services, software and certificates are there, and what is wrong
    Sweep(Box<Sweep>),
    /// Listen instead of asking: replay captures into the inventory
    Watch(Watch),
    /// Take in what others saw: leases and logs of DHCP servers, neighbour tables, results of
    /// other scanners
    Import {
        #[command(subcommand)]
        command: Import,
    },
    /// The inventory, with reasons
    Assets {
        #[command(subcommand)]
        command: Option<Assets>,
        #[command(flatten)]
        list: Asked,
    },
    /// The endpoints of all assets
    Services(Asked),
    /// The products on all assets
    Software(Asked),
    /// What is wrong
    Findings {
        #[command(subcommand)]
        command: Option<Findings>,
        #[command(flatten)]
        list: FindingsList,
    },
    /// The certificate inventory
    Certs {
        #[command(subcommand)]
        command: Certs,
    },
    /// The organisation's approved lists
    Register {
        #[command(subcommand)]
        command: Register,
    },
    /// Say that an asset, a product or an issuer may be there
    Approve {
        #[command(subcommand)]
        about: About,
    },
    /// Say that somebody is finding out; until then it is a note
    Investigate {
        #[command(subcommand)]
        about: About,
    },
    /// Say that an asset, a product or an issuer must not be there
    Reject {
        #[command(subcommand)]
        about: About,
    },
    /// Say that an asset, a product or an issuer was taken out of service
    Retire {
        #[command(subcommand)]
        about: About,
    },
    /// What was asked and heard when, and what could not be
    Scans {
        #[command(subcommand)]
        command: Option<Scans>,
        #[command(flatten)]
        list: ScansList,
    },
    /// What was decided, by whom, and what waits for a second person
    Decisions {
        #[command(subcommand)]
        command: Option<Decisions>,
        #[command(flatten)]
        list: DecisionsList,
    },
    /// What people did, in a chain that shows where it was changed
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Who is told, by the routes of the configuration, and what became of it
    Alert {
        #[command(subcommand)]
        command: Alert,
    },
    /// The jobs of the configuration: when each runs next, and how it ended last
    Jobs {
        #[command(subcommand)]
        command: Option<Jobs>,
    },
    /// Run the jobs of the configuration when they are due, until SIGINT or SIGTERM
    Serve,
    /// Serve the web page alone, until SIGINT or SIGTERM (`serve` does so too)
    Web {
        /// Begun by the service, whose configuration comes by standard input
        #[arg(long, hide = true)]
        served: bool,
    },
    /// Who may look at the web page, and what they may do there
    User {
        #[command(subcommand)]
        command: User,
    },
    /// Keys by which programs use the API and read the metrics
    Token {
        #[command(subcommand)]
        command: Token,
    },
    /// Copy the database into a file, while it is in use
    Backup(Backup),
    /// Put such a copy in the place of the database, which is kept beside it
    Restore(Restore),
    /// Remove what is old and needed by nothing, by the ages of the configuration
    Prune(Prune),
    /// Fill a new database with an organisation that does not exist, to look around in
    Demo(Demo),
    /// What works here and what does not, before the first sweep
    Doctor,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Sweep {
    /// Address, network, range (192.0.2.10-40), IPv6 prefix of a link (searched), host name, or @FILE
    /// with one of them a line
    #[arg(required = true, value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Never send to this target; wins over everything
    #[arg(long, value_name = "TARGET")]
    pub(crate) exclude: Vec<String>,
    /// By which questions to find out who is there: all, or a list of arp, neighbor, echo,
    /// timestamp, syn, ack and udp
    #[arg(long, value_name = "WAYS")]
    pub(crate) discover: Option<String>,
    /// Ports: default, all, none, or a list such as 22,80,8000-8100,u:161
    #[arg(long, value_name = "SPEC")]
    pub(crate) ports: Option<String>,
    /// Packets a second in all, or auto: as many as the network bears
    #[arg(long, value_name = "PPS")]
    pub(crate) rate: Option<String>,
    /// Packets a second to one asset
    #[arg(long, value_name = "PPS")]
    pub(crate) host_rate: Option<String>,
    /// Packets a second to one network, an IPv4 /24 or IPv6 /64
    #[arg(long, value_name = "PPS")]
    pub(crate) network_rate: Option<String>,
    /// The interface to use
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Option<String>,
    /// How to send: auto, connect (no privilege), raw (CAP_NET_RAW) or xdp (made in the kernel)
    #[arg(long, value_name = "TIER")]
    pub(crate) io: Option<String>,
    /// Rates by name: polite, normal, fast or ot
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Ask the ports of every address, also of those that do not answer
    #[arg(long)]
    pub(crate) assume_alive: bool,
    /// Do not talk with the services found: ports only
    #[arg(long)]
    pub(crate) no_services: bool,
    /// How much to ask TLS servers: certificates, versions (the default but with the profiles ot
    /// and polite: also each older version), or thorough (also each cipher suite and group)
    #[arg(long, value_name = "EXTENT")]
    pub(crate) tls: Option<String>,
    /// Print the plan and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Exit with 1 if there is an open finding of this severity or above
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
    /// Ask one of several equal parts of the targets, such as 2/5
    #[arg(long, value_name = "PART")]
    pub(crate) shard: Option<Shard>,
    /// Go on behind so many addresses, as an interrupted sweep said
    #[arg(long, value_name = "NUMBER")]
    pub(crate) resume_at: Option<u64>,
    /// Allow a sweep of more than 2^20 addresses
    #[arg(long)]
    pub(crate) yes_large: bool,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Watch {
    /// The interface to listen to: a mirror port, or any other. Sends nothing by itself
    #[arg(long, value_name = "IF", required_unless_present = "read", conflicts_with = "read")]
    pub(crate) interface: Option<String>,
    /// Capture files, pcap or pcapng, also packed by gzip or zstd; - is standard input
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) read: Vec<PathBuf>,
    /// How many threads listen to the interface side by side (default: watch.readers of the
    /// configuration, which is 1)
    #[arg(long, value_name = "N", conflicts_with = "read")]
    pub(crate) readers: Option<u16>,
    /// Ask what is heard, politely: new endpoints, certificates that TLS hides, new server names.
    /// Only these targets are ever asked, written as for a sweep (default: watch.targets of the
    /// configuration)
    #[arg(long, num_args = 0.., value_name = "TARGET", conflicts_with = "read")]
    pub(crate) ask: Option<Vec<String>>,
    /// Never ask this target; wins over everything
    #[arg(long, value_name = "TARGET", conflicts_with = "read")]
    pub(crate) exclude: Vec<String>,
    /// How long to listen, such as 10m; without it until SIGINT or SIGTERM
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// What DHCP servers know: leases of ISC dhcpd, dnsmasq and Kea; logs of those, of Windows,
    /// MikroTik and Cisco
    Dhcp {
        #[command(flatten)]
        read: ImportRead,
        /// Go on reading this file as it grows and is rotated, until Ctrl-C or SIGTERM
        #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "strict"])]
        follow: Option<PathBuf>,
    },
    /// Neighbour tables: ip neigh, arp -a, show ip arp, SNMP walks of ipNetToMedia and
    /// ipNetToPhysical
    Neighbors(ImportRead),
    /// Results of other scanners: nmap -oX, masscan -oX, -oJ and -oL, naabu -json
    Scan(ImportRead),
}

#[derive(Args, Debug)]
pub(crate) struct ImportRead {
    /// Files; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Their format (default: what their contents say), such as kea-csv
    #[arg(long = "type", value_name = "FORMAT")]
    pub(crate) file_format: Option<import::Format>,
    /// Import nothing if anything cannot be read
    #[arg(long)]
    pub(crate) strict: bool,
    /// What times without an offset mean, such as +09:00 (default: this machine's local time)
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) utc_offset: Option<UtcOffset>,
}

/// Seconds east of UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UtcOffset(pub(crate) i32);

impl FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("{text:?} is not an offset from UTC such as +09:00");
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(error()),
        };
        let (hours, minutes) = rest.split_once(':').ok_or_else(error)?;
        let number = |text: &str, most: i32| -> Result<i32, String> {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            let number: Option<i32> = text.parse().ok();
            number.filter(|number| digits && *number <= most).ok_or_else(error)
        };
        Ok(Self(sign * (number(hours, 23)? * 3_600 + number(minutes, 59)? * 60)))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Assets {
    /// List the assets (the default)
    List(Asked),
    /// Everything known of one asset, and why
    Show {
        /// The asset's id
        id: i64,
    },
    /// Say that two assets are one; undone by split
    Merge {
        /// The asset that becomes part of the other
        from: i64,
        /// The asset that it is part of
        into: i64,
        /// Why, for those who ask later
        #[arg(long)]
        reason: String,
    },
    /// Undo the merge of an asset into another
    Split {
        /// The asset that was merged into another
        id: i64,
        /// Why, for those who ask later
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Asked {
    /// Only those that match, such as 'seen<7d and not name:test' or 'first>=2026-11-01'; see
    /// docs/operating.md
    #[arg(long = "where", value_name = "QUERY")]
    pub(crate) query: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Findings {
    /// List the findings (the default)
    List(FindingsList),
    /// Live with a finding until a date
    Accept {
        /// The finding's id
        id: i64,
        /// The last day on which it is accepted, such as 2027-03-31
        #[arg(long, value_name = "DATE")]
        until: String,
        /// Why it is accepted
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take the acceptance of a finding back: it is open again
    Reopen {
        /// The finding's id
        id: i64,
        /// Why, for those who ask later
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct FindingsList {
    /// Also those that are accepted or resolved
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this severity and above
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<Severity>,
    #[command(flatten)]
    pub(crate) asked: Asked,
}

/// One of several equal parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shard {
    /// Which, from 1 on.
    pub(crate) number: u64,
    pub(crate) of: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(number, of)| {
            Some(Self { number: number.trim().parse().ok()?, of: of.trim().parse().ok()? })
        });
        parts
            .filter(|shard| (1..=shard.of).contains(&shard.number))
            .ok_or_else(|| format!("{text:?} is not a part such as 2/5 (1/5 to 5/5)"))
    }
}

impl Sweep {
    /// The settings that the flags stand for: flag, setting, value.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let given = [
            ("--discover", "sweep.discover", self.discover.clone()),
            ("--ports", "sweep.ports", self.ports.clone()),
            ("--rate", "sweep.rate", self.rate.as_deref().map(with_unit)),
            ("--host-rate", "sweep.host_rate", self.host_rate.as_deref().map(with_unit)),
            ("--network-rate", "sweep.network_rate", self.network_rate.as_deref().map(with_unit)),
            ("--interface", "sweep.interface", self.interface.clone()),
            ("--io", "sweep.io", self.io.clone()),
            ("--profile", "sweep.profile", self.profile.clone()),
            ("--assume-alive", "sweep.assume_alive", self.assume_alive.then(|| "true".into())),
            ("--tls", "services.tls", self.tls.clone()),
            ("--no-services", "services.enabled", self.no_services.then(|| "false".into())),
        ];
        given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect()
    }
}

impl Watch {
    /// The settings that the flags stand for, as [`Sweep::settings`].
    pub(crate) fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let readers =
            self.readers.map(|readers| ("--readers", "watch.readers", readers.to_string()));
        let targets = self.ask.as_ref().map(|targets| targets.join(","));
        let targets = targets.filter(|targets| !targets.is_empty());
        let targets = targets.map(|targets| ("--ask", "watch.targets", targets));
        let ask = self.ask.as_ref().map(|_| ("--ask", "watch.ask", "true".to_owned()));
        readers.into_iter().chain(targets).chain(ask).collect()
    }
}

/// A plain number of packets a second gets the unit that the setting wants.
fn with_unit(text: &str) -> String {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("{text}pps"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_stands_for_a_setting_that_exists() {
        let line = "daicho sweep 127.0.0.1 --ports 22 --rate 5 --host-rate 2pps --network-rate 3 --interface lo --io \
                    connect --profile ot --assume-alive --no-services --discover arp --tls thorough";
        let Command::Sweep(sweep) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("not a sweep");
        };
        let mut layers = config::Layers::defaults();
        for (flag, key, value) in sweep.settings() {
            layers.add_flag(flag, key, &value).unwrap();
        }
        let config = config::Config::from_layers(&layers).unwrap();
        assert_eq!((config.rate, config.host_rate, config.network_rate), (5, 2, 3));
        assert!(config.assume_alive && !config.services);

        let line = "daicho watch --interface lo --readers 3 --ask 127.0.0.1 ::1";
        let Command::Watch(watch) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("not a watch");
        };
        for (flag, key, value) in watch.settings() {
            layers.add_flag(flag, key, &value).unwrap();
        }
        let config = config::Config::from_layers(&layers).unwrap();
        assert!(config.watch_ask && config.watch_targets == ["127.0.0.1", "::1"]);
        assert_eq!(config.watch_readers, 3);
    }

    #[test]
    fn an_offset_is_read_with_its_sign() {
        let read = |text: &str| text.parse::<UtcOffset>().ok().map(|UtcOffset(seconds)| seconds);
        assert_eq!(read("+09:00"), Some(32_400));
        assert_eq!(read("-03:30"), Some(-12_600));
        for wrong in ["09:00", "+9:00", "+24:00", "+09:60", "+0900", "", "é"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_shard_is_one_of_its_parts() {
        assert_eq!("2/5".parse(), Ok(Shard { number: 2, of: 5 }));
        for text in ["0/5", "6/5", "2", "a/b", "1/0", "-1/2", ""] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains("is not a part such as 2/5"), "{error}");
        }
    }
}
