//! An async repository over SQLite, whose connections block: one that writes, and some that read.
//!
//! The rule: a token is a connection. Each lane has a limiter with as many tokens as it has connections, and a call's
//! token is free only when its job has really ended. So a job that has a token finds a connection, and writes,
//! whose lane has one of each, run one after the other, in the order in which they were asked for.

mod bucket;

pub use bucket::TokenBucket;

use footbridge::{Asyncify, BlockingTask, Items, Limiter, Sink, SyncifyError};
use footbridge::{asyncify, check_cancelled, spawn_generator};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{error, fmt};

/// SQLite for async code. Cloning it gives another handle to the same connections.
///
/// Each call runs on a worker thread, once it is awaited. Dropping it cancels it: if it waits for its connection it
/// never runs; else the statement that it executes is interrupted, its transaction rolled back, and the connection
/// serves the next call.
///
/// Dropping the last handle closes the connections, which may write to the disk; on a loop's thread use
/// [`close`](Self::close). Calls that still run then keep theirs until they end.
#[derive(Debug, Clone)]
pub struct Repository {
    writes: Lane,
    reads: Lane,
}

impl Repository {
    /// Opens or makes the database file at `path`, executes `schema` on it, and adds `readers` connections that read.
    ///
    /// # Errors
    /// [`Error::Sqlite`], with what SQLite says of the file or of `schema`.
    ///
    /// # Panics
    /// If `readers` is 0: every read would wait for ever.
    pub async fn open(path: PathBuf, schema: &'static str, readers: usize) -> Result<Self, Error> {
        assert!(readers > 0, "Repository::open: 0 readers could never read");
        asyncify(move || {
            let writer = connect(&path)?;
            // So that readers see the last commit, and neither wait for the writer nor keep it waiting.
            writer.pragma_update(None, "journal_mode", "wal")?;
            writer.execute_batch(schema)?;
            let readers = (0..readers).map(|_| {
                let reader = connect(&path)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            });
            Ok(Self {
                writes: Lane::new(vec![writer]),
                reads: Lane::new(readers.collect::<Result<_, Error>>()?),
            })
        })()
        .await
    }

    /// Has `work` read, beside other reads and the one write. It can't change anything.
    ///
    /// # Errors
    /// Those of `work`.
    #[track_caller]
    pub fn read<T, W>(&self, work: W) -> BlockingTask<Result<T, Error>>
    where
        W: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.reads.run(|connection| work(connection))
    }

    /// Has `work` read once there is a connection for it, and gives the items that it sends, while it reads. It keeps its
    /// connection until it returns. Dropping the `Items` cancels it: a statement that it executes is interrupted, and `send`
    /// returns an error, after which it should return. An error that `work` returns is the last item.
    pub async fn rows<T, W>(&self, work: W) -> Items<Result<T, Error>>
    where
        W: FnOnce(&Connection, &Sink<Result<T, Error>>) -> Result<(), Error> + Send + 'static,
        T: Send + 'static,
    {
        let permit = self.reads.limiter.acquire().await;
        let idle = self.reads.idle.clone();
        spawn_generator(move |sink| {
            let _permit = permit; // given back when the connection is
            if let Err(error) = with_connection(&idle, |connection| work(connection, sink)) {
                let _ = sink.send(Err(error));
            }
        })
    }

    /// Has `work` write, in a transaction of its own: it is committed if `work` succeeds, and rolled back if it fails,
    /// if it panics, or if the caller has gone away by then.
    ///
    /// `work` may call async functions with [`syncify`](footbridge::syncify): the loop turns meanwhile, and reads go
    /// on, but the next write waits. Another transaction, asked for in there and awaited, is a panic that says
    /// "deadlock", and where this one was asked for.
    ///
    /// # Errors
    /// Those of `work`, and of the commit.
    #[track_caller]
    pub fn transaction<T, W>(&self, work: W) -> BlockingTask<Result<T, Error>>
    where
        W: FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.writes.run(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?; // dropped before its commit, it is rolled back
            check_cancelled().map_err(|_| SyncifyError::Cancelled)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Drops this handle on a worker thread, and the connections if it is the last one.
    pub async fn close(self) {
        asyncify(drop::<Self>)(self).await;
    }
}

/// A connection whose statements stop when the caller of the job that executes them has gone away.
///
/// SQLite asks every so many steps, on the thread that executes the statement. That is the job's, so `check_cancelled`
/// speaks of the call that this very statement belongs to, and one handler serves every call to come. The other way,
/// an interrupt handle called where the future is dropped, names a connection and not a statement: if it comes too
/// late it stops the next caller's, and if it comes too early, before the first step, nothing at all.
///
/// Where SQLite takes no steps it doesn't ask: in a commit, and while it waits for another process's lock, 5 s at most.
fn connect(path: &Path) -> Result<Connection, Error> {
    // More than a `ROLLBACK` takes: that has to go through although the caller is gone.
    const STEPS: i32 = 1000;
    let connection = Connection::open(path)?;
    connection.progress_handler(STEPS, Some(|| check_cancelled().is_err()));
    Ok(connection)
}

/// Connections of a kind, with a token for each.
#[derive(Debug, Clone)]
struct Lane {
    idle: Arc<Mutex<Vec<Connection>>>,
    limiter: Limiter,
}

impl Lane {
    fn new(connections: Vec<Connection>) -> Self {
        Self {
            limiter: Limiter::new(connections.len()),
            idle: Arc::new(Mutex::new(connections)),
        }
    }

    #[track_caller]
    fn run<T, W>(&self, work: W) -> BlockingTask<Result<T, Error>>
    where
        W: FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let idle = self.idle.clone();
        // What is wrapped has to be `Clone`, an argument has not: so `work` is one.
        let job = move |work: W| with_connection(&idle, work);
        Asyncify::new().limiter(&self.limiter).wrap(job)(work)
    }
}

/// Lends a connection. The caller holds a token.
fn with_connection<R>(idle: &Mutex<Vec<Connection>>, work: impl FnOnce(&mut Connection) -> R) -> R {
    let connection = idle.lock().unwrap().pop();
    let mut connection = connection.expect("a token is a connection");
    // After a panic too the connection is sound: the transaction has been dropped, and so rolled back.
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
    idle.lock().unwrap().push(connection);
    outcome.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Why a call has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// What SQLite says.
    Sqlite(rusqlite::Error),
    /// A transaction could not call back: its loop has ended, or its caller has gone away.
    Syncify(SyncifyError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "SQLite: {error}"),
            Self::Syncify(error) => write!(f, "a transaction was given up: {error}"),
        }
    }
}

impl error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<SyncifyError> for Error {
    fn from(error: SyncifyError) -> Self {
        Self::Syncify(error)
    }
}
