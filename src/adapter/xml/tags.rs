//! Which tag is at fault in XML of ours that does not close as it should: the reader of XML names the place where it noticed, and that is often another
//! line than the one to mend.

/// The place, in bytes, and what is wrong there. Names of elements are a template's own: a value makes no tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Torn {
    pub at: usize,
    pub what: String,
}

/// The first tag that is not closed, or closes nothing; none where all fit.
pub fn torn(text: &str) -> Option<Torn> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    let mut at = 0;
    while let Some(start) = text.get(at..)?.find('<').map(|n| at + n) {
        let rest = &text[start..];
        let passed = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")];
        if let Some((begin, end)) = passed.iter().find(|(begin, _)| rest.starts_with(begin)) {
            at = start + begin.len() + rest[begin.len()..].find(end)? + end.len();
            continue;
        }
        let end = end_of(rest)?;
        let tag = &rest[1..end];
        at = start + end + 1;
        if let Some(name) = tag.strip_prefix('/') {
            let name = name.trim();
            match open.iter().rposition(|(known, _)| *known == name) {
                Some(place) if place + 1 == open.len() => drop(open.pop()),
                // What stands open within it was forgotten.
                Some(place) => return open.get(place + 1).map(|(name, at)| not_closed(name, *at)),
                None => {
                    let within = open.last().map_or(String::new(), |(name, _)| format!(", and <{name}> is open"));
                    return Some(Torn { at: start, what: format!("</{name}> closes no tag that is open{within}") });
                }
            }
        } else if !tag.ends_with('/') {
            let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
            open.push((name, start));
        }
    }
    open.first().map(|(name, at)| not_closed(name, *at))
}

fn not_closed(name: &str, at: usize) -> Torn {
    Torn { at, what: format!("the tag <{name}> is not closed") }
}

/// Where the tag at the beginning ends; a `>` in quotes ends none.
fn end_of(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_is_not_closed_is_the_fault_and_not_where_that_shows() {
        for (text, begins, what) in [
            ("<a>\n<b>x\n<c/>\n</a>", "<b>", "the tag <b> is not closed"),
            ("<a><b>x</b>", "<a>", "the tag <a> is not closed"),
            ("<a><b x='>'>y</B></a>", "</B>", "</B> closes no tag that is open, and <b> is open"),
            ("<a><!-- <b> --><![CDATA[<c>]]></a></d>", "</d>", "</d> closes no tag that is open"),
            ("<p:a><p:b><p:c></p:a>", "<p:b>", "the tag <p:b> is not closed"),
        ] {
            let found = torn(text).expect(text);
            assert!(text[found.at..].starts_with(begins), "{text}: {found:?}");
            assert_eq!(found.what, what);
        }
        assert_eq!(torn("<?xml version='1.0'?>\n<a b='1'>\n<c/></a>"), None);
    }
}
