//! What arrives that no kernel would send: tagged, cut, too long, forged, too much.

use std::time::Duration;

use scanner::{
    LinkError,
    net::{
        Answer, Link, Question,
        linux::Shape,
        raw::{RawLink, Via},
    },
};

use crate::{
    fake::{Fake, Syn},
    lab::{
        FAR_V4, PATIENCE, With, address, check, check_silence, lab, permit, raw_via, send, ways,
    },
};

/// All replies until nothing has come for a while.
fn all(link: &mut RawLink) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut end = link.now() + PATIENCE;
    while let Some(reply) = link.receive(end).unwrap() {
        answers.push(reply.answer);
        end = link.now() + Duration::from_millis(500);
    }
    answers
}

fn with_tags(frame: &[u8], tags: &[u8]) -> Vec<u8> {
    [&frame[..12], tags, &frame[12..]].concat()
}

#[test]
fn an_answer_with_a_tag_is_of_another_network() {
    fn answer(syn: Syn) -> Vec<Vec<u8>> {
        let plain = syn.accept(syn.target, 0);
        vec![match syn.last() {
            51 => with_tags(&plain, &[0x81, 0, 0, 7]),
            52 => with_tags(&plain, &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 7]),
            53 => with_tags(&plain, &[0x81, 0, 0, 9, 0x81, 0, 0, 7]),
            // A priority, and no network.
            54 => with_tags(&plain, &[0x81, 0, 0xa0, 0]),
            _ => plain,
        }]
    }
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, answer);
        for via in ways() {
            let link = &mut raw_via(via);
            for tagged in ["198.18.0.51", "198.18.0.52", "198.18.0.53"] {
                check_silence(link, tagged, Question::Tcp(80));
            }
            for plain in ["198.18.0.50", "198.18.0.54"] {
                check(link, plain, Question::Tcp(80), Answer::TcpOpen(80));
            }
        }
    });
}

#[test]
fn a_forged_answer_is_none() {
    fn answer(syn: Syn) -> Vec<Vec<u8>> {
        match syn.last() {
            50 => vec![syn.accept(syn.target, 1), syn.accept(syn.target, u32::MAX)],
            51 => vec![syn.accept([198, 18, 0, 58].into(), 0)],
            52 => {
                vec![syn.accept([198, 18, 0, 255].into(), 0), syn.accept([224, 0, 0, 1].into(), 0)]
            }
            53 => vec![Syn { port: syn.port + 1, ..syn }.accept(syn.target, 0)],
            54 => vec![Syn { source_port: syn.source_port ^ 1, ..syn }.accept(syn.target, 0)],
            _ => vec![syn.accept(syn.target, 0)],
        }
    }
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, answer);
        for via in ways() {
            let link = &mut raw_via(via);
            for last in 50..55 {
                check_silence(link, &format!("198.18.0.{last}"), Question::Tcp(80));
            }
            check(link, "198.18.0.55", Question::Tcp(80), Answer::TcpOpen(80));
        }
    });
}

#[test]
fn frames_cut_at_every_length_and_too_long_ones_are_read_as_far_as_they_say_something() {
    fn answer(syn: Syn) -> Vec<Vec<u8>> {
        let whole = syn.accept(syn.target, 0);
        match syn.last() {
            50 => (14..=whole.len()).map(|len| whole[..len].to_vec()).collect(),
            _ => {
                let mut long = whole;
                long.resize(8_900, 0xa5);
                vec![long]
            }
        }
    }
    lab(With::default(), |lab| {
        lab.near("link set near0 mtu 9000");
        lab.far("link set far0 mtu 9000");
        let _fake = Fake::start(lab, answer);
        // The smallest block cuts the long frame.
        let small = Via::Ring(Shape { block_size: 4_096, blocks: 64, age: 1 });
        for via in ways().into_iter().chain([small]) {
            let link = &mut raw_via(via);
            send(link, address("198.18.0.50"), &Question::Tcp(80)).unwrap();
            // Sixteen of the 24 bytes of the segment are enough: 50 to 58 bytes.
            assert_eq!(all(link), vec![Answer::TcpOpen(80); 9], "{via:?}");
            check(link, "198.18.0.51", Question::Tcp(80), Answer::TcpOpen(80));
            assert_eq!(link.drops(), 0);
        }
    });
}

#[test]
fn an_error_that_quotes_our_packet_cut_at_every_length_counts_if_it_shows_the_cookie() {
    fn answer(syn: Syn) -> Vec<Vec<u8>> {
        let quoted = syn.packet();
        let unreachable = [3, 1, 0, 0, 0, 0, 0, 0];
        let cuts = 0..=quoted.len();
        cuts.map(|len| syn.message(&[&unreachable, &quoted[..len]].concat())).collect()
    }
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, answer);
        for via in ways() {
            let link = &mut raw_via(via);
            send(link, address("198.18.0.50"), &Question::Tcp(80)).unwrap();
            // A header of 20 bytes, and the first eight of the segment: 28 to 44 bytes.
            assert_eq!(all(link), vec![Answer::Unreachable; 17], "{via:?}");
        }
    });
}

/// How many answers come at once.
const BURST: usize = 20_000;

fn burst(syn: Syn) -> Vec<Vec<u8>> {
    vec![syn.accept(syn.target, 0); BURST]
}

#[test]
fn a_burst_of_twenty_thousand_answers_is_heard_whole() {
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, burst);
        for via in ways() {
            let link = &mut raw_via(via);
            send(link, address("198.18.0.50"), &Question::Tcp(80)).unwrap();
            let heard = all(link).len();
            match via {
                Via::Ring(_) => assert_eq!((heard, link.drops()), (BURST, 0)),
                // Its room is what the system allows it; what does not fit is counted.
                Via::Portable => assert_eq!(heard as u64 + link.drops(), BURST as u64),
            }
        }
    });
}

#[test]
fn what_a_ring_has_no_room_for_is_counted() {
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, burst);
        let link = &mut raw_via(Via::Ring(Shape { block_size: 4_096, blocks: 2, age: 1 }));
        send(link, address("198.18.0.50"), &Question::Tcp(80)).unwrap();
        let heard = all(link).len() as u64;
        let drops = link.drops();
        assert!(drops > 0, "two pages held {heard} answers");
        assert_eq!(heard + drops, BURST as u64);
    });
}

#[test]
fn where_the_kernel_makes_no_ring_the_portable_channel_serves() {
    lab(With::default(), |_| {
        // Not a multiple of a page, which is refused.
        let link = &mut raw_via(Via::Ring(Shape { block_size: 5_000, blocks: 2, age: 1 }));
        check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
    });
}

#[test]
fn questions_are_kept_until_they_are_flushed_or_a_batch_is_full() {
    fn accept(syn: Syn) -> Vec<Vec<u8>> {
        vec![syn.accept(syn.target, 0)]
    }
    lab(With::default(), |lab| {
        let _fake = Fake::start(lab, accept);
        for via in ways() {
            let link = &mut raw_via(via);
            check(link, "198.18.0.50", Question::Tcp(80), Answer::TcpOpen(80));
            for port in 1..=300 {
                link.send(permit(address("198.18.0.50")), &Question::Tcp(port)).unwrap();
                let kept = usize::from(if port <= 256 { port } else { port - 256 });
                assert_eq!(link.unsent(), kept);
            }
            assert_eq!(all(link).len(), 256);
            link.flush().unwrap();
            assert_eq!((all(link).len(), link.unsent()), (44, 0));
        }
    });
}

#[test]
fn a_frame_that_the_system_refuses_is_told_with_its_address_and_the_others_go() {
    lab(With::default(), |lab| {
        for via in ways() {
            lab.near("link set near0 mtu 1500");
            let link = &mut raw_via(via);
            check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
            lab.near("link set near0 mtu 600");
            let long = Question::Udp(161, vec![b'x'; 1_000]);
            for question in [&Question::Tcp(22), &long, &Question::Tcp(23)] {
                link.send(permit(address(FAR_V4)), question).unwrap();
            }
            let error = link.flush().unwrap_err();
            assert!(
                matches!(&error, LinkError::Send { address: to, .. } if *to == address(FAR_V4)),
                "{error:?}"
            );
            link.flush().unwrap();
            let mut answers = all(link);
            answers.sort_by_key(|answer| format!("{answer:?}"));
            assert_eq!(answers, [Answer::TcpClosed(23), Answer::TcpOpen(22)]);
        }
    });
}
