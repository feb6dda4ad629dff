//! The example `registry-gate` with clients and registries that are not ours, and the tokens of the core's issuer at
//! real registries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "a host: files, processes")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use regauth::server::{Bind, Call, Identity, Issuer, IssuerConfig, KeyRef, Peer, SigningKey, Source};
use regauth::{Scope, Time};
use regauth_servers::{
    ISSUER, Kind, Pki, Process, Program, Registry, SERVICE, Seed, TempDir, entropy, example, free_port, have, now,
    routes, skopeo,
};
use serde_json::Value;

/// A registry that asks for nothing, and the gate in front of it.
struct Guarded {
    address: SocketAddr,
    directory: TempDir,
    seed: Seed,
    _gate: Process,
    _registry: Registry,
}

impl Guarded {
    fn start(kind: Kind, options: &[&str]) -> Self {
        let directory = TempDir::new("gate").unwrap();
        let registry = Registry::open(kind, &directory).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST]).unwrap()));
        let mut command = Command::new(example("registry-gate").unwrap());
        command.args(["--registry", &registry.address.to_string(), "--listen", &address.to_string(), "-o"]);
        command.arg(directory.path()).args(["--builder", "t1/b-1", "--builder", "t1/b-2"]).args(options);
        let gate = Process::start(command, &directory.join("gate.log"), &[address]).unwrap();
        let seed = Seed::default();
        seed.image.layout(&directory.join("layout")).unwrap();
        Self { address, directory, seed, _gate: gate, _registry: registry }
    }

    /// Certificates of a builder.
    fn builder(&self, build: &str) -> PathBuf {
        self.directory.join(build)
    }

    /// The CA alone.
    fn stranger(&self) -> PathBuf {
        let folder = self.directory.join("stranger");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(self.builder("b-1").join("ca.crt"), folder.join("ca.crt")).unwrap();
        folder
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn push(&self, name: &str, certs: &Path) -> Result<(), String> {
        skopeo::push(&self.directory.join("layout"), &self.image(name), certs).map_err(|error| error.to_string())
    }

    /// Pulls and compares every byte.
    fn pull(&self, name: &str, certs: &Path, to: &str) -> Result<(), String> {
        let to = self.directory.join(to);
        skopeo::pull(&self.image(name), &to, certs).map_err(|error| error.to_string())?;
        for blob in self.seed.image.blobs() {
            assert!(std::fs::read(to.join(blob.hex())).unwrap() == blob.bytes, "{}", blob.digest);
        }
        Ok(())
    }

    /// Status, head and body of a request with the certificate of `build`; `None` where there was no TLS.
    fn curl(&self, build: Option<&str>, target: &str, arguments: &[&str]) -> Option<(u16, String, Vec<u8>)> {
        let body = self.directory.join("curl.body");
        let mut command = Program::Curl.command().unwrap();
        command.args(["-sS", "--max-time", "30", "--path-as-is", "-D", "-", "-o"]).arg(&body);
        command.arg("--cacert").arg(self.builder("b-1").join("ca.crt"));
        if let Some(build) = build {
            command.arg("--cert").arg(self.builder(build).join("client.cert"));
            command.arg("--key").arg(self.builder(build).join("client.key"));
        }
        let output = command.args(arguments).arg(format!("https://{}{target}", self.address)).output().unwrap();
        if !output.status.success() {
            return None;
        }
        let head = String::from_utf8(output.stdout).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, head, std::fs::read(&body).unwrap_or_default()))
    }

    fn token(&self, build: &str, scope: &str) -> String {
        let (status, head, body) = self.curl(Some(build), &format!("/token?scope={scope}"), &[]).unwrap();
        assert_eq!(status, 200, "{head}");
        serde_json::from_slice::<Value>(&body).unwrap()["token"].as_str().unwrap().to_string()
    }

    fn with_token(&self, build: Option<&str>, token: &str, target: &str) -> Option<(u16, String, Vec<u8>)> {
        let accept = format!("Accept: {}", self.seed.image.manifest.media_type);
        self.curl(build, target, &["-H", &accept, "-H", &format!("Authorization: Bearer {token}")])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("gate.log")).unwrap()
    }
}

#[test]
fn skopeo_pushes_and_pulls_with_a_client_certificate_only() {
    for kind in Kind::ALL {
        if !have(&[Program::Skopeo, kind.program()]) {
            continue;
        }
        let gate = Guarded::start(kind, &["--bind", "required"]);
        let mine = gate.builder("b-1");
        gate.push("builds/b-1:one", &mine).unwrap();
        gate.pull("builds/b-1:one", &mine, "pulled").unwrap();
        // Its tenant's cache is its own, that of all is not to be written; the other builder's images are not its.
        gate.push("cache/t1/layers:one", &mine).unwrap();
        gate.pull("cache/t1/layers:one", &gate.builder("b-2"), "cached").unwrap();
        for name in ["builds/b-2:one", "cache/global/x:one", "cache/t2/x:one", "library/x:one"] {
            let error = gate.push(name, &mine).unwrap_err();
            assert!(error.contains("denied") || error.contains("unauthorized"), "{kind:?} {name}: {error}");
        }
        let error = gate.pull("builds/b-1:one", &gate.builder("b-2"), "stolen").unwrap_err();
        assert!(error.contains("denied") || error.contains("unauthorized"), "{kind:?}: {error}");
        // Without a certificate there is no TLS.
        gate.pull("builds/b-1:one", &gate.stranger(), "nothing").unwrap_err();
        let log = gate.log();
        assert!(log.contains("spiffe://example.org/tenant/t1/builder/b-1 may: PUT by token "), "{log}");
        assert!(!log.contains("eyJ"), "a token in the log");
    }
}

#[test]
fn clients_without_a_certificate_pull_what_everybody_may() {
    if !have(&[Program::Skopeo, Kind::V3.program()]) {
        return;
    }
    let policy = TempDir::new("policy").unwrap();
    let file = policy.join("policy");
    std::fs::write(&file, "builder library/* pull,push\n* library/* pull\n").unwrap();
    let gate = Guarded::start(Kind::V3, &["--anonymous", "--policy", file.to_str().unwrap()]);
    gate.push("library/app:one", &gate.builder("b-1")).unwrap();
    let stranger = gate.stranger();
    gate.pull("library/app:one", &stranger, "pulled").unwrap();
    gate.push("library/app:two", &stranger).unwrap_err();
    gate.pull("secret:one", &stranger, "secret").unwrap_err();
}

#[test]
fn a_stolen_token_with_another_valid_certificate_is_refused() {
    if !have(&[Program::Curl, Program::Skopeo, Kind::V3.program()]) {
        return;
    }
    let gate = Guarded::start(Kind::V3, &[]);
    gate.push("builds/b-1:one", &gate.builder("b-1")).unwrap();
    let token = gate.token("b-1", "repository:builds/b-1:pull");
    let target = "/v2/builds/b-1/manifests/one";
    let (status, _, body) = gate.with_token(Some("b-1"), &token, target).unwrap();
    assert_eq!((status, &body), (200, &gate.seed.image.manifest.bytes));
    let (status, head, _) = gate.with_token(Some("b-2"), &token, target).unwrap();
    assert_eq!(status, 401);
    let challenge = head.lines().find(|line| line.to_ascii_lowercase().starts_with("www-authenticate:")).unwrap();
    let wanted = format!(
        "Bearer realm=\"https://{}/token\",service=\"registry-gate\",scope=\"repository:builds/b-1:pull\",error=\"invalid_token\"",
        gate.address
    );
    assert!(challenge.ends_with(&wanted), "{challenge}");
    assert!(gate.with_token(None, &token, target).is_none(), "no certificate, no TLS");
    assert!(gate.log().contains("refused: token-certificate "), "{}", gate.log());
}

#[test]
fn a_token_is_refused_at_another_api() {
    if !have(&[Program::Curl, Kind::V3.program()]) {
        return;
    }
    let (gate, other) = (Guarded::start(Kind::V3, &["--bind", "off"]), Guarded::start(Kind::V3, &["--bind", "off"]));
    let token = gate.token("b-1", "repository:builds/b-1:pull,push");
    assert_eq!(gate.with_token(Some("b-2"), &token, "/v2/").unwrap().0, 200, "not bound, so anybody's");
    assert_eq!(other.with_token(Some("b-1"), &token, "/v2/").unwrap().0, 401);
    // Beside the registry: no challenge, and no use for the token.
    for target in ["/instances", "/healthz", "/v2beta"] {
        let (status, head, _) = gate.with_token(Some("b-1"), &token, target).unwrap();
        assert!(matches!(status, 200 | 404) && !head.to_ascii_lowercase().contains("www-authenticate"), "{head}");
    }
    // A path that a registry might take for its own is refused, whatever stands before it.
    for target in ["/x/../v2/builds/b-1/tags/list", "/%76%32/builds/b-1/tags/list", "//v2/builds/b-1/tags/list"] {
        assert_eq!(gate.with_token(Some("b-1"), &token, target).map(|answer| answer.0), Some(400), "{target}");
    }
    let token_request = gate.curl(Some("b-1"), "/token", &["-u", "alice:s3cret"]).unwrap();
    assert_eq!(token_request.0, 401, "there are no passwords");
}

/// An issuer's token for an upload to `demo/app`.
fn issued(key: &SigningKey, reference: KeyRef, peer: Option<&Peer>) -> String {
    let key = SigningKey::from_pem(key.private_pem().expose_str().unwrap()).unwrap();
    let mut config = IssuerConfig::new(ISSUER, &[SERVICE], key, reference);
    config.bind = Bind::IfPeer;
    let issuer = Issuer::new(config).unwrap();
    let mut call = Call::new("GET", "/token?scope=repository:demo/app:pull,push");
    call.peer = peer;
    let ask = issuer.read(&call).unwrap();
    let may = [Scope::repository("demo/app", "pull,push,delete")];
    let reply = issuer.issue(&ask, &Identity::new("robot").unwrap(), &may, now(), &entropy().unwrap());
    reply.token().unwrap().expose_str().unwrap().to_string()
}

#[test]
fn registries_take_the_issuers_tokens_by_every_key_reference_that_they_know() {
    let directory = TempDir::new("keys").unwrap();
    std::fs::create_dir(directory.join("pki")).unwrap();
    let signing = SigningKey::generate(&entropy().unwrap()).unwrap();
    let pki = Pki::new(&directory.join("pki"), &signing).unwrap();
    let jwks = directory.join("jwks.json");
    std::fs::write(&jwks, signing.jwks(&KeyRef::Kid("2026".into())).unwrap()).unwrap();
    let client = std::fs::read(&pki.client.cert).unwrap();
    let client = pem(&client);
    let peer = Peer::from_verified_der(&client, Source::Tls).unwrap();
    let realm = "https://auth.example/token";
    let x5c = || KeyRef::X5c(vec![pki.tokens_der.clone()]);
    // 2.8 and 3.1 with `rootcertbundle`, 3.1 with `jwks` alone.
    let table = [
        (x5c(), [202, 202, 401]),
        (KeyRef::Thumbprint, [401, 202, 401]),
        (KeyRef::Libtrust, [202, 401, 401]),
        (KeyRef::Kid("2026".into()), [401, 401, 202]),
        (KeyRef::Kid("unknown".into()), [401, 401, 401]),
    ];
    for (column, kind) in [Kind::V2, Kind::V3, Kind::V3].into_iter().enumerate() {
        if !have(&[Program::Curl, kind.program()]) {
            continue;
        }
        let registry = match column {
            2 => Registry::with_jwks(&directory, &jwks, realm).unwrap(),
            _ => Registry::with_tokens(kind, &directory, &pki, realm).unwrap(),
        };
        for (reference, statuses) in &table {
            // A binding to a certificate is nothing that these look at.
            for peer in [None, Some(&peer)] {
                let token = issued(&signing, reference.clone(), peer);
                assert_eq!(registry.upload(&token).unwrap(), statuses[column], "{kind:?} {column} {reference:?}");
            }
        }
    }
}

/// The bytes of the first PEM block.
fn pem(text: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let lines: String = text.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(lines).unwrap()
}

#[test]
fn the_recorded_routes_are_what_distribution_says() {
    if !have(&[Kind::V3.program()]) {
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/server/routes.jsonl");
    let recorded = std::fs::read_to_string(file).unwrap();
    let now: Vec<String> = routes::record().unwrap();
    for (was, is) in recorded.lines().zip(&now) {
        assert_eq!(was, is);
    }
    assert_eq!(recorded.lines().count(), now.len());
}

#[test]
fn mint_writes_for_its_owner_only_and_never_over_a_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new("mint").unwrap();
    let to = directory.join("certs");
    let mint = || {
        let mut command = Command::new(example("mint").unwrap());
        command.args(["buildkitd", "--dns", "b.example", "--ip", "10.0.0.7", "--ttl", "30m", "-o"]).arg(&to);
        command.output().unwrap()
    };
    let first = mint();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let said = String::from_utf8(first.stdout).unwrap();
    for wanted in
        ["buildkitd --addr tcp://0.0.0.0:1234 ", "buildctl --addr tcp://b.example:1234 ", "docker buildx create "]
    {
        assert!(said.contains(wanted), "{said}");
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&to), 0o700);
    let files: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 7);
    for file in &files {
        assert_eq!(mode(file), 0o600);
    }
    let der = pem(&std::fs::read(to.join("client.pem")).unwrap());
    let end = Peer::from_verified_der(&der, Source::Tls).unwrap().not_after().unwrap();
    assert!(end.since(now()) <= 30 * 60 * 1000 && end > Time(now().0 + 29 * 60 * 1000));
    let second = mint();
    assert!(!second.status.success(), "{}", String::from_utf8_lossy(&second.stdout));
}
