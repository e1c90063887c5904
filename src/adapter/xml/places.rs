//! Where values may stand in an XML template: in an element's text, or within a quoted attribute. There the engine's escaping keeps them in their
//! place; as a name, between attributes, in a comment or in CDATA nothing could.

use super::super::fault::Faults;
use super::super::lint::Tag;

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Text,
    Markup,
    Quoted(u8),
    Comment,
    Instruction,
}

/// Every value and part that stands where it may not, and markup that has no end.
pub fn check(file: &str, source: &str, tags: &[Tag], faults: &mut Faults) {
    let bytes = source.as_bytes();
    let mut tags = tags.iter().peekable();
    let (mut state, mut at, mut opened) = (At::Text, 0, 1);
    while at < bytes.len() {
        if let Some(tag) = tags.next_if(|t| t.range.start == at) {
            place(file, source, tag, state, faults);
            at = tag.range.end;
            continue;
        }
        let rest = &source[at..];
        if rest.starts_with("{#") {
            at += rest.find("#}").map_or(rest.len(), |n| n + 2);
            continue;
        }
        let line = || super::super::fault::line_of(source, at);
        let (next, length) = match (state, bytes[at]) {
            (At::Text, b'<') if rest.starts_with("<!--") => (At::Comment, 4),
            (At::Text, b'<') if rest.starts_with("<?") => (At::Instruction, 2),
            (At::Text, b'<') if rest.starts_with("<!") => {
                let what = "has CDATA or a document type";
                faults.add(file, line(), what, "write the text itself: values are escaped where they are printed");
                return;
            }
            (At::Text, b'<') => (At::Markup, 1),
            (At::Markup, b'>') => (At::Text, 1),
            (At::Markup, quote @ (b'"' | b'\'')) => (At::Quoted(quote), 1),
            (At::Markup | At::Quoted(_), b'<') => {
                faults.add(
                    file,
                    opened,
                    "a tag that begins here has no end",
                    "close it with >, and its attributes with a quote",
                );
                return;
            }
            (At::Quoted(quote), b) if b == quote => (At::Markup, 1),
            (At::Comment, b'-') if rest.starts_with("-->") => (At::Text, 3),
            (At::Instruction, b'?') if rest.starts_with("?>") => (At::Text, 2),
            (same, _) => (same, rest.chars().next().map_or(1, char::len_utf8)),
        };
        if state == At::Text && next != At::Text {
            opened = line();
        }
        state = next;
        at += length;
    }
    if state != At::Text {
        faults.add(file, opened, "markup that begins here has no end", "close the tag, the comment or the quote");
    }
}

fn place(file: &str, source: &str, tag: &Tag, state: At, faults: &mut Faults) {
    let inner = source[tag.inner.clone()].trim_matches(['-', '+', ' ', '\n']);
    let is_part = tag.is_block && inner.starts_with("include");
    let good = match state {
        At::Text => true,
        At::Quoted(_) => !is_part,
        At::Markup | At::Comment | At::Instruction => tag.is_block && !is_part,
    };
    if !good {
        let what = format!("`{inner}` stands in markup, where no escaping can hold a value");
        faults.add(
            file,
            tag.line,
            what,
            "print values into an element's text or a quoted attribute; include parts between elements",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::lint;

    fn faults(source: &str) -> Vec<String> {
        let mut faults = Faults::default();
        let tags = lint::tags("t.xml", source, &mut faults);
        check("t.xml", source, &tags, &mut faults);
        faults.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_stands_in_text_or_in_a_quoted_attribute_and_nowhere_else() {
        for good in [
            "<a>{{ x }}</a>",
            "<a b=\"{{ x }}\" c='{{ y }}'>{% if z %}<d/>{% endif %}</a>",
            "<a {% if z %}b=\"{{ z }}\"{% endif %}>{% include \"parts/p.xml\" %}</a>",
            "<?xml version=\"1.0\"?>\n<!-- a > b -->{# {{ not printed }} #}<a>{{ x }}</a>",
            "<a b=\"£ {{ x }}\">’{{ x }}<!-- £ --></a>",
        ] {
            assert_eq!(faults(good), Vec::<String>::new(), "{good}");
        }
        for (bad, line) in [
            ("<a>\n<{{ x }}/></a>", 2),
            ("<a {{ x }}=\"1\"/>", 1),
            ("<a b={{ x }}/>", 1),
            ("<a><!-- {{ x }} --></a>", 1),
            ("<a>\n<![CDATA[{{ x }}]]></a>", 2),
            ("<!DOCTYPE a>\n<a>{{ x }}</a>", 1),
            ("<?xml version=\"{{ x }}\"?><a/>", 1),
            ("<a b=\"1>{{ x }}</a>", 1),
            ("<a b=\"1\n{{ x }}", 1),
            ("<a {% include \"parts/p.xml\" %}/>", 1),
            ("<a b=\"{% include \"parts/p.xml\" %}\"/>", 1),
        ] {
            let said = faults(bad);
            assert!(said.first().is_some_and(|f| f.starts_with(&format!("t.xml:{line}: "))), "{bad}: {said:?}");
        }
    }
}
