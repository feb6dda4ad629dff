//! The mint's certificates before a judge that is not ours: `openssl verify -x509_strict`.
#![cfg(feature = "mint")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "openssl reads files and the real clock")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use regauth::mint::{Ca, Issued};
use regauth::time::Time;

/// A directory of this test, removed at its end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("regauth-mint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64)
}

/// Success and what it printed; `None` where there is no openssl, which only a developer's machine may lack.
fn openssl(arguments: &[&str], files: &[&Path]) -> Option<(bool, String)> {
    match Command::new("openssl").args(arguments).args(files).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("openssl is missing: install openssl"),
        Err(_) => {
            // Not eprintln!, which the test runner swallows.
            _ = writeln!(std::io::stderr(), "SKIPPED: openssl is missing: install openssl");
            None
        }
    }
}

fn text(dir: &Dir, issued: &Issued) -> Option<String> {
    Some(openssl(&["x509", "-noout", "-text", "-in"], &[&dir.file("text.crt", issued.cert_pem.as_bytes())])?.1)
}

#[test]
fn openssl_accepts_each_certificate_for_its_purpose_alone() {
    let dir = Dir::new("purposes");
    let now = now();
    let ca = Ca::new(now, 3600, "judge", &[1; 32]).unwrap();
    let root = dir.file("ca.crt", ca.cert_pem().as_bytes());
    let root = root.to_str().unwrap();
    let server = ca.server(&["localhost", "127.0.0.1", "::1"], now, 600, &[2; 32]).unwrap();
    let client = ca.client("buildbot-1", Some("spiffe://example.org/builder/1"), now, 600, &[3; 32]).unwrap();
    let health = ca.health_check(now, 600, &[4; 32]).unwrap();

    for (name, issued, good) in
        [("server", &server, "sslserver"), ("client", &client, "sslclient"), ("health", &health, "sslclient")]
    {
        let file = dir.file(&format!("{name}.crt"), issued.cert_pem.as_bytes());
        for purpose in ["sslserver", "sslclient"] {
            let arguments = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", root];
            let Some((ok, text)) = openssl(&arguments, &[&file]) else { return };
            assert_eq!(ok, purpose == good, "{name} {purpose}: {text}");
        }
        // The key is PKCS#8 and the certificate's own.
        let key = dir.file(&format!("{name}.key"), issued.key_pem.expose());
        let (ok, of_key) = openssl(&["pkey", "-pubout", "-in"], &[&key]).unwrap();
        let (_, of_certificate) = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&file]).unwrap();
        assert!(ok && of_key == of_certificate, "{name}: {of_key}");
    }
    for (name, ok) in [("127.0.0.1", true), ("127.0.0.2", false), ("::1", true)] {
        let arguments = ["verify", "-x509_strict", "-verify_ip", name, "-CAfile", root];
        assert_eq!(openssl(&arguments, &[&dir.0.join("server.crt")]).unwrap().0, ok, "{name}");
    }
    let other = Ca::new(now, 3600, "judge", &[9; 32]).unwrap();
    let other = dir.file("other.crt", other.cert_pem().as_bytes());
    let arguments = ["verify", "-CAfile", other.to_str().unwrap()];
    assert!(!openssl(&arguments, &[&dir.0.join("client.crt")]).unwrap().0, "another CA of the same name");
}

#[test]
fn certificates_say_what_they_should() {
    let dir = Dir::new("text");
    let now = now();
    let ca = Ca::new(now, 3600, "judge", &[1; 32]).unwrap();
    let client = ca.client("buildbot-1", Some("spiffe://example.org/builder/1"), now, 600, &[3; 32]).unwrap();
    let Some(leaf) = text(&dir, &client) else { return };
    for wanted in [
        "Subject: CN = buildbot-1",
        "URI:spiffe://example.org/builder/1",
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Client Authentication",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        &format!("Issuer: CN = {}", ca.name()),
    ] {
        assert!(leaf.contains(wanted), "{wanted}: {leaf}");
    }
    let server = ca.server(&["localhost", "127.0.0.1"], now, 600, &[2; 32]).unwrap();
    let server = text(&dir, &server).unwrap();
    assert!(server.contains("DNS:localhost, IP Address:127.0.0.1"), "{server}");
    let root = dir.file("ca.crt", ca.cert_pem().as_bytes());
    let (_, root) = openssl(&["x509", "-noout", "-text", "-in"], &[&root]).unwrap();
    for wanted in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"] {
        assert!(root.contains(wanted), "{wanted}: {root}");
    }
}

#[test]
fn times_are_the_argument_and_not_the_clock() {
    let dir = Dir::new("times");
    let now = now();
    let past = Time(now.0 - 6 * 3_600_000);
    let ca = Ca::new(Time(now.0 - 12 * 3_600_000), 86_400, "judge", &[1; 32]).unwrap();
    let root = dir.file("ca.crt", ca.cert_pem().as_bytes());
    let expired = ca.client("late", None, past, 3600, &[3; 32]).unwrap();
    let file = dir.file("late.crt", expired.cert_pem.as_bytes());
    let root = root.to_str().unwrap();
    let Some((ok, text)) = openssl(&["verify", "-x509_strict", "-CAfile", root], &[&file]) else { return };
    assert!(!ok && text.contains("expired"), "{text}");
    let at = (past.0 / 1000).to_string();
    let (ok, text) = openssl(&["verify", "-x509_strict", "-attime", &at, "-CAfile", root], &[&file]).unwrap();
    assert!(ok, "{text}");
}

#[cfg(feature = "server")]
#[test]
fn a_token_certificate_holds_the_signing_key_and_is_its_own_issuer() {
    let dir = Dir::new("token");
    let key = regauth::server::SigningKey::generate(&[5; 32]).unwrap();
    let der = regauth::mint::token_certificate(&key, "tokens", now(), 3600, &[6; 32]).unwrap();
    let file = dir.file("token.crt", regauth::mint::certificate_pem(&der).as_bytes());
    let root = file.to_str().unwrap();
    let Some((ok, text)) = openssl(&["verify", "-x509_strict", "-CAfile", root], &[&file]) else { return };
    assert!(ok, "{text}");
    let (_, public) = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&file]).unwrap();
    assert_eq!(public, key.public_pem());
}
