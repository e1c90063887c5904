//! What every pack that sends requests has, whatever their bodies are: method, path and headers of a `[[render]]`, how values are printed into
//! them, and where the accepted text is read back. Pure: no network.

pub mod carried;
mod head;
pub mod print;
mod row;

pub use carried::{Place, TextAt, TextForm};
pub(super) use head::{carried, head, trace};
pub use row::{Part, RequestRow};
