//! What a user of the repository relies on. What has to come before what is ordered by channels, and by connections
//! and tokens that are not there yet.

use footbridge::time::timeout;
use footbridge::{
    BlockingTask, EventLoop, Pool, SyncifyError, run, spawn, spawn_blocking, syncify,
};
use rusqlite::{Connection, ErrorCode};
use sqlite::{Error, Repository, TokenBucket};
use std::cell::Cell;
use std::future::pending;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// For how long a test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS line (n INTEGER NOT NULL)";

async fn open(directory: &Path, readers: usize) -> Repository {
    let path = directory.join("test.db");
    Repository::open(path, SCHEMA, readers).await.unwrap()
}

/// Runs `body` with a repository of its own. If it hangs, the test fails and doesn't hang with it.
fn with_readers(readers: usize, body: impl AsyncFnOnce(Repository)) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let repository = open(directory.path(), readers).await;
        timeout(PATIENCE, body(repository)).await.expect("it hangs");
    });
}

/// Waits for a message without blocking the loop.
async fn received<T: Send + 'static>(receiver: Receiver<T>) -> T {
    spawn_blocking(move || receiver.recv().unwrap()).await
}

fn insert(connection: &Connection, n: u32) -> Result<(), Error> {
    connection.execute("INSERT INTO line VALUES (?)", [n])?;
    Ok(())
}

fn lines(connection: &Connection) -> Result<Vec<u32>, Error> {
    let mut query = connection.prepare("SELECT n FROM line ORDER BY rowid")?;
    let lines = query.query_map([], |row| row.get(0))?;
    Ok(lines.collect::<Result<_, _>>()?)
}

fn endless(connection: &Connection) -> Result<(), Error> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n";
    Ok(connection.query_one(sql, [], |_| Ok(()))?)
}

fn is_interrupted(result: &Result<(), Error>) -> bool {
    let Err(Error::Sqlite(error)) = result else {
        return false;
    };
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

#[test]
fn writes_are_done_in_the_order_in_which_they_were_asked_for() {
    with_readers(1, async |repository| {
        let ask = |n| repository.transaction(move |transaction| insert(transaction, n));
        for done in footbridge::gather((0..100).map(ask)).await {
            done.unwrap();
        }
        let expected: Vec<u32> = (0..100).collect();
        assert_eq!(repository.read(lines).await.unwrap(), expected);
    });
}

#[test]
fn a_transaction_that_fails_or_panics_leaves_nothing_and_the_next_one_works() {
    with_readers(1, async |repository| {
        let failed = repository.transaction(|transaction| {
            insert(transaction, 1)?;
            transaction.execute("INSERT INTO line VALUES (NULL)", [])?;
            Ok(())
        });
        let Err(Error::Sqlite(error)) = failed.await else {
            panic!("NULL isn't allowed there")
        };
        assert_eq!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation)
        );

        let panicked: BlockingTask<Result<(), Error>> = repository.transaction(|transaction| {
            insert(transaction, 2)?;
            panic!("a panic of the transaction's own")
        });
        assert!(spawn(panicked).await.unwrap_err().is_panic());

        repository
            .transaction(|transaction| insert(transaction, 3))
            .await
            .unwrap();
        assert_eq!(repository.read(lines).await.unwrap(), [3]);
    });
}

#[test]
fn reads_go_on_while_a_transaction_runs_and_see_what_was_before_it() {
    with_readers(1, async |repository| {
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let write = spawn(repository.transaction(move |transaction| {
            insert(transaction, 1)?;
            begun.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        }));
        received(has_begun).await;
        assert_eq!(repository.read(lines).await.unwrap(), []);
        open.send(()).unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(repository.read(lines).await.unwrap(), [1]);
    });
}

#[test]
fn a_transaction_is_committed_while_a_read_goes_on_which_sees_what_it_began_with() {
    with_readers(1, async |repository| {
        for n in 0..2 {
            repository
                .transaction(move |transaction| insert(transaction, n))
                .await
                .unwrap();
        }
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let read = spawn(repository.read(move |connection| {
            let mut query = connection.prepare("SELECT n FROM line ORDER BY rowid")?;
            let mut rows = query.query([])?;
            rows.next()?;
            begun.send(()).unwrap();
            gate.recv().unwrap();
            let mut seen = 1;
            while rows.next()?.is_some() {
                seen += 1;
            }
            Ok(seen)
        }));
        received(has_begun).await;
        repository
            .transaction(|transaction| insert(transaction, 2))
            .await
            .unwrap();
        open.send(()).unwrap();
        assert_eq!(read.await.unwrap().unwrap(), 2);
        assert_eq!(repository.read(lines).await.unwrap(), [0, 1, 2]);
    });
}

#[test]
fn as_many_reads_run_at_once_as_there_are_readers() {
    with_readers(2, async |repository| {
        let (to_first, at_first) = mpsc::channel();
        let (to_second, at_second) = mpsc::channel();
        // Each ends only when the other has begun.
        let meet = |tell: Sender<()>, told: Receiver<()>| {
            repository.read(move |_| {
                tell.send(()).unwrap();
                told.recv().unwrap();
                Ok(())
            })
        };
        let pair = [meet(to_second, at_first), meet(to_first, at_second)];
        assert!(footbridge::gather(pair).await.iter().all(Result::is_ok));
    });
}

#[test]
fn a_read_can_not_write() {
    with_readers(1, async |repository| {
        let refused = repository.read(|connection| insert(connection, 1)).await;
        assert!(matches!(refused, Err(Error::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::ReadOnly)));
    });
}

#[test]
fn a_transaction_within_a_transaction_is_refused_and_a_read_within_one_is_not() {
    with_readers(1, async |repository| {
        let inner = repository.clone();
        let outer = repository.transaction(move |transaction| {
            insert(transaction, 1)?;
            let reader = inner.clone();
            assert_eq!(syncify(async move || reader.read(lines).await)()??, []);
            syncify(async move || inner.transaction(|_| Ok(())).await)()?
        });
        let panic = spawn(outer).await.unwrap_err().into_panic();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with("deadlock"), "{text}");
        assert!(text.contains("repository.rs:"), "{text}");
        assert_eq!(repository.read(lines).await.unwrap(), []);
    });
}

#[test]
fn a_transaction_is_kept_to_the_pace_of_a_bucket_on_the_loop() {
    const INTERVAL: Duration = Duration::from_millis(20);
    thread_local! {
        static BUCKET: TokenBucket = TokenBucket::new(2, INTERVAL);
        static TAKEN: Cell<u32> = const { Cell::new(0) };
    }
    with_readers(1, async |repository| {
        let start = Instant::now();
        let take = async || {
            BUCKET.with(TokenBucket::clone).take(1).await;
            TAKEN.set(TAKEN.get() + 1);
        };
        let paced = repository.transaction(move |transaction| {
            for n in 0..6 {
                syncify(take)()?;
                insert(transaction, n)?;
            }
            Ok(thread::current().id())
        });
        assert_ne!(paced.await.unwrap(), thread::current().id());
        assert_eq!(TAKEN.get(), 6, "they were taken on this thread, the loop's");
        assert!(start.elapsed() >= 4 * INTERVAL, "two were there at first");
        assert_eq!(repository.read(lines).await.unwrap(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_transaction_whose_caller_goes_while_it_waits_for_the_bucket_is_rolled_back() {
    thread_local! {
        // The second token comes in an hour.
        static BUCKET: TokenBucket = TokenBucket::new(1, Duration::from_secs(3600));
    }
    with_readers(1, async |repository| {
        let (waits, is_waiting) = mpsc::channel();
        let (told, answer) = mpsc::channel();
        let take = async || BUCKET.with(TokenBucket::clone).take(1).await;
        let take_last = async move || {
            waits.send(()).unwrap();
            take().await;
        };
        let call = spawn(repository.transaction(move |transaction| {
            syncify(take)()?;
            insert(transaction, 1)?;
            let outcome = syncify(take_last)();
            told.send(outcome).unwrap();
            Ok(outcome?)
        }));
        received(is_waiting).await;
        call.abort();
        assert_eq!(received(answer).await, Err(SyncifyError::Cancelled));
        repository
            .transaction(|transaction| insert(transaction, 2))
            .await
            .unwrap();
        assert_eq!(repository.read(lines).await.unwrap(), [2]);
    });
}

#[test]
fn a_query_that_is_timed_out_frees_the_only_connection() {
    with_readers(1, async |repository| {
        let (ended, end) = mpsc::channel();
        let query = repository.read(move |connection| {
            let outcome = endless(connection);
            ended.send(is_interrupted(&outcome)).unwrap();
            outcome
        });
        // Polled once before the time is looked at, so it has been submitted.
        assert!(timeout(Duration::from_millis(50), query).await.is_err());
        assert_eq!(repository.read(lines).await.unwrap(), []);
        // Had it not begun by then, it was dropped unrun, and its channel with it.
        assert_ne!(end.recv(), Ok(false));
    });
}

#[test]
fn a_query_that_is_dropped_is_interrupted_and_the_one_that_follows_is_not() {
    with_readers(1, async |repository| {
        let (begun, has_begun) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let query = spawn(repository.read(move |connection| {
            begun.send(()).unwrap();
            ended.send(is_interrupted(&endless(connection))).unwrap();
            Ok(())
        }));
        received(has_begun).await;
        query.abort();
        assert!(received(end).await, "it ended, but not by interruption");
        // Of more steps than go by between two questions.
        let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) \
                    SELECT max(i) FROM n";
        let next = repository
            .read(|connection| Ok(connection.query_one(long, [], |row| row.get::<_, u32>(0))?));
        assert_eq!(next.await.unwrap(), 100_000);
    });
}

#[test]
fn a_transaction_that_is_dropped_in_a_query_is_rolled_back_and_the_next_one_works() {
    with_readers(1, async |repository| {
        let (begun, has_begun) = mpsc::channel();
        let call = spawn(repository.transaction(move |transaction| {
            insert(transaction, 1)?;
            begun.send(()).unwrap();
            endless(transaction)
        }));
        received(has_begun).await;
        call.abort();
        // Its `BEGIN` would fail within an open transaction.
        repository
            .transaction(|transaction| insert(transaction, 2))
            .await
            .unwrap();
        assert_eq!(repository.read(lines).await.unwrap(), [2]);
    });
}

#[test]
fn a_call_outlives_the_repository_that_it_was_asked_of() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let repository = open(directory.path(), 1).await;
        let (begun, has_begun) = mpsc::channel();
        let (gate_opens, gate) = mpsc::channel::<()>();
        let call = spawn(repository.transaction(move |transaction| {
            insert(transaction, 1)?;
            begun.send(()).unwrap();
            gate.recv().unwrap();
            insert(transaction, 2)
        }));
        received(has_begun).await;
        repository.close().await;
        gate_opens.send(()).unwrap();
        timeout(PATIENCE, call)
            .await
            .expect("it hangs")
            .unwrap()
            .unwrap();
        assert_eq!(
            open(directory.path(), 1).await.read(lines).await.unwrap(),
            [1, 2]
        );
    });
}

/// Imports pairs of lines, has the loop end in the middle of the fourth, between the two, while the transaction there
/// does what `halfway` does, and gives what is in the database then.
fn lines_after_the_loop_has_ended(
    halfway: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Vec<u32> {
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::builder().build();
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let (reached, is_reached) = mpsc::channel();
    event_loop.run_until(async {
        let repository = open(directory.path(), 1).await;
        drop(spawn(async move {
            for n in 0..3 {
                let pair = repository.transaction(move |transaction| {
                    insert(transaction, n)?;
                    insert(transaction, n)
                });
                pair.await.unwrap();
            }
            let fourth = repository.transaction(move |transaction| {
                insert(transaction, 3)?;
                reached.send(()).unwrap();
                halfway()?;
                insert(transaction, 3)
            });
            fourth.await.unwrap();
        }));
        received(is_reached).await;
    });
    drop(event_loop); // and with it the import, the call and the repository
    pool.shutdown(PATIENCE).unwrap();

    let connection = Connection::open(directory.path().join("test.db")).unwrap();
    let check = connection.query_one("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
    lines(&connection).unwrap()
}

#[test]
fn a_loop_that_ends_while_a_transaction_waits_for_it_leaves_only_whole_transactions() {
    let left = lines_after_the_loop_has_ended(|| Ok(syncify(pending::<()>)()?));
    assert_eq!(left, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_loop_that_ends_while_a_transaction_works_leaves_only_whole_transactions() {
    // It goes on when its caller has gone, and to its end.
    let left = lines_after_the_loop_has_ended(|| {
        while footbridge::check_cancelled().is_ok() {
            thread::yield_now();
        }
        Ok(())
    });
    assert_eq!(left, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn rows_that_are_dropped_free_the_only_connection_also_within_an_endless_query() {
    with_readers(1, async |repository| {
        let insert_two = |transaction: &rusqlite::Transaction<'_>| {
            insert(transaction, 1)?;
            insert(transaction, 2)
        };
        repository.transaction(insert_two).await.unwrap();
        let mut rows = repository
            .rows(|connection, sink| {
                for n in lines(connection)? {
                    let _ = sink.send(Ok(n));
                }
                endless(connection)
            })
            .await;
        assert_eq!(rows.next().await.unwrap().unwrap(), 1);
        assert_eq!(rows.next().await.unwrap().unwrap(), 2);
        drop(rows);
        assert_eq!(repository.read(lines).await.unwrap(), [1, 2]);
    });
}

#[test]
fn an_error_of_what_reads_rows_is_the_last_item() {
    with_readers(1, async |repository| {
        let mut rows = repository
            .rows(|connection, sink| {
                let _ = sink.send(Ok(1));
                connection.query_one("SELECT * FROM nothing", [], |_| Ok(()))?;
                Ok(())
            })
            .await;
        assert_eq!(rows.next().await.unwrap().unwrap(), 1);
        assert!(matches!(rows.next().await, Some(Err(Error::Sqlite(_)))));
        assert!(rows.next().await.is_none());
    });
}
