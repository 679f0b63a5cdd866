//! Frames: a length (u32 LE), then a message in postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use thiserror::Error;

/// Most bytes of a message. The largest, the keys of all 256 nonce groups, takes half of it.
const FRAME_BYTES_MAX: usize = 128 * 1024;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum BadFrame {
    #[error("a message of {0} bytes")]
    TooLong(usize),
    #[error("what is no message")]
    Malformed,
}

impl From<BadFrame> for io::Error {
    fn from(bad: BadFrame) -> Self {
        Self::new(io::ErrorKind::InvalidData, bad)
    }
}

/// A message as a frame.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>, BadFrame> {
    let body = postcard::to_allocvec(message).map_err(|_| BadFrame::Malformed)?;
    let length = checked(body.len())?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

/// The next message of a stream, from which `read` takes exactly as many bytes as it has room for.
/// Nothing is allocated for a length beyond the limit.
pub(super) fn read<M: DeserializeOwned, E: From<BadFrame>>(
    mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<M, E> {
    let mut length = [0; 4];
    read(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    checked(length)?;
    let mut body = vec![0; length];
    read(&mut body)?;
    match postcard::take_from_bytes(&body) {
        Ok((message, [])) => Ok(message),
        _ => Err(BadFrame::Malformed.into()),
    }
}

fn checked(length: usize) -> Result<u32, BadFrame> {
    let fits = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX);
    fits.ok_or(BadFrame::TooLong(length))
}

#[cfg(test)]
mod tests {
    use super::super::message::{Keys, Reply, Request, State};
    use super::*;
    use core::time::Duration;
    use gpu::{Gap, Mixing, Tuning};
    use proptest::prelude::*;
    use std::io::Read;

    fn read_all<M: DeserializeOwned>(mut bytes: &[u8]) -> io::Result<M> {
        let message = read(|out: &mut [u8]| bytes.read_exact(out))?;
        assert!(bytes.is_empty());
        Ok(message)
    }

    #[test]
    fn messages_come_back_as_they_went() {
        let tuning = Tuning { gap: Gap::Two, mixing: Mixing::Plain, labels: 4096 };
        let keys = Keys { group: 255, key: [1; 16], lanes: [[2; 16]; 16] };
        let (target, device) = (Duration::from_millis(50), "gpu:software".to_owned());
        let requests = [
            Request::List,
            Request::Labels {
                device: device.clone(),
                commitment: post::Commitment([3; 32]),
                n: 8192,
                target,
                tuning: Some(tuning),
            },
            // The largest there is.
            Request::Scan { device, groups: vec![keys; 256], top: 1, low: u64::MAX, target },
        ];
        for request in requests {
            assert_eq!(read_all::<Request>(&encode(&request).unwrap()).unwrap(), request);
        }
        let state = State { tuning, settled: true, dispatch: Some((50_000, 60_000)) };
        let replies = [
            Reply::Alive,
            Reply::Filled { bytes: 1 << 40, state },
            Reply::Fault(gpu::Fault::WrongLabel { index: post::LabelIndex(7) }),
        ];
        for reply in replies {
            assert_eq!(read_all::<Reply>(&encode(&reply).unwrap()).unwrap(), reply);
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut asked = 0;
        let huge = |out: &mut [u8]| {
            asked += out.len();
            out.fill(0xff);
            Ok::<_, BadFrame>(())
        };
        assert_eq!(read::<Reply, _>(huge), Err(BadFrame::TooLong(u32::MAX as usize)));
        assert_eq!(asked, 4);
        let text = Reply::Fault(gpu::Fault::Refused("x".repeat(FRAME_BYTES_MAX)));
        assert!(matches!(encode(&text), Err(BadFrame::TooLong(_))));
    }

    #[test]
    fn a_message_has_no_more_bytes_than_it_needs_and_no_fewer() {
        assert_eq!(read_all::<Reply>(&[1, 0, 0, 0, 0]).unwrap(), Reply::Alive);
        for bad in [&[2, 0, 0, 0, 0, 0][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 99], &[1, 0, 0, 0]] {
            assert!(read_all::<Reply>(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Messages with any bytes in them are read or refused, and what is read can be said.
        #[test]
        fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
            if let Ok(reply) = read_all::<Reply>(&bytes) {
                prop_assert!(encode(&reply).is_ok());
            }
            if let Ok(request) = read_all::<Request>(&bytes) {
                prop_assert!(encode(&request).is_ok());
            }
        }
    }
}
