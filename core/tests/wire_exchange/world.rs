//! Servers, sockets and a host, all in memory; time is a number.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::task::Waker;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use regauth::tls::{Identity, Roots};
use regauth::wire::{Do, Exchange, Link, LinkKey};
use regauth::{Agent, Config, Dial, Error, Failure, Found, Host, Origin, Time};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
};

use super::socket::{Handler, Reply, Request, Socket, Then};

/// 2027-01-15.
pub(crate) const NOW: Time = Time(1_800_000_000_000);
pub(crate) const REG: &str = "https://reg.example";
pub(crate) const AUTH: &str = "https://auth.example";
pub(crate) const BLOBS: &str = "https://blobs.example";
/// Without TLS.
pub(crate) const PLAIN: &str = "http://plain.example";

pub(crate) struct World {
    pub(crate) roots: Roots,
    pub(crate) identity: Identity,
    pub(crate) second: Identity,
    pub(crate) tls: Arc<ServerConfig>,
    picky: Arc<ServerConfig>,
    older: Arc<ServerConfig>,
    /// Asks for a certificate and takes any, as Apache does with `optional_no_ca`.
    pub(crate) lenient: Arc<ServerConfig>,
    pub(crate) third: Identity,
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}

fn authority(name: &str) -> (String, CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let mut ca = params(name, &[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = ca.self_signed(&key).unwrap();
    (certificate.pem(), certificate.der().clone(), Issuer::new(ca, key))
}

fn identity(label: &str, issuer: &Issuer<'static, KeyPair>) -> Identity {
    let mut leaf = params(label, &[]);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, issuer).unwrap();
    Identity::from_pem(label, certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (pem, der, issuer) = authority("CA");
    let (_, picky_der, picky_issuer) = authority("Picky CA");
    let key = KeyPair::generate().unwrap();
    let hosts = [REG, AUTH, BLOBS].map(|origin| origin.strip_prefix("https://").unwrap());
    let leaf = params("server", &hosts).signed_by(&key, &issuer).unwrap();
    let both = rustls::ALL_VERSIONS;
    let server = |verifier: Arc<dyn ClientCertVerifier>, versions: &[&'static SupportedProtocolVersion]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(Fixed))
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.send_tls13_tickets = 1;
        Arc::new(config)
    };
    let verifier = |trusted: &CertificateDer<'static>, required: bool| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        // No hints: the client cannot know which one is meant.
        let verifier = verifier.clear_root_hint_subjects();
        if required { verifier } else { verifier.allow_unauthenticated() }.build().unwrap()
    };
    let mut roots = Roots::default();
    roots.webpki = false;
    roots.pem = vec![pem.as_bytes().into()];
    World {
        roots,
        identity: identity("first", &issuer),
        second: identity("second", &picky_issuer),
        third: identity("third", &picky_issuer),
        tls: server(verifier(&der, false), both),
        picky: server(verifier(&picky_der, true), both),
        older: server(verifier(&der, false), &[&rustls::version::TLS12]),
        lenient: server(Arc::new(Lenient), both),
    }
});

/// Takes any certificate, or none.
#[derive(Debug)]
struct Lenient;

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| rustls::crypto::ring::default_provider().signature_verification_algorithms);

#[derive(Debug)]
struct Fixed;

impl rustls::time_provider::TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(NOW.0)))
    }
}

/// Servers by origin, and a host with a pool.
pub(crate) struct Net {
    servers: HashMap<String, (Handler, Option<Arc<ServerConfig>>)>,
    pool: Vec<(LinkKey, Link, Socket)>,
    /// The most bytes that go over a socket at once.
    pub(crate) pace: usize,
    pub(crate) now: Time,
    pub(crate) log: Vec<String>,
    pub(crate) connections: usize,
    /// The application's body, and how much of it is given at once.
    pub(crate) upload: Vec<u8>,
    pub(crate) piece: usize,
    /// Whether the body can begin at its start once more.
    pub(crate) rewinds: bool,
    pub(crate) rewound: usize,
    /// Read whenever something is there, as a host with asynchronous sockets does.
    pub(crate) eager: bool,
    pub(crate) found: Option<Found>,
    /// Take more than is lent.
    pub(crate) greedy: bool,
    /// So many bytes get through the first connection, and then it ends.
    pub(crate) cut: usize,
    /// After so many calls of the host's sockets one fails like this.
    pub(crate) fail: Option<(usize, Failure)>,
    /// Once so many bytes were written on pooled connections, something comes that nobody asked for.
    pub(crate) unasked: Option<(usize, String)>,
    /// Where every server is.
    pub(crate) address: [u8; 4],
}

/// What an exchange came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) content: Vec<u8>,
    pub(crate) error: Option<Error>,
}

impl Outcome {
    pub(crate) fn ok(&self, status: u16, content: &str) {
        assert_eq!(self.error, None);
        assert_eq!((self.status, String::from_utf8_lossy(&self.content)), (Some(status), content.into()));
    }
}

/// An agent for these servers, with what `more` adds.
pub(crate) fn agent(more: impl FnOnce(&mut Config)) -> Agent {
    let mut config = Config::default();
    config.roots(WORLD.roots.clone());
    more(&mut config);
    Agent::new(config).unwrap()
}

pub(crate) fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

pub(crate) fn with_identity() -> Host {
    let mut host = Host::default();
    host.identities = vec![WORLD.identity.clone()];
    host
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            servers: HashMap::new(),
            pool: Vec::new(),
            pace: usize::MAX,
            now: NOW,
            log: Vec::new(),
            connections: 0,
            upload: Vec::new(),
            piece: usize::MAX,
            rewinds: true,
            rewound: 0,
            eager: false,
            found: None,
            greedy: false,
            cut: usize::MAX,
            fail: None,
            unasked: None,
            address: [198, 51, 100, 7],
        }
    }

    /// Puts a server up.
    pub(crate) fn serve(&mut self, origin: &str, handler: impl FnMut(&Request) -> Option<Reply> + 'static) {
        let tls = origin.starts_with("https").then(|| Arc::clone(&WORLD.tls));
        self.servers.insert(origin.into(), (Box::new(handler), tls));
    }

    /// One that requires the certificate of [`World::second`].
    pub(crate) fn serve_picky(&mut self, origin: &str, handler: impl FnMut(&Request) -> Option<Reply> + 'static) {
        self.servers.insert(origin.into(), (Box::new(handler), Some(Arc::clone(&WORLD.picky))));
    }

    /// One that speaks TLS 1.2 only.
    pub(crate) fn serve_older(&mut self, origin: &str, handler: impl FnMut(&Request) -> Option<Reply> + 'static) {
        self.servers.insert(origin.into(), (Box::new(handler), Some(Arc::clone(&WORLD.older))));
    }

    /// One with TLS settings of the test's own.
    pub(crate) fn serve_with(
        &mut self,
        origin: &str,
        tls: Arc<ServerConfig>,
        handler: impl FnMut(&Request) -> Option<Reply> + 'static,
    ) {
        self.servers.insert(origin.into(), (Box::new(handler), Some(tls)));
    }

    /// What every server does with its idle connections.
    pub(crate) fn end_idle(&mut self, then: Then) {
        for (_, _, socket) in &mut self.pool {
            socket.end(then);
        }
    }

    /// Something that nobody asked for comes on the idle connections.
    pub(crate) fn say_idle(&mut self, bytes: &str) {
        for (_, _, socket) in &mut self.pool {
            socket.say(bytes.as_bytes());
        }
    }

    pub(crate) fn pooled(&self) -> usize {
        self.pool.len()
    }

    pub(crate) fn take_pooled(&mut self) -> Link {
        self.pool.pop().unwrap().1
    }

    pub(crate) fn get(&mut self, agent: &Agent, url: &str) -> Outcome {
        self.send(agent, "GET", url)
    }

    pub(crate) fn send(&mut self, agent: &Agent, method: &str, url: &str) -> Outcome {
        self.run(&mut Exchange::new(agent, agent.request(method, url).unwrap()))
    }

    /// The loop of a host.
    pub(crate) fn run(&mut self, exchange: &mut Exchange) -> Outcome {
        let waker = Waker::noop();
        let mut outcome = Outcome { status: None, content: Vec::new(), error: None };
        let mut socket = None::<Socket>;
        let (mut given, mut is_warm) = (0, false);
        for _ in 0..10_000_000 {
            if self.eager
                && let Some(socket) = &mut socket
                && (!socket.down.is_empty() || socket.end.is_some())
                && !socket.over
                && !exchange.space().is_empty()
            {
                match socket.read(exchange.space(), self.pace) {
                    Ok(n) => exchange.filled(n),
                    Err(_) => exchange.filled(0),
                }
            }
            let kind = |act: Do<'_>| match act {
                Do::Connect(_) => "connect",
                Do::Write(_) => "write",
                Do::Read => "read",
                _ => "other",
            };
            let first = kind(exchange.poll(self.now, waker));
            assert_eq!(kind(exchange.poll(self.now, waker)), first, "the same until it is answered");
            if let (true, Some((calls, failure))) = (first != "other", self.fail) {
                self.fail = calls.checked_sub(1).map(|calls| (calls, failure));
                if self.fail.is_none() {
                    // A socket that failed to write gives what came before, and then fails to read.
                    if let Some(socket) = &mut socket {
                        socket.end = Some(Then::Reset);
                    }
                    exchange.failed(self.now, failure);
                    continue;
                }
            }
            match exchange.poll(self.now, waker) {
                Do::Connect(target) => {
                    assert!(socket.is_none(), "one socket at a time");
                    let (name, key) = (target.origin.to_string(), target.key(false));
                    let pooled = self.pool.iter().position(|(other, _, _)| target.pooled && *other == key);
                    is_warm = pooled.is_some();
                    if let Some(at) = pooled {
                        let (_, link, warm) = self.pool.remove(at);
                        self.log.push(format!("warm {name}"));
                        socket = Some(warm);
                        exchange.connected(self.now, Some(link));
                        continue;
                    }
                    let Some((_, tls)) = self.servers.get(&name) else {
                        exchange.failed(self.now, Failure::Connect);
                        continue;
                    };
                    exchange.dial(Dial::Ip(self.address.into())).unwrap();
                    let mut cold = Socket::new(name, tls.as_ref(), self.connections);
                    if self.connections == 0 {
                        cold.cut = self.cut;
                    }
                    socket = Some(cold);
                    self.connections += 1;
                    exchange.connected(self.now, None);
                }
                Do::Write(bytes) => {
                    let socket = socket.as_mut().unwrap();
                    let bytes = &bytes[..bytes.len().min(self.pace)];
                    if let Some((after, said)) = self.unasked.as_mut().filter(|_| is_warm) {
                        *after = after.saturating_sub(bytes.len());
                        if *after == 0 {
                            socket.say(said.as_bytes());
                            self.unasked = None;
                        }
                    }
                    match socket.write(bytes) {
                        Ok(()) => {
                            let n = bytes.len();
                            exchange.wrote(n);
                            let (handler, _) = self.servers.get_mut(&socket.name).unwrap();
                            socket.serve(handler, &mut self.log);
                        }
                        Err(failure) => exchange.failed(self.now, failure),
                    }
                }
                Do::Read => {
                    let socket = socket.as_mut().unwrap();
                    match socket.read(exchange.space(), self.pace) {
                        Ok(n) => exchange.filled(n),
                        Err(failure) => exchange.failed(self.now, failure),
                    }
                }
                Do::WantBody { again } => {
                    if again {
                        self.rewound += 1;
                        given = 0;
                        if !self.rewinds {
                            exchange.body_gone();
                            continue;
                        }
                    }
                    let rest = &self.upload[given..];
                    let piece = &rest[..rest.len().min(self.piece)];
                    given += exchange.body(piece, piece.len() == rest.len());
                }
                Do::Head(head) => {
                    outcome.status = Some(head.status());
                    exchange.took_head();
                }
                Do::Body(content) => {
                    // Piecemeal, so that what is left is lent again.
                    let n = content.len().div_ceil(2);
                    outcome.content.extend_from_slice(&content[..n]);
                    exchange.took(if self.greedy { usize::MAX } else { n });
                }
                Do::Credentials(_) => {
                    let found = self.found.take();
                    exchange.credentials(self.now, Ok(found));
                }
                Do::Wait { until, .. } => self.now = until,
                Do::Close => {
                    let socket = socket.take().unwrap();
                    match exchange.take_link() {
                        Some(link) => self.pool.push((link.key().clone(), link, socket)),
                        None => self.log.push(format!("close {}", socket.name)),
                    }
                    exchange.closed();
                }
                Do::Done => {
                    if let (Some(link), Some(socket)) = (exchange.take_link(), socket.take()) {
                        self.pool.push((link.key().clone(), link, socket));
                    }
                    return outcome;
                }
                Do::Failed(error) => {
                    outcome.error = Some(error.clone());
                    return outcome;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("the exchange does not end");
    }
}
