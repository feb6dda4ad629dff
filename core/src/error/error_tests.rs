//! What users read: each kind of error, its fault and its two sentences, written out.

use super::*;
use crate::tls::{Flaw, Shown, Version};

/// The place of each kind in the table. A new kind does not compile until it has one.
fn number(kind: &ErrorKind) -> usize {
    match kind {
        ErrorKind::Misuse(_) => 0,
        ErrorKind::Url(_) => 1,
        ErrorKind::Method => 2,
        ErrorKind::Header(_) => 3,
        ErrorKind::Field(_) => 4,
        ErrorKind::BodyGone => 5,
        ErrorKind::UserHoldsColon => 6,
        ErrorKind::NoPassword { .. } => 7,
        ErrorKind::WrongKind { .. } => 8,
        ErrorKind::Helper(_) => 9,
        ErrorKind::Credentials(_) => 10,
        ErrorKind::Identity(_) => 11,
        ErrorKind::Tls { .. } => 12,
        ErrorKind::Realm { .. } => 13,
        ErrorKind::Refused { .. } => 14,
        ErrorKind::TooManyTokens => 15,
        ErrorKind::Protocol(_) => 16,
        ErrorKind::TokenRefused { .. } => 17,
        ErrorKind::TokenLater { .. } => 18,
        ErrorKind::TokenMalformed(_) => 19,
        ErrorKind::TokenNowhere { .. } => 20,
        ErrorKind::Network { .. } => 21,
        ErrorKind::Denied(_) => 22,
        ErrorKind::Ask { .. } => 23,
        ErrorKind::Address(_) => 24,
    }
}

type Row = (ErrorKind, Fault, &'static str, &'static str);

fn local() -> Vec<Row> {
    use ErrorKind as Kind;
    let kinds = [
        (
            Kind::Misuse("answer() without a request"),
            "the library was called out of order: answer() without a request",
            "Answer each step with the call that its documentation names.",
        ),
        (
            Kind::Url(UrlFlaw::Port),
            "the URL has a port that is no number from 1 to 65535",
            "Give an absolute http or https URL.",
        ),
        (Kind::Method, "the method is no HTTP token", "Give a method such as GET."),
        (
            Kind::Header("x y".into()),
            "the header field \"x y\" of a host entry cannot be sent",
            "Use a token as the name, visible text as the value, and credentials for Authorization.",
        ),
        (
            Kind::Field("a field name is no HTTP token"),
            "a header field of the application is refused: a field name is no HTTP token",
            "Leave framing and credentials to the library, and send visible text.",
        ),
        (
            Kind::BodyGone,
            "the request has to be sent again and its body cannot be read twice",
            "Send the body from something that can be rewound, or ask for a token first.",
        ),
        (
            Kind::UserHoldsColon,
            "the user name holds a colon, which Basic cannot carry",
            "Use a user name without a colon, or ask for POST (password_post).",
        ),
        (
            Kind::NoPassword { user: "robot".into() },
            "the registry wants a password and robot has none",
            "Configure a password, or an identity token, for this registry.",
        ),
        (
            Kind::WrongKind { have: "a refresh token" },
            "the registry wants a password and the configuration has a refresh token",
            "Configure user and password for this registry.",
        ),
        (
            Kind::Helper("it failed and did not say why".into()),
            "the credential helper failed: it failed and did not say why",
            "Run the helper by hand with the registry's name on its standard input.",
        ),
        (
            Kind::Credentials("config.json:1 (auths.a): auth is not base64".into()),
            "config.json:1 (auths.a): auth is not base64",
            "Correct the file, or log in to the registry again.",
        ),
        (
            Kind::Identity("a.crt holds no certificate".into()),
            "a.crt holds no certificate",
            "Give a PEM certificate chain and the unencrypted PEM key that belongs to its first certificate.",
        ),
        (
            Kind::Tls { what: "me.crt: the signer did not sign: it is locked".into(), remedy: "Unlock it." },
            "me.crt: the signer did not sign: it is locked",
            "Unlock it.",
        ),
    ];
    kinds.into_iter().map(|(kind, what, remedy)| (kind, Fault::Local, what, remedy)).collect()
}

fn registry() -> Vec<Row> {
    use ErrorKind as Kind;
    let kinds = [
        (
            Kind::Realm { realm: String::new() },
            "the Bearer challenge has no realm",
            "Set the token URL in the registry's configuration (auth.token.realm).",
        ),
        (
            Kind::Realm { realm: "Registry\n".into() },
            "the realm \"Registry\\n\" of the Bearer challenge is no URL",
            "Set the token URL in the registry's configuration (auth.token.realm).",
        ),
        (
            Kind::Refused { sent: "a password", status: 401 },
            "a password was sent and refused with 401",
            "Check the credentials, and what they are allowed to do on this repository.",
        ),
        (
            Kind::TooManyTokens,
            "five tokens were fetched and each was refused",
            "Check that the registry trusts the token service's key and that their clocks agree.",
        ),
        (
            Kind::Protocol("it has more than 100 fields"),
            "the answer breaks HTTP/1.1: it has more than 100 fields",
            "Check what stands between this client and the server, a proxy for one.",
        ),
    ];
    kinds.into_iter().map(|(kind, what, remedy)| (kind, Fault::Registry, what, remedy)).collect()
}

fn certificates(state: CertificateState) -> Option<Box<Diagnosis>> {
    let (what, remedy) = ("me.crt was not shown".into(), "Show it.".into());
    Some(Box::new(Diagnosis { state, what, remedy, evidence: None }))
}

fn token_service() -> Vec<Row> {
    use ErrorKind as Kind;
    let user = "Check user and password, or the refresh token, for this registry.";
    let endpoint = "Check that the realm of the registry's challenge is its token endpoint.";
    let refused = |status, code, first, certificates| Kind::TokenRefused { status, code, first, certificates };
    let kinds = [
        (refused(403, None, None, None), "the token service refused with 403", user),
        (refused(401, Some("invalid_grant"), None, None), "the token service refused with 401 invalid_grant", user),
        (refused(401, None, Some(405), None), "the token service answered POST with 405 and GET with 401", user),
        (
            refused(403, None, None, certificates(CertificateState::Required)),
            "the token service refused with 403; me.crt was not shown",
            "Show it.",
        ),
        // Not asked for: most likely the password, and the user is told of both.
        (
            refused(403, None, None, certificates(CertificateState::NotAsked)),
            "the token service refused with 403; me.crt was not shown",
            user,
        ),
        (Kind::TokenLater { status: 503, retry_at: None }, "the token service answered 503", "Try again later."),
        (
            Kind::TokenLater { status: 429, retry_at: Some(Time(1_800_000_000_999)) },
            "the token service answered 429 and wants to be asked again at 1800000000 (Unix seconds)",
            "Try again later.",
        ),
        (
            Kind::TokenMalformed("it is no JSON object"),
            "the token service's answer holds no usable token: it is no JSON object",
            endpoint,
        ),
        (Kind::TokenNowhere { status: 302 }, "the token service answered 302 without a Location", endpoint),
    ];
    kinds.into_iter().map(|(kind, what, remedy)| (kind, Fault::TokenService, what, remedy)).collect()
}

fn network_failures() -> Vec<Row> {
    let reach = "Check that the server runs and can be reached from here.";
    [
        (Failure::Connect, "no connection", reach),
        (Failure::Timeout, "no answer in time", reach),
        (Failure::Reset, "the connection broke before the answer was whole", reach),
        (
            Failure::ServerCertificate,
            "the server's certificate is not trusted here",
            "Give the certificate authority that issued the server's certificate (ca).",
        ),
        (
            Failure::CertificateRequired,
            "the server requires a client certificate and none was shown",
            "Configure a client certificate and key for this origin, from an issuer that the server names.",
        ),
        (
            Failure::CertificateRejected,
            "the server rejected the TLS handshake or the client certificate",
            "Check that the server trusts the certificate's issuer and that it has not expired.",
        ),
        (Failure::Tls, "TLS failed", "Check that the port speaks TLS 1.2 or 1.3."),
        (
            Failure::AddressRefused,
            "no address of this host is allowed for this hop",
            "If this address is meant, give leave to it: local = true on the pair or the host entry.",
        ),
    ]
    .into_iter()
    .map(|(failure, what, remedy)| (ErrorKind::Network { failure, evidence: None }, Fault::Network, what, remedy))
    .collect()
}

fn policy() -> Vec<Row> {
    use ErrorKind as Kind;
    let server = "Ask who runs the server to correct the URL that it names.";
    let leave = "If this address is meant, give leave to it: local = true on the pair or the host entry.";
    let mut rows: Vec<Row> = [
        (
            Reason::Url(UrlFlaw::UserInformation),
            "refused by policy: the URL that the server named holds user information",
            server,
        ),
        (Reason::Downgrade, "refused by policy: a step from https to http", server),
        (
            Reason::HttpRealm,
            "refused by policy: an http realm, where the registry is not http on the same host",
            server,
        ),
        (Reason::Redirects, "refused by policy: more than 10 redirects", server),
        (Reason::TokenRedirects, "refused by policy: more than 3 redirects of a token request", server),
        (Reason::TokenCrossing, "refused by policy: a redirect of a token request to another origin", server),
        (Reason::BodyCrossing, "refused by policy: a redirect of a request with a body to another origin", server),
        (Reason::Location, "refused by policy: Location fields that differ or are no text", server),
        (Reason::Challenge, "refused by policy: control characters in the service or scope of a challenge", server),
        (
            Reason::NeverAddress,
            "refused by policy: a link-local, metadata, multicast, unspecified or reserved address",
            server,
        ),
        (Reason::MoreLocal, "refused by policy: an address more local than the registry's", leave),
        (Reason::Proxied, "refused by policy: plain http or a private literal behind a proxy", leave),
        (
            Reason::PasswordOverHttp,
            "refused by policy: a password over plain http",
            "Use https, or set password_over_http = true on the host entry.",
        ),
        (
            Reason::PasswordUnverified,
            "refused by policy: a password to a server whose certificate is not checked",
            "Give the server's certificate authority, or set password_unverified = true on the host entry.",
        ),
        (
            Reason::ForeignRealm,
            "refused by policy: credentials for a realm on a host that is not paired with the registry",
            "If you trust that host, add a pair of the registry and its token endpoint.",
        ),
    ]
    .into_iter()
    .map(|(reason, what, remedy)| (Kind::Denied(reason), Fault::Policy, what, remedy))
    .collect();
    rows.push((
        Kind::Ask { reason: Reason::PasswordOverHttp, line: "password_over_http = true".into() },
        Fault::Policy,
        "refused by policy: a password over plain http",
        "If you trust it, add to the configuration: password_over_http = true",
    ));
    rows.push((
        Kind::Address(Some([127, 0, 0, 1].into())),
        Fault::Policy,
        "refused by policy: the address 127.0.0.1 is not for this hop",
        leave,
    ));
    rows.push((
        Kind::Address(None),
        Fault::Policy,
        "refused by policy: no address of this host is allowed for this hop",
        leave,
    ));
    rows
}

#[test]
fn every_kind_has_its_fault_and_its_sentences() {
    let rows = [local(), registry(), token_service(), network_failures(), policy()].concat();
    let seen: std::collections::BTreeSet<usize> = rows.iter().map(|(kind, ..)| number(kind)).collect();
    assert!(seen.into_iter().eq(0..25), "a kind has no row");
    let origin = Origin::parse("https://reg.example:5000").ok();
    for (kind, fault, what, remedy) in rows {
        let error = Error::new(kind.clone());
        assert_eq!((error.fault(), error.what().as_str(), error.remedy().as_str()), (fault, what, remedy), "{kind:?}");
        assert_eq!(error.to_string(), format!("{what}. {remedy}"));
        assert_eq!((error.hop(), error.origin(), error.kind()), (None, None, &kind));
        // One sentence each: the first goes on with the place, the second is something to do.
        assert!(!what.ends_with('.') && remedy.starts_with(char::is_uppercase), "{kind:?}");
        assert!(remedy.ends_with('.') || matches!(kind, ErrorKind::Ask { .. }), "{kind:?}");

        let at = Error::at(kind.clone(), Hop::Redirect, origin.clone());
        assert_eq!(at.what(), format!("{what} (redirect at https://reg.example:5000)"));
        assert_eq!((at.hop(), at.origin(), at.fault()), (Some(Hop::Redirect), origin.as_ref(), fault));
        assert_eq!(Error::at(kind, Hop::Upload, None).what(), format!("{what} (upload)"));
    }
}

/// A realm or an answer that breaks HTTP may be either's.
#[test]
fn on_a_token_hop_the_registrys_errors_are_the_token_services() {
    for (kind, ..) in registry() {
        for (hop, fault) in [
            (Hop::Registry, Fault::Registry),
            (Hop::Redirect, Fault::Registry),
            (Hop::Upload, Fault::Registry),
            (Hop::Layer, Fault::Registry),
            (Hop::Token, Fault::TokenService),
            (Hop::TokenRedirect, Fault::TokenService),
        ] {
            assert_eq!(Error::at(kind.clone(), hop, None).fault(), fault, "{kind:?} {hop}");
            assert_eq!(hop.is_token(), fault == Fault::TokenService);
        }
    }
}

/// Bindings and logs match on these.
#[test]
fn names_are_stable() {
    let faults = [Fault::Local, Fault::Registry, Fault::TokenService, Fault::Network, Fault::Policy];
    assert_eq!(faults.map(Fault::as_str), ["local", "registry", "token-service", "network", "policy"]);
    let hops = [Hop::Registry, Hop::Token, Hop::Redirect, Hop::Upload, Hop::Layer, Hop::TokenRedirect];
    assert_eq!(hops.map(|hop| hop.to_string()), ["registry", "token", "redirect", "upload", "layer", "token-redirect"]);
    use CertificateState as State;
    let states = [
        (State::Required, "required"),
        (State::Rejected { alert: 48 }, "rejected"),
        (State::ProbablyRejected, "probably-rejected"),
        (State::RejectedOverHttp { status: 400 }, "rejected-over-http"),
        (State::AskedLate, "asked-late"),
        (State::NotAsked, "not-asked"),
    ];
    for (state, name) in states {
        assert_eq!(state.as_str(), name);
    }
    let allowed = [
        (Reason::Anchor, "the registry's own origin"),
        (Reason::SameHost, "the registry's host at another port"),
        (Reason::Paired, "paired in the configuration"),
        (Reason::BuiltIn, "a built-in pair"),
        (Reason::AnyHttps, "the mode any-https: credentials go to a host that is not paired"),
        (Reason::Foreign, "another origin: without any grant"),
        (Reason::LayerUrl, "a URL of a manifest: without any grant"),
    ];
    for (reason, text) in allowed {
        assert_eq!(reason.to_string(), text);
    }
}

fn network_error(failure: Failure, change: impl FnOnce(&mut Evidence)) -> Error {
    let mut evidence = Evidence { version: Some(Version::Tls13), finished: true, ..Evidence::default() };
    change(&mut evidence);
    Error::new(ErrorKind::Network { failure, evidence: Some(Box::new(evidence)) })
}

fn shown(issuer: &str) -> Shown {
    Shown::Pair { label: "me.crt".into(), issuer: issuer.into() }
}

/// What the server asked for, what is configured and what was sent: each only where it may be the cause.
#[test]
fn a_broken_connection_says_what_is_known_of_certificates() {
    let hints = |count: usize| (1..=count).map(|n| format!("CN=CA {n}")).collect::<Vec<_>>();
    let rows: Vec<(Error, &str, &str)> = vec![
        (
            network_error(Failure::Connect, |of| of.shown = shown("CN=A")),
            "no connection",
            "Check that the server runs and can be reached from here.",
        ),
        // TLS 1.2 may break off for what it got, without an alert.
        (
            network_error(Failure::Reset, |of| of.shown = shown("")),
            "the connection broke before the answer was whole; the server had asked for a client certificate; me.crt was \
             sent",
            "Check that the server runs and can be reached from here.",
        ),
        // It answered before: the certificate was good.
        (
            network_error(Failure::Reset, |of| (of.shown, of.accepted) = (shown("CN=A"), true)),
            "the connection broke before the answer was whole",
            "Check that the server runs and can be reached from here.",
        ),
        (
            network_error(Failure::CertificateRequired, |of| (of.shown, of.hints) = (Shown::NoPair, hints(3))),
            "the server requires a client certificate and none was shown; it asked for one issued by CN=CA 1 or CN=CA 2 or \
             CN=CA 3; none is configured for it",
            "Configure a client certificate and key for this origin, or a pair that lends the registry's to it.",
        ),
        (
            network_error(Failure::CertificateRequired, |of| {
                (of.shown, of.hints) = (Shown::NoneFits(vec!["a.crt was issued by CN=B".into()]), hints(200));
            }),
            "the server requires a client certificate and none was shown; it asked for one issued by CN=CA 1 or CN=CA 2 or \
             CN=CA 3 or 197 others; a.crt was issued by CN=B; none was sent",
            "Configure a client certificate and key of an issuer that the server names.",
        ),
        (
            network_error(Failure::CertificateRejected, |of| {
                (of.shown, of.flaw, of.resumed) = (shown("CN=A"), Some(Flaw::NotForClients), true);
            }),
            "the server rejected the TLS handshake or the client certificate; me.crt, issued by CN=A, was sent, and its \
             extended key usage does not allow clients; the session was resumed",
            "Use a client certificate whose extended key usage has clientAuth, or that has no such extension.",
        ),
        (
            network_error(Failure::Tls, |of| of.problem = Some(("the server sent nonsense".into(), "Mend it.".into()))),
            "the server sent nonsense",
            "Mend it.",
        ),
    ];
    for (error, what, remedy) in rows {
        assert_eq!((error.what().as_str(), error.remedy().as_str()), (what, remedy));
    }
    // Only broken connections and refusals say something of certificates.
    assert_eq!(Error::new(ErrorKind::TooManyTokens).diagnosis(), None);
    let refused = ErrorKind::TokenRefused {
        status: 403,
        code: None,
        first: None,
        certificates: certificates(CertificateState::AskedLate),
    };
    assert_eq!(Error::new(refused).diagnosis().map(|found| found.state), Some(CertificateState::AskedLate));
    // Whether there was a certificate to refuse is in the evidence that comes with it.
    let asked = Evidence { shown: Shown::NoPair, ..Evidence::default() };
    let page = b"<center>No required SSL certificate was sent</center>";
    let found = Diagnosis::of_answer(400, Some(b"text/html"), page, None, Some(&asked));
    assert_eq!(found.and_then(|found| found.evidence), Some(asked));
}
