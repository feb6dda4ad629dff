//! Where an image is looked for: mirrors in order, then its registry.

use std::sync::Arc;

use super::agent::Agent;
use super::config::Config;
use super::flow::Flow;
use super::hop::identity_of;
use crate::error::Error;
use crate::origin::Origin;
use crate::reference::Reference;
use crate::scope::Scope;
use crate::tls::ProfileId;

/// What an endpoint can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Manifests by digest, and blobs.
    Pull,
    /// Which digest a tag stands for.
    Resolve,
    /// Uploads.
    Push,
    /// The manifests that refer to one.
    Referrers,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pull, Self::Resolve, Self::Push, Self::Referrers];

    /// `pull`, `resolve`, `push` or `referrers`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Resolve => "resolve",
            Self::Push => "push",
            Self::Referrers => "referrers",
        }
    }
}

/// One configured endpoint of a registry: a mirror, or the registry itself at another place than its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// Where; `None`: the registry's own origin.
    pub origin: Option<Origin>,
    /// The path of the API, `/v2` by the specification; begins with `/` and has none at its end.
    pub root: String,
    /// Whether it is a mirror: then it has its own identity and credentials, never the registry's.
    pub mirror: bool,
    /// What it can be asked for.
    pub capabilities: Vec<Capability>,
    /// Whether requests to it name the registry in a query parameter `ns`, as containerd does.
    pub ns: bool,
    /// Changes of the repository's name; the first that changes something holds.
    pub rewrites: Arc<[Rewrite]>,
    /// The file and key that it comes from.
    pub provenance: Option<String>,
}

impl Route {
    /// A mirror that follows the specification and can be pulled from.
    pub fn mirror(origin: Origin) -> Self {
        Self {
            origin: Some(origin),
            root: "/v2".into(),
            mirror: true,
            capabilities: vec![Capability::Pull, Capability::Resolve],
            ns: false,
            rewrites: Arc::default(),
            provenance: None,
        }
    }

    /// The registry itself, with all capabilities.
    pub fn registry(origin: Option<Origin>) -> Self {
        Self {
            origin,
            root: "/v2".into(),
            mirror: false,
            capabilities: Capability::ALL.to_vec(),
            ns: false,
            rewrites: Arc::default(),
            provenance: None,
        }
    }
}

/// A change of repository names by a regular expression.
#[derive(Clone, Debug)]
pub struct Rewrite {
    #[cfg(feature = "config")]
    pattern: regex_lite::Regex,
    text: String,
    replacement: String,
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.replacement == other.replacement
    }
}

impl Eq for Rewrite {}

#[cfg(feature = "config")]
impl Rewrite {
    /// Replaces every match of `pattern` by `replacement`, in which `$1` and `${name}` stand for groups.
    ///
    /// # Errors
    /// One sentence, where the pattern is none, or it or the replacement is longer than 1,024 bytes.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, String> {
        let compiled = regex_lite::RegexBuilder::new(pattern).size_limit(1 << 20).build();
        match compiled {
            Ok(_) if pattern.len() > 1024 => Err("the pattern is longer than 1,024 bytes".into()),
            // Every byte of a name could be a match.
            Ok(_) if replacement.len() > 1024 => Err("its replacement is longer than 1,024 bytes".into()),
            Ok(regex) => Ok(Self { pattern: regex, text: pattern.into(), replacement: replacement.into() }),
            Err(error) => Err(error.to_string()),
        }
    }

    fn apply(&self, name: &str) -> String {
        self.pattern.replace_all(name, self.replacement.as_str()).into_owned()
    }
}

#[cfg(not(feature = "config"))]
impl Rewrite {
    fn apply(&self, name: &str) -> String {
        name.into()
    }
}

/// An endpoint to try for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The anchor of its requests.
    pub origin: Origin,
    /// The path of the API: `/v2`, unless the configuration overrides it.
    pub root: String,
    /// The repository there.
    pub repository: String,
    /// The registry that a mirror is asked to stand for, as query parameter `ns`.
    pub ns: Option<String>,
    /// Whether it is a mirror.
    pub mirror: bool,
    /// What it can be asked for.
    pub capabilities: Vec<Capability>,
    /// The TLS profile of requests to it.
    pub profile: ProfileId,
    /// The file and key that it comes from.
    pub provenance: Option<String>,
}

impl Endpoint {
    /// The URL of something in the repository: `manifests/latest`, `blobs/sha256:…`, `blobs/uploads/?mount=…`.
    pub fn url(&self, rest: &str) -> String {
        let mark = if rest.contains('?') { '&' } else { '?' };
        let ns = self.ns.as_ref().map(|ns| format!("{mark}ns={ns}")).unwrap_or_default();
        format!("{}{}/{}/{rest}{ns}", self.origin, self.root, self.repository)
    }

    /// The repository as scopes and the keys of credentials name it: with the path of the API that is below `/v2`, as a
    /// proxy project is.
    pub fn name(&self) -> String {
        match self.root.strip_prefix("/v2/") {
            Some(path) => format!("{path}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// A flow for something in the repository; see [`Self::url`]. It knows the repository where the URL does not name it,
    /// as the API is not below `/v2`.
    ///
    /// # Errors
    /// As [`Agent::request`].
    pub fn request(&self, agent: &Agent, method: &str, rest: &str) -> Result<Flow, Error> {
        let flow = agent.request(method, &self.url(rest))?;
        if self.root == "/v2" || self.root.starts_with("/v2/") {
            return Ok(flow);
        }
        let actions = match method {
            "GET" | "HEAD" => "pull",
            "DELETE" => "delete",
            _ => "pull,push",
        };
        Ok(flow.scope(Scope::repository(&self.repository, actions)))
    }
}

impl Agent {
    /// Where to ask for an image, in order: the mirrors that can do it, then the registry. Each endpoint is an anchor of
    /// its own; nothing of the registry's goes to a mirror. Never empty, unless the configuration leaves no endpoint.
    pub fn endpoints(&self, image: &Reference, want: Capability) -> Vec<Endpoint> {
        let mut endpoints = self.all_endpoints(image);
        endpoints.retain(|endpoint| endpoint.capabilities.contains(&want));
        endpoints
    }

    /// All of them in that order, whatever they can be asked for.
    pub fn all_endpoints(&self, image: &Reference) -> Vec<Endpoint> {
        let config = self.config();
        let own = [Route::registry(None)];
        let routes = config.routes_of(image.origin()).unwrap_or(&own);
        routes
            .iter()
            .map(|route| {
                let origin = route.origin.as_ref().unwrap_or(image.origin()).clone();
                let identity = identity_of(&config, &origin);
                let changed = |rewrite: &Rewrite| {
                    Some(rewrite.apply(image.repository()))
                        .filter(|name| name != image.repository() && crate::scope::is_repository(name))
                };
                Endpoint {
                    root: route.root.clone(),
                    repository: route.rewrites.iter().find_map(changed).unwrap_or_else(|| image.repository().into()),
                    ns: (route.ns && !origin.is_place_of(image.origin())).then(|| image.domain().into()),
                    mirror: route.mirror,
                    capabilities: route.capabilities.clone(),
                    profile: self.intern(&config, &origin, identity.as_ref()).0,
                    provenance: route.provenance.clone(),
                    origin,
                }
            })
            .collect()
    }
}

impl Config {
    /// Sets the endpoints of a registry in the order in which they are tried, mirrors first; in the place of earlier
    /// ones. `registry` is the origin of its name, https even if a route leads to http; `None`: those of every registry
    /// without routes of its own. A list without the registry itself never asks it.
    pub fn routes(&mut self, registry: Option<Origin>, routes: Vec<Route>) -> &mut Self {
        match registry {
            Some(origin) => *self.routes.entry(origin) = routes,
            None => self.default_routes = Some(routes),
        }
        self
    }

    fn routes_of(&self, registry: &Origin) -> Option<&[Route]> {
        self.routes.get(registry).or(self.default_routes.as_ref()).map(Vec::as_slice)
    }
}
