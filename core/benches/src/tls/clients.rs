//! The clients that are compared, behind one face.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, ShutdownState, Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use regauth::tls::{Identity, Profile, Provider, Roots, Settings, Tls, TlsClient, Version};
use regauth::{Origin, Time};
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::{aws_lc_rs, ring};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{AppDataRecord, ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::Factory;
use crate::pki::{HOST, Leaf, Pki, certificates};

pub(crate) trait Client {
    /// Takes what the server sent, and appends what goes to it.
    fn exchange(&mut self, from: &[u8], to: &mut Vec<u8>);
    /// Takes records of application data, and says how many bytes they held.
    fn receive(&mut self, from: &[u8]) -> usize;
    fn ready(&self) -> bool;
    fn resumed(&self) -> bool;
}

/// regauth.
pub(crate) struct Ours {
    tls: TlsClient,
    now: Time,
    /// How much of a record's plain text is used on the spot; the rest is lent.
    on_the_spot: usize,
}

impl Ours {
    pub(crate) fn factory(pki: &Pki, leaf: &Leaf, provider: Provider) -> Factory<'static> {
        Self::taking(0, pki, leaf, provider)
    }

    pub(crate) fn taking(on_the_spot: usize, pki: &Pki, leaf: &Leaf, provider: Provider) -> Factory<'static> {
        let identity = Identity::from_pem("client", leaf.chain.as_bytes(), leaf.key.as_bytes()).expect("an identity");
        let mut settings = Settings::default();
        settings.roots = Roots::default();
        settings.roots.webpki = false;
        settings.roots.pem = vec![pki.ca.as_bytes().into()];
        settings.identities = vec![identity];
        settings.min_version = Some(Version::Tls13);
        settings.provider = Some(provider);
        let profile = Profile::new(settings);
        let to = Origin::parse(&format!("https://{HOST}")).expect("an origin");
        Box::new(move || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
            let now = Time(u64::try_from(now).expect("a clock"));
            Box::new(Self { tls: TlsClient::connect(&profile, &to, now).expect("a client"), now, on_the_spot })
        })
    }

    fn run(&mut self, mut from: &[u8], mut write: impl FnMut(&[u8])) -> usize {
        let mut received = 0;
        loop {
            let take = |bytes: &[u8]| {
                let n = black_box(bytes).len().min(self.on_the_spot);
                received += n;
                n
            };
            match self.tls.poll_with(self.now, take) {
                Tls::Write(bytes) => {
                    write(bytes);
                    let n = bytes.len();
                    self.tls.wrote(n);
                }
                Tls::Plain(bytes) => {
                    let n = black_box(bytes).len();
                    received += n;
                    self.tls.took(n);
                }
                Tls::Read if from.is_empty() => return received,
                Tls::Read => {
                    let n = from.read(self.tls.space()).expect("memory");
                    self.tls.filled(n);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Client for Ours {
    fn exchange(&mut self, from: &[u8], to: &mut Vec<u8>) {
        self.run(from, |bytes| to.extend_from_slice(bytes));
    }

    fn receive(&mut self, from: &[u8]) -> usize {
        self.run(from, |_| {})
    }

    fn ready(&self) -> bool {
        self.tls.ready()
    }

    fn resumed(&self) -> bool {
        self.tls.evidence().resumed
    }
}

/// rustls with the least that drives it: no evidence, no choice of identity, no wiping.
pub(crate) struct Raw {
    conn: UnbufferedClientConnection,
    input: Vec<u8>,
    filled: usize,
    ready: bool,
}

impl Raw {
    pub(crate) fn factory(pki: &Pki, leaf: &Leaf, provider: Provider) -> Factory<'static> {
        let provider = match provider {
            Provider::AwsLcRs => aws_lc_rs::default_provider(),
            _ => ring::default_provider(),
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&pki.ca));
        let (chain, key) = leaf.parts();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("an identity");
        let (config, name) = (Arc::new(config), ServerName::try_from(HOST).expect("a name"));
        Box::new(move || {
            let conn = UnbufferedClientConnection::new(Arc::clone(&config), name.clone()).expect("a client");
            // As large as regauth's: four records.
            Box::new(Self { conn, input: vec![0; 4 * (16 * 1024 + 64)], filled: 0, ready: false })
        })
    }

    fn run(&mut self, mut from: &[u8], to: &mut Vec<u8>) -> usize {
        let (mut received, mut start) = (0, 0);
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.conn.process_tls_records(&mut self.input[start..self.filled]);
            let mut wanted = false;
            match state.expect("a connection") {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let AppDataRecord { discard: more, payload, .. } = record.expect("a record");
                        discard += more;
                        received += black_box(payload).len();
                    }
                }
                ConnectionState::EncodeTlsData(mut chunk) => {
                    let end = to.len();
                    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
                        chunk.encode(&mut [])
                    {
                        to.resize(end + required_size, 0);
                        chunk.encode(&mut to[end..]).expect("room");
                    }
                }
                ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                ConnectionState::WriteTraffic(_) => {
                    self.ready = true;
                    wanted = true;
                }
                ConnectionState::BlockedHandshake => wanted = true,
                other => panic!("{other:?}"),
            }
            start += discard;
            if wanted {
                if start == self.filled {
                    (start, self.filled) = (0, 0);
                }
                if from.is_empty() {
                    self.input.copy_within(start..self.filled, 0);
                    self.filled -= start;
                    return received;
                }
                if self.filled == self.input.len() {
                    self.input.copy_within(start..self.filled, 0);
                    (start, self.filled) = (0, self.filled - start);
                }
                self.filled += from.read(&mut self.input[self.filled..]).expect("memory");
            }
        }
    }
}

impl Client for Raw {
    fn exchange(&mut self, from: &[u8], to: &mut Vec<u8>) {
        self.run(from, to);
    }

    fn receive(&mut self, from: &[u8]) -> usize {
        self.run(from, &mut Vec::new())
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// OpenSSL over a pair of buffers.
pub(crate) struct OpenSsl {
    stream: SslStream<Memory>,
    ready: bool,
    block: Vec<u8>,
}

#[derive(Default, Debug)]
struct Memory {
    from: Vec<u8>,
    at: usize,
    to: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (&self.from[self.at..]).read(buffer)?;
        self.at += n;
        if n == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenSsl {
    pub(crate) fn factory(pki: &Pki, leaf: &Leaf) -> Factory<'static> {
        let session: Arc<Mutex<Option<SslSession>>> = Arc::default();
        let context = Self::context(pki, leaf, &session).expect("a context");
        Box::new(move || {
            let mut ssl = Ssl::new(&context).expect("a client");
            ssl.set_hostname(HOST).and_then(|()| ssl.param_mut().set_host(HOST)).expect("a name");
            if let Some(session) = &*session.lock().expect("a lock") {
                // SAFETY: the session was made by a client of this context.
                unsafe { ssl.set_session(session) }.expect("a session");
            }
            let stream = SslStream::new(ssl, Memory::default()).expect("a client");
            Box::new(Self { stream, ready: false, block: vec![0; 16 * 1024] })
        })
    }

    fn context(
        pki: &Pki,
        leaf: &Leaf,
        session: &Arc<Mutex<Option<SslSession>>>,
    ) -> Result<SslContext, openssl::error::ErrorStack> {
        let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
        context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        context.set_verify(SslVerifyMode::PEER);
        context.cert_store_mut().add_cert(X509::from_pem(pki.ca.as_bytes())?)?;
        context.set_certificate(&*X509::from_pem(leaf.chain.as_bytes())?)?;
        context.set_private_key(&*PKey::private_key_from_pem(leaf.key.as_bytes())?)?;
        context.set_groups_list("X25519")?;
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let kept = Arc::clone(session);
        context.set_new_session_callback(move |_, session| *kept.lock().expect("a lock") = Some(session));
        Ok(context.build())
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // Without an end in good order it would not resume the session.
        self.stream.set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
    }
}

impl Client for OpenSsl {
    fn exchange(&mut self, from: &[u8], to: &mut Vec<u8>) {
        self.stream.get_mut().from.extend_from_slice(from);
        if !self.ready {
            match self.stream.connect() {
                Ok(()) => self.ready = true,
                Err(error) => assert_eq!(error.code(), ErrorCode::WANT_READ, "{error}"),
            }
        }
        if self.ready {
            let error = loop {
                if let Err(error) = self.stream.ssl_read(&mut self.block) {
                    break error;
                }
            };
            assert_eq!(error.code(), ErrorCode::WANT_READ, "{error}");
        }
        to.append(&mut self.stream.get_mut().to);
    }

    fn receive(&mut self, from: &[u8]) -> usize {
        // As from a socket: in pieces, so that nothing is copied twice.
        let mut received = 0;
        for piece in from.chunks(64 * 1024) {
            let memory = self.stream.get_mut();
            memory.from.drain(..memory.at);
            memory.at = 0;
            memory.from.extend_from_slice(piece);
            while let Ok(n) = self.stream.ssl_read(&mut self.block) {
                received += black_box(&self.block[..n]).len();
            }
        }
        received
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn resumed(&self) -> bool {
        self.stream.ssl().session_reused()
    }
}
