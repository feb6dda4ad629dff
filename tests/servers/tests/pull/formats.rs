//! The files that people have: the same pull with each of them, and nothing on the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use regauth_servers::{Ask, Front, Kind, PASSWORD, Pair, Program, Record, Scenario, Server, Tls, USER, World, have};

use crate::program::{briefs, programs, pull, pull_with};
use crate::scenario;

/// The formats that can name a certificate, and with which the password comes.
pub(crate) const FORMATS: [&str; 5] =
    ["Docker certs.d", "containers certs.d", "hosts.toml", "buildkitd.toml", "registries.yaml"];

/// A directory of configuration files.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(world: &World, name: &str) -> Self {
        let path = world.directory().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A directory of Docker's layout under `root`, of the registry that is `host`.
    pub(crate) fn certificates(&self, root: &str, host: &str, ca: &Path, pair: &Pair) {
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        self.write(&format!("{root}/{host}/ca.crt"), &text(ca));
        self.write(&format!("{root}/{host}/client.cert"), &text(&pair.cert));
        self.write(&format!("{root}/{host}/client.key"), &text(&pair.key));
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// `auths` of these registries, with the password of all.
pub(crate) fn auths(hosts: &[&str]) -> String {
    let auth = base64(&format!("{USER}:{PASSWORD}"));
    let entries: serde_json::Map<_, _> =
        hosts.iter().map(|host| ((*host).to_string(), serde_json::json!({ "auth": auth }))).collect();
    serde_json::json!({ "auths": entries }).to_string()
}

/// The options of a pull with this format.
fn options(world: &World, files: &Files, format: &str) -> Vec<String> {
    let (pki, host) = (&world.pki, world.registry().to_string());
    let (ca, cert, key) = (pki.ca.display(), pki.client.cert.display(), pki.client.key.display());
    let mut line: Vec<String> = Vec::new();
    let mut add = |option: &str, value: String| line.extend([option.to_string(), value]);
    match format {
        "Docker certs.d" => {
            files.certificates("certs.d", &host, &pki.ca, &pki.client);
            add("--docker-certs", files.path("certs.d"));
            add("--docker-config", files.write("config.json", &auths(&[&host])));
        }
        "containers certs.d" => {
            files.certificates("certs.d", &host, &pki.ca, &pki.client);
            // podman's order: the first of these has nothing for this registry.
            fs::create_dir(files.path("home")).unwrap();
            add("--containers-certs", files.path("home"));
            add("--containers-certs", files.path("certs.d"));
            let key = format!("{host}/{}", world.seed.repository);
            add("--auth-json", files.write("auth.json", &auths(&[&key])));
        }
        "hosts.toml" => {
            let text = format!("server = \"https://{host}\"\nca = \"{ca}\"\nclient = [[\"{cert}\", \"{key}\"]]\n");
            files.write(&format!("hosts/{}_/hosts.toml", host.replace(':', "_")), &text);
            add("--hosts", files.path("hosts"));
            add("--docker-auth-config", files.write("variable", &auths(&[&host])));
        }
        "buildkitd.toml" => {
            let text = format!(
                "[registry.\"{host}\"]\n  http = false\n  ca = [\"{ca}\"]\n  [[registry.\"{host}\".keypair]]\n    \
                 key = \"{key}\"\n    cert = \"{cert}\"\n"
            );
            add("--buildkitd", files.write("buildkitd.toml", &text));
            let secret = base64(&auths(&[&host]));
            let manifest = format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: pull\ntype: kubernetes.io/dockerconfigjson\ndata:\n  \
                 .dockerconfigjson: {secret}\n"
            );
            add("--kubernetes", files.write("secret.yaml", &manifest));
        }
        _ => {
            let text = format!(
                "configs:\n  \"{host}\":\n    auth:\n      username: {USER}\n      password: {PASSWORD}\n    tls:\n      \
                 cert_file: {cert}\n      key_file: {key}\n      ca_file: {ca}\n"
            );
            add("--registries", files.write("registries.yaml", &text));
        }
    }
    line.extend(["--json".into(), format!("{host}/{}:one", world.seed.repository)]);
    line
}

/// What none of the formats can say, for this scenario.
fn regauth_toml(world: &World) -> String {
    let registry = world.registry();
    let pair = |kind: &str, host| {
        format!("[[pair]]\nregistry = \"https://{registry}\"\n{kind} = \"https://{host}\"\nidentity = true\n")
    };
    match world.scenario {
        Scenario::SameHost | Scenario::Redirected => String::new(),
        Scenario::SecondHost => pair("token", world.token_host()),
        Scenario::RedirectedPaired => pair("storage", world.blob_host()),
    }
}

#[test]
fn every_format_has_the_certificate_for_every_hop_that_it_belongs_on() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    for each in Scenario::ALL {
        for format in FORMATS {
            let world = World::start(Kind::V3, each).unwrap();
            let files = Files::new(&world, "files");
            let mut line = options(&world, &files, format);
            // The authority of the second host is the registry's; no format gives it to another host.
            let hosts = [world.token_host(), world.blob_host()]
                .map(|host| format!("[host.\"https://{host}\"]\nca = \"{}\"\n", world.pki.ca.display()));
            let more: String =
                hosts.iter().filter(|text| !text.contains(&world.registry().to_string())).cloned().collect();
            let text = format!("{}{more}", regauth_toml(&world));
            if !text.is_empty() {
                line.extend(["--regauth".into(), files.write("regauth.toml", &text)]);
            }
            scenario(&world, &format!("{format} {each:?}"), line, "");
        }
    }
}

#[test]
fn without_a_pair_no_format_gives_anything_to_another_token_host() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SecondHost).unwrap();
    for format in FORMATS {
        let files = Files::new(&world, &format.replace(' ', "-"));
        let run = pull(&options(&world, &files, format), "");
        println!("{format}: {}", run.failure());
        assert_eq!(run.code, 3, "{}", run.said);
        assert!(run.failure().contains(&format!("(token at https://{})", world.token_host())), "{}", run.failure());
    }
    let records = world.records().unwrap();
    println!("{}", briefs(&records));
    // One challenge each, and nothing at the other host.
    assert_eq!(records.len(), FORMATS.len());
    assert!(records.iter().all(|record| record.server == world.registry().ip() && record.authz.is_none()));
}

#[test]
fn an_option_holds_before_a_file() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let (host, files) = (world.registry().to_string(), Files::new(&world, "files"));
    files.certificates("certs.d", &host, &world.pki.ca, &world.pki.token_client);
    let config = files
        .write("config.json", &auths(&[&host]).replace(&base64(&format!("{USER}:{PASSWORD}")), &base64("other:wr0ng")));
    let mut line = vec!["--docker-certs".to_string(), files.path("certs.d"), "--docker-config".into(), config];
    line.extend(crate::program::arguments(&world, "one"));
    let run = pull(&line, PASSWORD);
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(world.records().unwrap().iter().all(|record| record.dn.as_deref() == Some("CN=buildbot-1")));
}

/// A program `docker-credential-NAME` in `bin`, which writes what it is asked for beside itself.
fn helper(files: &Files, name: &str, script: &str) {
    let path = files.write(&format!("bin/docker-credential-{name}"), &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_credential_helper_is_run_once() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let (host, files) = (world.registry().to_string(), Files::new(&world, "files"));
    files.certificates("certs.d", &host, &world.pki.ca, &world.pki.client);
    let asked = files.path("asked");
    let script = format!(
        "read -r url\nprintf '%s %s\\n' \"$1\" \"$url\" >> '{asked}'\n\
         printf '{{\"ServerURL\":\"%s\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}' \"$url\""
    );
    helper(&files, "good", &script);
    helper(&files, "none", "echo credentials not found in native keychain\nexit 1");
    helper(&files, "locked", "echo the vault is locked\nexit 1");
    let line = |text: &str| {
        let config = files.write("config.json", text);
        let mut line = vec!["--docker-certs".to_string(), files.path("certs.d"), "--docker-config".into(), config];
        line.extend(["--json".into(), format!("{host}/{}:one", world.seed.repository)]);
        line
    };
    let path = files.path("bin");
    let run = |text: &str| pull_with(&line(text), "", &[("PATH", path.as_ref())]);

    let done = run(&format!(r#"{{"credHelpers":{{"{host}":"good"}},"credsStore":"locked"}}"#));
    assert_eq!(done.code, 0, "{}", done.said);
    // Once, for all the requests of the pull.
    assert_eq!(fs::read_to_string(&asked).unwrap(), format!("get {host}\n"));
    let token = world.records().unwrap().into_iter().find(Record::is_token).unwrap();
    assert_eq!((token.authz.as_deref(), token.status), (Some("Basic"), 200));

    for (text, code, what) in [
        (
            r#"{"credsStore":"locked"}"#,
            2,
            "the credential helper failed: docker-credential-locked: the vault is locked",
        ),
        (r#"{"credsStore":"absent"}"#, 2, "docker-credential-absent: it cannot be run: no such file"),
        // Anonymous then, which this token service does not allow.
        (r#"{"credsStore":"none"}"#, 4, "the token service refused with 401"),
    ] {
        let failed = run(text);
        println!("{text}: {}", failed.failure());
        assert_eq!(failed.code, code, "{}", failed.said);
        assert!(failed.failure().contains(what), "{}", failed.failure());
    }
}

#[test]
fn what_is_wrong_in_a_file_is_said() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let (host, files) = (world.registry().to_string(), Files::new(&world, "files"));
    files.certificates("certs.d", &host, &world.pki.ca, &world.pki.client);
    fs::remove_file(files.path(&format!("certs.d/{host}/client.key"))).unwrap();
    let image = format!("{host}/{}:one", world.seed.repository);
    let run = pull(&["--json", "--docker-certs", &files.path("certs.d"), &image], "");
    assert_eq!(run.code, 2, "{}", run.said);
    assert!(
        run.said.contains("error: ")
            && run
                .said
                .contains("client.key, the key of this client certificate, is missing [certificate-without-key]"),
        "{}",
        run.said
    );
    assert!(
        run.failure().contains("client.cert: client.key, the key of this client certificate, is missing"),
        "{}",
        run.said
    );
    assert!(world.records().unwrap().is_empty(), "nothing went out without the certificate");
}

/// Self-signed, RSA of 4096 bits, with text in front of the PEM: what Docker's page on client certificates has one make.
#[test]
fn the_certificate_of_docker_s_page_is_offered() {
    if !have(&[&programs(Kind::V2)[..], &[Program::Openssl, Program::Apache]].concat()) {
        return;
    }
    let mut world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let (token, files) = (world.registry().to_string(), Files::new(&world, "files"));
    let page = Pair { cert: files.path("client.cert").into(), key: files.path("client.key").into() };
    let openssl = |arguments: &[&str]| {
        let mut command = Program::Openssl.command().unwrap();
        assert!(command.args(arguments).current_dir(files.path("")).status().unwrap().success());
    };
    openssl(&["genrsa", "-out", "client.key", "4096"]);
    let subject = ["-subj", "/CN=docker-page", "-out", "client.cert"];
    openssl(&[&["req", "-new", "-x509", "-text", "-key", "client.key"][..], &subject].concat());
    assert!(fs::read_to_string(&page.cert).unwrap().starts_with("Certificate:"));

    let ca = world.pki.ca.clone();
    // The token service has the certificate of everybody else.
    files.certificates("certs.d", &token, &ca, &world.pki.client);
    // nginx names both as issuers; the certificate is its own.
    let both = fs::read_to_string(&ca).unwrap() + &fs::read_to_string(&page.cert).unwrap();
    world.pki.ca = files.write("trusted.pem", &both).into();
    let pull_from = |front: &Front| {
        let host = front.address.to_string();
        files.certificates("certs.d", &host, &ca, &page);
        let config = files.write("config.json", &auths(&[&host]));
        let image = format!("{host}/{}:one", world.seed.repository);
        let run = pull(&["--json", "--docker-certs", &files.path("certs.d"), "--docker-config", &config, &image], "");
        fs::remove_dir_all(files.path(&format!("certs.d/{host}"))).unwrap();
        run
    };
    for tls in [Tls::V12, Tls::V13] {
        let front = Front::start(Server::Nginx, Ask::Required, tls, &world.pki, world.direct).unwrap();
        let run = pull_from(&front);
        assert_eq!(run.code, 0, "{}", run.said);
        let log = front.log(6);
        println!("nginx, {tls:?}:\n{log}");
        let records: Vec<Record> = log.lines().map(|line| Record::parse(line).unwrap()).collect();
        assert_eq!(records.len(), 6);
        let good = |record: &Record| record.verify == "SUCCESS" && record.dn.as_deref() == Some("CN=docker-page");
        assert!(records.iter().all(good), "{log}");
    }
    // A server that names no issuer gets it too, and may still refuse.
    let front = Front::start(Server::Apache, Ask::Expression, Tls::V13, &world.pki, world.direct).unwrap();
    let run = pull_from(&front);
    println!("Apache:\n{}{}", front.log(1), run.failure());
    assert!(front.log(1).contains("dn=\"CN=docker-page\""));
}
