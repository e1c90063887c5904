//! Text arrives exactly or is refused with the reason.

use ips_bridge::adapter::{Pack, RenderError, RenderOptions, Rendered, hl7};
use ips_bridge::wire::v1::RenderInput;
use proptest::prelude::*;
use std::{path::PathBuf, sync::LazyLock};

static PACK: LazyLock<Pack> = LazyLock::new(|| Pack::load(&folder()).expect("the pack loads"));

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk")
}

fn input(text: &str, settings: &str) -> RenderInput {
    let example = std::fs::read_to_string(folder().join("examples/render-note/input.json")).expect("an example");
    let mut value: serde_json::Value = serde_json::from_str(&example).expect("JSON");
    value["entry"]["text"] = text.into();
    let base = "sending_facility = \"RZZ\"\nreceiving_application = \"EPR\"\nreceiving_facility = \"RZZ\"\nwithdraw_as = \"T11\"\n";
    let given: toml::Table = format!("{base}{settings}").parse().expect("TOML");
    value["settings"] = serde_json::Value::Object(PACK.settings(&given).expect("good settings"));
    serde_json::from_value(value).expect("a RenderInput")
}

fn render(text: &str, settings: &str) -> Result<Rendered, RenderError> {
    PACK.render(&input(text, settings), &RenderOptions::default())
}

/// The note as a receiver that follows the settings would read it.
fn received(bytes: &[u8], joint: char) -> String {
    let message = hl7::Message::read(bytes, hl7::Charset::Utf8).expect("a message");
    let path = hl7::Path::parse(&format!("OBX[3.1=371532007]-5{joint}")).expect("a path");
    path.read(&message).expect("one text").into_value().expect("a text").into_owned()
}

const FT: &str = "";
const FT_JOINED: &str = "text_max_chars = 199\ntext_join = \"end_to_end\"\n";
const TX_REPEAT: &str = "text_type = \"TX\"\ntext_newline = \"repeat\"\n";
const ST_ROWS: &str = "text_type = \"ST\"\ntext_newline = \"obx\"\n";

#[test]
fn sixty_thousand_characters_arrive_exactly_in_every_mode_that_can_hold_them() {
    let text =
        "Cyfarfu â Siân: tŷ bwyta, “rhan-amser” 🎉 50% ychwanegol.\n".chars().cycle().take(60_000).collect::<String>();
    for (settings, joint) in [(FT_JOINED, '+'), (TX_REPEAT, '*'), (ST_ROWS, '*')] {
        let rendered = render(&text, settings).expect("carried");
        assert_eq!(received(&rendered.bytes, joint), text, "{settings}");
    }
    let rendered = render(&text, FT).expect("it fits into one OBX-5 with its escapes");
    assert_eq!(received(&rendered.bytes, '+'), text);
    let heavier = "|^~\\&".chars().cycle().take(60_000).collect::<String>();
    assert_eq!(render(&heavier, FT), Err(RenderError::TooLong { limit: 65_536 }));
    assert_eq!(received(&render(&heavier, FT_JOINED).expect("carried").bytes, '+'), heavier);
}

#[test]
fn the_endpoints_own_limits_are_held_before_anything_is_made() {
    let options = RenderOptions { max_text_chars: Some(5), ..RenderOptions::default() };
    assert_eq!(PACK.render(&input("six ch", FT), &options), Err(RenderError::TooLong { limit: 5 }));
    let options = RenderOptions { require_mapped_staff: true, ..RenderOptions::default() };
    assert_eq!(PACK.render(&input("text", FT), &options), Err(RenderError::NoStaffId));
    let options = RenderOptions { max_message_bytes: Some(100), ..RenderOptions::default() };
    assert_eq!(PACK.render(&input("text", FT), &options), Err(RenderError::TooLong { limit: 100 }));
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    assert_eq!(render("Same bytes.", FT), render("Same bytes.", FT));
}

#[test]
fn neither_errors_nor_debug_show_the_patient_or_the_text() {
    for (text, settings) in [
        ("canary\u{b}text", FT),
        ("canary 🎉 text", "charset = \"8859/1\"\n"),
        ("canary text that is too long", "text_max_chars = 16\n"),
    ] {
        let error = render(text, settings).expect_err("refused");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("Testpatient") && !shown.contains("999000"), "{shown}");
    }
    let rendered = render("canary", FT).expect("carried");
    assert!(!format!("{rendered:?}").contains("canary"));
}

fn any_text() -> impl Strategy<Value = String> {
    let tricky = prop::sample::select(vec![
        "\n",
        "\t",
        "|",
        "^",
        "~",
        "\\",
        "&",
        "\"\"",
        "\\.br\\",
        "\\X0D\\",
        "\nMSH|^~\\&|",
        "#",
        "OBX|1|",
        " ",
        "é",
        "😀",
        "{{ x }}",
        "\u{200b}",
    ]);
    let any = any::<char>()
        .prop_filter("control characters are refused on accept", |c| !c.is_control())
        .prop_map(String::from);
    prop::collection::vec(prop_oneof![tricky.prop_map(str::to_owned), any], 1..60).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_accepted_text_arrives_exactly_or_is_refused(text in any_text()) {
        for (settings, joint) in [(FT, '+'), ("text_max_chars = 16\ntext_join = \"end_to_end\"\n", '+'), (TX_REPEAT, '*'), (ST_ROWS, '*')] {
            match render(&text, settings) {
                Ok(rendered) => prop_assert_eq!(received(&rendered.bytes, joint), text.as_str()),
                // Blank lines alone cannot be told from no text: refused, never altered.
                Err(RenderError::NotCarriable { .. }) => prop_assert!(text.chars().all(|c| c == '\n')),
                // A heading of the example is longer than 16 characters only where rows are joined, and then it is cut.
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
