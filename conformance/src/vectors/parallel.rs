//! Owns work that is spread over the machine's processors, with the results in the order of the work.
//! Knows nothing of the work.

use std::{
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

/// What becomes of each item, in the items' order, whoever did it.
pub(super) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let queue = Mutex::new(items.into_iter().zip(&mut results));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((item, result)) = next() {
                    *result = Some(work(item));
                }
            });
        }
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_are_in_the_order_of_the_work() {
        let items: Vec<u64> = (0..1000).collect();
        assert_eq!(map(items.clone(), |item| item * 3), items.iter().map(|item| item * 3).collect::<Vec<_>>());
        assert!(map(Vec::<u8>::new(), |item| item).is_empty());
    }
}
