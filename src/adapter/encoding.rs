//! The text of a file that came back. What it is written in says its byte order mark; without one it is UTF-8 or nothing: a guess would turn one letter
//! into another.

use std::borrow::Cow;

/// UTF-8, with its mark or without, or UTF-16 by its mark.
///
/// # Errors
/// Why it is no such text, and what to do.
pub fn text_of_file(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const DAMAGED: &str = "begins as UTF-16 does and is none; save it as CSV UTF-8";
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Err("is UTF-32; save it as CSV UTF-8"),
        [0xFF, 0xFE, rest @ ..] => utf_16(rest, u16::from_le_bytes).map(Cow::Owned).ok_or(DAMAGED),
        [0xFE, 0xFF, rest @ ..] => utf_16(rest, u16::from_be_bytes).map(Cow::Owned).ok_or(DAMAGED),
        _ => {
            let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
                .map_err(|_| "is not UTF-8, and has no mark of UTF-16 (Windows-1252, perhaps); save it as CSV UTF-8")?;
            match text.contains('\0') {
                true => Err("holds NUL bytes (UTF-16 without its mark, perhaps); save it as CSV UTF-8"),
                false => Ok(Cow::Borrowed(text)),
            }
        }
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>().ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_by_its_mark_and_never_by_a_guess() {
        let utf_16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect::<Vec<u8>>()
        };
        let text = "id;name\r\nA;Zoë ŵ 😀\r\n";
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            utf_16(text, [0xFF, 0xFE], u16::to_le_bytes),
            utf_16(text, [0xFE, 0xFF], u16::to_be_bytes),
        ] {
            assert_eq!(text_of_file(&bytes).expect("text"), text);
        }
        let without_mark = utf_16("id", [b'i', 0], u16::to_le_bytes);
        let half = [&[0xFF, 0xFE][..], b"abc"].concat();
        let unpaired = [0xFF, 0xFE, 0x00, 0xD8, b'a', 0];
        for (bytes, word) in [
            (&b"id\nZo\xeb\n"[..], "Windows-1252"),
            (&without_mark, "NUL"),
            (&half, "is none"),
            (&unpaired, "is none"),
            (&[0xFF, 0xFE, 0, 0, b'a', 0, 0, 0], "UTF-32"),
        ] {
            let why = text_of_file(bytes).expect_err("no text");
            assert!(why.contains(word) && why.contains("save it as CSV UTF-8"), "{why}");
        }
    }
}
