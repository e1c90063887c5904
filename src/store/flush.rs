//! Writes what a batch changed, whatever it is, in one statement, and in one more the heads of the lanes it touched.

use super::commit::{Texts, commit};
use super::dialect::{Kept, Statement, Tx, statement};
use super::recent::Feed;
use super::rows::{View, leads_to};
use super::rowset::{Argument, Cell, RowSet};
use super::write::Forget;
use super::writer::Failed;
use crate::domain::ambient::micros;
use crate::domain::chain;
use crate::domain::delivery::Delivery;
use crate::domain::referral::Referral;
use crate::domain::text::folded_name;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio::sync::Notify;

statement!(
    PUT_PATIENTS,
    "INSERT INTO patient (id, trust, nhs_number, folded_family, date_of_birth, payload) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:text}, {4:text}, {5:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, folded_family = excluded.folded_family, \
       date_of_birth = excluded.date_of_birth, payload = excluded.payload"
);
statement!(
    ADD_PATIENT_VERSIONS,
    "INSERT INTO patient_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:heap_text} FROM {rows}"
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
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:text}, {4:text}, {5:text}, {6:int}, {7:int}, {8:int}, {9:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, state = excluded.state, team = excluded.team, assigned_to = excluded.assigned_to, \
       touched_at = excluded.touched_at, position = excluded.position, payload = excluded.payload"
);
statement!(
    ADD_REFERRAL_VERSIONS,
    "INSERT INTO referral_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:heap_text} FROM {rows}"
);
statement!(
    ADD_EXTERNALS,
    "INSERT INTO referral_external (trust, system, value, referral_id) SELECT {0:text}, {1:text}, {2:text}, {3:uuid} FROM {rows}"
);
statement!(
    PUT_NOTES,
    "INSERT INTO note (id, trust, patient_id, referral_id, occurred_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:int}, {5:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, occurred_at = excluded.occurred_at, payload = excluded.payload"
);
statement!(
    PUT_OUTCOMES,
    "INSERT INTO outcome (id, trust, patient_id, referral_id, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, payload = excluded.payload"
);
statement!(
    ADD_ENTRIES,
    "INSERT INTO entry (id, trust, patient_id, referral_id, subject_id, version, kind, action, recorded_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:uuid}, {5:int}, {6:text}, {7:text}, {8:int}, {9:heap_text} FROM {rows}"
);
const DELIVERY: &str = "INSERT INTO delivery (id, entry_id, subject_id, trust, patient_id, endpoint_id, lane_seq, state, park_reason, waiting_for, blocked, due_at, \
       created_at, accepted_at, filed_at, position, payload, ask_at) \
     SELECT {0:uuid}, {1:uuid}, {2:uuid}, {3:text}, {4:uuid}, {5:text}, {6:int}, {7:text}, {8:text}, {9:text}, {10:int}, {11:int}, {12:int}, {13:int}, \
       {14:int}, {15:int}, {16:heap_text}, {18:int} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, park_reason = excluded.park_reason, waiting_for = excluded.waiting_for, \
       blocked = excluded.blocked, due_at = excluded.due_at, accepted_at = excluded.accepted_at, filed_at = excluded.filed_at, \
       position = excluded.position, payload = excluded.payload, ask_at = excluded.ask_at";
statement!(PLACE_DELIVERIES, &format!("{DELIVERY}, patient_id = excluded.patient_id, lane_seq = excluded.lane_seq"));
// What keeps its place: SQLite writes every index of a column that is set, changed or not.
statement!(PUT_DELIVERIES, DELIVERY);
statement!(
    PUT_LANES,
    "INSERT INTO lane (endpoint_id, patient_id, next_seq, lease_token, lease_until, delivery_id, moves_to, moves_by) \
     SELECT {0:text}, {1:uuid}, {2:int}, {3:uuid}, {4:int}, {5:uuid}, {6:uuid}, {7:int} FROM {rows} WHERE true \
     ON CONFLICT (endpoint_id, patient_id) DO UPDATE SET next_seq = excluded.next_seq, lease_token = excluded.lease_token, \
       lease_until = excluded.lease_until, delivery_id = excluded.delivery_id, moves_to = excluded.moves_to, moves_by = excluded.moves_by"
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
     SELECT {0:uuid}, {1:uuid}, {2:text}, {3:text}, {4:int}, {5:heap}, {7:heap_text} FROM {rows}"
);
statement!(
    PUT_ATTEMPTS,
    "INSERT INTO attempt (id, delivery_id, payload) SELECT {0:uuid}, {1:uuid}, {2:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
statement!(
    ADD_REPLIES,
    "INSERT INTO reply (id, endpoint_id, delivery_id, received_at, bytes, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:int}, {4:heap}, {6:heap_text} FROM {rows}"
);
statement!(
    ADD_RECORD_NAMES,
    "INSERT INTO record_name (endpoint_id, kind, record_id, subject_id) SELECT {0:text}, {1:text}, {2:text}, {3:uuid} FROM {rows} WHERE true \
     ON CONFLICT (endpoint_id, kind, record_id) DO UPDATE SET subject_id = excluded.subject_id"
);
statement!(
    ADD_STEPS,
    "INSERT INTO step (delivery_id, version, at, state, what, who) SELECT {0:uuid}, {1:int}, {2:int}, {3:text}, {4:text}, {5:text} FROM {rows}"
);
statement!(
    PUT_ENDPOINTS,
    "INSERT INTO endpoint (id, payload) SELECT {0:text}, {1:heap_text} FROM {rows} WHERE true ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
statement!(DROP_REQUESTS, "DELETE FROM request WHERE key IN (SELECT {0:bytes} FROM {rows})");
statement!(FORGET_IGNORED, "UPDATE inbound SET bytes = {bytes_none} WHERE state = 'IGNORED' AND id IN {uuids}");
statement!(
    ADD_REQUESTS,
    "INSERT INTO request (key, content, at, answer) SELECT {0:bytes}, {1:bytes}, {2:int}, {3:heap_text} FROM {rows}"
);
statement!(
    ADD_AUDITS,
    "INSERT INTO audit (at, trust, principal, role, action, subject_kind, subject_id, patient_id, why, outcome) \
     SELECT {0:int}, {1:text}, {2:text}, {3:text}, {4:text}, {5:text}, {6:uuid}, {7:uuid}, {8:text}, {9:text} FROM {rows}"
);
statement!(
    PUT_INBOUND,
    "INSERT INTO inbound (id, trust, endpoint_id, received_at, source, control_id, content, state, bytes, payload, rule) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:int}, {4:text}, {5:text}, {6:bytes}, {7:text}, {8:heap}, {10:heap_text}, {12:text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET control_id = excluded.control_id, state = excluded.state, payload = excluded.payload, rule = excluded.rule, \
     bytes = CASE WHEN excluded.state = 'IGNORED' THEN excluded.bytes ELSE inbound.bytes END"
);
statement!(COUNT, "UPDATE feed SET position = position + $1, open = open + $2, commits = commits + 1 WHERE id = 1");
statement!(
    ADD_PACKS,
    "INSERT INTO pack_content (endpoint_id, fingerprint, at, bytes) \
     SELECT {0:text}, {1:text}, {2:int}, {3:heap} FROM {rows} WHERE true ON CONFLICT DO NOTHING"
);
statement!(DROP_PACKS, "DELETE FROM pack_content WHERE endpoint_id = $2 AND fingerprint NOT IN {texts}");

/// A step of a commit in the making. None of its statements may rest on what another one of the same step writes.
struct Group {
    postgres: bool,
    texts: Texts,
}

impl Group {
    fn rows<T>(
        &mut self,
        statement: &Statement,
        rows: impl IntoIterator<Item = T>,
        mut add: impl FnMut(&mut RowSet, T),
    ) {
        let mut set = RowSet::default();
        rows.into_iter().for_each(|row| add(&mut set, row));
        if !set.is_empty() {
            self.run(statement, set.arguments());
        }
    }

    fn run(&mut self, statement: &Statement, arguments: Vec<Argument>) {
        self.texts.sql.push(statement.part(self.postgres, self.texts.arguments.len()));
        self.texts.arguments.extend(arguments);
    }
}

/// Writes everything and commits; gives the feed's row as it is then, and the connection.
pub(super) async fn flush(
    tx: Tx,
    view: &View,
    feed: Feed,
    now: Timestamp,
    ending: &Notify,
) -> Result<(Feed, Kept), Failed> {
    let postgres = matches!(tx, Tx::Postgres(_));
    let step = || Group { postgres, texts: Texts::default() };
    let deliveries: Vec<&Delivery> = view.deliveries.changed().collect();
    let referrals: Vec<_> = view.referrals.changed().collect();
    let mut position = feed.position;
    let mut next = || {
        position += 1;
        position
    };
    // What led to a patient before may lead to another now: taken away first.
    let mut before = step();
    for forget in &view.forget {
        match forget {
            Forget::Requests(keys) => before.rows(&DROP_REQUESTS, keys, |set, key| set.row(&[Cell::Hash(key)])),
            Forget::Ignored(ids) => before.rows(&FORGET_IGNORED, ids, |set, id| set.key(id.0.into())),
        }
    }
    before.rows(&DROP_IDENTIFIERS, view.patients.changed(), |set, p| set.key(p.id.0.into()));
    let mut group = step();
    people(&mut group, view);
    group.rows(&PUT_REFERRALS, &referrals, |set, r| {
        set.row(&[
            r.id.0.into(),
            r.trust.as_str().into(),
            r.patient_id.0.into(),
            r.state.word().into(),
            r.details.team.as_str().into(),
            r.assigned_to.as_ref().map(|a| a.staff_id.as_str()).into(),
            micros(r.received_at).into(),
            micros(r.touched_at).into(),
            next().into(),
            Cell::Heap(&payload(r)),
        ]);
    });
    group.rows(&ADD_REFERRAL_VERSIONS, &view.referral_versions, |set, r| {
        set.row(&[r.id.0.into(), r.version.into(), Cell::Heap(&payload(r))]);
    });
    // Only a new referral brings external ids: one that another referral has by now is a conflict, not passed over.
    let new = view.referral_versions.iter().filter(|r| r.version == 1);
    group.rows(&ADD_EXTERNALS, new.flat_map(|r| r.details.external_ids.iter().map(move |e| (r, e))), |set, (r, e)| {
        set.row(&[r.trust.as_str().into(), e.system.as_str().into(), e.value.0.as_str().into(), r.id.0.into()]);
    });
    written(&mut group, view);
    let (placed, kept): (Vec<_>, Vec<_>) = deliveries.iter().partition(|d| view.placed.contains(&d.id));
    group.rows(&PLACE_DELIVERIES, placed, |set, d| delivery_row(set, view, d, next()));
    group.rows(&PUT_DELIVERIES, kept, |set, d| delivery_row(set, view, d, next()));
    sent(&mut group, view);
    accounts(&mut group, view, now);
    packs(&mut group, view, now);
    let feed = Feed { position, open: feed.open + view.opened, commits: feed.commits + 1 };
    group.run(&COUNT, vec![Argument::Int(taken(&deliveries, &referrals)), Argument::Int(view.opened)]);
    // The heads rest on what was written.
    let mut heads = step();
    let touched: BTreeSet<_> = view.touched_lanes.iter().chain(view.lanes.changed_keys()).collect();
    heads.rows(&SET_HEADS, touched, |set, (e, p)| set.row(&[e.as_str().into(), p.0.into()]));
    let connection = commit(tx, vec![before.texts, group.texts, heads.texts], ending).await?;
    Ok((feed, connection))
}

/// Feed positions that a batch takes.
fn taken(deliveries: &[&Delivery], referrals: &[&Referral]) -> i64 {
    i64::try_from(deliveries.len() + referrals.len()).unwrap_or(i64::MAX)
}

fn people(group: &mut Group, view: &View) {
    group.rows(&PUT_PATIENTS, view.patients.changed(), |set, p| {
        let d = &p.details;
        // Who was merged into another is recognised by nothing: all that was theirs leads there.
        let number = d.nhs_number.filter(|_| p.standing.merged_into.is_none());
        set.row(&[
            p.id.0.into(),
            p.trust.as_str().into(),
            number.as_ref().map(|n| n.as_str()).into(),
            folded_name(&d.name.family.0).as_str().into(),
            d.date_of_birth.0.to_string().as_str().into(),
            Cell::Heap(&payload(p)),
        ]);
    });
    group.rows(&ADD_PATIENT_VERSIONS, &view.patient_versions, |set, p| {
        set.row(&[p.id.0.into(), p.version.into(), Cell::Heap(&payload(p))]);
    });
    let identifiers = view.patients.changed().flat_map(|p| leads_to(p).into_iter().map(|key| (p.id, key)));
    group.rows(&ADD_IDENTIFIERS, identifiers, |set, (id, (trust, authority, kind, value))| {
        set.row(&[
            trust.as_str().into(),
            authority.as_str().into(),
            kind.as_str().into(),
            value.as_str().into(),
            id.0.into(),
        ]);
    });
}

/// Notes, outcomes, and what each version of them says.
fn written(group: &mut Group, view: &View) {
    group.rows(&PUT_NOTES, view.notes.changed(), |set, n| {
        set.row(&[
            n.id.0.into(),
            n.trust.as_str().into(),
            n.patient_id.0.into(),
            n.referral_id.0.into(),
            micros(n.occurred_at).into(),
            Cell::Heap(&payload(n)),
        ]);
    });
    group.rows(&PUT_OUTCOMES, view.outcomes.changed(), |set, o| {
        set.row(&[
            o.id.0.into(),
            o.trust.as_str().into(),
            o.patient_id.0.into(),
            o.referral_id.0.into(),
            Cell::Heap(&payload(o)),
        ]);
    });
    group.rows(&ADD_ENTRIES, view.entries.changed(), |set, e| {
        set.row(&[
            e.id.0.into(),
            e.trust.as_str().into(),
            e.patient_id.0.into(),
            e.referral_id.0.into(),
            e.subject.uuid().into(),
            e.version.into(),
            format!("{:?}", e.subject.kind()).as_str().into(),
            format!("{:?}", e.action()).as_str().into(),
            micros(e.recorded_at).into(),
            Cell::Heap(&payload(e)),
        ]);
    });
}

/// What sending leaves behind: renderings, attempts, replies, the timeline, lanes and gates.
fn sent(group: &mut Group, view: &View) {
    group.rows(&ADD_RENDERINGS, view.renderings.changed(), |set, r| {
        set.row(&[
            r.id.0.into(),
            r.delivery_id.0.into(),
            r.endpoint.as_str().into(),
            r.control_id.as_str().into(),
            micros(r.created_at).into(),
            Cell::Heap(&r.bytes.0),
            Cell::Heap(&payload(r)),
        ]);
    });
    group.rows(&PUT_ATTEMPTS, view.attempts.changed(), |set, a| {
        set.row(&[a.id.0.into(), a.delivery_id.0.into(), Cell::Heap(&payload(a))]);
    });
    group.rows(&ADD_REPLIES, &view.replies, |set, r| {
        set.row(&[
            r.id.0.into(),
            r.endpoint.as_str().into(),
            r.delivery_id.map(|d| d.0).into(),
            micros(r.received_at).into(),
            Cell::Heap(&r.bytes.0),
            Cell::Heap(&payload(r)),
        ]);
    });
    let names = view.record_names.changed_keys().into_iter();
    let names = names.filter_map(|key| Some((key, view.record_names.get(key)?)));
    group.rows(&ADD_RECORD_NAMES, names, |set, ((endpoint, kind, record_id), subject)| {
        set.row(&[endpoint.as_str().into(), kind.as_str().into(), record_id.as_str().into(), (*subject).into()]);
    });
    group.rows(&ADD_STEPS, &view.steps, |set, s| {
        set.row(&[
            s.delivery_id.0.into(),
            s.version.into(),
            micros(s.at).into(),
            s.state.word().into(),
            s.what.0.as_str().into(),
            s.by.as_str().into(),
        ]);
    });
    group.rows(&PUT_LANES, view.lanes.changed(), |set, l| {
        let lease = l.lease.as_ref();
        set.row(&[
            l.endpoint.as_str().into(),
            l.patient_id.0.into(),
            l.next_seq.into(),
            lease.map(|s| s.token.0).into(),
            lease.map(|s| micros(s.until)).into(),
            lease.map(|s| s.delivery_id.0).into(),
            l.moves_to.map(|(patient, _)| patient.0).into(),
            l.moves_to.map(|(_, by)| by).into(),
        ]);
    });
    group.rows(&PUT_ENDPOINTS, view.endpoints.changed(), |set, e| {
        set.row(&[e.id.as_str().into(), Cell::Heap(&payload(e))]);
    });
}

/// What came in, what was answered, and who did it.
fn accounts(group: &mut Group, view: &View, now: Timestamp) {
    group.rows(&PUT_INBOUND, view.inbound.changed(), |set, i| {
        set.row(&[
            i.id.0.into(),
            i.trust.as_str().into(),
            i.endpoint.as_str().into(),
            micros(i.received_at).into(),
            i.source.as_str().into(),
            i.control_id.as_str().into(),
            Cell::Hash(&i.content),
            i.state.word().into(),
            Cell::Heap(&i.bytes.0),
            Cell::Heap(&payload(i)),
            i.rule.as_deref().into(),
        ]);
    });
    let requests = view.requests.changed_keys().into_iter().filter_map(|key| Some((key, view.requests.get(key)?)));
    group.rows(&ADD_REQUESTS, requests, |set, (key, (content, answer))| {
        set.row(&[Cell::Hash(key), Cell::Hash(content), micros(now).into(), Cell::Heap(&payload(answer))]);
    });
    group.rows(&ADD_AUDITS, &view.audits, |set, a| {
        set.row(&[
            micros(a.at).into(),
            a.trust.as_str().into(),
            a.actor.principal.as_str().into(),
            a.actor.role.as_str().into(),
            a.action.into(),
            a.subject_kind.into(),
            a.subject_id.into(),
            a.patient_id.map(|p| p.0).into(),
            a.why.0.as_str().into(),
            a.outcome.into(),
        ]);
    });
}

/// The packs that endpoints were given, and those that no rollback reaches any more.
fn packs(group: &mut Group, view: &View, now: Timestamp) {
    let new = view.packs.iter().filter_map(|p| Some((&p.endpoint, p.new.as_ref()?)));
    group.rows(&ADD_PACKS, new, |set, (endpoint, (print, bytes))| {
        set.row(&[endpoint.as_str().into(), print.as_str().into(), micros(now).into(), Cell::Heap(&bytes.0)]);
    });
    for pack in &view.packs {
        let mut kept = RowSet::default();
        pack.kept.iter().for_each(|print| kept.key(print.as_str().into()));
        let mut arguments = kept.arguments();
        arguments.push(Argument::Text(pack.endpoint.as_str().to_owned()));
        group.run(&DROP_PACKS, arguments);
    }
}

fn delivery_row(set: &mut RowSet, view: &View, d: &Delivery, position: i64) {
    let predecessor = d.predecessor.and_then(|p| view.deliveries.get(&p));
    let waiting_for = d.park.as_ref().map(|_| format!("{:?}", d.waiting_for()));
    set.row(&[
        d.id.0.into(),
        d.entry_id.0.into(),
        d.subject.uuid().into(),
        d.trust.as_str().into(),
        d.patient_id.0.into(),
        d.endpoint.as_str().into(),
        d.lane_seq.into(),
        d.state.word().into(),
        d.park.as_ref().map(|p| p.reason.code()).into(),
        waiting_for.as_deref().into(),
        i64::from(chain::blocked(d.action, predecessor)).into(),
        micros(d.due_at()).into(),
        micros(d.created_at).into(),
        d.accepted_at.map(micros).into(),
        d.filed_at.map(micros).into(),
        position.into(),
        Cell::Heap(&payload(d)),
        d.ask_at().map(micros).into(),
    ]);
}

/// The JSON of a domain type, as text in its row.
fn payload<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our types have string keys and no failing serialisers")
}
