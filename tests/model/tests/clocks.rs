//! Clocks that jump by up to ten years either way, or stand still: no token is sent that ran out or comes from the
//! future, and none is asked for while there is a good one.
#![allow(clippy::unwrap_used, clippy::panic)] // a test

use std::task::Waker;

use regauth::{Agent, Answer, Config, Hop, Step, Time};

const SCHEDULES: u64 = 10_000;
const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";
const CHALLENGE: [(&str, &str); 1] =
    [("WWW-Authenticate", r#"Bearer realm="https://reg.example/token",service="reg""#)];
const YEARS: u64 = 10 * 365 * 86_400_000;

/// A token as the test gave it: when, and for how many milliseconds.
struct Given {
    name: String,
    at: u64,
    life: u64,
}

impl Given {
    /// Milliseconds that it has lived; all of them if it comes from the future.
    const fn age(&self, now: u64) -> u64 {
        if now < self.at { self.life } else { now - self.at }
    }
}

#[test]
fn no_clock_makes_an_old_token_good_or_a_good_one_old() {
    let (mut sent, mut asked) = (0, 0);
    for seed in 0..SCHEDULES {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let agent = Agent::new(Config::default()).unwrap();
        let mut now = 1_795_341_600_000_u64;
        let mut given: Option<Given> = None;
        for number in 0..6 {
            let mut flow = agent.request("GET", MANIFEST).unwrap();
            for _ in 0..20 {
                match random(6) {
                    0 => now += random(2 * YEARS),
                    1 => now = now.saturating_sub(random(YEARS)).max(1),
                    2 => now += random(100_000),
                    _ => {}
                }
                let (hop, bearer) = match flow.poll(Time(now), Waker::noop()) {
                    Step::Send(out) => {
                        let value = out.header("authorization").and_then(|value| value.expose_str());
                        (out.hop, value.map(str::to_string))
                    }
                    Step::Wait { until, .. } => {
                        now = now.max(until.0);
                        continue;
                    }
                    _ => break,
                };
                if hop == Hop::Token {
                    // Five a flow are the most, and the clock may run out each of them.
                    let good = given.as_ref().filter(|token| token.age(now) < token.life / 10 * 9);
                    assert!(good.is_none(), "schedule {seed}: asked for a token while there was one");
                    asked += 1;
                    let (name, seconds) = (format!("T{number}-{asked}"), 1 + random(400));
                    let skewed = now + random(YEARS);
                    // `issued_at` is not looked at, whatever the server's clock says.
                    let body = format!(r#"{{"token":"{name}","expires_in":{seconds},"issued_at":"{skewed}"}}"#);
                    flow.answer(Time(now), Answer::new(200, &[("Date", "x")]).body(body.as_bytes()));
                    given = Some(Given { name, at: now, life: seconds * 1000 });
                } else if let Some(bearer) = bearer {
                    let token = given.as_ref().unwrap();
                    assert_eq!(bearer, format!("Bearer {}", token.name));
                    let live = now >= token.at && token.age(now) < token.life;
                    assert!(live, "schedule {seed}: sent after {} of {} ms", token.age(now), token.life);
                    sent += 1;
                    flow.answer(Time(now), Answer::new(200, &[("Date", "x")]));
                } else {
                    flow.answer(Time(now), Answer::new(401, &CHALLENGE));
                }
            }
        }
    }
    assert!(sent > 4 * SCHEDULES && asked > SCHEDULES, "{sent} sent, {asked} asked for");
}
