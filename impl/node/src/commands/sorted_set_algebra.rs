//! Owns the commands that combine sorted sets: unions, intersections, differences. A plain set counts
//! as one whose scores are all 1.

use super::{
    options::{counted_keys, float},
    sets::intercard,
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
struct Query<'a> {
    keys: Vec<&'a [u8]>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// The number of keys stands at `at`; `command` is named if it is wrong.
    fn read(args: Args<'a>, at: usize, combination: Combination, command: &str) -> Result<Self, Reply<'static>> {
        let number = parse_i64(args.at(at)).ok_or_else(super::not_an_integer)?;
        if number < 1 {
            return Err(Reply::err(format_args!("at least 1 input key is needed for '{command}' command")));
        }
        let (keys, mut at) = counted_keys(args, at, "")?;
        let is_stored = command.ends_with("store");
        let weights = vec![1.0; keys.len()];
        let mut query = Self { keys, weights, aggregate: Aggregate::Sum, with_scores: false };
        let may_weigh = combination != Combination::Difference;
        while let Some(option) = args.get(at) {
            let left = args.len() - at - 1;
            match option.to_ascii_lowercase().as_slice() {
                b"weights" if may_weigh && left >= query.keys.len() => {
                    query.weights = args.from(at + 1).take(query.keys.len()).map(weight).collect::<Result<_, _>>()?;
                    at += query.keys.len();
                }
                b"aggregate" if may_weigh && left >= 1 => {
                    query.aggregate = match args.at(at + 1).to_ascii_lowercase().as_slice() {
                        b"sum" => Aggregate::Sum,
                        b"min" => Aggregate::Min,
                        b"max" => Aggregate::Max,
                        _ => return Err(syntax_error()),
                    };
                    at += 1;
                }
                b"withscores" if !is_stored => query.with_scores = true,
                _ => return Err(syntax_error()),
            }
            at += 1;
        }
        Ok(query)
    }
}

fn weight(text: &[u8]) -> Result<f64, Reply<'static>> {
    float(text).map_err(|_| Reply::err("weight value is not a float"))
}

type Scores = IndexMap<Vec<u8>, f64>;

/// The members of a set of either kind, with their scores.
fn members(store: &mut Store, key: &[u8]) -> Result<Scores, WrongKind> {
    let of_sorted = |set: &SortedSet| set.iter().map(|(member, score)| (member.into_owned(), score)).collect();
    let of_plain = |set: &Set| set.iter().map(|member| (member.into_owned(), 1.0)).collect();
    match store.view(key) {
        None => Ok(Scores::default()),
        Some(View::Other(Value::SortedSet(set))) => Ok(of_sorted(set)),
        Some(View::Other(Value::Set(set))) => Ok(of_plain(set)),
        Some(View::String(..) | View::Other(Value::String(_) | Value::List(_) | Value::Hash(_) | Value::Foreign(..))) => {
            Err(WrongKind)
        }
    }
}

fn combine(store: &mut Store, query: &Query<'_>, combination: Combination) -> Result<Scores, Reply<'static>> {
    let mut sources = Vec::new();
    for (key, weight) in query.keys.iter().zip(&query.weights) {
        let mut scores = members(store, key)?;
        for score in scores.values_mut() {
            let product = *score * weight;
            *score = if product.is_nan() { 0.0 } else { product };
        }
        sources.push(scores);
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
    Ok(result)
}

fn answer<'e>(store: &mut Store, args: Args<'e>, combination: Combination, command: &str) -> Answer<'e> {
    let query = Query::read(args, 1, combination, command)?;
    let limits = store.limits;
    let result = SortedSet::collect(combine(store, &query, combination)?, &limits);
    Ok(shown(result.iter(), query.with_scores).into_owned())
}

fn put<'e>(store: &mut Store, args: Args<'e>, combination: Combination, command: &'static str) -> Answer<'e> {
    let query = Query::read(args, 2, combination, command)?;
    let limits = store.limits;
    let result = SortedSet::collect(combine(store, &query, combination)?, &limits);
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
    let (keys, limit) = intercard(args)?;
    let weights = vec![1.0; keys.len()];
    let query = Query { keys, weights, aggregate: Aggregate::Sum, with_scores: false };
    Ok(Reply::count(combine(store, &query, Combination::Intersection)?.len().min(limit)))
}
