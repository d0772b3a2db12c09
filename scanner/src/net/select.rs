//! Which tier to use, and why.

use std::{fmt, io, net::IpAddr, str::FromStr};

use super::{
    Link, Tier,
    capabilities::{hint, raw_sockets},
    connect::ConnectLink,
    interfaces::{interface, interfaces},
    linux::rings_work,
    raw::RawLink,
    routes::Routes,
    xdp,
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

/// More packets a second than this are too many for one system call a batch.
const FAST: u32 = 500_000;

/// So few packets are out before preparing the kernel for making them would have paid.
const FEW: u64 = 500_000;

/// What is to be sent, as far as the choice depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Packets a second.
    pub rate: u32,
    /// Packets in all, at most.
    pub packets: u64,
    /// One of the targets.
    pub target: Option<IpAddr>,
}

/// Whether the choice may come to frames that the kernel makes, which needs more than raw sockets.
#[must_use]
pub fn may_be_xdp(choice: Choice, rate: u32) -> bool {
    match choice {
        Choice::Xdp => true,
        Choice::Auto => rate > FAST,
        Choice::Connect | Choice::Raw => false,
    }
}

/// The tier that a choice comes to here, with the reason in words. Sends nothing.
///
/// # Errors
///
/// [`LinkError::NoSuchInterface`], and for [`Choice::Raw`] and [`Choice::Xdp`] those of
/// [`raw_sockets`].
pub fn choose(
    choice: Choice,
    name: Option<&str>,
    wanted: Wanted,
) -> Result<(Tier, bool, String), LinkError> {
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
        // Whoever opens them was there and is gone: nothing that this system lacks.
        (Choice::Auto, Err(LinkError::Open { interface, source }))
            if source.kind() == io::ErrorKind::BrokenPipe =>
        {
            return Err(LinkError::Open { interface, source });
        }
        (Choice::Auto, Err(_)) => (Tier::Connect, "no packet sockets on this system"),
    };
    if tier == Tier::Connect {
        return Ok((tier, false, format!("{tier}: {reason}")));
    }
    let how = match rings_work() {
        Ok(()) => ", with receive rings".to_owned(),
        Err(error) => format!(", without receive rings ({error})"),
    };
    let fast = wanted.rate > FAST && wanted.packets > FEW;
    let maker = match (choice, fast) {
        (Choice::Xdp, _) | (Choice::Auto, true) => Some(fit(name, wanted.target)?),
        _ => None,
    };
    Ok(match maker {
        None => (tier, false, format!("{tier}: {reason}{how}")),
        Some(Ok(())) if choice == Choice::Xdp => {
            (tier, true, format!("xdp: as asked for, whole courses are made in the kernel{how}"))
        }
        Some(Ok(())) => {
            (tier, true, format!("xdp: more than {FAST} packets a second are asked for{how}"))
        }
        Some(Err(unfit)) => (tier, false, format!("{tier}: {reason}{how}; not xdp: {unfit}")),
    })
}

/// Whether whole courses can be made in the kernel and sent through the interface of that
/// name, or the one through which the target is reached.
fn fit(name: Option<&str>, target: Option<IpAddr>) -> Result<Result<(), String>, LinkError> {
    let index = match (name, target) {
        (Some(name), _) => Some(interface(name)?.index),
        (None, Some(target)) => Routes::open(None)?.to(target).ok().map(|route| route.interface),
        (None, None) => None,
    };
    let no_way = || "it is not known through which interface".to_owned();
    Ok(index.ok_or_else(no_way).and_then(|index| xdp::fit(index).map_err(|e| e.to_string())))
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
    wanted: Wanted,
) -> Result<(Box<dyn Link>, String), LinkError> {
    let (tier, in_kernel, reason) = choose(choice, name, wanted)?;
    let only = name.map(interface).transpose()?;
    let link: Box<dyn Link> = match tier {
        Tier::Connect => Box::new(ConnectLink::open(only, key)?),
        Tier::Raw => {
            let mut link = RawLink::open(only, key)?;
            if in_kernel {
                link.want_maker();
            }
            Box::new(link)
        }
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
        for choice in [Choice::Auto, Choice::Connect, Choice::Raw, Choice::Xdp] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let error = "xpd".parse::<Choice>().unwrap_err();
        assert_eq!(error, "\"xpd\" is not a way to send (auto, connect, raw or xdp)");
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_those_that_are() {
        let error = choose(Choice::Auto, Some("no-such-one"), Wanted::default()).unwrap_err();
        assert_eq!(error.to_string(), "there is no interface no-such-one here");
        assert!(advice(&error).unwrap().contains("lo"));
    }

    #[test]
    fn connect_needs_nothing() {
        let (link, reason) = open(Choice::Connect, None, [0; 16], Wanted::default()).unwrap();
        assert_eq!((link.tier(), reason.as_str()), (Tier::Connect, "connect: as asked for"));
    }
}
