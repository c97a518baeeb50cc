//! Plays a game once a seed, on all threads of the machine, and says which seed failed. That one is played alone with
//! `WINDLASS_SEED=N cargo test --test promises KIND -- --nocapture`, and then tells all that happens.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use tokio::runtime::Builder;

/// Plays seeds 0 to `count`, or the one that `WINDLASS_SEED` names.
pub fn play<F: Future<Output = ()>>(count: u64, game: impl Fn(Rng) -> F + Sync) {
    let seeds = only().map_or(0..count, |seed| seed..seed + 1);
    let next = AtomicU64::new(seeds.start);
    let player = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play_one(seed, &game))) {
                eprintln!("play it again with WINDLASS_SEED={seed}");
                next.store(seeds.end, Ordering::Relaxed);
                resume_unwind(panic);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(player)));
    });
}

fn only() -> Option<u64> {
    std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok())
}

/// Says what happens, when one seed is played alone.
pub fn tell(what: impl FnOnce() -> String) {
    if only().is_some() {
        eprintln!("{}", what());
    }
}

fn play_one<F: Future<Output = ()>>(seed: u64, game: impl Fn(Rng) -> F) {
    // Names that the registry draws come from the thread's generator.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(game(Rng::with_seed(seed)));
}
