//! Links with a latency, connections, and a host that drives flows over them; all in virtual time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use regauth::tls::ProfileId;
use regauth::{Agent, Answer, Dial, Flow, Origin, Step, Time};

use crate::server::{Reply, Request, Server};

/// A round trip in milliseconds. Servers and CPUs take no time, so what a pull takes is a number of these.
pub(crate) const RTT: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    /// One request at a time on a connection, as many connections as there are requests.
    One,
    /// All requests on one connection.
    Two,
}

/// What the network counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) connections: usize,
    pub(crate) full: usize,
    pub(crate) resumed: usize,
}

type Key = (Origin, ProfileId);

enum Event {
    Connected(Key),
    Arrived(Key, usize, Request),
    Answered(Key, usize, Reply),
    Timer(usize),
}

#[derive(Default)]
struct Pool {
    waiting: VecDeque<(usize, Request)>,
    idle: usize,
    dialling: usize,
    /// With HTTP/2: there is a connection.
    open: bool,
    /// A session that can be resumed.
    ticket: bool,
}

struct Task {
    flow: Flow,
    in_flight: bool,
    answers: usize,
}

struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// A small generator of numbers, so that a seed names one interleaving.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) server: Server,
    pub(crate) traffic: Traffic,
    /// Jitter on every message, and flows that are woken in any order.
    pub(crate) random: Option<Random>,
    http: Http,
    events: BTreeMap<(Time, usize), Event>,
    number: usize,
    pools: HashMap<Key, Pool>,
    tasks: HashMap<usize, Task>,
    woken: Arc<Mutex<Vec<usize>>>,
    /// What the finished flows ended with.
    pub(crate) statuses: Vec<u16>,
}

impl Net {
    pub(crate) fn new(server: Server, http: Http) -> Self {
        Self {
            now: Time(1_795_341_600_000),
            server,
            traffic: Traffic::default(),
            random: None,
            http,
            events: BTreeMap::new(),
            number: 0,
            pools: HashMap::new(),
            tasks: HashMap::new(),
            woken: Arc::default(),
            statuses: Vec::new(),
        }
    }

    /// Starts a request; returns its number.
    pub(crate) fn start(&mut self, agent: &Agent, method: &str, path: &str) -> usize {
        let flow = agent.request(method, &format!("https://{}{path}", self.server.registry)).unwrap();
        self.drive(flow)
    }

    /// Starts to drive a flow.
    pub(crate) fn drive(&mut self, flow: Flow) -> usize {
        self.number += 1;
        let task = self.number;
        self.tasks.insert(task, Task { flow, in_flight: false, answers: 0 });
        self.poll(task);
        task
    }

    /// Lets time pass until all requests are done.
    pub(crate) fn run(&mut self) {
        while !self.tasks.is_empty() {
            self.step();
        }
    }

    /// Lets time pass until this request has its first answer.
    pub(crate) fn run_to_answer(&mut self, task: usize) {
        while self.tasks.get(&task).is_some_and(|task| task.answers == 0) {
            self.step();
        }
    }

    /// Lets time pass up to this moment.
    pub(crate) fn run_to(&mut self, end: Time) {
        while self.events.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Ends all connections; sessions can be resumed.
    pub(crate) fn hang_up(&mut self) {
        assert!(self.tasks.is_empty());
        self.events.clear();
        for pool in self.pools.values_mut() {
            *pool = Pool { ticket: pool.ticket, ..Pool::default() };
        }
    }

    fn step(&mut self) {
        let ((at, _), event) = self.events.pop_first().expect("something is waited for that never comes");
        self.now = at;
        match event {
            Event::Connected(key) => {
                let pool = self.pools.get_mut(&key).unwrap();
                (pool.dialling, pool.idle, pool.ticket, pool.open) = (pool.dialling - 1, pool.idle + 1, true, true);
                self.pump(&key);
            }
            Event::Arrived(key, task, request) => {
                let reply = self.server.answer(at, &request);
                self.after(RTT / 2, Event::Answered(key, task, reply));
            }
            Event::Answered(key, task, reply) => {
                let known = self.tasks.get_mut(&task).unwrap();
                (known.in_flight, known.answers) = (false, known.answers + 1);
                known.flow.answer(at, Answer::new(reply.status, &reply.headers).body(reply.body.as_bytes()));
                self.pools.get_mut(&key).unwrap().idle += usize::from(self.http == Http::One);
                self.poll(task);
                self.pump(&key);
            }
            Event::Timer(task) => self.poll(task),
        }
        loop {
            let mut woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                return;
            }
            while !woken.is_empty() {
                let next = self.random.as_mut().map_or(0, |random| random.below(woken.len() as u64));
                self.poll(woken.swap_remove(usize::try_from(next).unwrap()));
            }
        }
    }

    fn poll(&mut self, task: usize) {
        let waker = Waker::from(Arc::new(Woken(task, Arc::clone(&self.woken))));
        let Some(known) = self.tasks.get_mut(&task).filter(|task| !task.in_flight) else { return };
        let (key, request) = match known.flow.poll(self.now, &waker) {
            Step::Send(out) => {
                let request = Request {
                    host: out.url.origin().authority(),
                    method: out.method.clone(),
                    target: out.url.target(),
                    authorization: out.header("authorization").and_then(|v| v.expose_str()).map(str::to_string),
                };
                ((out.url.origin().clone(), out.tls), request)
            }
            Step::Wait { until, .. } => return self.at(until, Event::Timer(task)),
            Step::Done => {
                self.statuses.extend(known.flow.status());
                drop(self.tasks.remove(&task));
                return;
            }
            other => panic!("{other:?}"),
        };
        known.flow.dial(Dial::Ip([192, 0, 2, 1].into())).unwrap();
        known.in_flight = true;
        if let Some(ahead) = known.flow.ahead() {
            self.dial_ahead(&ahead);
        }
        self.pools.entry(key.clone()).or_default().waiting.push_back((task, request));
        self.pump(&key);
    }

    /// Connects to where a request goes next, if nothing is there yet.
    fn dial_ahead(&mut self, key: &Key) {
        let pool = self.pools.entry(key.clone()).or_default();
        if !pool.open && pool.idle + pool.dialling == 0 {
            self.connect(key);
        }
    }

    /// Sends what there is a connection for, and makes those that are missing.
    fn pump(&mut self, key: &Key) {
        let pool = self.pools.get_mut(key).unwrap();
        let mut sent = Vec::new();
        while (pool.idle > 0 || (pool.open && self.http == Http::Two)) && !pool.waiting.is_empty() {
            pool.idle -= usize::from(self.http == Http::One);
            sent.extend(pool.waiting.pop_front());
        }
        let wanted = match self.http {
            Http::One => pool.waiting.len(),
            Http::Two => pool.waiting.len().min(1),
        };
        let missing = wanted.saturating_sub(pool.dialling);
        for (task, request) in sent {
            self.after(RTT / 2, Event::Arrived(key.clone(), task, request));
        }
        for _ in 0..missing {
            self.connect(key);
        }
    }

    /// One round trip for TCP, one for TLS 1.3, whose last flight the first request goes with.
    fn connect(&mut self, key: &Key) {
        let pool = self.pools.get_mut(key).unwrap();
        pool.dialling += 1;
        self.traffic.connections += 1;
        self.traffic.full += usize::from(!pool.ticket);
        self.traffic.resumed += usize::from(pool.ticket);
        self.at(self.now.plus_millis(2 * RTT), Event::Connected(key.clone()));
    }

    fn after(&mut self, millis: u64, event: Event) {
        let jitter = self.random.as_mut().map_or(0, |random| random.below(2 * RTT));
        self.at(self.now.plus_millis(millis + jitter), event);
    }

    fn at(&mut self, at: Time, event: Event) {
        self.number += 1;
        self.events.insert((at, self.number), event);
    }
}
