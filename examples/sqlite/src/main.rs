//! Imports 100,000 rows of CSV in batches, reads statistics beside it, writes the table as CSV while it is read, gives up
//! queries that have no end, and says for how long all that has kept the loop from turning.
//!
//!     cargo run -p sqlite

use footbridge::time::{sleep, sleep_until, timeout};
use footbridge::{Sink, asyncify, gather, run, spawn, syncify};
use rusqlite::{Connection, Transaction};
use sqlite::{Error, Repository, TokenBucket};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

const ROWS: u32 = 100_000;
const BATCH: u32 = 5_000;
const READERS: usize = 2;
const SCHEMA: &str = "CREATE TABLE reading (station TEXT NOT NULL, tenths INTEGER NOT NULL)";
const HEADER: [&str; 2] = ["station", "tenths of a degree"];
const STATIONS: [&str; 3] = ["Bergen", "Nantes", "Paris, Montsouris"];

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Row = (String, i32);
type Rows = csv::DeserializeRecordsIntoIter<File, Row>;

thread_local! {
    // On the loop's thread, and not `Send`: 1,000 rows at once, and a million in a second.
    static PACE: TokenBucket = TokenBucket::new(1_000, Duration::from_micros(1));
}

async fn keep_pace(rows: u32) {
    let bucket = PACE.with(TokenBucket::clone);
    bucket.take(rows).await;
}

/// Measures the longest that the loop was late for a tick of a millisecond.
async fn monitor(longest: Rc<Cell<Duration>>) {
    loop {
        let due = Instant::now() + Duration::from_millis(1);
        sleep_until(due).await;
        longest.set(longest.get().max(due.elapsed()));
    }
}

/// Blocking, as are those below that aren't async.
fn make_csv(path: PathBuf) -> csv::Result<Rows> {
    let mut csv = csv::Writer::from_path(&path)?;
    csv.write_record(HEADER)?;
    for n in 0..ROWS as usize {
        let tenths = (n * 7919 % 400) as i32 - 100;
        csv.write_record([STATIONS[n % STATIONS.len()], &tenths.to_string()])?;
    }
    csv.flush()?;
    Ok(csv::Reader::from_path(path)?.into_deserialize())
}

/// The reader goes in and comes out again: no two calls share it, so it needs no lock.
fn next_batch(mut rows: Rows) -> csv::Result<(Rows, Vec<Row>)> {
    let batch: csv::Result<_> = rows.by_ref().take(BATCH as usize).collect();
    Ok((rows, batch?))
}

fn insert(transaction: &Transaction<'_>, batch: &[Row]) -> Result<(), Error> {
    let keep_pace = syncify(keep_pace);
    let mut insert = transaction.prepare_cached("INSERT INTO reading VALUES (?, ?)")?;
    for rows in batch.chunks(1_000) {
        keep_pace(rows.len() as u32)?;
        for (station, tenths) in rows {
            insert.execute((station, tenths))?;
        }
    }
    Ok(())
}

/// The number of rows, the mean and the highest temperature.
fn statistics(connection: &Connection) -> Result<(u32, f64, f64), Error> {
    let sql = "SELECT count(*), ifnull(avg(tenths), 0.0) / 10, ifnull(max(tenths), 0) / 10.0 FROM reading";
    Ok(connection.query_one(sql, [], |row| row.try_into())?)
}

fn endless(connection: &Connection) -> Result<i64, Error> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n";
    Ok(connection.query_one(sql, [], |row| row.get(0))?)
}

async fn import(repository: &Repository, mut rows: Rows) -> Result<(), Failure> {
    let next_batch = asyncify(next_batch);
    let mut done = 0;
    loop {
        let (rest, batch) = next_batch(rows).await?;
        if batch.is_empty() {
            return Ok(());
        }
        rows = rest;
        done += batch.len() as u32;
        let write = repository.transaction(move |transaction| insert(transaction, &batch));
        write.await?;
        show(done)?;
    }
}

/// On a terminal one line that is written over, elsewhere four.
fn show(done: u32) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    if terminal || done % (ROWS / 4) == 0 {
        let end = if terminal && done < ROWS { '\r' } else { '\n' };
        print!("{done:6} of {ROWS} rows imported{end}");
    }
    io::stdout().flush()
}

/// The rows borrow the statement, which borrows the connection. They never leave this thread; what is sent does.
fn send_rows(connection: &Connection, sink: &Sink<Result<Row, Error>>) -> Result<(), Error> {
    let mut select = connection.prepare_cached("SELECT * FROM reading ORDER BY rowid")?;
    for row in select.query_map([], |row| row.try_into())? {
        if sink.send(Ok(row?)).is_err() {
            break; // nothing wants the rest
        }
    }
    Ok(())
}

fn append(mut file: File, text: Vec<u8>) -> io::Result<File> {
    file.write_all(&text)?;
    Ok(file)
}

/// Writes the table as CSV while it is read. In memory are the rows in the buffers, and 1,000 as text.
async fn export(repository: &Repository, path: PathBuf) -> Result<(), Failure> {
    let append = asyncify(append);
    let text = |csv: csv::Writer<Vec<u8>>| csv.into_inner().map_err(|error| error.into_error());
    let mut file = asyncify(File::create::<PathBuf>)(path).await?;
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(HEADER)?;
    let (mut rows, mut done) = (repository.rows(send_rows).await, 0);
    while let Some(row) = rows.next().await {
        csv.serialize(row?)?;
        done += 1;
        if done % 1_000 == 0 {
            file = append(file, text(csv)?).await?;
            csv = csv::Writer::from_writer(Vec::new());
        }
    }
    append(file, text(csv)?).await?;
    Ok(())
}

/// Reads the statistics until all rows are in them.
async fn watch(repository: Repository) -> Result<(u32, f64, f64), Error> {
    loop {
        let statistics = repository.read(statistics).await?;
        assert!(statistics.0 % BATCH == 0, "a read saw a part of a batch");
        if statistics.0 == ROWS {
            return Ok(statistics);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn program(directory: PathBuf) -> Result<(), Failure> {
    let longest = Rc::new(Cell::new(Duration::ZERO));
    drop(spawn(monitor(longest.clone()))); // detached: it ends with the loop

    let [imported, exported] = ["readings.csv", "export.csv"].map(|name| directory.join(name));
    let rows = asyncify(make_csv)(imported.clone()).await?;
    let repository = Repository::open(directory.join("readings.db"), SCHEMA, READERS).await?;
    let start = Instant::now();
    let watch = spawn(watch(repository.clone()));
    import(&repository, rows).await?;
    let took = start.elapsed().as_secs_f64();
    println!("in {took:.2} s; every read beside it saw whole batches");
    let (rows, mean, highest) = watch.await??;
    println!("{rows} rows, {mean:.1} degrees on average, {highest:.1} at most");

    export(&repository, exported.clone()).await?;
    let is_same = asyncify(move || Ok::<_, io::Error>(fs::read(imported)? == fs::read(exported)?));
    assert!(is_same().await?, "the table is what was imported");
    println!("exported while they were read, the same as they were imported");

    // One on each connection: were they not interrupted, the reads that follow would wait for ever.
    let start = Instant::now();
    let patience = Duration::from_millis(100);
    let answers = gather((0..READERS).map(|_| timeout(patience, repository.read(endless)))).await;
    assert!(answers.iter().all(Result::is_err), "these have no answer");
    for answer in gather((0..READERS).map(|_| repository.read(statistics))).await {
        answer?;
    }
    let took = start.elapsed().as_secs_f64();
    println!("{READERS} endless queries given up, and the next ones answered: {took:.2} s");

    repository.close().await;
    let longest = 1e3 * longest.get().as_secs_f64();
    println!("the loop was never blocked for more than {longest:.2} ms");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    run(program(directory.path().to_owned()))?;
    directory.close()?; // removes it, and says so if it can't
    Ok(())
}
