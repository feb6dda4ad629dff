//! Whole exchanges with servers that say anything: they end, the pace makes no difference, no secret is shown, and none
//! goes to where it may not.

use std::collections::VecDeque;
use std::task::Waker;

use arbitrary::{Arbitrary, Unstructured};
use regauth::origin::Origin;
use regauth::wire::{Do, Exchange, Link, LinkKey};
use regauth::{Agent, Dial, Failure, Found, Time};

use crate::setup::{BASIC, CANARY, Kind, SETUP, Setup, credentials, holds_secret};
use crate::{FIELD, RECORD, holds};

const NOW: Time = Time(1_795_341_600_000);
const MOST_CALLS: usize = 200_000;

/// A [`Setup`], whose registry is one of plain http; a byte for the body and one for pieces; method and target; and then
/// one record for each answer.
pub fn run(data: &[u8]) {
    if holds_secret(data) {
        return;
    }
    let Some((setup, rest)) = data.split_at_checked(SETUP) else { return };
    let Ok(mut setup) = Setup::arbitrary(&mut Unstructured::new(setup)) else { return };
    // Those of `ORIGINS` that are plain http: TLS has a target of its own.
    setup.anchor = [2, 3, 11, 12][usize::from(setup.anchor) % 4];
    let Some(([body, pieces], rest)) = rest.split_first_chunk::<2>() else { return };
    let mut records = rest.split(|byte| *byte == RECORD);
    let first = String::from_utf8_lossy(records.next().unwrap_or_default()).into_owned();
    let (method, target) = first.split_once(char::from(FIELD)).unwrap_or(("GET", "/v2/app/manifests/1"));
    let answers: Vec<&[u8]> = records.collect();
    let whole = one(&setup, *body, usize::MAX, method, target, &answers);
    let pieces = one(&setup, *body, usize::from(*pieces % 64).max(1), method, target, &answers);
    assert!(whole == pieces, "the pace makes a difference: {whole:?}, {pieces:?}");
}

/// What the application gets: status, content, and the error's text.
type Outcome = Option<(Option<u16>, Vec<u8>, Option<String>)>;

struct Connection {
    origin: Origin,
    down: Vec<u8>,
    /// Something was written that is not answered.
    asked: bool,
    over: bool,
}

fn one(setup: &Setup, body: u8, pace: usize, method: &str, target: &str, answers: &[&[u8]]) -> Outcome {
    let agent = Agent::new(setup.config()).expect("a configuration that can be sent");
    let anchor = setup.anchor();
    let flow = agent.request(method, &format!("{anchor}{target}")).ok()?;
    if *flow.anchor() != anchor {
        return None;
    }
    let mut answers: VecDeque<&[u8]> = answers.iter().copied().collect();
    let mut exchange = Exchange::new(&agent, flow);
    exchange.header("Accept", b"*/*").expect("a field of the application");
    assert!(exchange.header("Authorization", b"x").is_err());
    let upload = b"some content".repeat(usize::from(body >> 4));
    match body & 3 {
        1 => exchange.body_len(Some(upload.len() as u64)),
        2 => exchange.body_len(None),
        _ => {}
    }
    if body & 4 != 0 {
        exchange.body_rewinds();
    }
    let kind = if setup.kind() == Kind::Ask { Kind::Basic } else { setup.kind() };
    let (mut pool, mut socket): (Vec<(LinkKey, Link, Connection)>, Option<Connection>) = (Vec::new(), None);
    let (mut now, mut given, mut content, mut status) = (NOW, 0, Vec::new(), None);
    for _ in 0..MOST_CALLS {
        match exchange.poll(now, Waker::noop()) {
            Do::Connect(to) => {
                assert!(socket.is_none(), "one socket at a time");
                let (key, origin) = (to.key(false), to.origin.clone());
                let pooled = pool.iter().position(|(known, _, _)| to.pooled && *known == key);
                if let Some(place) = pooled {
                    let (_, link, warm) = pool.remove(place);
                    socket = Some(warm);
                    exchange.connected(now, Some(link));
                } else if !origin.is_https() && exchange.dial(Dial::Ip([127, 0, 0, 1].into())).is_ok() {
                    socket = Some(Connection { origin, down: Vec::new(), asked: false, over: false });
                    exchange.connected(now, None);
                } else {
                    exchange.failed(now, Failure::Connect);
                }
            }
            Do::Write(bytes) => {
                let bytes = bytes[..bytes.len().min(pace)].to_vec();
                let to = socket.as_mut().expect("a socket");
                // It reads what is there before it writes.
                if !to.down.is_empty() {
                    let space = exchange.space();
                    let n = to.down.len().min(space.len()).min(pace);
                    space[..n].copy_from_slice(&to.down[..n]);
                    to.down.drain(..n);
                    exchange.filled(n);
                    continue;
                }
                to.asked = true;
                let origin = to.origin.clone();
                written(setup, &exchange, &origin, &bytes);
                exchange.wrote(bytes.len());
            }
            Do::Read => {
                let from = socket.as_mut().expect("a socket");
                if from.down.is_empty() && from.asked {
                    from.down = answers.pop_front().unwrap_or_default().to_vec();
                    from.asked = false;
                }
                let space = exchange.space();
                let n = from.down.len().min(space.len()).min(pace);
                space[..n].copy_from_slice(&from.down[..n]);
                from.down.drain(..n);
                from.over |= n == 0;
                exchange.filled(n);
            }
            Do::WantBody { again } => {
                if again {
                    given = 0;
                }
                let rest = &upload[given..];
                let piece = &rest[..rest.len().min(pace)];
                given += exchange.body(piece, piece.len() == rest.len());
            }
            Do::Head(head) => {
                assert!(status.replace(head.status()).is_none(), "one head");
                exchange.took_head();
            }
            Do::Body(bytes) => {
                content.extend_from_slice(bytes);
                let n = bytes.len();
                exchange.took(n);
            }
            Do::Credentials(_) => {
                let found = credentials(kind).map(|credentials| Found { credentials, valid_until: None });
                exchange.credentials(now, Ok(found));
            }
            Do::Wait { until, .. } => now = now.max(until),
            Do::Close => {
                let old = socket.take().expect("a socket");
                if let (Some(link), false) = (exchange.take_link(), old.over) {
                    pool.push((link.key().clone(), link, old));
                }
                exchange.closed();
            }
            Do::Done => {
                hidden(&exchange, None);
                assert!(status.is_some(), "done without an answer");
                return Some((status, content, None));
            }
            Do::Failed(error) => {
                let error = error.to_string();
                hidden(&exchange, Some(&error));
                return Some((status, content, Some(error)));
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not end");
}

/// No secret goes to where it may not, and a request is what it is said to be.
fn written(setup: &Setup, exchange: &Exchange, origin: &Origin, bytes: &[u8]) {
    let sent = exchange.sent().last().expect("it is about to be sent");
    assert_eq!(sent.url.origin(), origin);
    let visited: Vec<Origin> = exchange
        .sent()
        .iter()
        .rev()
        .skip(1)
        .filter(|earlier| !earlier.hop.is_token())
        .map(|earlier| earlier.url.origin().clone())
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let most = setup.most(sent.hop, origin, &visited, false);
    let secret = ["password", "refresh", "preset", "token"]
        .iter()
        .any(|kind| holds(bytes, format!("{CANARY}-{kind}").as_bytes()));
    assert!(!(secret || holds(bytes, BASIC.as_bytes())) || most.secret || most.bearer, "{} to {origin}", sent.hop);
    assert!(!holds(bytes, format!("{CANARY}-header").as_bytes()) || most.header.is_some(), "{} to {origin}", sent.hop);
    assert!(setup.may_exist(sent.hop, origin));
}

fn hidden(exchange: &Exchange, error: Option<&str>) {
    let mut shown = format!("{exchange:?} {:?} {error:?}", exchange.sent());
    exchange.explain(&mut shown).expect("a string");
    assert!(!holds_secret(shown.as_bytes()), "{shown}");
}
