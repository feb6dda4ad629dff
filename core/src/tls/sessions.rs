//! Sessions to resume, and what their first handshake showed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

use super::Shown;

/// The number of servers that are remembered; the precedent is rustls's own store.
const MAX_SERVERS: usize = 256;
/// Tickets kept of one server, each good for one connection; the same precedent.
const MAX_TICKETS: usize = 8;

/// What a handshake learned and did about client certificates; kept with the sessions that came from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) hints: Vec<String>,
    pub(crate) shown: Shown,
    pub(crate) pair: Option<usize>,
    pub(crate) next: Option<usize>,
}

/// Everything that is remembered for one configuration.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<VecDeque<Server>>);

/// One server: host and port, since what listens on another port may be another server.
struct Server {
    host: String,
    port: u16,
    group: Option<NamedGroup>,
    tls12: Option<(Tls12ClientSessionValue, Option<Arc<Request>>)>,
    tls13: VecDeque<(Tls13ClientSessionValue, Option<Arc<Request>>)>,
}

/// The view that one connection has of the sessions: of one server, and with what this connection learned.
pub(crate) struct Link {
    sessions: Arc<Sessions>,
    host: String,
    port: u16,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    /// What goes with the sessions that this connection receives.
    own: Option<Arc<Request>>,
    /// What came with the session that it offered.
    offered: Option<Arc<Request>>,
    /// Sessions that it received and that are not stored yet.
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Vec<Tls13ClientSessionValue>,
}

impl Link {
    pub(crate) fn new(sessions: Arc<Sessions>, host: &str, port: u16) -> Self {
        Self { sessions, host: host.into(), port, facts: Mutex::default() }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what this connection learned.
    pub(crate) fn learned(&self, request: &Arc<Request>) {
        self.facts().own = Some(Arc::clone(request));
    }

    /// Stores the sessions that were received, with what was learned by then. Not earlier: TLS 1.2 renews a session in
    /// the very call in which it turns out to be resumed.
    pub(crate) fn commit(&self) {
        let mut facts = self.facts();
        if facts.tls12.is_none() && facts.tls13.is_empty() {
            return;
        }
        let (tls12, tls13) = (facts.tls12.take(), std::mem::take(&mut facts.tls13));
        let own = facts.own.clone();
        drop(facts);
        self.edit(|server| {
            if let Some(value) = tls12 {
                server.tls12 = Some((value, own.clone()));
            }
            for value in tls13 {
                if server.tls13.len() >= MAX_TICKETS {
                    server.tls13.pop_front();
                }
                server.tls13.push_back((value, own.clone()));
            }
        });
    }

    /// What the first handshake of the offered session learned.
    pub(crate) fn offered(&self) -> Option<Arc<Request>> {
        self.facts().offered.clone()
    }

    /// Forgets the server's sessions: one that was made with a refused certificate would be refused again.
    pub(crate) fn forget(&self) {
        self.servers().retain(|server| !self.is_to(server));
    }

    fn servers(&self) -> MutexGuard<'_, VecDeque<Server>> {
        self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_to(&self, server: &Server) -> bool {
        server.host == self.host && server.port == self.port
    }

    fn read<T>(&self, read: impl FnOnce(&mut Server) -> Option<T>) -> Option<T> {
        self.servers().iter_mut().find(|server| self.is_to(server)).and_then(read)
    }

    fn edit(&self, edit: impl FnOnce(&mut Server)) {
        let mut servers = self.servers();
        if let Some(server) = servers.iter_mut().find(|server| self.is_to(server)) {
            return edit(server);
        }
        if servers.len() >= MAX_SERVERS {
            servers.pop_front();
        }
        let mut server =
            Server { host: self.host.clone(), port: self.port, group: None, tls12: None, tls13: VecDeque::new() };
        edit(&mut server);
        servers.push_back(server);
    }
}

impl ClientSessionStore for Link {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.edit(|server| server.group = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.read(|server| server.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.facts().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let (value, request) = self.read(|server| server.tls12.clone())?;
        self.facts().offered = request;
        Some(value)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.edit(|server| server.tls12 = None);
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.facts().tls13.push(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let (value, request) = self.read(|server| server.tls13.pop_back())?;
        self.facts().offered = request;
        Some(value)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}
