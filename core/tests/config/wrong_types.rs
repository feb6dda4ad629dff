//! Values of another type than a format says: each is named, and none makes an identity or a password count as absent.

use regauth::config::Importer;
use regauth::time::Time;

use crate::world::{check, directory, file, importer, summary};

type Row<'a> = (&'a str, &'a str, &'a str);

fn rows(read: impl Fn(&mut Importer, &str), rows: &[Row<'_>]) {
    let done = rows.iter().map(|(tag, text, wanted)| {
        let mut importer = importer();
        read(&mut importer, text);
        let line = summary(importer, "reg.example/a");
        (*tag, line.replace("registry https://reg.example/v2", "reg"), *wanted)
    });
    check(done.collect());
}

#[test]
fn buildkitd_toml() {
    rows(
        |importer, text| importer.buildkitd(&file("/etc/buildkit/buildkitd.toml", text)),
        &[
            ("1.4 registry", "registry = 1\n", "reg FAILS\n! E:wrong-type"),
            ("1.4 mirrors", "[registry.\"reg.example\"]\nmirrors = 1\n", "reg\n! E:wrong-type"),
            ("1.4 http", "[registry.\"reg.example\"]\nhttp = \"yes\"\n", "reg\n! E:wrong-type"),
            ("1.4 insecure", "[registry.\"reg.example\"]\ninsecure = 1\n", "reg\n! E:wrong-type"),
            ("1.4 tlsconfigdir", "[registry.\"reg.example\"]\ntlsconfigdir = true\n", "reg FAILS\n! E:wrong-type"),
            ("1.4 keypair", "[registry.\"reg.example\"]\nkeypair = \"x\"\n", "reg FAILS\n! E:wrong-type"),
            (
                "1.4 a relative tlsconfigdir is beside the file",
                "[registry.\"reg.example\"]\ntlsconfigdir = [\"none\"]\n",
                "reg FAILS\n! E:missing-file",
            ),
        ],
    );
}

#[test]
fn hosts_toml() {
    rows(
        |importer, text| importer.hosts(&[directory("d", &[("reg.example/hosts.toml", text)])]),
        &[
            ("1.3 host", "host = 1\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 a host", "[host]\n\"https://m.example\" = 1\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 server", "server = 1\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 skip_verify", "skip_verify = \"no\"\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 a pair of numbers", "client = [[1, 2]]\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 three files", "client = [[\"a\", \"b\", \"c\"]]\n", "reg FAILS\n! E:wrong-type"),
            ("1.3 a number in a list of files", "client = [1]\n", "reg FAILS\n! E:wrong-type"),
            (
                "1.3 two files that each hold both",
                "client = [\"/pki/both.pem\", \"/pki/both.pem\"]\n",
                "reg certs:/pki/both.pem,/pki/both.pem\n!",
            ),
            (
                "1.5 rewrite",
                "[host.\"https://m.example\"]\nrewrite = 1\n",
                "mirror https://m.example/v2 ns:reg.example\nreg\n! E:wrong-type",
            ),
            (
                "1.5 the name that a rewrite gives",
                "[host.\"https://m.example\"]\nrewrite = { \"^a\" = 1 }\n",
                "mirror https://m.example/v2 ns:reg.example\nreg\n! E:wrong-type",
            ),
        ],
    );
}

/// What stands where the directory of a registry should be.
#[test]
fn directories() {
    let files: [(&str, &[(&str, &str)], &str); 4] = [
        ("1.3 a name that is no host", &[("a b/hosts.toml", "")], "reg\n! W:bad-host"),
        ("1.3 a file", &[("reg.example", "x")], "reg FAILS\n! E:not-directory"),
        ("1.3 a directory that cannot be read", &[("reg.example", "!denied")], "reg FAILS\n! E:unreadable"),
        ("1.3 a file that cannot be read", &[("reg.example/hosts.toml", "!denied")], "reg FAILS\n! E:unreadable"),
    ];
    let done = files.into_iter().map(|(tag, files, wanted)| {
        let mut importer = importer();
        importer.hosts(&[directory("d", files)]);
        (tag, summary(importer, "reg.example/a").replace("registry https://reg.example/v2", "reg"), wanted)
    });
    check(done.collect());
}

#[test]
fn regauth_toml() {
    let host = |line: &str| format!("[host.\"https://reg.example\"]\n{line}\n");
    rows(
        |importer, text| importer.regauth(&file("regauth.toml", text)),
        &[
            ("F host", "host = 1\n", "reg FAILS\n! E:wrong-type"),
            ("F default", "default = 1\n", "reg FAILS\n! E:wrong-type"),
            ("F pair", "pair = 1\n", "reg\n! E:wrong-type"),
            ("F a list of pairs", "pair = [1]\n", "reg\n! E:useless-pair"),
            ("F registry", "registry = 1\n", "reg\n! E:wrong-type"),
            ("F mirrors", "[registry.\"reg.example\"]\nmirrors = 1\n", "reg\n! E:wrong-type"),
            ("F a mirror", "[registry.\"reg.example\"]\nmirrors = [\"x y\"]\n", "reg\n! E:bad-host"),
            ("F a key that is no registry", "[registry.\"x y\"]\n", "reg\n! E:bad-host"),
            ("F a key that is no origin", "[host.\"x y\"]\n", "reg\n! E:bad-host"),
            ("F dial_timeout", &host("dial_timeout = \"soon\""), "reg\n! E:wrong-type"),
            ("F alpn", &host("alpn = 1"), "reg\n! E:wrong-type"),
            ("F ca", &host("ca = 1"), "reg\n! E:wrong-type"),
            ("F header", &host("header = { x = 1 }"), "reg\n! E:wrong-type"),
            ("F skip_verify", &host("skip_verify = \"yes\""), "reg\n! E:wrong-type"),
        ],
    );
}

#[test]
fn registries_yaml() {
    rows(
        |importer, text| importer.registries(&file("registries.yaml", text)),
        &[
            ("1.5 the document", "- a\n", "reg FAILS\n! E:wrong-type"),
            ("1.5 mirrors", "mirrors: [a]\n", "reg\n! E:wrong-type"),
            ("1.5 mirrors of a registry", "mirrors: {reg.example: [a]}\n", "reg\n! E:wrong-type"),
            ("1.5 endpoint", "mirrors: {reg.example: {endpoint: {a: b}}}\n", "reg\n! E:wrong-type"),
            // Either may have held a certificate.
            ("1.5 configs", "configs: [a]\n", "reg FAILS\n! E:wrong-type"),
            ("1.5 configs of a registry", "configs: {reg.example: [a]}\n", "reg FAILS\n! E:wrong-type"),
            ("1.5 configs of another one", "configs: {b.example: [a]}\n", "reg\n! E:wrong-type"),
            ("1.5 nothing", "mirrors:\nconfigs: {reg.example: }\n", "reg\n!"),
            ("1.5 << without a table", "configs: {reg.example: {<<: 1}}\n", "reg FAILS\n! E:syntax"),
            ("1.5 a key that is no text", "configs: {[a]: {}}\n", "reg FAILS\n! E:syntax"),
        ],
    );
}

#[test]
fn config_json() {
    rows(
        |importer, text| importer.docker_config(&file("config.json", text)),
        &[
            ("2.1 auths", r#"{"auths": true}"#, "reg creds:unreadable\n! E:wrong-type"),
            ("2.1 no auths", r#"{"auths": null}"#, "reg\n!"),
            ("2.2 credHelpers", r#"{"credHelpers": {}}"#, "reg\n!"),
            ("2.2 a helper", r#"{"credHelpers": {"reg.example": {}}}"#, "reg creds:unreadable\n! E:wrong-type"),
            ("2.2 credHelpers that is no table", r#"{"credHelpers": false}"#, "reg creds:unreadable\n! E:wrong-type"),
            ("2.2 credsStore", r#"{"credsStore": 1}"#, "reg creds:unreadable\n! E:wrong-type"),
            ("2.2 a path for a helper", r#"{"credsStore": "../x"}"#, "reg creds:unreadable\n! E:wrong-type"),
            (
                "2.1 a user name that Basic cannot carry",
                r#"{"auths": {"reg.example": {"username": "a:b", "password": "p"}}}"#,
                "reg creds:a:b\n! W:broken-credentials",
            ),
        ],
    );
}

/// It is for the clock and the server to say, as with one that has expired.
#[test]
fn a_certificate_that_is_not_valid_yet_is_shown() {
    let mut early = importer().now(Time(1_700_000_000_000));
    early.docker_certs(&directory("c", &[("reg.example/a.cert", "{CERT}"), ("reg.example/a.key", "{KEY}")]));
    check(vec![(
        "E.6 not valid yet",
        summary(early, "reg.example/a"),
        "registry https://reg.example/v2 certs:c/reg.example/a.cert\n! E:not-yet-valid",
    )]);
}

/// Two files that name mirrors: the first holds, and that they differ is said.
#[test]
fn sources_that_disagree() {
    let with = |mirror: &str| {
        let mut importer = importer();
        importer.buildkitd(&file("b.toml", "[registry.\"reg.example\"]\nmirrors = [\"m.example\"]\n"));
        importer.registries(&file("r.yaml", &format!("mirrors: {{reg.example: {{endpoint: [\"{mirror}\"]}}}}\n")));
        summary(importer, "reg.example/a")
    };
    let mirror = "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nregistry https://reg.example/v2\n!";
    check(vec![
        ("F mirrors that differ", with("https://n.example"), &format!("{mirror} W:conflict")),
        ("F the same mirrors", with("https://m.example"), mirror),
    ]);
}
