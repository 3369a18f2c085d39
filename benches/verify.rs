//! `tranship verify` of a data root, beside what no verification can do without: hashing as many bytes on
//! all cores when they are in memory, and `cat` of the same files when they are not.
//!
//! `cargo bench --bench verify -- ROOT [ROUNDS]`, ROOT as `benches/root` makes it; needs root, to empty the
//! cache.

#![expect(clippy::print_stdout, reason = "a benchmark tells what it measured")]
#![expect(clippy::disallowed_methods, reason = "it runs the command on real files")]

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use tranship::digest::Digest;

const ROUNDS: usize = 3;
const MIB: f64 = 1048576.0;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [root, rest @ ..] = args.as_slice() else { return Err("which data root?".into()) };
    let rounds = rest.first().map_or(Ok(ROUNDS), |count| count.parse())?;
    let root = Path::new(root);
    println!("           verify    MB read   peak        beside it           of it");
    for _ in 0..rounds {
        cat(root)?;
        let warm = verify(root)?;
        let speed = sha256_speed()?;
        warm.print("warm", &format!("SHA-256 {:5.2} GB/s", speed / 1e9), warm.bytes / speed);
        empty_cache()?;
        let begun = Instant::now();
        cat(root)?;
        let wanted = begun.elapsed().as_secs_f64();
        empty_cache()?;
        verify(root)?.print("cold", &format!("cat {wanted:11.2} s"), wanted);
    }
    Ok(())
}

struct Run {
    seconds: f64,
    bytes: f64,
    peak: f64,
}

impl Run {
    fn print(&self, what: &str, beside: &str, wanted: f64) {
        let (seconds, bytes, peak) = (self.seconds, self.bytes / 1e6, self.peak);
        let share = 100.0 * wanted / seconds;
        println!(
            "{what:8} {seconds:6.2} s {bytes:10.0} {peak:6.0} MiB   {beside:20} {share:4.0} %"
        );
    }
}

fn verify(root: &Path) -> Result<Run, Box<dyn Error + Send + Sync>> {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%e %M", env!("CARGO_BIN_EXE_tranship"), "verify", "--json"]).arg(root);
    let output = time.stdin(Stdio::null()).output()?;
    let said = String::from_utf8(output.stderr)?;
    let figures: Vec<f64> =
        said.lines().last().unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
    let (true, &[seconds, peak]) = (output.status.success(), figures.as_slice()) else {
        return Err(said.into());
    };
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let bytes = report["bytes"].as_f64().ok_or("verify tells what it read")?;
    Ok(Run { seconds, bytes, peak: peak / 1024.0 })
}

/// Reads every file below `root`, in one process and file after file.
fn cat(root: &Path) -> io::Result<()> {
    let mut find = Command::new("find");
    find.arg(root).args(["-type", "f", "-exec", "cat", "{}", "+"]);
    let status = find.stdout(Stdio::null()).status()?;
    status.success().then_some(()).ok_or_else(|| io::Error::other("cat failed"))
}

/// Forgets what files hold.
fn empty_cache() -> io::Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
}

/// How many bytes all cores together hash in a second, each 16 MiB again and again.
fn sha256_speed() -> io::Result<f64> {
    const TIMES: usize = 64;
    let bytes = vec![7; 16 * MIB as usize];
    let cores = thread::available_parallelism()?.get();
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| (0..TIMES).for_each(|_| drop(std::hint::black_box(Digest::of(&bytes)))));
        }
    });
    Ok((cores * TIMES * bytes.len()) as f64 / begun.elapsed().as_secs_f64())
}
