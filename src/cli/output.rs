//! What commands print to: stdout, coloured only where a person looks at it.

use super::failure::Failure;
use crate::app::telemetry::{LAST_LINES, Queue};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
    Name,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31",
            Self::Name => "36",
        }
    }
}

/// Where a command's answer goes.
pub struct Out {
    to: Box<dyn Write + Send>,
    colour: bool,
    /// What stands between us and whoever reads, when nobody is to wait for them.
    queue: Option<Arc<Queue>>,
}

/// The way into a queue.
struct Way(Arc<Queue>);

impl Write for Way {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        (&*self.0).write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Out {
    /// Colour on a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is a dumb one.
    pub fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { to: Box::new(io::stdout()), colour: io::stdout().is_terminal() && !unwanted && !dumb, queue: None }
    }

    /// From now on printing neither waits nor fails, whoever reads: for a command whose work must not hang on being heard.
    pub fn stand_back(&mut self) -> Result<(), Failure> {
        let queue = Queue::start(io::stdout(), |_| {})?;
        self.to = Box::new(Way(queue.clone()));
        self.queue = Some(queue);
        Ok(())
    }

    /// What was printed after [`Self::stand_back`] gets a last moment to arrive.
    pub fn last_moment(&self) {
        if let Some(queue) = &self.queue {
            queue.flush_within(LAST_LINES);
        }
    }

    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        // In one piece.
        Ok(self.to.write_all(format!("{text}\n").as_bytes())?)
    }

    /// Text that ends its own lines.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.to.write_all(text.as_bytes())?;
        Ok(self.to.flush()?)
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes)?;
        Ok(self.to.flush()?)
    }

    /// Indented JSON, as scripts read it.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text =
            serde_json::to_string_pretty(value).map_err(|e| Failure::Refused(format!("the answer is no JSON: {e}")))?;
        self.line(text)
    }

    /// The text in a look; as it is where nobody would see the colour.
    pub fn paint(&self, look: Look, text: impl Display) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", look.code()) } else { text.to_string() }
    }

    /// For those who print on their own.
    pub fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.to
    }
}

/// Control characters would move a terminal's cursor, or worse.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
