//! The native API, asked as a client asks it.

mod desk;
mod everywhere;
mod files;
mod hints;
mod house;
mod runs;
mod strangers;
