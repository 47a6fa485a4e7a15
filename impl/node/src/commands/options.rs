//! Owns how arguments that many commands share are read: numbers, ranges, sides, timeouts.
//!
//! Must not touch a key.

use super::{not_an_integer, syntax_error};
use crate::store::list::Side;
use slotbus_core::Millis;
use slotbus_wire::{
    extended::Extended,
    number::{nearest_f64, parse_f64},
    resp::{Args, Reply, parse_i64},
};
use std::ops::Range;

/// A number, or why there is none.
pub(super) fn integer(text: &[u8]) -> Result<i64, Reply<'static>> {
    parse_i64(text).ok_or_else(not_an_integer)
}

/// A number of 32 bits.
pub(super) fn small_integer(text: &[u8]) -> Result<i32, Reply<'static>> {
    let (least, most) = (i32::MIN, i32::MAX);
    let out_of_range = |_| Reply::err(format_args!("value is out of range, value must between {least} and {most}"));
    integer(text).and_then(|number| i32::try_from(number).map_err(out_of_range))
}

/// A number whose sign can be turned.
pub(super) fn invertible(text: &[u8]) -> Result<i64, Reply<'static>> {
    let most = i64::MAX;
    let out_of_range = || Reply::err(format_args!("value is out of range, value must between -{most} and {most}"));
    integer(text).and_then(|number| if number == i64::MIN { Err(out_of_range()) } else { Ok(number) })
}

/// A number that is at least 0.
pub(super) fn natural(text: &[u8]) -> Result<usize, Reply<'static>> {
    let out_of_range = || Reply::err("value is out of range, must be positive");
    let number = parse_i64(text).ok_or_else(out_of_range)?;
    usize::try_from(number).map_err(|_| out_of_range())
}

/// A floating point number.
pub(super) fn float(text: &[u8]) -> Result<f64, Reply<'static>> {
    parse_f64(text).ok_or_else(|| Reply::err("value is not a valid float"))
}

/// An end of a list.
pub(super) fn side(text: &[u8]) -> Result<Side, Reply<'static>> {
    match text.to_ascii_lowercase().as_slice() {
        b"left" => Ok(Side::Left),
        b"right" => Ok(Side::Right),
        _ => Err(syntax_error()),
    }
}

/// For how long to wait; none for ever.
pub(super) fn timeout_ms(text: &[u8]) -> Result<Option<u64>, Reply<'static>> {
    // redis-server reads a wider format here: to it, what is too large for this one is merely long.
    let too_long = || Extended::parse(text).and_then(|_| nearest_f64(text)).filter(|seconds| seconds.is_infinite());
    let seconds = parse_f64(text).or_else(too_long);
    let seconds = seconds.ok_or_else(|| Reply::err("timeout is not a float or out of range"))?;
    let millis = (seconds * 1000.0).ceil();
    if millis < 0.0 || millis >= i64::MAX as f64 {
        return Err(Reply::err("timeout is negative"));
    }
    // The checks above leave a whole number that fits.
    Ok(Some(millis as u64).filter(|&millis| millis > 0))
}

/// The places between two indices, both of which count from the end if they are negative.
pub(super) fn places(start: i64, end: i64, len: usize) -> Range<usize> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let from_start = |index: i64| if index < 0 { (signed + index).max(0) } else { index };
    let last = if end < 0 { signed + end } else { end.min(signed - 1) };
    let start = from_start(start);
    if start > last || start >= signed {
        return 0..0;
    }
    let place = |index: i64| usize::try_from(index).unwrap_or_default();
    place(start)..place(last) + 1
}

/// The place of an index that counts from the end if it is negative.
pub(super) fn place(index: i64, len: usize) -> Option<usize> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let index = if index < 0 { signed.checked_add(index)? } else { index };
    usize::try_from(index).ok().filter(|&index| index < len)
}

/// The keys that stand behind their number, and the index of what follows them.
pub(super) fn counted_keys<'a>(
    args: Args<'a>,
    at: usize,
    refusal: &'static str,
) -> Result<(Vec<&'a [u8]>, usize), Reply<'static>> {
    let count = parse_i64(args.at(at)).ok_or_else(|| Reply::err(refusal))?;
    let count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or_else(|| Reply::err(refusal))?;
    let end = (at + 1).checked_add(count).filter(|&end| end <= args.len()).ok_or_else(syntax_error)?;
    Ok((args.from(at + 1).take(count).collect(), end))
}

/// The instant that lies `number` units after `base`.
pub(super) fn end(number: &[u8], unit_ms: u64, base: Millis, command: &str) -> Result<Millis, Reply<'static>> {
    let number = integer(number)?;
    let after_ms =
        u64::try_from(number).ok().filter(|&number| number > 0).and_then(|number| number.checked_mul(unit_ms));
    let at = after_ms.and_then(|after_ms| after_ms.checked_add(base.0)).filter(|&at| i64::try_from(at).is_ok());
    at.map(Millis).ok_or_else(|| Reply::err(format_args!("invalid expire time in '{command}' command")))
}

/// Ways to say when a key expires, with their units, and whether they count from now.
const ENDS: [(&[u8], u64, bool); 4] =
    [(b"ex", 1000, true), (b"px", 1, true), (b"exat", 1000, false), (b"pxat", 1, false)];

/// An option that says when a key expires.
pub(super) struct Ending<'a> {
    way: usize,
    number: &'a [u8],
}

impl<'a> Ending<'a> {
    /// The option, if it is one and its number follows.
    pub(super) fn read(option: &[u8], next: Option<&'a [u8]>) -> Option<Self> {
        let way = ENDS.iter().position(|(name, ..)| option.eq_ignore_ascii_case(name))?;
        next.map(|number| Self { way, number })
    }

    /// Whether both say it in the same way: then the later one counts.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.way == other.way
    }

    /// When the key expires.
    pub(super) fn at(&self, now: Millis, command: &str) -> Result<Millis, Reply<'static>> {
        let (_, unit_ms, is_relative) = ENDS[self.way];
        end(self.number, unit_ms, if is_relative { now } else { Millis(0) }, command)
    }
}

#[cfg(test)]
mod tests {
    use super::{place, places};

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        for (start, end, expected) in [
            (0, -1, 0..5),
            (-2, -1, 3..5),
            (-100, 100, 0..5),
            (3, 1, 0..0),
            (5, 9, 0..0),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (1, 1, 1..2),
        ] {
            assert_eq!(places(start, end, 5), expected, "{start} {end}");
        }
        assert_eq!(places(0, -1, 0), 0..0);
        assert_eq!((place(-5, 5), place(-6, 5), place(4, 5), place(5, 5)), (Some(0), None, Some(4), None));
    }
}
