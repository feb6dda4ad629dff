//! The hop policy: which request may carry what. The only place that decides.

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
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a hop was refused or asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The URL itself is refused.
    Url(UrlFlaw),
}

impl Reason {
    /// One sentence: what to do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Url(_) => "Ask who runs the server to correct the URL that it names.",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(flaw) => write!(f, "the URL that the server named {flaw}"),
        }
    }
}
