//! Group commit on a thread of its own: while one transaction is in flight the next batch collects in the channel.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rusqlite::{Connection, Transaction, params};
use tokio::sync::oneshot;

/// The same bound as the gateway's.
const LARGEST_BATCH: usize = 256;

/// One row to be written.
pub(crate) enum Write {
    /// A new session.
    Open { openid: String, session_key: String },
    /// The next generation of a session.
    Rotate { session: i64 },
}

struct Job {
    write: Write,
    caller: oneshot::Sender<Option<i64>>,
}

/// The way to the database.
pub(crate) struct Batcher {
    jobs: mpsc::Sender<Job>,
}

/// Nothing was written: there is no such session, or the batcher ended.
#[derive(Debug)]
pub(crate) struct NotWritten;

impl std::fmt::Display for NotWritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not written")
    }
}

impl Batcher {
    /// Makes the database and starts the thread.
    pub(crate) fn start(path: &Path) -> rusqlite::Result<Self> {
        let database = open(path)?;
        let (jobs, receiver) = mpsc::channel();
        thread::spawn(move || {
            if let Err(error) = run(database, &receiver) {
                eprintln!("the batcher ended: {error}");
            }
        });
        Ok(Self { jobs })
    }

    /// The session's id, once its row is on the disk.
    pub(crate) async fn commit(&self, write: Write) -> Result<i64, NotWritten> {
        let (caller, committed) = oneshot::channel();
        self.jobs.send(Job { write, caller }).map_err(|_| NotWritten)?;
        committed.await.ok().flatten().ok_or(NotWritten)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE session (id INTEGER PRIMARY KEY, openid TEXT, session_key TEXT, generation INTEGER NOT NULL DEFAULT 0)",
    )?;
    Ok(database)
}

fn run(mut database: Connection, jobs: &mpsc::Receiver<Job>) -> rusqlite::Result<()> {
    while let Ok(first) = jobs.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(LARGEST_BATCH - 1)).collect();
        let transaction = database.transaction()?;
        let written = write_all(&transaction, &batch)?;
        transaction.commit()?;
        for (job, session) in batch.into_iter().zip(written) {
            // A caller that has gone needs no answer.
            let _ = job.caller.send(session);
        }
    }
    Ok(())
}

fn write_all(transaction: &Transaction, batch: &[Job]) -> rusqlite::Result<Vec<Option<i64>>> {
    let mut open = transaction.prepare_cached("INSERT INTO session (openid, session_key) VALUES (?, ?)")?;
    let mut rotate = transaction.prepare_cached("UPDATE session SET generation = generation + 1 WHERE id = ?")?;
    let write = |job: &Job| match &job.write {
        Write::Open { openid, session_key } => open.insert(params![openid, session_key]).map(Some),
        Write::Rotate { session } => rotate.execute([session]).map(|rows| (rows == 1).then_some(*session)),
    };
    batch.iter().map(write).collect()
}
