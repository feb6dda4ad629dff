use super::*;

const NOW: Time = Time(1_800_000_000_000);

fn ca() -> Ca {
    Ca::new(NOW, 3600, "test CA", &[1; 32]).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let make = || {
        let ca = ca();
        let client = ca.client("buildbot-1", Some("spiffe://example.org/builder/1"), NOW, 60, &[2; 32]).unwrap();
        (ca.cert_pem(), client.cert_pem, client.key_pem)
    };
    assert!(make() == make());
    let other = Ca::new(NOW, 3600, "test CA", &[3; 32]).unwrap();
    assert_ne!(other.name(), ca().name(), "two CAs of one name have two subjects");
    assert!(ca().name().starts_with("test CA ") && ca().name().len() == 16, "{}", ca().name());
}

#[test]
fn leaves_live_inside_their_ca() {
    let ca = ca();
    assert_eq!(ca.not_after(), NOW.plus_seconds(3600));
    let long = ca.health_check(NOW, MAX_TTL * 30, &[2; 32]).unwrap();
    assert_eq!(long.not_after, ca.not_after());
    let short = ca.health_check(NOW, 60, &[2; 32]).unwrap();
    assert_eq!(short.not_after, NOW.plus_seconds(60));
    for (now, want) in [
        (NOW.plus_seconds(3600), MintError::OutsideCa),
        (Time(NOW.0 - 86_400_000), MintError::OutsideCa),
        (Time(u64::MAX), MintError::OutsideCa),
    ] {
        assert_eq!(ca.health_check(now, 60, &[2; 32]).unwrap_err(), want, "{now:?}");
    }
    assert_eq!(ca.health_check(NOW, 0, &[2; 32]).unwrap_err(), MintError::Ttl);
    assert_eq!(ca.health_check(NOW, u64::MAX, &[2; 32]).unwrap_err(), MintError::Ttl);
    assert_eq!(Ca::new(NOW, MAX_TTL + 1, "x", &[1; 32]).unwrap_err(), MintError::Ttl);
    assert_eq!(Ca::new(Time(u64::MAX), 60, "x", &[1; 32]).unwrap_err(), MintError::Ttl, "beyond any calendar");
    assert!(Ca::new(Time(0), 60, "x", &[1; 32]).is_ok());
}

#[test]
fn names_are_checked() {
    let ca = ca();
    let server = |names: &[&str]| ca.server(names, NOW, 60, &[2; 32]).map(|_| ());
    assert_eq!(server(&["localhost", "127.0.0.1", "::1", "*.example.org", "A.example"]), Ok(()));
    for bad in ["", "*", "a..b", "-a", "a b", "a/b", "127.0.0.256", "1.2.3", "[::1]", "ü.example", "a.*.b", "a:443"] {
        assert_eq!(server(&[bad]), Err(MintError::San(bad.into())), "{bad:?}");
    }
    assert_eq!(server(&[]), Err(MintError::San(String::new())));

    let client = |label: &str, uri: Option<&str>| ca.client(label, uri, NOW, 60, &[2; 32]).map(|_| ());
    let long = "x".repeat(65);
    for bad in ["", "a\nb", "ü", long.as_str()] {
        assert_eq!(client(bad, None), Err(MintError::Name(bad.into())));
    }
    for bad in ["", "builder", ":x", "spiffe:", "1a:b", "spiffe://a b", "spiffe://ü"] {
        assert_eq!(client("x", Some(bad)), Err(MintError::Uri(bad.into())));
    }
    assert_eq!(Ca::new(NOW, 60, &long, &[1; 32]).unwrap_err(), MintError::Name(format!("{long} {}", &ca.name()[8..])));
    assert_eq!(Ca::new(NOW, 60, "", &[1; 32]).unwrap_err(), MintError::Name(String::new()));
}

#[test]
fn serials_have_sixteen_bytes_and_are_positive() {
    for n in 0..=255u8 {
        let serial = serial(&[n; 32]).to_bytes();
        assert_eq!(serial.len(), 16);
        assert!((0x40..0x80).contains(&serial[0]));
    }
}

#[test]
fn a_key_is_never_printed() {
    let issued = ca().health_check(NOW, 60, &[2; 32]).unwrap();
    let text = format!("{issued:?} {:?}", ca());
    assert!(!text.contains("PRIVATE"), "{text}");
}

#[test]
fn a_certificate_can_be_for_a_key_of_which_only_the_public_half_is_here() {
    let ca = Ca::new(NOW, 3600, "ca", &[1; 32]).unwrap();
    let key = KeyPair::generate(&[7; 32]).unwrap();
    let mut spki = vec![0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    spki.extend([6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0]);
    spki.extend(key.point());
    let certificate = ca.client_for(&spki, "token", None, NOW, 60, &[2; 32]).unwrap();
    assert!(certificate.windows(spki.len()).any(|window| window == spki));
    let not_on_the_curve = [&spki[..spki.len() - 1], &[0]].concat();
    for wrong in [&spki[..spki.len() - 1], &not_on_the_curve, b"", key.point()] {
        assert_eq!(ca.client_for(wrong, "token", None, NOW, 60, &[2; 32]), Err(MintError::PublicKey));
    }
}
