//! What was judged: for people, and as JSON.

use crate::args::HistoryArgs;
use crate::home;
use crate::outcome::{ExitCode, Result, answer};
use chain::{ProofRecord, Verdict};
use serde_json::{Value, json};
use store::Store;

/// Prints the latest proofs, newest first; works beside a running node.
pub(crate) fn print(args: &HistoryArgs) -> Result {
    let path = home::database(&home::home(&args.home)?);
    let records = Store::open_to_read(&path)?.latest_proofs(args.count)?;
    if records.is_empty() && !args.json {
        answer!("no proof was judged yet")?;
    }
    for (number, record) in &records {
        if args.json {
            answer!("{}", as_json(*number, record))?;
        } else {
            answer!("{}", sentence(*number, record))?;
        }
    }
    Ok(ExitCode::Done)
}

/// A proof and its verdict for machines.
pub(crate) fn as_json(number: u64, record: &ProofRecord) -> Value {
    let reason = match &record.verdict {
        Verdict::Valid => None,
        Verdict::Invalid(reason) => Some(reason),
    };
    json!({
        "number": number,
        "valid": reason.is_none(),
        "reason": reason,
        "asked_at": record.asked_at,
        "judged_at": record.judged_at,
        "software": record.software,
        "node_id": record.statement.node_id,
        "commitment_atx_id": record.statement.commitment_atx_id,
        "challenge": record.statement.challenge,
        "num_units": record.statement.num_units,
        "labels_per_unit": record.statement.labels_per_unit,
        "nonce": record.proof.nonce.0,
        "indices": post::to_hex(&record.proof.indices),
        "pow": record.proof.pow,
    })
}

/// A proof and its verdict in plain words.
pub(crate) fn sentence(number: u64, record: &ProofRecord) -> String {
    let statement = &record.statement;
    let labels = statement.num_labels().unwrap_or(0);
    let took = record.judged_at.saturating_sub(record.asked_at);
    let what = format!(
        "{} units ({labels} labels, {} KiB) of identity {} for challenge {}",
        statement.num_units,
        labels / 64,
        short(&statement.node_id.to_string()),
        short(&statement.challenge.to_string()),
    );
    match &record.verdict {
        Verdict::Valid => format!(
            "proof {number} is VALID: {what} are held (nonce {}, answered in {took} s)",
            record.proof.nonce.0
        ),
        Verdict::Invalid(reason) => format!("proof {number} is NOT VALID: {what}: {reason}"),
    }
}

/// The first digits of a long hexadecimal name.
pub(crate) fn short(hex: &str) -> String {
    format!("{}…", hex.chars().take(8).collect::<String>())
}
