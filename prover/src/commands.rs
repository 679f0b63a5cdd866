//! The commands that do one thing and end: arguments in, answer on stdout, exit code.

mod check;
mod devices;
mod info;
mod init;
mod merge;
mod move_;
mod nonce;
mod plan;
mod prove;
mod rehearse;
mod repair;
mod shrink;
mod space;
mod trash;

pub(crate) use check::check;
pub(crate) use devices::devices;
pub(crate) use info::info;
pub(crate) use init::init;
pub(crate) use merge::merge;
pub(crate) use move_::move_;
pub(crate) use nonce::nonce;
pub(crate) use plan::plan;
pub(crate) use prove::{prove, verify};
pub(crate) use rehearse::rehearse;
pub(crate) use repair::repair;
pub(crate) use shrink::shrink;
pub(crate) use trash::{purge, undo, wipe};

use crate::Failure;
use crate::args::DataArgs;
use crate::crew::{self, Crew};
use crate::outcome::Result;
use crate::place;
use crate::settings::{self, Network};
use plot::{DataSet, Lock};
use post::ScryptN;

/// The N that the data was made with: what is written beside it, else what the network says.
pub(crate) fn scrypt_n(set: &DataSet, network: &Network) -> Result<ScryptN> {
    let asked = network.params.scrypt_n;
    match set.scrypt_n() {
        Some(made) if network.n_is_explicit && made != asked => {
            let name = set.name();
            Err(Failure::usage(format!(
                "the data in {name} was made with N = {made}, but --scrypt-n says {asked}: leave \
                 the flag away, or name the right directory"
            )))
        }
        Some(made) => Ok(made),
        None => Ok(asked),
    }
}

/// Opens the data that was named, whole or a share.
pub(crate) fn open(args: &DataArgs) -> Result<DataSet> {
    Ok(DataSet::open_share(&place::paths(&settings::places(&args.data_dir)?))?)
}

/// Opens the data that was named, whole or a share, for as long as the locks last: nobody else
/// reads or writes there meanwhile.
pub(crate) fn open_exclusive(args: &DataArgs) -> Result<(Vec<Lock>, DataSet)> {
    let places = settings::places(&args.data_dir)?;
    let paths = place::paths(&places);
    let locks = Lock::exclusive_all(paths.iter().copied())?;
    Ok((locks, DataSet::open_share(&paths)?))
}

/// Opens the data that was named, whole or a share, for as long as the locks last: nobody writes
/// there meanwhile.
pub(crate) fn open_shared(args: &DataArgs) -> Result<(Vec<Lock>, DataSet)> {
    let places = settings::places(&args.data_dir)?;
    let paths = place::paths(&places);
    let locks = Lock::shared_all(paths.iter().copied())?;
    Ok((locks, DataSet::open_share(&paths)?))
}

/// Names the files in which devices that made wrong labels had a part, now or in earlier runs.
pub(crate) fn warn_of_liars(set: &DataSet, crew: &Crew) {
    for name in crew.distrusted() {
        let provenance = match set.provenance() {
            Ok(provenance) => provenance,
            Err(why) => {
                tracing::warn!("what {name} made before cannot be told: {why}");
                continue;
            }
        };
        for (directory, maker, files) in provenance.makers {
            if crew::took_part(name, &maker) {
                tracing::warn!(
                    "{name} made a wrong label, and had a part in label files {files} in {}: look \
                     at them with `check --fraction 100`",
                    directory.display()
                );
            }
        }
    }
}
