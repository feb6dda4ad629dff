//! Who fetches the token of one set of scopes, and who waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::cache::Token;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::time::Time;

/// Milliseconds after which the duty of a flow that does not answer goes to the next one that polls: the usual limit of
/// one request.
const LEASE: u64 = 30_000;
/// The longest one, of a flow that waits for the time that a token service named.
const MAX_LEASE: u64 = 2 * LEASE;
/// Milliseconds for which a refusal of a token service is everybody's answer.
const SHARED_REFUSAL: u64 = 1_000;
/// No `Retry-After` keeps new flows away for longer, in milliseconds.
const MAX_SHARED_REFUSAL: u64 = 600_000;
/// The longest back-off, in milliseconds.
const MAX_BACK_OFF: u64 = 30_000;

/// One who acts, and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    holder: Option<(u64, Time)>,
    waiters: BTreeMap<u64, Waker>,
}

impl Gate {
    /// Takes the duty if nobody has it or its time is over; otherwise the waker is parked, and the time given at which
    /// the duty is free at the latest.
    pub(crate) fn enter(&mut self, flow: u64, now: Time, waker: &Waker) -> Result<(), Time> {
        match &mut self.holder {
            Some((holder, until)) if *holder != flow && now < *until => {
                // A clock that jumped back gives it no more time; but it may be at work, so it has some.
                *until = now.plus_millis(MAX_LEASE).min(*until);
                let until = *until;
                match self.waiters.get_mut(&flow) {
                    Some(parked) => parked.clone_from(waker),
                    None => drop(self.waiters.insert(flow, waker.clone())),
                }
                Err(until)
            }
            _ => {
                self.waiters.remove(&flow);
                self.holder = Some((flow, now.plus_millis(LEASE)));
                Ok(())
            }
        }
    }

    pub(crate) fn extend(&mut self, flow: u64, until: Time) {
        if let Some((holder, end)) = &mut self.holder
            && *holder == flow
        {
            *end = until.plus_millis(LEASE);
        }
    }

    pub(crate) fn is_held_by(&self, flow: u64) -> bool {
        self.holder.is_some_and(|(holder, _)| holder == flow)
    }

    fn is_held(&self, now: Time) -> bool {
        self.holder.is_some_and(|(_, until)| until.is_ahead(now, MAX_LEASE))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.holder.is_none() && self.waiters.is_empty()
    }

    /// Gives up the duty, or the waiting; those who have to be woken are returned.
    pub(crate) fn leave(&mut self, flow: u64) -> Vec<Waker> {
        if self.is_held_by(flow) {
            self.holder = None;
            return self.all();
        }
        self.waiters.remove(&flow);
        Vec::new()
    }

    /// All who wait.
    fn all(&mut self) -> Vec<Waker> {
        if self.waiters.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.waiters).into_values().collect()
    }
}

/// One set of scopes: whether somebody fetches its token, and what came of the last attempt.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) token: Option<Arc<Token>>,
    /// Nothing while there is a token and nothing to do: of such slots there may be many.
    work: Option<Box<Work>>,
}

#[derive(Debug, Default)]
struct Work {
    gate: Gate,
    refused: Option<(Error, Time)>,
    /// Attempts that the network swallowed, one after the other.
    lost: u32,
    lost_error: Option<Error>,
    not_before: Time,
}

impl Work {
    fn is_backing_off(&self, now: Time) -> bool {
        self.not_before.is_ahead(now, MAX_BACK_OFF)
    }

    /// Whether the token service named a time that is still to come.
    fn was_put_off(&self, now: Time) -> bool {
        let named = |error: &Error| matches!(error.kind(), ErrorKind::TokenLater { retry_at: Some(_), .. });
        self.refusal(now).is_some_and(|(error, _)| named(error))
    }

    /// The last refusal, while it is everybody's answer.
    fn refusal(&self, now: Time) -> Option<&(Error, Time)> {
        self.refused.as_ref().filter(|(_, until)| until.is_ahead(now, MAX_SHARED_REFUSAL))
    }
}

/// What a flow that needs a token is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send with this one.
    Use(Arc<Token>),
    /// Fetch it for the slot of this name: the duty is this flow's. The old token is still good where there is one.
    Fetch(Arc<[Scope]>, Option<Arc<Token>>),
    /// Somebody fetches it; so many attempts were lost before.
    Wait(Time, u32),
    /// The network failed twice; wait before the next attempt.
    BackOff(Time),
    /// The answer of the one who fetched it.
    Fail(Error),
}

impl Slot {
    /// What to do for a flow that found this token, or none. `parked` says that it waits here already, since so many
    /// attempts were lost.
    pub(crate) fn turn(
        &mut self,
        flow: u64,
        now: Time,
        waker: &Waker,
        name: Arc<[Scope]>,
        found: Option<Arc<Token>>,
        parked: Option<u32>,
    ) -> Turn {
        if let Some(token) = found {
            // One flow renews in the last tenth, the others go on with the old one.
            let busy = self.work.as_mut().is_some_and(|work| {
                work.gate.waiters.remove(&flow);
                work.is_backing_off(now)
                    || work.was_put_off(now)
                    || (work.gate.is_held(now) && !work.gate.is_held_by(flow))
            });
            if busy || !token.is_late(now) {
                return Turn::Use(token);
            }
            return match self.enter(flow, now, waker) {
                Ok(()) => Turn::Fetch(name, Some(token)),
                Err(_) => Turn::Use(token),
            };
        }
        let work = self.work();
        if let Some((error, _)) = work.refusal(now) {
            return Turn::Fail(error.clone());
        }
        if let (Some(before), Some(error)) = (parked, &work.lost_error)
            && work.lost >= 2
            && work.lost > before
        {
            return Turn::Fail(error.clone());
        }
        if work.is_backing_off(now) && !work.gate.is_held_by(flow) {
            return Turn::BackOff(work.not_before);
        }
        match work.gate.enter(flow, now, waker) {
            Ok(()) => Turn::Fetch(name, None),
            Err(until) => Turn::Wait(until, work.lost),
        }
    }

    /// Puts a token in its place, and ends the duty of the flow that fetched it. Gives back the token that it replaces,
    /// and all who wait, to be woken: there is a token, whoever has the duty by now.
    pub(crate) fn store(&mut self, token: &Arc<Token>, flow: u64) -> (Option<Arc<Token>>, Vec<Waker>) {
        let mut woken = Vec::new();
        if let Some(work) = &mut self.work {
            (work.refused, work.lost, work.lost_error, work.not_before) = (None, 0, None, Time(0));
            woken = work.gate.all();
        }
        self.leave(flow);
        (self.token.replace(Arc::clone(token)), woken)
    }

    /// When its token should be renewed, unless somebody does.
    pub(crate) fn due(&self, now: Time) -> Option<Time> {
        let at = self.token.as_ref()?.due(now)?;
        match &self.work {
            Some(work) if work.gate.is_held(now) => None,
            Some(work) => Some(at.max(work.not_before).max(work.refusal(now).map_or(Time(0), |(_, until)| *until))),
            None => Some(at),
        }
    }

    /// Whether there is more to it than its token.
    pub(crate) fn is_busy(&self, now: Time) -> bool {
        self.work
            .as_ref()
            .is_some_and(|work| !work.gate.is_idle() || work.is_backing_off(now) || work.refusal(now).is_some())
    }

    /// Whether nobody fetches its token or waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.work.as_ref().is_none_or(|work| work.gate.is_idle())
    }

    fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// Takes the duty, or waits for it: [`Gate::enter`].
    pub(crate) fn enter(&mut self, flow: u64, now: Time, waker: &Waker) -> Result<(), Time> {
        self.work().gate.enter(flow, now, waker)
    }

    pub(crate) fn extend(&mut self, flow: u64, until: Time) {
        self.work().gate.extend(flow, until);
    }

    /// Gives up a flow's duty or place in the queue; those who have to be woken are returned.
    pub(crate) fn leave(&mut self, flow: u64) -> Vec<Waker> {
        let woken = self.work.as_mut().map(|work| work.gate.leave(flow)).unwrap_or_default();
        self.work.take_if(|work| work.gate.is_idle() && work.refused.is_none() && work.lost == 0);
        woken
    }

    /// The token service refused: everybody's answer for a while.
    pub(crate) fn refuse(&mut self, now: Time, error: Error, retry_at: Option<Time>) {
        let until = retry_at.unwrap_or(now).max(now.plus_millis(SHARED_REFUSAL));
        self.work().refused = Some((error, until.min(now.plus_millis(MAX_SHARED_REFUSAL))));
    }

    /// The network swallowed an attempt. After two, those who wait get the error and new ones back off: 1 s, 2 s, up to
    /// 30 s.
    pub(crate) fn lose(&mut self, now: Time, error: Error) {
        let work = self.work();
        work.lost += 1;
        work.lost_error = Some(error);
        if work.lost >= 2 {
            work.not_before = now.plus_millis((1000 << (work.lost - 2).min(5)).min(MAX_BACK_OFF));
        }
    }
}
