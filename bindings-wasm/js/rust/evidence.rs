//! What a TLS connection showed about client certificates.

use regauth::tls::{Evidence as Core, Shown, Version};
use wasm_bindgen::prelude::wasm_bindgen;

/// The facts of one connection, as they go over.
#[wasm_bindgen(getter_with_clone)]
pub struct Evidence {
    /// `1.2` or `1.3`.
    pub version: Option<String>,
    /// The issuers that the server named.
    pub hints: Vec<String>,
    /// `not-asked`, `no-pair`, `none-fits` or `pair`.
    pub shown: String,
    /// Of `pair`: its label.
    pub label: Option<String>,
    /// Of `pair`: the issuer of its leaf.
    pub issuer: Option<String>,
    /// Of `none-fits`: for each pair, why not.
    pub reasons: Vec<String>,
    /// What speaks against the certificate.
    pub flaw: Option<String>,
    /// The session was resumed.
    pub resumed: bool,
    /// The handshake came to its end on this side.
    pub finished: bool,
    /// Application data came.
    pub accepted: bool,
    /// The server asked after the handshake.
    pub late: bool,
    /// The fatal alert that the server sent.
    pub alert: Option<u8>,
}

impl From<&Core> for Evidence {
    fn from(seen: &Core) -> Self {
        let (shown, label, issuer, reasons) = match &seen.shown {
            Shown::NoPair => ("no-pair", None, None, Vec::new()),
            Shown::NoneFits(reasons) => ("none-fits", None, None, reasons.clone()),
            Shown::Pair { label, issuer } => ("pair", Some(label.clone()), Some(issuer.clone()), Vec::new()),
            _ => ("not-asked", None, None, Vec::new()),
        };
        let version = match seen.version {
            Some(Version::Tls12) => Some("1.2".into()),
            Some(Version::Tls13) => Some("1.3".into()),
            _ => None,
        };
        Self {
            version,
            hints: seen.hints.clone(),
            shown: shown.into(),
            label,
            issuer,
            reasons,
            flaw: seen.flaw.map(|flaw| flaw.to_string()),
            resumed: seen.resumed,
            finished: seen.finished,
            accepted: seen.accepted,
            late: seen.late,
            alert: seen.alert,
        }
    }
}
