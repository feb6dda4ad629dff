//! What an answer or a broken connection says about client certificates.

use super::{Failure, network};
use crate::tls::{Evidence, Shown, Version};

/// What became of client authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateState {
    /// TLS: the server requires a certificate and was shown none.
    Required,
    /// TLS: the server refused the certificate that it was shown.
    Rejected {
        /// The alert that said so, RFC 8446 section 6.
        alert: u8,
    },
    /// The connection broke right after a TLS 1.3 handshake in which the server asked for a certificate.
    ProbablyRejected,
    /// The handshake went well, and the server's answer is about the certificate.
    RejectedOverHttp {
        /// The answer's status.
        status: u16,
    },
    /// The server wants a certificate for some of its paths only, and asks after the handshake: TLS 1.2 renegotiation or
    /// TLS 1.3 post-handshake authentication, neither of which can be done.
    AskedLate,
    /// An identity is configured and the server did not ask for any.
    NotAsked,
}

impl CertificateState {
    /// `required`, `rejected`, `probably-rejected`, `rejected-over-http`, `asked-late` or `not-asked`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Rejected { .. } => "rejected",
            Self::ProbablyRejected => "probably-rejected",
            Self::RejectedOverHttp { .. } => "rejected-over-http",
            Self::AskedLate => "asked-late",
            Self::NotAsked => "not-asked",
        }
    }
}

/// A state in words. They hold nothing of a server's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What became of client authentication.
    pub state: CertificateState,
    /// One sentence without its full stop: what happened.
    pub what: String,
    /// One sentence: what to do about it.
    pub remedy: String,
    /// What the connection showed: of a refusal over HTTP it says whether there was a certificate to refuse.
    pub evidence: Option<Evidence>,
}

pub(crate) const WHOLE_HOST: &str =
    "Let the server ask in the first handshake: client authentication for the whole host, not for a path.";

const IN_FRONT: &str = "Let what ends TLS in front of the server ask for the certificate and pass it on.";

impl Diagnosis {
    /// Of a connection that broke: of `failure` in the words of [`Evidence::failure`]. `None` where it has nothing to do
    /// with client certificates.
    pub fn of_failure(failure: Failure, evidence: Option<&Evidence>) -> Option<Self> {
        let alert = evidence.and_then(|evidence| evidence.alert);
        let state = match failure {
            Failure::CertificateRequired | Failure::CertificateRejected
                if evidence.is_some_and(|evidence| evidence.late && !evidence.accepted) =>
            {
                CertificateState::AskedLate
            }
            Failure::CertificateRequired | Failure::CertificateRejected
                if alert.is_none() && evidence.is_some_and(Evidence::probably_rejected) =>
            {
                CertificateState::ProbablyRejected
            }
            Failure::CertificateRequired => CertificateState::Required,
            // A TLS stack that hides the number of the alert: handshake_failure.
            Failure::CertificateRejected => CertificateState::Rejected { alert: alert.unwrap_or(40) },
            _ => return None,
        };
        let (what, remedy) = (network::what(failure, evidence), network::remedy(failure, evidence));
        Some(Self { state, what, remedy, evidence: evidence.cloned() })
    }

    /// Of an answer. `content_type` and `body` are the answer's, of the body as much as there is of its first 4 KiB;
    /// `identity` is the label of what is configured for the connection; `evidence` is `None` for plain http.
    ///
    /// `None` where the answer has nothing to do with client certificates, as far as can be told. A status of 401 never
    /// has: that is about credentials. [`CertificateState::NotAsked`] comes with any status, 200 too.
    pub fn of_answer(
        status: u16,
        content_type: Option<&[u8]>,
        body: &[u8],
        identity: Option<&str>,
        evidence: Option<&Evidence>,
    ) -> Option<Self> {
        let evidence = evidence?;
        let says = |text: &str| body.windows(text.len()).take(4096).any(|window| window == text.as_bytes());
        let page = content_type.is_none_or(|kind| !kind.windows(4).any(|window| window.eq_ignore_ascii_case(b"json")));
        let shown = matches!(evidence.shown, Shown::Pair { .. });
        let over_http = |what: String, remedy: &str| {
            let remedy = evidence.flaw.map_or(remedy, |flaw| flaw.remedy());
            let what = network::with_certificates(what, evidence);
            let state = CertificateState::RejectedOverHttp { status };
            Some(Self { state, what, remedy: remedy.into(), evidence: Some(evidence.clone()) })
        };
        let missing = |what: String| match (&evidence.shown, identity) {
            (Shown::Pair { .. }, _) => over_http(what, IN_FRONT),
            (Shown::NotAsked, Some(label)) => {
                over_http(format!("{what}; {label} is configured and the handshake did not ask for it"), IN_FRONT)
            }
            _ => over_http(what, network::missing(evidence)),
        };
        match status {
            403 if says("Cannot perform Post-Handshake Authentication") => late(status, evidence),
            400.. if evidence.late && status != 401 => late(status, evidence),
            // nginx answers 400 with these words, and 495 and 496 where its configuration asks for them.
            496 => missing(format!("the server requires a client certificate and says so with {status}")),
            400 if says("No required SSL certificate was sent") => {
                missing(format!("the server requires a client certificate and says so with {status}"))
            }
            495 => over_http(refused(status), Failure::CertificateRejected.remedy()),
            400 if says("The SSL certificate error") => {
                over_http(refused(status), Failure::CertificateRejected.remedy())
            }
            // RFC 9110 section 15.5.20: Caddy's, where it asks for certificates by host name, which a handshake with an
            // address does not have.
            421 => over_http(
                format!(
                    "the server answered {status}: where it asks for client certificates by host name, the TLS handshake \
                     has to have that name"
                ),
                "Use the server's host name, not its address.",
            ),
            403 if page && evidence.asked() && !shown => {
                missing(format!("the server answered {status} and had asked for a client certificate"))
            }
            403 if page && shown => over_http(
                format!("the server answered {status} with a page of its own, which may be about the certificate"),
                "Check what the server's log says about this request, and whether it trusts the certificate's issuer.",
            ),
            _ => Self::not_asked(status, identity, evidence),
        }
    }

    fn not_asked(status: u16, identity: Option<&str>, evidence: &Evidence) -> Option<Self> {
        let label = identity.filter(|_| !evidence.asked())?;
        if evidence.late {
            return if status == 401 { None } else { late(status, evidence) };
        }
        let remedy = match status {
            403 if evidence.version == Some(Version::Tls13) => WHOLE_HOST,
            _ => "If it should have asked, look at its client authentication, and at what stands in front of it.",
        };
        Some(Self {
            state: CertificateState::NotAsked,
            what: format!("{label} is configured and the server did not ask for a certificate"),
            remedy: remedy.into(),
            evidence: Some(evidence.clone()),
        })
    }
}

fn refused(status: u16) -> String {
    format!("the server refused the client certificate and says so with {status}")
}

fn late(status: u16, evidence: &Evidence) -> Option<Diagnosis> {
    Some(Diagnosis {
        state: CertificateState::AskedLate,
        what: format!(
            "the server answered {status}: it asks for a client certificate after the handshake (TLS 1.2 renegotiation or \
             TLS 1.3 post-handshake authentication), which cannot be done"
        ),
        remedy: WHOLE_HOST.into(),
        evidence: Some(evidence.clone()),
    })
}
