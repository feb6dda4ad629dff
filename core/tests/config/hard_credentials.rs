//! Hard cases of credentials: keys, helpers, tokens and types at the edge of what a format says.

use crate::world::{Row, check, done, file, importer, summary, written_out};

#[test]
fn config_json() {
    let rows: &[Row<'_>] = &[
        (
            "2.1 base64 of a length that is none",
            r#"{"auths":{"reg.example":{"auth":"YTpic=="}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
        (
            "2.1 bits that the last letter has too many: not looked at, as in Go",
            r#"{"auths":{"reg.example":{"auth":"YTpiYzF="}}}"#,
            "reg.example/a",
            "reg creds:a\n!",
        ),
        (
            "2.1 base64 without its padding",
            r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6czNjcmV0MQ"}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
        (
            "2.1 base64 with line ends",
            r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6\r\nczNjcmV0\n"}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 URL-safe base64",
            r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6_-__"}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
        (
            "2.1 a password with colons",
            r#"{"auths":{"reg.example":{"auth":"YTpiOmM6ZA=="}}}"#,
            "reg.example/a",
            "reg creds:a\n!",
        ),
        (
            "2.1 auth that is a number is not none",
            r#"{"auths":{"reg.example":{"auth":5}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
        (
            "2.1 a token that is a list is not none",
            r#"{"auths":{"reg.example":{"identitytoken":["t"]}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
        (
            "2.1 an e-mail address of another type harms nothing",
            r#"{"auths":{"reg.example":{ROBOT,"email":5}}}"#,
            "reg.example/a",
            "reg creds:robot\n! E:wrong-type",
        ),
        (
            "2.1 null fields",
            r#"{"auths":{"reg.example":{"auth":null,"username":"u","password":"p","identitytoken":null}}}"#,
            "reg.example/a",
            "reg creds:u\n!",
        ),
        (
            "2.1 auth with an empty identitytoken",
            r#"{"auths":{"reg.example":{ROBOT,"identitytoken":""}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 bearer and password: the bearer",
            r#"{"auths":{"reg.example":{ROBOT,"registrytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-bearer-token\n!",
        ),
        (
            "2.1 bearer and a broken auth",
            r#"{"auths":{"reg.example":{"auth":"*","registrytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-bearer-token\n! E:broken-credentials",
        ),
        (
            "2.1 user <token> in auth",
            r#"{"auths":{"reg.example":{"auth":"PHRva2VuPjpzM2NyZXQ="}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n!",
        ),
        (
            "2.1 names of fields in any case",
            r#"{"Auths":{"reg.example":{"Auth":"cm9ib3Q6czNjcmV0"}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 one field in two spellings",
            r#"{"Auths":{"b.example":{ROBOT}},"auths":{"reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:duplicate-key",
        ),
        (
            "2.1 one field of an entry in two spellings",
            r#"{"auths":{"reg.example":{ROBOT,"Auth":"dTpw"}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:duplicate-key",
        ),
        (
            "2.1 keys with ports and IPv6",
            r#"{"auths":{"[::1]:5000":{ROBOT},"[2001:DB8::0:1]":{UUU}}}"#,
            "[2001:db8::1]/a",
            "registry https://[2001:db8::1]/v2 creds:u\n!",
        ),
        (
            "2.1 a key that is an address with a port",
            r#"{"auths":{"https://[::1]:5000/v2/":{ROBOT}}}"#,
            "[::1]:5000/a",
            "registry https://[::1]:5000/v2 creds:robot\n!",
        ),
        (
            "2.1 an empty key",
            r#"{"auths":{"":{ROBOT},"https://":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key W:ignored-key",
        ),
        (
            "2.1 a key with a port that is none",
            r#"{"auths":{"reg.example:0":{ROBOT},"reg.example:65536":{ROBOT},"reg.example:":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key W:ignored-key W:ignored-key",
        ),
        ("2.1 a key in capitals", r#"{"auths":{"REG.Example":{ROBOT}}}"#, "reg.example/a", "reg creds:robot\n!"),
        (
            "2.1 a scheme in capitals is none to Docker",
            r#"{"auths":{"HTTPS://reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key",
        ),
        (
            "2.1 a key that ends in a slash",
            r#"{"auths":{"reg.example/":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 an http URL key and a path",
            r#"{"auths":{"http://reg.example/a":{ROBOT},"reg.example":{UUU}}}"#,
            "reg.example/b",
            "reg creds:u\n! W:path-scoped",
        ),
        (
            "2.1 the path of one of two URL keys holds",
            r#"{"auths":{"https://reg.example":{UUU},"http://reg.example/team":{ROBOT}}}"#,
            "reg.example/team/x",
            "reg creds:robot\n! W:path-scoped",
        ),
        (
            "2.1 Hub by all of its names: Docker's own key",
            r#"{"auths":{"registry-1.docker.io":{UUU},"docker.io":{UUU},"https://index.docker.io/v1/":{ROBOT}}}"#,
            "alpine",
            "hub creds:u\n! W:readers-differ W:several-keys W:several-keys",
        ),
        (
            "2.1 credHelpers for a URL: Docker looks for the host only",
            r#"{"credHelpers":{"https://reg.example":"one"}}"#,
            "reg.example/a",
            "reg creds:one(reg.example)\n! W:ignored-key",
        ),
        (
            "2.1 credHelpers for docker.io: Docker looks for its own key",
            r#"{"credHelpers":{"docker.io":"one"}}"#,
            "alpine",
            "hub creds:one(https://index.docker.io/v1/)\n! W:ignored-key",
        ),
        (
            "2.1 credHelpers with a path",
            r#"{"credHelpers":{"reg.example/team":"one"}}"#,
            "reg.example/team/a",
            "reg\n! E:bad-host",
        ),
        (
            "2.1 credHelpers and an entry with a password: the helper",
            r#"{"auths":{"reg.example":{ROBOT},"b.example":{ROBOT}},"credHelpers":{"reg.example":"one"}}"#,
            "reg.example/a",
            "reg creds:one(reg.example)\n! W:helper-instead",
        ),
        (
            "2.1 ... and for a path of it",
            r#"{"auths":{"reg.example/team":{ROBOT}},"credHelpers":{"reg.example":"one"}}"#,
            "reg.example/team/a",
            "reg creds:one(reg.example)\n! W:path-scoped W:helper-instead",
        ),
        (
            "2.1 ... and a bearer survives it",
            r#"{"auths":{"reg.example":{"registrytoken":"t"}},"credHelpers":{"reg.example":"one"}}"#,
            "reg.example/a",
            "reg creds:a-bearer-token\n!",
        ),
        (
            "2.1 credHelpers with another port",
            r#"{"auths":{"reg.example":{ROBOT}},"credHelpers":{"reg.example:5000":"one"}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 an empty helper, and a helper for all, and no entry",
            r#"{"credHelpers":{"reg.example":""},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:all(reg.example)\n!",
        ),
        (
            "2.1 an identity token and a helper for all",
            r#"{"auths":{"reg.example":{"identitytoken":"t"}},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:all(reg.example)\n! W:helper-instead",
        ),
        (
            "2.1 a helper with an odd name",
            r#"{"credsStore":"ecr-login; rm"}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
        ("2.1 text behind the document", r#"{"auths":{}} {}"#, "reg.example/a", "reg creds:unreadable\n! E:syntax"),
        ("2.1 a document that is a list", "[]", "reg.example/a", "reg creds:unreadable\n! E:wrong-type"),
        ("2.1 a document that is null", "null", "reg.example/a", "reg creds:unreadable\n! E:wrong-type"),
    ];
    done("config.json", rows, |importer, file| importer.docker_config(file));
}

#[test]
fn auth_json() {
    let rows: &[Row<'_>] = &[
        (
            "2.3 a namespace with a port",
            r#"{"auths":{"reg.example:5000/team":{ROBOT},"reg.example:5000":{"auth":"dTpw"}}}"#,
            "reg.example:5000/team/a",
            "registry https://reg.example:5000/v2 creds:robot\n!",
        ),
        (
            "2.3 ... and beside it",
            r#"{"auths":{"reg.example:5000/team":{ROBOT},"reg.example:5000":{"auth":"dTpw"}}}"#,
            "reg.example:5000/teams/a",
            "registry https://reg.example:5000/v2 creds:u\n!",
        ),
        (
            "2.3 an empty entry for a namespace is none of its own",
            r#"{"auths":{"reg.example/team":{},"reg.example":{"auth":"dTpw"}}}"#,
            "reg.example/team/a",
            "reg creds:u\n!",
        ),
        (
            "2.3 a URL key with a path",
            r#"{"auths":{"https://reg.example/team":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:path-scoped",
        ),
        (
            "2.3 podman reads auth only",
            r#"{"auths":{"reg.example":{UUU}}}"#,
            "reg.example/a",
            "reg creds:u\n! W:readers-differ",
        ),
        (
            "2.3 a namespace of Hub under another name of it",
            r#"{"auths":{"index.docker.io/team":{ROBOT},"docker.io/team/a":{ROBOT}}}"#,
            "team/app",
            "hub creds:robot\n! W:readers-differ",
        ),
        (
            "2.3 Hub's names: podman knows three",
            r#"{"auths":{"registry-1.docker.io":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n!",
        ),
        (
            "2.3 Hub's name of old",
            r#"{"auths":{"https://index.docker.io/v1/":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n!",
        ),
        (
            "2.3 Hub's namespace and its whole",
            r#"{"auths":{"docker.io":{"auth":"dTpw"},"docker.io/team":{ROBOT}}}"#,
            "team/app",
            "hub creds:robot\n!",
        ),
        (
            "2.3 a helper before a namespace",
            r#"{"auths":{"reg.example/team":{ROBOT}},"credHelpers":{"reg.example":"one"}}"#,
            "reg.example/team/a",
            "reg creds:one(reg.example)\n! W:helper-instead",
        ),
        (
            "2.3 a helper for a namespace",
            r#"{"credHelpers":{"reg.example/team":"one"}}"#,
            "reg.example/team/a",
            "reg\n! E:bad-host",
        ),
        (
            "2.3 a helper for a URL",
            r#"{"credHelpers":{"https://reg.example":"one"}}"#,
            "reg.example/a",
            "reg creds:one(reg.example)\n! W:ignored-key",
        ),
        (
            "2.3 a digest in a key",
            r#"{"auths":{"reg.example/a@sha256:00":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key",
        ),
    ];
    done("auth.json", rows, |importer, file| importer.auth_json(file));
}

#[test]
fn kubernetes() {
    let rows: &[Row<'_>] = &[
        (
            "2.4 an IPv6 key is no pattern",
            r#"{"auths":{"[::1]:5000":{ROBOT}}}"#,
            "[::1]:5000/a",
            "registry https://[::1]:5000/v2 creds:robot\n!",
        ),
        (
            "2.4 ... with a scheme and a path",
            r#"{"auths":{"https://[::1]/v2/team":{ROBOT}}}"#,
            "[::1]/team/a",
            "registry https://[::1]/v2 creds:robot\n!",
        ),
        (
            "2.4 /v2/ is stripped without a scheme too",
            r#"{"auths":{"reg.example/v2/":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.4 /v1/ of Hub without a scheme",
            r#"{"auths":{"index.docker.io/v1/":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n!",
        ),
        (
            "2.4 Hub under a name that the kubelet does not know",
            r#"{"auths":{"registry-1.docker.io":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n! W:readers-differ",
        ),
        ("2.4 docker.io is found", r#"{"auths":{"docker.io":{ROBOT}}}"#, "alpine", "hub creds:robot\n!"),
        (
            "2.4 :443 is another port for the kubelet, and the same here",
            r#"{"auths":{"reg.example:443":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.4 the longest path",
            r#"{"auths":{"reg.example/team":{UUU},"reg.example/team/app":{ROBOT}}}"#,
            "reg.example/team/app",
            "reg creds:robot\n!",
        ),
        (
            "2.4 a pattern in the path is none",
            r#"{"auths":{"reg.example/te*":{ROBOT}}}"#,
            "reg.example/team",
            "reg\n! W:ignored-key",
        ),
        (
            "2.4 a Secret of another type: the kubelet does not read it",
            "kind: Secret\ntype: Opaque\nstringData: {.dockerconfigjson: '{\"auths\":{\"reg.example\":{ROBOT}}}'}\n",
            "reg.example/a",
            "reg creds:robot\n! W:readers-differ",
        ),
        (
            "2.4 items of a SecretList need no kind",
            r#"{"kind":"SecretList","items":[{"type":"kubernetes.io/dockercfg","stringData":{".dockercfg":"{\"reg.example\":{\"username\":\"u\",\"password\":\"p\"}}"}}]}"#,
            "reg.example/a",
            "reg creds:u\n!",
        ),
        (
            "2.4 base64 that YAML folds over lines",
            "kind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: |\n    eyJhdXRocyI6eyJyZWcuZXhhbXBsZSI6eyJhdXRoIjoi\n    Y205aWIzUTZjek5qY21WMCJ9fX0=\n",
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.4 an auth that is a number",
            r#"{"auths":{"reg.example":{"username":"u","password":5}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
    ];
    done("k8s", rows, |importer, file| importer.kubernetes(file));
    let leave = |text: &str, image: &str| {
        let mut importer = importer();
        importer.kubernetes(&file("k.json", &written_out(text)));
        importer.regauth(&file("r.toml", "wildcard_password = true\n"));
        summary(importer, image)
    };
    check(vec![
        (
            "2.4 a * within a label",
            leave(r#"{"auths":{"r*g.ex*le":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 * alone is one label",
            leave(r#"{"auths":{"*":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2\n!",
        ),
        (
            "2.4 *.*",
            leave(r#"{"auths":{"*.*":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 a pattern, a scheme and /v1/",
            leave(r#"{"auths":{"https://*.example/v1/":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 a pattern with capitals",
            leave(r#"{"auths":{"*.EXAMPLE":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 of two patterns the one with the longer path",
            leave(r#"{"auths":{"*.example":{UUU},"r*.example/team":{ROBOT}}}"#, "reg.example/team/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 an exact name before a pattern with a path",
            leave(r#"{"auths":{"reg.example":{ROBOT},"*.example/team":{UUU}}}"#, "reg.example/team/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
    ]);
}
