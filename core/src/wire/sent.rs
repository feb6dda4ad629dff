//! What an exchange has sent so far: for a host's log and its people.

use crate::client::Outgoing;
use crate::client::hop::Hop;
use crate::origin::Url;
use crate::time::Time;
use crate::tls::Evidence;

/// One request that went out, and what came of it. It holds no secret but the query of its URL: show
/// [`Url::redacted`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// What kind of request.
    pub hop: Hop,
    /// Its method.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// The labels of the identities that its connection may show; what it did show is in `evidence`.
    pub identity: Option<String>,
    /// The scheme of its `Authorization`: `Basic`, `Bearer`, or `other`.
    pub authorization: Option<&'static str>,
    /// Whether the connection had served an earlier request.
    pub reused: bool,
    /// When it began.
    pub begun: Time,
    /// The status of its answer.
    pub status: Option<u16>,
    /// When the answer's head was there, later when all of it was, or when it failed.
    pub ended: Option<Time>,
    /// The `Date` of its answer, as it was sent (RFC 9110 section 6.6.1): what the server's clock said.
    pub date: Option<String>,
    /// What the connection showed by then; `None` for plain http.
    pub evidence: Option<Evidence>,
}

impl Sent {
    /// Of a request that is about to go out.
    pub(super) fn about(out: &Outgoing) -> Self {
        Self {
            hop: out.hop,
            method: out.method.clone(),
            url: out.url.clone(),
            identity: out.identity.clone(),
            authorization: out.scheme(),
            reused: false,
            begun: Time(0),
            status: None,
            ended: None,
            date: None,
            evidence: None,
        }
    }
}
