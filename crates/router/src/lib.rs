//! Which offer serves a call, and why.
