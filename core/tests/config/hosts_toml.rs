//! containerd's host directories.

use crate::world::{check, directory, importer, summary};

type Files<'a> = &'a [(&'a str, &'a str)];

fn run(rows: Vec<(&'static str, &[Files<'_>], &str, &'static str)>) {
    let done = rows.into_iter().map(|(tag, roots, image, wanted)| {
        let mut importer = importer();
        let roots: Vec<_> = roots.iter().enumerate().map(|(at, files)| directory(&format!("d{at}"), files)).collect();
        importer.hosts(&roots);
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}

#[test]
fn lookup() {
    let all = "_default/hosts.toml";
    run(vec![
        (
            "1.3 host_port_ before host:port",
            &[&[("reg.example_5000_/ca.crt", "{CA}"), ("reg.example:5000/hosts.toml", "skip_verify = true")]],
            "reg.example:5000/a",
            "registry https://reg.example:5000/v2 ca:1\n! W:shadowed",
        ),
        (
            "1.3 host:port",
            &[&[("reg.example:5000/hosts.toml", "skip_verify = true"), (all, "ca = \"/pki/ca.crt\"")]],
            "reg.example:5000/a",
            "registry https://reg.example:5000/v2 skip\n!",
        ),
        (
            "1.3 _default where there is neither",
            &[&[("reg.example:5000/hosts.toml", "skip_verify = true"), (all, "ca = \"/pki/ca.crt\"")]],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n!",
        ),
        (
            "1.3 an IPv6 name, and the first hit of a spelling",
            &[&[("[::1]_5000_/hosts.toml", "ca = \"/pki/ca.crt\"")]],
            "reg.example/a",
            "registry https://reg.example/v2\n! I:readers-differ",
        ),
        (
            "1.3 an IPv6 literal without a port loses its last colon",
            &[&[("[:_1]_/hosts.toml", "skip_verify = true"), ("[::1]/hosts.toml", "ca = \"/pki/ca.crt\"")]],
            "[::1]/a",
            "registry https://[::1]/v2 skip\n! I:readers-differ W:shadowed",
        ),
        (
            "1.3 the first root with a hit",
            &[&[("reg.example/ca.crt", "{CA}")], &[("reg.example/hosts.toml", "skip_verify = true")]],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:shadowed",
        ),
        (
            "1.3 _default of an earlier root is a hit",
            &[&[(all, "ca = \"/pki/ca.crt\"")], &[("reg.example/hosts.toml", "skip_verify = true")]],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:shadowed",
        ),
        (
            "1.3 no hosts.toml: certificate files, a .cert may hold its key",
            &[&[("reg.example/ca.crt", "{CA}"), ("reg.example/c.cert", "{BOTH}")]],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d0/reg.example/c.cert ca:1\n!",
        ),
        (
            "1.3 an orphan key is ignored, and said",
            &[&[("reg.example/c.key", "{KEY}")]],
            "reg.example/a",
            "registry https://reg.example/v2\n! W:key-without-certificate",
        ),
        (
            "1.3 a .cert without a key anywhere fails",
            &[&[("reg.example/c.cert", "{CERT}")]],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:no-key",
        ),
        (
            "1.3 hosts.toml that does not parse: no fallback to certificate files",
            &[&[("reg.example/hosts.toml", "server = "), ("reg.example/c.cert", "{BOTH}")]],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:syntax",
        ),
        (
            "1.3 ... and in _default it fails every registry without an entry",
            &[&[(all, "server = ")]],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:syntax",
        ),
        (
            "1.3 an empty hosts.toml is none",
            &[&[("reg.example/hosts.toml", ""), ("reg.example/c.cert", "{BOTH}")]],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d0/reg.example/c.cert\n! W:empty",
        ),
        (
            "1.3 an unreadable hosts.toml",
            &[&[("reg.example/hosts.toml", "!denied"), ("reg.example/c.cert", "{BOTH}")]],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:unreadable",
        ),
        (
            "1.3 nerdctl: :443 is the same",
            &[&[("reg.example_443_/ca.crt", "{CA}")]],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n!",
        ),
        (
            "1.3 localhost: checked here, and http last",
            &[&[("localhost:5000/hosts.toml", "[host.\"https://m.example\"]")]],
            "localhost:5000/a",
            "mirror https://m.example/v2 ns:localhost:5000
             registry https://localhost:5000/v2
             registry http://localhost:5000/v2
             ! I:readers-differ",
        ),
        (
            "1.3 localhost on port 80 is http",
            &[&[("localhost:80/hosts.toml", "capabilities = [\"pull\"]")]],
            "localhost:80/a",
            "registry http://localhost/v2 caps:pull\n! I:readers-differ",
        ),
    ]);
}

#[test]
fn fields() {
    let toml = |text: &'static str| -> Vec<(&'static str, &'static str)> { vec![("docker.io/hosts.toml", text)] };
    let rows = vec![
        (
            "1.3 the registry itself by http is no mirror of it, and is told no ns",
            vec![(
                "reg.example:5000/hosts.toml",
                "server = \"http://reg.example:5000\"\n[host.\"http://reg.example:5000\"]\ncapabilities = [\"pull\"]\nskip_verify = true\n",
            )],
            "registry https://reg.example:5000/v2 caps:pull skip
             registry http://reg.example:5000/v2 caps:pull
             registry http://reg.example:5000/v2
             ! W:plain-http",
        ),
        (
            "1.3 a name of Docker Hub as its server",
            toml(
                "server = \"https://docker.io\"\n\n[host.\"https://registry-1.docker.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
            ),
            "registry https://registry-1.docker.io/v2 caps:pull,resolve\nregistry https://registry-1.docker.io/v2\n!",
        ),
        (
            "1.3 the order of the file, whatever each can be asked for",
            toml(
                "[host.\"https://a.example\"]\ncapabilities = [\"push\"]\n[host.\"https://b.example\"]\ncapabilities = [\"resolve\"]\n[host.\"https://c.example\"]\ncapabilities = [\"pull\"]\n",
            ),
            "mirror https://a.example/v2 caps:push ns:docker.io
             mirror https://b.example/v2 caps:resolve ns:docker.io
             mirror https://c.example/v2 caps:pull ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.3 hosts in file order, then server",
            toml(
                "server = \"https://registry-1.docker.io\"\n[host.\"https://z.example\"]\n[host.\"https://a.example\".header]\nx = \"1\"\n[host.\"https://a.example\"]\n",
            ),
            "mirror https://z.example/v2 ns:docker.io
             mirror https://a.example/v2 headers:x ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.3 no server: the registry itself; capabilities",
            toml(
                "capabilities = [\"push\"]\n[host.\"https://m.example\"]\ncapabilities = [\"pull\", \"Resolve\", \"referrers\"]\n",
            ),
            "mirror https://m.example/v2 caps:pull,resolve,referrers ns:docker.io
             registry https://registry-1.docker.io/v2 caps:push
             !",
        ),
        (
            "1.3 an unknown capability refuses the file",
            toml("[host.\"https://m.example\"]\ncapabilities = [\"read\"]\n"),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 ca: a text or a list",
            toml("ca = \"/pki/ca.crt\"\n[host.\"https://m.example\"]\nca = [\"/pki/ca.crt\", \"/pki/client.crt\"]\n"),
            "mirror https://m.example/v2 ca:2 ns:docker.io\nregistry https://registry-1.docker.io/v2 ca:1\n!",
        ),
        (
            "1.3 client: one file with both",
            toml("client = \"/pki/both.pem\""),
            "registry https://registry-1.docker.io/v2 certs:/pki/both.pem\n!",
        ),
        (
            "1.3 client: a list of files with both",
            toml("client = [\"/pki/both.pem\"]"),
            "registry https://registry-1.docker.io/v2 certs:/pki/both.pem\n!",
        ),
        (
            "1.3 client: pairs, the second may be empty",
            toml("client = [[\"/pki/client.crt\", \"/pki/client.key\"], [\"/pki/both.pem\", \"\"]]"),
            "registry https://registry-1.docker.io/v2 certs:/pki/client.crt,/pki/both.pem\n!",
        ),
        (
            "1.3 client = [crt, key] is no pair",
            toml("client = [\"/pki/client.crt\", \"/pki/client.key\"]"),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:combined-files",
        ),
        (
            "1.3 client of another type refuses the file",
            toml("client = 3"),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 skip_verify, dial_timeout",
            toml("skip_verify = true\ndial_timeout = \"1m2s\""),
            "registry https://registry-1.docker.io/v2 skip dial:62000\n!",
        ),
        (
            "1.3 proxy of newer readers: the environment's is used",
            toml(
                "proxy = \"http://u:s3cret@p.example:8080\"\n[host.\"https://m.example\"]\nproxy = \"socks5://p.example\"\n",
            ),
            "mirror https://m.example/v2 ns:docker.io\nregistry https://registry-1.docker.io/v2\n! W:not-used W:not-used",
        ),
        (
            "1.3 dial_timeout that is none",
            toml("dial_timeout = \"soon\""),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.3 header: text or list",
            toml("[header]\nx-a = \"1\"\nx-b = [\"1\", \"2\"]\n"),
            "registry https://registry-1.docker.io/v2 headers:x-a,x-b,x-b\n!",
        ),
        (
            "1.3 Authorization is no header of the configuration",
            toml("[header]\nAuthorization = \"Basic eDp5\"\n"),
            "registry https://registry-1.docker.io/v2\n! E:bad-header",
        ),
        (
            "1.3 override_path, /v2 appended otherwise",
            toml(
                "[host.\"https://a.example/x\"]\noverride_path = true\n[host.\"https://b.example/x/\"]\n[host.\"https://c.example/x/v2\"]\n[host.\"https://d.example\"]\noverride_path = true\n",
            ),
            "mirror https://a.example/x ns:docker.io
             mirror https://b.example/x/v2 ns:docker.io
             mirror https://c.example/x/v2 ns:docker.io
             mirror https://d.example ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.3 a URL without a scheme is https",
            toml("[host.\"m.example:5000\"]\n"),
            "mirror https://m.example:5000/v2 ns:docker.io\nregistry https://registry-1.docker.io/v2\n!",
        ),
        (
            "1.3 a relative path is of the host's directory",
            vec![
                ("docker.io/hosts.toml", "client = [[\"pki/a.crt\", \"./pki/a.key\"]]"),
                ("docker.io/pki/a.crt", "{CERT}"),
                ("docker.io/pki/a.key", "{KEY}"),
            ],
            "registry https://registry-1.docker.io/v2 certs:d0/docker.io/pki/a.crt\n!",
        ),
        (
            "1.3 TLS under [host] for the same origin: here it holds for the server, with a lint",
            toml(
                "server = \"https://registry-1.docker.io\"\n[host.\"https://registry-1.docker.io\"]\nclient = \"/pki/both.pem\"\ncapabilities = [\"pull\"]\n",
            ),
            "registry https://registry-1.docker.io/v2 certs:/pki/both.pem caps:pull
             registry https://registry-1.docker.io/v2 certs:/pki/both.pem
             ! W:host-tls-not-for-server",
        ),
        (
            "1.3 the mirror's identity is its own, and the registry's is not the mirror's",
            toml(
                "client = \"/pki/both.pem\"\n[host.\"https://m.example\"]\nclient = [[\"/pki/second.crt\", \"/pki/second.key\"]]\n[host.\"https://n.example\"]\n",
            ),
            "mirror https://m.example/v2 certs:/pki/second.crt ns:docker.io
             mirror https://n.example/v2 ns:docker.io
             registry https://registry-1.docker.io/v2 certs:/pki/both.pem
             !",
        ),
        (
            "1.3 http with TLS settings: https first",
            toml("[host.\"http://m.example:5000\"]\nskip_verify = true\n[host.\"http://n.example:5000\"]\n"),
            "mirror https://m.example:5000/v2 ns:docker.io skip
             mirror http://m.example:5000/v2 ns:docker.io
             mirror http://n.example:5000/v2 ns:docker.io
             registry https://registry-1.docker.io/v2
             ! W:plain-http",
        ),
        (
            "1.3 fields that are misspelt",
            toml("skip-verify = true\n[host.\"https://m.example\"]\nclients = \"x\"\nserver = \"y\"\n"),
            "mirror https://m.example/v2 ns:docker.io\nregistry https://registry-1.docker.io/v2\n! W:unknown-field W:unknown-field W:unknown-field",
        ),
        (
            "1.3 a URL that is none",
            toml("[host.\"https://a b\"]\n"),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:bad-host",
        ),
        (
            "1.3 a file that is named and is not there",
            toml("client = \"/pki/none.pem\""),
            "registry https://registry-1.docker.io/v2 FAILS\n! E:missing-file",
        ),
        (
            "1.5 rewrite, as k3s writes it",
            toml(
                "[host.\"https://m.example\"]\n[host.\"https://m.example\".rewrite]\n\"^library/(.*)\" = \"hub/$1\"\n",
            ),
            "mirror https://m.example/v2 ns:docker.io repository:hub/alpine\nregistry https://registry-1.docker.io/v2\n!",
        ),
    ];
    let done = rows.into_iter().map(|(tag, files, wanted)| {
        let mut importer = importer();
        importer.hosts(&[directory("d0", &files)]);
        let image = if files[0].0.starts_with("docker.io/") { "alpine" } else { "reg.example:5000/a" };
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}

#[test]
fn wildcards() {
    let default: Files<'_> = &[(
        "_default/hosts.toml",
        "client = \"/pki/both.pem\"\nca = \"/pki/ca.crt\"\n[header]\nx = \"1\"\n[host.\"https://m.example\"]\nclient = \"/pki/both.pem\"\n",
    )];
    let mut without = importer();
    without.hosts(&[directory("d", default)]);
    let mut with = importer();
    with.hosts(&[directory("d", default)]);
    with.regauth(&crate::world::file("r.toml", "[default]\nwildcard_identity = true\n"));
    check(vec![
        (
            "D.7 _default: roots and headers, no identity; the mirror that it names has its own",
            summary(without, "reg.example/a"),
            "mirror https://m.example/v2 certs:/pki/both.pem ns:reg.example
             registry https://reg.example/v2 ca:1 headers:x
             ! W:wildcard-identity",
        ),
        (
            "D.7 ... but by name",
            summary(with, "reg.example/a"),
            "mirror https://m.example/v2 certs:/pki/both.pem ns:reg.example
             registry https://reg.example/v2 certs:/pki/both.pem ca:1 headers:x
             !",
        ),
    ]);
}
