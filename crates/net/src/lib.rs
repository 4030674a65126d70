//! The only outbound HTTP of the program.
//!
//! A [`Client`] sends [`Request`]s. Every address is checked where it is dialled: a name is resolved
//! once, the addresses that may not be reached are left out, and the connection goes to one of the
//! others and to no other. So neither a name that points inward, nor one that changes its mind
//! between check and use, nor an odd way of writing `127.0.0.1`, nor a redirect gets past.
//!
//! There are two [`Grade`]s of URL. A *trusted* one is written in the operator's files: the base URL
//! of a provider. A *foreign* one came from a user or from a provider's answer. Both reach public
//! addresses; what else each may reach is said in [`NetOptions`], and by default that is nothing.
//!
//! Invariants
//! - No socket is opened to an address that the guard has not seen.
//! - A [`NetError`] says whether anything was sent: see [`Stage`]. Only what was certainly not sent
//!   is sent again, on another connection.
//! - Every wait and every body has a limit with a name.
//! - Neither `Debug` nor an error shows a header's value, a query or user information.
//!
//! ```
//! use impasto_net::{Client, Grade, NetOptions, Request};
//! # async fn example() -> Result<(), impasto_net::NetError> {
//! let client = Client::new(NetOptions::default())?;
//! let request = Request::get("http://169.254.169.254/latest/meta-data", Grade::Foreign)?;
//! let refused = client.send(request).await.unwrap_err();
//! assert!(refused.is_unsent());
//! # Ok(())
//! # }
//! ```

mod address;
mod body;
mod client;
mod dial;
mod error;
mod events;
mod guard;
mod multipart;
mod options;
mod pool;
mod request;
mod resolve;
mod response;
mod retry;
mod roots;
mod secret;
mod websocket;

pub use address::{AddressClass, classify};
pub use body::{Body, BodySender};
pub use client::Client;
pub use error::{Cause, NetError, Stage};
pub use events::{Event, Events};
pub use guard::Network;
pub use multipart::Multipart;
pub use options::{Limits, NetOptions};
pub use request::{Grade, Request};
pub use resolve::{Resolve, SystemResolver};
pub use response::Response;
pub use retry::retry_after_ms;
pub use secret::Secret;
pub use websocket::{Message, WebSocket};

/// A future that somebody else waits for.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
