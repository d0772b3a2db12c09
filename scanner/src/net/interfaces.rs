//! The machine's interfaces, as the kernel tells them. Which of them a packet takes is in
//! [`super::routes`].

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use model::MacAddr;
use wire::{Malformed, Reader};

use super::netlink::{self, Netlink, attributes};
use crate::LinkError;

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// Its link-layer address; `None` where it has none of six bytes.
    pub mac: Option<MacAddr>,
    /// Its addresses, each with the length of its prefix in bits.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The largest packet that it takes, in bytes.
    pub mtu: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it has a carrier: a cable, an access point, the other end of a pair.
    pub running: bool,
    /// Whether its other end is one peer, so that nobody is asked for link-layer addresses.
    pub point_to_point: bool,
    /// Whether frames of Ethernet travel on it and ARP or neighbour discovery is spoken.
    pub speaks_ethernet: bool,
    /// What it is.
    pub kind: Kind,
}

/// What an interface is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The machine talking to itself.
    Loopback,
    /// A network card, or what a virtual machine takes for one.
    Ethernet,
    /// A wireless card.
    Wireless,
    /// A bridge between interfaces.
    Bridge,
    /// A bridge that, by its name, a container engine made: what is behind it is on this
    /// machine.
    ContainerBridge,
    /// One end of a virtual cable, as containers have.
    Veth,
    /// Any other, by the kernel's name for its driver: `vlan`, `bond`, `wireguard`, `tun` …
    Other(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Ethernet => "ethernet",
            Self::Wireless => "wireless",
            Self::Bridge => "bridge",
            Self::ContainerBridge => "container bridge",
            Self::Veth => "veth",
            Self::Other(name) => name,
        })
    }
}

impl Interface {
    /// Whether packets can leave through it now.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.up && self.running
    }

    /// Whether the address is one of its own.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address)
    }

    /// Its link-local IPv6 address.
    #[must_use]
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|(address, _)| match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(*v6),
            _ => None,
        })
    }
}

/// Every interface of the calling thread's network namespace, by number.
///
/// # Errors
///
/// [`LinkError::System`] if the kernel does not tell.
pub fn interfaces() -> Result<Vec<Interface>, LinkError> {
    let read = || -> io::Result<Vec<Interface>> {
        let netlink = Netlink::open()?;
        let mut found = netlink.list(netlink::GET_LINK, netlink::NEW_LINK, &[0; 16], read_link)?;
        let addresses =
            netlink.list(netlink::GET_ADDRESS, netlink::NEW_ADDRESS, &[0; 8], read_address)?;
        for interface in &mut found {
            let own = addresses.iter().filter(|(index, ..)| *index == interface.index);
            interface.addresses = own.map(|(_, address, prefix)| (*address, *prefix)).collect();
            let wireless = Path::new("/sys/class/net").join(&interface.name).join("wireless");
            if interface.kind == Kind::Ethernet && wireless.exists() {
                interface.kind = Kind::Wireless;
            }
        }
        found.sort_by_key(|interface| interface.index);
        Ok(found)
    };
    read().map_err(|source| LinkError::System { what: "interfaces", source })
}

/// The interface of that name.
///
/// # Errors
///
/// [`LinkError::NoSuchInterface`] where there is none.
pub fn interface(name: &str) -> Result<Interface, LinkError> {
    interfaces()?
        .into_iter()
        .find(|interface| interface.name == name)
        .ok_or_else(|| LinkError::NoSuchInterface { interface: name.to_owned() })
}

/// Whether an interface can be used now: it exists, is switched on and has a carrier.
///
/// # Errors
///
/// What is wrong, in the system's words.
pub(super) fn is_alive(netlink: &Netlink, index: u32) -> io::Result<()> {
    let mut body = vec![0; 16];
    if let Some(field) = body.get_mut(4..8) {
        field.copy_from_slice(&index.to_ne_bytes());
    }
    let answer = netlink.ask(netlink::GET_LINK, &body)?;
    let link = read_link(&answer).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    match link {
        Interface { up: false, .. } => Err(io::Error::from_raw_os_error(libc::ENETDOWN)),
        Interface { running: false, .. } => Err(io::Error::from_raw_os_error(libc::ENOLINK)),
        _ => Ok(()),
    }
}

/// A `struct ifinfomsg` and its attributes (linux/if_link.h).
fn read_link(bytes: &[u8]) -> Result<Interface, Malformed> {
    const ETHERNET: u16 = 1;
    const ADDRESS: u16 = 1;
    const NAME: u16 = 3;
    const MTU: u16 = 4;
    const INFO: u16 = 18;
    const INFO_KIND: u16 = 1;

    let mut r = Reader::new(bytes);
    r.take("family", 2)?;
    let hardware = u16::from_ne_bytes(r.array("hardware type")?);
    let index = u32::from_ne_bytes(r.array("index")?);
    let flags = u32::from_ne_bytes(r.array("flags")?);
    r.take("change mask", 4)?;

    let is = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    let (mut name, mut mac, mut mtu, mut driver) = (String::new(), None, 0, None);
    for (kind, value) in attributes(r) {
        match kind {
            NAME => name = text(value),
            ADDRESS => mac = value.try_into().ok().map(MacAddr),
            MTU => mtu = value.try_into().map_or(0, u32::from_ne_bytes),
            INFO => {
                let mut nested = attributes(Reader::new(value));
                driver = nested.find(|(kind, _)| *kind == INFO_KIND).map(|(_, v)| text(v));
            }
            _ => {}
        }
    }
    let loopback = is(libc::IFF_LOOPBACK);
    let kind = match driver.as_deref() {
        _ if loopback => Kind::Loopback,
        None if hardware == ETHERNET => Kind::Ethernet,
        None => Kind::Other(format!("hardware type {hardware}")),
        Some("bridge") if of_containers(&name) => Kind::ContainerBridge,
        Some("bridge") => Kind::Bridge,
        Some("veth") => Kind::Veth,
        Some(other) => Kind::Other(other.to_owned()),
    };
    Ok(Interface {
        name,
        index,
        mac: mac.filter(|mac| *mac != MacAddr([0; 6])),
        addresses: Vec::new(),
        mtu,
        up: is(libc::IFF_UP),
        // Not IFF_RUNNING, which follows the carrier up to a second later.
        running: is(libc::IFF_LOWER_UP),
        point_to_point: is(libc::IFF_POINTOPOINT),
        speaks_ethernet: hardware == ETHERNET && !loopback && !is(libc::IFF_NOARP),
        kind,
    })
}

/// Names that Docker, Podman, CNI plug-ins and LXD give their bridges.
fn of_containers(name: &str) -> bool {
    let engines = ["docker", "br-", "podman", "cni", "lxdbr", "lxcbr"];
    engines.iter().any(|prefix| name.starts_with(prefix))
}

/// A text of the kernel, up to its NUL.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or(value)).into_owned()
}

/// A `struct ifaddrmsg` and its attributes (linux/if_addr.h): index, address, prefix.
fn read_address(bytes: &[u8]) -> Result<(u32, IpAddr, u8), Malformed> {
    const ADDRESS: u16 = 1;
    /// Our own end, where `ADDRESS` is the peer's (point to point).
    const LOCAL: u16 = 2;

    let mut r = Reader::new(bytes);
    let family = r.u8("family")?;
    let prefix = r.u8("prefix length")?;
    r.take("flags and scope", 2)?;
    let index = u32::from_ne_bytes(r.array("index")?);
    let refused = r.invalid("family", family);
    let mut own = None;
    for (kind, value) in attributes(r) {
        if kind == LOCAL || (kind == ADDRESS && own.is_none()) {
            own = address(value);
        }
    }
    own.map(|own| (index, own, prefix)).ok_or(refused)
}

/// An address of four or of sixteen bytes.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::netlink::put_attribute, *};

    /// A bridge as linux/if_link.h lays it out.
    fn link(name: &str, hardware: u16, flags: i32, driver: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        bytes.extend_from_slice(&hardware.to_ne_bytes());
        bytes.extend_from_slice(&7u32.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        put_attribute(&mut bytes, 3, &[name.as_bytes(), &[0]].concat());
        put_attribute(&mut bytes, 1, &[2, 0, 0, 0, 0, 7]);
        put_attribute(&mut bytes, 4, &1500u32.to_ne_bytes());
        if let Some(driver) = driver {
            let mut info = Vec::new();
            put_attribute(&mut info, 1, &[driver.as_bytes(), &[0]].concat());
            put_attribute(&mut bytes, 18 | 0x8000, &info);
        }
        bytes
    }

    #[track_caller]
    fn check(name: &str, hardware: u16, flags: i32, driver: Option<&str>, kind: Kind) {
        let got = read_link(&link(name, hardware, flags, driver)).unwrap();
        assert_eq!((got.name.as_str(), got.index, got.mtu), (name, 7, 1500));
        assert_eq!(got.mac, Some(MacAddr([2, 0, 0, 0, 0, 7])));
        assert_eq!(got.kind, kind);
        assert_eq!(got.up, flags & libc::IFF_UP != 0);
        assert_eq!(got.running, flags & libc::IFF_LOWER_UP != 0);
    }

    #[test]
    fn kinds_are_told_by_driver_flags_and_name() {
        let on = libc::IFF_UP | libc::IFF_LOWER_UP;
        check("eth0", 1, on, None, Kind::Ethernet);
        check("br0", 1, on, Some("bridge"), Kind::Bridge);
        check("docker0", 1, libc::IFF_UP, Some("bridge"), Kind::ContainerBridge);
        check("br-1a2b3c", 1, on, Some("bridge"), Kind::ContainerBridge);
        check("vethab", 1, on, Some("veth"), Kind::Veth);
        check("lo", 772, on | libc::IFF_LOOPBACK, None, Kind::Loopback);
        check("wg0", 65_534, on, Some("wireguard"), Kind::Other("wireguard".into()));
        check("ib0", 32, 0, None, Kind::Other("hardware type 32".into()));
    }

    #[test]
    fn only_ethernet_with_arp_speaks_ethernet() {
        let speaks = |bytes: &[u8]| read_link(bytes).unwrap().speaks_ethernet;
        assert!(speaks(&link("eth0", 1, libc::IFF_UP, None)));
        assert!(!speaks(&link("ifb0", 1, libc::IFF_NOARP, None)));
        assert!(!speaks(&link("lo", 772, libc::IFF_LOOPBACK, None)));
        assert!(!speaks(&link("tun0", 65_534, libc::IFF_POINTOPOINT, Some("tun"))));
    }

    #[test]
    fn the_own_end_of_a_point_to_point_link_counts() {
        let mut bytes = vec![libc::AF_INET as u8, 32, 0, 0, 9, 0, 0, 0];
        bytes[4..8].copy_from_slice(&9u32.to_ne_bytes());
        put_attribute(&mut bytes, 1, &[192, 0, 2, 2]);
        put_attribute(&mut bytes, 2, &[192, 0, 2, 1]);
        let own = read_address(&bytes).unwrap();
        assert_eq!(own, (9, "192.0.2.1".parse().unwrap(), 32));
        assert!(read_address(&bytes[..8]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = (read_link(&bytes), read_address(&bytes));
        }
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let all = interfaces().unwrap();
        let lo = all.iter().find(|i| i.kind == Kind::Loopback).expect("a loopback interface");
        assert_eq!(interface(&lo.name).unwrap(), *lo);
        let error = interface("no-such-one").unwrap_err();
        assert_eq!(error.to_string(), "there is no interface no-such-one here");
    }
}
