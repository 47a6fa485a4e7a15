//! Owns the commands that estimate how many different elements there were.
//!
//! Must not know how registers are held.

use crate::{
    command::Answer,
    dispatch::shown,
    store::{
        Expiry, Store, WrongKind,
        entry::Form as StringForm,
        hyperloglog::{self, Corrupt, Form, Registers},
        news::Class,
    },
};
use slotbus_wire::resp::{Args, Reply};

impl From<Corrupt> for Reply<'static> {
    fn from(_: Corrupt) -> Self {
        Reply::error("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The form of a string that these commands are about.
fn form_of(text: &[u8]) -> Result<Form, Reply<'static>> {
    hyperloglog::form(text).ok_or_else(|| Reply::error("WRONGTYPE Key is not a valid HyperLogLog string value."))
}

/// Tells of a key whose registers were raised.
fn tell_raised(store: &mut Store, key: &[u8], changes: u64) {
    store.news.tell(Class::STRING, "pfadd", key);
    store.news.changes += changes.saturating_sub(1);
}

pub(super) fn pfadd<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (key, sparse_max) = (args.at(1), store.limits.sparse_registers_max);
    let add = |text: &mut Vec<u8>| -> Result<u64, Corrupt> {
        let mut count = 0;
        for element in args.from(2) {
            count += u64::from(hyperloglog::add(text, element, sparse_max)?);
        }
        if count > 0 {
            hyperloglog::forget(text);
        }
        Ok(count)
    };
    let changes = if let Some(text) = store.former(key)? {
        form_of(text)?;
        let count = store.patch_string(key, add).ok_or(WrongKind)??;
        if count > 0 {
            store.news.changed(key);
        }
        count
    } else {
        let mut text = hyperloglog::empty();
        let count = add(&mut text)?;
        hyperloglog::forget(&mut text);
        store.set_in_form(key, &text, Expiry::Never, StringForm::Patched);
        count + 1
    };
    if changes > 0 {
        tell_raised(store, key, changes);
    }
    Ok(Reply::Integer((changes > 0).into()))
}

fn counted(count: u64) -> Reply<'static> {
    Reply::Integer(count.cast_signed())
}

pub(super) fn pfcount<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    if args.len() > 2 {
        let (union, _) = union_of(store, args.from(1))?;
        return Ok(counted(union.count()));
    }
    let key = args.at(1);
    let Some(view) = store.view(key) else { return Ok(Reply::Integer(0)) };
    let text = view.string().ok_or(WrongKind)?;
    form_of(text)?;
    let (cached, is_raw) = (hyperloglog::cached(text), view.encoding() == "raw");
    let count = cached.map_or_else(|| hyperloglog::count(text), Ok);
    // The estimate is kept in the value, which is the primary's to change: a replica makes it anew each time.
    if !store.is_of_primary() && (cached.is_none() || !is_raw) {
        store.patch_string(key, |text| count.map(|count| hyperloglog::cache(text, count)));
        if cached.is_none() && count.is_ok() {
            store.news.changed(key);
        }
    }
    Ok(counted(count?))
}

/// The registers of the union of all keys, and whether any of these is dense.
fn union_of<'k>(store: &mut Store, keys: impl Iterator<Item = &'k [u8]>) -> Result<(Registers, bool), Reply<'static>> {
    let (mut union, mut is_dense) = (Registers::default(), false);
    for key in keys {
        let Some(text) = store.string(key)? else { continue };
        is_dense |= form_of(text)? == Form::Dense;
        union.merge(text)?;
    }
    Ok((union, is_dense))
}

pub(super) fn pfmerge<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (union, is_dense) = union_of(store, args.from(1))?;
    let (key, sparse_max) = (args.at(1), store.limits.sparse_registers_max);
    let merge = |text: &mut Vec<u8>| -> Result<(), Corrupt> {
        if is_dense {
            hyperloglog::densify(text)?;
        }
        union.raise_all(text, sparse_max)?;
        hyperloglog::forget(text);
        Ok(())
    };
    if store.former(key)?.is_some() {
        store.patch_string(key, merge).ok_or(WrongKind)??;
        store.news.changed(key);
    } else {
        let mut text = hyperloglog::empty();
        merge(&mut text)?;
        store.set_in_form(key, &text, Expiry::Never, StringForm::Patched);
    }
    tell_raised(store, key, 1);
    Ok(Reply::OK)
}

pub(super) fn pfdebug<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let key = args.at(2);
    let Some(text) = store.former(key)? else { return Err(Reply::err("The specified key does not exist")) };
    let form = form_of(text)?;
    let described = hyperloglog::described(text);
    // Whatever is asked for, the string counts as one that is changed in its place from now on.
    store.patch_string(key, |_| ());
    match args.at(1).to_ascii_lowercase().as_slice() {
        b"getreg" => {
            densify(store, key)?;
            let (union, _) = union_of(store, std::iter::once(key))?;
            Ok(Reply::Array(union.values().map(|value| Reply::Integer(value.into())).collect()))
        }
        b"decode" => described.map(Reply::text).ok_or_else(|| Reply::err("HLL encoding is not sparse")),
        b"encoding" => Ok(Reply::status(if form == Form::Dense { "dense" } else { "sparse" })),
        b"todense" => Ok(Reply::Integer(densify(store, key)?.into())),
        _ => Err(Reply::err(format_args!("Unknown PFDEBUG subcommand '{}'", shown(args.at(1), usize::MAX)))),
    }
}

/// Makes a string dense; says whether it was not. Nobody is told but the copies of the keys.
fn densify(store: &mut Store, key: &[u8]) -> Result<bool, Reply<'static>> {
    let has_changed = store.patch_string(key, hyperloglog::densify).ok_or(WrongKind)??;
    store.news.changes += u64::from(has_changed);
    Ok(has_changed)
}

/// Checks both forms against each other, and estimates against what was added.
pub(super) fn pfselftest<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    const ELEMENTS: u64 = 100_000;
    const STEP: u64 = 1000;
    /// Six standard errors, in thousandths.
    const ERROR_MAX: u64 = 49;
    let (mut sparse, mut dense) = (hyperloglog::empty(), hyperloglog::empty());
    hyperloglog::densify(&mut dense)?;
    for number in 1..=ELEMENTS {
        let element = number.to_le_bytes();
        let raised = (hyperloglog::add(&mut sparse, &element, usize::MAX)?, hyperloglog::add(&mut dense, &element, 0)?);
        if raised.0 != raised.1 {
            return Err(Reply::error(format!("TESTFAILED both forms differ about element {number}")));
        }
        if number % STEP == 0 {
            let (count, other) = (hyperloglog::count(&dense)?, hyperloglog::count(&sparse)?);
            if count != other || count.abs_diff(number) * 1000 > number * ERROR_MAX {
                return Err(Reply::error(format!("TESTFAILED {count} and {other} were counted of {number}")));
            }
        }
    }
    Ok(Reply::OK)
}
