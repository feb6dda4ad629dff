//! The registries: distribution 2.8 as Debian ships it, and distribution v3.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use regauth::server::{Access, Claims, KeyRef, SigningKey};

use crate::pki::{Pki, entropy, now};
use crate::process::{Process, Program, TempDir, free_port};
use crate::{ISSUER, SERVICE, USER};

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's docker-registry, distribution 2.8.
    V2,
    /// distribution v3.
    V3,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V2, Self::V3];

    /// Its program.
    pub const fn program(self) -> Program {
        match self {
            Self::V2 => Program::Registry28,
            Self::V3 => Program::RegistryV3,
        }
    }
}

/// A running registry: plain http on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Registry {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends it when dropped.
    pub process: Process,
}

impl Registry {
    /// A registry that wants tokens of `realm`, and keeps its data in `data` of `directory`.
    pub fn with_tokens(kind: Kind, directory: &TempDir, pki: &Pki, realm: &str) -> Result<Self> {
        Self::trusting(kind, directory, realm, &format!("rootcertbundle: \"{}\"", pki.tokens.display()))
    }

    /// The same, trusting the keys of a JWK set only, which distribution 2.8 cannot.
    pub fn with_jwks(directory: &TempDir, jwks: &Path, realm: &str) -> Result<Self> {
        Self::trusting(Kind::V3, directory, realm, &format!("jwks: \"{}\"", jwks.display()))
    }

    fn trusting(kind: Kind, directory: &TempDir, realm: &str, keys: &str) -> Result<Self> {
        let auth = format!(
            "auth:\n  token:\n    realm: \"{realm}\"\n    service: {SERVICE}\n    issuer: {ISSUER}\n    {keys}\n"
        );
        Self::start(kind, directory, "registry", &auth)
    }

    /// A registry on the same data that asks for nothing: the blob store.
    pub fn open(kind: Kind, directory: &TempDir) -> Result<Self> {
        Self::start(kind, directory, "storage", "")
    }

    /// What it says to a POST with this token that begins an upload to `demo/app`, sent by curl.
    pub fn upload(&self, token: &str) -> Result<u16> {
        let mut command = Program::Curl.command()?;
        command.args(["-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-H"]);
        command.arg(format!("Authorization: Bearer {token}"));
        command.arg(format!("http://{}/v2/demo/app/blobs/uploads/", self.address));
        String::from_utf8_lossy(&command.output()?.stdout).parse().map_err(Error::other)
    }

    /// Ends it and starts it again as it was: it reads its files anew.
    pub(crate) fn restart(&mut self, kind: Kind, directory: &TempDir) -> Result<()> {
        self.process.end();
        self.process = run(kind, directory, "registry", self.address)?;
        Ok(())
    }

    fn start(kind: Kind, directory: &TempDir, name: &str, auth: &str) -> Result<Self> {
        let mut tries = 0;
        loop {
            let port = free_port(&[Ipv4Addr::LOCALHOST])?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let config = directory.join(&format!("{name}.yml"));
            fs::write(&config, configuration(address, &directory.join("data"), auth))?;
            match run(kind, directory, name, address) {
                Ok(process) => return Ok(Self { address, process }),
                // Somebody else took the port.
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn run(kind: Kind, directory: &TempDir, name: &str, address: SocketAddr) -> Result<Process> {
    let mut command = kind.program().command()?;
    // Without this, v3 sends traces to a collector that is not there.
    command.arg("serve").arg(directory.join(&format!("{name}.yml"))).env("OTEL_TRACES_EXPORTER", "none");
    Process::start(command, &directory.join(&format!("{name}.log")), &[address])
}

fn configuration(address: SocketAddr, data: &Path, auth: &str) -> String {
    format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: \"{}\"\n  delete:\n    \
         enabled: true\nhttp:\n  addr: \"{address}\"\n  secret: not-secret-here\n{auth}",
        data.display()
    )
}

/// A token for one repository, as the token service would issue it.
pub(crate) fn token(key: &SigningKey, reference: &KeyRef, access: Vec<Access>, ttl: u64) -> Result<String> {
    let mut claims = Claims::new(ISSUER, USER, SERVICE, now(), ttl, &entropy()?);
    claims.access = access;
    let token = key.sign(reference, &claims).map_err(Error::other)?;
    token.expose_str().map(str::to_string).ok_or_else(|| Error::other("a token that is no text"))
}
