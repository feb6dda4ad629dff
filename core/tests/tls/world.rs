//! Authorities, servers and a pipe, all in memory and at one moment.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use regauth::origin::Origin;
use regauth::time::Time;
use regauth::tls::{Evidence, Identity, Profile, Roots, Settings, Tls, TlsClient, TlsError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{DistinguishedName as Hint, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

/// 2027-01-15.
pub(crate) const NOW: Time = Time(1_800_000_000_000);

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

pub(crate) struct Leaf {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

fn params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = Self::params(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn params(name: &str) -> (CertificateParams, KeyPair) {
        let mut params = params(name, (2020, 2040));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = Self::params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn client(&self, name: &str) -> Leaf {
        self.leaf(params(name, (2025, 2030)), ExtendedKeyUsagePurpose::ClientAuth, KeyPair::generate().unwrap())
    }

    pub(crate) fn client_with(&self, name: &str, key: KeyPair) -> Leaf {
        self.leaf(params(name, (2025, 2030)), ExtendedKeyUsagePurpose::ClientAuth, key)
    }

    pub(crate) fn expired_client(&self, name: &str) -> Leaf {
        self.leaf(params(name, (2020, 2025)), ExtendedKeyUsagePurpose::ClientAuth, KeyPair::generate().unwrap())
    }

    pub(crate) fn server(&self, host: &str, years: (i32, i32)) -> Leaf {
        let mut params = params("server", years);
        params.subject_alt_names = CertificateParams::new(vec![host.to_owned()]).unwrap().subject_alt_names;
        self.leaf(params, ExtendedKeyUsagePurpose::ServerAuth, KeyPair::generate().unwrap())
    }

    fn leaf(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose, key: KeyPair) -> Leaf {
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { pem: certificate.pem(), der: certificate.der().clone(), key }
    }
}

/// What `openssl req -x509` makes: an authority that is its own leaf.
pub(crate) fn self_signed(name: &str, host: Option<&str>) -> Leaf {
    let (mut params, key) = Authority::params(name);
    params.subject_alt_names =
        CertificateParams::new(host.map(str::to_owned).into_iter().collect::<Vec<_>>()).unwrap().subject_alt_names;
    let certificate = params.self_signed(&key).unwrap();
    Leaf { pem: certificate.pem(), der: certificate.der().clone(), key }
}

impl Leaf {
    pub(crate) fn identity(&self, label: &str) -> Identity {
        Identity::from_pem(label, self.pem.as_bytes(), self.key.serialize_pem().as_bytes()).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) ca: Authority,
    pub(crate) other: Authority,
    pub(crate) server: Leaf,
    pub(crate) right: Identity,
    pub(crate) wrong: Identity,
    pub(crate) expired: Identity,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (ca, other) = (Authority::new("Right CA"), Authority::new("Other CA"));
    World {
        server: ca.server("registry.example", (2025, 2030)),
        right: ca.client("right").identity("right.pem"),
        wrong: other.client("wrong").identity("wrong.pem"),
        expired: ca.expired_client("expired").identity("expired.pem"),
        ca,
        other,
    }
});

pub(crate) fn origin() -> Origin {
    Origin::parse("https://registry.example:5000").unwrap()
}

pub(crate) fn settings(identities: &[&Identity]) -> Settings {
    let mut settings = Settings::default();
    settings.roots = Roots::default();
    settings.roots.webpki = false;
    settings.roots.pem = vec![WORLD.ca.pem.as_bytes().into()];
    settings.identities = identities.iter().copied().cloned().collect();
    settings
}

pub(crate) fn profile(identities: &[&Identity]) -> Profile {
    Profile::new(settings(identities))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    No,
    Optional,
    Required,
}

#[derive(Debug)]
struct Fixed;

impl rustls::time_provider::TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(NOW.0)))
    }
}

/// How a server is set up.
pub(crate) struct Setup<'a> {
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) ask: Ask,
    /// `None`: the authorities that it trusts.
    pub(crate) hints: Option<Vec<Hint>>,
    pub(crate) leaf: &'a Leaf,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) alpn: Vec<Vec<u8>>,
    /// Whether sessions can be resumed.
    pub(crate) resume: bool,
}

impl Setup<'_> {
    pub(crate) fn new(version: &'static SupportedProtocolVersion, ask: Ask) -> Self {
        let world = &*WORLD;
        Self {
            version,
            ask,
            hints: None,
            leaf: &world.server,
            roots: vec![world.ca.der.clone()],
            alpn: Vec::new(),
            resume: true,
        }
    }

    pub(crate) fn config(self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Fixed))
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = if self.ask == Ask::No {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for root in self.roots {
                roots.add(root).unwrap();
            }
            let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            if let Some(hints) = self.hints {
                verifier = verifier.clear_root_hint_subjects().add_root_hint_subjects(hints);
            }
            if self.ask == Ask::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            builder.with_client_cert_verifier(verifier.build().unwrap())
        };
        let key = PrivateKeyDer::try_from(self.leaf.key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![self.leaf.der.clone()], key).unwrap();
        config.alpn_protocols = self.alpn;
        if !self.resume {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        config.enable_secret_extraction = true;
        Arc::new(config)
    }
}

/// What an exchange came to: `ping` is sent, `pong` should come back, and then a close_notify.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) plain: Vec<u8>,
    pub(crate) evidence: Evidence,
    /// `Ok`: closed in the proper way.
    pub(crate) end: Result<(), TlsError>,
    /// What the server saw of the client: the number of certificates, and its error.
    pub(crate) certificates: usize,
    pub(crate) server_error: Option<rustls::Error>,
}

/// How the bytes from the server to the client travel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Whole,
    /// Two parts, the first of so many bytes.
    Split(usize),
    /// A first part of so many bytes, and then pieces of so many.
    Cuts(usize, usize),
    /// Pieces of so many bytes.
    Pieces(usize),
    /// Only so many bytes, then the end of the stream.
    Truncated(usize),
}

pub(crate) struct Pipe {
    pub(crate) client: TlsClient,
    pub(crate) server: ServerConnection,
    pub(crate) server_error: Option<rustls::Error>,
    /// From the server, not yet read.
    pub(crate) down: Vec<u8>,
    /// So many bytes were read.
    pub(crate) read: usize,
    pub(crate) plain: Vec<u8>,
    /// So many bytes of `ping` were sent, one at a time between other calls; 5: the test sends by itself.
    pub(crate) sent: usize,
    pub(crate) request: usize,
    pub(crate) answered: bool,
    pace: Pace,
    pub(crate) now: Time,
    /// The byte at this place is changed on its way to the client.
    pub(crate) spoil: Option<usize>,
}

impl Pipe {
    pub(crate) fn new(client: TlsClient, server: &Arc<ServerConfig>, pace: Pace) -> Self {
        Self {
            client,
            server: ServerConnection::new(Arc::clone(server)).unwrap(),
            server_error: None,
            down: Vec::new(),
            read: 0,
            plain: Vec::new(),
            sent: 0,
            request: 0,
            answered: false,
            pace,
            now: NOW,
            spoil: None,
        }
    }

    pub(crate) fn run(mut self) -> Outcome {
        let end = loop {
            if let Some(end) = self.step() {
                break end;
            }
        };
        Outcome {
            plain: self.plain,
            evidence: self.client.evidence().clone(),
            end,
            certificates: self.server.peer_certificates().map_or(0, <[_]>::len),
            server_error: self.server_error,
        }
    }

    /// One step of the client; the server follows at once.
    pub(crate) fn step(&mut self) -> Option<Result<(), TlsError>> {
        if let Some(next) = b"ping".get(self.sent..self.sent + 1) {
            let taken = self.client.send(next);
            assert_eq!(taken, usize::from(self.client.ready()));
            self.sent += taken;
        }
        // The first byte of each record is taken on the spot, the rest where it is lent.
        let on_the_spot = |bytes: &[u8]| {
            self.plain.extend_from_slice(&bytes[..1]);
            1
        };
        match self.client.poll_with(self.now, on_the_spot) {
            Tls::Write(mut bytes) => {
                let n = self.server.read_tls(&mut bytes).unwrap_or(bytes.len());
                // A server that has closed takes nothing in.
                let n = if n == 0 { bytes.len() } else { n };
                self.client.wrote(n);
                self.serve();
            }
            Tls::Plain(bytes) => {
                // Piecemeal, so that what is left of a record is lent again.
                let n = bytes.len().min(2);
                self.plain.extend_from_slice(&bytes[..n]);
                self.client.took(n);
            }
            Tls::Read => self.deliver(),
            Tls::Closed => return Some(Ok(())),
            Tls::Failed(error) => return Some(Err(error.clone())),
            other => panic!("{other:?}"),
        }
        None
    }

    pub(crate) fn serve(&mut self) {
        if self.server_error.is_none() {
            self.server_error = self.server.process_new_packets().err();
        }
        self.request += std::io::Read::read(&mut self.server.reader(), &mut [0; 16]).unwrap_or(0);
        if self.request == 4 && !self.answered {
            std::io::Write::write_all(&mut self.server.writer(), b"pong").unwrap();
            self.server.send_close_notify();
            self.answered = true;
        }
        while self.server.wants_write() {
            self.server.write_tls(&mut self.down).unwrap();
        }
    }

    fn deliver(&mut self) {
        if self.client.ready() && self.sent != 4 && self.down.is_empty() {
            // There is something to send first.
            return;
        }
        let piece = match self.pace {
            Pace::Whole => usize::MAX,
            Pace::Split(at) if self.read < at => at - self.read,
            Pace::Split(_) => usize::MAX,
            Pace::Cuts(first, _) if self.read < first => first - self.read,
            Pace::Cuts(first, step) => step - (self.read - first) % step,
            Pace::Pieces(n) => n,
            Pace::Truncated(at) => at - self.read,
        };
        let space = self.client.space();
        assert!(space.len() >= 16_384 + 2048 + 5);
        let n = piece.min(self.down.len()).min(space.len());
        space[..n].copy_from_slice(&self.down[..n]);
        if let Some(at) = self.spoil.filter(|at| (self.read..self.read + n).contains(at)) {
            space[at - self.read] ^= 0x10;
        }
        self.down.drain(..n);
        self.read += n;
        self.client.filled(n);
    }
}

/// One exchange with a new connection.
pub(crate) fn exchange(profile: &Profile, server: &Arc<ServerConfig>, pace: Pace) -> Outcome {
    Pipe::new(TlsClient::connect(profile, &origin(), NOW).unwrap(), server, pace).run()
}
