//! Asking before something is done that cannot be taken back.

use super::failure::Failure;
use std::io::{self, BufRead, IsTerminal, Write};

/// Goes on when `yes` was given or a person at a terminal says so.
///
/// # Errors
/// Usage where nobody can be asked; refused where they say no.
pub fn sure(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(format!("{question} Nobody is there to ask; add --yes if you are sure")));
    }
    let mut terminal = io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done".into())),
    }
}
