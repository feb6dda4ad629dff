//! nginx, a registry, a token service and a blob store, put together.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use regauth::server::{Access, KeyRef, SigningKey};

use crate::http;
use crate::image::Seed;
use crate::log::Record;
use crate::nginx::{self, Host};
use crate::pki::{Pki, entropy};
use crate::process::{Process, TempDir, free_port};
use crate::registry::{Kind, Registry, token};
use crate::token::{Counts, Manner, TokenService};

/// Where token service and blobs are. The registry is 127.0.0.1 and requires a client certificate in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The token service on the registry's origin.
    SameHost,
    /// The token service on 127.0.0.2, which requires a client certificate too.
    SecondHost,
    /// As `SameHost`, and a `GET` of a blob is redirected by 307 to 127.0.0.3, which accepts any certificate and needs
    /// none.
    Redirected,
    /// As `Redirected`, and 127.0.0.3 requires a client certificate of the CA.
    RedirectedPaired,
}

impl Scenario {
    /// All four.
    pub const ALL: [Self; 4] = [Self::SameHost, Self::SecondHost, Self::Redirected, Self::RedirectedPaired];
}

/// A seeded registry with all that stands around it. Dropping it ends every program and removes every file.
#[derive(Debug)]
pub struct World {
    /// Which registry it is.
    pub kind: Kind,
    /// Where token service and blobs are.
    pub scenario: Scenario,
    /// The certificates.
    pub pki: Pki,
    /// What the registry holds.
    pub seed: Seed,
    /// The key that signs tokens.
    pub signing: Arc<SigningKey>,
    /// The registry without nginx, plain http: it wants a token and no certificate.
    pub direct: SocketAddr,
    port: u16,
    barrier: SocketAddr,
    // Dropped in this order: who uses another one ends before it, and the directory goes last.
    _nginx: Process,
    tokens: TokenService,
    registry: Registry,
    _storage: Option<Registry>,
    directory: TempDir,
}

impl World {
    /// Starts and seeds one, with TLS 1.2 and 1.3 and tokens that live 300 s.
    pub fn start(kind: Kind, scenario: Scenario) -> Result<Self> {
        Self::with(kind, scenario, "TLSv1.2 TLSv1.3", 300)
    }

    /// The same with nginx's `ssl_protocols` and the life of tokens in seconds.
    pub fn with(kind: Kind, scenario: Scenario, protocols: &str, ttl: u64) -> Result<Self> {
        let directory = TempDir::new("world")?;
        fs::create_dir(directory.join("pki"))?;
        let signing = Arc::new(SigningKey::generate(&entropy()?).map_err(Error::other)?);
        let pki = Pki::new(&directory.join("pki"), &signing)?;
        let reference = KeyRef::X5c(vec![pki.tokens_der.clone()]);
        let tokens = TokenService::start(Arc::clone(&signing), reference.clone(), ttl)?;
        let storage = match scenario {
            Scenario::SameHost | Scenario::SecondHost => None,
            Scenario::Redirected | Scenario::RedirectedPaired => Some(Registry::open(kind, &directory)?),
        };
        let mut tries = 0;
        let (port, barrier, registry, nginx) = loop {
            // One port on all three addresses: what tells the origins apart is the host.
            let port = free_port(&[host(1), host(2), host(3)])?;
            let barrier = SocketAddr::from((host(1), free_port(&[host(1)])?));
            let realm = format!("https://{}/service/token", SocketAddr::from((token_host(scenario), port)));
            let registry = Registry::with_tokens(kind, &directory, &pki, &realm)?;
            let hosts = hosts(scenario, port, registry.address, tokens.address, storage.as_ref());
            match nginx::start(&directory, &pki, protocols, &hosts, barrier) {
                Ok(nginx) => break (port, barrier, registry, nginx),
                // Somebody else took a port.
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
        };
        let seed = Seed::default();
        seed.push(registry.address, &token(&signing, &reference, everything(seed.repository), 300)?)?;
        let direct = registry.address;
        Ok(Self {
            kind,
            scenario,
            pki,
            seed,
            signing,
            direct,
            port,
            barrier,
            tokens,
            _nginx: nginx,
            registry,
            _storage: storage,
            directory,
        })
    }

    /// Host and port of the registry: 127.0.0.1 and a port.
    pub fn registry(&self) -> SocketAddr {
        SocketAddr::from((host(1), self.port))
    }

    /// Host and port of the token service.
    pub fn token_host(&self) -> SocketAddr {
        SocketAddr::from((token_host(self.scenario), self.port))
    }

    /// Host and port that blobs come from.
    pub fn blob_host(&self) -> SocketAddr {
        match self.scenario {
            Scenario::SameHost | Scenario::SecondHost => self.registry(),
            Scenario::Redirected | Scenario::RedirectedPaired => SocketAddr::from((host(3), self.port)),
        }
    }

    /// The temporary directory: for files of the test, with the logs of all programs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Changes how the token service behaves.
    pub fn behave(&self, manner: Manner) {
        self.tokens.behave(manner);
    }

    /// Revokes all tokens: the registry trusts another key from now on, with which the token service signs.
    pub fn revoke(&mut self) -> Result<()> {
        self.signing = Arc::new(SigningKey::generate(&entropy()?).map_err(Error::other)?);
        self.pki.trust(&self.signing)?;
        self.tokens.sign_with(Arc::clone(&self.signing), KeyRef::X5c(vec![self.pki.tokens_der.clone()]));
        self.registry.restart(self.kind, &self.directory)
    }

    /// What the token service was asked so far.
    pub fn token_counts(&self) -> Counts {
        self.tokens.counts()
    }

    /// A token for these resources, signed as `reference` says.
    pub fn token(&self, reference: &KeyRef, access: Vec<Access>) -> Result<String> {
        token(&self.signing, reference, access, 300)
    }

    /// What nginx has logged so far: every request whose answer has been read is in it.
    pub fn records(&self) -> Result<Vec<Record>> {
        // nginx is one process and logs a request before it turns to the next: once it has answered this one, the lines
        // of those before are written. No sleep is needed.
        let answer = http::send(self.barrier, "GET", "/", &[], b"")?;
        if answer.status() != 204 {
            return Err(Error::other(format!("nginx does not answer: {}", answer.first)));
        }
        let text = fs::read_to_string(self.directory.join("nginx/access.log"))?;
        text.lines()
            .map(|line| Record::parse(line).ok_or_else(|| Error::other(format!("not a line of the log: {line}"))))
            .collect()
    }
}

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

fn token_host(scenario: Scenario) -> Ipv4Addr {
    host(if scenario == Scenario::SecondHost { 2 } else { 1 })
}

fn hosts(
    scenario: Scenario,
    port: u16,
    registry: SocketAddr,
    tokens: SocketAddr,
    storage: Option<&Registry>,
) -> Vec<Host> {
    let at = |last| SocketAddr::from((host(last), port));
    let mut first = Host { address: at(1), verify: "on", redirect: None, behind: vec![("/v2/", registry)] };
    if storage.is_some() {
        first.redirect = Some(("^/v2/.*/blobs/sha256:", at(3)));
    }
    let endpoint = ("/service/token", tokens);
    let mut hosts = Vec::new();
    if scenario == Scenario::SecondHost {
        hosts.push(Host { address: at(2), verify: "on", redirect: None, behind: vec![endpoint] });
    } else {
        first.behind.push(endpoint);
    }
    if let Some(storage) = storage {
        let verify = if scenario == Scenario::RedirectedPaired { "on" } else { "optional_no_ca" };
        hosts.push(Host { address: at(3), verify, redirect: None, behind: vec![("/", storage.address)] });
    }
    hosts.insert(0, first);
    hosts
}

fn everything(repository: &str) -> Vec<Access> {
    let actions = ["pull", "push"].map(str::to_string).into();
    vec![Access { kind: "repository".into(), name: repository.into(), actions }]
}
