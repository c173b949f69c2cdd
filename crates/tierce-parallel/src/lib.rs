//! The threads for work on the processor, of which each process has its own.
//!
//! rayon's own pool is made once, and is never made again: in a process that was made by fork(2),
//! as Python's `multiprocessing` makes them, it has no threads, and work that is given to it is
//! never done. A pool from here belongs to the process that made it.
//!
//! This crate must not know what the work is.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// A pool, and the process whose threads it has.
struct Pool {
    process: u32,
    threads: ThreadPool,
}

/// One pool for each process on the way from the first one to this: there is no lock that another
/// thread might have held when this process was made.
static POOLS: [OnceLock<Pool>; GENERATIONS] = [const { OnceLock::new() }; GENERATIONS];

/// Who is further from the first process that builds makes threads for each piece of work.
const GENERATIONS: usize = 16;

/// Does `work`; what it does with rayon's iterators and scopes is done by the threads of this
/// process. Work inside of work is done by the same threads.
pub fn install<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match pool() {
        Some(threads) => threads.install(work),
        None => match ThreadPoolBuilder::new().build() {
            Ok(threads) => threads.install(work),
            // What can't have threads is in trouble anyway; rayon's own way out is to panic.
            Err(error) => panic!("cannot start threads: {error}"),
        },
    }
}

/// How many threads work at once.
pub fn threads() -> usize {
    match pool() {
        Some(threads) => threads.current_num_threads(),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// The pool of this process; `None` where there is none and no place for one.
fn pool() -> Option<&'static ThreadPool> {
    let process = std::process::id();
    for slot in &POOLS {
        if slot.get().is_none() {
            let threads = ThreadPoolBuilder::new().build().ok()?;
            // Another thread of this process may have been faster.
            let _ = slot.set(Pool { process, threads });
        }
        if let Some(pool) = slot.get().filter(|pool| pool.process == process) {
            return Some(&pool.threads);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    #[test]
    fn work_inside_of_work_is_done_by_the_same_threads() {
        let sum: u64 = super::install(|| {
            let inner = |n: u64| super::install(|| (0..n).into_par_iter().sum::<u64>());
            (0..100u64).into_par_iter().map(inner).sum()
        });
        assert_eq!(sum, (0..100u64).map(|n| (0..n).sum::<u64>()).sum());
        assert_eq!(super::threads(), super::install(rayon::current_num_threads));
    }
}
