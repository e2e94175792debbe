//! A connection that can be broken from within, exactly where it should be.
//!
//! The server has no word for "say so much and hang up"; so its socket has a switch, which is pulled once
//! everything before has gone out.

use super::End;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const WHOLE: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

/// Breaks one connection.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// One of the constants above.
    line: AtomicU8,
    /// Told whenever nothing is left to be sent.
    sent: Notify,
}

impl Switch {
    /// From now on nothing goes out.
    pub(in crate::sim) fn pull(&self, how: End) {
        let line = match how {
            End::Close => CLOSED,
            End::Reset => RESET,
        };
        self.0.line.store(line, Ordering::SeqCst);
    }

    /// Waits until all that was written has gone out.
    pub(in crate::sim) async fn drained(&self) {
        self.0.sent.notified().await;
    }
}

/// A listener for connections with a switch.
pub(in crate::sim) struct Breakable(pub(in crate::sim) TcpListener);

impl Listener for Breakable {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        // Answers are small and follow each other; nobody waits for more of them.
        let _ = stream.set_nodelay(true);
        let switch = Switch::default();
        (Line { stream, switch }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        stream.io().switch()
    }
}

/// A connection with a switch.
pub(in crate::sim) struct Line {
    stream: TcpStream,
    switch: Switch,
}

impl Line {
    pub(in crate::sim) fn switch(&self) -> Switch {
        self.switch.clone()
    }

    fn check(&self) -> io::Result<()> {
        match self.switch.0.line.load(Ordering::SeqCst) {
            WHOLE => Ok(()),
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.switch.0.line.load(Ordering::SeqCst) == RESET {
            // Dropped like this, the connection ends with RST instead of FIN; else it does so later.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.switch.0.sent.notify_waiters();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
