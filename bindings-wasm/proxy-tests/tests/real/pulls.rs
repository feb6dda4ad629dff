use std::thread;
use std::time::{Duration, Instant};

use regauth_proxy_tests::client::{self, get, send};
use regauth_proxy_tests::envoy::Setup;
use regauth_servers::Manner;

use crate::support::{MANIFEST, counted, manifest, no_secrets, no_traps, start, token_requests};

/// Cold: a 401, a token, the answer. Warm: the answer. The certificate is shown on both hosts, no challenge leaves, and
/// what a client sends as its own credentials does not go anywhere.
#[test]
fn cold_and_warm() {
    let setup = Setup { workers: 1, ..Setup::default() };
    let Some((world, envoy)) = start(&setup) else { return };
    let answer = manifest(&world, envoy.address);
    assert_eq!((answer.status, &answer.body), (200, &world.seed.image.manifest.bytes));
    let cold = world.records().unwrap();
    let brief: Vec<_> = cold.iter().map(|record| (record.is_token(), record.status, record.authz.as_deref())).collect();
    assert_eq!(brief, [(false, 401, None), (true, 200, None), (false, 200, Some("Bearer"))]);
    assert!(cold.iter().all(|record| record.dn.as_deref() == Some("CN=buildbot-1")), "{cold:?}");

    let path = format!("/v2/{}/manifests/one", world.seed.repository);
    let fields = format!("Accept: {MANIFEST}\r\nAuthorization: Basic cm9ib3Q6czNjcmV0\r\n");
    let answer = send(envoy.address, "GET", &path, fields.as_bytes(), b"").unwrap();
    assert_eq!(answer.status, 200);
    let warm = world.records().unwrap().split_off(cold.len());
    assert_eq!(warm.len(), 1);
    assert_eq!(warm[0].authz.as_deref(), Some("Bearer"));

    // Another repository is another token, and its 401 is no stranger's business.
    let answer = get(envoy.address, "/v2/other/app/manifests/one").unwrap();
    assert_eq!((answer.status, answer.field("www-authenticate")), (404, None));
    no_traps(&envoy);
    no_secrets(&envoy);
    assert_eq!((counted(&envoy, "regauth.token_calls", 2), counted(&envoy, "regauth.cache_hits", 1)), (2, 1));
}

/// Before the router there is no second attempt: the challenge is asked for, the token is there before the request.
#[test]
fn before_the_router() {
    let setup = Setup { downstream: true, workers: 1, ..Setup::default() };
    let Some((world, envoy)) = start(&setup) else { return };
    for _ in 0..2 {
        assert_eq!(manifest(&world, envoy.address).status, 200);
    }
    let seen: Vec<_> = world.records().unwrap().iter().map(|r| (r.target.len() > 4, r.status)).collect();
    assert_eq!(seen, [(false, 401), (true, 200), (true, 200), (true, 200)], "a probe, a token, two requests");
    no_traps(&envoy);
}

/// Sixty at once, cold, over four workers: one token request.
#[test]
fn sixty_at_once() {
    for downstream in [false, true] {
        let Some((world, envoy)) = start(&Setup { downstream, ..Setup::default() }) else { return };
        world.behave(Manner::Slow(300));
        let statuses: Vec<u16> = thread::scope(|scope| {
            let all: Vec<_> = (0..60).map(|_| scope.spawn(|| manifest(&world, envoy.address).status)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        println!("token requests for 60 cold parallel requests, 4 workers: {}", token_requests(&world));
        assert_eq!(token_requests(&world), 1, "downstream: {downstream}");
        no_traps(&envoy);
    }
}

/// With Envoy's default of three retries at one time most of them get an answer without a challenge, and no more.
#[test]
fn three_retries_are_not_enough() {
    let edits = vec![("circuit_breakers: {thresholds: [{max_retries: 10000}]}", "circuit_breakers: {}".into())];
    let Some((world, envoy)) = start(&Setup { edits, ..Setup::default() }) else { return };
    world.behave(Manner::Slow(300));
    let answers: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..20).map(|_| scope.spawn(|| manifest(&world, envoy.address))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let lost: Vec<_> = answers.iter().filter(|answer| answer.status == 401).collect();
    assert!(!lost.is_empty());
    assert!(lost.iter().all(|answer| answer.field("www-authenticate").is_none()));
}

/// A push begins with a body before anything is known: the challenge is asked for first, and the body goes once.
#[test]
fn a_large_push_and_a_pull_of_it() {
    let Some((world, envoy)) = start(&Setup { workers: 1, ..Setup::default() }) else { return };
    let file = world.directory().join("large");
    std::fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    // Of a gibibyte of zeros.
    let digest = "sha256:49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";
    let began =
        send(envoy.address, "POST", &format!("/v2/{}/blobs/uploads/", world.seed.repository), b"", b"").unwrap();
    assert_eq!(began.status, 202, "{}", began.text());
    let location = began.field("location").unwrap();
    assert!(location.starts_with("/v2/"), "{location}");
    let memory = resident(envoy.id());
    let url = format!("http://{}{location}&digest={digest}", envoy.address);
    assert_eq!(curl(&["-T", &file.display().to_string(), &url]), "201");
    let blob = format!("http://{}/v2/{}/blobs/{digest}", envoy.address, world.seed.repository);
    assert_eq!(curl(&[&blob, "-w", "%{http_code} %{size_download}"]), "200 1073741824");
    let grown = resident(envoy.id()).saturating_sub(memory);
    println!("resident memory of Envoy after 1 GiB up and 1 GiB down: +{grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB");
    assert_eq!(token_requests(&world), 1);

    // The same with nothing known: another Envoy, whose first request is 8 MiB long.
    let second = regauth_proxy_tests::envoy::Envoy::start(&world, &Setup { workers: 1, ..Setup::default() }).unwrap();
    let began =
        send(envoy.address, "POST", &format!("/v2/{}/blobs/uploads/", world.seed.repository), b"", b"").unwrap();
    std::fs::File::create(&file).unwrap().set_len(8 << 20).unwrap();
    let digest = "sha256:2daeb1f36095b44b318410b3f4e8b5d989dcc7bb023d1426c492dab0a3053e74";
    let url = format!("http://{}{}&digest={digest}", second.address, began.field("location").unwrap());
    assert_eq!(curl(&["-T", &file.display().to_string(), &url]), "201");
    no_traps(&envoy);
    no_traps(&second);
}

/// The registry does not take its own tokens any more: the request is sent again with a new one, and the client waits.
#[test]
fn revoked_tokens() {
    let Some((mut world, envoy)) = start(&Setup { workers: 1, ..Setup::default() }) else { return };
    assert_eq!(manifest(&world, envoy.address).status, 200);
    // Beyond the five seconds in which a refusal is taken for clocks that differ.
    thread::sleep(Duration::from_millis(5_100));
    world.revoke().unwrap();
    let before = world.records().unwrap().len();
    let answer = manifest(&world, envoy.address);
    assert_eq!((answer.status, answer.field("www-authenticate")), (200, None));
    let seen: Vec<_> = world.records().unwrap().split_off(before).iter().map(|r| (r.is_token(), r.status)).collect();
    assert_eq!(seen, [(false, 401), (true, 200), (false, 200)]);
    no_traps(&envoy);
}

/// The client that a token is fetched for goes away: those who wait for the same token get it, and it is fetched once.
#[test]
fn a_client_that_goes() {
    let Some((world, envoy)) = start(&Setup::default()) else { return };
    world.behave(Manner::Slow(1_000));
    let path = format!("/v2/{}/manifests/one", world.seed.repository);
    let fields = format!("Accept: {MANIFEST}\r\n");
    let first = client::begin(envoy.address, "GET", &path, fields.as_bytes(), b"").unwrap();
    while world.token_counts().requests == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let rest: Vec<_> =
        (0..4).map(|_| client::begin(envoy.address, "GET", &path, fields.as_bytes(), b"").unwrap()).collect();
    drop(first);
    let began = Instant::now();
    for one in rest {
        assert_eq!(client::read(one).unwrap().status, 200);
    }
    assert_eq!(token_requests(&world), 1);
    println!("served {} ms after the first client went", began.elapsed().as_millis());
    no_traps(&envoy);
}

/// The certificate is replaced by file: new connections show it, to the registry and to the token endpoint, and nothing is
/// restarted.
#[test]
fn rotation() {
    let edits =
        vec![("    connect_timeout: 5s\n", "    connect_timeout: 5s\n    max_requests_per_connection: 1\n".into())];
    let Some((world, envoy)) = start(&Setup { edits, workers: 1, ..Setup::default() }) else { return };
    assert_eq!(manifest(&world, envoy.address).status, 200);
    envoy.rotate(&world.pki.token_client).unwrap();
    let seen = || world.records().unwrap().last().unwrap().dn.clone().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while seen() != "CN=token-bot" {
        assert!(Instant::now() < end, "still {}", seen());
        assert_eq!(manifest(&world, envoy.address).status, 200);
    }
    // What nobody has asked for yet needs another token.
    let before = world.records().unwrap().len();
    assert_eq!(get(envoy.address, "/v2/other/app/manifests/one").unwrap().status, 404);
    let fresh = world.records().unwrap().split_off(before);
    assert!(fresh.iter().any(|record| record.is_token() && record.status == 200));
    assert!(fresh.iter().all(|record| record.dn.as_deref() == Some("CN=token-bot")), "{fresh:?}");
    no_traps(&envoy);
}

/// What Envoy has in memory, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What curl says of a transfer: the status, where it is not told otherwise.
fn curl(arguments: &[&str]) -> String {
    let mut command = regauth_servers::Program::Curl.command().unwrap();
    command.args(["-s", "-o", "/dev/null", "-m", "300", "-w", "%{http_code}"]).args(arguments);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}
