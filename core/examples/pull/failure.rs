//! What ends the program: an exit code, one sentence of what happened and one of what to do.

use std::fmt;
use std::io;
use std::path::Path;

use regauth::error::{CertificateState, Diagnosis};
use regauth::tls::{Evidence, Shown};
use regauth::{Error, ErrorKind, Failure as Lost, Fault, Hop, hop::Reason};

/// The exit codes, which `--help` lists too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Demo only: the blob store was shown a certificate or an Authorization.
    Leak = 1,
    /// Arguments, names, files that were given.
    Input = 2,
    /// The hop policy refused, before anything was sent.
    Policy = 3,
    /// The registry or the token service refused.
    Refused = 4,
    /// No connection, or TLS.
    Network = 5,
    /// Files that were to be written.
    Files = 6,
    /// Content that is not what its digest says.
    Digest = 7,
}

/// A failure. Its text holds no secret: no header value, no query, no argument that could be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) todo: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { exit, what: what.into(), todo: todo.into() }
    }

    /// A file that was given and cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let what = format!("{} cannot be read: {}", path.display(), reason(error));
        Self::new(Exit::Input, what, "Check the path and its permissions.")
    }

    /// A file that cannot be written.
    pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Self {
        let what = format!("{} cannot be written: {}", path.display(), reason(error));
        let todo = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "Free some space, or name a directory on another disk (-o)."
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "Name a directory that this user may write to (-o)."
            }
            _ => "Check the directory (-o).",
        };
        Self::new(Exit::Files, what, todo)
    }

    /// What the library says, with what to do in terms of this program's options. `detail` is what this program itself
    /// saw: the operating system's reason, or what the connection showed.
    pub(crate) fn of(error: &Error, detail: Option<&str>) -> Self {
        let exit = match error.fault() {
            Fault::Policy => Exit::Policy,
            Fault::Registry | Fault::TokenService => Exit::Refused,
            Fault::Network => Exit::Network,
            _ => Exit::Input,
        };
        let what = match detail {
            Some(detail) => format!("{}; {detail}", error.what()),
            None => error.what(),
        };
        Self::new(exit, what, todo(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.todo)
    }
}

/// The operating system's reason without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The library's advice names its configuration; here the options stand for it.
fn todo(error: &Error) -> String {
    let origin = error.origin().map(ToString::to_string).unwrap_or_default();
    let elsewhere = match error.hop() {
        Some(Hop::Token | Hop::TokenRedirect) => Some("token"),
        Some(Hop::Redirect) => Some("storage"),
        _ => None,
    };
    match (error.kind(), elsewhere) {
        (ErrorKind::Ask { reason: Reason::ForeignRealm, .. }, _) => {
            format!("If you trust it with the password, add --token-origin {origin}.")
        }
        (ErrorKind::Ask { reason: Reason::PasswordOverHttp, .. }, _) => {
            "Let the token service be reached by https: this program sends no password over plain http.".into()
        }
        (ErrorKind::Denied(Reason::PasswordOverHttp), _) => {
            "Use https: this program sends no password over plain http.".into()
        }
        (ErrorKind::Denied(Reason::Proxied), _) => {
            format!("Name the host of {origin} in NO_PROXY, or use https.")
        }
        (ErrorKind::Denied(Reason::MoreLocal) | ErrorKind::Address(_), Some(option)) => {
            format!("If this address is meant, add --{option}-origin {origin} --{option}-local.")
        }
        (ErrorKind::Address(_), None) => "Check what the registry's name resolves to.".into(),
        (ErrorKind::Identity(_), _) => {
            "Correct that, or give a certificate and its key with --cert FILE --key FILE.".into()
        }
        (ErrorKind::TokenRefused { .. }, _) => "Check --user and the password on standard input.".into(),
        (ErrorKind::Refused { .. }, _) => {
            "Check --user, the password, and what the user may do with this repository.".into()
        }
        (ErrorKind::Network { failure: Lost::ServerCertificate, .. }, _) => {
            error.remedy().replace("(ca)", "(--ca FILE)")
        }
        (ErrorKind::Network { failure: Lost::Tls, .. }, _) => {
            error.remedy().replace("use http for it", "use http for it (--http)")
        }
        (ErrorKind::Network { evidence, .. }, _) => error.diagnosis().map_or_else(
            || error.remedy(),
            |found| certificate_todo(&found, evidence.as_deref(), error.hop().unwrap_or(Hop::Registry), &origin),
        ),
        _ => error.remedy(),
    }
}

/// What to do about a client certificate.
pub(crate) fn certificate_todo(found: &Diagnosis, evidence: Option<&Evidence>, hop: Hop, origin: &str) -> String {
    let state = found.state;
    // What these say has to be done at the server, or to the name that it is called by.
    if matches!(state, CertificateState::AskedLate | CertificateState::RejectedOverHttp { status: 421 }) {
        return found.remedy.clone();
    }
    match evidence.map(|evidence| &evidence.shown) {
        Some(Shown::NoPair) => identity_option(hop, origin),
        Some(Shown::NoneFits(_)) => "Give a certificate of an issuer that the server names.".into(),
        _ => found.remedy.clone(),
    }
}

/// Which options give a hop an identity.
fn identity_option(hop: Hop, origin: &str) -> String {
    match hop {
        Hop::Token | Hop::TokenRedirect => format!(
            "Let the registry's certificate go there with --token-origin {origin} --token-identity, or give it its own \
             with --token-cert and --token-key."
        ),
        Hop::Redirect => format!(
            "Let the registry's certificate go there with --storage-origin {origin} --storage-identity, or give it its \
             own with --storage-cert and --storage-key."
        ),
        _ => "Give a client certificate and its key with --cert FILE --key FILE.".into(),
    }
}
