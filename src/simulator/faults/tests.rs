use super::*;
use proptest::prelude::*;

const NOTE: Struck<'_> = Struck { kind: "MDM^T02", control_id: "C1", document_id: Some("D1^IPS") };

fn strikes(plan: &mut Plan, messages: usize) -> Vec<bool> {
    (0..messages).map(|_| plan.next(NOTE).is_some()).collect()
}

#[test]
fn a_scripted_fault_strikes_the_messages_it_names_and_no_other() {
    let cases = [
        (When::All, [true, true, true, true]),
        (When::Nth(2), [false, true, false, false]),
        (When::Every(2), [false, true, false, true]),
        (When::Kind("MDM^T02".into()), [true; 4]),
        (When::Kind("MDM^T11".into()), [false; 4]),
        (When::Id("C1".into()), [true; 4]),
        (When::Id("D1^IPS".into()), [true; 4]),
        (When::Id("C2".into()), [false; 4]),
    ];
    for (when, expected) in cases {
        let mut plan = Plan::new(Faults::scripted(when.clone(), Fault::Silence, None));
        assert_eq!(strikes(&mut plan, 4), expected, "{when:?}");
    }
    let mut twice = Plan::new(Faults::scripted(When::All, Fault::Silence, Some(2)));
    assert_eq!(strikes(&mut twice, 4), [true, true, false, false]);
}

#[test]
fn the_first_scripted_fault_goes_before_the_others_and_before_chance() {
    let faults = Faults::parse(&["garbage@100%", "close@2", "silence@all#1"], 7).expect("faults");
    let mut plan = Plan::new(faults);
    let met: Vec<_> = (0..3).map(|_| plan.next(NOTE)).collect();
    assert_eq!(met, [Some(Fault::Silence), Some(Fault::Close), Some(Fault::Garbage)]);
}

#[test]
fn chance_keeps_to_its_probability_and_follows_from_the_seed_alone() {
    let drawn = |seed| {
        let mut plan = Plan::new(Faults::parse(&["drop-ack@20%", "close@10%"], seed).expect("faults"));
        (0..10_000).map(|_| plan.next(NOTE)).collect::<Vec<_>>()
    };
    let once = drawn(1);
    assert_eq!(once, drawn(1));
    assert_ne!(once, drawn(2));
    let count = |fault: &Fault| once.iter().filter(|met| met.as_ref() == Some(fault)).count();
    assert!((1_800..2_200).contains(&count(&Fault::DropAck)), "{}", count(&Fault::DropAck));
    assert!((850..1_150).contains(&count(&Fault::Close)), "{}", count(&Fault::Close));
}

#[test]
fn what_cannot_be_read_as_a_fault_is_refused_with_what_to_write() {
    for wrong in [
        "",
        "drop",
        "drop-ack:1s",
        "delay",
        "delay:5",
        "delay:5h",
        "refuse:AA",
        "refuse:AE:x",
        "refuse:AE:1:2",
        "close@",
        "close@0",
        "close@every:0",
        "close@often:2",
        "close@id:",
        "close@101%",
        "close@x%",
        "close@5%#1",
        "close#x",
    ] {
        let fault = Faults::parse(&[wrong], 0).expect_err(wrong);
        assert!(fault.what.len() > 20, "{fault}");
    }
    assert!(Faults::parse(&["close@60%", "silence@50%"], 0).is_err());
    assert!(Faults::parse(&["close@60%", "silence@40%"], 0).is_ok());
}

fn any_fault() -> impl Strategy<Value = Fault> {
    use AckCode::{AE, AR, CE, CR};
    let time = || (0..100_000u64).prop_map(Duration::from_millis);
    prop_oneof![
        (prop::sample::select(vec![AE, AR, CE, CR]), prop::option::of(any::<u16>()))
            .prop_map(|(code, error)| Fault::Refuse { code, error }),
        time().prop_map(Fault::Delay),
        time().prop_map(Fault::LateAck),
        time().prop_map(Fault::LateApplicationAck),
        prop::option::of(time()).prop_map(Fault::GoAway),
        prop::sample::select(vec![
            Fault::DropAck,
            Fault::Silence,
            Fault::Close,
            Fault::FileAndClose,
            Fault::CloseMidFrame,
            Fault::AckTwice,
            Fault::WrongId,
            Fault::ForeignId,
            Fault::Garbage,
            Fault::Noise,
            Fault::CommitOnly,
        ]),
    ]
}

proptest! {
    #[test]
    fn a_fault_is_read_as_it_is_written(fault in any_fault()) {
        prop_assert_eq!(fault.to_string().parse(), Ok(fault));
    }

    #[test]
    fn reading_faults_never_panics(text in "\\PC{0,30}") {
        let _ = Faults::parse(&[text], 0);
    }
}
