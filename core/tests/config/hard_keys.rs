//! Certificates and keys as programs write them, and as people put them together.

use regauth::Agent;
use regauth::config::{Code, Diagnostic, Directory, Importer};
use regauth::time::Time;

use crate::world::{Openssl, pem};

fn clock() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_millis()).unwrap() + 60_000)
}

/// What is found, and how many certificates are shown; `None`: requests fail.
fn import(certificate: &[u8], key: &[u8]) -> (Vec<Diagnostic>, Option<usize>) {
    let mut directory = Directory::new("d");
    directory.add("reg.example/c.cert", certificate.to_vec()).add("reg.example/c.key", key.to_vec());
    let mut importer = Importer::new().now(clock());
    importer.docker_certs(&directory);
    let (config, found) = importer.finish().into_config();
    let host = config.host_of(&regauth::Origin::parse("https://reg.example").unwrap()).unwrap();
    let shown = host.unusable.is_none().then_some(host.identities.len());
    drop(Agent::new(config).unwrap());
    (found, shown)
}

#[test]
fn keys_as_openssl_writes_them() {
    let ssl = Openssl::new("keys");
    let subject = |key: &str, name: &str| {
        ssl.run(&format!("req -x509 -key {key} -subj /CN={name} -days 3650 -out {name}.crt"));
    };
    ssl.run("ecparam -name prime256v1 -genkey -out params.key")
        .run("ecparam -name secp384r1 -genkey -noout -out p384.key")
        .run("ecparam -name secp521r1 -genkey -noout -out p521.key")
        .run("ecparam -name secp256k1 -genkey -noout -out k1.key")
        .run("genpkey -algorithm ed25519 -out ed.key")
        .run("genpkey -algorithm ed448 -out ed448.key")
        .run("genpkey -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048 -out pss.key")
        .run("genrsa -out weak.key 1024")
        .run("genrsa -out rsa.key 2048")
        .run("pkcs8 -topk8 -in p384.key -passout pass:s3cret -out p384.enc")
        .run("req -new -key rsa.key -subj /CN=v1 -out v1.csr")
        .run("x509 -req -in v1.csr -signkey rsa.key -days 3650 -out v1.crt")
        .run("req -x509 -key rsa.key -subj /CN=any -days 3650 -addext extendedKeyUsage=anyExtendedKeyUsage -out any.crt")
        .run("req -x509 -key rsa.key -subj /CN=crit -days 3650 -addext extendedKeyUsage=critical,serverAuth,clientAuth -out crit.crt")
        .run("req -x509 -key rsa.key -subj /CN=long -days 2900000 -out long.crt")
        .run("x509 -in crit.crt -trustout -out trusted.crt");
    for (key, name) in [
        ("params.key", "params"),
        ("p384.key", "p384"),
        ("p521.key", "p521"),
        ("k1.key", "k1"),
        ("ed.key", "ed"),
        ("ed448.key", "ed448"),
        ("pss.key", "pss"),
        ("weak.key", "weak"),
        ("rsa.key", "rsa"),
    ] {
        subject(key, name);
    }
    let text = |name: &str| ssl.read(name);
    let both = |one: &str, other: &str| [text(one), text(other)].concat();
    let unsupported = Some(Code::UnsupportedKey);
    // Certificate, key, what is found, certificates shown.
    let rows: Vec<(&str, Vec<u8>, Vec<u8>, Option<Code>, Option<usize>)> = vec![
        ("EC PARAMETERS before the key", text("params.crt"), text("params.key"), None, Some(1)),
        ("P-384", text("p384.crt"), text("p384.key"), None, Some(1)),
        ("P-521", text("p521.crt"), text("p521.key"), unsupported, None),
        ("secp256k1", text("k1.crt"), text("k1.key"), unsupported, None),
        ("Ed25519", text("ed.crt"), text("ed.key"), None, Some(1)),
        ("Ed448", text("ed448.crt"), text("ed448.key"), unsupported, None),
        ("RSASSA-PSS", text("pss.crt"), text("pss.key"), unsupported, None),
        ("RSA of 1,024 bits", text("weak.crt"), text("weak.key"), unsupported, None),
        ("X.509 version 1", text("v1.crt"), text("rsa.key"), None, Some(1)),
        ("any usage", text("any.crt"), text("rsa.key"), None, Some(1)),
        ("critical, for servers and clients", text("crit.crt"), text("rsa.key"), None, Some(1)),
        ("valid for thousands of years", text("long.crt"), text("rsa.key"), None, Some(1)),
        ("TRUSTED CERTIFICATE", text("trusted.crt"), text("rsa.key"), Some(Code::NoCertificate), None),
        (
            "key and certificate in both files, key first",
            both("rsa.key", "rsa.crt"),
            both("rsa.key", "rsa.crt"),
            None,
            Some(1),
        ),
        ("the first key of two", text("rsa.crt"), both("rsa.key", "ed.key"), None, Some(1)),
        ("the second key of two", text("rsa.crt"), both("ed.key", "rsa.key"), Some(Code::KeyMismatch), None),
        ("a usable key before an encrypted one", text("rsa.crt"), both("rsa.key", "p384.enc"), None, Some(1)),
        (
            "an encrypted key before a usable one",
            text("rsa.crt"),
            both("p384.enc", "rsa.key"),
            Some(Code::EncryptedKey),
            None,
        ),
        ("issuer before leaf", both("ed.crt", "rsa.crt"), text("rsa.key"), Some(Code::KeyMismatch), None),
        ("a request for a certificate", text("v1.csr"), text("rsa.key"), Some(Code::NoCertificate), None),
        ("a certificate for a key", text("rsa.crt"), text("rsa.crt"), Some(Code::NoKey), None),
        ("nothing but blanks", b" \n".to_vec(), text("rsa.key"), Some(Code::NoCertificate), None),
        ("NULs", vec![0; 64], text("rsa.key"), Some(Code::NoCertificate), None),
        (
            "the last line without an end",
            text("rsa.crt").trim_ascii_end().to_vec(),
            text("rsa.key").trim_ascii_end().to_vec(),
            None,
            Some(1),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, certificate, key, code, shown) in rows {
        let (found, got) = import(&certificate, &key);
        if (found.first().map(|one| one.code), got) != (code, shown) || found.len() > 1 {
            wrong.push(format!("{name}: {got:?} {found:?}"));
        }
        for one in &found {
            let text = one.to_string();
            assert!(one.place.file.starts_with("d/reg.example/c.") && !text.contains("s3cret"), "{name}: {text}");
            assert!(!text.contains("BEGIN") && text.ends_with(['.', ')']), "{name}: {text}");
            println!("{name:46} {text}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Hours are not no days.
#[test]
fn an_expired_certificate_says_since_when() {
    let mut directory = Directory::new("d");
    directory.add("reg.example/c.cert", pem("EXPIRED")).add("reg.example/c.key", pem("EXPIREDKEY"));
    // 2026-05-01 and five hours.
    let mut importer = Importer::new().now(Time(1_777_593_600_000 + 5 * 3_600_000));
    importer.docker_certs(&directory);
    let (_, found) = importer.finish().into_config();
    assert!(found[0].what.starts_with("it has expired 5 h ago; "), "{found:?}");
}
