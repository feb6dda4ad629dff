//! The transcript of a flow: every decision, without a secret.

use std::fmt;
use std::sync::Arc;

use super::credentials::Helper;
use super::flow::Waiting;
use super::hop::{Hop, Reason};
use crate::error::Error;
use crate::origin::{Origin, Url};
use crate::scope::Scope;
use crate::time::Time;
use crate::tls::Attempt;

/// Lines kept for one flow; a flow that needs more is in a loop that its own limits end.
const MAX_LINES: usize = 256;

/// One line.
#[derive(Debug)]
pub(crate) enum Line {
    Send {
        hop: Hop,
        method: String,
        url: Url,
        identity: Option<String>,
        sent: &'static str,
        reason: Reason,
        provenance: Option<String>,
    },
    Answer {
        status: u16,
    },
    NotAsked {
        label: String,
    },
    Challenge {
        scheme: &'static str,
        realm: Option<Url>,
        scopes: Vec<Scope>,
    },
    NoChallenge,
    NotHonoured,
    Flaws {
        count: usize,
        offset: usize,
    },
    Remembered {
        scheme: &'static str,
    },
    Reuse {
        scopes: Vec<Scope>,
    },
    Ask {
        scopes: Vec<Scope>,
    },
    Token {
        seconds: u64,
    },
    KeepOld,
    LookUp {
        registry: Origin,
        helper: Option<Helper>,
    },
    Configured {
        what: &'static str,
        provenance: Arc<str>,
    },
    Found {
        what: &'static str,
        user: Option<String>,
    },
    FoundNothing,
    Anonymous {
        user: Option<String>,
    },
    AnyHttps,
    Wait {
        why: Waiting,
        until: Time,
    },
    Again {
        why: &'static str,
    },
    Dial {
        what: String,
        refused: bool,
    },
    NextPair {
        label: String,
        ended: Attempt,
    },
    MountDenied,
    Failed(Error),
}

/// The lines so far.
#[derive(Debug, Default)]
pub(crate) struct Trace(Vec<Line>);

impl Trace {
    pub(crate) fn add(&mut self, line: Line) {
        if self.0.len() < MAX_LINES {
            self.0.push(line);
        }
    }

    /// Whether the last line says the same of a wait: it is polled many times.
    pub(crate) fn ends_waiting(&self, reason: Waiting) -> bool {
        matches!(self.0.last(), Some(Line::Wait { why, .. }) if *why == reason)
    }

    pub(crate) fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

fn list(scopes: &[Scope]) -> String {
    if scopes.is_empty() { "no scope".into() } else { super::token::listed(scopes) }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { hop, method, url, identity, sent, reason, provenance } => {
                let identity = identity.as_deref().unwrap_or("none");
                write!(f, "{hop}: {method} {} | identity {identity} | sends {sent} | {reason}", url.redacted())?;
                provenance.as_ref().map_or(Ok(()), |provenance| write!(f, " | host entry of {provenance}"))
            }
            Self::Answer { status } => write!(f, "  answer {status}"),
            Self::NotAsked { label } => write!(f, "  the server did not ask for a certificate: {label} was not shown"),
            Self::Challenge { scheme, realm: Some(realm), scopes } => {
                write!(f, "  challenge {scheme}, realm {}, {}", realm.redacted(), list(scopes))
            }
            Self::Challenge { scheme, .. } => write!(f, "  challenge {scheme}"),
            Self::NoChallenge => f.write_str("  no challenge that can be used"),
            Self::NotHonoured => f.write_str("  not the registry's own answer: its challenge is not honoured"),
            Self::Flaws { count, offset } => {
                write!(f, "  the challenge breaks the grammar in {count} places, the first at byte {offset}")
            }
            Self::Remembered { scheme } => write!(f, "  the registry's {scheme} challenge is remembered"),
            Self::Reuse { scopes } => write!(f, "  a token is at hand: {}", list(scopes)),
            Self::Ask { scopes } => write!(f, "  asks for a token: {}", list(scopes)),
            Self::Token { seconds } => write!(f, "  got a token for {seconds} s"),
            Self::KeepOld => f.write_str("  the renewal failed, the old token is still good"),
            Self::LookUp { registry, helper: Some(Helper { name, url }) } => {
                write!(f, "  credentials for {registry} are looked up: docker-credential-{name} is asked for {url}")
            }
            Self::LookUp { registry, .. } => write!(f, "  credentials for {registry} are looked up"),
            Self::Configured { what, provenance } => write!(f, "  {what} from {provenance}"),
            Self::Found { what, user: Some(user) } => write!(f, "  found {what} of {user}"),
            Self::Found { what, user: None } => write!(f, "  found {what}"),
            Self::FoundNothing => f.write_str("  the look-up found nothing: goes on anonymously"),
            Self::Anonymous { user: Some(user) } => write!(f, "  {user} has no password: goes on anonymously"),
            Self::Anonymous { user: None } => f.write_str("  no credentials are configured: goes on anonymously"),
            Self::AnyHttps => f.write_str("  mode any-https: credentials go to a host that is not paired"),
            Self::Wait { why, until } => write!(f, "  waits for {why}, until {} ms at the latest", until.0),
            Self::Again { why } => write!(f, "  again: {why}"),
            Self::NextPair { label, ended: Attempt::Answered(status) } => {
                write!(f, "  {label} was shown and the answer is {status}: the next certificate is tried")
            }
            Self::NextPair { label, .. } => {
                write!(f, "  {label} was shown and TLS refused it: the next certificate is tried")
            }
            Self::Dial { what, refused: true } => write!(f, "  address {what}: refused"),
            Self::Dial { what, refused: false } => write!(f, "  address {what}"),
            Self::MountDenied => f.write_str("  the mount is denied: upload the blob instead"),
            Self::Failed(error) => write!(f, "  failed: {error}"),
        }
    }
}
