//! From a URL to a connection, through the guard.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::guard::admit;
use crate::request::{Grade, is_encrypted, place, written_address};
use crate::resolve::Resolve;
use crate::roots::client_config;
use crate::{Cause, NetError, NetOptions};

/// The shortest time that one of several addresses is given.
const ADDRESS_TIMEOUT_LEAST: Duration = Duration::from_millis(500);

/// A connection that counts what is written to it.
pub(crate) struct Connection {
    io: Pin<Box<dyn Io>>,
    written: Arc<AtomicU64>,
}

/// Plain or encrypted.
trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// Makes connections.
pub(crate) struct Dialer {
    pub(crate) options: Arc<NetOptions>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) encryption: OnceLock<Result<Arc<ClientConfig>, NetError>>,
}

impl Dialer {
    /// A connection to the place of a URL, encrypted if its scheme says so.
    pub(crate) async fn dial(
        &self,
        url: &Url,
        grade: Grade,
        deadline: Instant,
    ) -> Result<Connection, NetError> {
        let limit = Duration::from_millis(self.options.connect_timeout_ms);
        let deadline = deadline.min(Instant::now() + limit);
        let connecting = tokio::time::timeout_at(deadline, self.connect(url, grade, limit));
        connecting.await.unwrap_or_else(|_| {
            let message = format!("{} did not let itself be reached in time", place(url));
            Err(NetError::unsent(Cause::TooSlow, message))
        })
    }

    async fn connect(
        &self,
        url: &Url,
        grade: Grade,
        limit: Duration,
    ) -> Result<Connection, NetError> {
        let port = url.port_or_known_default().unwrap_or(80);
        let (name, found) = self.addresses(url, port).await?;
        let addresses = admit(&self.options, grade, (&name, port), &found)?;
        let tcp = self.reach(&addresses, port, limit).await.map_err(|error| {
            let message = format!("{} cannot be reached: {error}", place(url));
            NetError::unsent(Cause::NoConnection, message)
        })?;
        let _only_slower = tcp.set_nodelay(true);
        let io: Pin<Box<dyn Io>> = match is_encrypted(url) {
            true => Box::pin(self.encrypt(tcp, url, &name).await?),
            false => Box::pin(tcp),
        };
        Ok(Connection { io, written: Arc::default() })
    }

    /// The name of a URL's host and its addresses. An address written as such needs no resolving.
    async fn addresses(&self, url: &Url, port: u16) -> Result<(String, Vec<IpAddr>), NetError> {
        if let Some(address) = written_address(url) {
            return Ok((address.to_string(), vec![address]));
        }
        let name = url.host_str().unwrap_or_default();
        let found = self.resolver.resolve(name.to_owned(), port).await.map_err(|error| {
            let message = format!("the address of '{name}' was not found: {error}");
            NetError::unsent(Cause::NoAddress, message)
        })?;
        Ok((name.to_owned(), found))
    }

    /// The first of the addresses that answers.
    async fn reach(
        &self,
        addresses: &[IpAddr],
        port: u16,
        limit: Duration,
    ) -> std::io::Result<TcpStream> {
        let share = limit / u32::try_from(addresses.len().clamp(1, 4)).unwrap_or(1);
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            match tokio::time::timeout(share.max(ADDRESS_TIMEOUT_LEAST), connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn encrypt(
        &self,
        tcp: TcpStream,
        url: &Url,
        name: &str,
    ) -> Result<TlsStream<TcpStream>, NetError> {
        let failed = |error: &dyn std::fmt::Display| {
            let message =
                format!("{} and this program do not agree on encryption: {error}", place(url));
            NetError::unsent(Cause::Encryption, message)
        };
        let make = || client_config(self.options.roots_file.as_deref());
        let config = self.encryption.get_or_init(make).clone()?;
        let server = ServerName::try_from(name.trim_end_matches('.').to_owned());
        let server = server.map_err(|error| failed(&error))?;
        TlsConnector::from(config).connect(server, tcp).await.map_err(|error| {
            // A connection that breaks says nothing about the certificate.
            match error.kind() {
                std::io::ErrorKind::InvalidData => failed(&error),
                _ => NetError::unsent(
                    Cause::NoConnection,
                    format!("{} broke the connection at once: {error}", place(url)),
                ),
            }
        })
    }
}

impl Connection {
    /// How many bytes have been written, for whoever gives the connection away.
    pub(crate) fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    fn count(&self, written: &Poll<std::io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written.fetch_add(*bytes as u64, Ordering::Release);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = self.io.as_mut().poll_write(context, bytes);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = self.io.as_mut().poll_write_vectored(context, slices);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}
