//! Which tier to use, and why.

use std::{fmt, str::FromStr};

use super::{
    Link, Tier,
    capabilities::{hint, raw_sockets},
    connect::ConnectLink,
    interfaces::{interface, interfaces},
    linux::rings_work,
    raw::RawLink,
};
use crate::LinkError;

/// What the user wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Choice {
    /// The best that works here.
    #[default]
    Auto,
    /// The system's sockets.
    Connect,
    /// Frames of our own, or an error.
    Raw,
    /// Frames that the kernel makes for us, or an error.
    Xdp,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "connect" => Ok(Self::Connect),
            "raw" => Ok(Self::Raw),
            "xdp" => Ok(Self::Xdp),
            _ => Err(format!("{text:?} is not a way to send (auto, connect, raw or xdp)")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Connect => "connect",
            Self::Raw => "raw",
            Self::Xdp => "xdp",
        })
    }
}

/// The tier that a choice comes to here, with the reason in words. Opens nothing.
///
/// # Errors
///
/// [`LinkError::NoSuchInterface`], and for [`Choice::Raw`] those of [`raw_sockets`].
pub fn choose(choice: Choice, name: Option<&str>) -> Result<(Tier, String), LinkError> {
    if let Some(name) = name {
        interface(name)?;
    }
    let (tier, reason) = match (choice, raw_sockets(name)) {
        (Choice::Connect, _) => (Tier::Connect, "as asked for"),
        (Choice::Raw | Choice::Xdp, able) => {
            able.map(|()| (Tier::Raw, "as asked for, CAP_NET_RAW is there"))?
        }
        (Choice::Auto, Ok(())) => (Tier::Raw, "CAP_NET_RAW is there"),
        (Choice::Auto, Err(LinkError::Unprivileged { .. })) => (Tier::Connect, "no CAP_NET_RAW"),
        (Choice::Auto, Err(_)) => (Tier::Connect, "no packet sockets on this system"),
    };
    let how = match tier {
        Tier::Connect => String::new(),
        Tier::Raw => match rings_work() {
            Ok(()) => ", with receive rings".to_owned(),
            Err(error) => format!(", without receive rings ({error})"),
        },
    };
    Ok((tier, format!("{tier}: {reason}{how}")))
}

/// Opens the tier that a choice comes to, through one interface only, if one is named.
/// The text is the reason, for the user. `key` keys the cookies and should be random.
///
/// # Errors
///
/// Those of [`choose`], and of opening the tier. An interface that is down is found when
/// the first question would leave through it.
pub fn open(
    choice: Choice,
    name: Option<&str>,
    key: [u8; 16],
) -> Result<(Box<dyn Link>, String), LinkError> {
    let (tier, reason) = choose(choice, name)?;
    let only = name.map(interface).transpose()?;
    let link: Box<dyn Link> = match tier {
        Tier::Connect => Box::new(ConnectLink::open(only, key)?),
        Tier::Raw => Box::new(RawLink::open(only, key)?),
    };
    Ok((link, reason))
}

/// What the user can do about an error, where we know.
#[must_use]
pub fn advice(error: &LinkError) -> Option<String> {
    match error {
        LinkError::Unprivileged { .. } => {
            let program = std::env::current_exe().unwrap_or_else(|_| "daicho".into());
            Some(hint(&program))
        }
        LinkError::NoSuchInterface { .. } => {
            let all = interfaces().ok()?;
            let names: Vec<&str> = all.iter().map(|interface| interface.name.as_str()).collect();
            Some(format!("interfaces here: {}", names.join(", ")))
        }
        LinkError::Open { .. }
        | LinkError::Down { .. }
        | LinkError::NoRoute { .. }
        | LinkError::Busy { .. }
        | LinkError::Send { .. }
        | LinkError::Receive { .. }
        | LinkError::System { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_spelled_as_on_the_command_line() {
        for choice in [Choice::Auto, Choice::Connect, Choice::Raw] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let error = "xdp".parse::<Choice>().unwrap_err();
        assert_eq!(error, "\"xdp\" is not a way to send (auto, connect or raw)");
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_those_that_are() {
        let error = choose(Choice::Auto, Some("no-such-one")).unwrap_err();
        assert_eq!(error.to_string(), "there is no interface no-such-one here");
        assert!(advice(&error).unwrap().contains("lo"));
    }

    #[test]
    fn connect_needs_nothing() {
        let (link, reason) = open(Choice::Connect, None, [0; 16]).unwrap();
        assert_eq!((link.tier(), reason.as_str()), (Tier::Connect, "connect: as asked for"));
    }
}
