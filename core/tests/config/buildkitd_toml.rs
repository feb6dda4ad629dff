//! BuildKit's `buildkitd.toml`.

use crate::world::{check, file, importer, summary};

#[test]
fn statements() {
    let rows = vec![
        (
            "1.4 mirrors: host[/path], before the registry",
            "[registry.\"docker.io\"]\nmirrors = [\"m.example:5000/proxy/\", \"n.example\"]\n",
            "alpine",
            "mirror https://m.example:5000/v2/proxy caps:pull,resolve ns:docker.io
             mirror https://n.example/v2 caps:pull,resolve ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.4 ca adds, keypair, several",
            "[registry.\"reg.example\"]\nca = [\"/pki/ca.crt\"]\n[[registry.\"reg.example\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n[[registry.\"reg.example\".keypair]]\nkey = \"/pki/second.key\"\ncert = \"/pki/second.crt\"\n",
            "reg.example/a",
            "registry https://reg.example/v2 certs:/pki/client.crt,/pki/second.crt ca:1\n!",
        ),
        (
            "1.4 tlsconfigdir in Docker's layout",
            "[registry.\"reg.example\"]\ntlsconfigdir = [\"/pki/dir\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2 certs:/pki/dir/client.cert ca:1\n!",
        ),
        (
            "1.4 tlsconfigdir: a missing key is an error",
            "[registry.\"reg.example\"]\ntlsconfigdir = [\"/pki/half\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:certificate-without-key",
        ),
        (
            "1.4 tlsconfigdir: an orphan key is ignored",
            "[registry.\"reg.example\"]\ntlsconfigdir = [\"/pki/orphan\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2\n! W:key-without-certificate",
        ),
        (
            "1.4 tlsconfigdir that is not there: BuildKit says nothing",
            "[registry.\"reg.example\"]\ntlsconfigdir = [\"/pki/none\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:missing-file",
        ),
        (
            "1.4 tlsconfigdir that is a file",
            "[registry.\"reg.example\"]\ntlsconfigdir = [\"/pki/ca.crt\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:not-directory",
        ),
        (
            "1.4 a mirror's TLS is that of its own table",
            "[registry.\"docker.io\"]\nmirrors = [\"m.example\"]\n[[registry.\"docker.io\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n[registry.\"m.example\"]\nca = [\"/pki/ca.crt\"]\n",
            "alpine",
            "mirror https://m.example/v2 ca:1 caps:pull,resolve ns:docker.io
             registry https://registry-1.docker.io/v2 certs:/pki/client.crt
             !",
        ),
        (
            "1.4 http without insecure: no ca and no keypair",
            "[registry.\"reg.example:5000\"]\nhttp = true\n[[registry.\"reg.example:5000\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n",
            "reg.example:5000/a",
            "registry http://reg.example:5000/v2\n! E:insecure-drops-identity",
        ),
        (
            "1.4 http",
            "[registry.\"reg.example:5000\"]\nhttp = true\n",
            "reg.example:5000/a",
            "registry http://reg.example:5000/v2\n!",
        ),
        (
            "1.4 http and insecure: https unchecked, then http",
            "[registry.\"reg.example:5000\"]\nhttp = true\ninsecure = true\nca = [\"/pki/ca.crt\"]\n",
            "reg.example:5000/a",
            "registry https://reg.example:5000/v2 ca:1 skip
             registry http://reg.example:5000/v2
             !",
        ),
        (
            "1.4 insecure keeps the pair",
            "[registry.\"reg.example\"]\ninsecure = true\n[[registry.\"reg.example\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n",
            "reg.example/a",
            "registry https://reg.example/v2 certs:/pki/client.crt skip\n!",
        ),
        (
            "1.4 localhost is http unless it says otherwise",
            "[registry.\"localhost:5000\"]\n",
            "localhost:5000/a",
            "registry http://localhost:5000/v2\n! I:plain-http",
        ),
        (
            "1.4 localhost with http = false",
            "[registry.\"localhost:5000\"]\nhttp = false\n",
            "localhost:5000/a",
            "registry https://localhost:5000/v2\n!",
        ),
        (
            "1.4 localhost with a ca: the safe reading",
            "[registry.\"localhost:5000\"]\nca = [\"/pki/ca.crt\"]\n",
            "localhost:5000/a",
            "registry https://localhost:5000/v2 ca:1\n! W:insecure-drops-identity",
        ),
        (
            "1.4 a mirror over http",
            "[registry.\"docker.io\"]\nmirrors = [\"m.example:5000\"]\n[registry.\"m.example:5000\"]\nhttp = true\n",
            "alpine",
            "mirror http://m.example:5000/v2 caps:pull,resolve ns:docker.io
             registry https://registry-1.docker.io/v2
             !",
        ),
        (
            "1.4 half a keypair",
            "[[registry.\"reg.example\".keypair]]\ncert = \"/pki/client.crt\"\n[[registry.\"reg.example\".keypair]]\nkey = \"/pki/client.key\"\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:certificate-without-key E:key-without-certificate",
        ),
        (
            "1.4 mirrors with a scheme",
            "[registry.\"docker.io\"]\nmirrors = [\"https://m.example\"]\n",
            "alpine",
            "registry https://registry-1.docker.io/v2\n! E:bad-host",
        ),
        (
            "1.4 a key with a scheme",
            "[registry.\"https://reg.example\"]\nca = [\"/pki/ca.crt\"]\n",
            "reg.example/a",
            "registry https://reg.example/v2\n! E:bad-host",
        ),
        (
            "1.4 misspelt",
            "debug = true\n[registries.\"x\"]\n[registry.\"reg.example\"]\ncas = [\"/pki/ca.crt\"]\nkeypairs = []\n",
            "reg.example/a",
            "registry https://reg.example/v2\n! W:unknown-field W:unknown-field W:unknown-field",
        ),
        (
            "1.4 all other sections are not about registries",
            "root = \"/x\"\nproxyNetwork = true\n[log]\nlevel = \"info\"\n[grpc.tls]\nca = \"/x\"\n[worker.oci]\nenabled = true\n[[worker.oci.gcpolicy]]\nall = true\n[frontend.\"gateway.v0\"]\nenabled = true\n[ghacache.sign]\ncmd = \"\"\n[system]\nmaxRegistryConcurrency = 4\n",
            "reg.example/a",
            "registry https://reg.example/v2\n!",
        ),
        (
            "1.4 a registry that is no table",
            "[registry]\n\"reg.example\" = \"m.example\"\n",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:wrong-type",
        ),
        (
            "1.4 ca as a text",
            "[registry.\"reg.example\"]\nca = \"/pki/ca.crt\"\n",
            "reg.example/a",
            "registry https://reg.example/v2\n! E:wrong-type",
        ),
        (
            "1.4 a document that does not parse fails every registry",
            "[registry.",
            "reg.example/a",
            "registry https://reg.example/v2 FAILS\n! E:syntax",
        ),
        (
            "1.4 the registry in its own mirrors",
            "[registry.\"reg.example\"]\nmirrors = [\"reg.example\", \"m.example\"]\n",
            "reg.example/a",
            "mirror https://m.example/v2 caps:pull,resolve ns:reg.example\nregistry https://reg.example/v2\n!",
        ),
    ];
    let done = rows.into_iter().map(|(tag, text, image, wanted)| {
        let mut importer = importer();
        importer.buildkitd(&file("/etc/buildkit/buildkitd.toml", text));
        (tag, summary(importer, image), wanted)
    });
    check(done.collect());
}
