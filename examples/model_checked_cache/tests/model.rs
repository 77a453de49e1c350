//! `cargo test` in this folder: the models.
#![cfg(footbridge_loom)]

use footbridge::{asyncify, gather, run, syncify};
use loom::model::Builder;
use model_checked_cache::Cache;
use std::sync::Arc;

/// Two jobs ask the same cache at once; the one that loads asks the loop for the value.
fn two_jobs_ask(new: fn() -> Cache) {
    let mut model = Builder::new();
    // How often a thread is interrupted where it needn't be. Two or three find nearly every bug; without
    // a bound a model of a loop and two workers takes hours.
    model.preemption_bound = Some(2);
    model.check(move || {
        let cache = Arc::new(new());
        let answers = run(async move {
            let ask =
                asyncify(move |cache: Arc<Cache>| cache.get(|| syncify(async || 42)().unwrap()));
            gather([ask(cache.clone()), ask(cache)]).await
        });
        assert_eq!(answers, [42, 42]);
    });
}

#[test]
#[should_panic(expected = "left == right")]
fn the_model_finds_the_bug_of_the_first_version() {
    two_jobs_ask(Cache::wrong);
}

#[test]
fn the_second_version_is_right_in_every_interleaving() {
    two_jobs_ask(Cache::right);
}
