//! The native API, asked as a client asks it.

mod desk;
mod everywhere;
mod files;
mod house;
mod runs;
mod strangers;
