//! The unfiled backlog of an endpoint as text for people: by patient, oldest first, for when an EPR is away for weeks.

use super::super::edge::{Caller, Streamed, whole};
use super::super::error::Error;
use super::endpoint_id;
use crate::adapter::compose::job_of;
use crate::adapter::form::entry::{self, Setting};
use crate::adapter::form::request;
use crate::domain::chain;
use crate::domain::delivery::{Delivery, State};
use crate::domain::entry::{Body, Entry};
use crate::domain::ids::{DeliveryId, PatientId};
use crate::domain::organisation::EndpointId;
use crate::domain::person::Patient;
use crate::domain::rule::Violations;
use crate::status::sentence;
use crate::store::read::{DeliveryFilter, Page};
use crate::wire::v1;
use futures::stream;
use jiff::tz::TimeZone;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

/// Deliveries of one message of the stream at most.
const CHUNK: usize = 20;
/// Looked at in one query.
const PAGE: u32 = 1000;

/// What a delivery is found and sorted by: small, because a backlog can be as long as the bridge's limit of open deliveries.
type Place = (PatientId, i64, DeliveryId);

pub async fn export_deliveries(
    c: Caller,
    m: v1::ExportDeliveriesRequest,
) -> Result<Streamed<v1::ExportDeliveriesResponse>, Error> {
    let mut broken = Violations::default();
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let reason = request::because(&m.reason, "reason", &mut broken);
    whole!(broken; endpoint, reason);
    let facts = c.endpoint(&endpoint)?;
    let tz = c.time_zone(&facts.trust);
    let head = format!(
        "Not yet filed in {} ({}), endpoint {}, on {}.\nOne entry after another, by patient, oldest first. Holds clinical text: keep it as you keep the record.\n\n",
        facts.name,
        facts.trust,
        endpoint,
        c.now.to_zoned(tz.clone()).strftime("%-d %B %Y %H:%M"),
    );
    let places = places(&c, &endpoint).await?;
    let export = Export { c, reason: reason.0, tz, places, told: 0, head: Some(head), over: false };
    Ok(Box::pin(stream::unfold(export, |mut export| async move {
        let next = export.next().await;
        next.map(|n| (n.map_err(|e| export.c.edge.refuse(&e)), export))
    })))
}

/// Every unfiled delivery, in the order it is told.
async fn places(c: &Caller, endpoint: &EndpointId) -> Result<VecDeque<Place>, Error> {
    let states = vec![State::Queued, State::Sending, State::BackingOff, State::Accepted, State::Parked];
    let filter = DeliveryFilter { endpoint: Some(endpoint.clone()), states, ..DeliveryFilter::default() };
    let mut places: Vec<Place> = Vec::new();
    let mut after = None;
    loop {
        let page = c.store().deliveries(&c.scope, &filter, Page { size: PAGE, after }).await?;
        places.extend(page.iter().map(|d| (d.patient_id, d.lane_seq, d.id)));
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.id.0),
            _ => break,
        }
    }
    places.sort_unstable();
    Ok(places.into())
}

struct Export {
    c: Caller,
    reason: String,
    tz: TimeZone,
    places: VecDeque<Place>,
    told: usize,
    head: Option<String>,
    over: bool,
}

impl Export {
    async fn next(&mut self) -> Option<Result<v1::ExportDeliveriesResponse, Error>> {
        if let Some(text) = self.head.take() {
            return Some(Ok(v1::ExportDeliveriesResponse { text }));
        }
        if self.over || self.c.edge.shutdown.is_cancelled() {
            return None;
        }
        if self.places.is_empty() {
            self.over = true;
            let text = format!("End of the list: {} entries.\n", self.told);
            return Some(Ok(v1::ExportDeliveriesResponse { text }));
        }
        let ids: Vec<DeliveryId> = self.places.drain(..self.places.len().min(CHUNK)).map(|(_, _, id)| id).collect();
        let told = self.tell(&ids).await;
        self.over |= told.is_err();
        Some(told.map(|text| v1::ExportDeliveriesResponse { text }))
    }

    async fn tell(&mut self, ids: &[DeliveryId]) -> Result<String, Error> {
        let (c, store) = (&self.c, self.c.store());
        let mut deliveries = store.deliveries_by_id(&c.scope, ids).await?;
        deliveries.sort_by_key(|d| (d.patient_id, d.lane_seq));
        let subjects = deliveries.iter().map(|d| d.subject.uuid());
        let entries: HashMap<_, Entry> =
            store.versions(&c.scope, subjects).await?.into_iter().map(|e| (e.id, e)).collect();
        let mut text = String::new();
        let mut patient: Option<Patient> = None;
        for delivery in &deliveries {
            if patient.as_ref().map(|p| p.id) != Some(delivery.patient_id) {
                patient = store.patient(&c.scope, delivery.patient_id).await?;
            }
            let (Some(patient), Some(entry)) = (&patient, entries.get(&delivery.entry_id)) else { continue };
            if let Some(told) = self.one(delivery, entry, patient, &entries).await? {
                text.push_str(&told);
                self.told += 1;
            }
        }
        c.audit_for("delivery.export", &self.reason, &deliveries).await?;
        Ok(text)
    }

    /// Who, when, what, how far it is, and the text as it would stand in the record.
    async fn one(
        &self,
        d: &Delivery,
        entry: &Entry,
        patient: &Patient,
        entries: &HashMap<crate::domain::ids::EntryId, Entry>,
    ) -> Result<Option<String>, Error> {
        let Some(shown) = self.shown(d, entry, entries).await? else { return Ok(None) };
        let details = &patient.details;
        let name = &details.name;
        let number =
            details.nhs_number.map_or_else(|| "no NHS number".to_owned(), |n| format!("NHS number {}", n.as_str()));
        let locals =
            details.local_identifiers.iter().map(|i| format!(", {} {}", i.kind, i.value.0)).collect::<String>();
        let mut text = String::new();
        let line = "-".repeat(72);
        let when = |at: jiff::Timestamp| at.to_zoned(self.tz.clone()).strftime("%-d %B %Y %H:%M").to_string();
        let written = writeln!(
            text,
            "{line}\n{}, {}  born {}  {number}{locals}",
            name.family.0, name.given.0, details.date_of_birth.0
        )
        .and_then(|()| {
            writeln!(
                text,
                "Written {} by {}, {}",
                when(entry.recorded_at),
                entry.author.display_name.0,
                entry.author.role_title.0
            )
        })
        .and_then(|()| {
            writeln!(text, "Delivery {}: {}. {}", d.id, d.state.word(), sentence(d, self.c.epr(&d.endpoint)))
        })
        .and_then(|()| writeln!(text, "\n{}\n{}\n\n{}\n", shown.title, shown.headings.join("\n"), shown.text));
        Ok(written.is_ok().then_some(text))
    }

    async fn shown(
        &self,
        d: &Delivery,
        entry: &Entry,
        entries: &HashMap<crate::domain::ids::EntryId, Entry>,
    ) -> Result<Option<v1::Entry>, Error> {
        let (c, store) = (&self.c, self.c.store());
        let chain = store.deliveries_of(&c.scope, [d.subject.uuid()]).await?;
        let mut before: Vec<Delivery> =
            chain.into_iter().filter(|o| o.endpoint == d.endpoint && o.lane_seq < d.lane_seq).collect();
        before.sort_by_key(|o| o.lane_seq);
        let spoken_of = chain::speaks_of(&before, entry.action()).and_then(|o| entries.get(&o.entry_id));
        let replaces = spoken_of.map(|e| entry::Replaced { number: e.version, recorded_at: e.recorded_at });
        let setting = Setting { tz: &self.tz, replaces };
        let shown = match &entry.body {
            Body::Note(action) => {
                let old = spoken_of.and_then(Entry::note_version);
                let content = action.content().or_else(|| old.as_ref().and_then(|v| v.action.content()));
                entry.note_version().zip(content).map(|(version, content)| entry::note(&version, content, &setting))
            }
            Body::Outcome(action) => {
                let old = spoken_of.and_then(Entry::outcome_version);
                let content = action.content().or_else(|| old.as_ref().and_then(|v| v.action.content()));
                let job = match job_of(entry) {
                    Some(id) => store.outcome(&c.scope, id).await?.and_then(|o| o.current),
                    None => None,
                };
                entry
                    .outcome_version()
                    .zip(content)
                    .map(|(version, content)| entry::outcome(&version, content, job.as_ref(), &setting))
            }
            Body::ReferralReply(_) => {
                let referral = store.referral(&c.scope, entry.referral_id).await?;
                referral.and_then(|r| entry::referral_reply(entry.id, &r, &entry.author, &setting))
            }
        };
        Ok(shown)
    }
}
