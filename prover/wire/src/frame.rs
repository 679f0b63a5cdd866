//! Frames: a length (u32 LE), then a message in postcard, made canonical.
//!
//! postcard accepts several encodings of one value and ignores what follows it; here a message is
//! accepted only if encoding it again gives the same bytes.

use crate::message::Checked;
use alloc::vec::Vec;
use thiserror::Error;

/// Most bytes of a message. The largest, a proof of 1,024 indices, takes an eighth of it.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

const LENGTH_BYTES: usize = 4;

/// Bytes that are not what was agreed. But for [`BadFrame::Unknown`], the connection they came on
/// is of no more use.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadFrame {
    /// The announced length is beyond the limit.
    #[error("a frame of {bytes} bytes; {FRAME_BYTES_MAX} is the limit")]
    TooLong {
        /// The length announced.
        bytes: usize,
    },
    /// Not a message, or not in its one encoding.
    #[error("a frame that holds no message of this protocol")]
    Malformed,
    /// A message with a list or text beyond its bound.
    #[error("a message beyond its bounds")]
    OutOfBounds,
    /// A message with a number that this version has none for: a newer one's. It is passed over,
    /// and the next message can be read.
    #[error("a message with the unknown number {number}")]
    Unknown {
        /// The number.
        number: u32,
    },
}

/// A message as a frame.
///
/// # Errors
/// [`BadFrame::OutOfBounds`] or [`BadFrame::TooLong`]: the message is larger than agreed.
pub fn encode<M: Checked>(message: &M) -> Result<Vec<u8>, BadFrame> {
    if !message.within_bounds() {
        return Err(BadFrame::OutOfBounds);
    }
    let body = postcard::to_allocvec(message).map_err(|_| BadFrame::Malformed)?;
    let bytes = body.len();
    let length = u32::try_from(bytes).map_err(|_| BadFrame::TooLong { bytes })?;
    if bytes > FRAME_BYTES_MAX {
        return Err(BadFrame::TooLong { bytes });
    }
    let mut frame = Vec::with_capacity(bytes.saturating_add(LENGTH_BYTES));
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Puts frames together from bytes as they arrive. Holds at most one frame more than was pushed
/// in one go.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the bytes so far end in the middle of a frame.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next message, once all of its bytes are there.
    ///
    /// # Errors
    /// [`BadFrame`]; the decoder is then of no more use, unless it is [`BadFrame::Unknown`].
    pub fn next_message<M: Checked>(&mut self) -> Result<Option<M>, BadFrame> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if bytes > FRAME_BYTES_MAX {
            return Err(BadFrame::TooLong { bytes });
        }
        let Some(body) = rest.get(..bytes) else {
            return Ok(None);
        };
        let message = decode(body);
        self.bytes.drain(..bytes.saturating_add(LENGTH_BYTES));
        message.map(Some)
    }
}

/// The message whose one encoding these bytes are.
fn decode<M: Checked>(body: &[u8]) -> Result<M, BadFrame> {
    if let Ok((number, _)) = postcard::take_from_bytes::<u32>(body)
        && !M::is_known(number)
    {
        return Err(BadFrame::Unknown { number });
    }
    let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(|_| BadFrame::Malformed)?;
    let again = postcard::to_allocvec(&message).map_err(|_| BadFrame::Malformed)?;
    if !rest.is_empty() || again != body {
        return Err(BadFrame::Malformed);
    }
    if message.within_bounds() { Ok(message) } else { Err(BadFrame::OutOfBounds) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::*;
    use alloc::string::String;
    use alloc::vec;
    use post::{AtxId, Challenge, NetworkId, NodeId, Nonce, Proof, Statement};
    use proptest::prelude::*;

    fn statement(seed: u8) -> Statement {
        Statement {
            node_id: NodeId([seed; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([3; 32]),
            num_units: 4,
            labels_per_unit: 1 << 32,
        }
    }

    fn to_node() -> Vec<ToNode> {
        let plot = PlotInfo {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            num_units: 4,
            labels_per_unit: 1024,
            vrf_nonce: Some(7),
            complete: true,
        };
        let job = JobId(300);
        let proof = Proof { nonce: Nonce(17), indices: vec![1, 2, 3], pow: 4 };
        vec![
            ToNode::Hello {
                versions: SpokenVersions { oldest: Version::V1, newest: Version::V1 },
                network: NetworkId([9; 32]),
                software: "postmesh-prover 0.1.0".into(),
            },
            ToNode::Info(vec![plot]),
            ToNode::Progress { job, stage: Stage::Scan, done: 1, total: 1 << 40 },
            ToNode::Proved { job, proof },
            ToNode::Failed { job, why: ProveFailure::NoProof },
        ]
    }

    fn to_prover() -> Vec<ToProver> {
        vec![
            ToProver::Welcome(Version::V1),
            ToProver::Refused(Refusal::Network(NetworkId([1; 32]))),
            ToProver::Info,
            ToProver::Prove { job: JobId(1), statement: statement(1) },
            ToProver::Cancel(JobId(1)),
        ]
    }

    fn to_node_of_version_two() -> Vec<ToNode> {
        let work = |state| WorkInfo { statement: statement(1), state };
        let work = vec![work(WorkState::Pending), work(WorkState::Proved)];
        let job = JobId(300);
        vec![
            ToNode::Attach { session: SessionId([5; 16]), work },
            ToNode::NotUnderstood(9),
            ToNode::Progress { job, stage: Stage::Waiting, done: 0, total: 3 },
        ]
    }

    fn to_prover_of_version_two() -> Vec<ToProver> {
        let job = JobId(300);
        vec![
            ToProver::ProveWithin { job, statement: statement(1), seconds: 43_200 },
            ToProver::Recorded { job, valid: true },
            ToProver::NotUnderstood(9),
        ]
    }

    /// Decodes byte by byte, so that every cut between reads is met.
    fn decode_slowly<M: Checked>(frames: &[u8]) -> Result<Vec<M>, BadFrame> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        for byte in frames {
            decoder.push(&[*byte]);
            messages.extend(decoder.next_message::<M>()?);
        }
        assert!(!decoder.is_mid_frame());
        Ok(messages)
    }

    #[test]
    fn every_message_round_trips_however_the_bytes_are_cut() {
        let frames: Vec<u8> = to_node().iter().flat_map(|m| encode(m).unwrap()).collect();
        assert_eq!(decode_slowly::<ToNode>(&frames).unwrap(), to_node());
        let frames: Vec<u8> = to_prover().iter().flat_map(|m| encode(m).unwrap()).collect();
        assert_eq!(decode_slowly::<ToProver>(&frames).unwrap(), to_prover());
        let (ours, theirs) = (to_node_of_version_two(), to_prover_of_version_two());
        let frames: Vec<u8> = ours.iter().flat_map(|m| encode(m).unwrap()).collect();
        assert_eq!(decode_slowly::<ToNode>(&frames).unwrap(), ours);
        let frames: Vec<u8> = theirs.iter().flat_map(|m| encode(m).unwrap()).collect();
        assert_eq!(decode_slowly::<ToProver>(&frames).unwrap(), theirs);
    }

    /// The formats of version 1, for ever: a change here is another version.
    #[test]
    fn the_bytes_of_version_one() {
        let frames: Vec<u8> = to_node().iter().flat_map(|m| encode(m).unwrap()).collect();
        let more: Vec<u8> = to_prover().iter().flat_map(|m| encode(m).unwrap()).collect();
        let digest = blake3::hash(&[frames, more].concat());
        assert_eq!(
            digest.to_hex().as_str(),
            "034eb2a19d7c884264c48e0c62c30175ee5c1a50c7d2cf13675a2a36f4703459"
        );
    }

    /// What version 2 adds, for ever.
    #[test]
    fn the_bytes_of_version_two() {
        let ours = to_node_of_version_two();
        let frames: Vec<u8> = ours.iter().flat_map(|m| encode(m).unwrap()).collect();
        let theirs = to_prover_of_version_two();
        let more: Vec<u8> = theirs.iter().flat_map(|m| encode(m).unwrap()).collect();
        let digest = blake3::hash(&[frames, more].concat());
        assert_eq!(
            digest.to_hex().as_str(),
            "58871d07f7ae26d30b63dbc115b2b0cbb3b9e42279c50ef7d61b7946fb4e8f3c"
        );
    }

    #[test]
    fn a_message_of_a_later_version_is_named_and_passed_over() {
        fn is_last<M: Checked>(last: &M) {
            let number = u32::from(encode(last).unwrap()[LENGTH_BYTES]);
            assert!(M::is_known(number) && !M::is_known(number + 1));
        }
        is_last(&ToNode::NotUnderstood(0));
        is_last(&ToProver::NotUnderstood(0));
        let mut decoder = Decoder::default();
        decoder.push(&[3, 0, 0, 0, 99, 1, 2]);
        decoder.push(&encode(&ToProver::Info).unwrap());
        assert_eq!(decoder.next_message::<ToProver>(), Err(BadFrame::Unknown { number: 99 }));
        assert_eq!(decoder.next_message(), Ok(Some(ToProver::Info)));
        assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn other_encodings_of_a_message_are_refused() {
        let frame = |body: &[u8]| [&(body.len() as u32).to_le_bytes(), body].concat();
        let refused = |body: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(&frame(body));
            decoder.next_message::<ToProver>()
        };
        assert_eq!(refused(&[4, 1]), Ok(Some(ToProver::Cancel(JobId(1)))));
        assert_eq!(refused(&[4, 0x81, 0]), Err(BadFrame::Malformed), "a varint that is too long");
        assert_eq!(refused(&[4, 1, 0]), Err(BadFrame::Malformed), "a byte too many");
        assert_eq!(refused(&[4]), Err(BadFrame::Malformed), "a byte too few");
        assert_eq!(refused(&[]), Err(BadFrame::Malformed), "nothing");
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_stored() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        let bytes = u32::MAX as usize;
        assert_eq!(decoder.next_message::<ToNode>(), Err(BadFrame::TooLong { bytes }));
        let software = String::from_utf8(vec![b'x'; TEXT_BYTES_MAX + 1]).unwrap();
        let hello =
            ToNode::Hello { versions: SpokenVersions::OURS, network: NetworkId([0; 32]), software };
        assert_eq!(encode(&hello), Err(BadFrame::OutOfBounds));
        let body = postcard::to_allocvec(&hello).unwrap();
        assert_eq!(decode::<ToNode>(&body), Err(BadFrame::OutOfBounds));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(message)) = decoder.next_message::<ToNode>() {
                prop_assert!(encode(&message).is_ok());
            }
        }
    }
}
