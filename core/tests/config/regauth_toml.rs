//! Our own file.

use regauth::config::Code;
use regauth::{Agent, Step};

use crate::world::{check, codes, file, files, importer, summary};

#[test]
fn statements() {
    let rows = vec![
        (
            "F identities, roots, headers and flags of a host",
            "[host.\"https://reg.example\"]\nidentity = [{ certificate = \"/pki/client.crt\", key = \"/pki/client.key\" }, { certificate = \"/pki/second.crt\", key = \"/pki/second.key\" }]\nca = \"/pki/ca.crt\"\nskip_verify = true\nforce = true\ntry_pairs = true\ndial_timeout = \"500ms\"\nalpn = [\"http/1.1\"]\nheader = { X-A = \"1\" }\n",
            "registry https://reg.example/v2 certs:/pki/client.crt,/pki/second.crt ca:1 headers:X-A skip dial:500\n!",
        ),
        (
            "E.4 only_ca replaces the roots",
            "[host.\"https://reg.example\"]\nca = [\"/pki/ca.crt\"]\nonly_ca = true\n",
            "registry https://reg.example/v2 ca:1 only-ca\n!",
        ),
        (
            "F one identity as a table",
            "[host.\"https://reg.example\"]\nidentity = { certificate = \"/pki/both.pem\", key = \"/pki/both.pem\" }\n",
            "registry https://reg.example/v2 certs:/pki/both.pem\n!",
        ),
        (
            "F half an identity",
            "[host.\"https://reg.example\"]\nidentity = { certificate = \"/pki/client.crt\" }\n",
            "registry https://reg.example/v2 FAILS\n! E:certificate-without-key",
        ),
        (
            "F an identity that is a text",
            "[host.\"https://reg.example\"]\nidentity = \"/pki/both.pem\"\n",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "F mirrors and plain http",
            "[registry.\"reg.example\"]\nhttp = true\nmirrors = [\"https://m.example\", \"http://n.example:5000/v2/x\"]\n",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example
             mirror http://n.example:5000/v2/x caps:pull,resolve ns:reg.example
             registry http://reg.example/v2
             !",
        ),
        (
            "F only_mirrors",
            "[registry.\"reg.example\"]\nmirrors = [\"https://m.example\"]\nonly_mirrors = true\n",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\n!",
        ),
        ("F nothing left to ask", "[registry.\"reg.example\"]\nonly_mirrors = true\n", "! E:no-endpoint"),
        (
            "F misspelt",
            "modes = \"strict\"\n[host.\"https://reg.example\"]\nskip-verify = true\n[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://a.example\"\nidentities = true\n",
            "registry https://reg.example/v2\n! W:unknown-field W:unknown-field W:unknown-field",
        ),
        (
            "F a mode that is none",
            "mode = \"lax\"\npassword_post = 1\n",
            "registry https://reg.example/v2\n! E:wrong-type E:wrong-type",
        ),
        (
            "F a pair without one side",
            "[[pair]]\nregistry = \"https://reg.example\"\n",
            "registry https://reg.example/v2\n! E:useless-pair",
        ),
        (
            "F a pair with paths and without schemes",
            "[[pair]]\nregistry = \"reg.example\"\ntoken = \"https://auth.example/token\"\n",
            "registry https://reg.example/v2\n! E:bad-host E:bad-host E:useless-pair",
        ),
        (
            "F a pair with itself",
            "[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://reg.example\"\n",
            "registry https://reg.example/v2\n! W:useless-pair",
        ),
        (
            "F a pair that lends what is not there",
            "[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://auth.example\"\nidentity = true\n",
            "registry https://reg.example/v2\n! W:useless-pair",
        ),
        (
            "F values of another type",
            "[host]\n\"https://reg.example\" = 1\n\"https://b.example\" = { header = \"x\" }\n[registry]\n\"b.example\" = true\n",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type E:wrong-type E:wrong-type",
        ),
        (
            "F a host without its scheme fails where its certificate would be lost",
            "[host.\"reg.example\"]\nidentity = { certificate = \"/pki/both.pem\", key = \"/pki/both.pem\" }\n[host.\"b.example\"]\nca = \"/pki/ca.crt\"\n",
            "registry https://reg.example/v2 FAILS\n! E:bad-host E:bad-host",
        ),
        (
            "F one line with a comment, commas and both quotes",
            "[[pair]] registry = 'https://reg.example', token = 'https://a.example' # a, b\n[host.'https://[::1]'] local = true, header = { a = '1,2', b = \"\\\"#,\" } # c\n[host.\"https://reg.example\"] ca = \"/pki/ca.crt\" # \"d, e\n",
            "registry https://reg.example/v2 ca:1\n!",
        ),
        (
            "F a document that does not parse fails every registry",
            "[[pair]",
            "registry https://reg.example/v2 FAILS\n! E:syntax",
        ),
    ];
    let done = rows.into_iter().map(|(tag, text, wanted)| {
        let mut importer = importer();
        importer.regauth(&file("/etc/regauth.toml", text));
        (tag, summary(importer, "reg.example/a"), wanted)
    });
    check(done.collect());
}

/// The remedy of a refusal is a line that can be pasted, and then it is refused no more.
#[test]
fn the_line_of_a_refusal() {
    let with = |more: &str| {
        let mut importer = importer();
        importer.docker_config(&file("config.json", r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6czNjcmV0"}}}"#));
        importer.regauth(&file("regauth.toml", more));
        let (config, found) = importer.finish().into_config();
        assert_eq!(codes(&found), "");
        let agent = Agent::new(config).unwrap();
        let mut flow = agent.request("GET", "https://reg.example/v2/a/manifests/1").unwrap();
        let waker = std::task::Waker::noop();
        let now = crate::world::NOW;
        assert!(matches!(flow.poll(now, waker), Step::Send(_)));
        let headers = [("WWW-Authenticate", "Bearer realm=\"https://auth.example/token\",service=\"s\"")];
        flow.answer(now, regauth::Answer::new(401, &headers));
        match flow.poll(now, waker) {
            Step::Failed(error) => Err(error.remedy()),
            step => Ok(format!("{step:?}")),
        }
    };
    let remedy = with("# nothing\n").unwrap_err();
    let line = remedy.split_once(": ").unwrap().1;
    assert_eq!(line, "[[pair]] registry = \"https://reg.example\", token = \"https://auth.example\"");
    assert!(with(line).is_ok());
    assert!(with(&format!("\n  {line}")).is_ok(), "indented, as it is printed below a sentence");
    // On one line, with the right numbers for what follows.
    let mut importer = importer().files(files());
    let text = format!("{line}\n[host.\"https://a.example\"] local = true, header = {{ a = \"1,2\" }}\nbad = 1\n");
    importer.regauth(&file("r.toml", &text));
    let (config, found) = importer.finish().into_config();
    assert_eq!((found.len(), found[0].code, found[0].place.line), (1, Code::UnknownField, Some(3)));
    let host = config.host_of(&regauth::Origin::parse("https://a.example").unwrap()).unwrap();
    assert!(host.local && host.headers[0].1.expose() == b"1,2");
}

/// Of two of them the first holds, as of all sources.
#[test]
fn the_first_of_two_holds() {
    let first = "mode = \"strict\"\nwildcard_password = false\n[host.\"https://reg.example\"]\nskip_verify = false\ndial_timeout = \"1s\"\n[registry.\"reg.example\"]\nmirrors = [\"https://m.example\"]\n";
    let second = "mode = \"any-https\"\nwildcard_password = true\npassword_post = true\n[host.\"https://reg.example\"]\nskip_verify = true\nca = \"/pki/ca.crt\"\n[registry.\"reg.example\"]\nmirrors = [\"https://n.example\"]\n";
    let with = || {
        let mut importer = importer();
        importer.buildkitd(&file("b.toml", "[registry.\"reg.example\"]\ninsecure = true\nmirrors = [\"o.example\"]\n"));
        importer.regauth(&file("one.toml", first));
        importer.regauth(&file("two.toml", second));
        importer
    };
    let model = with().finish();
    assert_eq!((model.mode, model.wildcard_password, model.password_post), (Some(regauth::Mode::Strict), false, true));
    check(vec![(
        "F the first of two",
        summary(with(), "reg.example/a"),
        "mirror https://m.example/v2 caps:pull,resolve ns:reg.example
         registry https://reg.example/v2 ca:1 dial:1000
         ! W:conflict W:conflict",
    )]);
}

/// Names of files on Windows.
#[test]
fn names_with_drives_and_backslashes() {
    let mut importer = importer();
    let text = "[host.\"https://reg.example\"]\nca = ['ca.crt', 'D:\\pki\\ca.crt', 'E:/pki/ca.crt', '\\\\host\\share\\ca.crt']\n";
    importer.regauth(&file("C:\\ProgramData\\regauth\\regauth.toml", text));
    importer.hosts(&[crate::world::directory(
        "C:\\certs.d",
        &[("reg.example/hosts.toml", "ca = ['ca.crt', 'D:\\x.crt']")],
    )]);
    let wanted: Vec<&str> = importer.wanted().collect();
    assert_eq!(
        wanted,
        [
            "C:\\ProgramData\\regauth/ca.crt",
            "C:\\certs.d/reg.example/ca.crt",
            "D:\\pki\\ca.crt",
            "D:\\x.crt",
            "E:/pki/ca.crt",
            "\\\\host\\share\\ca.crt"
        ]
    );
}
