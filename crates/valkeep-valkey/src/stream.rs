//! The bytes of one connection, counted: an answer is bounded, and how it began is kept for the message about a
//! server that is none.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// For one answer. `INFO` of a busy server with many error statistics stays under 20 KiB; 1 MiB is fifty times that.
const BYTES_MAX: usize = 1024 * 1024;
/// How much of the beginning is kept.
const START_BYTES: usize = 40;

/// What came in over a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Came>>);

#[derive(Debug, Default)]
struct Came {
    bytes: usize,
    start: Vec<u8>,
    ended: bool,
    broke: Option<io::Error>,
}

impl Seen {
    /// Counts from here on; how it all began stays known.
    pub(crate) fn begin_answer(&self) {
        self.with(|came| came.bytes = 0);
    }

    /// How many bytes of the answer.
    pub(crate) fn bytes(&self) -> usize {
        self.with(|came| came.bytes)
    }

    /// Whether it was more than any server has to say.
    pub(crate) fn too_much(&self) -> bool {
        self.bytes() > BYTES_MAX
    }

    /// Whether the other side has closed.
    pub(crate) fn ended(&self) -> bool {
        self.with(|came| came.ended)
    }

    /// How reading failed, if it did; taken once.
    pub(crate) fn take_break(&self) -> Option<io::Error> {
        self.with(|came| came.broke.take())
    }

    /// The first bytes, made readable.
    pub(crate) fn start(&self) -> String {
        self.with(|came| String::from_utf8_lossy(&came.start).escape_debug().collect())
    }

    fn add(&self, bytes: &[u8]) {
        self.with(|came| {
            came.bytes += bytes.len();
            came.ended |= bytes.is_empty();
            let room = START_BYTES - came.start.len();
            came.start.extend(bytes.iter().take(room));
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Came) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream that ends with an error once too much has come.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    inner: S,
    seen: Seen,
}

impl<S> Bounded<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            seen: Seen::default(),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        match polled {
            Poll::Ready(Ok(())) => {
                self.seen.add(&buf.filled()[before..]);
                if self.seen.too_much() {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Poll::Ready(Ok(()))
            }
            // Kept here, because the library does not give it back as it was.
            Poll::Ready(Err(error)) => {
                let kind = error.kind();
                self.seen.with(|came| came.broke = Some(error));
                Poll::Ready(Err(kind.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
