//! Bytes ⇄ values. Nothing here reads a file, knows the time, or panics on any input.
