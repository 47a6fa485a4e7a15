//! Owns the commands that wait for an element: what each of them wishes for.
//!
//! Must not wait, nor take anything: that is `waiters`.

use super::{
    lists,
    options::{side, timeout_ms},
    sorted_sets::{self, Extreme},
};
use crate::{
    store::list::Side,
    waiters::{Waiting, Wish},
};
use slotbus_wire::resp::{Args, Reply};

type Wished = Result<Waiting, Reply<'static>>;

/// The keys of a request that ends with them and the timeout.
fn of_keys(args: Args<'_>, wish: Wish) -> Wished {
    let last = args.len() - 1;
    let timeout_ms = timeout_ms(args.at(last))?;
    Ok(Waiting { keys: args.from(1).take(last - 1).map(Box::from).collect(), wish, timeout_ms })
}

pub(super) fn blpop(args: Args<'_>) -> Wished {
    of_keys(args, Wish::Element(Side::Left))
}

pub(super) fn brpop(args: Args<'_>) -> Wished {
    of_keys(args, Wish::Element(Side::Right))
}

pub(super) fn bzpopmin(args: Args<'_>) -> Wished {
    of_keys(args, Wish::Member(Extreme::Least))
}

pub(super) fn bzpopmax(args: Args<'_>) -> Wished {
    of_keys(args, Wish::Member(Extreme::Greatest))
}

pub(super) fn blmove(args: Args<'_>) -> Wished {
    let (from, to) = (side(args.at(3))?, side(args.at(4))?);
    moving(args, from, to, 5)
}

pub(super) fn brpoplpush(args: Args<'_>) -> Wished {
    moving(args, Side::Right, Side::Left, 3)
}

fn moving(args: Args<'_>, from: Side, side: Side, timeout_at: usize) -> Wished {
    let timeout_ms = timeout_ms(args.at(timeout_at))?;
    let wish = Wish::Move { from, to: args.at(2).into(), side };
    Ok(Waiting { keys: vec![args.at(1).into()], wish, timeout_ms })
}

pub(super) fn blmpop(args: Args<'_>) -> Wished {
    let lists::Pops { keys, side, count } = lists::Pops::read(args, 2)?;
    let timeout_ms = timeout_ms(args.at(1))?;
    let wish = Wish::Elements(side, count);
    Ok(Waiting { keys: keys.into_iter().map(Box::from).collect(), wish, timeout_ms })
}

pub(super) fn bzmpop(args: Args<'_>) -> Wished {
    let sorted_sets::Pops { keys, extreme, count } = sorted_sets::Pops::read(args, 2)?;
    let timeout_ms = timeout_ms(args.at(1))?;
    let wish = Wish::Members(extreme, count);
    Ok(Waiting { keys: keys.into_iter().map(Box::from).collect(), wish, timeout_ms })
}
