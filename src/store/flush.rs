//! Writes what a batch changed, whatever it is, in one statement, and in one more the heads of the lanes it touched.

use super::commit::{Texts, commit};
use super::dialect::{Kept, Statement, Tx};
use super::puts::*;
use super::recent::Feed;
use super::record::{Attempt, Inbound};
use super::rows::{View, leads_to};
use super::rowset::{Argument, Cell, RowSet};
use super::write::Forget;
use super::writer::Failed;
use crate::domain::ambient::micros;
use crate::domain::chain;
use crate::domain::delivery::Delivery;
use crate::domain::note::Note;
use crate::domain::outcome::Outcome;
use crate::domain::person::Patient;
use crate::domain::referral::Referral;
use crate::domain::text::folded_name;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio::sync::Notify;

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
    let mut position = feed.position;
    let mut next = || {
        position += 1;
        position
    };
    // Before there are any under these ids.
    let mut before = step();
    before.rows(&NO_SUCH_MESSAGES, &view.taken_for_new.control_ids, |set, (endpoint, source, control_id)| {
        set.row(&[endpoint.as_str().into(), source.as_str().into(), control_id.as_str().into()]);
    });
    // What led to a patient before may lead to another now: taken away first.
    for forget in &view.forget {
        match forget {
            Forget::Requests(keys) => before.rows(&DROP_REQUESTS, keys, |set, key| set.row(&[Cell::Hash(key)])),
            Forget::Ignored(ids) => before.rows(&FORGET_IGNORED, ids, |set, id| set.key(id.0.into())),
        }
    }
    before.rows(&DROP_IDENTIFIERS, view.patients.changed(), |set, p| set.key(p.id.0.into()));
    let mut group = step();
    people(&mut group, view);
    group.rows(&ADD_REFERRALS, view.referrals.added(), |set, r| referral_row(set, r, next()));
    group.rows(&PUT_REFERRALS, view.referrals.replaced(), |set, r| referral_row(set, r, next()));
    group.rows(&ADD_REFERRAL_VERSIONS, &view.referral_versions, |set, r| {
        set.row(&[r.id.0.into(), r.version.into(), Cell::Payload(r)]);
    });
    // Only a new referral brings external ids: one that another referral has by now is a conflict, not passed over.
    let new = view.referral_versions.iter().filter(|r| r.version == 1);
    group.rows(&ADD_EXTERNALS, new.flat_map(|r| r.details.external_ids.iter().map(move |e| (r, e))), |set, (r, e)| {
        set.row(&[r.trust.as_str().into(), e.system.as_str().into(), e.value.0.as_str().into(), r.id.0.into()]);
    });
    written(&mut group, view);
    let (placed, kept): (Vec<_>, Vec<_>) = view.deliveries.replaced().partition(|d| view.placed.contains(&d.id));
    group.rows(&ADD_DELIVERIES, view.deliveries.added(), |set, d| delivery_row(set, view, d, next()));
    group.rows(&PLACE_DELIVERIES, placed, |set, d| delivery_row(set, view, d, next()));
    group.rows(&PUT_DELIVERIES, kept, |set, d| delivery_row(set, view, d, next()));
    sent(&mut group, view);
    accounts(&mut group, view, now);
    packs(&mut group, view, now);
    group.run(&COUNT, vec![Argument::Int(position - feed.position), Argument::Int(view.opened)]);
    let feed = Feed { position, open: feed.open + view.opened, commits: feed.commits + 1 };
    // The heads rest on what was written.
    let mut heads = step();
    let touched: BTreeSet<_> = view.touched_lanes.iter().chain(view.lanes.changed_keys()).collect();
    let mut lanes = RowSet::default();
    touched.into_iter().for_each(|(e, p)| lanes.row(&[e.as_str().into(), p.0.into()]));
    if !lanes.is_empty() {
        let mut arguments = lanes.arguments();
        arguments.push(Argument::Int(micros(now)));
        // PostgreSQL looks at its own clock for both.
        arguments.push(Argument::Int(if postgres { 0 } else { view.now - view.lease_clock }));
        heads.run(&SET_HEADS, arguments);
    }
    let connection = commit(tx, vec![before.texts, group.texts, heads.texts], ending).await?;
    Ok((feed, connection))
}

fn people(group: &mut Group, view: &View) {
    // One statement for all: who takes over an NHS number comes after who gives it up.
    group.rows(&PUT_PATIENTS, view.patients.changed(), patient_row);
    group.rows(&ADD_PATIENT_VERSIONS, &view.patient_versions, |set, p| {
        set.row(&[p.id.0.into(), p.version.into(), Cell::Payload(p)]);
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
    group.rows(&ADD_NOTES, view.notes.added(), note_row);
    group.rows(&PUT_NOTES, view.notes.replaced(), note_row);
    group.rows(&ADD_OUTCOMES, view.outcomes.added(), outcome_row);
    group.rows(&PUT_OUTCOMES, view.outcomes.replaced(), outcome_row);
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
            Cell::Payload(e),
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
            Cell::Payload(r),
        ]);
    });
    group.rows(&ADD_ATTEMPTS, view.attempts.added(), attempt_row);
    group.rows(&PUT_ATTEMPTS, view.attempts.replaced(), attempt_row);
    group.rows(&ADD_REPLIES, &view.replies, |set, r| {
        set.row(&[
            r.id.0.into(),
            r.endpoint.as_str().into(),
            r.delivery_id.map(|d| d.0).into(),
            micros(r.received_at).into(),
            Cell::Heap(&r.bytes.0),
            Cell::Payload(r),
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
        set.row(&[e.id.as_str().into(), Cell::Payload(e)]);
    });
}

/// What came in, what was answered, and who did it.
fn accounts(group: &mut Group, view: &View, now: Timestamp) {
    group.rows(&ADD_INBOUND, view.inbound.added(), inbound_row);
    group.rows(&PUT_INBOUND, view.inbound.replaced(), inbound_row);
    let requests = view.requests.changed_keys().into_iter().filter_map(|key| Some((key, view.requests.get(key)?)));
    group.rows(&ADD_REQUESTS, requests, |set, (key, (content, answer))| {
        set.row(&[Cell::Hash(key), Cell::Hash(content), micros(now).into(), Cell::Payload(answer)]);
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

fn patient_row(set: &mut RowSet, p: &Patient) {
    let d = &p.details;
    // Who was merged into another is recognised by nothing: all that was theirs leads there.
    let number = d.nhs_number.filter(|_| p.standing.merged_into.is_none());
    set.row(&[
        p.id.0.into(),
        p.trust.as_str().into(),
        number.as_ref().map(|n| n.as_str()).into(),
        folded_name(&d.name.family.0).as_str().into(),
        d.date_of_birth.0.to_string().as_str().into(),
        Cell::Payload(p),
    ]);
}

fn referral_row(set: &mut RowSet, r: &Referral, position: i64) {
    set.row(&[
        r.id.0.into(),
        r.trust.as_str().into(),
        r.patient_id.0.into(),
        r.state.word().into(),
        r.details.team.as_str().into(),
        r.assigned_to.as_ref().map(|a| a.staff_id.as_str()).into(),
        micros(r.received_at).into(),
        micros(r.touched_at).into(),
        position.into(),
        Cell::Payload(r),
    ]);
}

fn note_row(set: &mut RowSet, n: &Note) {
    set.row(&[
        n.id.0.into(),
        n.trust.as_str().into(),
        n.patient_id.0.into(),
        n.referral_id.0.into(),
        micros(n.occurred_at).into(),
        Cell::Payload(n),
    ]);
}

fn outcome_row(set: &mut RowSet, o: &Outcome) {
    set.row(&[o.id.0.into(), o.trust.as_str().into(), o.patient_id.0.into(), o.referral_id.0.into(), Cell::Payload(o)]);
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
        Cell::Payload(d),
        d.ask_at().map(micros).into(),
        d.release_at.map(micros).into(),
    ]);
}

fn attempt_row(set: &mut RowSet, a: &Attempt) {
    set.row(&[a.id.0.into(), a.delivery_id.0.into(), Cell::Payload(a)]);
}

fn inbound_row(set: &mut RowSet, i: &Inbound) {
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
        Cell::Payload(i),
        i.rule.as_deref().into(),
    ]);
}
