//! SQL Server, Oracle's listener and MongoDB: their versions, where they tell them before or
//! beside a login. Who logs in, and what is asked for, is never kept.

use model::{Fact, Service};
use wire::{Reader, mongodb, tds, tns};

use super::{Conversation, Told, Verdict};
use crate::probe::{product, said::attribute, said::name_product};

/// The answer to PRELOGIN. Behind it comes TLS in packets of the same protocol, or a login.
pub(super) fn mssql(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let asks = matches!(talk.said, [tds::PRELOGIN, 0 | 1, _, _, 0, 0, ..]);
    let answers = talk.said.is_empty() && matches!(talk.server.port, 1_433 | 1_434);
    if !(asks || answers) {
        return None;
    }
    if talk.heard.is_empty() && !talk.ended {
        return Some(Verdict::More);
    }
    let answer = match tds::Prelogin::read(&mut Reader::new(talk.heard)) {
        Ok(answer) => answer,
        Err(why) => return talk.more_if_cut(&why),
    };
    let mut service = Service::of("ms-sql");
    // A proxy of Microsoft's own answers with zeros.
    let version = answer.version.filter(|(major, ..)| *major > 0);
    let version = version.map(|(major, minor, build)| format!("{major}.{minor}.{build}"));
    let cpe = Some(("microsoft", "sql_server"));
    name_product(&mut service, "Microsoft SQL Server", version.as_deref(), cpe);
    talk.tell_server(Fact::Service(service), told);
    Some(Verdict::Known)
}

pub(super) fn oracle(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if !tns::is_connect(talk.said) {
        return None;
    }
    if talk.heard.is_empty() && !talk.ended {
        return Some(Verdict::More);
    }
    let version = match tns::Answer::parse(talk.heard) {
        Ok(tns::Answer::Refuse(version)) => version,
        Ok(tns::Answer::Accept | tns::Answer::Redirect) => None,
        Err(why) => return talk.more_if_cut(&why),
    };
    let mut service = Service::of("oracle");
    let cpe = Some(("oracle", "database_server"));
    name_product(&mut service, "Oracle Database", version.as_deref(), cpe);
    talk.tell_server(Fact::Service(service), told);
    Some(Verdict::Known)
}

/// Drivers say hello first; shells and tools ask for the version a little later.
pub(super) fn mongodb(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    const MOST: usize = 8 << 10;
    const MOST_MESSAGES: usize = 32;
    let mut r = Reader::new(talk.heard);
    let mut found = mongodb::Answer::read(&mut r).ok()?;
    for _ in 0..MOST_MESSAGES {
        let Ok(next) = mongodb::Answer::read(&mut r) else { break };
        found.version = found.version.or(next.version);
        found.wire_version = found.wire_version.or(next.wire_version);
    }
    let len = talk.said.len().saturating_add(talk.heard.len());
    if found.version.is_none() && !talk.ended && len < MOST {
        return Some(Verdict::More);
    }
    let mut service = Service::of("mongodb");
    product::put(&mut service, Some(product::named("mongodb", found.version.as_deref())));
    let wire_version = found.wire_version.map(|version| version.to_string());
    attribute(&mut service, "wire_version", &wire_version.unwrap_or_default());
    talk.tell_server(Fact::Service(service), told);
    Some(Verdict::Known)
}
