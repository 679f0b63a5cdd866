//! A connection: messages in, messages out.

use crate::error::LinkError;
use interprocess::local_socket::tokio::Stream;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{Checked, Decoder, encode};

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 16 * 1024;

/// A connection to a process of the same user.
#[derive(Debug)]
pub struct Connection(Stream);

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(stream)
    }

    /// The two directions, which then live apart; the connection closes when both are dropped.
    #[must_use]
    pub fn split(self) -> (Incoming, Outgoing) {
        let stream = Arc::new(self.0);
        let buffer = vec![0; READ_BYTES];
        let incoming =
            Incoming { stream: Arc::clone(&stream), decoder: Decoder::default(), buffer };
        (incoming, Outgoing { stream })
    }
}

/// What the other side says.
#[derive(Debug)]
pub struct Incoming {
    stream: Arc<Stream>,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Incoming {
    /// The next message; `None` when the other side closed. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`LinkError::BadFrame`], [`LinkError::CutOff`] or [`LinkError::Broken`]; the connection is
    /// then of no more use.
    pub async fn next<M: Checked>(&mut self) -> Result<Option<M>, LinkError> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Ok(Some(message));
            }
            match (&*self.stream).read(&mut self.buffer).await? {
                0 if self.decoder.is_mid_frame() => return Err(LinkError::CutOff),
                0 => return Ok(None),
                count => self.decoder.push(self.buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// What we say.
#[derive(Debug)]
pub struct Outgoing {
    stream: Arc<Stream>,
}

impl Outgoing {
    /// Sends a message; waits while the other side does not read.
    ///
    /// # Errors
    /// [`LinkError::BadFrame`] for a message beyond its bounds, [`LinkError::Broken`].
    pub async fn send<M: Checked>(&mut self, message: &M) -> Result<(), LinkError> {
        let frame = encode(message)?;
        Ok((&*self.stream).write_all(&frame).await?)
    }
}
