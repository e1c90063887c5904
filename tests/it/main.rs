//! Integration tests, one binary: one module for each topic.

mod hl7_interop;
