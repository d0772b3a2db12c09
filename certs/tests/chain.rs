//! Chains that the test makes: each reason by itself, reasons together, what the inventory
//! adds, and sets of certificates that are made to cost much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly"
)]

use std::time::{Duration, Instant};

use certs::{
    Trust,
    chain::{Judgement, Pool, Purpose, Question, Reason, Roots, judge},
    parse,
    revocation::{List, ListError, Lists, Signer},
};
use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

fn now() -> Timestamp {
    "2026-06-01".parse().unwrap()
}

/// An authority or a server with its key.
struct Party {
    params: CertificateParams,
    key: KeyPair,
}

fn named(params: &mut CertificateParams, common: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.use_authority_key_identifier_extension = true;
}

fn authority(common: &str) -> Party {
    let mut params = CertificateParams::new([]).unwrap();
    named(&mut params, common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Party { params, key: KeyPair::generate().unwrap() }
}

fn server() -> Party {
    let mut params = CertificateParams::new(["www.example".to_owned()]).unwrap();
    named(&mut params, "www.example");
    params.serial_number = Some(SerialNumber::from_slice(&[7, 7]));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Party { params, key: KeyPair::generate().unwrap() }
}

impl Party {
    fn valid(mut self, from: i32, to: i32) -> Self {
        self.params.not_before = date_time_ymd(from, 1, 1);
        self.params.not_after = date_time_ymd(to, 1, 1);
        self
    }

    fn own(&self) -> Vec<u8> {
        self.params.self_signed(&self.key).unwrap().der().to_vec()
    }

    fn by(&self, issuer: &Self) -> Vec<u8> {
        let issuer = Issuer::from_params(&issuer.params, &issuer.key);
        self.params.signed_by(&self.key, &issuer).unwrap().der().to_vec()
    }
}

/// A root, an intermediate and a server, all in order.
struct Family {
    root: Party,
    middle: Party,
    server: Party,
}

fn family() -> Family {
    Family { root: authority("root"), middle: authority("middle"), server: server() }
}

impl Family {
    fn root(&self) -> Vec<u8> {
        self.root.own()
    }

    fn middle(&self) -> Vec<u8> {
        self.middle.by(&self.root)
    }

    fn leaf(&self) -> Vec<u8> {
        self.server.by(&self.middle)
    }

    fn server_pem(&self) -> String {
        self.server.params.self_signed(&self.server.key).unwrap().pem()
    }

    /// Judged as served in full, the root being the organisation's.
    fn judge(&self) -> Judgement {
        asked(&self.leaf(), &[&self.middle()], &[], &self.root())
    }
}

fn asked(leaf: &[u8], served: &[&[u8]], inventory: &[&[u8]], root: &[u8]) -> Judgement {
    let question = Question {
        leaf,
        served,
        name: Some("www.example"),
        as_of: now(),
        purpose: Purpose::Server,
        lists: &Lists::default(),
    };
    judge(&question, &Pool::new(inventory.iter().copied()), &Roots::new([], [root]))
}

fn hash(der: &[u8]) -> String {
    parse(der).sha256
}

#[test]
fn a_good_chain_is_accepted_and_its_path_is_told() {
    let family = family();
    let (leaf, middle, root) = (family.leaf(), family.middle(), family.root());
    let question = Question {
        leaf: &leaf,
        // In any order, twice, and with the root and a stranger, as servers do.
        served: &[&root, &middle, &middle, &authority("stranger").own()],
        name: Some("www.example"),
        as_of: now(),
        purpose: Purpose::Server,
        lists: &Lists::default(),
    };
    let path = vec![hash(&leaf), hash(&middle), hash(&root)];
    let none = Pool::new([]);
    for (roots, trust) in [
        (Roots::new([&root[..]], []), Trust::Public),
        (Roots::new([], [&root[..]]), Trust::Private),
        (Roots::new([&root[..]], [&root[..]]), Trust::Private),
    ] {
        let expected = Judgement { trust, path: path.clone(), reasons: vec![] };
        assert_eq!(judge(&question, &none, &roots), expected);
    }
    let nobody = judge(&question, &none, &Roots::new([], []));
    assert_eq!(nobody.reasons, [Reason::UnknownIssuer("CN=root".into())]);
    assert_eq!(nobody.trust, Trust::Unknown);
}

#[test]
fn what_is_not_valid_now_is_named() {
    let mut expired = family();
    expired.server = expired.server.valid(2025, 2026);
    assert_eq!(expired.judge().reasons, [Reason::ExpiredLeaf]);
    assert_eq!(expired.judge().trust, Trust::Private);

    let mut above = family();
    above.middle = above.middle.valid(2025, 2026);
    let middle = above.middle();
    let reason = Reason::ExpiredIntermediate(hash(&middle));
    assert_eq!(asked(&above.leaf(), &[&middle], &[], &above.root()).reasons, [reason]);

    let mut root = family();
    root.root = root.root.valid(2025, 2026);
    let whole = root.root();
    let reasons = asked(&root.leaf(), &[&root.middle()], &[], &whole).reasons;
    assert_eq!(reasons, [Reason::ExpiredRoot(hash(&whole))]);

    let mut early = family();
    early.server = early.server.valid(2027, 2028);
    let leaf = early.leaf();
    let reasons = asked(&leaf, &[&early.middle()], &[], &early.root()).reasons;
    assert_eq!(reasons, [Reason::NotYetValid(hash(&leaf))]);
}

#[test]
fn an_intermediate_that_is_not_served_is_missed_whether_it_is_known_or_not() {
    let mut family = family();
    let (middle, root) = (family.middle(), family.root());
    let leaf = family.leaf();
    let held = |held| Reason::MissingIntermediate { issuer: "CN=middle".into(), held };
    let known = asked(&leaf, &[], &[&middle], &root);
    assert_eq!(known.reasons, [held(Some(hash(&middle)))]);
    assert_eq!(known.path, [hash(&leaf), hash(&middle), hash(&root)]);
    assert_eq!(known.trust, Trust::Private);

    let unknown = asked(&leaf, &[], &[], &root);
    assert_eq!(unknown.reasons, [Reason::UnknownIssuer("CN=middle".into())]);
    // With the address of its issuer's certificate in it, there is one to be had.
    let access = b"\x30\x18\x30\x16\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x0ahttp://a/b";
    let access = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access.to_vec());
    family.server.params.custom_extensions.push(access);
    let leaf = family.leaf();
    assert_eq!(asked(&leaf, &[], &[], &root).reasons, [held(None)]);

    // A root that nobody here trusts, which another server sends, is not missed.
    let stranger = authority("stranger");
    let (leaf, seen) = (server().by(&stranger), stranger.own());
    let reasons = asked(&leaf, &[], &[&seen], &root).reasons;
    assert_eq!(reasons, [Reason::UnknownIssuer("CN=stranger".into())]);
}

#[test]
fn names_signatures_uses_and_strangers_are_told_apart() {
    let family = family();
    let (middle, root) = (family.middle(), family.root());
    let mut other = server();
    other.params.subject_alt_names.clear();
    other.params.subject_alt_names.push(rcgen::SanType::DnsName("b.example".try_into().unwrap()));
    let other = other.by(&family.middle);
    assert_eq!(asked(&other, &[&middle], &[], &root).reasons, [Reason::NameMismatch]);

    // Another authority's signature under the same names.
    let forged = server().by(&authority("middle"));
    let reasons = asked(&forged, &[&middle], &[], &root).reasons;
    assert_eq!(reasons, [Reason::BadSignature(hash(&forged))]);

    let mut client = server();
    client.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.by(&family.middle);
    let reasons = asked(&client, &[&middle], &[], &root).reasons;
    assert!(matches!(&reasons[..], [Reason::WrongUsage(_)]), "{reasons:?}");

    let mut odd = server();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    odd.params.custom_extensions = vec![unknown];
    let odd = odd.by(&family.middle);
    let reasons = asked(&odd, &[&middle], &[], &root).reasons;
    assert!(matches!(&reasons[..], [Reason::Unsupported(_)]), "{reasons:?}");

    let leaf = server().own();
    assert_eq!(asked(&leaf, &[], &[], &root).reasons, [Reason::SelfSigned]);
    assert_eq!(asked(&leaf, &[], &[], &leaf).reasons, [], "unless it is trusted by itself");

    let mut limited = authority("limited");
    limited.params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let leaf = server().by(&limited);
    let reasons = asked(&leaf, &[&limited.by(&family.root)], &[], &root).reasons;
    assert!(matches!(&reasons[..], [Reason::WrongUsage(_)]), "{reasons:?}");
}

#[test]
fn reasons_that_come_together_are_told_together() {
    let mut family = family();
    family.server = family.server.valid(2025, 2026);
    family.server.params.subject_alt_names.clear();
    family.server.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (middle, root, leaf) = (family.middle(), family.root(), family.leaf());
    let reasons = asked(&leaf, &[], &[&middle], &root).reasons;
    let names: Vec<_> = reasons.iter().map(Reason::as_str).collect();
    assert_eq!(names, ["expired-leaf", "name-mismatch", "wrong-usage", "missing-intermediate"]);
}

fn list(issuer: &Party, serial: &[u8]) -> Vec<u8> {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2026, 3, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 3, 2),
        next_update: date_time_ymd(2026, 3, 9),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = Issuer::from_params(&issuer.params, &issuer.key);
    params.signed_by(&issuer).unwrap().der().to_vec()
}

#[test]
fn a_list_revokes_what_it_names_even_when_it_is_old() {
    let family = family();
    let (leaf, middle, root) = (family.leaf(), family.middle(), family.root());
    let judged = |lists: &[&[u8]], as_of: &str| {
        let question = Question {
            leaf: &leaf,
            served: &[&middle],
            name: Some("www.example"),
            as_of: as_of.parse().unwrap(),
            purpose: Purpose::Server,
            lists: &Lists::new(lists.iter().filter_map(|der| List::read(der).ok())),
        };
        judge(&question, &Pool::new([]), &Roots::new([], [&root[..]])).reasons
    };
    let naming = list(&family.middle, &[7, 7]);
    assert_eq!(judged(&[&naming], "2026-06-01"), [Reason::Revoked]);
    assert_eq!(
        judged(&[&naming], "2027-06-01"),
        [
            Reason::ExpiredLeaf,
            Reason::ExpiredIntermediate(hash(&middle)),
            Reason::ExpiredRoot(hash(&root)),
            Reason::Revoked,
        ]
    );
    assert_eq!(judged(&[&list(&family.middle, &[7, 8])], "2026-06-01"), []);
    assert_eq!(judged(&[&list(&family.root, &[7, 7])], "2026-06-01"), [], "another's list");
    assert_eq!(judged(&[b"noise"], "2026-06-01"), []);
    let forged = list(
        &Party { params: family.middle.params.clone(), key: KeyPair::generate().unwrap() },
        &[7, 7],
    );
    let reasons = judged(&[&forged], "2026-06-01");
    assert!(matches!(&reasons[..], [Reason::BadList(_)]), "{reasons:?}");
}

#[test]
fn a_list_says_whose_it_is_and_what_it_is_worth() {
    let family = family();
    let (middle, root) = (family.middle(), family.root());
    let naming = list(&family.middle, &[7, 7]);
    let pem = format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", base64(&naming));
    let read = List::all_in(pem.as_bytes()).unwrap();
    assert_eq!(read, [List::read(&naming).unwrap()]);
    let [read] = &read[..] else { panic!("{read:?}") };
    assert_eq!(read.issuer, "CN=middle");
    let next = read.next_update.unwrap();
    assert!(read.this_update.unwrap() < next);
    assert!(!read.is_outdated(next) && read.is_outdated(next.plus_seconds(1)));

    let roots = Roots::new([], [&root[..]]);
    let worth = |list: &[u8], known: &[&[u8]]| {
        let list = List::read(list).unwrap();
        list.standing(&Pool::new(known.iter().copied()), &roots, now()).signer
    };
    assert_eq!(worth(&naming, &[&middle]), Signer::Issuer);
    assert_eq!(worth(&naming, &[]), Signer::Unknown);
    assert_eq!(worth(&list(&family.root, &[1]), &[]), Signer::Issuer);
    let forger = Party { params: family.middle.params.clone(), key: KeyPair::generate().unwrap() };
    let forged = list(&forger, &[7, 7]);
    assert_eq!(worth(&forged, &[&middle]), Signer::Other);
    // The authority has a second key of the same name: that one signed it.
    assert_eq!(worth(&forged, &[&middle, &forger.by(&family.root)]), Signer::Issuer);
}

/// Base64, of which the product has only the other way.
fn base64(der: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let bits =
            (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        let digit = |at: usize| match at <= chunk.len() {
            true => char::from(digits[(bits >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    der.chunks(3).map(encode).collect()
}

#[test]
fn what_is_no_list_or_a_broken_one_is_told_apart() {
    let family = family();
    let naming = list(&family.middle, &[7, 7]);
    assert_eq!(List::read(b"").unwrap_err(), ListError::None);
    assert_eq!(List::all_in(b"hello").unwrap_err(), ListError::None);
    assert_eq!(List::all_in(family.server_pem().as_bytes()).unwrap_err(), ListError::None);
    assert_eq!(List::read(&family.middle()).unwrap_err(), ListError::None);
    let long = [&naming[..], b"more"].concat();
    assert!(matches!(List::read(&long), Err(ListError::Unreadable(_))));
    for end in 0..naming.len() {
        assert!(List::read(&naming[..end]).is_err(), "{end}");
    }
    let text = "-----BEGIN X509 CRL-----\n!!\n-----END X509 CRL-----\n";
    assert!(matches!(List::all_in(text.as_bytes()), Err(ListError::Unreadable(_))));
}

#[test]
fn a_cross_signed_intermediate_is_taken_by_the_way_that_is_valid() {
    let family = family();
    let old = authority("old root").valid(2020, 2025);
    let (leaf, middle) = (family.leaf(), family.middle());
    let crossed = family.middle.by(&old);
    let (new, old) = (family.root(), old.own());
    let question = Question {
        leaf: &leaf,
        served: &[&crossed, &middle],
        name: None,
        as_of: now(),
        purpose: Purpose::Server,
        lists: &Lists::default(),
    };
    let roots = Roots::new([&old[..], &new[..]], []);
    let judgement = judge(&question, &Pool::new([]), &roots);
    assert_eq!(judgement.reasons, []);
    assert_eq!(judgement.path, [hash(&leaf), hash(&middle), hash(&new)]);
}

/// How long a judgement may take in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[track_caller]
fn judged_soon(
    leaf: &[u8],
    served: &[&[u8]],
    inventory: &Pool<'_>,
    roots: &Roots<'_>,
) -> Judgement {
    let question = Question {
        leaf,
        served,
        name: Some("www.example"),
        as_of: now(),
        purpose: Purpose::Server,
        lists: &Lists::default(),
    };
    let began = Instant::now();
    let judgement = judge(&question, inventory, roots);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    judgement
}

#[test]
fn ten_thousand_namesakes_cost_no_more_than_a_few() {
    let family = family();
    let (leaf, middle, root) = (family.leaf(), family.middle(), family.root());
    // All of one name, each with another serial number, so that each is another certificate.
    let mut namesake = authority("middle");
    let serial = [0x11, 0x22, 0x33, 0x44];
    namesake.params.serial_number = Some(SerialNumber::from_slice(&serial));
    let one = namesake.by(&family.root);
    let at = one.windows(4).position(|bytes| bytes == serial).unwrap();
    let namesakes: Vec<Vec<u8>> = (0x1000_0000..0x1000_0000 + 10_000u32)
        .map(|n| {
            let mut der = one.clone();
            der[at..at + 4].copy_from_slice(&n.to_be_bytes());
            der
        })
        .collect();
    let inventory = Pool::new(namesakes.iter().map(Vec::as_slice));
    assert_eq!(inventory.len(), 10_000);
    let roots = Roots::new([], [&root[..]]);
    // The right one is served.
    let found = judged_soon(&leaf, &[&middle], &inventory, &roots);
    assert_eq!(
        (found.path, found.reasons),
        (vec![hash(&leaf), hash(&middle), hash(&root)], vec![])
    );
    // As served, and none of them the right one.
    let served: Vec<&[u8]> = namesakes.iter().map(Vec::as_slice).collect();
    let lost = judged_soon(&leaf, &served, &inventory, &roots);
    assert_eq!(lost.trust, Trust::Unknown);
    assert!(lost.reasons.contains(&Reason::BadSignature(hash(&leaf))), "{:?}", lost.reasons);
}

#[test]
fn authorities_that_all_certified_each_other_are_given_up() {
    let authorities: Vec<Party> = (0..30).map(|n| authority(&format!("a{n}"))).collect();
    let mut web = Vec::new();
    for one in &authorities {
        for other in &authorities {
            web.push(one.by(other));
        }
    }
    let leaf = server().by(&authorities[0]);
    let inventory = Pool::new(web.iter().map(Vec::as_slice));
    let root = authority("root").own();
    let roots = Roots::new([], [&root[..]]);
    let lost = judged_soon(&leaf, &[], &inventory, &roots);
    assert!(lost.reasons.contains(&Reason::TooComplex), "{:?}", lost.reasons);
    // A root in the middle of it is found all the same.
    let near = authorities[1].own();
    let found = judged_soon(&leaf, &[], &inventory, &Roots::new([], [&near[..]]));
    assert_eq!(found.trust, Trust::Private, "{:?}", found.reasons);
}

#[test]
fn loops_and_long_ladders_end() {
    let [one, two] = [authority("one"), authority("two")];
    let circle = [one.by(&two), two.by(&one)];
    let leaf = server().by(&one);
    let served: Vec<&[u8]> = circle.iter().map(Vec::as_slice).collect();
    let root = authority("root").own();
    let roots = Roots::new([], [&root[..]]);
    let lost = judged_soon(&leaf, &served, &Pool::new([]), &roots);
    assert!(matches!(&lost.reasons[..], [Reason::UnknownIssuer(_)]), "{:?}", lost.reasons);

    let steps: Vec<Party> = (0..40).map(|n| authority(&format!("step {n}"))).collect();
    let ladder: Vec<Vec<u8>> = steps.windows(2).map(|pair| pair[0].by(&pair[1])).collect();
    let top = steps[39].own();
    let leaf = server().by(&steps[0]);
    let served: Vec<&[u8]> = ladder.iter().map(Vec::as_slice).collect();
    let lost = judged_soon(&leaf, &served, &Pool::new([]), &Roots::new([], [&top[..]]));
    assert_eq!(lost.trust, Trust::Unknown);
    assert!(!lost.reasons.is_empty());
}

#[test]
fn noise_is_refused_and_never_a_crash() {
    let family = family();
    let root = family.root();
    for leaf in [&b""[..], b"noise", &[0x30, 0], &family.leaf()[..100]] {
        let judgement = asked(leaf, &[b"noise", &[0x30; 50]], &[b""], &root);
        assert!(!judgement.reasons.is_empty(), "{leaf:?}");
    }
}
