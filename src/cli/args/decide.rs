//! The command line of decisions and of the audit.

use std::str::FromStr;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum About {
    /// Assets, by their ids or by a query
    Asset(AboutAsset),
    /// A product
    Software(AboutSoftware),
    /// A certification authority
    Issuer(AboutIssuer),
}

#[derive(Args, Debug)]
pub(crate) struct AboutAsset {
    /// The assets' ids
    #[arg(value_name = "ID", required_unless_present = "query", conflicts_with = "query")]
    pub(crate) ids: Vec<i64>,
    /// All that match, such as 'registration=unregistered and class=printer'
    #[arg(long = "where", value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// What each is to be known by: mac, host_name, address, ssh_host_key, tls_key, dhcp_client_id,
    /// serial … (default: the best that it has and no other asset)
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub(crate) known_by: Vec<String>,
    /// The approval ends when it is not seen for so long, such as 90d
    #[arg(long, value_name = "DAYS")]
    pub(crate) idle: Option<Days>,
    /// Tell which assets it would be and what they would be known by, and decide nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

#[derive(Args, Debug)]
pub(crate) struct AboutSoftware {
    /// Its name
    pub(crate) product: String,
    /// Who makes it
    #[arg(long, value_name = "NAME")]
    pub(crate) publisher: Option<String>,
    /// Only these versions, such as '>= 9.2, < 10'
    #[arg(long, value_name = "RULE")]
    pub(crate) versions: Option<String>,
    /// Only on these assets: references, names, MACs and addresses
    #[arg(long, value_name = "LIST")]
    pub(crate) scope: Option<String>,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

#[derive(Args, Debug)]
pub(crate) struct AboutIssuer {
    /// Its common name, its organisation or the whole distinguished name
    #[arg(required_unless_present_any = ["certificate", "key"])]
    pub(crate) name: Option<String>,
    /// SHA-256 of its certificate
    #[arg(long, value_name = "SHA256")]
    pub(crate) certificate: Option<String>,
    /// SHA-256 of its public key
    #[arg(long, value_name = "SHA256")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The last day on which it holds, such as 2027-03-31 (of an investigation: two weeks from now)
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<String>,
    /// It is an exception: of software, also to support by its maker
    #[arg(long)]
    pub(crate) exception: bool,
}

/// A number of days.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Days(pub(crate) u32);

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('d').and_then(|days| days.parse().ok());
        let number = number.filter(|days| (1..=3_650).contains(days));
        number.map(Self).ok_or_else(|| format!("{text:?} is not a number of days such as 90d"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Decisions {
    /// List the decisions (the default)
    List(DecisionsList),
    /// Agree to a decision of another person
    Confirm {
        /// The decision's id
        id: i64,
    },
    /// Take a decision back
    Withdraw {
        /// The decision's id
        id: i64,
        /// Why, for those who ask later
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct DecisionsList {
    /// Also those that are over
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List the entries, the latest first
    List {
        /// Only so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
    },
    /// Follow the chain, and name the first entry that breaks it
    Verify {
        /// A hash that was kept elsewhere: it must be in the chain
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_with_their_unit() {
        assert_eq!("90d".parse(), Ok(Days(90)));
        for wrong in ["90", "0d", "d", "1w", "9999d", "-1d"] {
            let told = wrong.parse::<Days>().unwrap_err();
            assert!(told.contains("a number of days such as 90d"), "{told}");
        }
    }
}
