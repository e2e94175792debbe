//! What lies on disk: the run directory and, per device, a bag (BagIt 1.0, RFC 8493).
//!
//! Everything is created exclusively and for its owner alone, hashed while it is written, synced,
//! and renamed into place. All calls block; callers keep them off the async threads. Nobody here
//! knows of the journal. Evidence is read back only to take up again what a crash left; checking is
//! the business of `verify`.

mod bag;
mod disk;
mod hashed;
mod kept;
mod known;
pub mod layout;
mod lease;
mod lock;
pub mod path;
mod save;
mod scratch;
mod sink;
pub mod store;
mod taken;
mod tree;
mod whole;
mod zipped;

pub use bag::{BagInfo, SealedBag};
pub use disk::DiskError;
pub use layout::{Draft, RunDir, RunFile, probe};
pub use lease::{Lease, Leases};
pub use lock::Holder;
pub use path::{BundlePath, PathMap};
pub use save::save;
pub use scratch::Scratch;
pub use sink::{FileSink, StoredContent};
pub use store::Bag;
pub use taken::TakenUp;
