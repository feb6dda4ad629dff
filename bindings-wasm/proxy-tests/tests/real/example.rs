//! `examples/envoy.yaml` as a person takes it: pasted, and changed where it says HERE.

use std::fs;

use regauth_proxy_tests::client::get;
use regauth_proxy_tests::envoy::{Envoy, Setup, configuration, validate};
use regauth_proxy_tests::{module, proxy};
use regauth_servers::{Kind, Manner, Pki, Scenario, TempDir, World, entropy};

use crate::support::{manifest, no_traps, ready, token_requests};

/// With the files where it looks for them, and nothing changed: Envoy takes it.
#[test]
fn as_it_is() {
    if !ready() {
        return;
    }
    let directory = TempDir::new("example").unwrap();
    fs::create_dir(directory.join("pki")).unwrap();
    let signing = regauth::server::SigningKey::generate(&entropy().unwrap()).unwrap();
    let pki = Pki::new(&directory.join("pki"), &signing).unwrap();
    let place = directory.path().display().to_string();
    for name in ["envoy.yaml", "identity.yaml"] {
        let text = fs::read_to_string(proxy().join("examples").join(name)).unwrap();
        assert!(text.contains("/etc/envoy/"));
        let text = text
            .replace("/etc/envoy", &place)
            // A system may keep it elsewhere.
            .replace("/etc/ssl/certs/ca-certificates.crt", &pki.ca.display().to_string());
        fs::write(directory.join(name), text).unwrap();
    }
    fs::copy(module(), directory.join("regauth.wasm")).unwrap();
    fs::copy(&pki.client.cert, directory.join("client.crt")).unwrap();
    fs::copy(&pki.client.key, directory.join("client.key")).unwrap();
    let output = validate(&directory.join("envoy.yaml")).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A registry that has a name, as in the example: Envoy looks the name up, sends it in the handshake and wants it in the
/// certificate.
#[test]
fn changed_where_it_says_here() {
    if !ready() {
        return;
    }
    let world = World::start(Kind::V3, Scenario::SecondHost).unwrap();
    world.behave(Manner::Certificate);
    let port = world.registry().port();
    let mut edits = vec![
        ("address: reg.example, port_value: 443", format!("address: localhost, port_value: {port}")),
        ("host_rewrite_literal: reg.example:443", format!("host_rewrite_literal: localhost:{port}")),
        ("\"https://reg.example\"", format!("\"https://localhost:{port}\"")),
        ("sni: reg.example", "sni: localhost".into()),
        ("DNS, matcher: {exact: reg.example}", "DNS, matcher: {exact: localhost}".into()),
    ];
    let text = configuration(&world, &setup(&edits), world.registry(), world.registry(), world.directory()).unwrap();
    only_marked_lines_differ(&text);

    // nginx listens on 127.0.0.1, and localhost may be ::1 too.
    let cluster = "  - name: registry\n    type: STRICT_DNS\n";
    edits.push((cluster, format!("{cluster}    dns_lookup_family: V4_ONLY\n")));
    let envoy = Envoy::start(&world, &setup(&edits)).unwrap();
    assert_eq!(get(envoy.address, "/v2/").unwrap().status, 200, "{}", envoy.log());
    for _ in 0..3 {
        assert_eq!(manifest(&world, envoy.address).status, 200, "{}", envoy.log());
    }
    assert_eq!(token_requests(&world), 2, "without a scope, and for the repository");
    assert!(world.records().unwrap().iter().all(|record| record.dn.as_deref() == Some("CN=buildbot-1")));
    no_traps(&envoy);
}

fn setup(edits: &[(&'static str, String)]) -> Setup {
    Setup { edits: edits.to_vec(), workers: 1, ..Setup::default() }
}

/// Every other line of the example is in `text`, in its order: whoever changes those that it marks has changed all.
fn only_marked_lines_differ(text: &str) {
    let example = fs::read_to_string(proxy().join("examples/envoy.yaml")).unwrap();
    let mut lines = text.lines();
    let (mut is_json, mut kept) = (false, 0);
    for line in example.lines() {
        is_json = line.trim() == "value: |" || (is_json && line.starts_with("                        "));
        if !line.contains("HERE") && !is_json {
            assert!(lines.any(|have| have == line), "changed, and not marked: {line}");
            kept += 1;
        }
    }
    assert!(kept > 80, "{kept}");
}
