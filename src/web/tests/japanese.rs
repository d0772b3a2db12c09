//! Every page of the demonstration in Japanese: no sentence of it is English, but for what people,
//! devices and standards say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::{compare, user::Role};
use tempfile::TempDir;

use super::Site;
use crate::{cli::args::Demo, clock, demo};

/// What people wrote in the demonstration, and what things are called.
const WRITTEN: &[&str] = &[
    "Tokyo head office",
    // As the query language has it: folded.
    "tokyo head office",
    "rocky linux",
    "sensor of the weather club",
    "asked the third floor",
    "controls the oven until it is replaced",
    "one telephone with two network ports",
    "replaced with the next budget",
    "no longer supported",
    "FTP is not used any more",
];

/// Pages of one form that are looked at.
const OF_A_FORM: usize = 8;

/// The form of an address: without its numbers and hashes, and what its questions ask for.
fn form_of(address: &str) -> String {
    let (path, asked) = address.split_once('?').unwrap_or((address, ""));
    let part = |part: &str| match part.contains(|c: char| c.is_ascii_digit()) {
        true => "#".to_owned(),
        false => part.to_owned(),
    };
    let path: Vec<String> = path.split('/').map(part).collect();
    let asked: Vec<&str> = asked.split('&').filter_map(|one| one.split('=').next()).collect();
    format!("{}?{}", path.join("/"), asked.join("&"))
}

/// The addresses of ours that a page leads to.
fn links(page: &str) -> Vec<String> {
    let all = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = all.filter(|to| to.starts_with('/') && !to.starts_with("/static"));
    own.map(|to| to.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

/// The texts of a page that people read, those that programs are given (`code`) not.
fn texts(page: &str) -> Vec<String> {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let mut texts = Vec::new();
    let mut is_code = false;
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        is_code = match tag.split([' ', '/']).find(|word| !word.is_empty()) {
            Some("code" | "script") => !tag.starts_with('/'),
            _ => is_code,
        };
        if !is_code {
            texts.push(text.replace("&#39;", "'").replace("&#34;", "\"").trim().to_owned());
        }
        for name in ["aria-label=\"", "title=\""] {
            let said = tag.split_once(name).and_then(|(_, rest)| rest.split('"').next());
            texts.extend(said.map(str::to_owned));
        }
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// Two English words or more one after the other.
fn english(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    let citations = compare::RULES.iter().map(|rule| rule.citation);
    let citations = citations.chain(certs::RULES.iter().map(|rule| rule.citation));
    for known in citations.chain(WRITTEN.iter().copied()) {
        text = text.replace(known, " . ");
    }
    // What is to be typed.
    while let Some((before, behind)) = text.split_once("daicho ") {
        let rest = behind.trim_start_matches(|c: char| c.is_ascii_graphic() || c == ' ');
        text = format!("{before}.{rest}");
    }
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
    let words: Vec<&str> = text.split([' ', '\n', '(', ')', '"']).collect();
    let words: Vec<&str> = words.iter().map(|word| word.trim_end_matches([':', ','])).collect();
    let mut pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .find(|(one, next)| is_word(one) && is_word(next))
        .map(|(one, next)| format!("{one} {next}"))
}

#[test]
fn a_sentence_is_seen_and_a_name_is_none() {
    assert_eq!(english("機器: seen in frames。").as_deref(), Some("seen in"));
    for fine in [
        "OpenSSH 9.6p1",
        "Tokyo head office",
        "daicho alert list --state failed で確認",
        "CIS Controls v8, 1.2 and 12.2; RFC 2131, section 7",
        "{\"alive\":{\"ttl\":64}}",
        "未登録: どの識別子も機器台帳にない",
    ] {
        assert_eq!(english(fine), None, "{fine}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_the_demonstration_has_an_english_sentence() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("demo.db");
    demo::fill(&database, &Demo { seed: 1, days: 5 }, clock::now()).await.unwrap();
    let configuration = std::fs::read_to_string(folder.path().join("demo.db.toml")).unwrap();
    let site = Site::over(folder, &database, &configuration).await;
    let token = site.session(Role::Admin).await;
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut forms: BTreeMap<String, usize> = BTreeMap::new();
    let first = ["/", "/doctor", "/users", "/account", "/decisions?all=1", "/login"];
    let mut waiting: VecDeque<String> = first.map(str::to_owned).into();
    // Every kind of finding has a page with its sentence.
    let columns = "columns=title,detail,subject,rule";
    waiting.push_back(format!("/findings?q=&{columns}"));
    waiting.extend(
        compare::RULES.iter().map(|rule| format!("/findings?q=rule%3A{}&{columns}", rule.id)),
    );
    while let Some(path) = waiting.pop_front() {
        let of = forms.entry(form_of(&path)).or_default();
        if seen.contains(&path) || (*of >= OF_A_FORM && !path.contains(columns)) {
            continue;
        }
        *of += 1;
        let request = Request::get(&path)
            .header(header::COOKIE, format!("__Host-daicho={token}"))
            .header(header::ACCEPT_LANGUAGE, "ja");
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        seen.insert(path.clone());
        let kind = answer.headers.get(header::CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
        if !is_page {
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.text.contains("lang=\"ja\""), "{path}");
        for text in texts(&answer.text) {
            if let Some(words) = english(&text) {
                wrong.entry(format!("{words}: {text}")).or_insert_with(|| path.clone());
            }
        }
        waiting.extend(links(&answer.text));
    }
    assert!(seen.len() > 120 && forms.len() > 30, "{} pages of {}", seen.len(), forms.len());
    let wrong: Vec<String> = wrong.iter().map(|(text, path)| format!("{path}: {text}")).collect();
    assert!(wrong.is_empty(), "{} texts are English:\n{}", wrong.len(), wrong.join("\n"));
}
