//! The servers themselves, with curl as client: what later tests stand on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "curl writes files, and the log is worth seeing")]

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use regauth::server::{Access, KeyRef};
use regauth_servers::{
    Blob, Counts, Kind, PASSWORD, Pair, Program, REFRESH, Record, SERVICE, Scenario, USER, World, have,
};

/// An answer, as curl saw it.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (have, value) = line.split_once(": ")?;
            have.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own, with or without a client certificate.
fn curl(world: &World, identity: Option<&Pair>, url: &str, arguments: &[&str]) -> Answer {
    let body = world.directory().join("curl.body");
    let mut command = Program::Curl.command().unwrap();
    command.args(["-sS", "--max-time", "30", "-D", "-", "-o"]).arg(&body).arg("--cacert").arg(&world.pki.ca);
    if let Some(pair) = identity {
        command.arg("--cert").arg(&pair.cert).arg("--key").arg(&pair.key);
    }
    let output = command.args(arguments).arg(url).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let head = String::from_utf8(output.stdout).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: std::fs::read(&body).unwrap_or_default() }
}

fn briefs(records: &[Record]) -> String {
    records.iter().map(Record::brief).collect::<Vec<_>>().join("\n")
}

fn programs(kind: Kind) -> Vec<Program> {
    vec![Program::Curl, Program::Nginx, kind.program()]
}

/// Challenge, token, manifest and all blobs, by hand; gives the log's records.
fn pull(world: &World) -> Vec<Record> {
    let (pki, seed) = (&world.pki, &world.seed);
    let me = Some(&pki.client);
    let base = format!("https://{}/v2/{}", world.registry(), seed.repository);
    let accept = format!("Accept: {}", seed.image.manifest.media_type);

    let first = curl(world, me, &format!("{base}/manifests/one"), &["-H", &accept]);
    assert_eq!(first.status, 401);
    let realm = format!("https://{}/service/token", world.token_host());
    let challenge = first.field("www-authenticate").unwrap();
    for wanted in [
        format!("Bearer realm=\"{realm}\""),
        format!("service=\"{SERVICE}\""),
        format!("scope=\"repository:{}:pull\"", seed.repository),
    ] {
        assert!(challenge.contains(&wanted), "{challenge}");
    }

    let query = format!("{realm}?service={SERVICE}&scope=repository:{}:pull", seed.repository);
    let token = curl(world, me, &query, &["-u", &format!("{USER}:{PASSWORD}")]);
    assert_eq!(token.status, 200, "{}", token.head);
    let bearer = format!("Authorization: Bearer {}", token.json()["token"].as_str().unwrap());

    let manifest = curl(world, me, &format!("{base}/manifests/one"), &["-H", &accept, "-H", &bearer]);
    assert_eq!((manifest.status, &manifest.body), (200, &seed.image.manifest.bytes), "{}", manifest.head);
    assert_eq!(manifest.field("docker-content-digest"), Some(seed.image.manifest.digest.as_str()));

    for blob in seed.image.blobs() {
        let url = format!("{base}/blobs/{}", blob.digest);
        let got = curl(world, me, &url, &["-H", &bearer]);
        if world.blob_host() == world.registry() {
            same(&got, blob);
            continue;
        }
        assert_eq!(got.status, 307);
        let location = got.field("location").unwrap();
        assert_eq!(location, url.replace(&world.registry().to_string(), &world.blob_host().to_string()));
        if world.scenario == Scenario::RedirectedPaired {
            assert_eq!(curl(world, None, location, &[]).status, 400, "no certificate, no blob");
            same(&curl(world, me, location, &[]), blob);
        } else {
            same(&curl(world, None, location, &[]), blob);
        }
    }
    world.records().unwrap()
}

fn same(got: &Answer, blob: &Blob) {
    assert_eq!(got.status, 200, "{}", got.head);
    assert!(got.body == blob.bytes, "{}: {} of {} bytes", blob.digest, got.body.len(), blob.bytes.len());
}

fn scenarios(kind: Kind) {
    if !have(&programs(kind)) {
        return;
    }
    for scenario in Scenario::ALL {
        let world = World::start(kind, scenario).unwrap();
        let records = pull(&world);
        println!("{kind:?} {scenario:?}\n{}\n", briefs(&records));
        check(&world, &records);
        assert_eq!(world.token_counts(), Counts { requests: 1, posts: 0, refused: 0 });
    }
}

fn check(world: &World, records: &[Record]) {
    let registry = world.registry().ip();
    let say = || briefs(records);
    let want = match world.scenario {
        Scenario::SameHost | Scenario::SecondHost => 7,
        Scenario::Redirected => 7 + 4,
        Scenario::RedirectedPaired => 7 + 4 + 4,
    };
    assert_eq!(records.len(), want, "{}", say());
    assert_eq!(records.iter().filter(|record| record.status == 401).count(), 1, "{}", say());
    let tokens: Vec<_> = records.iter().filter(|record| record.is_token()).collect();
    assert_eq!(tokens.len(), 1, "{}", say());
    assert_eq!(tokens[0].server, world.token_host().ip());
    assert_eq!(tokens[0].authz.as_deref(), Some("Basic"));
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.server == registry || record.is_token());
    for record in here {
        assert_eq!((record.verify.as_str(), record.dn.as_deref()), ("SUCCESS", Some("CN=buildbot-1")), "{}", say());
    }
    for record in elsewhere {
        assert_eq!((record.server, record.authz.as_ref()), (world.blob_host().ip(), None), "{}", say());
        assert!(record.is_blob());
        let paired = world.scenario == Scenario::RedirectedPaired && record.status == 200;
        assert_eq!(record.showed_identity(), paired, "{}", say());
    }
    let mut connections: Vec<_> = records.iter().map(|record| record.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), records.len(), "curl opens one connection a call");
    assert!(records.iter().all(|record| !record.reused));
}

#[test]
fn every_scenario_serves_a_pull_from_registry_2_8() {
    scenarios(Kind::V2);
}

#[test]
fn every_scenario_serves_a_pull_from_registry_v3() {
    scenarios(Kind::V3);
}

#[test]
fn clients_that_should_fail_do() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SecondHost).unwrap();
    let url = |host: SocketAddr, path: &str| format!("https://{host}{path}");
    let registry = url(world.registry(), "/v2/");
    for (identity, verify) in [
        (None, "NONE"),
        (Some(&world.pki.wrong), "FAILED:unable to verify the first certificate"),
        (Some(&world.pki.expired), "FAILED:certificate has expired"),
    ] {
        assert_eq!(curl(&world, identity, &registry, &[]).status, 400, "{verify}");
        assert_eq!(world.records().unwrap().last().unwrap().verify, verify);
    }

    let endpoint = url(world.token_host(), "/service/token");
    let me = Some(&world.pki.client);
    let service = format!("service={SERVICE}");
    assert_eq!(curl(&world, None, &endpoint, &["-G", "-d", &service]).status, 400, "no certificate");
    let token = |arguments: &[&str]| curl(&world, me, &endpoint, arguments);
    let anonymous = token(&["-G", "-d", &service]);
    assert_eq!((anonymous.status, anonymous.field("www-authenticate")), (401, Some("Basic realm=\"tokens\"")));
    assert_eq!(token(&["-G", "-d", &service, "-u", "robot:wrong"]).status, 401);
    assert_eq!(token(&["-G", "-d", "service=other", "-u", &format!("{USER}:{PASSWORD}")]).status, 400);
    let user = [format!("username={USER}"), format!("password={PASSWORD}"), format!("refresh_token={REFRESH}")];
    let scope = "scope=repository:demo/app:pull repository:demo/other:pull";
    let password = ["-d", "grant_type=password", "-d", &user[0], "-d", &user[1], "-d", &service];
    let good = token(&[&password[..], &["--data-urlencode", scope]].concat());
    assert_eq!((good.status, good.json()["scope"].as_str()), (200, scope.strip_prefix("scope=")));
    let refresh = ["-d", "grant_type=refresh_token", "-d", &user[2], "-d", &service];
    assert_eq!(token(&refresh).status, 200);
    let wrong = ["-d", "grant_type=refresh_token", "-d", "refresh_token=x", "-d", &service];
    assert_eq!(token(&wrong).status, 401);
    assert_eq!(world.token_counts(), Counts { requests: 6, posts: 3, refused: 4 });

    let log = std::fs::read_to_string(world.directory().join("nginx/access.log")).unwrap();
    for secret in [PASSWORD, REFRESH, "cm9ib3Q6", "eyJ"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[test]
fn registries_take_the_key_references_that_the_documentation_says() {
    for kind in Kind::ALL {
        if !have(&programs(kind)) {
            continue;
        }
        let world = World::start(kind, Scenario::SameHost).unwrap();
        let url = format!("http://{}/v2/{}/manifests/multi", world.direct, world.seed.repository);
        for (reference, taken) in [
            (KeyRef::X5c(vec![world.pki.tokens_der.clone()]), true),
            (KeyRef::Thumbprint, kind == Kind::V3),
            (KeyRef::Libtrust, kind == Kind::V2),
            (KeyRef::Kid("unknown".into()), false),
        ] {
            let access =
                Access { kind: "repository".into(), name: world.seed.repository.into(), actions: vec!["pull".into()] };
            let token = world.token(&reference, vec![access]).unwrap();
            let accept = format!("Accept: {}", world.seed.index.media_type);
            let got = curl(&world, None, &url, &["-H", &accept, "-H", &format!("Authorization: Bearer {token}")]);
            assert_eq!(got.status, if taken { 200 } else { 401 }, "{kind:?} {reference:?}");
            if taken {
                assert_eq!(got.body, world.seed.index.bytes);
            }
        }
    }
}

#[test]
fn connections_are_kept_and_sessions_resume() {
    if !have(&[&programs(Kind::V2)[..], &[Program::Openssl]].concat()) {
        return;
    }
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let world = World::with(Kind::V2, Scenario::SameHost, protocol, 300).unwrap();
        let url = format!("https://{}/v2/", world.registry());
        // Two URLs in one call share a connection.
        curl(&world, Some(&world.pki.client), &url, &[&url, "-o", "/dev/null"]);
        let session = world.directory().join("session");
        openssl(&world, &[OsStr::new("-sess_out"), session.as_os_str()]);
        openssl(&world, &[OsStr::new("-sess_in"), session.as_os_str()]);
        let records = world.records().unwrap();
        let of = |index: usize| (records[index].connection, records[index].reused);
        assert_eq!(records.len(), 4, "{}", briefs(&records));
        assert_eq!((of(0), of(0).1), (of(1), false));
        assert!(!of(2).1 && of(3).1, "{protocol}: the second session is the first, resumed");
        assert_eq!(records[3].dn.as_deref(), Some("CN=buildbot-1"), "with the identity of the first");
    }
}

/// One request, read to the end, so that the tickets of TLS 1.3 are read too.
fn openssl(world: &World, arguments: &[&OsStr]) {
    let mut command = Program::Openssl.command().unwrap();
    command
        .args(["s_client", "-quiet", "-ign_eof", "-verify_return_error", "-connect"])
        .arg(world.registry().to_string());
    command.arg("-CAfile").arg(&world.pki.ca).arg("-cert").arg(&world.pki.client.cert);
    command.arg("-key").arg(&world.pki.client.key).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn dropping_a_world_ends_its_programs() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::Redirected).unwrap();
    let (addresses, directory) = ([world.registry(), world.direct, world.blob_host()], world.directory().to_path_buf());
    assert!(addresses.iter().all(|address| std::net::TcpStream::connect(address).is_ok()));
    drop(world);
    assert!(addresses.iter().all(|address| std::net::TcpStream::connect(address).is_err()));
    assert!(!directory.exists());
}
