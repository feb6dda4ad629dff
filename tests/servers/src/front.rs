//! One server in front, alone: what each kind does with client certificates, in one version of TLS.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::nginx;
use crate::pki::Pki;
use crate::process::{Process, Program, TempDir, free_port};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// nginx: refuses over HTTP.
    Nginx,
    /// Apache.
    Apache,
    /// Caddy, which is Go of an older kind in Debian; it wants the handshake to name its host.
    Caddy,
    /// Go's crypto/tls of today.
    Go,
    /// The same, and it resets the connection where it would send an alert.
    GoReset,
    /// OpenSSL's `s_server`.
    Openssl,
}

/// What it asks of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing.
    No,
    /// A certificate of the CA, in the first handshake.
    Required,
    /// Apache alone: a certificate of the CA for the paths under `/v2/` only, so that it asks after the handshake.
    Location,
    /// Apache alone: any certificate, names no CA, and answers 403 to all but those of the CA.
    Expression,
}

/// A version of TLS, the only one that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

impl Server {
    /// Its program.
    pub const fn program(self) -> Program {
        match self {
            Self::Nginx => Program::Nginx,
            Self::Apache => Program::Apache,
            Self::Caddy => Program::Caddy,
            Self::Go | Self::GoReset => Program::GoMtls,
            Self::Openssl => Program::Openssl,
        }
    }
}

/// A running server: https on a free port of 127.0.0.1. Dropping it ends it.
#[derive(Debug)]
pub struct Front {
    /// Which one.
    pub server: Server,
    /// Where it listens. Its certificate is for `localhost` too.
    pub address: SocketAddr,
    // Dropped in this order.
    _process: Process,
    directory: TempDir,
}

impl Front {
    /// Starts one. nginx, Apache and Caddy stand in front of `upstream`, plain http; the others answer by themselves.
    pub fn start(server: Server, ask: Ask, tls: Tls, pki: &Pki, upstream: SocketAddr) -> Result<Self> {
        let directory = TempDir::new("front")?;
        let mut tries = 0;
        loop {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST])?));
            match process(server, ask, tls, pki, upstream, address, &directory) {
                Ok(process) => return Ok(Self { server, address, _process: process, directory }),
                // Somebody else took the port.
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// What it has logged of requests once there are `count` of them, or what there is after 10 s: a request is logged
    /// after its answer.
    pub fn log(&self, count: usize) -> String {
        let file = match self.server {
            Server::Nginx => "nginx/access.log",
            Server::Apache | Server::Caddy => "access.log",
            _ => "server.log",
        };
        let mut text = String::new();
        for _ in 0..400 {
            text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
            if text.lines().count() >= count {
                break;
            }
            thread::sleep(Duration::from_millis(25));
        }
        text
    }
}

fn process(
    server: Server,
    ask: Ask,
    tls: Tls,
    pki: &Pki,
    upstream: SocketAddr,
    address: SocketAddr,
    directory: &TempDir,
) -> Result<Process> {
    let log = directory.join("server.log");
    let mut command = server.program().command()?;
    match server {
        Server::Nginx => {
            let verify = match ask {
                Ask::No => "off",
                Ask::Required => "on",
                _ => return Err(Error::other("nginx asks for the whole host only")),
            };
            let host = nginx::Host { address, verify, redirect: None, behind: vec![("/", upstream)] };
            let barrier = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST])?));
            let protocols = if tls == Tls::V12 { "TLSv1.2" } else { "TLSv1.3" };
            return nginx::start(directory, pki, protocols, &[host], barrier);
        }
        Server::Apache => {
            let config = directory.join("apache.conf");
            fs::write(&config, apache(ask, tls, pki, upstream, address, directory))?;
            // One process in the foreground, so that ending it leaves no child behind.
            command.arg("-X").arg("-d").arg(directory.path()).arg("-f").arg(config);
        }
        Server::Caddy => {
            let config = directory.join("Caddyfile");
            fs::write(&config, caddy(ask, tls, pki, upstream, address, directory))?;
            for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
                command.env(name, directory.path());
            }
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
        }
        Server::Go | Server::GoReset => {
            command.args(["-version", if tls == Tls::V12 { "1.2" } else { "1.3" }, "-addr"]).arg(address.to_string());
            command.arg("-cert").arg(&pki.server.cert).arg("-key").arg(&pki.server.key);
            if ask == Ask::Required {
                command.arg("-ca").arg(&pki.ca);
            }
            if server == Server::GoReset {
                command.arg("-reset");
            }
        }
        Server::Openssl => openssl(&mut command, ask, tls, pki, address),
    }
    Process::start(command, &log, &[address])
}

fn openssl(command: &mut Command, ask: Ask, tls: Tls, pki: &Pki, address: SocketAddr) {
    command.args(["s_server", "-www", "-accept"]).arg(address.to_string());
    command.arg(if tls == Tls::V12 { "-tls1_2" } else { "-tls1_3" });
    command.arg("-cert").arg(&pki.server.cert).arg("-key").arg(&pki.server.key);
    if ask == Ask::Required {
        command.args(["-Verify", "3", "-verify_return_error", "-CAfile"]).arg(&pki.ca);
    }
}

/// Where Debian keeps Apache's modules, and Alpine and Fedora.
const MODULES: [&str; 3] = ["/usr/lib/apache2/modules", "/usr/lib/apache2", "/usr/lib64/httpd/modules"];

fn apache(ask: Ask, tls: Tls, pki: &Pki, upstream: SocketAddr, address: SocketAddr, directory: &TempDir) -> String {
    let modules = MODULES.into_iter().find(|path| fs::metadata(path).is_ok()).unwrap_or(MODULES[0]);
    let mut text = String::new();
    for name in ["mpm_event", "authz_core", "proxy", "proxy_http", "socache_shmcb", "ssl"] {
        text.push_str(&format!("LoadModule {name}_module {modules}/mod_{name}.so\n"));
    }
    let protocol = if tls == Tls::V12 { "TLSv1.2" } else { "TLSv1.3" };
    let at = directory.path().display();
    text.push_str(&format!(
        r#"ServerName localhost
PidFile "{at}/apache.pid"
DefaultRuntimeDir "{at}"
Mutex pthread
# Of root only: it starts as such, and then gives that up.
User nobody
Group nogroup
Listen {address} https
ErrorLog "{at}/error.log"
LogLevel info
LogFormat "%A \"%r\" %>s verify=%{{SSL_CLIENT_VERIFY}}x dn=\"%{{SSL_CLIENT_S_DN}}x\" issuer=\"%{{SSL_CLIENT_I_DN}}x\" resumed=%{{SSL_SESSION_RESUMED}}x" hop
CustomLog "{at}/access.log" hop
SSLSessionCache "shmcb:{at}/sessions(512000)"
SSLEngine on
SSLProtocol -all +{protocol}
SSLCertificateFile "{cert}"
SSLCertificateKeyFile "{key}"
AllowEncodedSlashes NoDecode
ProxyPass "/" "http://{upstream}/" nocanon
"#,
        cert = pki.server.cert.display(),
        key = pki.server.key.display(),
    ));
    let ca = pki.ca.display();
    text.push_str(&match ask {
        Ask::No => String::new(),
        Ask::Required => format!("SSLCACertificateFile \"{ca}\"\nSSLVerifyClient require\n"),
        Ask::Location => {
            format!("SSLCACertificateFile \"{ca}\"\n<Location \"/v2/\">\n  SSLVerifyClient require\n</Location>\n")
        }
        // Without the CA's file it names nobody in its request for a certificate.
        Ask::Expression => format!(
            "SSLVerifyClient optional_no_ca\n<Location \"/\">\n  Require expr \"%{{SSL_CLIENT_I_DN_CN}} == '{}'\"\n\
             </Location>\n",
            pki.ca_name
        ),
    });
    text
}

fn caddy(ask: Ask, tls: Tls, pki: &Pki, upstream: SocketAddr, address: SocketAddr, directory: &TempDir) -> String {
    let version = if tls == Tls::V12 { "tls1.2" } else { "tls1.3" };
    let (at, port) = (directory.path().display(), address.port());
    let client = match ask {
        Ask::Required => format!(
            "client_auth {{\n      mode require_and_verify\n      trusted_ca_cert_file {}\n    }}",
            pki.ca.display()
        ),
        _ => String::new(),
    };
    format!(
        r#"{{
  admin off
  auto_https off
  skip_install_trust
  storage file_system {at}/storage
}}
https://localhost:{port} {{
  bind {ip}
  tls {cert} {key} {{
    protocols {version} {version}
    {client}
  }}
  log {{
    output file {at}/access.log
  }}
  reverse_proxy {upstream}
}}
"#,
        ip = address.ip(),
        cert = pki.server.cert.display(),
        key = pki.server.key.display(),
    )
}
