//! Random runs of the model with real flows beside it: each step that a host can see is the same.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use regauth::{Agent, Answer, Config, Credentials, Failure, Fault, Flow, Hop, Origin, Step, Time, Waiting};
use regauth_model::{Action, Budget, FLOWS, LIFE, Phase, State, Why};

const RUNS: u64 = 20_000;
const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";
const REALM: &str = r#"Bearer realm="https://reg.example/token",service="reg""#;

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

struct Real {
    flows: Vec<Option<Flow>>,
    flags: Vec<Arc<Flag>>,
    now: Time,
    /// The text of each token that the model still has a name for.
    names: [String; 16],
    given: usize,
}

impl Real {
    fn new() -> Self {
        let registry = Origin::parse("https://reg.example").unwrap();
        let mut config = Config::default();
        config.credentials(registry, Credentials::Basic { user: "u".into(), password: "p".into() });
        let agent = Agent::new(config).unwrap();
        let now = Time(1_795_341_600_000);
        // The challenge is remembered, and nothing else is.
        let mut first = agent.request("GET", MANIFEST).unwrap();
        assert!(matches!(first.poll(now, Waker::noop()), Step::Send(_)));
        first.answer(now, Answer::new(401, &[("WWW-Authenticate", REALM)]));
        drop(first);
        Self {
            flows: (0..FLOWS).map(|_| Some(agent.request("GET", MANIFEST).unwrap())).collect(),
            flags: (0..FLOWS).map(|_| Arc::default()).collect(),
            now,
            names: Default::default(),
            given: 0,
        }
    }

    fn poll(&mut self, place: usize) -> Step<'_> {
        let waker = Waker::from(Arc::clone(&self.flags[place]));
        self.flows[place].as_mut().unwrap().poll(self.now, &waker)
    }

    fn answer(&mut self, place: usize, status: u16, headers: &[(&str, &str)], body: &str) {
        self.poll(place);
        let now = self.now;
        let flow = self.flows[place].as_mut().unwrap();
        flow.answer(now, Answer::new(status, &headers).body(body.as_bytes()));
    }

    /// Does what the model does.
    fn act(&mut self, action: Action, before: &State, after: &State) {
        match action {
            Action::Poll(place) => {
                self.flags[place].0.store(false, Ordering::Relaxed);
                self.poll(place);
            }
            Action::Grant(place) => {
                let name = usize::from(after.token.unwrap());
                self.given += 1;
                self.names[name] = format!("T{}", self.given);
                let life = if before.budget.expiries == 0 { 86_400 } else { LIFE.into() };
                let body = format!(r#"{{"token":"{}","expires_in":{life}}}"#, self.names[name]);
                self.answer(place, 200, &[], &body);
            }
            Action::Refuse(place) => self.answer(place, 403, &[], ""),
            Action::Lose(place) => {
                self.poll(place);
                let now = self.now;
                self.flows[place].as_mut().unwrap().failed(now, Failure::Timeout, None);
            }
            Action::Accept(place) => self.answer(place, 200, &[], ""),
            Action::Reject(place) => {
                let challenge = format!(r#"{REALM},error="invalid_token""#);
                self.answer(place, 401, &[("WWW-Authenticate", &challenge)], "");
            }
            Action::Drop(place) => self.flows[place] = None,
            Action::Revoke => {}
            Action::Tick(seconds) => self.now = self.now.plus_seconds(seconds.into()),
        }
    }

    /// Whether a flow shows what the model says. A poll changes nothing where there is a step to answer.
    fn agrees(&mut self, place: usize, phase: Phase) -> Result<(), String> {
        let (now, names, woken) = (self.now, self.names.clone(), self.flags[place].0.load(Ordering::Relaxed));
        let bearer = |token: u8| format!("Bearer {}", names[usize::from(token)]);
        let good = match phase {
            // A poll would be a step of the model.
            Phase::Idle | Phase::Ready(_) => true,
            Phase::Parked { woken: expected, .. } => woken == expected,
            Phase::BackOff { left: 0 } | Phase::Skewed { left: 0, .. } => true,
            Phase::Dropped => self.flows[place].is_none(),
            Phase::Fetching { .. } => matches!(self.poll(place), Step::Send(out) if out.hop == Hop::Token),
            Phase::Sending(token) => matches!(self.poll(place), Step::Send(out) if out.hop == Hop::Registry
                && out.header("authorization").is_some_and(|value| value.expose() == bearer(token).as_bytes())),
            Phase::BackOff { left } => {
                let at = now.plus_seconds(left.into());
                matches!(self.poll(place), Step::Wait { until, why: Waiting::BackOff } if until == at)
            }
            Phase::Skewed { left, .. } => {
                let at = now.plus_seconds(left.into());
                matches!(self.poll(place), Step::Wait { until, why: Waiting::Skew } if until == at)
            }
            Phase::Done => matches!(self.poll(place), Step::Done),
            Phase::Failed(why) => {
                let fault = match why {
                    Why::Refused => Fault::TokenService,
                    Why::Lost => Fault::Network,
                    Why::Registry => Fault::Registry,
                };
                matches!(self.poll(place), Step::Failed(error) if error.fault() == fault)
            }
        };
        if good {
            return Ok(());
        }
        let came = match self.flows[place].as_mut() {
            Some(_) => match self.poll(place) {
                Step::Send(out) => format!(
                    "{} with {:?}",
                    out.hop,
                    out.header("authorization").map(|v| v.expose_str().map(str::to_string))
                ),
                other => format!("{other:?}"),
            },
            None => "dropped".into(),
        };
        Err(format!("flow {place} should be {phase:?} (woken: {woken}), came {came}"))
    }

    /// A parked flow says when it may take over, at the moment at which it is polled.
    fn waits_until(&mut self, place: usize, left: u8) -> bool {
        let at = self.now.plus_seconds(left.into());
        matches!(self.poll(place), Step::Wait { until, why: Waiting::Token } if until == at)
    }
}

/// One run, from a seed; every action and state of it where something differs.
fn run(seed: u64, budget: Budget) -> Result<usize, String> {
    let mut random = Random(seed);
    let (mut state, mut real) = (State::new(budget), Real::new());
    let mut story = String::new();
    for step in 0..120 {
        let mut actions = Vec::new();
        state.actions(&mut actions);
        actions.retain(|action| state.after(*action).is_some());
        // Callers seldom give up, and time should pass as often as all else.
        if actions.len() > 1 && random.below(4) > 0 {
            actions.retain(|action| !matches!(action, Action::Drop(_)));
        }
        let tick = actions.iter().copied().find(|action| matches!(action, Action::Tick(_)));
        let action = match tick {
            Some(tick) if random.below(4) == 0 => tick,
            _ if actions.is_empty() => return Ok(step),
            _ => actions[random.below(actions.len())],
        };
        let next = state.after(action).unwrap();
        real.act(action, &state, &next);
        story.push_str(&format!("{action}\n"));
        for (place, flow) in next.flows.iter().enumerate() {
            let same = real.agrees(place, flow.phase);
            same.map_err(|why| format!("seed {seed}:\n{story}{why}\nmodel: {next:?}"))?;
        }
        if let (Action::Poll(place), Phase::Parked { left, .. }) = (action, next.flows[polled(action)].phase)
            && !real.waits_until(place, left)
        {
            return Err(format!("seed {seed}:\n{story}flow {place} waits until another time"));
        }
        state = next;
    }
    Ok(120)
}

fn polled(action: Action) -> usize {
    if let Action::Poll(place) = action { place } else { 0 }
}

#[test]
fn flows_do_what_the_model_does() {
    let budgets = [
        Budget { losses: 2, refusals: 1, drops: 1, timeouts: 2, expiries: 2, revocations: 0 },
        Budget { losses: 2, refusals: 1, drops: 1, timeouts: 1, expiries: 2, revocations: 2 },
        Budget { losses: 4, refusals: 2, drops: 2, timeouts: 2, expiries: 2, revocations: 1 },
        Budget { losses: 1, refusals: 0, drops: 0, timeouts: 0, expiries: 2, revocations: 2 },
    ];
    let mut steps = 0;
    for seed in 0..RUNS {
        let budget = budgets[usize::try_from(seed).unwrap() % budgets.len()];
        match run(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), budget) {
            Ok(length) => steps += length,
            Err(story) => panic!("{story}"),
        }
    }
    assert!(steps >= 15 * usize::try_from(RUNS).unwrap(), "only {steps} steps");
}
