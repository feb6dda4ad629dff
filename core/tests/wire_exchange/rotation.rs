//! New certificates and passwords while a thousand requests are under way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Waker;
use std::thread;

use regauth::tls::{Identity, Shown};
use regauth::wire::{Do, Exchange};
use regauth::{Agent, Config, Credentials, Dial, Host};

use super::socket::{Handler, Socket, reply, sized};
use super::world::{NOW, REG, WORLD, origin};

/// Requests that are under way when the configuration is replaced, one a thread.
const FLOWS: usize = 1000;
/// Requests that begin after that.
const LATE: usize = 100;
/// The fewest steps of one exchange: each request is paused before one of them, and so is under way.
const STEPS: usize = 7;

const OLD: &str = "Basic cm9ib3Q6b2xk";
const NEW: &str = "Basic cm9ib3Q6bmV3";

fn config(identity: &Identity, password: &str) -> Config {
    let mut config = Config::default();
    config.roots(WORLD.roots.clone());
    let mut host = Host::default();
    host.identities = vec![identity.clone()];
    config.host(origin(REG), host);
    config.credentials(origin(REG), Credentials::Basic { user: "robot".into(), password: password.into() });
    config
}

/// What all threads see.
#[derive(Default)]
struct Shared {
    replaced: AtomicBool,
    /// Connections made before and after the replacement.
    connections: [AtomicUsize; 2],
    /// Token requests with the old password and with the new one.
    tokens: [AtomicUsize; 2],
}

/// A registry and its token service at the other end of one connection. `seen` gets every Authorization.
fn server(shared: &Arc<Shared>, after: bool, seen: &Arc<Mutex<Vec<String>>>) -> Handler {
    let (shared, seen) = (Arc::clone(shared), Arc::clone(seen));
    Box::new(move |request| {
        let identities = [&WORLD.identity, &WORLD.second].map(|identity| Some(identity.fingerprint()));
        assert!(identities.contains(&request.fingerprint));
        assert!(!after || request.fingerprint == identities[1], "an old identity on a new connection");
        let authorization = request.field("authorization");
        seen.lock().unwrap().extend(authorization.map(str::to_string));
        let token = |which: usize, name: &str| {
            shared.tokens[which].fetch_add(1, Ordering::SeqCst);
            sized(200, "", &format!("{{\"token\": \"{name}\", \"expires_in\": 3600}}"))
        };
        reply(match (request.target.starts_with("/token"), authorization) {
            (true, Some(OLD)) => token(0, "old"),
            (true, Some(NEW)) => token(1, "new"),
            (false, Some("Bearer old" | "Bearer new")) => sized(200, "", "blob"),
            (false, None) => sized(401, "WWW-Authenticate: Bearer realm=\"/token\",service=s\r\n", ""),
            other => panic!("{other:?}"),
        })
    })
}

/// One request from begin to end, and every Authorization that it sent. `pause` is called once, before step `at`; as the
/// configuration may be replaced meanwhile, a pause before the answer to `Connect` is a connection that takes long.
fn run(agent: &Agent, shared: &Arc<Shared>, repository: &str, at: usize, pause: &dyn Fn()) -> Vec<String> {
    let url = format!("{REG}/v2/{repository}/manifests/1");
    let mut exchange = Exchange::new(agent, agent.request("GET", &url).unwrap());
    let seen = Arc::default();
    let mut socket: Option<(Socket, Handler)> = None;
    let (mut step, mut status) = (0, None);
    loop {
        match exchange.poll(NOW, Waker::noop()) {
            Do::Wait { .. } => {}
            Do::Done => break,
            _ if step == at => {}
            Do::Connect(target) => {
                let name = target.origin.to_string();
                exchange.dial(Dial::Ip([198, 51, 100, 7].into())).unwrap();
                let after = shared.replaced.load(Ordering::SeqCst);
                shared.connections[usize::from(after)].fetch_add(1, Ordering::SeqCst);
                socket = Some((Socket::new(name, Some(&WORLD.lenient), 0), server(shared, after, &seen)));
                exchange.connected(NOW, None);
            }
            Do::Write(bytes) => {
                let (socket, handler) = socket.as_mut().unwrap();
                let n = bytes.len();
                socket.write(bytes).unwrap();
                exchange.wrote(n);
                socket.serve(handler, &mut Vec::new());
            }
            Do::Read => {
                let n = socket.as_mut().unwrap().0.read(exchange.space(), usize::MAX).unwrap();
                exchange.filled(n);
            }
            Do::Head(head) => {
                status = Some(head.status());
                exchange.took_head();
            }
            Do::Body(content) => {
                assert_eq!(content, b"blob");
                exchange.took(4);
            }
            Do::Close => {
                socket = None;
                exchange.closed();
            }
            other => panic!("{other:?}"),
        }
        if step == at {
            pause();
        }
        step += 1;
        thread::yield_now();
    }
    assert!(step > at || at == usize::MAX, "over after {step} steps, before the replacement");
    assert_eq!(status, Some(200));
    for sent in exchange.sent() {
        let Shown::Pair { label, .. } = &sent.evidence.as_ref().unwrap().shown else { panic!("{sent:?}") };
        assert_eq!(Some(label), sent.identity.as_ref());
    }
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures are worth seeing")]
fn a_thousand_requests_survive_a_replacement() {
    let agent = Agent::new(config(&WORLD.identity, "old")).unwrap();
    let shared = Arc::new(Shared::default());
    let (begun, replaced) = (Barrier::new(FLOWS + 1), Barrier::new(FLOWS + 1));
    let pause = || {
        begun.wait();
        replaced.wait();
    };
    let torn = Mutex::new(Vec::new());
    let check = |number: usize, sent: Vec<String>, allowed: &[&str]| {
        if !sent.iter().all(|value| allowed.contains(&value.as_str())) {
            torn.lock().unwrap().push((number, sent));
        }
    };
    check(0, run(&agent, &shared, "app", usize::MAX, &|| ()), &[OLD, "Bearer old"]);
    thread::scope(|scope| {
        for number in 0..FLOWS {
            let (agent, shared, pause, check) = (&agent, &shared, &pause, &check);
            // A third waits for the token of another repository, which one of them fetches.
            let repository = if number % 3 == 0 { "other" } else { "app" };
            let run = move || run(agent, shared, repository, number % STEPS, pause);
            let work = move || check(number, run(), &[OLD, "Bearer old"]);
            thread::Builder::new().stack_size(1 << 20).spawn_scoped(scope, work).unwrap();
        }
        begun.wait();
        agent.replace(config(&WORLD.second, "new")).unwrap();
        shared.replaced.store(true, Ordering::SeqCst);
        replaced.wait();
        for number in FLOWS..FLOWS + LATE {
            let (agent, shared, check) = (&agent, &shared, &check);
            scope.spawn(move || check(number, run(agent, shared, "app", usize::MAX, &|| ()), &[NEW, "Bearer new"]));
        }
    });
    let count = |of: &[AtomicUsize; 2]| [of[0].load(Ordering::SeqCst), of[1].load(Ordering::SeqCst)];
    let (connections, tokens) = (count(&shared.connections), count(&shared.tokens));
    println!(
        "{FLOWS} in flight, {LATE} after: connections before and after {connections:?}, token requests {tokens:?}"
    );
    assert_eq!(torn.into_inner().unwrap(), []);
    // Every request has one configuration to its end, and each token is fetched once for all.
    assert_eq!(tokens, [2, 1]);
    assert!(connections.iter().all(|count| *count > LATE), "{connections:?}");
}
