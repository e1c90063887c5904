//! What waits for nothing: a death, and that nobody may learn where somebody lives, whatever else of the message cannot be taken.

use crate::inbound_patients::{PID, adt, last, message, patient, quiet, somebody, tell};
use crate::store::raw;
use crate::support::bridge;
use crate::support::stores;

const DEAD: &str = "||||||||||||||||||||||20260301|Y";

fn pid(identifiers: &str, given: &str, birth: &str) -> String {
    format!("PID|1||{identifiers}||TESTPATIENT^{given}^^^^^L||{birth}")
}

#[tokio::test]
async fn one_identifier_that_breaks_our_rules_is_left_out_where_another_says_who_is_meant() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for (second, odd) in
            [(5, "77^^^RZ9^Hospital Number"), (6, "77^^^ROYAL TESTING HOSPITALS NHS FOUNDATION TRUST PAS^PI")]
        {
            let told = format!("{}{DEAD}", pid(&format!("A1^^^RZ9^MR~{odd}"), "ALEX", "19850412"));
            assert_eq!(tell(&source, adt("A31", second, &told)).await, "AA", "{odd}");
            let kept = last(&bridge).await;
            assert!(
                kept.reason.contains("local_identifiers[1]") && kept.reason.contains("was left out"),
                "{}",
                kept.reason
            );
            let dead = patient(&bridge).await;
            assert!(dead.standing.deceased() && dead.details.local_identifiers == somebody("A1").local_identifiers);
        }
        // Where nothing else says who is meant it is everything.
        let alone = pid("77^^^RZ9^Hospital Number", "ALEX", "19850412");
        assert_eq!(tell(&source, adt("A31", 7, &alone)).await, "AA");
        assert_eq!(last(&bridge).await.state.word(), "IGNORED", "nobody's here");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn an_identifier_that_breaks_our_rules_keeps_no_referral_out_where_another_says_who_is_meant() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let odd = pid("77^^^RZ9^Hospital Number~A1^^^RZ9^MR", "ALEX", "19850412");
        for event in ["REF^I12", "REF^I13", "REF^I14"] {
            assert_eq!(tell(&source, referral(event, &odd)).await, "AA", "{event}");
            let kept = last(&bridge).await;
            assert!(kept.reason.contains("identifiers[0].type was left out"), "{event}: {}", kept.reason);
            assert_eq!(patient(&bridge).await.details.local_identifiers, somebody("A1").local_identifiers);
        }
        let alone = referral("REF^I12", &pid("77^^^RZ9^Hospital Number", "ALEX", "19850412"));
        assert_eq!(tell(&source, alone).await, "AE", "nobody's");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_death_or_a_shielding_in_a_message_of_wrong_letters_or_dates_is_taken() {
    let named =
        |given: &str, birth: &str, more: &str| adt("A31", 5, &format!("{}{more}", pid("A1^^^RZ9^MR", given, birth)));
    let latin = {
        let mut bytes = named("ALEX", "19850412", DEAD);
        let at = bytes.windows(4).position(|w| w == b"ALEX").expect("a name");
        bytes[at] = 0xe9;
        let text = b"|T|2.4";
        let at = bytes.windows(text.len()).position(|w| w == text).expect("MSH-12") + text.len();
        bytes.splice(at..at, b"||||||UNICODE UTF-8".iter().copied());
        bytes
    };
    for (what, bytes) in [
        ("a letter that is none of the character set", latin),
        ("an escape that is no letter", named("AL\\XE9\\X", "19850412", DEAD)),
        ("a date in another order", named("ALEX", "12/04/1985", DEAD)),
        ("a birth that lies ahead", named("ALEX", "20991231", DEAD)),
        (
            "a text whose line ends were not escaped",
            named("ALEX", "19850412", &format!("{DEAD}\nNTE|1||First\nthen more")),
        ),
        ("a shielding", named("ALEX", "12/04/1985", "\nZU8||||Y")),
    ] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            let answer = tell(&source, bytes.clone()).await;
            let (kept, now) = (last(&bridge).await, patient(&bridge).await);
            let taken = if what == "a shielding" { now.standing.location_shielded } else { now.standing.deceased() };
            assert!(taken, "{what}: {answer} {}", kept.reason);
            assert!(answer == "AA" || kept.state.word() == "PARKED", "{what}: {answer} {}", kept.reason);
            drop(source);
            bridge.stop().await;
        }
    }
}

fn referral(event: &str, pid: &str) -> Vec<u8> {
    let rest = format!("RF1||R||||W1^EPR\nPRD|RP|ADEYEMI^TUNDE\nPRD|RT||||||{}\n{pid}\nNTE|1|L|Work", bridge::TEAM);
    message(event, 5, &rest)
}

#[tokio::test]
async fn a_death_that_a_referral_tells_of_is_taken_whatever_becomes_of_the_referral() {
    for (event, answer) in [("REF^I12", "AE"), ("REF^I13", "AE"), ("REF^I14", "AA")] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            if event != "REF^I12" {
                assert_eq!(tell(&source, referral("REF^I12", PID)).await, "AA");
            }
            assert_eq!(tell(&source, referral(event, &format!("{PID}{DEAD}"))).await, answer, "{event}");
            let kept = last(&bridge).await;
            assert!(kept.reason.contains("that the patient has died was taken"), "{event}: {}", kept.reason);
            assert!(patient(&bridge).await.standing.deceased(), "{event}");
            drop(source);
            bridge.stop().await;
        }
    }
}

/// ITK says it in ZU8, HL7 in PD1; how a stay ended stands in PV1.
#[tokio::test]
async fn a_shielding_or_a_death_beside_a_referral_a_merge_or_a_removal_is_taken() {
    let stay = format!("PV1|1|I{}79", "|".repeat(34));
    for (event, more, refused) in [
        ("REF^I13", "PD1||||||||||||Y", false),
        ("REF^I13", "ZU8||||Y", false),
        ("REF^I13", stay.as_str(), true),
        ("REF^I14", "ZU8||||Y", false),
        ("REF^I14", stay.as_str(), false),
        ("ADT^A40", "PD1||||||||||||Y", false),
        ("ADT^A40", stay.as_str(), false),
        ("ADT^A29", "ZU8||||Y", false),
        ("ADT^A29", stay.as_str(), false),
    ] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            let named = match event {
                "ADT^A40" => format!("{PID}\n{more}\nMRG|B7^^^RZ9^MR"),
                _ => format!("{PID}\n{more}"),
            };
            let told = if event.starts_with("REF") {
                assert_eq!(tell(&source, referral("REF^I12", PID)).await, "AA");
                referral(event, &named)
            } else {
                message(event, 5, &named)
            };
            assert_eq!(tell(&source, told).await, if refused { "AE" } else { "AA" }, "{event} {more}");
            let (kept, standing) = (last(&bridge).await, patient(&bridge).await.standing);
            let taken = if more == stay { standing.deceased() } else { standing.location_shielded };
            assert!(taken, "{event} {more}: {}", kept.reason);
            drop(source);
            bridge.stop().await;
        }
    }
}

#[tokio::test]
async fn a_referral_of_somebody_unknown_who_has_died_is_kept_and_makes_nobody() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let stranger = format!("PID|1||Z9^^^RZ9^MR||STRANGER^KIM^^^^^L||19700101{DEAD}");
        let before = raw::number(&store.url, "SELECT COUNT(*) FROM patient").await;
        assert_eq!(tell(&source, referral("REF^I12", &stranger)).await, "AE");
        let kept = last(&bridge).await;
        assert!(kept.state.word() == "PARKED" && !kept.bytes.0.is_empty(), "{}", kept.reason);
        assert_eq!(raw::number(&store.url, "SELECT COUNT(*) FROM patient").await, before);
        // Nor is anybody else's death taken from it: the number is ours, and the person is another.
        let other = format!("PID|1||A1^^^RZ9^MR||STRANGER^KIM^^^^^L||19700101{DEAD}");
        assert_eq!(tell(&source, referral("REF^I12", &other)).await, "AE");
        assert!(!patient(&bridge).await.standing.deceased());
        drop(source);
        bridge.stop().await;
    }
}

/// A date of another day puts nothing in order: what came after it would count as older.
#[tokio::test]
async fn a_message_from_the_future_is_refused_and_silences_nobody() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let future = |more: &str| {
            let text = String::from_utf8(adt("A31", 5, &format!("{PID}{more}"))).expect("text");
            text.replace("20260301120005", "20991231000000").into_bytes()
        };
        assert_eq!(tell(&source, future("")).await, "AE");
        assert!(last(&bridge).await.reason.contains("more than a day ahead"), "{}", last(&bridge).await.reason);
        assert!(!patient(&bridge).await.standing.deceased());
        assert_eq!(tell(&source, future(DEAD)).await, "AE");
        assert!(patient(&bridge).await.standing.deceased(), "a death is one all the same");
        assert_eq!(tell(&source, adt("A31", 9, &format!("{PID}\nZU8||||Y"))).await, "AA");
        assert!(patient(&bridge).await.standing.location_shielded);
        drop(source);
        bridge.stop().await;
    }
}
