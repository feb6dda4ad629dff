//! The same registry in all formats: equal where they say the same.

use regauth::config::Importer;
use regauth::{Agent, Capability, Origin, Reference};

use crate::world::{directory, file, importer};

type Import = fn(&mut Importer);

const FORMATS: [(&str, Import); 7] = [
    ("Docker certs.d", |importer| {
        importer.docker_certs(&directory(
            "d",
            &[
                ("reg.example:5000/ca.crt", "{CA}"),
                ("reg.example:5000/c.cert", "{CERT}"),
                ("reg.example:5000/c.key", "{KEY}"),
            ],
        ));
    }),
    ("containers certs.d", |importer| {
        importer.containers_certs(&[directory(
            "d",
            &[
                ("reg.example:5000/ca.crt", "{CA}"),
                ("reg.example:5000/c.cert", "{CERT}"),
                ("reg.example:5000/c.key", "{KEY}"),
            ],
        )]);
    }),
    ("hosts.toml", |importer| {
        importer.hosts(&[directory(
            "d",
            &[(
                "reg.example_5000_/hosts.toml",
                "ca = \"/pki/ca.crt\"\nclient = [[\"/pki/client.crt\", \"/pki/client.key\"]]\n",
            )],
        )]);
    }),
    ("containerd certificate files", |importer| {
        importer.hosts(&[directory(
            "d",
            &[
                ("reg.example:5000/ca.crt", "{CA}"),
                ("reg.example:5000/c.cert", "{CERT}"),
                ("reg.example:5000/c.key", "{KEY}"),
            ],
        )]);
    }),
    ("buildkitd.toml", |importer| {
        let text = "[registry.\"reg.example:5000\"]\nca = [\"/pki/ca.crt\"]\n[[registry.\"reg.example:5000\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n";
        importer.buildkitd(&file("buildkitd.toml", text));
    }),
    ("registries.yaml", |importer| {
        let text = "configs: {'reg.example:5000': {tls: {ca_file: /pki/ca.crt, cert_file: /pki/client.crt, key_file: /pki/client.key}}}";
        importer.registries(&file("registries.yaml", text));
    }),
    ("regauth.toml", |importer| {
        let text = "[host.\"https://reg.example:5000\"]\nca = \"/pki/ca.crt\"\nidentity = { certificate = \"/pki/client.crt\", key = \"/pki/client.key\" }\n";
        importer.regauth(&file("regauth.toml", text));
    }),
];

#[test]
fn the_same_registry_in_all_formats() {
    let mut first: Option<String> = None;
    for (name, import) in FORMATS {
        let mut importer = importer();
        import(&mut importer);
        let (config, found) = importer.finish().into_config();
        assert!(found.is_empty(), "{name}: {found:?}");
        let agent = Agent::new(config).unwrap();
        let image = Reference::parse("reg.example:5000/team/app:1").unwrap();
        let shown: Vec<String> = agent
            .endpoints(&image, Capability::Pull)
            .iter()
            .map(|endpoint| {
                let profile = agent.profile(endpoint.profile).unwrap();
                let settings = profile.settings();
                let prints: Vec<_> = settings.identities.iter().map(regauth::Identity::fingerprint).collect();
                // Files have other names, and that is all.
                format!(
                    "{} {} {} {:?} {} {} {:?}",
                    endpoint.origin,
                    endpoint.root,
                    endpoint.repository,
                    prints,
                    settings.skip_verify,
                    settings.force,
                    settings.roots
                )
            })
            .collect();
        let shown = shown.join("\n");
        assert_eq!(*first.get_or_insert(shown.clone()), shown, "{name}");
    }
}

/// A first source holds; a later one fills in what it leaves out, and what differs is said.
#[test]
fn several_sources_of_one_registry() {
    let mut importer = importer();
    importer.hosts(&[directory("h", &[("reg.example/hosts.toml", "ca = \"/pki/ca.crt\"\n[header]\nx = \"1\"\n")])]);
    importer.docker_certs(&directory("d", &[("reg.example/c.cert", "{CERT}"), ("reg.example/c.key", "{KEY}")]));
    importer.registries(&file(
        "r.yaml",
        "configs: {reg.example: {tls: {cert_file: /pki/second.crt, key_file: /pki/second.key}}}",
    ));
    importer.regauth(&file("regauth.toml", "[host.\"https://reg.example\"]\npassword_unverified = true\n"));
    let (config, found) = importer.finish().into_config();
    assert_eq!(crate::world::codes(&found), " W:conflict");
    assert!(found[0].what.contains("d/reg.example"), "{}", found[0].what);
    let host = config.host_of(&Origin::parse("https://reg.example").unwrap()).unwrap();
    assert_eq!(host.identities.len(), 1);
    assert_eq!(host.identities[0].label(), "d/reg.example/c.cert");
    assert!(host.password_unverified && host.headers.len() == 1 && host.roots.is_some());
}

#[test]
fn mirrors_that_lead_to_each_other() {
    let mut importer = importer();
    importer.buildkitd(&file("b.toml", "[registry.\"a.example\"]\nmirrors = [\"b.example\"]\n[registry.\"b.example\"]\nmirrors = [\"a.example\"]\n[registry.\"c.example\"]\nmirrors = [\"a.example\"]\n"));
    let (config, found) = importer.finish().into_config();
    assert_eq!(crate::world::codes(&found), " W:cyclic-mirrors W:cyclic-mirrors");
    let agent = Agent::new(config).unwrap();
    let image = Reference::parse("a.example/x").unwrap();
    assert_eq!(agent.endpoints(&image, Capability::Pull).len(), 2);
}

#[test]
fn nothing_of_the_registry_goes_to_its_mirror() {
    let mut importer = importer();
    importer.hosts(&[directory(
        "d",
        &[
            ("docker.io/hosts.toml", "client = \"/pki/both.pem\"\n[header]\nx = \"1\"\n[host.\"https://m.example\"]\n"),
            ("_default/hosts.toml", "[header]\ny = \"1\"\n"),
        ],
    )]);
    importer.docker_config(&file("c.json", r#"{"auths":{"https://index.docker.io/v1/":{"auth":"cm9ib3Q6czNjcmV0"}}}"#));
    let (config, _) = importer.finish().into_config();
    let agent = Agent::new(config.clone()).unwrap();
    let endpoints = agent.endpoints(&Reference::parse("alpine").unwrap(), Capability::Pull);
    let [mirror, registry] = &endpoints[..] else { panic!("{endpoints:?}") };
    assert_eq!(mirror.url("manifests/latest"), "https://m.example/v2/library/alpine/manifests/latest?ns=docker.io");
    assert_eq!(registry.url("blobs/x?a=b"), "https://registry-1.docker.io/v2/library/alpine/blobs/x?a=b");
    assert!(agent.profile(mirror.profile).unwrap().identity().is_none());
    assert!(agent.profile(registry.profile).unwrap().identity().is_some());
    assert!(config.credentials_of(&mirror.origin, &mirror.repository).is_none());
    assert!(config.credentials_of(&registry.origin, &registry.repository).is_some());
    let mut flow = agent.request("GET", &mirror.url("manifests/latest")).unwrap();
    let regauth::Step::Send(out) = flow.poll(crate::world::NOW, std::task::Waker::noop()) else { panic!() };
    assert!(out.headers.is_empty() && out.identity.is_none());
}
