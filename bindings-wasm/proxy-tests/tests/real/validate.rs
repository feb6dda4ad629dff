use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use regauth_proxy_tests::envoy::{Setup, configuration, validate};
use regauth_servers::{Kind, Scenario, World};

use crate::support::ready;

/// `envoy --mode validate` runs the module with its configuration: the example is good, and each mistake is told.
#[test]
fn the_example_and_mistakes() {
    if !ready() {
        return;
    }
    let world = World::start(Kind::V3, Scenario::SecondHost).unwrap();
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let check = |setup: &Setup| {
        let directory = world.directory();
        fs::write(directory.join("identity.yaml"), "resources: []\n").unwrap();
        let file = directory.join("checked.yaml");
        fs::write(&file, configuration(&world, setup, port, port, directory).unwrap()).unwrap();
        let output = validate(&file).unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for downstream in [false, true] {
        let (good, said) = check(&Setup { downstream, ..Setup::default() });
        assert!(good, "{said}");
    }
    let table = [
        (vec![("\"cluster\": \"registry\",", "\"cluster\": \"\",")], "a cluster has no name"),
        (vec![("\"cluster\": \"registry\",", "\"clusters\": \"registry\",")], "unknown field `clusters`"),
        (vec![("\"https://reg.example\": {", "\"reg.example\": {")], "scheme other than http"),
        (vec![("\"placement\": \"upstream\"", "\"placement\": \"sideways\"")], "unknown variant `sideways`"),
        (vec![("\"placement\": \"upstream\",", "\"placement\": \"upstream\"")], "comma or end of sequence expected"),
        (vec![("\"placement\": \"upstream\",", "\"timeout_ms\": 0,")], "timeout_ms is 1 to 60000"),
    ];
    for (edits, why) in table {
        let edits = edits.into_iter().map(|(from, to)| (from, to.into())).collect();
        let (good, said) = check(&Setup { edits, ..Setup::default() });
        assert!(!good && said.contains(why), "{why}: {said}");
    }
}
