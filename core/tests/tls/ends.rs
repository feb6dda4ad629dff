//! How a connection ends: errors of every kind, alerts, closing, misuse.

use std::sync::Arc;

use regauth::error::Failure;
use regauth::origin::Origin;
use regauth::time::Time;
use regauth::tls::{Profile, ServerFlaw, Settings, Tls, TlsClient, TlsError, Version};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::world::{Ask, NOW, Outcome, Pace, Pipe, Setup, WORLD, exchange, origin, profile, self_signed, settings};

fn with(change: impl FnOnce(&mut Settings)) -> Profile {
    let mut settings = settings(&[]);
    change(&mut settings);
    Profile::new(settings)
}

fn refused(profile: &Profile) -> TlsError {
    TlsClient::connect(profile, &origin(), NOW).err().unwrap()
}

fn serve(leaf: &crate::world::Leaf) -> Arc<ServerConfig> {
    let mut setup = Setup::new(&TLS13, Ask::No);
    setup.leaf = leaf;
    setup.config()
}

#[test]
fn a_servers_certificate_is_checked() {
    let end = |leaf: &crate::world::Leaf| exchange(&profile(&[]), &serve(leaf), Pace::Whole);
    let server = |flaw: ServerFlaw| Err(TlsError::Server(flaw));
    let outcome = end(&WORLD.ca.server("registry.example", (2020, 2025)));
    assert_eq!(outcome.end, server(ServerFlaw::Expired { not_after: Some(Time(1_735_689_600_000)) }));
    assert_eq!(outcome.end.unwrap_err().failure(), Failure::ServerCertificate);
    assert!(matches!(outcome.server_error, Some(rustls::Error::AlertReceived(_))), "{:?}", outcome.server_error);
    assert_eq!(end(&WORLD.ca.server("registry.example", (2030, 2031))).end, server(ServerFlaw::NotYetValid));
    assert_eq!(end(&WORLD.other.server("registry.example", (2025, 2030))).end, server(ServerFlaw::Untrusted));
    let Err(TlsError::Server(ServerFlaw::WrongName { presented })) =
        end(&WORLD.ca.server("mirror.example", (2025, 2030))).end
    else {
        panic!()
    };
    assert!(presented[0].contains("mirror.example"), "{presented:?}");
    assert_eq!(end(&WORLD.ca.client("no server")).end.unwrap_err().failure(), Failure::ServerCertificate);
}

#[test]
fn a_certificate_given_as_root_is_trusted_as_the_servers() {
    let leaf = self_signed("registry", Some("registry.example"));
    let given = |leaf: &crate::world::Leaf| with(|settings| settings.roots.pem = vec![leaf.pem.as_bytes().into()]);
    assert_eq!(exchange(&given(&leaf), &serve(&leaf), Pace::Whole).end, Ok(()));
    let other = self_signed("registry", Some("mirror.example"));
    let end = exchange(&given(&other), &serve(&other), Pace::Whole).end;
    assert!(matches!(end, Err(TlsError::Server(ServerFlaw::WrongName { .. }))), "{end:?}");
    assert!(exchange(&profile(&[]), &serve(&leaf), Pace::Whole).end.is_err());
    // Within its time only.
    let at = |now| {
        let client = TlsClient::connect(&given(&leaf), &origin(), now).unwrap();
        let mut pipe = Pipe::new(client, &serve(&leaf), Pace::Whole);
        pipe.now = now;
        pipe.run().end
    };
    let end = at(Time(4_000_000_000_000));
    assert!(matches!(end, Err(TlsError::Server(ServerFlaw::Expired { .. }))), "{end:?}");
    assert_eq!(at(Time(1_000_000_000)), Err(TlsError::Server(ServerFlaw::NotYetValid)));
}

#[test]
fn skip_verify_accepts_any_server() {
    let profile = with(|settings| {
        settings.roots.pem.clear();
        settings.skip_verify = true;
    });
    let leaf = WORLD.other.server("elsewhere.example", (2020, 2021));
    assert_eq!(exchange(&profile, &serve(&leaf), Pace::Whole).end, Ok(()));
}

#[test]
fn an_unusable_profile_is_a_local_error() {
    for (profile, error) in [
        (with(|settings| settings.roots.pem.push(Arc::from(&b"not PEM"[..]))), TlsError::Roots(1)),
        (with(|settings| settings.roots.pem.clear()), TlsError::NoRoots),
        (with(|settings| settings.alpn = vec![Vec::new()]), TlsError::Alpn),
        (
            with(|settings| {
                settings.min_version = Some(Version::Tls13);
                settings.max_version = Some(Version::Tls12);
            }),
            TlsError::NoVersion,
        ),
    ] {
        assert_eq!(refused(&profile), error);
        assert!(error.is_local());
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(TlsClient::connect(&profile(&[]), &origin(), Time(0)).err(), Some(TlsError::NoTime));
    let mut public = Settings::default();
    public.roots.webpki = true;
    let v6 = Origin::parse("https://[::1]:5000").unwrap();
    assert!(TlsClient::connect(&Profile::new(public), &v6, NOW).is_ok());
}

#[test]
fn versions_and_protocols_are_negotiated() {
    let newer = with(|settings| settings.min_version = Some(Version::Tls13));
    let older = with(|settings| settings.max_version = Some(Version::Tls12));
    let (tls12, tls13) = (Setup::new(&TLS12, Ask::No).config(), Setup::new(&TLS13, Ask::No).config());
    assert_eq!(exchange(&newer, &tls12, Pace::Whole).end, Err(TlsError::NoCommonVersion));
    assert_eq!(exchange(&older, &tls13, Pace::Whole).end, Err(TlsError::NoCommonVersion));
    assert_eq!(exchange(&older, &tls12, Pace::Whole).evidence.version, Some(Version::Tls12));

    let alpn = with(|settings| settings.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()]);
    let mut setup = Setup::new(&TLS13, Ask::No);
    setup.alpn = vec![b"http/1.1".to_vec()];
    let client = TlsClient::connect(&alpn, &origin(), NOW).unwrap();
    let mut pipe = Pipe::new(client, &setup.config(), Pace::Whole);
    while pipe.step().is_none() {}
    assert_eq!(pipe.client.alpn(), Some(&b"http/1.1"[..]));
    let mut setup = Setup::new(&TLS13, Ask::No);
    setup.alpn = vec![b"imap".to_vec()];
    assert_eq!(exchange(&alpn, &setup.config(), Pace::Whole).end, Err(TlsError::Alert(120)));
}

/// A client that has said hello.
fn greeted() -> TlsClient {
    let mut client = TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap();
    while let Tls::Write(bytes) = client.poll(NOW) {
        let n = bytes.len();
        client.wrote(n);
    }
    client
}

#[test]
fn what_is_no_tls_is_called_so() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail.example ESMTP\r\n"]
    {
        let mut client = greeted();
        client.space()[..answer.len()].copy_from_slice(answer);
        client.filled(answer.len());
        while let Tls::Write(bytes) = client.poll(NOW) {
            let n = bytes.len();
            client.wrote(n);
        }
        assert_eq!(client.poll(NOW), Tls::Failed(&TlsError::NotTls));
    }
}

#[test]
fn an_error_is_final() {
    let server = Setup::new(&TLS13, Ask::Required).config();
    let mut pipe = Pipe::new(TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap(), &server, Pace::Whole);
    while pipe.step().is_none() {}
    let error = TlsError::CertificateRequired { alert: 116 };
    let client = &mut pipe.client;
    let evidence = client.evidence().clone();
    for _ in 0..2 {
        assert_eq!(client.poll(NOW), Tls::Failed(&error));
        assert!(client.space().is_empty());
        assert_eq!(client.send(b"x"), 0);
        client.filled(5);
        client.wrote(5);
        client.took(5);
        client.write_failed();
        client.close();
        client.release();
        assert!(!client.ready());
        assert_eq!(client.error(), Some(&error));
        assert_eq!(client.evidence(), &evidence);
    }
}

#[test]
fn the_alert_for_the_server_is_written_before_the_error_is_reported() {
    let server = serve(&WORLD.ca.server("mirror.example", (2025, 2030)));
    for works in [true, false] {
        let mut pipe = Pipe::new(TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap(), &server, Pace::Whole);
        while pipe.client.error().is_none() {
            assert!(pipe.step().is_none());
            pipe.client.poll(NOW);
        }
        let Tls::Write(first) = pipe.client.poll(NOW) else { panic!() };
        let first = first.to_vec();
        assert_eq!(pipe.client.poll(NOW), Tls::Write(&first), "not answered yet");
        if works {
            pipe.client.wrote(1);
            assert_eq!(pipe.client.poll(NOW), Tls::Write(&first[1..]));
            pipe.client.wrote(first.len() - 1);
        } else {
            pipe.client.write_failed();
        }
        assert!(matches!(pipe.client.poll(NOW), Tls::Failed(TlsError::Server(ServerFlaw::WrongName { .. }))));
    }
}

#[test]
fn the_alert_behind_a_failed_write_is_found() {
    let server = Setup::new(&TLS13, Ask::Required).config();
    let mut pipe = Pipe::new(TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap(), &server, Pace::Whole);
    while pipe.sent < 4 {
        assert!(pipe.step().is_none());
    }
    // The handshake's last flight is on its way; the request is not written any more.
    while let Tls::Write(mut bytes) = pipe.client.poll(NOW) {
        let n = pipe.server.read_tls(&mut bytes).unwrap();
        pipe.client.wrote(n);
        pipe.serve();
    }
    pipe.client.send(b"body");
    assert!(matches!(pipe.client.poll(NOW), Tls::Write(_)));
    pipe.client.write_failed();
    assert_eq!(pipe.client.poll(NOW), Tls::Read);
    assert_eq!(pipe.client.send(b"body"), 0);
    assert_eq!(pipe.run().end, Err(TlsError::CertificateRequired { alert: 116 }));
}

#[test]
fn close_says_so_and_is_final() {
    for version in [&TLS12, &TLS13] {
        let server = Setup::new(version, Ask::No).config();
        let mut pipe = Pipe::new(TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap(), &server, Pace::Whole);
        while pipe.sent < 3 {
            assert!(pipe.step().is_none());
        }
        pipe.client.close();
        while let Tls::Write(mut bytes) = pipe.client.poll(NOW) {
            let n = pipe.server.read_tls(&mut bytes).unwrap();
            pipe.client.wrote(n);
            pipe.serve();
        }
        assert_eq!(pipe.client.poll(NOW), Tls::Closed);
        assert!(pipe.client.space().is_empty());
        assert_eq!(pipe.request, 3, "what was sent before arrives before");
        assert!(pipe.server.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn misuse_is_an_error_and_no_panic() {
    let misuse = |call: fn(&mut TlsClient)| {
        let mut client = greeted();
        call(&mut client);
        let Tls::Failed(TlsError::Misuse(what)) = client.poll(NOW) else { panic!() };
        *what
    };
    assert!(misuse(|client| client.wrote(1)).starts_with("wrote"));
    assert!(misuse(|client| client.took(1)).starts_with("took"));
    assert!(misuse(|client| client.filled(1)).starts_with("filled"));
    assert!(misuse(|client| client.filled(usize::MAX)).starts_with("filled"));
    let never_polled = misuse(|client| {
        let mut all = 0;
        while !client.space().is_empty() {
            let n = client.space().len();
            client.filled(n);
            all += n;
        }
        assert!((64 << 10..=256 << 10).contains(&all), "{all}");
        client.filled(1);
    });
    assert!(never_polled.starts_with("filled"));
}

/// What a server may send before it has said anything that can be used ends, too.
#[test]
fn a_message_in_too_many_records_is_an_error() {
    let mut client = greeted();
    // A ServerHello of 65,280 bytes, each in a record of its own.
    let message = [0x02, 0x00, 0xff, 0x00].into_iter().chain(std::iter::repeat_n(0_u8, 0xff00));
    let mut stream = message.flat_map(|byte| [22, 3, 3, 0, 1, byte]);
    while client.poll(NOW) == Tls::Read {
        let space = client.space();
        assert!(!space.is_empty(), "nothing can be read");
        let n = space.iter_mut().zip(&mut stream).map(|(room, byte)| *room = byte).count();
        client.filled(n);
    }
    while let Tls::Write(bytes) = client.poll(NOW) {
        let n = bytes.len();
        client.wrote(n);
    }
    assert!(matches!(client.poll(NOW), Tls::Failed(TlsError::Protocol(_))), "{:?}", client.poll(NOW));
}

#[test]
fn a_changed_byte_never_goes_unnoticed() {
    for version in [&TLS12, &TLS13] {
        let mut setup = Setup::new(version, Ask::Required);
        setup.resume = false;
        let (server, profile) = (setup.config(), profile(&[&WORLD.right]));
        let mut at = 0;
        loop {
            let client = TlsClient::connect(&profile, &origin(), NOW).unwrap();
            let mut pipe = Pipe::new(client, &server, Pace::Whole);
            pipe.spoil = Some(at);
            let Outcome { end, plain, .. } = pipe.run();
            if end.is_ok() {
                // A session id or a version that nobody looks at, or beyond the end.
                assert_eq!(plain, b"pong");
                if at > 600 {
                    break;
                }
            }
            at += 1;
        }
        assert!(at > 700, "{at}");
    }
}

#[test]
fn much_data_goes_both_ways() {
    let server = Setup::new(&TLS13, Ask::No).config();
    let mut pipe = Pipe::new(TlsClient::connect(&profile(&[]), &origin(), NOW).unwrap(), &server, Pace::Whole);
    pipe.sent = 5;
    while !pipe.client.ready() {
        assert!(pipe.step().is_none());
    }
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (mut sent, mut echoed) = (0, Vec::new());
    while echoed.len() < body.len() {
        let taken = pipe.client.send(&body[sent..]);
        assert!(taken <= 64 * 1024);
        sent += taken;
        // Of a record nothing, half or all is taken on the spot.
        let on_the_spot = |bytes: &[u8]| {
            let n = bytes.len() * (echoed.len() % 3) / 2;
            echoed.extend_from_slice(&bytes[..n]);
            n
        };
        match pipe.client.poll_with(NOW, on_the_spot) {
            Tls::Write(mut bytes) => {
                let n = pipe.server.read_tls(&mut bytes).unwrap();
                pipe.client.wrote(n);
                pipe.server.process_new_packets().unwrap();
                let mut plain = vec![0; 1 << 20];
                let n = std::io::Read::read(&mut pipe.server.reader(), &mut plain).unwrap_or(0);
                std::io::Write::write_all(&mut pipe.server.writer(), &plain[..n]).unwrap();
                while pipe.server.wants_write() {
                    pipe.server.write_tls(&mut pipe.down).unwrap();
                }
            }
            plain @ Tls::Plain(bytes) => {
                assert_eq!(format!("{plain:?}"), format!("Plain({})", bytes.len()), "how much, not what");
                echoed.extend_from_slice(bytes);
                let n = bytes.len();
                pipe.client.took(n);
            }
            Tls::Read => {
                pipe.client.release();
                let space = pipe.client.space();
                let n = pipe.down.len().min(space.len());
                assert!(n > 0);
                space[..n].copy_from_slice(&pipe.down[..n]);
                pipe.down.drain(..n);
                pipe.client.filled(n);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(echoed == body);
}
