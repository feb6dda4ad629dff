//! The token request: one flow makes it, the others wait.

use std::sync::Arc;
use std::task::Waker;

use super::registry::Look;
use super::{Body, Flow, MAX_TOKENS, State, Waiting, Want};
use crate::client::cache::Token;
use crate::client::config::Config;
use crate::client::credentials::{Credentials, Source};
use crate::client::hop::{Chain, Grants, Hop};
use crate::client::token::{MAX_ANSWER, Proof, Wanted};
use crate::client::trace::Line;
use crate::error::{Error, ErrorKind};
use crate::origin::Url;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::Time;

/// A token request under way: the duty is this flow's.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) table: usize,
    pub(super) name: Arc<[Scope]>,
    pub(super) realm: Url,
    pub(super) service: Arc<[u8]>,
    pub(super) source: Source,
    pub(super) scopes: Arc<[Scope]>,
    /// The token that this one renews, still good.
    pub(super) old: Option<Arc<Token>>,
    pub(super) way: Way,
    /// A stored refresh token was refused, so the password is used.
    pub(super) no_stored: bool,
    /// What it is made with, if not anonymously.
    pub(super) from: Option<Arc<Credentials>>,
    /// There is a password to fall back to. A refresh token is never sent after the one that took its place: servers
    /// take that for theft.
    pub(super) password: bool,
    /// The status of the POST that was not understood.
    pub(super) first: Option<u16>,
    /// Where the request is: the realm, or a redirect of it.
    pub(super) at: Url,
    pub(super) chain: Chain,
    /// A redirect: send the same again.
    pub(super) same: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
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
        scopes: Arc<[Scope]>,
        old: Option<Arc<Token>>,
    ) -> Self {
        Self {
            table,
            name: crate::client::cache::shared_key(&scopes),
            at: realm.clone(),
            chain: Chain { origins: Vec::new(), redirects: 0, bare: false },
            realm,
            service,
            source,
            scopes,
            old,
            way: Way::Get,
            no_stored: false,
            from: None,
            password: false,
            first: None,
            same: false,
        }
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
        config: Arc<Config>,
        anchor: &crate::Origin,
        table: usize,
        scopes: Arc<[Scope]>,
    ) -> Option<Self> {
        let url = Url::parse(&anchor.to_string()).ok()?;
        let mut flow =
            Self::new(agent, Hop::Registry, "GET", Ok(url), anchor.clone(), Chain::at(anchor.clone())).ok()?;
        let mut shared = agent.shared();
        let kept = shared.registry(anchor).table_of(table)?;
        let fetch = Fetch::new(
            table,
            kept.realm.clone(),
            Arc::clone(&kept.service),
            kept.source.clone(),
            Arc::clone(&scopes),
            kept.held(&scopes),
        );
        drop(shared);
        flow.config = config;
        flow.source = fetch.source.clone();
        flow.renewal = true;
        flow.fetch = Some(fetch);
        Some(flow)
    }

    /// Makes the token request. A renewal that cannot be made leaves the old token in use.
    pub(super) fn fetch_token(&mut self, now: Time, waker: &Waker) -> Result<(), Error> {
        match self.ask_token(now, waker) {
            Err(error) if self.renews() => self.token_fails(now, error, None),
            result => result,
        }
    }

    /// Makes the token request, once it is known with what.
    fn ask_token(&mut self, now: Time, waker: &Waker) -> Result<(), Error> {
        let Some(fetch) = &self.fetch else { return Ok(()) };
        let (same, realm, no_stored, table) = (fetch.same, fetch.realm.clone(), fetch.no_stored, fetch.table);
        let name = Arc::clone(&fetch.name);
        if self.renewal {
            // Another one may have the duty by now; then there is nothing left to do.
            let mut shared = self.agent.shared();
            let entered =
                shared.registry(&self.anchor).table_of(table).map(|table| table.slot(&name).enter(self.id, now, waker));
            drop(shared);
            if !matches!(entered, Some(Ok(()))) {
                self.done(200);
                return Ok(());
            }
        }
        if !same {
            // What is always refused is refused before anybody is asked for credentials.
            self.decide_token(false)?;
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
            let posts = self.config.posts_passwords() && self.agent.shared().takes_post(&realm);
            let way = match (usable.as_deref(), &stored) {
                (Some(_), Some(_)) => Way::Stored,
                (Some(Credentials::Refresh(_)), None) => Way::Refresh,
                (Some(Credentials::Basic { .. }), None) if posts => Way::Password,
                _ => Way::Get,
            };
            if let Some(fetch) = &mut self.fetch {
                fetch.way = way;
                fetch.password = matches!(usable.as_deref(), Some(Credentials::Basic { .. }));
                fetch.from.clone_from(&usable);
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
        if !shared.takes_post(realm) && !matches!(usable, Some(Credentials::Refresh(_))) {
            return Ok(None);
        }
        let registry = shared.registry(&self.anchor);
        let place = registry.vault(realm, &fetch.source);
        let Some(vault) = registry.vaults.get_mut(place) else { return Ok(None) };
        let stored = vault.stored.clone().filter(|_| usable.is_some() && vault.from.as_deref() == usable && !no_stored);
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

    pub(super) fn decide_token(&self, credentials: bool) -> Result<Grants, Error> {
        let Some(fetch) = &self.fetch else { return Err(Error::new(ErrorKind::Misuse("no token request"))) };
        let anchored = Chain::at(self.anchor.clone());
        let chain = if fetch.same { &fetch.chain } else { &anchored };
        self.allowed(&self.question(fetch.hop(), &fetch.at, chain, credentials))
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
            let scopes = fetch.scopes.to_vec();
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
}
