//! Letters beyond ASCII, and the rows that carry a text: what MSH-18 and OBX-2 say of the bytes must be so under every setting that a site may choose, or
//! the receiver reads `£5` as `Â£5`, or a note as a number.

use super::super::examples::Case;
use super::super::fault::{Fault, Faults};
use super::super::hl7::{Charset, Message};
use super::super::input;
use super::super::manifest::{Format, RenderEntry};
use super::super::pack::Pack;
use super::super::render::{RenderError, RenderOptions};
use super::variants::{bytes, choices, engine, with, with_setting};
use serde_json::{Value, json};

/// What authors write sooner or later.
const TEXT: &str = "Caf\u{e9}: \u{a3}5 an hour.\nA second line.";
const ONE_LINE: &str = "Caf\u{e9}: \u{a3}5 an hour.";

pub fn check(pack: &Pack, case: &Case, faults: &mut Faults) {
    let Some(input) = pack.example_input(case, &mut Faults::default()) else { return };
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let row = input::entry_name(&input).and_then(|entry| pack.manifest.render_entry(entry, settings));
    let Some(row) = row.filter(|row| row.entry.ends_with(".create")) else { return };
    if pack.format() != Format::Hl7v2 {
        return written(pack, row, &input, faults);
    }
    // A document is the same bytes in every set, and costs as much as a hundred messages.
    let charsets = match row.document {
        Some(_) => vec![engine(&input, "charset")],
        None => choices(pack, &input, "charset"),
    };
    for charset in charsets {
        let input = with_setting(&input, "charset", &charset);
        declared(pack, row, &input, faults);
        written(pack, row, &input, faults);
        declared(pack, row, &of_text(&input, ONE_LINE), faults);
    }
    for kind in choices(pack, &input, "text_type") {
        typed(pack, row, &with_setting(&input, "text_type", &kind), faults);
    }
}

fn of_text(input: &Value, text: &str) -> Value {
    with(input, &[("/entry/text", json!(text)), ("/entry/note/text", json!(text))])
}

/// MSH-18 names the set that the bytes are in, where that shows.
fn declared(pack: &Pack, row: &RenderEntry, input: &Value, faults: &mut Faults) {
    let (Some(charset), Ok(bytes)) = (Charset::parse(&engine(input, "charset")), bytes(pack, input)) else { return };
    let Some(message) = Message::read(&bytes, charset).ok().filter(|_| !bytes.is_ascii()) else { return };
    let said = message.msh().field(18).repeats().next().map(|repeat| repeat.component(1).raw().to_owned());
    let said = said.unwrap_or_default();
    if Charset::parse(&said) == Some(charset) {
        return;
    }
    let what = match said.as_str() {
        "" => format!(
            "MSH-18 is empty, and the bytes are {charset}: the receiver would guess at every letter beyond ASCII"
        ),
        _ => format!("MSH-18 names another character set than {charset}, which the bytes are in"),
    };
    let hint = match pack.manifest.settings.get("charset") {
        Some(_) => "print {{ settings.charset }} in MSH-18".to_owned(),
        None => format!("write {charset} in MSH-18"),
    };
    faults.add(&format!("templates/{}", row.template), 0, format!("{}: {what}", row.entry), hint);
}

/// A text with such letters and a line break is carried, or stopped for what its author can see.
fn written(pack: &Pack, row: &RenderEntry, input: &Value, faults: &mut Faults) {
    // Without a text, or where the example itself stops under this setting, there is nothing to compare with.
    let has_text = input.pointer("/entry/text").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let made = |input: &Value| pack.render_value(input, &RenderOptions::default()).map(drop);
    if !has_text || made(input).is_err() {
        return;
    }
    let with = "made of a text with \u{a3}, \u{e9} and a line break";
    match made(&of_text(input, TEXT)) {
        Err(RenderError::NotRenderable(list)) => {
            let told = |f: Fault| Fault { what: format!("{} ({}, {with})", f.what, row.entry), ..f };
            faults.0.extend(list.into_iter().map(told));
        }
        // What the set lacks, or a type that has no line breaks, stops the entry as it should.
        Err(RenderError::NotCarriable { what })
            if Charset::parse(&engine(input, "charset")).is_none_or(|set| set.encode(TEXT).is_ok()) =>
        {
            if let Err(RenderError::NotCarriable { .. }) = made(&of_text(input, ONE_LINE)) {
                let what = format!("{}: {what} ({with})", row.entry);
                let hint = "look at what MSH-18 says of the bytes, and at what is done to the text";
                faults.add(&format!("templates/{}", row.template), 0, what, hint);
            }
        }
        _ => {}
    }
}

/// OBX-2 of the rows that carry the text is what the endpoint's text was made for.
fn typed(pack: &Pack, row: &RenderEntry, input: &Value, faults: &mut Faults) {
    let Some(code) = &row.text_code else { return };
    let code = match code.strip_prefix("settings.") {
        Some(name) => input.pointer(&format!("/settings/{name}")).and_then(Value::as_str).unwrap_or_default(),
        None => code,
    };
    let Some(message) = super::variants::message(pack, input) else { return };
    let (wanted, newline) = (engine(input, "text_type"), engine(input, "text_newline"));
    let of_text = |obx: &super::super::hl7::Segment<'_>| {
        obx.field(3).repeats().next().is_some_and(|repeat| repeat.component(1).raw() == code)
    };
    for obx in message.segments_named("OBX").filter(of_text) {
        let said = obx.field(2).raw();
        // Without escapes in it a text of the type FT is one of the type TX.
        let fits = said == wanted || (newline != "br" && matches!((said, wanted.as_str()), ("TX" | "FT", "TX" | "FT")));
        if !fits {
            let what = format!("{}: OBX-2 is {said} beside the author's text, which was made for {wanted}", row.entry);
            let hint = match pack.manifest.settings.get("text_type") {
                Some(_) => "print {{ settings.text_type }} in OBX-2",
                None => "write FT there, or declare the setting text_type and print {{ settings.text_type }}",
            };
            return faults.add(&format!("templates/{}", row.template), 0, what, hint);
        }
    }
}
