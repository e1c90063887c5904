//! What a record that speaks XML says when it is asked for a document of ours: found once as it was sent, not there, or neither. In doubt it is neither.

use super::RECORD_ID_CHARS_MAX;
use super::http::ReadBack;
use super::xml::{has_fault, is_unseen, is_yes};
use crate::adapter::xml::{self, Found, Path, XmlReadBack, XmlRules};
use crate::transport::http_message::{Reply, Request};
use roxmltree::{Document, Node};

/// Judges the reply to one of these questions. `sent` are the bytes of the rendering that was asked about.
pub fn read_back_xml(reply: &[u8], sent: &[u8], questions: &[XmlReadBack], rules: &XmlRules) -> ReadBack {
    match found(reply, sent, questions, rules) {
        Ok(said) => said,
        Err(why) => ReadBack::CannotSay { why },
    }
}

fn found(reply: &[u8], sent: &[u8], questions: &[XmlReadBack], rules: &XmlRules) -> Result<ReadBack, &'static str> {
    let reply = Reply::parse(reply).map_err(|_| "the answer cannot be read")?;
    let (question, reference) =
        xml::question_for(questions, sent).ok_or("the pack has no question for what was sent")?;
    if reply.status != 200 {
        return Err("the answer is not 200");
    }
    let answer = xml::read(&reply.body).map_err(|_| "the answer is not XML")?;
    if has_fault(&answer, rules) {
        return Err("the answer holds a fault");
    }
    let result = rules.result_at.as_ref().map(|path| path.value(&answer));
    match result {
        Some(Err(_)) => return Err("the answer holds several results"),
        Some(Ok(Some(code))) if !rules.result(&code).is_some_and(is_yes) => {
            return Err("the answer's result is no yes");
        }
        _ => {}
    }
    match question.answered.find(&answer, None).as_deref() {
        Ok([Found::Element(_)]) => {}
        _ => return Err("the answer is none to this question"),
    }
    // A flag that is not set says that there are no more.
    let is_set = |found: &Found<'_, '_>| found.text().is_none_or(|t| !matches!(t.trim(), "" | "0" | "false"));
    if let Some(path) = &question.more
        && path.find(&answer, None).map_or(true, |all| all.iter().any(is_set))
    {
        return Err("there are more than the answer shows");
    }
    let mut shown = Vec::new();
    for one in question.each.find(&answer, None).map_err(|_| "the answer shows too many")? {
        let Found::Element(element) = one else { return Err("what the answer shows is no element") };
        let name =
            single(&question.reference, &answer, element).ok_or("the answer shows one that does not name itself")?;
        shown.push((element, name == reference));
    }
    let ours: Vec<Node<'_, '_>> = shown.iter().filter(|(_, is_ours)| *is_ours).map(|(element, _)| *element).collect();
    match (ours.as_slice(), shown.is_empty()) {
        ([], true) => Ok(ReadBack::NotFound),
        ([], false) => Err("the answer lists others and not ours"),
        ([one], _) => as_sent(question, &answer, *one, sent).map(|record_id| ReadBack::Found { record_id }),
        _ => Ok(ReadBack::Several),
    }
}

/// The record's id of it, where it is as it was sent.
fn as_sent<'a>(
    question: &XmlReadBack,
    answer: &'a Document<'_>,
    one: Node<'a, '_>,
    sent: &[u8],
) -> Result<String, &'static str> {
    let request = Request::parse(sent).map_err(|_| "what was sent cannot be read")?;
    let document = xml::read(&request.body).map_err(|_| "what was sent cannot be read")?;
    for (found, sent) in &question.same {
        let ours = sent.value(&document).ok().flatten().ok_or("what was sent has nothing to compare it by")?;
        if single(found, answer, one).as_ref() != Some(&ours) {
            return Err("it is there otherwise than it was sent, or for somebody else");
        }
    }
    for (found, words) in &question.says {
        if !single(found, answer, one).is_some_and(|said| words.contains(&said)) {
            return Err("it is there, and does not say what it should");
        }
    }
    let id = single(&question.record_id, answer, one).ok_or("it is there without an id")?;
    if id.chars().count() > RECORD_ID_CHARS_MAX || id.contains(is_unseen) {
        return Err("it is there with an id that cannot be kept");
    }
    Ok(id)
}

/// The one value there is.
fn single<'a>(path: &Path, answer: &'a Document<'_>, element: Node<'a, '_>) -> Option<String> {
    match path.texts(answer, Some(element)).ok()?.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "xml_asked_tests.rs"]
mod tests;
