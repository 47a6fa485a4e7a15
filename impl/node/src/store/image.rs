//! Owns the image of all keys at one instant, made bit by bit while the keys change: what is about to
//! change, and is not in the image yet, goes into it first.
//!
//! Must not know where the image goes.

use super::{Place, Store, entry::Entry, table::Table};
use slotbus_core::CLUSTER_SLOTS;
use slotbus_wire::rdb;

/// How far an image has got.
#[derive(Debug)]
pub struct Image {
    slot: usize,
    /// The places of the slot's table from this one on are done.
    within: usize,
    bytes: Vec<u8>,
    compresses: bool,
}

impl Image {
    fn add(&mut self, entry: &Entry) {
        let end = entry.expires_at().map(|end| end.0);
        rdb::put_entry(&mut self.bytes, entry.key(), entry.view().body(), end, self.compresses);
    }
}

impl Store {
    /// Begins an image of all keys as they are now. One that is under way is given up.
    pub fn begin_image(&mut self) {
        let mut bytes = Vec::new();
        self.put_libraries(&mut bytes);
        if !self.is_empty() {
            rdb::put_sizes(&mut bytes, self.len(), self.expiring());
        }
        // Every entry has the mark of the image before, and none that of this one.
        self.image_mark = !self.image_mark;
        self.image = Some(Image { slot: 0, within: usize::MAX, bytes, compresses: self.limits.compresses });
    }

    /// Writes the libraries of functions as an image has them.
    pub(crate) fn put_libraries(&self, out: &mut Vec<u8>) {
        self.libraries.iter().for_each(|(_, text)| rdb::put_function(out, text, self.limits.compresses));
    }

    /// Gives an image up.
    pub fn end_image(&mut self) {
        if self.image.take().is_some_and(|image| image.slot < CLUSTER_SLOTS) {
            // What is not marked must not seem to be in the next image already.
            let mark = self.image_mark;
            self.tables
                .iter_mut()
                .for_each(|table| table.entries_mut().iter_mut().for_each(|entry| entry.set_mark(mark)));
        }
    }

    /// Whether an image is under way.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Goes on with the image until it has grown by about so many bytes, or visited so many slots; says
    /// whether there is more to do.
    pub fn go_on_with_image(&mut self, bytes_max: usize, slots_max: usize) -> bool {
        let Some(mut image) = self.image.take() else { return false };
        let last = image.slot.saturating_add(slots_max).min(CLUSTER_SLOTS);
        while image.slot < last && image.bytes.len() < bytes_max {
            let table = self.tables.get_mut(image.slot);
            if !table.is_some_and(|table| take_some(&mut image, table, self.image_mark, bytes_max)) {
                image.slot += 1;
                image.within = usize::MAX;
            }
        }
        let has_more = image.slot < CLUSTER_SLOTS;
        self.image = Some(image);
        has_more
    }

    /// Takes what the image has grown by.
    pub fn take_image_bytes(&mut self) -> Vec<u8> {
        self.image.as_mut().map(|image| std::mem::take(&mut image.bytes)).unwrap_or_default()
    }

    /// How much of the image waits to be taken.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image.as_ref().map_or(0, |image| image.bytes.len())
    }

    /// Puts an entry that is about to change, or to go, into the image, if it is not there yet.
    pub(super) fn keep_for_image(&mut self, place: Place) {
        let Some(image) = &mut self.image else { return };
        let entry = self.tables.get_mut(place.slot).and_then(|table| table.entry_mut(place.at));
        if let Some(entry) = entry.filter(|entry| entry.mark() != self.image_mark) {
            image.add(entry);
            entry.set_mark(self.image_mark);
        }
    }
}

/// Takes entries of a table; says whether some are left.
fn take_some(image: &mut Image, table: &mut Table, mark: bool, bytes_max: usize) -> bool {
    let entries = table.entries_mut();
    image.within = image.within.min(entries.len());
    while image.within > 0 {
        if image.bytes.len() >= bytes_max {
            return true;
        }
        image.within -= 1;
        let entry = &mut entries[image.within];
        if entry.mark() != mark {
            image.add(entry);
            entry.set_mark(mark);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::store::{Expiry, Store};
    use slotbus_wire::rdb::{self, Header, Record, RecordReader, Value};
    use std::collections::BTreeMap;

    /// The keys that an image holds.
    fn keys(bytes: &[u8]) -> BTreeMap<Vec<u8>, Value> {
        let mut all = Vec::new();
        rdb::put_header(&mut all, Header { version: "7", created_s: 0, used_memory: 0, stream: None, is_base: false });
        all.extend(bytes);
        let (mut reader, mut at, mut found) = (RecordReader::default(), 0, BTreeMap::new());
        while at < all.len() {
            let (record, length) = reader.read(&all[at..]).expect("sound");
            at += length;
            if let Record::Entry(entry) = record {
                assert_eq!(found.insert(entry.key, entry.value), None);
            }
        }
        found
    }

    #[test]
    fn an_image_holds_one_instant_whatever_happens_meanwhile() {
        let mut dice = fastrand::Rng::with_seed(5);
        let mut store = Store::default();
        let name = |number: u32| format!("{{{}}}{number}", number % 40).into_bytes();
        for round in 0..20 {
            for _ in 0..500 {
                store.set(&name(dice.u32(0..400)), &dice.u32(..).to_le_bytes(), Expiry::Never);
            }
            let twin: BTreeMap<_, _> = store
                .entries()
                .map(|entry| (entry.key().to_vec(), Value::String(entry.view().string().expect("a string").to_vec())))
                .collect();
            store.begin_image();
            let mut bytes = Vec::new();
            while store.go_on_with_image(300, 100) {
                for _ in 0..3 {
                    let key = name(dice.u32(0..500));
                    match dice.u8(0..4) {
                        0 => {
                            store.remove(&key);
                        }
                        1 => store.edit_string(&key, |text| text.push(b'x')).expect("a string"),
                        _ => store.set(&key, &dice.u64(..).to_le_bytes(), Expiry::Never),
                    }
                }
                bytes.extend(store.take_image_bytes());
                if round % 7 == 6 {
                    break;
                }
            }
            bytes.extend(store.take_image_bytes());
            if round % 7 != 6 {
                assert_eq!(keys(&bytes), twin);
            }
            store.end_image();
        }
    }
}
