//! The exchange from one [`Do`](super::Do) to the next.

use std::task::Waker;

use super::{Act, Exchange, MAX_DISCARD, Stage};
use crate::client::{Answer, Step, Want};
use crate::error::{Error, ErrorKind, Failure};
use crate::time::Time;
use crate::tls::Attempt;
use crate::wire::call::Call;
use crate::wire::connection::{Broken, Event};
use crate::wire::{Collector, Framing, Head, Sent};

impl Exchange {
    /// One step without the host; what is wanted of the host, if that is all.
    pub(super) fn advance(&mut self, now: Time, waker: &Waker) -> Option<Act> {
        match &mut self.stage {
            Stage::Ask => return self.ask(now, waker),
            Stage::Route => self.route(now),
            Stage::Leave => {
                if self.live.as_mut().is_some_and(|live| live.connection.is_closing(now)) {
                    return Some(Act::Write);
                }
                self.live = None;
                self.stage = Stage::Close;
            }
            Stage::Close => return Some(Act::Close),
            Stage::Connect => return Some(Act::Connect),
            Stage::Head => return Some(Act::Head),
            Stage::Done => return Some(Act::Done),
            Stage::Failed => return Some(Act::Failed),
            Stage::Talk | Stage::Collect(..) | Stage::Discard(_) | Stage::Content => {
                let Some(live) = &mut self.live else {
                    self.stage = Stage::Failed;
                    return None;
                };
                match live.connection.step(now) {
                    Event::Write => return Some(Act::Write),
                    Event::Read => return Some(Act::Read),
                    Event::WantBody => return Some(Act::WantBody),
                    Event::Head(head) => self.heard(now, waker, head),
                    Event::Content => return self.content(now),
                    Event::End => self.ended(now),
                    Event::Failed(broken) => self.broke(now, broken),
                }
            }
        }
        None
    }

    fn ask(&mut self, now: Time, waker: &Waker) -> Option<Act> {
        match self.flow.poll(now, waker) {
            Step::Send(out) => {
                match Call::new(&self.agent, out, &self.fields, self.body) {
                    Ok(call) => {
                        self.cause = None;
                        self.call = Some(call);
                        self.stage = Stage::Route;
                    }
                    Err(error) => self.latch(error),
                }
                None
            }
            Step::Done => {
                self.stage = Stage::Done;
                None
            }
            Step::Failed(_) => {
                self.error = self.cause.take();
                (self.live, self.stage) = (None, Stage::Failed);
                None
            }
            Step::Credentials(_) => Some(Act::Credentials),
            Step::Wait { until, why } => Some(Act::Wait(until, why)),
        }
    }

    /// Finds the connection for the request.
    fn route(&mut self, now: Time) {
        let Some(call) = &self.call else {
            self.stage = Stage::Failed;
            return;
        };
        let Some(live) = &mut self.live else {
            self.stage = Stage::Connect;
            return;
        };
        let usable = live.connection.is_quiet(now);
        if usable && call.fits(live) && self.flow.dial(live.dial).is_ok() {
            self.begin(now);
        } else if usable {
            self.stage = Stage::Close;
        } else {
            live.connection.close();
            self.stage = Stage::Leave;
        }
    }

    /// Begins to send the request.
    pub(super) fn begin(&mut self, now: Time) {
        if let (Some(call), Some(live)) = (&self.call, &mut self.live) {
            let reused = live.connection.was_used();
            self.sent.push(Sent { reused, begun: now, ..call.about.clone() });
            live.connection.start(&call.method, [&call.head, &call.form], call.framing);
            if call.framing != Framing::None && self.begun {
                (self.begun, self.again) = (false, true);
            }
            self.stage = Stage::Talk;
        }
    }

    /// The final head came.
    fn heard(&mut self, now: Time, waker: &Waker, head: Head) {
        self.note(now, Some(head.status()));
        if let (Some(sent), Some(date)) = (self.sent.last_mut(), head.get("date")) {
            sent.date = std::str::from_utf8(date).ok().filter(|date| date.len() <= 64).map(str::to_string);
        }
        let (Some(call), Some(live)) = (&mut self.call, &mut self.live) else { return };
        // The server's word for a connection that it had given up while this side held it for idle (RFC 9110 section
        // 15.5.9).
        if head.status() == 408 && live.connection.was_used() && call.repeatable && !call.fresh {
            call.fresh = true;
            live.connection.close();
            self.stage = Stage::Leave;
            return;
        }
        if self.tries_next(&head) {
            return;
        }
        let (Some(call), Some(live)) = (&mut self.call, &mut self.live) else { return };
        if let Want::Whole { at_most } = call.want {
            self.stage = match live.connection.reading().map(|body| Collector::new(at_most, body)) {
                Some(Ok(collector)) => Stage::Collect(head, collector),
                _ => {
                    self.too_long(now, &head, at_most);
                    return;
                }
            };
            return;
        }
        let answer = Answer::new(head.status(), &head).tls(live.connection.evidence());
        self.flow.answer(now, answer);
        self.stage = match self.flow.poll(now, waker) {
            Step::Done => {
                self.head = Some(head);
                Stage::Head
            }
            Step::Failed(_) => Stage::Ask,
            _ if live.connection.is_worth_reading(MAX_DISCARD) => Stage::Discard(MAX_DISCARD),
            _ => {
                live.connection.give_up();
                Stage::Ask
            }
        };
    }

    /// Goes on to the next identity after an answer that may be a refusal of the one that was shown. On this connection,
    /// and with its session, the answer would be the same, so that the connection is not kept.
    fn tries_next(&mut self, head: &Head) -> bool {
        let (Some(call), Some(live)) = (&mut self.call, &mut self.live) else { return false };
        let Some(evidence) = live.connection.evidence() else { return false };
        let status = head.status();
        let ended = Attempt::Answered(status);
        // A kept connection may show what another request came to in the end: for this one it all begins at the first.
        let kept = live.skip > call.skip && !call.fresh && call.profile.is_refusal(evidence, ended);
        let next = if kept { Some(0) } else { call.profile.retry(evidence, ended).filter(|next| *next > call.skip) };
        let Some(next) = next else { return false };
        // A registry's own 400 is JSON; nginx answers so with a page for a certificate that it refuses.
        let own = status == 400 && head.get("content-type").is_some_and(is_json);
        // A refusal did nothing; what failed on the way may have.
        let repeatable = call.repeatable || status < 500;
        if own || !repeatable || (call.framing != Framing::None && self.begun && !self.rewinds) {
            return false;
        }
        self.flow.retried(evidence, ended);
        (call.skip, call.fresh) = (next, true);
        live.connection.close();
        self.stage = Stage::Leave;
        true
    }

    /// Content came.
    fn content(&mut self, now: Time) -> Option<Act> {
        let live = self.live.as_mut()?;
        match &mut self.stage {
            Stage::Collect(_, collector) => {
                let bytes = live.connection.bytes(now);
                let length = bytes.len();
                let fits = collector.push(bytes).is_ok();
                live.connection.took(length);
                if !fits && let Stage::Collect(head, collector) = std::mem::replace(&mut self.stage, Stage::Ask) {
                    self.too_long(now, &head, collector.limit());
                }
            }
            Stage::Discard(left) => {
                let length = live.connection.bytes(now).len();
                live.connection.took(length);
                match left.checked_sub(length) {
                    Some(less) => *left = less,
                    None => {
                        live.connection.give_up();
                        self.stage = Stage::Ask;
                    }
                }
            }
            _ => return Some(Act::Body),
        }
        None
    }

    /// The flow is told that a token answer is longer than it may be: so much and one byte, which nobody looks at.
    fn too_long(&mut self, now: Time, head: &Head, at_most: usize) {
        let Some(live) = &mut self.live else { return };
        live.connection.give_up();
        let filler = vec![b' '; at_most.saturating_add(1)];
        self.flow.answer(now, Answer::new(head.status(), head).body(&filler).tls(live.connection.evidence()));
        self.stage = Stage::Ask;
    }

    /// The response is whole.
    fn ended(&mut self, now: Time) {
        self.note(now, None);
        match std::mem::replace(&mut self.stage, Stage::Ask) {
            Stage::Collect(head, collector) => {
                let evidence = self.live.as_ref().and_then(|live| live.connection.evidence());
                let answer = Answer::new(head.status(), &head).body(collector.content()).tls(evidence);
                self.flow.answer(now, answer);
            }
            Stage::Content => self.stage = Stage::Done,
            _ => {}
        }
    }

    /// There will be no whole response on this connection.
    fn broke(&mut self, now: Time, broken: Broken) {
        self.note(now, None);
        let stage = std::mem::replace(&mut self.stage, Stage::Ask);
        if matches!(stage, Stage::Discard(_)) {
            return;
        }
        let (Some(call), Some(live)) = (&mut self.call, &mut self.live) else { return };
        let connection = &live.connection;
        let failure = match broken {
            Broken::Transport(failure) => failure,
            Broken::Error(ErrorKind::Misuse(what)) => return self.misuse(what),
            Broken::Error(kind) => {
                let error = call.error(kind);
                return if matches!(stage, Stage::Content) { self.latch(error) } else { self.gave_up(now, error) };
            }
        };
        match stage {
            Stage::Talk => {
                let stale = failure == Failure::Reset && connection.may_be_stale() && !call.fresh;
                // A rejected certificate left no trace on the server: the handshake was not over, or counts for nothing.
                let ended = Attempt::Failed(failure);
                let next = connection.evidence().and_then(|evidence| call.profile.retry(evidence, ended));
                match next {
                    Some(next) if call.repeatable && next > call.skip => {
                        if let Some(evidence) = connection.evidence() {
                            self.flow.retried(evidence, ended);
                        }
                        call.skip = next;
                        call.fresh = true;
                        self.stage = Stage::Route;
                        return;
                    }
                    _ if stale && (call.repeatable || !connection.was_asked()) => {
                        call.fresh = true;
                        self.stage = Stage::Route;
                        return;
                    }
                    _ => {}
                }
            }
            Stage::Content => {
                let kind = ErrorKind::Network { failure, evidence: connection.evidence().cloned().map(Box::new) };
                let error = call.error(kind);
                return self.latch(error);
            }
            _ => {}
        }
        self.flow.failed(now, failure, connection.evidence());
    }

    /// No answer came, and not for a reason that the network would give. The flow may know a way on: an old token that
    /// still lives.
    pub(super) fn gave_up(&mut self, now: Time, cause: Error) {
        let evidence = self.live.as_ref().and_then(|live| live.connection.evidence());
        self.flow.failed(now, Failure::Tls, evidence);
        self.cause = Some(cause);
        self.stage = Stage::Ask;
    }

    /// Writes down what came of the request that is under way.
    fn note(&mut self, now: Time, status: Option<u16>) {
        let (Some(sent), Some(live)) = (self.sent.last_mut(), &mut self.live) else { return };
        sent.status = status.or(sent.status);
        sent.ended = Some(now);
        sent.evidence = live.connection.evidence().cloned();
    }

    pub(super) fn misuse(&mut self, what: &'static str) {
        self.latch(Error::new(ErrorKind::Misuse(what)));
    }

    pub(super) fn latch(&mut self, error: Error) {
        if matches!(self.stage, Stage::Failed) {
            return;
        }
        self.error = Some(error);
        self.live = None;
        self.stage = Stage::Failed;
    }
}

/// `application/json`, and what ends in `+json` (RFC 6839 section 3.1).
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence.ends_with(b"/json") || essence.ends_with(b"+json")
}
