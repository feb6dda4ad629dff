//! The table: what each hop was given, and what it answered.

use std::fmt::Write as _;

use regauth::Hop;
use regauth::tls::{Evidence, Shown};
use serde_json::json;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// 1, or 2 with `--twice`.
    pub(crate) pull: u32,
    pub(crate) hop: Hop,
    pub(crate) method: String,
    pub(crate) origin: String,
    pub(crate) path: String,
    /// The identity of the profile.
    pub(crate) configured: Option<String>,
    pub(crate) evidence: Option<Evidence>,
    /// The scheme of its Authorization.
    pub(crate) authorization: Option<&'static str>,
    /// Whether the connection had served an earlier request.
    pub(crate) reused: bool,
    pub(crate) status: Option<u16>,
    /// Unix milliseconds.
    pub(crate) begun: u64,
    pub(crate) millis: u64,
}

impl Row {
    /// The identity that the server saw, also in the handshake that this session was resumed from.
    pub(crate) fn shown(&self) -> Option<&str> {
        match self.evidence.as_ref().map(|evidence| &evidence.shown) {
            Some(Shown::Pair { label, .. }) => Some(label),
            _ => None,
        }
    }

    fn identity(&self) -> String {
        match (&self.evidence, &self.configured) {
            (Some(Evidence { shown: Shown::Pair { label, .. }, .. }), _) => short(label).into(),
            (Some(Evidence { shown: Shown::NoPair, .. }), _) => "none (was asked for one)".into(),
            (Some(Evidence { shown: Shown::NoneFits(_), .. }), _) => "none (none fits)".into(),
            (Some(_), Some(label)) => format!("none ({} not asked for)", short(label)),
            _ => "none".into(),
        }
    }

    fn sent(&self) -> &'static str {
        match self.authorization {
            Some("Basic") => "password",
            Some("Bearer") => "token",
            Some(_) => "credentials",
            None => "nothing",
        }
    }

    fn connection(&self) -> &'static str {
        let resumed = self.evidence.as_ref().map(|evidence| evidence.resumed);
        match (self.reused, resumed) {
            (true, _) => "kept",
            (false, Some(true)) => "resumed",
            (false, _) => "new",
        }
    }

    fn json(&self) -> String {
        let asked = self.evidence.as_ref().map(Evidence::asked);
        json!({
            "pull": self.pull, "hop": self.hop.as_str(), "method": self.method, "origin": self.origin,
            "path": self.path, "configured": self.configured, "identity": self.shown(), "asked": asked,
            "sent": self.authorization, "connection": self.connection(), "status": self.status,
            "begun": self.begun, "ms": self.millis,
        })
        .to_string()
    }
}

/// A file's name without its directories.
fn short(label: &str) -> &str {
    label.rsplit('/').next().unwrap_or(label)
}

/// The table as JSON, one object a line.
pub(crate) fn json(rows: &[Row]) -> String {
    rows.iter().map(|row| row.json() + "\n").collect()
}

/// The table for people.
pub(crate) fn text(rows: &[Row]) -> String {
    let head = ["HOP", "REQUEST", "ORIGIN", "CONNECTION", "IDENTITY", "SENT", "ANSWER", "MS"].map(str::to_string);
    let mut lines = vec![head];
    for row in rows {
        lines.push([
            row.hop.to_string(),
            format!("{} {}", row.method, brief(&row.path)),
            row.origin.clone(),
            row.connection().into(),
            row.identity(),
            row.sent().into(),
            row.status.map_or_else(|| "none".into(), |status| status.to_string()),
            row.millis.to_string(),
        ]);
    }
    let mut widths = [0; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (width, cell) in widths.iter().zip(line) {
            _ = write!(text, "{cell:width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// A path that fits into a table: digests are cut short.
fn brief(path: &str) -> String {
    match path.find("sha256:").or_else(|| path.find("sha512:")) {
        Some(at) if path.len() > at + 19 && path.is_ascii() => {
            format!("{}…", path.get(..at + 13).unwrap_or(path))
        }
        _ => path.into(),
    }
}

/// What a connection says about client certificates, as a clause: what issuers the server named, what is configured, what
/// was sent. `None` where there is nothing to say.
pub(crate) fn clause(row: &Row) -> Option<String> {
    let (evidence, configured) = (row.evidence.as_ref()?, row.configured.as_deref());
    let flaw = evidence.flaw.map(|flaw| format!(", and {flaw}")).unwrap_or_default();
    let issuers = match evidence.hints.as_slice() {
        [] => "the server asked for a client certificate".to_string(),
        [one] => format!("the server asked for a client certificate issued by {one}"),
        [one, more @ ..] => {
            let more = more.len();
            format!("the server asked for a client certificate issued by {one} or one of {more} others")
        }
    };
    let text = match (&evidence.shown, configured) {
        (Shown::NotAsked, None) => return None,
        (Shown::NotAsked, Some(label)) => {
            format!("{label} is configured and the server did not ask for a client certificate")
        }
        (Shown::NoPair, _) => format!("{issuers}, and none is configured for it"),
        (Shown::NoneFits(why), _) => format!("{issuers}, and none was sent: {}", why.join("; ")),
        (Shown::Pair { label, issuer }, _) => format!("{issuers}, and {label}, issued by {issuer}, was sent{flaw}"),
        _ => return None,
    };
    Some(text)
}
