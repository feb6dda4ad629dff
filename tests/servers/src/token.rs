//! A token service: Basic on `GET`, forms on `POST`, answers signed by the core's own `server/jws`.

use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regauth::server::{Access, KeyRef, SigningKey};
use serde_json::json;

use crate::http::Message;
use crate::registry::token;
use crate::{PASSWORD, REFRESH, SERVICE, USER};

/// Connections at one time; more are closed at once.
const CONNECTIONS: usize = 64;

/// How many requests of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub requests: usize,
    /// Those that were `POST`.
    pub posts: usize,
    /// Those that got no token.
    pub refused: usize,
}

/// How the token service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// It wants the password, or the refresh token.
    #[default]
    Password,
    /// It gives a token to whoever reaches it: nginx has checked the certificate.
    Certificate,
    /// The same, this many milliseconds later.
    Slow(u64),
    /// It never answers.
    Hang,
    /// It closes the connection without an answer.
    Close,
    /// It breaks off in the middle of the body.
    BreakOff,
    /// Its answer is 33 MiB long.
    Huge,
    /// As `Certificate`, with header fields that are not UTF-8.
    Binary,
    /// It refuses everybody with 403.
    Refuse,
}

/// A running token service: plain http on a free port of 127.0.0.1. Dropping it ends its threads.
#[derive(Debug)]
pub struct TokenService {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    signer: Mutex<(Arc<SigningKey>, KeyRef)>,
    ttl: u64,
    manner: Mutex<Manner>,
    stop: AtomicBool,
    open: AtomicUsize,
    requests: AtomicUsize,
    posts: AtomicUsize,
    refused: AtomicUsize,
}

impl TokenService {
    /// Starts one whose tokens are signed by `key`, name it by `reference` and live `ttl` seconds.
    pub fn start(key: Arc<SigningKey>, reference: KeyRef, ttl: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            signer: Mutex::new((key, reference)),
            ttl,
            manner: Mutex::default(),
            stop: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            posts: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || accept(&listener, &shared));
        Ok(Self { address, state, thread: Some(thread) })
    }

    /// Changes how it behaves from the next request on.
    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Signs with another key from the next token on.
    pub fn sign_with(&self, key: Arc<SigningKey>, reference: KeyRef) {
        *self.state.signer.lock().unwrap_or_else(PoisonError::into_inner) = (key, reference);
    }

    /// What was asked so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        Counts {
            requests: read(&self.state.requests),
            posts: read(&self.state.posts),
            refused: read(&self.state.refused),
        }
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        _ = TcpStream::connect(self.address);
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if state.open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
            state.open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let state = Arc::clone(state);
        thread::spawn(move || {
            // Whoever hangs up early is not our trouble.
            _ = serve(stream, &state);
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn serve(mut stream: TcpStream, state: &State) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = Message::read(&stream, false)?;
    state.requests.fetch_add(1, Ordering::SeqCst);
    let manner = *state.manner.lock().unwrap_or_else(PoisonError::into_inner);
    match manner {
        Manner::Slow(milliseconds) => thread::sleep(Duration::from_millis(milliseconds)),
        Manner::Hang => {
            // Until the other side has had enough, or the test is over.
            while !state.stop.load(Ordering::SeqCst) {
                match stream.read(&mut [0; 64]) {
                    Ok(0) => break,
                    Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                    _ => {}
                }
            }
            return Ok(());
        }
        Manner::Close => return Ok(()),
        Manner::BreakOff => {
            return write!(stream, "HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{{\"token\": \"abc");
        }
        Manner::Huge => {
            let length = 33 << 20;
            write!(stream, "HTTP/1.1 200 X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
            return stream.write_all(&vec![b' '; length]);
        }
        _ => {}
    }
    let reply = if manner == Manner::Refuse {
        (403, json!({"error": "access_denied"}).to_string())
    } else {
        answer(&request, state, manner != Manner::Password)?
    };
    if request.first.starts_with("POST ") {
        state.posts.fetch_add(1, Ordering::SeqCst);
    }
    if reply.0 != 200 {
        state.refused.fetch_add(1, Ordering::SeqCst);
    }
    let (status, body) = reply;
    let challenge = if status == 401 { "WWW-Authenticate: Basic realm=\"tokens\"\r\n" } else { "" };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n")?;
    if manner == Manner::Binary {
        stream.write_all(b"X-Binary: \xff\xfe\r\nRetry-After: \xff\r\nLocation: \xff\r\n")?;
    }
    write!(stream, "{challenge}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Status and body.
fn answer(request: &Message, state: &State, anyone: bool) -> Result<(u16, String)> {
    let mut words = request.first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let error = |status, code: &str| Ok((status, json!({"error": code, "errors": [{"code": "DENIED"}]}).to_string()));
    if path != "/service/token" {
        return error(404, "invalid_request");
    }
    let post = method == "POST";
    let form = String::from_utf8_lossy(&request.body);
    let parameters = parse(if post { &form } else { query });
    let get = |name: &str| parameters.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value.as_str());
    let known = match (method, get("grant_type")) {
        ("GET", _) => basic(request.field("authorization")),
        ("POST", "password") => get("username") == USER && get("password") == PASSWORD,
        ("POST", "refresh_token") => get("refresh_token") == REFRESH,
        ("POST", _) => return error(400, "unsupported_grant_type"),
        _ => return error(405, "invalid_request"),
    };
    if get("service") != SERVICE {
        return error(400, "invalid_request");
    }
    if !known && !anyone {
        return error(401, if post { "invalid_grant" } else { "invalid_client" });
    }
    let scopes: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| value.split(' '))
        .filter_map(access)
        .collect();
    let said = scopes.iter().map(|a| format!("{}:{}:{}", a.kind, a.name, a.actions.join(","))).collect::<Vec<_>>();
    let (key, reference) = state.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let token = token(&key, &reference, scopes, state.ttl)?;
    let mut reply = json!({"token": token, "access_token": token, "expires_in": state.ttl});
    if let (true, Some(object)) = (post, reply.as_object_mut()) {
        object.insert("scope".into(), said.join(" ").into());
    }
    Ok((200, reply.to_string()))
}

fn basic(authorization: Option<&str>) -> bool {
    authorization
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .is_some_and(|pair| pair == format!("{USER}:{PASSWORD}").as_bytes())
}

/// All that the one user asks for, it may.
fn access(scope: &str) -> Option<Access> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(Access { kind: kind.into(), name: name.into(), actions: actions.split(',').map(str::to_string).collect() })
}

/// The pairs of a query or a form.
fn parse(text: &str) -> Vec<(String, String)> {
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            _ => byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
