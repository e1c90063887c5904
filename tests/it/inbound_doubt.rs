//! Deaths and merges that leave a doubt who is meant: a death waits for nobody where there is none, and nothing goes to whom it may concern where there is.

use crate::inbound_patients::{PID, adt, last, mrn, patient, quiet, state, tell};
use crate::inbound_whose::{DIED, born, referral};
use crate::store::raw;
use crate::support::bridge;
use crate::support::stores;
use ips_bridge::store::Scope;

/// What else cannot be read waits for a person, and overwrites nothing. The death does not wait.
#[tokio::test]
async fn a_death_in_a_message_that_cannot_be_read_is_held_and_the_message_kept() {
    let broken = [
        format!("{}{DIED}", born("12/04/1985")),
        format!("{}||||||07700 900123^PRN^CP{}20260301|Y", born("850412"), "|".repeat(16)),
        // The day of the death, too.
        format!("{}||||||||||||||||||||||20991231|", born("19850412")),
        format!("{}||||||||||||||||||||||1/3/26|", born("19850412")),
    ];
    for (broken, store) in broken.iter().flat_map(|b| stores().map(move |s| (b, s))) {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let before = patient(&bridge).await;
        let message = adt("A31", 5, broken);
        assert_eq!(tell(&source, message.clone()).await, "AE", "{broken}");
        let kept = last(&bridge).await;
        assert!(kept.state.word() == "PARKED" && !kept.bytes.0.is_empty());
        assert!(kept.reason.contains("has died was taken"), "{}", kept.reason);
        let dead = patient(&bridge).await;
        assert!(dead.standing.deceased() && dead.details == before.details, "{broken}");
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'patient.update' AND role = 'epr_system'";
        assert_eq!(raw::number(&store.url, audited).await, 1);
        assert_eq!(tell(&source, message).await, "AE", "a repeat is answered the same");
        assert_eq!(patient(&bridge).await.version, dead.version);
        // What its sender told before is not older than what was not taken in.
        let earlier = format!("{}||||||07700 900123^PRN^CP", born("19850412"));
        assert_eq!(tell(&source, adt("A31", 4, &earlier)).await, "AA");
        assert_eq!(state(&last(&bridge).await).0, "APPLIED");
        drop(source);
        bridge.stop().await;
    }
}

/// Where it is not certain who is meant, nobody has died.
#[tokio::test]
async fn a_death_in_a_message_that_cannot_be_read_is_nobodys_where_that_leaves_a_doubt_who() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let other = "PID|1||A1^^^RZ9^MR||STRANGER^SUSAN^^^^^L||12/04/1985";
        for (message, held) in [
            (format!("{}{DIED}\n{}", born("12/04/1985"), born("19850412")), true),
            (format!("{other}{DIED}"), true),
            (format!("{}{DIED}", born("12/04/1985").replace("A1^^^RZ9^MR", "A1^^^RZ9^MR~9990000019^^^NHS^NH")), true),
            (born("12/04/1985"), true),
            (format!("{}{DIED}", other.replace("A1^", "Z9^")), false),
        ] {
            let answer = tell(&source, adt("A31", 5, &message)).await;
            let kept = last(&bridge).await;
            assert_eq!((answer.as_str(), kept.state.word()), if held { ("AE", "PARKED") } else { ("AA", "IGNORED") });
            assert_eq!(kept.bytes.0.is_empty(), !held, "{message}");
            assert!(!patient(&bridge).await.standing.deceased(), "{message}");
        }
        drop(source);
        bridge.stop().await;
    }
}

/// A merge takes over nothing of its PID but this: whose notes they are now is one question, whether the patient lives another.
#[tokio::test]
async fn a_death_that_a_merge_tells_of_is_taken_whether_or_not_the_merge_can_be_followed() {
    let named = |id: &str, birth: &str| format!("PID|1||{id}^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||{birth}{DIED}");
    for (told, word, says, now) in [
        // Known under the losing identifier only, and under the surviving one only.
        (format!("{}\nMRG|A1^^^RZ9^MR", named("B2", "19850412")), "APPLIED", "has died was taken", "B2"),
        (format!("{}\nMRG|Q9^^^RZ9^MR", named("A1", "19850412")), "APPLIED", "has died was taken", "A1"),
        // With itself; about somebody else, by name and birth; not to be read.
        (format!("{}\nMRG|A1^^^RZ9^MR", named("A1", "19850412")), "PARKED", "has died was taken", "A1"),
        (format!("{}\nMRG|Q9^^^RZ9^MR", named("A1", "12/04/1985")), "PARKED", "has died was taken", "A1"),
    ] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            let answer = if word == "APPLIED" { "AA" } else { "AE" };
            assert_eq!(tell(&source, adt("A40", 5, &told)).await, answer, "{told}");
            let kept = last(&bridge).await;
            assert!(kept.state.word() == word && kept.reason.contains(says), "{told}: {}", kept.reason);
            let dead = patient(&bridge).await;
            assert!(dead.standing.deceased() && dead.details.local_identifiers == [mrn(now)], "{told}");
            drop(source);
            bridge.stop().await;
        }
    }
}

#[tokio::test]
async fn the_death_of_somebody_else_is_not_taken_from_a_merge() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        for told in [
            format!("PID|1||A1^^^RZ9^MR||WRONG^EVE^^^^^L||19600101{DIED}\nMRG|Q9^^^RZ9^MR"),
            format!("PID|1||Z7^^^RZ9^MR||WRONG^EVE^^^^^L||19600101{DIED}\nMRG|Q9^^^RZ9^MR"),
            format!("{PID}|||||||||||||||||||||||N\nMRG|Q8^^^RZ9^MR"),
        ] {
            tell(&source, adt("A40", 5, &told)).await;
            assert!(!patient(&bridge).await.standing.deceased(), "{told}");
        }
        drop(source);
        bridge.stop().await;
    }
}

/// Nobody knows which of them; to neither's record does anything go before a person has said.
#[tokio::test]
async fn a_death_whose_identifiers_are_of_two_patients_puts_both_in_doubt() {
    for (theirs, said, other, is_in_doubt) in [
        ("B2^^^RZ9^MR", "B2^^^RZ9^MR", "TESTPATIENT^SAM^^^^^L||19900101", true),
        ("B2^^^RZ9^MR", "B2^^^RZ9^MR", "STRANGER^SUSAN^^^^^L||19700101", false),
        // An NHS number by whatever name.
        ("9990000026^^^NHS^NH", "9990000026^^^NUMBERS^X", "TESTPATIENT^SAM^^^^^L||19900101", true),
    ] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            let second = referral("W1", bridge::TEAM, &format!("PID|1||{theirs}||{other}"), "Work");
            assert_eq!(tell(&source, second).await, "AA");
            let referral = last(&bridge).await.referral_id.expect("it was taken in");
            let second = bridge.store.referral(&Scope::system(), referral).await.unwrap().unwrap().patient_id;
            let both = format!("PID|1||A1^^^RZ9^MR~{said}||TESTPATIENT^ALEX^^^^^L||19850412");
            assert_eq!(tell(&source, adt("A31", 5, &both)).await, "AE");
            assert!(patient(&bridge).await.standing.doubt.is_none(), "it tells of no death");
            assert_eq!(tell(&source, adt("A31", 6, &format!("{both}{DIED}"))).await, "AE");
            let kept = last(&bridge).await;
            assert!(kept.reason.contains("nothing is sent for them"), "{}", kept.reason);
            let (one, two) = (
                patient(&bridge).await.standing,
                bridge.store.patient(&Scope::system(), second).await.unwrap().unwrap().standing,
            );
            assert!(!one.deceased() && !two.deceased());
            assert_eq!((one.doubt.is_some(), two.doubt.is_some()), (true, is_in_doubt), "{other}");
            drop(source);
            bridge.stop().await;
        }
    }
}

/// Whose record a note goes to is not known where a merge about it cannot be read.
#[tokio::test]
async fn whom_a_merge_names_that_cannot_be_read_is_in_doubt() {
    for told in [
        "PID|1||B2^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||12/04/1985\nMRG|A1^^^RZ9^MR",
        "PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412",
    ] {
        for store in stores() {
            let bridge = quiet(&store.url).await;
            let source = bridge.source();
            let message = adt("A40", 5, told);
            assert_eq!(tell(&source, message.clone()).await, "AE", "{told}");
            let kept = last(&bridge).await;
            assert!(kept.state.word() == "PARKED" && !kept.bytes.0.is_empty());
            assert!(kept.reason.contains("nothing is sent for those it names"), "{}", kept.reason);
            let doubted = patient(&bridge).await;
            assert!(doubted.standing.doubt.is_some(), "{told}");
            assert_eq!(tell(&source, message).await, "AE", "a repeat is answered the same");
            assert_eq!(patient(&bridge).await.version, doubted.version);
            let strangers = told.replace("A1^", "Y1^").replace("B2^", "Y2^");
            assert_eq!(tell(&source, adt("A40", 6, &strangers)).await, "AA");
            assert_eq!(state(&last(&bridge).await).0, "IGNORED");
            drop(source);
            bridge.stop().await;
        }
    }
}
