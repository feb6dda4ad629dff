//! What those who set a guard, an issuer or a policy up read when it cannot be done, each provoked by what is wrong.

use regauth::mint::{Ca, MintError};
use regauth::server::*;

use crate::support::*;

#[track_caller]
fn says<T>(result: Result<T, impl std::fmt::Display>, text: &str) {
    assert_eq!(result.err().map(|error| error.to_string()).as_deref(), Some(text));
}

#[test]
fn guards_and_issuers() {
    let guard = |realm: &str, keys| Guard::new(GuardConfig::new(realm, SERVICE, ISSUER, keys));
    let keys = || vec![key().verifying()];
    says(
        guard("auth.example/token", keys()),
        "the realm has a scheme other than http and https; give the token endpoint's absolute https URL",
    );
    says(
        guard("http://auth.example/token", keys()),
        "the realm is plain http, so passwords would be too; use https or allow it (insecure_realm)",
    );
    says(guard(REALM, Vec::new()), "there is no key; give one or more");
    says(guard(REALM, [keys(), keys()].concat()), &format!("{:?} is there twice; give each once", key().thumbprint()));
    let issuer = |services: &[&str], ttl| {
        Issuer::new(IssuerConfig { ttl, ..IssuerConfig::new(ISSUER, services, key(), KeyRef::Thumbprint) })
    };
    says(issuer(&[], 300), "there is no service; give one or more");
    says(issuer(&["a", "b", "a"], 300), "\"a\" is there twice; give each once");
    says(issuer(&["a"], 59), "tokens live 60 to 3600 s; choose another life");
    says(
        issuer(&["a\"b"], 300),
        "the service cannot be quoted; use 1 to 255 printable ASCII characters without \" and \\",
    );
    let x5c = |chain| Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], key(), KeyRef::X5c(chain)));
    let other = certificate("spiffe://example.org/x");
    let chain = "the first x5c certificate does not hold this key; give the chain with the key's own first";
    says(x5c(Vec::new()), chain);
    says(x5c(vec![other]), chain);
}

#[test]
fn keys() {
    let ca = Ca::new(NOW, 3600, "x", &[1; 32]).unwrap();
    let certificate = String::from_utf8(ca.cert_pem().into()).unwrap();
    says(
        SigningKey::from_pem(&certificate),
        "the key is no unencrypted PKCS#8 PEM block of a P-256 key; make one with this library",
    );
    says(
        VerifyingKey::from_pem(&certificate),
        "that is no public key on P-256; give its SubjectPublicKeyInfo as PEM, or a DER certificate",
    );
    says(key().verifying().named(&"k".repeat(129)), "a kid has 1 to 128 printable ASCII characters; choose another");
}

#[test]
fn policies_and_identities() {
    for (line, text) in [
        ("builder a", "is not role, repositories and actions; write three words"),
        ("b! a pull", "has no role; use letters, digits, - and _, or *"),
        ("builder A pull", "has no pattern; use components, {placeholder}, *, and ** at the end"),
        ("builder **/a pull", "has no pattern; use components, {placeholder}, *, and ** at the end"),
        ("builder a read", "has no actions; use pull, push, delete, * or none"),
        ("* a pull,push", "gives anonymous clients more than pull; give that to a role"),
        ("builder a push", "has push without pull; writing needs pull,push"),
    ] {
        says(Policy::parse(&format!("# first\n\n{line}\n")), &format!("line 3 {text}"));
    }
    let subject = "a subject has 1 to 255 bytes and no control characters; choose another";
    says(Identity::new(""), subject);
    says(Identity::new(&"s".repeat(256)), subject);
    says(Identity::new("a\nb"), subject);
    let who = || Identity::new("b-1").unwrap();
    says(who().role("a b"), "\"a b\" is no role or placeholder, or there already; use letters, digits, - and _");
    says(
        who().bind("build", "b-1").unwrap().bind("build", "b-2"),
        "\"build\" is no role or placeholder, or there already; use letters, digits, - and _",
    );
    // It could name another's repository.
    for value in ["a/b", "..", "A", "**", ""] {
        says(
            who().bind("build", value),
            "the value of build is no component of a repository name; use lower-case letters and digits",
        );
    }
}

/// What is no scope of the registry is never granted by a policy, whatever its lines.
#[test]
fn a_policy_is_about_repositories_and_the_catalog() {
    let policy = Policy::parse("builder ** pull,push\nbuilder registry:catalog *").unwrap();
    let may = |asked: &str| policy.may(&builder("b-1"), &scopes(&[asked])).iter().map(ToString::to_string).collect();
    let granted: Vec<Vec<String>> =
        ["repository:a/b:*", "registry:catalog:*", "registry:other:*", "admin:a:*", "aws"].map(may).into();
    let none = Vec::<String>::new;
    let own = vec!["repository:a/b:pull,push".to_string()];
    assert_eq!(granted, [own, vec!["registry:catalog:*".into()], none(), none(), none()]);
}

#[test]
fn certificates_of_clients() {
    says(
        Peer::from_verified_der(b"x", Source::Tls),
        "the bytes are no DER certificate; give the leaf that was verified",
    );
    let spiffe = |der: &[u8]| Peer::from_verified_der(der, Source::Tls).unwrap().spiffe();
    let ca = Ca::new(NOW, 3600, "x", &[1; 32]).unwrap();
    says(spiffe(ca.cert_der()), "the certificate is an authority's; give each client one of its own");
    let server = ca.server(&["a.example", "127.0.0.1", "b.example"], NOW, 60, &[2; 32]).unwrap();
    says(spiffe(&server.cert_der), "the certificate has 0 URIs and SPIFFE wants one; issue it with one");
    says(
        spiffe(&certificate("https://example.org/builder")),
        "the URI is no SPIFFE id; use one such as spiffe://example.org/builder/1",
    );
    // Addresses are no names.
    let peer = Peer::from_verified_der(&server.cert_der, Source::Tls).unwrap();
    assert_eq!(peer.dns_names(), ["a.example", "b.example"]);
}

/// An extension that is there twice, or is none: the certificate is none, as it could be read in two ways.
#[test]
fn certificates_that_can_be_read_in_two_ways() {
    let good = certificate("spiffe://example.org/builder/1");
    assert!(Peer::from_verified_der(&good, Source::Tls).unwrap().spiffe().is_ok());
    let find = |part: &[u8]| good.windows(part.len()).position(|window| window == part).unwrap();
    let put = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Peer::from_verified_der(&changed, Source::Tls)
    };
    // subjectAltName under the identifier of extKeyUsage, which is there too.
    let names = find(&[0x06, 0x03, 0x55, 0x1d, 0x11]);
    assert_eq!(put(names + 4, &[0x25]), Err(PeerError::Certificate));
    // Its value no octet string.
    let value = names + 5 + good[names + 5..].iter().position(|byte| *byte == 0x04).unwrap();
    assert_eq!(put(value, &[0x05]), Err(PeerError::Certificate));
    // A URI that is not ASCII.
    assert_eq!(put(find(b"spiffe://"), &[0xc3, 0xa9]), Err(PeerError::Certificate));
    // A critical that is no BOOLEAN.
    if let Some(at) = good.windows(3).position(|window| window == [0x01, 0x01, 0xff]) {
        assert_eq!(put(at, &[0x02]), Err(PeerError::Certificate));
    }
}

#[test]
fn the_mint() {
    let ca = Ca::new(NOW, 3600, "x", &[1; 32]).unwrap();
    let life = "a certificate lives 1 s or more, and a CA 86400 s at most; choose another life";
    says(ca.health_check(NOW.plus_seconds(3600), 60, &[2; 32]), "the CA is not valid at that time; make a new one");
    says(ca.health_check(NOW, 0, &[2; 32]), life);
    says(ca.client("", None, NOW, 60, &[2; 32]), "\"\" is no common name; use 1 to 64 printable ASCII characters");
    says(
        ca.server(&["a b"], NOW, 60, &[2; 32]),
        "\"a b\" is neither IP address nor host name; name what clients connect to",
    );
    says(
        ca.client("c", Some("builder"), NOW, 60, &[2; 32]),
        "\"builder\" is no absolute URI; use one such as spiffe://example.org/builder/1",
    );
    says(
        ca.client_for(b"x", "c", None, NOW, 60, &[2; 32]),
        "that is no P-256 public key; give its SubjectPublicKeyInfo as DER",
    );
    // What no input of a test brings about.
    let entropy = "the entropy gives no key; take 32 other random bytes";
    assert_eq!((KeyError::Entropy.to_string(), MintError::Entropy.to_string()), (entropy.into(), entropy.into()));
    let text = MintError::Encode("too long".into()).to_string();
    assert_eq!(text, "the certificate cannot be encoded: too long");
    assert_eq!(KeyError::Encode.to_string(), "the token cannot be encoded; check its claims");
    let thumbprint = "verifiers would disagree about this key's thumbprint; generate another key";
    assert_eq!(SetupError::from(KeyError::Ambiguous).to_string(), thumbprint);
}
