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
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use url::{Host, Url};

use crate::guard::admit;
use crate::request::{Grade, place};
use crate::resolve::Resolve;
use crate::roots::client_config;
use crate::{Cause, NetError, NetOptions};

/// The shortest time that one of several addresses is given.
const ADDRESS_TIMEOUT_LEAST: Duration = Duration::from_millis(500);

/// A connection that counts what is written to it.
pub(crate) struct Connection {
    io: Io,
    written: Arc<AtomicU64>,
}

enum Io {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Makes connections.
pub(crate) struct Dialer {
    pub(crate) options: Arc<NetOptions>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) encryption: OnceLock<Result<Arc<ClientConfig>, NetError>>,
}

impl Dialer {
    /// A connection to the place of a URL, encrypted if its scheme says so.
    pub(crate) async fn dial(&self, url: &Url, grade: Grade) -> Result<Connection, NetError> {
        let limit_ms = self.options.connect_timeout_ms;
        let connecting = self.connect(url, grade, Duration::from_millis(limit_ms));
        match tokio::time::timeout(Duration::from_millis(limit_ms), connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                let message =
                    format!("{} did not let itself be reached in {limit_ms} ms", place(url));
                Err(NetError::unsent(Cause::TooSlow, message))
            }
        }
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
        let written = Arc::new(AtomicU64::new(0));
        let io = match url.scheme() {
            "https" | "wss" => Io::Encrypted(Box::new(self.encrypt(tcp, url, &name).await?)),
            _ => Io::Plain(tcp),
        };
        Ok(Connection { io, written })
    }

    /// The name of a URL's host and its addresses. An address written as such needs no resolving.
    async fn addresses(&self, url: &Url, port: u16) -> Result<(String, Vec<IpAddr>), NetError> {
        match url.host() {
            Some(Host::Ipv4(address)) => Ok((address.to_string(), vec![address.into()])),
            Some(Host::Ipv6(address)) => Ok((address.to_string(), vec![address.into()])),
            Some(Host::Domain(name)) => {
                let found = self.resolver.resolve(name.to_owned(), port).await;
                let found = found.map_err(|error| {
                    let message = format!("the address of '{name}' was not found: {error}");
                    NetError::unsent(Cause::NoAddress, message)
                })?;
                Ok((name.to_owned(), found))
            }
            // A URL of a scheme that is not special keeps its host as it is written.
            None => Err(NetError::unsent(Cause::BadUrl, "the URL names no host")),
        }
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
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Encrypted(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Encrypted(io) => Pin::new(io).poll_write(context, bytes),
        };
        this.count(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Io::Encrypted(io) => Pin::new(io).poll_write_vectored(context, slices),
        };
        this.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Encrypted(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Encrypted(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Encrypted(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
