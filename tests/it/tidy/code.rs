//! Just enough of Rust's grammar to tell code from what is said about it.

/// Comments and the insides of string and character literals become blanks; line ends and everything else stay in place.
pub fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let aside = comment(rest).or_else(|| literal(rest, out.chars().next_back()));
        match aside {
            Some(length) => {
                let (blank, after) = rest.split_at(length);
                out.extend(blank.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = after;
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// How long the comment is that begins here.
fn comment(at: &str) -> Option<usize> {
    if at.starts_with("//") {
        return Some(at.find('\n').unwrap_or(at.len()));
    }
    if !at.starts_with("/*") {
        return None;
    }
    let mut depth = 0;
    let mut i = 0;
    while i < at.len() {
        if at[i..].starts_with("/*") {
            depth += 1;
            i += 2;
        } else if at[i..].starts_with("*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return Some(i);
            }
        } else {
            i += at[i..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(at.len())
}

/// How long the string or character literal is that begins here; `before` is the character in front of it.
fn literal(at: &str, before: Option<char>) -> Option<usize> {
    if at.starts_with('"') {
        return Some(quoted(at, '"'));
    }
    if let Some(c) = at.strip_prefix('\'') {
        // 'a' and '\n' are characters, 'a is a lifetime.
        let is_char = c.starts_with('\\') || c.chars().nth(1) == Some('\'');
        return is_char.then(|| quoted(at, '\''));
    }
    // r"…", r#"…"#, br#"…"#: the letter must not be the end of a name.
    if before.is_some_and(|b| b.is_alphanumeric() || b == '_') {
        return None;
    }
    let raw = at.strip_prefix("br").or_else(|| at.strip_prefix('r'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let inside = raw[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |i| i + end.len());
    Some(at.len() - inside.len() + length)
}

fn quoted(at: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in at.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    at.len()
}

/// Blanks out each item that stands under `#[cfg(test)]`. Takes what [`code_only`] gave.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let (before, item) = rest.split_at(start);
        let (item, after) = item.split_at(MARK.len() + item_length(&item[MARK.len()..]));
        out.push_str(before);
        out.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    out + rest
}

/// Up to the `;`, or the brace that closes the first one opened.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (i, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return i + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_not_code() {
        for (source, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x // y", 'z', '\'')"#, "f(        ,    ,     )"),
            (r##"r#"a"b"# + br"\" + x"##, "         +       + x"),
            ("&'a str, 'é'", "&'a str,    "),
            ("for\"x\"", "for   "),
        ] {
            assert_eq!(code_only(source), code, "{source}");
        }
    }

    #[test]
    fn what_is_built_for_tests_only_is_left_out() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { {} }\n}\nfn c() {}\n#[cfg(test)]\nmod d_tests;\nfn e() {}";
        let kept: Vec<_> = without_tests(code).split_whitespace().map(str::to_owned).collect();
        assert_eq!(kept.join(" "), "fn a() {} fn c() {} fn e() {}");
        assert_eq!(without_tests(code).lines().count(), code.lines().count());
    }
}
