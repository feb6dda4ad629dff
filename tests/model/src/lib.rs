//! The single flight as a state machine: flows of one registry that need the same token, the cache entry that they
//! share, the token service, the registry, and time.
//!
//! It is written from the rules (C.4, C.5 and the design's section on the cache), in whole seconds and without the code
//! of the library. `tests/check.rs` looks at every state there is; `tests/replay.rs` drives real flows through random
//! runs and compares each step.

use std::fmt;

/// Flows in a run.
pub const FLOWS: usize = 4;
/// Seconds after which the duty of a flow that does not answer is free.
pub const LEASE: u8 = 30;
/// Seconds that a token lives, and the last tenth of them.
pub const LIFE: u8 = 40;
const LATE: u8 = 36;
/// Seconds for which a refusal is everybody's answer.
const SHARED: u8 = 1;
/// Seconds after its receipt within which a refused token is a matter of clocks, and those to wait then.
const FRESH: u8 = 5;
const SKEW: u8 = 1;

/// The name of a token that something still refers to.
pub type Token = u8;
const TOKENS: usize = FLOWS * 2 + 1;

/// What one flow does, as its host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Polled never, or not since it has to begin anew.
    Idle,
    /// Waits for another's token request: seconds until it may take over, and whether its waker was called.
    Parked {
        /// Seconds.
        left: u8,
        /// Whether its waker was called.
        woken: bool,
    },
    /// Waits before the next attempt at a token service that was lost twice.
    BackOff {
        /// Seconds.
        left: u8,
    },
    /// Its token request is out.
    Fetching {
        /// The token that it renews.
        old: Option<Token>,
        /// Seconds of its lease.
        lease: u8,
    },
    /// Has a token and was not polled since.
    Ready(Token),
    /// Its request with this token is out.
    Sending(Token),
    /// Waits, as its fresh token was refused.
    Skewed {
        /// The token.
        token: Token,
        /// Seconds.
        left: u8,
    },
    /// Over.
    Done,
    /// Over.
    Failed(Why),
    /// Over.
    Dropped,
}

/// Whose answer a failed flow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The token service's.
    Refused,
    /// The network's.
    Lost,
    /// The registry's.
    Registry,
}

/// One flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// What it does.
    pub phase: Phase,
    /// It waits, since so many requests were lost.
    parked: Option<u8>,
    /// It was waiting when the second request was lost.
    owed: bool,
    /// It has sent a refused token again.
    skew: bool,
    /// The token that it sends is that one.
    again: bool,
    /// It has gone on from a refused token to another one.
    renewed: bool,
}

/// What may still go wrong; each number is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Token requests that the network swallows.
    pub losses: u8,
    /// Refusals of the token service.
    pub refusals: u8,
    /// Flows that their caller gives up.
    pub drops: u8,
    /// Leaders that do not answer in time.
    pub timeouts: u8,
    /// Tokens that run out in the cache; the ones after that live long.
    pub expiries: u8,
    /// Tokens that the registry refuses from some moment on, and requests that come to it after their token ran out.
    pub revocations: u8,
}

/// A rule that a step broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Two token requests at a time, and the first one's lease has not run out.
    TwoRequests,
    /// A token was sent that had run out.
    DeadTokenSent,
    /// A token request right after a refusal.
    RefusalNotShared,
    /// A token request while there was a token to use.
    TokenNotUsed,
    /// One that waited through two losses went on without their error.
    ErrorNotGiven,
}

/// A whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The flows.
    pub flows: [Flow; FLOWS],
    /// The token in the cache.
    pub token: Option<Token>,
    /// Seconds since the receipt of each token, and whether it lives long.
    ages: [Option<(u8, bool)>; TOKENS],
    /// The token that the registry refuses.
    revoked: Option<Token>,
    /// Who fetches, and for how long that is its duty.
    holder: Option<(u8, u8)>,
    /// Seconds for which the last refusal holds.
    refused: u8,
    lost: u8,
    /// What the last of them was.
    loss: Why,
    not_before: u8,
    /// What may still go wrong.
    pub budget: Budget,
    /// What went wrong, and should not.
    pub broken: Option<Broken>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The host polls a flow.
    Poll(usize),
    /// The token service gives a token.
    Grant(usize),
    /// The token service refuses.
    Refuse(usize),
    /// The network swallows the token request.
    Lose(usize),
    /// The registry answers.
    Accept(usize),
    /// The registry refuses the token.
    Reject(usize),
    /// The caller gives the flow up.
    Drop(usize),
    /// The registry will refuse the token in the cache from now on.
    Revoke,
    /// So many seconds pass, to the next moment at which something changes.
    Tick(u8),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Flow {
    /// Whether nothing will come of it any more.
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Failed(_) | Phase::Dropped)
    }
}

impl State {
    /// Nothing in the cache; the registry's challenge is remembered.
    pub const fn new(budget: Budget) -> Self {
        let flow = Flow { phase: Phase::Idle, parked: None, owed: false, skew: false, again: false, renewed: false };
        Self {
            flows: [flow; FLOWS],
            token: None,
            ages: [None; TOKENS],
            revoked: None,
            holder: None,
            refused: 0,
            lost: 0,
            loss: Why::Lost,
            not_before: 0,
            budget,
            broken: None,
        }
    }

    fn age(&self, token: Token) -> (u8, bool) {
        self.ages.get(usize::from(token)).copied().flatten().unwrap_or((LIFE, false))
    }

    fn is_live(&self, token: Token) -> bool {
        let (age, long) = self.age(token);
        long || age < LIFE
    }

    fn is_late(&self, token: Token) -> bool {
        let (age, long) = self.age(token);
        !long && age >= LATE
    }

    /// The token in the cache, if it is live.
    pub fn live(&self) -> Option<Token> {
        self.token.filter(|token| self.is_live(*token))
    }

    /// Whether a lease is held, and by another flow.
    fn is_busy(&self, flow: usize) -> bool {
        self.holder.is_some_and(|(holder, left)| left > 0 && usize::from(holder) != flow)
    }

    /// Whether a flow that waits unwoken waits for somebody who will answer or run out of time.
    pub fn nobody_waits_for_ever(&self) -> bool {
        let leads = |(holder, _): (u8, u8)| {
            self.flows.get(usize::from(holder)).is_some_and(|flow| matches!(flow.phase, Phase::Fetching { .. }))
        };
        self.flows.iter().all(|flow| match flow.phase {
            Phase::Parked { left, woken: false } => left <= LEASE && self.holder.is_some_and(leads),
            Phase::BackOff { left } => left <= 30,
            _ => true,
        })
    }

    /// Whether nobody sleeps while there is a token.
    pub fn all_proceed_after_a_success(&self) -> bool {
        let asleep = |flow: &Flow| matches!(flow.phase, Phase::Parked { woken: false, .. });
        self.live().is_none() || !self.flows.iter().any(asleep)
    }

    /// What can happen.
    pub fn actions(&self, actions: &mut Vec<Action>) {
        let budget = &self.budget;
        for (place, flow) in self.flows.iter().enumerate() {
            match flow.phase {
                Phase::Idle | Phase::Ready(_) => actions.push(Action::Poll(place)),
                Phase::Parked { .. } => actions.push(Action::Poll(place)),
                Phase::BackOff { left: 0 } | Phase::Skewed { left: 0, .. } => actions.push(Action::Poll(place)),
                Phase::Fetching { .. } => {
                    actions.push(Action::Grant(place));
                    if budget.refusals > 0 {
                        actions.push(Action::Refuse(place));
                    }
                    if budget.losses > 0 {
                        actions.push(Action::Lose(place));
                    }
                }
                Phase::Sending(token) => {
                    let revoked = self.revoked == Some(token);
                    if !revoked {
                        actions.push(Action::Accept(place));
                    }
                    if revoked || (!self.is_live(token) && budget.revocations > 0) {
                        actions.push(Action::Reject(place));
                    }
                }
                _ => {}
            }
            if budget.drops > 0 && !flow.is_over() {
                actions.push(Action::Drop(place));
            }
        }
        if budget.revocations > 0 && self.live().is_some_and(|token| self.revoked != Some(token)) {
            actions.push(Action::Revoke);
        }
        if let Some(seconds) = self.next_moment() {
            let overdue = self.holder.is_some_and(|(_, left)| left > 0 && left == seconds);
            if !overdue || budget.timeouts > 0 {
                actions.push(Action::Tick(seconds));
            }
        }
    }

    /// Whether the registry may still refuse a token, so that its age makes a difference.
    const fn may_be_rejected(&self) -> bool {
        self.budget.revocations > 0 || self.revoked.is_some()
    }

    /// Seconds to the next moment at which something changes.
    fn next_moment(&self) -> Option<u8> {
        if self.flows.iter().all(Flow::is_over) {
            return None;
        }
        let flows = self.flows.iter().filter_map(|flow| match flow.phase {
            Phase::Parked { left, .. } | Phase::BackOff { left } | Phase::Skewed { left, .. } => Some(left),
            Phase::Fetching { lease, .. } => Some(lease),
            _ => None,
        });
        let refuses = self.may_be_rejected();
        let ages = self.ages.iter().flatten().flat_map(|(age, long)| {
            let (late, life) = if *long { (0, 0) } else { (LATE, LIFE) };
            let fresh = if refuses { FRESH + 1 } else { 0 };
            [fresh, late, life].map(|moment| moment.saturating_sub(*age))
        });
        let slot = [self.refused, self.not_before, self.holder.map_or(0, |(_, left)| left)];
        flows.chain(ages).chain(slot).filter(|left| *left > 0).min()
    }

    /// The state after an action; `None` if it changes nothing.
    pub fn after(&self, action: Action) -> Option<Self> {
        let mut next = *self;
        match action {
            Action::Poll(place) => next.poll(place)?,
            Action::Grant(place) => next.grant(place)?,
            Action::Refuse(place) => {
                next.budget.refusals = next.budget.refusals.checked_sub(1)?;
                next.refuse(place)?;
            }
            Action::Lose(place) => {
                next.budget.losses = next.budget.losses.checked_sub(1)?;
                next.lose(place, Why::Lost)?;
            }
            Action::Accept(place) => next.flows.get_mut(place)?.phase = Phase::Done,
            Action::Reject(place) => next.reject(place)?,
            Action::Drop(place) => {
                next.budget.drops = next.budget.drops.checked_sub(1)?;
                next.end(place, Phase::Dropped)?;
            }
            Action::Revoke => {
                next.budget.revocations = next.budget.revocations.checked_sub(1)?;
                next.revoked = next.token;
            }
            Action::Tick(seconds) => next.tick(seconds),
        }
        next.forget();
        (next != *self).then_some(next)
    }

    /// The same state without what makes no difference any more, and with its flows and tokens in one order.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        if !self.may_be_rejected() {
            for flow in &mut self.flows {
                (flow.skew, flow.again, flow.renewed) = (false, false, false);
                if let Phase::Sending(token) = &mut flow.phase {
                    *token = Token::MAX;
                }
            }
            self.forget();
        }
        let leads = |place: usize| self.holder.is_some_and(|(holder, _)| usize::from(holder) == place);
        let mut flows: Vec<(bool, Flow)> =
            self.flows.iter().enumerate().map(|(place, flow)| (leads(place), *flow)).collect();
        flows.sort_unstable();
        let mut names = [None; TOKENS];
        let mut next = 0;
        let mut rename = |token: &mut Token| {
            if let Some(name) = names.get_mut(usize::from(*token)) {
                *token = *name.get_or_insert_with(|| {
                    next += 1;
                    next - 1
                });
            }
        };
        self.token.iter_mut().for_each(&mut rename);
        for (place, (leads, flow)) in flows.iter_mut().enumerate() {
            match &mut flow.phase {
                Phase::Fetching { old, .. } => old.iter_mut().for_each(&mut rename),
                Phase::Ready(token) | Phase::Sending(token) | Phase::Skewed { token, .. } => rename(token),
                _ => {}
            }
            if let (true, Some((holder, _))) = (*leads, &mut self.holder) {
                *holder = place as u8;
            }
            if let Some(to) = self.flows.get_mut(place) {
                *to = *flow;
            }
        }
        self.revoked.iter_mut().for_each(&mut rename);
        let mut ages = [None; TOKENS];
        for (age, name) in self.ages.iter().zip(names) {
            if let Some(place) = name.and_then(|name: Token| ages.get_mut(usize::from(name))) {
                *place = *age;
            }
        }
        self.ages = ages;
        self
    }

    /// Ends a flow: what it was for others goes to them.
    fn end(&mut self, place: usize, phase: Phase) -> Option<()> {
        let flow = self.flows.get_mut(place)?;
        *flow = Flow { phase, parked: None, owed: false, skew: false, again: false, renewed: false };
        self.leave(place);
        Some(())
    }

    /// Gives up the duty, and wakes those who wait for it.
    fn leave(&mut self, place: usize) {
        if self.holder.is_some_and(|(holder, _)| usize::from(holder) == place) {
            self.holder = None;
            self.wake();
        }
    }

    fn wake(&mut self) {
        for flow in &mut self.flows {
            if let Phase::Parked { woken, .. } = &mut flow.phase {
                *woken = true;
            }
        }
    }

    fn poll(&mut self, place: usize) -> Option<()> {
        match self.flows.get(place)?.phase {
            // What ran out between the answer and now is not sent.
            Phase::Ready(token) if self.is_live(token) => self.send(place, token),
            Phase::Skewed { token, left: 0 } if self.is_live(token) => {
                self.flows.get_mut(place)?.again = true;
                self.send(place, token)
            }
            Phase::Ready(_) | Phase::Skewed { left: 0, .. } | Phase::Idle | Phase::Parked { .. } => self.turn(place),
            Phase::BackOff { left: 0 } => self.turn(place),
            _ => None,
        }
    }

    fn send(&mut self, place: usize, token: Token) -> Option<()> {
        if !self.is_live(token) {
            self.broken = Some(Broken::DeadTokenSent);
        }
        let flow = self.flows.get_mut(place)?;
        if flow.owed {
            self.broken = Some(Broken::ErrorNotGiven);
        }
        (flow.phase, flow.parked) = (Phase::Sending(token), None);
        Some(())
    }

    fn fetch(&mut self, place: usize, old: Option<Token>) -> Option<()> {
        let other = |(number, flow): (usize, &Flow)| {
            number != place && matches!(flow.phase, Phase::Fetching { lease, .. } if lease > 0)
        };
        if self.flows.iter().enumerate().any(other) {
            self.broken = Some(Broken::TwoRequests);
        }
        if old.is_none() && self.refused > 0 {
            self.broken = Some(Broken::RefusalNotShared);
        }
        if old.is_none() && self.live().is_some() {
            self.broken = Some(Broken::TokenNotUsed);
        }
        let flow = self.flows.get_mut(place)?;
        if flow.owed {
            self.broken = Some(Broken::ErrorNotGiven);
        }
        (flow.phase, flow.parked) = (Phase::Fetching { old, lease: LEASE }, None);
        self.holder = Some((u8::try_from(place).ok()?, LEASE));
        Some(())
    }

    /// What a flow does that needs a token.
    fn turn(&mut self, place: usize) -> Option<()> {
        let (busy, flow) = (self.is_busy(place), *self.flows.get(place)?);
        if let Some(token) = self.live() {
            // One renews in the last tenth, the others go on with the old one.
            let renews = self.is_late(token) && !busy && self.not_before == 0;
            return if renews { self.fetch(place, Some(token)) } else { self.send(place, token) };
        }
        if self.refused > 0 {
            return self.end(place, Phase::Failed(Why::Refused));
        }
        if flow.parked.is_some_and(|before| self.lost >= 2 && self.lost > before) {
            return self.end(place, Phase::Failed(self.loss));
        }
        if self.not_before > 0 {
            self.flows.get_mut(place)?.phase = Phase::BackOff { left: self.not_before };
            return Some(());
        }
        if busy {
            let (lost, left) = (self.lost, self.holder.map_or(0, |(_, left)| left));
            let flow = self.flows.get_mut(place)?;
            // A success began the count anew.
            flow.parked = Some(flow.parked.map_or(lost, |before| before.min(lost)));
            flow.phase = Phase::Parked { left, woken: false };
            return Some(());
        }
        self.fetch(place, None)
    }

    fn grant(&mut self, place: usize) -> Option<()> {
        let free = self.ages.iter().position(Option::is_none)?;
        let token = Token::try_from(free).ok()?;
        *self.ages.get_mut(free)? = Some((0, self.budget.expiries == 0));
        self.token = Some(token);
        (self.refused, self.lost, self.loss, self.not_before) = (0, 0, Why::Lost, 0);
        self.leave(place);
        // Also when it came late, and another has the duty.
        self.wake();
        self.flows.iter_mut().for_each(|flow| flow.owed = false);
        self.flows.get_mut(place)?.phase = Phase::Ready(token);
        Some(())
    }

    fn refuse(&mut self, place: usize) -> Option<()> {
        match self.flows.get(place)?.phase {
            Phase::Fetching { old: None, .. } => {
                self.refused = SHARED;
                self.end(place, Phase::Failed(Why::Refused))
            }
            // A renewal that fails takes nothing away from the others.
            _ => self.lose(place, Why::Refused),
        }
    }

    fn lose(&mut self, place: usize, why: Why) -> Option<()> {
        self.lost += 1;
        self.loss = why;
        if self.lost >= 2 {
            self.not_before = (1 << (self.lost - 2).min(5)).min(30);
            // With a token that still lives they have no use for the error.
            let none = self.live().is_none();
            for flow in &mut self.flows {
                let since = flow.parked.is_some_and(|before| before < self.lost);
                flow.owed |= none && since && matches!(flow.phase, Phase::Parked { .. });
            }
        }
        match self.flows.get(place)?.phase {
            Phase::Fetching { old: Some(old), .. } if self.is_live(old) => {
                self.leave(place);
                self.flows.get_mut(place)?.phase = Phase::Ready(old);
                Some(())
            }
            _ => self.end(place, Phase::Failed(why)),
        }
    }

    /// The registry says that the token is invalid.
    fn reject(&mut self, place: usize) -> Option<()> {
        let Phase::Sending(token) = self.flows.get(place)?.phase else { return None };
        if self.revoked != Some(token) {
            self.budget.revocations = self.budget.revocations.checked_sub(1)?;
        }
        let newer = self.live().is_some_and(|newest| newest != token);
        let (live, (age, _)) = (self.is_live(token), self.age(token));
        let flow = self.flows.get_mut(place)?;
        if !newer && (flow.again || (live && age <= FRESH)) {
            if std::mem::replace(&mut flow.skew, true) {
                return self.end(place, Phase::Failed(Why::Registry));
            }
            flow.phase = Phase::Skewed { token, left: SKEW };
            return Some(());
        }
        // Another flow's newer token is the one renewal, too.
        if live && std::mem::replace(&mut flow.renewed, true) {
            return self.end(place, Phase::Failed(Why::Registry));
        }
        (flow.phase, flow.again) = (Phase::Idle, false);
        self.token.take_if(|kept| *kept == token);
        Some(())
    }

    fn tick(&mut self, seconds: u8) {
        let less = |left: &mut u8| *left = left.saturating_sub(seconds);
        for flow in &mut self.flows {
            match &mut flow.phase {
                Phase::Parked { left, .. } | Phase::BackOff { left } | Phase::Skewed { left, .. } => less(left),
                Phase::Fetching { lease, .. } => less(lease),
                _ => {}
            }
        }
        if let Some((_, left)) = &mut self.holder {
            if *left > 0 && *left <= seconds {
                self.budget.timeouts = self.budget.timeouts.saturating_sub(1);
            }
            less(left);
        }
        less(&mut self.refused);
        less(&mut self.not_before);
        let before = self.live();
        for (age, long) in self.ages.iter_mut().flatten() {
            *age = age.saturating_add(seconds).min(if *long { FRESH + 1 } else { LIFE });
        }
        if before.is_some() && self.live().is_none() {
            self.budget.expiries = self.budget.expiries.saturating_sub(1);
        }
    }

    /// Forgets the tokens that nothing refers to, so that like states are one.
    fn forget(&mut self) {
        let mut used = [false; TOKENS];
        let mut mark = |token: Option<Token>| {
            if let Some(place) = token.and_then(|token| used.get_mut(usize::from(token))) {
                *place = true;
            }
        };
        mark(self.token);
        for flow in &self.flows {
            match flow.phase {
                Phase::Fetching { old, .. } => mark(old),
                Phase::Ready(token) | Phase::Sending(token) | Phase::Skewed { token, .. } => mark(Some(token)),
                _ => {}
            }
        }
        for (age, used) in self.ages.iter_mut().zip(used) {
            if !used {
                *age = None;
            }
        }
        let ages = &self.ages;
        self.revoked.take_if(|token| ages.get(usize::from(*token)).copied().flatten().is_none());
    }
}
