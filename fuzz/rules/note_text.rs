//! Any text a note may have: it reads back from the message as it was written, or the message is not made.
use super::read;
use ips_bridge::adapter::hl7::{Charset, Message};
use ips_bridge::adapter::{Pack, RenderError, RenderOptions};
use ips_bridge::wire::v1;
use std::sync::LazyLock;

static PACK: LazyLock<Pack> = LazyLock::new(|| read::pack("hl7v2-uk"));
static NOTE: LazyLock<v1::RenderInput> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../adapters/hl7v2-uk/examples/render-note/input.json")).expect("an example")
});

const CHARSETS: [(&str, Charset); 4] = [
    ("UNICODE UTF-8", Charset::Utf8),
    ("8859/1", Charset::Iso8859_1),
    ("8859/15", Charset::Iso8859_15),
    ("ASCII", Charset::Ascii),
];
const WAYS: [(&str, &str, &str); 7] = [
    ("FT", "br", "none"),
    ("FT", "br", "end_to_end"),
    ("FT", "repeat", "none"),
    ("FT", "obx", "none"),
    ("TX", "obx", "none"),
    ("TX", "repeat", "none"),
    ("ST", "obx", "none"),
];

/// The first byte says how the endpoint takes text, the second how much in one OBX-5; the rest is the text.
pub fn hold(bytes: &[u8]) {
    let [way, max, text @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(text) = ips_bridge::domain::text::paragraphs(text, 100_000) else { return };
    let text: &str = &text.0;
    let (charset_name, charset) = CHARSETS[usize::from(*way) % CHARSETS.len()];
    let (kind, newline, join) = WAYS[usize::from(*way) / CHARSETS.len() % WAYS.len()];

    let mut input = NOTE.clone();
    let entry = input.entry.as_mut().expect("an example has an entry");
    text.clone_into(&mut entry.text);
    let mut settings = PACK.manifest.settings.examples();
    for (name, value) in
        [("charset", charset_name), ("text_type", kind), ("text_newline", newline), ("text_join", join)]
    {
        settings.insert(name.into(), value.into());
    }
    settings.insert("text_max_chars".into(), (u32::from(*max) * 4 + 16).into());
    input.settings = Some(serde_json::from_value(settings.into()).expect("settings are a struct"));

    match PACK.render(&input, &RenderOptions::default()) {
        Ok(rendered) => {
            let message = Message::read(&rendered.bytes, charset).expect("what we make can be read");
            assert!(message.set_aside().is_empty(), "every line is a segment");
            let rows: Vec<String> = message
                .segments_named("OBX")
                .filter(|obx| obx.field(3).raw().starts_with("371532007^"))
                .map(|obx| {
                    let repeats = obx.field(5).repeats().map(|r| r.reading().value().unwrap_or_default().to_owned());
                    repeats.collect::<Vec<_>>().join("\n")
                })
                .collect();
            assert_eq!(
                rows.join(if join == "none" { "\n" } else { "" }),
                text,
                "{charset_name} {kind} {newline} {join}"
            );
        }
        Err(RenderError::NotCarriable { .. } | RenderError::TooLong { .. }) => {}
        Err(other) => panic!("a text is carried or is refused for what it is: {other}"),
    }
}
