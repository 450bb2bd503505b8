//! A client for Toxiproxy servers, ours and the original, that believes nothing it has not read back.
//!
//! 1. [`Client`] — the calls. Each is bounded in time, and each change is read back and compared.
//! 2. [`Toxic`], [`NamedToxic`], [`Stream`] — what is wrong with a connection, with units in the types.
//! 3. [`Proxy`], [`NewProxy`], [`ProxyChange`] — where connections come in and where they lead.
//! 4. [`Error`] — what went wrong, told apart by type.

mod calls;
mod error;
mod named_toxic;
mod proxy;
mod stream;
mod toxic;
mod toxic_calls;
mod transport;
mod verify;

pub use calls::Client;
pub use error::Error;
pub use named_toxic::NamedToxic;
pub use proxy::{NewProxy, Proxy, ProxyChange};
pub use stream::Stream;
pub use toxic::Toxic;
