//! Live tokens by what they are for: where the warm path looks.

use std::sync::Arc;

use super::cache::Token;
use crate::scope::Actions;
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

    /// Puts a token in front of the others, or adds actions to those of the one in front.
    pub(crate) fn put(&mut self, actions: Actions, token: &Arc<Token>) {
        match &mut self.newest {
            Some(place) if Arc::ptr_eq(&place.token, token) => place.actions = place.actions.and(actions),
            newest => self.older.extend(newest.replace(Place { actions, token: Arc::clone(token) })),
        }
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
