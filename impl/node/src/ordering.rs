//! Owns two ways to sort in which items that compare as equal come in a certain order: the one in which they come
//! from redis-server, which sorts whole lists by merging, and the beginnings of lists by partitioning.
//!
//! Must not know what is sorted. Orders that contradict themselves, as that of what is not a number, are put up with.

use std::cmp::Ordering;

/// Sorts a list; what is equal stays in order.
pub fn sort_all<T>(mut items: Vec<T>, compare: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let mut merged = Vec::with_capacity(items.len());
    let right = sort_all(items.split_off(items.len() / 2), compare);
    let mut left = sort_all(items, compare).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let is_left_next = compare(one, other).is_le();
        merged.extend(if is_left_next { left.next() } else { right.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// Sorts the first items of a list, and of the rest as much as that takes: the quicksort of Bentley and McIlroy
/// ("Engineering a Sort Function", 1993), which leaves out parts that begin behind the first `wanted` items.
pub fn sort_first<T>(items: &mut [T], wanted: usize, compare: &impl Fn(&T, &T) -> Ordering) {
    const FEW: usize = 7;
    let (mut rest, mut start) = (items, 0);
    while start < wanted {
        if rest.len() < FEW {
            return insert_all(rest, compare);
        }
        let (less, greater) = partition(rest, compare);
        let behind = rest.len() - greater;
        if less > 1 {
            sort_first(&mut rest[..less], wanted.saturating_sub(start), compare);
        }
        if greater < 2 {
            return;
        }
        rest = &mut rest[behind..];
        start += behind;
    }
}

fn insert_all<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Brings what is less than some item before it, and what is greater behind it; says how many there are of both.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let len = items.len();
    items.swap(0, pivot(items, compare));
    // Equal items gather at both ends: before `equal`, and behind `equal_end`.
    let (mut equal, mut low) = (1, 1);
    let (mut high, mut equal_end) = (len - 1, len - 1);
    loop {
        while low <= high {
            match compare(&items[low], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(equal, low);
                    equal += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low <= high {
            match compare(&items[high], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(high, equal_end);
                    equal_end -= 1;
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low > high {
            break;
        }
        items.swap(low, high);
        (low, high) = (low + 1, high - 1);
    }
    let (less, greater) = (low - equal, equal_end - high);
    swap_runs(items, 0, low, equal.min(less));
    swap_runs(items, low, len, greater.min(len - 1 - equal_end));
    (less, greater)
}

/// Exchanges `count` items from `start` on with as many before `end`.
fn swap_runs<T>(items: &mut [T], start: usize, end: usize, count: usize) {
    (0..count).for_each(|index| items.swap(start + index, end - count + index));
}

/// Where an item stands that is neither among the least nor among the greatest: of a long list, the middle one of three
/// that are each the middle one of three.
fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    const LONG: usize = 40;
    let middle_of = |a: usize, b: usize, c: usize| {
        let less = |left: usize, right: usize| compare(&items[left], &items[right]).is_lt();
        if less(a, b) {
            if less(b, c) {
                b
            } else if less(a, c) {
                c
            } else {
                a
            }
        } else if compare(&items[b], &items[c]).is_gt() {
            b
        } else if less(a, c) {
            a
        } else {
            c
        }
    };
    let (len, middle, last) = (items.len(), items.len() / 2, items.len() - 1);
    let eighth = len / 8;
    match len {
        ..=7 => middle,
        8..=LONG => middle_of(0, middle, last),
        _ => middle_of(
            middle_of(0, eighth, 2 * eighth),
            middle_of(middle - eighth, middle, middle + eighth),
            middle_of(last - 2 * eighth, last - eighth, last),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{sort_all, sort_first};
    use proptest::{
        collection::vec,
        prelude::{any, prop_assert, prop_assert_eq, proptest},
    };
    use std::cmp::Ordering;

    fn by_key(left: &(u8, usize), right: &(u8, usize)) -> Ordering {
        left.0.cmp(&right.0)
    }

    fn numbered(keys: Vec<u8>) -> Vec<(u8, usize)> {
        keys.into_iter().zip(0..).collect()
    }

    proptest! {
        #[test]
        fn whole_lists_are_sorted_and_what_is_equal_stays_in_order(keys in vec(0..30_u8, 0..200)) {
            let items = numbered(keys);
            let mut expected = items.clone();
            expected.sort_by(by_key);
            prop_assert_eq!(sort_all(items, &by_key), expected);
        }

        #[test]
        fn the_beginning_is_sorted_and_nothing_is_lost(keys in vec(any::<u8>(), 1..300), wanted in 1..300_usize) {
            let items = numbered(keys);
            let (mut sorted, mut expected) = (items.clone(), items);
            expected.sort_by(by_key);
            sort_first(&mut sorted, wanted, &by_key);
            let keys = |items: &[(u8, usize)]| items.iter().take(wanted).map(|item| item.0).collect::<Vec<_>>();
            prop_assert_eq!(keys(&sorted), keys(&expected));
            sorted.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }

        /// An order that contradicts itself sorts nothing, and harms nothing.
        #[test]
        fn contradictions_are_put_up_with(keys in vec(0..4_u8, 1..300), wanted in 1..300_usize, odd: bool) {
            let answer = if odd { Ordering::Less } else { Ordering::Greater };
            let compare = |left: &u8, right: &u8| if left == right { answer } else { left.cmp(right) };
            let mut items = keys.clone();
            sort_first(&mut items, wanted, &compare);
            items.sort_unstable();
            let mut all = sort_all(keys, &compare);
            all.sort_unstable();
            prop_assert!(items == all);
        }
    }
}
