//! Values by number.

/// A sorted list. Numbers count up, so that what is new goes to its end; values are boxed, so that little moves when one
/// goes. A `BTreeMap` is four times the code, for each type of value.
#[derive(Debug)]
pub(crate) struct Ids<T>(Vec<(u32, Box<T>)>);

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ids<T> {
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(known, _)| *known)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.0.get(self.place(id).ok()?).map(|(_, value)| &**value)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place).map(|(_, value)| &mut **value)
    }

    /// Puts a value in the place of an earlier one.
    pub(crate) fn insert(&mut self, id: u32, value: T) {
        self.remove(id);
        if let Err(place) = self.place(id) {
            self.0.insert(place, (id, Box::new(value)));
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        self.place(id).ok().map(|place| *self.0.remove(place).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().map(|(id, value)| (*id, &**value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.0.iter_mut().map(|(id, value)| (*id, &mut **value))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}
