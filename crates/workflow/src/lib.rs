//! Workflows: parse, type-check, plan, and the pure state machine of a run.
