//! Every state of the model: no rule is ever broken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test

use regauth_model::{Action, Budget, Flow, Phase, State};
use stateright::{Checker, Model, Property};

struct SingleFlight(Budget);

impl Model for SingleFlight {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.after(action).map(State::in_order)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            // Two requests at a time, a dead token, a refusal not shared, a token not used, an error not given.
            Property::always("no step breaks a rule", |_, state: &State| state.broken.is_none()),
            Property::always("nobody waits for ever", |_, state: &State| state.nobody_waits_for_ever()),
            Property::always("after a success all proceed", |_, state: &State| state.all_proceed_after_a_success()),
            Property::always("something can always happen", |_, state: &State| {
                let mut actions = Vec::with_capacity(16);
                state.actions(&mut actions);
                state.flows.iter().all(Flow::is_over) || actions.iter().any(|action| state.after(*action).is_some())
            }),
            Property::eventually("all flows end", |_, state: &State| state.flows.iter().all(Flow::is_over)),
        ]
    }
}

fn check(budget: Budget) -> usize {
    let checker = SingleFlight(budget).checker().spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// Everything that may go wrong but tokens that the registry refuses: with those there are too many states for one run.
#[test]
fn no_state_breaks_a_rule() {
    let states = check(Budget { losses: 2, refusals: 2, drops: 2, timeouts: 2, expiries: 2, revocations: 0 });
    assert!(states >= 1_000_000, "{states}: the model has become smaller than it was");
}

#[test]
fn no_state_breaks_a_rule_where_tokens_are_revoked() {
    let states = check(Budget { losses: 1, refusals: 1, drops: 1, timeouts: 0, expiries: 1, revocations: 1 });
    assert!(states >= 900_000, "{states}: the model has become smaller than it was");
}

/// The checker would find what it looks for: without the rule that a late success wakes everybody, somebody sleeps.
#[test]
fn a_state_that_breaks_a_rule_is_found() {
    let asleep = |state: &State| !state.all_proceed_after_a_success() || !state.nobody_waits_for_ever();
    let mut state = State::new(Budget { losses: 0, refusals: 0, drops: 0, timeouts: 1, expiries: 1, revocations: 0 });
    for action in [Action::Poll(0), Action::Poll(1), Action::Tick(30), Action::Poll(2), Action::Poll(1)] {
        state = state.after(action).unwrap();
    }
    let mut broken = state.after(Action::Grant(0)).unwrap();
    assert!(!asleep(&broken));
    broken.flows[1].phase = Phase::Parked { left: 30, woken: false };
    assert!(asleep(&broken));
}
