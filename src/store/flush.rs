//! Writes what a batch changed: one statement a table, then the heads of the lanes it touched.

use super::dialect::{Tx, hex, on, statement, without_nul};
use super::error::StoreError;
use super::rows::{View, leads_to};
use crate::domain::ambient::micros;
use crate::domain::chain;
use crate::domain::delivery::Delivery;
use crate::domain::text::folded_name;
use jiff::Timestamp;
use serde_json::{Value, json};

statement!(
    PUT_PATIENTS,
    "INSERT INTO patient (id, trust, nhs_number, folded_family, date_of_birth, payload) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:text}, {4:text}, {5:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, folded_family = excluded.folded_family, \
       date_of_birth = excluded.date_of_birth, payload = excluded.payload"
);
statement!(
    ADD_PATIENT_VERSIONS,
    "INSERT INTO patient_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:text} FROM {rows}"
);
statement!(DROP_IDENTIFIERS, "DELETE FROM patient_identifier WHERE patient_id IN {uuids}");
statement!(
    ADD_IDENTIFIERS,
    "INSERT INTO patient_identifier (trust, authority, kind, value, patient_id) \
     SELECT {0:text}, {1:text}, {2:text}, {3:text}, {4:uuid} FROM {rows}"
);
statement!(
    PUT_REFERRALS,
    "INSERT INTO referral (id, trust, patient_id, state, team, assigned_to, received_at, touched_at, position, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:text}, {4:text}, {5:text}, {6:int}, {7:int}, {8:int}, {9:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, state = excluded.state, team = excluded.team, assigned_to = excluded.assigned_to, \
       touched_at = excluded.touched_at, position = excluded.position, payload = excluded.payload"
);
statement!(
    ADD_REFERRAL_VERSIONS,
    "INSERT INTO referral_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:text} FROM {rows}"
);
statement!(
    ADD_EXTERNALS,
    "INSERT INTO referral_external (trust, system, value, referral_id) SELECT {0:text}, {1:text}, {2:text}, {3:uuid} FROM {rows}"
);
statement!(
    PUT_NOTES,
    "INSERT INTO note (id, trust, patient_id, referral_id, occurred_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:int}, {5:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, occurred_at = excluded.occurred_at, payload = excluded.payload"
);
statement!(
    PUT_OUTCOMES,
    "INSERT INTO outcome (id, trust, patient_id, referral_id, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, payload = excluded.payload"
);
statement!(
    ADD_ENTRIES,
    "INSERT INTO entry (id, trust, patient_id, referral_id, subject_id, version, kind, action, recorded_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:uuid}, {5:int}, {6:text}, {7:text}, {8:int}, {9:text} FROM {rows}"
);
statement!(
    PUT_DELIVERIES,
    "INSERT INTO delivery (id, entry_id, subject_id, trust, patient_id, endpoint_id, lane_seq, state, park_reason, waiting_for, blocked, due_at, \
       created_at, accepted_at, filed_at, position, payload, ask_at) \
     SELECT {0:uuid}, {1:uuid}, {2:uuid}, {3:text}, {4:uuid}, {5:text}, {6:int}, {7:text}, {8:text}, {9:text}, {10:int}, {11:int}, {12:int}, {13:int}, \
       {14:int}, {15:int}, {16:text}, {17:int} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, lane_seq = excluded.lane_seq, state = excluded.state, \
       park_reason = excluded.park_reason, waiting_for = excluded.waiting_for, blocked = excluded.blocked, due_at = excluded.due_at, \
       accepted_at = excluded.accepted_at, filed_at = excluded.filed_at, position = excluded.position, payload = excluded.payload, ask_at = excluded.ask_at"
);
statement!(
    PUT_LANES,
    "UPDATE lane SET next_seq = l.next_seq, lease_token = l.token, lease_until = l.until, delivery_id = l.delivery, moves_to = l.moves_to, \
       moves_by = l.moves_by FROM \
       (SELECT {0:text} AS endpoint, {1:uuid} AS patient, {2:int} AS next_seq, {3:uuid} AS token, {4:int} AS until, {5:uuid} AS delivery, \
          {6:uuid} AS moves_to, {7:int} AS moves_by FROM {rows}) AS l \
     WHERE lane.endpoint_id = l.endpoint AND lane.patient_id = l.patient"
);
statement!(
    SET_HEADS,
    "UPDATE lane SET next_at = CASE WHEN lease_token IS NOT NULL THEN lease_until ELSE COALESCE( \
       (SELECT d.due_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'BACKING_OFF' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.due_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'QUEUED' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.ask_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.ask_at IS NOT NULL \
        ORDER BY d.ask_at LIMIT 1)) END \
     WHERE (endpoint_id, patient_id) IN (SELECT {0:text}, {1:uuid} FROM {rows})"
);
statement!(
    ADD_RENDERINGS,
    "INSERT INTO rendering (id, delivery_id, endpoint_id, control_id, created_at, bytes, payload) \
     SELECT {0:uuid}, {1:uuid}, {2:text}, {3:text}, {4:int}, {5:bytes}, {6:text} FROM {rows}"
);
statement!(
    PUT_ATTEMPTS,
    "INSERT INTO attempt (id, delivery_id, payload) SELECT {0:uuid}, {1:uuid}, {2:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
statement!(
    ADD_REPLIES,
    "INSERT INTO reply (id, endpoint_id, delivery_id, received_at, bytes, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:int}, {4:bytes}, {5:text} FROM {rows}"
);
statement!(
    ADD_STEPS,
    "INSERT INTO step (delivery_id, version, at, state, what, who) SELECT {0:uuid}, {1:int}, {2:int}, {3:text}, {4:text}, {5:text} FROM {rows}"
);
statement!(
    PUT_ENDPOINTS,
    "INSERT INTO endpoint (id, payload) SELECT {0:text}, {1:text} FROM {rows} WHERE true ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
statement!(
    ADD_REQUESTS,
    "INSERT INTO request (key, content, at, answer) SELECT {0:bytes}, {1:bytes}, {2:int}, {3:text} FROM {rows}"
);
statement!(
    ADD_AUDITS,
    "INSERT INTO audit (at, trust, principal, role, action, subject_kind, subject_id, patient_id, why, outcome) \
     SELECT {0:int}, {1:text}, {2:text}, {3:text}, {4:text}, {5:text}, {6:uuid}, {7:uuid}, {8:text}, {9:text} FROM {rows}"
);
statement!(
    PUT_INBOUND,
    "INSERT INTO inbound (id, trust, endpoint_id, received_at, source, control_id, content, state, bytes, payload, rule) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:int}, {4:text}, {5:text}, {6:bytes}, {7:text}, {8:bytes}, {9:text}, {10:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, payload = excluded.payload, rule = excluded.rule, \
     bytes = CASE WHEN excluded.state = 'IGNORED' THEN excluded.bytes ELSE inbound.bytes END"
);
statement!(NEXT_POSITION, "UPDATE feed SET position = position + $1, open = open + $2 WHERE id = 1 RETURNING position");

/// Writes everything; gives the last feed position taken, when one was.
pub(super) async fn flush(tx: &mut Tx, view: &View, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let deliveries: Vec<&Delivery> = view.deliveries.changed().collect();
    let referrals: Vec<_> = view.referrals.changed().collect();
    let taken = i64::try_from(deliveries.len() + referrals.len()).unwrap_or(i64::MAX);
    let last = if taken == 0 { None } else { Some(next_position(tx, taken, view.opened).await?) };
    let mut position = last.unwrap_or(0) - taken;
    let mut next = || {
        position += 1;
        position
    };

    let patients: Vec<Value> = view
        .patients
        .changed()
        .map(|p| {
            let d = &p.details;
            // Who was merged into another is recognised by nothing: all that was theirs leads there.
            let number = d.nhs_number.filter(|_| p.standing.merged_into.is_none());
            json!([p.id.0, p.trust, number, folded_name(&d.name.family.0), d.date_of_birth.0.to_string(), payload(p)])
        })
        .collect();
    if !patients.is_empty() {
        run(tx, PUT_PATIENTS.for_tx(tx), json!(patients)).await?;
        put(
            tx,
            &ADD_PATIENT_VERSIONS,
            view.patient_versions.iter().map(|p| json!([p.id.0, p.version, payload(p)])).collect(),
        )
        .await?;
        put(tx, &DROP_IDENTIFIERS, view.patients.changed().map(|p| json!(p.id.0)).collect()).await?;
        let identifiers = view.patients.changed().flat_map(|p| {
            leads_to(p)
                .into_iter()
                .map(|(trust, authority, kind, value)| json!([trust, authority, kind, value, p.id.0]))
        });
        put(tx, &ADD_IDENTIFIERS, identifiers.collect()).await?;
    }

    let rows: Vec<Value> = referrals
        .iter()
        .map(|r| {
            let assigned = r.assigned_to.as_ref().map(|a| a.staff_id.as_str());
            json!([
                r.id.0,
                r.trust,
                r.patient_id.0,
                r.state.word(),
                r.details.team,
                assigned,
                micros(r.received_at),
                micros(r.touched_at),
                next(),
                payload(r)
            ])
        })
        .collect();
    if !rows.is_empty() {
        run(tx, PUT_REFERRALS.for_tx(tx), json!(rows)).await?;
        put(
            tx,
            &ADD_REFERRAL_VERSIONS,
            view.referral_versions.iter().map(|r| json!([r.id.0, r.version, payload(r)])).collect(),
        )
        .await?;
        // Only a new referral brings external ids: one that another referral has by now is a conflict, not passed over.
        let new = view.referral_versions.iter().filter(|r| r.version == 1);
        let externals = new
            .flat_map(|r| r.details.external_ids.iter().map(|e| json!([r.trust, e.system, e.value, r.id.0])))
            .collect();
        put(tx, &ADD_EXTERNALS, externals).await?;
    }

    let notes = view
        .notes
        .changed()
        .map(|n| json!([n.id.0, n.trust, n.patient_id.0, n.referral_id.0, micros(n.occurred_at), payload(n)]));
    put(tx, &PUT_NOTES, notes.collect()).await?;
    let outcomes =
        view.outcomes.changed().map(|o| json!([o.id.0, o.trust, o.patient_id.0, o.referral_id.0, payload(o)]));
    put(tx, &PUT_OUTCOMES, outcomes.collect()).await?;
    let entries = view.entries.changed().map(|e| {
        let (kind, action) = (format!("{:?}", e.subject.kind()), format!("{:?}", e.action()));
        json!([
            e.id.0,
            e.trust,
            e.patient_id.0,
            e.referral_id.0,
            e.subject.uuid(),
            e.version,
            kind,
            action,
            micros(e.recorded_at),
            payload(e)
        ])
    });
    put(tx, &ADD_ENTRIES, entries.collect()).await?;

    let rows = deliveries.iter().map(|d| delivery_row(view, d, next())).collect();
    put(tx, &PUT_DELIVERIES, rows).await?;
    let renderings = view.renderings.changed().map(|r| {
        json!([r.id.0, r.delivery_id.0, r.endpoint, r.control_id, micros(r.created_at), hex(&r.bytes.0), payload(r)])
    });
    put(tx, &ADD_RENDERINGS, renderings.collect()).await?;
    put(tx, &PUT_ATTEMPTS, view.attempts.changed().map(|a| json!([a.id.0, a.delivery_id.0, payload(a)])).collect())
        .await?;
    let replies = view.replies.iter().map(|r| {
        json!([r.id.0, r.endpoint, r.delivery_id.map(|d| d.0), micros(r.received_at), hex(&r.bytes.0), payload(r)])
    });
    put(tx, &ADD_REPLIES, replies.collect()).await?;
    let steps =
        view.steps.iter().map(|s| json!([s.delivery_id.0, s.version, micros(s.at), s.state.word(), s.what, s.by]));
    put(tx, &ADD_STEPS, steps.collect()).await?;

    let lanes = view.lanes.changed().map(|l| {
        let lease = l.lease.as_ref();
        json!([
            l.endpoint,
            l.patient_id.0,
            l.next_seq,
            lease.map(|s| s.token.0),
            lease.map(|s| micros(s.until)),
            lease.map(|s| s.delivery_id.0),
            l.moves_to.map(|(patient, _)| patient.0),
            l.moves_to.map(|(_, by)| by)
        ])
    });
    put(tx, &PUT_LANES, lanes.collect()).await?;
    let touched: std::collections::BTreeSet<_> = view.touched_lanes.iter().chain(view.lanes.changed_keys()).collect();
    put(tx, &SET_HEADS, touched.into_iter().map(|(e, p)| json!([e, p.0])).collect()).await?;

    put(tx, &PUT_ENDPOINTS, view.endpoints.changed().map(|e| json!([e.id, payload(e)])).collect()).await?;
    let inbound = view.inbound.changed().map(|i| {
        json!([
            i.id.0,
            i.trust,
            i.endpoint,
            micros(i.received_at),
            i.source,
            i.control_id,
            hex(&i.content),
            i.state.word(),
            hex(&i.bytes.0),
            payload(i),
            i.rule
        ])
    });
    put(tx, &PUT_INBOUND, inbound.collect()).await?;
    let requests = view.requests.changed_keys().into_iter().filter_map(|key| {
        let (content, answer) = view.requests.get(key)?;
        Some(json!([hex(key), hex(content), micros(now), payload(answer)]))
    });
    put(tx, &ADD_REQUESTS, requests.collect()).await?;
    let audits = view.audits.iter().map(|a| {
        let patient = a.patient_id.map(|p| p.0);
        json!([
            micros(a.at),
            a.trust,
            a.actor.principal,
            a.actor.role,
            a.action,
            a.subject_kind,
            a.subject_id,
            patient,
            a.why,
            a.outcome
        ])
    });
    put(tx, &ADD_AUDITS, audits.collect()).await?;
    Ok(last)
}

fn delivery_row(view: &View, d: &Delivery, position: i64) -> Value {
    let predecessor = d.predecessor.and_then(|p| view.deliveries.get(&p));
    let blocked = i32::from(chain::blocked(d.action, predecessor));
    let waiting_for = d.park.as_ref().map(|_| format!("{:?}", d.waiting_for()));
    let reason = d.park.as_ref().map(|p| p.reason.code());
    json!([
        d.id.0,
        d.entry_id.0,
        d.subject.uuid(),
        d.trust,
        d.patient_id.0,
        d.endpoint,
        d.lane_seq,
        d.state.word(),
        reason,
        waiting_for,
        blocked,
        micros(d.due_at()),
        micros(d.created_at),
        d.accepted_at.map(micros),
        d.filed_at.map(micros),
        position,
        payload(d),
        d.ask_at().map(micros)
    ])
}

/// The JSON of a domain type, as text in its row.
fn payload<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have string keys and no failing serialisers")
}

async fn next_position(tx: &mut Tx, taken: i64, opened: i64) -> Result<i64, StoreError> {
    let sql = NEXT_POSITION.for_tx(tx);
    let (position,): (i64,) = on!(Tx, tx, t => sqlx::query_as(sql).bind(taken).bind(opened).fetch_one(&mut **t).await)?;
    Ok(position)
}

async fn put(tx: &mut Tx, statement: &'static super::dialect::Statement, rows: Vec<Value>) -> Result<(), StoreError> {
    if rows.is_empty() { Ok(()) } else { run(tx, statement.for_tx(tx), Value::Array(rows)).await }
}

async fn run(tx: &mut Tx, sql: sqlx::AssertSqlSafe<&'static str>, rows: Value) -> Result<(), StoreError> {
    let rows = without_nul(rows).to_string();
    on!(Tx, tx, t => sqlx::query(sql).bind(rows).execute(&mut **t).await.map(|_| ()))?;
    Ok(())
}
