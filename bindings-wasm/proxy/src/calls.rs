//! Requests of the plugin's own (tokens, probes): one for all workers, whoever asks.
//!
//! They are sent by the root context, so that they outlive the client whose request they were made for.

use regauth::{Body, Failure, Outgoing, Time};

use crate::abi::{self, Buffer, Fields, Map};
use crate::slots::{self, Answer, SLOTS, Slot};
use crate::stats::{Count, Stats};

/// Milliseconds that an answer is of use to other workers: one that helps nobody is everybody's for as long as the core
/// says it is, a challenge for longer, a token until it does not do any more.
const REFUSAL: u64 = 1_000;
const CHALLENGE: u64 = 60_000;
const TOKEN: u64 = 86_400_000;
/// Milliseconds beyond the time-out of a request after which another worker takes the duty over.
const MARGIN: u64 = 1_000;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = regauth::token::MAX_ANSWER + 1;

/// What to send.
#[derive(Debug)]
pub(crate) struct Request {
    key: Vec<u8>,
    cluster: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    is_token: bool,
    is_shared: bool,
}

impl Request {
    /// The request of a flow, for this cluster. `print` tells configurations apart.
    pub(crate) fn new(out: &Outgoing, cluster: &str, print: u64) -> Self {
        let body = if let Body::Form(form) = &out.body { form.expose().to_vec() } else { Vec::new() };
        let mut key = print.to_le_bytes().to_vec();
        key.extend_from_slice(format!("{} {}{}", out.method, out.url.origin(), out.url.rest()).as_bytes());
        let mut fields: Vec<(String, Vec<u8>)> = vec![
            (":method".into(), out.method.clone().into()),
            (":scheme".into(), out.url.origin().scheme().as_str().into()),
            (":authority".into(), out.url.origin().authority().into()),
            (":path".into(), out.url.target().into()),
            ("user-agent".into(), b"regauth".into()),
        ];
        fields.extend(out.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.expose().to_vec())));
        Self {
            key,
            cluster: cluster.into(),
            fields,
            is_token: out.hop != regauth::Hop::Registry,
            // What proves itself by a secret in its body may be answered by another one.
            is_shared: body.is_empty(),
            body,
        }
    }

    /// For how long an answer serves those who did not ask.
    const fn use_of(&self, status: u16) -> u64 {
        match (self.is_token, status) {
            (true, 200..300) => TOKEN,
            (false, 1..) => CHALLENGE,
            _ => REFUSAL,
        }
    }
}

#[derive(Debug)]
struct Call {
    request: Request,
    /// The host's number for it; none: another worker has the duty.
    id: Option<u32>,
    jobs: Vec<u32>,
}

/// The requests that are under way in this worker, and which shared answers it has used.
#[derive(Debug)]
pub(crate) struct Calls {
    root: u32,
    timeout: u32,
    list: Vec<Call>,
    used: Vec<u32>,
}

impl Calls {
    pub(crate) fn new(root: u32, timeout: u32) -> Self {
        Self { root, timeout, list: Vec::new(), used: vec![0; SLOTS] }
    }

    /// Asks for the answer to a request. None: it comes, for this job, from [`Calls::answered`] or [`Calls::follow`].
    pub(crate) fn ask(&mut self, now: Time, request: Request, job: u32, stats: &mut Stats) -> Option<Answer> {
        if let Some(call) = self.list.iter_mut().find(|call| call.request.key == request.key) {
            // A flow that is polled again asks again.
            if !call.jobs.contains(&job) {
                call.jobs.push(job);
            }
            return None;
        }
        let mut call = Call { request, id: None, jobs: vec![job] };
        if let Some(answer) = self.begin(now, &mut call, stats) {
            return Some(answer);
        }
        self.list.push(call);
        None
    }

    /// Sends a request, or finds its answer, or that another worker has sent it.
    fn begin(&mut self, now: Time, call: &mut Call, stats: &mut Stats) -> Option<Answer> {
        let slot = slots::place(&call.request.key, call.request.is_token);
        // Every failed round is another worker's success.
        for _ in 0..8 {
            let (found, cas) = match slots::read(slot, &call.request.key, now) {
                Ok(found) if call.request.is_shared => found,
                _ => return self.send(now, call, None, stats),
            };
            match found {
                Slot::Flying => return None,
                Slot::Taken => return self.send(now, call, None, stats),
                Slot::Answered(answer) if self.is_new(slot, cas, now, &call.request, &answer) => {
                    self.mark_used(slot, cas);
                    stats.add(Count::Shared);
                    return Some(answer);
                }
                Slot::Answered(_) | Slot::Free => {
                    let until = now.plus_millis(u64::from(self.timeout) + MARGIN);
                    match slots::take(slot, &call.request.key, until, cas) {
                        Ok(true) => return self.send(now, call, Some(slot), stats),
                        Ok(false) => {}
                        Err(_) => return self.send(now, call, None, stats),
                    }
                }
            }
        }
        None
    }

    /// An answer is used once: who asks again has found that it does not do.
    fn is_new(&self, slot: usize, cas: u32, now: Time, request: &Request, answer: &Answer) -> bool {
        self.used.get(slot) != Some(&cas) && now >= answer.at && now.since(answer.at) <= request.use_of(answer.status)
    }

    fn mark_used(&mut self, slot: usize, cas: u32) {
        if let Some(used) = self.used.get_mut(slot) {
            *used = cas;
        }
    }

    fn send(&mut self, now: Time, call: &mut Call, slot: Option<usize>, stats: &mut Stats) -> Option<Answer> {
        if call.request.is_token {
            stats.add(Count::Token);
        }
        let request = &call.request;
        let fields: Vec<(&str, &[u8])> = request.fields.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
        let sent =
            abi::enter(self.root).and_then(|()| abi::call(&request.cluster, &fields, &request.body, self.timeout));
        if let Ok(id) = sent {
            call.id = Some(id);
            return None;
        }
        let answer = failed(now, Failure::Connect);
        if let Some(slot) = slot {
            let cas = slots::answer(slot, &request.key, &answer);
            self.mark_used(slot, cas);
        }
        Some(answer)
    }

    /// The host's answer to one of them: the jobs that asked, and the answer. `size` is that of the body.
    pub(crate) fn answered(&mut self, now: Time, id: u32, whole: bool, size: usize) -> Option<(Vec<u32>, Answer)> {
        let place = self.list.iter().position(|call| call.id == Some(id))?;
        let call = self.list.swap_remove(place);
        let answer = read(now, &call, whole, size);
        if call.request.is_shared {
            let slot = slots::place(&call.request.key, call.request.is_token);
            let cas = slots::answer(slot, &call.request.key, &answer);
            if !call.jobs.is_empty() {
                self.mark_used(slot, cas);
            }
        }
        Some((call.jobs, answer))
    }

    /// Looks after the requests that other workers have sent.
    pub(crate) fn follow(&mut self, now: Time, stats: &mut Stats) -> Vec<(Vec<u32>, Answer)> {
        let mut answers = Vec::new();
        for mut call in std::mem::take(&mut self.list) {
            if call.id.is_some() {
                self.list.push(call);
            } else if !call.jobs.is_empty() {
                match self.begin(now, &mut call, stats) {
                    Some(answer) => answers.push((call.jobs, answer)),
                    None => self.list.push(call),
                }
            }
        }
        answers
    }

    /// Whether other workers have sent what this one waits for.
    pub(crate) fn is_following(&self) -> bool {
        self.list.iter().any(|call| call.id.is_none())
    }

    /// A job does not wait any more. The request goes on: its answer is for whoever asks next.
    pub(crate) fn leave(&mut self, job: u32) {
        for call in &mut self.list {
            call.jobs.retain(|waiting| *waiting != job);
        }
    }
}

fn failed(at: Time, why: Failure) -> Answer {
    let why = match why {
        Failure::Timeout => b't',
        Failure::Reset => b'r',
        Failure::ServerCertificate => b's',
        Failure::CertificateRequired => b'q',
        Failure::CertificateRejected => b'j',
        Failure::Tls => b'x',
        _ => b'c',
    };
    Answer { at, status: 0, fields: Fields::default(), body: vec![why] }
}

/// Why there was no answer.
pub(crate) fn failure(answer: &Answer) -> Failure {
    match answer.body.first() {
        Some(b't') => Failure::Timeout,
        Some(b'r') => Failure::Reset,
        Some(b's') => Failure::ServerCertificate,
        Some(b'q') => Failure::CertificateRequired,
        Some(b'j') => Failure::CertificateRejected,
        Some(b'x') => Failure::Tls,
        _ => Failure::Connect,
    }
}

/// What the host has of the answer, and what the core wants of it.
fn read(now: Time, call: &Call, whole: bool, size: usize) -> Answer {
    // Reset, or longer than the proxy keeps: no fields come at all.
    let fields = if whole { abi::fields(Map::CallResponse).ok() } else { None };
    let status = fields.as_ref().and_then(|fields| status(fields.get(":status")?));
    let (Some(fields), Some(status)) = (fields, status) else { return failed(now, Failure::Reset) };
    let at_most = size.min(MAX_ANSWER);
    let body = if at_most == 0 { Ok(Vec::new()) } else { abi::bytes(Buffer::CallResponseBody, at_most) };
    let Ok(body) = body else { return failed(now, Failure::Reset) };
    if let Some(why) = of_the_proxy(status, &body) {
        return failed(now, why);
    }
    let kept: Vec<(&str, &[u8])> = ["www-authenticate", "retry-after", "location"]
        .into_iter()
        .flat_map(|name| {
            fields.iter().filter(|(known, _)| *known == name.as_bytes()).map(move |(_, value)| (name, value))
        })
        .collect();
    let body = if call.request.is_token { body } else { Vec::new() };
    Answer { at: now, status, fields: abi::encoded(&kept).into(), body }
}

/// A status as the host writes it.
pub(crate) fn status(value: &[u8]) -> Option<u16> {
    std::str::from_utf8(value).ok()?.parse().ok().filter(|status| (100..1000).contains(status))
}

/// The proxy answers in the place of a server that it does not reach; its texts say why.
fn of_the_proxy(status: u16, body: &[u8]) -> Option<Failure> {
    let body = std::str::from_utf8(body.get(..body.len().min(600))?).unwrap_or_default();
    match status {
        504 if body == "upstream request timeout" => Some(Failure::Timeout),
        503 if body.starts_with("no healthy upstream") => Some(Failure::Connect),
        503 if body.starts_with("upstream connect error") => Some(if body.contains("CERTIFICATE_VERIFY_FAILED") {
            Failure::ServerCertificate
        } else if body.contains("ALERT_CERTIFICATE_REQUIRED") {
            Failure::CertificateRequired
        } else if body.contains("ALERT_") {
            Failure::CertificateRejected
        } else if body.contains("TLS_error") {
            Failure::Tls
        } else if body.contains("connection termination") {
            Failure::Reset
        } else {
            Failure::Connect
        }),
        _ => None,
    }
}
