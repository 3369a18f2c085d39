//! Tests of the whole crate through its public interface.

mod layers;
