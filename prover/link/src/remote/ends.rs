//! The two ends of a QUIC connection: what was said last is heard before it closes.

use crate::connection::Connection;
use core::pin::Pin;
use core::task::{Context, Poll};
use quinn::{RecvStream, SendStream, VarInt};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

/// How long what was said last may take to arrive.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// All is well, as QUIC's application error code.
pub(super) const DONE: VarInt = VarInt::from_u32(0);

/// A connection whose two ends keep QUIC's alive, and close it when both are dropped.
pub(super) fn over(
    connection: quinn::Connection,
    send: SendStream,
    receive: RecvStream,
) -> Connection {
    let whole = Arc::new(Whole(connection));
    let writer = Writer { send: Some(send), whole: Arc::clone(&whole) };
    Connection::new(Reader { receive, _whole: whole }, writer)
}

/// Closes the connection when the last end is gone.
struct Whole(quinn::Connection);

impl Drop for Whole {
    fn drop(&mut self) {
        self.0.close(DONE, &[]);
    }
}

struct Reader {
    receive: RecvStream,
    _whole: Arc<Whole>,
}

impl tokio::io::AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.receive).poll_read(context, buffer)
    }
}

struct Writer {
    /// `None` once it is dropped.
    send: Option<SendStream>,
    whole: Arc<Whole>,
}

impl Writer {
    fn stream(&mut self) -> io::Result<&mut SendStream> {
        self.send.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(self.stream()?), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(self.stream()?), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self.stream()?), context)
    }
}

impl Drop for Writer {
    /// What was said last should be heard before the connection is closed.
    fn drop(&mut self) {
        let (Some(mut send), Ok(runtime)) =
            (self.send.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let whole = Arc::clone(&self.whole);
        if send.finish().is_ok() {
            runtime.spawn(async move {
                let _ = timeout(LAST_WORDS, send.stopped()).await;
                drop(whole);
            });
        }
    }
}
