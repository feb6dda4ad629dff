//! What pulls and pushes cost in round trips, connections and requests, counted on a simulated network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test

mod net;
mod server;

use net::{Http, Net, RTT, Random, Traffic};
use regauth::{Agent, Config, Credentials, Identity, Origin, Time};
use regauth::{Host, Pair, PairKind};
use server::{Seen, Server};

const REGISTRY: &str = "registry.example";
/// The token service on the registry's host, and on another.
const SAME: &str = "https://registry.example/token";
const OTHER: &str = "https://auth.example/token";

fn agent() -> Agent {
    let registry = Origin::parse("https://registry.example").unwrap();
    let mut host = Host::default();
    host.identities.push(Identity::named("builder", [7; 32]));
    let mut config = Config::default();
    config.host(registry.clone(), host);
    config.pair(Pair::new(registry.clone(), PairKind::Token, Origin::parse(OTHER).unwrap()).identity(true));
    config.credentials(registry, Credentials::Basic { user: "u".into(), password: "p".into() });
    Agent::new(config).unwrap()
}

fn net(realm: &str, http: Http) -> Net {
    Net::new(Server::new(REGISTRY, realm), http)
}

/// What was counted since the last time.
#[derive(Debug, PartialEq)]
struct Cost {
    round_trips: f64,
    seen: Seen,
    traffic: Traffic,
}

/// Does something on the net, to its end, and says what it cost.
fn cost(net: &mut Net, work: impl FnOnce(&mut Net)) -> Cost {
    let start = net.now;
    net.server.seen = Seen::default();
    net.traffic = Traffic::default();
    net.statuses.clear();
    work(net);
    net.run();
    assert!(net.statuses.iter().all(|status| matches!(status, 200 | 201)), "{:?}", net.statuses);
    #[allow(clippy::cast_precision_loss)] // small
    let round_trips = net.now.since(start) as f64 / RTT as f64;
    Cost { round_trips, seen: net.server.seen.clone(), traffic: net.traffic }
}

/// A manifest, and then its configuration and nine layers at once.
fn pull(net: &mut Net, agent: &Agent, repository: &str) {
    net.start(agent, "GET", &format!("/v2/{repository}/manifests/1"));
    net.run();
    blobs(net, agent, repository);
}

fn blobs(net: &mut Net, agent: &Agent, repository: &str) {
    for blob in 0..10 {
        net.start(agent, "GET", &format!("/v2/{repository}/blobs/sha256:{blob:064}"));
    }
    net.run();
}

fn seen(requests: usize, refused: usize, tokens: &[usize]) -> Seen {
    Seen { requests, refused, mounted: 0, tokens: tokens.to_vec() }
}

const fn traffic(full: usize, resumed: usize) -> Traffic {
    Traffic { connections: full + resumed, full, resumed }
}

#[test]
fn s1_a_cold_pull_with_the_token_service_on_the_same_host() {
    let (agent, mut net) = (agent(), net(SAME, Http::Two));
    let first = cost(&mut net, |net| pull(net, &agent, "app"));
    assert_eq!(first, Cost { round_trips: 6.0, seen: seen(13, 1, &[1]), traffic: traffic(1, 0) });
    net.hang_up();
    let remembered = cost(&mut net, |net| pull(net, &agent, "other"));
    assert_eq!(remembered, Cost { round_trips: 5.0, seen: seen(12, 0, &[1]), traffic: traffic(0, 1) });
}

/// One connection for each blob, and all but the first one resumed.
#[test]
fn s1_with_http_1() {
    let (agent, mut net) = (agent(), net(SAME, Http::One));
    let first = cost(&mut net, |net| pull(net, &agent, "app"));
    assert_eq!(first, Cost { round_trips: 8.0, seen: seen(13, 1, &[1]), traffic: traffic(1, 9) });
}

/// The registry is connected to while the token request is under way.
#[test]
fn s2_the_token_service_on_another_host() {
    let (agent, mut net) = (agent(), net(OTHER, Http::Two));
    let first = cost(&mut net, |net| pull(net, &agent, "app"));
    assert_eq!(first, Cost { round_trips: 8.0, seen: seen(13, 1, &[1]), traffic: traffic(2, 0) });
    net.hang_up();
    let remembered = cost(&mut net, |net| pull(net, &agent, "other"));
    assert_eq!(remembered, Cost { round_trips: 5.0, seen: seen(12, 0, &[1]), traffic: traffic(0, 2) });
}

#[test]
fn s3_a_warm_repeat() {
    let (agent, mut net) = (agent(), net(OTHER, Http::Two));
    pull(&mut net, &agent, "app");
    let warm = cost(&mut net, |net| pull(net, &agent, "app"));
    assert_eq!(warm, Cost { round_trips: 2.0, seen: seen(11, 0, &[]), traffic: traffic(0, 0) });
}

/// The first request to an unknown registry goes alone up to its first answer; then its challenge is known to all.
#[test]
fn s4_a_push_of_ten_mounted_blobs() {
    let (agent, mut net) = (agent(), net(SAME, Http::Two));
    let push = cost(&mut net, |net| {
        let mount = |blob| format!("/v2/new/blobs/uploads/?mount=sha256:{blob:064}&from=base");
        let first = net.start(&agent, "POST", &mount(0));
        net.run_to_answer(first);
        for blob in 1..10 {
            net.start(&agent, "POST", &mount(blob));
        }
        net.run();
        net.start(&agent, "PUT", "/v2/new/manifests/1");
    });
    let seen = Seen { mounted: 10, ..seen(13, 1, &[2]) };
    assert_eq!(push, Cost { round_trips: 6.0, seen, traffic: traffic(1, 0) });
}

/// Every token request names the one repository it is for.
#[test]
fn s5_many_repositories_of_one_registry() {
    for repositories in [100, 10_000] {
        let (agent, mut net) = (agent(), net(SAME, Http::Two));
        net.server.life = |_| 86_400;
        let pulls = cost(&mut net, |net| {
            for number in 0..repositories {
                pull(net, &agent, &format!("team/app-{number}"));
            }
        });
        assert_eq!(pulls.seen, seen(12 * repositories + 1, 1, &vec![1; repositories]));
        assert_eq!(pulls.traffic, traffic(1, 0));
    }
}

#[test]
fn s6a_a_token_that_ran_out_by_the_clock_is_never_sent() {
    let (agent, mut net) = (agent(), net(SAME, Http::Two));
    pull(&mut net, &agent, "app");
    net.run_to(net.now.plus_seconds(301));
    let late = cost(&mut net, |net| blobs(net, &agent, "app"));
    assert_eq!(late, Cost { round_trips: 2.0, seen: seen(11, 0, &[1]), traffic: traffic(0, 0) });
}

/// The server revokes a token while ten requests are under way with it: whatever the order, one token request.
#[test]
fn s6b_a_token_that_is_revoked_early() {
    let mut most = 0;
    for seed in 0..1_000 {
        let (agent, mut net) = (agent(), net(if seed % 2 == 0 { SAME } else { OTHER }, Http::Two));
        net.random = Some(Random(seed));
        pull(&mut net, &agent, "app");
        net.run_to(net.now.plus_seconds(100));
        let revoked = cost(&mut net, |net| {
            for blob in 0..10 {
                net.start(&agent, "GET", &format!("/v2/app/blobs/sha256:{blob:064}"));
            }
            // Before the first one arrives, or after some did.
            let millis = net.random.as_mut().map_or(0, |random| random.below(RTT));
            net.run_to(net.now.plus_millis(millis));
            net.server.revoke();
        });
        assert_eq!(revoked.seen.tokens, [1], "seed {seed}");
        assert!((1..=10).contains(&revoked.seen.refused), "seed {seed}: {:?}", revoked.seen);
        assert_eq!(revoked.seen.requests, 10 + 1 + revoked.seen.refused, "seed {seed}");
        most = most.max(revoked.seen.refused);
    }
    assert_eq!(most, 10, "that all ten were refused has happened, too");
}

/// With a task that serves `due` once a second, an hour of 1,000 requests a second: the warm path always has a token,
/// so that no request ever waits for one. Half of the tokens live for a minute, the others for five.
#[test]
fn no_request_waits_for_a_renewal() {
    let (agent, mut net) = (agent(), net(OTHER, Http::Two));
    net.server.life = |scope| if scope.contains(":short") { 60 } else { 300 };
    let repositories = ["short/a", "short/b", "short/c", "short/d", "long/a", "long/b", "long/c", "long/d"];
    repositories.iter().for_each(|repository| pull(&mut net, &agent, repository));
    let urls = repositories.map(|repository| format!("https://{REGISTRY}/v2/{repository}/manifests/1"));
    net.server.seen = Seen::default();
    let start = net.now;
    let mut out = Vec::with_capacity(100);
    for millis in 0..3_600_000_u64 {
        let now: Time = start.plus_millis(millis);
        net.run_to(now);
        if millis % 1000 == 0 {
            while let Some(flow) = agent.due(now) {
                net.drive(flow);
            }
        }
        out.clear();
        let url = &urls[usize::try_from(millis % 8).unwrap()];
        assert!(agent.authorize(now, "GET", url, &mut out), "{url} after {millis} ms");
    }
    let renewals = net.server.seen.tokens.len();
    assert_eq!(net.server.seen, seen(renewals, 0, &vec![1; renewals]));
    // Each at four fifths of its life, and no sooner.
    let most = 4 * 3_600 / 48 + 4 * 3_600 / 240;
    assert!((most * 9 / 10..=most).contains(&renewals), "{renewals} of {most}");
}
