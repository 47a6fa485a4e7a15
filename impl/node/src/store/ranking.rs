//! Owns an order with ranks: what is at a rank, and which rank something has, are found in
//! logarithmic time.
//!
//! Must not know what is ranked: items are compared by whoever asks. Items stand in chunks; how many
//! each holds is summed in a binary indexed tree, which is made anew when a chunk is cut or goes.

use std::cmp::Ordering;

const CHUNK_MAX: usize = 256;

/// An item: its score, and the number of its member.
pub type Ranked = (f64, u32);

/// Items in order.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    chunks: Vec<Vec<Ranked>>,
    sums: Vec<usize>,
    len: usize,
}

impl Ranking {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const CHUNK_BYTES: usize = CHUNK_MAX * size_of::<Ranked>();
        self.chunks.len() * (CHUNK_BYTES + size_of::<Vec<Ranked>>() + size_of::<usize>())
    }

    /// Adds an item, given how any other compares to it.
    pub fn insert(&mut self, item: Ranked, order: impl Fn(Ranked) -> Ordering) {
        if self.chunks.is_empty() {
            self.chunks.push(Vec::with_capacity(CHUNK_MAX));
            self.sum_up();
        }
        let (chunk, at) = self.place(|other| order(other) == Ordering::Less);
        self.chunks[chunk].insert(at, item);
        self.len += 1;
        if self.chunks[chunk].len() < CHUNK_MAX {
            return self.count(chunk, 1);
        }
        let mut tail = Vec::with_capacity(CHUNK_MAX);
        tail.extend(self.chunks[chunk].drain(CHUNK_MAX / 2..));
        self.chunks.insert(chunk + 1, tail);
        self.sum_up();
    }

    /// Drops the item that compares as equal.
    pub fn remove(&mut self, order: impl Fn(Ranked) -> Ordering) {
        if let Some((chunk, at)) = self.find(order) {
            self.chunks[chunk].remove(at);
            self.len -= 1;
            if self.chunks[chunk].is_empty() {
                self.chunks.remove(chunk);
                self.sum_up();
            } else {
                self.count(chunk, -1);
            }
        }
    }

    /// Gives the item that compares as equal another number.
    pub fn rename(&mut self, order: impl Fn(Ranked) -> Ordering, number: u32) {
        if let Some((chunk, at)) = self.find(order) {
            self.chunks[chunk][at].1 = number;
        }
    }

    /// How many items come first that all hold something, which none behind them does.
    #[must_use]
    pub fn count_while(&self, is_before: impl Fn(Ranked) -> bool) -> usize {
        if self.chunks.is_empty() {
            return 0;
        }
        let (chunk, at) = self.place(is_before);
        self.before(chunk) + at
    }

    /// The items from a rank on, upwards.
    pub fn upwards(&self, rank: usize) -> impl Iterator<Item = Ranked> {
        let (chunk, at) = self.at(rank);
        let rest = self.chunks.get(chunk..).unwrap_or_default();
        rest.iter().enumerate().flat_map(move |(nth, chunk)| {
            let start = if nth == 0 { at } else { 0 };
            chunk.get(start..).unwrap_or_default().iter().copied()
        })
    }

    /// The items before a rank, downwards.
    pub fn downwards(&self, rank: usize) -> impl Iterator<Item = Ranked> {
        let (chunk, at) = self.at(rank);
        let last = self.chunks.get(chunk).and_then(|last| last.get(..at)).unwrap_or_default();
        let others = self.chunks.get(..chunk).unwrap_or_default();
        last.iter().rev().chain(others.iter().rev().flat_map(|chunk| chunk.iter().rev())).copied()
    }

    fn find(&self, order: impl Fn(Ranked) -> Ordering) -> Option<(usize, usize)> {
        let (chunk, at) = if self.chunks.is_empty() { None } else { Some(self.place(|item| order(item).is_lt())) }?;
        let item = *self.chunks[chunk].get(at)?;
        order(item).is_eq().then_some((chunk, at))
    }

    /// The first place whose item does not hold something that all before it do.
    fn place(&self, is_before: impl Fn(Ranked) -> bool) -> (usize, usize) {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|&last| is_before(last)));
        if chunk == self.chunks.len() {
            return (chunk - 1, self.chunks[chunk - 1].len());
        }
        (chunk, self.chunks[chunk].partition_point(|&item| is_before(item)))
    }

    /// The place of a rank.
    fn at(&self, rank: usize) -> (usize, usize) {
        let (mut chunk, mut left) = (0, rank);
        let mut step = (self.sums.len() + 1).next_power_of_two();
        while step > 0 {
            if let Some(&sum) = (chunk + step).checked_sub(1).and_then(|last| self.sums.get(last))
                && sum <= left
            {
                chunk += step;
                left -= sum;
            }
            step /= 2;
        }
        (chunk, left)
    }

    /// How many items the chunks before this one hold.
    fn before(&self, chunk: usize) -> usize {
        let (mut sum, mut end) = (0, chunk);
        while end > 0 {
            sum += self.sums[end - 1];
            end &= end - 1;
        }
        sum
    }

    fn count(&mut self, chunk: usize, change: isize) {
        let mut end = chunk + 1;
        while let Some(sum) = self.sums.get_mut(end - 1) {
            *sum = sum.saturating_add_signed(change);
            end += end & end.wrapping_neg();
        }
    }

    fn sum_up(&mut self) {
        self.sums.clear();
        self.sums.extend(self.chunks.iter().map(Vec::len));
        for end in 1..=self.sums.len() {
            let above = end + (end & end.wrapping_neg());
            if above <= self.sums.len() {
                self.sums[above - 1] += self.sums[end - 1];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ranked, Ranking};
    use std::cmp::Ordering;

    #[test]
    fn it_ranks_as_a_sorted_vector_does() {
        let against = |item: Ranked| move |other: Ranked| -> Ordering { other.partial_cmp(&item).unwrap() };
        let mut dice = fastrand::Rng::with_seed(3);
        let (mut ranking, mut twin) = (Ranking::default(), Vec::<Ranked>::new());
        for round in 0..6000 {
            let item = (f64::from(dice.u8(..)), dice.u32(..3000));
            match twin.binary_search_by(|other| against(item)(*other)) {
                Ok(at) => {
                    ranking.remove(against(item));
                    twin.remove(at);
                }
                Err(at) => {
                    ranking.insert(item, against(item));
                    twin.insert(at, item);
                }
            }
            if round % 3 == 0 && !twin.is_empty() {
                let item = twin[dice.usize(..twin.len())];
                let keep = dice.u8(0..4) == 0;
                if !keep {
                    ranking.remove(against(item));
                    twin.retain(|other| *other != item);
                }
            }
            let rank = dice.usize(0..=twin.len() + 1);
            let cut = rank.min(twin.len());
            assert!(ranking.upwards(rank).take(9).eq(twin[cut..].iter().copied().take(9)));
            assert!(ranking.downwards(cut).take(9).eq(twin[..cut].iter().rev().copied().take(9)));
            let bound = f64::from(dice.u8(..));
            let below = twin.iter().filter(|item| item.0 < bound).count();
            assert_eq!((ranking.count_while(|item| item.0 < bound), ranking.len()), (below, twin.len()));
        }
    }
}
