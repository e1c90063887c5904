//! Application acknowledgements that come later, over a connection of their own to the partner's listener.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::adapter::hl7::{Envelope, Reply};
use crate::transport::mllp::{ClientSettings, Pool};
use crate::transport::{NotSent, Sent};

/// An acknowledgement is not acknowledged; a partner that answers all the same does so within this.
const ANSWER_TIME: Duration = Duration::from_millis(250);
const CONNECTIONS_MAX: usize = 16;
/// A partner that is away is tried again this often, this far apart.
const TRIES: u32 = 20;
const REST: Duration = Duration::from_millis(500);
const STRAYS_KEPT: usize = 16;

/// A pool whose stray frames nobody wants.
pub(super) fn pool(settings: ClientSettings) -> Pool {
    let (keeper, mut strays) = mpsc::channel(STRAYS_KEPT);
    tokio::spawn(async move { while strays.recv().await.is_some() {} });
    Pool::new(settings, keeper)
}

/// The settings of a pool for late acknowledgements, from those for messages.
pub(super) fn settings(partner: &ClientSettings) -> ClientSettings {
    ClientSettings { reply_timeout: ANSWER_TIME, max_connections: CONNECTIONS_MAX, ..partner.clone() }
}

/// Whether a frame answers the message with this control id.
pub(super) fn answers<'a>(control_id: &'a str) -> impl Fn(&[u8]) -> bool + Sync + 'a {
    move |frame| Reply::read(frame).is_ok_and(|reply| reply.control_id == control_id)
}

/// Sends one acknowledgement, and again as long as not a byte can have arrived. `true` when it went out.
pub(super) async fn deliver(pool: &Pool, ack: &[u8], stop: &CancellationToken) -> bool {
    let control_id = Envelope::peek(ack).map(|e| e.control_id().into_owned()).unwrap_or_default();
    for _ in 0..TRIES {
        let why: NotSent = match pool.send(ack, &answers(&control_id)).await.sent {
            Sent::Reply(_) | Sent::Unsure(_) => return true,
            Sent::NotSent(why) => why,
        };
        tracing::debug!(error = %why, "an application acknowledgement could not be sent");
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(REST) => {}
        }
    }
    tracing::warn!(
        tries = TRIES,
        "an application acknowledgement was given up: the partner's listener cannot be reached"
    );
    false
}
