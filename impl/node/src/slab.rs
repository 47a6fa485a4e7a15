//! Owns places that are used again and keys that are not: whoever holds the key of something gone
//! finds nothing, even when the place has a new tenant.
//!
//! Must not know what it holds.

/// The name of one thing: its place, and the how manieth tenant of that place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The place.
    pub index: u32,
    /// The tenant.
    pub generation: u32,
}

impl Key {
    /// The name of nothing.
    pub const NOBODY: Self = Self { index: u32::MAX, generation: u32::MAX };
}

/// Things by key.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    tenant: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// How many things there are, those that are out included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key that the next insertion will return.
    #[must_use]
    pub fn next_key(&self) -> Key {
        let index = self.free.last().copied().unwrap_or_else(|| u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        Key { index, generation: self.places.get(index as usize).map_or(0, |place| place.generation) }
    }

    /// Adds a thing.
    pub fn insert(&mut self, tenant: T) -> Key {
        let key = self.next_key();
        self.len += 1;
        if self.free.pop().is_some() {
            self.places[key.index as usize].tenant = Some(tenant);
        } else {
            self.places.push(Place { generation: 0, tenant: Some(tenant) });
        }
        key
    }

    /// The thing of this key, if it is still there.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.place(key).and_then(|place| place.tenant.as_ref())
    }

    /// The thing of this key, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        place.tenant.as_mut()
    }

    /// Takes a thing out for a while; its place stays its own until it is [put back](Slab::put_back)
    /// or [vacated](Slab::vacate).
    pub fn take_out(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        place.tenant.take()
    }

    /// Puts a thing back that was taken out.
    pub fn put_back(&mut self, key: Key, tenant: T) {
        if let Some(place) = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)
        {
            place.tenant = Some(tenant);
        }
    }

    /// Gives up the place of a thing that was taken out.
    pub fn vacate(&mut self, key: Key) {
        let Some(place) = self.places.get_mut(key.index as usize) else { return };
        if place.generation == key.generation {
            place.tenant = None;
            place.generation = place.generation.wrapping_add(1);
            self.free.push(key.index);
            self.len -= 1;
        }
    }

    /// Takes a thing out for good.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let tenant = self.take_out(key)?;
        self.vacate(key);
        Some(tenant)
    }

    /// Every thing that is in its place, with its key.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..).zip(&self.places).filter_map(|(index, place)| {
            let key = Key { index, generation: place.generation };
            place.tenant.as_ref().map(|tenant| (key, tenant))
        })
    }

    /// Every thing that is in its place, with its key.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        (0..).zip(&mut self.places).filter_map(|(index, place)| {
            let key = Key { index, generation: place.generation };
            place.tenant.as_mut().map(|tenant| (key, tenant))
        })
    }

    fn place(&self, key: Key) -> Option<&Place<T>> {
        self.places.get(key.index as usize).filter(|place| place.generation == key.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_key_does_not_open_the_door_to_the_next_tenant() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        assert_eq!(slab.next_key().index, first.index);
        let second = slab.insert("second");
        assert_eq!((second.index, slab.get(first), slab.get(second)), (first.index, None, Some(&"second")));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_thing_that_is_out_keeps_its_place() {
        let mut slab = Slab::default();
        let out = slab.insert(1);
        assert_eq!(slab.take_out(out), Some(1));
        let other = slab.insert(2);
        assert_ne!(out.index, other.index);
        assert_eq!((slab.len(), slab.iter().count()), (2, 1));
        slab.put_back(out, 3);
        assert_eq!(slab.get(out), Some(&3));
        slab.take_out(out);
        slab.vacate(out);
        slab.put_back(out, 4);
        assert_eq!((slab.get(out), slab.len()), (None, 1));
    }
}
