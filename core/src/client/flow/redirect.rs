//! Redirects of the registry's answers: where they lead, and which of them are followed.

use super::{Answer, Flow, Place, State};
use crate::client::hop::{Hop, Reason};
use crate::error::{Error, ErrorKind};
use crate::origin::Url;
use crate::scope;

impl Flow {
    /// Where the host's client has followed redirects by itself, the request is where these led, and has been where it
    /// was sent.
    pub(super) fn move_to(&mut self, effective: Option<&str>) {
        let Some(effective) = effective.map(Url::parse) else { return };
        let Ok(here) = &self.here.url else { return };
        if effective.as_ref().is_ok_and(|url| url.origin() == here.origin()) {
            self.here.url = effective;
            return;
        }
        let chain = &mut self.here.chain;
        if chain.origins.last() != Some(here.origin()) {
            chain.origins.push(here.origin().clone());
        }
        // Nobody knows where that is.
        chain.bare |= effective.is_err();
        if effective.is_ok() {
            self.here.url = effective;
        }
    }

    /// Follows a redirect. False: it is the application's answer.
    pub(super) fn follow_to(&mut self, answer: &Answer<'_>) -> Result<bool, Error> {
        let safe = matches!(self.here.method.as_str(), "GET" | "HEAD");
        if !safe && matches!(answer.status, 301 | 302) {
            return Ok(false);
        }
        let denied = |reason, origin| Error::at(ErrorKind::Denied(reason), Hop::Redirect, origin);
        let Some(location) = location(answer).map_err(|reason| denied(reason, None))? else { return Ok(false) };
        let here = self.here.url.clone().map_err(|flaw| self.error(ErrorKind::Denied(Reason::Url(flaw))))?;
        let url = here.join(location).map_err(|flaw| denied(Reason::Url(flaw), None))?;
        let method = match answer.status {
            303 if self.here.method != "HEAD" => "GET".to_string(),
            _ => self.here.method.clone(),
        };
        self.here = Place { hop: Hop::Redirect, method, url: Ok(url), chain: self.visited() };
        self.decide_here()?;
        self.keep = true;
        self.state = State::Prepare;
        Ok(true)
    }

    /// A body follows a redirect to another origin as a part of an upload only, whoever follows it.
    pub(super) fn check_body(&self, target: &Url) -> Result<(), Error> {
        let place = &self.here;
        let has_body = place.hop == Hop::Redirect && !matches!(place.method.as_str(), "GET" | "HEAD");
        if has_body && place.chain.origins.last() != Some(target.origin()) && !self.is_upload() {
            let kind = ErrorKind::Denied(Reason::BodyCrossing);
            return Err(Error::at(kind, Hop::Redirect, Some(target.origin().clone())));
        }
        Ok(())
    }

    pub(super) fn is_upload(&self) -> bool {
        self.upload
            || self.start.hop == Hop::Upload
            || self.start.url.as_ref().is_ok_and(|url| scope::is_upload(&self.start.method, url.path()))
    }
}

/// The Location of a redirect; empty is none, and fields that differ are refused.
pub(super) fn location<'a>(answer: &Answer<'a>) -> Result<Option<&'a str>, Reason> {
    let (mut first, mut differ) = (None, false);
    answer.headers.each("location", &mut |value| {
        differ |= first.is_some_and(|known| known != value);
        first = first.or(Some(value));
    });
    if differ {
        return Err(Reason::Location);
    }
    match first.map(std::str::from_utf8) {
        Some(Err(_)) => Err(Reason::Location),
        Some(Ok("")) | None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
    }
}
