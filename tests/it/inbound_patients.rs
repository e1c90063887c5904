//! Patients that change, die and are merged by message, from the bytes on the wire to what reaches the record.

use crate::support::bridge::{self, Bridge, Tweaks, endpoint_id, trust};
use crate::support::far_end::{FarEnd, ack};
use crate::support::{stores, wait_until};
use futures::FutureExt;
use ips_bridge::domain::accept::{Accept, AcceptRule};
use ips_bridge::domain::delivery::{ParkReason, State};
use ips_bridge::domain::organisation::TeamId;
use ips_bridge::domain::person::{LocalIdentifier, Patient, PatientDetails};
use ips_bridge::domain::policy::AckMode;
use ips_bridge::domain::referral::{ReferralDetails, ReferralState};
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::{Source, receive};
use ips_bridge::store::Scope;
use ips_bridge::store::read::Page;
use ips_bridge::store::record::{Inbound, InboundState};
use ips_bridge::store::write::Operation;
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

pub fn mrn(value: &str) -> LocalIdentifier {
    LocalIdentifier { assigning_authority: "RZ9".into(), value: Private(value.into()), kind: "MR".into() }
}

/// The first patient, with a hospital number.
pub fn somebody(mrn_value: &str) -> PatientDetails {
    PatientDetails { local_identifiers: vec![mrn(mrn_value)], ..bridge::patient() }
}

pub async fn quiet(url: &str) -> Bridge {
    let tweaks = Tweaks { without_outbox: true, patient: somebody("A1"), ..Tweaks::default() };
    Bridge::start(url, nobody(), tweaks).await
}

/// `ADT^A31` and so on, at a second of a minute of that day; each with a control id of its own.
pub fn message(event: &str, second: u32, segments: &str) -> Vec<u8> {
    let id = NEXT.fetch_add(1, Ordering::SeqCst);
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260301120000||{event}|M{id}|T|2.4\rEVN||20260301120000||||202603011200{second:02}\r{}\r",
        segments.replace('\n', "\r")
    )
    .into_bytes()
}

pub fn adt(trigger: &str, second: u32, segments: &str) -> Vec<u8> {
    message(&format!("ADT^{trigger}"), second, segments)
}

pub const PID: &str = "PID|1||A1^^^RZ9^MR~9990000018^^^NHS^NH||TESTPATIENT^ALEX^^^^^L||19850412";

/// The code of the acknowledgement, and the whole of it.
pub async fn tell(source: &Source, bytes: Vec<u8>) -> String {
    let frames = receive(source, bytes).await;
    let text: Vec<String> = frames.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
    let codes: Vec<&str> = text
        .iter()
        .filter_map(|t| t.split('\r').find(|s| s.starts_with("MSA")))
        .filter_map(|s| s.split('|').nth(1))
        .collect();
    codes.join(" ")
}

pub async fn patient(bridge: &Bridge) -> Patient {
    let referral = bridge.store.referral(&Scope::system(), bridge.referral).await.unwrap().unwrap();
    bridge.store.patient(&Scope::system(), referral.patient_id).await.unwrap().unwrap()
}

pub async fn last(bridge: &Bridge) -> Inbound {
    let page = Page { size: 1, after: None };
    bridge.store.inbound_messages(&Scope::system(), None, page).await.unwrap().remove(0)
}

pub fn state(inbound: &Inbound) -> (&'static str, Option<&str>) {
    (inbound.state.word(), inbound.rule.as_deref())
}

#[tokio::test]
async fn a_change_is_taken_in_and_an_older_one_never_overwrites_it() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let moved = format!("{PID}|9|||1 New Road^^Town^^ZZ99 3VZ^^H||07700 900123^PRN^CP");
        assert_eq!(tell(&source, adt("A31", 20, &moved)).await, "AA");
        let now = patient(&bridge).await;
        assert_eq!(now.details.phone, Some(Private("07700 900123".into())));
        assert_eq!(now.details.local_identifiers, [mrn("A1")]);
        for trigger in ["A01", "A04", "A08", "A28", "A31"] {
            let older = format!("{PID}||||||01632 960001^PRN^PH");
            assert_eq!(tell(&source, adt(trigger, 10, &older)).await, "AA");
            let kept = last(&bridge).await;
            assert_eq!(state(&kept), ("IGNORED", Some("(older news)")));
            assert!(!kept.bytes.0.is_empty(), "it is about one of ours: kept");
        }
        assert_eq!(bridge.store.forget_ignored(&endpoint_id(), Timestamp::MAX).await.unwrap(), 0);
        assert_eq!(patient(&bridge).await.details.phone, now.details.phone);
        assert_eq!(tell(&source, adt("A08", 30, &format!("{PID}||||||\"\""))).await, "AA");
        let after = patient(&bridge).await.details;
        assert_eq!((after.phone, after.address.is_some()), (None, true), "null deletes, absent leaves");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_patient_we_do_not_know_is_ignored_counted_and_nothing_of_the_message_is_kept() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let stranger = "PID|1||Z9^^^RZ9^MR~9990000034^^^NHS^NH||STRANGER^SUSAN^^^^^L||19700101|F";
        for message in [
            adt("A28", 1, stranger),
            adt("A29", 1, stranger),
            adt("A40", 1, &format!("{stranger}\nMRG|Z8^^^RZ9^MR")),
            // What cannot be read of a stranger is not ours either.
            adt("A31", 1, "PID|1||Z9^^^RZ9^MR||STRANGER^SUSAN^^^^^L||19700231|Q"),
            adt("A31", 1, "PID|1||Z 9^^^THE HOSPITAL^MRN||STRANGER^SUSAN^^^^^L||19700101|F"),
        ] {
            assert_eq!(tell(&source, message).await, "AA");
            let kept = last(&bridge).await;
            assert_eq!(state(&kept), ("IGNORED", Some("(patient not known)")), "{}", kept.reason);
            assert!(kept.bytes.0.is_empty() && !kept.content.is_empty());
        }
        let by = ips_bridge::store::read::PatientBy::Local(mrn("Z9"));
        let page = Page { size: 1, after: None };
        assert!(bridge.store.find_patients(&Scope::system(), &trust(), &by, page).await.unwrap().is_empty());
        let counts = bridge.store.inbound_counts(&endpoint_id(), Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(counts.ignored, [("(patient not known)".to_owned(), 5)]);
        // One of ours, broken: kept, shown and answered.
        let broken =
            adt("A31", 1, "PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412|||||||||||||||||||||||PERHAPS");
        assert_eq!(tell(&source, broken).await, "AE");
        let kept = last(&bridge).await;
        assert!(kept.state.word() == "PARKED" && kept.reason.contains("deceased") && !kept.bytes.0.is_empty());
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn the_bytes_of_what_is_not_ours_are_forgotten_after_their_time_and_the_row_stays() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = Source { keeps_ignored: true, ..bridge.source() };
        let stranger = adt("A31", 1, "PID|1||Z9^^^RZ9^MR||STRANGER^SUSAN^^^^^L||19700101|F");
        assert_eq!(tell(&source, stranger.clone()).await, "AA");
        assert_eq!(last(&bridge).await.bytes.0, stranger);
        assert_eq!(bridge.store.forget_ignored(&endpoint_id(), Timestamp::UNIX_EPOCH).await.unwrap(), 0);
        assert_eq!(bridge.store.forget_ignored(&endpoint_id(), Timestamp::MAX).await.unwrap(), 1);
        let kept = last(&bridge).await;
        assert!(kept.bytes.0.is_empty() && kept.state.word() == "IGNORED");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn accept_rules_decide_by_type_team_and_patient_under_their_own_names() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let rule = |name: &str, messages: &[&str], teams: &[&str]| AcceptRule {
            name: name.into(),
            messages: messages.iter().map(|m| (*m).to_owned()).collect(),
            known_patients_only: false,
            teams: teams.iter().map(|t| TeamId::parse(t).unwrap()).collect(),
        };
        let rules = vec![rule("referrals", &["REF^*"], &["IPS-SOUTH"]), rule("patients", &["ADT^A31"], &[])];
        let source = Source { accept: Accept { rules }, ..bridge.source() };
        let referral = message(
            "REF^I12",
            1,
            &format!("RF1||R||||X1^EPR\nPRD|RP|ADEYEMI^TUNDE\nPRD|RT|||||IPS-NORTH^^RZ9\nPRD|RT||||||IPS-NORTH\n{PID}"),
        );
        for (bytes, rule) in [
            (referral, "referrals"),
            (adt("A31", 1, "PID|1||Z9^^^RZ9^MR||STRANGER^S^^^^^L||19700101"), "patients"),
            (adt("A17", 1, PID), "(no rule)"),
            (message("ORU^R01", 1, PID), "(no rule)"),
        ] {
            assert_eq!(tell(&source, bytes).await, "AA");
            assert_eq!(state(&last(&bridge).await), ("IGNORED", Some(rule)));
        }
        assert_eq!(tell(&source, adt("A31", 5, &format!("{PID}|F"))).await, "AA");
        assert_eq!(state(&last(&bridge).await), ("APPLIED", None));
        // Without rules a type that the pack does not read is refused, as before.
        assert_eq!(tell(&bridge.source(), adt("A17", 1, PID)).await, "AR");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_referral_that_names_no_team_of_ours_goes_to_the_listeners_default_team() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let ours = TeamId::parse(bridge::TEAM).unwrap();
        let referral = |id: &str| {
            let body = format!("RF1||R||||{id}^EPR\nPRD|RP|ADEYEMI^TUNDE\nPRD|RT||||||CMHT-WEST^^RZ9\n{PID}");
            message("REF^I12", 1, &body)
        };
        let lenient = Source { teams: vec![ours.clone()], default_team: Some(ours.clone()), ..bridge.source() };
        let south = Source {
            teams: vec![ours.clone(), TeamId::parse("CMHT-WEST").unwrap()],
            default_team: Some(ours.clone()),
            ..bridge.source()
        };
        for (source, id, team) in [(&lenient, "X1", bridge::TEAM), (&south, "X2", "CMHT-WEST")] {
            assert_eq!(tell(source, referral(id)).await, "AA");
            let made = last(&bridge).await.referral_id.expect("it was applied");
            let made = bridge.store.referral(&Scope::system(), made).await.unwrap().expect("it is there");
            assert_eq!(made.details.team.as_str(), team);
        }
        drop((lenient, south));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_note_queued_for_a_merged_patient_goes_to_the_surviving_record() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let note = bridge.write_note("Met at the library.").await;
        // The surviving record is not known yet: the record goes on under its identifiers.
        let told = "PID|1||B2^^^RZ9^MR~9990000018^^^NHS^NH||TESTPATIENT^ALEX^^^^^L||19850412\nMRG|A1^^^RZ9^MR";
        assert_eq!(tell(&bridge.source(), adt("A40", 10, told)).await, "AA");
        assert_eq!(patient(&bridge).await.details.local_identifiers, [mrn("B2")]);
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        bridge.wait_filed(note.delivery).await;
        let sent = far_end.got().remove(0);
        assert!(sent.contains("B2^^^RZ9^MR") && !sent.contains("A1^^^RZ9"), "{sent}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_note_queued_for_somebody_merged_into_another_number_is_held_until_a_person_has_looked() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let note = bridge.write_note("Met at the library.").await;
        let other = PatientDetails {
            nhs_number: ips_bridge::domain::nhs_number::NhsNumber::parse("9990000026").ok(),
            local_identifiers: vec![mrn("B2")],
            ..bridge::patient()
        };
        bridge.create_referral(other, bridge::referral()).await.unwrap();
        let told = "PID|1||B2^^^RZ9^MR~9990000026^^^NHS^NH||TESTPATIENT^ALEX^^^^^L||19850412\nMRG|A1^^^RZ9^MR";
        assert_eq!(tell(&bridge.source(), adt("A40", 10, told)).await, "AA");
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        let held = bridge.wait_state(note.delivery, State::Parked).await;
        assert_eq!(held.park.map(|p| p.reason), Some(ParkReason::Merged));
        assert!(far_end.got().is_empty());
        rerender(&bridge, note.delivery).await;
        bridge.wait_filed(note.delivery).await;
        assert!(far_end.got()[0].contains("B2^^^RZ9^MR"));
        bridge.stop().await;
    }
}

async fn rerender(bridge: &Bridge, delivery: ips_bridge::domain::ids::DeliveryId) {
    let operate = ips_bridge::store::write::Operate {
        call: bridge.call(),
        deliveries: vec![delivery],
        operation: Operation::Rerender { may_be_in_record_acknowledged: false },
        reason: "looked into".into(),
        single: true,
    };
    bridge.store.operate(operate).await.unwrap();
}

/// The record `from` goes into `into`.
fn merge(second: u32, into: &str, from: &str) -> Vec<u8> {
    let pid = format!("PID|1||{into}^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412\nMRG|{from}^^^RZ9^MR");
    adt("A40", second, &pid)
}

#[tokio::test]
async fn merges_that_reverse_close_a_circle_or_name_the_record_itself_are_answered_and_stop_what_they_may_concern() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let note = bridge.write_note("Met at the library.").await;
        assert_eq!(tell(&source, merge(1, "A1", "A1")).await, "AE");
        assert_eq!(state(&last(&bridge).await), ("PARKED", None));
        assert_eq!(tell(&source, merge(10, "B2", "A1")).await, "AA");
        assert_eq!(tell(&source, merge(10, "B2", "A1")).await, "AA", "told again");
        assert_eq!(tell(&source, merge(5, "A1", "B2")).await, "AA", "older than the merge that says otherwise");
        assert_eq!(state(&last(&bridge).await), ("IGNORED", Some("(older news)")));
        assert_eq!(tell(&source, merge(20, "A1", "B2")).await, "AE", "reversed");
        assert!(last(&bridge).await.reason.contains("reverses"));
        assert!(patient(&bridge).await.standing.doubt.is_some());
        // A record that lost is heard of again.
        let late = "PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412|F";
        assert_eq!(tell(&source, adt("A31", 40, late)).await, "AE");
        drop(source);
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        let held = bridge.wait_state(note.delivery, State::Parked).await;
        assert_eq!(held.park.map(|p| p.reason), Some(ParkReason::Merged));
        assert!(far_end.got().is_empty());
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_chain_of_merges_is_followed_to_its_end_and_one_that_closes_a_circle_of_three_is_not_taken() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let note = bridge.write_note("Met at the library.").await;
        for record in ["B2", "C3"] {
            let of = PatientDetails { local_identifiers: vec![mrn(record)], nhs_number: None, ..bridge::patient() };
            bridge.create_referral(of, bridge::referral()).await.unwrap();
        }
        assert_eq!(tell(&source, merge(10, "B2", "A1")).await, "AA");
        assert_eq!(tell(&source, merge(20, "C3", "B2")).await, "AA");
        let end = patient(&bridge).await;
        assert_eq!(end.details.local_identifiers, [mrn("C3")], "A1 is read where B2 went");
        assert_eq!(tell(&source, merge(30, "A1", "C3")).await, "AE");
        assert_eq!(state(&last(&bridge).await), ("PARKED", None));
        assert!(patient(&bridge).await.standing.doubt.is_some());
        drop(source);
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        let held = bridge.wait_state(note.delivery, State::Parked).await;
        assert_eq!(held.park.map(|p| p.reason), Some(ParkReason::Merged));
        assert!(far_end.got().is_empty());
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_death_holds_what_is_not_sent_and_a_person_may_send_it_all_the_same() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let note = bridge.write_note("Met at the library.").await;
        let died = format!("{PID}||||||||||||||||||||||20260228|Y");
        assert_eq!(tell(&bridge.source(), adt("A31", 10, &died)).await, "AA");
        let death = patient(&bridge).await.standing.death.unwrap();
        assert!(death.deceased && death.died_on == Some(Private(jiff::civil::date(2026, 2, 28))));
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        let held = bridge.wait_state(note.delivery, State::Parked).await;
        assert_eq!(held.park.map(|p| p.reason), Some(ParkReason::Deceased));
        assert!(far_end.got().is_empty());
        rerender(&bridge, note.delivery).await;
        bridge.wait_filed(note.delivery).await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_record_taken_out_holds_what_is_not_sent_until_it_is_made_again() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        assert_eq!(tell(&bridge.source(), adt("A29", 10, PID)).await, "AA");
        let note = bridge.write_note("Met at the library.").await;
        bridge.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        let held = bridge.wait_state(note.delivery, State::Parked).await;
        assert_eq!(held.park.map(|p| p.reason), Some(ParkReason::Merged));
        assert_eq!(tell(&bridge.source(), adt("A28", 20, PID)).await, "AA");
        let operate = ips_bridge::store::write::Operate {
            call: bridge.call(),
            deliveries: vec![note.delivery],
            operation: Operation::Retry { may_be_in_record_acknowledged: true },
            reason: "the record is there again".into(),
            single: true,
        };
        bridge.store.operate(operate).await.unwrap();
        bridge.wait_filed(note.delivery).await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_referral_is_modified_and_taken_back_by_its_referrer() {
    for store in stores() {
        let external = ips_bridge::domain::referral::ExternalId { system: "EPR".into(), value: Private("X1".into()) };
        let referral = ReferralDetails { external_ids: vec![external], ..bridge::referral() };
        let tweaks = Tweaks { without_outbox: true, patient: somebody("A1"), referral, ..Tweaks::default() };
        let bridge = Bridge::start(&store.url, nobody(), tweaks).await;
        let source = bridge.source();
        let now = async || bridge.store.referral(&Scope::system(), bridge.referral).await.unwrap().unwrap();
        let about = |trigger: &str, rf1: &str, pid: &str| {
            message(&format!("REF^{trigger}"), 1, &format!("{rf1}\nPRD|RP|ADEYEMI^TUNDE^^^DR\n{pid}\nNTE|1|L|Changed."))
        };
        assert_eq!(tell(&source, about("I13", "RF1||A||||X1^EPR", PID)).await, "AA");
        let modified = now().await;
        assert_eq!(modified.details.referrer_name, Private("DR TUNDE ADEYEMI".into()));
        assert_eq!(modified.details.reason, Some(Private("Changed.".into())));
        assert_eq!(modified.state, ReferralState::Accepted);
        assert_eq!(tell(&source, about("I13", "RF1||A||||X2^EPR", PID)).await, "AE", "no such referral");
        let other = "PID|1||Z9^^^RZ9^MR||STRANGER^SUSAN^^^^^L||19700101";
        assert_eq!(tell(&source, about("I14", "RF1||R||||X1^EPR", other)).await, "AE", "another patient");
        let family = PID.split('|').nth(5).and_then(|name| name.split('^').next()).unwrap();
        let namesake = format!("PID|1||Z9^^^RZ9^MR||{family}^BRIAN^^^^^L||19500101");
        assert_eq!(tell(&source, about("I14", "RF1||R||||X1^EPR", &namesake)).await, "AE", "of the same name");
        assert_eq!(tell(&source, about("I14", "RF1||R||||X1^EPR||||07^Client request", PID)).await, "AA");
        let closed = now().await;
        assert_eq!(closed.state, ReferralState::Closed);
        assert_eq!(closed.close_reason, Some(ips_bridge::domain::referral::CloseReason::ClientRequest));
        assert!(closed.close_text.is_some() && closed.closed_at >= closed.accepted_at);
        assert_eq!(tell(&source, about("I14", "RF1||R||||X1^EPR||||07^Client request", PID)).await, "AA", "again");
        assert_eq!(tell(&source, about("I13", "RF1||A||||X1^EPR", PID)).await, "AE", "it has ended");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn each_message_of_a_batch_is_answered_on_its_own_and_a_torn_batch_is_not_taken() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let batch = |messages: &[Vec<u8>], count: usize| {
            let mut all = b"FHS|^~\\&|EPR\rBHS|^~\\&|EPR\r".to_vec();
            messages.iter().for_each(|m| all.extend_from_slice(m));
            all.extend_from_slice(format!("BTS|{count}\rFTS|1\r").as_bytes());
            all
        };
        let messages = [
            adt("A31", 10, &format!("{PID}||||||1^PRN^PH")),
            adt("A31", 20, "PID|1||Z9^^^RZ9^MR||STRANGER^S^^^^^L||19700101"),
            adt("A31", 30, "PID|1||A1^^^RZ9^MR||TESTPATIENT^ALEX^^^^^L||19850412|||||||||||||||||||||||PERHAPS"),
        ];
        assert_eq!(tell(&source, batch(&messages, 3)).await, "AA AA AE");
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("1".into())));
        let torn = [adt("A31", 40, &format!("{PID}||||||2^PRN^PH"))];
        assert_eq!(tell(&source, batch(&torn, 2)).await, "AE");
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("1".into())), "none of it was taken");
        assert_eq!(tell(&source, torn[0].clone()).await, "AA", "sent again whole, it is taken");
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("2".into())));
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_batch_whose_sender_gave_up_is_taken_to_its_end_once_and_in_order() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let mut batch = b"BHS|^~\\&|EPR\r".to_vec();
        const COUNT: u32 = 40;
        for n in 0..COUNT {
            batch.extend_from_slice(&adt("A31", n, &format!("{PID}||||||{n}^PRN^PH")));
        }
        batch.extend_from_slice(format!("BTS|{COUNT}\r").as_bytes());
        // It is sent, and nobody waits; then once more by two at the same time, who are answered with what came of it.
        assert!(receive(&source, batch.clone()).now_or_never().is_none());
        let (one, other) = tokio::join!(receive(&source, batch.clone()), receive(&source, batch.clone()));
        let count = COUNT as usize;
        assert_eq!((one.len(), one == other), (count, true));
        let page = Page { size: 1000, after: None };
        let kept = bridge.store.inbound_messages(&Scope::system(), None, page).await.expect("read");
        let applied = kept.iter().filter(|m| m.state == InboundState::Applied && !m.reused_control_id).count();
        assert_eq!((kept.len(), applied), (count, count));
        assert_eq!(patient(&bridge).await.details.phone, Some(Private((COUNT - 1).to_string())), "the last one stands");
        // What was told is answered as before when it comes again, message by message.
        assert_eq!(receive(&source, batch).await, one);
        drop(source);
        bridge.stop().await;
    }
}

/// What came of its messages is kept message by message: nothing hangs on the memory of the bridge that began it.
#[tokio::test]
async fn a_batch_that_a_restart_cut_short_is_answered_whole_when_it_comes_again() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let mut batch = b"BHS|^~\\&|EPR\r".to_vec();
        const COUNT: u32 = 40;
        for n in 0..COUNT {
            let told = match n % 4 {
                1 => adt("A31", n, "PID|1||Z9^^^RZ9^MR||STRANGER^S^^^^^L||19700101"),
                2 => adt("A31", n, &format!("{PID}|||||||||||||||||||||||PERHAPS")),
                _ => adt("A31", n, &format!("{PID}||||||{n}^PRN^PH")),
            };
            batch.extend_from_slice(&told);
        }
        batch.extend_from_slice(format!("BTS|{COUNT}\r").as_bytes());
        let kept = async |bridge: &Bridge| {
            let page = Page { size: 1000, after: None };
            bridge.store.inbound_messages(&Scope::system(), None, page).await.expect("read")
        };
        let (first, own) = (batch.clone(), source.clone());
        let sender = tokio::spawn(async move { receive(&own, first).await });
        wait_until(Duration::from_secs(20), "some of it is in", async || kept(&bridge).await.len() > 6).await;
        source.batches.stop();
        assert!(sender.await.expect("it ends").is_empty(), "an unfinished batch is not answered");
        let before = kept(&bridge).await;
        assert!(before.len() < COUNT as usize, "it was cut short");
        drop(source);
        bridge.stop().await;
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let whole: Vec<&str> = (0..COUNT).map(|n| if n % 4 == 2 { "AE" } else { "AA" }).collect();
        assert_eq!(tell(&source, batch.clone()).await, whole.join(" "));
        let after = kept(&bridge).await;
        let count = |list: &[Inbound], state: InboundState| list.iter().filter(|m| m.state == state).count();
        assert_eq!(count(&after, InboundState::Applied), 20, "each once");
        assert_eq!(count(&after, InboundState::Parked), 10);
        let applied = before.iter().filter(|m| m.state == InboundState::Applied);
        for then in applied {
            let now = after.iter().find(|m| m.id == then.id).expect("it is there still");
            assert_eq!((now.state, &now.reply), (then.state, &then.reply), "answered by what was kept");
        }
        assert_eq!(patient(&bridge).await.details.phone, Some(Private("39".into())), "the last one stands");
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn in_enhanced_mode_what_is_taken_in_ignored_and_held_is_committed_first_and_answered_then() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = Source { ack_mode: AckMode::Enhanced, ..bridge.source() };
        assert_eq!(tell(&source, adt("A31", 10, PID)).await, "CA AA");
        let stranger = "PID|1||Z9^^^RZ9^MR||STRANGER^S^^^^^L||19700101";
        assert_eq!(tell(&source, adt("A31", 10, stranger)).await, "CA AA");
        let itself = format!("{PID}\nMRG|A1^^^RZ9^MR");
        assert_eq!(tell(&source, adt("A40", 10, &itself)).await, "CA AE");
        drop(source);
        bridge.stop().await;
    }
}

/// A wrong port, or an engine that routes what we send back to us.
#[tokio::test]
async fn a_message_of_ours_that_comes_back_is_never_acknowledged_as_the_record_would() {
    for store in stores() {
        let far = FarEnd::start(|_, m| ack(m, "AA", "")).await;
        let bridge =
            Bridge::start(&store.url, far.addr(), Tweaks { patient: somebody("A1"), ..Tweaks::default() }).await;
        // With rules or without: what is not listed would be answered AA.
        let rule = AcceptRule {
            name: "people".into(),
            messages: vec!["ADT^A31".into()],
            known_patients_only: true,
            teams: Vec::new(),
        };
        for (n, rules) in [vec![], vec![rule]].into_iter().enumerate() {
            let written = bridge.write_note("Met at the library.").await;
            bridge.wait_filed(written.delivery).await;
            let ours = far.got().remove(n);
            let source = Source { accept: Accept { rules }, ..bridge.source() };
            assert_eq!(tell(&source, ours.clone().into_bytes()).await, "AR");
            let kept = last(&bridge).await;
            assert_eq!(kept.state, InboundState::Parked);
            assert!(kept.reason.contains("circle"), "{}", kept.reason);
            // Another's message of that kind is judged as ever.
            let others = ours.replace(&crate::support::far_end::control_id(&ours), &format!("E{n}"));
            tell(&source, others.into_bytes()).await;
            assert!(!last(&bridge).await.reason.contains("circle"));
        }
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_message_for_training_or_testing_changes_nobody_at_a_live_endpoint() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let moved = String::from_utf8(adt("A31", 20, &format!("{PID}||||||07700 900123^PRN^CP"))).unwrap();
        for (is_live, processing, code) in [(true, "T", "AR"), (true, "D", "AR"), (false, "T", "AA"), (true, "P", "AA")]
        {
            let source = Source { is_live, ..bridge.source() };
            let bytes = moved
                .replace("|T|2.4", &format!("|{processing}|2.4"))
                .replace("||ADT^A31|M", &format!("||ADT^A31|{processing}{is_live}"));
            assert_eq!(tell(&source, bytes.into_bytes()).await, code, "{processing}");
            if code == "AR" {
                assert_eq!(patient(&bridge).await.details.phone, None);
            }
        }
        bridge.stop().await;
    }
}
