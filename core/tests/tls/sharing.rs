//! What connections of one profile share, and what they do not.

use std::sync::Arc;

use regauth::origin::Origin;
use regauth::tls::{Evidence, Profile, Shown, TlsClient};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::world::{Ask, NOW, Pace, Pipe, Setup, WORLD, origin, profile};

fn to(profile: &Profile, origin: &str, server: &Arc<ServerConfig>) -> Evidence {
    let client = TlsClient::connect(profile, &Origin::parse(origin).unwrap(), NOW).unwrap();
    let outcome = Pipe::new(client, server, Pace::Whole).run();
    assert_eq!(outcome.end, Ok(()));
    outcome.evidence
}

#[test]
fn ports_share_no_sessions() {
    for version in [&TLS12, &TLS13] {
        let server = Setup::new(version, Ask::Required).config();
        let profile = profile(&[&WORLD.right]);
        assert!(!to(&profile, "https://registry.example:5000", &server).resumed);
        assert!(!to(&profile, "https://registry.example:5001", &server).resumed);
        assert!(to(&profile, "https://registry.example:5000", &server).resumed);
        assert!(to(&profile, "https://registry.example:5001", &server).resumed);
    }
}

#[test]
fn profiles_share_no_sessions() {
    let server = Setup::new(&TLS13, Ask::Optional).config();
    let (with, without) = (profile(&[&WORLD.right]), profile(&[]));
    assert_eq!(to(&with, "https://registry.example", &server).pair, Some(0));
    let evidence = to(&without, "https://registry.example", &server);
    assert_eq!((evidence.resumed, evidence.shown), (false, Shown::NoPair));
}

#[test]
fn interleaved_connections_keep_their_own_evidence() {
    let servers = [Ask::No, Ask::Optional, Ask::Required].map(|ask| (ask, Setup::new(&TLS13, ask).config())).to_vec();
    let profile = profile(&[&WORLD.right]);
    let mut pipes: Vec<_> = servers
        .iter()
        .cycle()
        .take(12)
        .map(|(ask, server)| {
            let client = TlsClient::connect(&profile, &origin(), NOW).unwrap();
            (*ask, Pipe::new(client, server, Pace::Pieces(50)), false)
        })
        .collect();
    while pipes.iter().any(|(.., done)| !done) {
        for (_, pipe, done) in pipes.iter_mut().filter(|(.., done)| !done) {
            *done = pipe.step().is_some();
        }
    }
    for (ask, pipe, _) in &pipes {
        assert_eq!(pipe.plain, b"pong");
        assert_eq!(pipe.client.evidence().asked(), *ask != Ask::No);
    }
}

#[test]
fn threads_may_share_a_profile() {
    const fn is_send<T: Send>() {}
    is_send::<TlsClient>();
    let profile = profile(&[&WORLD.right]);
    let servers = [Ask::No, Ask::Required].map(|ask| (ask, Setup::new(&TLS12, ask).config()));
    std::thread::scope(|scope| {
        for (n, (ask, server)) in servers.iter().cycle().take(8).enumerate() {
            let profile = &profile;
            scope.spawn(move || {
                for _ in 0..20 {
                    let evidence = to(profile, &format!("https://registry.example:{}", 6000 + n), server);
                    assert_eq!(evidence.asked(), *ask == Ask::Required);
                }
            });
        }
    });
}
