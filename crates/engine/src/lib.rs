//! Use cases: submit, plan, run, resume, cancel. Owns the in-process runner.
