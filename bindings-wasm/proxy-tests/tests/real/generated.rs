use std::fs;
use std::process::Command;

use regauth_proxy_tests::envoy::Setup;
use regauth_servers::{Kind, Manner, Scenario, World, example};

use crate::support::{manifest, no_traps, ready};

/// What `regauth-config envoy` makes of Docker's certs.d, in the place of the example's own clusters and configuration.
#[test]
fn clusters_from_certs_d() {
    if !ready() {
        return;
    }
    let world = World::start(Kind::V3, Scenario::SecondHost).unwrap();
    world.behave(Manner::Certificate);
    let certs = world.directory().join("certs.d");
    for host in [world.registry(), world.token_host()] {
        let directory = certs.join(host.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::copy(&world.pki.ca, directory.join("ca.crt")).unwrap();
        fs::copy(&world.pki.client.cert, directory.join("client.cert")).unwrap();
        fs::copy(&world.pki.client.key, directory.join("client.key")).unwrap();
    }
    let output = Command::new(example("regauth-config").unwrap())
        .args(["envoy", "--token-host", &format!("https://{}", world.token_host())])
        .arg("--docker-certs")
        .arg(&certs)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (clusters, plugin) = text.split_once("---\n").expect("two documents");
    let clusters = clusters.split_once("  clusters:\n").unwrap().1.to_string();
    let registry: serde_json::Value = serde_json::from_str(plugin).unwrap();
    let cluster = registry["registries"][format!("https://{}", world.registry())]["cluster"].as_str().unwrap();
    let setup =
        Setup { generated: Some((clusters, plugin.to_string(), cluster.to_string())), workers: 1, ..Setup::default() };
    let envoy = regauth_proxy_tests::envoy::Envoy::start(&world, &setup).unwrap();
    assert_eq!(manifest(&world, envoy.address).status, 200, "{}", envoy.log());
    let records = world.records().unwrap();
    assert!(records.iter().all(|record| record.dn.as_deref() == Some("CN=buildbot-1")));
    assert_eq!(records.iter().filter(|record| record.is_token()).count(), 1);
    no_traps(&envoy);
}
