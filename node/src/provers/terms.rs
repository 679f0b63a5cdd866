//! Whose space is asked for, under which rules, and how often.

use post::{NetworkId, NodeId, Params, Statement};
use std::collections::BTreeSet;
use wire::PlotInfo;

/// What the node asks for.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) network: NetworkId,
    pub(crate) params: Params,
    /// Whose space.
    pub(crate) identities: BTreeSet<NodeId>,
    /// Seconds from one challenge of an identity to the next.
    pub(crate) every: u64,
    /// Seconds from a challenge to its deadline.
    pub(crate) window: u64,
}

impl Terms {
    /// Whether a proof may be asked for this data.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn suit(&self, plot: &PlotInfo) -> Result<(), String> {
        let PlotInfo { node_id, num_units, labels_per_unit, complete, .. } = plot;
        if !self.identities.contains(node_id) {
            let ours = match self.identities.first() {
                Some(only) if self.identities.len() == 1 => {
                    format!("this node's identity is {only}")
                }
                _ => "that is none of this node's identities".to_owned(),
            };
            return Err(format!("it belongs to {node_id}, {ours}"));
        }
        self.sizes_suit(*num_units, *labels_per_unit)?;
        if *complete { Ok(()) } else { Err("it is not complete: run init".to_owned()) }
    }

    /// Whether a proof of this may be asked for.
    pub(super) fn admit(&self, statement: &Statement) -> bool {
        self.identities.contains(&statement.node_id)
            && self.sizes_suit(statement.num_units, statement.labels_per_unit).is_ok()
    }

    fn sizes_suit(&self, num_units: u32, labels_per_unit: u64) -> Result<(), String> {
        let (min, max) = (self.params.units_min, self.params.units_max);
        if !(min..=max).contains(&num_units) {
            return Err(format!("it has {num_units} units, the network allows {min} to {max}"));
        }
        let least = self.params.labels_per_unit;
        if labels_per_unit < least {
            return Err(format!(
                "its units have {labels_per_unit} labels, the network demands {least}"
            ));
        }
        Ok(())
    }
}
