//! A message of XML that an EPR posts: kept raw in the same commit as what it changes, answered after it, a repeat answered the same. Which message it is
//! stands in it, where the pack's `[[parse]]` says; what cannot be read so far has the hash of its bytes for an id.

use super::answer::{Caller, ToXml};
use super::fhir::{self, said_unheard};
use super::receive::OUR_OWN;
use super::repeats::told_apart;
use super::{Source, weigh};
use crate::adapter::ParseError;
use crate::adapter::xml::{Peeked, plain};
use crate::domain::accept::{Accept, Judged};
use crate::store::record::{Inbound, Raw};
use crate::store::write::Received;
use crate::store::{StoreError, WriteError};
use crate::transport::http_message::Reply;
use crate::transport::https::{Arrived, Unheard};

/// Where all come from: HTTP names no sender, the endpoint's listener does.
const SOURCE: &str = "xml";
/// Said of a message whose name could be anything.
const ODD_NAME: &str = "the element that is the message has a name that no accept rule can judge";
const NOT_XML: &str = "only XML in UTF-8 is read here: application/xml, text/xml or application/soap+xml";

/// The reply. What could not be kept is answered 503, so that the sender sends it again.
pub async fn receive_xml(source: &Source, arrived: Arrived) -> Reply {
    if arrived.method != "POST" {
        return plain(405, "only POST is taken here");
    }
    match take(source, arrived).await {
        Ok(reply) => Reply::parse(&reply).unwrap_or_else(|_| plain(500, "the stored answer cannot be read")),
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "a message could not be stored; the sender is told to send it again");
            plain(503, "it could not be stored; send it again")
        }
    }
}

/// What a caller is told whose request did not come as far as [`receive_xml`].
pub fn unheard_xml(why: Unheard) -> Reply {
    plain(why.status(), &said_unheard(why).1)
}

/// Whether a kept message came as XML.
pub(super) fn is_xml(kept: &Inbound) -> bool {
    kept.source == SOURCE
}

/// What is known of a message before its map is asked, or why nothing is: a status and a sentence.
type Seen = Result<Peeked, (u16, String)>;

async fn take(source: &Source, arrived: Arrived) -> Result<Vec<u8>, WriteError> {
    // The message names itself, not the request.
    let arrived = Arrived { request_id: None, ..arrived };
    let mut inbound = Inbound { message_type: String::new(), ..fhir::kept(source, &arrived, SOURCE) };
    let seen = seen(source, &arrived.content_type, &inbound.bytes.0).await;
    let by_hash = inbound.control_id.clone();
    named(&mut inbound, &seen);
    let store = &source.store;
    let _turn = source.repeats.turn(&inbound).await;
    let mut before = store.inbound_before(&source.endpoint, SOURCE, &inbound.control_id).await?;
    if inbound.control_id != by_hash {
        // It came before, when the pack could not read it yet.
        before.extend(store.inbound_before(&source.endpoint, SOURCE, &by_hash).await?);
    }
    let inbound = match told_apart(source, &before, inbound) {
        Ok(inbound) => inbound,
        Err(answer) => return Ok(answer),
    };
    let received = weighed(source, seen, inbound).await?;
    weigh::take_in(source, received).await
}

async fn seen(source: &Source, content_type: &str, bytes: &[u8]) -> Seen {
    if !is_read(content_type) {
        return Err((415, NOT_XML.into()));
    }
    weigh::peek_xml(source, bytes).await.map_err(|e| (400, e.to_string()))
}

/// `application/soap+xml; charset=utf-8; action="urn:x"`. In another character set a letter would become another letter without a word.
fn is_read(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let kind = lower.split(';').next().unwrap_or_default().trim();
    let charset = lower.split(';').skip(1).filter_map(|p| p.trim().strip_prefix("charset=")).next();
    let is_xml =
        matches!(kind, "text/xml" | "application/xml") || (kind.starts_with("application/") && kind.ends_with("+xml"));
    is_xml && charset.is_none_or(|c| matches!(c.trim().trim_matches('"'), "utf-8" | "us-ascii"))
}

fn named(inbound: &mut Inbound, seen: &Seen) {
    let Ok(peeked) = seen else { return };
    inbound.message_type.clone_from(&peeked.message_type);
    if !peeked.control_id.is_empty() {
        inbound.control_id.clone_from(&peeked.control_id);
    }
}

/// What a message is taken as: by the present pack, settings and rules, as of the time it came.
async fn weighed(source: &Source, seen: Seen, mut inbound: Inbound) -> Result<Received, StoreError> {
    let to = |id: &str, message_type: &str| ToXml {
        fitted: source.in_use.now(),
        id: id.to_owned(),
        message_type: message_type.to_owned(),
    };
    let refused = |to: &ToXml, mut inbound: Inbound, status: u16, why: String| {
        inbound.reply = Raw(to.answer(false, status, [why.as_str()]));
        inbound.reason = why;
        weigh::parked(inbound)
    };
    let peeked = match seen {
        Ok(peeked) => peeked,
        Err((status, why)) => return Ok(refused(&to("", ""), inbound, status, why)),
    };
    let to = to(&peeked.control_id, &peeked.message_type);
    let caller = Caller::Xml(&to);
    // Nobody's, or one of ours that went wrong: said only if rules have to say it.
    if peeked.message_type == "?" && !source.accept.rules.is_empty() {
        return Ok(refused(&to, inbound, 422, ODD_NAME.into()));
    }
    // Answered as taken, it could pass for the record's own word.
    if to.fitted.pack.makes_element(&peeked.message_type) {
        return Ok(refused(&to, inbound, 422, OUR_OWN.into()));
    }
    let rule = match source.accept.judge(&peeked.message_type) {
        Judged::Taken(rule) => rule,
        Judged::Unlisted => return Ok(weigh::ignore(source, caller, inbound, Accept::UNLISTED, weigh::UNLISTED)),
    };
    match weigh::read(source, &inbound.bytes.0).await {
        Ok((parsed, faults)) => {
            inbound.message_type.clone_from(&parsed.message_type);
            weigh::message(source, caller, inbound, rule, &parsed, faults).await
        }
        Err(e) => {
            let (status, why) = match &e {
                ParseError::Unreadable(_) => (400, e.to_string()),
                ParseError::NoMap(_) | ParseError::Fields(_) => (422, e.to_string()),
                ParseError::Settings(_) => (500, "the endpoint's settings do not fit its pack".to_owned()),
            };
            Ok(refused(&to, inbound, status, why))
        }
    }
}

/// A message that was kept, run again. Under which media type it came is not kept: as XML, which is all that can be read here.
pub(super) async fn weigh_again(source: &Source, mut kept: Inbound) -> Result<Received, StoreError> {
    let seen = seen(source, "application/xml", &kept.bytes.0).await;
    named(&mut kept, &seen);
    weighed(source, seen, kept).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_xml_in_utf_8_is_read() {
        for good in
            ["text/xml", "Application/XML;Charset=\"UTF-8\"", "application/soap+xml; charset=utf-8; action=\"urn:x\""]
        {
            assert!(is_read(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json",
            "text/xml; charset=iso-8859-1",
            "multipart/related; type=\"application/xop+xml\"",
        ] {
            assert!(!is_read(bad), "{bad}");
        }
    }
}
