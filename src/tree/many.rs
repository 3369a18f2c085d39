//! Many small files looked at at once.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// They wait more than they work, so there are more than cores: from a cold disk, 16 threads read
/// small files four times as fast as one, and 32 hardly faster than 16.
pub const THREADS: usize = 16;

/// With fewer items for each, a thread more is not worth its start.
const EACH: usize = 16;

/// Returns what `look` says of each of `items`, in their order, asked by many threads.
///
/// For waiting, that is: these are more threads than cores. Other than in a pool, whoever calls this
/// only waits for it and is never lent to another task, so it may be called from anywhere.
pub fn many<T: Sync, R: Send>(items: &[T], look: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, look(item)));
        }
    };
    let done = together(THREADS.min(items.len().div_ceil(EACH)), work);
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// Returns what `work` says in this thread and in others, `threads` altogether or as many as can be had: with
/// fewer it takes longer.
pub(super) fn together<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let mut done = vec![work()];
        done.extend(
            others
                .into_iter()
                .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic))),
        );
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order() {
        for count in [0, 1, EACH - 1, EACH, EACH + 1, 1000] {
            let items: Vec<_> = (0..count).collect();
            assert_eq!(
                many(&items, |item| item * 2),
                items.iter().map(|i| i * 2).collect::<Vec<_>>()
            );
        }
    }
}
