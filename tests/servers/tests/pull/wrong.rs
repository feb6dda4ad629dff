//! Wrong input: an exit code of its own kind, one sentence of what and where, one of what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regauth_servers::{Kind, PASSWORD, Pair, Scenario, World, free_port, have};

use crate::program::{arguments, programs, pull};

/// One row of the table.
struct Case<'a> {
    name: &'a str,
    line: Vec<String>,
    password: &'a str,
    code: i32,
    what: &'a str,
    todo: &'a str,
}

/// Replaces the value behind an option.
fn set(mut line: Vec<String>, option: &str, value: &Path) -> Vec<String> {
    let at = line.iter().position(|argument| argument == option).unwrap();
    line[at + 1] = value.display().to_string();
    line
}

/// Leaves an option and its value out.
fn without(mut line: Vec<String>, option: &str) -> Vec<String> {
    let at = line.iter().position(|argument| argument == option).unwrap();
    line.drain(at..at + 2);
    line
}

fn with(mut line: Vec<String>, more: &[&str]) -> Vec<String> {
    line.extend(more.iter().map(|argument| (*argument).to_string()));
    line
}

fn image(mut line: Vec<String>, name: &str) -> Vec<String> {
    let at = line.iter().position(|argument| argument.contains("/demo/app")).unwrap();
    line[at] = name.into();
    line
}

fn identity(line: Vec<String>, pair: &Pair) -> Vec<String> {
    set(set(line, "--cert", &pair.cert), "--key", &pair.key)
}

impl Case<'_> {
    fn run(self) {
        let Self { name, line, password, code, what, todo } = self;
        let run = pull(&line, password);
        println!("| {name} | {} | {} |", run.code, run.failure());
        assert_eq!(run.code, code, "{name}: {}", run.said);
        let failure = run.failure();
        assert!(failure.contains(what) && failure.contains(todo), "{name}: {failure}");
        let (at, end) = (failure.find(what).unwrap(), failure.rfind(todo).unwrap());
        assert!(at < end && failure.ends_with('.') && failure.contains(". "), "{name}: {failure}");
    }
}

fn case<'a>(name: &'a str, line: Vec<String>, code: i32, what: &'a str, todo: &'a str) -> Case<'a> {
    Case { name, line, password: PASSWORD, code, what, todo }
}

#[test]
fn wrong_input_says_what_where_and_what_to_do() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SecondHost).unwrap();
    let (pki, token) = (&world.pki, format!("https://{}", world.token_host()));
    let good = || with(arguments(&world, "one"), &["--token-origin", &token, "--token-identity"]);
    let garbage = world.directory().join("garbage.key");
    fs::write(&garbage, "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n").unwrap();
    let missing = world.directory().join("missing.key");
    let closed = format!("127.0.0.1:{}/demo/app:one", free_port(&[std::net::Ipv4Addr::LOCALHOST]).unwrap());
    let registry = format!("(registry at https://{})", world.registry());
    let direct = format!("{}/demo/app:one", world.direct);
    let at_direct = format!("what the server sent is no TLS (registry at https://{})", world.direct);
    let at_token = format!("(token at {token})");
    println!("| case | exit | standard error |\n|---|---|---|");
    for case in [
        case("bad name", image(good(), "127.0.0.1:5000/Demo/App"), 2, "is no repository", "Name an image such as"),
        case("name with a scheme", image(good(), "https://127.0.0.1/app"), 2, "has no scheme", "Name an image"),
        case("bad URL", with(good(), &["--storage-origin", "ftp://x"]), 2, "a scheme other than http", "Give scheme"),
        case("missing key", set(good(), "--key", &missing), 2, "missing.key cannot be read", "Check the path"),
        case("broken key", set(good(), "--key", &garbage), 2, "garbage.key: the", "Use an RSA key"),
        case("another's key", set(good(), "--key", &pki.wrong.key), 2, "does not belong", "Give the key"),
        case("wrong CA", set(good(), "--ca", &pki.wrong_ca), 5, &registry, "(--ca FILE)"),
        case("no certificate", without(without(good(), "--cert"), "--key"), 4, &registry, "--cert FILE --key FILE"),
        case("expired certificate", identity(good(), &pki.expired), 4, "it has expired 5 h ago", "Renew"),
        case("certificate of another CA", identity(good(), &pki.wrong), 4, &registry, "of an issuer that the server"),
        Case { password: "wr0ng", ..case("wrong password", good(), 4, &at_token, "Check --user and the password") },
        case("token host not paired", arguments(&world, "one"), 3, &at_token, "add --token-origin https://127.0.0.2"),
        case(
            "token host paired without identity",
            with(arguments(&world, "one"), &["--token-origin", &token]),
            4,
            &at_token,
            "--token-identity",
        ),
        case("nobody listens", image(good(), &closed), 5, "connection refused", "Check that the server runs"),
        case("http to an https port", with(good(), &["--http"]), 4, "(registry at http://", "Leave out --http."),
        case("https to an http port", image(good(), &direct), 5, &at_direct, "use http for it (--http)"),
        case("no such tag", arguments_of(&good(), "none"), 4, &registry, "Check the image's name"),
        case(
            "no such platform",
            with(arguments_of(&good(), "multi"), &["--platform", "linux/s390x"]),
            2,
            "it has linux/amd64, linux/arm64",
            "with --platform",
        ),
        case("layout there", with(good(), &["-o", "/etc"]), 2, "/etc is there and not empty", "Name a new directory"),
        case("no place for a layout", with(good(), &["-o", "/proc/x"]), 6, "/proc/x cannot be written", "directory"),
    ] {
        case.run();
    }
    full_disk(&world, good());
    half_a_blob(&world, good());
}

fn arguments_of(line: &[String], tag: &str) -> Vec<String> {
    let name = line.iter().find(|argument| argument.contains("/demo/app:")).unwrap();
    image(line.to_vec(), &name.replace(":one", &format!(":{tag}")))
}

#[test]
fn storage_that_wants_a_certificate_is_said() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::RedirectedPaired).unwrap();
    let place = format!("(redirect at https://{})", world.blob_host());
    let option = format!("--storage-origin https://{} --storage-identity", world.blob_host());
    case("storage not paired", arguments(&world, "one"), 4, &place, &option).run();
}

/// A small file system, gone when it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(directory: PathBuf) -> Option<Self> {
        fs::create_dir(&directory).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "regauth-test"]).arg(&directory);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then_some(Self(directory))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(&self.0).status();
    }
}

fn full_disk(world: &World, line: Vec<String>) {
    let Some(small) = Small::mount(world.directory().join("small")) else {
        use std::io::Write as _;
        _ = writeln!(std::io::stderr(), "SKIPPED: full disk: no file system can be mounted here (needs root)");
        return;
    };
    let layout = small.0.join("out");
    let line = with(line, &["-o", &layout.display().to_string()]);
    case("full disk", line, 6, "cannot be written: no space left on device", "Free some space").run();
    assert!(!layout.exists(), "nothing is left of it");
}

fn half_a_blob(world: &World, line: Vec<String>) {
    let blob = &world.seed.image.layers[1];
    let hex = blob.digest.strip_prefix("sha256:").unwrap();
    let blobs = world.directory().join("data/docker/registry/v2/blobs/sha256");
    let file = blobs.join(&hex[..2]).join(hex).join("data");
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(blob.bytes.len() as u64 / 2).unwrap();
    let layout = world.directory().join("half");
    let line = with(line, &["-o", &layout.display().to_string()]);
    let what = format!("has {} of {} bytes (registry at ", blob.bytes.len() / 2, blob.bytes.len());
    case("half a blob", line, 7, &what, "Push the image again").run();
    assert!(!layout.exists(), "nothing is left of it");
}
