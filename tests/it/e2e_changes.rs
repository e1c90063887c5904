//! What changes between writing and sending: who the patient is, whether anybody knows that, where the EPR is, whether the referral is open.

use crate::e2e_support::{Bridge, Client, Person, Stage, details, endpoint, epr, faults, nobody, request_id, shown};
use ips_bridge::app::SystemClock;
use ips_bridge::domain::ambient::Clock;
use ips_bridge::wire::{self, v1};
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

async fn update(client: &Client, person: &Person, change: impl FnOnce(&mut v1::PatientDetails)) -> Person {
    let patient = client.patients().get_patient(v1::GetPatientRequest { patient_id: person.patient_id.clone() }).await;
    let patient = patient.expect("the patient").into_inner().patient.expect("the patient");
    let mut details = patient.details.expect("details");
    change(&mut details);
    let request = v1::UpdatePatientRequest {
        request_id: request_id(),
        patient_id: person.patient_id.clone(),
        version_seen: patient.version,
        details: Some(details.clone()),
        reason: "Told by the trust".into(),
    };
    client.patients().update_patient(request).await.expect("updated");
    Person { details, ..person.clone() }
}

fn renamed(details: &mut v1::PatientDetails) {
    if let Some(name) = &mut details.name {
        name.family = "Othername".into();
    }
}

async fn rerender(client: &Client, delivery: &str, knowing: bool) -> Result<v1::Delivery, tonic::Status> {
    let request = v1::RerenderDeliveryRequest {
        dry_run: false,
        request_id: request_id(),
        delivery_id: delivery.into(),
        reason: "Looked at it".into(),
        acknowledge_may_be_in_record: knowing,
    };
    Ok(client.deliveries().rerender_delivery(request).await?.into_inner().delivery.expect("a delivery"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_identity_since_it_was_written_holds_it_until_a_person_has_looked() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let (changed, moved) = (client.person(0, "epr").await, client.person(1, "epr").await);
    client.pause("epr").await;
    let held = client.write(&changed, "Rang a garden centre.").await;
    let goes = client.write(&moved, "Rang a garden centre.").await;
    update(client, &changed, renamed).await;
    // Another telephone number makes nobody another person.
    update(client, &moved, |d| d.phone = Some("07700 900461".into())).await;
    client.resume("epr").await;
    client.filed(goes.id()).await;
    let d = client.parked(held.id(), Reason::IdentityChanged).await;
    assert_eq!(
        (d.attempts, d.may_have_been_received, d.waiting_for()),
        (0, false, v1::WaitingFor::TeamLead),
        "{}",
        shown(&d)
    );
    epr.ask(|r| assert!(r.arrivals_of_document(&held.document()).is_empty(), "held, and sent all the same"));
    // Looked at: it goes, with the name of today.
    rerender(client, held.id(), false).await.expect("nothing can have been received");
    client.filed(held.id()).await;
    epr.ask(|r| {
        assert_eq!(
            r.patient(changed.nhs_number()).map(|p| p.patient.family.as_str().to_owned()).as_deref(),
            Some("Othername")
        )
    });
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_identity_after_it_was_sent_is_never_sent_again_by_itself() {
    let epr = epr(|s| s.faults = faults(&["drop-ack"])).await;
    let own = "max_unknown_resends = 100\nback_off = { first = \"700ms\", cap = \"700ms\" }\n[mllp]\nreply_timeout = \"200ms\"";
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    client.until_state(written.id(), State::BackingOff).await;
    update(client, &person, renamed).await;
    let d = client.parked(written.id(), Reason::IdentityChangedAfterSend).await;
    assert!(d.may_have_been_received && d.waiting_for() == v1::WaitingFor::TeamLead, "{}", shown(&d));
    rerender(client, written.id(), false).await.expect_err("it may stand in the record");
    epr.ask(|r| {
        let names: Vec<_> = r.patients().iter().map(|p| p.patient.family.as_str().to_owned()).collect();
        assert!(!names.iter().any(|n| n == "Othername"), "it was sent under the new name");
    });
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unverified_number_waits_and_goes_once_it_is_traced() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let untraced = v1::PatientDetails { nhs_number_status: v1::NhsNumberStatus::TraceRequired.into(), ..details(0) };
    let person = client.person_like(untraced, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.parked(written.id(), Reason::NhsNumberUnverified).await;
    assert_eq!((d.attempts, d.waiting_for()), (0, v1::WaitingFor::TeamLead));
    update(client, &person, |d| d.nhs_number_status = v1::NhsNumberStatus::Verified.into()).await;
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![written.id().into()], ..Default::default() }),
        reason: "Traced".into(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    };
    let retried = client.deliveries().retry_deliveries(retry).await.expect("retried").into_inner();
    assert_eq!((retried.retried, retried.not_retried.len()), (1, 0));
    client.filed(written.id()).await;
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_after_the_close_waits_for_the_team_lead_and_one_before_it_goes() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let (early, late) = (client.person(0, "epr").await, client.person(1, "epr").await);
    client.pause("epr").await;
    let before = client.write(&early, "Before the close.").await;
    let mut request = client.note(&late, "After the close.");
    let contact = SystemClock.now();
    request.content.as_mut().expect("content").occurred_at = Some(wire::Timestamp::from(contact));
    let after = client.try_write(request).await.expect("written");
    let just_before = contact - jiff::SignedDuration::from_millis(1);
    for (person, closed_at) in [(&early, None), (&late, Some(wire::Timestamp::from(just_before)))] {
        let reason = v1::CloseReason::Completed.into();
        let request = v1::CloseReferralRequest {
            request_id: request_id(),
            referral_id: person.referral_id.clone(),
            reason,
            closed_at,
        };
        client.referrals().close_referral(request).await.expect("closed");
    }
    client.resume("epr").await;
    client.filed(before.id()).await;
    let d = client.parked(after.id(), Reason::ReferralClosed).await;
    assert_eq!((d.attempts, d.waiting_for()), (0, v1::WaitingFor::TeamLead));
    rerender(client, after.id(), false).await.expect("the team lead says it belongs there");
    client.filed(after.id()).await;
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_whom_the_epr_does_not_know_is_held_until_the_staff_table_has_them() {
    let epr = epr(|_| {}).await;
    let own = "require_mapped_staff = true\n[settings]\nauthor_id = \"epr\"";
    let mut stage = Stage::sqlite([endpoint("epr", epr.addr(), own)]);
    let staff = stage.folder().join("staff.csv");
    stage.trust("staff_file = \"staff.csv\"");
    let table = |staff_id: &str| format!("staff_id,endpoint,epr_id,epr_name\n{staff_id},epr,RIO77,Morgan A\n");
    std::fs::write(&staff, table("S9")).expect("the staff table");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let written = bridge.client.write(&person, "Rang a garden centre.").await;
    let d = bridge.client.parked(written.id(), Reason::NoMappedStaffId).await;
    assert_eq!((d.attempts, d.waiting_for()), (0, v1::WaitingFor::Integrator));
    bridge.stop().await;
    std::fs::write(&staff, table("S1")).expect("the staff table");
    let bridge = Bridge::start(&stage).await;
    let selection = v1::DeliverySelection {
        endpoint_id: "epr".into(),
        park_reason: Reason::NoMappedStaffId.into(),
        ..Default::default()
    };
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(selection),
        reason: "Added".into(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    };
    let retried = bridge.client.deliveries().retry_deliveries(retry).await.expect("retried").into_inner();
    assert_eq!(retried.retried, 1);
    bridge.client.filed(written.id()).await;
    let author =
        epr.ask(|r| r.document(&written.document()).and_then(|d| d.latest().author.clone())).expect("an author");
    assert_eq!(author.id, "RIO77");
    bridge.stop().await;
    epr.shutdown().await;
}

/// An endpoint keeps its queue when it is pointed elsewhere; what the old place may have is not sent to the new one unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pointed_elsewhere_what_was_not_sent_goes_there_and_what_may_have_been_seen_waits_for_a_person() {
    let old = epr(|s| s.faults = faults(&["drop-ack"])).await;
    let new = epr(|_| {}).await;
    let own = "max_unknown_resends = 100\nback_off = { first = \"30s\", cap = \"60s\" }\n[mllp]\nreply_timeout = \"300ms\"\nmax_connections = 1";
    let mut stage = Stage::sqlite([endpoint("epr", old.addr(), own)]);
    let bridge = Bridge::start(&stage).await;
    let people = bridge.client.people(0..2, "epr").await;
    let seen = bridge.client.write(&people[0], "The old one has this.").await;
    bridge.client.until_state(seen.id(), State::BackingOff).await;
    let behind_it = bridge.client.write(&people[0], "Behind it in the lane.").await;
    bridge.client.pause("epr").await;
    let unsent = bridge.client.write(&people[1], "Nobody has this yet.").await;
    bridge.client.resume("epr").await;
    bridge.client.pause("epr").await;
    bridge.stop().await;
    stage.change(
        "epr",
        &format!("back_off = {{ first = \"20ms\", cap = \"20ms\" }}\n[mllp]\naddress = \"{}\"", new.addr()),
    );
    let bridge = Bridge::start(&stage).await;
    bridge.client.resume("epr").await;
    let d = bridge.client.delivery(unsent.id()).await;
    if !d.may_have_been_received {
        bridge.client.filed(unsent.id()).await;
        assert_eq!(new.ask(|r| r.copies(&unsent.document())), 1);
    }
    // The back-off of the first one is still running: a person hurries it.
    let park = v1::ParkDeliveryRequest {
        dry_run: false,
        request_id: request_id(),
        delivery_id: seen.id().into(),
        reason: "The EPR moved".into(),
    };
    bridge.client.deliveries().park_delivery(park).await.expect("parked");
    bridge.client.filed(behind_it.id()).await;
    let selection = v1::DeliverySelection { delivery_ids: vec![seen.id().into()], ..Default::default() };
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(selection),
        reason: "Again".into(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    };
    bridge.client.deliveries().retry_deliveries(retry).await.expect("retried");
    let d = bridge.client.parked(seen.id(), Reason::EndpointChangedAfterSend).await;
    assert!(d.may_have_been_received, "{}", shown(&d));
    assert_eq!(
        new.ask(|r| r.arrivals_of_document(&seen.document()).len()),
        0,
        "the new EPR was sent what the old one may have"
    );
    // A person who has looked at the old one sends it to the new one, knowingly.
    rerender(&bridge.client, seen.id(), false).await.expect_err("it may stand in the record");
    rerender(&bridge.client, seen.id(), true).await.expect("knowingly");
    bridge.client.filed(seen.id()).await;
    assert_eq!(new.ask(|r| r.copies(&seen.document())), 1);
    bridge.stop().await;
    old.shutdown().await;
    new.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rendered_for_an_address_that_was_never_reached_it_is_made_anew_for_the_next() {
    let new = epr(|_| {}).await;
    let mut stage = Stage::sqlite([endpoint("epr", nobody(), "")]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let written = bridge.client.write(&person, "Rang a garden centre.").await;
    bridge.client.until(written.id(), "a try", |d| d.timeline.len() > 2).await;
    bridge.stop().await;
    stage.change("epr", &format!("[mllp]\naddress = \"{}\"", new.addr()));
    let bridge = Bridge::start(&stage).await;
    let d = bridge.client.filed(written.id()).await;
    assert_eq!(d.attempts, 1, "{}", shown(&d));
    bridge.stop().await;
    new.shutdown().await;
}
