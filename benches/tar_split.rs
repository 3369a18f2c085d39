//! Taking a layer's tar apart and reading its record: one with many small files, one with few large.

use divan::counter::BytesCount;
use tranship::format::tar_split::{Apart, Crc, Entries, Writer, disassemble};

fn main() {
    divan::main();
}

/// Files and bytes in each.
const SHAPES: [(usize, usize); 2] = [(20_000, 1_000), (8, 4_000_000)];

fn layer((files, size): (usize, usize)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    for n in 0..files {
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("usr/lib/{n}"), &data[..]).expect("memory");
    }
    tar.into_inner().expect("memory")
}

fn record(tar: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    disassemble(tar, &mut writer, &Apart::default(), &mut ()).expect("a sound tar");
    writer.into_inner()
}

#[divan::bench(args = SHAPES)]
fn take_apart(bencher: divan::Bencher<'_, '_>, shape: (usize, usize)) {
    let tar = layer(shape);
    bencher.counter(BytesCount::of_slice(&tar)).bench(|| record(&tar).len());
}

#[divan::bench(args = SHAPES)]
fn read_record(bencher: divan::Bencher<'_, '_>, shape: (usize, usize)) {
    let tar = layer(shape);
    let record = record(&tar);
    bencher
        .counter(BytesCount::of_slice(&tar))
        .bench(|| Entries::new(&record[..]).filter(Result::is_ok).count());
}

/// What each file is checked with on its way.
#[divan::bench]
fn checksum(bencher: divan::Bencher<'_, '_>) {
    let bytes = vec![7; 1 << 20];
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Crc::of(&bytes));
}
