use std::io::Write as _;
use std::net::SocketAddr;

use regauth_proxy_tests::client::{self, Answer};
use regauth_proxy_tests::envoy::{self, Envoy, Setup};
use regauth_servers::{Kind, Manner, Program, Scenario, World, have};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry whose token endpoint, on another host, gives tokens for certificates, and Envoy in front of it.
pub fn start(setup: &Setup) -> Option<(World, Envoy)> {
    if !ready() {
        return None;
    }
    let world = World::start(Kind::V3, Scenario::SecondHost).unwrap();
    world.behave(Manner::Certificate);
    let envoy = Envoy::start(&world, setup).unwrap();
    Some((world, envoy))
}

/// Whether the programs are there; where CI is set they have to be.
pub fn ready() -> bool {
    there("envoy", envoy::program().is_some(), "tests/servers/envoy.sh")
        && have(&[Program::Nginx, Program::RegistryV3, Program::Curl])
}

pub fn there(name: &str, is_there: bool, script: &str) -> bool {
    if !is_there {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "missing: {name}: run {script}");
        _ = writeln!(std::io::stderr(), "SKIPPED: missing: {name}: run {script}");
    }
    is_there
}

/// The manifest of the seeded image, through Envoy.
pub fn manifest(world: &World, to: SocketAddr) -> Answer {
    let path = format!("/v2/{}/manifests/one", world.seed.repository);
    client::send(to, "GET", &path, format!("Accept: {MANIFEST}\r\n").as_bytes(), b"").unwrap()
}

/// The number of token requests that reached the token endpoint's host, answered or not.
pub fn token_requests(world: &World) -> usize {
    world.token_counts().requests
}

/// No module has failed: traps are written into Envoy's log, and reloads counted.
pub fn no_traps(envoy: &Envoy) {
    let log = envoy.log();
    for word in ["Function: proxy_on", "RuntimeError", "unreachable", "Uncaught", "panicked"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert_eq!(envoy.stat("vm_reload").unwrap(), 0);
}

/// No secret is in Envoy's log.
pub fn no_secrets(envoy: &Envoy) {
    let log = envoy.log();
    assert!(!log.contains("eyJ") && !log.contains("Bearer "), "{log}");
}
