//! The state of one configuration in one worker: the flows that are under way, and what wakes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use regauth::{Flow, Hop, Redirects, Step, Time};

use crate::abi::{self, Level, Map};
use crate::calls::{self, Calls, Request};
use crate::ids::Ids;
use crate::plugin::Action;
use crate::reply::Reply;
use crate::settings::{Placement, Registry, Settings};
use crate::slots::{self, Answer};
use crate::stats::{Count, Stats};
use crate::stream::Stream;

/// Requests that wait at one time, in one worker.
const MAX_JOBS: usize = 4096;
/// Milliseconds that a flow waits for the router's next attempt.
const PARKED: u64 = 10_000;
/// Milliseconds between ticks: nothing waits, something waits for a time, something waits for another worker.
const IDLE: u32 = 1_000;
const WAITING: u32 = 50;
const FOLLOWING: u32 = 5;

/// Whose flow it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A stream's, which is paused or was sent on with its token.
    Stream(u32),
    /// It waits for the router's next attempt at this request.
    Parked,
    /// Nobody's: a renewal.
    Background,
}

/// A flow and its request.
pub(crate) struct Job {
    flow: Flow,
    waker: Waker,
    registry: usize,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) owner: Owner,
    /// It can be sent only once, so that the challenge has to be known before.
    once: bool,
    /// `flow` is a probe: it learns the challenge by `GET /v2/`.
    probing: bool,
    deadline: Time,
    poll_at: Option<Time>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// How far a flow came.
pub(crate) enum Progress {
    /// It waits.
    Pending,
    /// The request goes out, with this `Authorization`.
    Go(Option<Vec<u8>>),
    /// It does not.
    Over(Reply),
}

/// Jobs that were woken.
type Inbox = Arc<Mutex<Vec<u32>>>;

struct Alarm {
    job: u32,
    inbox: Inbox,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push(self.job);
    }
}

/// One configuration in one worker.
#[derive(Debug)]
pub(crate) struct Root {
    id: u32,
    pub(crate) settings: Settings,
    print: u64,
    calls: Calls,
    pub(crate) stats: Stats,
    pub(crate) streams: Ids<Stream>,
    pub(crate) jobs: Ids<Job>,
    pub(crate) parked: usize,
    next: u32,
    inbox: Inbox,
    period: u32,
    renewed: Time,
}

impl Root {
    /// Takes a configuration, or says what is wrong with it.
    pub(crate) fn new(id: u32, json: &[u8]) -> Result<Self, String> {
        let settings = Settings::read(json)?;
        slots::prepare();
        // Refused by hosts without a clock of their own: then nothing is renewed early.
        _ = abi::tick_every(IDLE);
        Ok(Self {
            id,
            calls: Calls::new(id, settings.timeout),
            settings,
            print: slots::hash(json),
            stats: Stats::define(),
            streams: Ids::default(),
            jobs: Ids::default(),
            parked: 0,
            next: 0,
            inbox: Inbox::default(),
            period: IDLE,
            renewed: Time(0),
        })
    }

    /// A job for one request. `once`: it cannot be sent a second time.
    pub(crate) fn begin(
        &mut self,
        now: Time,
        registry: usize,
        method: &str,
        url: &str,
        owner: Owner,
        once: bool,
    ) -> Result<u32, Reply> {
        let at = self.settings.registries.get(registry).ok_or_else(Reply::refused)?;
        let flow = at.agent.request(method, url).map_err(|error| Reply::of_text(400, error.to_string()))?;
        self.add(now, registry, method, url, owner, once, flow.redirects(Redirects::Host))
    }

    #[allow(clippy::too_many_arguments)] // the fields of a job
    fn add(
        &mut self,
        now: Time,
        registry: usize,
        method: &str,
        url: &str,
        owner: Owner,
        once: bool,
        flow: Flow,
    ) -> Result<u32, Reply> {
        if self.jobs.len() >= MAX_JOBS {
            return Err(Reply::full());
        }
        let id = self.next;
        self.next = id.wrapping_add(1);
        let waker = Waker::from(Arc::new(Alarm { job: id, inbox: Arc::clone(&self.inbox) }));
        let deadline = now.plus_millis(self.settings.wait.into());
        let (method, url) = (method.into(), url.into());
        let job = Job { flow, waker, registry, method, url, owner, once, probing: false, deadline, poll_at: None };
        self.jobs.insert(id, job);
        Ok(id)
    }

    /// Tells a flow the registry's answer to the request that was sent with it.
    pub(crate) fn challenged(&mut self, now: Time, id: u32, fields: &abi::Fields) {
        if let Some(job) = self.jobs.get_mut(id)
            && let Step::Send(out) = job.flow.poll(now, &job.waker)
            && out.hop == Hop::Registry
        {
            job.flow.answer(now, regauth::Answer::new(401, fields));
        }
    }

    /// Leaves a flow to the router's next attempt.
    pub(crate) fn park(&mut self, now: Time, id: u32) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.owner = Owner::Parked;
            job.deadline = now.plus_millis(PARKED);
            self.parked = self.parked.saturating_add(1);
        }
    }

    /// The flow that an earlier attempt at this request has left.
    pub(crate) fn unpark(&mut self, now: Time, stream: u32, method: &str, url: &str) -> Option<u32> {
        let is_it = |job: &Job| job.owner == Owner::Parked && job.method == method && job.url == url;
        let (id, job) = self.jobs.iter_mut().find(|(_, job)| is_it(job))?;
        job.owner = Owner::Stream(stream);
        job.deadline = now.plus_millis(self.settings.wait.into());
        self.parked = self.parked.saturating_sub(1);
        Some(id)
    }

    /// Does what a flow says until it waits or is over.
    pub(crate) fn advance(&mut self, now: Time, id: u32) -> Progress {
        // A flow makes five token requests at the most; each is a few rounds.
        for _ in 0..64 {
            let Some(job) = self.jobs.get_mut(id) else { return Progress::Pending };
            let Some(registry) = self.settings.registries.get_mut(job.registry) else { return Progress::Pending };
            job.poll_at = None;
            let request = match job.flow.poll(now, &job.waker) {
                Step::Send(out) if out.hop != Hop::Registry => match cluster(registry, out.url.origin()) {
                    Some(cluster) => Request::new(out, cluster, self.print),
                    None => {
                        let reply = unknown_realm(registry, out.url.origin());
                        // The registry may name another one the next time.
                        registry.forget();
                        return Progress::Over(reply);
                    }
                },
                Step::Send(out) => {
                    let authorization = out.header("authorization").map(|value| value.expose().to_vec());
                    match (job.probing, job.once, authorization) {
                        (true, _, None) => Request::new(out, &registry.cluster, self.print),
                        (true, _, Some(_)) => {
                            if let Err(reply) = job.end_probe(registry) {
                                return Progress::Over(reply);
                            }
                            continue;
                        }
                        (false, true, None) => {
                            if let Err(reply) = job.probe(registry) {
                                return Progress::Over(reply);
                            }
                            continue;
                        }
                        (false, _, authorization) => return Progress::Go(authorization),
                    }
                }
                Step::Wait { until, .. } => {
                    job.poll_at = Some(until);
                    return Progress::Pending;
                }
                Step::Credentials(_) => {
                    job.flow.credentials(now, Ok(None));
                    continue;
                }
                Step::Failed(error) => return Progress::Over(Reply::of(error)),
                _ => return Progress::Over(Reply::refused()),
            };
            let Some(answer) = self.calls.ask(now, request, id, &mut self.stats) else { return Progress::Pending };
            self.deliver(now, id, &answer);
        }
        Progress::Over(Reply::refused())
    }

    /// Gives a flow the answer that it asked for.
    fn deliver(&mut self, now: Time, id: u32, answer: &Answer) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if answer.status == 0 {
            job.flow.failed(now, calls::failure(answer), None);
            return;
        }
        // A token lives from when its answer came, whichever worker it came to.
        job.flow.answer(answer.at, regauth::Answer::new(answer.status, &answer.fields).body(&answer.body));
        if let Some(registry) = self.settings.registries.get_mut(job.registry) {
            if job.probing {
                // Whatever the probe's flow would do with the challenge, it is remembered.
                _ = job.end_probe(registry);
            } else {
                registry.count();
            }
        }
    }

    /// Goes on with a flow, and with its stream.
    fn run(&mut self, now: Time, id: u32) {
        let progress = self.advance(now, id);
        let Some(job) = self.jobs.get(id) else { return };
        match (job.owner, progress) {
            (_, Progress::Pending) | (Owner::Parked, _) => {}
            (Owner::Background, progress) => {
                if let Progress::Over(reply) = progress
                    && reply.status >= 500
                {
                    abi::log(Level::Warn, &format!("regauth: renewing a token: {}", reply.text()));
                }
                self.drop_job(id);
            }
            (Owner::Stream(stream), progress) => {
                if !self.streams.get(stream).is_some_and(|stream| stream.is_paused) {
                    return;
                }
                match progress {
                    Progress::Go(value) => self.resume(stream, value.as_deref()),
                    Progress::Over(reply) => {
                        self.drop_job(id);
                        self.refuse(stream, &reply);
                    }
                    Progress::Pending => {}
                }
            }
        }
    }

    fn resume(&mut self, id: u32, authorization: Option<&[u8]>) {
        // A context that is not there any more is a client that has gone: it is told in a moment.
        if abi::enter(id).is_err() {
            return;
        }
        if let Some(stream) = self.streams.get_mut(id) {
            stream.is_paused = false;
            match authorized(authorization) {
                Ok(()) => _ = abi::resume(),
                Err(reply) => self.refuse(id, &reply),
            }
        }
    }

    /// Answers a stream in the place of the registry.
    pub(crate) fn refuse(&mut self, stream: u32, reply: &Reply) {
        self.stats.add(if reply.status < 500 { Count::Refused } else { Count::Error });
        abi::log(Level::Warn, &format!("regauth: answering {}: {}", reply.status, reply.text()));
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.is_paused = false;
            stream.is_over = true;
        }
        if abi::enter(stream).and_then(|()| reply.send()).is_err() {
            abi::log(Level::Error, "regauth: the proxy did not take an answer");
        }
    }

    pub(crate) fn drop_job(&mut self, id: u32) {
        self.calls.leave(id);
        if let Some(job) = self.jobs.remove(id)
            && job.owner == Owner::Parked
        {
            self.parked = self.parked.saturating_sub(1);
        }
    }

    /// Goes on with all that was woken, and sets the clock for what waits.
    pub(crate) fn settle(&mut self, now: Time) {
        loop {
            let woken = std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
            if woken.is_empty() {
                break;
            }
            woken.into_iter().for_each(|job| self.run(now, job));
        }
        let period = if self.calls.is_following() {
            FOLLOWING
        } else if self.jobs.iter().any(|(_, job)| job.poll_at.is_some()) {
            WAITING
        } else {
            IDLE
        };
        if period != self.period && abi::enter(self.id).and_then(|()| abi::tick_every(period)).is_ok() {
            self.period = period;
        }
    }

    /// The answer to a request of the plugin's own.
    pub(crate) fn answer(&mut self, call: u32, whole: bool, size: usize) {
        let now = abi::now();
        if let Some((jobs, answer)) = self.calls.answered(now, call, whole, size) {
            self.hand_out(now, jobs, &answer);
        }
        self.settle(now);
    }

    fn hand_out(&mut self, now: Time, jobs: Vec<u32>, answer: &Answer) {
        for job in &jobs {
            self.deliver(now, *job, answer);
        }
        for job in jobs {
            self.run(now, job);
        }
    }

    pub(crate) fn tick(&mut self) {
        let now = abi::now();
        for (jobs, answer) in self.calls.follow(now, &mut self.stats) {
            self.hand_out(now, jobs, &answer);
        }
        let due = |job: &Job| job.poll_at.is_some_and(|at| now >= at);
        let due: Vec<u32> = self.jobs.iter().filter(|(_, job)| due(job)).map(|(id, _)| id).collect();
        due.into_iter().for_each(|job| self.run(now, job));
        self.expire(now);
        if now < self.renewed || now.since(self.renewed) >= u64::from(IDLE) {
            self.renewed = now;
            self.renew(now);
            self.stats.tell();
        }
        self.settle(now);
    }

    /// Ends what has waited for too long.
    fn expire(&mut self, now: Time) {
        let late: Vec<(u32, Owner)> =
            self.jobs.iter().filter(|(_, job)| now >= job.deadline).map(|(id, job)| (id, job.owner)).collect();
        for (id, owner) in late {
            match owner {
                Owner::Stream(stream) if self.streams.get(stream).is_some_and(|stream| stream.is_paused) => {
                    self.drop_job(id);
                    self.refuse(stream, &Reply::late());
                }
                // Its request is at the registry, and takes as long as it takes.
                Owner::Stream(_) => {}
                Owner::Parked | Owner::Background => self.drop_job(id),
            }
        }
    }

    /// Begins what should be renewed before a request has to wait for it.
    fn renew(&mut self, now: Time) {
        for registry in 0..self.settings.registries.len() {
            for _ in 0..16 {
                let Some(flow) = self.settings.registries.get(registry).and_then(|at| at.agent.due(now)) else { break };
                let Ok(id) = self.add(now, registry, "GET", "", Owner::Background, false, flow) else { return };
                self.run(now, id);
            }
        }
    }

    /// A stream has ended.
    pub(crate) fn gone(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(id) else { return };
        if let Some(job) = stream.job
            && self.jobs.get(job).is_some_and(|job| job.owner == Owner::Stream(id))
        {
            self.drop_job(job);
            self.settle(abi::now());
        }
    }

    /// Whether a request can be sent again from here.
    pub(crate) fn can_repeat(&self, attempt: u32) -> bool {
        self.settings.placement == Placement::Upstream && attempt <= self.settings.retries
    }
}

impl Job {
    fn probe(&mut self, registry: &Registry) -> Result<(), Reply> {
        let flow = registry.agent.request("GET", &format!("{}/v2/", registry.base));
        self.flow = flow.map_err(|error| Reply::of(&error))?;
        self.probing = true;
        Ok(())
    }

    fn end_probe(&mut self, registry: &Registry) -> Result<(), Reply> {
        let flow = registry.agent.request(&self.method, &self.url).map_err(|error| Reply::of(&error))?;
        self.flow = flow.redirects(Redirects::Host);
        // What it learnt is all that there is to learn.
        (self.probing, self.once) = (false, false);
        Ok(())
    }
}

/// Sets the `Authorization` of the effective context's request, or removes it.
pub(crate) fn authorized(value: Option<&[u8]>) -> Result<(), Reply> {
    let done = match value {
        Some(value) => abi::set_field(Map::Request, "authorization", value),
        None => abi::remove_field(Map::Request, "authorization"),
    };
    done.map_err(|_| Reply::of_text(502, "the proxy did not take the Authorization field. See its log.".into()))
}

fn cluster<'a>(registry: &'a Registry, realm: &regauth::Origin) -> Option<&'a str> {
    registry.realms.iter().find(|(known, _)| known == realm).map(|(_, cluster)| cluster.as_str())
}

fn unknown_realm(registry: &Registry, realm: &regauth::Origin) -> Reply {
    let at = &registry.origin;
    Reply::of_text(
        403,
        format!(
            "refused by policy: the registry {at} names a token endpoint at {realm}, which its realms do not. If you \
             trust it, add it to the plugin's configuration with its cluster."
        ),
    )
}

const _: () = assert!(Action::Continue as u32 == 0);
