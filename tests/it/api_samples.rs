//! Requests that are fine as they are, to be changed by tests; and a delivery brought to its end without an EPR.

use crate::api_support::{Bridge, RIO, endpoint};
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::{Delivery, ParkReason};
use ips_bridge::domain::hold::MadeFrom;
use ips_bridge::domain::ids::{RenderingId, ReplyId};
use ips_bridge::domain::policy::BackOff;
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::store::record::{Raw, Rendering, Reply};
use ips_bridge::store::write::{Begin, BeginWith, Begun, Claim, Claimed, Feeling, Seen, Settle};
use ips_bridge::wire::{Timestamp, v1};
use jiff::Timestamp as Instant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A UUID that no other request of this process has.
pub fn request_id() -> String {
    Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
        .to_string()
}

pub fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse::<Instant>().expect("a time").into())
}

pub fn author() -> Option<v1::Author> {
    Some(v1::Author {
        staff_id: "ES-042".into(),
        display_name: "Grace Okafor".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: "A8JX".into(),
    })
}

pub fn expected() -> Option<v1::ExpectedPatient> {
    Some(v1::ExpectedPatient {
        nhs_number: "999 000 0018".into(),
        date_of_birth: "1985-04-12".into(),
        family_name: "TESTPATIENT".into(),
    })
}

pub fn patient_details() -> v1::PatientDetails {
    v1::PatientDetails {
        nhs_number: Some("9990000018".into()),
        nhs_number_status: v1::NhsNumberStatus::Verified.into(),
        local_identifiers: vec![v1::LocalIdentifier {
            assigning_authority: "RXX".into(),
            value: "H123".into(),
            r#type: "MR".into(),
        }],
        name: Some(v1::PersonName { family: "Testpatient".into(), given: "Sam".into(), prefix: None }),
        date_of_birth: "1985-04-12".into(),
        gender: v1::Gender::Female.into(),
        address: None,
        phone: None,
    }
}

pub fn referral_details(external: &str) -> v1::ReferralDetails {
    let external_ids = if external.is_empty() {
        vec![]
    } else {
        vec![v1::ExternalId { system: "urn:test".into(), value: external.into() }]
    };
    v1::ReferralDetails {
        external_ids,
        source_code: "P1".into(),
        priority: v1::ReferralPriority::Routine.into(),
        referrer_name: "Dr Test Referrer".into(),
        team: "ips-north".into(),
        reason: Some("Wants paid work.".into()),
        employment_status: v1::EmploymentStatus::SeekingWork.into(),
        ..Default::default()
    }
}

pub fn create(trust: &str, external: &str) -> v1::CreateReferralRequest {
    v1::CreateReferralRequest {
        request_id: request_id(),
        trust_ods: trust.into(),
        patient: Some(v1::create_referral_request::Patient::PatientDetails(patient_details())),
        details: Some(referral_details(external)),
        received_at: at("2026-02-20T09:00:00Z"),
        other_family_names: Vec::new(),
        location_shielded: false,
        patient_deceased: false,
    }
}

/// The same with another person's number, birth and name: `n` of 1 to 5.
pub fn another_patient(n: usize) -> v1::PatientDetails {
    let number = ["9990000018", "9990000026", "9990000034", "9990000042", "9990000050"][n - 1];
    v1::PatientDetails {
        nhs_number: Some(number.into()),
        local_identifiers: vec![],
        name: Some(v1::PersonName { family: format!("Testpatient{n}"), given: "Sam".into(), prefix: None }),
        ..patient_details()
    }
}

pub fn expected_of(details: &v1::PatientDetails) -> Option<v1::ExpectedPatient> {
    Some(v1::ExpectedPatient {
        nhs_number: details.nhs_number.clone().unwrap_or_default(),
        date_of_birth: details.date_of_birth.clone(),
        family_name: details.name.as_ref().expect("a name").family.clone(),
    })
}

pub fn content(text: &str) -> Option<v1::NoteContent> {
    Some(v1::NoteContent {
        occurred_at: at("2026-03-02T10:30:00Z"),
        text: text.into(),
        contact: Some(v1::Contact {
            mechanism: v1::ContactMechanism::FaceToFace.into(),
            attendance: v1::Attendance::AttendedOnTime.into(),
            mode: v1::ContactMode::Individual.into(),
            duration_minutes: Some(45),
            location_code: None,
            others_present: None,
        }),
        sensitivity: None,
        risk_disclosed: None,
        kind: Some(v1::note_content::Kind::GeneralContact(v1::GeneralContact {})),
    })
}

pub fn write(referral_id: &str, text: &str) -> v1::WriteProgressNoteRequest {
    v1::WriteProgressNoteRequest {
        request_id: request_id(),
        referral_id: referral_id.into(),
        expected_patient: expected(),
        author: author(),
        content: content(text),
        release_after: None,
    }
}

pub fn replace(note: &v1::ProgressNote, text: &str) -> v1::ReplaceProgressNoteRequest {
    v1::ReplaceProgressNoteRequest {
        request_id: request_id(),
        note_id: note.id.clone(),
        version_seen: note.version,
        expected_patient: expected(),
        author: author(),
        content: content(text),
        reason: "wrong day".into(),
        release_after: None,
    }
}

pub fn withdraw(note: &v1::ProgressNote) -> v1::WithdrawProgressNoteRequest {
    v1::WithdrawProgressNoteRequest {
        request_id: request_id(),
        note_id: note.id.clone(),
        version_seen: note.version,
        author: author(),
        reason: v1::WithdrawReason::WrittenInError.into(),
        explanation: Some("mine, not hers".into()),
    }
}

pub fn job_start() -> Option<v1::OutcomeContent> {
    Some(v1::OutcomeContent {
        remark: None,
        kind: Some(v1::outcome_content::Kind::JobStart(v1::JobStart {
            employer: Some(v1::Employer {
                name: "Test Bakery Ltd".into(),
                post: "Baker".into(),
                share_in_record: false,
            }),
            started_on: "2026-03-01".into(),
            four_paid_hours_on: Some("2026-03-02".into()),
            competitive: true,
            weekly_minutes: 960,
            ..Default::default()
        })),
    })
}

pub fn record(referral_id: &str, content: Option<v1::OutcomeContent>) -> v1::RecordOutcomeRequest {
    v1::RecordOutcomeRequest {
        request_id: request_id(),
        referral_id: referral_id.into(),
        expected_patient: expected(),
        author: author(),
        content,
    }
}

impl Bridge {
    /// A referral of RXX's own test patient, made by the worker.
    pub async fn referral(&self) -> v1::Referral {
        let made: v1::CreateReferralResponse =
            self.done("worker", "ReferralService/CreateReferral", &create("RXX", "")).await;
        made.referral.expect("the referral")
    }

    pub async fn note(&self, referral_id: &str, text: &str) -> v1::WriteProgressNoteResponse {
        self.done("worker", "ProgressNoteService/WriteProgressNote", &write(referral_id, text)).await
    }

    pub async fn delivery(&self, who: &str, id: &str) -> v1::Delivery {
        let request = v1::GetDeliveryRequest { delivery_id: id.into() };
        let got: v1::GetDeliveryResponse = self.done(who, "DeliveryService/GetDelivery", &request).await;
        got.delivery.expect("the delivery")
    }

    /// Claims everything that is due at RiO.
    pub async fn claim(&self) -> Vec<Claimed> {
        let claim =
            Claim { endpoint: endpoint(RIO), limit: 100, lease: Duration::from_secs(60), config: Default::default() };
        self.store.claim(claim).await.expect("a claim")
    }

    /// As the outbox would: bytes stored, then sent, then this is what came of it.
    pub async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Delivery {
        let d = &claimed.delivery;
        let now = self.now();
        let fresh = Uuid::from_u128(
            0x0198_c0de_0000_7000_9000_0000_0000_0000 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)),
        );
        let mut attempt = None;
        if !matches!(outcome, Outcome::Held(_)) {
            let rendering = Rendering {
                id: RenderingId(fresh),
                delivery_id: d.id,
                endpoint: d.endpoint.clone(),
                number: d.attempts + 1,
                control_id: format!("IPS{:017}", NEXT.fetch_add(1, Ordering::Relaxed)),
                made_from: MadeFrom {
                    identity: claimed.patient.details.identity(),
                    endpoint: "test".into(),
                    from_config: None,
                    late: false,
                    names: None,
                    speaks_of: None,
                },
                pack: "hl7v2-uk@0.1.0".into(),
                created_at: now,
                looked_up: Vec::new(),
                bytes: Raw(b"MSH|^~\\&|the message".to_vec()),
            };
            let begin = Begin {
                token: claimed.token,
                endpoint: d.endpoint.clone(),
                patient_id: d.patient_id,
                delivery_id: d.id,
                with: BeginWith::New { rendering: Box::new(rendering), anew: false },
                seen: Seen::of(claimed, 0),
                lease: Duration::from_secs(60),
                config: Default::default(),
            };
            match self.store.begin(begin).await.expect("begun") {
                Begun::Attempt(id) => attempt = Some(id),
                Begun::Stale | Begun::OtherPack(_) | Begun::OtherConfig => panic!("nothing changed since the claim"),
            }
        }
        let reply_id = ReplyId(fresh);
        let verdict = |meaning, code: &str| Verdict {
            meaning,
            level: Level::Application,
            code: code.into(),
            duplicate: false,
            untold: false,
            misplaced: false,
            record_id: Some("DOC-1".into()),
        };
        let (happened, verdict) = match outcome {
            Outcome::Positive => {
                let verdict = verdict(Meaning::Positive, "AA");
                (Happened::Replied { verdict: verdict.clone(), reply: reply_id }, Some(verdict))
            }
            Outcome::Refused => {
                let verdict = verdict(Meaning::Refused, "AE 204");
                (Happened::Replied { verdict: verdict.clone(), reply: reply_id }, Some(verdict))
            }
            Outcome::Silence => (Happened::NoAnswer { why: "no reply in time".into() }, None),
            Outcome::Held(reason) => (Happened::Held { reason, detail: String::new() }, None),
        };
        let replies = verdict.map(|verdict| Reply {
            id: reply_id,
            endpoint: d.endpoint.clone(),
            delivery_id: Some(d.id),
            attempt_id: attempt,
            received_at: now,
            verdict,
            unmatched: false,
            bytes: Raw(b"MSA|the reply".to_vec()),
        });
        let settle = Settle {
            token: claimed.token,
            endpoint: d.endpoint.clone(),
            patient_id: d.patient_id,
            delivery_id: d.id,
            attempt,
            asked_about: None,
            happened,
            replies: replies.into_iter().collect(),
            feeling: Feeling::Reached,
            probe: BackOff { first: Duration::from_secs(1), cap: Duration::from_secs(2) },
            random: 1,
        };
        self.store.settle(settle).await.expect("settled")
    }

    /// Everything that is due, to the same end.
    pub async fn send_all(&self, outcome: Outcome) -> Vec<Delivery> {
        let mut settled = Vec::new();
        for claimed in self.claim().await {
            settled.push(self.settle(&claimed, outcome).await);
        }
        settled
    }
}

/// What comes of sending.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    Positive,
    Refused,
    Silence,
    Held(ParkReason),
}
