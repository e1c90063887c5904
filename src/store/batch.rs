//! Reads what a batch of writes needs: one statement a table, whatever the number of rows.

use super::dialect::{Tx, on, statement, without_nul};
use super::error::StoreError;
use super::record::{Answer, Attempt, EndpointState, Inbound, Lane, Lease, Raw, Rendering};
use super::rows::{Claimable, Keys, View};
use crate::domain::ambient::{from_micros, micros};
use crate::domain::delivery::Delivery;
use crate::domain::entry::Entry;
use crate::domain::ids::{DeliveryId, LeaseToken, PatientId, ReferralId, RenderingId};
use crate::domain::note::Note;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::outcome::Outcome;
use crate::domain::person::Patient;
use crate::domain::referral::Referral;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

statement!(PATIENTS, "SELECT payload FROM patient WHERE id IN {uuids}");
statement!(REFERRALS, "SELECT payload FROM referral WHERE id IN {uuids}");
statement!(NOTES, "SELECT payload FROM note WHERE id IN {uuids}");
statement!(OUTCOMES, "SELECT payload FROM outcome WHERE id IN {uuids}");
statement!(OUTCOMES_OF_REFERRAL, "SELECT payload FROM outcome WHERE referral_id IN {uuids}");
statement!(ENTRIES, "SELECT payload FROM entry WHERE id IN {uuids}");
statement!(DELIVERIES, "SELECT payload FROM delivery WHERE id IN {uuids}");
statement!(CHAINS, "SELECT payload FROM delivery WHERE subject_id IN {uuids}");
statement!(ATTEMPTS, "SELECT payload FROM attempt WHERE id IN {uuids}");
statement!(ENDPOINTS, "SELECT payload FROM endpoint WHERE id IN {texts}");
statement!(INBOUND, "SELECT payload FROM inbound WHERE id IN {uuids}");
statement!(RENDERINGS, "SELECT payload, bytes FROM rendering WHERE id IN {uuids}");
statement!(
    RENDERINGS_BY_CONTROL,
    "SELECT endpoint_id, control_id, id FROM rendering WHERE (endpoint_id, control_id) IN (SELECT {0:text}, {1:text} FROM {rows})"
);
statement!(
    PATIENTS_BY_NHS,
    "SELECT trust, nhs_number, id FROM patient WHERE nhs_number IS NOT NULL AND (trust, nhs_number) IN (SELECT {0:text}, {1:text} FROM {rows})"
);
statement!(
    PATIENTS_BY_LOCAL,
    "SELECT trust, authority, kind, value, patient_id FROM patient_identifier \
     WHERE (trust, authority, kind, value) IN (SELECT {0:text}, {1:text}, {2:text}, {3:text} FROM {rows})"
);
statement!(
    PATIENTS_BY_FORMER_NHS,
    "SELECT trust, value, patient_id FROM patient_identifier \
     WHERE (trust, authority, kind, value) IN (SELECT {0:text}, 'NHS', 'NH', {1:text} FROM {rows})"
);
statement!(
    DELIVERIES_OF_LANES,
    "SELECT payload FROM delivery WHERE (patient_id, endpoint_id) IN (SELECT {1:uuid}, {0:text} FROM {rows})"
);
statement!(REFERRALS_OF, "SELECT payload FROM referral WHERE patient_id IN {uuids}");
statement!(NOTES_OF, "SELECT payload FROM note WHERE patient_id IN {uuids}");
statement!(OUTCOMES_OF, "SELECT payload FROM outcome WHERE patient_id IN {uuids}");
statement!(DELIVERIES_OF, "SELECT payload FROM delivery WHERE patient_id IN {uuids}");
statement!(
    REFERRALS_BY_EXTERNAL,
    "SELECT trust, system, value, referral_id FROM referral_external \
     WHERE (trust, system, value) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})"
);
statement!(
    LANES,
    "SELECT endpoint_id, patient_id, next_seq, lease_token, lease_until, delivery_id, moves_to, moves_by FROM lane \
     WHERE (endpoint_id, patient_id) IN (SELECT {0:text}, {1:uuid} FROM {rows})"
);
statement!(
    ENSURE_LANES,
    "INSERT INTO lane (endpoint_id, patient_id, next_seq) SELECT {0:text}, {1:uuid}, 1 FROM {rows} WHERE true ON CONFLICT DO NOTHING"
);
statement!(REQUESTS, "SELECT key, content, answer FROM request WHERE key IN (SELECT {0:bytes} FROM {rows})");
statement!(
    CLAIMABLE,
    "SELECT patient_id, COALESCE( \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'BACKING_OFF' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'QUEUED' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.ask_at IS NOT NULL \
        ORDER BY d.ask_at LIMIT 1)) AS head \
     FROM lane WHERE endpoint_id = $1 AND next_at <= $2 ORDER BY next_at LIMIT $3 {lock skip}"
);
statement!(OPEN, "SELECT open FROM feed WHERE id = 1");
statement!(ONE_WRITER, "SELECT pg_advisory_xact_lock(7305172)");
statement!(
    OPEN_AND_CLOCK,
    "SELECT open, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) FROM feed WHERE id = 1"
);

/// Waits until no other batch is being written, then gives the number of open deliveries and the clock by which leases end: the
/// database's own where several bridges share it.
///
/// On PostgreSQL this makes the bridges' batches follow one another, as on SQLite. Each is decided against everything the one before it
/// committed: no lock order to keep, no row that appears between two reads. Their commits had to queue for the feed's row anyway.
pub(super) async fn enter(tx: &mut Tx, now: Timestamp) -> Result<(i64, i64), StoreError> {
    match tx {
        Tx::Sqlite(t) => {
            let (open,): (i64,) = sqlx::query_as(OPEN.sqlite()).fetch_one(&mut **t).await?;
            Ok((open, micros(now)))
        }
        Tx::Postgres(t) => {
            sqlx::query(ONE_WRITER.postgres()).execute(&mut **t).await?;
            // A statement of its own: it sees, and tells the time, as of after the wait.
            Ok(sqlx::query_as(OPEN_AND_CLOCK.postgres()).fetch_one(&mut **t).await?)
        }
    }
}

/// Reads what `keys` asks for and `view` does not have. `false`: nothing was missing.
pub(super) async fn load(tx: &mut Tx, view: &mut View, keys: Keys) -> Result<bool, StoreError> {
    let mut anything = false;
    macro_rules! missing {
        ($keys:expr, $rows:expr) => {{
            let missing: Vec<_> = $keys.into_iter().filter(|k| !$rows.is_loaded(k)).collect();
            anything |= !missing.is_empty();
            missing
        }};
    }
    macro_rules! by_id {
        ($keys:expr, $rows:expr, $sql:expr, $type:ty, $table:literal) => {{
            let ids = missing!($keys, $rows);
            if !ids.is_empty() {
                let list = json!(ids.iter().map(|i| i.0.to_string()).collect::<Vec<_>>()).to_string();
                for row in payloads::<$type>(tx, $sql.for_tx(tx), list, $table).await? {
                    $rows.load(row.id, Some(row));
                }
                for id in ids {
                    $rows.load(id, None);
                }
            }
        }};
    }

    let requests = missing!(keys.requests, view.requests);
    if !requests.is_empty() {
        let list = json!(requests.iter().map(|k| [super::dialect::hex(k)]).collect::<Vec<_>>()).to_string();
        let sql = REQUESTS.for_tx(tx);
        let rows: Vec<(Vec<u8>, Vec<u8>, String)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        for (key, content, answer) in rows {
            let wrong = || StoreError::Inconsistent { table: "request", what: "a key that is no hash".into() };
            let answer: Answer = parse(&answer, "request")?;
            view.requests
                .load(key.try_into().map_err(|_| wrong())?, Some((content.try_into().map_err(|_| wrong())?, answer)));
        }
        for key in requests {
            view.requests.load(key, None);
        }
    }

    let by_nhs = missing!(keys.patients_by_nhs, view.patients_by_nhs);
    if !by_nhs.is_empty() {
        let sql = PATIENTS_BY_NHS.for_tx(tx);
        let list = json!(by_nhs).to_string();
        let rows: Vec<(String, String, Uuid)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        let sql = PATIENTS_BY_FORMER_NHS.for_tx(tx);
        let list = json!(by_nhs).to_string();
        let former: Vec<(String, String, Uuid)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        // Whose number it is comes before whose it was.
        for (trust, number, id) in rows.into_iter().chain(former) {
            view.patients_by_nhs.load((ods(&trust)?, number), Some(PatientId(id)));
        }
        for key in by_nhs {
            view.patients_by_nhs.load(key, None);
        }
    }
    let by_local = missing!(keys.patients_by_local, view.patients_by_local);
    if !by_local.is_empty() {
        let sql = PATIENTS_BY_LOCAL.for_tx(tx);
        let list = json!(by_local).to_string();
        let rows: Vec<(String, String, String, String, Uuid)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        for (trust, authority, kind, value, id) in rows {
            view.patients_by_local.load((ods(&trust)?, authority, kind, value), Some(PatientId(id)));
        }
        for key in by_local {
            view.patients_by_local.load(key, None);
        }
    }
    let by_external = missing!(keys.referrals_by_external, view.referrals_by_external);
    if !by_external.is_empty() {
        let sql = REFERRALS_BY_EXTERNAL.for_tx(tx);
        let list = json!(by_external).to_string();
        let rows: Vec<(String, String, String, Uuid)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        for (trust, system, value, id) in rows {
            view.referrals_by_external.load((ods(&trust)?, system, value), Some(ReferralId(id)));
        }
        for key in by_external {
            view.referrals_by_external.load(key, None);
        }
    }

    by_id!(keys.patients, view.patients, PATIENTS, Patient, "patient");
    by_id!(keys.referrals, view.referrals, REFERRALS, Referral, "referral");
    by_id!(keys.notes, view.notes, NOTES, Note, "note");
    by_id!(keys.outcomes, view.outcomes, OUTCOMES, Outcome, "outcome");
    by_id!(keys.entries, view.entries, ENTRIES, Entry, "entry");
    by_id!(keys.attempts, view.attempts, ATTEMPTS, Attempt, "attempt");
    by_id!(keys.inbound, view.inbound, INBOUND, Inbound, "inbound");

    let of_patients: Vec<PatientId> = keys.of_patients.into_iter().filter(|p| !view.of_patients.contains(p)).collect();
    if !of_patients.is_empty() {
        anything = true;
        load_belongings(tx, view, &of_patients).await?;
        view.of_patients.extend(of_patients);
    }
    let of_lanes: Vec<_> = keys.of_lanes.into_iter().filter(|l| !view.of_lanes.contains(l)).collect();
    if !of_lanes.is_empty() {
        anything = true;
        let list = json!(of_lanes.iter().map(|(e, p)| (e.as_str(), p.0.to_string())).collect::<Vec<_>>()).to_string();
        for row in payloads::<Delivery>(tx, DELIVERIES_OF_LANES.for_tx(tx), list, "delivery").await? {
            view.deliveries.load(row.id, Some(row));
        }
        view.of_lanes.extend(of_lanes);
    }

    // A claim tells which lanes, and with them which deliveries, so it comes before both.
    for (endpoint, limit) in keys.claims {
        if !view.claimable.contains_key(&endpoint) {
            anything = true;
            let claimable = claimable(tx, &endpoint, view.lease_clock, limit).await?;
            view.claimable.insert(endpoint, claimable);
        }
    }

    let lanes = missing!(keys.lanes, view.lanes);
    if !lanes.is_empty() {
        load_lanes(tx, view, &lanes).await?;
        for key in lanes {
            view.lanes.load(key, None);
        }
    }

    let referrals: Vec<ReferralId> =
        keys.outcomes_of.into_iter().filter(|r| !view.outcomes_of.contains_key(r)).collect();
    if !referrals.is_empty() {
        anything = true;
        let list = json!(referrals.iter().map(|r| r.0.to_string()).collect::<Vec<_>>()).to_string();
        let rows: Vec<Outcome> = payloads(tx, OUTCOMES_OF_REFERRAL.for_tx(tx), list, "outcome").await?;
        for referral in referrals {
            view.outcomes_of.insert(referral, BTreeSet::new());
        }
        for row in rows {
            view.outcomes_of.entry(row.referral_id).or_default().insert(row.id);
            view.outcomes.load(row.id, Some(row));
        }
    }

    let chains: Vec<Uuid> = keys.chains.into_iter().filter(|s| !view.chains.contains_key(s)).collect();
    if !chains.is_empty() {
        anything = true;
        let list = json!(chains.iter().map(Uuid::to_string).collect::<Vec<_>>()).to_string();
        let rows: Vec<Delivery> = payloads(tx, CHAINS.for_tx(tx), list, "delivery").await?;
        for subject in chains {
            view.chains.insert(subject, Vec::new());
        }
        for row in rows {
            view.chains.entry(row.subject.uuid()).or_default().push(row.id);
            view.deliveries.load(row.id, Some(row));
        }
    }
    by_id!(keys.deliveries, view.deliveries, DELIVERIES, Delivery, "delivery");

    let by_control = missing!(keys.renderings_by_control, view.renderings_by_control);
    if !by_control.is_empty() {
        let sql = RENDERINGS_BY_CONTROL.for_tx(tx);
        let list = without_nul(json!(by_control)).to_string();
        let rows: Vec<(String, String, Uuid)> =
            on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        for (endpoint, control_id, id) in rows {
            view.renderings_by_control.load((endpoint_id(&endpoint)?, control_id), Some(RenderingId(id)));
        }
        for key in by_control {
            view.renderings_by_control.load(key, None);
        }
    }
    let renderings = missing!(keys.renderings, view.renderings);
    if !renderings.is_empty() {
        let list = json!(renderings.iter().map(|i| i.0.to_string()).collect::<Vec<_>>()).to_string();
        let sql = RENDERINGS.for_tx(tx);
        let rows: Vec<(String, Vec<u8>)> = on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
        for (payload, bytes) in rows {
            let mut rendering: Rendering = parse(&payload, "rendering")?;
            rendering.bytes = Raw(bytes);
            view.renderings.load(rendering.id, Some(rendering));
        }
        for id in renderings {
            view.renderings.load(id, None);
        }
    }

    let endpoints = missing!(keys.endpoints, view.endpoints);
    if !endpoints.is_empty() {
        let list = json!(endpoints).to_string();
        for row in payloads::<EndpointState>(tx, ENDPOINTS.for_tx(tx), list, "endpoint").await? {
            view.endpoints.load(row.id.clone(), Some(row));
        }
        for id in endpoints {
            view.endpoints.load(id, None);
        }
    }
    Ok(anything)
}

async fn claimable(tx: &mut Tx, endpoint: &EndpointId, now: i64, limit: u32) -> Result<Vec<Claimable>, StoreError> {
    let sql = CLAIMABLE.for_tx(tx);
    let rows: Vec<(Uuid, Option<Uuid>)> = on!(Tx, tx, t => sqlx::query_as(sql).bind(endpoint.as_str()).bind(now).bind(i64::from(limit)).fetch_all(&mut **t).await)?;
    Ok(rows
        .into_iter()
        .map(|(patient, head)| Claimable { patient_id: PatientId(patient), head: head.map(DeliveryId) })
        .collect())
}

/// What is somebody's, whole: a merge moves all of it.
async fn load_belongings(tx: &mut Tx, view: &mut View, patients: &[PatientId]) -> Result<(), StoreError> {
    let list = json!(patients.iter().map(|p| p.0.to_string()).collect::<Vec<_>>()).to_string();
    for row in payloads::<Referral>(tx, REFERRALS_OF.for_tx(tx), list.clone(), "referral").await? {
        view.referrals.load(row.id, Some(row));
    }
    for row in payloads::<Note>(tx, NOTES_OF.for_tx(tx), list.clone(), "note").await? {
        view.notes.load(row.id, Some(row));
    }
    for row in payloads::<Outcome>(tx, OUTCOMES_OF.for_tx(tx), list.clone(), "outcome").await? {
        view.outcomes.load(row.id, Some(row));
    }
    for row in payloads::<Delivery>(tx, DELIVERIES_OF.for_tx(tx), list, "delivery").await? {
        view.deliveries.load(row.id, Some(row));
    }
    Ok(())
}

type LaneRow = (String, Uuid, i64, Option<Uuid>, Option<i64>, Option<Uuid>, Option<Uuid>, Option<i64>);

async fn load_lanes(tx: &mut Tx, view: &mut View, lanes: &[(EndpointId, PatientId)]) -> Result<(), StoreError> {
    let list = json!(lanes.iter().map(|(e, p)| (e.as_str(), p.0.to_string())).collect::<Vec<_>>()).to_string();
    let ensure = ENSURE_LANES.for_tx(tx);
    on!(Tx, tx, t => sqlx::query(ensure).bind(list.clone()).execute(&mut **t).await.map(|_| ()))?;
    let sql = LANES.for_tx(tx);
    let rows: Vec<LaneRow> = on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
    for (endpoint, patient, next_seq, token, until, delivery, moves_to, moves_by) in rows {
        let lease = match (token, until, delivery) {
            (Some(token), Some(until), Some(delivery)) => {
                Some(Lease { token: LeaseToken(token), until: from_micros(until), delivery_id: DeliveryId(delivery) })
            }
            _ => None,
        };
        let moves_to = moves_to.map(PatientId).zip(moves_by);
        let lane =
            Lane { endpoint: endpoint_id(&endpoint)?, patient_id: PatientId(patient), next_seq, lease, moves_to };
        view.lanes.load((lane.endpoint.clone(), lane.patient_id), Some(lane));
    }
    Ok(())
}

async fn payloads<T: DeserializeOwned>(
    tx: &mut Tx,
    sql: sqlx::AssertSqlSafe<&'static str>,
    list: String,
    table: &'static str,
) -> Result<Vec<T>, StoreError> {
    let rows: Vec<(String,)> = on!(Tx, tx, t => sqlx::query_as(sql).bind(list).fetch_all(&mut **t).await)?;
    rows.iter().map(|(payload,)| parse(payload, table)).collect()
}

/// A payload as the domain's type. The error names the place in the JSON, never what stands there.
pub(super) fn parse<T: DeserializeOwned>(payload: &str, table: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(payload).map_err(|e| StoreError::Inconsistent {
        table,
        what: format!("a payload that cannot be read (line {}, column {})", e.line(), e.column()),
    })
}

fn ods(text: &str) -> Result<OdsCode, StoreError> {
    OdsCode::parse(text).map_err(|_| StoreError::Inconsistent { table: "a trust column", what: "no ODS code".into() })
}

pub(super) fn endpoint_id(text: &str) -> Result<EndpointId, StoreError> {
    EndpointId::parse(text)
        .map_err(|_| StoreError::Inconsistent { table: "an endpoint column", what: "no endpoint id".into() })
}
