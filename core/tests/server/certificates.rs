//! Client certificates made by hand, each with one thing that no authority of ours would write.

use regauth::Time;
use regauth::server::*;

/// A DER element with its length in the shortest form.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match content.len() {
        short @ 0..128 => vec![short as u8],
        long @ 128..256 => vec![0x81, long as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag], length.as_slice(), &content].concat()
}

const URI: &str = "spiffe://example.org/builder/1";

fn uri(text: &str) -> Vec<u8> {
    der(0x86, &[text.as_bytes()])
}

fn extension(id: u8, value: &[u8]) -> Vec<u8> {
    der(0x30, &[&[6, 3, 0x55, 0x1d, id], &der(4, &[value])])
}

fn names(list: &[&[u8]]) -> Vec<u8> {
    extension(0x11, &der(0x30, list))
}

fn extensions(list: &[&[u8]]) -> Vec<u8> {
    der(0xa3, &[&der(0x30, list)])
}

/// A certificate with this subject, this end, and what follows the key.
fn made(subject: &[u8], end: &[u8], rest: &[u8]) -> Vec<u8> {
    let algorithm = der(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let validity = der(0x30, &[&der(0x17, &[b"270101000000Z"]), end]);
    let key = der(0x30, &[&der(0x30, &[]), &der(3, &[&[0, 4]])]);
    let version = [0xa0, 3, 2, 1, 2];
    let tbs = der(0x30, &[&version, &[2, 1, 7], &algorithm, &der(0x30, &[]), &validity, subject, &key, rest]);
    der(0x30, &[&tbs, &algorithm, &der(3, &[&[0, 1]])])
}

fn end() -> Vec<u8> {
    der(0x18, &[b"99991231235959Z"])
}

/// What is read of a certificate with this after its key.
fn read(rest: &[u8]) -> Result<Peer, PeerError> {
    Peer::from_verified_der(&made(&der(0x30, &[]), &end(), rest), Source::Tls)
}

fn id(rest: &[u8]) -> Result<String, PeerError> {
    read(rest)?.spiffe().map(|id| id.to_string())
}

#[test]
fn one_uri_whatever_else_is_there() {
    let good = names(&[&uri(URI)]);
    assert_eq!(id(&extensions(&[&good])).as_deref(), Ok(URI));
    let (dns, mail, ip) = (der(0x82, &[b"a.example"]), der(0x81, &[b"a@example"]), der(0x87, &[&[127, 0, 0, 1]]));
    assert_eq!(id(&extensions(&[&names(&[&dns, &uri(URI), &mail, &ip])])).as_deref(), Ok(URI));
    for (list, error) in [
        (vec![uri(URI), uri(URI)], PeerError::Uris(2)),
        (vec![uri(URI), uri("https://example.org")], PeerError::Uris(2)),
        (vec![], PeerError::Uris(0)),
        (vec![uri("")], PeerError::Spiffe),
        (vec![uri("spiffe://example.org/a\0b")], PeerError::Spiffe),
        (vec![uri("spiffe://example.org/a\n")], PeerError::Spiffe),
        (vec![uri("spiffe://example.org")], PeerError::Spiffe),
        (vec![uri(&format!("spiffe://example.org/{}", "a".repeat(2048)))], PeerError::Spiffe),
        // A constructed URI: its content is elements, not text.
        (vec![der(0xa6, &[&uri(URI)])], PeerError::Certificate),
    ] {
        let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        assert_eq!(id(&extensions(&[&names(&list)])), Err(error));
    }
    assert_eq!(id(b""), Err(PeerError::Uris(0)), "no extensions");
}

#[test]
fn fields_that_another_reader_does_not_see() {
    let (one, other) = (extensions(&[&names(&[&uri(URI)])]), extensions(&[]));
    let unique = der(0x82, &[&[0, 1]]);
    assert_eq!(id(&[unique.clone(), one.clone()].concat()).as_deref(), Ok(URI));
    for rest in [
        [other.clone(), one.clone()].concat(),
        [one.clone(), other].concat(),
        [one.clone(), unique].concat(),
        [one.clone(), der(4, &[])].concat(),
        [der(4, &[]), one.clone()].concat(),
        // Twice the same extension, and one list with something after it.
        extensions(&[&names(&[&uri(URI)]), &names(&[&uri(URI)])]),
        der(0xa3, &[&der(0x30, &[&names(&[&uri(URI)])]), &[5, 0]]),
        // A length that is longer than it has to be, and an indefinite one.
        [&[0xa3, 0x81, one[1]], &one[2..]].concat(),
        [&[0xa3, 0x80], &one[2..], &[0, 0]].concat(),
    ] {
        assert_eq!(id(&rest), Err(PeerError::Certificate), "{rest:02x?}");
    }
}

#[test]
fn whoever_may_sign_is_nobody() {
    let good = names(&[&uri(URI)]);
    let usage = |bits: u8| extension(0x0f, &der(3, &[&[0, bits]]));
    let constraints = |content: &[u8]| extension(0x13, &der(0x30, &[content]));
    for fine in [usage(0x80), usage(0xf8), constraints(&[])] {
        assert_eq!(id(&extensions(&[&fine, &good])).as_deref(), Ok(URI));
        assert_eq!(id(&extensions(&[&good, &fine])).as_deref(), Ok(URI));
    }
    for authority in
        [usage(0x04), usage(0x82), usage(0xff), constraints(&[1, 1, 0xff]), constraints(&[1, 1, 0xff, 2, 1, 0])]
    {
        assert_eq!(id(&extensions(&[&authority, &good])), Err(PeerError::Authority));
        assert_eq!(id(&extensions(&[&good, &authority])), Err(PeerError::Authority));
    }
    // FALSE is the default and not written in DER.
    assert!(id(&extensions(&[&constraints(&[1, 1, 0]), &good])).is_err());
}

#[test]
fn ends_and_names() {
    let rest = extensions(&[&names(&[&uri(URI)])]);
    let at = |end: &[u8]| Peer::from_verified_der(&made(&der(0x30, &[]), end, &rest), Source::Tls);
    assert_eq!(at(&end()).unwrap().not_after(), Some(Time(253_402_300_799_000)));
    assert_eq!(at(&der(0x17, &[b"491231235959Z"])).unwrap().not_after(), Some(Time(2_524_607_999_000)));
    for wrong in [
        der(0x17, &[b"270230000000Z"]),
        der(0x17, &[b"2701010000Z"]),
        der(0x17, &[b"270101000000+0000"]),
        der(0x18, &[b"20270101000000.5Z"]),
        der(0x18, &[b"20270101250000Z"]),
        der(0x0c, &[b"270101000000Z"]),
        der(0x17, &[b""]),
    ] {
        assert_eq!(at(&wrong).err(), Some(PeerError::Certificate), "{wrong:02x?}");
    }
    let pair = |tag: u8, text: &[u8]| der(0x30, &[&[6, 3, 0x55, 4, 3], &der(tag, &[text])]);
    let named = |subject: &[u8]| {
        let peer = Peer::from_verified_der(&made(subject, &end(), &rest), Source::Tls);
        peer.map(|peer| peer.common_name().map(str::to_string))
    };
    let name = |pairs: &[Vec<u8>]| {
        der(
            0x30,
            &pairs
                .iter()
                .map(|pair| der(0x31, &[pair]))
                .collect::<Vec<_>>()
                .iter()
                .map(Vec::as_slice)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(named(&name(&[pair(0x0c, "bäcker".as_bytes())])), Ok(Some("bäcker".into())));
    assert_eq!(named(&name(&[pair(0x0c, b"a"), pair(0x0c, b"b")])), Ok(None), "which of the two?");
    let both = [pair(0x0c, b"a"), pair(0x0c, b"b")].concat();
    assert_eq!(named(&der(0x30, &[&der(0x31, &[&both])])), Ok(None));
    assert_eq!(named(&name(&[pair(0x1e, b"\0a")])), Ok(None), "UTF-16");
    assert_eq!(named(&name(&[pair(0x0c, b"\xff")])), Ok(None));
    assert_eq!(named(&der(0x31, &[])), Err(PeerError::Certificate));
}
