//! Patients and referrals: who is recognised, and who is not.

use super::bridge::Episode;
use super::*;
use ips_bridge::domain::organisation::OdsCode;
use ips_bridge::domain::person::PatientDetails;
use ips_bridge::domain::referral::{ExternalId, ReferralDetails};
use ips_bridge::domain::text::Private;
use ips_bridge::store::record::Answered;
use ips_bridge::store::write::{CreateReferral, PatientIs, UpdatePatient};
use ips_bridge::store::{Refusal, Scope, WriteError};

pub async fn update(bridge: &Bridge, of: &Episode, seen: i64, details: PatientDetails) -> Result<Answered, WriteError> {
    let update = UpdatePatient {
        call: call(&of.trust),
        patient_id: of.patient,
        version_seen: seen,
        details,
        reason: "told us".into(),
    };
    bridge.store.update_patient(update).await
}

#[tokio::test]
async fn the_same_person_at_two_trusts_is_two_patients() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let here = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let again = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let there = bridge.refer(&ry9(), numbered("9990000018"), "east").await;
        assert_eq!(here.patient, again.patient);
        assert_ne!(here.patient, there.patient);
        bridge.close().await;
    }
}

/// The writer remembers whom the identifiers of the last messages lead to, also where it is nobody.
#[tokio::test]
async fn whom_an_identifier_leads_to_is_not_remembered_beyond_a_change() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (mut details, local) = (numbered("9990000018"), person().local_identifiers);
        for _ in 0..2 {
            let referral = bridge.referral(&rx9(), numbered("9990000018"), "east");
            let refused = bridge.store.create_referral(CreateReferral { call: call(&ry9()), ..referral }).await;
            assert_eq!(refused, Err(Refusal::NotFound("trust").into()), "looked for, and nothing made");
        }
        let of = bridge.refer(&rx9(), details.clone(), "east").await;
        assert_eq!(bridge.refer(&rx9(), details.clone(), "east").await.patient, of.patient, "by now there is somebody");
        let by_local = PatientDetails { local_identifiers: local.clone(), ..person() };
        let other = bridge.refer(&rx9(), by_local.clone(), "east").await;
        assert_eq!(bridge.refer(&rx9(), by_local.clone(), "east").await.patient, other.patient);
        details.local_identifiers = local;
        let refused = bridge.store.create_referral(bridge.referral(&rx9(), details.clone(), "east")).await;
        assert_eq!(refused, Err(Refusal::IdentifierTaken.into()));
        // It was the first one's all along.
        update(&bridge, &other, 1, person()).await.unwrap();
        assert_eq!(bridge.refer(&rx9(), details, "east").await.patient, of.patient, "given up");
        bridge.close().await;
    }
}

#[tokio::test]
async fn identifiers_that_disagree_recognise_nobody() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let other = bridge.refer(&rx9(), person(), "east").await;
        let told = async |details: PatientDetails| {
            let result = bridge.store.create_referral(bridge.referral(&rx9(), details, "east")).await;
            result.expect_err("nobody is recognised")
        };
        // Who was picked agrees, and only the identifier beside is another's.
        let mut mixed = numbered("9990000018");
        mixed.local_identifiers.clone_from(&other.details.local_identifiers);
        assert_eq!(told(mixed.clone()).await, Refusal::IdentifierTaken.into());
        let mut younger = numbered("9990000018");
        younger.date_of_birth.0 = jiff::civil::date(2001, 1, 1);
        assert_eq!(told(younger.clone()).await, Refusal::PatientMismatch.into());
        mixed.date_of_birth = younger.date_of_birth;
        assert_eq!(told(mixed).await, Refusal::PatientMismatch.into());
        bridge.close().await;
    }
}

#[tokio::test]
async fn of_two_local_identifiers_the_one_that_is_anothers_is_taken_whichever_comes_first() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let one = bridge.refer(&rx9(), person(), "east").await.details;
        let mut other = person();
        other.local_identifiers[0].assigning_authority = "elsewhere".into();
        other.name.family = Private("Somebody".into());
        bridge.refer(&rx9(), other.clone(), "east").await;
        let ids = [one.local_identifiers[0].clone(), other.local_identifiers[0].clone()];
        for (family, refusal) in [
            (&one.name.family, Refusal::IdentifierTaken),
            (&other.name.family, Refusal::IdentifierTaken),
            (&Private("Nobody".into()), Refusal::PatientMismatch),
        ] {
            for local_identifiers in [vec![ids[0].clone(), ids[1].clone()], vec![ids[1].clone(), ids[0].clone()]] {
                let mut both = PatientDetails { local_identifiers, ..person() };
                both.name.family = family.clone();
                let told = bridge.store.create_referral(bridge.referral(&rx9(), both, "east")).await;
                assert_eq!(told, Err(refusal.clone().into()));
            }
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_identifier_given_up_can_be_anothers_at_once() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let one = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let mut details = numbered("9990000026");
        details.local_identifiers = person().local_identifiers;
        update(&bridge, &one, 1, details.clone()).await.unwrap();
        // Together, so that they may share a commit: whichever comes first, the second sees it.
        let mut changed = details.clone();
        changed.nhs_number = numbered("9990000034").nhs_number;
        changed.local_identifiers.clear();
        let mut somebody = numbered("9990000026");
        somebody.local_identifiers.clone_from(&details.local_identifiers);
        let (freed, made) = tokio::join!(
            update(&bridge, &one, 2, changed),
            bridge.store.create_referral(bridge.referral(&rx9(), somebody.clone(), "east"))
        );
        freed.unwrap();
        let made = made.unwrap();
        let made = bridge
            .store
            .referral(&Scope::system(), ips_bridge::domain::ids::ReferralId(made.answer().subject))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(made.patient_id, one.patient);
        let taken = update(&bridge, &one, 3, somebody).await;
        assert_eq!(taken, Err(Refusal::IdentifierTaken.into()));
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_update_must_have_seen_the_version_it_changes() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let (a, b) =
            tokio::join!(update(&bridge, &of, 1, of.details.clone()), update(&bridge, &of, 1, of.details.clone()));
        assert!(a.is_ok() != b.is_ok());
        assert_eq!(a.and(b), Err(Refusal::VersionConflict { seen: 1, now: 2 }.into()));
        for version in [1, 2] {
            let then = bridge.store.patient_at(&Scope::system(), of.patient, version).await.unwrap().unwrap();
            assert_eq!(then.version, version);
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_external_id_names_one_referral_of_a_trust() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let external = ExternalId { system: "ers".into(), value: Private("UBRN 1".into()) };
        let with = |trust: &OdsCode, details: PatientDetails| CreateReferral {
            details: ReferralDetails { external_ids: vec![external.clone()], ..referred("east") },
            ..bridge.referral(trust, details, "east")
        };
        let first = bridge.store.create_referral(with(&rx9(), person())).await.unwrap();
        let first = ips_bridge::domain::ids::ReferralId(first.answer().subject);
        let second = bridge.store.create_referral(with(&rx9(), person())).await;
        assert_eq!(second, Err(Refusal::ExternalIdTaken(first).into()));
        bridge.store.create_referral(with(&ry9(), person())).await.unwrap();
        let found = bridge.store.referral_by_external(&Scope::trusts([rx9()]), &rx9(), &external).await.unwrap();
        assert_eq!(found.unwrap().id, first);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_referral_for_a_known_patient_needs_that_patient() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let known = |trust: &OdsCode| CreateReferral {
            patient: PatientIs::Known(of.patient),
            ..bridge.referral(trust, person(), "east")
        };
        assert!(bridge.store.create_referral(known(&rx9())).await.is_ok());
        assert_eq!(bridge.store.create_referral(known(&ry9())).await, Err(Refusal::NotFound("patient").into()));
        bridge.close().await;
    }
}
