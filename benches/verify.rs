//! `tranship verify` of a data root, beside what no verification can do without: reading the same files by
//! as many `cat`s as there are cores, and hashing as many bytes on all of them.
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

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [root, rest @ ..] = args.as_slice() else { return Err("which data root?".into()) };
    let rounds = rest.first().map_or(Ok(ROUNDS), |count| count.parse())?;
    let root = Path::new(root);
    let cores = thread::available_parallelism()?.get();
    println!("       verify   MB read   peak     cat x 1   cat x {cores}   SHA-256");
    for _ in 0..rounds {
        cat(root, 1)?;
        verify(root)?.print("warm", cat(root, 1)?, cat(root, cores)?, cores);
        empty_cache()?;
        let one = cat(root, 1)?;
        empty_cache()?;
        let all = cat(root, cores)?;
        empty_cache()?;
        verify(root)?.print("cold", one, all, cores);
    }
    Ok(())
}

struct Run {
    seconds: f64,
    bytes: f64,
    peak: f64,
}

impl Run {
    fn print(&self, state: &str, one: f64, all: f64, cores: usize) {
        let (seconds, bytes, peak) = (self.seconds, self.bytes / 1e6, self.peak);
        let hash = self.bytes / sha256_speed(cores);
        println!(
            "{state} {seconds:6.2} s {bytes:9.0} {peak:4.0} MiB {one:7.2} s {all:7.2} s {hash:7.2} s"
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

/// Reads every file below `root` by so many `cat`s, and returns how long that takes.
fn cat(root: &Path, processes: usize) -> io::Result<f64> {
    let read = format!("find \"$1\" -type f -print0 | xargs -0 -n 1000 -P {processes} cat");
    let mut shell = Command::new("sh");
    shell.args(["-c", &read, "sh"]).arg(root).stdout(Stdio::null());
    let begun = Instant::now();
    let status = shell.status()?;
    match status.success() {
        true => Ok(begun.elapsed().as_secs_f64()),
        false => Err(io::Error::other("cat failed")),
    }
}

/// Forgets what files hold.
fn empty_cache() -> io::Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
}

/// How many bytes so many threads hash in a second, each 16 MiB again and again.
fn sha256_speed(threads: usize) -> f64 {
    const TIMES: usize = 64;
    let bytes = vec![7; 16 << 20];
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..TIMES).for_each(|_| _ = std::hint::black_box(Digest::of(&bytes))));
        }
    });
    (threads * TIMES * bytes.len()) as f64 / begun.elapsed().as_secs_f64()
}
