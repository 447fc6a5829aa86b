//! The one mapping from what can go wrong to responses.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::past::PastError;

/// What is told instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// Nothing has that name.
    #[error("{what} {name:?} is not known")]
    NotKnown { what: &'static str, name: String },
    /// There is no such path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// There is such a path, but not for this method.
    #[error("this path only answers GET")]
    MethodNotAllowed,
    /// A path that is no text.
    #[error("the path is not percent-encoded UTF-8")]
    BadPath,
    /// A parameter that means nothing.
    #[error("parameter {name}: {problem}")]
    BadParameter { name: String, problem: String },
    /// The cluster is configured, and its first turn is not done.
    #[error("cluster {cluster:?} was not read yet: its first turn is under way")]
    NotReadYet { cluster: String },
    /// The database does not answer.
    #[error("{0}")]
    Past(#[from] PastError),
}

impl Problem {
    /// A name that is not known.
    pub(super) fn not_known(what: &'static str, name: &str) -> Self {
        Self::NotKnown { what, name: name.chars().take(200).collect() }
    }

    /// A parameter that is not one of the `allowed`.
    pub(super) fn not_allowed(name: &str, value: &str, allowed: &str) -> Self {
        let value: String = value.chars().take(100).collect();
        Self::BadParameter {
            name: name.to_owned(),
            problem: format!("{value:?} is not allowed; allowed are {allowed}"),
        }
    }

    /// The status of the response.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotKnown { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadPath | Self::BadParameter { .. } => StatusCode::BAD_REQUEST,
            Self::NotReadYet { .. } | Self::Past(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code that scripts may rely on.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotKnown { .. } => "not_known",
            Self::NoSuchPath => "no_such_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadPath => "bad_path",
            Self::BadParameter { .. } => "bad_parameter",
            Self::NotReadYet { .. } => "not_read_yet",
            Self::Past(why) => why.code(),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::BadPath
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code(), "message": self.to_string()}});
        (self.status(), Json(body)).into_response()
    }
}
