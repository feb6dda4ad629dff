use regauth_proxy_tests::host::{Call, Fields, Host, Machine, State, encode};

use crate::support::{CHALLENGE, CONFIGURATION, challenged, pull, request, status, token};

const CALLS: [&str; 16] = [
    "log",
    "time",
    "tick",
    "buffer",
    "fields",
    "field",
    "replace",
    "remove",
    "call",
    "continue",
    "reply",
    "shared",
    "share",
    "context",
    "define",
    "increment",
];

/// A small life: cold, warm, refused, probed, renewed, expired, and a client that goes.
fn live(host: &Host, machine: &mut Machine) {
    let answer_all = |machine: &mut Machine| {
        for call in machine.calls() {
            let is_token = call.cluster == "tokens";
            let answer = if is_token { (status("200"), token("T", 100)) } else { (challenged(CHALLENGE), vec![]) };
            machine.answer(&call, Some((answer.0, &answer.1)));
        }
    };
    for id in (10..90).step_by(10) {
        machine.request(id, pull(1), true);
        machine.response(id, challenged(CHALLENGE));
        machine.end(id);
        machine.request(id + 1, pull(2), true);
        machine.request(id + 2, request("PUT", "/v2/team/app/blobs/uploads/1", 1), false);
        if id == 50 {
            machine.end(id + 1);
        }
        answer_all(machine);
        answer_all(machine);
        machine.response(id + 1, status("200"));
        machine.response(
            id + 2,
            [status("202"), vec![(b"location".to_vec(), b"https://reg.example/v2/x".to_vec())]].concat(),
        );
        machine.end(id + 1);
        machine.end(id + 2);
        host.pass(40_000);
        machine.tick();
        answer_all(machine);
    }
}

/// Each call of the host fails, with each status, always: there is no trap, and nobody's token goes astray.
#[test]
fn every_status_of_every_call() {
    for name in CALLS {
        for code in [1, 2, 7, 8, 10, 12, u32::MAX] {
            let host = Host::default();
            let Ok(mut machine) = host.machine(CONFIGURATION) else { continue };
            machine.state().fail.insert(name, code);
            live(&host, &mut machine);
            // From the start.
            let mut state = State::default();
            state.fail.insert(name, code);
            if let Ok(mut machine) = host.machine_with(CONFIGURATION, state) {
                live(&host, &mut machine);
            } else {
                assert_eq!(name, "buffer", "only a configuration that cannot be read is refused");
            }
        }
    }
    // A trap ends the test, in `Machine::run`.
    println!("traps in the fault list: 0");
}

/// A reproducible source of chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.below(256) as u8).collect()
    }

    fn of<'a>(&mut self, table: &[&'a [u8]]) -> &'a [u8] {
        table[self.below(table.len() as u64) as usize]
    }

    fn fields(&mut self) -> Fields {
        const NAMES: [&[u8]; 12] = [
            b":method",
            b":path",
            b":authority",
            b":status",
            b"authorization",
            b"www-authenticate",
            b"location",
            b"x-envoy-attempt-count",
            b"retry-after",
            b"x",
            b"",
            b"WWW-Authenticate",
        ];
        const VALUES: [&[u8]; 20] = [
            b"GET",
            b"PUT",
            b"G T",
            b"",
            b"\xff\xfe",
            b"/v2/team/app/manifests/one",
            b"/v2/\xff",
            b"/v2",
            b"/v2/a/blobs/uploads/?mount=x&from=y",
            b"reg.example:443",
            b"401",
            b"200",
            b"99999",
            b"-1",
            b"307",
            b"https://reg.example/v2/\xff",
            b"https://reg.example",
            br#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull""#,
            br#"Bearer realm="https://evil.example/",scope="\xff", Basic realm="#,
            b"4294967295",
        ];
        (0..self.below(10))
            .map(|_| {
                let value = if self.below(6) == 0 { self.bytes(300) } else { self.of(&VALUES).to_vec() };
                (self.of(&NAMES).to_vec(), value)
            })
            .collect()
    }
}

/// Callbacks in any order, for contexts that are not there, twice, with bytes that nobody should send: no trap.
#[test]
fn callbacks_in_any_order() {
    for seed in 1..=60_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let host = Host::default();
        let configuration = if seed % 3 == 0 {
            CONFIGURATION.replacen('{', "{\"placement\": \"downstream\", ", 1)
        } else {
            CONFIGURATION.into()
        };
        let mut machines = [host.machine(&configuration).unwrap(), host.machine(&configuration).unwrap()];
        let mut sent: Vec<Call> = Vec::new();
        for _ in 0..400 {
            let machine = &mut machines[chance.below(2) as usize];
            let id = chance.below(12) as u32;
            match chance.below(14) {
                0..3 => drop(machine.request(id + 2, pull(1 + chance.below(5) as u32), chance.below(2) == 0)),
                3 => drop(machine.request(id, chance.fields(), chance.below(2) == 0)),
                4 => drop(machine.response(id + 2, challenged(CHALLENGE))),
                5 => drop(machine.response(id, chance.fields())),
                6 if id > 1 => machine.end(id),
                7 => {
                    host.pass(chance.below(20_000));
                    machine.tick();
                }
                8 | 9 => {
                    let Some(call) = sent.pop() else { continue };
                    let body = if chance.below(2) == 0 { token("T", chance.below(200)) } else { chance.bytes(200) };
                    let answer = if chance.below(5) == 0 { None } else { Some((chance.fields(), body.as_slice())) };
                    machine.answer(&call, answer);
                    if chance.below(4) == 0 {
                        sent.push(call); // an answer that comes twice
                    }
                }
                10 => {
                    let call = sent.last().cloned();
                    if let Some(call) = call {
                        machine.answer(&call, Some((status("200"), &token("T", 60))));
                    }
                }
                11 => {
                    let mut bytes = encode(&chance.fields());
                    for _ in 0..chance.below(6) {
                        if let Some(byte) = bytes.get_mut(chance.below(40) as usize) {
                            *byte = chance.below(256) as u8;
                        }
                    }
                    machine.state().garbage = Some(bytes);
                    machine.request(id + 2, pull(1), true);
                    machine.response(id + 2, challenged(CHALLENGE));
                    machine.state().garbage = None;
                }
                12 => {
                    let name = CALLS[chance.below(16) as usize];
                    machine.state().fail.insert(name, 1 + chance.below(12) as u32);
                }
                _ => machine.state().fail.clear(),
            }
            sent.extend(machine.calls());
        }
    }
}

/// A token answer of 32 MiB is not read in.
#[test]
fn an_answer_that_is_huge() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = crate::support::cold(&mut machine, 10);
    let before = machine.memory();
    machine.answer(&call, Some((status("200"), &vec![b' '; 32 << 20])));
    let (_, status, _, message) = crate::support::reply(&mut machine);
    assert_eq!(status, 502, "{message}");
    assert!(machine.memory() < before + (4 << 20), "{} KiB", machine.memory() >> 10);
}

/// Configurations that cannot be used are refused with a sentence.
#[test]
fn configurations() {
    let host = Host::default();
    for (text, why) in [
        ("", "value expected at byte 0"),
        ("{}", "registries"),
        (r#"{"registries": {}}"#, "none is named"),
        (r#"{"registries": {"reg.example": {"cluster": "r"}}}"#, "reg.example"),
        (r#"{"registries": {"https://r": {"cluster": ""}}}"#, "no name"),
        (r#"{"registries": {"https://r": {"cluster": "r", "user": "u"}}}"#, "go together"),
        (r#"{"registries": {"https://r": {"cluster": "r", "realms": {"x": "y"}}}}"#, "\"x\""),
        (r#"{"registries": {"https://r": {"cluster": "r"}}, "timeout_ms": 0}"#, "timeout_ms"),
        (r#"{"registries": {"https://r": {"cluster": "r"}}, "timeout_ms": 1.5}"#, "not a whole number"),
        (r#"{"registries": {"https://r": {"cluster": "r"}}, "colour": 1}"#, "unknown field"),
        (r#"{"registries": {"https://r": {"cluster": "r", "colour": 1}}}"#, "unknown field"),
        (r#"{"registries": {"https://r": {"cluster": "r", "cluster": "q"}}}"#, "duplicate field"),
        (r#"{"registries": {"https://r": {"cluster": 1}}}"#, "not a text"),
        (r#"{"registries": {"https://r": {"cluster": "r", "hosts": "h"}}}"#, "not a list"),
        (r#"{"registries": {"https://r": "r"}}"#, "not an object"),
        (r#"{"registries": {"https://r": {"cluster": "r"}}, "placement": "sideways"}"#, "unknown variant"),
        (r#"{"registries": {"https://r": {"cluster": "r"}}} 1"#, "end of file expected"),
        (r#"{"registries": [[[[[[[[[]]]]]]]]]}"#, "depth"),
    ] {
        let log = host.machine(text).err().unwrap();
        assert!(log.iter().any(|line| line.contains(why)), "{why}: {log:?}");
    }
}
