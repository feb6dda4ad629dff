//! Many flows of one agent at random: given up, lost, refused, revoked. Nobody waits for nothing, nobody asks for a token
//! that another one asks for, and a refresh token is sent once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use regauth::{Agent, Answer, Body, Config, Credentials, Failure, Flow, Found, Origin, Outgoing, Step, Time, Waiting};

const REGISTRY: &str = "https://reg.example";
const CHALLENGE: &str = "Bearer realm=\"/token\",service=s";

struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a flow was last told.
enum Told {
    Go,
    /// A request is under way; for a token, with this refresh token or none.
    Sent {
        token: Option<Option<String>>,
    },
    LookUp,
    Wait(Time, Waiting),
    Over,
}

struct One {
    flow: Flow,
    flag: Arc<Flag>,
    told: Told,
    repository: usize,
}

struct World {
    agent: Agent,
    random: Random,
    now: Time,
    refreshing: bool,
    tokens: usize,
    crowd: Vec<One>,
}

fn refresh_of(out: &Outgoing) -> Option<String> {
    let Body::Form(form) = &out.body else { return None };
    let form = String::from_utf8(form.expose().to_vec()).unwrap();
    form.split('&').find_map(|field| field.strip_prefix("refresh_token=").map(str::to_string))
}

impl World {
    fn new(mut random: Random) -> Self {
        let registry = Origin::parse(REGISTRY).unwrap();
        let mut config = Config::default();
        let refreshing = random.below(2) == 0;
        match (refreshing, random.below(2)) {
            (true, _) => config.credentials(registry, Credentials::Refresh("R0".into())),
            (false, 0) => config.ask(registry),
            _ => config.credentials(registry, Credentials::Basic { user: "u".into(), password: "p".into() }),
        };
        let agent = Agent::new(config).unwrap();
        Self { agent, random, now: Time(1_795_341_600_000), refreshing, tokens: 0, crowd: Vec::new() }
    }

    fn start(&mut self) {
        let repository = self.random.below(3);
        let url = format!("{REGISTRY}/v2/app-{repository}/manifests/1");
        let flow = self.agent.request("GET", &url).unwrap();
        self.crowd.push(One { flow, flag: Arc::default(), told: Told::Go, repository });
    }

    fn may_run(&self, one: &One) -> bool {
        match one.told {
            Told::Go => true,
            Told::Wait(until, _) => one.flag.0.load(Ordering::Relaxed) || self.now >= until,
            _ => false,
        }
    }

    fn run(&mut self, number: usize) {
        let one = &mut self.crowd[number];
        one.flag.0.store(false, Ordering::Relaxed);
        one.told = match one.flow.poll(self.now, &Waker::from(Arc::clone(&one.flag))) {
            Step::Send(out) if out.hop.is_token() => Told::Sent { token: Some(refresh_of(out)) },
            Step::Send(_) => Told::Sent { token: None },
            Step::Credentials(_) => Told::LookUp,
            Step::Wait { until, why } => Told::Wait(until, why),
            _ => Told::Over,
        };
        let Told::Sent { token: Some(mine) } = &self.crowd[number].told else { return };
        if self.refreshing {
            assert_eq!(mine.as_deref(), Some(format!("R{}", self.tokens).as_str()), "an old refresh token");
        }
        let same = |other: &One| self.refreshing || other.repository == self.crowd[number].repository;
        let asking = |one: &&One| matches!(one.told, Told::Sent { token: Some(_) }) && same(one);
        assert_eq!(self.crowd.iter().filter(asking).count(), 1, "two ask for one token");
    }

    fn answer(&mut self, number: usize) {
        let chance = self.random.below(20);
        let one = &mut self.crowd[number];
        let challenge = [("WWW-Authenticate", CHALLENGE), ("Retry-After", "2")];
        match (&one.told, chance) {
            (Told::LookUp, 0) => one.flow.credentials(self.now, Ok(None)),
            (Told::LookUp, _) => {
                let credentials = Credentials::Basic { user: "u".into(), password: "p".into() };
                one.flow.credentials(self.now, Ok(Some(Found { credentials, valid_until: None })));
            }
            (_, 0) => one.flow.failed(self.now, Failure::Reset, None),
            (Told::Sent { token: Some(_) }, 1) => one.flow.answer(self.now, Answer::new(503, &challenge)),
            (Told::Sent { token: Some(_) }, 2) => one.flow.answer(self.now, Answer::new(403, &challenge)),
            (Told::Sent { token: Some(_) }, _) => {
                self.tokens += 1;
                let body = format!(r#"{{"token":"T{0}","expires_in":20,"refresh_token":"R{0}"}}"#, self.tokens);
                let body = if self.refreshing { body } else { body.replace(",\"refresh_token\"", ",\"x\"") };
                one.flow.answer(self.now, Answer::new(200, &challenge).body(body.as_bytes()));
            }
            (_, 1..4) => one.flow.answer(self.now, Answer::new(401, &challenge)),
            _ => {
                let sent = matches!(one.flow.poll(self.now, Waker::noop()), Step::Send(out) if out.header("authorization").is_some());
                one.flow.answer(self.now, Answer::new(if sent { 200 } else { 401 }, &challenge));
            }
        }
        one.told = Told::Go;
    }

    /// One thing that happens. False: nothing can any more.
    fn step(&mut self) -> bool {
        self.crowd.retain(|one| !matches!(one.told, Told::Over));
        self.now = self.now.plus_millis(u64::try_from(self.random.below(300)).unwrap());
        let pick = |all: Vec<usize>, random: &mut Random| (!all.is_empty()).then(|| all[random.below(all.len())]);
        let which = |good: &dyn Fn(&One) -> bool| -> Vec<usize> {
            self.crowd.iter().enumerate().filter(|(_, one)| good(one)).map(|(number, _)| number).collect()
        };
        let ready = which(&|one| self.may_run(one));
        let asked = which(&|one| matches!(one.told, Told::Sent { .. } | Told::LookUp));
        let all = which(&|_| true);
        if self.random.below(25) == 0 && !all.is_empty() {
            let number = pick(all, &mut self.random).unwrap();
            drop(self.crowd.swap_remove(number));
            return true;
        }
        let (ready, asked) = (pick(ready, &mut self.random), pick(asked, &mut self.random));
        match (ready, asked) {
            (Some(number), _) if self.random.below(3) > 0 => self.run(number),
            (_, Some(number)) => self.answer(number),
            (Some(number), None) => self.run(number),
            (None, None) => {
                let waits = self.crowd.iter().filter_map(|one| match one.told {
                    Told::Wait(until, why) => Some((until, why)),
                    _ => None,
                });
                let Some((until, _)) = waits.clone().min_by_key(|(until, _)| *until) else { return false };
                let timed = waits.clone().any(|(_, why)| why != Waiting::Token);
                assert!(timed, "all wait for another one's token, and nobody asks for it");
                self.now = until;
            }
        }
        true
    }
}

#[test]
fn a_crowd_gets_its_tokens() {
    let mut seeds = Random(3);
    for _ in 0..if cfg!(miri) { 3 } else { 1_500 } {
        let mut world = World::new(Random(seeds.below(1 << 30) as u64));
        for round in 0..20 {
            (0..=world.random.below(6)).for_each(|_| world.start());
            for _ in 0..40 {
                world.step();
            }
            // At last all come to an end.
            let mut left = 2_000;
            while round == 19 && world.step() {
                left -= 1;
                assert!(left > 0, "it does not end");
            }
        }
    }
}
