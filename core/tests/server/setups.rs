//! Keys and realms as people hand them in.

use regauth::server::*;

use crate::support::*;

const P384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE2aMNAA71GoRLMAY9QcoSPhnMdM6JtBTg
XzX4MsUMZt1oV5ABvtHgazUaZH69dR0h7A6YFxGCmf+pDtjljp6z+trAWSvVE4jA
LHCIwRTJIwldNgHW1G/rNZ2T9LGDIWaE
-----END PUBLIC KEY-----
";
/// One key twice, by OpenSSL: the point with both coordinates, and with the first only.
const WHOLE: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh/09sJoPdlEU11KDbKnC0xniSmYO
vGM0GenprUXG9EmNw77oO5Y4twEJQpS4J/lqHNmL68cyPvwSssux97ZNWg==
-----END PUBLIC KEY-----
";
const COMPRESSED: &str = "-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACh/09sJoPdlEU11KDbKnC0xniSmYO
vGM0GenprUXG9Ek=
-----END PUBLIC KEY-----
";

#[test]
fn public_keys() {
    let read = |pem: &str| VerifyingKey::from_pem(pem);
    let (whole, compressed) = (read(WHOLE).unwrap(), read(COMPRESSED).unwrap());
    assert_eq!(whole.thumbprint(), compressed.thumbprint());
    assert_eq!((whole.libtrust_id(), whole.public_pem()), (compressed.libtrust_id(), WHOLE.into()));
    assert!(Verifier::new(ISSUER, SERVICE, vec![whole, compressed]).is_err(), "one key, however it is written");
    assert!(read(&WHOLE.replace('\n', "\r\n")).is_ok());
    for wrong in [
        P384.to_string(),
        [WHOLE, COMPRESSED].concat(),
        WHOLE.replace("PUBLIC KEY", "EC PUBLIC KEY"),
        WHOLE.replace("MFkw", "MFgw"),
        // Another point, which is not on the curve.
        WHOLE.replace("NWg==", "NWw=="),
        WHOLE.replace("-----END PUBLIC KEY-----\n", ""),
        WHOLE.lines().nth(1).unwrap().into(),
    ] {
        assert_eq!(read(&wrong).err(), Some(KeyError::NotPublic), "{wrong}");
    }
}

#[test]
fn private_keys() {
    let pem = String::from_utf8(key().private_pem().expose().to_vec()).unwrap();
    let read = |pem: &str| SigningKey::from_pem(pem).map(|key| key.thumbprint());
    assert_eq!(read(&pem.replace('\n', "\r\n")), Ok(key().thumbprint()));
    for wrong in [
        pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        pem.repeat(2),
        key().public_pem(),
        pem.replacen("MIGH", "MIGI", 1),
    ] {
        assert_eq!(read(&wrong), Err(KeyError::NotP256));
    }
    // A kid is as long as it may be, and the same wherever it stands.
    let kid = "k ".repeat(64);
    let reference = KeyRef::Kid(kid.clone());
    assert!(key().jwks(&reference).unwrap().contains(&format!("\"kid\":\"{kid}\"")));
    let config = IssuerConfig::new(ISSUER, &[SERVICE], key(), reference);
    let reply = issue(&Issuer::new(config).unwrap(), "", &builder("x"), &[]);
    let token = reply.token().unwrap();
    let named = Verifier::new(ISSUER, SERVICE, vec![key().verifying().named(&kid).unwrap()]).unwrap();
    assert!(named.verify(token.expose_str().unwrap(), None, NOW).is_ok());
    assert_eq!(verifier().verify(token.expose_str().unwrap(), None, NOW), Err(Reason::TokenKey));
    for wrong in ["k".repeat(129), String::new(), "k\t".into(), "\u{e4}".into()] {
        let config = IssuerConfig::new(ISSUER, &[SERVICE], key(), KeyRef::Kid(wrong));
        assert_eq!(Issuer::new(config).unwrap_err(), SetupError::Key(KeyError::Kid));
    }
}

#[test]
fn realms() {
    let realm = |realm: &str| {
        let guard = Guard::new(GuardConfig::new(realm, SERVICE, ISSUER, vec![key().verifying()]))?;
        let Verdict::Deny(reply) = guard.check(&Call::new("GET", "/v2/"), NOW) else { panic!("no token") };
        let challenge = reply.header("www-authenticate").unwrap().to_string();
        Ok(challenge.split('"').nth(1).unwrap().to_string())
    };
    for (given, sent) in [
        ("https://reg.example/token#x", "https://reg.example/token"),
        ("https://reg.example/token?a=b&c", "https://reg.example/token?a=b&c"),
        ("https://REG.example.:443/Token", "https://reg.example/Token"),
        ("https://[::ffff:192.0.2.7]:5001/t", "https://192.0.2.7:5001/t"),
        ("http://localhost./t", "http://localhost/t"),
        ("http://[0:0::1]/t", "http://[::1]/t"),
    ] {
        assert_eq!(realm(given).as_deref(), Ok(sent), "{given}");
    }
    for given in
        ["http://127.0.0.1.example/t", "http://[::ffff:10.0.0.1]/t", "http://0.0.0.0/t", "http://localhost.example/t"]
    {
        assert_eq!(realm(given), Err(SetupError::InsecureRealm), "{given}");
    }
    for given in [
        "https://u@reg.example/t",
        "https://@reg.example/t",
        "https://reg.example:0/t",
        "https://reg.example:65536/t",
        "http://127.1/t",
        "http://0x7f.0.0.1/t",
        "https://r\u{e4}g.example/t",
        "https://reg.example/a b",
        "https://reg%2eexample/t",
        "https:reg.example/t",
        "https://reg..example/t",
        "https://reg.example\\t",
    ] {
        assert!(matches!(realm(given), Err(SetupError::Realm(_))), "{given}: {:?}", realm(given));
    }
    let long = format!("https://reg.example/{}", "x".repeat(255));
    assert_eq!(realm(&long), Err(SetupError::Text("realm")));
}
