//! Owns the commands about ranges of sorted sets: of ranks, of scores, of names.

use super::{
    options::{integer, places},
    sorted_sets::pair,
    syntax_error,
};
use crate::{
    command::Answer,
    store::{
        Store,
        limits::Limits,
        sorted_set::{Scored, SortedSet},
    },
};
use slotbus_wire::{
    number::nearest_f64,
    resp::{Args, Reply},
};
use std::ops::Range;

/// A range of members.
pub(super) trait Bounds {
    /// Whether a member comes before the range.
    fn is_before(&self, score: f64, member: &[u8]) -> bool;
    /// Whether a member comes before the end of the range.
    fn is_before_end(&self, score: f64, member: &[u8]) -> bool;

    /// The ranks that lie in the range.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let start = set.count_while(|score, member| self.is_before(score, member));
        let end = set.count_while(|score, member| self.is_before_end(score, member));
        start..end.max(start)
    }
}

/// A range of scores; each end may be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    low: (f64, bool),
    high: (f64, bool),
}

impl Scores {
    pub(super) fn read(low: &[u8], high: &[u8]) -> Result<Self, Reply<'static>> {
        let bound = |text: &[u8]| {
            let (text, is_open) = text.strip_prefix(b"(").map_or((text, false), |text| (text, true));
            // As an empty text, this one stands for 0.
            let score = if text.is_empty() { Some(0.0) } else { nearest_f64(text.trim_ascii_start()) };
            score.map(|score| (score, is_open)).ok_or_else(|| Reply::err("min or max is not a float"))
        };
        Ok(Self { low: bound(low)?, high: bound(high)? })
    }
}

impl Bounds for Scores {
    fn is_before(&self, score: f64, _: &[u8]) -> bool {
        score < self.low.0 || self.low.1 && score == self.low.0
    }

    fn is_before_end(&self, score: f64, _: &[u8]) -> bool {
        score < self.high.0 || !self.high.1 && score == self.high.0
    }
}

/// An end of a range of names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NameBound {
    Lowest,
    Highest,
    With(Vec<u8>),
    Without(Vec<u8>),
}

impl NameBound {
    fn read(text: &[u8]) -> Result<Self, Reply<'static>> {
        match text.split_first() {
            Some((b'-', [])) => Ok(Self::Lowest),
            Some((b'+', [])) => Ok(Self::Highest),
            Some((b'[', name)) => Ok(Self::With(name.to_vec())),
            Some((b'(', name)) => Ok(Self::Without(name.to_vec())),
            Some(_) | None => Err(Reply::err("min or max not valid string range item")),
        }
    }

    /// Whether a name comes before this bound; `is_end` if what the bound names is to come before it, too.
    fn is_behind(&self, name: &[u8], is_end: bool) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::With(bound) if is_end => name <= bound.as_slice(),
            Self::With(bound) => name < bound.as_slice(),
            Self::Without(bound) if is_end => name < bound.as_slice(),
            Self::Without(bound) => name <= bound.as_slice(),
        }
    }
}

/// A range of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    low: NameBound,
    high: NameBound,
}

impl Names {
    pub(super) fn read(low: &[u8], high: &[u8]) -> Result<Self, Reply<'static>> {
        Ok(Self { low: NameBound::read(low)?, high: NameBound::read(high)? })
    }
}

impl Bounds for Names {
    fn is_before(&self, _: f64, member: &[u8]) -> bool {
        self.low.is_behind(member, false)
    }

    fn is_before_end(&self, _: f64, member: &[u8]) -> bool {
        self.high.is_behind(member, true)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// What a request for a range asks for.
struct Query {
    by: By,
    is_downwards: bool,
    with_scores: bool,
    /// How many members to leave out, and how many to answer; a negative number stands for all.
    limit: Option<(i64, i64)>,
}

impl Query {
    fn new(by: By, is_downwards: bool) -> Self {
        Self { by, is_downwards, with_scores: false, limit: None }
    }

    /// Reads the options of a request that begin at `at`; `is_free` if they may choose everything.
    fn read(mut self, args: Args<'_>, mut at: usize, is_free: bool, is_stored: bool) -> Result<Self, Reply<'static>> {
        // Each of these is chosen once.
        let (mut may_turn, mut may_choose) = (is_free, is_free);
        while let Some(option) = args.get(at) {
            match option.to_ascii_lowercase().as_slice() {
                b"withscores" if !is_stored => self.with_scores = true,
                b"limit" if args.len() - at > 2 => {
                    self.limit = Some((integer(args.at(at + 1))?, integer(args.at(at + 2))?));
                    at += 2;
                }
                b"rev" if may_turn => (self.is_downwards, may_turn) = (true, false),
                b"bylex" if may_choose => (self.by, may_choose) = (By::Name, false),
                b"byscore" if may_choose => (self.by, may_choose) = (By::Score, false),
                _ => return Err(syntax_error()),
            }
            at += 1;
        }
        // A limit of all is none.
        if self.by == By::Rank && self.limit.is_some_and(|(_, count)| count != -1) {
            return Err(Reply::err(
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if self.with_scores && self.by == By::Name {
            return Err(Reply::err("syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        Ok(self)
    }

    /// The range, given both its ends as they were written.
    fn range(&self, first: &[u8], second: &[u8]) -> Result<Chosen, Reply<'static>> {
        let (low, high) = if self.is_downwards { (second, first) } else { (first, second) };
        Ok(match self.by {
            By::Rank => Chosen::Ranks(integer(first)?, integer(second)?),
            By::Score => Chosen::Scores(Scores::read(low, high)?),
            By::Name => Chosen::Names(Names::read(low, high)?),
        })
    }

    /// The ranks that a range means in a set.
    fn ranks(&self, range: &Chosen, set: &SortedSet) -> Range<usize> {
        let chosen = match range {
            Chosen::Ranks(start, end) => {
                let ranks = places(*start, *end, set.len());
                return if self.is_downwards { set.len() - ranks.end..set.len() - ranks.start } else { ranks };
            }
            Chosen::Scores(scores) => scores.ranks(set),
            Chosen::Names(names) => names.ranks(set),
        };
        cut(chosen, self.limit, self.is_downwards)
    }
}

/// A range that was chosen.
enum Chosen {
    Ranks(i64, i64),
    Scores(Scores),
    Names(Names),
}

/// The part of some ranks that a limit leaves.
fn cut(ranks: Range<usize>, limit: Option<(i64, i64)>, is_downwards: bool) -> Range<usize> {
    let Some((offset, count)) = limit else { return ranks };
    let Ok(offset) = usize::try_from(offset) else { return 0..0 };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let left = ranks.len().saturating_sub(offset).min(count);
    if is_downwards {
        let end = ranks.end.saturating_sub(offset).max(ranks.start);
        end - left..end
    } else {
        let start = (ranks.start + offset.min(ranks.len())).min(ranks.end);
        start..start + left
    }
}

fn answer<'e>(store: &'e mut Store, key: &[u8], ends: [&[u8]; 2], query: &Query) -> Answer<'e> {
    let range = query.range(ends[0], ends[1])?;
    let Some(set) = store.read::<SortedSet>(key)? else { return Ok(Reply::Array(vec![])) };
    let members = set.ranks(query.ranks(&range, set), query.is_downwards);
    Ok(shown(members, query.with_scores))
}

/// Members as they are answered.
pub(super) fn shown<'e>(members: impl Iterator<Item = Scored<'e>>, with_scores: bool) -> Reply<'e> {
    if with_scores {
        Reply::Pairs(members.map(pair).collect())
    } else {
        Reply::Array(members.map(|(member, _)| Reply::Bulk(member)).collect())
    }
}

pub(super) fn zrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Rank, false).read(args, 4, true, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrevrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Rank, true).read(args, 4, false, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrangebyscore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Score, false).read(args, 4, false, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrevrangebyscore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Score, true).read(args, 4, false, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrangebylex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Name, false).read(args, 4, false, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrevrangebylex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Name, true).read(args, 4, false, false)?;
    answer(store, args.at(1), [args.at(2), args.at(3)], &query)
}

pub(super) fn zrangestore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::new(By::Rank, false).read(args, 5, true, true)?;
    let range = query.range(args.at(3), args.at(4))?;
    let limits = store.limits;
    let source = store.read::<SortedSet>(args.at(2))?;
    let members =
        source.map(|set| SortedSet::collect(set.ranks(query.ranks(&range, set), query.is_downwards), &limits));
    let result = members.unwrap_or_default();
    let count = result.len();
    store.store(args.at(1), result, "zrangestore");
    Ok(Reply::count(count))
}

pub(super) fn zremrangebyrank<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    remove(store, args, By::Rank, "zremrangebyrank")
}

pub(super) fn zremrangebyscore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    remove(store, args, By::Score, "zremrangebyscore")
}

pub(super) fn zremrangebylex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    remove(store, args, By::Name, "zremrangebylex")
}

fn remove<'e>(store: &mut Store, args: Args<'e>, by: By, event: &'static str) -> Answer<'e> {
    let query = Query::new(by, false);
    let range = query.range(args.at(2), args.at(3))?;
    let remove = |set: &mut SortedSet, _: &Limits| {
        let members: Vec<_> =
            set.ranks(query.ranks(&range, set), false).map(|(member, _)| member.into_owned()).collect();
        for member in &members {
            set.remove(member);
        }
        (members.len(), members.len())
    };
    Ok(Reply::count(store.edit(args.at(1), event, remove)?.unwrap_or_default()))
}
