//! `nonce`: the VRF nonce of data that is on disk.

use crate::args::{NonceArgs, ProofArgs};
use crate::devices;
use crate::make::MakeError;
use crate::outcome::{ExitCode, Result, answer};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{background, crew, settings, vrf};
use post::label::LabelFault;
use serde_json::json;

/// Searches the VRF nonce and writes it into the metadata.
pub(crate) fn nonce(args: &NonceArgs) -> Result {
    let network = settings::network(&args.network, &ProofArgs::default())?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let (_locks, mut set) = super::open_exclusive(&args.data)?;
    set.whole()?;
    let n = super::scrypt_n(&set, &network)?;
    for file in set.survey()? {
        file.complete()?;
    }
    // Before terabytes are read: a device may be asked for that is not there.
    let mut crew =
        crew::of(&devices::chosen(&args.work)?, &args.work, set.metadata().commitment(), n);
    let total = set.layout().num_labels();
    let mut progress = Progress::new("searching the VRF nonce", "labels", 0, total, args.json);
    let stop = || stop.is_set();
    let mut read = 0;
    let best = vrf::search_on_disk(&set, n, &stop, &mut |labels| {
        read += labels;
        progress.at(read);
    });
    drop(progress);
    let found = best.and_then(|best| vrf::settle(&mut set, &mut crew, &stop, best));
    let found = match found {
        Err(MakeError::Label(LabelFault::Stopped)) => {
            eprintln!("stopped: the VRF nonce is not known yet; run the same command again");
            return Ok(ExitCode::CouldNot);
        }
        found => found?,
    };
    let (index, label) = (found.index.0, post::to_hex(&found.label.0));
    if args.json {
        answer!("{}", json!({ "vrf_nonce": index, "label": label, "stored": index < total }))?;
    } else {
        let place = if index < total { "on disk" } else { "past the data" };
        answer!("VRF nonce {index} ({place}), label {label}: written down")?;
    }
    Ok(ExitCode::Done)
}
