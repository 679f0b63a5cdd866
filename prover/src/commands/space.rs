//! What `init` and `plan` have in common: the data that is wanted, beside what is on disk.

use crate::args::{ProofArgs, RangeArg, SpaceArgs};
use crate::outcome::{Failure, Result};
use crate::place;
use crate::settings::{self, Network};
use plot::{Arrangement, DataSet, FileNumbers, Layout, Metadata, Place, PlotError};
use post::{LABEL_BYTES, ScryptN};

/// The reference's default: 4 GiB a file.
const FILE_BYTES: u64 = 4 << 30;

/// A request that makes sense, whatever the room for it.
pub(crate) struct Request {
    pub(crate) places: Vec<Place>,
    /// What the places hold.
    pub(crate) found: Option<DataSet>,
    /// What is wanted.
    pub(crate) metadata: Metadata,
    pub(crate) n: ScryptN,
    layout: Layout,
    /// The label files that are asked for; `None` where that is not said.
    files: Option<FileNumbers>,
}

impl Request {
    /// Understands what is wanted, beside what is there.
    pub(crate) fn new(args: &SpaceArgs) -> Result<Self> {
        let network = settings::network(&args.network, &ProofArgs::default())?;
        let places = settings::places(&args.data_dir)?;
        let found = DataSet::found(&place::paths(&places))?;
        let wanted = Wanted { args, network: &network, places: &places };
        let (metadata, n) = match &found {
            None => (wanted.anew()?, network.params.scrypt_n),
            Some(set) => (wanted.beside(set)?, super::scrypt_n(set, &network)?),
        };
        let layout = Layout::new(&metadata).map_err(|why| Failure::usage(why.to_string()))?;
        refuse_units(metadata.num_units, &network)?;
        let files = files(&args.files, layout.files())?;
        Ok(Self { places, found, metadata, n, layout, files })
    }

    /// How many label files the whole set has.
    pub(crate) fn files_of_set(&self) -> u64 {
        self.layout.files()
    }

    /// Where everything goes.
    pub(crate) fn arrange(&self) -> Result<Arrangement> {
        let (found, metadata) = (self.found.as_ref(), self.metadata.clone());
        let arranged = match &self.files {
            None => Arrangement::new(found, &self.places, metadata),
            Some(files) => Arrangement::of_share(found, &self.places, metadata, files.clone()),
        };
        arranged.map_err(|error| match error {
            other @ PlotError::OtherShare { .. } => Failure::usage(other.to_string()),
            error => error.into(),
        })
    }
}

/// The label files that were asked for, which must be among the `count` of the set.
fn files(ranges: &[RangeArg], count: u64) -> Result<Option<FileNumbers>> {
    if let Some(RangeArg(beyond)) = ranges.iter().find(|RangeArg(range)| range.end > count) {
        let (last, most) = (beyond.end - 1, count.saturating_sub(1));
        return Err(Failure::usage(format!(
            "--files: there is no file {last}: the data has {count} label files, 0 to {most}"
        )));
    }
    let files: FileNumbers = ranges.iter().flat_map(|RangeArg(range)| range.clone()).collect();
    Ok((!files.is_empty()).then_some(files))
}

/// The network decides how many units there may be.
pub(crate) fn refuse_units(units: u32, network: &Network) -> Result<()> {
    let (min, max) = (network.params.units_min, network.params.units_max);
    if (min..=max).contains(&units) {
        return Ok(());
    }
    Err(Failure::usage(format!("{units} units: this network allows {min} to {max}")))
}

/// What was typed, and what it is about.
struct Wanted<'a> {
    args: &'a SpaceArgs,
    network: &'a Network,
    places: &'a [Place],
}

impl Wanted<'_> {
    /// The metadata of data that is not there yet.
    fn anew(&self) -> Result<Metadata> {
        let needed = |flag| move || Failure::usage(format!("{flag} is needed for new data"));
        let args = self.args;
        let labels_per_unit = args.labels_per_unit.unwrap_or(self.network.params.labels_per_unit);
        let file_bytes = args.max_file_size.unwrap_or(FILE_BYTES);
        let fitting = || self.units_that_fit(labels_per_unit, file_bytes);
        let units = args.units.or_else(fitting).ok_or_else(needed("--units"))?;
        Ok(Metadata::new(
            args.node_id.ok_or_else(needed("--node-id"))?,
            args.commitment_atx.ok_or_else(needed("--commitment-atx"))?,
            labels_per_unit,
            units,
            file_bytes,
        ))
    }

    /// Whole units in the sizes of all places; `None` unless each has one.
    fn units_that_fit(&self, labels_per_unit: u64, file_bytes: u64) -> Option<u32> {
        let limits: Option<Vec<u64>> = self.places.iter().map(|place| place.limit).collect();
        let whole_files = |limit: u64| limit / file_bytes.max(1) * file_bytes;
        // A place alone may end with a part of a file.
        let bytes: u64 = match limits?.as_slice() {
            [limit] => *limit,
            limits => limits.iter().map(|limit| whole_files(*limit)).sum(),
        };
        let units = bytes.checked_div(labels_per_unit.checked_mul(LABEL_BYTES as u64)?)?;
        let most = u64::from(self.network.params.units_max);
        u32::try_from(units.min(most)).ok().filter(|units| *units > 0)
    }

    /// The metadata of data that is there: as it is, or with more units. Both sides are named where
    /// it is not the data that is asked for.
    fn beside(&self, set: &DataSet) -> Result<Metadata> {
        let (args, found) = (self.args, set.metadata());
        let differing = [
            differs("identity", found.node_id, args.node_id),
            differs("commitment ATX", found.commitment_atx_id, args.commitment_atx),
            differs("labels per unit", found.labels_per_unit, args.labels_per_unit),
            differs("file size", found.max_file_size, args.max_file_size),
        ];
        let differing: Vec<String> = differing.into_iter().flatten().collect();
        if !differing.is_empty() {
            return Err(Failure::usage(format!(
                "{} holds other data than asked for; nothing was changed:{}\nAsk for what is on \
                 disk, or choose another directory.",
                set.name(),
                differing.concat()
            )));
        }
        let units = args.units.unwrap_or(found.num_units);
        self.refuse_resize(set, units)?;
        let mut metadata = found.clone();
        metadata.num_units = units;
        Ok(metadata)
    }

    fn refuse_resize(&self, set: &DataSet, units: u32) -> Result<()> {
        let found = set.metadata().num_units;
        match set.whole() {
            // Growing goes on where it was interrupted.
            Err(PlotError::Resizing { many, .. }) if self.args.grow && units >= many => Ok(()),
            Err(interrupted @ PlotError::Resizing { .. }) => Err(interrupted.into()),
            Err(PlotError::Part { share, .. }) if units != found => Err(Failure::usage(format!(
                "{} holds label files {share} of a data set of {found} units, {units} are asked \
                 for; nothing was changed.\nA share keeps its size: `merge` it with the others \
                 first.",
                set.name()
            ))),
            _ if units > found && !self.args.grow => Err(Failure::usage(format!(
                "{} holds {found} units, {units} are asked for; nothing was changed.\nTo let it \
                 grow run `init --grow --units {units}`; `plan --grow --units {units}` says what \
                 that takes.",
                set.name()
            ))),
            _ if units < found => Err(Failure::usage(format!(
                "{} holds {found} units, {units} are asked for; nothing was changed.\nTo give \
                 space back run `shrink --units {units}`; it can be undone.",
                set.name()
            ))),
            _ => Ok(()),
        }
    }
}

fn differs<T: PartialEq + ToString>(what: &str, found: T, wanted: Option<T>) -> Option<String> {
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(format!("\n  {what}: {} on disk, {} asked for", found.to_string(), wanted.to_string()))
}
