//! The listener: connections, plain and encrypted on one port, with limits and a graceful end.
//!
//! Invariants
//! - No connection waits for ever: headers, handshakes, bodies and writes each have a time.
//! - After the end was asked for, no connection is accepted, and those that are open get a while.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use impasto_domain::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use crate::ServerOptions;
use crate::delivery::Watch;
use crate::files::Encrypted;
use crate::front::Front;

/// What begins an encrypted connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// What begins an unencrypted connection of the second version of the protocol.
const SECOND_VERSION: &[u8; 3] = b"PRI";
/// Bytes with which a client of that version greets. Nothing else has a time until they are there.
const HELLO_BYTES: usize = 24;
/// How long a client may take no bytes of an answer.
const WRITE_IDLE: Duration = Duration::from_secs(60);
/// How long to wait when the machine has no more room for connections.
const NO_ROOM: Duration = Duration::from_millis(50);

/// Takes the address; the port that was chosen is known from here on.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::unavailable(format!("cannot listen on {address}: {error}"))
            .hint("another program may have that port; name another with --listen")
    })
}

/// Serves connections until `stop` says so. What is open then goes on: [`close`] waits for it.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    front: Front,
    mut stop: watch::Receiver<bool>,
) -> Arc<Semaphore> {
    let options = front.options().clone();
    let places = Arc::new(Semaphore::new(options.connections_max));
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            accepted = async { Some((place.await.ok()?, listener.accept().await)) } => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        let Some((place, accepted)) = accepted else { break };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(NO_ROOM).await;
            continue;
        };
        let connection = Connection {
            tls: tls.clone(),
            front: front.clone(),
            stop: stop.clone(),
            header_timeout: Duration::from_millis(options.header_timeout_ms),
        };
        tokio::spawn(async move {
            // A client that goes away, or says something else than HTTP, is no error of ours.
            let _ended = connection.serve(stream).await;
            drop(place);
        });
    }
    places
}

/// Waits until all connections have ended, and at most so long.
pub(crate) async fn close(places: &Semaphore, options: &ServerOptions) {
    let all = u32::try_from(options.connections_max).unwrap_or(u32::MAX);
    let _left =
        tokio::time::timeout(Duration::from_millis(options.close_ms), places.acquire_many(all))
            .await;
}

struct Connection {
    tls: Option<TlsAcceptor>,
    front: Front,
    stop: watch::Receiver<bool>,
    header_timeout: Duration,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Connection {
    async fn serve(self, stream: TcpStream) -> Result<(), Failed> {
        stream.set_nodelay(true)?;
        let first = tokio::time::timeout(self.header_timeout, peek(&stream)).await??;
        if first.first() == Some(&TLS_HANDSHAKE) {
            let Some(tls) = &self.tls else { return Ok(()) };
            let stream = tokio::time::timeout(self.header_timeout, tls.accept(stream)).await??;
            let second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            return self.speak(stream, second, true).await;
        }
        let second = first == SECOND_VERSION;
        self.speak(stream, second, false).await
    }

    async fn speak<S>(mut self, stream: S, second: bool, encrypted: bool) -> Result<(), Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let front = self.front.clone();
        // It ends with the connection, and so those who wait for that hear of it.
        let watch = Arc::new(Watch::new());
        let seen = Arc::clone(&watch);
        let service = service_fn(move |request: Request<Incoming>| {
            let front = front.clone();
            seen.asked();
            let line = seen.line();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Encrypted(encrypted));
                request.extensions_mut().insert(line);
                Ok::<_, Infallible>(front.answer(request).await)
            }
        });
        let hello = if second { HELLO_BYTES } else { 0 };
        let stream = TokioIo::new(Patient::new(stream, watch, (hello, self.header_timeout)));
        if second {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(self.header_timeout)
                .max_concurrent_streams(256)
                .max_header_list_size(64 << 10);
            let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                _ = self.stop.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
            }
            return Ok(connection.await?);
        }
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(256 << 10);
        let connection = builder.serve_connection(stream, service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            _ = self.stop.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

/// The first bytes of a connection: enough to tell what is spoken.
async fn peek(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = [0; SECOND_VERSION.len()];
    let mut seen = 0;
    loop {
        let now = stream.peek(&mut bytes).await?;
        let known = bytes.get(..now).unwrap_or_default();
        if now == 0 || now == bytes.len() || !SECOND_VERSION.starts_with(known) {
            return Ok(known.to_owned());
        }
        if now == seen {
            // Peeking again answers at once with what is there already.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        seen = now;
    }
}

/// A stream whose other side may not leave an answer lying for ever, nor greet for ever.
struct Patient<S> {
    stream: S,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes of the greeting that are missing, and until when they have to be there.
    hello: Option<(usize, Pin<Box<Sleep>>)>,
    /// Where it is told that the connection was reset.
    seen: Arc<Watch>,
}

impl<S> Patient<S> {
    fn new(stream: S, seen: Arc<Watch>, (hello, hello_timeout): (usize, Duration)) -> Self {
        let timed = || Box::pin(tokio::time::sleep(hello_timeout));
        Self { stream, deadline: None, hello: (hello > 0).then(|| (hello, timed())), seen }
    }

    /// Tells it if the connection was reset.
    fn tell<T>(&self, polled: &Poll<io::Result<T>>) {
        let Poll::Ready(Err(error)) = polled else { return };
        let ends = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::TimedOut,
        ];
        if ends.contains(&error.kind()) {
            self.seen.reset();
        }
    }

    /// Ends the time of the greeting when it is there, and the stream when it does not come.
    fn greet(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<()>>,
        count: usize,
    ) -> Poll<io::Result<()>> {
        let Some((missing, deadline)) = &mut self.hello else { return polled };
        *missing = missing.saturating_sub(count);
        if *missing == 0 {
            self.hello = None;
        } else if polled.is_pending() && deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }

    /// Arms the deadline while nothing can be written, and takes it away when something could be.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.tell(&wrote);
        if wrote.is_ready() {
            self.deadline = None;
            return wrote;
        }
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_IDLE)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => {
                self.seen.reset();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.tell(&polled);
        let count = buffer.filled().len().saturating_sub(before);
        self.greet(context, polled, count)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, shut)
    }
}
