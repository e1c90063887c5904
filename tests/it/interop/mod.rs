//! The bridge against messages, judges and peers that others wrote. `make interop` runs these; `make test` leaves them out.

mod adt;
mod judges;
mod mesh;
mod mllp;
