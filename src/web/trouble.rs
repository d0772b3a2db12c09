//! Why something is not done: what is said to the visitor, and what to the log.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use inventory::{store::StoreError, user::Role};

use crate::tell;

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
    /// There is more of it than we read.
    TooLarge,
    /// Somebody has to wait so many seconds.
    Wait(i64),
    /// What was filled in cannot be used; says why.
    Invalid(String),
    /// It goes against something else; says what.
    Conflict(String),
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
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
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
            Self::Wait(seconds) => Some(format!("too many attempts, for {seconds} s")),
            Self::Failed(what) => Some(what.clone()),
            Self::NotFound | Self::Invalid(_) | Self::Conflict(_) => None,
        }
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
        match &error {
            StoreError::NoAsset(_)
            | StoreError::NoScan(_)
            | StoreError::NoDecision(_)
            | StoreError::NoFinding(_)
            | StoreError::NoCertificate(_)
            | StoreError::NoView(_)
            | StoreError::NoUser(_)
            | StoreError::NoToken(_) => Self::NotFound,
            StoreError::Confirmed(_)
            | StoreError::TooLate(_)
            | StoreError::NotPending(_)
            | StoreError::SamePerson { .. }
            | StoreError::NameTaken(_)
            | StoreError::ViewTaken(_)
            | StoreError::ManyViews(_)
            | StoreError::LastAdmin(_) => Self::Conflict(error.to_string()),
            StoreError::Full { .. }
            | StoreError::Disk { .. }
            | StoreError::Locked { .. }
            | StoreError::Statement { .. }
            | StoreError::Corrupt { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Open { .. }
            | StoreError::Content { .. }
            | StoreError::NoDatabase { .. } => Self::Failed(tell::chain(&error)),
            _ => Self::Invalid(tell::chain(&error)),
        }
    }
}

/// What people gave is wrong, where it is not the store's own trouble.
impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            Err(error) => Self::Invalid(tell::chain(error.as_ref())),
        }
    }
}
