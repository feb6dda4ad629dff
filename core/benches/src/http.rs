//! Layer a: challenges, the warm path, token answers, waiters, memory.

use std::hint::black_box;
use std::task::Waker;

use regauth::{Agent, Answer, Config, Credentials, Flow, Origin, Step, Time, challenge};

use crate::go::Go;
use crate::meter::{Cost, Watch, cost, live};
use crate::table::{Group, other, ours};

const NOW: Time = Time(1_795_341_600_000);
const CHALLENGE: [(&str, &str); 1] =
    [("WWW-Authenticate", r#"Bearer realm="https://registry.example/token",service="registry.example""#)];

pub(crate) const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/common20.jsonl");

fn headers() -> Vec<String> {
    let text = std::fs::read_to_string(VECTORS).expect("the vectors");
    let header = |line: &str| {
        let vector: serde_json::Value = serde_json::from_str(line).expect("a vector");
        vector["headers"][0].as_str().expect("a header").to_string()
    };
    text.lines().map(header).collect()
}

pub(crate) fn challenges(go: &Go) {
    let headers = headers();
    let each = |cost: Cost| Cost {
        figure: cost.figure / headers.len() as f64,
        allocations: cost.allocations / headers.len() as f64,
    };
    let refused = headers.iter().filter(|header| http_auth::parse_challenges(header).is_err()).count();
    let mut entries = vec![
        ours("regauth", || {
            each(cost(10_000, || {
                for header in &headers {
                    challenge::each(black_box(header.as_bytes()), |one| _ = black_box(one), |flaw| _ = black_box(flaw));
                }
            }))
        }),
        other(format!("http-auth (refuses {refused} of 20)"), || {
            each(cost(1_500, || {
                for header in &headers {
                    _ = black_box(http_auth::parse_challenges(black_box(header)));
                }
            }))
        }),
    ];
    entries.extend(go.entries(&[("containerd ParseAuthHeader", "challenge containerd 1500")]));
    Group {
        title: "challenge, 20 headers of real registries",
        unit: "ns a header",
        goal: "<= 95, 0 allocations",
        entries,
    }
    .print();
}

fn agent() -> Agent {
    let mut config = Config::default();
    let credentials = Credentials::Basic { user: "robot".into(), password: "p".into() };
    config.credentials(Origin::parse("https://registry.example").expect("an origin"), credentials);
    Agent::new(config).expect("an agent")
}

fn url(repository: usize) -> String {
    let digest = "0123456789abcdef".repeat(4);
    format!("https://registry.example/v2/team-{}/app-{repository:05}/blobs/sha256:{digest}", repository % 97)
}

/// A token answer of 1.9 kB: the token twice, as Docker Hub and others write it.
fn body() -> String {
    let token = "x".repeat(900);
    format!(r#"{{"token":"{token}","access_token":"{token}","expires_in":300,"issued_at":"2026-11-22T10:00:00Z"}}"#)
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

fn filled(repositories: usize) -> Agent {
    let (agent, body) = (agent(), body());
    for repository in 0..repositories {
        let mut flow = agent.request("GET", &url(repository)).expect("a flow");
        to_token(&mut flow, NOW);
        flow.answer(NOW, Answer::new(200, &CHALLENGE).body(body.as_bytes()));
    }
    agent
}

pub(crate) fn authorize(go: &Go) {
    let (small, large) = (filled(10), filled(10_000));
    let urls: Vec<String> = (0..10_000).map(url).collect();
    let run = |agent: &Agent, used: usize| {
        let mut out = Vec::with_capacity(1024);
        let mut urls = urls.iter().take(used).cycle();
        cost(100_000, || {
            out.clear();
            let url = urls.next().map(String::as_str).unwrap_or_default();
            assert!(agent.authorize(NOW, black_box("GET"), black_box(url), &mut out));
            black_box(&out);
        })
    };
    let mut entries = vec![
        ours("regauth, 10 repositories cached", || run(&small, 10)),
        other("regauth, 10,000 cached, the same 10 asked for", || run(&large, 10)),
        other("regauth, 10,000 cached, each asked for in turn", || run(&large, 10_000)),
    ];
    entries.extend(go.entries(&[
        ("containerd Authorize (URL parsed before)", "authorize containerd 10000"),
        ("go-containerregistry RoundTrip, less the bare one", "authorize ggcr 10000"),
        ("oras-go Client.Do, less the bare one", "authorize oras 10000"),
    ]));
    let goal = "<= 80, 0 allocations; 10,000 cached <= 1.3 of 10";
    Group { title: "warm authorise, text in, header value of 907 bytes out", unit: "ns", goal, entries }.print();
}

pub(crate) fn answers(go: &Go) {
    let body = body();
    // Cold: the first token of a repository. Renewed: in the place of an older one.
    let run = |agent: &Agent, flows: &mut Vec<Flow>, now: Time| {
        flows.iter_mut().for_each(|flow| to_token(flow, now));
        let mut watch = Watch::default();
        watch.time(|| {
            for flow in flows.iter_mut() {
                flow.answer(now, Answer::new(200, &CHALLENGE).body(black_box(body.as_bytes())));
            }
        });
        assert!(agent.authorize(now, "GET", &url(0), &mut Vec::new()));
        watch.cost(flows.len())
    };
    let renewed = || {
        let agent = filled(32);
        let now = NOW.plus_seconds(250);
        let mut flows: Vec<Flow> = std::iter::from_fn(|| {
            let mut flow = agent.due(now)?;
            to_token(&mut flow, now);
            Some(flow)
        })
        .collect();
        assert_eq!(flows.len(), 32);
        run(&agent, &mut flows, now)
    };
    let cold = || {
        let agent = agent();
        let mut flows: Vec<Flow> = (0..32).map(|n| agent.request("GET", &url(n)).expect("a flow")).collect();
        run(&agent, &mut flows, NOW)
    };
    let mean = |run: &dyn Fn() -> Cost| {
        let costs: Vec<Cost> = (0..50).map(|_| run()).collect();
        let each = |of: fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / costs.len() as f64;
        Cost { figure: each(|cost| cost.figure), allocations: each(|cost| cost.allocations) }
    };
    let read = || cost(3_000, || _ = black_box(regauth::client::token::read("GET", 200, black_box(body.as_bytes()))));
    let mut entries = vec![
        ours("regauth, to the cached token, a renewal", move || mean(&renewed)),
        other("regauth, to the cached token, a new repository", move || mean(&cold)),
        other("regauth, token::read alone", read),
    ];
    entries.extend(go.entries(&[("Go encoding/json into containerd's answer, alone", "answer json 1500")]));
    Group { title: "token answer of 1.9 kB", unit: "ns", goal: "<= 700, <= 2 allocations", entries }.print();
}

pub(crate) fn memory(go: &Go) {
    let heap = || {
        let before = live();
        let agent = filled(10_000);
        let figure = (live() - before) as f64 / 10_000.0;
        drop(agent);
        Cost { figure, allocations: 0.0 }
    };
    let mut entries = vec![ours("regauth", heap)];
    entries.extend(go.entries(&[("containerd", "heap containerd 10000"), ("oras-go cache", "heap oras 10000")]));
    Group { title: "live heap, 10,000 cached tokens of 900 bytes", unit: "bytes a token", goal: "", entries }.print();
}

pub(crate) fn waiters(go: &Go) {
    let requests = || {
        let agent = filled(0);
        let mut flows: Vec<Flow> = (0..10_000).map(|_| agent.request("GET", &url(0)).expect("a flow")).collect();
        for flow in &mut flows {
            _ = flow.poll(NOW, Waker::noop());
        }
        flows.iter_mut().for_each(|flow| flow.answer(NOW, Answer::new(401, &CHALLENGE)));
        let sends = flows.iter_mut().map(asks).filter(|asks| *asks).count();
        Cost { figure: sends as f64, allocations: 0.0 }
    };
    let mut entries = vec![ours("regauth", requests)];
    entries.extend(go.entries(&[("containerd", "waiters containerd 10000"), ("oras-go", "waiters oras 10000")]));
    let title = "10,000 requests at once that need one token";
    Group { title, unit: "token requests", goal: "1", entries }.print();

    let cold = |repositories: usize| {
        let body = body();
        let agent = agent();
        let mut tokens = 0;
        let spent = cost(1, || {
            for repository in 0..repositories {
                let mut flow = agent.request("GET", &url(repository)).expect("a flow");
                to_token(&mut flow, NOW);
                tokens += 1;
                flow.answer(NOW, Answer::new(200, &CHALLENGE).body(body.as_bytes()));
                while let Step::Send(_) = flow.poll(NOW, Waker::noop()) {
                    flow.answer(NOW, Answer::new(200, &CHALLENGE));
                }
            }
        });
        assert_eq!(tokens, repositories);
        let each = |sum: f64| sum / repositories as f64;
        Cost { figure: each(spent.figure), allocations: each(spent.allocations) }
    };
    let entries = vec![
        ours("regauth, 100 repositories, 100 token requests", move || cold(100)),
        other("regauth, 10,000 repositories", move || cold(10_000)),
    ];
    Group { title: "a cold flow: challenge, token, answer", unit: "ns", goal: "", entries }.print();
}

fn asks(flow: &mut Flow) -> bool {
    matches!(flow.poll(NOW, Waker::noop()), Step::Send(out) if out.hop.is_token())
}
