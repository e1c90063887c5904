//! An entry becomes a request with a body of XML: well-formed, and the text read back from it before it may leave.

use super::super::manifest::FILE;
use super::super::pack::Pack;
use super::super::render::{MESSAGE_BYTES_MAX, Plan, RenderError, RenderOptions, Rendered};
use super::super::reply::ReplyRules;
use super::super::request::head;
use super::{named, read_placed, tags};
use crate::transport::http_message::Request;
use roxmltree::Document;
use serde_json::Value;

/// Unless the row says which kind of XML it is.
const USUAL: &[(&str, &str)] =
    &[("Content-Type", "application/xml; charset=utf-8"), ("Accept", "application/xml, text/xml")];

pub(in crate::adapter) fn render(
    pack: &Pack,
    plan: &Plan<'_>,
    input: &Value,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let printed = pack.templates.render(&plan.entry.template, input, &plan.facts)?;
    let body = printed.trim_matches([' ', '\t', '\n']);
    let document = read_placed(body.as_bytes()).map_err(|why| {
        let skipped = printed.len() - printed.trim_start_matches([' ', '\t', '\n']).len();
        let torn = tags::torn(body);
        let at = torn.as_ref().map(|t| t.at).or_else(|| why.at.and_then(|at| offset(body, at))).map(|at| skipped + at);
        let place = at.and_then(|at| pack.templates.place(&plan.entry.template, input, &plan.facts, at));
        let (file, line) = place.unwrap_or_else(|| (format!("templates/{}", plan.entry.template), 0));
        let hint = match torn {
            Some(_) => "close each tag with its own name, in its own part",
            None => "look at its tags, quotes and namespaces, and at what its parts print",
        };
        let what = torn.map_or(why.what, |torn| torn.what);
        RenderError::one(&file, line, format!("makes XML that cannot be read: {what}"), hint)
    })?;
    if !is_declared_well(body) {
        let (file, hint) = (
            format!("templates/{}", plan.entry.template),
            "write <?xml version=\"1.0\" encoding=\"UTF-8\"?>, or nothing",
        );
        return Err(RenderError::one(&file, 1, "declares another XML than 1.0 in UTF-8, which is what it is", hint));
    }
    let request = head(pack, plan, input, body.as_bytes().to_vec(), USUAL)?;
    if !is_xml_in_utf8(request.headers.get("Content-Type").unwrap_or_default()) {
        let hint = "write text/xml; charset=utf-8, or application/xml; charset=utf-8";
        return Err(RenderError::one(FILE, plan.entry.line, "its Content-Type is not that of XML in UTF-8", hint));
    }
    let bytes = request.to_bytes();
    let limit = options.max_message_bytes.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX);
    if bytes.len() > limit {
        return Err(RenderError::TooLong { limit });
    }
    carried(plan, &document, &bytes, input)?;
    named::check(pack, plan, &document, &request.target, input)?;
    if let ReplyRules::Xml(rules) = &pack.manifest.reply {
        named::echoes(rules, plan, &document, input)?;
    }
    let shown = Request { body: format!("{body}\n").into_bytes(), ..request };
    Ok(Rendered { bytes, text_for_display: String::from_utf8_lossy(&shown.to_bytes()).into_owned() })
}

/// Nothing leaves that we could not read ourselves, whole and exact. What is wrong is said without the text.
fn carried(plan: &Plan<'_>, document: &Document<'_>, bytes: &[u8], input: &Value) -> Result<(), RenderError> {
    let Err(stopped) = super::super::request::carried(plan, bytes, input) else { return Ok(()) };
    let Some((path, found)) = plan.entry.text_at.as_ref().and_then(|at| at.found(document)) else {
        return Err(stopped);
    };
    let how = match found {
        0 => "nothing stands there",
        1 => "what stands there is not that text alone",
        _ => "it stands there more than once",
    };
    Err(RenderError::NotCarriable {
        what: format!("the text cannot be read back exactly from {path} (text_at): {how}"),
    })
}

/// Where in a text this line and column are, in bytes.
fn offset(text: &str, (line, column): (u32, u32)) -> Option<usize> {
    let before: usize =
        text.split_inclusive('\n').take(usize::try_from(line.checked_sub(1)?).ok()?).map(str::len).sum();
    let within: usize =
        text.get(before..)?.chars().take(usize::try_from(column.checked_sub(1)?).ok()?).map(char::len_utf8).sum();
    Some(before + within)
}

/// A declaration, where there is one, says what is true: XML 1.0, and UTF-8 or nothing.
fn is_declared_well(body: &str) -> bool {
    let Some(declaration) = body.strip_prefix("<?xml").and_then(|d| d.split("?>").next()) else { return true };
    let value = |name: &str| {
        let value = declaration.split_once(name)?.1.trim_start().strip_prefix('=')?.trim_start();
        value.strip_prefix(['"', '\''])?.split(['"', '\'']).next()
    };
    value("version") == Some("1.0") && value("encoding").is_none_or(|e| e.eq_ignore_ascii_case("utf-8"))
}

/// `application/soap+xml; charset=utf-8; action="urn:x;y"`: the type, then parameters, whose values may be quoted.
fn is_xml_in_utf8(content_type: &str) -> bool {
    let mut in_quotes = false;
    let mut parts = content_type.split(|c| {
        in_quotes ^= c == '"';
        c == ';' && !in_quotes
    });
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let charset = charset.map_or("utf-8", |(_, value)| value.trim().trim_matches('"'));
    (kind == "text/xml" || kind == "application/xml" || kind.ends_with("+xml")) && charset.eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_content_type_are_told_apart() {
        for good in [
            "text/xml",
            "Text/XML;charset=UTF-8",
            "application/soap+xml; charset=utf-8; action=\"urn:example:notes:1#CreateNote\"",
            "application/soap+xml; action=\"urn:x;charset=latin1\"; charset=\"utf-8\"",
        ] {
            assert!(is_xml_in_utf8(good), "{good}");
        }
        for bad in [
            "application/json; action=\"text/xml\"",
            "text/xml; charset=iso-8859-1",
            "application/soap+xml; action=\"a; charset=utf-8\"; charset=ascii",
            "xml",
            "",
        ] {
            assert!(!is_xml_in_utf8(bad), "{bad}");
        }
    }

    #[test]
    fn a_line_and_a_column_are_one_place_in_the_text() {
        let text = "<a>\n\u{e9}<b>";
        assert_eq!((offset(text, (1, 1)), offset(text, (2, 2))), (Some(0), text.find("<b>")));
    }
}
