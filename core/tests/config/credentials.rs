//! Docker's `config.json`, `DOCKER_AUTH_CONFIG`, podman's `auth.json`, Kubernetes' secrets.

use crate::world::{Row, check, done, file, importer, summary, written_out};

#[test]
fn docker() {
    let rows: &[Row<'_>] = &[
        ("2.1 auth", r#"{"auths":{"reg.example":{ROBOT}}}"#, "reg.example/a", "reg creds:robot\n!"),
        (
            "2.1 username and password",
            r#"{"auths":{"reg.example":{"username":"u","password":"p","email":"e","serveraddress":"s"}}}"#,
            "reg.example/a",
            "reg creds:u\n!",
        ),
        (
            "2.1 auth wins over username and password",
            r#"{"auths":{"reg.example":{ROBOT,"username":"u","password":"p"}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:several-credentials",
        ),
        (
            "2.1 identitytoken is a refresh token",
            r#"{"auths":{"reg.example":{"auth":"MDA6","identitytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n!",
        ),
        (
            "2.1 registrytoken is sent as it is",
            r#"{"auths":{"reg.example":{"registrytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-bearer-token\n!",
        ),
        (
            "2.1 auth without a colon",
            r#"{"auths":{"reg.example":{"auth":"cm9ib3Q="},"b.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
        (
            "2.1 auth with an empty user",
            r#"{"auths":{"reg.example":{"auth":"OnMzY3JldA=="}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:empty-user",
        ),
        (
            "2.1 ... fails that host and no other",
            r#"{"auths":{"b.example":{"auth":"OnMzY3JldA=="},"reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n! E:empty-user",
        ),
        (
            "2.1 NULs at the end of the password",
            r#"{"auths":{"reg.example":{"auth":"cm9ib3Q6AAA="}}}"#,
            "reg.example/a",
            "reg creds:robot-without-password\n! W:user-without-password",
        ),
        (
            "2.1 auth is not base64",
            r#"{"auths":{"reg.example":{"auth":"***"}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
        (
            "2.1 Hub: the URL of old",
            r#"{"auths":{"https://index.docker.io/v1/":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n!",
        ),
        (
            "2.1 Hub: docker.io and index.docker.io",
            r#"{"auths":{"docker.io":{ROBOT},"index.docker.io":{"username":"u","password":"p"}}}"#,
            "alpine",
            "hub creds:robot\n! W:several-keys",
        ),
        (
            "2.1 Hub: registry-1.docker.io is not normalised there",
            r#"{"auths":{"registry-1.docker.io":{ROBOT}}}"#,
            "alpine",
            "hub creds:robot\n! W:readers-differ",
        ),
        (
            "2.1 the exact key before URLs",
            r#"{"auths":{"https://reg.example/v1/":{"username":"u","password":"p"},"reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:several-keys",
        ),
        (
            "2.6 https before http, whatever the order",
            r#"{"auths":{"http://reg.example":{"username":"u","password":"p"},"https://reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:several-keys",
        ),
        (
            "2.1 several URL keys: the order of the file",
            r#"{"auths":{"https://reg.example/v2/":{ROBOT},"https://reg.example":{"username":"u","password":"p"}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:several-keys",
        ),
        (
            "2.1 a URL key is found by its host",
            r#"{"auths":{"http://reg.example/v1/":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 no path-scoped keys in Docker: the safe reading",
            r#"{"auths":{"reg.example/team":{ROBOT}}}"#,
            "reg.example/other/app",
            "reg\n! W:path-scoped",
        ),
        (
            "2.1 ... and for the path",
            r#"{"auths":{"https://reg.example/team":{ROBOT}}}"#,
            "reg.example/team/app",
            "reg creds:robot\n! W:path-scoped",
        ),
        (
            "2.1 credHelpers before credsStore before the file",
            r#"{"auths":{"reg.example":{ROBOT}},"credsStore":"all","credHelpers":{"reg.example":"one"}}"#,
            "reg.example/a",
            "reg creds:one(reg.example)\n! W:helper-instead",
        ),
        (
            "2.1 credsStore before the file",
            r#"{"auths":{"reg.example":{ROBOT}},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:all(reg.example)\n! W:helper-instead",
        ),
        (
            "2.1 credsStore is for every registry",
            r#"{"auths":{"b.example":{}},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:all(reg.example)\n!",
        ),
        (
            "2.1 an entry that is null is empty",
            r#"{"auths":{"reg.example":null,"b.example":{}},"credHelpers":null,"credsStore":""}"#,
            "reg.example/a",
            "reg\n!",
        ),
        (
            "2.1 an empty helper is none: what the file holds",
            r#"{"auths":{"reg.example":{ROBOT}},"credHelpers":{"reg.example":""},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 what Docker keeps of a login by the browser is for no registry",
            r#"{"auths":{"https://index.docker.io/v1/":{ROBOT},"https://index.docker.io/v1/access-token":{"username":"u","password":"p"},"https://index.docker.io/v1/refresh-token":{"username":"u","password":"p"}}}"#,
            "docker.io/v1/access-token",
            "hub creds:robot\n! I:not-used I:not-used",
        ),
        (
            "2.1 registrytoken survives a helper",
            r#"{"auths":{"reg.example":{"registrytoken":"t"}},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:a-bearer-token\n!",
        ),
        (
            "2.2 which URL Docker asks for: Hub",
            r#"{"credsStore":"all"}"#,
            "alpine",
            "hub creds:all(https://index.docker.io/v1/)\n!",
        ),
        (
            "2.1 credHelpers for Hub",
            r#"{"credHelpers":{"https://index.docker.io/v1/":"one"}}"#,
            "alpine",
            "hub creds:one(https://index.docker.io/v1/)\n!",
        ),
        (
            "2.1 HttpHeaders are for the daemon",
            r#"{"HttpHeaders":{"X":"1"},"auths":{}}"#,
            "reg.example/a",
            "reg\n! I:readers-differ",
        ),
        (
            "2.1 a user without a password",
            r#"{"auths":{"reg.example":{"username":"u"}}}"#,
            "reg.example/a",
            "reg creds:u-without-password\n! W:user-without-password",
        ),
        (
            "2.1 a password without a user",
            r#"{"auths":{"reg.example":{"password":"p"}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:empty-user",
        ),
        (
            "2.1 the user <token>",
            r#"{"auths":{"reg.example":{"username":"<token>","password":"p"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n!",
        ),
        (
            "2.1 misspelt",
            r#"{"auth":{},"auths":{"reg.example":{"user":"u","identityToken":"t","pasword":"p"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n! W:unknown-field W:unknown-field W:unknown-field",
        ),
        (
            "2.1 a key that is no registry",
            r#"{"auths":{"*.example":{ROBOT},"ftp://reg.example":{ROBOT},"reg.example/a:1":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key W:ignored-key W:ignored-key",
        ),
        (
            "2.1 a key twice",
            r#"{"auths":{"reg.example":{"username":"u","password":"p"},"reg.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n! W:duplicate-key",
        ),
        (
            "2.1 a helper's name that is a path",
            r#"{"credHelpers":{"reg.example":"../x"}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
        (
            "2.1 a document that does not parse",
            r#"{"auths":{"reg.example":{"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:syntax",
        ),
        ("2.1 auths of another type", r#"{"auths":[]}"#, "reg.example/a", "reg creds:unreadable\n! E:wrong-type"),
        (
            "2.1 a number for a password",
            r#"{"auths":{"reg.example":{"username":"u","password":1}}}"#,
            "reg.example/a",
            "reg creds:unreadable\n! E:wrong-type",
        ),
        (
            "2.1 :443 is the default port",
            r#"{"auths":{"reg.example:443":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.1 another port is another registry",
            r#"{"auths":{"reg.example:5000":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n!",
        ),
    ];
    done("config.json", rows, |importer, file| importer.docker_config(file));
}

#[test]
fn variable() {
    let rows: &[Row<'_>] = &[
        ("2.1 DOCKER_AUTH_CONFIG", r#"{"auths":{"reg.example":{ROBOT}}}"#, "reg.example/a", "reg creds:robot\n!"),
        (
            "2.1 a whole config.json in it: read, and said",
            r#"{"auths":{"reg.example":{ROBOT}},"credsStore":"x"}"#,
            "b.example/a",
            "registry https://b.example/v2 creds:x(b.example)\n! W:readers-differ W:helper-instead",
        ),
        (
            "2.1 other fields of an entry",
            r#"{"auths":{"reg.example":{"username":"u","password":"p"}}}"#,
            "reg.example/a",
            "reg creds:u\n! W:readers-differ W:readers-differ",
        ),
        ("2.1 a field that is none", r#"{"auths":{},"x":1}"#, "reg.example/a", "reg\n! W:unknown-field"),
    ];
    done("config.json", rows, |importer, file| importer.docker_auth_config(file));
    // Before the file, and where it has nothing the file is asked.
    let both = |image: &str| {
        let mut importer = importer();
        importer.docker_auth_config(&file("DOCKER_AUTH_CONFIG", &written_out(r#"{"auths":{"reg.example":{ROBOT}}}"#)));
        importer.docker_config(&file(
            "config.json",
            r#"{"auths":{"reg.example/a":{"username":"u","password":"p"}},"credsStore":"all"}"#,
        ));
        summary(importer, image)
    };
    check(vec![
        (
            "2.1 the variable first",
            both("reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n! W:path-scoped W:helper-instead",
        ),
        (
            "2.1 then the helper",
            both("b.example/a"),
            "registry https://b.example/v2 creds:all(b.example)\n! W:path-scoped W:helper-instead",
        ),
    ]);
}

#[test]
fn podman() {
    let rows: &[Row<'_>] = &[
        (
            "2.3 the longest key by segments",
            r#"{"auths":{"reg.example":{"auth":"aG9zdDpw"},"reg.example/a":{"auth":"YTpw"},"reg.example/a/b":{ROBOT},"reg.example/a/bb":{"auth":"YmI6cA=="}}}"#,
            "reg.example/a/b/img",
            "reg creds:robot\n!",
        ),
        ("2.3 whole segments only", r#"{"auths":{"reg.example/a":{ROBOT}}}"#, "reg.example/ab", "reg\n!"),
        (
            "2.3 the image itself",
            r#"{"auths":{"reg.example/a/img":{ROBOT}}}"#,
            "reg.example/a/img:1",
            "reg creds:robot\n!",
        ),
        (
            "2.3 then URL keys by host",
            r#"{"auths":{"https://reg.example/v1/":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        ("2.3 docker.io", r#"{"auths":{"docker.io/library":{ROBOT}}}"#, "alpine", "hub creds:robot\n!"),
        (
            "2.3 credHelpers before the keys; podman asks for the registry",
            r#"{"auths":{"docker.io/library":{ROBOT}},"credHelpers":{"docker.io":"one"}}"#,
            "alpine",
            "hub creds:one(docker.io)\n! W:helper-instead",
        ),
        (
            "2.3 credsStore is not read",
            r#"{"auths":{"reg.example":{ROBOT}},"credsStore":"all"}"#,
            "reg.example/a",
            "reg creds:robot\n! W:ignored-key",
        ),
        (
            "2.3 keys with a tag or a digest",
            r#"{"auths":{"reg.example/a:1":{ROBOT},"reg.example/a@sha256":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:ignored-key W:ignored-key",
        ),
        (
            "2.1 identitytoken without auth",
            r#"{"auths":{"reg.example":{"identitytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n! W:readers-differ",
        ),
        (
            "2.1 identitytoken beside auth",
            r#"{"auths":{"reg.example":{"auth":"eDp5","identitytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n! W:several-credentials",
        ),
    ];
    done("config.json", rows, |importer, file| importer.auth_json(file));
    let mut two = importer();
    two.auth_json(&file("one.json", &written_out(r#"{"auths":{"reg.example":{ROBOT}}}"#)));
    two.auth_json(&file("two.json", r#"{"auths":{"reg.example/a":{"auth":"dTpw"}}}"#));
    check(vec![(
        "2.3 the first file that has a key",
        summary(two, "reg.example/a"),
        "registry https://reg.example/v2 creds:robot\n!",
    )]);
}

#[test]
fn kubernetes() {
    let manifest = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: eyJhdXRocyI6eyJyZWcuZXhhbXBsZSI6eyJhdXRoIjoiY205aWIzUTZjek5qY21WMCJ9fX0=\n";
    let rows: &[Row<'_>] = &[
        ("2.4 the JSON itself", r#"{"auths":{"reg.example":{ROBOT}}}"#, "reg.example/a", "reg creds:robot\n!"),
        ("2.4 a Secret in YAML", manifest, "reg.example/a", "reg creds:robot\n!"),
        (
            "2.4 a Secret in JSON, stringData",
            r#"{"kind":"Secret","type":"kubernetes.io/dockercfg","stringData":{".dockercfg":"{\"reg.example\":{\"username\":\"u\",\"password\":\"p\"}}"}}"#,
            "reg.example/a",
            "reg creds:u\n!",
        ),
        ("2.4 .dockercfg: the map itself", r#"{"reg.example":{ROBOT}}"#, "reg.example/a", "reg creds:robot\n!"),
        (
            "2.4 a URL key, /v1/ stripped",
            r#"{"auths":{"https://reg.example/v1/":{ROBOT}}}"#,
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.4 /v1/ is stripped before a path too",
            r#"{"auths":{"reg.example/v1/foo":{ROBOT}}}"#,
            "reg.example/foo/bar",
            "reg creds:robot\n!",
        ),
        (
            "2.4 a path by whole components, not raw",
            r#"{"auths":{"reg.example/foo":{ROBOT}}}"#,
            "reg.example/foobar",
            "reg\n!",
        ),
        ("2.4 a path", r#"{"auths":{"reg.example/foo":{ROBOT}}}"#, "reg.example/foo/bar", "reg creds:robot\n!"),
        ("2.4 Hub: index.docker.io", r#"{"auths":{"index.docker.io":{ROBOT}}}"#, "alpine", "hub creds:robot\n!"),
        ("2.4 no helpers", r#"{"auths":{},"credsStore":"x"}"#, "reg.example/a", "reg\n! W:ignored-key"),
        (
            "2.4 no tokens in the version read",
            r#"{"auths":{"reg.example":{"identitytoken":"t"}}}"#,
            "reg.example/a",
            "reg creds:a-refresh-token\n! W:readers-differ",
        ),
        (
            "F a glob's password only by name",
            r#"{"auths":{"*.example":{ROBOT}}}"#,
            "reg.example/a",
            "reg\n! W:wildcard-password",
        ),
        (
            "2.4 several documents, and other kinds among them",
            "---\nkind: ServiceAccount\nimagePullSecrets: [{name: a}]\n---\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"b.example\":{}}}'}\n---\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"reg.example\":{ROBOT}}}'}\n...\n",
            "reg.example/a",
            "reg creds:robot\n!",
        ),
        (
            "2.4 a list, as kubectl get -o json prints it",
            r#"{"apiVersion":"v1","kind":"List","items":[{"kind":"Secret","type":"Opaque","data":{"a":"Yg=="}},{"kind":"Secret","type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{\"auths\":{\"reg.example\":{\"username\":\"u\",\"password\":\"p\"}}}"}}]}"#,
            "reg.example/a",
            "reg creds:u\n!",
        ),
        ("2.4 a Secret without it", "kind: Secret\ndata: {x: y}\n", "reg.example/a", "reg\n! W:empty"),
        (
            "2.4 not base64",
            "kind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: '*'}\n",
            "reg.example/a",
            "reg creds:unreadable\n! E:broken-credentials",
        ),
    ];
    done("config.json", rows, |importer, file| importer.kubernetes(file));
}

#[test]
fn globs() {
    let leave = |text: &str, image: &str| {
        let mut importer = importer();
        importer.kubernetes(&file("k.json", &written_out(text)));
        importer.regauth(&file("r.toml", "wildcard_password = true\n"));
        summary(importer, image)
    };
    let star = r#"{"auths":{"*.example":{ROBOT}}}"#;
    check(vec![
        ("2.4 * is one label", leave(star, "reg.example/a"), "registry https://reg.example/v2 creds:robot\n!"),
        ("2.4 not two", leave(star, "a.reg.example/a"), "registry https://a.reg.example/v2\n!"),
        ("2.4 not none", leave(star, "example.com/a"), "registry https://example.com/v2\n!"),
        ("2.4 the port is compared", leave(star, "reg.example:5000/a"), "registry https://reg.example:5000/v2\n!"),
        (
            "2.4 a port in the pattern",
            leave(r#"{"auths":{"*.example:5000":{ROBOT}}}"#, "reg.example:5000/a"),
            "registry https://reg.example:5000/v2 creds:robot\n!",
        ),
        (
            "2.4 a pattern with a path",
            leave(r#"{"auths":{"r?g.ex[a-b]mple/team":{ROBOT}}}"#, "reg.example/team/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "2.4 the exact key before a pattern",
            leave(r#"{"auths":{"*.example":{"username":"u","password":"p"},"reg.example":{ROBOT}}}"#, "reg.example/a"),
            "registry https://reg.example/v2 creds:robot\n!",
        ),
    ]);
}
