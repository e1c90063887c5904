//! One integration binary; a module a topic.

mod adapter_interop;
mod adapter_packs;
