//! Owns the commands about lists.

use super::{
    not_an_integer,
    options::{counted_keys, integer, natural, place, places, side},
    syntax_error,
};
use crate::{
    command::Answer,
    store::{
        Store,
        limits::Limits,
        list::{List, Side},
        news::Class,
    },
};
use slotbus_wire::{
    listpack::Item,
    resp::{Args, Reply, parse_i64},
};

/// What is told of an element that is added to an end.
fn pushed(side: Side) -> &'static str {
    if side == Side::Left { "lpush" } else { "rpush" }
}

/// What is told of an element that is taken from an end.
fn popped(side: Side) -> &'static str {
    if side == Side::Left { "lpop" } else { "rpop" }
}

pub(super) fn lpush<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    push(store, args, Side::Left)
}

pub(super) fn rpush<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    push(store, args, Side::Right)
}

fn push<'e>(store: &mut Store, args: Args<'e>, side: Side) -> Answer<'e> {
    Ok(Reply::count(store.fill(args.at(1), pushed(side), pusher(args, side))?))
}

/// Adds all elements of a request, and says how many the list has then.
fn pusher(args: Args<'_>, side: Side) -> impl FnOnce(&mut List, &Limits) -> (usize, usize) {
    move |list, limits| {
        args.from(2).for_each(|element| list.push(side, element, limits));
        (args.len() - 2, list.len())
    }
}

pub(super) fn lpushx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    push_if_there(store, args, Side::Left)
}

pub(super) fn rpushx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    push_if_there(store, args, Side::Right)
}

fn push_if_there<'e>(store: &mut Store, args: Args<'e>, side: Side) -> Answer<'e> {
    Ok(Reply::count(store.edit(args.at(1), pushed(side), pusher(args, side))?.unwrap_or_default()))
}

pub(super) fn lpop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    pop(store, args, Side::Left, "lpop")
}

pub(super) fn rpop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    pop(store, args, Side::Right, "rpop")
}

fn pop<'e>(store: &mut Store, args: Args<'e>, side: Side, command: &str) -> Answer<'e> {
    if args.len() > 3 {
        return Err(Reply::err(format_args!("wrong number of arguments for '{command}' command")));
    }
    let Some(count) = args.get(2) else {
        let element = pop_one(store, args.at(1), side)?;
        return Ok(element.map_or(Reply::Null, Reply::bulk));
    };
    let count = natural(count)?;
    let elements = pop_some(store, args.at(1), side, count)?;
    Ok(elements.map_or(Reply::NullArray, |elements| Reply::Array(elements.into_iter().map(Reply::bulk).collect())))
}

/// Takes the element at an end of a list; none if there is no list.
pub(super) fn pop_one(store: &mut Store, key: &[u8], side: Side) -> Result<Option<Vec<u8>>, Reply<'static>> {
    Ok(store.edit(key, popped(side), |list: &mut List, _| (1, list.pop(side)))?.flatten())
}

/// Takes up to `count` elements; none if there is no list.
pub(super) fn pop_some(
    store: &mut Store,
    key: &[u8],
    side: Side,
    count: usize,
) -> Result<Option<Vec<Vec<u8>>>, Reply<'static>> {
    let pop = |list: &mut List, _: &Limits| {
        let elements: Vec<_> = std::iter::from_fn(|| list.pop(side)).take(count).collect();
        (elements.len(), elements)
    };
    Ok(store.edit(key, popped(side), pop)?)
}

/// Moves an element from list to list; none if there is no list to take it from.
pub(super) fn move_one(store: &mut Store, [from, to]: [(&[u8], Side); 2]) -> Result<Option<Vec<u8>>, Reply<'static>> {
    let Some(list) = store.former_of::<List>(from.0)? else { return Ok(None) };
    let index = if from.1 == Side::Left { 0 } else { list.len() - 1 };
    let element = list.get(index).unwrap_or_default().into_owned();
    if from.0 == to.0 {
        // A list that an element goes back to stays, even if that was its only one.
        store.edit(to.0, pushed(to.1), |list: &mut List, limits| {
            list.pop(from.1);
            (1, list.push(to.1, &element, limits))
        })?;
        store.news.tell(Class::LIST, popped(from.1), from.0);
    } else {
        store.fill(to.0, pushed(to.1), |list: &mut List, limits| (1, list.push(to.1, &element, limits)))?;
        pop_one(store, from.0, from.1)?;
    }
    Ok(Some(element))
}

pub(super) fn lmove<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let from = (args.at(1), side(args.at(3))?);
    let to = (args.at(2), side(args.at(4))?);
    Ok(move_one(store, [from, to])?.map_or(Reply::Null, Reply::bulk))
}

pub(super) fn rpoplpush<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let moved = move_one(store, [(args.at(1), Side::Right), (args.at(2), Side::Left)])?;
    Ok(moved.map_or(Reply::Null, Reply::bulk))
}

/// What LMPOP and BLMPOP ask for.
pub(super) struct Pops<'a> {
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) side: Side,
    pub(super) count: usize,
}

impl<'a> Pops<'a> {
    /// The number of keys stands at `at`.
    pub(super) fn read(args: Args<'a>, at: usize) -> Result<Self, Reply<'static>> {
        let (keys, end) = counted_keys(args, at, "numkeys should be greater than 0")?;
        let side = side(args.get(end).ok_or_else(syntax_error)?)?;
        Ok(Self { keys, side, count: count_option(args, end + 1)? })
    }
}

/// The option COUNT at the end of a request, or 1.
pub(super) fn count_option(args: Args<'_>, at: usize) -> Result<usize, Reply<'static>> {
    let Some(word) = args.get(at) else { return Ok(1) };
    let count = args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"count")).ok_or_else(syntax_error)?;
    let count = parse_i64(count).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or_else(|| Reply::err("count should be greater than 0"))?;
    if args.len() > at + 2 { Err(syntax_error()) } else { Ok(count) }
}

/// A key with elements that were taken from it.
pub(super) fn taken(key: &[u8], elements: Vec<Vec<u8>>) -> Reply<'static> {
    let elements = elements.into_iter().map(Reply::bulk).collect();
    Reply::Array(vec![Reply::bulk(key.to_vec()), Reply::Array(elements)])
}

pub(super) fn lmpop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let pops = Pops::read(args, 1)?;
    for key in pops.keys {
        if let Some(elements) = pop_some(store, key, pops.side, pops.count)? {
            return Ok(taken(key, elements));
        }
    }
    Ok(Reply::NullArray)
}

pub(super) fn llen<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.read::<List>(args.at(1))?.map_or(0, List::len)))
}

pub(super) fn lindex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let Some(list) = store.read::<List>(args.at(1))? else { return Ok(Reply::Null) };
    let index = integer(args.at(2))?;
    Ok(place(index, list.len()).and_then(|index| list.get(index)).map_or(Reply::Null, Reply::Bulk))
}

pub(super) fn lset<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    if store.former_of::<List>(args.at(1))?.is_none() {
        return Err(Reply::err("no such key"));
    }
    let index = integer(args.at(2))?;
    let set = |list: &mut List, limits: &Limits| {
        let is_set = place(index, list.len()).is_some_and(|index| list.set(index, args.at(3), limits));
        (usize::from(is_set), is_set)
    };
    if store.edit(args.at(1), "lset", set)? == Some(true) {
        Ok(Reply::OK)
    } else {
        Err(Reply::err("index out of range"))
    }
}

pub(super) fn linsert<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let behind = match args.at(2).to_ascii_lowercase().as_slice() {
        b"before" => 0,
        b"after" => 1,
        _ => return Err(syntax_error()),
    };
    let insert = |list: &mut List, limits: &Limits| match list.find(args.at(3)) {
        None => (0, -1),
        Some(index) => {
            list.insert(index + behind, args.at(4), limits);
            (1, i64::try_from(list.len()).unwrap_or(i64::MAX))
        }
    };
    Ok(Reply::Integer(store.edit(args.at(1), "linsert", insert)?.unwrap_or_default()))
}

pub(super) fn lrem<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let count = integer(args.at(2))?;
    let side = if count < 0 { Side::Right } else { Side::Left };
    let limit = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let remove = |list: &mut List, _: &Limits| {
        let removed = list.remove(args.at(3), limit, side);
        (removed, removed)
    };
    Ok(Reply::count(store.edit(args.at(1), "lrem", remove)?.unwrap_or_default()))
}

pub(super) fn ltrim<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    store.edit(args.at(1), "ltrim", |list: &mut List, _| {
        let kept = places(start, end, list.len());
        list.trim(kept.start, kept.len());
        (1, ())
    })?;
    Ok(Reply::OK)
}

pub(super) fn lrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let Some(list) = store.read::<List>(args.at(1))? else { return Ok(Reply::Array(vec![])) };
    let wanted = places(start, end, list.len());
    let elements = list.iter_from(wanted.start).take(wanted.len());
    Ok(Reply::Array(elements.map(|element| Reply::Bulk(element.text())).collect()))
}

/// What LPOS looks for.
struct Search {
    /// The how manieth match comes first, and from which end on.
    rank: usize,
    side: Side,
    /// How many matches are wanted, if a list of them is.
    count: Option<usize>,
    compared_max: usize,
}

impl Search {
    fn read(args: Args<'_>) -> Result<Self, Reply<'static>> {
        let mut search = Self { rank: 1, side: Side::Left, count: None, compared_max: usize::MAX };
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1).ok_or_else(syntax_error)?;
            match option.to_ascii_lowercase().as_slice() {
                b"rank" => search.put_rank(value)?,
                b"count" => {
                    let count = natural_of(value, "COUNT can't be negative")?;
                    search.count = Some(if count == 0 { usize::MAX } else { count });
                }
                b"maxlen" => {
                    let compared = natural_of(value, "MAXLEN can't be negative")?;
                    search.compared_max = if compared == 0 { usize::MAX } else { compared };
                }
                _ => return Err(syntax_error()),
            }
            at += 2;
        }
        Ok(search)
    }

    fn put_rank(&mut self, text: &[u8]) -> Result<(), Reply<'static>> {
        let rank = parse_i64(text).ok_or_else(not_an_integer)?;
        if rank == 0 {
            return Err(Reply::err(
                "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to \
                 start from the end of the list",
            ));
        }
        self.side = if rank < 0 { Side::Right } else { Side::Left };
        // The one number that has no positive counterpart stands for the first match.
        let rank = rank.checked_abs().unwrap_or(1);
        self.rank = usize::try_from(rank).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Where the matches are.
    fn find(&self, list: &List, element: &[u8]) -> Vec<usize> {
        let wanted = Item::of(element);
        let count = self.count.unwrap_or(1);
        let last = list.len().saturating_sub(1);
        let matches = |(nth, item): (usize, Item<'_>)| (item == wanted).then_some(nth);
        let items = list.items();
        match self.side {
            Side::Left => {
                let found = items.enumerate().take(self.compared_max).filter_map(matches);
                found.skip(self.rank - 1).take(count).collect()
            }
            Side::Right => {
                let found = items.rev().enumerate().take(self.compared_max).filter_map(matches);
                found.skip(self.rank - 1).take(count).map(|nth| last - nth).collect()
            }
        }
    }
}

fn natural_of(text: &[u8], refusal: &'static str) -> Result<usize, Reply<'static>> {
    let number = parse_i64(text).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Reply::err(refusal))
}

pub(super) fn lpos<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let search = Search::read(args.skip(3))?;
    let list = store.read::<List>(args.at(1))?;
    let found = list.map(|list| search.find(list, args.at(2))).unwrap_or_default();
    Ok(match search.count {
        Some(_) => Reply::Array(found.into_iter().map(Reply::count).collect()),
        None => found.first().map_or(Reply::Null, |&index| Reply::count(index)),
    })
}
