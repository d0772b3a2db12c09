//! What is said again in the same words.

use super::*;

const NOTICE: &[u8] = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\n\
    NTS: ssdp:alive\r\nSERVER: Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1\r\n\
    USN: uuid:2fac1234-31f8-11b4-a222-08002b34c003::upnp:rootdevice\r\n\r\n";

fn notice(mac: MacAddr, source: Ipv4Addr, words: &[u8]) -> Vec<u8> {
    let group = Ipv4Addr::new(239, 255, 255, 250);
    v4_udp(mac, (source, group), (1_900, 1_900), words)
}

/// How many services are told of each frame, at its second.
fn services(frames: &[(i64, Vec<u8>)]) -> (Vec<usize>, Counts) {
    let mut capture = listen();
    let told = frames.iter().map(|(second, frame)| {
        let mut services = 0;
        capture.frame(Timestamp::from_seconds(*second), frame, &mut |observation| {
            services += usize::from(matches!(observation.fact, Fact::Service(_)));
        });
        services
    });
    (told.collect(), capture.counts())
}

#[test]
fn the_same_words_are_told_once_a_minute() {
    let same = || notice(DEVICE, HERE, NOTICE);
    let (told, _) = services(&[(0, same()), (1, same()), (59, same()), (60, same())]);
    assert_eq!(told, [1, 0, 0, 1]);
}

#[test]
fn the_same_words_of_somebody_else_are_that_ones() {
    let (told, _) = services(&[
        (0, notice(DEVICE, HERE, NOTICE)),
        (1, notice(OTHER, THERE, NOTICE)),
        (2, notice(DEVICE, HERE, &[NOTICE, b"\r\n"].concat())),
    ]);
    // The third has other words, and tells what was told.
    assert_eq!(told, [1, 1, 0]);
}

#[test]
fn what_is_broken_is_counted_each_time() {
    let broken = || notice(DEVICE, HERE, &NOTICE[..60]);
    let (told, counts) = services(&[(0, broken()), (1, broken()), (2, broken())]);
    assert_eq!((told, counts.malformed), (vec![0, 0, 0], 3));
}

#[test]
fn another_number_makes_no_other_answer() {
    let answer = |id: u8| {
        let mut message = vec![0, id, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        message.extend(b"\x02pc\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04");
        message.extend(THERE.octets());
        v4_udp(DEVICE, (HERE, THERE), (53, 5_000), &message)
    };
    let (told, _) = services(&[(0, answer(1)), (1, answer(2)), (61, answer(3))]);
    assert_eq!(told, [1, 0, 1]);
}
