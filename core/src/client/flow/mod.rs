//! One request, from the first attempt to the answer that is the application's.

mod fetch;
mod granted;
mod prepare;
mod redirect;
mod registry;
mod types;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

pub use types::{Answer, Body, Dial, Headers, Outgoing, Redirects, Step, Waiting, Want};

use super::agent::{Agent, Referrer};
use super::cache::Token;
use super::config::Config;
use super::credentials::{Credentials, Found, HelperFailure, Query, Source};
use super::hop::{Chain, Hop, Question, Reason, may_be_at, may_be_proxied, may_take_password};
use super::trace::{Line, Trace};
use crate::error::{Error, ErrorKind, Failure};
use crate::origin::{Class, Origin, Url, UrlFlaw};
use crate::scope::{self, Scope};
use crate::secret::Secret;
use crate::time::Time;
use crate::tls::{Attempt, Evidence, Shown};
use fetch::Fetch;

/// Token requests in one flow: each cause once, and a registry that answers slower than its tokens live.
const MAX_TOKENS: u32 = 5;
/// Milliseconds that a flow waits at the most, other than for another one: the longest `Retry-After` and back-off.
const MAX_WAIT: u64 = 30_000;

/// One request of the application, owned by one task.
///
/// `poll` says what to do; do it, and give the result back by the call that the step names. The same step comes again
/// until it is answered. Dropping a flow gives its duties to those who wait.
pub struct Flow {
    agent: Agent,
    config: Arc<Config>,
    id: u64,
    anchor: Origin,
    /// What the application asked for: where a repeat starts.
    start: Place,
    /// Where the flow is.
    here: Place,
    renewal: bool,
    /// It follows a part of an upload.
    upload: bool,
    follow: Redirects,
    own: Vec<Scope>,
    extra: Vec<Scope>,
    wanted: Vec<Scope>,
    sent: Sent,
    /// Send `sent` as it is: on a redirect within the anchor, and once more after a second.
    keep: bool,
    /// A Basic challenge waits for the look-up of credentials.
    unanswered: bool,
    /// The application's body was asked for before.
    body_used: bool,
    rejected: Option<Arc<Token>>,
    /// The token that is sent once more after a second.
    skewed: Option<Arc<Token>>,
    causes: Causes,
    fetch: Option<Fetch>,
    /// The repository, where the request's own URL does not name it.
    repository: Option<Box<str>>,
    /// Where the registry's credentials come from, by the repository; and from which file, until that was said.
    source: Source,
    source_from: Option<Arc<str>>,
    looked_up: Option<Option<Arc<Credentials>>>,
    parked: Option<u32>,
    mount_denied: bool,
    out: Option<Outgoing>,
    state: State,
    trace: Trace,
}

/// A request that is about to go out.
#[derive(Clone, Debug)]
struct Place {
    hop: Hop,
    method: String,
    url: Result<Url, UrlFlaw>,
    chain: Chain,
}

#[derive(Clone, Debug)]
enum Sent {
    Nothing,
    Basic(Arc<Secret>),
    Preset(Arc<Secret>),
    Token(Arc<Token>),
}

/// Each cause for another attempt counts once.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // six independent facts
struct Causes {
    tokens: u32,
    renewed: bool,
    late: bool,
    widened: bool,
    worse: bool,
    retry_after: bool,
    basic_to_bearer: bool,
}

#[derive(Debug)]
enum State {
    Prepare,
    Send,
    LookUp(Query),
    Wait { until: Time, why: Waiting },
    Done(u16),
    Failed(Error),
}

impl Flow {
    pub(crate) fn new(
        agent: &Agent,
        hop: Hop,
        method: &str,
        url: Result<Url, UrlFlaw>,
        anchor: Origin,
        chain: Chain,
    ) -> Result<Self, Error> {
        if !super::config::is_token(method) {
            return Err(Error::new(ErrorKind::Method));
        }
        let target = url.as_ref().map_or("", Url::rest);
        let own = scope::needed(method, target).unwrap_or_default();
        let place = Place { hop, method: method.to_string(), url, chain };
        let config = agent.config();
        let repository = scope::repository(&own);
        Ok(Self {
            agent: agent.clone(),
            source: config.source(&anchor, repository),
            source_from: config.provenance(&anchor, repository),
            config,
            id: agent.next_flow(),
            anchor,
            start: place.clone(),
            here: place,
            renewal: false,
            upload: false,
            follow: Redirects::Core,
            wanted: own.clone(),
            own,
            extra: Vec::new(),
            sent: Sent::Nothing,
            keep: false,
            unanswered: false,
            body_used: false,
            rejected: None,
            skewed: None,
            causes: Causes::default(),
            fetch: None,
            repository: None,
            looked_up: None,
            parked: None,
            mount_denied: false,
            out: None,
            state: State::Prepare,
            trace: Trace::default(),
        })
    }

    /// Adds a scope that the application knows it will need, after those of the request and of the challenge.
    #[must_use]
    pub fn scope(mut self, also: Scope) -> Self {
        self.extra.push(also);
        // An API at another path than /v2: the application knows the repository.
        let repository = scope::repository(&self.extra).map(Into::into);
        self.in_repository(repository)
    }

    /// Says whether the request that is redirected here is a part of an upload.
    pub(crate) fn of_upload(mut self, upload: bool) -> Self {
        self.upload = upload;
        self
    }

    /// Takes the credentials of this repository, where the request's own URL names none.
    pub(crate) fn in_repository(mut self, repository: Option<Box<str>>) -> Self {
        if scope::repository(&self.own).is_none() && self.repository.is_none() && repository.is_some() {
            self.source = self.config.source(&self.anchor, repository.as_deref());
            self.source_from = self.config.provenance(&self.anchor, repository.as_deref());
            self.repository = repository;
        }
        self.wanted = scope::merge(self.own.iter().chain(&self.extra));
        self
    }

    /// Who follows redirects of the registry's answers.
    #[must_use]
    pub fn redirects(mut self, who: Redirects) -> Self {
        self.follow = who;
        self
    }

    /// What to do next. Idempotent: the same value comes until it is answered, and calling again does no harm. `waker`
    /// is woken when a [`Step::Wait`] for another flow may be over.
    pub fn poll(&mut self, now: Time, waker: &Waker) -> Step<'_> {
        if let State::Wait { until, why } = self.state
            && (why == Waiting::Token || !until.is_ahead(now, MAX_WAIT))
        {
            self.state = State::Prepare;
        }
        while matches!(self.state, State::Prepare) {
            if let Err(error) = self.prepare(now, waker) {
                self.fail(error);
            }
        }
        match (&self.state, &self.out) {
            (State::Send, Some(out)) => Step::Send(out),
            (State::LookUp(query), _) => Step::Credentials(query),
            (State::Wait { until, why }, _) => Step::Wait { until: *until, why: *why },
            (State::Failed(error), _) => Step::Failed(error),
            _ => Step::Done,
        }
    }

    /// Asks whether this address may be used for the request of the current [`Step::Send`]. Ask for each address before
    /// it is used, and use that one: a name may resolve to another the next time. A refused address is skipped; when
    /// none is left: `failed(now, Failure::AddressRefused, None)`.
    pub fn dial(&mut self, to: Dial) -> Result<(), Error> {
        let (State::Send, Some(out)) = (&self.state, &self.out) else {
            return Err(Error::new(ErrorKind::Misuse("dial() without a request to send")));
        };
        let (url, hop) = (out.url.clone(), out.hop);
        let address = if let Dial::Ip(address) = to { Some(address) } else { None };
        let chain = if hop.is_token() { Chain::at(self.anchor.clone()) } else { self.here.chain.clone() };
        let ask = Question { address, ..self.question(hop, &url, &chain, false) };
        let answer = match to {
            Dial::Ip(_) => may_be_at(&self.config, &ask),
            Dial::Proxied => may_be_proxied(&self.config, &ask),
        };
        let answer = match answer {
            Ok(()) if out.has_password() => may_take_password(&self.config, url.origin(), address),
            other => other,
        };
        if let (Some(address), Ok(())) = (address, answer)
            && *url.origin() == self.anchor
        {
            self.agent.shared().registry(&self.anchor).class = Some(Class::of(address));
        }
        let what = address.map_or_else(|| "of a proxy".to_string(), |address| address.to_string());
        self.trace.add(Line::Dial { what, refused: answer.is_err() });
        answer.map_err(|reason| {
            let kind = match address {
                Some(address) if reason != Reason::PasswordOverHttp => ErrorKind::Address(Some(address)),
                _ => ErrorKind::Denied(reason),
            };
            Error::at(kind, hop, Some(url.origin().clone()))
        })
    }

    /// Answers [`Step::Send`] with what the server said.
    pub fn answer(&mut self, now: Time, answer: Answer<'_>) {
        if self.is_over() {
            return;
        }
        let (State::Send, Some(out)) = (&self.state, &self.out) else {
            return self.misuse("answer() without a request to send");
        };
        self.trace.add(Line::Answer { status: answer.status });
        if let (Some(label), Some(Evidence { shown: Shown::NotAsked, late: false, .. })) = (&out.identity, answer.tls) {
            self.trace.add(Line::NotAsked { label: label.clone() });
        }
        let result =
            if out.hop.is_token() { self.token_answer(now, &answer) } else { self.registry_answer(now, &answer) };
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// Answers [`Step::Credentials`] with what the look-up found.
    pub fn credentials(&mut self, now: Time, found: Result<Option<Found>, HelperFailure>) {
        if self.is_over() {
            return;
        }
        if !matches!(self.state, State::LookUp(_)) {
            return self.misuse("credentials() without a look-up");
        }
        match found {
            Err(failure) => {
                let error = self.error(ErrorKind::Helper(failure.0));
                if let Err(error) = self.token_fails(now, error, None) {
                    self.fail(error);
                }
            }
            Ok(found) => {
                let found = found.map(|found| (Arc::new(found.credentials), found.valid_until));
                self.trace.add(match found.as_ref().map(|(credentials, _)| credentials) {
                    None => Line::FoundNothing,
                    Some(found) => Line::Found { what: found.describe(), user: found.user().map(str::to_string) },
                });
                self.looked_up = Some(found.as_ref().map(|(credentials, _)| Arc::clone(credentials)));
                let mut shared = self.agent.shared();
                let registry = shared.registry(&self.anchor);
                let mut woken = Vec::new();
                if let Some(lookup) = registry.lookup(&self.source) {
                    lookup.found = found;
                    woken = lookup.gate.leave(self.id);
                }
                drop(shared);
                woken.into_iter().for_each(Waker::wake);
                self.state = State::Prepare;
            }
        }
    }

    /// Answers [`Step::Send`] with what went wrong. `tls` is what the connection showed, where there was one.
    pub fn failed(&mut self, now: Time, why: Failure, tls: Option<&Evidence>) {
        if self.is_over() {
            return;
        }
        let (State::Send, Some(out)) = (&self.state, &self.out) else {
            return self.misuse("failed() without a request to send");
        };
        let kind = match why {
            Failure::AddressRefused => ErrorKind::Address(None),
            failure => ErrorKind::Network { failure, evidence: tls.cloned().map(Box::new) },
        };
        let error = Error::at(kind, out.hop, Some(out.url.origin().clone()));
        if out.hop.is_token() {
            self.token_lost(now, error);
        } else {
            self.fail(error);
        }
    }

    /// Writes down that the host answers the current [`Step::Send`] by another attempt, with the next identity: see
    /// [`Profile::retry`](crate::tls::Profile::retry).
    pub fn retried(&mut self, tls: &Evidence, ended: Attempt) {
        let label = if let Shown::Pair { label, .. } = &tls.shown { label.clone() } else { "no certificate".into() };
        self.trace.add(Line::NextPair { label, ended });
    }

    /// What a URL in the answer is followed with: the anchor, and where the request has been.
    pub fn referrer(&self) -> Referrer {
        let repository = scope::repository(&self.own).or_else(|| scope::repository(&self.extra));
        Referrer {
            anchor: self.anchor.clone(),
            chain: self.visited(),
            base: self.here.url.clone().ok(),
            upload: self.is_upload(),
            repository: self.repository.clone().or_else(|| repository.map(Into::into)),
        }
    }

    /// The chain with the request that was answered in it.
    fn visited(&self) -> Chain {
        let mut chain = self.here.chain.clone();
        let redirected = self.here.hop == Hop::Redirect;
        if let Ok(url) = &self.here.url
            && (redirected || chain.origins.last() != Some(url.origin()))
        {
            chain.origins.push(url.origin().clone());
        }
        chain.redirects += usize::from(redirected);
        chain
    }

    /// Whether the registry denied a cross-repository mount: no failed push, upload the blob instead.
    pub fn mount_denied(&self) -> bool {
        self.mount_denied
    }

    /// The status of the application's answer, once the flow is done.
    pub fn status(&self) -> Option<u16> {
        if let State::Done(status) = self.state { Some(status) } else { None }
    }

    /// The origin of the registry or mirror.
    pub fn anchor(&self) -> &Origin {
        &self.anchor
    }

    /// Writes the transcript: every decision so far, without any secret.
    pub fn explain(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.trace.write(out)
    }

    fn wait(&mut self, until: Time, why: Waiting) {
        if !self.trace.ends_waiting(why) {
            self.trace.add(Line::Wait { why, until });
        }
        self.state = State::Wait { until, why };
    }

    fn done(&mut self, status: u16) {
        self.leave_all();
        self.state = State::Done(status);
    }

    fn fail(&mut self, error: Error) {
        self.leave_all();
        self.trace.add(Line::Failed(error.clone()));
        self.state = State::Failed(error);
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done(_) | State::Failed(_))
    }

    fn misuse(&mut self, what: &'static str) {
        self.fail(Error::new(ErrorKind::Misuse(what)));
    }

    /// An error at the hop that is being prepared.
    fn error(&self, kind: ErrorKind) -> Error {
        match &self.fetch {
            Some(fetch) => Error::at(kind, fetch.hop(), Some(fetch.at.origin().clone())),
            None => Error::at(kind, self.here.hop, self.here.url.as_ref().ok().map(|url| url.origin().clone())),
        }
    }

    /// Gives up every duty and every place in a queue, and wakes those who wait for this flow.
    fn leave_all(&mut self) {
        let id = self.id;
        let mut woken = Vec::new();
        let mut shared = self.agent.shared();
        let registry = shared.registry(&self.anchor);
        woken.extend(registry.lookups.iter_mut().flat_map(|lookup| lookup.gate.leave(id)));
        if let Some(fetch) = &self.fetch {
            woken.extend(registry.vaults.iter_mut().flat_map(|vault| vault.gate.leave(id)));
            woken.extend(registry.table_of(fetch.table).map(|table| table.leave(&fetch.name, id)).unwrap_or_default());
        } else if self.parked.is_some() {
            let name = super::cache::key(&self.wanted);
            woken.extend(registry.tables.iter_mut().flat_map(|table| table.leave(&name, id)));
        }
        drop(shared);
        self.fetch = None;
        self.parked = None;
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if !self.is_over() {
            self.leave_all();
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("method", &self.start.method).field("state", &self.state).finish_non_exhaustive()
    }
}
