//! What goes between a flow and its host.

use std::fmt;
use std::net::IpAddr;

use crate::client::credentials::Query;
use crate::client::hop::Hop;
use crate::error::Error;
use crate::origin::Url;
use crate::secret::Secret;
use crate::time::Time;
use crate::tls::{Evidence, ProfileId};

/// What the host does next. It borrows the flow, so it cannot be kept past its answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Send exactly this; then `answer()` or `failed()`.
    Send(&'a Outgoing),
    /// Look these up, or run the helper; then `credentials()`.
    Credentials(&'a Query),
    /// Poll again when woken, or at `until`.
    Wait {
        /// The time at which to poll at the latest.
        until: Time,
        /// What for.
        why: Waiting,
    },
    /// The last answer is the application's answer.
    Done,
    /// The flow has failed and stays so.
    Failed(&'a Error),
}

/// What a flow waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Waiting {
    /// Another flow fetches this token, or these credentials.
    Token,
    /// A fresh token was refused: the clocks may differ.
    Skew,
    /// The token service named a time.
    RetryAfter,
    /// The token service could not be reached twice.
    BackOff,
}

impl Waiting {
    /// `token`, `skew`, `retry-after` or `back-off`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Skew => "skew",
            Self::RetryAfter => "retry-after",
            Self::BackOff => "back-off",
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "another flow's token request",
            Self::Skew => "a second, as the fresh token was refused and clocks may differ",
            Self::RetryAfter => "the time that the token service named",
            Self::BackOff => "the next attempt at a token service that could not be reached",
        })
    }
}

/// A request that goes out as it is. The application's own fields (`Accept`, `Range`, `Content-Type`) go beside these,
/// never an `Authorization` or `Cookie` of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// What kind of request.
    pub hop: Hop,
    /// The TLS profile to connect with, and the pool to take a connection from. The host may not choose another.
    pub tls: ProfileId,
    /// The labels of the identities in that profile, if it has any.
    pub identity: Option<String>,
    /// The method.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Header fields to send; values never to be logged.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: Body,
    /// How much of the answer is wanted.
    pub answer: Want,
}

impl Outgoing {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&Secret> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The scheme of its `Authorization`: `Basic`, `Bearer`, or `other`.
    pub(crate) fn scheme(&self) -> Option<&'static str> {
        Some(match self.header("authorization")?.expose() {
            [b'B', b'a', b's', b'i', b'c', b' ', ..] => "Basic",
            [b'B', b'e', b'a', b'r', b'e', b'r', b' ', ..] => "Bearer",
            _ => "other",
        })
    }

    /// Whether a password or a refresh token is in it.
    pub(crate) fn has_password(&self) -> bool {
        matches!(self.body, Body::Form(_)) || self.scheme() == Some("Basic")
    }
}

/// The body of an [`Outgoing`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Body {
    /// None.
    None,
    /// The application's, if it has one; from its start.
    App {
        /// It was asked for before: a body that cannot be read twice ends the flow here.
        again: bool,
    },
    /// A form, `application/x-www-form-urlencoded`.
    Form(Secret),
}

/// How much of an answer the flow needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// Status and header fields; the body is the application's if the flow is done with them.
    Head,
    /// The whole body, decoded, unless it is longer: then so much and one byte.
    Whole {
        /// Bytes.
        at_most: usize,
    },
}

/// The header fields of an answer, however the host keeps them.
pub trait Headers {
    /// Calls `f` with the value of each field of this name, without regard to case, in order.
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8]));
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.as_slice().each_field(name, f);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for &[(N, V)] {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.each_field(name, f);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const K: usize> Headers for [(N, V); K] {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.as_slice().each_field(name, f);
    }
}

trait Fields {
    fn each_field<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8]));
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for [(N, V)] {
    fn each_field<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.iter()
            .filter(|(known, _)| known.as_ref().eq_ignore_ascii_case(name))
            .for_each(|(_, value)| f(value.as_ref()));
    }
}

/// A server's answer.
#[non_exhaustive]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: &'a dyn Headers,
    /// The body, where the step wanted it whole.
    pub body: &'a [u8],
    /// The effective URL, where the host's client has followed redirects by itself: a challenge from elsewhere than
    /// the anchor is then not honoured.
    pub url: Option<&'a str>,
    /// What the TLS connection showed.
    pub tls: Option<&'a Evidence>,
}

impl<'a> Answer<'a> {
    /// An answer with a status and header fields.
    pub const fn new(status: u16, headers: &'a dyn Headers) -> Self {
        Self { status, headers, body: &[], url: None, tls: None }
    }

    /// Its body.
    #[must_use]
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// Its effective URL.
    #[must_use]
    pub const fn url(mut self, url: Option<&'a str>) -> Self {
        self.url = url;
        self
    }

    /// Its TLS evidence.
    #[must_use]
    pub const fn tls(mut self, tls: Option<&'a Evidence>) -> Self {
        self.tls = tls;
        self
    }

    /// The first value of a field.
    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut first = None;
        self.headers.each(name, &mut |value| first = first.or(Some(value)));
        first
    }
}

/// Who follows redirects of the registry's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirects {
    /// The flow does.
    #[default]
    Core,
    /// The host's client does: a redirect is the application's answer, and each further hop a flow of its own, made by
    /// [`Agent::referred`](crate::Agent::referred) from this one's referrer.
    Host,
}

/// How a host is about to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dial {
    /// To this address, and to no other.
    Ip(IpAddr),
    /// Through a proxy that resolves the name.
    Proxied,
}
