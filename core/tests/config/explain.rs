//! What is said of an image: which certificate goes to which host, and why not.

use regauth::config::{Explanation, Importer};
use regauth::{Origin, Reference};
use serde_json::{Value, json};

use crate::world::{directory, file, importer};

fn explained(importer: Importer, image: &str, token_hosts: &[&str]) -> Explanation {
    let hosts: Vec<Origin> = token_hosts.iter().map(|host| Origin::parse(host).unwrap()).collect();
    let image = Reference::parse(image).unwrap();
    Explanation::new(importer.finish(), &image, &hosts, Some("/etc/ssl/ca.pem".into())).unwrap()
}

fn parsed(explanation: &Explanation) -> Value {
    let text = explanation.json();
    assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "one line: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The table without its widths: cells by `|`.
fn cells(text: &str) -> Vec<String> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    text.lines().map(cells).collect()
}

/// A mirror with a pair of its own, below a path and under another name; a registry with a password; a token host that is
/// paired and gets both, and one that is not.
fn mirrored() -> Importer {
    let mut importer = importer();
    importer.buildkitd(&file(
        "b/buildkitd.toml",
        "[registry.\"reg.example\"]
mirrors = [\"mirror.example/proxy\"]
ca = [\"/pki/ca.crt\"]
[[registry.\"reg.example\".keypair]]
cert = \"/pki/second.crt\"
key = \"/pki/second.key\"
[registry.\"mirror.example\"]
[[registry.\"mirror.example\".keypair]]
cert = \"/pki/client.crt\"
key = \"/pki/client.key\"
",
    ));
    importer.docker_config(&file("config.json", "{\"auths\":{\n\"reg.example\":{\"auth\":\"cm9ib3Q6czNjcmV0\"}}}"));
    importer.regauth(&file(
        "regauth.toml",
        "[[pair]] registry = \"https://reg.example\", token = \"https://auth.example\", identity = true\n",
    ));
    importer
}

const HOSTS: [&str; 2] = ["https://auth.example", "https://other.example"];
const UNPAIRED: &str = "credentials for a realm on a host that is not paired with the registry";

#[test]
fn the_table_of_a_mirrored_image() {
    let text = explained(mirrored(), "reg.example/app:1", &HOSTS).text();
    let wanted = format!(
        "reg.example/app:1

HOP | ORIGIN | CERTIFICATE | CREDENTIALS | FROM, OR WHY NOT
mirror | https://mirror.example/v2/proxy | /pki/client.crt | none | key /pki/client.key, named by b/buildkitd.toml:8 (registry.\"mirror.example\".keypair)
token | same host | /pki/client.crt | none | as the registry API
token | https://auth.example | none | none | {UNPAIRED} (without credentials it goes out)
token | https://other.example | none | none | {UNPAIRED} (without credentials it goes out)
redirect | any other origin | none | none | unless it is paired as storage
registry | https://reg.example/v2 | /pki/second.crt | a password of robot | key /pki/second.key, named by b/buildkitd.toml:4 (registry.\"reg.example\".keypair); credentials from config.json:2 (auths.reg.example)
token | same host | /pki/second.crt | a password of robot | as the registry API
token | https://auth.example | /pki/second.crt | a password of robot | paired in the configuration
token | https://other.example | none | none | {UNPAIRED}
redirect | any other origin | none | none | unless it is paired as storage

missing in regauth.toml, if these token hosts are meant (identity = true lends the certificate too):
[[pair]] registry = \"https://mirror.example\", token = \"https://auth.example\"
[[pair]] registry = \"https://mirror.example\", token = \"https://other.example\"
[[pair]] registry = \"https://reg.example\", token = \"https://other.example\""
    );
    assert_eq!(cells(&text).join("\n"), wanted);
    // Columns begin below their heads.
    let column = |line: &str, cell: &str| line.find(cell).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(column(lines[2], "CREDENTIALS"), column(lines[8], "a password of robot"));
    assert_eq!(column(lines[2], "CERTIFICATE"), column(lines[10], "/pki/second.crt"));
}

#[test]
fn the_same_as_json() {
    let explanation = explained(mirrored(), "reg.example/app:1", &HOSTS);
    let flags = json!({
        "plain_http": false, "skip_verify": false, "force": false, "try_pairs": false, "try_pairs_on_status": false,
        "local": false, "password_over_http": false, "password_unverified": false,
    });
    let password = json!({
        "what": "a password", "user": "robot", "file": "config.json", "key": "auths.reg.example", "line": 2, "sent": true,
        "helper": null,
    });
    let roots = |files: Value| json!({ "webpki": true, "system": "/etc/ssl/ca.pem", "files": files, "adds": true });
    let pair = |files: [&str; 2], key: &str, line: u32| {
        let [certificate, its_key] = files;
        json!([{
            "certificate": certificate, "key": its_key, "file": "b/buildkitd.toml", "named_by": key, "line": line,
        }])
    };
    let entry = |key: &str, line: u32| json!({ "file": "b/buildkitd.toml", "key": key, "line": line });
    let token = |registry: &str, host: &str, because: &str| {
        let line = format!("[[pair]] registry = \"{registry}\", token = \"{host}\"");
        json!({
            "registry": registry, "token_host": host, "identity_of": null, "credentials": false, "because": because,
            "missing": [line],
        })
    };
    let unlent = format!("{UNPAIRED} (without credentials it goes out)");
    let wanted = json!({
        "image": "reg.example/app:1", "registry": "reg.example", "repository": "app",
        "endpoints": [
            {
                "origin": "https://mirror.example", "api_root": "/v2/proxy", "role": "mirror", "ns": "reg.example",
                "repository": "app",
                "pairs": pair(["/pki/client.crt", "/pki/client.key"], "registry.\"mirror.example\".keypair", 8),
                "no_pair_because": null, "roots": roots(json!([])), "flags": flags, "dial_timeout_ms": null,
                "headers": [], "capabilities": ["pull", "resolve"], "unusable": null, "credentials": null,
                "host_entry": entry("registry.\"mirror.example\"", 7),
                "named_by": "b/buildkitd.toml:2 (registry.\"reg.example\".mirrors)",
            },
            {
                "origin": "https://reg.example", "api_root": "/v2", "role": "registry", "ns": null, "repository": "app",
                "pairs": pair(["/pki/second.crt", "/pki/second.key"], "registry.\"reg.example\".keypair", 4),
                "no_pair_because": null, "roots": roots(json!(["/pki/ca.crt"])), "flags": flags,
                "dial_timeout_ms": null, "headers": [], "capabilities": ["pull", "resolve", "push", "referrers"],
                "unusable": null, "credentials": password, "host_entry": entry("registry.\"reg.example\"", 1),
                "named_by": "b/buildkitd.toml:1 (registry.\"reg.example\")",
            },
        ],
        "credentials": password,
        "token_hosts": [
            token("https://mirror.example", HOSTS[0], &unlent),
            token("https://mirror.example", HOSTS[1], &unlent),
            {
                "registry": "https://reg.example", "token_host": "https://auth.example",
                "identity_of": "https://reg.example", "credentials": true, "because": "paired in the configuration",
                "missing": [],
            },
            token("https://reg.example", HOSTS[1], UNPAIRED),
        ],
        "diagnostics": [],
    });
    let json = parsed(&explanation);
    assert_eq!(json, wanted, "{json:#}");
    let debug = format!("{explanation:?}");
    assert!(debug.contains("robot") && !debug.contains("s3cret") && !json.to_string().contains("s3cret"));
}

fn regauth(text: &str) -> Importer {
    let mut importer = importer();
    importer.regauth(&file("regauth.toml", text));
    importer
}

/// Of the reasons for no certificate each has its own words, and requests that fail say so.
#[test]
fn no_certificate_because() {
    let buildkitd = |text: &str| {
        let mut importer = importer();
        importer.buildkitd(&file("b.toml", text));
        importer
    };
    let mut half = importer();
    half.docker_certs(&directory("certs.d", &[("reg.example/client.cert", "{CERT}")]));
    let why = "certs.d/reg.example/client.cert: client.key, the key of this client certificate, is missing";
    let fails = format!("requests fail: {why}");
    let default = "[default]\nidentity = { certificate = \"/pki/both.pem\", key = \"/pki/both.pem\" }\n";
    for (importer, because, unusable) in [
        (importer(), "no source has an entry for https://reg.example", Value::Null),
        (
            buildkitd("[registry.\"reg.example\"]\nca = [\"/pki/ca.crt\"]\n"),
            "b.toml:1 (registry.\"reg.example\") names no certificate",
            Value::Null,
        ),
        (buildkitd("[registry.\"reg.example\"]\nhttp = true\n"), "plain http carries no certificate", Value::Null),
        (half, &fails, why.into()),
        (
            regauth(default),
            "the certificate of regauth.toml:1 (default) is for every registry, and there is no leave for it",
            Value::Null,
        ),
    ] {
        let explanation = explained(importer, "reg.example/app", &[]);
        let json = parsed(&explanation);
        let registry = &json["endpoints"][0];
        assert_eq!((&registry["pairs"], &registry["no_pair_because"]), (&json!([]), &json!(because)));
        assert_eq!(registry["unusable"], unusable);
        assert!(
            explanation.text().contains(&format!("none         none         {because}\n")),
            "{}",
            explanation.text()
        );
    }
    // With leave it is shown.
    let leave = explained(regauth(&format!("{default}wildcard_identity = true\n")), "reg.example/app", &[]);
    let registry = &parsed(&leave)["endpoints"][0];
    assert_eq!(
        (&registry["pairs"][0]["certificate"], &registry["no_pair_because"]),
        (&json!("/pki/both.pem"), &Value::Null)
    );
}

/// What a token host gets, and why not more.
#[test]
fn token_hosts() {
    let host =
        "[host.\"https://reg.example\"]\nidentity = { certificate = \"/pki/both.pem\", key = \"/pki/both.pem\" }\n";
    let paired = format!("[[pair]] registry = \"https://reg.example\", token = \"https://auth.example\"\n{host}");
    for (text, token, wanted) in [
        (
            &*paired,
            "https://auth.example",
            json!([
                null,
                true,
                "paired in the configuration; the registry's certificate is not lent to it (identity = true)"
            ]),
        ),
        // Of the registry's own host, another port.
        (host, "https://reg.example:5001", json!(["https://reg.example", true, "the registry's host at another port"])),
        (
            host,
            "http://auth.example",
            json!([null, false, "refused: an http realm, where the registry is not http on the same host"]),
        ),
    ] {
        let json = parsed(&explained(regauth(text), "reg.example/app", &[token]));
        let found = &json["token_hosts"][0];
        assert_eq!(json!([found["identity_of"], found["credentials"], found["because"]]), wanted);
        assert_eq!(found["missing"], json!([]));
    }
}

/// Credentials by their kind, whether they are sent, and what is renamed, switched and only for these roots.
#[test]
fn credentials_and_switches() {
    let with = |json: &str, more: &str| {
        let mut importer = importer();
        importer.docker_config(&file("config.json", json));
        importer.regauth(&file("regauth.toml", more));
        importer
    };
    let cell = |importer: Importer| {
        let text = explained(importer, "reg.example/app", &[]).text();
        let row = cells(&text).into_iter().find(|row| row.starts_with("registry")).unwrap();
        row.split(" | ").nth(3).unwrap().to_string()
    };
    let http = "[registry.\"reg.example\"]\nhttp = true\n";
    let password = r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6czNjcmV0"}}}"#;
    assert_eq!(cell(with(password, "")), "a password of robot");
    assert_eq!(cell(with(r#"{"auths":{"reg.example":{"identitytoken":"s3cret"}}}"#, "")), "a refresh token");
    assert_eq!(cell(with(r#"{"credsStore":"vault"}"#, "")), "docker-credential-vault for reg.example");
    assert_eq!(cell(with(r#"{"auths":{"reg.example":{"username":"robot"}}}"#, "")), "a user without a password: robot");
    assert_eq!(cell(with(password, http)), "a password of robot: not sent, policy");
    let allowed = format!("{http}[host.\"http://reg.example\"]\npassword_over_http = true\n");
    assert_eq!(cell(with(password, &allowed)), "a password of robot");

    let mut switched = with(
        r#"{"credsStore":"vault"}"#,
        "[host.\"https://reg.example\"]\nca = \"/pki/ca.crt\"\nonly_ca = true\nskip_verify = true\nforce = true\n\
         dial_timeout = \"5s\"\nheader = { X-A = \"s3cret\" }\nmisspelt = 1\n",
    );
    switched.registries(&file(
        "r.yaml",
        "mirrors: {reg.example: {endpoint: [\"https://m.example\"], rewrite: {\"^app$\": \"mirror/app\"}}}",
    ));
    let explanation = explained(switched, "reg.example/app", &[]);
    let json = parsed(&explanation);
    let [mirror, registry] = &json["endpoints"].as_array().unwrap()[..] else { panic!("{json:#}") };
    assert_eq!(mirror["repository"], "mirror/app");
    let roots = json!({ "webpki": false, "system": null, "files": ["/pki/ca.crt"], "adds": false });
    assert_eq!((&registry["roots"], &registry["headers"]), (&roots, &json!(["X-A"])));
    assert_eq!((&registry["flags"]["skip_verify"], &registry["flags"]["force"]), (&json!(true), &json!(true)));
    assert_eq!(registry["dial_timeout_ms"], 5000);
    let helper = json!({ "name": "vault", "url": "reg.example" });
    // The certificate is not checked, so nothing is sent.
    assert_eq!((&registry["credentials"]["helper"], &registry["credentials"]["sent"]), (&helper, &json!(false)));
    let found = json["diagnostics"].as_array().unwrap();
    let text = explanation.text();
    assert!(text.contains("https://m.example/v2 as mirror/app"), "{text}");
    assert!(!found.is_empty() && text.ends_with(&format!("\n{} findings: see lint\n", found.len())), "{text}");
    let misspelt = found.iter().find(|one| one["code"] == "unknown-field").unwrap();
    assert_eq!(
        (&misspelt["severity"], &misspelt["key"]),
        (&json!("warning"), &json!("host.\"https://reg.example\".misspelt"))
    );
    assert_eq!((&misspelt["file"], &misspelt["line"]), (&json!("regauth.toml"), &json!(8)));
    assert!(misspelt["what"].is_string() && misspelt["remedy"].is_string());
    assert!(!text.contains("s3cret") && !json.to_string().contains("s3cret"));
}
