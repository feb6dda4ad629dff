//! The token endpoint's host refuses connections, as when its process is gone: nothing listens there.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use regauth_proxy_tests::client::{Answer, get, send};
use regauth_proxy_tests::envoy::{Envoy, Setup};
use regauth_servers::free_port;

use crate::support::{counted, is_an_error, manifest, no_secrets, no_traps, start, token_requests};

/// An address behind which the token endpoint is, byte for byte. Dropping it shuts it: no connection is left, and new ones
/// are refused.
struct Door {
    at: SocketAddr,
    shut: Arc<AtomicBool>,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    fn open(at: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let (shut, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_shut, all) = (Arc::clone(&shut), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            for near in listener.incoming() {
                if is_shut.load(Ordering::SeqCst) {
                    return;
                }
                let (near, far) = (near.unwrap(), TcpStream::connect(to).unwrap());
                for (from, into) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    thread::spawn(move || {
                        _ = io::copy(&mut from, &mut into);
                        _ = into.shutdown(Shutdown::Write);
                    });
                }
                all.lock().unwrap().extend([near, far]);
            }
        });
        Self { at, shut, ends, thread: Some(thread) }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut.store(true, Ordering::SeqCst);
        _ = TcpStream::connect(self.at); // wakes the thread
        _ = self.thread.take().map(JoinHandle::join);
        for end in self.ends.lock().unwrap().iter() {
            _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// Whatever the proxy has in memory is served; what it has not is an error that says why, soon, without a challenge; and
/// when the endpoint is there again, so are the tokens.
#[test]
fn a_token_endpoint_that_refuses_connections() {
    for downstream in [false, true] {
        let (at, edits) = elsewhere();
        let Some((world, envoy)) = start(&Setup { downstream, edits, ..Setup::default() }) else { return };
        assert_eq!(TcpStream::connect(at).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

        // Cold: many at once, and one with a body.
        let began = Instant::now();
        let mut answers: Vec<Answer> = thread::scope(|scope| {
            let all: Vec<_> = (0..12).map(|_| scope.spawn(|| manifest(&world, envoy.address))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let uploads = format!("/v2/{}/blobs/uploads/", world.seed.repository);
        answers.push(send(envoy.address, "POST", &uploads, b"", b"body").unwrap());
        println!("refused, downstream {downstream}: {} answers in {} ms", answers.len(), began.elapsed().as_millis());
        assert!(began.elapsed() < Duration::from_secs(15), "longer than wait_ms");
        println!("{}: {}", answers[0].status, answers[0].text());
        for answer in &answers {
            is_an_error(answer, 502);
        }
        let errors = counted(&envoy, "regauth.errors", answers.len() as u64);
        println!("{errors} errors, {} token calls", envoy.stat("regauth.token_calls").unwrap());
        assert!(envoy.stat("cluster.tokens.upstream_cx_connect_fail").unwrap() > 0);
        assert_eq!(token_requests(&world), 0);

        // It is there.
        let door = Door::open(at, world.token_host());
        again(|| manifest(&world, envoy.address).status == 200);
        assert_eq!(token_requests(&world), 1);

        // It is gone: what is known is served, by every worker.
        drop(door);
        assert!((0..16).all(|_| manifest(&world, envoy.address).status == 200));
        is_an_error(&other(&envoy), 502);
        assert_eq!(token_requests(&world), 1);

        let _door = Door::open(at, world.token_host());
        again(|| other(&envoy).status == 404);
        assert_eq!(token_requests(&world), 2);
        no_traps(&envoy);
        no_secrets(&envoy);
    }
}

/// It stays away: a request waits for the next attempt, of which there are fewer and fewer, and no longer than `wait_ms`.
#[test]
fn a_token_endpoint_that_stays_away() {
    let (at, edits) = elsewhere();
    let setup = Setup { plugin: "\"wait_ms\": 1500", edits, workers: 1, ..Setup::default() };
    let Some((world, envoy)) = start(&setup) else { return };
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        let answer = manifest(&world, envoy.address);
        is_an_error(&answer, if answer.status == 504 { 504 } else { 502 });
        statuses.push((answer.status, began.elapsed().as_millis()));
        // Far beyond wait_ms, as the machine may be busy.
        assert!(began.elapsed() < Duration::from_secs(10), "{statuses:?}");
    }
    println!("status and milliseconds of one request after the other: {statuses:?}");
    assert_eq!(statuses[0].0, 502);
    assert!(statuses.iter().any(|(status, _)| *status == 504), "{statuses:?}");
    assert_eq!(counted(&envoy, "regauth.errors", 7), 7);
    let calls = envoy.stat("regauth.token_calls").unwrap();
    assert!(calls < 7, "{calls} token calls for 7 requests");

    let _door = Door::open(at, world.token_host());
    again(|| manifest(&world, envoy.address).status == 200);
    no_traps(&envoy);
}

/// `realms` names a cluster that Envoy does not have, which it does not find before the first token.
#[test]
fn a_cluster_that_is_not_there() {
    let edits = vec![("\"https://auth.example\": \"tokens\"", "\"https://auth.example\": \"token\"".into())];
    let Some((world, envoy)) = start(&Setup { edits, workers: 1, ..Setup::default() }) else { return };
    let answer = manifest(&world, envoy.address);
    is_an_error(&answer, 502);
    assert!(answer.text().contains("no connection (token at https://"), "{}", answer.text());
    no_traps(&envoy);
}

/// An address where nothing listens, and what makes it that of the tokens' cluster.
fn elsewhere() -> (SocketAddr, Vec<(&'static str, String)>) {
    // Connections come from 127.0.0.1, and cannot take a port of this one meanwhile.
    let host = Ipv4Addr::new(127, 0, 0, 4);
    let at = SocketAddr::from((host, free_port(&[host]).unwrap()));
    let to = format!("address: {}, port_value: {}", at.ip(), at.port());
    (at, vec![("address: auth.example, port_value: 443", to)])
}

/// A repository that nobody has asked for before, and that is not there.
fn other(envoy: &Envoy) -> Answer {
    get(envoy.address, "/v2/other/app/manifests/one").unwrap()
}

/// Asks until it is so: after a failure the next attempt is some seconds away.
fn again(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !is_so() {
        assert!(Instant::now() < end, "still an error");
        thread::sleep(Duration::from_millis(100));
    }
}
