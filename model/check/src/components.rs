//! Owns the strongly connected components of a part of a graph. Knows no question.
//!
//! Tarjan's algorithm in the form of Pearce: one word for each state, and no recursion, because a
//! graph is as deep as it likes.

use crate::graph::View;

/// A state that belongs to no component: it is not part of the view, or not reached.
const NONE: u32 = u32::MAX;

/// Components, each before those that lead to it.
#[derive(Clone, Debug)]
pub struct Components {
    /// By state: its component.
    of: Vec<u32>,
    /// Every state reached, component by component.
    members: Vec<u32>,
    /// By component: where its members begin; one more at the end.
    starts: Vec<u32>,
}

impl Components {
    /// The components of all that can be reached from `roots` within a view.
    #[must_use]
    pub fn of(view: View<'_>, roots: impl IntoIterator<Item = u32>) -> Self {
        let mut search = Search::new(view);
        for root in roots {
            if (view.keeps)(root) && search.words[root as usize] == 0 {
                search.visit(root);
            }
        }
        search.done()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The component of a state; none if it was not reached.
    #[must_use]
    pub fn find(&self, state: u32) -> Option<usize> {
        Some(self.of[state as usize]).filter(|&component| component != NONE).map(|component| component as usize)
    }

    /// Whether two states are in one component.
    #[must_use]
    pub fn are_one(&self, left: u32, right: u32) -> bool {
        self.of[left as usize] == self.of[right as usize] && self.of[left as usize] != NONE
    }

    /// The states of one.
    #[must_use]
    pub fn members(&self, component: usize) -> &[u32] {
        &self.members[self.starts[component] as usize..self.starts[component + 1] as usize]
    }

    /// The states of each, a component before those that lead to it.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.count()).map(|component| self.members(component))
    }
}

/// A state whose edges are being followed.
struct Frame {
    state: u32,
    /// Its next edge.
    place: u32,
    /// Whether nothing before it on the way here can be reached from it, as far as is known.
    is_root: bool,
}

struct Search<'a> {
    view: View<'a>,
    /// By state: 0 until visited; then the order of its visit, lowered to the earliest that it can
    /// reach; at last the number of its component, counted down from the top.
    words: Vec<u32>,
    order: u32,
    frames: Vec<Frame>,
    /// States visited whose component is not complete.
    open: Vec<u32>,
    members: Vec<u32>,
    starts: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(view: View<'a>) -> Self {
        let words = vec![0; view.graph.state_count() as usize];
        Self { view, words, order: 1, frames: Vec::new(), open: Vec::new(), members: Vec::new(), starts: vec![0] }
    }

    fn visit(&mut self, root: u32) {
        self.enter(root);
        while let Some(frame) = self.frames.last_mut() {
            let state = frame.state;
            let Some((is_part, target)) = self.view.edge(state, frame.place) else {
                self.leave();
                continue;
            };
            if is_part && self.words[target as usize] == 0 {
                self.enter(target);
                continue;
            }
            // An edge is met again once all behind it is visited: only now it is done with.
            frame.place += 1;
            if is_part && self.words[target as usize] < self.words[state as usize] {
                self.words[state as usize] = self.words[target as usize];
                frame.is_root = false;
            }
        }
    }

    fn enter(&mut self, state: u32) {
        self.words[state as usize] = self.order;
        self.order += 1;
        self.frames.push(Frame { state, place: 0, is_root: true });
    }

    fn leave(&mut self) {
        let Some(Frame { state, is_root, .. }) = self.frames.pop() else { return };
        if !is_root {
            self.open.push(state);
            return;
        }
        let word = self.words[state as usize];
        while let Some(other) = self.open.pop_if(|other| self.words[*other as usize] >= word) {
            self.close(other);
        }
        self.close(state);
        self.starts.push(u32::try_from(self.members.len()).unwrap_or(NONE));
    }

    fn close(&mut self, state: u32) {
        let component = u32::try_from(self.starts.len()).unwrap_or(NONE);
        self.words[state as usize] = NONE - component;
        self.order -= 1;
        self.members.push(state);
    }

    fn done(self) -> Components {
        let number = |word: u32| if word == 0 { NONE } else { NONE - word - 1 };
        Components { of: self.words.into_iter().map(number).collect(), members: self.members, starts: self.starts }
    }
}
