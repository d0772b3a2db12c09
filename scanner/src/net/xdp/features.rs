//! What an interface's driver can do with XDP, asked of the kernel: of the generic netlink
//! family "netdev", which Linux has since 6.3.

use std::io;

use super::super::netlink::{Netlink, attributes, put_attribute};

/// From linux/genetlink.h.
const CONTROLLER: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// From linux/netdev.h.
const GET_DEVICE: u8 = 1;
const DEVICE_INDEX: u16 = 1;
const DEVICE_XDP: u16 = 3;
/// The driver takes frames that others send (`ndo_xdp_xmit`).
const TAKES_FRAMES: u64 = 4;

/// Whether the driver takes XDP frames now. `None` where this kernel does not tell.
///
/// # Errors
///
/// What the system says: `ENODEV` where there is no such interface.
pub(super) fn takes_frames(interface: u32) -> io::Result<Option<bool>> {
    let netlink = Netlink::generic()?;
    let family = match ask(&netlink, CONTROLLER, GET_FAMILY, (FAMILY_NAME, b"netdev\0")) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        answer => find(&answer?, FAMILY_ID).map(u16::from_ne_bytes),
    };
    let Some(family) = family else { return Ok(None) };
    let answer = ask(&netlink, family, GET_DEVICE, (DEVICE_INDEX, &interface.to_ne_bytes()))?;
    let features = find(&answer, DEVICE_XDP).map(u64::from_ne_bytes);
    Ok(features.map(|features| features & TAKES_FRAMES != 0))
}

/// Puts a question with one attribute.
fn ask(
    netlink: &Netlink,
    family: u16,
    command: u8,
    (kind, value): (u16, &[u8]),
) -> io::Result<Vec<u8>> {
    // Of the first version.
    let mut body = vec![command, 1, 0, 0];
    put_attribute(&mut body, kind, value);
    netlink.ask(family, &body)
}

/// The number in the attribute of that kind.
fn find<const N: usize>(answer: &[u8], wanted: u16) -> Option<[u8; N]> {
    let mut r = wire::Reader::new(answer);
    r.array::<4>("command, version").ok()?;
    let (_, value) = attributes(r).find(|(kind, _)| *kind == wanted)?;
    value.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_behind_others_and_in_no_cut_of_the_answer() {
        let mut answer = vec![1, 1, 0, 0];
        put_attribute(&mut answer, 7, &[1, 2]);
        put_attribute(&mut answer, DEVICE_XDP, &0x77_u64.to_ne_bytes());
        assert_eq!(find(&answer, DEVICE_XDP), Some(0x77_u64.to_ne_bytes()));
        assert_eq!(find(&answer, 7), Some([1, 2]));
        assert_eq!(find::<4>(&answer, DEVICE_XDP), None);
        assert_eq!(find::<8>(&answer, 8), None);
        for len in 0..answer.len() {
            assert_eq!(find::<8>(&answer[..len], DEVICE_XDP), None, "cut at {len}");
        }
    }
}
