//! What a flow says next, in memory that can be lent.

use std::fmt::Write as _;

use regauth::{Body, Outgoing, Query, Step, Want};

use crate::data::{Struct, regauth_bytes, regauth_header, start};
use crate::numbers::*;

/// Send exactly this; then regauth_flow_answer or regauth_flow_failed.
pub const REGAUTH_STEP_SEND: u32 = 1;
/// Look these up, or run the helper; then regauth_flow_credentials or regauth_flow_helper_failed.
pub const REGAUTH_STEP_CREDENTIALS: u32 = 2;
/// Poll again when woken, or at `until`.
pub const REGAUTH_STEP_WAIT: u32 = 3;
/// The last answer is the application's answer.
pub const REGAUTH_STEP_DONE: u32 = 4;
/// The flow has failed and stays so: regauth_flow_error.
pub const REGAUTH_STEP_FAILED: u32 = 5;

/// The request has no body.
pub const REGAUTH_BODY_NONE: u32 = 0;
/// The application's body, if it has one; from its start.
pub const REGAUTH_BODY_APP: u32 = 1;
/// The application's body once more: one that cannot be read twice ends the flow here.
pub const REGAUTH_BODY_APP_AGAIN: u32 = 2;
/// `form`, application/x-www-form-urlencoded. Secret.
pub const REGAUTH_BODY_FORM: u32 = 3;

/// What to do next. All bytes are lent by the flow, until the next call on it that takes it without const.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_step {
    /// sizeof(regauth_step), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_STEP_*. Fields of other steps are 0.
    pub kind: u32,
    /// SEND: REGAUTH_HOP_*.
    pub hop: u32,
    /// SEND: the TLS profile to connect with, and the pool to take a connection from. No other may be used.
    pub profile: u32,
    /// SEND: REGAUTH_BODY_*.
    pub body: u32,
    /// SEND: the method.
    pub method: regauth_bytes,
    /// SEND: the URL.
    pub url: regauth_bytes,
    /// SEND: scheme, host and port of the URL: "https://reg.example:5000".
    pub origin: regauth_bytes,
    /// SEND: the host of the URL, as a resolver and TLS want it: IPv6 without brackets.
    pub host: regauth_bytes,
    /// SEND: the port of the URL.
    pub port: u32,
    /// SEND: whether the scheme is https.
    pub https: u32,
    /// SEND: the labels of the identities in the profile; none where it has none.
    pub identity: regauth_bytes,
    /// SEND: header fields to send beside the application's; values are secret. The application sets no Authorization
    /// and no Cookie of its own.
    pub headers: *const regauth_header,
    /// SEND: how many.
    pub headers_len: usize,
    /// SEND: the form, for REGAUTH_BODY_FORM.
    pub form: regauth_bytes,
    /// SEND: how much of the body the flow wants, decoded: 0 for none, it is the application's if the flow is done with
    /// this answer; otherwise all of it, or this much and one byte where it is longer.
    pub answer_at_most: usize,
    /// CREDENTIALS: the registry's origin.
    pub registry: regauth_bytes,
    /// CREDENTIALS: the helper to run, docker-credential-NAME, where the configuration names one; else the look-up is
    /// the host's own. No path: it comes from a configuration file.
    pub helper: regauth_bytes,
    /// CREDENTIALS: what goes to the helper's standard input.
    pub helper_url: regauth_bytes,
    /// WAIT: when to poll at the latest, in Unix milliseconds.
    pub until: u64,
    /// WAIT: REGAUTH_WAIT_*.
    pub why: u32,
    /// DONE: the status of the application's answer.
    pub status: u32,
    /// DONE: whether the registry denied a cross-repository mount: no failed push, upload the blob instead.
    pub mount_denied: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_step {}

/// What a step lends and the flow itself has in another form.
#[derive(Default)]
pub(crate) struct Lent {
    url: String,
    origin: String,
    registry: String,
    headers: Vec<regauth_header>,
}

impl Lent {
    /// A step in C's words. What only the flow knows of its end is left to the caller.
    pub(crate) fn tell(&mut self, step: &Step<'_>) -> regauth_step {
        let none = regauth_step { method: regauth_bytes::NONE, url: regauth_bytes::NONE, ..regauth_step::zeroed() };
        match step {
            Step::Send(out) => self.send(out, none),
            Step::Credentials(query) => self.look_up(query, none),
            Step::Wait { until, why } => {
                regauth_step { kind: REGAUTH_STEP_WAIT, until: until.0, why: from_waiting(*why), ..none }
            }
            Step::Failed(_) => regauth_step { kind: REGAUTH_STEP_FAILED, ..none },
            _ => regauth_step { kind: REGAUTH_STEP_DONE, ..none },
        }
    }

    fn send(&mut self, out: &Outgoing, none: regauth_step) -> regauth_step {
        let origin = out.url.origin();
        self.url.clear();
        self.origin.clear();
        // Writing to a String does not fail.
        let _ = write!(self.url, "{}", out.url);
        let _ = write!(self.origin, "{origin}");
        self.headers.clear();
        self.headers.extend(out.headers.iter().map(|(name, value)| regauth_header::lend(name, value.expose())));
        let (body, form) = match &out.body {
            Body::App { again: false } => (REGAUTH_BODY_APP, regauth_bytes::NONE),
            Body::App { again: true } => (REGAUTH_BODY_APP_AGAIN, regauth_bytes::NONE),
            Body::Form(form) => (REGAUTH_BODY_FORM, regauth_bytes::lend(form.expose())),
            _ => (REGAUTH_BODY_NONE, regauth_bytes::NONE),
        };
        regauth_step {
            kind: REGAUTH_STEP_SEND,
            hop: from_hop(out.hop),
            profile: out.tls.0,
            body,
            method: regauth_bytes::lend(out.method.as_bytes()),
            url: regauth_bytes::lend(self.url.as_bytes()),
            origin: regauth_bytes::lend(self.origin.as_bytes()),
            host: regauth_bytes::lend(origin.server_name().as_bytes()),
            port: origin.port().into(),
            https: origin.is_https().into(),
            identity: regauth_bytes::lend_text(out.identity.as_deref()),
            headers: start(&self.headers),
            headers_len: self.headers.len(),
            form,
            answer_at_most: if let Want::Whole { at_most } = out.answer { at_most } else { 0 },
            ..none
        }
    }

    fn look_up(&mut self, query: &Query, none: regauth_step) -> regauth_step {
        self.registry = query.registry.to_string();
        regauth_step {
            kind: REGAUTH_STEP_CREDENTIALS,
            registry: regauth_bytes::lend(self.registry.as_bytes()),
            helper: regauth_bytes::lend_text(query.helper.as_ref().map(|helper| helper.name.as_str())),
            helper_url: regauth_bytes::lend_text(query.helper.as_ref().map(|helper| helper.url.as_str())),
            ..none
        }
    }
}
