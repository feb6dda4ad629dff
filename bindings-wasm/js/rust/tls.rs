//! Layer b: TLS, bytes in and bytes out.

use regauth::tls::{Profile as Core, ProfileId, Settings, Tls, TlsClient as CoreClient};
use regauth::{Origin, tls::TlsError};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::agent::Agent;
use crate::config::{Host, roots};
use crate::error::Failed;
use crate::evidence::evidence;
use crate::flow::time;

/// A TLS profile.
#[wasm_bindgen]
pub struct Profile {
    core: Core,
}

#[wasm_bindgen]
impl Profile {
    /// A profile with the TLS settings of a host entry; roots for one that has none.
    #[wasm_bindgen(constructor)]
    pub fn new(host: &Host, webpki: bool, pem: Vec<String>) -> Self {
        let host = &host.core;
        let mut settings = Settings::default();
        settings.roots = host.roots.clone().unwrap_or_else(|| roots(webpki, pem));
        settings.identities.clone_from(&host.identities);
        settings.alpn.clone_from(&host.alpn);
        (settings.force, settings.try_pairs) = (host.force, host.try_pairs);
        (settings.try_pairs_on_status, settings.skip_verify) = (host.try_pairs_on_status, host.skip_verify);
        Self { core: Core::new(settings) }
    }

    /// The profile that an agent's id names.
    pub fn of(agent: &Agent, id: u32) -> Option<Self> {
        agent.core.profile(ProfileId(id)).map(|core| Self { core })
    }
}

fn failed(error: &TlsError) -> Failed {
    let mut failed = Failed::input(&error.what(), error.remedy());
    failed.kind = "tls";
    failed.failure = Some(error.failure().as_str());
    failed
}

/// A TLS connection.
#[wasm_bindgen]
pub struct TlsClient {
    core: CoreClient,
    start: usize,
    len: usize,
}

const WRITE: u32 = 1;
const PLAIN: u32 = 2;
const READ: u32 = 3;
const CLOSED: u32 = 4;
const FAILED: u32 = 5;

#[wasm_bindgen]
impl TlsClient {
    /// A connection to the host and port of an origin.
    pub fn connect(profile: &Profile, to: &str, now: f64) -> Result<Self, Failed> {
        let core =
            CoreClient::connect(&profile.core, &Origin::parse(to)?, time(now)).map_err(|error| failed(&error))?;
        Ok(Self { core, start: 0, len: 0 })
    }

    /// What to do next; `start` and `len` say where the bytes are.
    pub fn poll(&mut self, now: f64) -> u32 {
        let mut lend = |bytes: &[u8]| (self.start, self.len) = (bytes.as_ptr().addr(), bytes.len());
        match self.core.poll(time(now)) {
            Tls::Write(bytes) => {
                lend(bytes);
                WRITE
            }
            Tls::Plain(bytes) => {
                lend(bytes);
                PLAIN
            }
            Tls::Read => READ,
            Tls::Closed => CLOSED,
            _ => FAILED,
        }
    }

    /// Where the bytes begin in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> usize {
        self.start
    }

    /// How many there are.
    #[wasm_bindgen(getter)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Room for what is read.
    pub fn space(&mut self) {
        let space = self.core.space();
        (self.start, self.len) = (space.as_ptr().addr(), space.len());
    }

    /// So many bytes were read.
    pub fn filled(&mut self, n: usize) {
        self.core.filled(n);
    }

    /// So many bytes were written.
    pub fn wrote(&mut self, n: usize) {
        self.core.wrote(n);
    }

    /// Writing failed.
    pub fn write_failed(&mut self) {
        self.core.write_failed();
    }

    /// So many bytes of plain text were used.
    pub fn took(&mut self, n: usize) {
        self.core.took(n);
    }

    /// Encrypts some of these bytes; gives how many.
    pub fn send(&mut self, plain: &[u8]) -> usize {
        self.core.send(plain)
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.core.close();
    }

    /// Whether the handshake is over.
    pub fn ready(&self) -> bool {
        self.core.ready()
    }

    /// The protocol that the server chose.
    pub fn alpn(&self) -> Option<String> {
        self.core.alpn().map(crate::text::string)
    }

    /// The facts about client certificates.
    pub fn evidence(&self) -> Vec<JsValue> {
        evidence(self.core.evidence())
    }

    /// The latched error.
    pub fn error(&self) -> Option<Vec<JsValue>> {
        self.core.error().map(|error| failed(error).flat())
    }
}
