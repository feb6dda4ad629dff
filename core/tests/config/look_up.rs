//! Where credentials come from, in flows: by path, by helper, and never in silence.

use regauth::config::{Directory, Entry, Files};
use regauth::{Agent, Answer, Config, Found, Helper, Origin, Query, Rule, Step};

use crate::world::{NOW, file, importer};

const CHALLENGE: [(&str, &str); 1] = [("WWW-Authenticate", "Bearer realm=\"https://reg.example/token\",service=\"s\"")];

/// The user in the Authorization of the token request for a repository.
fn user(agent: &Agent, name: &str) -> Result<String, String> {
    let waker = std::task::Waker::noop();
    let url = format!("https://reg.example/v2/{name}/manifests/1");
    let mut flow = agent.request("GET", &url).unwrap();
    for _ in 0..4 {
        match flow.poll(NOW, waker) {
            Step::Send(out) if out.hop == regauth::Hop::Token => {
                let value = out.header("Authorization").map(|value| value.expose_str().unwrap().to_string());
                let token = format!("{{\"token\":\"t-{}\"}}", value.clone().unwrap_or_default().len());
                flow.answer(NOW, Answer::new(200, &[("a", "b")]).body(token.as_bytes()));
                return Ok(value.unwrap_or_else(|| "anonymous".into()));
            }
            Step::Send(_) => flow.answer(NOW, Answer::new(401, &CHALLENGE)),
            Step::Failed(error) => return Err(error.to_string()),
            Step::Credentials(query) => return Ok(format!("{query:?}")),
            step => panic!("{step:?}"),
        }
    }
    panic!("no end")
}

#[test]
fn credentials_by_path_do_not_share_tokens() {
    let mut importer = importer();
    importer.auth_json(&file(
        "auth.json",
        r#"{"auths":{"reg.example/a":{"username":"a","password":"1"},"reg.example":{"username":"b","password":"22"}}}"#,
    ));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    assert_eq!(user(&agent, "a/x").as_deref(), Ok("Basic YTox"));
    assert_eq!(user(&agent, "b/x").as_deref(), Ok("Basic YjoyMg=="));
    // Both tokens are warm, each for its own repository.
    let warm = |name: &str| {
        let mut out = Vec::new();
        let found = agent.authorize(NOW, "GET", &format!("https://reg.example/v2/{name}/manifests/1"), &mut out);
        found.then(|| String::from_utf8(out).unwrap())
    };
    assert_eq!(warm("a/x").as_deref(), Some("Bearer t-10"));
    assert_eq!(warm("b/x").as_deref(), Some("Bearer t-14"));
    assert_eq!(warm("c/x"), None);
}

/// A mirror's API may be below `/v2`, where the path belongs to the name, or elsewhere, where the name is the image's.
#[test]
fn credentials_by_path_of_a_mirror() {
    let auths = r#"{"auths":{
        "m.example/proxy": {"username": "proxy", "password": "p"},
        "n.example/library": {"username": "library", "password": "p"},
        "m.example": {"username": "other", "password": "p"}}}"#;
    for (mirror, line, user) in [
        ("https://m.example/v2/proxy", "mirror https://m.example/v2/proxy creds:proxy", "proxy"),
        ("https://m.example/v2", "mirror https://m.example/v2 creds:other", "other"),
        ("https://n.example/art/v2", "mirror https://n.example/art/v2 creds:library", "library"),
    ] {
        let import = || {
            let mut importer = importer();
            importer.auth_json(&file("auth.json", auths));
            importer.registries(&file("r.yaml", &format!("mirrors: {{docker.io: {{endpoint: [\"{mirror}\"]}}}}")));
            importer
        };
        let shown = crate::world::summary(import(), "alpine");
        assert_eq!(shown.lines().next().unwrap().replace(" caps:pull,resolve ns:docker.io", ""), line);
        // The flow finds what was shown.
        let agent = Agent::new(import().finish().into_config().0).unwrap();
        let endpoint = agent.all_endpoints(&regauth::Reference::parse("alpine").unwrap()).remove(0);
        let waker = std::task::Waker::noop();
        let mut flow = endpoint.request(&agent, "GET", "manifests/latest").unwrap();
        assert!(matches!(flow.poll(NOW, waker), Step::Send(_)));
        let origin = &endpoint.origin;
        let challenge = format!("Bearer realm=\"{origin}/token\",service=\"s\"");
        flow.answer(NOW, Answer::new(401, &[("WWW-Authenticate", challenge.as_str())]));
        let Step::Send(out) = flow.poll(NOW, waker) else { panic!("no token request") };
        let basic = regauth::Credentials::Basic { user: user.into(), password: "p".into() };
        let mut config = Config::default();
        config.credentials(origin.clone(), basic);
        let other = Agent::new(config).unwrap();
        let mut alike = other.request("GET", &format!("{origin}/v2/x/manifests/1")).unwrap();
        assert!(matches!(alike.poll(NOW, waker), Step::Send(_)));
        alike.answer(NOW, Answer::new(401, &[("WWW-Authenticate", challenge.as_str())]));
        let Step::Send(wanted) = alike.poll(NOW, waker) else { panic!("no token request") };
        let value = |out: &regauth::Outgoing| out.header("Authorization").unwrap().expose().to_vec();
        assert_eq!(value(out), value(wanted), "{mirror}");
        assert!(out.url.to_string().contains("scope=repository%3A"), "{}", out.url);
    }
}

/// 2.1: bytes of zero at the end of a password are none of it.
#[test]
fn a_password_is_cut_at_its_zeros() {
    let mut importer = importer();
    // a:1 and two zeros.
    importer.docker_config(&file("config.json", r#"{"auths":{"reg.example":{"auth":"YToxAAA="}}}"#));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    assert_eq!(user(&agent, "x").as_deref(), Ok("Basic YTox"));
}

/// 1.1: a token host has a directory of its own, which no reader of the format looks into; with a pair it is used, and
/// the registry's is not.
#[test]
fn the_directory_of_a_token_host() {
    let mut importer = importer();
    importer.docker_certs(&crate::world::directory(
        "certs.d",
        &[
            ("reg.example/c.cert", "{CERT}"),
            ("reg.example/c.key", "{KEY}"),
            ("auth.example/t.cert", "{CERT2}"),
            ("auth.example/t.key", "{KEY2}"),
        ],
    ));
    importer.regauth(&file(
        "regauth.toml",
        "[[pair]] registry = \"https://reg.example\", token = \"https://auth.example\", identity = true\n",
    ));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    let waker = std::task::Waker::noop();
    let mut flow = agent.request("GET", "https://reg.example/v2/a/manifests/1").unwrap();
    let Step::Send(out) = flow.poll(NOW, waker) else { panic!("nothing is sent") };
    assert_eq!(agent.profile(out.tls).unwrap().identity().unwrap(), "certs.d/reg.example/c.cert");
    let realm = "Bearer realm=\"https://auth.example/token\",service=\"s\"";
    flow.answer(NOW, Answer::new(401, &[("WWW-Authenticate", realm)]));
    let Step::Send(out) = flow.poll(NOW, waker) else { panic!("no token request") };
    assert_eq!(agent.profile(out.tls).unwrap().identity().unwrap(), "certs.d/auth.example/t.cert");
}

#[test]
fn broken_credentials_are_not_anonymous() {
    let mut importer = importer();
    importer.docker_config(&file("config.json", r#"{"auths":{"reg.example":{"auth":"%"}}}"#));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    let why = user(&agent, "a").unwrap_err();
    assert!(why.contains("config.json:1 (auths.reg.example): auth is not base64"), "{why}");
}

#[test]
fn a_broken_identity_is_not_left_out() {
    let mut importer = importer();
    importer.docker_certs(&crate::world::directory("certs.d", &[("reg.example/c.cert", "{CERT}")]));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    let mut flow = agent.request("GET", "https://reg.example/v2/").unwrap();
    let Step::Failed(error) = flow.poll(NOW, std::task::Waker::noop()) else { panic!("it went out") };
    assert!(
        error.to_string().contains("certs.d/reg.example/c.cert: c.key, the key of this client certificate, is missing"),
        "{error}"
    );
    // Another host is as before.
    let mut flow = agent.request("GET", "https://b.example/v2/").unwrap();
    assert!(matches!(flow.poll(NOW, std::task::Waker::noop()), Step::Send(_)));
}

#[test]
fn a_helper_is_a_step() {
    let mut importer = importer();
    importer.docker_config(&file("config.json", r#"{"credsStore":"vault"}"#));
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    let waker = std::task::Waker::noop();
    let mut flow = agent.request("GET", "https://reg.example/v2/a/manifests/1").unwrap();
    assert!(matches!(flow.poll(NOW, waker), Step::Send(_)));
    flow.answer(NOW, Answer::new(401, &CHALLENGE));
    let Step::Credentials(Query { helper: Some(Helper { name, url, .. }), .. }) = flow.poll(NOW, waker) else {
        panic!("no look-up")
    };
    assert_eq!((name.as_str(), url.as_str()), ("vault", "reg.example"));
    let found = regauth::config::helper::read(true, &r#"{"Username":"u","Secret":"p"}"#.into()).unwrap();
    flow.credentials(NOW, Ok(found));
    let Step::Send(out) = flow.poll(NOW, waker) else { panic!("no token request") };
    assert_eq!(out.header("Authorization").unwrap().expose(), b"Basic dTpw");
    let mut text = String::new();
    flow.explain(&mut text).unwrap();
    assert!(text.contains("docker-credential-vault is asked for reg.example"), "{text}");
}

#[test]
fn two_helpers_of_one_registry_are_two_look_ups() {
    let registry = Origin::parse("https://reg.example").unwrap();
    let mut config = Config::default();
    config.ask_helper(Rule::registry(registry.clone()).path("a"), "one", regauth::HelperUrl::Docker);
    config.ask_helper(Rule::registry(registry), "two", regauth::HelperUrl::Fixed("x".into()));
    let agent = Agent::new(config).unwrap();
    let waker = std::task::Waker::noop();
    let mut looked = Vec::new();
    for name in ["a/x", "b/x", "a/y"] {
        let mut flow = agent.request("GET", &format!("https://reg.example/v2/{name}/manifests/1")).unwrap();
        if let Step::Send(out) = flow.poll(NOW, waker)
            && out.hop == regauth::Hop::Registry
        {
            flow.answer(NOW, Answer::new(401, &CHALLENGE));
        }
        if let Step::Credentials(query) = flow.poll(NOW, waker) {
            looked.push(query.helper.clone().unwrap().name);
            let credentials = regauth::Credentials::Basic { user: name.into(), password: "p".into() };
            flow.credentials(NOW, Ok(Some(Found { credentials, valid_until: None })));
        }
        let Step::Send(out) = flow.poll(NOW, waker) else { panic!("no token request") };
        assert_eq!(out.hop, regauth::Hop::Token);
    }
    assert_eq!(looked, ["one", "two"]);
}

/// Neither diagnostics nor debug output hold what must not be seen.
#[test]
fn no_secret_is_shown() {
    let mut importer = importer();
    importer.docker_config(&file("config.json", r#"{"auths":{"https://u:s3cret@reg.example/x":{"auth":"cm9ib3Q6czNjcmV0"},"a.example":{"username":"robot","password":"s3cret","identitytoken":"s3cret","registrytoken":"s3cret"},"b.example":{"auth":"s3cret"}}}"#));
    importer.registries(&file("r.yaml", "mirrors: {a.example: {endpoint: [\"https://u:s3cret@m.example\"]}}\nconfigs: {\"https://u:s3cret@a.example\": {}, b.example: {auth: {password: s3cret}}}"));
    importer.hosts(&[crate::world::directory(
        "d",
        &[(
            "a.example/hosts.toml",
            "[host.\"https://u:s3cret@m.example\"]\n[header]\nAuthorization = \"s3cret\"\nx = \"s3cret\"\n",
        )],
    )]);
    importer
        .buildkitd(&file("b.toml", "[registry.\"https://u:s3cret@a.example\"]\nmirrors = [\"u:s3cret@m.example\"]\n"));
    importer.kubernetes(&file(
        "k.yaml",
        "kind: Secret\nstringData: {.dockerconfigjson: '{\"auths\":{\"a.example\":{\"auth\":\"s3cret\", }'}\n",
    ));
    importer.regauth(&file("regauth.toml", "[host.\"https://a.example\"]\nheader = { x = \"s3cret\", \"b d\" = \"s3cret\" }\n[host.\"https://u:s3cret@b.example\"]\n"));
    let model = importer.finish();
    let shown = format!("{model:?}");
    let (config, found) = model.into_config();
    assert!(found.len() > 8, "{found:?}");
    let shown = format!("{shown}{config:?}{found:?}{}", found.iter().map(ToString::to_string).collect::<String>());
    let at = shown.find("s3cret").map(|at| &shown[at.saturating_sub(120)..(at + 20).min(shown.len())]);
    assert_eq!(at, None);
}

/// Keys are shown, and may be anything: a user with a password, a thousand lines, an end of the line.
#[test]
fn keys_are_shown_without_what_is_not_theirs() {
    let mut importer = importer();
    importer.docker_config(&file(
        "c.json",
        r#"{"auths":{"u:s3cret@reg.example/x:1":{},"https://u:s3/cret@reg.example":{},"https://u:s3cret@":{},
            "reg.example/a@sha256:00":{}},"credHelpers":{"u:s3cret@reg.example":"x"},"a\u001b[2J\nerror: b":1}"#,
    ));
    importer.buildkitd(&file("b.toml", "[registry.\"u:s3cret@a.example\"]\n\"u:s3cret@b\" = 1\n[\"s3cret@x\"]\n"));
    importer.registries(&file("r.yaml", "configs: {\"u:s3cret@a.example\": {}, a: {\"u:s3cret@b\": 1}}\n"));
    importer.regauth(&file("r.toml", "[registry.\"u:s3cret@a.example\"]\n[host.\"u:s3cret@a.example\"]\n"));
    importer.hosts(&[crate::world::directory(
        "d",
        &[("reg.example/hosts.toml", "[host.\"u:s3cret@m.example\"]\n[header]\n\"x s3cret\" = \"1\"\n")],
    )]);
    importer.docker_certs(&crate::world::directory("certs.d", &[("a\u{1b}[2J\nerror: b/ca.crt", "")]));
    let (_, found) = importer.finish().into_config();
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(shown.len() > 10, "{shown:#?}");
    let bad = |line: &&String| line.contains("s3") || line.contains("cret") || line.contains(char::is_control);
    assert_eq!(shown.iter().find(bad), None);
    let keys = |key: &str| found.iter().any(|one| one.place.key == key);
    assert!(keys("auths.\u{2026}@reg.example/x:1") && keys("auths.reg.example/a@sha256:00"), "{shown:#?}");
}

/// Keys and passwords stand in these files.
#[test]
fn files_show_their_size_only() {
    let mut directory = Directory::new("certs.d");
    directory.add("a.example/client.key", "s3cret").put("b.example", Entry::Unreadable("permission denied".into()));
    let mut files = Files::new();
    files.put("/pki/client.key", Entry::File("s3cret".into()));
    assert!(files.has("/pki/client.key") && !files.has("/pki"));
    let shown = format!("{directory:?} {files:?} {:?}", file("regauth.toml", "s3cret"));
    assert_eq!(shown.matches("File(6 bytes)").count(), 3, "{shown}");
    assert!(shown.contains("Unreadable(\"permission denied\")") && !shown.contains("s3cret"), "{shown}");
}
