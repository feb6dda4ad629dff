//! What a TLS connection showed about client certificates: plain data, so that hosts with a TLS stack of their own can
//! fill it in too.

/// The protocol version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

/// What the client answered to a CertificateRequest, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shown {
    /// The server did not ask, so nothing was shown.
    NotAsked,
    /// The server asked and the profile has no pair.
    NoPair,
    /// The server asked and no pair fits: by issuer or by signature scheme. One line for each pair, with its file or
    /// label, its issuer and the reason.
    NoneFits(Vec<String>),
    /// The pair with this label, whose leaf was issued by `issuer`.
    Pair {
        /// The label of the identity, as configured.
        label: String,
        /// The issuer of its leaf, as RFC 4514 text.
        issuer: String,
    },
}

/// The facts of one connection; kept until it closes, and with the session for those resumed from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Evidence {
    /// The version, once the server's hello was read.
    pub version: Option<Version>,
    /// The issuers that the server named in its CertificateRequest, as RFC 4514 text; empty when it named none.
    pub hints: Vec<String>,
    /// What was shown. Of a resumed connection: what its first handshake showed.
    pub shown: Shown,
    /// Whether the session was resumed, so that the server saw the certificate of the first handshake.
    pub resumed: bool,
    /// Whether the handshake came to its end on this side. In TLS 1.3 that does not mean that the server accepted.
    pub finished: bool,
    /// Whether application data came from the server: only then the identity was accepted.
    pub accepted: bool,
    /// The fatal alert that the server sent, RFC 8446 section 6.
    pub alert: Option<u8>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            version: None,
            hints: Vec::new(),
            shown: Shown::NotAsked,
            resumed: false,
            finished: false,
            accepted: false,
            alert: None,
        }
    }
}
