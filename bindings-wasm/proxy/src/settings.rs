//! The configuration of the plugin: JSON.

use regauth::{Agent, Config, Credentials, Host, Origin, Pair, PairKind};

use crate::json::Object;

/// Where in the proxy the plugin stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In the upstream filters of the router: a challenge is answered by the router's next attempt.
    #[default]
    Upstream,
    /// Before the router, where nothing can be sent again: the token is there before the request goes on.
    Downstream,
}

/// What happens with an `Authorization` of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// It is removed: the proxy's identity and credentials are the only ones.
    #[default]
    Strip,
    /// The request is the client's own affair, and its answer too.
    Pass,
}

/// One registry.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) origin: Origin,
    /// The origin as text: what a path is appended to.
    pub(crate) base: String,
    /// Authorities that mean this registry, in lower case.
    pub(crate) hosts: Vec<String>,
    pub(crate) cluster: String,
    /// Token endpoints that its challenges may name, and the cluster of each.
    pub(crate) realms: Vec<(Origin, String)>,
    /// Tokens and the challenge of this registry, and of no other.
    pub(crate) agent: Agent,
    config: Config,
    answers: u32,
}

/// So many token answers, and what was learnt is learnt anew: names of repositories are the clients' to choose, and the
/// memory of a virtual machine never shrinks.
const MAX_ANSWERS: u32 = 1024;

impl Registry {
    /// A token answer came.
    pub(crate) fn count(&mut self) {
        self.answers += 1;
        if self.answers >= MAX_ANSWERS {
            self.forget();
        }
    }

    /// Forgets all tokens and the challenge. Flows that are under way keep theirs.
    pub(crate) fn forget(&mut self) {
        if let Ok(agent) = Agent::new(self.config.clone()) {
            (self.agent, self.answers) = (agent, 0);
        }
    }

    /// Whether the authority of a request or a `Location` means this registry.
    pub(crate) fn is_at(&self, authority: &[u8]) -> bool {
        self.hosts.iter().any(|host| authority.eq_ignore_ascii_case(host.as_bytes()))
    }
}

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) placement: Placement,
    pub(crate) authorization: Authorization,
    pub(crate) registries: Vec<Registry>,
    /// Attempts after the first, as the route's `num_retries` says.
    pub(crate) retries: u32,
    /// Milliseconds for one request of the plugin's own.
    pub(crate) timeout: u32,
    /// Milliseconds that a request waits for its token.
    pub(crate) wait: u32,
}

impl Settings {
    /// Reads the configuration; the error says what is wrong with it.
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        let mut file = Object::read(json)?;
        let registries = file.object("registries")?;
        let mut settings = Self {
            placement: file
                .word("placement", &[("upstream", Placement::Upstream), ("downstream", Placement::Downstream)])?,
            authorization: file
                .word("authorization", &[("strip", Authorization::Strip), ("pass", Authorization::Pass)])?,
            registries: Vec::new(),
            retries: file.number("retries")?.unwrap_or(3),
            timeout: file.number("timeout_ms")?.unwrap_or(5_000),
            wait: file.number("wait_ms")?.unwrap_or(15_000),
        };
        // Before what is missing: that is often what is misspelt.
        file.end()?;
        for entry in registries.ok_or("registries: missing field")?.objects() {
            settings.registries.push(registry(entry?)?);
        }
        if settings.registries.is_empty() {
            return Err("registries: none is named".into());
        }
        if !(1..=60_000).contains(&settings.timeout) || !(1..=600_000).contains(&settings.wait) {
            return Err("timeout_ms is 1 to 60000, wait_ms 1 to 600000".into());
        }
        Ok(settings)
    }

    /// The registry that a request with this authority is for.
    pub(crate) fn registry(&self, authority: &[u8]) -> Option<(usize, &Registry)> {
        self.registries.iter().enumerate().find(|(_, registry)| registry.is_at(authority))
    }
}

fn origin(url: &str) -> Result<Origin, String> {
    Origin::parse(url).map_err(|flaw| format!("\"{}\": {flaw}", url.escape_default()))
}

/// One entry of the object `registries`, whose place is the URL.
fn registry(mut entry: Object<'_>) -> Result<Registry, String> {
    let at = origin(entry.place())?;
    let cluster = entry.text("cluster")?;
    let named = entry.object("realms")?.map(Object::texts).transpose()?.unwrap_or_default();
    let names = entry.list("hosts")?;
    let (user, password) = (entry.text("user")?, entry.text("password")?);
    entry.end()?;
    let cluster = cluster.ok_or_else(|| entry.wrong("missing field `cluster`"))?;
    if cluster.is_empty() || named.iter().any(|(_, cluster)| cluster.is_empty()) {
        return Err(entry.wrong("a cluster has no name"));
    }
    let mut config = Config::default();
    config.host(at.clone(), Host::default());
    let mut realms = Vec::new();
    for (realm, cluster) in named {
        let realm = origin(&realm)?;
        if realm != at {
            // Who may show which certificate there is said by the cluster.
            config.pair(Pair::new(at.clone(), PairKind::Token, realm.clone()));
        }
        realms.push((realm, cluster));
    }
    match (user, password) {
        (Some(user), Some(password)) => {
            config.credentials(at.clone(), Credentials::Basic { user, password: password.into() });
        }
        (None, None) => {}
        _ => return Err(entry.wrong("user and password go together")),
    }
    let mut hosts: Vec<String> = names.iter().map(|host| host.to_ascii_lowercase()).collect();
    let literal = if at.host().contains(':') { format!("[{}]", at.host()) } else { at.host().to_string() };
    hosts.extend([at.authority(), format!("{literal}:{}", at.port())]);
    hosts.dedup();
    let agent = Agent::new(config.clone()).map_err(|error| error.to_string())?;
    let base = at.to_string();
    Ok(Registry { base, origin: at, hosts, cluster, realms, agent, config, answers: 0 })
}
