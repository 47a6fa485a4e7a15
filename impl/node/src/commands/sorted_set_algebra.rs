//! Owns the commands that combine sorted sets: unions, intersections, differences. A plain set counts
//! as one whose scores are all 1.

use super::{
    options::{counted_keys, float},
    sorted_set_ranges::shown,
    syntax_error,
};
use crate::{
    command::Answer,
    store::{
        Store, WrongKind,
        set::Set,
        sorted_set::SortedSet,
        value::{Value, View},
    },
};
use indexmap::IndexMap;
use slotbus_wire::resp::{Args, Reply, parse_i64};

/// How the scores of a member in several sets make one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn read(text: &[u8]) -> Result<Self, Reply<'static>> {
        match text.to_ascii_lowercase().as_slice() {
            b"sum" => Ok(Self::Sum),
            b"min" => Ok(Self::Min),
            b"max" => Ok(Self::Max),
            _ => Err(syntax_error()),
        }
    }

    fn of(self, left: f64, right: f64) -> f64 {
        let result = match self {
            Self::Sum => left + right,
            Self::Min => left.min(right),
            Self::Max => left.max(right),
        };
        // Opposite infinities make nothing.
        if result.is_nan() { 0.0 } else { result }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    Union,
    Intersection,
    Difference,
}

/// What a request asks for.
struct Query {
    sources: Vec<Scores>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Beyond which number members need not be counted.
    limit: usize,
}

impl Query {
    /// Reads the sources, whose number stands at `at`, and what follows them. `command` is named if
    /// something is wrong, and tells which options there are.
    fn read(store: &mut Store, args: Args<'_>, at: usize, command: &str) -> Result<Self, Reply<'static>> {
        let number = parse_i64(args.at(at)).ok_or_else(super::not_an_integer)?;
        if number < 1 {
            return Err(Reply::err(format_args!("at least 1 input key is needed for '{command}' command")));
        }
        let (keys, at) = counted_keys(args, at, "")?;
        let sources = keys.into_iter().map(|key| members(store, key)).collect::<Result<Vec<_>, _>>()?;
        let weights = vec![1.0; sources.len()];
        let mut query = Self { sources, weights, aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
        query.read_options(args.skip(at), command)?;
        Ok(query)
    }

    fn read_options(&mut self, args: Args<'_>, command: &str) -> Result<(), Reply<'static>> {
        let is_counted = command == "zintercard";
        let may_weigh = !is_counted && !command.starts_with("zdiff");
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let (left, count) = (args.len() - at - 1, self.weights.len());
            at += match option.to_ascii_lowercase().as_slice() {
                b"weights" if may_weigh && left >= count => {
                    self.weights = args.from(at + 1).take(count).map(weight).collect::<Result<_, _>>()?;
                    1 + count
                }
                b"aggregate" if may_weigh && left >= 1 => {
                    self.aggregate = Aggregate::read(args.at(at + 1))?;
                    2
                }
                b"withscores" if !is_counted && !command.ends_with("store") => {
                    self.with_scores = true;
                    1
                }
                b"limit" if is_counted && left >= 1 => {
                    let limit = parse_i64(args.at(at + 1)).and_then(|limit| usize::try_from(limit).ok());
                    let limit = limit.ok_or_else(|| Reply::err("LIMIT can't be negative"))?;
                    self.limit = if limit == 0 { usize::MAX } else { limit };
                    2
                }
                _ => return Err(syntax_error()),
            };
        }
        Ok(())
    }
}

fn weight(text: &[u8]) -> Result<f64, Reply<'static>> {
    float(text).map_err(|_| Reply::err("weight value is not a float"))
}

type Scores = IndexMap<Vec<u8>, f64>;

/// The members of a set of either kind, with their scores.
fn members(store: &mut Store, key: &[u8]) -> Result<Scores, Reply<'static>> {
    let of_sorted = |set: &SortedSet| set.iter().map(|(member, score)| (member.into_owned(), score)).collect();
    let of_plain = |set: &Set| set.iter().map(|member| (member.into_owned(), 1.0)).collect();
    match store.view(key) {
        None => Ok(Scores::default()),
        Some(View::Other(Value::SortedSet(set))) => Ok(of_sorted(set)),
        Some(View::Other(Value::Set(set))) => Ok(of_plain(set)),
        Some(
            View::String(..)
            | View::Other(Value::String(_) | Value::List(_) | Value::Hash(_) | Value::Stream(_) | Value::Foreign(..)),
        ) => Err(WrongKind.into()),
    }
}

fn combine(query: Query, combination: Combination) -> Scores {
    let mut sources = query.sources;
    for (scores, weight) in sources.iter_mut().zip(&query.weights) {
        for score in scores.values_mut() {
            let product = *score * weight;
            *score = if product.is_nan() { 0.0 } else { product };
        }
    }
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    for other in sources {
        match combination {
            Combination::Difference => result.retain(|member, _| !other.contains_key(member)),
            Combination::Intersection => {
                result.retain(|member, _| other.contains_key(member));
                for (member, score) in &mut result {
                    *score = query.aggregate.of(*score, other[member]);
                }
            }
            Combination::Union => {
                for (member, score) in other {
                    let combined = |former: &mut f64| *former = query.aggregate.of(*former, score);
                    result.entry(member).and_modify(combined).or_insert(score);
                }
            }
        }
    }
    result
}

fn answer<'e>(store: &mut Store, args: Args<'e>, combination: Combination, command: &str) -> Answer<'e> {
    let query = Query::read(store, args, 1, command)?;
    let with_scores = query.with_scores;
    let result = SortedSet::collect_large(combine(query, combination), &store.limits);
    Ok(shown(result.iter(), with_scores).into_owned())
}

fn put<'e>(store: &mut Store, args: Args<'e>, combination: Combination, command: &'static str) -> Answer<'e> {
    let query = Query::read(store, args, 2, command)?;
    let result = SortedSet::of_all(combine(query, combination).into_iter().collect(), &store.limits);
    let count = result.len();
    store.store(args.at(1), result, command);
    Ok(Reply::count(count))
}

pub(super) fn zunion<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    answer(store, args, Combination::Union, "zunion")
}

pub(super) fn zunionstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Union, "zunionstore")
}

pub(super) fn zinter<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    answer(store, args, Combination::Intersection, "zinter")
}

pub(super) fn zinterstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Intersection, "zinterstore")
}

pub(super) fn zdiff<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    answer(store, args, Combination::Difference, "zdiff")
}

pub(super) fn zdiffstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Difference, "zdiffstore")
}

pub(super) fn zintercard<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::read(store, args, 1, "zintercard")?;
    let limit = query.limit;
    Ok(Reply::count(combine(query, Combination::Intersection).len().min(limit)))
}
