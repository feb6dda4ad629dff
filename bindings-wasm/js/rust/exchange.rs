//! Layer c: a flow over byte streams that the host gives, with TLS and HTTP/1.1 in between.
//!
//! Bytes do not go over: the package is told where they are in the module's memory, and reads or writes them there before
//! its next call.

use std::task::Waker;

use regauth::HelperFailure;
use regauth::wire::{Do, Exchange as Core, Link as CoreLink};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::agent::{Agent, Referrer};
use crate::error::Failed;
use crate::evidence::evidence;
use crate::flow::{Flow, dial, failure, found, millis, query, time};
use crate::text::{bytes, string};

/// The state of an idle connection.
#[wasm_bindgen]
pub struct Link {
    core: CoreLink,
}

#[wasm_bindgen]
impl Link {
    /// What it is pooled by.
    pub fn key(&self) -> String {
        let key = self.core.key();
        format!("{} {} {}", key.profile.0, key.proxied, key.origin)
    }
}

/// An exchange.
#[wasm_bindgen]
pub struct Exchange {
    core: Core,
    waker: Waker,
    number: u32,
    start: usize,
    len: usize,
}

/// The numbers of `poll`.
const CONNECT: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 3;
const WANT_BODY: u32 = 4;
const HEAD: u32 = 5;
const BODY: u32 = 6;
const CREDENTIALS: u32 = 7;
const WAIT: u32 = 8;
const CLOSE: u32 = 9;
const DONE: u32 = 10;
const FAILED: u32 = 11;

#[wasm_bindgen]
impl Exchange {
    /// An exchange for this flow, which is taken.
    #[wasm_bindgen(constructor)]
    pub fn new(agent: &Agent, flow: Flow) -> Result<Self, Failed> {
        let (flow, waker, number) = flow.into_parts();
        let flow = flow.ok_or_else(|| Failed::input("the flow is gone", "Make a new one."))?;
        Ok(Self { core: Core::new(&agent.core, flow), waker, number, start: 0, len: 0 })
    }

    /// What its waker puts on the list.
    #[wasm_bindgen(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Adds a field to the application's requests.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Failed> {
        let value = bytes(value).ok_or_else(Failed::header)?;
        Ok(self.core.header(name, &value)?)
    }

    /// Announces a body, and its length where it is known.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub fn body_len(&mut self, length: Option<f64>) {
        self.core.body_len(length.map(|length| length as u64));
    }

    /// The body can begin at its start once more.
    pub fn body_rewinds(&mut self) {
        self.core.body_rewinds();
    }

    /// What to do next; `start` and `len` say where the bytes of WRITE and BODY are, `detail` says the rest.
    pub fn poll(&mut self, now: f64) -> u32 {
        let mut lend = |bytes: &[u8]| (self.start, self.len) = (bytes.as_ptr().addr(), bytes.len());
        match self.core.poll(time(now), &self.waker) {
            Do::Connect(_) => CONNECT,
            Do::Write(bytes) => {
                lend(bytes);
                WRITE
            }
            Do::Read => READ,
            Do::WantBody { .. } => WANT_BODY,
            Do::Head(_) => HEAD,
            Do::Body(bytes) => {
                lend(bytes);
                BODY
            }
            Do::Credentials(_) => CREDENTIALS,
            Do::Wait { .. } => WAIT,
            Do::Close => CLOSE,
            Do::Done => DONE,
            _ => FAILED,
        }
    }

    /// The rest of what `poll` says, which is asked once more. Connect: origin, host, port, hop, whether a pooled link will
    /// do, key with a proxy and without. Want-body: whether from its start again. Head: status, names and values.
    /// Credentials: as a flow. Wait: until, why. Done: status, whether a mount was denied. Failed: the fields of the error.
    pub fn detail(&mut self, now: f64) -> Vec<JsValue> {
        let status = self.core.head().map(|head| head.status());
        let mount_denied = self.core.flow().mount_denied();
        match self.core.poll(time(now), &self.waker) {
            Do::Connect(to) => {
                let key = |proxied| format!("{} {proxied} {}", to.profile.0, to.origin);
                vec![
                    to.origin.to_string().into(),
                    to.origin.server_name().to_string().into(),
                    to.origin.port().into(),
                    to.hop.as_str().into(),
                    to.pooled.into(),
                    key(true).into(),
                    key(false).into(),
                ]
            }
            Do::WantBody { again } => vec![again.into()],
            Do::Head(head) => {
                let fields = head.fields().flat_map(|(name, value)| [name.into(), string(value).into()]);
                std::iter::once(head.status().into()).chain(fields).collect()
            }
            Do::Credentials(asked) => query(asked),
            Do::Wait { until, why } => vec![millis(until).into(), why.as_str().into()],
            Do::Done => vec![status.into(), mount_denied.into()],
            Do::Failed(error) => Failed::from(error).flat(),
            _ => Vec::new(),
        }
    }

    /// Where the bytes begin in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> usize {
        self.start
    }

    /// How many there are.
    #[wasm_bindgen(getter)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Room for what is read: `start` and `len` say where.
    pub fn space(&mut self) {
        let space = self.core.space();
        (self.start, self.len) = (space.as_ptr().addr(), space.len());
    }

    /// Whether this address may be used.
    pub fn dial(&mut self, to: &str) -> Result<(), Failed> {
        Ok(self.core.dial(dial(to)?)?)
    }

    /// Connected, or a pooled link, which is taken.
    pub fn connected(&mut self, now: f64, link: Option<Link>) {
        self.core.connected(time(now), link.map(|link| link.core));
    }

    /// So many bytes were read.
    pub fn filled(&mut self, n: usize) {
        self.core.filled(n);
    }

    /// So many bytes were written.
    pub fn wrote(&mut self, n: usize) {
        self.core.wrote(n);
    }

    /// The head was looked at.
    pub fn took_head(&mut self) {
        self.core.took_head();
    }

    /// So many bytes of content were used.
    pub fn took(&mut self, n: usize) {
        self.core.took(n);
    }

    /// The next bytes of the application's body; gives how many were taken.
    pub fn body(&mut self, content: &[u8], last: bool) -> usize {
        self.core.body(content, last)
    }

    /// The body cannot be given.
    pub fn body_gone(&mut self) {
        self.core.body_gone();
    }

    /// What the look-up found.
    pub fn credentials(&mut self, now: f64, kind: &str, user: &str, secret: String, valid_until: Option<f64>) {
        self.core.credentials(time(now), found(kind, user, secret, valid_until));
    }

    /// The look-up did not work.
    pub fn helper_failed(&mut self, now: f64, why: String) {
        self.core.credentials(time(now), Err(HelperFailure(why)));
    }

    /// What went wrong with the stream.
    pub fn failed(&mut self, now: f64, why: &str) -> Result<(), Failed> {
        self.core.failed(time(now), failure(why)?);
        Ok(())
    }

    /// The stream is closed or pooled.
    pub fn closed(&mut self) {
        self.core.closed();
    }

    /// What is to be pooled with the stream.
    pub fn take_link(&mut self) -> Option<Link> {
        self.core.take_link().map(|core| Link { core })
    }

    /// A request that went out: hop, method, URL without its query, identity, scheme of the authorization, whether the
    /// connection was used before, status, evidence; undefined for what is not there.
    pub fn sent(&self, index: usize) -> Option<Vec<JsValue>> {
        let sent = self.core.sent().get(index)?;
        let url = sent.url.to_string();
        Some(vec![
            sent.hop.as_str().into(),
            sent.method.as_str().into(),
            url.split('?').next().unwrap_or_default().into(),
            sent.identity.clone().into(),
            sent.authorization.map(str::to_string).into(),
            sent.reused.into(),
            sent.status.into(),
            sent.evidence.as_ref().map(evidence).into(),
        ])
    }

    /// The transcript.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.core.explain(&mut text);
        text
    }

    /// What a URL in the answer is followed with.
    pub fn referrer(&self) -> Referrer {
        Referrer { core: self.core.referrer() }
    }
}
