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
    certificates_in,
    chain::{Judgement, Pool, Purpose, Question, Roots, judge},
};
use model::Timestamp;
use serde_json::Value;

/// Where we differ, each with its reason in `docs/decisions/0003-certificates.md`.
const EXPLAINED: &[&str] = &[];

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
        lists: &[],
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
    assert_eq!(differences, EXPLAINED.iter().copied().collect());
}
