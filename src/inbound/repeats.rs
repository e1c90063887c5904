//! Whether a message came before, and that the same one, sent twice at once, is taken once.

use super::Source;
use crate::store::record::{Inbound, InboundState};
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::sync::{Mutex, MutexGuard};

/// Two messages wait for each other by chance as rarely as two of so many are the same.
const PLACES: usize = 1024;

/// One endpoint's messages in hand: two of one sender and id wait for each other. Who waits finds what became of the first.
pub struct Repeats(Vec<Mutex<()>>);

impl Default for Repeats {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

impl Repeats {
    /// Held until the message is in the record.
    pub(super) async fn turn(&self, inbound: &Inbound) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (&inbound.source, &inbound.control_id).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or_default();
        self.0[place].lock().await
    }
}

/// The message as it is to be taken in, or what it was answered with before. `before`: what came under its id.
pub(super) fn told_apart(source: &Source, before: &[Inbound], mut inbound: Inbound) -> Result<Inbound, Vec<u8>> {
    // What was not for us then may be by now: it is looked at again.
    let answered = |b: &&Inbound| b.content == inbound.content && b.state != InboundState::Ignored;
    match before.iter().find(answered) {
        // What was refused may be taken now, when what it was refused for has been mended.
        Some(same) if same.state == InboundState::Parked => inbound.id = same.id,
        Some(same) => {
            tracing::info!(endpoint = %source.endpoint, "a repeat; answered as before");
            return Err(same.reply.0.clone());
        }
        // Same id, other bytes: not a repeat. Processed, flagged and counted.
        None => inbound.reused_control_id = before.iter().any(|b| b.content != inbound.content),
    }
    Ok(inbound)
}
