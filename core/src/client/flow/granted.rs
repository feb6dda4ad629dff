//! The token service's answer: a token, a refusal, a redirect, or nothing.

use std::sync::Arc;
use std::task::Waker;

use super::fetch::Way;
use super::redirect::location;
use super::{Answer, Flow, MAX_WAIT, Sent, State, Waiting};
use crate::client::cache::Token;
use crate::client::credentials::bearer;
use crate::client::hop::{Hop, Reason};
use crate::client::slot::Slot;
use crate::client::token::{self, Lent, NoGrant};
use crate::client::trace::Line;
use crate::error::{CertificateState, Diagnosis, Error, ErrorKind};
use crate::origin::Url;
use crate::secret::Secret;
use crate::time::Time;

impl Flow {
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
        match token::lend(fetch.method(), answer.status, answer.body) {
            Ok(grant) => {
                self.token_granted(now, grant);
                Ok(())
            }
            Err(NoGrant::Malformed(what)) => {
                let error = self.error(ErrorKind::TokenMalformed(what));
                self.token_fails(now, error, None)
            }
            Err(NoGrant::Unsupported) => self.token_unsupported(now, answer),
            Err(NoGrant::Refused(code)) => self.token_denied(now, answer, code),
        }
    }

    fn token_redirect(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        if fetch.way != Way::Get && !matches!(answer.status, 307 | 308) {
            let error = self.token_error(answer, None, None);
            return self.token_fails(now, error, None);
        }
        let denied = |reason| Error::at(ErrorKind::Denied(reason), Hop::TokenRedirect, None);
        let target = location(answer).map_err(denied);
        let target = target.and_then(|text| {
            text.map(|text| fetch.at.join(text).map_err(|flaw| denied(Reason::Url(flaw)))).transpose()
        });
        match target {
            Err(error) => self.token_fails(now, error, None),
            Ok(None) => {
                let error = self.error(ErrorKind::TokenNowhere { status: answer.status });
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

    fn token_granted(&mut self, now: Time, grant: Lent<'_>) {
        let Some(fetch) = self.fetch.take() else { return };
        self.trace.add(Line::Token { seconds: grant.life });
        let header = bearer(&grant.token);
        let token = Arc::new(Token::new(header, fetch.scopes, now, grant.life));
        if !self.renewal {
            token.mark_used();
        }
        let mut shared = self.agent.shared();
        let registry = shared.registry(&self.anchor);
        if let Some(refresh) = grant.refresh {
            let place = registry.vault(&fetch.realm, &fetch.source);
            if let Some(vault) = registry.vaults.get_mut(place) {
                vault.from = fetch.from;
                vault.stored = Some(Arc::new(Secret::from(&*refresh)));
            }
        }
        let mut woken = Vec::new();
        woken.extend(registry.vaults.iter_mut().flat_map(|vault| vault.gate.leave(self.id)));
        if let Some(table) = registry.table_of(fetch.table) {
            woken.extend(table.store(now, &token, self.id));
        }
        drop(shared);
        woken.into_iter().for_each(Waker::wake);
        self.sent = Sent::Token(token);
        self.keep = !self.renewal;
        self.state = State::Prepare;
    }

    /// The POST was not understood: a password goes by GET, a refresh token has no other way.
    fn token_unsupported(&mut self, now: Time, answer: &Answer<'_>) -> Result<(), Error> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        let realm = fetch.realm.clone();
        if !fetch.password {
            let error = self.token_error(answer, None, None);
            return self.token_fails(now, error, None);
        }
        self.agent.shared().remember_no_post(realm);
        fetch.first = Some(answer.status);
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
                && at.since(now) <= MAX_WAIT
                && !std::mem::replace(&mut self.causes.retry_after, true)
            {
                let mut shared = self.agent.shared();
                let registry = shared.registry(&self.anchor);
                if let Some(table) = registry.table_of(table) {
                    table.slot(&name).extend(self.id, at);
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
        self.agent.shared().registry(&self.anchor).forget();
        let error = self.token_error(answer, code, first);
        self.token_fails(now, error, None)
    }

    /// A refusal, with what it says about client certificates. Where credentials were refused and no certificate was
    /// asked for, it is about the credentials.
    fn token_error(&self, answer: &Answer<'_>, code: Option<&'static str>, first: Option<u16>) -> Error {
        let status = answer.status;
        let kind = answer.header("content-type");
        let identity = self.out.as_ref().and_then(|out| out.identity.as_deref());
        let certificates = Diagnosis::of_answer(status, kind, answer.body, identity, answer.tls)
            .filter(|found| found.state != CertificateState::NotAsked || status == 403)
            .map(Box::new);
        self.error(ErrorKind::TokenRefused { status, code, first, certificates })
    }

    /// The same request from its start: at the realm, in the same way.
    fn token_again(&mut self) {
        let Some(fetch) = &mut self.fetch else { return };
        (fetch.same, fetch.at) = (false, fetch.realm.clone());
        fetch.chain.origins.clear();
    }

    /// No token came of it. A renewal leaves the old one in use, and is tried again unless the service named a time;
    /// otherwise the answer is everybody's.
    pub(super) fn token_fails(&mut self, now: Time, error: Error, retry_at: Option<Time>) -> Result<(), Error> {
        if retry_at.is_none() && self.renews() {
            self.with_slot(|slot| slot.lose(now, error.clone()));
        } else {
            self.refuse(now, &error, retry_at);
        }
        if self.keep_old(now) { Ok(()) } else { Err(error) }
    }

    /// Whether there is a token that the one asked for takes the place of.
    pub(super) fn renews(&self) -> bool {
        self.fetch.as_ref().is_some_and(|fetch| fetch.old.is_some())
    }

    /// The network swallowed the request.
    pub(super) fn token_lost(&mut self, now: Time, error: Error) {
        self.with_slot(|slot| slot.lose(now, error.clone()));
        if !self.keep_old(now) {
            self.fail(error);
        }
    }

    /// Makes an error the answer of all who wait for this token.
    pub(super) fn refuse(&self, now: Time, error: &Error, retry_at: Option<Time>) {
        self.with_slot(|slot| slot.refuse(now, error.clone(), retry_at));
    }

    /// Changes the slot of the token that is fetched.
    fn with_slot(&self, change: impl FnOnce(&mut Slot)) {
        let Some(fetch) = &self.fetch else { return };
        let mut shared = self.agent.shared();
        if let Some(table) = shared.registry(&self.anchor).table_of(fetch.table) {
            change(table.slot(&fetch.name));
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
