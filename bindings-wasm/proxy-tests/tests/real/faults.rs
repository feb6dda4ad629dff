use std::thread;
use std::time::{Duration, Instant};

use regauth_proxy_tests::client::{get, send};
use regauth_proxy_tests::envoy::Setup;
use regauth_servers::Manner;

use crate::support::{manifest, no_secrets, no_traps, start};

/// Whatever the token endpoint does, the client gets an error in the registry's form and no challenge, nobody hangs, no
/// module fails, and when it works again so does the proxy.
#[test]
fn a_token_endpoint_that_fails() {
    let setup = Setup { plugin: "\"timeout_ms\": 700, \"wait_ms\": 4000", ..Setup::default() };
    let Some((world, envoy)) = start(&setup) else { return };
    let table = [
        (Manner::Hang, 504),
        (Manner::Close, 502),
        (Manner::BreakOff, 502),
        (Manner::Huge, 502),
        (Manner::Refuse, 403),
        (Manner::Password, 403),
    ];
    for (manner, status) in table {
        world.behave(manner);
        let began = Instant::now();
        let answers: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| manifest(&world, envoy.address))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        println!("{manner:?}: {} in {} ms", answers[0].status, began.elapsed().as_millis());
        for answer in answers {
            assert_eq!(answer.status, status, "{manner:?}: {}", answer.text());
            assert_eq!(answer.field("www-authenticate"), None);
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(body["errors"][0]["code"].is_string() && body["errors"][0]["message"].is_string(), "{body}");
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{manner:?}");
        // A refusal is everybody's for a second, and the network's failures are waited out.
        thread::sleep(Duration::from_millis(2_200));
    }
    world.behave(Manner::Binary);
    assert_eq!(manifest(&world, envoy.address).status, 200, "{}", envoy.log());
    no_traps(&envoy);
    no_secrets(&envoy);
}

/// Header fields that are no UTF-8, paths that are no paths, and more of the kind from a client.
#[test]
fn clients_that_are_odd() {
    let Some((world, envoy)) = start(&Setup::default()) else { return };
    for fields in [&b"X-A: \xff\xfe\r\n"[..], b"Authorization: Basic \xff\r\n", b"Accept: \xc3\x28\r\nCookie: \x80\r\n"]
    {
        let answer = send(envoy.address, "GET", &format!("/v2/{}/tags/list", world.seed.repository), fields, b"");
        assert!(matches!(answer.unwrap().status, 200 | 400));
    }
    for path in ["/v2", "/v2/", "/v2/%ff/manifests/x", "/v2/../x", "/v2//", "/v2/a/blobs/uploads/?from=b&mount=c"] {
        assert!(get(envoy.address, path).unwrap().status < 500, "{path}");
    }
    no_traps(&envoy);
}
