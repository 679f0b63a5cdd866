//! What was typed for commands that give space back, delete, move or join data.

use super::{DataArgs, NetworkArgs, WorkArgs};
use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover shrink --data-dir /mnt/space --units 4\n\n",
    "Labels past the new end go to trash/ in the same directory: `undo` brings them back, and \
     only `purge` deletes them and frees the space. Run it again to go on after an \
     interruption.\n\n",
    "Exit codes: 0 done · 2 wrong usage, or what is on disk speaks against it · \
     3 could not (disk, lock), or stopped"
))]
pub(crate) struct ShrinkArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Units to keep
    #[arg(long, value_name = "U")]
    pub(crate) units: u32,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover undo --data-dir /mnt/space\n\n",
    "`info` lists what is in the trash. Name the directories that the command was about.\n\n",
    "Exit codes: 0 everything is back · 1 some of it was in the trash no more · 2 wrong usage, or \
     something made since stands in the way · 3 could not (disk, lock)"
))]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which entry of the trash [default: the newest]
    #[arg(long, value_name = "N")]
    pub(crate) entry: Option<u64>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover purge --data-dir /mnt/space --entry 3 --yes\n\n",
    "Without --yes it lists what it would delete, and on a terminal asks.\n\n",
    "Exit codes: 0 deleted, or there was nothing · 1 not confirmed, nothing was deleted · \
     2 wrong usage, or a file is nowhere else · 3 could not (disk, lock)"
))]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which entry of the trash [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) entry: Option<u64>,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover wipe --data-dir /mnt/space --yes\n\n",
    "Deletes labels, metadata and everything of ours in the directory, its trash included. Keys \
     and files of others stay. Without --yes it lists them, and on a terminal asks.\n\n",
    "Exit codes: 0 deleted, or there was nothing · 1 not confirmed, nothing was deleted · \
     2 wrong usage · 3 could not (disk, lock)"
))]
pub(crate) struct WipeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover move --data-dir /mnt/old/space --to /mnt/new/space\n\n",
    "Copies, reads every byte back from the new disk and compares it; then the files of the old \
     directory go to its trash/. On the same filesystem files are renamed. Run it again to go on \
     after an interruption.\n\n",
    "Exit codes: 0 done · 2 wrong usage, or the target holds something else · \
     3 could not (disk, room, lock), or stopped"
))]
pub(crate) struct MoveArgs {
    /// The directory to move
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where to: a directory that is empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Another directory of the same data, which is told where this one went; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) sibling: Vec<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover merge --data-dir /mnt/share-0 --data-dir /mnt/share-1\n\n",
    "Every file must be there once and complete; labels of each are made again. Nothing is copied: \
     the directories become one data set, whose VRF nonce is the smallest label of all. Shares \
     that the reference made can be joined as well. Run it again to go on after an \
     interruption.\n\n",
    "Exit codes: 0 it is one data set · 1 files are missing, nothing was changed · 2 wrong usage, \
     or the shares do not belong together · 3 could not (disk, lock), or stopped"
))]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
