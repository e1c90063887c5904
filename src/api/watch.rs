//! Watching: every change in commit order, from a position on, until the caller leaves or the bridge stops.
//!
//! The caller's pace is the stream's: nothing is read ahead of one batch. What changed several times since the last look is sent once, as it is
//! now, at its last position.

use super::edge::{Caller, Streamed};
use super::error::Error;
use super::token::Binding;
use futures::stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Read at once.
pub const BATCH: u32 = 100;
/// How often to look for what another bridge on the same database committed: only our own commits ring.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where a watch begins: after the token's position, or now. A position that the record has not reached is from another record.
pub async fn begin(caller: &Caller, binding: &Binding, resume_token: &str) -> Result<i64, Error> {
    let since = binding.since(resume_token)?;
    let now = caller.store().feed_position().await?;
    match since {
        None => Ok(now),
        Some(position) if (0..=now).contains(&position) => Ok(position),
        Some(_) => Err(Error::BadToken),
    }
}

struct Watching<M, R> {
    caller: Caller,
    read: Arc<R>,
    changed: watch::Receiver<i64>,
    position: i64,
    ready: VecDeque<M>,
    over: bool,
}

/// `read(caller, position)`: at most [`BATCH`] changes after a position, each with its own position, audited and ready to leave.
pub fn changes<M, R, F>(caller: Caller, position: i64, read: R) -> Streamed<M>
where
    M: Send + 'static,
    R: Fn(Caller, i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Vec<(i64, M)>, Error>> + Send + 'static,
{
    let changed = caller.store().position();
    let watching = Watching { caller, read: Arc::new(read), changed, position, ready: VecDeque::new(), over: false };
    Box::pin(stream::unfold(watching, |mut w| async move {
        let shutdown = w.caller.edge.shutdown.clone();
        loop {
            if w.over || shutdown.is_cancelled() {
                return None;
            }
            if let Some(message) = w.ready.pop_front() {
                return Some((Ok(message), w));
            }
            // Everything up to here is committed before we read, so a batch that is not full has covered it.
            let covered = *w.changed.borrow_and_update();
            let mut now = w.caller.clone();
            now.now = w.caller.edge.clock.now();
            let batch = tokio::select! {
                () = shutdown.cancelled() => return None,
                batch = (w.read)(now, w.position) => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(e) => {
                    w.over = true;
                    return Some((Err(w.caller.edge.refuse(&e)), w));
                }
            };
            let last = batch.last().map_or(w.position, |(position, _)| *position);
            let full = batch.len() >= BATCH as usize;
            w.position = if full { last } else { last.max(covered).max(w.position) };
            if batch.is_empty() {
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    changed = w.changed.changed() => if changed.is_err() { return None },
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            w.ready.extend(batch.into_iter().map(|(_, message)| message));
        }
    }))
}
