use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use regauth_proxy_tests::client::{get, send};
use regauth_proxy_tests::envoy::Setup;
use regauth_proxy_tests::module;
use regauth_servers::{Manner, TempDir};

use crate::support::{is_an_error, manifest, no_secrets, no_traps, start, there};

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
        let before = world.records().unwrap().len();
        let began = Instant::now();
        let answers: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| manifest(&world, envoy.address))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        println!("{manner:?}: {} in {} ms", answers[0].status, began.elapsed().as_millis());
        for answer in answers {
            is_an_error(&answer, status);
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{manner:?}");
        if manner == Manner::BreakOff {
            // It is the body that ends early: the answer began well.
            let records = world.records().unwrap().split_off(before);
            let tokens: Vec<_> = records.iter().filter(|r| r.is_token()).map(|r| r.status).collect();
            assert!(!tokens.is_empty() && tokens.iter().all(|status| *status == 200), "{tokens:?}");
        }
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

/// A machine that fails takes what it was doing with it, and is replaced: the next requests are served, without waiting
/// for anything, as the other workers' tokens are still there.
#[test]
fn a_machine_that_fails() {
    // The module itself does not, so one is made of it that fails for more than sixty header fields.
    let wrapper = r#"(module
        (import "regauth" "proxy_on_request_headers" (func $request (param i32 i32 i32) (result i32)))
        (func (export "proxy_on_request_headerX") (param i32 i32 i32) (result i32)
            (if (i32.gt_u (local.get 1) (i32.const 60)) (then (unreachable)))
            (call $request (local.get 0) (local.get 1) (local.get 2))))"#;
    let merge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/wasm/node_modules/.bin/wasm-merge");
    if !there("wasm-merge", merge.is_file(), "bindings-wasm/proxy/build.sh") {
        return;
    }
    let directory = TempDir::new("merge").unwrap();
    let (text, merged) = (directory.join("wrapper.wat"), directory.join("regauth.wasm"));
    fs::write(&text, wrapper).unwrap();
    let done = Command::new(merge)
        .args([text.as_path(), Path::new("wrapper"), &module(), Path::new("regauth")])
        .args(["--enable-bulk-memory", "--enable-bulk-memory-opt", "--enable-sign-ext"])
        .args(["--enable-mutable-globals", "--enable-nontrapping-float-to-int", "--enable-reference-types"])
        .args(["--enable-multivalue", "-o"])
        .arg(&merged)
        .status()
        .unwrap();
    assert!(done.success());
    // The one takes the other's name, which is as long.
    let mut bytes = fs::read(&merged).unwrap();
    for (from, to) in [(b's', b'Y'), (b'X', b's')] {
        let name = [&b"proxy_on_request_header"[..], &[from]].concat();
        let at: Vec<_> = (0..bytes.len() - name.len()).filter(|at| bytes[*at..].starts_with(&name)).collect();
        assert_eq!(at.len(), 1);
        bytes[at[0] + name.len() - 1] = to;
    }
    fs::write(&merged, bytes).unwrap();
    let setup = Setup { module: Some(merged), workers: 2, ..Setup::default() };
    let Some((world, envoy)) = start(&setup) else { return };
    for _ in 0..8 {
        assert_eq!(manifest(&world, envoy.address).status, 200);
    }
    let many: String = (0..70).map(|n| format!("X-{n}: y\r\n")).collect();
    for round in 0..3 {
        let path = format!("/v2/{}/tags/list", world.seed.repository);
        let answer = send(envoy.address, "GET", &path, many.as_bytes(), b"");
        println!("a request that makes the machine fail: {:?}", answer.map(|answer| answer.status));
        let began = Instant::now();
        while manifest(&world, envoy.address).status != 200 {
            assert!(began.elapsed() < Duration::from_secs(5), "round {round}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    // Both workers again, and the back-off of a machine over: no client sees any of it.
    thread::sleep(Duration::from_millis(1_200));
    for _ in 0..16 {
        manifest(&world, envoy.address);
    }
    for _ in 0..16 {
        assert_eq!(manifest(&world, envoy.address).status, 200);
    }
    assert!(envoy.stat("vm_reload_success").unwrap() > 0);
    println!("token requests: {}", world.token_counts().requests);
}
