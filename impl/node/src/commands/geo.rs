//! Owns the commands about single places, and how arguments about places are read. A place is a member of a sorted
//! set whose score is its position's.

use super::{
    options::float,
    sorted_sets::{AddOptions, Given, add},
    syntax_error,
};
use crate::{
    command::Answer,
    geohash::Position,
    store::{Store, sorted_set::SortedSet},
};
use slotbus_wire::{
    number::{format_fixed, parse_f64},
    resp::{Args, Reply},
};

/// A place of which only the distance matters is shown with so many digits behind the point.
const DISTANCE_DECIMALS: usize = 4;

/// Two coordinates.
pub(super) fn position(longitude: &[u8], latitude: &[u8]) -> Result<Position, Reply<'static>> {
    let (longitude, latitude) = (float(longitude)?, float(latitude)?);
    Position::new(longitude, latitude).ok_or_else(|| {
        let [longitude, latitude] = [longitude, latitude].map(|angle| format_fixed(angle, 6));
        Reply::err(format_args!("invalid longitude,latitude pair {longitude},{latitude}"))
    })
}

/// How many metres a unit has.
pub(super) fn unit_m(name: &[u8]) -> Result<f64, Reply<'static>> {
    match name.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Reply::err("unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A length that a shape may have; `what` is named if it is none.
pub(super) fn length(text: &[u8], what: &str) -> Result<f64, Reply<'static>> {
    parse_f64(text).ok_or_else(|| Reply::err(format_args!("need numeric {what}")))
}

/// A distance as it is answered.
pub(super) fn distance(length: f64) -> Reply<'static> {
    Reply::text(format_fixed(length, DISTANCE_DECIMALS))
}

/// A position as it is answered.
pub(super) fn coordinates(position: Position) -> Reply<'static> {
    Reply::Array(vec![Reply::Decimal(position.longitude), Reply::Decimal(position.latitude)])
}

/// Where the members of a sorted set are.
pub(super) fn position_of(set: &SortedSet, member: &[u8]) -> Option<Position> {
    set.score(member).map(Position::of_score)
}

/// GEOADD's options, and the index of what follows them.
fn add_options(args: Args<'_>) -> (AddOptions, usize) {
    let (mut options, mut at) = (AddOptions::default(), 2);
    while let Some(option) = args.get(at) {
        match option.to_ascii_lowercase().as_slice() {
            b"nx" => options.is_for_new = true,
            b"xx" => options.is_for_known = true,
            b"ch" => options.counts_changes = true,
            _ => break,
        }
        at += 1;
    }
    (options, at)
}

/// The places from some argument on: each a position and a member.
fn places(args: Args<'_>, start: usize) -> Result<Given<'_>, Reply<'static>> {
    let starts = (start..args.len()).step_by(3);
    let place = |at: usize| Ok((position(args.at(at), args.at(at + 1))?.score() as f64, args.at(at + 2)));
    starts.map(place).collect()
}

pub(super) fn geoadd<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (options, at) = add_options(args);
    let words = args.len() - at;
    if words == 0 || !words.is_multiple_of(3) || options.is_for_new && options.is_for_known {
        return Err(syntax_error());
    }
    add(store, args.at(1), places(args, at)?, options)
}

/// A GEOADD as the ZADD that does the same.
pub(crate) fn as_scores(args: Args<'_>) -> Vec<Box<[u8]>> {
    let (_, at) = add_options(args);
    let places = places(args, at).unwrap_or_default().into_iter();
    let head = [b"zadd".as_slice()].into_iter().chain(args.from(1).take(at - 1)).map(Box::from);
    // The score of a position is a whole number.
    let tail = places.flat_map(|(score, member)| [(score as u64).to_string().into_bytes().into(), member.into()]);
    head.chain(tail).collect()
}

pub(super) fn geodist<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let unit_m = match args.len() {
        ..=4 => 1.0,
        5 => unit_m(args.at(4))?,
        _ => return Err(syntax_error()),
    };
    let Some(set) = store.read::<SortedSet>(args.at(1))? else { return Ok(Reply::Null) };
    let ends = position_of(set, args.at(2)).zip(position_of(set, args.at(3)));
    Ok(ends.map_or(Reply::Null, |(from, to)| distance(from.distance_m(to) / unit_m)))
}

pub(super) fn geohash<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    of_each(store, args, Reply::Null, |position| Reply::text(position.text()))
}

pub(super) fn geopos<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    of_each(store, args, Reply::NullArray, coordinates)
}

/// What `show` shows of the position of each member, or `nothing` of one that is not there.
fn of_each<'e>(
    store: &'e mut Store,
    args: Args<'e>,
    nothing: Reply<'static>,
    show: impl Fn(Position) -> Reply<'static>,
) -> Answer<'e> {
    let set = store.read::<SortedSet>(args.at(1))?;
    let shown = |member| set.and_then(|set| position_of(set, member)).map_or_else(|| nothing.clone(), &show);
    Ok(Reply::Array(args.from(2).map(shown).collect()))
}
