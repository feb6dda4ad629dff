//! The core's errors, for the class `RegauthError` of the package.

use regauth::origin::UrlFlaw;
use regauth::{Error, ErrorKind};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::names;

/// An error as it goes over: the package reads its fields and frees it.
#[wasm_bindgen(getter_with_clone)]
pub struct Failed {
    /// Who has to act.
    pub fault: String,
    /// What happened, one word.
    pub kind: String,
    /// The hop, where it was one.
    pub hop: Option<String>,
    /// Its origin.
    pub origin: Option<String>,
    /// One sentence: what happened.
    pub what: String,
    /// One sentence: what to do.
    pub remedy: String,
    /// Of `network`: how it failed.
    pub failure: Option<String>,
    /// The status of the answer, where one was the cause.
    pub status: Option<u16>,
    /// What became of client authentication, where the error has to do with it.
    pub certificates: Option<String>,
    /// Of `token-later`: when to try again.
    pub retry_at: Option<f64>,
    /// Of `ask`: the configuration line that would allow it.
    pub line: Option<String>,
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        let mut failed = Self {
            fault: error.fault().as_str().into(),
            kind: names::kind(error.kind()).into(),
            hop: error.hop().map(|hop| hop.as_str().into()),
            origin: error.origin().map(ToString::to_string),
            what: error.what(),
            remedy: error.remedy(),
            failure: None,
            status: None,
            certificates: error.diagnosis().map(|diagnosis| diagnosis.state.as_str().into()),
            retry_at: None,
            line: None,
        };
        match error.kind() {
            ErrorKind::Network { failure, .. } => failed.failure = Some(failure.as_str().into()),
            ErrorKind::Ask { line, .. } => failed.line = Some(line.clone()),
            ErrorKind::TokenRefused { status, .. }
            | ErrorKind::Refused { status, .. }
            | ErrorKind::TokenNowhere { status } => failed.status = Some(*status),
            ErrorKind::TokenLater { status, retry_at } => {
                failed.status = Some(*status);
                failed.retry_at = retry_at.map(crate::flow::millis);
            }
            _ => {}
        }
        failed
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<UrlFlaw> for Failed {
    fn from(flaw: UrlFlaw) -> Self {
        Self::from(&Error::new(ErrorKind::Url(flaw)))
    }
}

impl Failed {
    /// An argument that JavaScript's types do not rule out.
    pub(crate) fn input(what: &str, remedy: &str) -> Self {
        let mut failed = Self::from(&Error::new(ErrorKind::Misuse("")));
        (failed.kind, failed.what, failed.remedy) = ("input".into(), what.into(), remedy.into());
        failed
    }

    /// A header value with a character that is no byte.
    pub(crate) fn header() -> Self {
        Self::input("a header value holds a character above U+00FF", "Encode it, or leave it out.")
    }
}
