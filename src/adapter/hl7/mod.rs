//! Reading and writing HL7 v2 safely.
