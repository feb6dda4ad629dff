//! Bytes come in any pieces, and may end anywhere.

use std::sync::Arc;

use regauth::tls::{Profile, Shown, Tls, TlsClient, TlsError};
use rustls::version::{TLS12, TLS13};
use rustls::{DistinguishedName, ServerConfig, SupportedProtocolVersion};

use crate::world::{Ask, NOW, Outcome, Pace, Pipe, Setup, WORLD, exchange, origin, profile};

/// ECDSA signatures differ in length, so that two runs differ by a few bytes.
const JITTER: usize = 8;

fn length(profile: &Profile, server: &Arc<ServerConfig>) -> usize {
    let mut pipe = Pipe::new(TlsClient::connect(profile, &origin(), NOW).unwrap(), server, Pace::Whole);
    while pipe.step().is_none() {}
    pipe.read + JITTER
}

fn same(one: &Outcome, other: &Outcome, case: &str) {
    assert_eq!(one.end, other.end, "{case}");
    assert_eq!(one.plain, other.plain, "{case}");
    assert_eq!(one.evidence, other.evidence, "{case}");
}

fn cases(version: &'static SupportedProtocolVersion) -> Vec<(String, Profile, Arc<ServerConfig>)> {
    let mut cases = Vec::new();
    for (ask, identity) in [
        (Ask::No, None),
        (Ask::Required, Some(&WORLD.right)),
        (Ask::Required, None),
        (Ask::Required, Some(&WORLD.expired)),
    ] {
        let case = format!("{version:?} {ask:?} {identity:?}");
        cases.push((case, profile(identity.as_slice()), Setup::new(version, ask).config()));
    }
    cases
}

fn in_pieces(version: &'static SupportedProtocolVersion) {
    for (case, profile, server) in cases(version) {
        let full = exchange(&profile, &server, Pace::Whole);
        let resumed = exchange(&profile, &server, Pace::Whole);
        assert_eq!(resumed.evidence.resumed, resumed.end.is_ok());
        for at in 1..length(&profile, &server) {
            // The sessions of the first one serve the second.
            let fresh = Profile::new(profile.settings().clone());
            same(&exchange(&fresh, &server, Pace::Split(at)), &full, &format!("{case}, split at {at}"));
            same(&exchange(&fresh, &server, Pace::Split(at)), &resumed, &format!("{case}, resumed, split at {at}"));
        }
        for n in [1, 2, 3, 7, 100] {
            let fresh = Profile::new(profile.settings().clone());
            same(&exchange(&fresh, &server, Pace::Pieces(n)), &full, &format!("{case}, pieces of {n}"));
            same(&exchange(&fresh, &server, Pace::Pieces(n)), &resumed, &format!("{case}, resumed, pieces of {n}"));
        }
    }
}

#[test]
fn pieces_make_no_difference_in_tls_1_2() {
    in_pieces(&TLS12);
}

#[test]
fn pieces_make_no_difference_in_tls_1_3() {
    in_pieces(&TLS13);
}

fn cut_short(version: &'static SupportedProtocolVersion) {
    for (case, profile, server) in cases(version) {
        let whole = exchange(&profile, &server, Pace::Whole);
        let total = length(&Profile::new(profile.settings().clone()), &server);
        for resumed in [false, true] {
            for at in 0..total {
                let fresh = Profile::new(profile.settings().clone());
                if resumed {
                    exchange(&fresh, &server, Pace::Whole);
                }
                let outcome = exchange(&fresh, &server, Pace::Truncated(at));
                let case = format!("{case}, resumed {resumed}, cut at {at}: {outcome:?}");
                assert!(b"pong".starts_with(&outcome.plain), "{case}");
                let (asked, finished) = (outcome.evidence.asked(), outcome.evidence.finished);
                match &outcome.end {
                    Err(TlsError::Truncated { finished: said }) => {
                        assert_eq!(*said, finished, "{case}");
                        assert!(version == &TLS12 || !asked || !finished || outcome.evidence.accepted, "{case}");
                    }
                    Err(TlsError::ProbablyRejected { shown }) => {
                        assert!(version == &TLS13 && asked && finished && !outcome.evidence.accepted, "{case}");
                        assert_eq!(*shown, matches!(outcome.evidence.shown, Shown::Pair { .. }), "{case}");
                    }
                    end => assert_eq!(*end, whole.end, "{case}"),
                }
            }
        }
    }
}

#[test]
fn a_stream_may_end_anywhere_in_tls_1_2() {
    cut_short(&TLS12);
}

#[test]
fn a_stream_may_end_anywhere_in_tls_1_3() {
    cut_short(&TLS13);
}

/// 300 names of authorities, and the right one as the last: more than one record holds.
fn many_hints() -> Vec<DistinguishedName> {
    let common_name = |name: &str| {
        let length = u8::try_from(name.len()).unwrap();
        let mut der = vec![0x31, length + 9, 0x30, length + 7, 0x06, 3, 0x55, 4, 3, 0x0c, length];
        der.extend_from_slice(name.as_bytes());
        DistinguishedName::in_sequence(&der)
    };
    let mut hints: Vec<_> =
        (0..300).map(|n| common_name(&format!("Certificate Authority of Department {n:03}"))).collect();
    hints.push(common_name("Right CA"));
    hints
}

fn large_flight(version: &'static SupportedProtocolVersion) {
    let mut setup = Setup::new(version, Ask::Required);
    setup.hints = Some(many_hints());
    setup.resume = false;
    let server = setup.config();
    let profile = profile(&[&WORLD.right]);
    let whole = exchange(&profile, &server, Pace::Whole);
    assert_eq!(whole.end, Ok(()));
    assert_eq!(whole.evidence.hints.len(), 301);
    let total = length(&profile, &server);
    assert!(total > 16_384 + 256, "{total}");
    // Every byte is the first of a call once, some eight in one exchange, so that this takes seconds; and alone where
    // the flight and its second record begin.
    for first in 1..=2048 {
        let case = format!("{version:?}, cuts from {first}");
        same(&exchange(&profile, &server, Pace::Cuts(first, 2048)), &whole, &case);
    }
    for at in (1..400).chain(16_000..total) {
        same(&exchange(&profile, &server, Pace::Split(at)), &whole, &format!("{version:?}, split at {at}"));
    }
}

#[test]
fn a_flight_of_many_records_may_be_split_anywhere_in_tls_1_2() {
    large_flight(&TLS12);
}

#[test]
fn a_flight_of_many_records_may_be_split_anywhere_in_tls_1_3() {
    large_flight(&TLS13);
}

#[test]
fn closing_in_the_middle_of_a_flight_is_final() {
    for version in [&TLS12, &TLS13] {
        let mut setup = Setup::new(version, Ask::Required);
        setup.hints = Some(many_hints());
        setup.resume = false;
        let server = setup.config();
        let profile = profile(&[&WORLD.right]);
        for at in (1..length(&profile, &server)).step_by(97) {
            let client = TlsClient::connect(&profile, &origin(), NOW).unwrap();
            let mut pipe = Pipe::new(client, &server, Pace::Split(at));
            while pipe.read < at && pipe.step().is_none() {}
            pipe.client.poll(NOW);
            pipe.client.close();
            assert!(pipe.client.space().is_empty());
            assert_eq!(pipe.client.send(b"x"), 0);
            while let Tls::Write(bytes) = pipe.client.poll(NOW) {
                let n = bytes.len();
                pipe.client.wrote(n);
            }
            assert_eq!(pipe.client.poll(NOW), Tls::Closed, "{at}");
        }
    }
}
