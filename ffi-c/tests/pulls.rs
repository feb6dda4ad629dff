//! The C examples pull from real registries through nginx, whose log says what they showed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "programs, files, and a log worth seeing")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use regauth_servers::{Kind, PASSWORD, Pair, Program, Record, Scenario, USER, World, have};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The directory with both examples, compiled with the address sanitizer, or why they are not there.
fn examples() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    // Built together with this test.
    let library = std::env::current_exe().unwrap().with_file_name("libregauth_c.a");
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-examples");
    fs::create_dir_all(&to).unwrap();
    for (name, more) in [("pull", None), ("pull_curl", Some("-lcurl"))] {
        let compiled = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined"])
            .arg(format!("-I{HERE}/include"))
            .arg(format!("{HERE}/examples/{name}.c"))
            .arg(&library)
            .args(more)
            .args(["-lgcc_s", "-lm", "-ldl", "-lpthread", "-o"])
            .arg(to.join(name))
            .output();
        let why = match compiled {
            Ok(output) if output.status.success() => continue,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name}.c: {why}");
        // Not eprintln!, which the test runner swallows.
        _ = writeln!(std::io::stderr(), "SKIPPED: {name}.c: {why}\nInstall gcc and libcurl4-openssl-dev.");
        return None;
    }
    Some(to)
}

/// Whether the program succeeded, and what it said.
fn run(program: &str, world: &World, identity: Option<&Pair>, out: &Path) -> (bool, String) {
    let mut command = Command::new(examples().unwrap().join(program));
    command.arg("--ca").arg(&world.pki.ca).args(["--user", &format!("{USER}:{PASSWORD}")]);
    if let Some(identity) = identity {
        command.arg("--cert").arg(&identity.cert).arg("--key").arg(&identity.key);
    }
    if world.token_host() != world.registry() {
        command.args(["--lend", "--token-pair", &format!("https://{}", world.token_host())]);
    }
    if world.scenario == Scenario::RedirectedPaired {
        command.args(["--lend", "--storage-pair", &format!("https://{}", world.blob_host())]);
    }
    fs::create_dir_all(out).unwrap();
    let image = format!("{}/{}:multi", world.registry(), world.seed.repository);
    let output = command.arg("-o").arg(out).arg(image).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn briefs(records: &[Record]) -> String {
    records.iter().map(Record::brief).collect::<Vec<_>>().join("\n")
}

fn pulls(program: &str, kind: Kind) {
    if !have(&[Program::Nginx, kind.program()]) || examples().is_none() {
        return;
    }
    for scenario in Scenario::ALL {
        let world = World::start(kind, scenario).unwrap();
        let out = world.directory().join("out");
        let (good, said) = run(program, &world, Some(&world.pki.client), &out);
        let records = world.records().unwrap();
        let say = briefs(&records);
        println!("{program} {kind:?} {scenario:?}\n{say}\n");
        assert!(good, "{said}\n{say}");
        for blob in world.seed.image.blobs().chain([&world.seed.image.manifest]) {
            let came = fs::read(out.join(blob.digest.replace(':', "-"))).unwrap();
            assert!(came == blob.bytes, "{}: {} of {} bytes", blob.digest, came.len(), blob.bytes.len());
        }
        check(&world, &records, &say);
    }
}

fn check(world: &World, records: &[Record], say: &str) {
    let redirected = world.blob_host() != world.registry();
    // A refusal, the index, a manifest, a token; config and three layers, each from here or from there too.
    assert_eq!(records.len(), 4 + if redirected { 8 } else { 4 }, "{say}");
    assert_eq!(records.iter().filter(|record| record.status == 401).count(), 1, "{say}");
    assert_eq!(records.iter().filter(|record| record.is_token()).count(), 1, "{say}");
    assert_eq!((world.token_counts().requests, world.token_counts().refused), (1, 0), "{say}");
    for record in records {
        if redirected && record.server == world.blob_host().ip() {
            assert_eq!((record.authz.as_ref(), record.status), (None, 200), "{say}");
            assert_eq!(record.showed_identity(), world.scenario == Scenario::RedirectedPaired, "{say}");
        } else {
            assert_eq!(record.dn.as_deref(), Some("CN=buildbot-1"), "{say}");
        }
    }
}

#[test]
fn sockets_pull_from_registry_2_8() {
    pulls("pull", Kind::V2);
}

#[test]
fn sockets_pull_from_registry_v3() {
    pulls("pull", Kind::V3);
}

#[test]
fn libcurl_pulls_from_registry_2_8() {
    pulls("pull_curl", Kind::V2);
}

#[test]
fn libcurl_pulls_from_registry_v3() {
    pulls("pull_curl", Kind::V3);
}

#[test]
fn what_should_fail_says_why() {
    if !have(&[Program::Nginx, Kind::V2.program()]) || examples().is_none() {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let out = world.directory().join("out");
    for program in ["pull", "pull_curl"] {
        let (good, said) = run(program, &world, None, &out);
        assert!(!good && said.contains("400"), "nginx wants a certificate: {said}");
        assert!(!said.contains("AddressSanitizer") && !said.contains("LeakSanitizer: detected"), "{said}");
        let (good, said) = run(program, &world, Some(&world.pki.wrong), &out);
        assert!(!good && said.contains("400"), "nginx does not know this issuer: {said}");
    }
}
