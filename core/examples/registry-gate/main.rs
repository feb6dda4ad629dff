//! A gate in front of a registry: token endpoint and guard, with client certificates as the only identities.
//!
//! `cargo run -p regauth --features server,mint --example registry-gate -- --registry 127.0.0.1:5000 -o DIRECTORY`
//! stands in front of a registry that asks for nothing and cannot be reached otherwise. No user, no password: a builder's
//! certificate gets its token and makes it worthless to anybody else. What is decided here is decided by
//! [`regauth::server`]; the rest is tokio, hyper and rustls.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a program")]

mod gate;
mod pki;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lexopt::prelude::*;
use regauth::server::{Bind, Peer, Source};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use gate::Gate;

const HELP: &str = "\
registry-gate --registry ADDRESS -o DIRECTORY [--listen ADDRESS] [--url URL] [--name NAME]... [--builder TENANT/BUILD]...
              [--policy FILE] [--bind off|if-peer|required] [--anonymous]

Makes a CA, a server certificate and a certificate for each builder, all for a day, and writes the latter to
DIRECTORY/BUILD, as docker, podman and skopeo want them. Then it serves https: /token, and /v2/ guarded and passed on.

  --registry   host and port of the registry, plain http
  --listen     127.0.0.1:5443 unless given
  --url        what clients know the gate by: https://127.0.0.1:5443, as --listen is, unless given
  --name       more host names and addresses for the server certificate; localhost and 127.0.0.1 are in it
  --builder    t1/b-1 unless given: spiffe://example.org/tenant/t1/builder/b-1
  --policy     lines of role, repositories and actions; builders have the role builder, {tenant} and {build}
  --bind       whether tokens belong to the certificate: if-peer unless given
  --anonymous  let clients without a certificate in, to what the policy gives them
";

/// Who may do what, if nothing else is said.
const POLICY: &str = "\
builder  builds/{build}     pull,push
builder  cache/global/**    pull
builder  cache/{tenant}/**  pull,push
*        library/*          pull
";

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Wanted {
    registry: SocketAddr,
    listen: SocketAddr,
    url: Option<String>,
    names: Vec<String>,
    builders: Vec<String>,
    policy: String,
    bind: Bind,
    anonymous: bool,
    directory: PathBuf,
}

fn main() -> ExitCode {
    let outcome = arguments().and_then(|wanted| match wanted {
        Some(wanted) => tokio::runtime::Runtime::new()?.block_on(serve(wanted)),
        None => Ok(()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("registry-gate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Option<Wanted>, Error> {
    let (mut registry, mut directory) = (None, None);
    let mut wanted = Wanted {
        registry: SocketAddr::from(([127, 0, 0, 1], 0)),
        listen: SocketAddr::from(([127, 0, 0, 1], 5443)),
        url: None,
        names: vec!["localhost".into(), "127.0.0.1".into()],
        builders: Vec::new(),
        policy: POLICY.into(),
        bind: Bind::IfPeer,
        anonymous: false,
        directory: PathBuf::new(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("registry") => registry = Some(parser.value()?.parse()?),
            Short('o') | Long("output") => directory = Some(parser.value()?.into()),
            Long("listen") => wanted.listen = parser.value()?.parse()?,
            Long("url") => wanted.url = Some(parser.value()?.string()?),
            Long("name") => wanted.names.push(parser.value()?.string()?),
            Long("builder") => wanted.builders.push(parser.value()?.string()?),
            Long("policy") => wanted.policy = std::fs::read_to_string(parser.value()?)?,
            Long("anonymous") => wanted.anonymous = true,
            Long("bind") => {
                wanted.bind = match parser.value()?.string()?.as_str() {
                    "off" => Bind::Off,
                    "if-peer" => Bind::IfPeer,
                    "required" => Bind::Required,
                    other => return Err(format!("--bind {other}: use off, if-peer or required").into()),
                }
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (Some(registry), Some(directory)) = (registry, directory) else {
        return Err(format!("say which registry, and where certificates go\n\n{HELP}").into());
    };
    if wanted.builders.is_empty() {
        wanted.builders.push("t1/b-1".into());
    }
    Ok(Some(Wanted { registry, directory, ..wanted }))
}

async fn serve(wanted: Wanted) -> Result<(), Error> {
    let pki = pki::Pki::make(&wanted.names, &wanted.builders, &wanted.directory)?;
    let listener = TcpListener::bind(wanted.listen).await?;
    let url = wanted.url.unwrap_or_else(|| format!("https://{}", wanted.listen));
    let gate = Arc::new(Gate::new(&url, &wanted.policy, wanted.bind, wanted.registry)?);
    let acceptor = TlsAcceptor::from(Arc::new(pki.server(wanted.anonymous)?));
    for builder in &pki.builders {
        println!("a builder's certificate is in {}: skopeo copy --dest-cert-dir, docker certs.d", builder.display());
    }
    println!("{url} guards {}", wanted.registry);
    loop {
        let (stream, _) = listener.accept().await?;
        let (gate, acceptor) = (Arc::clone(&gate), acceptor.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, &gate, &acceptor).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

async fn connection(stream: TcpStream, gate: &Arc<Gate>, acceptor: &TlsAcceptor) -> Result<(), Error> {
    let stream = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await??;
    // rustls hands out the chain once its verifier has accepted it, and only then.
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = leaf.map(|leaf| Peer::from_verified_der(leaf, Source::Tls)).transpose()?.map(Arc::new);
    let service = service_fn(|request| {
        let (gate, peer) = (Arc::clone(gate), peer.clone());
        async move { gate.answer(request, peer.as_deref()).await }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    Ok(server.serve_connection(TokioIo::new(stream), service).await?)
}
