//! `tranship ls`

use std::ffi::OsString;

use clap::ValueHint;

use crate::cli::exit::Exit;
use crate::cli::host::files;
use crate::cli::inside::Inside;
use crate::cli::ops::Ops;
use crate::cli::render::ls::{self, Block};
use crate::cli::rows::ls::FileList;
use crate::cli::ui::Ui;
use crate::error::{Result, printable};
use crate::op::look::{Address, View};
use crate::tree::{Kind, Metadata, Tree, TreePath, TreePathBuf, walk};

/// List files of images and containers
///
/// A path is what a process in the image or container would see. Links on the way are followed, inside
/// its root alone; a link that is named itself is followed too, but not with --long. No daemon is asked,
/// and a recorded data root will do.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship ls [OPTIONS] [PATH] <IMAGE|CONTAINER[:/PATH]>...")]
#[command(after_long_help = "\
Examples:
  tranship ls web:/etc
  tranship ls -l busybox:1.36:/bin
  tranship ls /mnt/old/docker db:/var/lib/mysql -R
  tranship ls docker.tar.zst web --json")]
pub(crate) struct Args {
    /// The data root, then what to list: an image or container, and a path in it
    #[arg(value_name = "PATH|NAME[:/PATH]", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Show type, permissions, links, owner, group, size, time in UTC, and where links point
    #[arg(short, long)]
    long: bool,

    /// List folders with all below them
    #[arg(short = 'R', long)]
    recursive: bool,

    /// List folders themselves, and not what is in them
    #[arg(short, long, conflicts_with = "recursive")]
    directory: bool,

    #[command(flatten)]
    inside: Inside,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the files.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (at, addresses) = args.inside.split(&args.targets)?;
    let names: Vec<_> = addresses.iter().map(|address| address.name.as_str()).collect();
    let (mut worst, mut blocks) = (Exit::Done, Vec::new());
    let mut next = addresses.iter();
    ops.look(&at, &names, &args.inside.which(), &mut |view| {
        let Some(address) = next.next() else { return Ok(()) };
        match view.and_then(|view| Listing { args, view: &view, address }.blocks()) {
            Ok(found) => blocks.extend(found),
            Err(error) => {
                ui.error(&error);
                worst = worst.max(Exit::from(&error));
            }
        }
        Ok(())
    })?;
    if args.json {
        let rows = blocks.into_iter().flat_map(|block| block.files).map(|(_, row)| row);
        ui.json(&FileList(rows.collect()))?;
        return Ok(worst);
    }
    if let ([block], [_]) = (blocks.as_mut_slice(), addresses.as_slice()) {
        block.heading = None;
    }
    ui.print(&ls::text(&blocks, args.long))?;
    Ok(worst)
}

/// One address being listed.
struct Listing<'a> {
    args: &'a Args,
    view: &'a View<'a>,
    address: &'a Address,
}

impl Listing<'_> {
    fn blocks(&self) -> Result<Vec<Block>> {
        let tree = &self.view.tree;
        let keeps_link = (self.args.long || self.args.directory) && !self.args.recursive;
        let at = self.view.resolve(&self.address.path, !keeps_link)?;
        let metadata = tree.stat(at.as_path())?;
        if metadata.kind != Kind::Dir || self.args.directory {
            let name = printable(&self.address.path).into_owned();
            let mut block = Block::default();
            self.add(&mut block, at.as_path(), name, &metadata)?;
            return Ok(vec![block]);
        }
        let mut blocks = vec![self.block(at.as_path())];
        let mut open = vec![(at.clone(), 0)];
        walk(tree, at.as_path(), &mut |path, entry| {
            while open.len() > 1 && !open.last().is_some_and(|(at, _)| holds(at, path)) {
                open.pop();
            }
            let block = open.last().map_or(0, |(_, block)| *block);
            let name = printable(&entry.name).into_owned();
            self.add(&mut blocks[block], path, name, &entry.metadata)?;
            let go_in = self.args.recursive && entry.metadata.kind == Kind::Dir;
            if go_in {
                open.push((path.to_owned(), blocks.len()));
                blocks.push(self.block(path));
            }
            Ok(go_in)
        })?;
        Ok(blocks)
    }

    fn block(&self, at: TreePath<'_>) -> Block {
        let heading = format!("{}:/{}", self.view.name, printable(at.as_bytes()));
        Block { heading: Some(heading), files: Vec::new() }
    }

    fn add(
        &self,
        block: &mut Block,
        at: TreePath<'_>,
        name: String,
        metadata: &Metadata,
    ) -> Result<()> {
        let row = files::row(self.view, at, metadata, self.args.json)?;
        block.files.push((name, row));
        Ok(())
    }
}

/// Says whether `folder` is the one that `path` is in.
fn holds(folder: &TreePathBuf, path: TreePath<'_>) -> bool {
    path.split_last().is_some_and(|(parent, _)| parent == folder.as_path())
}
