//! Packs: load, render, parse, codes, check, examples.
//!
//! A pack is a folder of text files under `adapters/`; adding or changing one changes no file here. [`Pack::load`] reads and
//! checks it once, [`Pack::render`] turns an entry into bytes, [`Pack::parse`] a message into our words, and
//! [`Pack::reply_rules`] says what replies mean. [`check`] and [`examples`] prove a pack.

pub mod by_hand;
mod cause;
pub mod check;
mod codes;
pub mod compare;
pub mod compose;
mod crossed;
pub mod diff;
pub mod docs;
pub mod document;
mod encoding;
mod escaping;
pub mod examples;
mod expected;
mod fault;
pub mod fhir;
mod files;
mod filled;
mod filters;
pub mod form;
mod from_config;
pub mod hl7;
mod in_use;
mod inherited;
mod input;
mod keep;
mod lint;
mod manifest;
mod map;
mod mask;
mod named;
#[cfg(test)]
mod named_tests;
mod overlay;
mod pack;
mod render;
mod reply;
pub mod request;
mod result;
pub mod scaffold;
pub mod schema;
mod seen;
mod session;
mod settings;
mod sources;
mod stamp;
mod stop;
mod table;
mod template;
mod text;
mod words;
mod written;
pub mod xml;

pub use compose::Input;
pub use encoding::text_of_file;
pub use examples::Judge;
pub use fault::{Fault, suggest};
pub use fhir::{Died, Found, LookupQuestion, NotLookedUp};
pub use in_use::{Fitted, InUse};
pub use keep::NotKept;
pub use manifest::{Format, Manifest, Status};
pub use map::FieldFault;
pub use mask::{masked, masked_message};
pub use pack::{Pack, Packs, ParseError, Parsed};
pub use render::{RenderError, RenderOptions, Rendered};
pub use reply::{Hl7Rules, ReplyRules, Row, is_error_code};
pub use result::{ResultId, ResultRules, ResultSays, between_columns};
pub use session::{Session, Who};
pub use settings::{Kind as SettingKind, Setting, Settings};
pub use sources::Sources;
pub use stamp::Stamp;
