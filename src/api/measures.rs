//! The IPS measures of a period, and the referrals behind each number.

use super::audit::Read;
use super::edge::{Caller, whole};
use super::error::Error;
use super::token::{Binding, cut, page_size};
use crate::adapter::form::{measure as shown, request};
use crate::domain::ids::{OutcomeId, ReferralId};
use crate::domain::measure::{Counted, MeasureKind, Measured, Period, measure};
use crate::domain::organisation::{OdsCode, TeamId};
use crate::domain::rule::Violations;
use crate::wire::v1;
use jiff::civil::{Date, date};
use uuid::Uuid;

pub async fn get_service_measures(
    c: Caller,
    m: v1::GetServiceMeasuresRequest,
) -> Result<v1::GetServiceMeasuresResponse, Error> {
    let mut broken = Violations::default();
    let trust = request::ods(&m.trust_ods, "trust_ods", &mut broken);
    let period = shown::read_period(&m.from, &m.to, &mut broken);
    let team = read_team(&m.team, &mut broken);
    whole!(broken; trust, period, team);
    let measured = compute(&c, &trust, team, period, MeasureKind::ALL.to_vec()).await?;
    c.audit("measures.read", [Read { trust: &trust, kind: "measures", id: None, patient: None }]).await?;
    Ok(v1::GetServiceMeasuresResponse { measures: measured.iter().map(shown::show).collect() })
}

pub async fn list_measure_referrals(
    c: Caller,
    m: v1::ListMeasureReferralsRequest,
) -> Result<v1::ListMeasureReferralsResponse, Error> {
    let mut broken = Violations::default();
    let trust = request::ods(&m.trust_ods, "trust_ods", &mut broken);
    let period = shown::read_period(&m.from, &m.to, &mut broken);
    let team = read_team(&m.team, &mut broken);
    let kind = shown::read_kind(m.kind, &mut broken);
    let side = shown::read_side(m.side, kind, &mut broken);
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; trust, period, team, kind, side, size);
    let filter = v1::ListMeasureReferralsRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let after = binding.position(&m.page_token)?.map(place);
    let measured = compute(&c, &trust, team, period, vec![kind]).await?;
    let list = measured.first().and_then(|m: &Measured| m.side(side)).unwrap_or_default();
    // Sorted by day, referral and job: what was counted meanwhile moves no other item from its page.
    let rest = list.iter().filter(|one| after.is_none_or(|after| key(one) > after));
    let mut page: Vec<Counted> = rest.take(size as usize + 1).copied().collect();
    let next_page_token = cut(&mut page, size, |one: &Counted| binding.token(&position(one)));
    let read = page.iter().map(|one| Read {
        trust: &trust,
        kind: "referral",
        id: Some(one.referral_id.0),
        patient: Some(one.patient_id),
    });
    c.audit("measures.list", read).await?;
    Ok(v1::ListMeasureReferralsResponse { referrals: page.iter().map(shown::show_counted).collect(), next_page_token })
}

/// `Some(None)`: all teams. `None`: broken.
fn read_team(team: &str, broken: &mut Violations) -> Option<Option<TeamId>> {
    if team.is_empty() { Some(None) } else { broken.check("team", TeamId::parse(team)).map(Some) }
}

/// Everything a trust has is read for it, so one call at a time.
async fn compute(
    c: &Caller,
    trust: &OdsCode,
    team: Option<TeamId>,
    period: Period,
    kinds: Vec<MeasureKind>,
) -> Result<Vec<Measured>, Error> {
    let _alone =
        c.edge.measures.acquire().await.map_err(|_| Error::Internal("measures are no longer computed".into()))?;
    let mut facts = c.store().trust_facts(&c.scope, trust).await?.ok_or_else(|| Error::not_found("trust"))?;
    let (tz, today) = (c.time_zone(trust), c.today(trust));
    let compute = move || {
        facts.retain(|f| team.as_ref().is_none_or(|team| f.team == *team));
        kinds.into_iter().map(|kind| measure(kind, &facts, period, &tz, today)).collect()
    };
    // Arithmetic over years of notes: not on a thread that others' calls wait for.
    tokio::task::spawn_blocking(compute).await.map_err(|_| Error::Internal("the measures could not be computed".into()))
}

type Key = (Date, ReferralId, Option<OutcomeId>);

fn key(one: &Counted) -> Key {
    (one.on, one.referral_id, one.job_id)
}

/// Days since year 1, the referral, and the job or nothing.
fn position(one: &Counted) -> [u8; 36] {
    let days = (one.on - FIRST_DAY).get_days().to_be_bytes();
    let job = one.job_id.map_or(Uuid::nil(), |j| j.0);
    let bytes = [&days[..], one.referral_id.0.as_bytes(), job.as_bytes()].concat();
    bytes.try_into().expect("4 + 16 + 16 bytes")
}

const FIRST_DAY: Date = date(1, 1, 1);

fn place(position: [u8; 36]) -> Key {
    let uuid = |at: usize| Uuid::from_bytes(position[at..at + 16].try_into().expect("16 bytes"));
    let days = i32::from_be_bytes(position[..4].try_into().expect("4 bytes"));
    let job = uuid(20);
    // A day that no calendar has can only be forged: it is the first.
    let on = jiff::Span::new().try_days(days).map_or(FIRST_DAY, |d| FIRST_DAY.saturating_add(d));
    (on, ReferralId(uuid(4)), (!job.is_nil()).then_some(OutcomeId(job)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::PatientId;

    #[test]
    fn a_position_leads_back_to_its_place() {
        for job_id in [None, Some(OutcomeId(Uuid::from_u128(9)))] {
            let one = Counted {
                referral_id: ReferralId(Uuid::from_u128(7)),
                patient_id: PatientId(Uuid::nil()),
                job_id,
                on: date(2026, 3, 29),
            };
            assert_eq!(place(position(&one)), key(&one));
        }
    }
}
