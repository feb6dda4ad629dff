//! One request of the flow, as bytes: kept until it is answered, since it may have to be sent twice.

use zeroize::Zeroizing;

use super::connection::Connection;
use super::plain::Plain;
use super::{Framing, Link, LinkKey, Request, Sent};
use crate::client::hop::Hop;
use crate::client::{self, Agent, Dial, Outgoing, Want};
use crate::error::{Error, ErrorKind};
use crate::origin::Origin;
use crate::secret::Secret;
use crate::time::Time;
use crate::tls::{Profile, ProfileId, TlsClient};

pub(super) struct Call {
    pub(super) hop: Hop,
    pub(super) origin: Origin,
    /// The profile that the flow names: what is connected with is the newest in its place.
    named: ProfileId,
    pub(super) id: ProfileId,
    pub(super) profile: Profile,
    pub(super) method: String,
    pub(super) head: Zeroizing<Vec<u8>>,
    pub(super) form: Zeroizing<Vec<u8>>,
    /// That of the application's body, which comes behind.
    pub(super) framing: Framing,
    pub(super) want: Want,
    /// Whether the request may go out twice: its method is idempotent (RFC 9110 section 9.2.2), or all that it does is
    /// to give a token.
    pub(super) repeatable: bool,
    /// A pooled link was stale: make a new one.
    pub(super) fresh: bool,
    /// How many identities were rejected.
    pub(super) skip: usize,
    /// The same for people.
    pub(super) about: Sent,
}

impl Call {
    /// Makes the bytes of what the flow asks for. `fields` and `body` are the application's; where a redirect makes a
    /// GET of its request, the body stays behind and so do the fields about it (RFC 9110 section 15.4).
    pub(super) fn new(
        agent: &Agent,
        out: &Outgoing,
        fields: &[(String, Secret)],
        body: Framing,
    ) -> Result<Self, Error> {
        let misuse = |what| Error::at(ErrorKind::Misuse(what), out.hop, Some(out.url.origin().clone()));
        let Some((id, profile)) = agent.newest(out.tls) else {
            return Err(misuse("the agent of an exchange is not that of its flow"));
        };
        let (form, framing) = match &out.body {
            client::Body::Form(form) => (form.expose(), Framing::None),
            client::Body::App { .. } => (&[][..], body),
            _ => (&[][..], Framing::None),
        };
        let own = out.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let is_bare = body != Framing::None && framing == Framing::None;
        let theirs = fields
            .iter()
            .filter(|_| !out.hop.is_token())
            .filter(|(name, _)| !is_bare || !is_content(name))
            .map(|(name, value)| (name.as_str(), value.expose()));
        let (target, host) = (out.url.target(), out.url.origin().authority());
        let request = Request {
            method: &out.method,
            target: &target,
            host: &host,
            framing: if form.is_empty() { framing } else { Framing::Length(form.len() as u64) },
            close: false,
        };
        let mut head = Zeroizing::new(Vec::new());
        request.write(own.chain(theirs), &mut head).map_err(|error| misuse(error.as_str()))?;
        Ok(Self {
            hop: out.hop,
            origin: out.url.origin().clone(),
            named: out.tls,
            id,
            repeatable: out.hop.is_token()
                || matches!(&*out.method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"),
            method: out.method.clone(),
            head,
            form: Zeroizing::new(form.to_vec()),
            framing,
            want: out.answer,
            fresh: false,
            skip: 0,
            about: Sent { identity: profile.identity(), ..Sent::about(out) },
            profile,
        })
    }

    /// Takes the newest profile for a connection that is about to be made: while the host connected, the agent may have
    /// got another.
    pub(super) fn renew(&mut self, agent: &Agent) {
        if let Some((id, profile)) = agent.newest(self.named).filter(|(id, _)| *id != self.id) {
            self.about.identity = profile.identity();
            (self.id, self.profile, self.skip) = (id, profile, 0);
        }
    }

    /// Whether a link is one that this request may use, whatever the proxy.
    pub(super) fn fits(&self, link: &Link) -> bool {
        link.key.origin == self.origin && link.key.profile == self.id
    }

    /// A new connection for it.
    pub(super) fn connection(&self, now: Time) -> Result<Connection, Error> {
        if !self.origin.is_https() {
            return Ok(Connection::new(Box::new(Plain::default())));
        }
        match TlsClient::connect_after(&self.profile, self.skip, &self.origin, now) {
            Ok(tls) => Ok(Connection::new(Box::new(tls))),
            Err(error) => Err(self.error(ErrorKind::Tls { what: error.what(), remedy: error.remedy() })),
        }
    }

    pub(super) fn key(&self, dial: Dial) -> LinkKey {
        LinkKey { origin: self.origin.clone(), profile: self.id, proxied: dial == Dial::Proxied }
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::at(kind, self.hop, Some(self.origin.clone()))
    }
}

fn is_content(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}
