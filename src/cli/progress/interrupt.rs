//! Ctrl-C.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Place, Result};

/// The shell's own code for a command that Ctrl-C ended.
const CODE: i32 = 130;

/// Knows of Ctrl-C once it listens: the first asks the operation to stop at the next safe point, the
/// second ends the process at once.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    listening: OnceLock<()>,
}

impl Interrupt {
    /// Begins to listen, if it does not yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn listen(&self) -> Result<()> {
        if self.listening.set(()).is_err() {
            return Ok(());
        }
        register(&self.asked).map_err(|error| Error::io(Place::new("signals", Vec::new()), error))
    }

    /// Returns whether the operation is to stop.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Relaxed)
    }
}

/// The order matters: the handler that ends the process must see the flag before the other sets it.
fn register(asked: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, CODE, Arc::clone(asked))?;
        flag::register(signal, Arc::clone(asked))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once only in this process: a second signal would end it, as it should.
    #[test]
    fn an_operation_hears_of_ctrl_c() {
        let interrupt = Interrupt::default();
        interrupt.listen().expect("signals can be listened to");
        interrupt.listen().expect("a second time is nothing");
        assert!(!interrupt.asked());
        signal_hook::low_level::raise(SIGINT).expect("a process can signal itself");
        assert!(interrupt.asked());
    }
}
