//! Why something is not done: what is said to the visitor, and what to the log.

use std::sync::Arc;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use inventory::{
    query::QueryError,
    register::{ParseDayError, ReadError},
    store::StoreError,
    user::Role,
};

use super::{asked::Refusal, cookie, language::Language, page::shown};
use crate::language::terms::refusal;
use crate::{
    cli::{
        Absent, Unusable,
        decide::{NothingMatches, WrongCell},
    },
    tell,
};

/// Why something is not done. A handler returns it; the gate makes a page of it, in the visitor's
/// language, or JSON where a program asked.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Whoever it is has to sign in first.
    SignIn,
    /// It takes another role.
    Role(Role),
    /// The request is not from a page of ours.
    Forged(&'static str),
    /// It was not asked for by a name of ours.
    WrongHost,
    /// There is no such thing.
    NotFound,
    /// It is not asked for in that way. In which it is, the router says by itself.
    Method,
    /// There is more of it than we read.
    TooLarge,
    /// It did not come in time.
    Late,
    /// Somebody has to wait so many seconds.
    Wait(i64),
    /// The request cannot be read; says what of it.
    Unread(Refusal),
    /// What was filled in cannot be used; says why.
    Invalid(String),
    /// A file is no register; says why.
    Unreadable(Arc<ReadError>),
    /// A query cannot be read; says where it is wrong.
    Query(QueryError),
    /// It goes against something else; says what.
    Conflict(String),
    /// The store refuses it; says why, in Japanese as well.
    Refused {
        /// Whether it goes against something else, or what was given cannot be used.
        conflicts: bool,
        why: String,
        japanese: &'static str,
    },
    /// It is our own fault, or the machine's; says what happened.
    Failed(String),
}

impl Trouble {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Role(_) | Self::Forged(_) => StatusCode::FORBIDDEN,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unread(_)
            | Self::Invalid(_)
            | Self::Unreadable(_)
            | Self::Query(_)
            | Self::Refused { conflicts: false, .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) | Self::Refused { conflicts: true, .. } => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For the log; `None` where it is nothing that anybody has to know.
    pub(crate) fn log(&self) -> Option<String> {
        match self {
            Self::SignIn => Some("not signed in".to_owned()),
            Self::Role(role) => Some(format!("it takes the role {role}")),
            Self::Forged(why) => Some((*why).to_owned()),
            Self::WrongHost => Some("asked for by a name that is not ours".to_owned()),
            Self::TooLarge => Some("too large".to_owned()),
            Self::Late => Some("its body did not come in time".to_owned()),
            Self::Wait(seconds) => Some(format!("too many attempts, for {seconds} s")),
            Self::Failed(what) => Some(what.clone()),
            Self::NotFound
            | Self::Method
            | Self::Unread(_)
            | Self::Invalid(_)
            | Self::Unreadable(_)
            | Self::Query(_)
            | Self::Conflict(_)
            | Self::Refused { .. } => None,
        }
    }

    /// What the router refuses before a handler is asked: a method. What extractors refuse is said
    /// by our own (`asked`). Of such an answer, in our own words, else the answer.
    pub(crate) fn of_router(answer: Response) -> Result<Response, Self> {
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED if answer.extensions().get::<Self>().is_none() => {
                Err(Self::Method)
            }
            _ => Ok(answer),
        }
    }

    /// What whoever filled in a form can mend, in their language; `None` for all else.
    pub(crate) fn mendable(&self, language: Language) -> Option<String> {
        match (self, language) {
            (Self::Unread(why), language) => Some(shown(&why.text(language))),
            (Self::Invalid(why), _) => Some(shown(why)),
            (Self::Query(error), _) => Some(shown(&language.query_error(error))),
            (Self::Refused { why, .. }, Language::English) => Some(shown(why)),
            (Self::Refused { japanese, .. }, Language::Japanese) => Some((*japanese).to_owned()),
            _ => None,
        }
    }

    /// By what somebody who tells of it is found in the log.
    pub(crate) fn reference(&self) -> Option<String> {
        let is_ours = matches!(self, Self::Failed(_));
        is_ours.then(|| cookie::new_token().unwrap_or_default().chars().take(8).collect())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let trouble = Self::of(&error);
        match (trouble, refusal(&error)) {
            (Self::Conflict(why), Some(japanese)) => {
                Self::Refused { conflicts: true, why, japanese }
            }
            (Self::Invalid(why), Some(japanese)) => {
                Self::Refused { conflicts: false, why, japanese }
            }
            (trouble, _) => trouble,
        }
    }
}

impl Trouble {
    fn of(error: &StoreError) -> Self {
        match error {
            StoreError::NoAsset(_)
            | StoreError::NoScan(_)
            | StoreError::NoDecision(_)
            | StoreError::NoFinding(_)
            | StoreError::NoCertificate(_)
            | StoreError::NoView(_)
            | StoreError::NoMessage(_)
            | StoreError::NoUser(_)
            | StoreError::NoToken(_) => Self::NotFound,
            StoreError::Confirmed(_)
            | StoreError::TooLate(_)
            | StoreError::NotPending(_)
            | StoreError::NotRetried { .. }
            | StoreError::OtherRegister(_)
            | StoreError::SamePerson { .. }
            | StoreError::NameTaken(_)
            | StoreError::ViewTaken(_)
            | StoreError::ManyViews(_)
            | StoreError::LastAdmin(_)
            | StoreError::FromProvider(_)
            | StoreError::AlreadyOne { .. }
            | StoreError::AlreadyMerged { .. }
            | StoreError::OtherSite { .. }
            | StoreError::NotMerged { .. } => Self::Conflict(tell::chain(error)),
            StoreError::Cursor(_)
            | StoreError::Accept { .. }
            | StoreError::Reopen { .. }
            | StoreError::Proposal { .. } => Self::Invalid(tell::chain(error)),
            StoreError::Full { .. }
            | StoreError::Folder { .. }
            | StoreError::IsFolder { .. }
            | StoreError::Disk { .. }
            | StoreError::Locked { .. }
            | StoreError::LogOnReadOnly { .. }
            | StoreError::NotOurs { .. }
            | StoreError::Newer { .. }
            | StoreError::OpenedForReading { .. }
            | StoreError::Statement { .. }
            | StoreError::Corrupt { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Open { .. }
            | StoreError::Content { .. }
            | StoreError::InUse { .. }
            | StoreError::BackupExists { .. }
            | StoreError::BackupUnderWay { .. }
            | StoreError::Unsound { .. }
            | StoreError::Copy { .. }
            | StoreError::WriterStart { .. }
            | StoreError::WriterStopped
            | StoreError::NoDatabase { .. } => Self::Failed(tell::chain(error)),
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Unread(refusal)
    }
}

impl From<QueryError> for Trouble {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// What people gave is named as such; everything else is our own trouble.
impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<StoreError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let error = match error.downcast::<QueryError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        if error.is::<Absent>() {
            return Self::NotFound;
        }
        let is_theirs = error.is::<Unusable>()
            || error.is::<NothingMatches>()
            || error.is::<WrongCell>()
            || error.is::<ParseDayError>()
            || error.is::<ReadError>();
        let chain = tell::chain(error.as_ref());
        if is_theirs { Self::Invalid(chain) } else { Self::Failed(chain) }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn only_what_somebody_can_mend_is_their_mistake() {
        let status = |error: anyhow::Error| Trouble::from(error).status().as_u16();
        assert_eq!(status(anyhow!("the key of a route cannot be read")), 500);
        assert_eq!(status(Unusable("no asset matches".to_owned()).into()), 422);
        let day = "tomorrow".parse::<inventory::register::Day>().context("--until");
        assert_eq!(status(day.unwrap_err()), 422);
        let empty = inventory::register::read::<inventory::register::DeviceEntry>(b"");
        assert_eq!(status(empty.context("a register").unwrap_err()), 422);
        let offset = inventory::store::Offset::UTC;
        let query =
            inventory::query::Query::parse(inventory::query::Kind::Assets, "elephant:1", offset);
        let trouble = Trouble::from(anyhow::Error::from(query.unwrap_err()));
        assert!(matches!(&trouble, Trouble::Query(error) if error.range == (0..8)), "{trouble:?}");
        assert_eq!(status(StoreError::WriterStopped.into()), 500);
        assert!(Trouble::Failed(String::new()).reference().is_some_and(|one| one.len() == 8));
        assert_eq!(trouble.reference(), None);
    }
}
