use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

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

/// The same for a client that is not ours. Envoy itself refuses it when it sends an `Authorization` of its own.
pub fn stock(workers: usize) -> Option<(World, Envoy)> {
    const FILTERS: &str = "          http_filters:\n";
    const NO_CREDENTIALS: &str = r#"          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: DENY
                policies:
                  credentials:
                    permissions: [{any: true}]
                    principals: [{header: {name: authorization, present_match: true}}]
"#;
    let edits = vec![(FILTERS, format!("{FILTERS}{NO_CREDENTIALS}"))];
    start(&Setup { edits, workers, ..Setup::default() })
}

/// What holds after every client that is not ours: it showed nothing, Envoy showed the identity on both hosts, no machine
/// failed, and the log has no secret.
pub fn judge(world: &World, envoy: &Envoy) {
    let stat = |name: &str| envoy.stat(name).unwrap();
    let asked = stat("http.registry.rq_total");
    assert!(asked > 0);
    assert_eq!((stat("http.registry.rbac.allowed"), stat("http.registry.rbac.denied")), (asked, 0), "Authorization");
    for cluster in ["registry", "tokens"] {
        assert!(stat(&format!("cluster.{cluster}.ssl.handshake")) > 0, "{cluster}");
    }
    let records = world.records().unwrap();
    for record in &records {
        let shown = (record.verify.as_str(), record.dn.as_deref());
        assert_eq!(shown, ("SUCCESS", Some("CN=buildbot-1")), "{}", record.brief());
        assert!(matches!(record.authz.as_deref(), None | Some("Bearer")), "{}", record.brief());
    }
    let tokens = records.iter().filter(|record| record.is_token()).count();
    assert!(tokens > 0 && tokens == token_requests(world), "{tokens}");
    no_traps(envoy);
    no_secrets(envoy);
}

/// Runs a client without credentials of any kind; what it wrote.
pub fn run(mut command: Command, home: &Path) -> String {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A Go program of `tests/interop`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin").join(name);
    there(name, file.is_file(), "tests/interop/install.sh").then_some(file)
}

/// A home directory without credentials.
pub fn home(world: &World) -> PathBuf {
    let home = world.directory().join("home");
    fs::create_dir_all(&home).unwrap();
    home
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

/// An error of the distribution specification's form, and no challenge.
pub fn is_an_error(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.field("www-authenticate"), None);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(body["errors"][0]["code"].is_string() && body["errors"][0]["message"].is_string(), "{body}");
}

/// Waits until a counter of the plugin's is at `least` or more: they are told once a second, by Envoy's clock.
pub fn counted(envoy: &Envoy, name: &str, least: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let count = envoy.stat(name).unwrap();
        if count >= least {
            return count;
        }
        assert!(Instant::now() < end, "{name}: {count}, not {least}");
        thread::sleep(Duration::from_millis(50));
    }
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
