//! Hostile text: carried exactly, or refused with the reason. Never altered.

use crate::e2e_support::{Bridge, Client, Stage, endpoint, epr};
use ips_bridge::simulator::Simulator;
use ips_bridge::wire::v1;
use v1::ParkReason as Reason;

/// What people type, paste and dictate, and what breaks parsers.
fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("Welsh", "Cwrddais â Siân yn Llŷn; mae hi'n awyddus i ddechrau gwaith yng Nghaerdydd. Ŵyr ŷ ẁ ẃ.".into()),
        ("emoji", "Really pleased 🎉👩🏽‍🌾 with the offer 👍🏿 — family 👨‍👩‍👧‍👦.".into()),
        ("smart quotes", "“He said ‘no’” – that’s all… £12·50 € 5 ½ ™".into()),
        ("delimiters", "a|b^c~d\\e&f || ^^ ~~ \\\\ && |^~\\& end".into()),
        (
            "escape lookalikes",
            "\\.br\\ \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\X0D\\ \\H\\ \\N\\ \\C1234\\ \\Zabc\\ \\ \\".into(),
        ),
        ("tabs and indents", "\tone\n\t\ttwo\n  three  \n\n\nfour\n".into()),
        ("segment lookalikes", "first\nMSH|^~\\&|X\nPID|1||9990000018\nOBX|2|FT|x\nMSA|AA|1".into()),
        ("right to left, combining", "שלום مرحبا e\u{301} n\u{303} Z\u{351}\u{36b}\u{343} \u{200d}\u{feff}".into()),
        ("CJK and astral", "漢字かな 한글 𝕬𝖇𝖈 \u{10fffd}".into()),
        ("blank lines at the ends", "\n\nmiddle\n\n".into()),
        ("line separators", "a\u{2028}b\u{2029}c".into()),
        (
            "60,000 characters",
            "Rang the garden centre & asked about hours | café \\ ŵ.\n".repeat(1200).chars().take(60_000).collect(),
        ),
        ("one line of 60,000", "ab|".repeat(20_000)),
        ("backslashes only", "\\".repeat(500)),
        ("a quote", "\"\"".into()),
    ]
}

fn carried(epr: &Simulator, document_id: &str) -> Vec<String> {
    epr.ask(|r| {
        assert_eq!(r.copies(document_id), 1);
        let document = r.document(document_id).expect("filed");
        document
            .latest()
            .sections
            .iter()
            .filter(|s| s.code != "IPS-HEADING")
            .map(|s| s.text.as_str().to_owned())
            .collect()
    })
}

/// Every text, carried by an endpoint with these settings: exactly, or parked for its author.
async fn exactly_or_parked(settings: &str, may_park: impl Fn(&str) -> bool) {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), settings)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let mut sent = Vec::new();
    for (name, text) in texts() {
        sent.push((name, client.write(&person, &text).await));
    }
    let all = client
        .settled(crate::e2e_support::PATIENCE, |d| {
            matches!(d.state(), v1::DeliveryState::Filed | v1::DeliveryState::Parked)
        })
        .await;
    for (name, written) in sent {
        let d = all.iter().find(|d| d.id == written.id()).expect("it is listed");
        // What was accepted, with line ends as they are kept.
        let accepted =
            written.note.versions.last().and_then(|v| v.content.as_ref()).map(|c| c.text.clone()).expect("the text");
        if d.state() == v1::DeliveryState::Filed {
            let held = carried(&epr, &written.document());
            assert!(held.len() == 1 && held[0] == accepted, "{name} under {settings:?} was altered on its way");
        } else {
            assert!(may_park(name), "{name} under {settings:?} was parked: {}", d.author_sentence);
            assert!(
                matches!(d.park_reason(), Reason::TextNotCarriable | Reason::TextTooLong),
                "{name}: {}",
                d.author_sentence
            );
            assert_eq!(d.waiting_for(), v1::WaitingFor::Author, "{name}");
            assert!(d.author_sentence.starts_with("Not in EPR epr"), "{}", d.author_sentence);
        }
    }
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_formatted_text_everything_arrives_exactly() {
    // Escaped, the longest is more than one OBX-5 holds: an endpoint that joins rows carries it, one that does not refuses it whole.
    exactly_or_parked("[settings]\ntext_join = \"end_to_end\"", |_| false).await;
    exactly_or_parked("", |name| name.contains("60,000")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_plain_text_by_repeats_and_by_rows_what_arrives_is_exact() {
    let one_value = |name: &str| name.contains("60,000");
    exactly_or_parked("[settings]\ntext_type = \"TX\"\ntext_newline = \"repeat\"", one_value).await;
    exactly_or_parked("[settings]\ntext_type = \"TX\"\ntext_newline = \"obx\"", one_value).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_latin_1_lacks_waits_for_its_author_and_what_it_has_arrives() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "[settings]\ncharset = \"8859/1\"")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let plain = client.write(&person, "Café £5, ½ day, Siân.").await;
    let emoji = client.write(&person, "Really pleased 🎉.").await;
    let after = client.write(&person, "Naïve question.").await;
    client.filed(plain.id()).await;
    assert_eq!(carried(&epr, &plain.document()), ["Café £5, ½ day, Siân."]);
    let d = client.parked(emoji.id(), Reason::TextNotCarriable).await;
    assert_eq!((d.waiting_for(), d.attempts, d.may_have_been_received), (v1::WaitingFor::Author, 0, false));
    assert!(d.author_sentence.contains("cannot carry"), "{}", d.author_sentence);
    client.filed(after.id()).await;
    // The author says the same without: it goes as the first the record hears of it.
    let mended = client.replace(&emoji, &person, "Really pleased.").await;
    client.filed(mended.id()).await;
    assert_eq!(carried(&epr, &mended.document()), ["Really pleased."]);
    epr.ask(|r| assert!(r.arrivals().iter().all(|a| a.kind == "MDM^T02")));
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_ends_become_line_feeds_and_control_characters_are_refused_with_nothing_stored() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let client: &Client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "one\r\ntwo\rthree\nfour\r\n\r\nfive").await;
    client.filed(written.id()).await;
    assert_eq!(carried(&epr, &written.document()), ["one\ntwo\nthree\nfour\n\nfive"]);
    for bad in [
        "framing \u{b} start",
        "framing \u{1c} end",
        "nul \0",
        "escape \u{1b}[31m",
        "bell \u{7}",
        "delete \u{7f}",
        "c1 \u{9b}x",
    ] {
        match client.try_write(client.note(&person, bad)).await {
            Err(status) => assert_eq!(status.code(), tonic::Code::InvalidArgument, "{bad:?}: {status}"),
            // Not a control character for the rules: then it must arrive as it is.
            Ok(written) => {
                client.filed(written.id()).await;
                assert_eq!(carried(&epr, &written.document()), [bad], "altered");
            }
        }
    }
    for framing in ["\u{b}", "\u{1c}", "\u{1c}\r", "x\0"] {
        let status = client
            .try_write(client.note(&person, &format!("a{framing}b")))
            .await
            .err()
            .expect("framing bytes are refused");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
    let too_long = "x".repeat(100_001);
    let status = client.try_write(client.note(&person, &too_long)).await.err().expect("too long");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(
        client.all().await.iter().all(|d| d.state() == v1::DeliveryState::Filed),
        "a refused call left something behind"
    );
    bridge.stop().await;
    epr.shutdown().await;
}

/// Only its author can shorten it: nobody else is made to look for what is wrong with the pack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_lines_than_one_message_holds_are_told_to_the_author() {
    let epr = epr(|_| {}).await;
    let settings = "[settings]\ntext_type = \"TX\"\ntext_newline = \"obx\"";
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), settings)]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let written = bridge.client.write(&person, &"z\n".repeat(16_000)).await;
    let d = bridge.client.parked(written.id(), Reason::TextNotCarriable).await;
    assert_eq!((d.attempts, d.waiting_for()), (0, v1::WaitingFor::Author));
    bridge.stop().await;
    epr.shutdown().await;
}
