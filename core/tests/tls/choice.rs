//! Which pair, and why not.

use regauth::error::Failure;
use regauth::tls::{Evidence, Identity, Profile, Shown, TlsClient, TlsError, Version};
use rustls::version::{TLS12, TLS13};

use crate::world::{Ask, NOW, Pace, Pipe, Setup, WORLD, exchange, origin, profile, settings};

#[test]
fn the_whole_chain_is_compared_with_the_hints() {
    let intermediate = WORLD.ca.intermediate("Intermediate CA");
    let leaf = intermediate.client("deep");
    let key = leaf.key.serialize_pem();
    let alone = Identity::from_pem("alone.pem", leaf.pem.as_bytes(), key.as_bytes()).unwrap();
    let chain = format!("{}{}", leaf.pem, intermediate.pem);
    let whole = Identity::from_pem("whole.pem", chain.as_bytes(), key.as_bytes()).unwrap();
    let outcome = exchange(&profile(&[&alone, &whole]), &Setup::new(&TLS13, Ask::Required).config(), Pace::Whole);
    assert_eq!((outcome.end, outcome.evidence.pair, outcome.certificates), (Ok(()), Some(1), 2));
    let outcome = exchange(&profile(&[&alone]), &Setup::new(&TLS13, Ask::Optional).config(), Pace::Whole);
    assert_eq!(outcome.evidence.shown, Shown::NoneFits(vec!["alone.pem was issued by CN=Intermediate CA".into()]));
}

#[test]
fn force_shows_the_first_whatever_the_server_names() {
    for version in [&TLS12, &TLS13] {
        let mut settings = settings(&[&WORLD.wrong, &WORLD.right]);
        settings.force = true;
        let outcome = exchange(&Profile::new(settings), &Setup::new(version, Ask::Required).config(), Pace::Whole);
        assert_eq!(outcome.evidence.pair, Some(0));
        assert_eq!(outcome.end, Err(TlsError::CertificateRejected { alert: 48 }));
    }
}

/// What cannot be signed is not sent, so that nobody says it was.
#[test]
fn force_shows_nothing_that_cannot_sign() {
    let mut settings = settings(&[&WORLD.wrong, &WORLD.right]);
    settings.force = true;
    let profile = Profile::new(settings);
    // Of RSA only; both keys are ECDSA.
    let choice = profile.choose(0, WORLD.right.issuers(), &[0x0804]);
    assert_eq!((choice.pair, choice.next), (None, None));
    let Shown::NoneFits(lines) = choice.shown else { panic!("{choice:?}") };
    assert_eq!(lines[0], "wrong.pem: the server takes no signature scheme of its key");
    let none: [&[u8]; 0] = [];
    assert_eq!(profile.choose(0, &none, &[0x0403]).pair, Some(0));
    assert_eq!(profile.choose(0, WORLD.right.issuers(), &[0x0403]).pair, Some(0));
}

#[test]
fn after_a_rejection_the_next_that_fits_is_shown() {
    let mut settings = settings(&[&WORLD.expired, &WORLD.wrong, &WORLD.right]);
    settings.try_pairs = true;
    let profile = Profile::new(settings);
    let server = Setup::new(&TLS13, Ask::Required).config();
    let first = exchange(&profile, &server, Pace::Whole);
    assert_eq!(first.end, Err(TlsError::CertificateRejected { alert: 45 }));
    assert_eq!((first.evidence.pair, first.evidence.next), (Some(0), Some(2)));
    for resumed in [false, true] {
        let skip = first.evidence.next.unwrap();
        let client = TlsClient::connect_after(&profile, skip, &origin(), NOW).unwrap();
        let second = Pipe::new(client, &server, Pace::Whole).run();
        assert_eq!(second.end, Ok(()));
        assert_eq!((second.evidence.pair, second.evidence.next), (Some(2), None));
        assert_eq!(second.evidence.resumed, resumed);
    }
    // Without leave there is no next one.
    let mut settings = profile.settings().clone();
    settings.try_pairs = false;
    assert_eq!(exchange(&Profile::new(settings), &server, Pace::Whole).evidence.next, None);
}

#[test]
fn a_host_with_tls_of_its_own_chooses_by_the_same_rules() {
    let profile = profile(&[&WORLD.wrong, &WORLD.right]);
    let hints: Vec<Vec<u8>> = WORLD.right.issuers().to_vec();
    let none: [Vec<u8>; 0] = [];
    assert_eq!(profile.choose(0, &hints, &[0x0403, 0x0804]).pair, Some(1));
    assert_eq!(profile.choose(0, &none, &[0x0403]).pair, Some(0));
    assert_eq!(profile.choose(1, &none, &[0x0403]).pair, Some(1));
    let choice = profile.choose(0, &hints, &[0x0804]);
    assert_eq!(choice.pair, None);
    let Shown::NoneFits(lines) = choice.shown else { panic!("{choice:?}") };
    assert_eq!(lines[1], "right.pem: the server takes no signature scheme of its key");
    let named = crate::world::profile(&[&Identity::named("in the store", [0; 32])]);
    assert_eq!(named.choose(0, &hints, &[0x0804]).pair, Some(0));
    assert_eq!(crate::world::profile(&[]).choose(0, &hints, &[0x0403]).shown, Shown::NoPair);
}

#[test]
fn evidence_says_what_a_broken_connection_means() {
    let asked = |shown: Shown, alert: Option<u8>| {
        let mut evidence = Evidence::default();
        evidence.version = Some(Version::Tls13);
        evidence.shown = shown;
        evidence.finished = true;
        evidence.alert = alert;
        evidence
    };
    let pair = || Shown::Pair { label: "a".into(), issuer: "CN=b".into() };
    for (evidence, failure) in [
        (asked(Shown::NoPair, Some(116)), Failure::CertificateRequired),
        // As servers written in Go, and older ones, say it.
        (asked(Shown::NoPair, Some(42)), Failure::CertificateRequired),
        (asked(Shown::NoneFits(Vec::new()), Some(40)), Failure::CertificateRequired),
        (asked(pair(), Some(42)), Failure::CertificateRejected),
        (asked(pair(), Some(48)), Failure::CertificateRejected),
        (asked(Shown::NotAsked, Some(40)), Failure::Tls),
        (asked(pair(), Some(80)), Failure::Tls),
        (asked(pair(), None), Failure::CertificateRejected),
        (asked(Shown::NoPair, None), Failure::CertificateRequired),
        (asked(Shown::NotAsked, None), Failure::Reset),
    ] {
        assert_eq!(evidence.failure(Failure::Reset), failure, "{evidence:?}");
    }
    let mut accepted = asked(pair(), None);
    accepted.accepted = true;
    assert_eq!(accepted.failure(Failure::Reset), Failure::Reset);
    assert_eq!(asked(pair(), None).failure(Failure::Timeout), Failure::Timeout);
    let mut older = asked(Shown::NoPair, None);
    older.version = Some(Version::Tls12);
    assert_eq!(older.failure(Failure::Reset), Failure::Reset);
}
