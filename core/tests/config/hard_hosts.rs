//! Hard cases of host configurations: names, files, durations and fields at the edge of what a format says.

use crate::world::{Row, check, directory, done, importer, summary};

#[test]
fn buildkitd_toml() {
    let rows: &[Row<'_>] = &[
        (
            "1.4 an inline table and a dotted key",
            "registry.\"reg.example\" = { ca = [\"/pki/ca.crt\"], keypair = [{ cert = \"/pki/client.crt\", key = \"/pki/client.key\" }] }\n",
            "reg.example/a",
            "reg certs:/pki/client.crt ca:1\n!",
        ),
        (
            "1.4 an IPv6 registry with a port",
            "[registry.\"[::1]:5000\"]\nhttp = false\nca = [\"/pki/ca.crt\"]\n",
            "[::1]:5000/a",
            "registry https://[::1]:5000/v2 ca:1\n!",
        ),
        (
            "1.4 IPv6 on this machine is plain http",
            "[registry.\"[::1]:5000\"]\n",
            "[::1]:5000/a",
            "registry http://[::1]:5000/v2\n! I:plain-http",
        ),
        (
            "1.4 a name below localhost is not this machine to BuildKit",
            "[registry.\"reg.localhost:5000\"]\nmirrors = [\"m.localhost:5000\"]\n",
            "reg.localhost:5000/a",
            "mirror https://m.localhost:5000/v2 caps:pull,resolve ns:reg.localhost:5000\nregistry https://reg.localhost:5000/v2\n!",
        ),
        (
            "1.4 a mirror by IPv6 with a path",
            "[registry.\"docker.io\"]\nmirrors = [\"[2001:db8::1]:5000/p\"]\n",
            "alpine",
            "mirror https://[2001:db8::1]:5000/v2/p caps:pull,resolve ns:docker.io\nhub\n!",
        ),
        (
            "1.4 a mirror on this machine without a table of its own",
            "[registry.\"docker.io\"]\nmirrors = [\"localhost:5000\"]\n",
            "alpine",
            "mirror http://localhost:5000/v2 caps:pull,resolve ns:docker.io\nhub\n! I:plain-http",
        ),
        (
            "1.4 http = false and insecure",
            "[registry.\"reg.example\"]\nhttp = false\ninsecure = true\n",
            "reg.example/a",
            "reg skip\n!",
        ),
        (
            "1.4 insecure on this machine: https unchecked, then http",
            "[registry.\"localhost:5000\"]\ninsecure = true\n",
            "localhost:5000/a",
            "registry https://localhost:5000/v2 skip\nregistry http://localhost:5000/v2\n!",
        ),
        (
            "1.4 keypair as one table",
            "[registry.\"reg.example\".keypair]\ncert = \"/pki/client.crt\"\nkey = \"/pki/client.key\"\n",
            "reg.example/a",
            "reg FAILS\n! E:wrong-type",
        ),
        (
            "1.4 a keypair with a number",
            "[[registry.\"reg.example\".keypair]]\ncert = \"/pki/client.crt\"\nkey = 5\n",
            "reg.example/a",
            "reg FAILS\n! E:certificate-without-key",
        ),
        (
            "1.4 an empty keypair",
            "[[registry.\"reg.example\".keypair]]\n",
            "reg.example/a",
            "reg FAILS\n! E:key-without-certificate",
        ),
        (
            "1.4 Hub under a name that BuildKit does not look for",
            "[registry.\"registry-1.docker.io\"]\nca = [\"/pki/ca.crt\"]\n",
            "alpine",
            "hub ca:1\n! W:readers-differ",
        ),
        (
            "1.4 a relative ca is beside the file",
            "[registry.\"reg.example\"]\nca = [\"pki/ca.crt\"]\n",
            "reg.example/a",
            "reg\n! E:missing-file",
        ),
        (
            "1.4 the same mirror twice",
            "[registry.\"reg.example\"]\nmirrors = [\"m.example\", \"m.example\"]\n",
            "reg.example/a",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nmirror https://m.example/v2 caps:pull,resolve ns:reg.example\nreg\n!",
        ),
        (
            "1.4 a table twice",
            "[registry.\"reg.example\"]\n[registry.\"reg.example\"]\n",
            "reg.example/a",
            "reg FAILS\n! E:syntax",
        ),
        (
            "1.4 a mirror with a port and a query",
            "[registry.\"reg.example\"]\nmirrors = [\"m.example:5000?x\"]\n",
            "reg.example/a",
            "reg\n! E:bad-host",
        ),
    ];
    done("/etc/buildkit/buildkitd.toml", rows, |importer, file| importer.buildkitd(file));
}

#[test]
fn registries_yaml() {
    let rows: &[Row<'_>] = &[
        (
            "1.5 the endpoint of a registry with a port has settings under that name",
            "mirrors: {docker.io: {endpoint: ['https://m.example:5000']}}\nconfigs: {'m.example:5000': {auth: {username: u, password: p}, tls: {ca_file: /pki/ca.crt, cert_file: /pki/client.crt, key_file: /pki/client.key}}}\n",
            "alpine",
            "mirror https://m.example:5000/v2 certs:/pki/client.crt ca:1 caps:pull,resolve ns:docker.io creds:u\nhub\n!",
        ),
        (
            "1.5 ... and not under the name without it",
            "mirrors: {docker.io: {endpoint: ['https://m.example:5000']}}\nconfigs: {m.example: {auth: {username: u, password: p}}}\n",
            "alpine",
            "mirror https://m.example:5000/v2 caps:pull,resolve ns:docker.io\nhub\n!",
        ),
        (
            "1.5 an IPv6 endpoint and its settings",
            "mirrors: {reg.example: {endpoint: ['https://[2001:db8::1]:5000']}}\nconfigs: {'[2001:db8::1]:5000': {tls: {insecure_skip_verify: on}}}\n",
            "reg.example/a",
            "mirror https://[2001:db8::1]:5000/v2 caps:pull,resolve ns:reg.example skip\nreg\n!",
        ),
        (
            "1.5 quoted booleans are text",
            "configs: {reg.example: {tls: {insecure_skip_verify: 'true'}}}",
            "reg.example/a",
            "reg\n! E:wrong-type",
        ),
        (
            "1.5 an endpoint that is one text",
            "mirrors: {reg.example: {endpoint: 'https://m.example'}}",
            "reg.example/a",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nreg\n!",
        ),
        (
            "1.5 rewrites of all, with several endpoints",
            "mirrors:\n  '*':\n    endpoint: [https://m.example, https://n.example]\n    rewrite: {'^(.*)$': 'all/$1'}\n",
            "reg.example/a/b",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example repository:all/a/b\nmirror https://n.example/v2 caps:pull,resolve ns:reg.example repository:all/a/b\nreg\n!",
        ),
        (
            "1.5 a registry of its own is not among all",
            "mirrors:\n  '*': {endpoint: [https://m.example]}\n  reg.example: {}\n",
            "reg.example/a",
            "reg\n!",
        ),
        (
            "1.5 user with a password that is empty",
            "configs: {reg.example: {auth: {username: u, password: ''}}}",
            "reg.example/a",
            "reg creds:u-without-password\n! W:user-without-password",
        ),
        (
            "1.5 auth wins over username and password",
            "configs: {reg.example: {auth: {username: x, password: y, auth: cm9ib3Q6czNjcmV0}}}",
            "reg.example/a",
            "reg creds:robot\n! W:several-credentials",
        ),
        (
            "1.5 a key file that is another's",
            "configs: {reg.example: {tls: {cert_file: /pki/client.crt, key_file: /pki/second.key}}}",
            "reg.example/a",
            "reg FAILS\n! E:key-mismatch",
        ),
        (
            "1.5 several files in one: the ca that is missing is said",
            "configs: {reg.example: {tls: {ca_file: /pki/none.crt, cert_file: /pki/client.crt, key_file: /pki/client.key}}}",
            "reg.example/a",
            "reg certs:/pki/client.crt\n! E:missing-file",
        ),
        (
            "1.5 a key without scheme and with a path",
            "configs: {reg.example/team: {auth: {username: u, password: p}}}",
            "reg.example/team/a",
            "reg\n! E:ignored-key",
        ),
        ("1.5 tabs", "configs:\n\treg.example: {}\n", "reg.example/a", "reg FAILS\n! E:syntax"),
    ];
    done("/etc/rancher/k3s/registries.yaml", rows, |importer, file| importer.registries(file));
}

type Files<'a> = &'a [(&'a str, &'a str)];

#[test]
fn hosts_toml() {
    let rows: Vec<(&str, Files<'_>, &str, &str)> = vec![
        (
            "1.3 dial_timeout with a fraction",
            &[("reg.example/hosts.toml", "dial_timeout = \"1.5s\"")],
            "reg.example/a",
            "registry https://reg.example/v2 dial:1500\n!",
        ),
        (
            "1.3 dial_timeout in small units",
            &[("reg.example/hosts.toml", "dial_timeout = \"2500us\"")],
            "reg.example/a",
            "registry https://reg.example/v2 dial:3\n!",
        ),
        (
            "1.3 dial_timeout in more units",
            &[("reg.example/hosts.toml", "dial_timeout = \"1h0.5m.5s100ms\"")],
            "reg.example/a",
            "registry https://reg.example/v2 dial:3630600\n!",
        ),
        (
            "1.3 a dial_timeout of 0 is no limit",
            &[("reg.example/hosts.toml", "dial_timeout = \"0s\"")],
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.3 a dial_timeout that is over already",
            &[("reg.example/hosts.toml", "dial_timeout = \"-5s\"")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 a dial_timeout of a dot",
            &[("reg.example/hosts.toml", "dial_timeout = \".s\"")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 an empty dial_timeout is none",
            &[("reg.example/hosts.toml", "dial_timeout = \"\"")],
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.3 dial_timeout without a unit",
            &[("reg.example/hosts.toml", "dial_timeout = \"5\"")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 dial_timeout that overflows",
            &[("reg.example/hosts.toml", "dial_timeout = \"99999999999999999999h\"")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 client: a pair with one file only",
            &[("reg.example/hosts.toml", "client = [[\"/pki/both.pem\"]]")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 client: an empty list is none",
            &[("reg.example/hosts.toml", "client = []")],
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.3 client: texts and pairs mixed",
            &[("reg.example/hosts.toml", "client = [\"/pki/both.pem\", [\"/pki/second.crt\", \"/pki/second.key\"]]")],
            "reg.example/a",
            "registry https://reg.example/v2 certs:/pki/both.pem,/pki/second.crt\n!",
        ),
        (
            "1.3 client: key before certificate",
            &[("reg.example/hosts.toml", "client = [[\"/pki/client.key\", \"/pki/client.crt\"]]")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:no-certificate",
        ),
        (
            "1.3 client: [key, crt] is no pair either",
            &[("reg.example/hosts.toml", "client = [\"/pki/client.key\", \"/pki/client.crt\"]")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:no-certificate E:no-key",
        ),
        (
            "1.3 a name that begins like the directory's is not in it",
            &[("reg/hosts.toml", "ca = \"/d/regca.crt\""), ("reg/ca.crt", "{CA}")],
            "reg:443/a",
            "registry https://reg/v2\n! E:missing-file",
        ),
        (
            "1.3 a file of another directory",
            &[("reg.example/hosts.toml", "ca = \"../b.example/ca.crt\""), ("b.example/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2\n! E:missing-file",
        ),
        (
            "1.3 server with a path, and override_path of it",
            &[(
                "reg.example/hosts.toml",
                "server = \"https://s.example/x\"\noverride_path = true\n[host.\"https://m.example/y\"]\n",
            )],
            "reg.example/a",
            "mirror https://m.example/y/v2 ns:reg.example\nregistry https://s.example/x ns:reg.example\n!",
        ),
        (
            "1.3 an empty server is the registry itself",
            &[("reg.example/hosts.toml", "server = \"\"\nca = \"/pki/ca.crt\"\n")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n!",
        ),
        (
            "1.3 capabilities in two cases, twice, and an empty list is all",
            &[(
                "reg.example/hosts.toml",
                "capabilities = []\n[host.\"https://m.example\"]\ncapabilities = [\"PULL\", \"resolve\"]\n",
            )],
            "reg.example/a",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
        (
            "1.3 two tables of one origin",
            &[(
                "reg.example/hosts.toml",
                "[host.\"https://m.example/a\"]\nca = \"/pki/ca.crt\"\n[host.\"https://m.example/b\"]\nclient = \"/pki/both.pem\"\n",
            )],
            "reg.example/a",
            "mirror https://m.example/a/v2 certs:/pki/both.pem ca:1 ns:reg.example\nmirror https://m.example/b/v2 certs:/pki/both.pem ca:1 ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
        (
            "1.3 a host by IPv6",
            &[("reg.example/hosts.toml", "[host.\"https://[2001:db8::1]:5000\"]\nca = \"/pki/ca.crt\"\n")],
            "reg.example/a",
            "mirror https://[2001:db8::1]:5000/v2 ca:1 ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
        (
            "1.3 a host with a user",
            &[("reg.example/hosts.toml", "[host.\"https://u:p@m.example\"]\n")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:bad-host",
        ),
        (
            "1.3 a host with a scheme of its own",
            &[("reg.example/hosts.toml", "[host.\"unix:///x\"]\n")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:bad-host",
        ),
        (
            "1.3 Hub under a name that containerd does not look for",
            &[("registry-1.docker.io/hosts.toml", "ca = \"/pki/ca.crt\"")],
            "alpine",
            "registry https://registry-1.docker.io/v2 ca:1\n! W:readers-differ",
        ),
        (
            "1.3 ... and not where docker.io is there",
            &[
                ("registry-1.docker.io/hosts.toml", "ca = \"/pki/ca.crt\""),
                ("docker.io/hosts.toml", "skip_verify = true"),
            ],
            "alpine",
            "registry https://registry-1.docker.io/v2 skip\n! W:shadowed",
        ),
        (
            "1.3 _default that fails, and an entry of its own",
            &[("_default/hosts.toml", "server = "), ("reg.example/hosts.toml", "skip_verify = true")],
            "reg.example/a",
            "registry https://reg.example/v2 skip\n! E:syntax",
        ),
        (
            "1.3 host_port_ of an IPv6 literal",
            &[("[2001:db8::1]_5000_/hosts.toml", "ca = \"/pki/ca.crt\"")],
            "[2001:db8::1]:5000/a",
            "registry https://[2001:db8::1]:5000/v2 ca:1\n!",
        ),
        (
            "1.3 a port that is no number",
            &[("reg.example_abc_/hosts.toml", "ca = \"/pki/ca.crt\"")],
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.3 .cert that is a directory: skipped by containerd; here it is said",
            &[("reg.example/c.cert/", "")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:is-directory",
        ),
    ];
    let done = rows.into_iter().map(|(tag, files, image, wanted)| {
        let mut importer = importer();
        importer.hosts(&[directory("/d", files)]);
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}

#[test]
fn certs_d() {
    let rows: Vec<(&str, Files<'_>, &str, &str)> = vec![
        (
            "1.1 IPv6 with a port",
            &[("[::1]:5000/c.cert", "{CERT}"), ("[::1]:5000/c.key", "{KEY}")],
            "[::1]:5000/a",
            "registry https://[::1]:5000/v2 certs:d/[::1]:5000/c.cert\n!",
        ),
        ("1.1 IPv6 without brackets", &[("::1/ca.crt", "{CA}")], "[::1]/a", "registry https://[::1]/v2\n! W:bad-host"),
        (
            "1.1 a name with two dots, and one that is a file's alone",
            &[("reg.example/a.b.cert", "{CERT}"), ("reg.example/a.b.key", "{KEY}"), ("reg.example/.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d/reg.example/a.b.cert ca:1\n!",
        ),
        (
            "1.1 one pair is broken: none of them is shown",
            &[("reg.example/a.cert", "{CERT}"), ("reg.example/a.key", "{KEY}"), ("reg.example/b.cert", "{CERT2}")],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d/reg.example/a.cert FAILS\n! E:certificate-without-key",
        ),
        (
            "1.1 a client certificate named as an authority, and its key",
            &[("reg.example/client.crt", "{CERT}"), ("reg.example/client.key", "{KEY}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1 FAILS\n! E:key-without-certificate",
        ),
        (
            "1.1 keys in .pem are not read",
            &[("reg.example/client.pem", "{BOTH}"), ("reg.example/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:ignored-key",
        ),
        (
            "1.1 _default: only with the containerd store, certificate files too",
            &[("_default/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:readers-differ",
        ),
        (
            "1.1 docker.io with hosts.toml alone",
            &[("docker.io/hosts.toml", "[host.\"https://m.example\"]\n")],
            "alpine",
            "mirror https://m.example/v2 ns:docker.io\nregistry https://registry-1.docker.io/v2\n! W:readers-differ",
        ),
        (
            "1.1 a directory in the directory",
            &[("reg.example/x.crt/", "")],
            "reg.example/a",
            "registry https://reg.example/v2\n! E:is-directory",
        ),
        (
            "1.1 the order is that of the whole names' bytes",
            &[
                ("reg.example/a.cert", "{CERT}"),
                ("reg.example/a.key", "{KEY}"),
                ("reg.example/a-b.cert", "{CERT2}"),
                ("reg.example/a-b.key", "{KEY2}"),
            ],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d/reg.example/a-b.cert,d/reg.example/a.cert\n!",
        ),
    ];
    let done = rows.into_iter().map(|(tag, files, image, wanted)| {
        let mut importer = importer();
        importer.docker_certs(&directory("d", files));
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
    // podman's three directories know Docker Hub by one name.
    let podman = |files: Files<'_>| {
        let mut importer = importer();
        importer.containers_certs(&[directory("d", files)]);
        summary(importer, "alpine")
    };
    check(vec![(
        "1.2 Hub under a name that podman does not look for",
        podman(&[("registry-1.docker.io/ca.crt", "{CA}")]),
        "registry https://registry-1.docker.io/v2 ca:1\n! W:readers-differ",
    )]);
}

/// What belongs to the connection, to the message or to credentials is no header field of a configuration.
#[test]
fn header_fields_that_are_not_the_configurations() {
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection", "EXPECT", "Authorization", "a b", ""] {
        let mut importer = importer();
        let text = format!("[host.\"https://reg.example\".header]\n\"{name}\" = \"1\"\nX-A = \"a\\nb\"\nX-B = \"1\"\n");
        importer.hosts(&[directory("d", &[("reg.example/hosts.toml", &text)])]);
        let got = summary(importer, "reg.example/a");
        assert!(got.contains(" headers:X-B") && got.ends_with("! E:bad-header E:bad-header"), "{name}: {got}");
    }
}
