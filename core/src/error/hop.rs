//! The hops that a request may take, and the reasons of the policy.

use std::fmt;

use crate::origin::UrlFlaw;

/// What kind of request goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hop {
    /// The registry API, as the caller asked.
    Registry,
    /// The token endpoint that the registry's challenge names.
    Token,
    /// A redirect of a registry request, whatever its origin.
    Redirect,
    /// The location of an upload session.
    Upload,
    /// A layer URL that a manifest names.
    Layer,
    /// A redirect of a token request.
    TokenRedirect,
}

impl Hop {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Registry, Self::Token, Self::Redirect, Self::Upload, Self::Layer, Self::TokenRedirect];

    /// `registry`, `token`, `redirect`, `upload`, `layer` or `token-redirect`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Token => "token",
            Self::Redirect => "redirect",
            Self::Upload => "upload",
            Self::Layer => "layer",
            Self::TokenRedirect => "token-redirect",
        }
    }

    /// Whether the answer is the token service's.
    pub const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::TokenRedirect)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a hop gets what it gets, is refused, or asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Allowed: the anchor's own origin.
    Anchor,
    /// Allowed: the token endpoint is on the registry's host, at another port.
    SameHost,
    /// Allowed: paired in the configuration.
    Paired,
    /// Allowed: a built-in pair, with credentials and never an identity.
    BuiltIn,
    /// Allowed: the mode `any-https`, with credentials and never an identity.
    AnyHttps,
    /// Allowed without any grant: another origin, or back from one.
    Foreign,
    /// Allowed without any grant: a URL that a manifest names.
    LayerUrl,
    /// Refused: the URL itself.
    Url(UrlFlaw),
    /// Refused: from https to http.
    Downgrade,
    /// Refused: an http realm, and not an http registry on the same host.
    HttpRealm,
    /// Refused: the eleventh redirect.
    Redirects,
    /// Refused: the fourth redirect of a token request.
    TokenRedirects,
    /// Refused: a redirect of a token request to another origin.
    TokenCrossing,
    /// Refused: a redirect of a request with a body to another origin, and no upload.
    BodyCrossing,
    /// Refused: Location fields that differ, or one that is no text.
    Location,
    /// Refused: control characters in the service or scope of a challenge.
    Challenge,
    /// Refused: an address that is for no hop.
    NeverAddress,
    /// Refused: an address that is more local than the registry's.
    MoreLocal,
    /// Refused: plain http, or a private literal, where a proxy resolves the name.
    Proxied,
    /// Asks: a password over plain http. Where Basic is the only way: refused.
    PasswordOverHttp,
    /// Asks: a password to a server whose certificate is not checked.
    PasswordUnverified,
    /// Asks: credentials and a realm on a host that is not paired with the registry.
    ForeignRealm,
}

impl Reason {
    /// One sentence: what to do about a refusal.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::MoreLocal | Self::Proxied => {
                "If this address is meant, give leave to it: local = true on the pair or the host entry."
            }
            Self::PasswordOverHttp => "Use https, or set password_over_http = true on the host entry.",
            Self::PasswordUnverified => {
                "Give the server's certificate authority, or set password_unverified = true on the host entry."
            }
            Self::ForeignRealm => "If you trust that host, add a pair of the registry and its token endpoint.",
            _ => "Ask who runs the server to correct the URL that it names.",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(flaw) => return write!(f, "the URL that the server named {flaw}"),
            Self::Anchor => "the registry's own origin",
            Self::SameHost => "the registry's host at another port",
            Self::Paired => "paired in the configuration",
            Self::BuiltIn => "a built-in pair",
            Self::AnyHttps => "the mode any-https: credentials go to a host that is not paired",
            Self::Foreign => "another origin: without any grant",
            Self::LayerUrl => "a URL of a manifest: without any grant",
            Self::Downgrade => "a step from https to http",
            Self::HttpRealm => "an http realm, where the registry is not http on the same host",
            Self::Redirects => "more than 10 redirects",
            Self::TokenRedirects => "more than 3 redirects of a token request",
            Self::TokenCrossing => "a redirect of a token request to another origin",
            Self::BodyCrossing => "a redirect of a request with a body to another origin",
            Self::Location => "Location fields that differ or are no text",
            Self::Challenge => "control characters in the service or scope of a challenge",
            Self::NeverAddress => "a link-local, metadata, multicast, unspecified or reserved address",
            Self::MoreLocal => "an address more local than the registry's",
            Self::Proxied => "plain http or a private literal behind a proxy",
            Self::PasswordOverHttp => "a password over plain http",
            Self::PasswordUnverified => "a password to a server whose certificate is not checked",
            Self::ForeignRealm => "credentials for a realm on a host that is not paired with the registry",
        }
        .fmt(f)
    }
}
