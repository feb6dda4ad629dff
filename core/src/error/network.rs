//! The sentences about connections that failed.

use super::Failure;
use crate::tls::{Evidence, Shown};

/// So many issuers of a server's CertificateRequest are named; it may name hundreds.
const MAX_HINTS: usize = 3;

pub(super) fn what(failure: Failure, evidence: Option<&Evidence>) -> String {
    let base = match failure {
        Failure::Connect => "no connection",
        Failure::Timeout => "no answer in time",
        Failure::Reset => "the connection broke before the answer was whole",
        Failure::ServerCertificate => "the server's certificate is not trusted here",
        Failure::CertificateRequired => "the server requires a client certificate and none was shown",
        Failure::CertificateRejected => "the server rejected the TLS handshake or the client certificate",
        Failure::Tls => "TLS failed",
        Failure::AddressRefused => "no address of this host is allowed for this hop",
    };
    let Some(evidence) = evidence else { return base.into() };
    let mut text = evidence.problem.as_ref().map_or_else(|| base.to_string(), |(what, _)| what.clone());
    // A server that breaks off after it has asked may have done so for what it got, in TLS 1.2 too.
    let broke_off = failure == Failure::Reset && evidence.asked() && !evidence.accepted;
    if broke_off {
        text.push_str("; the server had asked for a client certificate");
    } else if !matches!(failure, Failure::CertificateRequired | Failure::CertificateRejected) {
        return text;
    }
    text = with_certificates(text, evidence);
    if evidence.resumed {
        text.push_str("; the session was resumed");
    }
    text
}

/// Adds what the server asked for, what is configured and what was sent.
pub(super) fn with_certificates(mut text: String, evidence: &Evidence) -> String {
    if !evidence.hints.is_empty() {
        let named: Vec<&str> = evidence.hints.iter().take(MAX_HINTS).map(String::as_str).collect();
        let more = evidence.hints.len().saturating_sub(MAX_HINTS);
        text.push_str(&format!("; it asked for one issued by {}", named.join(" or ")));
        if more > 0 {
            text.push_str(&format!(" or {more} others"));
        }
    }
    match &evidence.shown {
        Shown::NotAsked => {}
        Shown::NoPair => text.push_str("; none is configured for it"),
        Shown::NoneFits(pairs) => text.push_str(&format!("; {}; none was sent", pairs.join("; "))),
        Shown::Pair { label, issuer } => {
            let issuer = if issuer.is_empty() { String::new() } else { format!(", issued by {issuer},") };
            text.push_str(&format!("; {label}{issuer} was sent"));
            if let Some(flaw) = evidence.flaw {
                text.push_str(&format!(", and {flaw}"));
            }
        }
    }
    text
}

/// What to do where a certificate is missing.
pub(super) fn missing(evidence: &Evidence) -> &'static str {
    match evidence.shown {
        Shown::NoneFits(_) => "Configure a client certificate and key of an issuer that the server names.",
        _ => "Configure a client certificate and key for this origin, or a pair that lends the registry's to it.",
    }
}

pub(super) fn remedy(failure: Failure, evidence: Option<&Evidence>) -> String {
    match evidence {
        Some(Evidence { late: false, shown: Shown::NoPair | Shown::NoneFits(_), .. })
            if failure == Failure::CertificateRequired =>
        {
            return evidence.map(missing).unwrap_or_default().into();
        }
        Some(Evidence { flaw: Some(flaw), .. }) if failure == Failure::CertificateRejected => {
            return flaw.remedy().into();
        }
        _ => {}
    }
    if let Some((_, remedy)) = evidence.and_then(|evidence| evidence.problem.as_ref()) {
        return remedy.clone();
    }
    failure.remedy().into()
}

impl Failure {
    /// What to do where no more is known.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Connect | Self::Timeout | Self::Reset => "Check that the server runs and can be reached from here.",
            Self::ServerCertificate => "Give the certificate authority that issued the server's certificate (ca).",
            Self::CertificateRequired => {
                "Configure a client certificate and key for this origin, from an issuer that the server names."
            }
            Self::CertificateRejected => {
                "Check that the server trusts the certificate's issuer and that it has not expired."
            }
            Self::Tls => "Check that the port speaks TLS 1.2 or 1.3.",
            Self::AddressRefused => {
                "If this address is meant, give leave to it: local = true on the pair or the host entry."
            }
        }
    }
}
