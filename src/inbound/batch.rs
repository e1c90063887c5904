//! A file or batch of messages in one frame: each is taken in and answered on its own, in its order.

use super::answer::{Caller, Taken, Wrong, unpack_frames};
use super::{Source, receive, weigh};
use crate::adapter::hl7::{Batch, Envelope};
use crate::store::record::{Inbound, Raw};
use crate::store::write::Receive;
use crate::store::{StoreError, WriteError};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// What a frame of several messages is called that could not be read whole.
const BATCH: &str = "BATCH";

/// The answers of all its messages, one after the other. A batch that may be cut short is not taken at all: which of its messages are missing
/// nobody could tell. It is kept, and its first message answered with the reason, so that the sender learns of it. Each of its messages is one
/// commit, so a large one takes its time: it goes on when nobody waits for it any more, and whoever sends it again waits for what is under way.
pub async fn take(source: &Source, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, WriteError> {
    let messages = match Batch::split(&bytes) {
        Ok(messages) => messages.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>(),
        Err(e) => {
            let wrong = Wrong::new(207, format!("the batch cannot be read whole, so none of it was taken: {e}"));
            let envelope = Envelope::peek(&bytes);
            let inbound = receive::arrived(source, envelope.as_ref(), bytes);
            return match envelope {
                Some(envelope) => {
                    // Not the message's own id: that one has not been seen.
                    let inbound = Inbound { control_id: String::new(), message_type: BATCH.into(), ..inbound };
                    let refused = weigh::refuse(source, Caller::Hl7(&envelope), inbound, Taken::No, &[wrong]);
                    Ok(unpack_frames(&weigh::take_in(source, refused).await?))
                }
                None => {
                    let inbound = Inbound { reason: wrong.what, reply: Raw::default(), ..inbound };
                    source.store.receive(Receive { inbound }).await?;
                    Ok(Vec::new())
                }
            };
        }
    };
    let (key, own) = (Sha256::digest(&bytes).into(), source.clone());
    let take = move |stop: CancellationToken| async move {
        let mut answers = Vec::new();
        for message in messages {
            if stop.is_cancelled() {
                return Err(StoreError::CommitUnknown("the bridge stops in the middle of the batch".into()).into());
            }
            answers.extend(receive::one(&own, message).await?);
        }
        Ok(answers)
    };
    source.batches.taken(key, source.clock.clone(), take).await
}
