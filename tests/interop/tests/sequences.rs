//! Sequences as other people's streams, on other people's executors.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::watched;
use footbridge::{asyncify, asyncify_iter, run, spawn_generator, syncify_iter};
use futures::stream::{self, StreamExt};
use worlds::EXECUTORS;

// Decision 21
#[test]
fn items_are_a_stream_in_one_line() {
    watched(|| {
        let mut items = asyncify_iter(0..1000);
        let stream = stream::poll_fn(move |context| items.poll_next(context));
        let sums = stream.chunks(100).map(|chunk| chunk.iter().sum::<u32>());
        let sums: Vec<_> = run(sums.collect());
        assert_eq!(sums, (0..10).map(|n| 4950 + n * 10_000).collect::<Vec<_>>());
    });
}

// A15, decision 21
#[test]
fn a_generator_is_awaited_on_any_executor() {
    for (name, drive) in EXECUTORS {
        watched(move || {
            drive(Box::pin(async move {
                let mut items = spawn_generator(|sink| (0..1000).try_for_each(|n| sink.send(n)));
                for n in 0..1000 {
                    assert_eq!(items.next().await, Some(n), "on {name}");
                }
                assert_eq!(items.next().await, None, "on {name}");
            }));
        });
    }
}

// Decision 21
#[test]
fn a_stream_is_iterated_in_a_job() {
    watched(|| {
        let job = asyncify(|| {
            let squares = syncify_iter(|| {
                let mut stream = Box::pin(stream::iter(1..=300).then(async |n: u64| n * n));
                async move || stream.next().await
            });
            squares.sum::<Result<u64, _>>()
        });
        assert_eq!(
            run(async { job().await }),
            Ok((1..=300).map(|n| n * n).sum())
        );
    });
}
