//! The names that a JSONPath looks for.

/// Every member name in the path, and in the paths of its filters, in order: `$.name[?@.use == 'usual'].family` looks for name, use and family.
/// What begins with neither `$` nor `@` is no path and has none.
pub fn names_in(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    if !path.trim_start().starts_with(['$', '@']) {
        return names;
    }
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '.' => {
                let len = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
                let (name, rest) = after.split_at(len);
                // In a number a point stands before a digit.
                if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    names.push(name.to_owned());
                }
                rest
            }
            '\'' | '"' => {
                let (text, rest) = quoted(after, c);
                let before = path[..path.len() - after.len() - c.len_utf8()].trim_end();
                // In brackets, alone: a member. Elsewhere it is something to compare with.
                if before.ends_with('[') && rest.trim_start().starts_with(']') {
                    names.push(text.to_owned());
                }
                rest
            }
            _ => after,
        };
    }
    names
}

/// What stands before the closing quote, and what follows it.
fn quoted(text: &str, quote: char) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return (&text[..at], &text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_path_are_its_members_and_not_what_they_are_compared_with() {
        for (path, names) in [
            ("$.name[?@.use == 'usual'].family", vec!["name", "use", "family"]),
            (
                "$.subject -> $.identifier[?match(@.system, 'https?://fhir[.]nhs[.](uk|net)/x')].value",
                vec!["subject", "identifier", "system", "value"],
            ),
            ("$['birthDate']", vec!["birthDate"]),
            ("@.line[*]", vec!["line"]),
            ("$.extension[?@.url=='it\\'s.here']..coding[0].code", vec!["extension", "url", "coding", "code"]),
            ("$.a[?@.b > 1.5]", vec!["a", "b"]),
            ("urn:not.a.path", vec![]),
            ("$", vec![]),
        ] {
            assert_eq!(names_in(path), names, "{path}");
        }
    }
}
