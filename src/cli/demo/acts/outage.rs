//! The EPR goes away, a note is written, the bridge is killed and started again, the EPR comes back: the note is filed, once.

use super::super::scene::Scene;
use super::super::stage::ENDPOINT;
use super::notes::{holds, write};
use super::people::{Client, note};
use crate::cli::failure::Failure;
use crate::simulator::record::Status;
use crate::wire::v1::note_content::Kind;
use crate::wire::v1::{
    Delivery, DeliveryState, EndpointGate, GetDeliveryRequest, GetEndpointStatusRequest, InterviewPreparation,
};
use std::time::{Duration, Instant};

const TEXT: &str = "Prepared for Thursday's interview: route, clothes, three questions to ask.\nSam feels ready.";

pub async fn a_note_survives(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("The EPR goes away, and a note is written all the same")?;
    scene.epr.stop_listening().await;
    scene.say("  the pretend EPR has closed its connections and refuses new ones")?;
    let (_, delivery) =
        write(scene, client, note(TEXT, 15, Kind::InterviewPreparation(InterviewPreparation {})), None).await?;
    let closed = noticed(scene).await?;
    scene.check(closed, "the bridge has noticed that the EPR is away")?;
    // It may be finding out this moment whether the EPR is back.
    let waiting = scene.until(&delivery.id, DeliveryState::Queued).await?;
    scene.timeline(&waiting)?;
    scene.check(waits(&waiting), format!("the note waits, and its author reads: \"{}\"", waiting.author_sentence))?;
    scene.check(!waiting.may_have_been_received, "not one byte of it has left")?;

    scene.act("The bridge is killed with SIGKILL, and started again")?;
    scene.kill_bridge().await?;
    scene.start_bridge().await?;
    let request = GetDeliveryRequest { delivery_id: delivery.id.clone() };
    let mut deliveries = scene.bridge.deliveries();
    let says = [("delivery_id", &*delivery.id)];
    let again = scene
        .call("DeliveryService/GetDelivery", &says, deliveries.get_delivery(request))
        .await?
        .delivery
        .unwrap_or_default();
    scene.check(
        waits(&again) && again.id == delivery.id,
        format!("the note is still there: \"{}\"", again.author_sentence),
    )?;

    scene.act("The EPR comes back")?;
    scene
        .epr
        .resume_listening()
        .await
        .map_err(|e| Failure::Refused(format!("the pretend EPR cannot come back: {e}")))?;
    let back = Instant::now();
    scene.say("  the pretend EPR listens again, at the same address")?;
    let filed = scene.filed(&delivery.id, "the note").await?;
    scene.check(filed.id == delivery.id, format!("{:.1} s after the EPR came back", back.elapsed().as_secs_f64()))?;
    let (record, filed) = (scene.record(), scene.document_id(&filed));
    let (copies, messages) = (record.copies(&filed), record.arrivals_of_document(&filed).len());
    scene.check(copies == 1 && messages == 1, format!("the EPR holds {copies} copy of it, from {messages} message"))?;
    scene.check(holds(&record, &filed, Status::Current, TEXT), "with exactly the text that was written")?;
    scene.check(record.duplicates().is_empty(), "and no document is held twice")
}

/// Accepted, not lost, not parked, not filed.
fn waits(d: &Delivery) -> bool {
    [DeliveryState::Queued, DeliveryState::Sending, DeliveryState::BackingOff].iter().any(|s| d.state == i32::from(*s))
}

/// Until the endpoint's gate is no longer open.
async fn noticed(scene: &mut Scene<'_>) -> Result<bool, Failure> {
    let began = Instant::now();
    let mut deliveries = scene.bridge.deliveries();
    while began.elapsed() < super::super::scene::PATIENCE {
        let request = GetEndpointStatusRequest { endpoint_id: ENDPOINT.into() };
        let status = deliveries
            .get_endpoint_status(request)
            .await?
            .into_inner()
            .endpoints
            .into_iter()
            .next()
            .unwrap_or_default();
        if status.gate != i32::from(EndpointGate::Open) && status.gate != 0 {
            scene.say(format!("  endpoint {ENDPOINT} is closed: {}", status.closed_because))?;
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(false)
}
