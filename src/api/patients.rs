//! PatientService.

use super::audit::Read;
use super::edge::{Caller, service, whole};
use super::error::Error;
use super::token::{Binding, cut, page_size};
use crate::adapter::form::{self, patient, person, request};
use crate::domain::ids::PatientId;
use crate::domain::nhs_number::NhsNumber;
use crate::domain::person::Patient;
use crate::domain::rule::Violations;
use crate::domain::text;
use crate::store::read::{Page, PatientBy};
use crate::store::write::UpdatePatient;
use crate::wire::v1::{self, find_patients_request::By};
use jiff::tz::TimeZone;

service! {
    patient_service_server::PatientService for Patients {
        get_patient(GetPatientRequest) -> GetPatientResponse = GET_PATIENT;
        find_patients(FindPatientsRequest) -> FindPatientsResponse = FIND_PATIENTS;
        update_patient(UpdatePatientRequest) -> UpdatePatientResponse = UPDATE_PATIENT;
    }
}

async fn get_patient(c: Caller, m: v1::GetPatientRequest) -> Result<v1::GetPatientResponse, Error> {
    let mut broken = Violations::default();
    let id = request::id::<PatientId>(&m.patient_id, "patient_id", &mut broken);
    whole!(broken; id);
    let patient = c.store().patient(&c.scope, id).await?.ok_or_else(|| Error::not_found("patient"))?;
    c.audit("patient.read", [&patient]).await?;
    Ok(v1::GetPatientResponse { patient: Some(patient::show(&patient)) })
}

async fn find_patients(c: Caller, m: v1::FindPatientsRequest) -> Result<v1::FindPatientsResponse, Error> {
    let mut broken = Violations::default();
    let trust = request::ods(&m.trust_ods, "trust_ods", &mut broken);
    let by = read_by(m.by.as_ref(), &mut broken);
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; trust, by, size);
    c.trust(&trust)?;
    let filter = v1::FindPatientsRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let page = Page { size: size + 1, after: binding.after(&m.page_token)? };
    let mut found = c.store().find_patients(&c.scope, &trust, &by, page).await?;
    let next_page_token = cut(&mut found, size, |p: &Patient| binding.token(p.id.0.as_bytes()));
    if found.is_empty() {
        // That somebody looked for a patient is worth a row, too.
        c.audit("patient.find", [Read { trust: &trust, kind: "patient", id: None, patient: None }]).await?;
    } else {
        c.audit("patient.find", &found).await?;
    }
    Ok(v1::FindPatientsResponse { patients: found.iter().map(patient::show).collect(), next_page_token })
}

fn read_by(by: Option<&By>, broken: &mut Violations) -> Option<PatientBy> {
    match by {
        None => {
            broken.add("by", "is required: nhs_number, local_identifier or name_and_birth");
            None
        }
        Some(By::NhsNumber(number)) => broken.check("nhs_number", NhsNumber::parse(number)).map(PatientBy::NhsNumber),
        Some(By::LocalIdentifier(id)) => {
            person::read_local_identifier(id, "local_identifier", broken).map(PatientBy::Local)
        }
        Some(By::NameAndBirth(name)) => {
            let family = broken.check("name_and_birth.family_name", text::family_name(&name.family_name, 80));
            let born = request::day(&name.date_of_birth, "name_and_birth.date_of_birth", broken);
            Some(PatientBy::NameAndBirth { family: family?.0, born: born? })
        }
    }
}

async fn update_patient(c: Caller, m: v1::UpdatePatientRequest) -> Result<v1::UpdatePatientResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let id = request::id::<PatientId>(&m.patient_id, "patient_id", &mut broken);
    let version_seen = request::version_seen(m.version_seen, &mut broken);
    // Its trust says which day it is there.
    let known = match id {
        Some(id) => c.store().patient(&c.scope, id).await?,
        None => None,
    };
    let today = known.as_ref().map_or_else(|| c.now.to_zoned(TimeZone::UTC).date(), |p| c.today(&p.trust));
    let read = |m: &v1::PatientDetails, at: &str, b: &mut Violations| patient::read_and_check(m, at, today, b);
    let details = form::required(m.details.as_ref(), "details", &mut broken, read);
    let reason = request::because(&m.reason, "reason", &mut broken);
    whole!(broken; key, id, version_seen, details, reason);
    let update = UpdatePatient { call: c.write(key), patient_id: id, version_seen, details, reason: reason.0 };
    let answered = c.store().update_patient(update).await?;
    let version = answered.answer().version;
    let patient = c.store().patient_at(&c.scope, id, version).await?.ok_or_else(|| Error::not_found("patient"))?;
    c.audit_repeat(&answered, "patient.read", &patient).await?;
    Ok(v1::UpdatePatientResponse { patient: Some(patient::show(&patient)) })
}
