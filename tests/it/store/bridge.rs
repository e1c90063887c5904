//! A store opened as a bridge opens it, with the short cuts that tests take.

use super::rules::*;
use crate::support::{Seeded, SetClock};
use ips_bridge::domain::ambient::micros;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::{Delivery, ParkReason};
use ips_bridge::domain::hold::MadeFrom;
use ips_bridge::domain::ids::{AttemptId, DeliveryId, NoteId, PatientId, ReferralId, RenderingId, ReplyId};
use ips_bridge::domain::note::NoteContent;
use ips_bridge::domain::organisation::{EndpointId, OdsCode};
use ips_bridge::domain::person::PatientDetails;
use ips_bridge::domain::text::Private;
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::store::record::{Answered, Raw, Rendering, Reply};
use ips_bridge::store::write::{
    Begin, BeginWith, Begun, Claim, Claimed, CreateReferral, Feeling, Late, Operate, Operation, PatientIs, ReplaceNote,
    Seen, Settle, WithdrawNote, WriteNote,
};
use ips_bridge::store::{Rulebook, Scope, Settings, Store, WriteError, WriterEnd};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Both kinds of store, each with one bridge on it: `for test in both() { let bridge = Bridge::on(&test.url).await; … }`.
pub use crate::support::stores as both;

pub struct Bridge {
    pub store: Store,
    pub clock: Arc<SetClock>,
    pub entropy: Arc<Seeded>,
    pub url: String,
    pub end: WriterEnd,
}

/// A patient with a referral.
#[derive(Clone)]
pub struct Episode {
    pub trust: OdsCode,
    pub patient: PatientId,
    pub referral: ReferralId,
    pub details: PatientDetails,
}

/// A note, and its deliveries.
#[derive(Debug, Clone)]
pub struct Written {
    pub note: NoteId,
    pub deliveries: Vec<DeliveryId>,
}

impl Written {
    pub fn delivery(&self) -> DeliveryId {
        assert_eq!(self.deliveries.len(), 1);
        self.deliveries[0]
    }
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Filed,
    Accepted,
    Refused,
    TryLater,
    Silence,
    Never,
}

pub fn settings(url: &str) -> Settings {
    Settings {
        url: url.into(),
        read_connections: 4,
        group_commit_max: 256,
        restored: false,
        answer_within: ips_bridge::store::ANSWER_WITHIN,
    }
}

impl Bridge {
    pub async fn on(url: &str) -> Self {
        Self::with(&settings(url), rulebook()).await
    }

    pub async fn with(settings: &Settings, rules: Rulebook) -> Self {
        Self::seeded(settings, rules, unique()).await
    }

    pub async fn seeded(settings: &Settings, rules: Rulebook, seed: u64) -> Self {
        let clock = Arc::new(SetClock::at(START));
        // Far apart: the streams of neighbouring seeds overlap.
        let entropy = Arc::new(Seeded::new(seed.wrapping_mul(0x0123_4567_89ab_cdef)));
        let (store, end) = Store::open(settings, Arc::new(rules), clock.clone(), entropy.clone()).await.unwrap();
        Self { store, clock, entropy, url: settings.url.clone(), end }
    }

    /// Waits until everything is on disk and the record is free for another.
    pub async fn close(self) {
        drop(self.store);
        self.end.await.unwrap();
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    pub fn now(&self) -> Timestamp {
        ips_bridge::domain::ambient::Clock::now(&*self.clock)
    }

    /// Time goes by, for the bridge and (by waiting) for PostgreSQL, whose clock cannot be set.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        if !self.is_sqlite() {
            tokio::time::sleep(time).await;
        }
    }

    pub async fn refer(&self, trust: &OdsCode, details: PatientDetails, team: &str) -> Episode {
        let answered = self.store.create_referral(self.referral(trust, details.clone(), team)).await.unwrap();
        let referral = ReferralId(answered.answer().subject);
        let patient = self.store.referral(&Scope::system(), referral).await.unwrap().unwrap().patient_id;
        Episode { trust: trust.clone(), patient, referral, details }
    }

    pub fn referral(&self, trust: &OdsCode, details: PatientDetails, team: &str) -> CreateReferral {
        CreateReferral {
            call: call(trust),
            trust: trust.clone(),
            patient: PatientIs::Described(Box::new(details)),
            other_families: Vec::new(),
            location_shielded: false,
            details: referred(team),
            received_at: self.now(),
            received_from: None,
        }
    }

    /// Somebody new at RX9, whose notes go to [`epr`].
    pub async fn episode(&self) -> Episode {
        self.refer(&rx9(), person(), "east").await
    }

    pub fn note(&self, of: &Episode, content: NoteContent) -> WriteNote {
        WriteNote {
            call: call(&of.trust),
            rules: self.store.rules().clone(),
            referral_id: of.referral,
            expected: expected(&of.details),
            author: author(),
            content,
            release_after: None,
        }
    }

    pub async fn write(&self, of: &Episode, text: &str) -> Written {
        written(&self.store.write_note(self.note(of, note(text))).await.unwrap())
    }

    pub async fn replace(&self, of: &Episode, id: NoteId, text: &str) -> Result<Vec<DeliveryId>, WriteError> {
        let seen = self.store.note(&Scope::system(), id).await.unwrap().unwrap().version;
        let replace = self.replacement(of, id, seen, text);
        Ok(self.store.replace_note(replace).await?.answer().deliveries.clone())
    }

    pub fn replacement(&self, of: &Episode, id: NoteId, seen: i64, text: &str) -> ReplaceNote {
        ReplaceNote {
            call: call(&of.trust),
            note_id: id,
            version_seen: seen,
            expected: expected(&of.details),
            author: author(),
            content: note(text),
            reason: Private("It was not quite so.".into()),
            release_after: None,
        }
    }

    pub async fn withdraw(&self, of: &Episode, id: NoteId) -> Result<Vec<DeliveryId>, WriteError> {
        let seen = self.store.note(&Scope::system(), id).await.unwrap().unwrap().version;
        let withdraw = WithdrawNote {
            call: call(&of.trust),
            note_id: id,
            version_seen: seen,
            author: author(),
            reason: WHY,
            explanation: None,
        };
        Ok(self.store.withdraw_note(withdraw).await?.answer().deliveries.clone())
    }

    pub async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.delivery(&Scope::system(), id).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: DeliveryId) -> &'static str {
        self.delivery(id).await.state.word()
    }

    pub async fn parked(&self, id: DeliveryId) -> Option<ParkReason> {
        self.delivery(id).await.park.map(|p| p.reason)
    }

    pub async fn claim(&self, endpoint: &EndpointId, limit: u32) -> Vec<Claimed> {
        self.claim_for(endpoint, limit, LEASE).await
    }

    pub async fn claim_for(&self, endpoint: &EndpointId, limit: u32, lease: Duration) -> Vec<Claimed> {
        self.store.claim(Claim { endpoint: endpoint.clone(), limit, lease, config: Arc::default() }).await.unwrap()
    }

    /// Exactly one lane is to be had, and this delivery is its head.
    pub async fn claim_only(&self, endpoint: &EndpointId, head: DeliveryId) -> Claimed {
        let mut claimed = self.claim(endpoint, 100).await;
        assert_eq!(claimed.iter().map(|c| c.delivery.id).collect::<Vec<_>>(), [head]);
        claimed.remove(0)
    }

    pub fn rendering(&self, claimed: &Claimed) -> Rendering {
        let control_id = format!("RX{:016}", unique());
        Rendering {
            id: RenderingId::new(self.now(), &*self.entropy),
            delivery_id: claimed.delivery.id,
            endpoint: claimed.delivery.endpoint.clone(),
            number: 1,
            made_from: MadeFrom {
                identity: claimed.patient.details.identity(),
                endpoint: "pack@1".into(),
                from_config: None,
                late: false,
                names: None,
                speaks_of: None,
            },
            pack: "pack@1".into(),
            created_at: self.now(),
            looked_up: Vec::new(),
            bytes: Raw(format!("MSH|^~\\&|{control_id}\r").into_bytes()),
            control_id,
        }
    }

    pub fn beginning(&self, claimed: &Claimed) -> Begin {
        let with = match &claimed.rendering {
            Some(r) => BeginWith::Same(r.id),
            None => BeginWith::New { rendering: Box::new(self.rendering(claimed)), anew: false },
        };
        Begin {
            token: claimed.token,
            endpoint: claimed.delivery.endpoint.clone(),
            patient_id: claimed.delivery.patient_id,
            delivery_id: claimed.delivery.id,
            with,
            seen: Seen::of(claimed, 0),
            // Its lease is as long as it was claimed for.
            lease: Duration::ZERO,
            config: Arc::default(),
        }
    }

    pub async fn begin(&self, claimed: &Claimed) -> AttemptId {
        match self.store.begin(self.beginning(claimed)).await.unwrap() {
            Begun::Attempt(id) => id,
            Begun::Stale | Begun::OtherPack(_) | Begun::OtherConfig => panic!("the attempt did not begin"),
        }
    }

    pub fn reply(&self, endpoint: &EndpointId, verdict: Verdict) -> Reply {
        Reply {
            id: ReplyId::new(self.now(), &*self.entropy),
            endpoint: endpoint.clone(),
            delivery_id: None,
            attempt_id: None,
            received_at: self.now(),
            bytes: Raw(format!("MSA|{}", verdict.code).into_bytes()),
            verdict,
            unmatched: false,
        }
    }

    pub fn settling(
        &self,
        claimed: &Claimed,
        attempt: Option<AttemptId>,
        happened: Happened,
        feeling: Feeling,
    ) -> Settle {
        Settle {
            token: claimed.token,
            endpoint: claimed.delivery.endpoint.clone(),
            patient_id: claimed.delivery.patient_id,
            delivery_id: claimed.delivery.id,
            attempt,
            asked_about: None,
            happened,
            replies: vec![],
            feeling,
            probe: BACK_OFF,
            random: 0,
        }
    }

    /// The settling of an attempt that got this answer, with its reply kept.
    pub fn answered(&self, claimed: &Claimed, attempt: AttemptId, verdict: Verdict) -> Settle {
        let mut reply = self.reply(&claimed.delivery.endpoint, verdict.clone());
        reply.delivery_id = Some(claimed.delivery.id);
        reply.attempt_id = Some(attempt);
        let happened = Happened::Replied { verdict, reply: reply.id };
        Settle { replies: vec![reply], ..self.settling(claimed, Some(attempt), happened, Feeling::Reached) }
    }

    pub async fn settle(&self, claimed: &Claimed, attempt: AttemptId, sent: Sent) -> Delivery {
        let settle = match sent {
            Sent::Filed => self.answered(claimed, attempt, verdict(Meaning::Positive, Level::Application, "AA")),
            Sent::Accepted => self.answered(claimed, attempt, verdict(Meaning::Positive, Level::Transport, "CA")),
            Sent::Refused => self.answered(claimed, attempt, verdict(Meaning::Refused, Level::Application, "AR 204")),
            Sent::TryLater => self.answered(claimed, attempt, verdict(Meaning::Retry, Level::Application, "AE 207")),
            Sent::Silence => {
                let why = "nothing came back".to_owned();
                self.settling(claimed, Some(attempt), Happened::NoAnswer { why: why.clone() }, Feeling::Silent(why))
            }
            Sent::Never => {
                let feeling = Feeling::Unreachable("connection refused".into());
                self.settling(claimed, Some(attempt), Happened::NotSent, feeling)
            }
        };
        self.store.settle(settle).await.unwrap()
    }

    /// The whole way of a delivery that is at the head of its lane.
    pub async fn send(&self, delivery: DeliveryId, sent: Sent) -> Delivery {
        let endpoint = self.delivery(delivery).await.endpoint;
        let claimed = self.claim(&endpoint, 1000).await;
        let mine = claimed.iter().find(|c| c.delivery.id == delivery).expect("the delivery can be claimed");
        let attempt = self.begin(mine).await;
        let settled = self.settle(mine, attempt, sent).await;
        for other in claimed.iter().filter(|c| c.delivery.id != delivery) {
            self.put_back(other).await;
        }
        settled
    }

    /// Claimed for nothing: back where it was.
    pub async fn put_back(&self, claimed: &Claimed) -> Delivery {
        self.store.settle(self.settling(claimed, None, Happened::NotSent, Feeling::Nothing)).await.unwrap()
    }

    /// An acknowledgement on the endpoint's own listener.
    pub async fn late(&self, endpoint: &EndpointId, control_id: &str, verdict: Verdict) -> Option<DeliveryId> {
        let reply = self.reply(endpoint, verdict);
        self.store.take_late(Late { endpoint: endpoint.clone(), control_id: control_id.into(), reply }).await.unwrap()
    }

    pub async fn control_id(&self, delivery: DeliveryId) -> String {
        let delivery = self.delivery(delivery).await;
        self.store.rendering_of(&delivery).await.unwrap().unwrap().control_id
    }

    pub async fn operate(&self, delivery: DeliveryId, operation: Operation) -> Result<Answered, WriteError> {
        let trust = self.delivery(delivery).await.trust;
        let operate = Operate {
            call: call(&trust),
            deliveries: vec![delivery],
            operation,
            reason: "looked into".into(),
            single: true,
        };
        self.store.operate(operate).await
    }

    /// `blocked` and every lane's `next_at` say what they must, worked out again from the rows.
    pub async fn check_columns(&self) {
        let scope = Scope::system();
        let page = ips_bridge::store::read::Page { size: 100_000, after: None };
        let deliveries = self.store.deliveries(&scope, &Default::default(), page).await.unwrap();
        let by_id = |id: DeliveryId| deliveries.iter().find(|d| d.id == id);
        let hex = if self.is_sqlite() { "lower(hex(id))" } else { "replace(id::text, '-', '')" };
        let open = deliveries.iter().filter(|d| d.state.is_open()).count();
        assert_eq!(super::raw::number(&self.url, "SELECT open FROM feed").await, i64::try_from(open).unwrap());
        for row in super::raw::texts(
            &self.url,
            &format!("SELECT {hex} || ' ' || blocked || ' ' || due_at || ' ' || state FROM delivery"),
        )
        .await
        {
            let fields: Vec<&str> = row.split(' ').collect();
            let d = deliveries.iter().find(|d| d.id.0.simple().to_string() == fields[0]).unwrap();
            let blocked = ips_bridge::domain::chain::blocked(d.action, d.predecessor.and_then(by_id));
            assert_eq!(fields[1], u8::from(blocked).to_string(), "blocked of {d:?}");
            assert_eq!(fields[2], micros(d.due_at()).to_string(), "due_at of {d:?}");
            assert_eq!(fields[3], d.state.word());
        }
        self.check_heads(&deliveries).await;
    }

    async fn check_heads(&self, deliveries: &[Delivery]) {
        use ips_bridge::domain::delivery::State::{BackingOff, Queued, Sending};
        let hex = if self.is_sqlite() { "lower(hex(patient_id))" } else { "replace(patient_id::text, '-', '')" };
        let sql = format!(
            "SELECT endpoint_id || ' ' || {hex} || ' ' || COALESCE(CAST(next_at AS TEXT), '-') || ' ' || COALESCE(CAST(lease_until AS TEXT), '-') FROM lane"
        );
        for row in super::raw::texts(&self.url, &sql).await {
            let [endpoint, patient, next_at, lease] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let mut lane: Vec<&Delivery> = deliveries
                .iter()
                .filter(|d| d.endpoint.as_str() == endpoint && d.patient_id.0.simple().to_string() == patient)
                .collect();
            lane.sort_by_key(|d| d.lane_seq);
            let free = |d: &&&Delivery| {
                !ips_bridge::domain::chain::blocked(
                    d.action,
                    d.predecessor.and_then(|p| deliveries.iter().find(|o| o.id == p)),
                )
            };
            let of = |state| lane.iter().filter(free).filter(move |d| d.state == state);
            let asks = lane.iter().filter_map(|d| d.ask_at());
            let released = of(Queued).find(|d| d.release_at.is_none_or(|at| at <= self.now()));
            let held = of(Queued).map(|d| d.due_at()).chain(asks).min();
            let due = of(BackingOff).next().or(released).map(|d| d.due_at()).or(held);
            let head = due.map_or("-".into(), |at| micros(at).to_string());
            let sending = lane.iter().filter(|d| d.state == Sending).count();
            assert!(sending <= 1, "two are being sent in one lane");
            if lease == "-" {
                assert_eq!(sending, 0, "something is being sent without a lease");
                assert_eq!(next_at, head, "next_at of {endpoint} {patient}");
            } else {
                assert_eq!(next_at, lease);
            }
        }
    }
}

/// Longer than any test takes.
pub const LEASE: Duration = Duration::from_secs(600);

pub fn written(answered: &Answered) -> Written {
    let answer = answered.answer();
    Written { note: NoteId(answer.subject), deliveries: answer.deliveries.clone() }
}
