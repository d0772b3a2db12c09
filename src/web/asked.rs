//! What of an address and a body can be read, and what is said where it cannot: in the visitor's
//! language, and never in the words of a library.

use axum::{
    extract::{FromRequestParts, Query, path::ErrorKind, rejection::PathRejection},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{Shared, api::Fault, language::Language, trouble::Trouble};

/// Why a request cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// In the path stands something where a number has to.
    Number(String),
    /// The path is no text.
    Path,
    /// The question behind the path is no text.
    Question,
    /// A part of the question is not what it has to be: a whole number.
    Part { name: String, value: String },
    /// A part of the question stands there twice.
    Twice(String),
    /// Nothing was ever told to go on there.
    Place,
    /// It is not a month.
    Month(String),
    /// The body is not said to be JSON.
    ContentType,
    /// The body cannot be read.
    Body,
    /// The body is not JSON from there on.
    Json { line: usize, column: usize },
    /// Something in the body is not what it has to be.
    Fault(Fault),
    /// It is, and cannot be used nevertheless: a number that is too large.
    Value { line: usize, column: usize },
    /// Something else that its handler says, in English and in Japanese.
    Words(&'static str, &'static str),
    /// The body is not a form.
    Form,
    /// The body is not a form with a file.
    Upload,
}

impl Refusal {
    pub(crate) fn text(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Japanese => self.japanese(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Number(value) => format!("{value:?} in the address is not a number"),
            Self::Path => "the address is not UTF-8".to_owned(),
            Self::Question => "what stands behind the question mark cannot be read".to_owned(),
            Self::Part { name, value } => {
                format!("{name}: {value:?} is not a whole number that can stand there")
            }
            Self::Twice(name) => format!("{name} stands there more than once"),
            Self::Place => "after: it is no text that was given as next".to_owned(),
            Self::Month(value) => format!("month: {value:?} is not a month (2026-11)"),
            Self::ContentType => "the Content-Type is not application/json".to_owned(),
            Self::Body => "the body cannot be read".to_owned(),
            Self::Json { line, column } => {
                format!("the body is not JSON: line {line}, column {column}")
            }
            Self::Fault(fault) => fault.text(Language::English),
            Self::Value { line, column } => {
                format!("a value of the body cannot be used: line {line}, column {column}")
            }
            Self::Words(english, _) => (*english).to_owned(),
            Self::Form => "this is no form".to_owned(),
            Self::Upload => "this is no form with a file".to_owned(),
        }
    }

    fn japanese(&self) -> String {
        match self {
            Self::Number(value) => format!("アドレスの {value:?} は番号ではありません"),
            Self::Path => "アドレスがUTF-8ではありません".to_owned(),
            Self::Question => "アドレスの「?」以降を解釈できません".to_owned(),
            Self::Part { name, value } => {
                format!("{name}: {value:?} は指定できる整数ではありません")
            }
            Self::Twice(name) => format!("{name} が複数あります"),
            Self::Place => "after: next として示された値ではありません".to_owned(),
            Self::Month(value) => format!("month: {value:?} は月ではありません(例: 2026-11)"),
            Self::ContentType => "Content-Type が application/json ではありません".to_owned(),
            Self::Body => "本文を読み取れません".to_owned(),
            Self::Json { line, column } => {
                format!("本文がJSONではありません: {line} 行 {column} 列")
            }
            Self::Fault(fault) => fault.text(Language::Japanese),
            Self::Value { line, column } => {
                format!("本文に使えない値があります: {line} 行 {column} 列")
            }
            Self::Words(_, japanese) => (*japanese).to_owned(),
            Self::Form => "フォームではありません".to_owned(),
            Self::Upload => "ファイルの付いたフォームではありません".to_owned(),
        }
    }
}

/// What varies in a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Trouble> {
        let read = axum::extract::Path::from_request_parts(parts, shared).await;
        read.map(|axum::extract::Path(read)| Self(read)).map_err(|rejection| {
            let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
                return Trouble::Failed("a route without what varies in it".to_owned());
            };
            Trouble::Unread(match failed.kind() {
                ErrorKind::ParseErrorAtKey { value, .. }
                | ErrorKind::ParseErrorAtIndex { value, .. }
                | ErrorKind::ParseError { value, .. } => Refusal::Number(value.clone()),
                _ => Refusal::Path,
            })
        })
    }
}

/// What stands behind the question mark of an address.
pub(crate) struct Question<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Question<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Trouble> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(read)) => Ok(Self(read)),
            Err(_) => Err(wrong::<T>(&parts.uri).into()),
        }
    }
}

/// What of a question that cannot be read is wrong: the part that cannot be read by itself.
fn wrong<T: DeserializeOwned>(uri: &Uri) -> Refusal {
    let parts = uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
    let mut known: Vec<String> = Vec::new();
    for part in parts {
        let alone = format!("/?{part}").parse().ok();
        let read = alone.as_ref().and_then(|one| {
            Query::<Vec<(String, String)>>::try_from_uri(one)
                .ok()
                .and_then(|all| all.0.into_iter().next())
        });
        let Some((alone, (name, value))) = alone.zip(read) else { return Refusal::Question };
        if Query::<T>::try_from_uri(&alone).is_err() {
            return Refusal::Part { name, value };
        }
        if known.contains(&name) {
            return Refusal::Twice(name);
        }
        known.push(name);
    }
    Refusal::Question
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[expect(dead_code, reason = "only whether it can be read is asked")]
        rows: Option<u16>,
        #[expect(dead_code, reason = "only whether it can be read is asked")]
        q: Option<String>,
    }

    #[test]
    fn the_part_of_a_question_that_is_wrong_is_named() {
        let part = |name: &str, value: &str| {
            Some(Refusal::Part { name: name.to_owned(), value: value.to_owned() })
        };
        for (question, expected) in [
            ("", None),
            ("q=x&rows=7&other=1", None),
            ("q=x&rows=seven", part("rows", "seven")),
            ("rows=", part("rows", "")),
            ("rows=65536", part("rows", "65536")),
            ("rows=%3Cb%3E&q=y", part("rows", "<b>")),
            ("q=x&rows=1&q=y", Some(Refusal::Twice("q".to_owned()))),
        ] {
            let uri: Uri = format!("/a?{question}").parse().unwrap();
            let read = Query::<Asked>::try_from_uri(&uri);
            let found = read.err().map(|_| wrong::<Asked>(&uri));
            assert_eq!(found, expected, "{question}");
        }
    }

    #[test]
    fn every_refusal_is_told_in_both_languages() {
        for refusal in [
            Refusal::Number("x".to_owned()),
            Refusal::Path,
            Refusal::Question,
            Refusal::Part { name: "rows".to_owned(), value: "x".to_owned() },
            Refusal::Twice("rows".to_owned()),
            Refusal::Place,
            Refusal::Month("x".to_owned()),
            Refusal::ContentType,
            Refusal::Body,
            Refusal::Json { line: 1, column: 2 },
            Refusal::Value { line: 1, column: 2 },
            Refusal::Form,
            Refusal::Upload,
        ] {
            assert!(refusal.text(Language::English).is_ascii(), "{refusal:?}");
            assert!(!refusal.text(Language::Japanese).is_ascii(), "{refusal:?}");
        }
    }
}
