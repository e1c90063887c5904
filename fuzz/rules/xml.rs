//! Any bytes where XML is read: by the map of `soap-notes`, whose values keep our rules or are refused by name, and as a reply to one of its requests,
//! which files only with every proof in it.
use super::read;
use ips_bridge::adapter::Pack;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::verdict::verdict;
use std::sync::LazyLock;

static PACK: LazyLock<Pack> = LazyLock::new(|| read::pack("soap-notes"));
const REFERENCE: &str = "01JNBRZC5M8Q4T7V9XA2E3F4G1";

pub fn hold(bytes: &[u8]) {
    read::is_taken_or_refused(&PACK, bytes);
    let rules = PACK.reply_rules(&toml::Table::new()).expect("the pack's own");
    let sent = format!(
        "POST notes\n\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><CreateNote xmlns=\"urn:example:notes:1\">\
         <Reference>{REFERENCE}</Reference></CreateNote></s:Body></s:Envelope>"
    );
    // A whole reply, or the body of a good one.
    for reply in [bytes.to_vec(), [b"HTTP 200\n\n", bytes].concat()] {
        let v = verdict(&reply, &rules, "C1", sent.as_bytes());
        // What may go again, or is told as never sent, shows nothing of having been filed.
        if matches!(v.meaning, Meaning::Refused | Meaning::Retry) {
            assert!(!shows_filing(&reply), "a no beside a yes");
        }
        // 202 is the word of somebody on the way, and files nothing.
        if v.meaning != Meaning::Positive || v.level == Level::Transport {
            continue;
        }
        let text = String::from_utf8(reply).expect("what files is UTF-8");
        let body = text.split_once("\n\n").map_or("", |(_, body)| body).trim_start_matches('\u{feff}');
        let document = roxmltree::Document::parse(body).expect("what files is well-formed");
        let named = |name: &str| document.descendants().filter(|n| n.tag_name().name() == name).collect::<Vec<_>>();
        assert!(named("Fault").is_empty() && !named("NoteId").is_empty(), "filed without proof");
        assert!(
            named("Reference").iter().any(|n| n.text().is_some_and(|t| t.trim() == REFERENCE)),
            "of another message"
        );
    }
}

/// By another reading than the verdict's own: an id of a note, or a result that is a yes, in the Body of an Envelope.
fn shows_filing(reply: &[u8]) -> bool {
    const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
    const NOTES: &str = "urn:example:notes:1";
    let Some(body) = std::str::from_utf8(reply).ok().and_then(|t| t.split_once("\n\n")).map(|(_, body)| body) else {
        return false;
    };
    let Ok(document) = roxmltree::Document::parse(body.trim_start_matches('\u{feff}')) else { return false };
    let said = |n: roxmltree::Node<'_, '_>| {
        let text: String = n.descendants().filter_map(|d| d.text().filter(|_| d.is_text())).collect();
        n.has_tag_name((NOTES, "NoteId")) && !text.trim().is_empty()
            || n.has_tag_name((NOTES, "Result")) && n.attribute("code").is_some_and(|c| c.trim() == "OK")
    };
    let root = document.root_element();
    let bodies = root.children().filter(|n| n.has_tag_name((SOAP, "Body")));
    root.has_tag_name((SOAP, "Envelope")) && bodies.flat_map(|b| b.children()).flat_map(|c| c.children()).any(said)
}
