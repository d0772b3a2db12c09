//! What this process may do.

use std::{io, path::Path};

use super::broker::{is_lent, packet_socket};
pub use super::{
    connect_echo::echo_allowed,
    connect_limits::{Limits, limits},
};
use crate::LinkError;
use caps::{CapSet, Capability};

/// Whether frames of our own can be sent here: tries, because the capability counts in
/// the user namespace that owns the network, which is not always our own.
///
/// A capability that is permitted but not effective (`setcap cap_net_raw+p`) is made
/// effective first.
///
/// # Errors
///
/// [`LinkError::Unprivileged`] without CAP_NET_RAW; [`LinkError::Open`] where the system
/// has no packet sockets at all.
pub fn raw_sockets(interface: Option<&str>) -> Result<(), LinkError> {
    if !is_lent() {
        // Not being able to raise it shows in the next line.
        let _ = caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW);
    }
    let interface = || interface.unwrap_or("any interface").to_owned();
    // Protocol 0 receives nothing, so this disturbs nobody.
    match packet_socket() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(LinkError::Unprivileged { interface: interface() })
        }
        Err(source) => Err(LinkError::Open { interface: interface(), source }),
    }
}

/// Whether this process may open raw sockets, or give itself the right to.
#[must_use]
pub fn may_open_raw_sockets() -> bool {
    caps::has_cap(None, CapSet::Permitted, Capability::CAP_NET_RAW).unwrap_or(false)
}

/// How to give the capability to a program: what to tell somebody who met
/// [`LinkError::Unprivileged`].
#[must_use]
pub fn hint(program: &Path) -> String {
    format!(
        "run as root, or once: sudo setcap cap_net_raw+ep {}\n\
         or use --io connect, which needs no privilege",
        program.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_capability_the_program_and_the_way_without() {
        let text = hint(Path::new("/usr/bin/daicho"));
        assert!(text.contains("setcap cap_net_raw+ep /usr/bin/daicho"), "{text}");
        assert!(text.contains("--io connect"), "{text}");
    }
}
