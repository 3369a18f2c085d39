//! Progress as a bar on a terminal.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::render::units;
use crate::store::Progress;

/// Before the total is known, and after.
const WAITING: &str = "{spinner} {msg}";
const WORKING: &str = "{msg} [{bar:24}] {done} of {total}  {rate}/s  {eta} left  {layers}";

/// Shows progress on stderr.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    layers: Arc<Layers>,
}

#[derive(Debug, Default)]
struct Layers {
    done: AtomicU64,
    total: AtomicU64,
}

impl Bar {
    pub(super) fn on(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(WAITING));
        Self { bar, layers: Arc::default() }
    }
}

impl Progress for Bar {
    fn start(&self, total_bytes: u64, layers: usize) {
        let layers = u64::try_from(layers).unwrap_or(u64::MAX);
        self.layers.total.store(layers, Relaxed);
        self.bar.set_style(working(Arc::clone(&self.layers)));
        self.bar.set_length(total_bytes);
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn layer_done(&self) {
        self.layers.done.fetch_add(1, Relaxed);
        self.bar.tick();
    }

    fn phase(&self, name: &str) {
        self.bar.set_message(name.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The style of a bar with a total; sizes are worded as everywhere else.
fn working(layers: Arc<Layers>) -> ProgressStyle {
    type Out<'a> = &'a mut dyn fmt::Write;
    // A failed write leaves a gap in one frame; there is nobody to tell.
    style(WORKING)
        .with_key("done", |state: &ProgressState, out: Out<'_>| {
            let _ = out.write_str(&units::fine_size(state.pos()));
        })
        .with_key("total", |state: &ProgressState, out: Out<'_>| {
            let _ = out.write_str(&units::fine_size(state.len().unwrap_or(0)));
        })
        .with_key("rate", |state: &ProgressState, out: Out<'_>| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
            let _ = out.write_str(&units::fine_size(state.per_sec() as u64));
        })
        .with_key("layers", move |_: &ProgressState, out: Out<'_>| {
            let (done, total) = (&layers.done, &layers.total);
            let _ = write!(out, "{}/{} layers", done.load(Relaxed), total.load(Relaxed));
        })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use indicatif::TermLike;

    use super::*;

    /// A terminal that remembers the text it was sent.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn text(&self) -> String {
            self.0.lock().expect("no writer panics").clone()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("no writer panics").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().expect("no writer panics").clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_sees_bytes_and_layers() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = Bar::on(target);
        bar.phase("Reading layers");
        bar.start(4_000_000, 3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    bar.advance(500_000);
                    bar.layer_done();
                });
            }
        });
        bar.bar.force_draw();
        let shown = screen.text();
        assert!(shown.contains("Reading layers [======>"), "{shown}");
        assert!(shown.contains("1MB of 4MB"), "{shown}");
        assert!(shown.contains("2/3 layers"), "{shown}");
        drop(bar);
        assert_eq!(screen.text().trim(), "", "the bar is gone when the work is done");
    }
}
