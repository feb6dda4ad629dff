//! The hop policy: which request may carry what. The only place that decides.
//!
//! Four grants are decided one by one: the client's identity, its credentials (password or refresh token), the bearer
//! token, and the header fields of a host entry. Everything else here is refused, or asks for a line of configuration.

use std::net::IpAddr;

use super::config::{Config, Host, Pair, PairKind};
pub use crate::error::{Hop, Reason};
use crate::origin::{Class, HUB, Origin, Url};

/// Redirects that are followed for one request: what browsers and RFC 9110's predecessors settled between 5 and 20.
pub const MAX_REDIRECTS: usize = 10;
/// Redirects that are followed for one token request, all within one origin.
pub const MAX_TOKEN_REDIRECTS: usize = 3;

/// The origins that a request has been at, the anchor first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// One for each request sent, in order.
    pub origins: Vec<Origin>,
    /// Redirects followed so far.
    pub redirects: usize,
    /// The request began at a URL of a manifest: nothing in this chain gets a grant.
    pub bare: bool,
}

impl Chain {
    /// A chain that begins at the anchor.
    pub fn at(anchor: Origin) -> Self {
        Self { origins: vec![anchor], redirects: 0, bare: false }
    }

    /// Whether it has left the anchor's origin; it stays so when it comes back.
    pub(crate) fn crossed(&self, anchor: &Origin) -> bool {
        self.bare || self.origins.iter().any(|origin| origin != anchor)
    }

    /// The anchor, and then `storage` only: one crossing.
    fn only_to(&self, anchor: &Origin, storage: &Origin) -> bool {
        !self.bare && self.origins.iter().skip_while(|origin| *origin == anchor).all(|origin| origin == storage)
    }
}

/// What a hop may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// The origin whose host entry's identity may be shown.
    pub identity: Option<Origin>,
    /// Whether a password or refresh token may be sent.
    pub credential: bool,
    /// Whether the bearer token may be sent.
    pub bearer: bool,
    /// The origin whose host entry's header fields may be sent.
    pub headers_of: Option<Origin>,
    /// Why.
    pub reason: Reason,
}

/// The decision about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It goes out, with these grants and no others.
    Allow(Grants),
    /// It stops; the configuration line would allow it.
    Ask {
        /// Why.
        reason: Reason,
        /// The line.
        line: String,
    },
    /// It never goes out.
    Deny(Reason),
}

/// A request that wants to go out.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The configured origin of the registry or mirror.
    pub anchor: &'a Origin,
    /// What kind of request.
    pub hop: Hop,
    /// Where it wants to go.
    pub target: &'a Url,
    /// Where it has been. For a token redirect: the anchor, the realm, and the redirects so far.
    pub chain: &'a Chain,
    /// Whether there are credentials to send.
    pub credentials: bool,
    /// The class of the address last used for the anchor, if known.
    pub anchor_class: Option<Class>,
    /// The address about to be used, where it is known.
    pub address: Option<IpAddr>,
}

/// Decides about one request. Pure: the same question has the same answer.
pub fn decide(config: &Config, ask: &Question<'_>) -> Decision {
    let target = ask.target.origin();
    if let Err(reason) = may_go(ask).and_then(|()| may_be_at(config, ask)) {
        return Decision::Deny(reason);
    }
    let anchored = !ask.chain.crossed(ask.anchor) && target == ask.anchor;
    match ask.hop {
        Hop::Token | Hop::TokenRedirect => token(config, ask),
        Hop::Layer => Decision::Allow(nothing(Reason::LayerUrl)),
        _ if anchored => Decision::Allow(Grants {
            identity: identity_of(config, target),
            credential: ask.credentials && may_send_password(config, target).is_ok(),
            bearer: true,
            headers_of: config.entry(target).map(|_| target.clone()),
            reason: Reason::Anchor,
        }),
        Hop::Redirect | Hop::Upload if ask.chain.only_to(ask.anchor, target) => {
            Decision::Allow(match config.find_pair(ask.anchor, PairKind::Storage, target) {
                Some(pair) => paired(config, pair),
                None => nothing(Reason::Foreign),
            })
        }
        _ => Decision::Allow(nothing(Reason::Foreign)),
    }
}

/// Whether the address is for this hop: asked by `dial` for the one about to be used.
pub(crate) fn may_be_at(config: &Config, ask: &Question<'_>) -> Result<(), Reason> {
    let target = ask.target.origin();
    let Some(class) = ask.address.map(Class::of).or_else(|| target.class()) else { return Ok(()) };
    if class == Class::Never {
        return Err(Reason::NeverAddress);
    }
    let anchor = ask.anchor_class.or_else(|| ask.anchor.class()).unwrap_or(Class::Public);
    if class <= anchor || target.host() == ask.anchor.host() || has_leave(config, ask) {
        return Ok(());
    }
    Err(Reason::MoreLocal)
}

/// Whether a password may go to this address: over plain http to loopback, or by name. A name like `localhost` may lead
/// elsewhere.
pub(crate) fn may_take_password(config: &Config, target: &Origin, address: Option<IpAddr>) -> Result<(), Reason> {
    let near = address.is_none_or(|address| Class::of(address) == Class::Loopback);
    let allowed = near || target.is_https() || config.exact(target).is_some_and(|host| host.password_over_http);
    if allowed { Ok(()) } else { Err(Reason::PasswordOverHttp) }
}

/// Whether the hop may go through a proxy that resolves the name.
pub(crate) fn may_be_proxied(config: &Config, ask: &Question<'_>) -> Result<(), Reason> {
    let local = ask.target.origin().class().is_some_and(|class| class != Class::Public);
    if !ask.target.origin().is_https() || (local && !has_leave(config, ask)) {
        return Err(Reason::Proxied);
    }
    Ok(())
}

fn has_leave(config: &Config, ask: &Question<'_>) -> bool {
    let kind = if ask.hop.is_token() { PairKind::Token } else { PairKind::Storage };
    let target = ask.target.origin();
    // A pair is for its registry's own answers: who else leads there has no leave.
    let holds = ask.hop.is_token() || (ask.hop != Hop::Layer && ask.chain.only_to(ask.anchor, target));
    config.exact(target).is_some_and(|host| host.local)
        || (holds && config.find_pair(ask.anchor, kind, target).is_some_and(|pair| pair.local))
}

/// What is refused whatever the grants are.
fn may_go(ask: &Question<'_>) -> Result<(), Reason> {
    let (target, chain) = (ask.target.origin(), ask.chain);
    match ask.hop {
        Hop::Token if !target.is_https() && (ask.anchor.is_https() || target.host() != ask.anchor.host()) => {
            return Err(Reason::HttpRealm);
        }
        Hop::TokenRedirect if chain.origins.last() != Some(target) => return Err(Reason::TokenCrossing),
        Hop::TokenRedirect if chain.origins.len() > MAX_TOKEN_REDIRECTS + 1 => return Err(Reason::TokenRedirects),
        Hop::Redirect if chain.redirects >= MAX_REDIRECTS => return Err(Reason::Redirects),
        Hop::Token => return Ok(()),
        _ => {}
    }
    if !target.is_https() && (ask.anchor.is_https() || chain.origins.iter().any(Origin::is_https)) {
        return Err(Reason::Downgrade);
    }
    Ok(())
}

fn token(config: &Config, ask: &Question<'_>) -> Decision {
    let (anchor, target) = (ask.anchor, ask.target.origin());
    let grants = if target == anchor {
        Grants {
            identity: identity_of(config, target),
            headers_of: config.entry(target).map(|_| target.clone()),
            ..sending(Reason::Anchor)
        }
    } else if target.host() == anchor.host() {
        Grants { credential: true, ..elsewhere(config, anchor, target, true, Reason::SameHost) }
    } else if let Some(pair) = config.find_pair(anchor, PairKind::Token, target) {
        Grants { credential: true, ..paired(config, pair) }
    } else if is_built_in(anchor, target) {
        sending(Reason::BuiltIn)
    } else if !ask.credentials {
        nothing(Reason::Foreign)
    } else if config.any_https() && target.is_https() {
        sending(Reason::AnyHttps)
    } else {
        return Decision::Ask {
            reason: Reason::ForeignRealm,
            line: format!("[[pair]] registry = \"{anchor}\", token = \"{target}\""),
        };
    };
    if !ask.credentials {
        return Decision::Allow(Grants { credential: false, ..grants });
    }
    match may_send_password(config, target) {
        Ok(()) => Decision::Allow(grants),
        Err(reason) => {
            let name = if reason == Reason::PasswordOverHttp { "password_over_http" } else { "password_unverified" };
            Decision::Ask { reason, line: format!("[host.\"{target}\"] {name} = true") }
        }
    }
}

/// Over plain http, loopback aside, and without a checked certificate, a password leaves only by name: what a default
/// entry says of it does not count.
fn may_send_password(config: &Config, target: &Origin) -> Result<(), Reason> {
    let leave = |of: fn(&Host) -> bool| config.exact(target).is_some_and(of);
    if !target.is_https() {
        let allowed = target.class() == Some(Class::Loopback) || leave(|host| host.password_over_http);
        return if allowed { Ok(()) } else { Err(Reason::PasswordOverHttp) };
    }
    let checked = !config.entry(target).is_some_and(|host| host.skip_verify);
    if checked || leave(|host| host.password_unverified) { Ok(()) } else { Err(Reason::PasswordUnverified) }
}

fn paired(config: &Config, pair: &Pair) -> Grants {
    elsewhere(config, &pair.registry, &pair.other, pair.identity, Reason::Paired)
}

/// At another origin than the registry's: what its own entry has, and no identity there is the registry's, if it is lent.
fn elsewhere(config: &Config, registry: &Origin, target: &Origin, lends: bool, reason: Reason) -> Grants {
    let own = config.exact(target).map(|_| target.clone());
    let identity = own.as_ref().and_then(|own| identity_of(config, own));
    let lent = || lent(config, registry, target).filter(|_| lends);
    Grants { identity: identity.or_else(lent), headers_of: own, ..nothing(reason) }
}

/// The origin itself, if its entry has an identity to show and a connection to show it on.
pub(crate) fn identity_of(config: &Config, origin: &Origin) -> Option<Origin> {
    lent(config, origin, origin)
}

/// An origin whose entry has an identity, if the target has a connection to show it on.
fn lent(config: &Config, whose: &Origin, target: &Origin) -> Option<Origin> {
    let has = target.is_https() && !config.identities(whose).is_empty();
    has.then(|| whose.clone())
}

const fn nothing(reason: Reason) -> Grants {
    Grants { identity: None, credential: false, bearer: false, headers_of: None, reason }
}

const fn sending(reason: Reason) -> Grants {
    Grants { identity: None, credential: true, bearer: false, headers_of: None, reason }
}

/// Pairs that come with the library: the token endpoints of Docker Hub and GitLab.com, as their registries name them.
fn is_built_in(registry: &Origin, token: &Origin) -> bool {
    const PAIRS: [(&[&str], &str); 2] = [(&HUB, "auth.docker.io"), (&["registry.gitlab.com"], "gitlab.com")];
    let usual = |origin: &Origin| origin.is_https() && origin.port() == 443;
    usual(registry)
        && usual(token)
        && PAIRS.iter().any(|(registries, host)| registries.contains(&registry.host()) && token.host() == *host)
}
