//! The port mapper (RFC 1833): a call that does nothing, and then, of one that answers, the
//! list of RPC programs: NFS and its helpers, or NIS.
//!
//! The ports of programs are no facts: most are others after each start.

use std::collections::{BTreeMap, BTreeSet};

use model::{Fact, Service, Transport};
use wire::rpc::{self, Outcome, Reply};

use super::{Probe, Reading, Step, Talk, said::attribute};

/// The probe.
pub struct Rpcbind;

/// Names of programs (IANA, ONC RPC program numbers).
const PROGRAMS: [(u32, &str); 22] = [
    (100_000, "portmapper"),
    (100_001, "rstatd"),
    (100_002, "rusersd"),
    (100_003, "nfs"),
    (100_004, "ypserv"),
    (100_005, "mountd"),
    (100_007, "ypbind"),
    (100_008, "walld"),
    (100_009, "yppasswdd"),
    (100_011, "rquotad"),
    (100_012, "sprayd"),
    (100_017, "rexd"),
    (100_020, "llockmgr"),
    (100_021, "nlockmgr"),
    (100_024, "status"),
    (100_026, "bootparam"),
    (100_068, "cmsd"),
    (100_083, "ttdbserverd"),
    (100_227, "nfs_acl"),
    (100_300, "nisd"),
    (150_001, "pcnfsd"),
    (391_002, "fam"),
];

impl Probe for Rpcbind {
    fn protocol(&self) -> &'static str {
        "rpcbind"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[111]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(rpc::call(talk.cookie, rpc::NULL)),
            1 if reply(talk, 1).is_some() => {
                Step::Say(rpc::call(talk.cookie.wrapping_add(1), rpc::DUMP))
            }
            1 | 2 if talk.heard(talk.said()).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        if reply(talk, 1).is_none() {
            return Reading::default();
        }
        let mut service = Service::of("rpcbind");
        let mut evidence = talk.heard(1).to_vec();
        if let Some(Outcome::Success(results)) = reply(talk, 2)
            && let Ok(mappings) = rpc::mappings(results)
        {
            evidence = talk.heard(2).to_vec();
            attribute(&mut service, "programs", &programs(&mappings));
        }
        Reading { facts: vec![Fact::Service(service)], evidence }
    }
}

/// What came of our n-th call.
fn reply<'a>(talk: &Talk<'a>, n: u32) -> Option<Outcome<'a>> {
    let reply = Reply::parse(talk.heard(n as usize)).ok()?;
    let xid = talk.cookie.wrapping_add(n).wrapping_sub(1);
    (reply.xid == xid).then_some(reply.outcome)
}

/// `mountd 1-3; nfs 3,4`: names and versions, in alphabetical order.
fn programs(mappings: &[rpc::Mapping]) -> String {
    let mut versions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for mapping in mappings {
        let known = PROGRAMS.iter().find(|(number, _)| *number == mapping.program);
        let name = known.map_or_else(|| mapping.program.to_string(), |(_, name)| (*name).into());
        versions.entry(name).or_default().insert(mapping.version);
    }
    let texts: Vec<String> = versions
        .into_iter()
        .map(|(name, versions)| {
            let versions: Vec<String> = versions.iter().map(u32::to_string).collect();
            format!("{name} {}", versions.join(","))
        })
        .collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{testing, udp::tests::COOKIE};

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn null() -> Vec<u8> {
        words(&[COOKIE, 1, 0, 0, 0, 0])
    }

    fn dump() -> Vec<u8> {
        let nfs = |version| [1, 100_003, version, 6, 2049];
        let list = [[1, 100_000, 2, 17, 111], nfs(4), nfs(3), [1, 400_000, 1, 6, 7]].concat();
        words(&[&[COOKIE + 1, 1, 0, 0, 0, 0][..], &list, &[0]].concat())
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let heard = [&[Vec::new()], answers].concat();
        Rpcbind.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn programs_are_listed_with_their_versions() {
        let facts = read(&[null(), dump()]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["programs"], "400000 1; nfs 3,4; portmapper 2");
        let bytes = dump();
        for len in 0..bytes.len() {
            let facts = read(&[null(), bytes[..len].to_vec()]);
            assert_eq!(facts, [Fact::Service(Service::of("rpcbind"))], "cut at {len}");
        }
        let bytes = null();
        for len in 0..bytes.len() {
            assert_eq!(read(&[bytes[..len].to_vec()]), [], "cut at {len}");
        }
        assert_eq!(read(&[words(&[COOKIE ^ 1, 1, 0, 0, 0, 0])]), []);
    }

    #[test]
    fn the_list_is_asked_of_who_answered() {
        let step = |heard: &[Vec<u8>], ended| Rpcbind.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(rpc::call(COOKIE, rpc::NULL)));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        assert_eq!(step(&[vec![], vec![]], true), Step::Finish);
        let next = Step::Say(rpc::call(COOKIE + 1, rpc::DUMP));
        assert_eq!(step(&[vec![], null()], false), next);
        assert_eq!(step(&[vec![], null(), dump()], false), Step::Finish);
        assert_eq!(step(&[vec![], vec![1, 2]], false), Step::Finish);
    }
}
