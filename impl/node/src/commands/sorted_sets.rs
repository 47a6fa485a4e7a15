//! Owns the commands about single members of sorted sets, and those that take some from an end.

use super::{
    hashes::pick,
    lists::count_option,
    options::{counted_keys, float, invertible, natural},
    scan::{Filter, cursor, portion},
    sorted_set_ranges::{Bounds, Names, Scores},
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
    number::{format_f64, format_score},
    resp::{Args, Reply},
};
use smallvec::SmallVec;

const NOT_A_NUMBER: &str = "resulting score is not a number (NaN)";

pub(super) fn pair<'e>((member, score): Scored<'e>) -> (Reply<'e>, Reply<'e>) {
    (Reply::Bulk(member), Reply::Double(score))
}

/// Under which conditions ZADD sets a score.
#[derive(Clone, Copy, Default)]
pub(super) struct AddOptions {
    pub(super) is_for_new: bool,
    pub(super) is_for_known: bool,
    is_for_greater: bool,
    is_for_less: bool,
    pub(super) counts_changes: bool,
    increments: bool,
}

impl AddOptions {
    /// The options, and the index of what follows them.
    fn read(args: Args<'_>) -> (Self, usize) {
        let (mut options, mut at) = (Self::default(), 2);
        while let Some(option) = args.get(at) {
            let words: [(&[u8], &mut bool); 6] = [
                (b"nx", &mut options.is_for_new),
                (b"xx", &mut options.is_for_known),
                (b"gt", &mut options.is_for_greater),
                (b"lt", &mut options.is_for_less),
                (b"ch", &mut options.counts_changes),
                (b"incr", &mut options.increments),
            ];
            let Some((_, is_given)) = words.into_iter().find(|(word, _)| option.eq_ignore_ascii_case(word)) else {
                break;
            };
            *is_given = true;
            at += 1;
        }
        (options, at)
    }

    fn check(self, args: Args<'_>, at: usize) -> Result<(), Reply<'static>> {
        let words = args.len() - at;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(syntax_error());
        }
        if self.is_for_new && self.is_for_known {
            return Err(Reply::err("XX and NX options at the same time are not compatible"));
        }
        let comparisons = u8::from(self.is_for_greater) + u8::from(self.is_for_less) + u8::from(self.is_for_new);
        if comparisons > 1 {
            return Err(Reply::err("GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.increments && words > 2 {
            return Err(Reply::err("INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member gets; none if it keeps what it has.
    fn decide(self, former: Option<f64>, given: f64) -> Result<Option<f64>, Reply<'static>> {
        let Some(former) = former else { return Ok((!self.is_for_known).then_some(given)) };
        if self.is_for_new {
            return Ok(None);
        }
        let score = if self.increments { former + given } else { given };
        if score.is_nan() {
            return Err(Reply::err(NOT_A_NUMBER));
        }
        let is_kept = self.is_for_less && score >= former || self.is_for_greater && score <= former;
        Ok((!is_kept).then_some(score))
    }
}

pub(super) fn zadd<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (options, at) = AddOptions::read(args);
    options.check(args, at)?;
    add(store, args.at(1), scored(args.skip(at))?, options)
}

pub(super) fn zincrby<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    const SCORE: usize = 2;
    let (_, after_options) = AddOptions::read(args);
    if after_options > SCORE {
        return Err(syntax_error());
    }
    let options = AddOptions { increments: true, ..AddOptions::default() };
    add(store, args.at(1), scored(args.skip(SCORE))?, options)
}

/// Members with the scores that they are to get.
pub(super) type Given<'a> = SmallVec<[(f64, &'a [u8]); 1]>;

/// Scores and members that stand in turn.
fn scored(args: Args<'_>) -> Result<Given<'_>, Reply<'static>> {
    args.pairs(0).map(|(score, member)| Ok((float(score)?, member))).collect()
}

/// Gives members their scores.
pub(super) fn add<'e>(store: &mut Store, key: &[u8], scored: Given<'_>, options: AddOptions) -> Answer<'e> {
    if options.is_for_known && store.former_of::<SortedSet>(key)?.is_none() {
        return Ok(if options.increments { Reply::Null } else { Reply::Integer(0) });
    }
    let event = if options.increments { "zincr" } else { "zadd" };
    let change = |set: &mut SortedSet, limits: &Limits| {
        let (mut added, mut updated, mut last) = (0, 0, None);
        for (given, member) in scored {
            let former = set.score(member);
            match options.decide(former, given) {
                Err(refusal) => return (0, Err(refusal)),
                Ok(None) => last = None,
                Ok(Some(score)) => {
                    last = Some(score);
                    added += usize::from(former.is_none());
                    updated += usize::from(former.is_some_and(|former| former != score));
                    if former != Some(score) {
                        set.insert(member, score, limits);
                    }
                }
            }
        }
        (added + updated, Ok((added, updated, last)))
    };
    let (added, updated, last) = store.fill(key, event, change)??;
    Ok(match (options.increments, last) {
        (true, Some(score)) => Reply::Double(score),
        (true, None) => Reply::Null,
        (false, _) => Reply::count(added + if options.counts_changes { updated } else { 0 }),
    })
}

pub(super) fn zrem<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let remove = |set: &mut SortedSet, _: &Limits| {
        let count = args.from(2).filter(|member| set.remove(member).is_some()).count();
        (count, count)
    };
    Ok(Reply::count(store.edit(args.at(1), "zrem", remove)?.unwrap_or_default()))
}

pub(super) fn zcard<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.read::<SortedSet>(args.at(1))?.map_or(0, SortedSet::len)))
}

pub(super) fn zscore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<SortedSet>(args.at(1))?;
    Ok(set.and_then(|set| set.score(args.at(2))).map_or(Reply::Null, Reply::Double))
}

pub(super) fn zmscore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<SortedSet>(args.at(1))?;
    let score = |member| set.and_then(|set| set.score(member)).map_or(Reply::Null, Reply::Double);
    Ok(Reply::Array(args.from(2).map(score).collect()))
}

pub(super) fn zrank<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<SortedSet>(args.at(1))?;
    Ok(set.and_then(|set| set.rank(args.at(2))).map_or(Reply::Null, Reply::count))
}

pub(super) fn zrevrank<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<SortedSet>(args.at(1))?;
    let rank = set.and_then(|set| Some(set.len() - 1 - set.rank(args.at(2))?));
    Ok(rank.map_or(Reply::Null, Reply::count))
}

pub(super) fn zcount<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let scores = Scores::read(args.at(2), args.at(3))?;
    count_within(store, args.at(1), &scores)
}

pub(super) fn zlexcount<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let names = Names::read(args.at(2), args.at(3))?;
    count_within(store, args.at(1), &names)
}

fn count_within<'e>(store: &mut Store, key: &[u8], bounds: &impl Bounds) -> Answer<'e> {
    let set = store.read::<SortedSet>(key)?;
    Ok(Reply::count(set.map_or(0, |set| bounds.ranks(set).len())))
}

pub(super) fn zscan<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let cursor = cursor(args.at(2))?;
    let Some(set) = store.read::<SortedSet>(args.at(1))? else { return Ok(portion(0, std::iter::empty())) };
    let filter = Filter::read(args.skip(3), false)?;
    let (next, found) = set.scan(cursor, filter.count);
    let wanted = found.into_iter().filter(|(member, _)| filter.takes(member));
    let format = if set.is_small() { format_score } else { format_f64 };
    let shown = |score| Reply::text(format(score));
    Ok(portion(next, wanted.flat_map(|(member, score)| [Reply::Bulk(member), shown(score)])))
}

pub(super) fn zrandmember<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    if args.len() == 2 {
        let set = store.read::<SortedSet>(args.at(1))?;
        let picked = set.and_then(|set| set.nth(fastrand::usize(..set.len())));
        return Ok(picked.map_or(Reply::Null, |(member, _)| Reply::Bulk(member)));
    }
    let count = invertible(args.at(2))?;
    let with_scores = match args.get(3) {
        None => false,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withscores") => true,
        Some(_) => return Err(syntax_error()),
    };
    if with_scores && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(Reply::err("value is out of range"));
    }
    let set = store.read::<SortedSet>(args.at(1))?;
    let picked = set.map(|set| pick(set.len(), count)).unwrap_or_default();
    let members = picked.into_iter().filter_map(|index| set?.nth(index));
    Ok(if with_scores {
        Reply::Pairs(members.map(pair).collect())
    } else {
        Reply::Array(members.map(|(member, _)| Reply::Bulk(member)).collect())
    })
}

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The smallest score.
    Least,
    /// The greatest score.
    Greatest,
}

impl Extreme {
    fn event(self) -> &'static str {
        match self {
            Self::Least => "zpopmin",
            Self::Greatest => "zpopmax",
        }
    }

    pub(super) fn read(text: &[u8]) -> Result<Self, Reply<'static>> {
        match text.to_ascii_lowercase().as_slice() {
            b"min" => Ok(Self::Least),
            b"max" => Ok(Self::Greatest),
            _ => Err(syntax_error()),
        }
    }
}

/// A member that was taken, with its score.
pub(super) type Popped = (Vec<u8>, f64);

/// Takes up to `count` members; none if there is no sorted set.
pub(super) fn pop_some(
    store: &mut Store,
    key: &[u8],
    extreme: Extreme,
    count: usize,
) -> Result<Option<Vec<Popped>>, Reply<'static>> {
    let pop = |set: &mut SortedSet, _: &Limits| {
        let count = count.min(set.len());
        let ranks = match extreme {
            Extreme::Least => 0..count,
            Extreme::Greatest => set.len() - count..set.len(),
        };
        let members = set.ranks(ranks, extreme == Extreme::Greatest);
        let popped: Vec<_> = members.map(|(member, score)| (member.into_owned(), score)).collect();
        for (member, _) in &popped {
            set.remove(member);
        }
        (popped.len(), popped)
    };
    Ok(store.edit(key, extreme.event(), pop)?)
}

pub(super) fn zpopmin<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    pop(store, args, Extreme::Least)
}

pub(super) fn zpopmax<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    pop(store, args, Extreme::Greatest)
}

fn pop<'e>(store: &mut Store, args: Args<'e>, extreme: Extreme) -> Answer<'e> {
    if args.len() > 3 {
        return Err(syntax_error());
    }
    let count = args.get(2).map_or(Ok(1), natural)?;
    let popped = pop_some(store, args.at(1), extreme, count)?.unwrap_or_default().into_iter();
    let popped = popped.map(|(member, score)| (Reply::bulk(member), Reply::Double(score)));
    Ok(if args.len() == 2 {
        Reply::Array(popped.flat_map(|(member, score)| [member, score]).collect())
    } else {
        Reply::Pairs(popped.collect())
    })
}

/// What ZMPOP and BZMPOP ask for.
pub(super) struct Pops<'a> {
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) extreme: Extreme,
    pub(super) count: usize,
}

impl<'a> Pops<'a> {
    /// The number of keys stands at `at`.
    pub(super) fn read(args: Args<'a>, at: usize) -> Result<Self, Reply<'static>> {
        let (keys, end) = counted_keys(args, at, "numkeys should be greater than 0")?;
        let extreme = Extreme::read(args.get(end).ok_or_else(syntax_error)?)?;
        Ok(Self { keys, extreme, count: count_option(args, end + 1)? })
    }
}

/// A key with members that were taken from it.
pub(super) fn taken(key: &[u8], members: Vec<Popped>) -> Reply<'static> {
    let members =
        members.into_iter().map(|(member, score)| Reply::Array(vec![Reply::bulk(member), Reply::Double(score)]));
    Reply::Array(vec![Reply::bulk(key.to_vec()), Reply::Array(members.collect())])
}

pub(super) fn zmpop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let pops = Pops::read(args, 1)?;
    for key in pops.keys {
        if let Some(members) = pop_some(store, key, pops.extreme, pops.count)? {
            return Ok(taken(key, members));
        }
    }
    Ok(Reply::NullArray)
}
