//! What is done many times takes no memory, and what is kept takes little: counted by an allocator.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::Waker;

use regauth::{Agent, Answer, Config, Credentials, Flow, Host, Origin, Step, Time, challenge};

thread_local! {
    /// Allocations, and bytes that are live, of one thread: tests run beside each other.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(calls: usize, more: usize, less: usize) {
    CALLS.set(CALLS.get() + calls);
    LIVE.set(LIVE.get().wrapping_add(more).wrapping_sub(less));
}

// SAFETY: every call is passed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        unsafe { System.realloc(at, layout, size) }
    }
}

fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = CALLS.get();
    let result = work();
    (CALLS.get() - before, result)
}

const NOW: Time = Time(1_795_341_600_000);
const CHALLENGE: [(&str, &str); 1] =
    [("WWW-Authenticate", r#"Bearer realm="https://registry.example/token",service="registry.example""#)];

fn agent() -> Agent {
    let mut config = Config::default();
    let credentials = Credentials::Basic { user: "robot".into(), password: "p".into() };
    config.credentials(Origin::parse("https://registry.example").unwrap(), credentials);
    Agent::new(config).unwrap()
}

fn url(repository: usize) -> String {
    format!("https://registry.example/v2/team-{}/app-{repository}/manifests/1.2.3", repository % 97)
}

/// An answer as token services give it: the token twice, 1.9 kB.
fn body() -> String {
    let token = "x".repeat(900);
    format!(
        r#"{{"token":"{token}","access_token":"{token}","expires_in":300,"issued_at":"2026-11-22T10:00:00.123456789Z"}}"#
    )
}

/// Goes on until the token request goes out.
fn to_token(flow: &mut Flow, now: Time) {
    loop {
        match flow.poll(now, Waker::noop()) {
            Step::Send(out) if out.hop.is_token() => return,
            Step::Send(_) => flow.answer(now, Answer::new(401, &CHALLENGE)),
            other => panic!("{other:?}"),
        }
    }
}

fn fill(agent: &Agent, repositories: usize) {
    let body = body();
    for repository in 0..repositories {
        let mut flow = agent.request("GET", &url(repository)).unwrap();
        to_token(&mut flow, NOW);
        flow.answer(NOW, Answer::new(200, &CHALLENGE).body(body.as_bytes()));
    }
}

#[test]
fn reading_challenges_takes_no_allocation() {
    let vectors = include_str!("../../tests/vectors/common20.jsonl");
    for line in vectors.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in vector["headers"].as_array().unwrap() {
            let field = field.as_str().unwrap().as_bytes();
            let mut found = 0;
            let (calls, ()) = allocations(|| challenge::each(field, |_| found += 1, |flaw| panic!("{flaw:?}")));
            assert_eq!((calls, found), (0, 1), "{line}");
        }
    }
}

#[test]
fn a_warm_request_takes_no_allocation() {
    for repositories in [1, 10, 10_000] {
        let agent = agent();
        fill(&agent, repositories);
        let mut out = Vec::with_capacity(1024);
        for repository in [0, repositories / 2, repositories - 1] {
            let url = url(repository);
            for url in [url.clone(), format!("{url}?n=1"), url.replace("manifests/1.2.3", "tags/list")] {
                out.clear();
                let (calls, found) = allocations(|| agent.authorize(NOW, "GET", &url, &mut out));
                assert_eq!((calls, found, out.len()), (0, true, 907), "{url}");
            }
        }
    }
}

/// The header value and the token that it belongs to.
#[test]
fn a_token_answer_takes_two_allocations() {
    let agent = agent();
    fill(&agent, 1);
    let (mut now, body) = (NOW, body());
    for _ in 0..3 {
        now = now.plus_seconds(250);
        let mut out = Vec::with_capacity(1024);
        let mut flow = agent.due(now).unwrap();
        to_token(&mut flow, now);
        let answer = Answer::new(200, &CHALLENGE).body(body.as_bytes());
        let (calls, ()) = allocations(|| flow.answer(now, answer));
        assert!(calls <= 2, "{calls}");
        assert!(agent.authorize(now, "GET", &url(0), &mut out));
    }
    // The first token of a repository also takes the repository's name; the maps grow now and then.
    let mut flow = agent.request("GET", &url(1)).unwrap();
    to_token(&mut flow, now);
    let (calls, ()) = allocations(|| flow.answer(now, Answer::new(200, &CHALLENGE).body(body.as_bytes())));
    assert!(calls <= 3, "{calls}");
}

/// 900 bytes of token and 7 of scheme are the most of it.
#[test]
fn a_cached_token_takes_little_memory() {
    // A thread may give back what another one took, so only differences mean something.
    let before = LIVE.get();
    let since = |before: usize| LIVE.get().wrapping_sub(before);
    let agent = agent();
    let idle = since(before);
    fill(&agent, 10_000);
    let token = since(before) / 10_000;
    let filled = LIVE.get();
    let mut flow = agent.request("GET", "https://registry.example/v2/new/app/manifests/1.2.3").unwrap();
    to_token(&mut flow, NOW);
    let pending = since(filled) + size_of::<Flow>();
    drop((agent, flow));
    let left = since(before);
    let said =
        format!("idle agent {idle} B, cached token {token} B, flow at its token request {pending} B, left {left} B");
    assert!(idle <= 2048 && token <= 1250 && pending <= 4096 && left == 0, "{said}");
}

/// Clients of a proxy choose the names of repositories.
#[test]
fn refusals_of_many_repositories_are_forgotten() {
    let agent = agent();
    let refuse = |from: usize| {
        for repository in from..from + 5_000 {
            let now = NOW.plus_seconds(repository as u64);
            let mut flow = agent.request("GET", &url(repository)).unwrap();
            to_token(&mut flow, now);
            flow.answer(now, Answer::new(403, &CHALLENGE));
            let step = flow.poll(now, Waker::noop());
            assert!(matches!(step, Step::Failed(_)), "{step:?}");
        }
    };
    refuse(0);
    let before = LIVE.get();
    refuse(5_000);
    let more = LIVE.get().wrapping_sub(before).cast_signed();
    assert!(more < 64 * 1024, "{more} bytes more are live");
}

/// Servers name as many hosts as they like: those without an entry of their own share one profile.
#[test]
fn hosts_that_servers_name_take_no_profiles() {
    let mut config = Config::default();
    config.default_host(Host::default());
    let agent = Agent::new(config).unwrap();
    let mut profiles = std::collections::HashSet::new();
    for number in 0..100 {
        let mut flow = agent.request("GET", &url(0)).unwrap();
        assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Send(_)));
        let location = [("Location", format!("https://blobs-{number}.example/x"))];
        flow.answer(NOW, Answer::new(307, &location));
        let Step::Send(out) = flow.poll(NOW, Waker::noop()) else { panic!("no redirect") };
        profiles.insert(out.tls);
    }
    assert_eq!(profiles.len(), 1);
}

/// A registry that names another service with each challenge gets a token for each, and memory for a number of them.
#[test]
fn challenges_that_never_repeat_take_no_more_memory() {
    let agent = agent();
    let ask = |number: usize| {
        let challenge = format!(
            r#"Bearer realm="https://registry.example/token",service="{number}",error="insufficient_scope",scope="aws""#
        );
        let mut flow = agent.request("GET", &url(0)).unwrap();
        let mut challenged = false;
        while flow.status().is_none() {
            let Step::Send(out) = flow.poll(NOW, Waker::noop()) else { panic!("no request") };
            if out.hop.is_token() {
                flow.answer(NOW, Answer::new(200, &CHALLENGE).body(br#"{"token":"t","expires_in":300}"#));
            } else {
                let status = if challenged { 200 } else { 401 };
                challenged = true;
                flow.answer(NOW, Answer::new(status, &[("WWW-Authenticate", &challenge)]));
            }
        }
    };
    (0..1000).for_each(ask);
    let before = LIVE.get();
    (1000..3000).for_each(ask);
    let more = LIVE.get().saturating_sub(before);
    assert!(more < 10_000, "{more} bytes");
}
