//! The chain-building cases of the corpus, which is not part of this repository: the test
//! reads them where the variable DAICHO_CORPUS points, and says so where it does not.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "a test prints its count and may fail loudly"
)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use certs::{
    Certificate, Context, Thresholds, Trust, Verdict, certificates_in,
    chain::{Judgement, Pool, Purpose, Question, Roots, judge},
    parse,
    revocation::Lists,
};
use model::Timestamp;
use serde_json::Value;

/// Where we differ, each with its reason in `docs/decisions/0003-certificates.md`; and the rule
/// that says what is expected to be an end of the chain, where there is one.
const EXPLAINED: &[(&str, Option<&str>)] = &[
    ("pathlen::max-chain-depth-0-exhausted", None),
    ("pathlen::max-chain-depth-1-exhausted", None),
    ("rfc5280::aki::critical-aki", Some("cert.extension-critical")),
    ("rfc5280::aki::cross-signed-root-missing-aki", Some("cert.no-issuer-key-id")),
    ("rfc5280::ca-empty-subject", Some("cert.authority-no-subject")),
    ("rfc5280::leaf-ku-keycertsign", Some("cert.signs-without-being-authority")),
    ("rfc5280::nc::permitted-self-issued", None),
    ("rfc5280::root-inconsistent-ca-extensions", None),
    ("rfc5280::root-missing-basic-constraints", None),
    ("rfc5280::root-non-critical-basic-constraints", None),
    ("rfc5280::serial::negative", Some("cert.serial-not-positive")),
    ("rfc5280::ski::critical-ski", Some("cert.extension-critical")),
    ("rfc5280::ski::root-missing-ski", Some("cert.authority-no-key-id")),
    ("webpki::aki::root-with-aki-authoritycertissuer", None),
    ("webpki::aki::root-with-aki-authoritycertserialnumber", None),
    ("webpki::aki::root-with-aki-missing-keyidentifier", None),
    ("webpki::eku::ee-critical-eku", Some("cert.public-purposes-critical")),
    ("webpki::forbidden-dsa-spki-leaf", Some("cert.weak-key")),
    ("webpki::forbidden-p192-spki-leaf", Some("cert.weak-key")),
    (
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
        Some("cert.extension-empty"),
    ),
    (
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
        Some("cert.extension-empty"),
    ),
];

/// The corpus, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let root = env::var_os("DAICHO_CORPUS");
    if root.is_none() {
        println!("DAICHO_CORPUS is not set: the chain-building cases were NOT run");
    }
    root.map(|root| {
        let root = PathBuf::from(root);
        // Tests run in their package's folder, the variable is written in the workspace's.
        let root = if root.is_absolute() { root } else { Path::new("..").join(root) };
        root.join("certificates/chains/limbo-half.json")
    })
}

fn ders(pems: &Value) -> Vec<Vec<u8>> {
    let pems = pems.as_array().expect("a list");
    pems.iter().flat_map(|pem| certificates_in(pem.as_str().unwrap().as_bytes())).collect()
}

fn slices(ders: &[Vec<u8>]) -> Vec<&[u8]> {
    ders.iter().map(Vec::as_slice).collect()
}

fn run(case: &Value) -> Judgement {
    let roots = ders(&case["trusted_certs"]);
    let served = ders(&case["untrusted_intermediates"]);
    let leaf = case["peer_certificate"].as_str().unwrap();
    let leaf = certificates_in(leaf.as_bytes()).remove(0);
    // Where none is given, today's; the cases were made at the end of 2023 and are valid
    // for a long time.
    let as_of: Timestamp = match case["validation_time"].as_str() {
        Some(time) => time.replace("+00:00", "Z").parse().expect("a moment"),
        None => "2024-01-01".parse().unwrap(),
    };
    let question = Question {
        leaf: &leaf,
        served: &slices(&served),
        name: case["expected_peer_name"]["value"].as_str(),
        as_of,
        purpose: match case["validation_kind"].as_str() {
            Some("SERVER") => Purpose::Server,
            Some("CLIENT") => Purpose::Client,
            other => panic!("a kind {other:?}"),
        },
        lists: &Lists::default(),
    };
    judge(&question, &Pool::new([]), &Roots::new(slices(&roots), []))
}

#[test]
fn the_cases_of_the_corpus_are_judged_as_expected() {
    let Some(path) = corpus() else { return };
    let text = fs::read_to_string(path).expect("the corpus can be read");
    let cases: Value = serde_json::from_str(&text).expect("the corpus is whole");
    let cases = cases["testcases"].as_array().expect("a list");
    let mut differences = BTreeSet::new();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let expected = match case["expected_result"].as_str() {
            Some("SUCCESS") => true,
            Some("FAILURE") => false,
            other => panic!("a result {other:?}"),
        };
        let judgement = run(case);
        let reasons: Vec<String> = judgement.reasons.iter().map(ToString::to_string).collect();
        let agree = judgement.reasons.is_empty() == expected;
        println!("{} {id}: {}", if agree { "=" } else { "≠" }, reasons.join("; "));
        if !agree {
            differences.insert(id);
        }
    }
    println!("{} cases, {} as expected", cases.len(), cases.len() - differences.len());
    assert!(cases.len() >= 70, "only {} cases", cases.len());
    assert_eq!(differences, EXPLAINED.iter().map(|(id, _)| *id).collect());
    for (id, rule) in EXPLAINED {
        let case = cases.iter().find(|case| case["id"] == *id).unwrap();
        let rule = rule.filter(|rule| !breaks(case, rule));
        assert_eq!(rule, None, "the rule says nothing about {id}");
    }
}

/// Whether one of the case's certificates breaks the rule.
fn breaks(case: &Value, rule: &str) -> bool {
    let leaf = case["peer_certificate"].as_str().unwrap();
    let mut all = certificates_in(leaf.as_bytes());
    all.extend(ders(&case["trusted_certs"]));
    all.extend(ders(&case["untrusted_intermediates"]));
    let as_of = "2024-01-01".parse().unwrap();
    let context = Context { as_of, thresholds: Thresholds::default(), trust: Trust::Public };
    let rule = certs::rules::rule(rule).expect("a rule");
    all.iter().any(|der| {
        // They are valid from 1970 on, before there was any rule.
        let certificate = Certificate { not_before: Some(as_of), ..parse(der) };
        matches!(rule.judge(&certificate, &context), Verdict::Fail { .. })
    })
}
