//! The service: what a prover does on its own behalf and for nodes, for weeks, on a machine that
//! people also use.
//!
//! ```text
//! node ── dial, session ──┐                      ┌── work (a thread a job)
//! node ── dial, session ──┼──▶ drive ◀──▶ jobs ──┤
//! people ── control ──────┘      │        schedule   └── work
//!                                └──▶ status
//! ```
//!
//! [`drive`] carries events in and actions out; [`jobs`] decides, without IO; [`schedule`] says who
//! may work. What must outlive the process lies beside the data ([`holding`]).

mod dial;
mod drive;
mod foresight;
mod holding;
mod jobs;
mod roll;
mod schedule;
pub(crate) mod status;
mod work;

use crate::args::ServeArgs;
use crate::nodes::RemoteNode;
use crate::outcome::Result;
use crate::{place, settings};
use dial::Place;
use drive::Service;
use holding::Holding;
use jobs::Jobs;
use roll::Roll;
use std::sync::Arc;
use wire::SessionId;
use work::Tools;

/// What `--node` calls the node on this host.
const LOCAL: &str = "local";

/// Serves nodes.
pub(crate) fn serve(args: &ServeArgs) -> Result {
    let places = settings::places(&args.data.data_dir)?;
    let holdings = Holding::all(&place::paths(&places))?;
    for Holding { set, present, .. } in &holdings {
        let wire::PlotInfo { node_id, num_units, labels_per_unit, complete, .. } = set.plot;
        let state = match (complete, args.no_fill) {
            (true, _) => "complete".to_owned(),
            (false, true) => "not complete: run init".to_owned(),
            (false, false) => format!("not complete: {present} labels are there"),
        };
        tracing::info!(
            "holding {num_units} units of {labels_per_unit} labels of {node_id}, {state}"
        );
    }
    let nodes = nodes(args)?;
    let roll = Arc::new(Roll::default());
    let tools = Tools::of(args, &holdings, &roll)?;
    let mut session = [0; 16];
    getrandom::fill(&mut session)
        .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))
        .map_err(crate::Failure::CouldNot)?;
    let jobs = Jobs::new(SessionId(session), tools.network.id, !args.no_fill);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let code = runtime.block_on(Service::new(tools, jobs, holdings).live(nodes, args));
    runtime.shutdown_background();
    code
}

/// The nodes that were named.
fn nodes(args: &ServeArgs) -> Result<Vec<Place>> {
    let local = || Place::Local(args.socket.clone().unwrap_or_else(link::default_socket));
    if args.node.is_empty() {
        return Ok(vec![local()]);
    }
    let named = |name: &String| match name.as_str() {
        LOCAL => Ok(local()),
        address => Ok(Place::Remote(RemoteNode::known(address, &args.keys)?)),
    };
    args.node.iter().map(named).collect()
}
