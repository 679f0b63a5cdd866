//! Nodes on other hosts: pairing with one, and finding again those that this prover knows.

use crate::args::{KeysArgs, PairArgs};
use crate::config;
use crate::outcome::{ExitCode, Failure, Result, answer};
use link::{Connection, LinkError, LinkId, LinkKey, NodeBook};
use serde_json::json;
use std::path::PathBuf;

const KEY_FILE: &str = "link.key";
const NODES: &str = "nodes.json";

/// A node on another host that this prover was paired with.
pub(crate) struct RemoteNode {
    pub(crate) address: String,
    node: LinkId,
    key: LinkKey,
}

impl RemoteNode {
    /// The node at `address`, as it was paired.
    pub(crate) fn known(address: &str, keys: &KeysArgs) -> Result<Self> {
        let home = home(keys)?;
        let node = NodeBook::at(&home.join(NODES)).node(address)?.ok_or_else(|| {
            Failure::usage(format!(
                "no node at {address} was paired with this prover: run `postmesh-prover pair \
                 {address} CODE`, with the code that `postmesh-node prover invite` prints there"
            ))
        })?;
        Ok(Self { address: address.to_owned(), node, key: LinkKey::at(&home.join(KEY_FILE))? })
    }

    /// Connects to it.
    pub(crate) async fn dial(&self) -> std::result::Result<Connection, LinkError> {
        link::dial_remote(&self.address, self.node, &self.key).await
    }
}

/// `pair`
pub(crate) fn pair(args: &PairArgs) -> Result {
    let home = home(&args.keys)?;
    let key = LinkKey::at(&home.join(KEY_FILE))?;
    let name = args.name.clone().unwrap_or_else(own_name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let node = runtime.block_on(link::pair(&args.node, &args.code, &name, &key))?;
    NodeBook::at(&home.join(NODES)).keep(&args.node, node)?;
    if args.json {
        answer!("{}", json!({ "node": node, "address": args.node, "name": name }))?;
    } else {
        answer!("paired with the node at {}, which calls this prover {name}", args.node)?;
        eprintln!("It is served by: postmesh-prover serve --node {} --data-dir DIR", args.node);
    }
    Ok(ExitCode::Done)
}

fn home(args: &KeysArgs) -> Result<PathBuf> {
    if let Some(home) = &args.home {
        return Ok(home.clone());
    }
    let none = || Failure::usage("there is no home directory: use --home DIR");
    Ok(config::directory().ok_or_else(none)?.join("prover"))
}

/// This machine's name, as far as a name may have it.
pub(crate) fn own_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let good = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    let name: String = name.chars().map(good).take(wire::NAME_BYTES_MAX).collect();
    if wire::is_name(&name) { name } else { "prover".to_owned() }
}
