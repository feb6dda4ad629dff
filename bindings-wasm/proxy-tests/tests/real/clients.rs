use std::fs;
use std::path::Path;
use std::process::Command;

use regauth_servers::{Process, Program, have};

use crate::support::{home, judge, run, stock, there, token_requests, tool};

#[test]
fn skopeo() {
    let Some((world, envoy)) = stock(4) else { return };
    if !have(&[Program::Skopeo]) {
        return;
    }
    let home = home(&world);
    let image = |name: &str| format!("docker://{}/{name}", envoy.address);
    let copy = |from: &str, to: &str, option: &str| {
        let mut command = Command::new(Program::Skopeo.find().unwrap());
        command.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests", option, from, to]);
        run(command, &home);
    };
    let pulled = format!("dir:{}", world.directory().join("pulled").display());
    let from = format!("{}:one", world.seed.repository);
    copy(&image(&from), &pulled, "--src-tls-verify=false");
    let manifest = fs::read(world.directory().join("pulled/manifest.json")).unwrap();
    assert_eq!(manifest, world.seed.image.manifest.bytes);
    copy(&pulled, &image("team/pushed:one"), "--dest-tls-verify=false");
    copy(
        &image("team/pushed:one"),
        &format!("dir:{}", world.directory().join("again").display()),
        "--src-tls-verify=false",
    );
    println!("skopeo: pull, push, pull: {} token requests", token_requests(&world));
    judge(&world, &envoy);
}

#[test]
fn crane() {
    let Some((world, envoy)) = stock(4) else { return };
    let Some(program) = tool("crane") else { return };
    let home = home(&world);
    let from = format!("{}/{}", envoy.address, world.seed.repository);
    for arguments in [
        vec!["pull", "--format=oci", &format!("{from}:one"), &world.directory().join("crane").display().to_string()],
        vec!["copy", &format!("{from}:one"), &format!("{}/team/crane:one", envoy.address)],
        vec!["digest", &format!("{}/team/crane:one", envoy.address)],
    ] {
        let mut command = Command::new(&program);
        command.args(["--insecure"]).args(arguments);
        run(command, &home);
    }
    println!("crane: pull, copy, digest: {} token requests", token_requests(&world));
    judge(&world, &envoy);
}

#[test]
fn oras() {
    let Some((world, envoy)) = stock(4) else { return };
    let Some(program) = tool("oras") else { return };
    let home = home(&world);
    fs::write(home.join("file"), "attached").unwrap();
    let to = format!("{}/team/oras:one", envoy.address);
    for arguments in [vec!["push", "--plain-http", &to, "file"], vec!["pull", "--plain-http", "-o", "got", &to]] {
        let mut command = Command::new(&program);
        command.current_dir(&home).args(arguments);
        run(command, &home);
    }
    assert_eq!(fs::read(home.join("got/file")).unwrap(), b"attached");
    println!("oras: push, pull: {} token requests", token_requests(&world));
    judge(&world, &envoy);
}

/// A stock buildkitd, whose mirror Envoy is: it shows no certificate anywhere and has no credentials.
#[test]
fn buildkitd() {
    let Some((world, envoy)) = stock(4) else { return };
    let (Some(daemon), Some(client)) = (tool("buildkitd"), tool("buildctl")) else { return };
    let runc = ["/usr/sbin/runc", "/usr/bin/runc"].iter().map(Path::new).find(|file| file.is_file());
    if !there("runc", runc.is_some(), "tests/interop/install.sh") {
        return;
    }
    let directory = world.directory();
    let socket = format!("unix://{}", directory.join("buildkitd.sock").display());
    let config = format!(
        "[worker.oci]\n  enabled = true\n  snapshotter = \"native\"\n  binary = \"{}\"\n[worker.containerd]\n  \
         enabled = false\n[registry.\"reg.test\"]\n  mirrors = [\"{at}\"]\n[registry.\"{at}\"]\n  http = true\n",
        runc.unwrap().display(),
        at = envoy.address
    );
    fs::write(directory.join("buildkitd.toml"), config).unwrap();
    let mut command = Command::new(daemon);
    command.arg("--config").arg(directory.join("buildkitd.toml"));
    command.arg("--root").arg(directory.join("buildkit")).args(["--addr", &socket]);
    let _daemon = Process::start(command, &directory.join("buildkitd.log"), &[]).unwrap();
    let buildctl = |arguments: &[&str]| {
        let mut command = Command::new(&client);
        command.args(["--addr", &socket]).args(arguments);
        command
    };
    for _ in 0..400 {
        if buildctl(&["debug", "workers"]).output().unwrap().status.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let context = directory.join("context");
    fs::create_dir(&context).unwrap();
    let from = format!("reg.test/{}:one", world.seed.repository);
    fs::write(context.join("Dockerfile"), format!("FROM {from}\nCOPY Dockerfile /copied\n")).unwrap();
    let local = format!("context={}", context.display());
    let local_file = format!("dockerfile={}", context.display());
    let output = format!("type=image,name={}/team/built:one,push=true,registry.insecure=true", envoy.address);
    let home = home(&world);
    let build =
        ["build", "--frontend", "dockerfile.v0", "--local", &local, "--local", &local_file, "--output", &output];
    run(buildctl(&build), &home);
    println!("buildkitd: pull as a mirror, build, push: {} token requests", token_requests(&world));
    let records = world.records().unwrap();
    assert!(records.iter().any(|record| record.method == "PUT" && record.target.contains("/team/built/manifests/one")));
    judge(&world, &envoy);
}
