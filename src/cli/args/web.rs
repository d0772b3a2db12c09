//! The command line of who may look at the page, and of the keys of its API.

use std::path::PathBuf;

use clap::Subcommand;
use inventory::user::{Role, Scope};

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Make a user, with a password from the terminal, or the first line of standard input
    Add {
        /// What it is called: a-z A-Z 0-9 . _ - @
        name: String,
        /// What it may do: viewer, operator, approver or admin
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Take the password from the first line of this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List the users
    List,
    /// Give a user another password; its sessions end
    Password {
        /// The user's name
        name: String,
        /// Take the password from the first line of this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give a user another role; its sessions end
    Role {
        /// The user's name
        name: String,
        /// What it may do: viewer, operator, approver or admin
        role: Role,
    },
    /// Let a user not sign in for now; its sessions and the keys that it made end
    Disable {
        /// The user's name
        name: String,
    },
    /// Let a user sign in again
    Enable {
        /// The user's name
        name: String,
    },
    /// Remove a user; its sessions end
    Remove {
        /// The user's name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it: it is shown this once
    Add {
        /// What it is called: a-z A-Z 0-9 . _ - @
        name: String,
        /// What it opens: metrics, read, write, approve and manage (as the roles do)
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
        /// For how long, such as 90d, up to 3650d
        #[arg(long, value_name = "TIME", default_value = "365d")]
        expires: String,
    },
    /// List the tokens, without what they are
    List,
    /// Remove a token
    Remove {
        /// Its name
        name: String,
    },
}
