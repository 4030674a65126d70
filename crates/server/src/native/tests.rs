//! The native API, asked as a client asks it.
