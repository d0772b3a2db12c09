//! Who gives a command, for the audit.
//!
//! A name that is given is a person's word. The account is the system's, as far as the program can
//! see: behind sudo it is the one that sudo was called by.

use std::{env, fs, os::unix::fs::MetadataExt as _};

use inventory::audit::Actor;

/// The person of that name, or else of the account.
pub(crate) fn actor(given: Option<&str>) -> Actor {
    let account = account();
    match given.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Actor { name: name.to_owned(), account: Some(account) },
        None => Actor { name: account.clone(), account: Some(account) },
    }
}

fn account() -> String {
    let number = fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or_default();
    // Root may say so of itself; nobody else is believed.
    if number == 0
        && let Some(name) = env::var("SUDO_USER").ok().filter(|name| !name.is_empty())
    {
        return name;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(number, &accounts).unwrap_or_else(|| format!("uid {number}"))
}

/// The name of an account in the format of passwd(5).
fn name_of(number: u32, accounts: &str) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(number);
        is_it.then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_known_by_their_numbers() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nbroken\nsato:x:1000:1000::/home/sato:\n";
        assert_eq!(name_of(1_000, accounts).as_deref(), Some("sato"));
        assert_eq!(name_of(0, accounts).as_deref(), Some("root"));
        assert_eq!(name_of(7, accounts), None);
    }

    #[test]
    fn a_given_name_stands_beside_the_account() {
        let given = actor(Some(" sato "));
        assert_eq!(given.name, "sato");
        assert!(given.account.is_some());
        assert_eq!(actor(Some(" ")), actor(None));
    }
}
