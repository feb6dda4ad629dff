//! Files that are wrong: each has a typed diagnostic with its name, and an identity is never dropped in silence.

use regauth::config::{Code, Diagnostic, Directory, Entry, Importer, Severity};
use regauth::time::Time;
use regauth::{Agent, Origin, Step};

use crate::world::{NOW, Openssl, filled, has, importer, pem};

/// What a certificate file and its key come to.
struct Outcome {
    found: Vec<Diagnostic>,
    shown: usize,
    fails: bool,
}

fn import(now: Time, certificate: Entry, key: Option<Entry>) -> Outcome {
    let mut directory = Directory::new("certs.d");
    directory.put("reg.example/client.cert", certificate);
    if let Some(key) = key {
        directory.put("reg.example/client.key", key);
    }
    let mut importer = importer().now(now);
    importer.docker_certs(&directory);
    outcome(importer)
}

fn outcome(importer: Importer) -> Outcome {
    let (config, found) = importer.finish().into_config();
    let shown = config.host_of(&Origin::parse("https://reg.example").unwrap()).map_or(0, |host| host.identities.len());
    let agent = Agent::new(config).unwrap();
    let mut flow = agent.request("GET", "https://reg.example/v2/").unwrap();
    let fails = matches!(flow.poll(NOW, std::task::Waker::noop()), Step::Failed(_));
    Outcome { found, shown, fails }
}

fn clock() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
}

fn bytes(text: impl Into<Vec<u8>>) -> Entry {
    Entry::File(text.into().into())
}

fn utf16(text: &str, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

const CERT: &str = "certs.d/reg.example/client.cert";
const KEY: &str = "certs.d/reg.example/client.key";

#[test]
fn certificates_and_keys() {
    let ssl = Openssl::new("bad");
    ssl.run("genrsa -traditional -out rsa.key 2048")
        .run("req -x509 -key rsa.key -subj /CN=rsa -days 3650 -out rsa.crt")
        .run("pkcs8 -topk8 -nocrypt -in rsa.key -out rsa.p8")
        .run("pkcs8 -topk8 -in rsa.key -passout pass:secret -out rsa.enc")
        .run("rsa -in rsa.key -traditional -aes128 -passout pass:secret -out rsa.old")
        .run("ecparam -name prime256v1 -genkey -noout -out ec.key")
        .run("req -x509 -key ec.key -subj /CN=ec -days 3650 -out ec.crt")
        .run("x509 -in rsa.crt -outform der -out rsa.der");
    let text = |name: &str| String::from_utf8(ssl.read(name)).unwrap();
    let made = |name: &str| bytes(ssl.read(name));
    let (cert, key) = (|| bytes(pem("CERT")), || bytes(pem("KEY")));
    let crlf = |name: &str| bytes(pem(name).replace('\n', "\r\n"));
    let marked = |name: &str| bytes(format!("\u{feff}{}", pem(name)));
    let half = |name: &str| bytes(&pem(name)[..pem(name).len() / 2]);
    let directory = || Entry::Directory(Directory::new("x"));
    let closed = || Entry::Unreadable("permission denied".into());
    let big = || bytes(vec![b'a'; 10 << 20]);
    let garbage = || bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    // What, certificate, key, diagnostics (code and file), certificates shown, whether requests fail.
    type Row = (&'static str, Entry, Option<Entry>, Vec<(Code, &'static str)>, usize, bool);
    let rows: Vec<Row> = vec![
        ("all is well", cert(), Some(key()), vec![], 1, false),
        ("unreadable certificate", closed(), Some(key()), vec![(Code::Unreadable, CERT)], 0, true),
        ("unreadable key", cert(), Some(closed()), vec![(Code::Unreadable, KEY)], 0, true),
        ("empty certificate", bytes(""), Some(key()), vec![(Code::NoCertificate, CERT)], 0, true),
        ("empty key", cert(), Some(bytes("")), vec![(Code::NoKey, KEY)], 0, true),
        ("half-written certificate", half("CERT"), Some(key()), vec![(Code::BrokenCertificate, CERT)], 0, true),
        ("half-written key", cert(), Some(half("KEY")), vec![(Code::BrokenKey, KEY)], 0, true),
        ("a certificate that is none", garbage(), Some(key()), vec![(Code::BrokenCertificate, CERT)], 0, true),
        ("DER", made("rsa.der"), Some(made("rsa.key")), vec![(Code::NoCertificate, CERT)], 0, true),
        ("wrong key", cert(), Some(bytes(pem("KEY2"))), vec![(Code::KeyMismatch, KEY)], 0, true),
        ("certificate and key exchanged", key(), Some(cert()), vec![(Code::NoCertificate, CERT)], 0, true),
        ("no key", cert(), None, vec![(Code::CertificateWithoutKey, CERT)], 0, true),
        ("expired", bytes(pem("EXPIRED")), Some(bytes(pem("EXPIREDKEY"))), vec![(Code::Expired, CERT)], 1, false),
        (
            "serverAuth only",
            bytes(pem("SERVERONLY")),
            Some(bytes(pem("SERVERONLYKEY"))),
            vec![(Code::NotForClients, CERT)],
            1,
            false,
        ),
        ("PKCS#1", made("rsa.crt"), Some(made("rsa.key")), vec![], 1, false),
        ("PKCS#8", made("rsa.crt"), Some(made("rsa.p8")), vec![], 1, false),
        ("SEC1", made("ec.crt"), Some(made("ec.key")), vec![], 1, false),
        ("encrypted PKCS#8", made("rsa.crt"), Some(made("rsa.enc")), vec![(Code::EncryptedKey, KEY)], 0, true),
        ("encrypted PKCS#1", made("rsa.crt"), Some(made("rsa.old")), vec![(Code::EncryptedKey, KEY)], 0, true),
        ("UTF-16 certificate", bytes(utf16(pem("CERT"), true)), Some(key()), vec![(Code::Encoding, CERT)], 0, true),
        (
            "UTF-16 key without a mark",
            cert(),
            Some(bytes(utf16(pem("KEY"), false))),
            vec![(Code::Encoding, KEY)],
            0,
            true,
        ),
        (
            "byte order marks",
            marked("CERT"),
            Some(marked("KEY")),
            vec![(Code::ByteOrderMark, CERT), (Code::ByteOrderMark, KEY)],
            1,
            false,
        ),
        ("CRLF", crlf("CERT"), Some(crlf("KEY")), vec![], 1, false),
        ("10 MB certificate", big(), Some(key()), vec![(Code::TooLarge, CERT)], 0, true),
        ("10 MB key", cert(), Some(big()), vec![(Code::TooLarge, KEY)], 0, true),
        ("a directory for the certificate", directory(), Some(key()), vec![(Code::IsDirectory, CERT)], 0, true),
        ("a directory for the key", cert(), Some(directory()), vec![(Code::IsDirectory, KEY)], 0, true),
        (
            "text round the PEM",
            bytes(format!("subject: \u{e9}\n{}\ntrailing", text("rsa.crt"))),
            Some(made("rsa.key")),
            vec![],
            1,
            false,
        ),
    ];
    println!("{:34} {:42} {:8} {}", "FILE", "DIAGNOSTIC", "SHOWN", "WHAT");
    for (name, certificate, key, codes, shown, fails) in rows {
        // What openssl makes begins now.
        let now = if ["PKCS#1", "PKCS#8", "SEC1", "text round the PEM"].contains(&name) { clock() } else { NOW };
        let got = import(now, certificate, key);
        let kinds: Vec<_> = got.found.iter().map(|one| (one.code, one.place.file.as_str())).collect();
        let kinds: Vec<_> = kinds.iter().map(|(code, file)| (*code, *file)).collect();
        assert_eq!(kinds, codes, "{name}: {:?}", got.found);
        assert_eq!((got.shown, got.fails), (shown, fails), "{name}: {:?}", got.found);
        // Nothing is dropped in silence.
        assert!(got.shown == 1 || (got.fails && got.found.iter().any(|one| one.severity == Severity::Error)), "{name}");
        let first = got.found.first();
        println!(
            "{name:34} {:42} {:8} {}",
            first.map_or("-".into(), |one| format!("{} {}", one.severity.as_str(), one.code)),
            if got.fails { "fails" } else { "shown" },
            first.map_or(String::new(), |one| format!("{}: {}. {}", one.place.file, one.what, one.remedy)),
        );
    }
    // An orphan key.
    let mut orphan = importer();
    orphan.docker_certs(&crate::world::directory("certs.d", &[("reg.example/client.key", "{KEY}")]));
    let got = outcome(orphan);
    assert!(got.fails && has(&got.found, Code::KeyWithoutCertificate, KEY), "{:?}", got.found);
    println!("{:34} {:42} {:8} {}", "orphan key", "error key-without-certificate", "fails", got.found[0]);
}

/// A format, how it is read, and mirrors in it that lead to each other.
#[test]
fn mirrors_in_a_circle() {
    type Read = fn(&mut Importer);
    let rows: [(&str, &str, Read); 4] = [
        ("buildkitd.toml", "buildkitd.toml", |importer| {
            let text = "[registry.\"a.example\"]\nmirrors = [\"b.example\"]\n[registry.\"b.example\"]\nmirrors = [\"a.example\"]\n";
            importer.buildkitd(&regauth::config::File::new("buildkitd.toml", text));
        }),
        ("registries.yaml", "registries.yaml", |importer| {
            let text = "mirrors: {a.example: {endpoint: [\"https://b.example\"]}, b.example: {endpoint: [\"https://a.example\"]}}";
            importer.registries(&regauth::config::File::new("registries.yaml", text));
        }),
        ("hosts.toml", "h/a.example/hosts.toml", |importer| {
            let mut directory = Directory::new("h");
            directory.add("a.example/hosts.toml", "[host.\"https://b.example\"]\n");
            directory.add("b.example/hosts.toml", "[host.\"https://a.example\"]\n");
            importer.hosts(&[directory]);
        }),
        ("regauth.toml", "regauth.toml", |importer| {
            let text = "[registry.\"a.example\"]\nmirrors = [\"https://b.example\"]\n[registry.\"b.example\"]\nmirrors = [\"https://a.example\"]\n";
            importer.regauth(&regauth::config::File::new("regauth.toml", text));
        }),
    ];
    println!("{:20} {:22} {}", "DOCUMENT", "WHAT IS WRONG", "DIAGNOSTIC");
    for (name, file, read) in rows {
        let mut importer = importer();
        read(&mut importer);
        let (config, found) = importer.finish().into_config();
        println!("{name:20} {:22} {}", "cyclic mirrors", found[0]);
        let all = |one: &Diagnostic| one.code == Code::CyclicMirrors;
        assert!(
            found.len() == 2 && found.iter().all(all) && has(&found, Code::CyclicMirrors, file),
            "{name}: {found:?}"
        );
        // It ends, with the mirrors of the registry itself and not those of its mirrors.
        let agent = Agent::new(config).unwrap();
        let image = regauth::Reference::parse("a.example/x").unwrap();
        assert_eq!(agent.all_endpoints(&image).len(), 2, "{name}");
    }
}

/// Documents: what cannot be read fails the host, or the credentials, and never counts as nothing.
#[test]
fn documents() {
    type Read = fn(&mut Importer, &regauth::config::File);
    let formats: [(&str, Read, &str); 8] = [
        (
            "hosts.toml",
            |importer, file| {
                let mut directory = Directory::new("h");
                let copy = match &file.entry {
                    Entry::File(bytes) => Entry::File(bytes.expose().into()),
                    Entry::Unreadable(why) => Entry::Unreadable(why.clone()),
                    _ => Entry::Directory(Directory::new("x")),
                };
                directory.put("reg.example/hosts.toml", copy);
                importer.hosts(&[directory]);
            },
            "server = \"https://reg.example\"\n",
        ),
        ("buildkitd.toml", |importer, file| importer.buildkitd(file), "[registry.\"reg.example\"]\n"),
        ("registries.yaml", |importer, file| importer.registries(file), "configs:\n  reg.example: {}\n"),
        ("regauth.toml", |importer, file| importer.regauth(file), "[host.\"https://reg.example\"]\n"),
        ("config.json", |importer, file| importer.docker_config(file), "{\n\"auths\":{}}\n"),
        ("DOCKER_AUTH_CONFIG", |importer, file| importer.docker_auth_config(file), "{\n\"auths\":{}}\n"),
        ("auth.json", |importer, file| importer.auth_json(file), "{\n\"auths\":{}}\n"),
        (
            "secret.yaml",
            |importer, file| importer.kubernetes(file),
            "kind: Secret\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{}'}\n",
        ),
    ];
    println!("{:20} {:22} {}", "DOCUMENT", "WHAT IS WRONG", "DIAGNOSTIC");
    for (name, read, good) in formats {
        let rows: Vec<(&str, Entry, Option<(Code, bool)>)> = vec![
            ("nothing", bytes(good), None),
            ("CRLF", bytes(good.replace('\n', "\r\n")), None),
            ("byte order mark", bytes(format!("\u{feff}{good}")), Some((Code::ByteOrderMark, false))),
            ("UTF-16", bytes(utf16(good, true)), Some((Code::Encoding, true))),
            ("UTF-16, no mark", bytes(utf16(good, false)), Some((Code::Encoding, true))),
            ("Latin-1", bytes(b"x = \"\xe9\"".to_vec()), Some((Code::Encoding, true))),
            ("half-written", bytes("{ \"a\": [\"x"), Some((Code::Syntax, true))),
            ("unreadable", Entry::Unreadable("denied".into()), Some((Code::Unreadable, true))),
            ("a directory", Entry::Directory(Directory::new("x")), Some((Code::IsDirectory, true))),
            ("10 MB", bytes(vec![b'#'; 10 << 20]), Some((Code::TooLarge, true))),
            ("only blanks", bytes(" \n\n"), Some((Code::Empty, false))),
        ];
        for (what, entry, wanted) in rows {
            let mut importer = importer();
            read(&mut importer, &regauth::config::File { name: name.into(), entry });
            let (config, found) = importer.finish().into_config();
            let origin = Origin::parse("https://reg.example").unwrap();
            let fails = config.host_of(&origin).is_some_and(|host| host.unusable.is_some())
                || config.credentials_of(&origin, "a").is_some_and(|found| found.what == "unreadable");
            let first = found.first();
            println!("{name:20} {what:22} {}", first.map_or("-".into(), ToString::to_string));
            assert_eq!(first.map(|one| (one.code, fails)), wanted, "{name}, {what}: {found:?}");
            assert!(first.is_none_or(|one| one.place.file.ends_with(name)), "{name}, {what}: {found:?}");
        }
    }
}

#[test]
fn deep_and_wide_documents_end() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let dotted = format!("{}x = 1", "a.".repeat(100_000));
    let wide =
        format!("{{\"auths\":{{{}}}}}", (0..200_000).map(|n| format!("\"{n}\":{{}}")).collect::<Vec<_>>().join(","));
    type Read = fn(&mut Importer, &regauth::config::File);
    let rows: Vec<(&str, String, Read)> = vec![
        ("JSON", deep("[", "]"), |importer, file| importer.docker_config(file)),
        ("JSON tables", deep("{\"a\":", "}"), |importer, file| importer.docker_config(file)),
        ("YAML", deep("[", "]"), |importer, file| importer.registries(file)),
        ("YAML blocks", (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), |importer, file| {
            importer.registries(file)
        }),
        ("YAML aliases", bomb.into(), |importer, file| importer.registries(file)),
        ("YAML alias in itself", "a: &a [*a]".into(), |importer, file| importer.registries(file)),
        ("TOML", format!("a = {}", deep("[", "]")), |importer, file| importer.buildkitd(file)),
        ("TOML keys", dotted, |importer, file| importer.buildkitd(file)),
        ("wide JSON", wide, |importer, file| importer.docker_config(file)),
    ];
    for (name, text, read) in rows {
        let mut importer = importer();
        read(&mut importer, &regauth::config::File::new(name, text));
        let (_, found) = importer.finish().into_config();
        assert!(has(&found, Code::Syntax, name), "{name}: {:?}", found.first());
    }
}

/// What grows with the square of a document takes minutes here, or all of the memory.
#[test]
fn large_documents_end() {
    type Read = fn(&mut Importer, &regauth::config::File);
    let many = |count: usize, each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<String>();
    let ring =
        |n: usize| format!("[registry.\"r{n}\"]\nmirrors = [{}]\n", many(64, &|m| format!("\"r{}\",", n + m + 1)));
    let helped = |n: usize| format!("\"h{n}\":\"\",");
    let headers = |n: usize| format!("[host.\"https://a.example/{n}\".header]\nx{n} = \"1\"\n");
    let long = "k/".repeat(200_000);
    let rows: Vec<(&str, String, Read)> = vec![
        ("mirrors of mirrors", many(1000, &ring), |importer, file| importer.buildkitd(file)),
        (
            "helpers and entries",
            format!(
                "{{\"credHelpers\":{{{}\"z\":\"\"}},\"auths\":{{{}\"z\":{{}}}}}}",
                many(45_000, &helped),
                many(45_000, &|n| format!("\"h{n}\":{{}},"))
            ),
            |importer, file| importer.docker_config(file),
        ),
        ("headers of one host in many tables", many(20_000, &headers), |importer, file| {
            let mut directory = Directory::new("d");
            if let Entry::File(text) = &file.entry {
                directory.add("reg.example/hosts.toml", text.expose().to_vec());
            }
            importer.hosts(&[directory]);
        }),
        (
            "endpoints and rewrites",
            format!(
                "mirrors: {{a: {{endpoint: [{}], rewrite: {{{}}}}}}}",
                many(40_000, &|n| format!("m{n}, ")),
                many(20_000, &|n| format!("^m{n}: x, "))
            ),
            |importer, file| importer.registries(file),
        ),
        (
            "a long key with many fields",
            format!(
                "{{\"auths\":{{\"reg.example/{long}\":{{{}\"z\":1}}}}}}",
                many(20_000, &|n| format!("\"f{n}\":1,"))
            ),
            |importer, file| importer.docker_config(file),
        ),
        (
            "one bundle for many hosts",
            many(2000, &|n| format!("[registry.r{n}]\nca = [{}]\n", "\"/pki/bundle\",".repeat(4))),
            |importer, file| importer.buildkitd(file),
        ),
    ];
    for (name, text, read) in rows {
        let mut files = crate::world::files();
        files.put("/pki/bundle", Entry::File(pem("CA").repeat(100).into()));
        let mut importer = importer().files(files);
        read(&mut importer, &regauth::config::File::new(name, text));
        let (config, found) = importer.finish().into_config();
        assert!(!has(&found, Code::Syntax, name), "{name}: {:?}", found.first());
        assert!(found.iter().all(|one| one.place.key.chars().count() < 1000), "{name}");
        drop(Agent::new(config).unwrap());
    }
}

/// Of a source that cannot be read nothing is known: registries fail that have no certificate from another one, also those
/// of which other sources say something else.
#[test]
fn a_source_that_is_lost_is_not_made_up_for() {
    let with = |files: &[(&str, &str)], read: fn(&mut Importer)| {
        let mut importer = importer();
        importer.hosts(&[crate::world::directory("/h", files)]);
        read(&mut importer);
        crate::world::summary(importer, "reg.example/a")
    };
    let broken: fn(&mut Importer) = |importer| importer.buildkitd(&regauth::config::File::new("b.toml", "[registry."));
    let no_table: fn(&mut Importer) =
        |importer| importer.registries(&regauth::config::File::new("r.yaml", "configs: [a]"));
    let closed: fn(&mut Importer) = |importer| importer.docker_certs(&Directory::unreadable("/c", "denied"));
    let of_all: fn(&mut Importer) =
        |importer| importer.registries(&regauth::config::File::new("r.yaml", "configs: {'*': [a]}"));
    let ca = [("reg.example/ca.crt", "{CA}")];
    let default = [("_default/hosts.toml", "client = \"/pki/both.pem\"")];
    crate::world::check(vec![
        ("F authorities elsewhere", with(&ca, broken), "registry https://reg.example/v2 ca:1 FAILS\n! E:syntax"),
        (
            "F configs that is no table",
            with(&ca, no_table),
            "registry https://reg.example/v2 ca:1 FAILS\n! E:wrong-type",
        ),
        (
            "F a directory that is closed",
            with(&ca, closed),
            "registry https://reg.example/v2 ca:1 FAILS\n! E:unreadable",
        ),
        ("F what is for all others only", with(&ca, of_all), "registry https://reg.example/v2 ca:1\n! E:wrong-type"),
        (
            "F a certificate elsewhere",
            with(&[("reg.example/c.cert", "{BOTH}")], broken),
            "registry https://reg.example/v2 certs:/h/reg.example/c.cert\n! E:syntax",
        ),
        (
            "F a certificate for every registry is none for this one",
            with(&default, broken),
            "registry https://reg.example/v2 FAILS\n! E:syntax W:wildcard-identity",
        ),
    ]);
}

/// What Docker's page on client certificates makes: self-signed, RSA of 4096 bits.
#[test]
fn the_certificate_of_dockers_page() {
    let ssl = Openssl::new("docker");
    ssl.run("genrsa -out client.key 4096").run("req -new -x509 -text -key client.key -subj /CN=me -out client.cert");
    let got = import(clock(), bytes(ssl.read("client.cert")), Some(bytes(ssl.read("client.key"))));
    assert_eq!((got.found.len(), got.shown, got.fails), (0, 1, false), "{:?}", got.found);
    let mut importer = Importer::new();
    let mut directory = Directory::new("certs.d");
    directory.put("reg.example/client.cert", bytes(ssl.read("client.cert")));
    directory.put("reg.example/client.key", bytes(ssl.read("client.key")));
    importer.docker_certs(&directory);
    let agent = Agent::new(importer.finish().into_config().0).unwrap();
    let image = regauth::Reference::parse("reg.example/a").unwrap();
    let endpoints = agent.endpoints(&image, regauth::Capability::Pull);
    let profile = agent.profile(endpoints[0].profile).unwrap();
    // A server without hints gets it, by RSA-PSS; one that names another issuer does not.
    let none: [&[u8]; 0] = [];
    assert_eq!(profile.choose(0, &none, &[0x0804, 0x0403]).pair, Some(0));
    assert_eq!(profile.choose(0, &[b"0\x00"], &[0x0804]).pair, None);
    assert_eq!(filled("{CERT}"), pem("CERT"));
}
