//! The token request: one flow makes it, the others wait.

use std::sync::Arc;
use std::task::Waker;

use super::registry::{Look, location};
use super::{Answer, Body, Flow, MAX_TOKENS, Sent, State, Waiting, Want};
use crate::client::cache::Token;
use crate::client::credentials::{Credentials, Source};
use crate::client::hop::{Chain, Decision, Grants, Hop, Question, Reason, decide};
use crate::client::token::{self, Grant, MAX_ANSWER, NoGrant, Proof, Wanted};
use crate::client::trace::Line;
use crate::error::{Error, ErrorKind};
use crate::origin::Url;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::Time;

/// Seconds for which a `Retry-After` is waited out.
const MAX_RETRY_AFTER: u64 = 30;

/// A token request under way: the duty is this flow's.
#[derive(Debug)]
pub(super) struct Fetch {
    table: usize,
    name: Arc<[Scope]>,
    realm: Url,
    service: Arc<[u8]>,
    source: Source,
    scopes: Vec<Scope>,
    /// The token that this one renews, still good.
    old: Option<Arc<Token>>,
    way: Way,
    /// A stored refresh token was refused, so the password is used.
    no_stored: bool,
    /// There is a password to fall back to. A refresh token is never sent after the one that took its place: servers
    /// take that for theft.
    password: bool,
    /// The status of the POST that was not understood.
    first: Option<u16>,
    /// Where the request is: the realm, or a redirect of it.
    at: Url,
    chain: Chain,
    /// A redirect: send the same again.
    same: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Get,
    Password,
    /// The refresh token of the configuration.
    Refresh,
    /// One that the service returned.
    Stored,
}

impl Fetch {
    pub(super) fn new(
        table: usize,
        realm: Url,
        service: Arc<[u8]>,
        source: Source,
        scopes: Vec<Scope>,
        old: Option<Arc<Token>>,
    ) -> Self {
        Self {
            table,
            name: crate::client::cache::key(&scopes),
            at: realm.clone(),
            chain: Chain { origins: Vec::new(), redirects: 0, bare: false },
            realm,
            service,
            source,
            scopes,
            old,
            way: Way::Get,
            no_stored: false,
            password: false,
            first: None,
            same: false,
        }
    }

    pub(super) const fn table(&self) -> usize {
        self.table
    }

    pub(super) const fn name(&self) -> &Arc<[Scope]> {
        &self.name
    }

    /// Where the request goes: the realm, or a redirect of it.
    pub(super) const fn at(&self) -> &Url {
        &self.at
    }

    pub(super) const fn hop(&self) -> Hop {
        if self.same { Hop::TokenRedirect } else { Hop::Token }
    }

    pub(super) const fn method(&self) -> &'static str {
        if matches!(self.way, Way::Get) { "GET" } else { "POST" }
    }
}

impl Flow {
    /// A flow that renews a token and is then done.
    pub(crate) fn renewal(
        agent: &crate::Agent,
        anchor: &crate::Origin,
        table: usize,
        scopes: Arc<[Scope]>,
    ) -> Option<Self> {
        let url = Url::parse(&anchor.to_string()).ok()?;
        let mut flow =
            Self::new(agent, Hop::Registry, "GET", Ok(url), anchor.clone(), Chain::at(anchor.clone())).ok()?;
        let mut shared = agent.shared();
        let kept = shared.registry(anchor).tables.get(table)?;
        let fetch = Fetch::new(
            table,
            kept.realm.clone(),
            Arc::clone(&kept.service),
            kept.source.clone(),
            scopes.to_vec(),
            kept.held(&scopes),
        );
        drop(shared);
        flow.renewal = true;
        flow.fetch = Some(fetch);
        Some(flow)
    }

    /// Makes the token request, once it is known with what.
    pub(super) fn fetch_token(&mut self, now: Time, waker: &Waker) -> Result<(), Error> {
        let Some(fetch) = &self.fetch else { return Ok(()) };
        let (same, realm, no_stored, table) = (fetch.same, fetch.realm.clone(), fetch.no_stored, fetch.table);
        let name = Arc::clone(&fetch.name);
        if self.renewal {
            // Another one may have the duty by now; then there is nothing left to do.
            let mut shared = self.agent.shared();
            let entered = shared
                .registry(&self.anchor)
                .tables
                .get_mut(table)
                .map(|table| table.slot(&name).gate.enter(self.id, now, waker));
            drop(shared);
            if !matches!(entered, Some(Ok(()))) {
                self.done(200);
                return Ok(());
            }
        }
        let credentials = match self.look(now, waker)? {
            Look::Waiting => return Ok(()),
            Look::None => None,
            Look::Found(credentials) => Some(credentials),
        };
        if let Some(Credentials::Bearer(_)) = credentials.as_deref() {
            // Looked up just now: it is sent as it is, and needs no token request.
            self.leave_all();
            self.state = State::Prepare;
            return Ok(());
        }
        let usable = credentials.filter(|credentials| {
            if let Credentials::Basic { user, password } = &**credentials
                && password.is_empty()
            {
                self.trace.add(Line::Anonymous { user: Some(user.clone()) });
            }
            credentials.for_token()
        });
        let grants = self.decide_token(usable.is_some())?;
        if !same {
            let stored = self.stored(now, waker, &realm, no_stored, usable.as_deref());
            let Ok(stored) = stored else { return Ok(()) };
            let no_post = self.agent.shared().no_post.contains(&realm);
            let way = match (usable.as_deref(), &stored) {
                (Some(_), Some(_)) => Way::Stored,
                (Some(Credentials::Refresh(_)), None) => Way::Refresh,
                (Some(Credentials::Basic { .. }), None) if self.config.posts_passwords() && !no_post => Way::Password,
                _ => Way::Get,
            };
            if let Some(fetch) = &mut self.fetch {
                fetch.way = way;
                fetch.password = matches!(usable.as_deref(), Some(Credentials::Basic { .. }));
            }
            self.causes.tokens += 1;
            if self.causes.tokens > MAX_TOKENS {
                self.leave_all();
                return Err(self.error(ErrorKind::TooManyTokens));
            }
        }
        self.send_token(&grants, usable.as_deref())
    }

    /// The refresh token that the service returned earlier, if there is one for this realm. One grant at a time: `Err`
    /// means that the flow waits.
    fn stored(
        &mut self,
        now: Time,
        waker: &Waker,
        realm: &Url,
        no_stored: bool,
        usable: Option<&Credentials>,
    ) -> Result<Option<Arc<Secret>>, ()> {
        let Some(fetch) = &self.fetch else { return Ok(None) };
        let mut shared = self.agent.shared();
        if shared.no_post.contains(realm) && !matches!(usable, Some(Credentials::Refresh(_))) {
            return Ok(None);
        }
        let registry = shared.registry(&self.anchor);
        let place = registry.vault(realm, &fetch.source);
        let Some(vault) = registry.vaults.get_mut(place) else { return Ok(None) };
        let stored = vault.stored.clone().filter(|_| usable.is_some() && !no_stored);
        if stored.is_none() && !matches!(usable, Some(Credentials::Refresh(_))) {
            return Ok(None);
        }
        match vault.gate.enter(self.id, now, waker) {
            Ok(()) => Ok(stored),
            Err(until) => {
                drop(shared);
                self.wait(until, Waiting::Token);
                Err(())
            }
        }
    }

    fn decide_token(&self, credentials: bool) -> Result<Grants, Error> {
        let Some(fetch) = &self.fetch else { return Err(Error::new(ErrorKind::Misuse("no token request"))) };
        let class = self.agent.shared().registry(&self.anchor).class;
        let anchored = Chain::at(self.anchor.clone());
        let ask = Question {
            anchor: &self.anchor,
            hop: fetch.hop(),
            target: &fetch.at,
            chain: if fetch.same { &fetch.chain } else { &anchored },
            credentials,
            anchor_class: class,
            address: None,
        };
        match decide(&self.config, &ask) {
            Decision::Allow(grants) => Ok(grants),
            Decision::Ask { reason, line } => Err(self.error(ErrorKind::Ask { reason, line })),
            Decision::Deny(reason) => Err(self.error(ErrorKind::Denied(reason))),
        }
    }

    fn send_token(&mut self, grants: &Grants, credentials: Option<&Credentials>) -> Result<(), Error> {
        let Some(fetch) = &self.fetch else { return Ok(()) };
        let (way, same, at) = (fetch.way, fetch.same, fetch.at.clone());
        let stored = {
            let mut shared = self.agent.shared();
            let registry = shared.registry(&self.anchor);
            let place = registry.vault(&fetch.realm, &fetch.source);
            registry.vaults.get(place).and_then(|vault| vault.stored.clone()).filter(|_| way == Way::Stored)
        };
        let offline = self.config.wants_offline_token() && credentials.is_some();
        let refreshing = matches!(way, Way::Refresh | Way::Stored);
        let wanted = Wanted {
            realm: &fetch.realm,
            service: &fetch.service,
            scopes: &fetch.scopes,
            offline: offline && !refreshing,
        };
        let mut headers = self.headers_of(grants);
        headers.push(("Accept".into(), Secret::from("application/json")));
        let (url, body, sent) = match (way, credentials, &stored) {
            (Way::Stored, _, Some(token)) => {
                (at, Some(wanted.form(&Proof::Refresh(token))), "a stored refresh token (POST)")
            }
            (Way::Refresh, Some(Credentials::Refresh(token)), _) => {
                (at, Some(wanted.form(&Proof::Refresh(token))), "the refresh token (POST)")
            }
            (Way::Password, Some(Credentials::Basic { user, password }), _) => {
                (at, Some(wanted.form(&Proof::Password { user, password })), "the password (POST)")
            }
            (_, credentials, _) => {
                let url = if same { at } else { wanted.get() };
                match credentials.filter(|_| grants.credential) {
                    Some(credentials) => {
                        let value = credentials.basic().map_err(|kind| self.error(kind))?;
                        headers.push(("Authorization".into(), value));
                        (url, None, "the password (Basic)")
                    }
                    None => (url, None, "no credentials"),
                }
            }
        };
        if !same {
            let scopes = fetch.scopes.clone();
            self.trace.add(Line::Ask { scopes });
        }
        if body.is_some() {
            headers.push(("Content-Type".into(), Secret::from("application/x-www-form-urlencoded")));
        }
        let body = body.map_or(Body::None, Body::Form);
        let out = self.outgoing(url, grants, headers, body, Want::Whole { at_most: MAX_ANSWER }, sent);
        self.go(out);
        Ok(())
    }

    /// The token service's answer.
    pub(super) fn token_answer(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        let Some(fetch) = &self.fetch else { return Ok(()) };
        if let Some(url) = answer.url
            && !Url::parse(url).is_ok_and(|url| url.origin() == fetch.at.origin())
        {
            let error = Error::at(ErrorKind::Denied(Reason::TokenCrossing), Hop::TokenRedirect, None);
            return self.token_fails(now, error, None);
        }
        if matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            return self.token_redirect(now, answer);
        }
        match token::read(fetch.method(), answer.status, answer.body) {
            Ok(grant) => {
                self.token_granted(now, grant);
                Ok(())
            }
            Err(NoGrant::Malformed(what)) => {
                let error = self.error(ErrorKind::TokenMalformed(what));
                self.token_fails(now, error, None)
            }
            Err(NoGrant::Unsupported) => self.token_unsupported(now, answer.status),
            Err(NoGrant::Refused(code)) => self.token_denied(now, answer, code),
        }
    }

    fn token_redirect(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        let denied = |reason| Error::at(ErrorKind::Denied(reason), Hop::TokenRedirect, None);
        let target = location(answer).map_err(denied);
        let target = target.and_then(|text| {
            text.map(|text| fetch.at.join(text).map_err(|flaw| denied(Reason::Url(flaw)))).transpose()
        });
        let post = fetch.way != Way::Get;
        match target {
            Err(error) => self.token_fails(now, error, None),
            Ok(None) => {
                let error = self.error(ErrorKind::TokenNowhere { status: answer.status });
                self.token_fails(now, error, None)
            }
            Ok(Some(_)) if post && !matches!(answer.status, 307 | 308) => {
                let error = self.error(ErrorKind::TokenRefused { status: answer.status, code: None, first: None });
                self.token_fails(now, error, None)
            }
            Ok(Some(target)) => {
                if fetch.chain.origins.is_empty() {
                    fetch.chain.origins.push(self.anchor.clone());
                }
                fetch.chain.origins.push(fetch.at.origin().clone());
                (fetch.at, fetch.same) = (target, true);
                if let Err(error) = self.decide_token(false) {
                    return self.token_fails(now, error, None);
                }
                self.state = State::Prepare;
                Ok(())
            }
        }
    }

    fn token_granted(&mut self, now: Time, grant: Grant) {
        let Some(fetch) = self.fetch.take() else { return };
        self.trace.add(Line::Token { seconds: grant.life });
        let token = Arc::new(Token::new(&grant.token, fetch.scopes.clone().into(), now, grant.life));
        token.mark_used();
        let mut shared = self.agent.shared();
        let registry = shared.registry(&self.anchor);
        let place = registry.vault(&fetch.realm, &fetch.source);
        let mut woken = Vec::new();
        if let Some(vault) = registry.vaults.get_mut(place) {
            if let Some(refresh) = grant.refresh {
                vault.stored = Some(Arc::new(refresh));
            }
            woken.extend(vault.gate.leave(self.id));
        }
        if let Some(table) = registry.tables.get_mut(fetch.table) {
            table.store(now, &token);
            woken.extend(table.slot(&fetch.name).gate.leave(self.id));
        }
        drop(shared);
        woken.into_iter().for_each(Waker::wake);
        self.sent = Sent::Token(token);
        self.keep = !self.renewal;
        self.state = State::Prepare;
    }

    /// The POST was not understood: a password goes by GET, a refresh token has no other way.
    fn token_unsupported(&mut self, now: Time, status: u16) -> Result<(), Error> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        let realm = fetch.realm.clone();
        if !fetch.password {
            let error = self.error(ErrorKind::TokenRefused { status, code: None, first: None });
            return self.token_fails(now, error, None);
        }
        self.agent.shared().no_post.insert(realm);
        fetch.first = Some(status);
        self.token_anew();
        Ok(())
    }

    /// Begins the token request anew at its realm, without the stored refresh token.
    fn token_anew(&mut self) {
        let Some(fetch) = &mut self.fetch else { return };
        (fetch.no_stored, fetch.same, fetch.at) = (true, false, fetch.realm.clone());
        fetch.chain.origins.clear();
        self.state = State::Prepare;
    }

    fn token_denied(&mut self, now: Time, answer: &Answer<'_>, code: Option<&'static str>) -> Result<(), Error> {
        let Some(fetch) = &self.fetch else { return Ok(()) };
        let (way, first, table, name) = (fetch.way, fetch.first, fetch.table, Arc::clone(&fetch.name));
        let status = answer.status;
        if matches!(status, 429 | 503) {
            let retry_at = answer.header("retry-after").and_then(|value| token::retry_after(now, value));
            if let Some(at) = retry_at
                && at.since(now) <= MAX_RETRY_AFTER * 1000
                && !std::mem::replace(&mut self.causes.retry_after, true)
            {
                let mut shared = self.agent.shared();
                let registry = shared.registry(&self.anchor);
                if let Some(table) = registry.tables.get_mut(table) {
                    table.slot(&name).gate.extend(self.id, at);
                }
                registry.vaults.iter_mut().for_each(|vault| vault.gate.extend(self.id, at));
                drop(shared);
                self.token_again();
                self.wait(at, Waiting::RetryAfter);
                return Ok(());
            }
            let error = self.error(ErrorKind::TokenLater { status, retry_at });
            return self.token_fails(now, error, retry_at);
        }
        if way == Way::Stored && fetch.password {
            // It ran out or was revoked: forgotten, and the password is used instead.
            let realm = fetch.realm.clone();
            let mut shared = self.agent.shared();
            let vaults = &mut shared.registry(&self.anchor).vaults;
            vaults.iter_mut().filter(|vault| vault.realm == realm && vault.gate.is_held_by(self.id)).for_each(
                |vault| {
                    vault.stored = None;
                },
            );
            drop(shared);
            self.trace.add(Line::Again { why: "the stored refresh token was refused" });
            self.token_anew();
            return Ok(());
        }
        self.agent.shared().registry(&self.anchor).found = None;
        let error = self.error(ErrorKind::TokenRefused { status, code, first });
        self.token_fails(now, error, None)
    }

    /// The same request from its start: at the realm, in the same way.
    fn token_again(&mut self) {
        let Some(fetch) = &mut self.fetch else { return };
        (fetch.same, fetch.at) = (false, fetch.realm.clone());
        fetch.chain.origins.clear();
    }

    /// No token came of it. A renewal leaves the old one in use; otherwise the answer is everybody's.
    fn token_fails(&mut self, now: Time, error: Error, retry_at: Option<Time>) -> Result<(), Error> {
        self.refuse_unless_old(now, &error, retry_at);
        if self.keep_old(now) { Ok(()) } else { Err(error) }
    }

    /// The network swallowed the request.
    pub(super) fn token_lost(&mut self, now: Time, error: Error) {
        if let Some(fetch) = &self.fetch {
            let mut shared = self.agent.shared();
            if let Some(table) = shared.registry(&self.anchor).tables.get_mut(fetch.table) {
                table.slot(&fetch.name).lose(now, error.clone());
            }
        }
        if !self.keep_old(now) {
            self.fail(error);
        }
    }

    fn refuse_unless_old(&self, now: Time, error: &Error, retry_at: Option<Time>) {
        if self.fetch.as_ref().is_some_and(|fetch| fetch.old.is_none()) {
            self.refuse(now, error, retry_at);
        } else if let Some(fetch) = &self.fetch {
            let mut shared = self.agent.shared();
            if let Some(table) = shared.registry(&self.anchor).tables.get_mut(fetch.table) {
                table.slot(&fetch.name).lose(now, error.clone());
            }
        }
    }

    /// Makes an error the answer of all who wait for this token.
    pub(super) fn refuse(&self, now: Time, error: &Error, retry_at: Option<Time>) {
        let Some(fetch) = &self.fetch else { return };
        let mut shared = self.agent.shared();
        if let Some(table) = shared.registry(&self.anchor).tables.get_mut(fetch.table) {
            table.slot(&fetch.name).refuse(now, error.clone(), retry_at);
        }
    }

    /// Goes on with the old token, if this was a renewal and it is still good.
    fn keep_old(&mut self, now: Time) -> bool {
        let old = self.fetch.as_ref().and_then(|fetch| fetch.old.clone()).filter(|token| token.is_live(now));
        let Some(old) = old else { return false };
        self.trace.add(Line::KeepOld);
        self.leave_all();
        self.sent = Sent::Token(old);
        self.keep = !self.renewal;
        self.state = State::Prepare;
        true
    }
}
