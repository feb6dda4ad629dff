//! The program over real files.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

struct Folder(PathBuf);

impl Folder {
    /// Files by path; the same files for every test of this name.
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("regauth-config-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("ROOT", folder.to_str().unwrap())).unwrap();
        }
        Self(folder)
    }

    /// Arguments with `@` for this folder.
    fn sources(&self, line: &str) -> (Vec<String>, options::Sources) {
        let folder = self.0.to_str().unwrap();
        let mut args: Vec<_> = line.split(' ').map(|arg| arg.replace('@', folder).into()).collect();
        let sources = options::options(&mut args).unwrap();
        (args.into_iter().map(|arg| arg.into_string().unwrap()).collect(), sources)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

const BUILDKITD: &str = r#"
[registry."docker.io"]
mirrors = ["mirror.example/proxy"]
[registry."mirror.example"]
ca = ["/pki/ca.crt"]
[[registry."mirror.example".keypair]]
cert = "client.crt"
key = "client.key"
"#;

fn folder(name: &str) -> Folder {
    let (certificate, key) = pair();
    Folder::new(
        name,
        &[
            ("etc/buildkitd.toml", BUILDKITD),
            ("etc/client.crt", &certificate),
            ("etc/client.key", &key),
            ("root/pki/ca.crt", &certificate),
            ("certs.d/reg.example:5000/client.cert", &certificate),
            ("certs.d/reg.example:5000/client.key", &key),
            ("config.json", "{\"auths\":{\n\"reg.example:5000\":{\"auth\":\"cm9ib3Q6czNjcmV0\"}},\"credStore\":\"x\"}"),
        ],
    )
}

const SOURCES: &str =
    "alpine --buildkitd @/etc/buildkitd.toml --docker-certs=@/certs.d --docker-config @/config.json --root @/root";

fn explained(folder: &Folder, image: &str, hosts: &[&str]) -> Explanation {
    let (_, sources) = folder.sources(SOURCES);
    let hosts: Vec<Origin> = hosts.iter().map(|host| Origin::parse(host).unwrap()).collect();
    Explanation::new(sources.model(now()), &Reference::parse(image).unwrap(), &hosts, None).unwrap()
}

#[test]
fn explain_json() {
    let folder = folder("json");
    let json: Value = serde_json::from_str(&explained(&folder, "alpine", &[]).json()).unwrap();
    let [mirror, registry] = &json["endpoints"].as_array().unwrap()[..] else { panic!("{json:#}") };
    let root = folder.0.to_str().unwrap();
    assert_eq!(mirror["origin"], "https://mirror.example");
    assert_eq!(mirror["api_root"], "/v2/proxy");
    assert_eq!((&mirror["role"], &mirror["ns"]), (&"mirror".into(), &"docker.io".into()));
    assert_eq!(mirror["pairs"][0]["certificate"], format!("{root}/etc/client.crt"));
    assert_eq!(mirror["pairs"][0]["key"], format!("{root}/etc/client.key"));
    assert_eq!(mirror["pairs"][0]["line"], 6);
    assert_eq!(mirror["roots"]["files"][0], "/pki/ca.crt");
    assert_eq!(mirror["capabilities"], serde_json::json!(["pull", "resolve"]));
    assert_eq!((&registry["role"], &registry["pairs"]), (&"registry".into(), &serde_json::json!([])));
    assert!(registry["no_pair_because"].as_str().unwrap().contains("buildkitd.toml:2"), "{json:#}");
    assert_eq!(json["diagnostics"][0]["code"], "unknown-field");
}

#[test]
fn explain_text() {
    let folder = folder("text");
    let text = explained(&folder, "reg.example:5000/a", &["https://auth.example"]).text();
    for part in [
        "registry    https://reg.example:5000/v2",
        "certs.d/reg.example:5000/client.cert",
        "a password of robot",
        "config.json:2 (auths.reg.example:5000)",
        "[[pair]] registry = \"https://reg.example:5000\", token = \"https://auth.example\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("s3cret"));
}

#[test]
fn options_take_theirs_and_leave_the_rest() {
    let folder = folder("options");
    let (rest, sources) =
        folder.sources("explain --containers-certs @/certs.d @/root alpine --json --auth-json @/config.json");
    assert_eq!(rest, ["explain", "alpine", "--json"]);
    assert!(!sources.is_empty());
    let mut args = vec!["--hosts".into()];
    assert!(options::options(&mut args).is_err());
    // What a source says of a file that is not there.
    let (_, sources) = folder.sources("--docker-config @/none.json --docker-certs @/none");
    let found = sources.model(now()).diagnostics;
    assert!(found.iter().all(|one| one.code.as_str() == "unreadable") && found.len() == 2, "{found:?}");
}

#[test]
fn the_variables_stand_in_the_place_of_the_system() {
    let folder = Folder::new(
        "roots",
        &[("a.pem", "-----BEGIN CERTIFICATE-----\n"), ("notes.txt", "no certificate"), ("b/c.pem", "none")],
    );
    let (here, file) = (folder.0.clone().into_os_string(), folder.0.join("a.pem").into_os_string());
    assert_eq!(options::roots_of(None, Some(here.clone())).0.len(), 1);
    let (both, from) = options::roots_of(Some(file.clone()), Some(here));
    assert_eq!((both.len(), from.as_deref()), (2, file.to_str()));
    assert!(options::roots_of(Some(folder.0.join("missing").into()), None).0.is_empty());
}

#[test]
fn envoy_clusters() {
    let folder = folder("envoy");
    let (_, sources) = folder.sources(SOURCES);
    let text = envoy::print(&sources.model(now()), &[], Some("/system.crt"));
    let (clusters, plugin) = text.split_once("---\n").unwrap();
    assert_eq!(clusters.matches("- name: regauth-https").count(), 3, "{text}");
    assert_eq!(clusters.matches("tls_certificates").count(), 2, "{text}");
    let plugin: Value = serde_json::from_str(plugin).unwrap();
    assert_eq!(plugin["registries"]["https://mirror.example"]["cluster"], "regauth-https-mirror.example-443");
}
