//! Owns which bytes a node has: of which stream, how many, and where it left another one.
//!
//! Must not hold the bytes: that is `backlog`.

use crate::StreamId;

/// A stream that became another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its name.
    pub id: StreamId,
    /// How many of its bytes are those of the present stream, too.
    pub end: u64,
    /// No replica was told of the present stream's name.
    pub is_better_known: bool,
}

/// Which bytes a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The stream.
    pub id: StreamId,
    /// How many of its bytes.
    pub offset: u64,
    /// The stream that it was before.
    pub former: Option<Former>,
}

impl History {
    /// The beginning of a stream.
    #[must_use]
    pub fn new(id: StreamId) -> Self {
        Self { id, offset: 0, former: None }
    }

    /// Goes on under another name.
    pub(crate) fn rename(&mut self, id: StreamId) {
        self.former = Some(Former { id: self.id, end: self.offset, is_better_known: true });
        self.id = id;
    }

    /// The name under which another node may know all of this.
    pub(crate) fn known_as(&self) -> StreamId {
        match self.former {
            Some(former) if former.end == self.offset && former.is_better_known => former.id,
            Some(_) | None => self.id,
        }
    }

    /// A replica is told of the name: should it lead, it knows the bytes by that, and what came before by no other.
    pub(crate) fn tell(&mut self) -> StreamId {
        if let Some(former) = &mut self.former {
            former.is_better_known = false;
        }
        self.id
    }

    /// Whether who has so many bytes of a stream has nothing that is not here.
    pub(crate) fn includes(&self, id: StreamId, offset: u64) -> bool {
        let is_former = self.former.is_some_and(|former| former.id == id && offset <= former.end);
        offset <= self.offset && (id == self.id || is_former)
    }
}

#[cfg(test)]
mod tests {
    use super::History;
    use crate::StreamId;

    #[test]
    fn a_fork_shares_what_came_before_it() {
        let [old, new, other] = [1, 2, 3].map(|byte| StreamId::of_random([byte; 20]));
        let mut history = History { offset: 100, ..History::new(old) };
        history.rename(new);
        assert_eq!(history.known_as(), old);
        assert_eq!((history.tell(), history.known_as()), (new, new));
        history.offset = 150;
        assert_eq!(history.known_as(), new);
        for (id, offset, is_included) in [
            (old, 0, true),
            (old, 100, true),
            (old, 101, false),
            (new, 101, true),
            (new, 150, true),
            (new, 151, false),
            (other, 0, false),
        ] {
            assert_eq!(history.includes(id, offset), is_included, "{id} {offset}");
        }
    }
}
