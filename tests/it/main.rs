//! One integration binary; a module a topic.

mod adapter_breaks;
mod adapter_interop;
mod adapter_packs;
mod adapter_text;
