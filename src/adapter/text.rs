//! Long text over OBX rows, as the endpoint reads it.

use super::hl7::{
    Delimiters,
    escape::{LineFeeds, escape, lines, split_ft},
};
use super::stop::Stop;

/// What a line break in a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newline {
    /// `\.br\` inside the field.
    Break,
    /// The next repetition of OBX-5.
    Repeat,
    /// The next OBX.
    Row,
}

/// The endpoint's text settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRules {
    pub newline: Newline,
    /// Characters one OBX-5 may have, escapes included.
    pub max_chars: usize,
    /// The receiver puts rows end to end.
    pub end_to_end: bool,
}

impl TextRules {
    /// The texts of OBX-5, escaped, one for each row. Fails rather than alter or cut anything.
    pub fn rows(&self, text: &str) -> Result<Vec<String>, Stop> {
        let uncarriable = |e: super::hl7::escape::Unescapable| Stop::NotCarriable(e.to_string());
        let standard = &Delimiters::STANDARD;
        match self.newline {
            Newline::Break => {
                let whole = escape(text, standard, LineFeeds::Break).map_err(uncarriable)?;
                match (whole.chars().count() <= self.max_chars, self.end_to_end) {
                    (true, _) => Ok(vec![whole.into_owned()]),
                    (false, true) => split_ft(text, self.max_chars, standard).map_err(uncarriable),
                    (false, false) => Err(Stop::TooLong(self.max_chars)),
                }
            }
            Newline::Row | Newline::Repeat => {
                let mut rows: Vec<(String, usize)> = Vec::new();
                for line in lines(text) {
                    let line = escape(line, standard, LineFeeds::Refuse).map_err(uncarriable)?;
                    let length = line.chars().count();
                    if length > self.max_chars {
                        return Err(Stop::TooLong(self.max_chars));
                    }
                    match rows.last_mut() {
                        Some((row, used))
                            if self.newline == Newline::Repeat && *used + 1 + length <= self.max_chars =>
                        {
                            row.push('~');
                            row.push_str(&line);
                            *used += 1 + length;
                        }
                        _ => rows.push((line.into_owned(), length)),
                    }
                }
                Ok(rows.into_iter().map(|(row, _)| row).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(newline: Newline, max_chars: usize, end_to_end: bool) -> TextRules {
        TextRules { newline, max_chars, end_to_end }
    }

    #[test]
    fn ft_is_cut_only_where_the_receiver_joins() {
        let text = "ab|cd\n".repeat(10);
        assert_eq!(rules(Newline::Break, 1000, false).rows("a|b\nc"), Ok(vec![r"a\F\b\.br\c".into()]));
        assert_eq!(rules(Newline::Break, 20, false).rows(&text), Err(Stop::TooLong(20)));
        assert!(rules(Newline::Break, 20, true).rows(&text).is_ok_and(|rows| rows.len() > 1));
    }

    #[test]
    fn tx_and_st_part_at_line_breaks_only() {
        assert_eq!(rules(Newline::Row, 16, false).rows("a\n\nb&"), Ok(vec!["a".into(), String::new(), r"b\T\".into()]));
        assert_eq!(rules(Newline::Repeat, 16, false).rows("a\n\nb\n"), Ok(vec!["a~~b~".into()]));
        assert_eq!(rules(Newline::Repeat, 3, false).rows("ab\ncd"), Ok(vec!["ab".into(), "cd".into()]));
        assert_eq!(rules(Newline::Row, 3, true).rows("abcd"), Err(Stop::TooLong(3)));
    }

    #[test]
    fn a_control_character_is_refused_not_dropped() {
        assert!(matches!(rules(Newline::Break, 100, false).rows("a\u{1c}b"), Err(Stop::NotCarriable(_))));
    }
}
