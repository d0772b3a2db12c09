//! What was said of chains, for the next time.

use certs::{
    Trust,
    chain::{Judgement, Reason},
};
use model::Timestamp;
use sqlx::SqliteConnection;

use super::scan::json;
use crate::chain::{Memory, Remembered};

const ROWS: usize = 2_000;

/// A reason: its name, the text or hash in it, and the certificate that the inventory holds.
type ReasonRow = (String, Option<String>, Option<String>);

/// Trust, path, reasons.
type JudgementRow = (String, Vec<String>, Vec<ReasonRow>);

/// What is remembered. What cannot be read is forgotten: it is only asked again.
pub(super) async fn load(connection: &mut SqliteConnection) -> sqlx::Result<Memory> {
    let rows: Vec<(String, String, i64, i64, String)> =
        sqlx::query_as("SELECT chain, basis, since, until, judgement FROM verdict")
            .fetch_all(connection)
            .await?;
    let basis = rows.first().map(|row| row.1.clone()).unwrap_or_default();
    let same = rows.into_iter().filter(|row| row.1 == basis);
    let verdict = |(chain, _, since, until, judgement): (String, String, i64, i64, String)| {
        let judgement = from_row(serde_json::from_str(&judgement).ok()?)?;
        let (since, until) = (Timestamp(since), Timestamp(until));
        Some((chain, Remembered { since, until, judgement }))
    };
    let verdicts = same.filter_map(verdict).collect();
    Ok(Memory { basis, verdicts })
}

/// What was said of a chain, by one of its keys, where that still holds.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    keys: &[String],
    as_of: Timestamp,
) -> sqlx::Result<Option<Judgement>> {
    let text: Option<String> = sqlx::query_scalar(
        "SELECT judgement FROM verdict WHERE chain IN (SELECT value FROM json_each($1))
             AND since <= $2 AND $2 < until",
    )
    .bind(json(keys))
    .bind(as_of.0)
    .fetch_optional(connection)
    .await?;
    Ok(text.and_then(|text| from_row(serde_json::from_str(&text).ok()?)))
}

/// Remembers these too. What was said on another basis is forgotten.
pub(super) async fn write(connection: &mut SqliteConnection, fresh: &Memory) -> sqlx::Result<()> {
    if fresh.verdicts.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM verdict WHERE basis <> $1")
        .bind(&fresh.basis)
        .execute(&mut *connection)
        .await?;
    let rows: Vec<_> = fresh
        .verdicts
        .iter()
        .map(|(chain, kept)| {
            (chain, &fresh.basis, kept.since, kept.until, json(&to_row(&kept.judgement)))
        })
        .collect();
    for chunk in rows.chunks(ROWS) {
        sqlx::query(
            "INSERT OR REPLACE INTO verdict (chain, basis, since, until, judgement)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
             FROM json_each($1)",
        )
        .bind(json(chunk))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn to_row(judgement: &Judgement) -> JudgementRow {
    let trust = match judgement.trust {
        Trust::Public => "public",
        Trust::Private => "private",
        Trust::Unknown => "unknown",
    };
    let reason = |reason: &Reason| {
        let (text, held) = match reason {
            Reason::ExpiredIntermediate(text)
            | Reason::ExpiredRoot(text)
            | Reason::NotYetValid(text)
            | Reason::UnknownIssuer(text)
            | Reason::BadSignature(text)
            | Reason::BadList(text)
            | Reason::WrongUsage(text)
            | Reason::Constraint(text)
            | Reason::Unsupported(text) => (Some(text.clone()), None),
            Reason::MissingIntermediate { issuer, held } => (Some(issuer.clone()), held.clone()),
            Reason::ExpiredLeaf
            | Reason::SelfSigned
            | Reason::NameMismatch
            | Reason::Revoked
            | Reason::TooComplex => (None, None),
        };
        (reason.as_str().to_owned(), text, held)
    };
    let reasons = judgement.reasons.iter().map(reason).collect();
    (trust.to_owned(), judgement.path.clone(), reasons)
}

/// `None` where a name is not known.
fn from_row((trust, path, reasons): JudgementRow) -> Option<Judgement> {
    let trust = match trust.as_str() {
        "public" => Trust::Public,
        "private" => Trust::Private,
        "unknown" => Trust::Unknown,
        _ => return None,
    };
    let reason = |(name, text, held): ReasonRow| {
        let fixed = [
            Reason::ExpiredLeaf,
            Reason::SelfSigned,
            Reason::NameMismatch,
            Reason::Revoked,
            Reason::TooComplex,
        ];
        let Some(text) = text else {
            return fixed.into_iter().find(|reason| reason.as_str() == name);
        };
        if name == "missing-intermediate" {
            return Some(Reason::MissingIntermediate { issuer: text, held });
        }
        let with_text: [fn(String) -> Reason; 9] = [
            Reason::ExpiredIntermediate,
            Reason::ExpiredRoot,
            Reason::NotYetValid,
            Reason::UnknownIssuer,
            Reason::BadSignature,
            Reason::BadList,
            Reason::WrongUsage,
            Reason::Constraint,
            Reason::Unsupported,
        ];
        with_text.into_iter().map(|make| make(text.clone())).find(|made| made.as_str() == name)
    };
    let reasons = reasons.into_iter().map(reason).collect::<Option<_>>()?;
    Some(Judgement { trust, path, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_as_it_was() {
        let text = || "CN=a, \"b\"".to_owned();
        let reasons = vec![
            Reason::ExpiredLeaf,
            Reason::ExpiredIntermediate(text()),
            Reason::ExpiredRoot(text()),
            Reason::NotYetValid(text()),
            Reason::MissingIntermediate { issuer: text(), held: Some(text()) },
            Reason::MissingIntermediate { issuer: text(), held: None },
            Reason::UnknownIssuer(text()),
            Reason::SelfSigned,
            Reason::NameMismatch,
            Reason::BadSignature(text()),
            Reason::Revoked,
            Reason::BadList(text()),
            Reason::WrongUsage(text()),
            Reason::Constraint(text()),
            Reason::Unsupported(text()),
            Reason::TooComplex,
        ];
        for trust in [Trust::Public, Trust::Private, Trust::Unknown] {
            let judgement = Judgement { trust, path: vec![text()], reasons: reasons.clone() };
            assert_eq!(from_row(to_row(&judgement)), Some(judgement));
        }
        let unknown = ("public".to_owned(), Vec::new(), vec![("new".to_owned(), None, None)]);
        assert_eq!(from_row(unknown), None);
    }
}
