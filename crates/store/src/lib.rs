//! Ports of the stores, their memory implementation and their conformance suite.
