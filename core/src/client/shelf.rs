//! Live tokens by what they are for: where the warm path looks.

use std::sync::Arc;

use super::cache::Token;
use crate::scope::{Actions, Scope};
use crate::time::Time;

/// The tokens for one resource.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Apart from the others, so that one token, which is the rule, needs no allocation.
    newest: Option<Place>,
    older: Vec<Place>,
}

/// A token, and what it allows on this resource: the warm path compares no text.
#[derive(Debug)]
struct Place {
    actions: Actions,
    token: Arc<Token>,
}

impl Shelf {
    /// The tokens, the newest first.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.places().map(|place| &place.token)
    }

    /// The newest live token for these actions.
    pub(crate) fn find(&self, now: Time, actions: Actions) -> Option<&Arc<Token>> {
        self.places().find(|place| place.actions.cover(actions) && place.token.is_live(now)).map(|place| &place.token)
    }

    /// Puts a token in front of the others, and forgets those that have run out.
    pub(crate) fn put(&mut self, now: Time, resource: &str, token: &Arc<Token>) {
        self.retain(|old| old.is_live(now) && !Arc::ptr_eq(old, token));
        let actions = token.asked.iter().filter_map(Scope::parts).filter(|(name, _)| *name == resource);
        let actions = actions.fold(Actions::default(), |all, (_, actions)| all.and(Actions::of(actions)));
        self.older.extend(self.newest.replace(Place { actions, token: Arc::clone(token) }));
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Arc<Token>) -> bool) {
        self.older.retain(|place| keep(&place.token));
        if self.newest.as_ref().is_some_and(|place| !keep(&place.token)) {
            self.newest = self.older.pop();
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.newest.iter().chain(self.older.iter().rev())
    }
}
