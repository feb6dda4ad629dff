//! Importers: any bytes in the place of each file end without a panic, and nothing is dropped in silence.

use regauth::config::{Directory, Entry, File, Files, Importer, helper};
use regauth::time::Time;
use regauth::{Agent, Capability, Reference};

use crate::FIELD;

/// A certificate and its key, so that inputs reach what comes after the reading of files.
const CERT: &str = include_str!("../pem/client.crt");
const KEY: &str = include_str!("../pem/client.key");

fn importer() -> Importer {
    let mut files = Files::new();
    for (name, text) in [("/ca.crt", CERT), ("/client.crt", CERT), ("/client.key", KEY)] {
        files.put(name, Entry::File(text.into()));
    }
    let mut directory = Directory::new("/dir");
    directory.add("ca.crt", CERT).add("client.cert", CERT).add("client.key", KEY);
    files.put("/dir", Entry::Directory(directory));
    Importer::new().files(files).now(Time(1_780_272_000_000))
}

fn finish(importer: Importer) {
    let model = importer.finish();
    let broken = model.hosts.iter().any(|host| host.unusable.is_some());
    // What fails was said.
    assert!(!broken || model.has_errors());
    for one in &model.diagnostics {
        assert!(!one.what.is_empty() && !one.remedy.is_empty());
        assert_ne!(one.place.line, Some(0));
    }
    let (config, found) = model.into_config();
    assert!(found.len() <= 10_000);
    // What an importer lets through can be used.
    let agent = Agent::new(config.clone()).expect("a configuration that was imported");
    for name in ["alpine", "reg.example:5000/team/app:1"] {
        let image = Reference::parse(name).expect("a name");
        for endpoint in agent.endpoints(&image, Capability::Pull) {
            let _ = agent.request("GET", &endpoint.url("manifests/1"));
            let _ = config.credentials_of(&endpoint.origin, &endpoint.repository);
        }
    }
}

/// Docker's layout: names and contents by turns, one entry each.
pub fn certs_d(data: &[u8]) {
    let mut root = Directory::new("certs.d");
    let mut parts = data.split(|byte| *byte == FIELD);
    while let Some(name) = parts.next() {
        let contents = match parts.next() {
            Some(b"CERT") => CERT.as_bytes(),
            Some(b"KEY") => KEY.as_bytes(),
            other => other.unwrap_or_default(),
        };
        root.put(&String::from_utf8_lossy(name), Entry::File(contents.into()));
    }
    let mut importer = importer();
    importer.docker_certs(&root);
    let roots = [root];
    importer.containers_certs(&roots);
    importer.hosts(&roots);
    finish(importer);
}

/// `hosts.toml` of Docker Hub.
pub fn hosts_toml(data: &[u8]) {
    let mut root = Directory::new("hosts");
    root.put("docker.io/hosts.toml", Entry::File(data.into()));
    let mut importer = importer();
    importer.hosts(&[root]);
    finish(importer);
}

fn file(data: &[u8], read: fn(&mut Importer, &File)) {
    let mut importer = importer();
    read(&mut importer, &File::new("/etc/file", data));
    finish(importer);
}

/// `buildkitd.toml`.
pub fn buildkitd_toml(data: &[u8]) {
    file(data, |importer, file| importer.buildkitd(file));
}

/// `registries.yaml`.
pub fn registries_yaml(data: &[u8]) {
    file(data, |importer, file| importer.registries(file));
}

/// `config.json`, and the same as `DOCKER_AUTH_CONFIG`.
pub fn docker_config(data: &[u8]) {
    file(data, |importer, file| {
        importer.docker_config(file);
        importer.docker_auth_config(file);
    });
}

/// `auth.json`.
pub fn auth_json(data: &[u8]) {
    file(data, |importer, file| importer.auth_json(file));
}

/// Image pull secrets.
pub fn kubernetes(data: &[u8]) {
    file(data, |importer, file| importer.kubernetes(file));
}

/// `regauth.toml`.
pub fn regauth_toml(data: &[u8]) {
    file(data, |importer, file| importer.regauth(file));
}

/// What a credential helper prints.
pub fn helper(data: &[u8]) {
    let (success, data) = data.split_first().map_or((true, data), |(first, rest)| (*first != b'!', rest));
    let _ = helper::read(success, &data.into());
}
