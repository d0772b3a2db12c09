//! The lab itself: each server listens on the ports that it is said to have, and on no other.

use std::collections::BTreeSet;

use lab::{Lab, Transport};

#[test]
fn every_asset_listens_where_it_is_said_to() {
    let lab = Lab::up().unwrap();
    let servers = lab.assets().iter().filter(|asset| !asset.services().is_empty()).count();
    assert!(servers >= 12, "only {servers} servers");
    for asset in lab.assets() {
        let said: BTreeSet<(Transport, u16)> =
            asset.services().iter().map(|service| (service.transport, service.port)).collect();
        assert_eq!(asset.listening(), said, "{}", asset.name());
    }
}

#[test]
fn versions_are_upstreams() {
    for package in ["openssh-server", "nginx", "bind9"] {
        let version = lab::upstream_version(package).unwrap();
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{package} {version}");
        assert!(!version.contains(['-', ':', '+']), "{package} {version}");
    }
    assert_eq!(lab::upstream_version("no-such-package"), None);
}
