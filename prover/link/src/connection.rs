//! A connection: messages in, messages out, whatever carries them.

use crate::error::LinkError;
use core::fmt;
use core::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::{Checked, Decoder, encode};

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 16 * 1024;

type Reader = Pin<Box<dyn AsyncRead + Send + Sync>>;
type Writer = Pin<Box<dyn AsyncWrite + Send + Sync>>;

/// A connection to a process of the same user, or to one on another host whose key is known.
pub struct Connection {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    pub(crate) fn new(
        reader: impl AsyncRead + Send + Sync + 'static,
        writer: impl AsyncWrite + Send + Sync + 'static,
    ) -> Self {
        let (reader, writer) = (Box::pin(reader), Box::pin(writer));
        let buffer = vec![0; READ_BYTES];
        let incoming = Incoming { reader, decoder: Decoder::default(), buffer };
        Self { incoming, outgoing: Outgoing { writer } }
    }

    /// The two directions, which then live apart. Who drops the second says nothing more; the
    /// connection closes when both are dropped.
    #[must_use]
    pub fn split(self) -> (Incoming, Outgoing) {
        (self.incoming, self.outgoing)
    }
}

/// What the other side says.
pub struct Incoming {
    reader: Reader,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
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
            match self.reader.read(&mut self.buffer).await? {
                0 if self.decoder.is_mid_frame() => return Err(LinkError::CutOff),
                0 => return Ok(None),
                count => self.decoder.push(self.buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// What we say.
pub struct Outgoing {
    writer: Writer,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

impl Outgoing {
    /// Sends a message; waits while the other side does not read.
    ///
    /// # Errors
    /// [`LinkError::BadFrame`] for a message beyond its bounds, [`LinkError::Broken`].
    pub async fn send<M: Checked>(&mut self, message: &M) -> Result<(), LinkError> {
        let frame = encode(message)?;
        Ok(self.writer.write_all(&frame).await?)
    }
}
