//! Scopes: what a request needs, what a token was asked for, and whether one covers the other.
//!
//! Grammar of distribution's token specification: `type[(class)]:name:action[,action]`, split at the first and at the
//! last colon, so that a name may hold `host:port`. What does not parse (`aws`, `*`) is passed on byte for byte, and is
//! equal only to itself.

use std::fmt;

use crate::route::{End, Route, percent_decode, split_last};

/// One scope, exactly as it goes into a token request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// A scope from its text; `None` if that is empty.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() { None } else { Some(Self(text.into())) }
    }

    /// `repository:name:actions`.
    pub fn repository(name: &str, actions: &str) -> Self {
        Self(format!("repository:{name}:{actions}").into())
    }

    /// `registry:catalog:*`.
    pub(crate) fn catalog() -> Self {
        Self("registry:catalog:*".into())
    }

    /// The scopes in the `scope` parameter of a challenge: separated by spaces.
    pub fn list(text: &str) -> Vec<Self> {
        text.split(' ').filter_map(Self::new).collect()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Resource (type, class and name) and actions, if it parses.
    pub fn parts(&self) -> Option<(&str, &str)> {
        let (resource, actions) = split_last(&self.0, b':')?;
        let (kind, name) = resource.split_once(':')?;
        let base = match kind.split_once('(') {
            Some((base, class)) => class.strip_suffix(')').filter(|class| is_word(class)).map(|_| base)?,
            None => kind,
        };
        // A URL with a port has two colons, too.
        let named = !name.is_empty() && !name.starts_with('/');
        let good = is_word(base) && named && actions.split(',').all(|action| !action.is_empty());
        good.then_some((resource, actions))
    }

    /// The resource where it parses, otherwise the whole text: what two scopes must share to have to do with each
    /// other.
    pub(crate) fn resource(&self) -> &str {
        self.parts().map_or(self.as_str(), |(resource, _)| resource)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// One list out of many, in the order of first mention: actions of one resource are united, existing ones before new
/// ones; `*` stands alone in the place of its resource.
pub fn merge<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<Scope> {
    merged(&mut scopes.into_iter())
}

/// The same, compiled once.
fn merged(scopes: &mut dyn Iterator<Item = &Scope>) -> Vec<Scope> {
    let mut merged: Vec<(Option<Vec<&str>>, &str)> = Vec::new();
    for scope in scopes {
        match scope.parts() {
            Some((resource, actions)) => {
                let place = merged.iter().position(|(known, name)| known.is_some() && *name == resource);
                let index = place.unwrap_or_else(|| {
                    merged.push((Some(Vec::new()), resource));
                    merged.len() - 1
                });
                if let Some((Some(known), _)) = merged.get_mut(index) {
                    for action in actions.split(',') {
                        if !known.contains(&action) {
                            known.push(action);
                        }
                    }
                }
            }
            None if merged.iter().any(|(known, text)| known.is_none() && *text == scope.as_str()) => {}
            None => merged.push((None, scope.as_str())),
        }
    }
    let text = |(actions, resource): (Option<Vec<&str>>, &str)| match actions {
        Some(actions) if actions.contains(&"*") => Scope(format!("{resource}:*").into()),
        Some(actions) => Scope(format!("{resource}:{}", actions.join(",")).into()),
        None => Scope(resource.into()),
    };
    merged.into_iter().map(text).collect()
}

/// Whether a token for `granted` serves `needed`. Nothing needed is covered by any token; a `*` in the place of the
/// actions covers all of them, and nowhere else is it special.
pub fn covers(granted: &[Scope], needed: &[Scope]) -> bool {
    needed.iter().all(|need| match need.parts() {
        None => granted.contains(need),
        Some((resource, actions)) => actions.split(',').all(|action| grants(granted, resource, action)),
    })
}

fn grants(granted: &[Scope], resource: &str, action: &str) -> bool {
    granted
        .iter()
        .filter_map(Scope::parts)
        .filter(|(name, _)| *name == resource)
        .any(|(_, actions)| actions.split(',').any(|granted| granted == action || granted == "*"))
}

/// What a request of the distribution specification needs: the needed scope first, mount sources after it. Empty where
/// a token without a scope is needed (`/v2/`); `None` where the target is no registry API, or an unknown one.
///
/// `target` is path and query as sent.
pub fn needed(method: &str, target: &str) -> Option<Vec<Scope>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let route = Route::of(path)?;
    let actions = route.actions(method)?;
    Some(match route {
        Route::Base => Vec::new(),
        Route::Catalog => vec![Scope::catalog()],
        Route::Name { name, .. } if !is_repository(name) => return None,
        Route::Name { name, end } => {
            let mut scopes = vec![Scope::repository(name, actions.text())];
            let mount = (end == End::Uploads).then(|| mount_source(query)).flatten();
            scopes.extend(mount.filter(|from| from != name).map(|from| Scope::repository(&from, "pull")));
            scopes
        }
    })
}

/// The needed scope without an allocation: name and actions of a plain request to a repository, the name not yet
/// checked. `None` where [`needed`] has to be asked.
pub(crate) fn plain<'a>(method: &str, path: &'a str) -> Option<(&'a str, Actions)> {
    let route = Route::of(path)?;
    match route {
        Route::Base | Route::Catalog | Route::Name { end: End::Uploads, .. } => None,
        Route::Name { name, .. } => Some((name, route.actions(method)?)),
    }
}

/// The repository that the first of these scopes is for.
pub(crate) fn repository(scopes: &[Scope]) -> Option<&str> {
    scopes.first()?.parts()?.0.strip_prefix("repository:")
}

/// The actions of the distribution specification that a scope names, as a set. Others are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions(u8);

impl Actions {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const PULL: Self = Self(1);
    pub(crate) const PUSH: Self = Self(3);
    pub(crate) const DELETE: Self = Self(4);
    pub(crate) const ALL: Self = Self(7);

    /// The set of a list, where `*` is all of them.
    pub(crate) fn of(list: &str) -> Self {
        let bit = |action| match action {
            "pull" => 1,
            "push" => 2,
            "delete" => 4,
            "*" => 7,
            _ => 0,
        };
        Self(list.split(',').fold(0, |all, action| all | bit(action)))
    }

    /// The list of what a request needs.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::NONE => "",
            Self::ALL => "*",
            Self::PUSH => "pull,push",
            Self::DELETE => "delete",
            _ => "pull",
        }
    }

    pub(crate) const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub(crate) const fn cover(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// Whether the request starts a mount of a blob: then a refusal means that it has to be uploaded instead.
pub(crate) fn is_mount(method: &str, target: &str) -> bool {
    let Some((path, query)) = target.split_once('?') else { return false };
    matches!(end(method, path), Some(End::Uploads)) && mount_source(query).is_some()
}

/// Whether the request is a part of an upload.
pub(crate) fn is_upload(method: &str, path: &str) -> bool {
    matches!(end(method, path), Some(End::Uploads | End::Session(_)))
}

/// The end-point of a request to a repository that has this method.
fn end<'a>(method: &str, path: &'a str) -> Option<End<'a>> {
    let route = Route::of(path)?;
    match route {
        Route::Name { name, end } if is_repository(name) => route.actions(method).map(|_| end),
        _ => None,
    }
}

/// The repository that `from` names: the query is split before it is decoded, and decoded once.
fn mount_source(query: &str) -> Option<String> {
    let query = query.split('#').next().unwrap_or_default();
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "from")?;
    percent_decode(value, false).filter(|name| is_repository(name))
}

/// One component of a repository name.
#[cfg(feature = "server")]
pub(crate) fn is_component(component: &str) -> bool {
    !component.contains('/') && is_repository(component)
}

/// The OCI grammar of a repository name, 255 bytes at most: components between slashes, each of them
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
pub(crate) fn is_repository(name: &str) -> bool {
    // So many of this separator stand before the byte; a name begins as if after a slash.
    let (mut separator, mut count) = (b'/', 1);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' if separator == b'-' || count <= 1 + usize::from(separator == b'_') => count = 0,
            b'/' | b'.' | b'_' | b'-' if count == 0 => (separator, count) = (byte, 1),
            b'_' | b'-' if byte == separator => count += 1,
            _ => return false,
        }
    }
    count == 0 && name.len() <= 255
}
