//! Requests for a certificate after the handshake, which no rustls server makes: records are forged with its keys.

use regauth::error::Failure;
use regauth::tls::{Tls, TlsClient, TlsError};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ConnectionTrafficSecrets, SupportedProtocolVersion};

use crate::world::{Ask, NOW, Pace, Pipe, Setup, origin, profile};

struct Forger {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Forger {
    fn seal(&mut self, nonce: [u8; 12], aad: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut plain).unwrap();
        self.sequence += 1;
        plain
    }

    /// A handshake record, RFC 5288 section 3.
    fn tls12(&mut self, message: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        let mut nonce = self.iv;
        nonce[4..].copy_from_slice(&sequence);
        let mut aad = sequence.to_vec();
        aad.extend_from_slice(&[22, 3, 3, 0, u8::try_from(message.len()).unwrap()]);
        let sealed = self.seal(nonce, &aad, message.to_vec());
        let mut record = vec![22, 3, 3, 0, u8::try_from(sealed.len() + 8).unwrap()];
        record.extend_from_slice(&sequence);
        record.extend_from_slice(&sealed);
        record
    }

    /// A handshake record, RFC 8446 section 5.2.
    fn tls13(&mut self, message: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        for (byte, of) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of;
        }
        let mut plain = message.to_vec();
        plain.push(22);
        let header = [23, 3, 3, 0, u8::try_from(plain.len() + 16).unwrap()];
        let sealed = self.seal(nonce, &header, plain);
        [&header[..], &sealed].concat()
    }
}

/// A client after its handshake, and the server's keys.
fn connected(version: &'static SupportedProtocolVersion) -> (TlsClient, Forger) {
    let server = Setup::new(version, Ask::No).config();
    let client = TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap();
    let mut pipe = Pipe::new(client, &server, Pace::Whole);
    pipe.sent = 5;
    while !(pipe.client.ready() && pipe.down.is_empty() && !pipe.server.is_handshaking()) {
        assert!(pipe.step().is_none());
    }
    pipe.client.poll(NOW);
    let (sequence, secrets) = pipe.server.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another suite") };
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    (pipe.client, Forger { key, iv: iv.as_ref().try_into().unwrap(), sequence })
}

fn feed(client: &mut TlsClient, bytes: &[u8]) {
    client.space()[..bytes.len()].copy_from_slice(bytes);
    client.filled(bytes.len());
}

#[test]
fn renegotiation_is_refused_and_named() {
    let (mut client, mut forger) = connected(&TLS12);
    feed(&mut client, &forger.tls12(&[0, 0, 0, 0]));
    let Tls::Write(refusal) = client.poll(NOW) else { panic!() };
    assert_eq!(refusal[0], 21);
    let n = refusal.len();
    client.wrote(n);
    assert!(client.evidence().late);
    assert_eq!(client.poll(NOW), Tls::Read);
    client.filled(0);
    assert_eq!(client.poll(NOW), Tls::Failed(&TlsError::LateRequest));
    assert_eq!(client.evidence().failure(Failure::Reset), Failure::CertificateRequired);

    // A second request ends it at once.
    let (mut client, mut forger) = connected(&TLS12);
    let both = [forger.tls12(&[0, 0, 0, 0]), forger.tls12(&[0, 0, 0, 0])].concat();
    feed(&mut client, &both);
    while let Tls::Write(bytes) = client.poll(NOW) {
        let n = bytes.len();
        client.wrote(n);
    }
    assert_eq!(client.poll(NOW), Tls::Failed(&TlsError::LateRequest));
    assert!(TlsError::LateRequest.what().contains("renegotiation"));
}

#[test]
fn post_handshake_authentication_is_refused_and_named() {
    let (mut client, mut forger) = connected(&TLS13);
    // An empty context and the extension signature_algorithms.
    let request = [13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    feed(&mut client, &forger.tls13(&request));
    // The alert comes first, and then the error.
    let Tls::Write(alert) = client.poll(NOW) else { panic!() };
    let n = alert.len();
    client.wrote(n);
    assert_eq!(client.poll(NOW), Tls::Failed(&TlsError::LateRequest));
    assert!(client.evidence().late);
}
