//! How work on a store says how far it is, and asks whether to go on.

/// Hears of an operation's progress, from any number of threads at once.
pub trait Progress: Sync {
    /// Says how much there is to do; called once, before the first `advance`.
    fn start(&self, total_bytes: u64, layers: usize);

    /// Says that `bytes` more are done.
    fn advance(&self, bytes: u64);

    /// Says that one more layer is done.
    fn layer_done(&self);

    /// Says what the operation is doing now, in a word or two.
    fn phase(&self, name: &str);

    /// Returns whether the operation should stop at the next safe point.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Silence.
impl Progress for () {
    fn start(&self, _: u64, _: usize) {}
    fn advance(&self, _: u64) {}
    fn layer_done(&self) {}
    fn phase(&self, _: &str) {}
}
