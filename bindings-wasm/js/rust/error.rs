//! The core's errors, for the class `RegauthError` of the package.

use regauth::hop::Hop;
use regauth::origin::UrlFlaw;
use regauth::{Error, ErrorKind};
use wasm_bindgen::prelude::JsValue;

use crate::names;

/// An error on its way over.
pub struct Failed {
    fault: &'static str,
    /// What happened, one word.
    pub(crate) kind: &'static str,
    hop: Option<&'static str>,
    origin: Option<String>,
    what: String,
    remedy: String,
    /// Of `network` and `tls`: how it failed.
    pub(crate) failure: Option<&'static str>,
    /// The status of the answer, where one was the cause.
    status: Option<u16>,
    /// What became of client authentication, where the error has to do with it.
    certificates: Option<&'static str>,
    /// Of `token-later`: when to try again.
    retry_at: Option<f64>,
    /// Of `ask`: the configuration line that would allow it.
    line: Option<String>,
}

impl Failed {
    /// Its fields in order: that is much smaller than a class with a getter for each.
    pub(crate) fn flat(self) -> Vec<JsValue> {
        vec![
            self.fault.into(),
            self.kind.into(),
            self.what.into(),
            self.remedy.into(),
            self.hop.into(),
            self.origin.into(),
            self.failure.into(),
            self.status.into(),
            self.certificates.into(),
            self.retry_at.into(),
            self.line.into(),
        ]
    }
}

impl From<Failed> for JsValue {
    fn from(failed: Failed) -> Self {
        failed.flat().into()
    }
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        let mut failed = Self {
            fault: error.fault().as_str(),
            kind: names::kind(error.kind()),
            hop: error.hop().map(Hop::as_str),
            origin: error.origin().map(ToString::to_string),
            what: error.what(),
            remedy: error.remedy(),
            failure: None,
            status: None,
            certificates: error.diagnosis().map(|diagnosis| diagnosis.state.as_str()),
            retry_at: None,
            line: None,
        };
        match error.kind() {
            ErrorKind::Network { failure, .. } => failed.failure = Some(failure.as_str()),
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
        Self {
            fault: "local",
            kind: "input",
            hop: None,
            origin: None,
            what: what.into(),
            remedy: remedy.into(),
            failure: None,
            status: None,
            certificates: None,
            retry_at: None,
            line: None,
        }
    }

    /// A header value with a character that is no byte.
    pub(crate) fn header() -> Self {
        Self::input("a header value holds a character above U+00FF", "Encode it, or leave it out.")
    }
}
