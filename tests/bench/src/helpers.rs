//! Modes of this program that run inside the ground: a sender to compare with, a listener,
//! and noise.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use pnet::{
    datalink::{self, Channel},
    packet::{
        MutablePacket as _,
        ethernet::{EtherType, EtherTypes, MutableEthernetPacket},
        ip::IpNextHeaderProtocols,
        ipv4::{self, MutableIpv4Packet},
        tcp::{self, MutableTcpPacket, TcpFlags},
    },
    util::MacAddr,
};

use crate::truth::{AWAY, Block};

/// Sends so many SYNs, all different, as a loop over pnet's `send_to` does: the usual way in
/// Rust, to compare with.
pub(crate) fn pnet_send(interface: &str, count: u32) -> Result<()> {
    let all = datalink::interfaces();
    let interface = all.iter().find(|i| i.name == interface).context("no such interface")?;
    let Channel::Ethernet(mut sender, _receiver) =
        datalink::channel(interface, datalink::Config::default())?
    else {
        bail!("not an Ethernet");
    };
    let mut frame = [0; 54];
    let wide = Block(15);
    for number in 0..count {
        let port = u16::try_from(number / wide.len() + 1)?;
        let place = number % wide.len();
        syn(&mut frame, interface.mac.unwrap_or_default(), place, port).context("no room")?;
        // A full queue is no failure of the loop: what arrived is counted at the far end.
        let _ = sender.send_to(&frame, None).context("closed")?;
    }
    Ok(())
}

/// Sends a frame of no protocol (IEEE 802's local experimental type) every half second: a wire
/// is never silent, and masscan does not end where nothing ever arrives.
pub(crate) fn noise(interface: &str) -> Result<()> {
    let all = datalink::interfaces();
    let interface = all.iter().find(|i| i.name == interface).context("no such interface")?;
    let Channel::Ethernet(mut sender, _receiver) =
        datalink::channel(interface, datalink::Config::default())?
    else {
        bail!("not an Ethernet");
    };
    let mut frame = [0; 60];
    let mut ethernet = MutableEthernetPacket::new(&mut frame).context("no room")?;
    ethernet.set_destination(MacAddr::broadcast());
    ethernet.set_source(interface.mac.unwrap_or_default());
    ethernet.set_ethertype(EtherType(0x88b5));
    loop {
        sender.send_to(&frame, None).context("closed")??;
        thread::sleep(Duration::from_millis(500));
    }
}

/// A SYN to an address of the ground, made anew each time.
fn syn(frame: &mut [u8], source: MacAddr, place: u32, port: u16) -> Option<()> {
    let target = std::net::Ipv4Addr::from_bits(0xc612_0000 + place);
    let mut ethernet = MutableEthernetPacket::new(frame)?;
    ethernet.set_destination(MacAddr::new(2, 0, 0x5e, 0, 0x53, 1));
    ethernet.set_source(source);
    ethernet.set_ethertype(EtherTypes::Ipv4);
    let mut ip = MutableIpv4Packet::new(ethernet.payload_mut())?;
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_total_length(40);
    ip.set_ttl(64);
    ip.set_next_level_protocol(IpNextHeaderProtocols::Tcp);
    ip.set_source(AWAY);
    ip.set_destination(target);
    ip.set_checksum(0);
    ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
    let mut segment = MutableTcpPacket::new(ip.payload_mut())?;
    segment.set_source(40_000);
    segment.set_destination(port);
    segment.set_sequence(place);
    segment.set_data_offset(5);
    segment.set_flags(TcpFlags::SYN);
    segment.set_window(1024);
    segment.set_checksum(0);
    segment.set_checksum(tcp::ipv4_checksum(&segment.to_immutable(), &AWAY, &target));
    Some(())
}

/// Listens on these ports of every address, accepts and closes. Says so when it does.
pub(crate) fn listen(ports: &str) -> Result<()> {
    let mut threads = Vec::new();
    for port in ports.split(',') {
        let listener = TcpListener::bind(("0.0.0.0", port.parse()?))?;
        threads.push(thread::spawn(move || {
            // A connection that is gone before it is accepted is no failure of the listener.
            listener.incoming().flatten().for_each(drop::<TcpStream>);
        }));
    }
    writeln!(std::io::stdout(), "listening")?;
    for thread in threads {
        thread.join().ok().context("a listener failed")?;
    }
    Ok(())
}
