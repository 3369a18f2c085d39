//! The verbs that only look, on stores with very many images: makes a classic store of 10,000 images
//! and 30,000 layers, moves it into the containerd store, and measures each verb's time and memory.
//!
//! `cargo bench --bench many_images [-- DIR [IMAGES]]`; a store that DIR holds already is used again.

#![expect(clippy::print_stdout, reason = "a benchmark tells what it measured")]
#![expect(clippy::disallowed_methods, reason = "it makes real files and runs the command")]

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use flate2::write::GzEncoder;
use tranship::digest::{ChainId, ConfigId, DiffId, Digest};
use tranship::format::docker::repositories;
use tranship::format::reference::Reference;
use tranship::format::tar_split::{Apart, Writer, disassemble};

/// So many images stand on one base of so many layers, and each has so many layers of its own: three
/// for each image in all.
const IMAGES_OF_A_BASE: usize = 5;
const SHARED: usize = 5;
const OWN: usize = 2;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args_os().skip(1).filter(|arg| arg != "--bench").collect();
    let temporary = tempfile::tempdir()?;
    let dir = args.first().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let images = match args.get(1) {
        Some(count) => count.to_string_lossy().parse()?,
        None => 10_000,
    };
    let root = dir.join("docker");
    if !root.join("image/overlay2/repositories.json").exists() {
        println!("making {images} images in {}", root.display());
        make(&root, images)?;
    }
    let containerd = dir.join("containerd");
    let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let place = |path: &Path| path.display().to_string();
    measure("status, classic", &[words("status"), vec![place(&root)]].concat(), ROUNDS)?;
    measure("images, classic", &[words("images"), vec![place(&root)]].concat(), ROUNDS)?;
    measure("verify, classic", &[words("verify --quick"), vec![place(&root)]].concat(), ROUNDS)?;
    if !containerd.exists() {
        let how = "migrate --quiet --to containerd --compress none --snapshots none --all --root";
        let into = vec![place(&root), "--into".to_owned(), place(&containerd)];
        measure("migrate", &[words(how), into].concat(), 1)?;
    }
    let daemon = place(&containerd.join("containerd/daemon"));
    measure("status, containerd", &[words("status"), vec![daemon.clone()]].concat(), ROUNDS)?;
    measure("images, containerd", &[words("images"), vec![daemon.clone()]].concat(), ROUNDS)?;
    measure("verify, containerd", &[words("verify --quick"), vec![daemon]].concat(), ROUNDS)?;
    Ok(())
}

/// Runs `tranship` with `args` and prints the median of time and the most memory it took.
fn measure(what: &str, args: &[String], rounds: usize) -> io::Result<()> {
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let mut time = Command::new("/usr/bin/time");
        time.args(["-f", "%e %U %S %M", env!("CARGO_BIN_EXE_tranship")]).args(args);
        let output = time.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let figures: Option<Vec<f64>> =
            said.lines().last().map(|l| l.split(' ').filter_map(|n| n.parse().ok()).collect());
        match figures.as_deref() {
            Some(&[wall, user, system, peak]) if output.status.success() => {
                runs.push([wall, user + system, peak / 1024.0])
            }
            _ => return Err(io::Error::other(said)),
        }
    }
    let median = |column: usize| {
        let mut values: Vec<_> = runs.iter().map(|run| run[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let [wall, cpu, peak] = [median(0), median(1), median(2)];
    println!("{what:20} {wall:6.2} s wall {cpu:6.2} s CPU {peak:6.0} MiB");
    Ok(())
}

/// Makes a data root with the classic store of `count` images.
fn make(root: &Path, count: usize) -> io::Result<()> {
    for folder in ["imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256"] {
        fs::create_dir_all(root.join("image/overlay2").join(folder))?;
    }
    fs::create_dir_all(root.join("overlay2/l"))?;
    let bases: Vec<usize> = (0..count.div_ceil(IMAGES_OF_A_BASE)).collect();
    let threads = thread::available_parallelism()?.get();
    let names = thread::scope(|scope| {
        let share = |bases: &[usize]| -> io::Result<Vec<_>> {
            bases.iter().map(|base| make_base(root, *base, count)).collect()
        };
        let parts = bases.chunks(bases.len().div_ceil(threads));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || share(part))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a part of the store is made without a panic"))
            .collect::<io::Result<Vec<_>>>()
    })?;
    let names: Vec<(Reference, ConfigId)> = names.into_iter().flatten().flatten().collect();
    let bytes = repositories::write(names.iter().map(|(name, config)| (name, *config)));
    fs::write(root.join("image/overlay2/repositories.json"), bytes)
}

/// Makes one base and the images on it.
fn make_base(root: &Path, base: usize, count: usize) -> io::Result<Vec<(Reference, ConfigId)>> {
    let mut shared = Stack::default();
    for depth in 0..SHARED {
        shared.push(root, &format!("base {base} layer {depth}"))?;
    }
    let first = base * IMAGES_OF_A_BASE;
    let mut names = Vec::new();
    for image in first..count.min(first + IMAGES_OF_A_BASE) {
        let mut stack = shared.clone();
        for depth in 0..OWN {
            stack.push(root, &format!("image {image} layer {depth}"))?;
        }
        let config = config(image, &stack.diff_ids);
        let id = Digest::of(&config);
        fs::write(root.join("image/overlay2/imagedb/content/sha256").join(id.hex()), config)?;
        let name = format!("registry.example.com/team-{base}/service-{image}:v1.{image}");
        let name = Reference::parse_normalized(&name).map_err(io::Error::other)?;
        names.push((name, ConfigId(id)));
    }
    Ok(names)
}

/// Layers on top of each other.
#[derive(Clone, Default)]
struct Stack {
    diff_ids: Vec<DiffId>,
    top: Option<ChainId>,
    /// The short names of the layers' folders, the top one's first.
    links: Vec<String>,
}

impl Stack {
    /// Adds a layer with one file that says `text`.
    fn push(&mut self, root: &Path, text: &str) -> io::Result<()> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "srv/text", text.as_bytes())?;
        let tar = tar.into_inner()?;
        let diff_id = DiffId(Digest::of(&tar));
        let chain_id = ChainId::child(self.top, diff_id);
        let cache_id = Digest::of(chain_id.hex().as_bytes()).hex();
        let record = root.join("image/overlay2/layerdb/sha256").join(chain_id.hex());
        fs::create_dir(&record)?;
        fs::write(record.join("diff"), diff_id.to_string())?;
        fs::write(record.join("size"), text.len().to_string())?;
        fs::write(record.join("cache-id"), &cache_id)?;
        if let Some(parent) = self.top {
            fs::write(record.join("parent"), parent.to_string())?;
        }
        let packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
        let mut split = Writer::new(packed);
        disassemble(&*tar, &mut split, &Apart::default(), &mut ())?;
        fs::write(record.join("tar-split.json.gz"), split.into_inner().finish()?)?;
        self.unpack(root, &cache_id, text)?;
        self.diff_ids.push(diff_id);
        self.top = Some(chain_id);
        Ok(())
    }

    fn unpack(&mut self, root: &Path, cache_id: &str, text: &str) -> io::Result<()> {
        let folder = root.join("overlay2").join(cache_id);
        fs::create_dir_all(folder.join("diff/srv"))?;
        fs::write(folder.join("diff/srv/text"), text)?;
        fs::write(folder.join("committed"), "")?;
        // Base 32 has the digits of base 16 that are letters, and ten more.
        let letter = |digit: u8| {
            char::from(if digit.is_ascii_digit() { digit - b'0' + b'G' } else { digit })
        };
        let link: String = cache_id.bytes().take(26).map(letter).collect::<String>().to_uppercase();
        fs::write(folder.join("link"), &link)?;
        if !self.links.is_empty() {
            let lower: Vec<_> = self.links.iter().map(|link| format!("l/{link}")).collect();
            fs::write(folder.join("lower"), lower.join(":"))?;
            fs::create_dir(folder.join("work"))?;
        }
        symlink(format!("../{cache_id}/diff"), root.join("overlay2/l").join(&link))?;
        self.links.insert(0, link);
        Ok(())
    }
}

/// Returns an image config as large as they usually are, some 3 kB.
fn config(image: usize, diff_ids: &[DiffId]) -> Vec<u8> {
    let step = |at: usize| {
        let command = format!("RUN /bin/sh -c make -C /srv/service-{image} step-{at} # buildkit");
        let created = format!("2026-11-{:02}T17:16:23.{image:09}Z", at + 1);
        serde_json::json!({ "created": created, "created_by": command, "comment": "buildkit.dockerfile.v0",
            "empty_layer": at >= diff_ids.len() })
    };
    let words: Vec<_> = (0..12).map(|n| format!("SETTING_{n}=the value of setting {n}")).collect();
    let labels: serde_json::Map<_, _> = (0..12)
        .map(|n| (format!("com.example.label-{n}"), format!("label {n} of {image}").into()))
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64",
        "config": { "User": "app", "Env": words, "Entrypoint": ["/srv/run"], "WorkingDir": "/srv", "Labels": labels },
        "created": "2026-11-20T17:16:23.123456789Z",
        "history": (0..diff_ids.len() + 5).map(step).collect::<Vec<_>>(),
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>() },
    });
    let mut bytes = Vec::new();
    // A vector takes every write, and this value has no keys that are not texts.
    let _ = write!(bytes, "{config}");
    bytes
}
