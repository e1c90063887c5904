//! OutcomeService: employment outcomes. The measures stand beside it.

use super::delivery::show;
use super::edge::{Caller, service, whole};
use super::error::Error;
use super::measures::{get_service_measures, list_measure_referrals};
use super::notes::{exists, newest};
use super::token::{Binding, cut, page_size};
use crate::adapter::form::{self, View, outcome, person, request};
use crate::domain::entry::Entry;
use crate::domain::ids::{OutcomeId, ReferralId};
use crate::domain::note::{Action, WithdrawReason};
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::{Outcome, OutcomeContent, OutcomeVersion};
use crate::domain::rule::Violations;
use crate::store::read::{Page, SubjectFilter};
use crate::store::record::Answered;
use crate::store::write::{CorrectOutcome, RecordOutcome, WithdrawOutcome};
use crate::wire::v1::{self, list_outcomes_request::Of};
use jiff::Timestamp;
use jiff::tz::TimeZone;

service! {
    outcome_service_server::OutcomeService for Outcomes {
        record_outcome(RecordOutcomeRequest) -> RecordOutcomeResponse = RECORD_OUTCOME;
        correct_outcome(CorrectOutcomeRequest) -> CorrectOutcomeResponse = CORRECT_OUTCOME;
        withdraw_outcome(WithdrawOutcomeRequest) -> WithdrawOutcomeResponse = WITHDRAW_OUTCOME;
        get_outcome(GetOutcomeRequest) -> GetOutcomeResponse = GET_OUTCOME;
        list_outcomes(ListOutcomesRequest) -> ListOutcomesResponse = LIST_OUTCOMES;
        get_service_measures(GetServiceMeasuresRequest) -> GetServiceMeasuresResponse = GET_SERVICE_MEASURES;
        list_measure_referrals(ListMeasureReferralsRequest) -> ListMeasureReferralsResponse = LIST_MEASURE_REFERRALS;
    }
}

async fn record_outcome(c: Caller, m: v1::RecordOutcomeRequest) -> Result<v1::RecordOutcomeResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id::<ReferralId>(&m.referral_id, "referral_id", &mut broken);
    let trust = match referral_id {
        Some(id) => c.store().referral(&c.scope, id).await?.map(|r| r.trust),
        None => None,
    };
    let expected =
        form::required(m.expected_patient.as_ref(), "expected_patient", &mut broken, person::read_expected_patient);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let content = read_content(&c, m.content.as_ref(), trust.as_ref(), &mut broken);
    whole!(broken; key, referral_id, expected, author, content);
    let occurred_at = midnight(&c, trust.as_ref(), &content);
    let rules = c.rules.clone();
    let record = RecordOutcome { call: c.write(key), rules, referral_id, expected, author, content, occurred_at };
    let answered = c.store().record_outcome(record).await?;
    let (outcome, deliveries) = as_answered(&c, &answered).await?;
    Ok(v1::RecordOutcomeResponse { outcome: Some(outcome), deliveries })
}

async fn correct_outcome(c: Caller, m: v1::CorrectOutcomeRequest) -> Result<v1::CorrectOutcomeResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let outcome_id = request::id::<OutcomeId>(&m.outcome_id, "outcome_id", &mut broken);
    let known = match outcome_id {
        Some(id) => c.store().outcome(&c.scope, id).await?,
        None => None,
    };
    let trust = known.as_ref().map(|o| o.trust.clone());
    let version_seen = request::version_seen(m.version_seen, &mut broken);
    let expected =
        form::required(m.expected_patient.as_ref(), "expected_patient", &mut broken, person::read_expected_patient);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let content = read_content(&c, m.content.as_ref(), trust.as_ref(), &mut broken);
    let reason = request::reason(&m.reason, "reason", &mut broken);
    whole!(broken; key, outcome_id, version_seen, expected, author, content, reason);
    let occurred_at = midnight(&c, trust.as_ref(), &content);
    let call = c.write(key);
    let correct = CorrectOutcome { call, outcome_id, version_seen, expected, author, content, occurred_at, reason };
    let answered = c.store().correct_outcome(correct).await?;
    let (outcome, deliveries) = as_answered(&c, &answered).await?;
    Ok(v1::CorrectOutcomeResponse { outcome: Some(outcome), deliveries })
}

async fn withdraw_outcome(c: Caller, m: v1::WithdrawOutcomeRequest) -> Result<v1::WithdrawOutcomeResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let outcome_id = request::id(&m.outcome_id, "outcome_id", &mut broken);
    let version_seen = request::version_seen(m.version_seen, &mut broken);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let reason = request::code::<WithdrawReason>(m.reason, "reason", &mut broken);
    let explanation = request::explanation(m.explanation.as_deref(), "explanation", &mut broken);
    whole!(broken; key, outcome_id, version_seen, author, reason, explanation);
    let withdraw = WithdrawOutcome { call: c.write(key), outcome_id, version_seen, author, reason, explanation };
    let answered = c.store().withdraw_outcome(withdraw).await?;
    let (outcome, deliveries) = as_answered(&c, &answered).await?;
    Ok(v1::WithdrawOutcomeResponse { outcome: Some(outcome), deliveries })
}

/// `trust`: where it is today. Not known (a foreign referral, to be refused later): the bridge's own today.
fn read_content(
    c: &Caller,
    content: Option<&v1::OutcomeContent>,
    trust: Option<&OdsCode>,
    broken: &mut Violations,
) -> Option<OutcomeContent> {
    let today = trust.map_or_else(|| c.now.to_zoned(TimeZone::UTC).date(), |t| c.today(t));
    let read = |m: &v1::OutcomeContent, at: &str, b: &mut Violations| outcome::read_and_check(m, at, today, b);
    form::required(content, "content", broken, read)
}

/// An outcome has a day, no hour: the beginning of the day in the trust's time zone stands for it.
fn midnight(c: &Caller, trust: Option<&OdsCode>, content: &OutcomeContent) -> Timestamp {
    let tz = trust.map_or(TimeZone::UTC, |t| c.time_zone(t));
    content.kind.on().to_zoned(tz).map_or(c.now, |z| z.timestamp())
}

/// The outcome at the version it had when the call was first answered, and its deliveries as they stood then.
async fn as_answered(c: &Caller, answered: &Answered) -> Result<(v1::Outcome, Vec<v1::Delivery>), Error> {
    let answer = answered.answer();
    let id = OutcomeId(answer.subject);
    let outcome = c.store().outcome(&c.scope, id).await?.ok_or_else(|| Error::not_found("outcome"))?;
    let entries = c.store().versions(&c.scope, [id.0]).await?;
    let versions: Vec<OutcomeVersion> =
        entries.iter().filter_map(Entry::outcome_version).filter(|v| v.number <= answer.version).collect();
    let withdrawn = versions.last().is_some_and(|v| matches!(v.action, Action::Withdraw { .. }));
    let outcome = Outcome { version: answer.version, withdrawn, ..outcome };
    c.audit_repeat(answered, "outcome.read", &outcome).await?;
    Ok((outcome::show(&outcome, &versions, View::Full), show::as_first_answered(c, &answer.deliveries).await?))
}

async fn get_outcome(c: Caller, m: v1::GetOutcomeRequest) -> Result<v1::GetOutcomeResponse, Error> {
    let mut broken = Violations::default();
    let id = request::id::<OutcomeId>(&m.outcome_id, "outcome_id", &mut broken);
    whole!(broken; id);
    let outcome = c.store().outcome(&c.scope, id).await?.ok_or_else(|| Error::not_found("outcome"))?;
    let entries = c.store().versions(&c.scope, [id.0]).await?;
    let deliveries = c.store().deliveries_of(&c.scope, [id.0]).await?;
    c.audit("outcome.read", [&outcome]).await?;
    let versions: Vec<OutcomeVersion> = entries.iter().filter_map(Entry::outcome_version).collect();
    let view = if c.is_masked() { View::Basic } else { View::Full };
    Ok(v1::GetOutcomeResponse {
        outcome: Some(outcome::show(&outcome, &versions, view)),
        deliveries: deliveries.iter().map(|d| show::delivery(&c, d)).collect(),
    })
}

async fn list_outcomes(c: Caller, m: v1::ListOutcomesRequest) -> Result<v1::ListOutcomesResponse, Error> {
    let mut broken = Violations::default();
    let of = match &m.of {
        None => {
            broken.add("of", "is required: referral_id or patient_id");
            None
        }
        Some(Of::ReferralId(id)) => request::id(id, "referral_id", &mut broken).map(SubjectFilter::Referral),
        Some(Of::PatientId(id)) => request::id(id, "patient_id", &mut broken).map(SubjectFilter::Patient),
    };
    let view = broken.check("view", form::codes::view(m.view));
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; of, view, size);
    exists(&c, of).await?;
    let filter = v1::ListOutcomesRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let page = Page { size: size + 1, after: binding.after(&m.page_token)? };
    let mut outcomes = c.store().outcomes(&c.scope, of, page).await?;
    let next_page_token = cut(&mut outcomes, size, |o: &Outcome| binding.token(o.id.0.as_bytes()));
    let newest = newest(&c, outcomes.iter().map(|o| o.id.0)).await?;
    c.audit("outcome.list", &outcomes).await?;
    let view = if c.is_masked() { View::Basic } else { view };
    let outcomes = outcomes.iter().map(|o| {
        let version = newest.get(&o.id.0).and_then(Entry::outcome_version);
        outcome::show(o, version.as_slice(), view)
    });
    Ok(v1::ListOutcomesResponse { outcomes: outcomes.collect(), next_page_token })
}
