//! The main job, on real registries: the example `pull` through every hop, judged by nginx's own log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "files are compared, and the log is worth seeing")]

mod formats;
mod mirrors;
mod pairs;
mod program;
mod wrong;

use std::collections::BTreeMap;
use std::fs;

use program::{Run, arguments, briefs, programs, pull, pull_with};
use regauth_servers::{Counts, Image, Kind, PASSWORD, Pair, Record, Scenario, World, have, skopeo};

const ME: Option<&str> = Some("CN=buildbot-1");

/// The options that a scenario needs beside those of the registry.
fn options(world: &World) -> Vec<String> {
    let origin = |host| format!("https://{host}");
    match world.scenario {
        Scenario::SameHost | Scenario::Redirected => Vec::new(),
        Scenario::SecondHost => {
            vec!["--token-origin".into(), origin(world.token_host()), "--token-identity".into()]
        }
        Scenario::RedirectedPaired => {
            vec!["--storage-origin".into(), origin(world.blob_host()), "--storage-identity".into()]
        }
    }
}

/// The options that a good pull needs.
fn line(world: &World) -> Vec<String> {
    let mut line = arguments(world, "one");
    line.extend(options(world));
    line
}

/// Two pulls of tag `one` by one agent, checked by what nginx saw.
fn scenario(world: &World, title: &str, mut line: Vec<String>, password: &str) {
    let layout = world.directory().join("layout");
    line.extend(["--twice".into(), "-o".into(), layout.display().to_string()]);
    let run = pull(&line, password);
    let records = world.records().unwrap();
    println!("{title}\n{}\n", briefs(&records));
    assert_eq!(run.code, 0, "{}", run.said);

    let redirected = world.blob_host() != world.registry();
    let more = if redirected { 4 } else { 0 };
    // One challenge, one token, the manifest, config and three layers; the second pull has no use for the first two.
    assert_eq!((run.rows_of(1).len(), run.rows_of(2).len()), (7 + more, 5 + more), "{title}");
    assert_eq!(records.len(), 12 + 2 * more, "{title}");
    let (first, second) = records.split_at(7 + more);
    let count = |records: &[Record], of: fn(&Record) -> bool| records.iter().filter(|record| of(record)).count();
    assert_eq!(count(first, |record| record.status == 401), 1);
    assert_eq!((count(first, Record::is_token), count(second, Record::is_token)), (1, 0));
    assert_eq!(count(second, |record| record.status == 401), 0);
    assert_eq!(world.token_counts(), Counts { requests: 1, posts: 0, refused: 0 });

    for record in &records {
        let third = redirected && record.server == world.blob_host().ip();
        let identity = !third || world.scenario == Scenario::RedirectedPaired;
        assert_eq!(record.dn.as_deref(), ME.filter(|_| identity), "{title}: {}", record.brief());
        assert_eq!(record.showed_identity(), identity, "{title}: {}", record.brief());
        let authorization = match record {
            _ if third => None,
            record if record.is_token() => Some("Basic"),
            record if record.status == 401 => None,
            _ => Some("Bearer"),
        };
        assert_eq!(record.authz.as_deref(), authorization, "{title}: {}", record.brief());
    }
    connections(world, &records, title);
    same_rows(&run, &records);
    same_image(world, &layout, &world.seed.image);
}

/// At most four connections, and all but the first to each host are resumed.
fn connections(world: &World, records: &[Record], title: &str) {
    let mut all = BTreeMap::new();
    for record in records {
        all.entry(record.connection).or_insert((record.server, record.reused));
    }
    let mut hosts = BTreeMap::new();
    for (server, reused) in all.values() {
        let (total, resumed) = hosts.entry(*server).or_insert((0, 0));
        *total += 1;
        *resumed += usize::from(*reused);
    }
    println!("{title}: {} connections, (all, resumed) by host: {hosts:?}\n", all.len());
    for (host, (total, resumed)) in &hosts {
        assert_eq!(total - resumed, 1, "{title}: one full handshake with {host}");
        assert!(*total <= 3, "{title}: {total} connections to {host}");
    }
    // Where blobs come from a third host, each of three workers may have one to it and one to the registry.
    let redirected = world.blob_host() != world.registry();
    assert!(all.len() <= if redirected { 6 } else { 4 }, "{title}: {} connections", all.len());
}

/// The program's own table says what nginx saw.
fn same_rows(run: &Run, records: &[Record]) {
    let seen = |identity: bool, path: &str, status: u64| format!("{identity} {path} {status}");
    let mut ours: Vec<_> = run
        .rows
        .iter()
        .map(|row| seen(row["identity"].is_string(), row["path"].as_str().unwrap(), row["status"].as_u64().unwrap()))
        .collect();
    let path = |record: &Record| record.target.split('?').next().unwrap_or_default().to_string();
    let mut theirs: Vec<_> =
        records.iter().map(|record| seen(record.dn.is_some(), &path(record), record.status.into())).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// What was written is the image, by skopeo's word and byte for byte.
fn same_image(world: &World, layout: &std::path::Path, image: &Image) {
    let inspected = skopeo::inspect(layout).unwrap();
    assert_eq!(inspected["Digest"], image.manifest.digest.as_str());
    let layers: Vec<_> = image.layers.iter().map(|layer| layer.digest.as_str()).collect();
    assert_eq!(inspected["Layers"], serde_json::json!(layers));
    assert_eq!(skopeo::manifest(layout).unwrap(), image.manifest.bytes);
    let copy = world.directory().join("copy");
    skopeo::copy(layout, &copy).unwrap();
    for blob in image.blobs() {
        let hex = blob.digest.strip_prefix("sha256:").unwrap();
        assert!(fs::read(copy.join(hex)).unwrap() == blob.bytes, "{}", blob.digest);
    }
    fs::remove_dir_all(copy).unwrap();
}

fn scenarios(kind: Kind) {
    if !have(&programs(kind)) {
        return;
    }
    for each in Scenario::ALL {
        let world = World::start(kind, each).unwrap();
        scenario(&world, &format!("{kind:?} {each:?}"), line(&world), PASSWORD);
    }
}

#[test]
fn every_hop_of_registry_2_8_gets_what_it_may() {
    scenarios(Kind::V2);
}

#[test]
fn every_hop_of_registry_v3_gets_what_it_may() {
    scenarios(Kind::V3);
}

#[test]
fn tls_1_2_resumes_too() {
    if have(&programs(Kind::V2)) {
        let world = World::with(Kind::V2, Scenario::RedirectedPaired, "TLSv1.2", 300).unwrap();
        scenario(&world, "V2 RedirectedPaired TLSv1.2", line(&world), PASSWORD);
    }
}

#[test]
fn another_host_can_have_an_identity_of_its_own() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let own = |world: &World, name: &str, host| {
        let Pair { cert, key } = &world.pki.token_client;
        let mut line = arguments(world, "one");
        line.extend([format!("--{name}-origin"), format!("https://{host}")]);
        line.extend([format!("--{name}-cert"), cert.display().to_string()]);
        line.extend([format!("--{name}-key"), key.display().to_string()]);
        let run = pull(&line, PASSWORD);
        let records = world.records().unwrap();
        println!("{name}\n{}\n", briefs(&records));
        assert_eq!(run.code, 0, "{}", run.said);
        records
    };
    for (scenario, name) in [(Scenario::SecondHost, "token"), (Scenario::RedirectedPaired, "storage")] {
        let world = World::start(Kind::V2, scenario).unwrap();
        let host = if name == "token" { world.token_host() } else { world.blob_host() };
        for record in own(&world, name, host) {
            let there = record.server == host.ip();
            assert_eq!(record.dn.as_deref(), if there { Some("CN=token-bot") } else { ME }, "{}", record.brief());
        }
    }
}

#[test]
fn an_index_gives_the_image_of_a_platform() {
    for kind in Kind::ALL {
        if !have(&programs(kind)) {
            continue;
        }
        let world = World::start(kind, Scenario::SameHost).unwrap();
        for (platform, image) in [("linux/amd64", &world.seed.image), ("linux/arm64/v8", &world.seed.other)] {
            let layout = world.directory().join(platform.replace('/', "-"));
            let mut line = arguments(&world, "multi");
            line.extend(["--platform".into(), platform.into(), "-o".into(), layout.display().to_string()]);
            let run = pull(&line, PASSWORD);
            assert_eq!(run.code, 0, "{}", run.said);
            same_image(&world, &layout, image);
        }
        let by_digest = format!("{}/demo/app@{}", world.registry(), world.seed.other.manifest.digest);
        let mut line = arguments(&world, "multi");
        *line.last_mut().unwrap() = by_digest;
        assert_eq!(pull(&line, PASSWORD).code, 0);
    }
}

#[test]
fn a_registry_by_plain_http_is_shown_no_identity_and_no_password() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    // The registry without nginx: its realm is https, on the same host.
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let mut line = arguments(&world, "one");
    *line.last_mut().unwrap() = format!("{}/{}:one", world.direct, world.seed.repository);
    line.extend(["--http".into(), "--token-origin".into(), format!("https://{}", world.token_host())]);
    line.extend(["--token-cert".into(), world.pki.client.cert.display().to_string()]);
    line.extend(["--token-key".into(), world.pki.client.key.display().to_string()]);
    let run = pull(&line, PASSWORD);
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!(run.rows.len(), 7);
    for row in &run.rows {
        let token = row["hop"] == "token";
        assert_eq!((row["identity"].is_string(), row["sent"] == "Basic"), (token, token), "{row}");
    }
}

#[test]
fn the_environment_is_honoured() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let mut line = arguments(&world, "one");
    let at = line.iter().position(|argument| argument == "--ca").unwrap();
    line.drain(at..at + 2);
    assert_eq!(pull(&line, PASSWORD).code, 5, "the CA is not known");
    let (file, directory) = (world.pki.ca.as_os_str(), world.directory().join("authorities"));
    fs::create_dir(&directory).unwrap();
    fs::copy(&world.pki.ca, directory.join("ca.pem")).unwrap();
    // What is on this machine is reached without a proxy; this one is not there.
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1".as_ref()), ("SSL_CERT_FILE", file)];
    for variables in [&[("SSL_CERT_FILE", file)][..], &[("SSL_CERT_DIR", directory.as_os_str())], &proxy] {
        let run = pull_with(&line, PASSWORD, variables);
        assert_eq!(run.code, 0, "{variables:?}: {}", run.said);
    }
}
