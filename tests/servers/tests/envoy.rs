//! What `regauth-config envoy` prints is a configuration of Envoy, by Envoy's own word.
//!
//! It prints two documents. The first one, the clusters, is a whole bootstrap configuration, which `envoy --mode validate`
//! checks with every file that it names. The second is what the plugin in a listener is given, which Envoy passes on as it
//! is: that it is JSON and names these clusters is checked here, and the plugin itself is in no part of this.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "it writes files and runs programs")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use regauth::server::SigningKey;
use regauth_servers::{Pki, Program, TempDir, entropy, example, have};
use serde_json::Value;

fn validate(config: &Path) -> (bool, String) {
    let mut envoy = Program::Envoy.command().unwrap();
    let done = envoy.args(["--mode", "validate", "-c"]).arg(config).output().unwrap();
    (
        done.status.success(),
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)),
    )
}

#[test]
fn envoy_takes_the_clusters() {
    if !have(&[Program::Envoy]) {
        return;
    }
    let directory = TempDir::new("envoy").unwrap();
    fs::create_dir(directory.join("pki")).unwrap();
    let signing = Arc::new(SigningKey::generate(&entropy().unwrap()).unwrap());
    let pki = Pki::new(&directory.join("pki"), &signing).unwrap();
    let (ca, cert, key) = (pki.ca.display(), pki.client.cert.display(), pki.client.key.display());
    let file = |name: &str, text: String| {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    // All that the output can hold: names, literals of both kinds, several certificates, plain http, unchecked servers.
    let hosts = format!(
        "server = \"https://reg.example\"\nca = [\"{ca}\", \"{}\"]\nclient = [[\"{cert}\", \"{key}\"]]\ndial_timeout = \"1m2s5ms\"\n\
         [host.\"https://127.0.0.1:5001\"]\nskip_verify = true\n[host.\"http://[::1]:5000\"]\n",
        pki.wrong_ca.display()
    );
    file("hosts/reg.example/hosts.toml", hosts);
    let regauth = file(
        "regauth.toml",
        format!(
            "[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://auth.example:8443\"\nidentity = true\n\
             [[pair]]\nregistry = \"https://reg.example\"\nstorage = \"https://127.0.0.3:9000\"\n\
             [host.\"https://auth.example:8443\"]\nca = \"{ca}\"\nonly_ca = true\n\
             [host.\"https://[::1]:5002\"]\nidentity = {{ certificate = \"{cert}\", key = \"{key}\" }}\n"
        ),
    );
    let printed = Command::new(example("regauth-config").unwrap())
        .env("SSL_CERT_FILE", &pki.ca)
        .args(["envoy", "--token-host", "https://tokens.example", "--hosts"])
        .arg(directory.join("hosts"))
        .arg("--regauth")
        .arg(&regauth)
        .output()
        .unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).unwrap();
    let (clusters, plugin) = text.split_once("---\n").unwrap();
    println!("{clusters}");
    let config = file("envoy.yaml", clusters.into());
    let (good, said) = validate(&config);
    assert!(good, "{said}");
    assert!(said.contains("OK"), "{said}");

    let plugin: Value = serde_json::from_str(plugin).unwrap();
    for (registry, entry) in plugin["registries"].as_object().unwrap() {
        let realms = entry["realms"].as_object().unwrap().values().chain([&entry["cluster"]]);
        for name in realms.map(|name| name.as_str().unwrap()) {
            assert!(clusters.contains(&format!("- name: {name}\n")), "{registry}: {name}");
        }
    }
    // The token endpoint shows what its pair lends it, and only for that registry.
    let lent = "regauth-https-auth.example-8443-of-reg.example-443";
    assert_eq!(plugin["registries"]["https://reg.example"]["realms"]["https://auth.example:8443"], lent);
    let of = |name: &str| clusters.split("  - name: ").find(|text| text.starts_with(&format!("{name}\n"))).unwrap();
    assert!(of(lent).contains("private_key") && of(lent).contains(&ca.to_string()));
    assert!(!of("regauth-https-auth.example-8443").contains("private_key"));
    assert!(!of("regauth-https-127.0.0.3-9000").contains("private_key"));
    assert_eq!(clusters.matches("- name: ").count(), 8, "{clusters}");

    // It does look: a certificate of another key is refused.
    let wrong = clusters.replace(&pki.client.key.display().to_string(), &pki.wrong.key.display().to_string());
    assert!(wrong != clusters);
    let (good, said) = validate(&file("wrong.yaml", wrong));
    assert!(!good && said.contains("private key"), "{said}");
}
