//! What answers and broken connections say about client certificates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::task::Waker;

use regauth::error::{CertificateState as State, Diagnosis};
use regauth::tls::{Evidence, Flaw, Identity, Shown, Version};
use regauth::{Agent, Answer, Config, Credentials, Failure, Host, Origin, Step, Time};

const NOW: Time = Time(1_800_000_000_000);

fn evidence(shown: Shown) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.version = Some(Version::Tls13);
    evidence.hints = vec!["CN=A".into()];
    evidence.shown = shown;
    evidence.finished = true;
    evidence.accepted = true;
    evidence
}

fn pair() -> Shown {
    Shown::Pair { label: "me.crt".into(), issuer: "CN=A".into() }
}

fn none_fits() -> Shown {
    Shown::NoneFits(vec!["me.crt was issued by CN=B".into()])
}

#[test]
fn every_answer_has_its_state() {
    let (html, json) = (Some(&b"text/html"[..]), Some(&b"application/json; charset=utf-8"[..]));
    let missing = "<center>No required SSL certificate was sent</center>";
    let refused = "<center>The SSL certificate error</center>";
    let apache = "Reason: Cannot perform Post-Handshake Authentication.<br />";
    let http = |status| Some(State::RejectedOverHttp { status });
    for (status, kind, body, shown, state) in [
        (400, html, missing, Shown::NoPair, http(400)),
        (400, None, missing, none_fits(), http(400)),
        (400, html, refused, pair(), http(400)),
        (400, json, "{}", pair(), None),
        (400, html, "bad request", none_fits(), None),
        (495, html, "", pair(), http(495)),
        (496, html, "", Shown::NoPair, http(496)),
        (403, html, apache, Shown::NotAsked, Some(State::AskedLate)),
        (403, html, "Forbidden", Shown::NoPair, http(403)),
        (403, None, "", none_fits(), http(403)),
        (403, html, "Forbidden", pair(), http(403)),
        // The registry's own word.
        (403, json, "{\"errors\":[]}", pair(), None),
        (403, json, "{\"errors\":[]}", Shown::NoPair, None),
        (421, html, "", Shown::NotAsked, http(421)),
        (421, html, "", pair(), http(421)),
        // Credentials, names and breakdowns.
        (401, json, "", Shown::NoPair, None),
        (404, json, "", none_fits(), None),
        (500, html, missing, Shown::NoPair, None),
        (200, json, missing, pair(), None),
        (200, json, "", Shown::NotAsked, Some(State::NotAsked)),
        (403, html, "", Shown::NotAsked, Some(State::NotAsked)),
    ] {
        let case = format!("{status} {body} {shown:?}");
        let found = Diagnosis::of_answer(status, kind, body.as_bytes(), Some("me.crt"), Some(&evidence(shown)));
        assert_eq!(found.as_ref().map(|found| found.state), state, "{case}");
        // Of the server's words none is repeated.
        let words = found.map(|found| format!("{}. {}", found.what, found.remedy)).unwrap_or_default();
        assert!(!words.contains(missing) && !words.contains("SSL") && !words.contains("Reason"), "{case}: {words}");
    }
    let bare = Diagnosis::of_answer(400, html, missing.as_bytes(), None, None);
    assert_eq!(bare, None, "plain http has no certificates");
    assert_eq!(Diagnosis::of_answer(200, json, b"", None, Some(&evidence(Shown::NotAsked))), None);
    let mut late = evidence(Shown::NotAsked);
    late.late = true;
    let found = Diagnosis::of_answer(403, html, b"", Some("me.crt"), Some(&late)).unwrap();
    assert_eq!(found.state, State::AskedLate);
    assert!(found.what.contains("TLS 1.2 renegotiation") && found.remedy.contains("not for a path"), "{found:?}");
}

#[test]
fn a_mismatch_is_said_whole() {
    let found = Diagnosis::of_answer(
        400,
        None,
        b"No required SSL certificate was sent",
        Some("me.crt"),
        Some(&evidence(none_fits())),
    )
    .unwrap();
    assert_eq!(
        found.what,
        "the server requires a client certificate and says so with 400; it asked for one issued by CN=A; me.crt was \
         issued by CN=B; none was sent"
    );
    assert_eq!(found.remedy, "Configure a client certificate and key of an issuer that the server names.");
    let mut expired = evidence(pair());
    expired.flaw = Some(Flaw::Expired { ago: 3 * 86_400 });
    let found = Diagnosis::of_answer(495, None, b"", None, Some(&expired)).unwrap();
    assert!(found.what.ends_with("me.crt, issued by CN=A, was sent, and it has expired 3 days ago"), "{found:?}");
    assert_eq!(found.remedy, "Renew the client certificate, or check this machine's clock.");
}

/// nginx behind something that ends TLS wants a certificate that was sent, or that nobody asked for: another one would do no
/// better.
#[test]
fn a_certificate_that_is_lost_on_the_way_is_not_missing() {
    for (status, body) in [(496, &b""[..]), (400, b"<center>No required SSL certificate was sent</center>")] {
        let found = |shown, label| Diagnosis::of_answer(status, None, body, label, Some(&evidence(shown))).unwrap();
        let sent = found(pair(), Some("me.crt"));
        assert!(sent.what.ends_with("me.crt, issued by CN=A, was sent"), "{sent:?}");
        let unasked = found(Shown::NotAsked, Some("me.crt"));
        assert!(unasked.what.contains("; me.crt is configured and the handshake did not ask for it"), "{unasked:?}");
        for one in [sent, unasked] {
            assert_eq!(one.state, State::RejectedOverHttp { status });
            let remedy = "Let what ends TLS in front of the server ask for the certificate and pass it on.";
            assert_eq!(one.remedy, remedy);
        }
        let none = found(Shown::NotAsked, None);
        assert!(none.remedy.starts_with("Configure a client certificate"), "{none:?}");
    }
}

/// A server that asks after the handshake has asked, whatever it answers; a 401 is about credentials.
#[test]
fn a_late_request_is_a_request() {
    let mut late = evidence(Shown::NotAsked);
    late.late = true;
    let state = |status| {
        let found = Diagnosis::of_answer(status, None, b"", Some("me.crt"), Some(&late));
        found.map(|found| found.state)
    };
    assert_eq!(state(200), Some(State::AskedLate));
    assert_eq!(state(307), Some(State::AskedLate));
    assert_eq!(state(404), Some(State::AskedLate));
    assert_eq!(state(401), None);
    // With nothing to show, an answer that went well says nothing.
    assert_eq!(Diagnosis::of_answer(200, None, b"", None, Some(&late)), None);
    assert!(Diagnosis::of_answer(403, None, b"", None, Some(&late)).is_some());
}

#[test]
fn flaws_are_told_in_units_that_people_use() {
    for (flaw, text) in [
        (Flaw::Expired { ago: 59 }, "it has expired 0 min ago"),
        (Flaw::Expired { ago: 7199 }, "it has expired 119 min ago"),
        (Flaw::Expired { ago: 7200 }, "it has expired 2 h ago"),
        (Flaw::NotYetValid { ahead: 172_800 }, "it is valid only in 2 days"),
        (Flaw::NotForClients, "its extended key usage does not allow clients"),
    ] {
        assert_eq!(flaw.to_string(), text);
        assert!(flaw.remedy().ends_with('.'));
    }
}

#[test]
fn every_broken_connection_has_its_state() {
    let broken = |shown: Shown, alert: Option<u8>| {
        let mut evidence = evidence(shown);
        (evidence.accepted, evidence.alert) = (false, alert);
        evidence
    };
    let mut late = broken(Shown::NotAsked, None);
    late.late = true;
    for (evidence, state) in [
        (broken(Shown::NoPair, Some(116)), Some(State::Required)),
        (broken(none_fits(), Some(40)), Some(State::Required)),
        (broken(pair(), Some(45)), Some(State::Rejected { alert: 45 })),
        (broken(pair(), None), Some(State::ProbablyRejected)),
        (broken(Shown::NoPair, None), Some(State::ProbablyRejected)),
        (late, Some(State::AskedLate)),
        (broken(Shown::NotAsked, None), None),
        (broken(Shown::NotAsked, Some(40)), None),
    ] {
        let failure = evidence.failure(Failure::Reset);
        let found = Diagnosis::of_failure(failure, Some(&evidence));
        assert_eq!(found.map(|found| found.state), state, "{evidence:?}");
    }
    // A host whose TLS stack says no more than that.
    let bare = Diagnosis::of_failure(Failure::CertificateRejected, None).unwrap();
    assert_eq!(bare.state, State::Rejected { alert: 40 });
    assert_eq!(State::ProbablyRejected.as_str(), "probably-rejected");
}

/// A token request that is answered like this, as a host with TLS of its own reports it.
fn token_refused(status: u16, kind: &str, body: &str, shown: Shown) -> (regauth::Error, String) {
    let origin = Origin::parse("https://reg.example").unwrap();
    let mut host = Host::default();
    host.identities = vec![Identity::named("me.crt", [0; 32])];
    let mut config = Config::default();
    config.host(origin.clone(), host);
    config.credentials(origin, Credentials::Basic { user: "robot".into(), password: "s3cret".into() });
    let agent = Agent::new(config).unwrap();
    let mut flow = agent.request("GET", "https://reg.example/v2/app/manifests/1").unwrap();
    let tls = evidence(shown);
    let challenge = vec![("WWW-Authenticate", "Bearer realm=\"/token\",service=s")];
    assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Send(_)));
    flow.answer(NOW, Answer::new(401, &challenge).tls(Some(&tls)));
    assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Send(out) if out.hop.is_token()));
    let fields = vec![("Content-Type", kind)];
    flow.answer(NOW, Answer::new(status, &fields).body(body.as_bytes()).tls(Some(&tls)));
    let Step::Failed(error) = flow.poll(NOW, Waker::noop()) else { panic!("not refused") };
    let error = error.clone();
    let mut transcript = String::new();
    flow.explain(&mut transcript).unwrap();
    (error, transcript)
}

#[test]
fn a_refused_token_request_says_it_too() {
    let nginx = "<center>No required SSL certificate was sent</center>";
    let (error, _) = token_refused(400, "text/html", nginx, Shown::NoPair);
    assert_eq!(
        error.to_string(),
        "the token service refused with 400; the server requires a client certificate and says so with 400; it asked for \
         one issued by CN=A; none is configured for it (token at https://reg.example). Configure a client certificate and \
         key for this origin, or a pair that lends the registry's to it."
    );
    assert_eq!(error.diagnosis().map(|found| found.state), Some(State::RejectedOverHttp { status: 400 }));

    // A wrong password is a wrong password.
    let (error, transcript) = token_refused(401, "application/json", "{}", Shown::NotAsked);
    assert_eq!(error.diagnosis(), None);
    assert_eq!(error.remedy(), "Check user and password, or the refresh token, for this registry.");
    assert!(transcript.contains("  the server did not ask for a certificate: me.crt was not shown\n"), "{transcript}");
    let (error, transcript) = token_refused(403, "application/json", "{}", Shown::NotAsked);
    assert!(error.what().contains("403; me.crt is configured and the server did not ask"), "{error}");
    assert_eq!(error.remedy(), "Check user and password, or the refresh token, for this registry.");
    assert!(!transcript.contains("s3cret"));
}
