//! The registry's answers: challenges, redirects, refusals.

use std::sync::Arc;
use std::task::Waker;

use super::fetch::Fetch;
use super::{Answer, Flow, Redirects, Sent, State, Waiting};
use crate::challenge::{self, Challenge};
use crate::client::agent::fingerprint;
use crate::client::cache::{Memory, Token};
use crate::client::credentials::{Credentials, Query, Source};
use crate::client::hop::{Chain, Decision, Grants, Hop, Reason, decide};
use crate::client::slot::Turn;
use crate::client::trace::Line;
use crate::error::{Error, ErrorKind};
use crate::origin::{MAX_URL, Url, UrlFlaw, has_scheme};
use crate::scope::{self, Scope, covers, merge};
use crate::time::Time;

/// RFC 6750 section 3.1.
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

/// What can be made of the challenges of an answer.
enum Pick {
    Bearer {
        realm: Url,
        service: Arc<[u8]>,
        scopes: Vec<Scope>,
        error: Option<String>,
    },
    Basic,
    /// There is a Bearer challenge, and nothing can be done with it.
    Unusable(Error),
    None,
}

/// What a look-up of credentials gave.
pub(super) enum Look {
    Found(Arc<Credentials>),
    None,
    Waiting,
}

impl Flow {
    /// Chooses the Authorization for the registry by what is remembered of it. False: the flow waits.
    pub(super) fn choose(&mut self, now: Time, waker: &Waker, grants: &Grants) -> Result<bool, Error> {
        self.sent = Sent::Nothing;
        let memory = self.agent.shared().registry(&self.anchor).memory.clone();
        let Some((memory, optional)) = memory else { return Ok(true) };
        if optional {
            // Nothing needed credentials so far: without any, nothing is asked for.
            match self.look(now, waker)? {
                Look::Waiting => return Ok(false),
                Look::None => return Ok(true),
                Look::Found(_) => {}
            }
        }
        match memory {
            Memory::Basic => self.choose_basic(now, waker, grants),
            Memory::Bearer { realm, service } => {
                let preset = match &self.source {
                    Source::Configured(credentials) => Some(Arc::clone(credentials)),
                    Source::Ask(_) => match &self.looked_up {
                        Some(found) => found.clone(),
                        None => self.agent.shared().registry(&self.anchor).known(&self.source, now).cloned(),
                    },
                    Source::None | Source::Broken(_) => None,
                };
                if let Some(value) = preset.and_then(|credentials| credentials.preset()) {
                    self.sent = Sent::Preset(Arc::new(value));
                    return Ok(true);
                }
                self.choose_token(now, waker, &realm, &service)
            }
        }
    }

    fn choose_basic(&mut self, now: Time, waker: &Waker, grants: &Grants) -> Result<bool, Error> {
        match self.look(now, waker)? {
            Look::Waiting => Ok(false),
            Look::None if self.unanswered => {
                // The look-up found nothing for the challenge at hand: that answer is the application's.
                self.done(401);
                Ok(false)
            }
            Look::None => Ok(true),
            Look::Found(credentials) => {
                let value = credentials.basic().map_err(|kind| self.error(kind))?;
                if !grants.credential {
                    let https = self.anchor.is_https();
                    let reason = if https { Reason::PasswordUnverified } else { Reason::PasswordOverHttp };
                    return Err(self.error(ErrorKind::Denied(reason)));
                }
                self.sent = Sent::Basic(Arc::new(value));
                Ok(true)
            }
        }
    }

    fn choose_token(&mut self, now: Time, waker: &Waker, realm: &Url, service: &Arc<[u8]>) -> Result<bool, Error> {
        let print = fingerprint(&self.config, &self.anchor);
        let mut shared = self.agent.shared();
        let registry = shared.registry(&self.anchor);
        let place = registry.table(realm, service, &self.source, print);
        let Some(table) = registry.table_of(place) else { return Ok(true) };
        let turn = table.turn(self.id, now, waker, &self.wanted, self.rejected.as_ref(), self.parked);
        drop(shared);
        match turn {
            Turn::Use(token) => {
                token.mark_used();
                self.trace.add(Line::Reuse { scopes: token.asked.to_vec() });
                self.parked = None;
                self.sent = Sent::Token(token);
                Ok(true)
            }
            Turn::Fetch(name, old) => {
                // A renewal asks for what the old token was asked for, so that it serves the same requests.
                let scopes = match &old {
                    Some(token) => Arc::clone(&token.asked),
                    None if *name == *self.wanted => name,
                    None => self.wanted.as_slice().into(),
                };
                self.parked = None;
                let source = self.source.clone();
                self.fetch = Some(Fetch::new(place, realm.clone(), Arc::clone(service), source, scopes, old));
                self.fetch_token(now, waker)?;
                Ok(false)
            }
            Turn::Wait(until, lost) => {
                // A success since then has begun the count anew.
                self.parked = Some(self.parked.map_or(lost, |before| before.min(lost)));
                self.wait(until, Waiting::Token);
                Ok(false)
            }
            Turn::BackOff(until) => {
                self.wait(until, Waiting::BackOff);
                Ok(false)
            }
            Turn::Fail(error) => Err(error),
        }
    }

    /// The credentials of the registry: configured, known from a look-up, or looked up by one flow for all.
    pub(super) fn look(&mut self, now: Time, waker: &Waker) -> Result<Look, Error> {
        let source = self.source.clone();
        let found = match &source {
            Source::None => return Ok(Look::None),
            Source::Broken(what) => return Err(self.error(ErrorKind::Credentials(what.to_string()))),
            Source::Configured(credentials) => {
                if let Some(provenance) = self.source_from.take() {
                    self.trace.add(Line::Configured { what: credentials.describe(), provenance });
                }
                Some(Arc::clone(credentials))
            }
            Source::Ask(asked) => match &self.looked_up {
                Some(found) => found.clone(),
                None => {
                    let mut shared = self.agent.shared();
                    let registry = shared.registry(&self.anchor);
                    match registry.known(&source, now).cloned() {
                        Some(known) => Some(known),
                        None => {
                            let entered = registry.lookup(&source).map(|lookup| lookup.gate.enter(self.id, now, waker));
                            drop(shared);
                            if let Some(Err(until)) = entered {
                                self.wait(until, Waiting::Token);
                            } else {
                                let helper = asked.as_ref().map(|asked| asked.helper(&self.anchor));
                                let registry = self.anchor.clone();
                                self.trace.add(Line::LookUp { registry: registry.clone(), helper: helper.clone() });
                                self.state = State::LookUp(Query { registry, helper });
                            }
                            return Ok(Look::Waiting);
                        }
                    }
                }
            },
        };
        Ok(found.map_or(Look::None, Look::Found))
    }

    /// The answer of the registry, or of where it redirected to.
    pub(super) fn registry_answer(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        self.move_to(answer.url);
        let honoured = self.is_own();
        let status = answer.status;
        if matches!(status, 301 | 302 | 303 | 307 | 308) && self.follow == Redirects::Core && self.follow_to(answer)? {
            return Ok(());
        }
        match (status, honoured) {
            (401, true) => return self.challenged(now, answer),
            (401, false) => self.trace.add(Line::NotHonoured),
            (400 | 403, true) => {
                if let Sent::Token(token) = &self.sent {
                    let token = Arc::clone(token);
                    // RFC 6750 section 3.1 has this status for it, distribution 401.
                    if let Some(pick) = self.lacks_scope(answer) {
                        return self.token_refused(now, &token, pick);
                    }
                    if token.is_late(now) && !std::mem::replace(&mut self.causes.late, true) {
                        self.again("the token was at its end", &token);
                        return Ok(());
                    }
                }
                self.mount_denied = status == 403 && self.is_mount();
            }
            (200..300, true) => self.remember_optional(answer),
            _ => {}
        }
        if self.mount_denied {
            self.trace.add(Line::MountDenied);
        }
        self.done(status);
        Ok(())
    }

    /// Whether the answer is the anchor's, on a chain that never left it: only then its challenge counts.
    fn is_own(&self) -> bool {
        !self.here.chain.crossed(&self.anchor) && self.here.url.as_ref().is_ok_and(|url| *url.origin() == self.anchor)
    }

    /// The challenge of a 403 that says so, once.
    fn lacks_scope(&mut self, answer: &Answer<'_>) -> Option<Pick> {
        if answer.status != 403 || self.causes.widened || answer.header("www-authenticate").is_none() {
            return None;
        }
        let pick = self.pick(answer);
        matches!(&pick, Pick::Bearer { error: Some(error), .. } if error == INSUFFICIENT_SCOPE).then_some(pick)
    }

    fn is_mount(&self) -> bool {
        self.start.url.as_ref().is_ok_and(|url| scope::is_mount(&self.start.method, url.rest()))
    }

    /// A 401 of the registry itself.
    fn challenged(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        let pick = self.pick(answer);
        match (self.sent.clone(), pick) {
            (Sent::Nothing, Pick::Bearer { realm, service, scopes, .. }) => {
                self.remember(Memory::Bearer { realm, service });
                self.wanted = merge(self.own.iter().chain(&scopes).chain(&self.extra));
                self.restart();
            }
            (Sent::Nothing, Pick::Basic) => {
                if matches!(self.source, Source::None) {
                    self.trace.add(Line::Anonymous { user: None });
                    self.done(401);
                    return Ok(());
                }
                self.remember(Memory::Basic);
                self.restart();
                self.unanswered = true;
            }
            (Sent::Nothing, Pick::Unusable(error)) => match self.source.clone() {
                // A preset token needs no realm.
                Source::Configured(credentials) if credentials.preset().is_some() => {
                    self.sent = credentials.preset().map_or(Sent::Nothing, |value| Sent::Preset(Arc::new(value)));
                    self.restart();
                    self.keep = true;
                }
                _ => return Err(error),
            },
            (Sent::Nothing, Pick::None) => {
                self.trace.add(Line::NoChallenge);
                self.done(401);
            }
            (Sent::Basic(_), Pick::Bearer { realm, service, scopes, .. }) if !self.causes.basic_to_bearer => {
                self.causes.basic_to_bearer = true;
                self.remember(Memory::Bearer { realm, service });
                self.wanted = merge(self.own.iter().chain(&scopes).chain(&self.extra));
                self.restart();
            }
            (Sent::Basic(_), _) => {
                self.agent.shared().registry(&self.anchor).forget();
                return Err(self.error(ErrorKind::Refused { sent: "the password", status: 401 }));
            }
            (Sent::Preset(_), _) => {
                return Err(self.error(ErrorKind::Refused { sent: "the configured bearer token", status: 401 }));
            }
            (Sent::Token(token), pick) => return self.token_refused(now, &token, pick),
        }
        Ok(())
    }

    /// The registry refused a token: too small, worse challenge, clocks, revoked, each once.
    fn token_refused(&mut self, now: Time, token: &Arc<Token>, pick: Pick) -> Result<(), Error> {
        let refused = ErrorKind::Refused { sent: "a token", status: 401 };
        let Pick::Bearer { realm, service, scopes, error } = pick else {
            // A challenge that is worse than the one remembered: a stale token, for Harbor and others.
            if std::mem::replace(&mut self.causes.worse, true) {
                return Err(self.error(refused));
            }
            self.again("a worse challenge after a token was sent", token);
            return Ok(());
        };
        self.remember(Memory::Bearer { realm, service });
        if error.as_deref() == Some(INSUFFICIENT_SCOPE) || !covers(&token.asked, &scopes) {
            if std::mem::replace(&mut self.causes.widened, true) {
                if self.is_mount() {
                    self.mount_denied = true;
                    self.trace.add(Line::MountDenied);
                    self.done(401);
                    return Ok(());
                }
                return Err(self.error(refused));
            }
            self.wanted = merge(scopes.iter().chain(token.asked.iter()).chain(&self.extra));
            self.rejected = Some(Arc::clone(token));
            self.trace.add(Line::Again { why: "the registry names a scope that is missing" });
            self.restart();
            return Ok(());
        }
        // Of other errors a new token makes none good in this flow, and neither does time. The next one asks anew.
        if !matches!(error.as_deref(), None | Some("" | "invalid_token")) && !token.is_late(now) {
            self.forget_token(token);
            return Err(self.error(refused));
        }
        let newer = self.newer(now, token);
        // The answer to the retry may come when the token is not that fresh any more.
        let retried = self.skewed.as_ref().is_some_and(|skewed| Arc::ptr_eq(skewed, token));
        if !newer && (retried || (token.is_live(now) && token.is_fresh(now))) {
            if self.skewed.replace(Arc::clone(token)).is_some() {
                return Err(self.error(refused));
            }
            self.restart();
            self.keep = true;
            self.wait(now.plus_millis(1000), Waiting::Skew);
        } else {
            if token.is_live(now) && std::mem::replace(&mut self.causes.renewed, true) {
                return Err(self.error(refused));
            }
            self.again(if newer { "another flow has a newer token" } else { "the registry refused the token" }, token);
        }
        Ok(())
    }

    /// Whether the cache has another token than the refused one for what is wanted.
    fn newer(&self, now: Time, token: &Arc<Token>) -> bool {
        let print = fingerprint(&self.config, &self.anchor);
        let mut shared = self.agent.shared();
        let registry = shared.registry(&self.anchor);
        let Some((Memory::Bearer { realm, service }, _)) = registry.memory.clone() else { return false };
        let place = registry.table(&realm, &service, &self.source, print);
        let found = registry.table_of(place).and_then(|table| table.find(now, &self.wanted));
        found.is_some_and(|found| !Arc::ptr_eq(found, token))
    }

    /// Takes the token out of the cache and starts again without it.
    fn again(&mut self, why: &'static str, token: &Arc<Token>) {
        self.trace.add(Line::Again { why });
        self.forget_token(token);
        self.rejected = Some(Arc::clone(token));
        self.restart();
    }

    fn forget_token(&self, token: &Arc<Token>) {
        self.agent.shared().registry(&self.anchor).tables.iter_mut().for_each(|table| table.reject(token));
    }

    /// Goes back to the request as the application made it.
    fn restart(&mut self) {
        self.here = self.start.clone();
        (self.keep, self.unanswered) = (false, false);
        self.state = State::Prepare;
    }

    fn remember(&mut self, memory: Memory) {
        let scheme = match memory {
            Memory::Basic => "Basic",
            Memory::Bearer { .. } => "Bearer",
        };
        self.trace.add(Line::Remembered { scheme });
        self.agent.shared().registry(&self.anchor).remember(memory, false);
    }

    /// A challenge on an answer that needed none: credentials, if there are any, are used from the next flow on.
    fn remember_optional(&mut self, answer: &Answer<'_>) {
        if self.agent.shared().registry(&self.anchor).memory.is_some() || answer.header("www-authenticate").is_none() {
            return;
        }
        let memory = match self.pick(answer) {
            Pick::Bearer { realm, service, .. } => Memory::Bearer { realm, service },
            Pick::Basic => Memory::Basic,
            Pick::Unusable(_) | Pick::None => return,
        };
        self.agent.shared().registry(&self.anchor).remember(memory, true);
    }

    /// Bearer, unless it is unusable: no realm, or a realm that policy always refuses.
    fn pick(&mut self, answer: &Answer<'_>) -> Pick {
        let mut fields: Vec<&[u8]> = Vec::new();
        answer.headers.each("www-authenticate", &mut |value| fields.push(value));
        let all = challenge::parse(fields);
        if let Some(flaw) = all.flaws.first() {
            self.trace.add(Line::Flaws { count: all.flaws.len(), offset: flaw.offset });
        }
        let mut unusable = None;
        for bearer in all.challenges.iter().filter(|challenge| challenge.is("bearer")) {
            match self.usable(bearer) {
                Ok(pick) => return pick,
                Err(error) => unusable = unusable.or(Some(error)),
            }
        }
        if all.challenges.iter().any(|challenge| challenge.is("basic")) {
            self.trace.add(Line::Challenge { scheme: "Basic", realm: None, scopes: Vec::new() });
            return Pick::Basic;
        }
        unusable.map_or(Pick::None, Pick::Unusable)
    }

    fn usable(&mut self, bearer: &Challenge<'_>) -> Result<Pick, Error> {
        let realm = bearer.get("realm").unwrap_or_default();
        let Ok(text) = std::str::from_utf8(&realm) else {
            return Err(self.error(ErrorKind::Realm { realm: shown(&String::from_utf8_lossy(&realm)) }));
        };
        if text.is_empty() || (!text.starts_with('/') && !has_scheme(text)) {
            return Err(self.error(ErrorKind::Realm { realm: shown(text) }));
        }
        let denied = |reason, url: Option<&Url>| {
            Error::at(ErrorKind::Denied(reason), Hop::Token, url.map(|url| url.origin().clone()))
        };
        let base = self.here.url.clone().map_err(|flaw| self.error(ErrorKind::Denied(Reason::Url(flaw))))?;
        let realm = base.join(text).map_err(|flaw| denied(Reason::Url(flaw), None))?;
        let service = bearer.get("service").unwrap_or_default();
        let scope = bearer.get("scope").unwrap_or_default();
        let Ok(scope) = std::str::from_utf8(&scope) else {
            return Err(denied(Reason::Challenge, Some(&realm)));
        };
        if service.iter().any(u8::is_ascii_control) || scope.chars().any(char::is_control) {
            return Err(denied(Reason::Challenge, Some(&realm)));
        }
        // They make a URL with the realm, and are merged and compared in the square of their number.
        if realm.rest().len() + service.len() + scope.len() > MAX_URL {
            return Err(denied(Reason::Url(UrlFlaw::TooLong), Some(&realm)));
        }
        let chain = Chain::at(self.anchor.clone());
        if let Decision::Deny(reason) = decide(&self.config, &self.question(Hop::Token, &realm, &chain, false)) {
            return Err(denied(reason, Some(&realm)));
        }
        let scopes = Scope::list(scope);
        self.trace.add(Line::Challenge { scheme: "Bearer", realm: Some(realm.clone()), scopes: scopes.clone() });
        Ok(Pick::Bearer { realm, service: service.into_owned().into(), scopes, error: bearer.text("error") })
    }
}

/// The beginning of a realm that is no URL, without query and user information: either may hold a secret.
fn shown(realm: &str) -> String {
    let path = realm.split(['?', '#']).next().unwrap_or_default();
    let shown = path.rsplit_once('@').map_or(path.into(), |(_, rest)| format!("…@{rest}"));
    shown.chars().take(80).collect()
}
