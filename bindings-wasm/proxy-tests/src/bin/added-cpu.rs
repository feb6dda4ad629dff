//! What a cached request costs Envoy: its CPU time for each, without a plugin, with one that does nothing, and with ours,
//! in rounds that take turns. Prints the least and the median of all rounds, in microseconds, and the differences.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use regauth::server::{Access, KeyRef};
use regauth_proxy_tests::envoy::{Envoy, Setup};
use regauth_servers::{Kind, Manner, Scenario, World};

const ROUNDS: usize = 10;
const REQUESTS: usize = 1_000;

/// Exports what Envoy calls for each request, and imports nothing.
const NOTHING: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "_initialize"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
    (func (export "proxy_on_delete") (param i32)))"#;

fn main() {
    let world = World::start(Kind::V3, Scenario::SecondHost).unwrap();
    world.behave(Manner::Certificate);
    let nothing = world.directory().join("nothing.wasm");
    fs::write(&nothing, wat::parse_str(NOTHING).unwrap()).unwrap();
    let reference = KeyRef::X5c(vec![world.pki.tokens_der.clone()]);
    let access =
        Access { kind: "repository".into(), name: world.seed.repository.into(), actions: ["pull".to_string()].into() };
    let token = world.token(&reference, vec![access]).unwrap();
    let own = format!("Authorization: Bearer {token}\r\n");
    let setup = |module| Setup { workers: 1, module, ..Setup::default() };
    let without = Setup { bare: true, ..setup(None) };
    let mut envoys = vec![
        ("no plugin", Envoy::start(&world, &without).unwrap(), own.as_str()),
        ("a plugin that does nothing", Envoy::start(&world, &setup(Some(nothing))).unwrap(), own.as_str()),
        ("regauth", Envoy::start(&world, &setup(None)).unwrap(), ""),
    ];
    // Other builds of the plugin, to be compared.
    let others: Vec<String> = std::env::args().skip(1).collect();
    for other in &others {
        envoys.push((other, Envoy::start(&world, &setup(Some(other.into()))).unwrap(), ""));
    }
    let path = format!("/v2/{}/blobs/{}", world.seed.repository, world.seed.image.config.digest);
    let mut rounds = vec![Vec::new(); envoys.len()];
    for round in 0..=ROUNDS {
        for ((_, envoy, fields), times) in envoys.iter().zip(&mut rounds) {
            let before = cpu(envoy.id());
            load(envoy.address, &path, fields);
            let spent = cpu(envoy.id()) - before;
            // The first round warms up.
            if round > 0 {
                times.push(spent as f64 / 1e3 / REQUESTS as f64);
            }
        }
    }
    println!("Envoy's CPU time for a request, {ROUNDS} rounds of {REQUESTS}, in microseconds: least, median");
    let mut least = Vec::new();
    for ((name, ..), times) in envoys.iter().zip(&mut rounds) {
        times.sort_by(f64::total_cmp);
        println!("{name:28} {:7.1} {:7.1}", times[0], times[times.len() / 2]);
        least.push((times[0], times[times.len() / 2]));
    }
    println!(
        "regauth over a plugin that does nothing: least +{:.1}, median +{:.1}",
        least[2].0 - least[1].0,
        least[2].1 - least[1].1
    );
}

/// Requests on one connection, one after the other.
fn load(to: SocketAddr, path: &str, fields: &str) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: {to}\r\n{fields}\r\n");
    let mut buffer = [0; 4096];
    for _ in 0..REQUESTS {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "closed");
            answer.extend_from_slice(&buffer[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// The CPU time that a process has used, in nanoseconds: the first field of each thread's schedstat.
fn cpu(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads
        .map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}
