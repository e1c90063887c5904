//! Before every send: the safety holds, then the bytes, stored ones again or new ones.

use super::look_up::{Stopped, look_up};
use super::{Endpoint, Shared};
use crate::adapter::compose::{Composition, compose, job_of};
use crate::adapter::{Died, Fitted, RenderError};
use crate::domain::chain;
use crate::domain::delivery::ParkReason;
use crate::domain::entry::EntryAction;
use crate::domain::hold::{Clearance, Facts, MadeFrom, SpeaksOf, clearance, speaks_of_care};
use crate::domain::ids::{RenderingId, random_80_bits};
use crate::domain::policy::Names;
use crate::store::WriteError;
use crate::store::record::{Raw, Rendering};
use crate::store::write::{BeginWith, Claimed, Feeling, HeardOfDeath, Seen};

/// What to do with a delivery in hand.
pub enum Prepared {
    Send {
        bytes: Vec<u8>,
        control_id: String,
        with: BeginWith,
        seen: Seen,
    },
    /// `heard`: what the record said that makes it so.
    Hold {
        reason: ParkReason,
        detail: String,
        heard: Option<Vec<u8>>,
    },
    /// The record could not be asked what the message needs: nothing was sent.
    NotSent(Feeling),
    /// It gave no answer: nothing was sent, and other patients' turn comes first.
    NotNow(String),
}

/// What a person does about it.
const NAMED_ELSEWHERE: &str = "the record's id of the document is from where the endpoint sent before; where the same record is there and here, name the earlier place in same_record_as";

const SENT_ELSEWHERE: &str = "the version before it was sent to another place; where that is the same record, name it in same_record_as, and retry";

/// What was to go again by itself, and may not by what config says now.
const NOT_BY_ITSELF: &str = "sent before, and what came of it is not known; by after_unknown and max_unknown_resends as they are now it does not go again by itself";

/// Sent before, it names as its author, or as the trust or its time, what config does not say any longer.
const SAYS_OTHERWISE: &str =
    "the staff table, or the trust's name or time zone, says otherwise now than when it was sent";

/// What its author reads.
const SPEAKS_OF_ANOTHER: &str = "what was sent of it does not name the document that stands there now";

pub async fn prepare(
    shared: &Shared,
    endpoint: &Endpoint,
    fitted: &Fitted,
    claimed: &Claimed,
) -> Result<Prepared, WriteError> {
    let delivery = &claimed.delivery;
    let identity_now = claimed.patient.details.identity();
    let staff = (endpoint.staff)(&claimed.entry.author.staff_id);
    let predecessor = delivery.predecessor.and_then(|p| claimed.before.iter().find(|d| d.id == p));
    let spoken_of = chain::document_of(&claimed.before, delivery.action, fitted.site.in_place);
    let by_record_id = fitted.policy.names == Names::RecordId;
    // A replacement that speaks of nothing goes as a create.
    let speaks = spoken_of.is_some() || delivery.action == EntryAction::Withdraw;
    let names = (by_record_id && speaks).then(|| spoken_of.and_then(|d| d.record_id.as_deref()));
    let named_elsewhere = names.is_some()
        && spoken_of.is_some_and(|d| d.record_id.is_some() && !fitted.policy.knows_ids_of(d.record_place.as_deref()));
    let sent_elsewhere = spoken_of.is_some_and(|d| d.was_sent_elsewhere(&fitted.policy));
    let from_config = fitted.from_config(claimed.entry.subject.kind(), delivery.action, staff.as_ref());
    let late_now = fitted.site.is_late(&claimed.entry, shared.clock.now());
    let facts = Facts {
        delivery,
        entry: &claimed.entry,
        policy: &fitted.policy,
        identity_now: &identity_now,
        standing: &claimed.patient.standing,
        referral: &claimed.referral,
        predecessor,
        author_mapped: staff.is_some(),
        from_config: &from_config,
        late_now,
        names,
        named_elsewhere,
        sent_elsewhere,
        speaks_of: SpeaksOf::of(spoken_of),
        made_from: claimed.rendering.as_ref().map(|r| &r.made_from),
    };
    let seen = Seen::of(claimed, fitted.activation);
    match (clearance(&facts), &claimed.rendering) {
        (Clearance::Hold(reason), _) if named_elsewhere => Ok(hold(reason, NAMED_ELSEWHERE)),
        (Clearance::Hold(reason @ ParkReason::EndpointChangedAfterSend), _) if sent_elsewhere => {
            Ok(hold(reason, SENT_ELSEWHERE))
        }
        (Clearance::Hold(reason), _) => {
            let made_from = claimed.rendering.as_ref().map(|r| &r.made_from);
            let is_of_here = made_from.is_some_and(|made| made.endpoint == fitted.policy.fingerprint);
            let made = made_from.and_then(|made| made.speaks_of);
            let passed = delivery.action == EntryAction::Replace
                && reason == ParkReason::PredecessorUnresolved
                && !chain::blocked(delivery.action, predecessor)
                && made.is_some_and(|made| made != SpeaksOf::of(spoken_of));
            let detail = match reason {
                ParkReason::OutcomeUnknown => NOT_BY_ITSELF,
                ParkReason::EndpointChangedAfterSend if is_of_here => SAYS_OTHERWISE,
                _ if passed => SPEAKS_OF_ANOTHER,
                _ => "",
            };
            Ok(hold(reason, detail))
        }
        (Clearance::Go, Some(rendering)) => Ok(Prepared::Send {
            bytes: rendering.bytes.0.clone(),
            control_id: rendering.control_id.clone(),
            with: BeginWith::Same(rendering.id),
            seen,
        }),
        (Clearance::Go | Clearance::RenderAnew, earlier) => {
            let number = earlier.as_ref().map_or(1, |r| r.number + 1);
            let made_from = MadeFrom {
                identity: identity_now,
                endpoint: fitted.policy.fingerprint.clone(),
                from_config: Some(from_config),
                late: late_now,
                names: names.flatten().map(str::to_owned),
                speaks_of: Some(SpeaksOf::of(spoken_of)),
            };
            render(shared, (endpoint, fitted), claimed, staff, number, made_from, seen).await
        }
    }
}

async fn render(
    shared: &Shared,
    (endpoint, fitted): (&Endpoint, &Fitted),
    claimed: &Claimed,
    epr_staff: Option<(String, String)>,
    number: u32,
    made_from: MadeFrom,
    seen: Seen,
) -> Result<Prepared, WriteError> {
    let entry = &claimed.entry;
    // Entries are never changed, so reading them outside the claim reads what the claim would have.
    let spoken_of = match chain::speaks_of(&claimed.before, entry.action()) {
        Some(delivery) => shared.store.entry(&shared.scope, delivery.entry_id).await?,
        None => None,
    };
    let job = match job_of(entry) {
        Some(id) => shared.store.outcome(&shared.scope, id).await?.and_then(|o| o.current),
        None => None,
    };
    let control_id = format!("{}{}", endpoint.control_id_prefix, random_80_bits(shared.entropy.as_ref()));
    let now = shared.clock.now();
    let composition = Composition {
        entry,
        spoken_of: spoken_of.as_ref(),
        job: job.as_ref(),
        patient: &claimed.patient,
        referral: &claimed.referral,
        before: &claimed.before,
        epr_staff,
        site: &fitted.site,
        control_id: &control_id,
        time: now,
    };
    let Some(mut input) = compose(&composition) else {
        return Ok(hold(ParkReason::NotRenderable, "the document it speaks of is not known here"));
    };
    let questions = match fitted.pack.lookups(&input, &fitted.settings) {
        Ok(questions) => questions,
        Err(e) => return Ok(unrenderable(&e, entry.action())),
    };
    // As for a death that we were told of.
    let goes_to_the_dead = !speaks_of_care(entry) || claimed.delivery.overridden.contains(&ParkReason::Deceased);
    let mut died = None;
    let looked_up = look_up(shared, endpoint, fitted, questions, &mut input, goes_to_the_dead, &mut died).await;
    if let Some(Died { on, of: Some(nhs_number) }) = died {
        // It holds more than this one: whatever speaks of care of theirs, now and later, wherever it goes. Where the patient is another version
        // for that, `Begin` sends nothing, and this one is looked at anew.
        let heard = HeardOfDeath {
            endpoint: endpoint.id.clone(),
            trust: claimed.delivery.trust.clone(),
            nhs_number,
            died_on: on,
        };
        shared.store.hear_of_death(heard).await?;
    }
    let looked_up = match looked_up {
        Ok(answers) => answers,
        Err(Stopped::NotSent(feeling)) => return Ok(Prepared::NotSent(feeling)),
        Err(Stopped::NotNow(why)) => return Ok(Prepared::NotNow(why)),
        Err(Stopped::Died(heard)) => {
            let detail = "the record said so when it was asked for the patient".into();
            return Ok(Prepared::Hold { reason: ParkReason::Deceased, detail, heard: Some(heard) });
        }
        Err(Stopped::Unclear(detail, heard)) => {
            return Ok(Prepared::Hold { reason: ParkReason::LookupUnclear, detail, heard });
        }
    };
    let rendered = match fitted.pack.render_for(&input, &fitted.settings, &endpoint.options) {
        Ok(rendered) => rendered,
        Err(e) => return Ok(unrenderable(&e, entry.action())),
    };
    let rendering = Rendering {
        id: RenderingId::new(now, shared.entropy.as_ref()),
        delivery_id: claimed.delivery.id,
        endpoint: endpoint.id.clone(),
        number,
        control_id: control_id.clone(),
        made_from,
        pack: fitted.pack.pin(),
        created_at: now,
        looked_up,
        bytes: Raw(rendered.bytes.clone()),
    };
    let with = BeginWith::New { rendering: Box::new(rendering), anew: number > 1 };
    Ok(Prepared::Send { bytes: rendered.bytes, control_id, with, seen })
}

fn hold(reason: ParkReason, detail: impl Into<String>) -> Prepared {
    Prepared::Hold { reason, detail: detail.into(), heard: None }
}

/// Each reason has its own hold, so that the author or the integrator is told what only they can mend. A withdrawal has no text of an author's.
fn unrenderable(e: &RenderError, action: EntryAction) -> Prepared {
    match e {
        RenderError::NotCarriable { .. } | RenderError::TooLong { .. } if action == EntryAction::Withdraw => {
            hold(ParkReason::NotRenderable, e.to_string())
        }
        RenderError::FieldNotCarriable { .. } => hold(ParkReason::NotRenderable, e.to_string()),
        RenderError::NotCarriable { what } => hold(ParkReason::TextNotCarriable, what),
        RenderError::TooLong { limit } => {
            hold(ParkReason::TextTooLong, format!("the endpoint takes {limit} characters or bytes at most"))
        }
        RenderError::NoStaffId => hold(ParkReason::NoMappedStaffId, ""),
        RenderError::NotRenderable(_) => hold(ParkReason::NotRenderable, e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_author_can_mend_waits_for_no_author() {
        let reason = |e: &RenderError, action| match unrenderable(e, action) {
            Prepared::Hold { reason, .. } => reason,
            _ => panic!("it is held"),
        };
        let (text, field) = (
            RenderError::NotCarriable { what: "a letter".into() },
            RenderError::FieldNotCarriable { what: "a letter".into() },
        );
        let long = RenderError::TooLong { limit: 100 };
        assert_eq!(reason(&text, EntryAction::Create), ParkReason::TextNotCarriable);
        assert_eq!(reason(&long, EntryAction::Replace), ParkReason::TextTooLong);
        assert_eq!(reason(&field, EntryAction::Create), ParkReason::NotRenderable, "a name or heading");
        for e in [text, field, long] {
            assert_eq!(reason(&e, EntryAction::Withdraw), ParkReason::NotRenderable, "{e}: it has no text of theirs");
        }
    }
}
