//! The TLS adapter: whatever is lost, spoilt, cut or put in between on the way from the server, what the client hands out
//! is the beginning of what the server said; the end is only good if the server said that it is the end; nothing hangs.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use regauth::Time;
use regauth::origin::Origin;
use regauth::tls::{Identity, Profile, Roots, Settings, Tls, TlsClient};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

/// 2027-01-15.
const NOW: Time = Time(1_800_000_000_000);
/// Calls after which a connection has to be over.
const MOST_CALLS: usize = 20_000;

struct World {
    /// Without and with an identity.
    profiles: [Profile; 2],
    /// TLS 1.2 and 1.3; does not ask, asks, requires.
    servers: Vec<Arc<ServerConfig>>,
    origin: Origin,
}

#[derive(Debug)]
struct Fixed;

impl rustls::time_provider::TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_millis(NOW.0)))
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut params = params("CA", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let (server, server_key) =
        leaf(&issuer, "server", &["registry.example".into()], ExtendedKeyUsagePurpose::ServerAuth);
    let (client, client_key) = leaf(&issuer, "client", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let identity =
        Identity::from_pem("client.pem", client.pem().as_bytes(), client_key.serialize_pem().as_bytes()).unwrap();
    let profile = |identities: Vec<Identity>| {
        let mut settings = Settings::default();
        settings.roots = Roots::default();
        settings.roots.webpki = false;
        settings.roots.pem = vec![ca.pem().as_bytes().into()];
        settings.identities = identities;
        Profile::new(settings)
    };
    let mut servers = Vec::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for ask in 0..3 {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Fixed))
                .with_protocol_versions(&[version])
                .unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(ca.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let builder = match ask {
                0 => builder.with_no_client_auth(),
                1 => builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap()),
                _ => builder.with_client_cert_verifier(verifier.build().unwrap()),
            };
            let chain: Vec<CertificateDer<'static>> = vec![server.der().clone()];
            let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
            servers.push(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        }
    }
    World {
        profiles: [profile(Vec::new()), profile(vec![identity])],
        servers,
        origin: Origin::parse("https://registry.example:5000").unwrap(),
    }
});

fn params(name: &str, hosts: &[String]) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.to_vec()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2030, 1, 1));
    params
}

fn leaf(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    hosts: &[String],
    usage: ExtendedKeyUsagePurpose,
) -> (rcgen::Certificate, KeyPair) {
    let mut params = params(name, hosts);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

struct Pipe {
    client: TlsClient,
    server: Option<ServerConnection>,
    /// From the server, not yet read by the client.
    down: Vec<u8>,
    /// What the server said, what it read, what the client said and read.
    said: Vec<u8>,
    heard: Vec<u8>,
    asked: Vec<u8>,
    plain: Vec<u8>,
    /// Nothing was changed on the way, and the client did not end it.
    honest: bool,
    closed: bool,
    /// The server has said its last word.
    silent: bool,
    calls: usize,
}

/// A byte for the set-up, and then what happens: a byte for the kind and one for how much. With the top bit of the first
/// byte there is no server, and the rest is what comes.
pub fn run(data: &[u8]) {
    let Some((setup, mut script)) = data.split_first() else { return };
    let world = &*WORLD;
    let raw = setup & 0x80 != 0;
    let server = Arc::clone(&world.servers[usize::from(setup & 7) % world.servers.len()]);
    let mut pipe = Pipe {
        client: TlsClient::connect(&world.profiles[usize::from(setup >> 3 & 1)], &world.origin, NOW).unwrap(),
        server: (!raw).then(|| ServerConnection::new(server).unwrap()),
        down: Vec::new(),
        said: Vec::new(),
        heard: Vec::new(),
        asked: Vec::new(),
        plain: Vec::new(),
        honest: !raw,
        closed: false,
        silent: false,
        calls: 0,
    };
    if raw {
        let step = usize::from(setup & 0x7f).max(1);
        for piece in script.chunks(step) {
            pipe.down.extend_from_slice(piece);
            pipe.deliver(usize::MAX);
        }
        return pipe.finish();
    }
    pipe.pump();
    while let [kind, much, rest @ ..] = script {
        script = rest;
        let much = usize::from(*much);
        match kind % 10 {
            0 | 1 => pipe.deliver(much + 1),
            2 => pipe.deliver(usize::MAX),
            3 => pipe.send(&vec![b'c'; much]),
            4 => pipe.say(&vec![b's'; much * 64]),
            5 => {
                // Spoilt.
                let place = much * pipe.down.len() / 256;
                if let Some(byte) = pipe.down.get_mut(place) {
                    *byte ^= kind | 1;
                    pipe.honest = false;
                }
            }
            6 => {
                // Lost.
                let lost = much.min(pipe.down.len());
                pipe.down.drain(..lost);
                pipe.honest &= lost == 0;
            }
            7 => {
                // Put in between.
                let more = rest.get(..much).unwrap_or(rest);
                pipe.down.splice(..0, more.iter().copied());
                pipe.honest &= more.is_empty();
                script = &rest[more.len()..];
            }
            8 if much < 64 => {
                pipe.client.close();
                pipe.closed = true;
                pipe.pump();
            }
            8 => {
                pipe.client.write_failed();
                pipe.honest = false;
                pipe.pump();
            }
            _ => {
                pipe.client.filled(0);
                pipe.honest = false;
                pipe.pump();
            }
        }
    }
    pipe.finish();
}

impl Pipe {
    /// Does what the client wants, as far as it goes without reading.
    fn pump(&mut self) {
        loop {
            self.calls += 1;
            assert!(self.calls < MOST_CALLS, "it does not end");
            match self.client.poll(NOW) {
                Tls::Write(bytes) => {
                    let n = bytes.len();
                    let mut rest = bytes;
                    // After its last word it reads no more: rustls does not expect to find fault then.
                    if let Some(server) = self.server.as_mut().filter(|_| !self.silent) {
                        while !rest.is_empty() && server.read_tls(&mut rest).is_ok_and(|n| n > 0) {
                            if server.process_new_packets().is_err() {
                                self.silent = true;
                                break;
                            }
                            let _ = server.reader().read_to_end(&mut self.heard);
                        }
                    }
                    self.client.wrote(n);
                    self.flush();
                }
                Tls::Plain(bytes) => {
                    let n = bytes.len().div_ceil(2);
                    self.plain.extend_from_slice(&bytes[..n]);
                    self.client.took(n);
                }
                _ => return self.check(),
            }
        }
    }

    fn check(&self) {
        assert!(self.said.starts_with(&self.plain), "the client reads what was not said");
        assert!(self.asked.starts_with(&self.heard), "the server reads what was not asked");
        assert!(!self.client.evidence().accepted || !self.plain.is_empty() || self.closed);
    }

    fn flush(&mut self) {
        if let Some(server) = &mut self.server {
            while server.wants_write() {
                server.write_tls(&mut self.down).unwrap();
            }
        }
    }

    fn deliver(&mut self, most: usize) {
        let mut left = most.min(self.down.len());
        while left > 0 {
            let space = self.client.space();
            let n = left.min(space.len());
            if n == 0 {
                break;
            }
            space[..n].copy_from_slice(&self.down[..n]);
            self.down.drain(..n);
            left -= n;
            self.client.filled(n);
            self.pump();
        }
        self.pump();
    }

    fn send(&mut self, bytes: &[u8]) {
        let n = self.client.send(bytes);
        assert!(n == 0 || self.client.ready() || self.client.error().is_some());
        self.asked.extend_from_slice(&bytes[..n]);
        self.pump();
    }

    fn say(&mut self, bytes: &[u8]) {
        // Only once the handshake is over: a server that speaks first is none of HTTP.
        if let Some(server) = self.server.as_mut().filter(|server| !server.is_handshaking()) {
            // It says no more once it has failed.
            if server.writer().write_all(bytes).is_ok() {
                self.said.extend_from_slice(bytes);
            }
            self.flush();
        }
    }

    /// Everything arrives, the server says goodbye, and the stream ends.
    fn finish(mut self) {
        for _ in 0..4 {
            self.deliver(usize::MAX);
        }
        if let Some(server) = &mut self.server {
            server.send_close_notify();
            self.silent = true;
            self.flush();
        }
        self.deliver(usize::MAX);
        let end = format!("{:?}", self.client.poll(NOW));
        // The server did not accept the client: in TLS 1.3 that comes after the handshake.
        let refused = self.client.evidence().alert.is_some();
        let unfinished = self.server.as_ref().is_none_or(|server| server.is_handshaking());
        match self.client.poll(NOW) {
            Tls::Closed => {
                // The server's close_notify, or ours.
                assert!(
                    self.closed || self.plain == self.said,
                    "cut short: {} of {}",
                    self.plain.len(),
                    self.said.len()
                );
            }
            Tls::Failed(error) => assert!(!self.honest || refused || unfinished, "{error:?}"),
            _ => {
                assert!(!self.honest, "{end}");
                self.client.filled(0);
                self.pump();
                assert!(matches!(self.client.poll(NOW), Tls::Failed(_) | Tls::Closed), "{:?}", self.client.poll(NOW));
            }
        }
        // It stays so, and every call does nothing. Where the server has closed, the client may still say goodbye.
        assert_eq!(self.client.send(b"x"), 0);
        if self.client.error().is_none() && !self.closed {
            return;
        }
        let last = format!("{:?}", self.client.poll(NOW));
        assert!(self.client.space().is_empty());
        self.client.filled(0);
        self.client.close();
        assert_eq!(format!("{:?}", self.client.poll(NOW)), last);
    }
}
