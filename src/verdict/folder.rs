//! A folder: receipts of our own writing, and result files of the far end's.

use crate::adapter::{ResultSays, Row};
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::transport::file_set::{Outcome, Receipt};

/// What a receipt means. That files lie in a folder, or that a message was pulled, is the transport's word: the record has said nothing yet.
pub fn of_receipt(receipt: &Receipt, control_id: &str) -> Verdict {
    let meaning = match receipt.outcome {
        _ if receipt.id != control_id => Meaning::Unknown,
        Outcome::Written | Outcome::AlreadyThere | Outcome::Confirmed => Meaning::Positive,
        Outcome::NameTaken => Meaning::Refused,
    };
    let code = receipt.outcome.word().to_owned();
    Verdict {
        meaning,
        level: Level::Transport,
        code,
        duplicate: false,
        untold: false,
        misplaced: false,
        record_id: None,
    }
}

/// What a result file means that the far end left for us, by what the pack reads in it.
pub fn of_result(says: ResultSays) -> Verdict {
    let meaning = match says.row {
        Row::Positive => Meaning::Positive,
        Row::Refused | Row::Duplicate => Meaning::Refused,
        Row::Retry => Meaning::Retry,
        Row::Unknown => Meaning::Unknown,
    };
    let good = |id: &String| {
        let length = id.chars().count();
        (1..=super::RECORD_ID_CHARS_MAX).contains(&length) && !id.chars().any(char::is_control)
    };
    let record_id = says.record_id.filter(|id| meaning == Meaning::Positive && good(id));
    let code = says.code.chars().take(super::CODE_CHARS_MAX).collect();
    Verdict {
        meaning,
        level: Level::Application,
        code,
        duplicate: says.row == Row::Duplicate,
        untold: false,
        misplaced: false,
        record_id,
    }
}
