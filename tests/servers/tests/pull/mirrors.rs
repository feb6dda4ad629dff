//! Mirrors: asked first, given nothing of the registry's, and passed over where they fail.

use std::path::Path;

use regauth_servers::{Kind, Record, Scenario, World, free_port, have};

use crate::formats::{Files, auths};
use crate::program::{Run, briefs, programs, pull};

const REGISTRY: &str = "CN=buildbot-1";
const MIRROR: &str = "CN=token-bot";

/// A registry and a mirror of it: each with its own authority, token service and nginx.
struct Worlds {
    registry: World,
    mirror: World,
}

/// What a mirror is given in the configuration.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    /// A certificate and a password of its own.
    All,
    /// Nothing but its authority.
    Nothing,
}

impl Worlds {
    fn start() -> Self {
        let start = || World::start(Kind::V3, Scenario::SameHost).unwrap();
        Self { registry: start(), mirror: start() }
    }

    fn image(&self) -> String {
        format!("{}/{}:one", self.registry.registry(), self.registry.seed.repository)
    }

    /// containerd's file of the registry, with a mirror at `mirror`.
    fn hosts_toml(&self, files: &Files, mirror: &str, given: Given, more: &str) -> Vec<String> {
        let (pki, other, host) = (&self.registry.pki, &self.mirror.pki, self.registry.registry().to_string());
        let show = |path: &Path| path.display().to_string();
        let client = match given {
            Given::All => {
                format!("client = [[\"{}\", \"{}\"]]\n", show(&other.token_client.cert), show(&other.token_client.key))
            }
            Given::Nothing => String::new(),
        };
        let text = format!(
            "server = \"https://{host}\"\nca = \"{}\"\nclient = [[\"{}\", \"{}\"]]\n[header]\nx-registry = \"mine\"\n\n\
             [host.\"https://{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"{}\"\n{client}{more}",
            show(&pki.ca),
            show(&pki.client.cert),
            show(&pki.client.key),
            show(&other.ca),
        );
        files.write(&format!("hosts/{host}/hosts.toml"), &text);
        vec!["--hosts".into(), files.path("hosts")]
    }

    /// BuildKit's.
    fn buildkitd_toml(&self, files: &Files, mirror: &str, given: Given) -> Vec<String> {
        let (pki, other, host) = (&self.registry.pki, &self.mirror.pki, self.registry.registry().to_string());
        let show = |path: &Path| path.display().to_string();
        let client = match given {
            Given::All => format!(
                "[[registry.\"{mirror}\".keypair]]\ncert = \"{}\"\nkey = \"{}\"\n",
                show(&other.token_client.cert),
                show(&other.token_client.key)
            ),
            Given::Nothing => String::new(),
        };
        let text = format!(
            "[registry.\"{host}\"]\nmirrors = [\"{mirror}\"]\nhttp = false\nca = [\"{}\"]\n\
             [[registry.\"{host}\".keypair]]\ncert = \"{}\"\nkey = \"{}\"\n\
             [registry.\"{mirror}\"]\nhttp = false\nca = [\"{}\"]\n{client}",
            show(&pki.ca),
            show(&pki.client.cert),
            show(&pki.client.key),
            show(&other.ca),
        );
        vec!["--buildkitd".into(), files.write("buildkitd.toml", &text)]
    }

    fn pull(&self, files: &Files, mut line: Vec<String>, given: Given) -> Run {
        let (host, mirror) = (self.registry.registry().to_string(), self.mirror.registry().to_string());
        let hosts = if given == Given::All { vec![host.as_str(), &mirror] } else { vec![host.as_str()] };
        line.extend(["--docker-config".into(), files.write("config.json", &auths(&hosts))]);
        line.extend(["--json".into(), self.image()]);
        let run = pull(&line, "");
        assert_eq!(run.code, 0, "{}", run.said);
        run
    }

    /// What each of them saw since the last look.
    fn seen(&self, title: &str, known: &mut (usize, usize)) -> (Vec<Record>, Vec<Record>) {
        let (mut registry, mut mirror) = (self.registry.records().unwrap(), self.mirror.records().unwrap());
        let (first, second) = (registry.split_off(known.0), mirror.split_off(known.1));
        *known = (known.0 + first.len(), known.1 + second.len());
        println!("{title}\nregistry:\n{}\nmirror:\n{}\n", briefs(&first), briefs(&second));
        (first, second)
    }
}

/// All requests of a pull that begins cold, with this certificate.
fn whole(records: &[Record], dn: &str) {
    assert_eq!(records.len(), 7, "{}", briefs(records));
    for record in records {
        assert_eq!((record.dn.as_deref(), record.verify.as_str()), (Some(dn), "SUCCESS"), "{}", record.brief());
    }
    assert_eq!(records.iter().filter(|record| record.authz.as_deref() == Some("Basic")).count(), 1);
}

#[test]
fn a_mirror_is_asked_first_and_given_nothing_of_the_registry_s() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    let worlds = Worlds::start();
    let at = worlds.mirror.registry().to_string();
    let mut known = (0, 0);
    for format in ["hosts.toml", "buildkitd.toml"] {
        for given in [Given::All, Given::Nothing] {
            let title =
                format!("{format}, the mirror is given {}", if given == Given::All { "its own" } else { "nothing" });
            let files = Files::new(&worlds.registry, &title.replace([' ', ','], "-"));
            let line = match format {
                "hosts.toml" => worlds.hosts_toml(&files, &at, given, ""),
                _ => worlds.buildkitd_toml(&files, &at, given),
            };
            let run = worlds.pull(&files, line, given);
            let (registry, mirror) = worlds.seen(&title, &mut known);
            if given == Given::All {
                // It serves all of it.
                whole(&mirror, MIRROR);
                let ns = format!("?ns={}", worlds.registry.registry());
                assert!(mirror.iter().all(|record| record.is_token() || record.target.ends_with(&ns)));
                assert!(registry.is_empty());
                continue;
            }
            // It is asked for each, and refuses: without a certificate, as the registry's is not shown to it.
            assert_eq!(mirror.len(), 5);
            for record in &mirror {
                let shown = (record.status, record.verify.as_str(), &record.dn, &record.authz);
                assert_eq!(shown, (400, "NONE", &None, &None), "{}", record.brief());
            }
            whole(&registry, REGISTRY);
            assert!(run.said.contains(&format!("Asking https://{}.", worlds.registry.registry())), "{}", run.said);
        }
    }
}

#[test]
fn a_mirror_that_refuses_the_password_is_not_given_the_registry_s() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    let worlds = Worlds::start();
    let files = Files::new(&worlds.registry, "files");
    let line = worlds.hosts_toml(&files, &worlds.mirror.registry().to_string(), Given::All, "");
    // A certificate of its own and no password: its token service has none without one.
    worlds.pull(&files, line, Given::Nothing);
    let (registry, mirror) = worlds.seen("no password", &mut (0, 0));
    whole(&registry, REGISTRY);
    assert!(mirror.iter().all(|record| record.dn.as_deref() == Some(MIRROR) && record.authz.is_none()));
    assert!(mirror.iter().any(|record| record.is_token() && record.status == 401));
    assert_eq!(worlds.mirror.token_counts().refused, mirror.iter().filter(|record| record.is_token()).count());
}

#[test]
fn a_mirror_that_is_down_is_tried_once() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    let worlds = Worlds::start();
    let files = Files::new(&worlds.registry, "files");
    let down = format!("127.0.0.1:{}", free_port(&[std::net::Ipv4Addr::LOCALHOST]).unwrap());
    let run = worlds.pull(&files, worlds.buildkitd_toml(&files, &down, Given::All), Given::All);
    whole(&worlds.registry.records().unwrap(), REGISTRY);
    assert_eq!(run.said.matches("connection refused").count(), 1, "{}", run.said);
    let tried = run.rows.iter().filter(|row| row["origin"] == format!("https://{down}")).count();
    assert!(tried <= 1, "{:?}", run.rows);
}

#[test]
fn capabilities_say_what_a_mirror_is_asked_for() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    let worlds = Worlds::start();
    let at = worlds.mirror.registry().to_string();
    let host = worlds.registry.registry().to_string();
    let mut known = (0, 0);
    for (capabilities, of_server) in [("[\"pull\"]", ""), ("[\"pull\"]", "capabilities = [\"resolve\"]\n")] {
        let title = format!("mirror {capabilities}, server {of_server:?}");
        let files = Files::new(&worlds.registry, if of_server.is_empty() { "one" } else { "two" });
        let line = worlds.hosts_toml(&files, &at, Given::All, "");
        let path = files.path(&format!("hosts/{host}/hosts.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let text = format!("{of_server}{}", text.replace("[\"pull\", \"resolve\"]", capabilities));
        std::fs::write(&path, text).unwrap();
        worlds.pull(&files, line, Given::All);
        let (registry, mirror) = worlds.seen(&title, &mut known);
        // The registry says what the tag stands for, and the mirror has the content.
        assert!(registry.iter().all(|record| !record.is_blob()), "{}", briefs(&registry));
        assert_eq!(mirror.iter().filter(|record| record.is_blob() && record.status == 200).count(), 4);
        let heads = registry.iter().filter(|record| record.method == "HEAD" && record.status == 200).count();
        assert_eq!(heads, usize::from(!of_server.is_empty()), "{}", briefs(&registry));
        let manifests = mirror.iter().filter(|record| record.target.contains("/manifests/sha256:")).count();
        assert_eq!(manifests > 0, !of_server.is_empty(), "{}", briefs(&mirror));
    }
}

#[test]
fn a_mirror_of_k3s_has_its_own_names() {
    if !have(&programs(Kind::V3)) {
        return;
    }
    let worlds = Worlds::start();
    let (host, at) = (worlds.registry.registry().to_string(), worlds.mirror.registry().to_string());
    let pki = &worlds.mirror.pki;
    let files = Files::new(&worlds.registry, "files");
    let text = format!(
        "mirrors:\n  \"{host}\":\n    endpoint:\n      - \"https://{at}\"\n    rewrite:\n      \"^team/(.*)\": \"demo/$1\"\n\
         configs:\n  \"{at}\":\n    auth:\n      username: robot\n      password: {}\n    tls:\n      ca_file: {}\n      \
         cert_file: {}\n      key_file: {}\n",
        regauth_servers::PASSWORD,
        pki.ca.display(),
        pki.token_client.cert.display(),
        pki.token_client.key.display(),
    );
    let registries = files.write("registries.yaml", &text);
    let run = pull(&["--json", "--registries", &registries, &format!("{host}/team/app:one")], "");
    assert_eq!(run.code, 0, "{}", run.said);
    let (registry, mirror) = worlds.seen("rewrite", &mut (0, 0));
    whole(&mirror, MIRROR);
    assert!(registry.is_empty());
    assert!(mirror.iter().any(|record| record.target.starts_with("/v2/demo/app/manifests/one?ns=")));
}
