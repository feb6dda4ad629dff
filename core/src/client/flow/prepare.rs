//! The next request of a flow: what is decided about it, and the one place where it is made.

use std::task::Waker;

use super::{Body, Flow, Outgoing, Sent, State, Want};
use crate::client::hop::{Chain, Decision, Grants, Hop, Question, Reason, decide};
use crate::client::trace::Line;
use crate::error::{Error, ErrorKind};
use crate::origin::{Origin, Url};
use crate::secret::Secret;
use crate::time::Time;
use crate::tls::ProfileId;

impl Flow {
    /// Prepares the next request, or finds what it has to wait for.
    pub(super) fn prepare(&mut self, now: Time, waker: &Waker) -> Result<(), Error> {
        if self.fetch.is_some() {
            return self.fetch_token(now, waker);
        }
        if self.renewal {
            self.state = State::Done(200);
            return Ok(());
        }
        let (url, grants) = self.decide_here()?;
        if grants.reason == Reason::Anchor {
            // A token that ran out since it was chosen is chosen again: the host may have been slow.
            self.keep &= !matches!(&self.sent, Sent::Token(token) if !token.is_live(now));
            if !self.keep && !self.choose(now, waker, &grants)? {
                return Ok(());
            }
        } else {
            self.sent = Sent::Nothing;
        }
        self.send_here(url, &grants);
        Ok(())
    }

    /// While the flow's token request is under way: where its own request goes after that, and with which profile. A
    /// host that has no connection there may make one meanwhile, which saves its round trips where the token service
    /// is another host. Nothing is sent on it before that step comes, and `dial` is asked then.
    pub fn ahead(&self) -> Option<(Origin, ProfileId)> {
        if !matches!(self.state, State::Send) || self.fetch.is_none() || self.renewal {
            return None;
        }
        let (url, grants) = self.decide_here().ok()?;
        let (profile, _) = self.agent.intern(&self.config, url.origin(), grants.identity.as_ref());
        Some((url.origin().clone(), profile))
    }

    pub(super) fn decide_here(&self) -> Result<(Url, Grants), Error> {
        let hop = self.here.hop;
        let url = self.here.url.clone().map_err(|flaw| Error::at(ErrorKind::Denied(Reason::Url(flaw)), hop, None))?;
        let grants = self.allowed(&self.question(hop, &url, &self.here.chain, true))?;
        self.check_body(&url)?;
        Ok((url, grants))
    }

    /// What the policy is asked about a request of this flow.
    pub(super) fn question<'a>(
        &'a self,
        hop: Hop,
        target: &'a Url,
        chain: &'a Chain,
        credentials: bool,
    ) -> Question<'a> {
        let anchor_class = self.agent.shared().registry(&self.anchor).class;
        Question { anchor: &self.anchor, hop, target, chain, credentials, anchor_class, address: None }
    }

    /// What it allows, or why the request does not go out.
    pub(super) fn allowed(&self, ask: &Question<'_>) -> Result<Grants, Error> {
        let kind = match decide(&self.config, ask) {
            Decision::Allow(grants) => return self.check_entries(ask.hop, ask.target).map(|()| grants),
            Decision::Ask { reason, line } => ErrorKind::Ask { reason, line },
            Decision::Deny(reason) => ErrorKind::Denied(reason),
        };
        Err(Error::at(kind, ask.hop, Some(ask.target.origin().clone())))
    }

    /// An identity that is configured and cannot be used is never left out in silence: not the registry's, nor that of
    /// the host that the request goes to.
    fn check_entries(&self, hop: Hop, target: &Url) -> Result<(), Error> {
        let entries =
            [(&self.anchor, self.config.entry(&self.anchor)), (target.origin(), self.config.exact(target.origin()))];
        for (origin, entry) in entries {
            if let Some(why) = entry.and_then(|host| host.unusable.clone()) {
                return Err(Error::at(ErrorKind::Identity(why), hop, Some(origin.clone())));
            }
        }
        Ok(())
    }

    fn send_here(&mut self, url: Url, grants: &Grants) {
        let header = match &self.sent {
            Sent::Nothing => None,
            Sent::Basic(value) | Sent::Preset(value) => Some(value.duplicate()),
            Sent::Token(token) => Some(token.header.duplicate()),
        };
        let what = match self.sent {
            Sent::Nothing => "no Authorization",
            Sent::Basic(_) => "the password (Basic)",
            Sent::Preset(_) => "the configured bearer token",
            Sent::Token(_) => "a token",
        };
        let mut headers = self.headers_of(grants);
        headers.extend(header.map(|value| ("Authorization".to_string(), value)));
        let body = match self.here.method.as_str() {
            "GET" | "HEAD" => Body::None,
            _ => Body::App { again: std::mem::replace(&mut self.body_used, true) },
        };
        let out = self.outgoing(url, grants, headers, body, Want::Head, what);
        (self.keep, self.unanswered) = (false, false);
        self.go(out);
    }

    pub(super) fn headers_of(&self, grants: &Grants) -> Vec<(String, Secret)> {
        let host = grants.headers_of.as_ref().and_then(|origin| self.config.entry(origin));
        host.map(|host| host.headers.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect())
            .unwrap_or_default()
    }

    /// The one place where requests are made.
    pub(super) fn outgoing(
        &mut self,
        url: Url,
        grants: &Grants,
        headers: Vec<(String, Secret)>,
        body: Body,
        answer: Want,
        sent: &'static str,
    ) -> Outgoing {
        let (tls, profile) = self.agent.intern(&self.config, url.origin(), grants.identity.as_ref());
        let identity = profile.identity();
        let (hop, method) = match &self.fetch {
            Some(fetch) => (fetch.hop(), fetch.method().to_string()),
            None => (self.here.hop, self.here.method.clone()),
        };
        let line = Line::Send {
            hop,
            method: method.clone(),
            url: url.clone(),
            identity: identity.clone(),
            sent,
            reason: grants.reason,
            provenance: self.config.exact(url.origin()).and_then(|host| host.provenance.clone()),
        };
        self.trace.add(line);
        if grants.reason == Reason::AnyHttps {
            self.trace.add(Line::AnyHttps);
        }
        Outgoing { hop, tls, identity, method, url, headers, body, answer }
    }

    pub(super) fn go(&mut self, out: Outgoing) {
        self.out = Some(out);
        self.state = State::Send;
    }
}
