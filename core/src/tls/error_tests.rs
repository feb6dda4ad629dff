//! What users read of TLS: each error, whose it is, and its two sentences, written out.

use super::super::identity::IdentityFlaw;
use super::*;

/// The place of each error in the table. A new one does not compile until it has one.
fn number(error: &TlsError) -> usize {
    match error {
        TlsError::Roots(_) => 0,
        TlsError::NoRoots => 1,
        TlsError::NoProvider => 2,
        TlsError::NoVersion => 3,
        TlsError::Alpn => 4,
        TlsError::ServerName(_) => 5,
        TlsError::NoTime => 6,
        TlsError::Identity(_) => 7,
        TlsError::NamedOnly(_) => 8,
        TlsError::Signer { .. } => 9,
        TlsError::Misuse(_) => 10,
        TlsError::Server(_) => 11,
        TlsError::NoCommonVersion => 12,
        TlsError::Incompatible(_) => 13,
        TlsError::CertificateRequired { .. } => 14,
        TlsError::CertificateRejected { .. } => 15,
        TlsError::ProbablyRejected { .. } => 16,
        TlsError::LateRequest => 17,
        TlsError::Alert(_) => 18,
        TlsError::Truncated { .. } => 19,
        TlsError::NotTls => 20,
        TlsError::Protocol(_) => 21,
    }
}

/// Error, whether it is local, what it is reported as, and the sentences.
type Row = (TlsError, bool, Failure, &'static str, &'static str);

fn local() -> Vec<Row> {
    let no_pem = IdentityError { label: "me.crt".into(), flaw: IdentityFlaw::NoCertificate };
    let signer = TlsError::Signer { label: "token".into(), why: SignError("the token is locked".into()) };
    [
        (
            TlsError::Roots(2),
            "PEM text 2 of the roots holds no usable certificate authority",
            "Give certificate authorities as PEM.",
        ),
        (
            TlsError::NoRoots,
            "there is no certificate authority to check the server against",
            "Give the certificate authority of the server (ca), or allow the compiled-in ones.",
        ),
        (
            TlsError::NoProvider,
            "the cryptography asked for is not compiled in",
            "Build with the feature ring or aws-lc-rs, and name one that is compiled in.",
        ),
        (
            TlsError::NoVersion,
            "the oldest TLS version allowed is newer than the newest",
            "Make min_version at most max_version.",
        ),
        (TlsError::Alpn, "an ALPN name is empty or longer than 255 bytes", "Give ALPN names such as http/1.1."),
        (
            TlsError::ServerName("a b".into()),
            "\"a b\" is no DNS name and no address",
            "Give a host name or an address.",
        ),
        (
            TlsError::NoTime,
            "the time was given as 0, and certificates cannot be checked without it",
            "Give the time in Unix milliseconds with every call.",
        ),
        (
            TlsError::Identity(no_pem),
            "me.crt: there is no PEM certificate in it",
            "Give the chain as PEM, leaf first (openssl x509 -inform der -in FILE -out FILE.pem makes PEM of DER).",
        ),
        (
            TlsError::NamedOnly("me".into()),
            "me: only the name of this identity is known, not its key",
            "Make the identity from PEM, or with a signer.",
        ),
        (
            signer,
            "token: the signer did not sign: the token is locked",
            "Check the token, agent or key service that holds the key.",
        ),
        (
            TlsError::Misuse("wrote() of more than a Write"),
            "the connection was called out of order: wrote() of more than a Write",
            "Answer each value with the call that its documentation names.",
        ),
    ]
    .into_iter()
    .map(|(error, what, remedy)| (error, true, Failure::Tls, what, remedy))
    .collect()
}

fn server_certificate() -> Vec<Row> {
    let expired = "Renew the server's certificate, and check this machine's clock.";
    let name = "Use a name that the certificate holds, or give the server a certificate with this name.";
    [
        (
            ServerFlaw::Untrusted,
            "the server's certificate is issued by nobody who is trusted here",
            "Give the certificate authority that issued the server's certificate (ca).",
        ),
        (ServerFlaw::Expired { not_after: None }, "the server's certificate has expired", expired),
        (
            ServerFlaw::Expired { not_after: Some(Time(1_700_000_000_000)) },
            "the server's certificate has expired at 1700000000 (Unix seconds)",
            expired,
        ),
        (
            ServerFlaw::NotYetValid,
            "the server's certificate is not valid yet",
            "Check this machine's clock, and the server's certificate.",
        ),
        (ServerFlaw::WrongName { presented: Vec::new() }, "the server's certificate is made out to another name", name),
        (
            ServerFlaw::WrongName { presented: vec!["a.example".into(), "b.example".into()] },
            "the server's certificate is made out to a.example, b.example",
            name,
        ),
        (
            ServerFlaw::Purpose,
            "the server's certificate is not meant for servers",
            "Use a certificate for the server whose extended key usage allows servers.",
        ),
        (
            ServerFlaw::Broken("BadEncoding".into()),
            "the server's certificate cannot be used: BadEncoding",
            "Replace the server's certificate.",
        ),
    ]
    .into_iter()
    .map(|(flaw, what, remedy)| (TlsError::Server(flaw), false, Failure::ServerCertificate, what, remedy))
    .collect()
}

fn connection() -> Vec<Row> {
    let offer = "Let the server offer TLS 1.2 or 1.3 with current ciphers.";
    let configure = "Configure a client certificate and key for this origin, from an issuer that the server names.";
    let trust = "Check that the server trusts the certificate's issuer and that it has not expired.";
    let log = "Check what the server's log says about this connection.";
    let between = "Check that the server runs, and what stands between it and this client.";
    [
        (TlsError::NoCommonVersion, Failure::Tls, "the server speaks no TLS version that is offered", offer),
        (
            TlsError::Incompatible("NoCipherSuitesInCommon".into()),
            Failure::Tls,
            "the server and this client have too little in common: NoCipherSuitesInCommon",
            offer,
        ),
        (
            TlsError::CertificateRequired { alert: 116 },
            Failure::CertificateRequired,
            "the server requires a client certificate and none was shown (alert 116)",
            configure,
        ),
        (
            TlsError::CertificateRejected { alert: 48 },
            Failure::CertificateRejected,
            "the server refused the client certificate: unknown certificate authority (alert 48)",
            trust,
        ),
        (
            TlsError::ProbablyRejected { shown: true },
            Failure::CertificateRejected,
            "the server asked for a client certificate and broke the connection right after it was shown",
            trust,
        ),
        (
            TlsError::ProbablyRejected { shown: false },
            Failure::CertificateRequired,
            "the server asked for a client certificate, got none and broke the connection",
            configure,
        ),
        (
            TlsError::LateRequest,
            Failure::CertificateRequired,
            "the server asks for a client certificate after the handshake (TLS 1.2 renegotiation or TLS 1.3 post-handshake \
             authentication), which cannot be done",
            "Let the server ask in the first handshake: client authentication for the whole host, not for a path.",
        ),
        (TlsError::Alert(40), Failure::Tls, "the server ended TLS: handshake failure (alert 40)", log),
        (
            TlsError::Truncated { finished: false },
            Failure::Reset,
            "the connection ended during the TLS handshake",
            between,
        ),
        (
            TlsError::Truncated { finished: true },
            Failure::Reset,
            "the connection ended without a close_notify",
            between,
        ),
        (
            TlsError::NotTls,
            Failure::Tls,
            "what the server sent is no TLS",
            "Check that the port speaks TLS, or use http for it.",
        ),
        (
            TlsError::Protocol("a record is too long".into()),
            Failure::Tls,
            "the server breaks the TLS protocol: a record is too long",
            log,
        ),
    ]
    .into_iter()
    .map(|(error, failure, what, remedy)| (error, false, failure, what, remedy))
    .collect()
}

#[test]
fn every_error_has_its_sentences_and_is_reported_as_what_it_is() {
    let rows = [local(), server_certificate(), connection()].concat();
    let seen: std::collections::BTreeSet<usize> = rows.iter().map(|(error, ..)| number(error)).collect();
    assert!(seen.into_iter().eq(0..22), "an error has no row");
    for (error, local, failure, what, remedy) in rows {
        assert_eq!((error.what().as_str(), error.remedy()), (what, remedy), "{error:?}");
        assert_eq!((error.is_local(), error.failure()), (local, failure), "{error:?}");
        assert_eq!(error.to_string(), format!("{what}. {remedy}"));
        assert!(!what.ends_with('.') && remedy.ends_with('.'), "{error:?}");
    }
}

/// The alerts by the numbers of RFC 8446 section 6.2; 22, 42 and 71 are older than it, 86 is of RFC 7507.
#[test]
fn alerts_have_the_names_of_their_numbers() {
    for (alert, name) in [
        (10, "unexpected message"),
        (20, "bad record"),
        (22, "record overflow"),
        (40, "handshake failure"),
        (42, "bad certificate"),
        (43, "unsupported certificate"),
        (44, "certificate revoked"),
        (45, "certificate expired"),
        (46, "certificate unknown"),
        (47, "illegal parameter"),
        (48, "unknown certificate authority"),
        (49, "access denied"),
        (50, "decode error"),
        (51, "decrypt error"),
        (70, "protocol version"),
        (71, "insufficient security"),
        (80, "internal error"),
        (86, "inappropriate fallback"),
        (90, "user canceled"),
        (109, "missing extension"),
        (110, "unsupported extension"),
        (112, "unrecognized name"),
        (115, "unknown PSK identity"),
        (116, "certificate required"),
        (120, "no application protocol"),
        (0, "alert without a name here"),
        (255, "alert without a name here"),
    ] {
        assert_eq!(TlsError::Alert(alert).what(), format!("the server ended TLS: {name} (alert {alert})"));
    }
}

#[test]
fn every_flaw_of_an_identity_has_its_sentences() {
    let openssl =
        "Give the chain as PEM, leaf first (openssl x509 -inform der -in FILE -out FILE.pem makes PEM of DER).";
    let key = "Give the PEM key that belongs to the certificate, as PKCS#8, PKCS#1 or SEC1.";
    for (flaw, what, remedy) in [
        (IdentityFlaw::NoCertificate, "there is no PEM certificate in it", openssl),
        (IdentityFlaw::Certificate(3), "certificate 3 of the chain cannot be read", openssl),
        (IdentityFlaw::NoKey, "there is no PEM key in it", key),
        (IdentityFlaw::Key, "the PEM of the key is broken", key),
        (IdentityFlaw::EncryptedKey, "the key is encrypted", "Decrypt it: openssl pkey -in KEY -out DECRYPTED-KEY."),
        (
            IdentityFlaw::UnsupportedKey("OPENSSH".into()),
            "the OPENSSH key cannot be used",
            "Use an RSA key of 2,048 bits or more, ECDSA P-256 or P-384, or Ed25519, as PKCS#8, PKCS#1 or SEC1.",
        ),
        (
            IdentityFlaw::KeyMismatch { belongs_to: None },
            "the key does not belong to the first certificate",
            "Give the key whose public half the certificate holds (openssl pkey -in KEY -pubout shows it).",
        ),
        (
            IdentityFlaw::KeyMismatch { belongs_to: Some(2) },
            "the key belongs to certificate 2, not to the first",
            "Put the certificate of the key first.",
        ),
        (
            IdentityFlaw::NoProvider,
            "no cryptography is compiled in to read the key with",
            "Build with the feature ring or aws-lc-rs.",
        ),
    ] {
        let error = IdentityError { label: "me.pem".into(), flaw };
        assert_eq!(error.to_string(), format!("me.pem: {what}. {remedy}"));
    }
}
