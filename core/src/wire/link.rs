//! What a host's pool keeps, and what it is asked to connect to.

use std::fmt;

use super::connection::Connection;
use crate::client::Dial;
use crate::client::hop::Hop;
use crate::origin::Origin;
use crate::tls::ProfileId;

/// What two requests must have in common to share a connection. A connection that showed a certificate never serves a
/// request that may not, since that has another profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LinkKey {
    /// Scheme, host and port.
    pub origin: Origin,
    /// The TLS profile that the connection was made with.
    pub profile: ProfileId,
    /// Whether it goes through a proxy.
    pub proxied: bool,
}

/// The state of an idle connection, to be pooled together with its socket and given back to an exchange that asks for
/// the same [`LinkKey`].
pub struct Link {
    pub(super) key: LinkKey,
    pub(super) dial: Dial,
    /// How many identities it was made without: those that were refused before.
    pub(super) skip: usize,
    pub(super) connection: Connection,
}

impl Link {
    /// What it is pooled by.
    pub fn key(&self) -> &LinkKey {
        &self.key
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Where a connection is wanted to.
///
/// The host resolves the name and asks [`Exchange::dial`](super::Exchange::dial) for each address before it is used,
/// and then uses that one; or for [`Dial::Proxied`] where a proxy resolves it, of which the host makes the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target<'a> {
    /// Scheme, host and port. With https the exchange speaks TLS itself.
    pub origin: &'a Origin,
    /// The TLS profile.
    pub profile: ProfileId,
    /// For which kind of request.
    pub hop: Hop,
    /// Whether a pooled link will do. Not after one that the server had closed.
    pub pooled: bool,
}

impl Target<'_> {
    /// What to look for in the pool.
    pub fn key(&self, proxied: bool) -> LinkKey {
        LinkKey { origin: self.origin.clone(), profile: self.profile, proxied }
    }
}
