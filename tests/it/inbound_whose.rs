//! Whose a message is: what may be about one of ours is never forgotten, and nobody's record is changed by what may be somebody else's.

use crate::inbound_patients::{PID, adt, last, message, mrn, nobody, patient, quiet, somebody, state, tell};
use crate::store::raw;
use crate::support::bridge::{self, Bridge, Tweaks, endpoint_id, trust};
use crate::support::stores;
use ips_bridge::domain::accept::{Accept, AcceptRule};
use ips_bridge::domain::ids::PatientId;
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::domain::organisation::TeamId;
use ips_bridge::domain::person::Patient;
use ips_bridge::domain::referral::{ExternalId, ReferralDetails};
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::Source;
use ips_bridge::store::Scope;
use ips_bridge::store::write::HeardOfDeath;
use std::collections::BTreeSet;

pub const DIED: &str = "||||||||||||||||||||||20260301|Y";

#[tokio::test]
async fn a_death_of_ours_under_a_type_we_do_not_know_is_kept_for_a_person() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for identifiers in [
            "A1^^^RZ9^PI",
            "A1^^^RZ9^HOSPITALNUMBEROFTHEWEST",
            "9990000018^^^SOMEBODY^NUMBER",
            "Z7^^^ELSE^MR~999 000 0018^^^GREAT BRITAIN^NUMBER",
            "9990000018",
        ] {
            let died = format!("PID|1||{identifiers}||TESTPATIENT^ALEX^^^^^L||19850412{DIED}");
            assert_eq!(tell(&source, adt("A31", 5, &died)).await, "AE", "{identifiers}");
            let kept = last(&bridge).await;
            assert!(kept.state.word() == "PARKED" && !kept.bytes.0.is_empty(), "{identifiers}: {}", kept.reason);
            assert!(!patient(&bridge).await.standing.deceased());
        }
        let visit = format!("PID|1||A1^^^RZ9^VN||STRANGER^SUSAN^^^^^L||19700101{DIED}");
        assert_eq!(tell(&source, adt("A31", 5, &visit)).await, "AA");
        assert_eq!(state(&last(&bridge).await).0, "IGNORED", "a visit's number is nobody's");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_number_given_out_twice_changes_nobody() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for (name, born) in [
            ("WRONG^EVE^^^^^L", "19600101"),
            ("WRONG^EVE^^^^^L", ""),
            ("WRONG^EVE^^^^^L", "1960"),
            ("WRONG^EVE^^^^^CURRENT~OLDER^EVE^^^^^PREVIOUS", "19600101"),
            ("WRONG^EVE^^^^^CURRENT~OLDER^EVE^^^^^PREVIOUS", "1985"),
            ("WRONG^EVE^^^^^L", "600101"),
            ("^^^^^^L", "19600101"),
        ] {
            for trigger in ["A31", "A08", "A28"] {
                let theirs = format!("PID|1||A1^^^RZ9^MR||{name}||{born}{DIED}");
                assert_eq!(tell(&source, adt(trigger, 5, &theirs)).await, "AE", "{name} {born}");
                assert_eq!(state(&last(&bridge).await).0, "PARKED");
            }
            let now = patient(&bridge).await;
            assert!(!now.standing.deceased() && now.details == somebody("A1"), "{name} {born}");
        }
        // Married, or a date put right: one of the two agrees.
        assert_eq!(tell(&source, adt("A31", 6, "PID|1||A1^^^RZ9^MR||WED^ALEX^^^^^L||19850412")).await, "AA");
        assert_eq!(patient(&bridge).await.details.name.family, Private("WED".into()));
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_merge_of_a_record_known_under_another_type_is_held() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let survivor = "PID|1||B2^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412";
        assert_eq!(tell(&source, adt("A40", 5, &format!("{survivor}\nMRG|A1^^^RZ9^PI"))).await, "AE");
        assert_eq!(state(&last(&bridge).await).0, "PARKED");
        assert!(patient(&bridge).await.standing.doubt.is_some(), "nothing goes to a record that may be gone");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_losing_record_that_nobody_has_here_is_said_to_be_unknown() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        assert_eq!(tell(&source, adt("A40", 5, &format!("{PID}\nMRG|Q9^^^RZ9^MR"))).await, "AA");
        assert!(last(&bridge).await.reason.contains("not known here"), "{}", last(&bridge).await.reason);
        drop(source);
        bridge.stop().await;
    }
}

pub fn referral(id: &str, team: &str, patient: &str, reason: &str) -> Vec<u8> {
    let body = format!("RF1||R||||{id}^EPR\nPRD|RP|ADEYEMI^TUNDE\nPRD|RT||||||{team}\n{patient}\nNTE|1|L|{reason}");
    message("REF^I12", 1, &body)
}

/// Refers under each of these identifiers and names in turn, answered so; gives whom the referrals are for.
async fn referred_as(bridge: &Bridge, source: &Source, cases: &[(&str, &str, &str)]) -> BTreeSet<PatientId> {
    let mut found = BTreeSet::new();
    for (i, (identifiers, name, code)) in cases.iter().enumerate() {
        let pid = format!("PID|1||{identifiers}||{name}^ALEX^^^^^L||19850412");
        assert_eq!(tell(source, referral(&format!("W{i}"), bridge::TEAM, &pid, "Work")).await, *code, "{pid}");
        if let Some(made) = last(bridge).await.referral_id {
            found.insert(bridge.store.referral(&Scope::system(), made).await.unwrap().unwrap().patient_id);
        }
    }
    found
}

#[tokio::test]
async fn a_referral_under_another_type_of_identifier_is_for_the_patient_we_know() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let cases = [
            ("A1^^^RZ9^PI", "TESTPATIENT", "AA"),
            ("9990000018^^^NUMBERS^X", "TESTPATIENT", "AA"),
            ("9990000018^^^NUMBERS^X", "STRANGER", "AE"),
        ];
        let found = referred_as(&bridge, &source, &cases).await;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [patient(&bridge).await.id]);
        drop(source);
        bridge.stop().await;
    }
}

/// First under a type that nobody listed, then under its own.
#[tokio::test]
async fn who_came_first_under_an_unlisted_type_of_nhs_number_is_not_made_twice() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let cases = [
            ("9990000026^^^NUMBERS^X", "TESTPATIENT", "AA"),
            ("9990000026^^^NHS^NH", "TESTPATIENT", "AA"),
            ("9990000026^^^NHS^NH", "STRANGER", "AE"),
            ("9990000026^^^OTHERS^Y", "TESTPATIENT", "AA"),
        ];
        let found = referred_as(&bridge, &source, &cases).await;
        assert_eq!(found.len(), 1, "one person, by whatever name the number came");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_referral_for_somebody_who_has_married_is_for_the_patient_we_know_by_the_former_name() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let known = patient(&bridge).await;
        for (i, (names, born, code)) in [
            ("WED^ALEX^^^^^L~TESTPATIENT^ALEX^^^^^M|", "19850412||", "AA"),
            ("WED^ALEX^^^^^L|", "19850412||TESTPATIENT^ALEX", "AA"),
            ("WED^ALEX^^^^^L|", "19850412||", "AE"),
            ("WED^ALEX^^^^^L~OTHER^ALEX^^^^^M|", "19850412||OLDER^ALEX", "AE"),
            // A name alone proves nothing.
            ("WED^ALEX^^^^^L~TESTPATIENT^ALEX^^^^^M|", "19860412||", "AE"),
        ]
        .into_iter()
        .enumerate()
        {
            let pid = format!("PID|1||A1^^^RZ9^MR||{names}|{born}");
            assert_eq!(tell(&source, referral(&format!("M{i}"), bridge::TEAM, &pid, "Work")).await, code, "{pid}");
            let told = last(&bridge).await;
            if let Some(made) = told.referral_id {
                let made = bridge.store.referral(&Scope::system(), made).await.unwrap().unwrap();
                assert_eq!(made.patient_id, known.id, "{pid}");
            } else {
                assert_eq!((state(&told).0, code), ("PARKED", "AE"), "{pid}");
            }
            assert_eq!(patient(&bridge).await.details, known.details, "a referral changes nobody's name");
        }
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_team_is_ours_in_whatever_letters_and_by_its_name() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let ours = TeamId::parse("ips-west").unwrap();
        let rule = AcceptRule {
            name: "referrals".into(),
            messages: vec!["REF^*".into()],
            known_patients_only: false,
            teams: vec![ours.clone()],
        };
        let source = Source {
            teams: vec![ours.clone()],
            team_names: vec![("IPS in the West".into(), ours.clone())],
            accept: Accept { rules: vec![rule] },
            ..bridge.source()
        };
        for (i, team) in ["ips-west", "IPS-WEST", "ips in the west", "IPS West"].into_iter().enumerate() {
            assert_eq!(tell(&source, referral(&format!("T{i}"), team, PID, "Work")).await, "AA");
            let made = last(&bridge).await.referral_id.unwrap_or_else(|| panic!("{team} was not taken"));
            let made = bridge.store.referral(&Scope::system(), made).await.unwrap().unwrap();
            assert_eq!(made.details.team, ours);
        }
        assert_eq!(tell(&source, referral("T9", "cardiology", PID, "Work")).await, "AA");
        assert_eq!(state(&last(&bridge).await), ("IGNORED", Some("referrals")));
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn the_same_referral_with_another_text_is_kept_for_a_person() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        assert_eq!(tell(&source, referral("S1", bridge::TEAM, PID, "Work")).await, "AA");
        assert_eq!(tell(&source, referral("S1", bridge::TEAM, PID, "Work")).await, "AA", "sent again");
        assert_eq!(tell(&source, referral("S1", bridge::TEAM, PID, "Work. A risk is known.")).await, "AE");
        let kept = last(&bridge).await;
        assert!(kept.state.word() == "PARKED" && kept.reason.contains("something else"), "{}", kept.reason);
        drop(source);
        bridge.stop().await;
    }
}

/// Made over the API first, with what its caller knew: the EPR's own message is the same referral.
#[tokio::test]
async fn a_referral_made_over_the_api_first_is_known_whatever_the_message_says_of_it() {
    for store in stores() {
        let external = ExternalId { system: "EPR".into(), value: Private("X1".into()) };
        let details = ReferralDetails { external_ids: vec![external], ..bridge::referral() };
        let tweaks = Tweaks { without_outbox: true, patient: somebody("A1"), referral: details, ..Tweaks::default() };
        let bridge = Bridge::start(&store.url, nobody(), tweaks).await;
        let source = bridge.source();
        for reason in ["Work", "Work", "Other"] {
            assert_eq!(tell(&source, referral("X1", bridge::TEAM, PID, reason)).await, "AA");
            assert_eq!(last(&bridge).await.referral_id, Some(bridge.referral));
        }
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_type_that_no_rule_can_judge_is_kept_for_a_person() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let rule = AcceptRule {
            name: "patients".into(),
            messages: vec!["ADT^A31".into()],
            known_patients_only: false,
            teams: vec![],
        };
        let source = Source { accept: Accept { rules: vec![rule] }, ..bridge.source() };
        for event in ["adt^a31", "ADT", "ADT_A31", "A31^ADT_A05"] {
            assert_eq!(tell(&source, message(event, 5, PID)).await, "AR", "{event}");
            assert_eq!(state(&last(&bridge).await).0, "PARKED", "{event}");
        }
        assert_eq!(tell(&source, adt("A02", 5, PID)).await, "AA");
        assert_eq!(state(&last(&bridge).await).0, "IGNORED");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn an_identifier_in_the_words_of_real_systems_is_kept_as_it_is() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let pid = "PID|1||A1^^^RZ9^MR~9990000018^^^NHS^NH~M1^^^RAL MRN^MRNumber||TESTPATIENT^ALEX^^^^^L||19850412";
        assert_eq!(tell(&source, adt("A31", 5, pid)).await, "AA");
        let now = patient(&bridge).await.details.local_identifiers;
        assert!(now.contains(&mrn("A1")));
        assert!(now.iter().any(|id| (id.assigning_authority.as_str(), id.kind.as_str()) == ("RAL MRN", "MRNumber")));
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_referral_with_an_identifier_of_somebody_else_is_kept_for_a_person_and_says_so() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        // Somebody else, and a namesake of the same day.
        for (id, name) in [("B1", "SOMEBODY^ELSE"), ("C1", "TESTPATIENT^ALEX")] {
            let other = format!("PID|1||{id}^^^RZ9^MR||{name}^^^^^L||19850412");
            assert_eq!(tell(&source, referral(id, bridge::TEAM, &other, "Work")).await, "AA");
        }
        let taken = "another patient of the trust has this NHS number or local identifier";
        for (n, (identifiers, born, told, why)) in [
            ("9990000018^^^NHS^NH~B1^^^RZ9^MR", "19850412", "another patient's here", taken),
            ("A1^^^RZ9^PI~C1^^^RZ9^XX", "19850412", "another patient's here", taken),
            ("9990000018^^^NHS^NH~B1^^^RZ9^MR", "19860412", "another date of birth", "do not all agree"),
        ]
        .into_iter()
        .enumerate()
        {
            let mixed = format!("PID|1||{identifiers}||TESTPATIENT^ALEX^^^^^L||{born}");
            let message = referral(&format!("N{n}"), bridge::TEAM, &mixed, "Work");
            let frames = ips_bridge::inbound::receive(&source, message).await;
            let answer = String::from_utf8(frames[0].clone()).unwrap();
            assert!(answer.contains("MSA|AE|") && answer.contains("^^^204&") && answer.contains(told), "{answer}");
            let kept = last(&bridge).await;
            assert!(kept.state.word() == "PARKED" && kept.reason.contains(why), "{}", kept.reason);
        }
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_says_by_its_code_what_kind_of_fault_it_is() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for (pid, code) in [
            ("PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412|||||||||||||||||||||||PERHAPS", "103"),
            ("PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850231", "102"),
            ("PID|1||||TESTPATIENT^ALEX^^^^^L||19850412", "101"),
        ] {
            let frames = ips_bridge::inbound::receive(&source, adt("A31", 5, pid)).await;
            let answer = String::from_utf8(frames[0].clone()).unwrap();
            assert!(answer.contains("MSA|AE|") && answer.contains(code), "{pid}: {answer}");
            assert!(!patient(&bridge).await.standing.deceased());
        }
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_sender_is_known_by_its_name_whatever_universal_id_stands_beside_it() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = Source { allowed: vec![("EPR".into(), "RZ9".into())], ..bridge.source() };
        let from = |sender: &str| {
            let text = String::from_utf8(adt("A31", 5, PID)).unwrap();
            text.replacen("EPR|RZ9", sender, 1).into_bytes()
        };
        assert_eq!(tell(&source, from("EPR^1.2.3^ISO|RZ9")).await, "AA");
        assert_eq!(tell(&source, from("EPR|RZ9^2.16.840^ISO")).await, "AA");
        assert_eq!(tell(&source, from("EPRX|RZ9")).await, "AR");
        assert_eq!(tell(&source, from("EPR|RZ9X^RZ9")).await, "AR");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn letters_in_a_character_set_that_nobody_knows_are_not_guessed_at() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let polish = |name: &[u8]| {
            let text = String::from_utf8(adt("A31", 5, &PID.replace("TESTPATIENT", "NAME"))).unwrap();
            let text = text.replacen("|T|2.4\r", "|T|2.4||||||8859/2\r", 1);
            let at = text.find("NAME").unwrap();
            [&text.as_bytes()[..at], name, &text.as_bytes()[at + 4..]].concat()
        };
        assert_eq!(tell(&source, polish(b"KOWAL\xa3")).await, "AE");
        assert!(last(&bridge).await.reason.contains("MSH-18"));
        assert_eq!(tell(&source, polish(b"KOWAL")).await, "AA", "ASCII is ASCII in each of them");
        drop(source);
        bridge.stop().await;
    }
}

/// A day alone may be its evening: what came in the morning of that day is not newer.
#[tokio::test]
async fn a_change_told_by_its_day_alone_is_not_older_than_that_days_morning() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let at = |evn: &str, phone: &str| {
            let text = String::from_utf8(adt("A31", 5, &format!("{PID}||||||{phone}^PRN^PH"))).unwrap();
            let (head, rest) = text.split_once("\rEVN|").unwrap();
            let rest = rest.split_once('\r').unwrap().1;
            format!("{head}\rEVN||20260301150000||||{evn}\r{rest}").into_bytes()
        };
        assert_eq!(tell(&source, at("20260301091500", "01632 960001")).await, "AA");
        assert_eq!(tell(&source, at("20260301", "01632 960002")).await, "AA");
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("01632 960002".into())));
        assert_eq!(tell(&source, at("20260228", "01632 960003")).await, "AA");
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("01632 960002".into())), "the day before");
        drop(source);
        bridge.stop().await;
    }
}

/// One of the two dates is wrong, and the death is news all the same.
#[tokio::test]
async fn a_death_before_the_birth_is_taken_without_its_date() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let died = format!("{PID}||||||||||||||||||||||19841231|Y");
        assert_eq!(tell(&source, adt("A31", 5, &died)).await, "AA");
        let death = patient(&bridge).await.standing.death.expect("it was told");
        assert_eq!((death.deceased, death.died_on), (true, None));
        drop(source);
        bridge.stop().await;
    }
}

/// Another kind of number, as name and birth say: a stranger's message, as the whole feed is.
#[tokio::test]
async fn the_same_value_under_another_type_is_a_strangers_if_name_and_birth_are_others() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let stranger = format!("PID|1||A1^^^RZ9^XX||STRANGER^SUSAN^^^^^L||19700101{DIED}");
        assert_eq!(tell(&source, adt("A31", 5, &stranger)).await, "AA");
        assert_eq!(state(&last(&bridge).await).0, "IGNORED");
        let theirs = "PID|1||Q1^^^RZ9^MR||STRANGER^SUSAN^^^^^L||19700101\nMRG|A1^^^RZ9^XX";
        assert_eq!(tell(&source, adt("A40", 6, theirs)).await, "AA");
        assert!(patient(&bridge).await.standing.doubt.is_none(), "a merge of two strangers stops nobody's notes");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_merge_into_somebody_else_is_held_though_nobody_has_the_losing_record() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let wrong = "PID|1||A1^^^RZ9^MR||WRONG^EVE^^^^^L||19600101\nMRG|Q9^^^RZ9^MR";
        assert_eq!(tell(&source, adt("A40", 5, wrong)).await, "AE");
        assert_eq!(state(&last(&bridge).await).0, "PARKED");
        drop(source);
        bridge.stop().await;
    }
}

/// Told when the record was asked, a death is the same as one that came by message: durable, audited, and ended by the trust's word alone.
#[tokio::test]
async fn a_death_that_was_asked_for_ends_as_one_that_was_told() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let heard = |number: &str| HeardOfDeath {
            endpoint: endpoint_id(),
            trust: trust(),
            nhs_number: NhsNumber::parse(number).unwrap(),
            died_on: None,
        };
        bridge.store.hear_of_death(heard("9990000034")).await.unwrap();
        let before = patient(&bridge).await;
        assert!(!before.standing.deceased(), "somebody else's number");
        bridge.store.hear_of_death(heard("9990000018")).await.unwrap();
        let dead = patient(&bridge).await;
        assert!(dead.standing.deceased() && dead.version == before.version + 1);
        bridge.store.hear_of_death(heard("9990000018")).await.unwrap();
        let again = patient(&bridge).await;
        assert!(again.version == dead.version, "nothing new");
        let told_at = |p: &Patient| p.standing.death.as_ref().unwrap().told_at;
        assert!(told_at(&again) > told_at(&dead));
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'patient.update' AND role = 'epr_system'";
        assert_eq!(raw::number(&store.url, audited).await, 1);
        // What says nothing, or is older, brings nobody back.
        for older in [PID.to_owned(), format!("{PID}|||||||||||||||||||||||N")] {
            assert_eq!(tell(&source, adt("A31", 5, &older)).await, "AA");
            assert!(patient(&bridge).await.standing.deceased(), "{older}");
        }
        let alive = String::from_utf8(adt("A31", 5, &format!("{PID}|||||||||||||||||||||||N"))).unwrap();
        let tomorrow = (bridge.now() + jiff::SignedDuration::from_hours(24)).strftime("%Y%m%d%H%M%S").to_string();
        assert_eq!(tell(&source, alive.replace("20260301120005", &tomorrow).into_bytes()).await, "AA");
        assert!(!patient(&bridge).await.standing.deceased());
        drop(source);
        bridge.stop().await;
    }
}

pub fn born(date: &str) -> String {
    format!("PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||{date}")
}

/// Null, zeros and words in the place of a date of birth say none: ours stays, and the rest is taken, a death first of all.
#[tokio::test]
async fn a_date_of_birth_that_says_none_stops_nothing() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let mut second = 1;
        for date in ["\"\"", "00000000", "UNKNOWN", "19850000"] {
            for trigger in ["A01", "A04", "A08", "A28", "A31", "A03", "A29"] {
                second += 1;
                let died = format!("{}{DIED}", born(date));
                assert_eq!(tell(&source, adt(trigger, second, &died)).await, "AA", "{trigger} {date}");
                let kept = last(&bridge).await;
                assert_eq!(kept.state.word(), "APPLIED");
                assert_eq!(kept.reason.contains("null"), date == "\"\"" && trigger != "A29", "{}", kept.reason);
                let dead = patient(&bridge).await;
                let ours = dead.details.date_of_birth == somebody("A1").date_of_birth;
                assert!(dead.standing.deceased() && ours, "{trigger} {date}");
                second += 1;
                let alive = format!("{}|||||||||||||||||||||||N", born(date));
                assert_eq!(tell(&source, adt("A31", second, &alive)).await, "AA", "{date}");
                assert!(!patient(&bridge).await.standing.deceased());
            }
        }
        // Zeros say no death either.
        let alive = format!("{}||||||||||||||||||||||00000000|", born("19850412"));
        assert_eq!(tell(&source, adt("A31", second + 1, &alive)).await, "AA");
        assert!(!patient(&bridge).await.standing.deceased());
        // And no merge is lost for it.
        let mut before = "A1".to_owned();
        for (n, date) in ["\"\"", "00000000", "UNKNOWN"].into_iter().enumerate() {
            let after = format!("B{n}");
            let merge = format!("{}\nMRG|{before}^^^RZ9^MR", born(date).replace("A1^", &format!("{after}^")));
            assert_eq!(tell(&source, adt("A40", second + 2, &merge)).await, "AA", "{date}");
            assert_eq!(patient(&bridge).await.details.local_identifiers, [mrn(&after)], "{date}");
            before = after;
        }
        drop(source);
        bridge.stop().await;
    }
}

/// Whoever is referred as shielded is so from then on, known before or not, and by the same referral told again.
#[tokio::test]
async fn of_somebody_referred_as_shielded_neither_address_nor_phone_is_kept() {
    let lives = "|||14 Test Street^Elm Green^Testtown^Testshire^ZZ99 3VZ^^H||07700 900123^PRN^CP";
    let stranger = format!("PID|1||N1^^^RZ9^MR||NEWCOMER^KIM^^^^^L||19900101|{lives}");
    let ours = format!("{PID}|{lives}");
    for (pid, store) in [&stranger, &ours].into_iter().flat_map(|p| stores().map(move |s| (p, s))) {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let told = async |id: &str, shield: &str| {
            let message = referral(id, bridge::TEAM, &format!("{pid}{shield}"), "Work");
            assert_eq!(tell(&source, message).await, "AA", "{shield}");
            let made = last(&bridge).await.referral_id.expect("a referral");
            let made = bridge.store.referral(&Scope::system(), made).await.unwrap().unwrap();
            bridge.store.patient(&Scope::system(), made.patient_id).await.unwrap().unwrap()
        };
        let open = told("W1", "").await;
        assert!(!open.standing.location_shielded);
        let again = told("W1", "\nZU8||||Y").await;
        let shut =
            |p: &Patient| p.standing.location_shielded && p.details.address.is_none() && p.details.phone.is_none();
        assert!(again.id == open.id && shut(&again), "the same referral, told again");
        let other = told("W2", "").await;
        assert!(other.id == open.id && shut(&other), "what says nothing of it changes nothing");
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'patient.update' AND why LIKE '%where they live'";
        assert_eq!(raw::number(&store.url, audited).await, 1);
        drop(source);
        bridge.stop().await;
    }
}

/// Old versions have the number there, and no map reads it: what may be about one of ours is never forgotten.
#[tokio::test]
async fn a_number_of_ours_in_a_field_of_old_versions_keeps_a_message_for_a_person() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for pid in [
            "PID|1|9990000018|Z7^^^OLD^MR||TESTPATIENT^ALEX^^^^^L||19850412|",
            "PID|1||Z7^^^OLD^MR|999 000 0018|TESTPATIENT^ALEX^^^^^L||19850412|",
            "PID|1||Z7^^^OLD^MR||TESTPATIENT^ALEX^^^^^L||19850412||||||||||||9990000018",
        ] {
            let died = format!("{pid}{}|Y", "|".repeat(29 - pid.matches('|').count()));
            assert_eq!(tell(&source, adt("A31", 5, &died)).await, "AE", "{pid}");
            let kept = last(&bridge).await;
            assert!(kept.state.word() == "PARKED" && !kept.bytes.0.is_empty(), "{pid}: {}", kept.reason);
            let merge = format!("{pid}\nMRG|Z8^^^OLD^MR");
            assert_eq!(tell(&source, adt("A40", 6, &merge)).await, "AE", "{pid}");
            assert_eq!(last(&bridge).await.state.word(), "PARKED");
        }
        // A number that is nobody's here, or no NHS number, is a stranger's.
        for number in ["9990000026", "9990000019", "AB123456C"] {
            let stranger = format!("PID|1|{number}|Z7^^^OLD^MR||STRANGER^KIM^^^^^L||19700101{DIED}");
            assert_eq!(tell(&source, adt("A31", 7, &stranger)).await, "AA", "{number}");
            assert_eq!(state(&last(&bridge).await).0, "IGNORED");
        }
        drop(source);
        bridge.stop().await;
    }
}
