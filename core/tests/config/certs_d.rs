//! Docker's `certs.d` and that of podman and its kin.

use crate::world::{check, directory, importer, summary};

type Files<'a> = &'a [(&'a str, &'a str)];

const PAIR: Files<'static> = &[("reg.example:5000/client.cert", "{CERT}"), ("reg.example:5000/client.key", "{KEY}")];

#[test]
fn docker() {
    let rows: Vec<(&str, Files<'_>, &str, &str)> = vec![
        (
            "1.1 host:port verbatim",
            PAIR,
            "reg.example:5000/a",
            "registry https://reg.example:5000/v2 certs:d/reg.example:5000/client.cert\n!",
        ),
        ("1.1 the port is part of the name", PAIR, "reg.example/a", "registry https://reg.example/v2\n!"),
        (
            "1.1 IPv6 keeps its brackets",
            &[
                ("[::1]:5000/client.cert", "{CERT}"),
                ("[::1]:5000/client.key", "{KEY}"),
                ("10.0.0.1:5000/ca.crt", "{CA}"),
            ],
            "10.0.0.1:5000/a",
            "registry https://10.0.0.1:5000/v2 ca:1\n!",
        ),
        (
            "1.1 *.crt adds to the roots",
            &[("reg.example/ca.crt", "{CA}"), ("reg.example/b.crt", "{CERT}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:2\n!",
        ),
        (
            "1.1 garbage in *.crt is said",
            &[("reg.example/ca.crt", "garbage")],
            "reg.example/a",
            "registry https://reg.example/v2\n! E:no-certificate",
        ),
        (
            "1.1 pairs in byte order",
            &[
                ("reg.example/b.cert", "{CERT}"),
                ("reg.example/b.key", "{KEY}"),
                ("reg.example/B.cert", "{CERT2}"),
                ("reg.example/B.key", "{KEY2}"),
            ],
            "reg.example/a",
            "registry https://reg.example/v2 certs:d/reg.example/B.cert,d/reg.example/b.cert\n!",
        ),
        (
            "1.1 .cert without .key fails the host",
            &[("reg.example/client.cert", "{BOTH}")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:certificate-without-key",
        ),
        (
            "1.1 .key without .cert fails the host",
            &[("reg.example/client.key", "{KEY}")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:key-without-certificate",
        ),
        (
            "1.1 a host that fails fails alone",
            &[("bad.example/client.key", "{KEY}"), ("reg.example/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! E:key-without-certificate",
        ),
        (
            "1.1 a mismatch is fatal",
            &[("reg.example/c.cert", "{CERT}"), ("reg.example/c.key", "{KEY2}")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:key-mismatch",
        ),
        ("1.1 a missing directory is none", &[], "reg.example/a", "registry https://reg.example/v2\n!"),
        (
            "1.1 an unreadable directory fails the host",
            &[("reg.example", "!permission denied")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:unreadable",
        ),
        (
            "1.1 not for Docker Hub itself",
            &[("docker.io/c.cert", "{CERT}"), ("docker.io/c.key", "{KEY}")],
            "alpine",
            "registry https://registry-1.docker.io/v2\n! W:readers-differ",
        ),
        (
            "1.1 hosts.toml in it, with the containerd store",
            &[("reg.example/hosts.toml", "[host.\"https://m.example\"]\n"), ("reg.example/ca.crt", "{CA}")],
            "reg.example/a",
            "mirror https://m.example/v2 ns:reg.example
             registry https://reg.example/v2 ca:1
             ! W:readers-differ",
        ),
        (
            "1.1 _default with the containerd store",
            &[("_default/hosts.toml", "ca = \"/pki/ca.crt\"")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:readers-differ",
        ),
        (
            "1.1 names that look like files of it",
            &[("reg.example/ca.pem", "{CA}"), ("reg.example/x.CRT", "{CA}"), ("reg.example/notes", "")],
            "reg.example/a",
            "registry https://reg.example/v2\n! W:ignored-key W:ignored-key",
        ),
        (
            "1.1 a name that is no host",
            &[("https:/reg.example/ca.crt", "{CA}"), ("a b/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2\n! W:bad-host W:bad-host",
        ),
        (
            "1.1 a file for a directory",
            &[("reg.example", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:not-directory",
        ),
        (
            "1.1 :443 is the default port",
            &[("reg.example:443/ca.crt", "{CA}")],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n!",
        ),
    ];
    let done = rows.into_iter().map(|(tag, files, image, wanted)| {
        let mut importer = importer();
        importer.docker_certs(&directory("d", files));
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}

#[test]
fn containers() {
    let rows: Vec<(&str, &[Files<'_>], &str, &str)> = vec![
        (
            "1.2 the first directory that exists, no merge",
            &[&[("reg.example/ca.crt", "{CA}")], &[("reg.example/c.cert", "{CERT}"), ("reg.example/c.key", "{KEY}")]],
            "reg.example/a",
            "registry https://reg.example/v2 ca:1\n! W:shadowed",
        ),
        (
            "1.2 an empty one masks the next",
            &[&[("reg.example/", "")], &[("reg.example/c.cert", "{CERT}"), ("reg.example/c.key", "{KEY}")]],
            "reg.example/a",
            "registry https://reg.example/v2\n! W:shadowed",
        ),
        (
            "1.2 permission denied: not the next one, as the identity would change",
            &[
                &[("reg.example", "!permission denied")],
                &[("reg.example/c.cert", "{CERT}"), ("reg.example/c.key", "{KEY}")],
            ],
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:unreadable W:shadowed",
        ),
        (
            "1.2 another registry in the second directory",
            &[&[("reg.example/ca.crt", "{CA}")], &[("b.example/c.cert", "{CERT}"), ("b.example/c.key", "{KEY}")]],
            "b.example/a",
            "registry https://b.example/v2 certs:d1/b.example/c.cert\n!",
        ),
        (
            "1.2 Docker Hub is docker.io",
            &[&[("docker.io/c.cert", "{CERT}"), ("docker.io/c.key", "{KEY}")]],
            "alpine",
            "registry https://registry-1.docker.io/v2 certs:d0/docker.io/c.cert\n!",
        ),
        (
            "1.2 both missing-pair errors",
            &[&[("a.example/c.cert", "{CERT}"), ("a.example/d.key", "{KEY}")]],
            "a.example/a",
            "registry https://a.example/v2 FAILS\n! E:certificate-without-key E:key-without-certificate",
        ),
    ];
    let done = rows.into_iter().map(|(tag, roots, image, wanted)| {
        let mut importer = importer();
        let roots: Vec<_> = roots.iter().enumerate().map(|(at, files)| directory(&format!("d{at}"), files)).collect();
        importer.containers_certs(&roots);
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}

/// On Windows directories are named without colons, and one directory can be that of several registries.
#[test]
fn windows() {
    let pair: Files<'_> = &[("reg10443/client.cert", "{CERT}"), ("reg10443/client.key", "{KEY}")];
    let docker = |windows: bool, image: &str| {
        let mut importer = importer().windows(windows);
        importer.docker_certs(&directory("d", pair));
        summary(importer, image)
    };
    let hosts = |image: &str| {
        let mut importer = importer().windows(true);
        importer.hosts(&[directory(
            "d",
            &[
                ("reg.example_5000_/ca.crt", "{CA}"),
                ("reg.example5000/hosts.toml", "skip_verify = true"),
                ("b.example5000/hosts.toml", "skip_verify = true"),
            ],
        )]);
        summary(importer, image)
    };
    let with = |image: &str| format!("registry https://{image}/v2 certs:d/reg10443/client.cert\n!");
    check(vec![
        ("1.1 Windows: every : is removed", docker(true, "reg:10443/a"), &with("reg:10443")),
        ("1.1 ... and it is not known which", docker(true, "reg10:443/a"), &with("reg10")),
        (
            "1.1 ... the name as it is too",
            docker(true, "reg10443.example/a"),
            "registry https://reg10443.example/v2\n!",
        ),
        ("1.1 ... not elsewhere", docker(false, "reg:10443/a"), "registry https://reg:10443/v2\n!"),
        (
            "1.3 Windows: host_port_ before the name without a colon",
            hosts("reg.example:5000/a"),
            "registry https://reg.example:5000/v2 ca:1\n! W:shadowed",
        ),
        (
            "1.3 Windows: host:port without the colon",
            hosts("b.example:5000/a"),
            "registry https://b.example:5000/v2 skip\n! W:shadowed",
        ),
    ]);
}
