//! The writer: one thread, one connection, and group commit.
//!
//! While a commit syncs, appends queue; the next transaction takes all of them, of all rooms, so that one sync pays for many.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::{fold, row, search};
use crate::chat::message::{Draft, Message};
use crate::chat::room::RoomId;
use crate::sqlite::{OpenFile, QUEUE_JOBS_MAX, SqliteError, spawn};
use crate::store::Appended;

/// Drafts in one transaction. More would only make the first sender wait for the last one's pages.
const GROUP_DRAFTS_MAX: usize = 1024;

/// Commits between two rounds of the [`Backlog`] where somebody always waits.
const COMMITS_PER_ROUND: u32 = 32;

/// One call of `append`. Its answer is all or nothing: the drafts are stored together.
pub(super) struct Job {
    pub(super) room: RoomId,
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Result<Vec<Appended>, SqliteError>>,
}

pub(super) fn start(
    mut connection: Connection,
    file: OpenFile,
) -> Result<mpsc::Sender<Job>, SqliteError> {
    let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE_JOBS_MAX);
    spawn("store-writer", move || {
        let mut backlog = Backlog::default();
        while let Some(first) = backlog.next(&mut jobs, &mut connection) {
            let mut drafts = first.drafts.len();
            let mut group = vec![first];
            while drafts < GROUP_DRAFTS_MAX
                && let Ok(next) = jobs.try_recv()
            {
                drafts += next.drafts.len();
                group.push(next);
            }
            commit(&mut connection, &file, group);
        }
    })?;
    Ok(queue)
}

/// What the writer does while nobody waits: messages of an older file are taken up for searching, a round at a time.
#[derive(Default)]
struct Backlog {
    is_done: bool,
    /// Since the last round.
    commits: u32,
}

impl Backlog {
    /// The next job, after as much of the backlog as there was time for. None: there will be no more.
    fn next(&mut self, jobs: &mut mpsc::Receiver<Job>, connection: &mut Connection) -> Option<Job> {
        while !self.is_done {
            if self.commits < COMMITS_PER_ROUND {
                match jobs.try_recv() {
                    Ok(job) => {
                        self.commits += 1;
                        return Some(job);
                    }
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => {}
                }
            }
            self.commits = 0;
            self.is_done = !round(connection).unwrap_or_else(|why| {
                tracing::warn!(%why, "not all messages are found yet; the next start goes on");
                false
            });
        }
        jobs.blocking_recv()
    }
}

fn round(connection: &mut Connection) -> Result<bool, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_more = search::take_up(&transaction)?;
    transaction.commit()?;
    Ok(is_more)
}

/// Stores a group in one transaction. When that fails for a reason that one room may have brought in (a message too big, no
/// space for all), each job is tried alone; a lock would only make every one of them wait again.
fn commit(connection: &mut Connection, file: &OpenFile, group: Vec<Job>) {
    let alone = group.len() == 1;
    match append_all(connection, file, &group) {
        Ok(lists) => group
            .into_iter()
            .zip(lists)
            .for_each(|(job, list)| answer(job, Ok(list))),
        Err(why) if alone || matches!(why, SqliteError::Locked(_)) => {
            group
                .into_iter()
                .for_each(|job| answer(job, Err(why.clone())));
        }
        Err(_) => group
            .into_iter()
            .for_each(|job| commit(connection, file, vec![job])),
    }
}

/// A caller that gave up is owed nothing; what it sent is stored, and sending it again finds it.
fn answer(job: Job, outcome: Result<Vec<Appended>, SqliteError>) {
    drop(job.reply.send(outcome));
}

fn append_all(
    connection: &mut Connection,
    file: &OpenFile,
    group: &[Job],
) -> Result<Vec<Vec<Appended>>, SqliteError> {
    // SQLite would go on writing into a file that was removed, and everything acked would end with this process.
    file.check_in_place()?;
    // Immediate: with the write lock held from the start, the tail that is read stays the tail.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let lists = group
        .iter()
        .map(|job| append(&transaction, &job.room, &job.drafts))
        .collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(lists)
}

fn append(
    transaction: &Transaction<'_>,
    room: &RoomId,
    drafts: &[Draft],
) -> Result<Vec<Appended>, SqliteError> {
    let mut tail = row::tail(transaction, room)?;
    let mut appended = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let place = tail.next(&draft.entry);
        let message = draft.clone().placed(room, place);
        if insert(transaction, &message)? {
            fold::fold(transaction, &message)?;
            search::add(transaction, &message)?;
            appended.push(Appended {
                message,
                duplicate: false,
            });
            tail = place;
        } else {
            let message = stored(transaction, room, draft)?;
            appended.push(Appended {
                message,
                duplicate: true,
            });
        }
    }
    Ok(appended)
}

/// Answers false when the sender's client id is taken. A taken seq is not forgiven: under the write lock it cannot happen.
fn insert(transaction: &Transaction<'_>, message: &Message) -> Result<bool, SqliteError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO messages
           (room_id, seq, n, id, kind, type, content, ref_seq, reply_to, subject,
            sender_id, sender_name, client_msg_id, timestamp_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (room_id, sender_id, client_msg_id) DO NOTHING",
    )?;
    let parts = row::Parts::from(&message.entry);
    let rows = statement.execute(params![
        message.room.as_str(),
        row::cursor(message.seq),
        row::cursor(message.n),
        message.id.to_string(),
        message.entry.kind(),
        parts.entry_type,
        parts.content,
        parts.ref_seq,
        parts.reply_to,
        parts.subject,
        message.sender.id,
        message.sender.name,
        message.client_msg_id,
        message.timestamp_ms,
    ])?;
    Ok(rows == 1)
}

fn stored(
    transaction: &Transaction<'_>,
    room: &RoomId,
    draft: &Draft,
) -> Result<Message, SqliteError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE room_id = ?1 AND sender_id = ?2 AND client_msg_id = ?3",
        row::COLUMNS
    );
    let message = transaction
        .prepare_cached(&sql)?
        .query_row(
            params![room.as_str(), draft.sender.id, draft.client_msg_id],
            |line| row::read(line, room),
        )
        .optional()?;
    message.ok_or_else(|| SqliteError::Broken("a message both exists and does not".to_owned()))
}
