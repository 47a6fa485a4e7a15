//! Owns sorted sets: members in the order of their scores, and of their names where scores are equal.
//! A small one is a listpack.
//!
//! Must not know its key.

use super::{
    limits::Limits,
    memory::{heap_bytes, table_bytes},
    ranking::{Ranked, Ranking},
    walk,
};
use foldhash::quality::RandomState;
use indexmap::IndexMap;
use slotbus_wire::{
    listpack::{Item, Listpack},
    number::{format_score, parse_f64},
    rdb::Body,
};
use std::{borrow::Cow, cmp::Ordering, collections::HashSet, ops::Range};

type Text = Box<[u8]>;
type Members = IndexMap<Text, f64, RandomState>;

/// A member with its score.
pub type Scored<'a> = (Cow<'a, [u8]>, f64);

/// A sorted set.
#[derive(Clone, Debug)]
pub enum SortedSet {
    /// Members and scores in turn.
    Small(Listpack),
    /// A table, and the order.
    Large {
        /// The members.
        members: Members,
        /// Their order, by their places in the table.
        ranking: Ranking,
        /// What the members take on the heap.
        text_bytes: usize,
    },
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::Small(Listpack::default())
    }
}

impl SortedSet {
    /// The sorted set of these members, of which the last wins if one repeats. It becomes large as it fills.
    pub fn collect<M: AsRef<[u8]>>(members: impl IntoIterator<Item = (M, f64)>, limits: &Limits) -> Self {
        let members = members.into_iter();
        if members.size_hint().0 > limits.sorted_set_entries_max {
            return Self::collect_large(members, limits);
        }
        Self::default().filled(members, limits)
    }

    /// The sorted set of members that are all at hand. If it is large, it is so from the beginning, and keeps the sign of
    /// every zero, which a small one drops.
    pub fn of_all<M: AsRef<[u8]>>(members: Vec<(M, f64)>, limits: &Limits) -> Self {
        let is_long = |(member, _): &(M, f64)| member.as_ref().len() > limits.sorted_set_value_max;
        if members.iter().any(is_long) { Self::collect_large(members, limits) } else { Self::collect(members, limits) }
    }

    /// The sorted set of these members in its large form, however few they are.
    pub fn collect_large<M: AsRef<[u8]>>(members: impl IntoIterator<Item = (M, f64)>, limits: &Limits) -> Self {
        let mut set = Self::default();
        set.grow();
        set.filled(members, limits)
    }

    fn filled<M: AsRef<[u8]>>(self, members: impl IntoIterator<Item = (M, f64)>, limits: &Limits) -> Self {
        let mut set = self;
        for (member, score) in members {
            set.insert(member.as_ref(), score, limits);
        }
        set
    }

    /// The sorted set that a listpack is; none if a member repeats.
    #[must_use]
    pub fn of_pack(pack: Listpack, limits: &Limits) -> Option<Self> {
        let members: Vec<Scored<'_>> = pack.pairs().map(|(_, member, score)| (member.text(), number(score))).collect();
        let names: HashSet<&[u8], RandomState> = members.iter().map(|(member, _)| &**member).collect();
        if names.len() != members.len() {
            return None;
        }
        let is_small = members.len() <= limits.sorted_set_entries_max
            && names.iter().all(|name| name.len() <= limits.sorted_set_value_max);
        let is_ordered = members.is_sorted_by(|left, right| compare((left.1, &left.0), (right.1, &right.0)).is_lt());
        if is_small && is_ordered {
            return Some(Self::Small(pack));
        }
        Some(Self::collect(members, limits))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Small(pack) => pack.len() / 2,
            Self::Large { members, .. } => members.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in its small form.
    #[must_use]
    pub fn is_small(&self) -> bool {
        matches!(self, Self::Small(_))
    }

    /// What OBJECT ENCODING calls its form.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Small(_) => "listpack",
            Self::Large { .. } => "skiplist",
        }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Small(pack) => heap_bytes(pack.capacity()),
            Self::Large { members, ranking, text_bytes } => {
                text_bytes + ranking.bytes() + table_bytes(members.capacity(), size_of::<(Text, f64)>())
            }
        }
    }

    /// A member's score.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Small(pack) => find(pack, member).map(|(_, score)| score),
            Self::Large { members, .. } => members.get(member).copied(),
        }
    }

    /// Gives a member a score; answers with its former one.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Option<f64> {
        let is_full = || self.len() >= limits.sorted_set_entries_max && self.score(member).is_none();
        if matches!(self, Self::Small(_)) && (member.len() > limits.sorted_set_value_max || is_full()) {
            self.grow();
        }
        match self {
            Self::Small(pack) => {
                let former = find(pack, member);
                if let Some((at, _)) = former {
                    pack.remove(at, 2);
                }
                insert_packed(pack, member, score);
                former.map(|(_, score)| score)
            }
            Self::Large { members, ranking, text_bytes } => {
                let former = insert_large(members, ranking, member, score);
                *text_bytes += if former.is_none() { heap_bytes(member.len()) } else { 0 };
                former
            }
        }
    }

    /// Drops a member; answers with its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Small(pack) => {
                let (at, score) = find(pack, member)?;
                pack.remove(at, 2);
                Some(score)
            }
            Self::Large { members, ranking, text_bytes } => {
                let (index, _, &score) = members.get_full(member)?;
                ranking.remove(order(members, score, member));
                let last = members.len() - 1;
                if let Some((name, &moved)) = members.get_index(last)
                    && index != last
                {
                    ranking.rename(order(members, moved, name), position(index));
                }
                members.swap_remove_index(index);
                *text_bytes -= heap_bytes(member.len());
                Some(score)
            }
        }
    }

    /// A member's rank.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.count_while(|other, name| compare((other, name), (score, member)).is_lt()))
    }

    /// How many members come first that all hold something, which none behind them does.
    #[must_use]
    pub fn count_while(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self {
            Self::Small(pack) => {
                pack.pairs().take_while(|(_, member, score)| is_before(number(*score), &member.text())).count()
            }
            Self::Large { members, ranking, .. } => {
                ranking.count_while(|(score, index)| is_before(score, name(members, index)))
            }
        }
    }

    /// The members of some ranks, upwards or downwards.
    pub fn ranks(&self, ranks: Range<usize>, is_downwards: bool) -> Box<dyn Iterator<Item = Scored<'_>> + '_> {
        let count = ranks.len();
        match self {
            Self::Small(pack) => {
                let pairs = pack.pairs().map(|(_, member, score)| (member.text(), number(score)));
                let mut wanted: Vec<_> = pairs.skip(ranks.start).take(count).collect();
                if is_downwards {
                    wanted.reverse();
                }
                Box::new(wanted.into_iter())
            }
            Self::Large { members, ranking, .. } => {
                let scored = |(score, index)| (Cow::Borrowed(name(members, index)), score);
                if is_downwards {
                    Box::new(ranking.downwards(ranks.end).take(count).map(scored))
                } else {
                    Box::new(ranking.upwards(ranks.start).take(count).map(scored))
                }
            }
        }
    }

    /// Every member, upwards.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Scored<'_>> + '_> {
        self.ranks(0..self.len(), false)
    }

    /// The member at a place, which is no rank.
    #[must_use]
    pub fn nth(&self, index: usize) -> Option<Scored<'_>> {
        match self {
            Self::Small(_) => self.iter().nth(index),
            Self::Large { members, .. } => {
                members.get_index(index).map(|(member, &score)| (Cow::Borrowed(&**member), score))
            }
        }
    }

    /// A portion of the members, and where to go on. A small sorted set is one portion.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Scored<'_>>) {
        match self {
            Self::Small(_) => (0, self.iter().collect()),
            Self::Large { members, .. } => {
                let (places, next) = walk::portion(members.len(), cursor, count);
                (next, places.rev().filter_map(|index| self.nth(index)).collect())
            }
        }
    }

    /// The sorted set as a snapshot holds it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Small(pack) => Body::PackedSortedSet(pack),
            Self::Large { members, .. } => {
                Body::SortedSet(members.len(), Box::new(members.iter().map(|(member, &score)| (&**member, score))))
            }
        }
    }

    fn grow(&mut self) {
        let Self::Small(pack) = self else { return };
        let (mut members, mut ranking) = (Members::default(), Ranking::default());
        for (_, member, score) in pack.pairs() {
            insert_large(&mut members, &mut ranking, &member.text(), number(score));
        }
        let text_bytes = members.keys().map(|member| heap_bytes(member.len())).sum();
        *self = Self::Large { members, ranking, text_bytes };
    }
}

fn compare(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    left.0.partial_cmp(&right.0).unwrap_or(Ordering::Equal).then_with(|| left.1.cmp(right.1))
}

/// How ranked items compare to a member with a score.
fn order<'m>(members: &'m Members, score: f64, member: &'m [u8]) -> impl Fn(Ranked) -> Ordering + 'm {
    move |(other, index)| compare((other, name(members, index)), (score, member))
}

fn name(members: &Members, index: u32) -> &[u8] {
    members.get_index(index as usize).map_or(&[], |(member, _)| member)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn insert_large(members: &mut Members, ranking: &mut Ranking, member: &[u8], score: f64) -> Option<f64> {
    let (index, former) = match members.get_full(member) {
        Some((index, _, &former)) => {
            ranking.remove(order(members, former, member));
            members[index] = score;
            (index, Some(former))
        }
        None => (members.insert_full(member.into(), score).0, None),
    };
    ranking.insert((score, position(index)), order(members, score, member));
    former
}

fn number(item: Item<'_>) -> f64 {
    match item {
        Item::Number(number) => number as f64,
        Item::Text(text) => parse_f64(text).unwrap_or_default(),
    }
}

/// Where a member begins, and its score.
fn find(pack: &Listpack, member: &[u8]) -> Option<(usize, f64)> {
    let wanted = Item::of(member);
    pack.pairs().find(|(_, member, _)| *member == wanted).map(|(at, _, score)| (at, number(score)))
}

fn insert_packed(pack: &mut Listpack, member: &[u8], score: f64) {
    let behind =
        pack.pairs().find(|(_, other, their)| compare((number(*their), &other.text()), (score, member)).is_gt());
    let text = format_score(score);
    match behind.map(|(at, ..)| at) {
        Some(at) => pack.replace(at, 0, &[member, text.as_bytes()]),
        None => {
            pack.push_back(member);
            pack.push_back(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SortedSet;
    use crate::store::limits::Limits;
    use std::collections::BTreeMap;

    #[test]
    fn both_forms_hold_and_rank_the_same() {
        let small = Limits { sorted_set_entries_max: usize::MAX, ..Limits::default() };
        let large = Limits { sorted_set_entries_max: 0, ..Limits::default() };
        let (mut left, mut right) = (SortedSet::default(), SortedSet::default());
        let mut twin = BTreeMap::new();
        let mut dice = fastrand::Rng::with_seed(11);
        for _ in 0..5000 {
            let member = format!("m{}", dice.u8(0..200)).into_bytes();
            let score = f64::from(dice.i8(..)) / 4.0;
            if dice.u8(0..3) == 0 {
                let former = twin.remove(&member);
                assert_eq!((left.remove(&member), right.remove(&member)), (former, former));
            } else {
                let former = twin.insert(member.clone(), score);
                assert_eq!(
                    (left.insert(&member, score, &small), right.insert(&member, score, &large)),
                    (former, former)
                );
            }
            assert_eq!((left.len(), right.len()), (twin.len(), twin.len()));
            assert!(left.iter().eq(right.iter()));
            assert_eq!(left.rank(&member), right.rank(&member));
            let (start, end) = (dice.usize(0..50), dice.usize(50..100).min(twin.len()));
            if start < end {
                assert!(left.ranks(start..end, true).eq(right.ranks(start..end, true)));
            }
        }
        assert_eq!((left.encoding(), right.encoding()), ("listpack", "skiplist"));
    }
}
