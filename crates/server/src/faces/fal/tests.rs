//! Calls as a client of the dialect makes them.
