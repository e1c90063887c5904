//! What a document may have of that which costs its parser more than its length: counted in one pass over the bytes, before anything is parsed. In doubt
//! it is refused: what this misreads no parser may read either.

/// Declarations of namespaces, in all of a document. Where they lie in one another, the parser's time grows with their cube.
const NAMESPACES_MAX: usize = 64;
/// Attributes of one element. Each is compared with each.
const ATTRIBUTES_MAX: usize = 256;
/// Elements within one another.
const DEPTH_MAX: usize = 256;

/// Whether a document keeps within them; else what it has too much of, without a word of what stands in it.
pub fn hold(text: &str, allow_dtd: bool) -> Result<(), String> {
    let (mut rest, mut depth, mut namespaces) = (text, 0_usize, 0);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = if rest.starts_with("<!--") {
            behind(rest, 4, "-->")
        } else if rest.starts_with("<![CDATA[") {
            behind(rest, 9, "]]>")
        } else if rest.starts_with("<?") {
            behind(rest, 2, "?>")
        } else if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
            behind(rest, 2, ">")
        } else if rest.starts_with("<!") {
            // A subset of declarations holds entities, which make much out of little.
            let end = behind(rest, 2, ">").filter(|end| allow_dtd && !rest[..*end].contains('['));
            Some(end.ok_or("it has a document type (DTD), which is not read")?)
        } else {
            let tag = Tag::of(rest);
            if let Some(tag) = &tag {
                namespaces += tag.namespaces;
                depth += usize::from(!tag.is_closed);
                for (has, most, what) in [
                    (namespaces, NAMESPACES_MAX, "declarations of namespaces"),
                    (tag.attributes, ATTRIBUTES_MAX, "attributes in one element"),
                    (depth, DEPTH_MAX, "elements within one another"),
                ] {
                    if has > most {
                        return Err(format!("it has more than {most} {what}"));
                    }
                }
            }
            tag.map(|tag| tag.length)
        };
        let Some(end) = end else { return Err("no XML: markup in it has no end".into()) };
        rest = &rest[end..];
    }
    Ok(())
}

/// Where what begins here ends.
fn behind(text: &str, from: usize, end: &str) -> Option<usize> {
    text.get(from..)?.find(end).map(|at| from + at + end.len())
}

/// One tag that opens an element.
struct Tag {
    length: usize,
    attributes: usize,
    namespaces: usize,
    is_closed: bool,
}

impl Tag {
    /// `None`: it has no end.
    fn of(text: &str) -> Option<Self> {
        let (mut attributes, mut namespaces) = (0, 0);
        let mut at = 1;
        loop {
            let outside = &text[at..];
            let end = outside.find(['"', '\'', '>'])?;
            attributes += outside[..end].matches('=').count();
            // `xmlns` within another name counts too: nobody who means well is that close to the limit.
            namespaces += outside[..end].matches("xmlns").count();
            at += end + 1;
            match outside.as_bytes()[end] {
                b'>' => {
                    return Some(Self { length: at, attributes, namespaces, is_closed: outside[..end].ends_with('/') });
                }
                quote => at += text[at..].find(char::from(quote))? + 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn refused(text: &str) -> String {
        read(text.as_bytes()).map(drop).expect_err("more than there may be")
    }

    #[test]
    fn what_costs_a_parser_more_than_its_length_is_refused_before_it_is_parsed() {
        // Each would take the parser from many seconds to hours.
        let nested: String = (0..50_000).map(|n| format!("<a xmlns:n{n}=\"u\">")).collect();
        assert_eq!(refused(&nested), "it has more than 64 declarations of namespaces");
        assert!(refused(&format!("{nested}{}", "</a>".repeat(50_000))).contains("64 declarations"));
        for one in [
            "xmlns:n{}='u'",
            "xmlns:n{}\n=\n\"u\"",
            "x='>' xmlns:n{}='\"'",
            "x=\"'\" xmlns:n{}=\"'\"",
            "x='--' xmlns:n{}='<!--'",
        ] {
            let nested: String = (0..3_500).map(|n| format!("<a {}>", one.replace("{}", &n.to_string()))).collect();
            refused(&format!("<?x <!-- ?><!-- <![CDATA[ --><r><![CDATA[<!--]]>{nested}{}</r>", "</a>".repeat(3_500)));
        }
        let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
        assert_eq!(refused(&format!("<a{attributes}/>")), "it has more than 256 attributes in one element");
        let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        assert_eq!(refused(&deep), "it has more than 256 elements within one another");
        let flat: String = (0..65).map(|n| format!("<a xmlns:n{n}='u'/>")).collect();
        refused(&format!("<r>{flat}</r>"));
    }

    #[test]
    fn what_lies_within_is_read_and_what_only_looks_like_too_much_too() {
        let declared: String = (0..64).map(|n| format!(" xmlns:n{n}='u'")).collect();
        let attributes: String = (0..256).map(|n| format!(" a{n}='=>'")).collect();
        let deep = format!("{}{}", "<d>".repeat(255), "</d>".repeat(255));
        let many = "<e a='1'/><!-- <a xmlns:x='u'> --><?p <a?><![CDATA[<a xmlns:x=\"u\">]]>xmlns=".repeat(200);
        for good in [
            format!("<r{declared}>{many}{deep}</r>"),
            format!("<r{attributes}/>"),
            "<r a='xmlns:n=\"u\" xmlns xmlns'/>".to_owned(),
        ] {
            assert!(read(good.as_bytes()).is_ok(), "{good}");
        }
    }

    #[test]
    fn markup_without_an_end_is_refused() {
        for bad in ["<a", "<a b='", "<a b=\"c", "<!-- ", "<![CDATA[", "<?x", "</a", "<"] {
            assert!(refused(&format!("<r>{bad}")).contains("no XML"), "{bad}");
        }
    }
}
