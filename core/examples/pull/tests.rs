//! The whole of it, against the demonstration's servers.

use std::io::{BufRead as _, BufReader, Write as _, copy};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use regauth::{Hop, Host as Entry};

use crate::demo::{Demo, Trouble};
use crate::failure::{Exit, Failure};
use crate::host::Host;
use crate::layout::Layout;
use crate::places::Places;
use crate::platform::Platform;
use crate::progress::Progress;
use crate::proxy::Proxies;
use crate::pull::{Image, Pulled, pull};
use crate::table::Row;
use crate::testing::directory;

/// A pull from the demonstration; its rows too.
fn from(demo: &Demo, proxies: Proxies, pulls: u32) -> (Result<Pulled, Failure>, Vec<Row>) {
    let host = Host::new(demo.config.clone(), proxies, Duration::from_secs(20), false).unwrap();
    let places = Places::of(&host.agent, &demo.name);
    let image = Image { places, name: &demo.name, platform: Platform::here() };
    let directory = directory("pull");
    let layout = Layout::create(&directory.join("out")).unwrap();
    let mut result = pull(&host, 1, &image, Some(&layout), &Progress::new());
    for number in 2..=pulls {
        result = pull(&host, number, &image, None, &Progress::new());
    }
    if let Ok(pulled) = &result {
        layout.finish(&pulled.manifest, None).unwrap();
    }
    (result, host.rows())
}

#[test]
fn a_second_pull_asks_for_nothing_again() {
    let demo = Demo::start().unwrap();
    let (result, rows) = from(&demo, Proxies::default(), 2);
    assert_eq!(result.unwrap().blobs, 4);
    let of = |pull: u32, hop: Hop| rows.iter().filter(move |row| row.pull == pull && row.hop == hop);
    let counts = |pull| [Hop::Registry, Hop::Token, Hop::Redirect].map(|hop| of(pull, hop).count());
    // Manifest twice and four blobs; then each once.
    assert_eq!(counts(1), [6, 1, 4]);
    assert_eq!(counts(2), [5, 0, 4]);
    for row in &rows {
        let evidence = row.evidence.as_ref().unwrap();
        assert!(evidence.asked(), "{row:?}");
        assert_eq!(row.shown().is_some(), row.hop != Hop::Redirect, "{row:?}");
        assert!(row.hop != Hop::Redirect || row.authorization.is_none(), "{row:?}");
    }
    // After the first connection to an origin, sessions are resumed.
    for hop in [Hop::Registry, Hop::Token, Hop::Redirect] {
        let new = rows.iter().filter(|row| row.hop == hop && !row.reused);
        let full = new.filter(|row| row.evidence.as_ref().is_some_and(|evidence| !evidence.resumed)).count();
        assert_eq!(full, 1, "{hop}");
    }
    assert!(demo.verdict().unwrap().contains("saw 8 requests"));
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let demo = Demo::with("127.0.0.1", Trouble { cut: Some(300_000), times: 3, no_ranges: false }).unwrap();
    from(&demo, Proxies::default(), 1).0.unwrap();
    assert_eq!(demo.ranges(), 3);
    demo.verdict().unwrap();
}

#[test]
fn without_ranges_a_broken_download_begins_again() {
    let demo = Demo::with("127.0.0.1", Trouble { cut: Some(300_000), times: 2, no_ranges: true }).unwrap();
    from(&demo, Proxies::default(), 1).0.unwrap();
    assert_eq!(demo.ranges(), 2);
}

#[test]
fn a_download_that_never_gets_on_is_given_up() {
    let demo = Demo::with("127.0.0.1", Trouble { cut: Some(1000), times: usize::MAX, no_ranges: false }).unwrap();
    let failure = from(&demo, Proxies::default(), 1).0.unwrap_err();
    assert_eq!(failure.exit, Exit::Network);
    assert!(failure.what.contains("(redirect at https://127.0.0.1:"), "{failure}");
    assert!(failure.what.contains("; 3000 of "), "{failure}");
}

#[test]
fn a_certificate_that_is_required_by_tls_is_said() {
    let mut demo = Demo::start().unwrap();
    demo.config.host(demo.name.origin().clone(), Entry::default());
    let failure = from(&demo, Proxies::default(), 1).0.unwrap_err();
    assert_eq!(failure.exit, Exit::Network);
    assert!(failure.what.starts_with("the server requires a client certificate and none was shown (alert 116)"));
    assert!(failure.what.contains("none is configured for it (registry at https://127.0.0.1:"), "{failure}");
    assert_eq!(failure.todo, "Give a client certificate and its key with --cert FILE --key FILE.");
}

#[test]
fn every_hop_goes_through_the_proxy() {
    // The name resolves nowhere: only the proxy knows where it is.
    let demo = Demo::with("registry.example", Trouble::default()).unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let proxy = proxy(Arc::clone(&tunnels));
    let proxies = Proxies::new(|name| (name == "HTTPS_PROXY").then(|| format!("http://{proxy}"))).unwrap();
    let (result, rows) = from(&demo, proxies, 1);
    assert_eq!(result.unwrap().blobs, 4);
    let connections = rows.iter().filter(|row| !row.reused).count();
    assert_eq!(tunnels.load(Ordering::SeqCst), connections);
    demo.verdict().unwrap();
}

#[test]
fn what_a_proxy_refuses_is_said() {
    let demo = Demo::with("registry.example", Trouble::default()).unwrap();
    let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxies = Proxies::new(|name| (name == "HTTPS_PROXY").then(|| format!("http://{nowhere}"))).unwrap();
    let failure = from(&demo, proxies, 1).0.unwrap_err();
    assert_eq!(failure.exit, Exit::Network);
    assert!(failure.what.contains(&format!("the proxy {nowhere}: connection refused")), "{failure}");
}

/// A proxy to ports of this machine, whatever the host's name.
fn proxy(tunnels: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            tunnels.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || tunnel(client));
        }
    });
    address
}

fn tunnel(mut client: TcpStream) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut port = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(target) = line.strip_prefix("CONNECT ") {
            port = target.split(' ').next().and_then(|target| target.rsplit_once(':')?.1.parse::<u16>().ok());
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port.unwrap())).unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let (mut back, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || copy(&mut back, &mut to_client));
    _ = copy(&mut reader, &mut server);
    _ = server.shutdown(std::net::Shutdown::Write);
}
