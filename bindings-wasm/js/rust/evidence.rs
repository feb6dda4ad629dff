//! What a TLS connection showed about client certificates.

use regauth::tls::{Evidence, Shown, Version};
use wasm_bindgen::prelude::JsValue;

/// The facts of one connection: version, `1.2` or `1.3`; what was shown, `not-asked`, `no-pair`, `none-fits` or `pair`; of
/// `pair` its label and the issuer of its leaf; of `none-fits`, for each pair, why not; what speaks against the certificate;
/// whether the session was resumed, the handshake came to its end, application data came, the server asked too late; its
/// fatal alert; and the issuers that it named.
pub(crate) fn evidence(seen: &Evidence) -> Vec<JsValue> {
    let (shown, label, issuer, reasons) = match &seen.shown {
        Shown::NoPair => ("no-pair", None, None, Vec::new()),
        Shown::NoneFits(reasons) => ("none-fits", None, None, reasons.clone()),
        Shown::Pair { label, issuer } => ("pair", Some(label.as_str()), Some(issuer.as_str()), Vec::new()),
        _ => ("not-asked", None, None, Vec::new()),
    };
    let version = match seen.version {
        Some(Version::Tls12) => Some("1.2"),
        Some(Version::Tls13) => Some("1.3"),
        _ => None,
    };
    vec![
        version.into(),
        shown.into(),
        label.into(),
        issuer.into(),
        reasons.into(),
        seen.flaw.map(|flaw| flaw.to_string()).into(),
        seen.resumed.into(),
        seen.finished.into(),
        seen.accepted.into(),
        seen.late.into(),
        seen.alert.into(),
        seen.hints.clone().into(),
    ]
}
