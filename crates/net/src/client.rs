//! The client: one exchange after the other, each through the guard.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, LOCATION, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderValue, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::dial::Dialer;
use crate::guard::admit;
use crate::pool::{Key, Line, Pool};
use crate::request::{Grade, check, is_encrypted, place, written_address};
use crate::resolve::{Resolve, SystemResolver};
use crate::response::{Lease, Response};
use crate::{Body, Cause, NetError, NetOptions, Request, Stage};

/// The smallest buffer that the protocol's reader works with.
const BUFFER_BYTES_LEAST: usize = 8 << 10;

/// Sends requests. A clone shares the connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: Arc<NetOptions>,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client of this machine.
    ///
    /// # Errors
    /// The name by which the client calls itself cannot be sent.
    pub fn new(options: NetOptions) -> Result<Self, NetError> {
        Self::with_resolver(options, Arc::new(SystemResolver))
    }

    /// A client that finds addresses in another way.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_resolver(
        options: NetOptions,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, NetError> {
        user_agent(&options)?;
        Ok(Self::put_together(options, resolver, OnceLock::new()))
    }

    /// A client with its own terms of encryption, for tests and for private authorities.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_encryption(
        options: NetOptions,
        resolver: Arc<dyn Resolve>,
        encryption: Arc<ClientConfig>,
    ) -> Result<Self, NetError> {
        user_agent(&options)?;
        Ok(Self::put_together(options, resolver, OnceLock::from(Ok(encryption))))
    }

    fn put_together(
        options: NetOptions,
        resolver: Arc<dyn Resolve>,
        encryption: OnceLock<Result<Arc<ClientConfig>, NetError>>,
    ) -> Self {
        let options = Arc::new(options);
        let dialer = Dialer { options: Arc::clone(&options), resolver, encryption };
        let pool = Pool::new(Arc::clone(&options));
        Self { inner: Arc::new(Inner { options, dialer, pool }) }
    }

    /// The options that it was made with.
    pub fn options(&self) -> &NetOptions {
        &self.inner.options
    }

    /// Refuses a request that cannot be sent for the address that is written in its URL. What a name
    /// leads to is known only when it is dialled.
    ///
    /// # Errors
    /// The address is one that a request of this grade may not reach.
    pub fn check(&self, request: &Request) -> Result<(), NetError> {
        let Some(address) = written_address(&request.url) else { return Ok(()) };
        let port = request.url.port_or_known_default().unwrap_or(80);
        let place = (&*address.to_string(), port);
        admit(&self.inner.options, request.grade, place, &[address]).map(drop)
    }

    /// Sends a request and waits for the head of the answer. Redirects are followed for requests
    /// that only read; for others they are the answer.
    ///
    /// # Errors
    /// No answer; [`NetError::stage`] says what the other side may know, which is the last one where
    /// there were redirects. An answer is not an error, whatever its status.
    pub async fn send(&self, request: Request) -> Result<Response, NetError> {
        let limits = request.limits.unwrap_or(self.inner.options.limits);
        let deadline = Instant::now() + Duration::from_millis(limits.total_ms);
        let mut request = request;
        let mut redirects = 0;
        loop {
            let follow = request.is_safe().then(|| request.redirected(request.url.clone()));
            let (url, grade) = (request.url.clone(), request.grade);
            let (answer, lease) = self.exchange(request, deadline).await?;
            let target = answer.headers().get(LOCATION).filter(|_| is_redirect(answer.status()));
            let Some((follow, target)) = follow.zip(target) else {
                return Response::new(answer, (url, grade), lease, (limits, deadline));
            };
            let refused = |why: String| {
                let stage = Stage::Answered(answer.status().as_u16());
                NetError::new(stage, Cause::Redirects, format!("{} redirects {why}", place(&url)))
            };
            let most = self.inner.options.redirects_max;
            redirects += 1;
            if redirects > most {
                return Err(refused(format!("again, and {most} in a row are the most")));
            }
            let target = target_of(&url, target)
                .map_err(|why| refused(format!("to where this program does not follow: {why}")))?;
            request = follow.redirected(target);
        }
    }

    /// Sends a request, on a connection that is there already if it can, otherwise on a new one.
    async fn exchange(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<(http::Response<Incoming>, Lease), NetError> {
        let (url, grade) = (request.url.clone(), request.grade);
        let options = &self.inner.options;
        let idle_at_most = Duration::from_millis(if request.is_safe() {
            options.idle_connection_ms
        } else {
            options.idle_connection_for_post_ms
        });
        let key = Key::of(&url, grade);
        let mut message = self.message(request)?;
        while let Some(line) = self.inner.pool.take(&key, idle_at_most).await {
            match send_on(line, message, &url, deadline).await {
                Ok((answer, line)) => return Ok((answer, self.lease(key, line))),
                // It had been closed from the other side, and nothing was written to it.
                Err(Failed { unsent: Some(back), .. }) => message = back,
                Err(Failed { error, .. }) => return Err(error),
            }
        }
        let line = self.open(&url, grade, deadline).await?;
        match send_on(line, message, &url, deadline).await {
            Ok((answer, line)) => Ok((answer, self.lease(key, line))),
            Err(Failed { error, .. }) => Err(error),
        }
    }

    fn lease(&self, key: Key, line: Line) -> Lease {
        Lease { client: self.clone(), key, line }
    }

    async fn open(&self, url: &Url, grade: Grade, deadline: Instant) -> Result<Line, NetError> {
        let connection = self.inner.dialer.dial(url, grade, deadline).await?;
        let written = connection.written();
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(self.inner.options.head_bytes_max.max(BUFFER_BYTES_LEAST))
            .handshake(TokioIo::new(connection))
            .await
            .map_err(|error| {
                let message = format!("{}: {error}", place(url));
                NetError::unsent(Cause::NoConnection, message)
            })?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer on it is told; nobody else wants to know.
            let _ended = driver.await;
        });
        Ok(Line::new(sender, written, driver))
    }

    fn message(&self, request: Request) -> Result<http::Request<Body>, NetError> {
        let bad = |why: String| NetError::unsent(Cause::BadUrl, why);
        let path = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let uri = Uri::try_from(path).map_err(|error| bad(error.to_string()))?;
        let host = HeaderValue::try_from(place(&request.url));
        // The protocol's library tells no length of a body that is empty, and some refuse that.
        let tells_nothing = !request.is_safe() && request.body.is_end_stream();
        let mut message = http::Request::new(request.body);
        *message.method_mut() = request.method;
        *message.uri_mut() = uri;
        *message.headers_mut() = request.headers;
        let headers = message.headers_mut();
        headers.insert(HOST, host.map_err(|error| bad(error.to_string()))?);
        headers.entry(USER_AGENT).or_insert(user_agent(&self.inner.options)?);
        for framing in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
            headers.remove(framing);
        }
        if tells_nothing {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(message)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads: neither to another protocol nor from an encrypted one to a plain one.
fn target_of(from: &Url, target: &HeaderValue) -> Result<Url, String> {
    let target = target.to_str().map_err(|error| error.to_string())?;
    let url = from.join(target).map_err(|error| error.to_string())?;
    check(&url).map_err(|error| error.to_string())?;
    match (is_encrypted(from), is_encrypted(&url)) {
        (true, false) => Err(format!("{} is not encrypted", place(&url))),
        _ => Ok(url),
    }
}

fn user_agent(options: &NetOptions) -> Result<HeaderValue, NetError> {
    HeaderValue::try_from(options.user_agent.as_str()).map_err(|_| {
        NetError::unsent(Cause::BadUrl, "`user_agent` holds what a header may not hold")
    })
}

/// A request that got no answer on one connection.
struct Failed {
    error: NetError,
    /// The request, if nothing of it was sent.
    unsent: Option<http::Request<Body>>,
}

/// Sends a request on a connection and waits for the head of the answer.
async fn send_on(
    mut line: Line,
    message: http::Request<Body>,
    url: &Url,
    deadline: Instant,
) -> Result<(http::Response<Incoming>, Line), Failed> {
    // What is said of a failure is said of a closed connection: otherwise the request might be sent
    // just after it was called unsent.
    let before = line.written();
    let answer = tokio::time::timeout_at(deadline, line.sender.try_send_request(message)).await;
    let stage = |line: &Line| match line.written() == before {
        true => Stage::NotSent,
        false => Stage::Unanswered,
    };
    match answer {
        Ok(Ok(answer)) => Ok((answer, line)),
        Ok(Err(mut error)) => {
            line.close().await;
            let unsent = error.take_message();
            let stage = if unsent.is_some() { Stage::NotSent } else { stage(&line) };
            let error = error.into_error();
            let cause = if error.is_parse() { Cause::Garbled } else { Cause::Broken };
            let what = match cause {
                Cause::Garbled => "answered in no way that can be read",
                _ => "broke the connection before it answered",
            };
            let error = NetError::new(stage, cause, format!("{} {what}: {error}", place(url)));
            Err(Failed { error, unsent })
        }
        Err(_) => {
            line.close().await;
            let message = format!("{} did not answer in time", place(url));
            let error = NetError::new(stage(&line), Cause::TooSlow, message);
            Err(Failed { error, unsent: None })
        }
    }
}
