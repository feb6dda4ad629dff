//! What a host hands in, and what it sends back.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::KeyError;
use super::peer::Peer;
use crate::origin::UrlFlaw;
use crate::secret::Secret;

/// A request, as the host's HTTP server read it. `Debug` hides what authorizes.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The method, byte for byte: methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The request target as it was received: path and query, neither decoded nor cleaned (RFC 9112 section 3.2.1).
    pub target: &'a str,
    /// The values of all `Authorization` fields, one each.
    pub authorization: &'a [&'a str],
    /// The value of `Content-Type`; several joined by commas.
    pub content_type: Option<&'a str>,
    /// The body. The guard does not look at it, so a registry's front leaves it empty.
    pub body: &'a [u8],
    /// The client's certificate, which the TLS stack has verified.
    pub peer: Option<&'a Peer>,
}

impl<'a> Call<'a> {
    /// A request without fields, body and certificate.
    pub const fn new(method: &'a str, target: &'a str) -> Self {
        Self { method, target, authorization: &[], content_type: None, body: &[], peer: None }
    }

    /// With these `Authorization` fields.
    pub const fn authorization(self, values: &'a [&'a str]) -> Self {
        Self { authorization: values, ..self }
    }

    /// With this `Content-Type`.
    pub const fn content_type(self, value: &'a str) -> Self {
        Self { content_type: Some(value), ..self }
    }

    /// With this body.
    pub const fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// With this verified client certificate.
    pub const fn peer(self, peer: &'a Peer) -> Self {
        Self { peer: Some(peer), ..self }
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        f.debug_struct("Call").field("method", &self.method).field("path", &path).finish_non_exhaustive()
    }
}

/// An answer for the host to send as it is. `Debug` hides the body, which may hold a token.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields, names in their usual case. `Content-Length` is the host's.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON, or empty.
    pub body: Secret,
    /// Why, for the host's log: no secret and no text of the client's is in it.
    pub reason: Reason,
    /// The token's `jti`, where a token was issued, or one with a good signature refused.
    pub jti: Option<String>,
}

impl Reply {
    /// An answer with a JSON body.
    pub(super) fn json(status: u16, reason: Reason, body: &impl Serialize) -> Self {
        // What has no maps of other keys than text always encodes.
        let body = Secret::from(serde_json::to_vec(body).unwrap_or_default());
        Self { status, headers: vec![("Content-Type", "application/json".into())], body, reason, jti: None }
    }

    /// With one more field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A header field's value, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The token in the body of an answer that [`Issuer::issue`](super::Issuer::issue) made.
    pub fn token(&self) -> Option<Secret> {
        let body: Value = serde_json::from_slice(self.body.expose()).ok()?;
        body.get("token")?.as_str().map(Secret::from)
    }
}

/// One entry of the OCI distribution specification's error body.
pub(super) fn oci_error(code: &str, message: &str, detail: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let (Some(detail), Some(members)) = (detail, error.as_object_mut()) {
        members.insert("detail".into(), detail);
    }
    error
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $slug:literal $text:literal,)*) => {
        /// Why a reply is what it is. `Display` says what happened and what to do, for the client too.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// A short name for logs: `token-expired`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// A token was issued.
    Issued "issued" "a token was issued",
    /// The target is malformed.
    Target "target" "the request target is malformed; send a path of the distribution specification, not encoded",
    /// No end-point.
    Route "route" "no such end-point; see the OCI distribution specification",
    /// The method is none of the end-point's.
    Method "method" "the method is not for this end-point; see the OCI distribution specification",
    /// The request is too large, or asks for too much.
    TooLarge "too-large" "the request is too large; ask for less at once",
    /// More than one `Authorization`.
    Authorization "authorization" "more than one Authorization field came; send one",
    /// A parameter is broken, repeated, or where it should not be.
    Parameter "parameter" "a parameter is malformed, repeated or misplaced; see RFC 6749 section 3.2",
    /// The body is no form.
    Form "form" "a token request by POST has a form as its body; send application/x-www-form-urlencoded",
    /// The service is none of those that tokens are issued for.
    Service "service" "the service is unknown; use the one of the registry's challenge",
    /// `account` is another than the user.
    Account "account" "account is not the user; leave it away",
    /// The grant type is not served.
    Grant "grant" "the grant type is not served; use password, refresh_token, or GET with Basic",
    /// Nobody was authenticated.
    NoCredentials "no-credentials" "credentials are required; log in, or show a client certificate",
    /// The credentials are wrong; which part of them is never said.
    Credentials "credentials" "the credentials are not accepted; check them",
    /// The identity may not do this.
    Denied "denied" "the identity may not do this; ask for the permission",
    /// What identifies the client ends before a token could live its minimum.
    Ending "ending" "the identity ends within a minute; renew it",
    /// Come back later.
    Later "later" "the service is busy; try again later",
    /// A key or claims that cannot be used.
    Sign "sign" "the token could not be signed; this is the server's fault",
    /// The key is elsewhere.
    KeyElsewhere "key-elsewhere" "the token's key is held elsewhere; the server has to prepare, sign and finish",
    /// What the host gave as a signature is none.
    SignatureSyntax "signature-syntax" "the signer's answer is no ECDSA signature; the server has to give DER, or r and s of 32 bytes each",
    /// The signature that the host gave is not the key's.
    SignatureKey "signature-key" "the signer's signature is not the token key's; the server has to check which key signs, and that it hashes once, with SHA-256",
    /// No token.
    NoToken "no-token" "a token is required; get one from the realm of the challenge",
    /// `Authorization` is not one Bearer token.
    Scheme "scheme" "Authorization is not Bearer, one space and a token; send that",
    /// Longer than [`MAX_TOKEN`](super::MAX_TOKEN), or not three parts of strict base64url, or no strict JSON.
    TokenSyntax "token-syntax" "the token is malformed; get a new one",
    /// `alg` is not that of the configured key, ES256.
    TokenAlgorithm "token-algorithm" "the token is not signed with ES256; get one from the realm of the challenge",
    /// `crit` or `typ` asks for something that is not understood.
    TokenCritical "token-critical" "the token's header demands what is not understood; get another",
    /// It names no configured key, or two.
    TokenKey "token-key" "the token names no key that is trusted here; get one from the realm of the challenge",
    /// The signature is wrong.
    TokenSignature "token-signature" "the token's signature is wrong; get a new one",
    /// Claims are missing, repeated, in the wrong case, or of the wrong type.
    TokenClaims "token-claims" "the token's claims are malformed; get one from the realm of the challenge",
    /// Another issuer.
    TokenIssuer "token-issuer" "the token is of another issuer; get one from the realm of the challenge",
    /// For another service.
    TokenAudience "token-audience" "the token is for another service; get one from the realm of the challenge",
    /// Past its end.
    TokenExpired "token-expired" "the token has expired; get a new one",
    /// Before its begin.
    TokenEarly "token-early" "the token is not valid yet; check the clocks",
    /// It lives longer than is believed.
    TokenLife "token-life" "the token lives too long; get one with a shorter life",
    /// Bound to another certificate than the client's (RFC 8705 section 3).
    TokenCertificate "token-certificate" "the token belongs to another client certificate; get one with this certificate",
    /// Not bound to a certificate, where that is required.
    TokenUnbound "token-unbound" "the token is not bound to a client certificate; get one over mutual TLS",
    /// The token is good and does not allow this.
    Scope "scope" "the token does not allow this; ask for one with the scope of the challenge",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a guard or an issuer cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The realm is no absolute URL.
    Realm(UrlFlaw),
    /// The realm is plain http and neither loopback nor allowed by name.
    InsecureRealm,
    /// A text that cannot stand in a challenge: empty, over 255 bytes, or with anything but printable ASCII, or with a
    /// quote or a backslash.
    Text(&'static str),
    /// No key to verify with, or no service to issue for.
    Missing(&'static str),
    /// Two keys, or two services, answer to one name.
    Repeated(String),
    /// A life that is not between 60 and 3600 s.
    Ttl,
    /// The signing key and its reference do not fit.
    Key(KeyError),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm(flaw) => write!(f, "the realm {flaw}; give the token endpoint's absolute https URL"),
            Self::InsecureRealm => f.write_str(
                "the realm is plain http, so passwords would be too; use https or allow it (insecure_realm)",
            ),
            Self::Text(what) => {
                write!(f, "the {what} cannot be quoted; use 1 to 255 printable ASCII characters without \" and \\")
            }
            Self::Missing(what) => write!(f, "there is no {what}; give one or more"),
            Self::Repeated(name) => write!(f, "{name:?} is there twice; give each once"),
            Self::Ttl => f.write_str("tokens live 60 to 3600 s; choose another life"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<KeyError> for SetupError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// Whether a text can stand between quotes in a header field.
pub(super) fn quotable(what: &'static str, text: &str) -> Result<String, SetupError> {
    let good = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\';
    if text.is_empty() || text.len() > 255 || !text.bytes().all(good) {
        return Err(SetupError::Text(what));
    }
    Ok(text.into())
}
