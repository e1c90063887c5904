//! The words of the field, every rule about them, and the one decision that moves a delivery. No I/O, no async, no clock.
