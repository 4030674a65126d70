//! The only outbound HTTP of the program.
