//! What was written comes back as it was, byte for byte.

use super::*;
use ips_bridge::domain::entry::Body;
use ips_bridge::store::Scope;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};

async fn comes_back(bridge: &Bridge, of: &bridge::Episode, text: &str) {
    let written = bridge.write(of, text).await;
    let entry = bridge.store.versions(&Scope::system(), [written.note.0]).await.unwrap().remove(0);
    let Body::Note(action) = entry.body else { panic!("not a note") };
    // Not assert_eq: a hundred thousand characters help nobody.
    assert!(
        action.content().unwrap().text.0 == text,
        "{} bytes beginning {:?}",
        text.len(),
        text.chars().take(20).collect::<String>()
    );
}

#[tokio::test]
async fn any_text_a_note_may_hold_comes_back_byte_for_byte() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let long = "Ŵyn 😀 \"quoted\" \\back\\slash\t'x'\n".repeat(4000).chars().take(100_000).collect::<String>();
        let texts = [
            "plain",
            "Siân, Llŷr, ŵ, Ŷ, ẁ",
            "emoji 😀👩🏽‍💻🏴󠁧󠁢󠁷󠁬󠁳󠁿",
            "\"'`\\ \\\\ \\n \\u0000 \\u001f $1 {uuid} {rows} %s ; -- DROP TABLE note;",
            "tab\tand\nlines\n\n",
            " \u{a0}\u{2028}\u{2029}\u{feff} combining e\u{301} ",
            "[1,2,3]",
            "{\"a\":null}",
            "null",
            "12345678901234567890",
            "1e400",
            "\u{10ffff}\u{fffd}\u{e000}\u{7ff}\u{800}\u{ffff}",
            "Cymraeg: Mae'n hoffi siarad â phobl.",
            long.as_str(),
        ];
        for text in texts {
            comes_back(&bridge, &of, text).await;
        }
        bridge.close().await;
    }
}

#[test]
fn random_texts_come_back_byte_for_byte() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for test in both() {
        let bridge = runtime.block_on(Bridge::on(&test.url));
        let of = runtime.block_on(bridge.episode());
        let mut runner =
            TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() });
        let any_text = "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]{1,60}";
        runner
            .run(&any_text, |text| {
                runtime.block_on(comes_back(&bridge, &of, &text));
                Ok(())
            })
            .unwrap();
        runtime.block_on(bridge.close());
    }
}

#[tokio::test]
async fn names_identifiers_and_reasons_come_back_too() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let mut details = person();
        details.name.family.0 = "O'Brien \"Ó Briain\" \\ 李 {int}".into();
        details.local_identifiers[0].value.0 = "A'B\"C\\D{0:uuid}".into();
        let of = bridge.refer(&rx9(), details.clone(), "east").await;
        let again = bridge.refer(&rx9(), details.clone(), "east").await;
        assert_eq!(of.patient, again.patient, "recognised by the identifier");
        let patient = bridge.store.patient(&Scope::system(), of.patient).await.unwrap().unwrap();
        assert_eq!(patient.details, details);
        let why = "Because \"of\" it; \\ 'n' such 😀";
        let update = ips_bridge::store::write::UpdatePatient {
            call: call(&rx9()),
            patient_id: of.patient,
            version_seen: 1,
            details,
            reason: why.into(),
        };
        bridge.store.update_patient(update).await.unwrap();
        assert_eq!(raw::texts(&test.url, "SELECT why FROM audit WHERE action = 'patient.update'").await, [why]);
        bridge.close().await;
    }
}
