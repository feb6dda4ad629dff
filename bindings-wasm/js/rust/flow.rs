//! A flow: one request, from the first attempt to the answer that is the application's.

use std::task::Waker;

use regauth::{
    Answer, Body, Dial, Failure, Flow as Core, Found, HelperFailure, Outgoing, Query, Redirects, Scope, Step, Time,
    Want,
};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::agent::Referrer;
use crate::config::credentials;
use crate::error::Failed;
use crate::text::{pairs, shown};
use crate::{names, wake};

/// Unix milliseconds of JavaScript; what is no such number is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn time(millis: f64) -> Time {
    Time(millis as u64)
}

/// The same for JavaScript, exact until the year 287396.
#[allow(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn millis(time: Time) -> f64 {
    time.0 as f64
}

/// How a host is about to connect: an address, or `proxied`.
pub(crate) fn dial(to: &str) -> Result<Dial, Failed> {
    match to {
        "proxied" => Ok(Dial::Proxied),
        address => address.parse().map(Dial::Ip).map_err(|_| {
            Failed::input("that is no IP address", "Give the address that the name was resolved to, without brackets.")
        }),
    }
}

pub(crate) fn failure(name: &str) -> Result<Failure, Failed> {
    names::failure(name).ok_or_else(|| Failed::input("unknown failure", "Give one of the words of the type Failure."))
}

/// What a look-up found: `none`, or the kind of the credentials.
pub(crate) fn found(
    kind: &str,
    user: &str,
    secret: String,
    valid_until: Option<f64>,
) -> Result<Option<Found>, HelperFailure> {
    if kind == "none" {
        return Ok(None);
    }
    match credentials(kind, user, secret) {
        Some(credentials) => Ok(Some(Found { credentials, valid_until: valid_until.map(time) })),
        None => Err(HelperFailure("it gave credentials of an unknown kind".into())),
    }
}

pub(crate) fn query(query: &Query) -> Vec<JsValue> {
    let helper = query.helper.as_ref();
    vec![
        query.registry.to_string().into(),
        helper.map(|helper| helper.name.clone()).into(),
        helper.map(|helper| helper.url.clone()).into(),
    ]
}

/// A flow.
#[wasm_bindgen]
pub struct Flow {
    /// `None` only while a builder call runs.
    core: Option<Core>,
    waker: Waker,
    number: u32,
}

impl Flow {
    pub(crate) fn new(core: Core) -> Self {
        let (number, waker) = wake::waker();
        Self { core: Some(core), waker, number }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn into_parts(self) -> (Option<Core>, Waker, u32) {
        (self.core, self.waker, self.number)
    }

    fn change(&mut self, change: impl FnOnce(Core) -> Core) {
        self.core = self.core.take().map(change);
    }
}

#[wasm_bindgen]
impl Flow {
    /// What its waker puts on the list.
    #[wasm_bindgen(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Adds a scope.
    pub fn scope(&mut self, scope: &str) -> Result<(), Failed> {
        let scope = Scope::new(scope).ok_or_else(|| {
            Failed::input("that is no scope", "Give repository:name:pull, or what the service takes.")
        })?;
        self.change(|flow| flow.scope(scope));
        Ok(())
    }

    /// The host follows redirects.
    pub fn redirects_by_host(&mut self) {
        self.change(|flow| flow.redirects(Redirects::Host));
    }

    /// What to do next: `send` and what `outgoing` says; `credentials`, registry, helper, its URL; `wait`, until, why;
    /// `done`, status, whether a mount was denied; `failed` and the fields of the error.
    pub fn poll(&mut self, now: f64) -> Vec<JsValue> {
        let Some(core) = &mut self.core else { return Vec::new() };
        let step = match core.poll(time(now), &self.waker) {
            Step::Send(out) => return outgoing(out),
            Step::Credentials(asked) => std::iter::once("credentials".into()).chain(query(asked)).collect(),
            Step::Wait { until, why } => vec!["wait".into(), millis(until).into(), why.as_str().into()],
            Step::Failed(error) => std::iter::once("failed".into()).chain(Failed::from(error).flat()).collect(),
            _ => Vec::new(),
        };
        if step.is_empty() {
            return vec!["done".into(), core.status().unwrap_or_default().into(), core.mount_denied().into()];
        }
        step
    }

    /// Whether this address may be used.
    pub fn dial(&mut self, to: &str) -> Result<(), Failed> {
        let to = dial(to)?;
        match &mut self.core {
            Some(core) => Ok(core.dial(to)?),
            None => Ok(()),
        }
    }

    /// The server's answer; `headers` are names and values in turn.
    pub fn answer(
        &mut self,
        now: f64,
        status: u16,
        headers: Vec<String>,
        body: &[u8],
        url: Option<String>,
    ) -> Result<(), Failed> {
        let headers = pairs(headers).ok_or_else(Failed::header)?;
        if let Some(core) = &mut self.core {
            core.answer(time(now), Answer::new(status, &headers).body(body).url(url.as_deref()));
        }
        Ok(())
    }

    /// What the look-up found.
    pub fn credentials(&mut self, now: f64, kind: &str, user: &str, secret: String, valid_until: Option<f64>) {
        if let Some(core) = &mut self.core {
            core.credentials(time(now), found(kind, user, secret, valid_until));
        }
    }

    /// The look-up did not work.
    pub fn helper_failed(&mut self, now: f64, why: String) {
        if let Some(core) = &mut self.core {
            core.credentials(time(now), Err(HelperFailure(why)));
        }
    }

    /// No answer came.
    pub fn failed(&mut self, now: f64, why: &str) -> Result<(), Failed> {
        let why = failure(why)?;
        if let Some(core) = &mut self.core {
            core.failed(time(now), why, None);
        }
        Ok(())
    }

    /// The transcript.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        if let Some(core) = &self.core {
            // Writing to a String does not fail.
            let _ = core.explain(&mut text);
        }
        text
    }

    /// What a URL in the answer is followed with.
    pub fn referrer(&self) -> Option<Referrer> {
        self.core.as_ref().map(|core| Referrer { core: core.referrer() })
    }
}

/// `send`, hop, profile, identity or undefined, method, URL, `none`, `app`, `again` or `form`, the form or undefined, the
/// most bytes of the answer or undefined for its head, and the header fields: name, value.
fn outgoing(out: &Outgoing) -> Vec<JsValue> {
    let (kind, form) = match &out.body {
        Body::App { again: false } => ("app", None),
        Body::App { again: true } => ("again", None),
        Body::Form(form) => ("form", Some(shown(form))),
        _ => ("none", None),
    };
    let at_most = match out.answer {
        Want::Whole { at_most } => u32::try_from(at_most).ok(),
        _ => None,
    };
    let mut flat: Vec<JsValue> = vec![
        "send".into(),
        out.hop.as_str().into(),
        out.tls.0.into(),
        out.identity.clone().into(),
        out.method.as_str().into(),
        out.url.to_string().into(),
        kind.into(),
        form.into(),
        at_most.into(),
    ];
    for (name, value) in &out.headers {
        flat.push(name.as_str().into());
        flat.push(shown(value).into());
    }
    flat
}
