//! What is asked, what is shown, what the evidence says: every combination.

use regauth::error::Failure;
use regauth::tls::{Evidence, Flaw, Identity, Shown, TlsError, Version};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::world::{Ask, NOW, Outcome, Pace, Setup, WORLD, exchange, profile};

fn evidence(version: &SupportedProtocolVersion, ask: Ask, identity: Option<&Identity>) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.version = Some(if version == &TLS12 { Version::Tls12 } else { Version::Tls13 });
    if ask == Ask::No {
        return evidence;
    }
    evidence.hints = vec!["CN=Right CA".into()];
    evidence.shown = match identity.map(Identity::label) {
        None => Shown::NoPair,
        Some("wrong.pem") => Shown::NoneFits(vec!["wrong.pem was issued by CN=Other CA".into()]),
        Some(label) => {
            evidence.pair = Some(0);
            Shown::Pair { label: label.into(), issuer: "CN=Right CA".into() }
        }
    };
    evidence
}

#[test]
fn every_combination_has_its_outcome_and_evidence() {
    let world = &*WORLD;
    for version in [&TLS12, &TLS13] {
        for ask in [Ask::No, Ask::Optional, Ask::Required] {
            for identity in [None, Some(&world.right), Some(&world.wrong), Some(&world.expired)] {
                let server = Setup::new(version, ask).config();
                let profile = profile(identity.as_slice());
                let mut expected = evidence(version, ask, identity);
                let expired = matches!(&expected.shown, Shown::Pair { label, .. } if label == "expired.pem");
                let ended = world.expired.not_after().unwrap();
                expected.flaw = expired.then_some(Flaw::Expired { ago: NOW.since(ended) / 1000 });
                let error = match (ask, &expected.shown) {
                    (Ask::No, _) | (Ask::Optional, Shown::NoPair | Shown::NoneFits(_)) => None,
                    (_, Shown::Pair { label, .. }) if label == "right.pem" => None,
                    (_, Shown::Pair { .. }) => Some(TlsError::CertificateRejected { alert: 45 }),
                    _ => Some(TlsError::CertificateRequired { alert: 116 }),
                };
                // In TLS 1.3 the handshake is over before the server has looked at the certificate.
                expected.finished = error.is_none() || version == &TLS13;
                expected.accepted = error.is_none();
                expected.alert = match error {
                    Some(TlsError::CertificateRejected { alert } | TlsError::CertificateRequired { alert }) => {
                        Some(alert)
                    }
                    _ => None,
                };
                expected.problem = error.as_ref().map(|error| (error.what(), error.remedy().to_string()));
                for resumed in [false, true, true] {
                    // A refused session is not resumed.
                    expected.resumed = resumed && error.is_none();
                    let outcome = exchange(&profile, &server, Pace::Whole);
                    let case = format!("{version:?} {ask:?} {identity:?} {resumed}");
                    assert_eq!(outcome.evidence, expected, "{case}");
                    assert_eq!(outcome.end, error.clone().map_or(Ok(()), Err), "{case}");
                    assert_eq!(outcome.plain, if error.is_none() { &b"pong"[..] } else { b"" }, "{case}");
                    let shows = matches!(expected.shown, Shown::Pair { .. }) && error.is_none();
                    assert_eq!(outcome.certificates, usize::from(shows), "{case}");
                }
            }
        }
    }
}

#[test]
fn failures_have_one_word_for_every_layer() {
    let server = Setup::new(&TLS13, Ask::Required).config();
    let failure = |identities: &[&Identity]| -> (Failure, Outcome) {
        let outcome = exchange(&profile(identities), &server, Pace::Whole);
        (outcome.end.clone().unwrap_err().failure(), outcome)
    };
    assert_eq!(failure(&[]).0, Failure::CertificateRequired);
    assert_eq!(failure(&[&WORLD.wrong]).0, Failure::CertificateRequired);
    let (seen, outcome) = failure(&[&WORLD.expired]);
    assert_eq!(seen, Failure::CertificateRejected);
    assert_eq!(outcome.evidence.failure(Failure::Reset), Failure::CertificateRejected);
}
