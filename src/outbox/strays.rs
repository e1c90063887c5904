//! What arrives on our connections while they wait for nothing. Kept always; evidence only where config says that this endpoint's late
//! acknowledgements come that way, or where it is one more answer to a message that was answered there.

use super::{Endpoint, Shared};
use crate::domain::ids::ReplyId;
use crate::store::record::{Raw, Reply};
use crate::store::write::Late;
use crate::transport::{Stray, StrayKind};
use crate::verdict::{answers, verdict};

pub async fn keep(shared: &Shared, endpoint: &Endpoint, stray: Stray) {
    // Before the first answer is settled nobody can say what a second one contradicts.
    let Some((stray, second)) = endpoint.answered.weighable(stray) else { return };
    let now = shared.clock.now();
    let credible = second || endpoint.late_replies_on_connection && matches!(stray.kind, StrayKind::Frame);
    // Without a control id it fits nothing, and is kept as unmatched.
    let control_id = Some(&stray.bytes).filter(|_| credible).and_then(|b| answers(b)).unwrap_or_default();
    let verdict = if control_id.is_empty() {
        crate::verdict::stray(&stray.bytes, !matches!(stray.kind, StrayKind::Fragment))
    } else {
        verdict(&stray.bytes, &endpoint.in_use.now().reply_rules, &control_id, b"")
    };
    let reply = Reply {
        id: ReplyId::new(now, shared.entropy.as_ref()),
        endpoint: endpoint.id.clone(),
        delivery_id: None,
        attempt_id: None,
        received_at: now,
        verdict,
        unmatched: true,
        bytes: Raw(stray.bytes),
    };
    match shared.store.keep_late(Late { endpoint: endpoint.id.clone(), control_id, reply }).await {
        Ok(Some(delivery)) => tracing::info!(endpoint = %endpoint.id, %delivery, "late acknowledgement"),
        Ok(None) => tracing::warn!(endpoint = %endpoint.id, "bytes that answer nothing we sent; kept"),
        Err(e) => {
            tracing::error!(endpoint = %endpoint.id, reason = %e, "bytes that answer nothing could not be kept")
        }
    }
}
