//! ReferralService.

use super::edge::{Caller, Streamed, service, whole};
use super::error::Error;
use super::token::{Binding, cut, page_size};
use super::watch;
use crate::adapter::form::{self, patient, person, referral, request};
use crate::domain::ids::{PatientId, ReferralId};
use crate::domain::organisation::{OdsCode, StaffId, TeamId};
use crate::domain::referral::{CloseReason, DeclineReason, ExternalId, Referral, ReferralState};
use crate::domain::rule::Violations;
use crate::store::NOT_A_TEAM;
use crate::store::read::{Page, ReferralFilter};
use crate::store::record::{Answer, Answered};
use crate::store::write::{AnswerReferral, ChangeReferral, CreateReferral, PatientIs, ReferralAnswer, ReferralChange};
use crate::wire::v1::{self, create_referral_request, get_referral_request::By};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

service! {
    referral_service_server::ReferralService for Referrals {
        create_referral(CreateReferralRequest) -> CreateReferralResponse = CREATE_REFERRAL;
        get_referral(GetReferralRequest) -> GetReferralResponse = GET_REFERRAL;
        list_referrals(ListReferralsRequest) -> ListReferralsResponse = LIST_REFERRALS;
        accept_referral(AcceptReferralRequest) -> AcceptReferralResponse = ACCEPT_REFERRAL;
        decline_referral(DeclineReferralRequest) -> DeclineReferralResponse = DECLINE_REFERRAL;
        assign_referral(AssignReferralRequest) -> AssignReferralResponse = ASSIGN_REFERRAL;
        close_referral(CloseReferralRequest) -> CloseReferralResponse = CLOSE_REFERRAL;
    }
    streams {
        WatchReferralsStream: watch_referrals(WatchReferralsRequest) -> WatchReferralsResponse = WATCH_REFERRALS;
    }
}

/// Clocks of two machines differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

fn soon(c: &Caller) -> Timestamp {
    c.now.checked_add(CLOCKS_DIFFER).unwrap_or(Timestamp::MAX)
}

async fn create_referral(c: Caller, m: v1::CreateReferralRequest) -> Result<v1::CreateReferralResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let trust = request::ods(&m.trust_ods, "trust_ods", &mut broken);
    let today = trust.as_ref().map_or_else(|| c.now.to_zoned(TimeZone::UTC).date(), |t| c.today(t));
    let patient = match &m.patient {
        None => {
            broken.add("patient", "is required: patient_id or patient_details");
            None
        }
        Some(create_referral_request::Patient::PatientId(id)) => {
            request::id::<PatientId>(id, "patient_id", &mut broken).map(PatientIs::Known)
        }
        Some(create_referral_request::Patient::PatientDetails(details)) => {
            patient::read_and_check(details, "patient_details", today, &mut broken)
                .map(|d| PatientIs::Described(Box::new(d)))
        }
    };
    let details = form::required(m.details.as_ref(), "details", &mut broken, referral::read_and_check);
    let received_at = request::optional_time(m.received_at.as_ref(), "received_at", &mut broken);
    if let Some(Some(at)) = received_at
        && (at > soon(&c) || at < long_ago(&c))
    {
        broken.add("received_at", "must not lie in the future, nor more than 10 years back");
    }
    if m.patient_deceased {
        broken.add("patient_deceased", referral::HAS_DIED);
    }
    let other_families = form::other_families(&m.other_family_names, &mut broken);
    if matches!(patient, Some(PatientIs::Known(_))) && m.other_family_names.iter().any(|n| !n.trim().is_empty()) {
        broken.add(
            "other_family_names",
            "only with patient_details: they are compared with those of the patient it finds",
        );
    }
    if !broken.is_empty() {
        // The store refuses it, but for a call that was answered before; what is wrong besides is said with the rest.
        let team = m.details.as_ref().and_then(|d| TeamId::parse(&d.team).ok());
        let rules = trust.as_ref().and_then(|t| c.rules.trusts.get(t));
        if team.is_some_and(|team| rules.is_some_and(|rules| !rules.has_team(&team))) {
            broken.add("details.team", NOT_A_TEAM);
        }
    }
    whole!(broken; key, trust, patient, details, received_at);
    let create = CreateReferral {
        call: c.write(key),
        trust,
        patient,
        other_families,
        location_shielded: m.location_shielded,
        details,
        received_at: received_at.unwrap_or(c.now),
        received_from: None,
    };
    let answered = c.store().create_referral(create).await?;
    Ok(v1::CreateReferralResponse { referral: Some(as_answered(&c, &answered).await?) })
}

fn long_ago(c: &Caller) -> Timestamp {
    let utc = c.now.to_zoned(TimeZone::UTC);
    utc.checked_sub(Span::new().years(10)).map_or(Timestamp::MIN, |z| z.timestamp())
}

/// The referral at the version it had when the call was first answered.
async fn as_answered(c: &Caller, answered: &Answered) -> Result<v1::Referral, Error> {
    let answer = answered.answer();
    let at = c.store().referral_at(&c.scope, ReferralId(answer.subject), answer.version).await?;
    let at = at.ok_or_else(|| Error::not_found("referral"))?;
    c.audit_repeat(answered, "referral.read", &at).await?;
    Ok(referral::show(&at))
}

async fn get_referral(c: Caller, m: v1::GetReferralRequest) -> Result<v1::GetReferralResponse, Error> {
    let found = match read_by(m.by.as_ref())? {
        Which::Id(id) => c.store().referral(&c.scope, id).await?,
        Which::External(trust, external) => c.store().referral_by_external(&c.scope, &trust, &external).await?,
    };
    let mut found = vec![found.ok_or_else(|| Error::not_found("referral"))?];
    touch(&c, &mut found).await?;
    c.audit("referral.read", &found).await?;
    let show = if c.is_masked() { referral::show_in_list } else { referral::show };
    Ok(v1::GetReferralResponse { referral: found.first().map(show) })
}

enum Which {
    Id(ReferralId),
    External(OdsCode, ExternalId),
}

fn read_by(by: Option<&By>) -> Result<Which, Error> {
    let mut broken = Violations::default();
    let which = match by {
        None => {
            broken.add("by", "is required: referral_id or external");
            None
        }
        Some(By::ReferralId(id)) => request::id(id, "referral_id", &mut broken).map(Which::Id),
        Some(By::External(external)) => {
            let trust = request::ods(&external.trust_ods, "external.trust_ods", &mut broken);
            let id = form::required(
                external.external_id.as_ref(),
                "external.external_id",
                &mut broken,
                person::read_external_id,
            );
            trust.zip(id).map(|(trust, id)| Which::External(trust, id))
        }
    };
    which.ok_or(Error::Broken(broken))
}

/// A note or an outcome touches its referral, too.
async fn touch(c: &Caller, referrals: &mut [Referral]) -> Result<(), Error> {
    let written = c.store().last_entries_at(referrals.iter().map(|r| r.id)).await?;
    for referral in referrals {
        if let Some(at) = written.get(&referral.id) {
            referral.touched_at = referral.touched_at.max(*at);
        }
    }
    Ok(())
}

async fn list_referrals(c: Caller, m: v1::ListReferralsRequest) -> Result<v1::ListReferralsResponse, Error> {
    let mut broken = Violations::default();
    let trust = given(&m.trust_ods, |t| request::ods(t, "trust_ods", &mut broken));
    let patient = given(&m.patient_id, |id| request::id::<PatientId>(id, "patient_id", &mut broken));
    let states = request::codes::<ReferralState>(&m.states, "states", &mut broken);
    let team = given(&m.team, |t| broken.check("team", TeamId::parse(t)));
    let assigned_to = given(&m.assigned_to_staff_id, |s| broken.check("assigned_to_staff_id", StaffId::parse(s)));
    if m.count_only && !m.page_token.is_empty() {
        broken.add("page_token", "is not for count_only");
    }
    // How many of one patient's are in a state says in which they are: that is read, and written down.
    if m.count_only && patient.flatten().is_some() {
        broken.add("patient_id", "is not for count_only: list them");
    }
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; trust, patient, states, team, assigned_to, size);
    if let Some(trust) = &trust {
        c.trust(trust)?;
    }
    if let Some(patient) = patient {
        c.store().patient(&c.scope, patient).await?.ok_or_else(|| Error::not_found("patient"))?;
    }
    let filter = v1::ListReferralsRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let after = binding.after(&m.page_token)?;
    let mut filter = ReferralFilter { trust, patient, states, team, assigned_to, untouched_since: None };
    if m.untouched_only {
        // Each trust has its own idea of forgotten: the shortest wait finds every candidate, then each is judged by its trust's.
        filter.untouched_since = untouched_since(&c, filter.trust.as_ref());
    }
    if m.count_only {
        let count = found(&c, &filter, m.untouched_only, COUNTED_MAX, None).await?.len();
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        return Ok(v1::ListReferralsResponse { count, ..Default::default() });
    }
    let mut found = found(&c, &filter, m.untouched_only, size + 1, after).await?;
    let next_page_token = cut(&mut found, size, |r: &Referral| binding.token(r.id.0.as_bytes()));
    touch(&c, &mut found).await?;
    c.audit("referral.list", &found).await?;
    let referrals = found.iter().map(referral::show_in_list).collect();
    Ok(v1::ListReferralsResponse { referrals, next_page_token, count: 0 })
}

/// So many are counted.
const COUNTED_MAX: u32 = 10_000;
/// Read at a time.
const READ_MAX: u32 = 201;

/// The first `want` at most, behind `after`.
async fn found(
    c: &Caller,
    filter: &ReferralFilter,
    untouched_only: bool,
    want: u32,
    mut after: Option<Uuid>,
) -> Result<Vec<Referral>, Error> {
    let mut found = Vec::new();
    loop {
        let size = want.saturating_sub(u32::try_from(found.len()).unwrap_or(want)).min(READ_MAX);
        let mut read = c.store().referrals(&c.scope, filter, Page { size, after }).await?;
        let Some(last) = read.last().map(|r| r.id.0) else { break };
        let full = read.len() >= size as usize;
        after = Some(last);
        if untouched_only {
            touch(c, &mut read).await?;
            read.retain(|r| r.touched_at < forgotten_since(c, &r.trust));
        }
        found.extend(read);
        if !full || found.len() >= want as usize {
            break;
        }
    }
    Ok(found)
}

/// `Some(None)`: left out. `None`: broken.
fn given<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}

/// Untouched since before then, a referral of this trust is a forgotten one.
fn forgotten_since(c: &Caller, trust: &OdsCode) -> Timestamp {
    let wait = c.rules.trusts.get(trust).map_or(Duration::ZERO, |t| t.untouched_after);
    c.now.checked_sub(wait).unwrap_or(Timestamp::MIN)
}

/// The latest time before which any of the caller's trusts calls a referral forgotten.
fn untouched_since(c: &Caller, trust: Option<&OdsCode>) -> Option<Timestamp> {
    match trust {
        Some(trust) => Some(forgotten_since(c, trust)),
        None => c.principal.trusts.iter().map(|t| forgotten_since(c, t)).max().or(Some(c.now)),
    }
}

async fn accept_referral(c: Caller, m: v1::AcceptReferralRequest) -> Result<v1::AcceptReferralResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id(&m.referral_id, "referral_id", &mut broken);
    let assigned_to = form::required(m.assigned_to.as_ref(), "assigned_to", &mut broken, person::read_author);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    whole!(broken; key, referral_id, assigned_to, author);
    let answer =
        AnswerReferral { call: c.write(key), referral_id, author, answer: ReferralAnswer::Accept { assigned_to } };
    let answered = c.store().answer_referral(answer).await?;
    let referral = Some(as_answered(&c, &answered).await?);
    Ok(v1::AcceptReferralResponse { referral, delivery_ids: delivery_ids(&c, answered.answer()).await? })
}

async fn decline_referral(c: Caller, m: v1::DeclineReferralRequest) -> Result<v1::DeclineReferralResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id(&m.referral_id, "referral_id", &mut broken);
    let reason = request::code::<DeclineReason>(m.reason, "reason", &mut broken);
    let text = request::optional_reason(m.reason_text.as_deref(), "reason_text", &mut broken);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    whole!(broken; key, referral_id, reason, text, author);
    let answer =
        AnswerReferral { call: c.write(key), referral_id, author, answer: ReferralAnswer::Decline { reason, text } };
    let answered = c.store().answer_referral(answer).await?;
    let referral = Some(as_answered(&c, &answered).await?);
    Ok(v1::DeclineReferralResponse { referral, delivery_ids: delivery_ids(&c, answered.answer()).await? })
}

/// Those of the reply's deliveries that the caller may see.
async fn delivery_ids(c: &Caller, answer: &Answer) -> Result<Vec<String>, Error> {
    if answer.deliveries.is_empty() {
        return Ok(Vec::new());
    }
    let seen = c.store().deliveries_by_id(&c.scope, &answer.deliveries).await?;
    Ok(seen.iter().map(|d| d.id.to_string()).collect())
}

async fn assign_referral(c: Caller, m: v1::AssignReferralRequest) -> Result<v1::AssignReferralResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id(&m.referral_id, "referral_id", &mut broken);
    let assigned_to = form::required(m.assigned_to.as_ref(), "assigned_to", &mut broken, person::read_author);
    whole!(broken; key, referral_id, assigned_to);
    let change = ChangeReferral { call: c.write(key), referral_id, change: ReferralChange::Assign(assigned_to) };
    let answered = c.store().change_referral(change).await?;
    Ok(v1::AssignReferralResponse { referral: Some(as_answered(&c, &answered).await?) })
}

async fn close_referral(c: Caller, m: v1::CloseReferralRequest) -> Result<v1::CloseReferralResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id(&m.referral_id, "referral_id", &mut broken);
    let reason = request::code::<CloseReason>(m.reason, "reason", &mut broken);
    let at = request::optional_time(m.closed_at.as_ref(), "closed_at", &mut broken);
    if at.flatten().is_some_and(|at| at > soon(&c)) {
        broken.add("closed_at", "must not lie in the future");
    }
    whole!(broken; key, referral_id, reason, at);
    let change = ChangeReferral { call: c.write(key), referral_id, change: ReferralChange::Close { reason, at } };
    let answered = c.store().change_referral(change).await?;
    Ok(v1::CloseReferralResponse { referral: Some(as_answered(&c, &answered).await?) })
}

async fn watch_referrals(
    c: Caller,
    m: v1::WatchReferralsRequest,
) -> Result<Streamed<v1::WatchReferralsResponse>, Error> {
    let mut broken = Violations::default();
    let trust = given(&m.trust_ods, |t| request::ods(t, "trust_ods", &mut broken));
    whole!(broken; trust);
    if let Some(trust) = &trust {
        c.trust(trust)?;
    }
    let filter = v1::WatchReferralsRequest { resume_token: String::new(), ..m.clone() };
    let binding = Arc::new(Binding::new(c.rpc, &c.principal, &filter));
    let position = watch::begin(&c, &binding, &m.resume_token).await?;
    Ok(watch::changes(c, position, move |c, position| changed(c, trust.clone(), binding.clone(), position)))
}

async fn changed(
    c: Caller,
    trust: Option<OdsCode>,
    binding: Arc<Binding>,
    position: i64,
) -> Result<Vec<(i64, v1::WatchReferralsResponse)>, Error> {
    let read = c.store().referrals_since(&c.scope, trust.as_ref(), position, watch::BATCH).await?;
    let (positions, mut referrals): (Vec<i64>, Vec<Referral>) = read.into_iter().unzip();
    touch(&c, &mut referrals).await?;
    c.audit("referral.watch", &referrals).await?;
    let show = if c.is_masked() { referral::show_in_list } else { referral::show };
    let responses = positions.into_iter().zip(&referrals).map(|(position, r)| {
        let resume_token = binding.token(&position.to_be_bytes());
        (position, v1::WatchReferralsResponse { referral: Some(show(r)), resume_token })
    });
    Ok(responses.collect())
}
