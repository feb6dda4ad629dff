//! k3s and RKE2.

use crate::world::{check, file, importer, summary};

#[test]
fn statements() {
    let rows = vec![
        (
            "1.5 endpoints, then the registry",
            "mirrors:\n  docker.io:\n    endpoint:\n      - https://m.example:5000\n      - \"http://n.example/art/docker/v2/\"\n",
            "alpine",
            "mirror https://m.example:5000/v2 caps:pull,resolve ns:docker.io
             mirror http://n.example/art/docker/v2 caps:pull,resolve ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.5 the registry itself as the last endpoint",
            "mirrors:\n  docker.io:\n    endpoint: [https://registry-1.docker.io]\n",
            "alpine",
            "registry https://registry-1.docker.io/v2\n!",
        ),
        (
            "1.5 the same endpoint twice",
            "mirrors: {docker.io: {endpoint: [m.example, 'https://m.example/v2']}}",
            "alpine",
            "mirror https://m.example/v2 caps:pull,resolve ns:docker.io\nregistry https://registry-1.docker.io/v2\n! W:duplicate-key",
        ),
        (
            "1.5 the registry itself by http, before itself by https",
            "mirrors:\n  \"reg.example:5000\":\n    endpoint:\n      - \"http://reg.example:5000\"\n",
            "reg.example:5000/a",
            "registry http://reg.example:5000/v2 caps:pull,resolve\nregistry https://reg.example:5000/v2\n!",
        ),
        (
            "1.5 mirrors of all",
            "mirrors:\n  \"*\":\n    endpoint: [\"https://m.example\"]\n",
            "reg.example/a",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
        (
            "1.5 rewrite, for mirrors only",
            "mirrors:\n  reg.example:\n    endpoint: [\"https://m.example\"]\n    rewrite:\n      \"^team/(.*)\": \"mirrored/$1\"\n",
            "reg.example/team/app",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example repository:mirrored/app
             registry https://reg.example/v2
             !",
        ),
        (
            "1.5 a rewrite that is none, and two",
            "mirrors:\n  reg.example:\n    endpoint: [\"https://m.example\"]\n    rewrite: {\"(\": x, \"^a\": b, \"^b\": c}\n",
            "reg.example/app",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example repository:bpp\nregistry https://reg.example/v2\n! E:rewrite W:rewrite",
        ),
        (
            "1.5 configs: tls and auth",
            "configs:\n  reg.example:\n    auth: {username: robot, password: s3cret}\n    tls:\n      ca_file: /pki/ca.crt\n      cert_file: /pki/client.crt\n      key_file: /pki/client.key\n",
            "reg.example/a",
            "registry https://reg.example/v2 certs:/pki/client.crt ca:1 creds:robot\n!",
        ),
        (
            "1.5 insecure_skip_verify",
            "configs:\n  reg.example:\n    tls: {insecure_skip_verify: yes}\n",
            "reg.example/a",
            "registry https://reg.example/v2 skip\n!",
        ),
        (
            "1.5 auth as base64",
            "configs: {reg.example: {auth: {auth: cm9ib3Q6czNjcmV0}}}",
            "reg.example/a",
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "1.5 identity_token",
            "configs: {reg.example: {auth: {identity_token: abc}}}",
            "reg.example/a",
            "registry https://reg.example/v2 creds:a-refresh-token\n!",
        ),
        (
            "1.5 a password that looks like a number",
            "configs: {reg.example: {auth: {username: robot, password: 0123}}}",
            "reg.example/a",
            "registry https://reg.example/v2 creds:robot\n!",
        ),
        (
            "1.5 a certificate without a key fails the host",
            "configs:\n  reg.example: {tls: {cert_file: /pki/client.crt}}\n  b.example: {tls: {key_file: /pki/client.key}}\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:certificate-without-key E:key-without-certificate",
        ),
        (
            "1.5 ... and not another one",
            "configs:\n  reg.example: {tls: {cert_file: /pki/client.crt}}\n",
            "b.example/a",
            "registry https://b.example/v2\n! E:certificate-without-key",
        ),
        (
            "1.5 docker.io is Docker Hub",
            "configs: {docker.io: {auth: {username: robot, password: x}}}",
            "alpine",
            "registry https://registry-1.docker.io/v2 creds:robot\n!",
        ),
        (
            "1.5 exact before *; * gives roots, no identity and no password",
            "configs:\n  \"*\":\n    auth: {username: all, password: x}\n    tls: {ca_file: /pki/ca.crt, cert_file: /pki/client.crt, key_file: /pki/client.key}\n  reg.example: {tls: {insecure_skip_verify: true}}\n",
            "b.example/a",
            "registry https://b.example/v2 ca:1\n! W:wildcard-identity W:wildcard-password",
        ),
        (
            "1.5 exact before *",
            "configs:\n  \"*\": {tls: {ca_file: /pki/ca.crt}}\n  reg.example: {tls: {insecure_skip_verify: true}}\n",
            "reg.example/a",
            "registry https://reg.example/v2 skip\n!",
        ),
        (
            "1.5 credentials of a mirror are its own",
            "mirrors: {docker.io: {endpoint: [\"http://m.example:5000\"]}}\nconfigs: {\"m.example:5000\": {auth: {username: mirror, password: x}}, docker.io: {auth: {username: hub, password: x}}}",
            "alpine",
            "mirror http://m.example:5000/v2 caps:pull,resolve ns:docker.io creds:mirror\nregistry https://registry-1.docker.io/v2 creds:hub\n!",
        ),
        (
            "1.5 a URL as key",
            "configs: {\"https://reg.example\": {auth: {username: a, password: b}}}\nmirrors: {\"https://reg.example\": {endpoint: [\"https://m.example\"]}}",
            "reg.example/a",
            "registry https://reg.example/v2\n! E:ignored-key E:ignored-key",
        ),
        (
            "1.5 misspelt",
            "mirror: {}\nconfigs: {reg.example: {tls: {ca: /pki/ca.crt, certfile: x}, auth: {user: a}}}\n",
            "reg.example/a",
            "registry https://reg.example/v2\n! W:unknown-field W:unknown-field W:unknown-field W:unknown-field",
        ),
        (
            "1.5 a key twice",
            "configs: {reg.example: {tls: {insecure_skip_verify: true}}, reg.example: {tls: {ca_file: /pki/ca.crt}}}",
            "reg.example/a",
            "registry https://reg.example/v2 ca:1 skip\n! E:duplicate-key",
        ),
        (
            "1.5 anchors and merges",
            "x: &tls {ca_file: /pki/ca.crt}\nconfigs:\n  a.example: {tls: *tls}\n  b.example: {tls: {<<: *tls, insecure_skip_verify: true}}\n",
            "b.example/a",
            "registry https://b.example/v2 ca:1 skip\n! W:unknown-field",
        ),
        (
            "1.5 an endpoint that is no URL",
            "mirrors: {reg.example: {endpoint: [\"https://a b\"]}}",
            "reg.example/a",
            "registry https://reg.example/v2\n! E:bad-host",
        ),
        (
            "1.5 localhost without a scheme",
            "mirrors: {reg.example: {endpoint: [\"localhost:5000\", localhost]}}",
            "reg.example/a",
            "mirror http://localhost:5000/v2 caps:pull,resolve ns:reg.example\nmirror https://localhost/v2 caps:pull,resolve ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
        (
            "1.5 a document that does not parse",
            "configs: {",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:syntax",
        ),
        (
            "1.5 a document that is no table",
            "- a\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.5 nothing under a key",
            "mirrors:\nconfigs:\n  reg.example:\n",
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.5 nothing under any field, as in the template of its documentation",
            "mirrors:\n  reg.example:\n    endpoint:\n    rewrite:\nconfigs:\n  reg.example:\n    auth:\n      username: # a\n      password: # b\n    tls:\n      cert_file: # c\n      key_file:\n      ca_file:\n      insecure_skip_verify: # d\n",
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.5 a certificate that is no text fails the host",
            "configs: {reg.example: {tls: {cert_file: [/pki/client.crt], key_file: /pki/client.key}}}",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.5 tls that is no table fails the host",
            "configs: {reg.example: {tls: [/pki/client.crt]}}",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.5 auth that is no table is not none",
            "configs: {reg.example: {auth: cm9ib3Q6czNjcmV0}}",
            "reg.example/a",
            "registry https://reg.example/v2 creds:unreadable\n! E:wrong-type",
        ),
        (
            "1.5 a password that is no text is not none",
            "configs: {reg.example: {auth: {username: robot, password: [x]}}}",
            "reg.example/a",
            "registry https://reg.example/v2 creds:unreadable\n! E:wrong-type",
        ),
        (
            "1.5 only the first document",
            "# k3s\n---\nconfigs: {reg.example: {tls: {insecure_skip_verify: true}}}\n---\nconfigs: {reg.example: {auth: {username: robot, password: x}}}\n",
            "reg.example/a",
            "registry https://reg.example/v2 skip\n! W:ignored-key",
        ),
    ];
    let done = rows.into_iter().map(|(tag, text, image, wanted)| {
        let mut importer = importer();
        importer.registries(&file("/etc/rancher/k3s/registries.yaml", text));
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}
