//! Parting an input that holds several messages: file and batch envelopes (FHS, BHS, BTS, FTS), or messages end to end.

use super::scan::{Unreadable, leading, lines};

/// Parts an input into its messages.
pub struct Batch;

/// How far an input's envelopes have come. Offsets and counts only.
#[derive(Default)]
struct Progress {
    /// Where each message begins and ends.
    messages: Vec<(usize, usize)>,
    in_file: bool,
    in_batch: bool,
    batches: usize,
    /// Messages before the open batch.
    before_batch: usize,
    /// A file or batch was closed; only blank lines or another envelope may follow.
    closed: bool,
}

impl Batch {
    /// Whether bytes begin as an envelope does, not as a message.
    pub fn is_one(bytes: &[u8]) -> bool {
        let body = &bytes[leading(bytes)..];
        body.starts_with(b"FHS") || body.starts_with(b"BHS")
    }

    /// The messages of `bytes`, in order, each from its MSH to the byte before the next MSH or envelope.
    ///
    /// A single message gives itself; several without an envelope are parted at each MSH. Fails when a count in BTS-1 or
    /// FTS-1 is not what was found, when an opened envelope is not closed (the input may be cut short), and when a line
    /// belongs to no message. A count left empty is not checked.
    pub fn split(bytes: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
        let from = leading(bytes);
        let mut progress = Progress::default();
        let mut number = 0;
        for (at, line) in lines(&bytes[from..]) {
            if line.iter().all(|b| matches!(b, b' ' | b'\t' | 0x1C)) {
                continue;
            }
            number += 1;
            progress.line(line, from + at).map_err(|(what, hint)| Unreadable {
                segment: number,
                byte: from + at,
                what,
                hint,
            })?;
        }
        let end = progress.end(bytes.len());
        end.map_err(|(what, hint)| Unreadable { segment: number, byte: bytes.len(), what, hint })?;
        Ok(progress.messages.iter().map(|(start, end)| &bytes[*start..*end]).collect())
    }
}

type Step = Result<(), (&'static str, &'static str)>;

const CUT: &str = "the input may be cut short: ask the sender for it again";

impl Progress {
    fn line(&mut self, line: &[u8], at: usize) -> Step {
        match line.get(..3) {
            Some(b"MSH") => {
                self.close_message(at);
                if self.closed && !self.in_file {
                    return Err(("a message after the end of its envelope", CUT));
                }
                self.messages.push((at, usize::MAX));
            }
            Some(b"FHS") => {
                self.close_message(at);
                if self.in_file || self.in_batch || !self.messages.is_empty() {
                    return Err(("FHS inside a file", CUT));
                }
                self.in_file = true;
            }
            Some(b"BHS") => {
                self.close_message(at);
                if self.in_batch {
                    return Err(("BHS inside a batch", CUT));
                }
                self.in_batch = true;
                self.before_batch = self.messages.len();
            }
            Some(b"BTS") => {
                self.close_message(at);
                if !std::mem::replace(&mut self.in_batch, false) {
                    return Err(("BTS without BHS", CUT));
                }
                self.batches += 1;
                self.closed = true;
                check_count(
                    line,
                    self.messages.len() - self.before_batch,
                    "BTS-1 is not the number of messages found",
                )?;
            }
            Some(b"FTS") => {
                self.close_message(at);
                if self.in_batch || !std::mem::replace(&mut self.in_file, false) {
                    return Err(("FTS without FHS, or inside a batch", CUT));
                }
                self.closed = true;
                // Without batches inside, senders count the messages or write 1.
                if self.batches > 0 {
                    check_count(line, self.batches, "FTS-1 is not the number of batches found")?;
                }
            }
            _ if self.messages.last().is_some_and(|(_, end)| *end == usize::MAX) => {}
            _ => {
                return Err((
                    "a line that belongs to no message",
                    "it stands before any MSH, or after an envelope's end",
                ));
            }
        }
        Ok(())
    }

    fn close_message(&mut self, at: usize) {
        if let Some((_, end)) = self.messages.last_mut() {
            *end = (*end).min(at);
        }
    }

    fn end(&mut self, length: usize) -> Step {
        self.close_message(length);
        match (self.in_batch, self.in_file) {
            (true, _) => Err(("BHS without BTS", CUT)),
            (_, true) => Err(("FHS without FTS", CUT)),
            _ => Ok(()),
        }
    }
}

/// The trailer's first field, parted by whatever stands after its id.
fn check_count(line: &[u8], found: usize, what: &'static str) -> Step {
    let Some((separator, rest)) = line[3..].split_first() else {
        return Ok(());
    };
    let raw = rest.split(|b| b == separator).next().unwrap_or_default().trim_ascii();
    let said = std::str::from_utf8(raw).ok().and_then(|text| text.parse::<usize>().ok());
    if raw.is_empty() || said == Some(found) { Ok(()) } else { Err((what, CUT)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Result<usize, &'static str> {
        Batch::split(text.as_bytes()).map(|m| m.len()).map_err(|e| e.what)
    }

    #[test]
    fn messages_in_envelopes_or_end_to_end_are_parted() {
        assert_eq!(count("MSH|a\rPID|1\r"), Ok(1));
        assert_eq!(count("MSH|a\rPID|1\rMSH|b\rPID|2\r"), Ok(2));
        assert_eq!(count("FHS|x\rBHS|x\rMSH|a\rPID|1\rMSH|b\rBTS|2\rFTS|1\r"), Ok(2));
        assert_eq!(count("FHS|x\nBHS|x\nMSH|a\nBTS|1\nBHS|x\nMSH|b\nBTS|1\nFTS|2\n"), Ok(2));
        assert_eq!(count("FHS|x\rMSH|a\rFTS|1\r"), Ok(1));
        assert_eq!(count("FHS|x\rBHS|x\rBTS|0\rFTS|1\r"), Ok(0));
        assert_eq!(count("BHS|x\rMSH|a\rBTS||no count\r"), Ok(1));
        assert_eq!(count(""), Ok(0));
        let two = b"BHS|x\r\n\r\nMSH|a\r\nPID|1\r\nMSH|b\r\nPID|2\r\nBTS|2";
        assert_eq!(Batch::split(two).expect("whole"), [&b"MSH|a\r\nPID|1\r\n"[..], b"MSH|b\r\nPID|2\r\n"]);
    }

    #[test]
    fn a_batch_that_may_be_cut_short_is_refused() {
        for text in [
            "BHS|x\rMSH|a\rBTS|7\r",
            "BHS|x\rMSH|a\rBTS|x\r",
            "BHS|x\rMSH|a\r",
            "FHS|x\rBHS|x\rMSH|a\rBTS|1\r",
            "FHS|x\rBHS|x\rMSH|a\rBTS|1\rFTS|2\r",
            "BHS|x\rPID|1\rBTS|0\r",
            "BHS|x\rMSH|a\rBHS|y\rMSH|b\rBTS|1\r",
            "MSH|a\rBTS|1\r",
            "BHS|x\rMSH|a\rBTS|1\rPID|2\r",
            "BHS|x\rMSH|a\rBTS|1\rMSH|b\r",
            "PID|1\r",
        ] {
            assert!(count(text).is_err(), "{text:?}");
        }
    }
}
