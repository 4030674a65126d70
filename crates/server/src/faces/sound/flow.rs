//! A sound on its way to a client, in the encoding that was asked for.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use impasto_domain::{Error, Result};
use tokio::sync::mpsc;

use super::source::Source;
use super::{Encoding, Wanted};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::RunView;
use crate::encoders::{SoundCodec, SoundWanted};
use crate::faces::pieces::Pieces;

/// A sound on its way to a client.
pub(crate) struct Flow {
    app: App,
    wanted: Wanted,
    /// Where it comes from, unless it is being encoded.
    source: Option<Source>,
    coding: Option<Coding>,
}

/// A sound that an encoder works on.
struct Coding {
    /// Feeds the encoder, and gives the source back at its end. Never locked: it is there so that a flow
    /// may be seen by several threads.
    feed: Option<Mutex<Feed>>,
    encoded: mpsc::Receiver<Result<Bytes>>,
}

type Feed = BoxFuture<'static, (Source, Result<()>)>;

impl Flow {
    pub(crate) fn new(app: &App, caller: &Caller, pieces: Pieces, wanted: Wanted) -> Self {
        let source = Some(Source::new(app, caller, pieces, wanted));
        Self { app: app.clone(), wanted, source, coding: None }
    }

    /// The run, when it is over.
    pub(crate) fn view(&self) -> Option<&RunView> {
        self.source.as_ref()?.view()
    }

    /// Whether the result is there, so that no waiting is left.
    pub(crate) fn is_made(&self) -> bool {
        self.source.as_ref().is_some_and(Source::is_made)
    }

    /// The next piece, encoded; none at the end. Fails as the run fails.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if let (None, Some(codec)) = (&self.coding, self.wanted.encoding.codec()) {
            let Some(mut source) = self.source.take() else { return Err(gone()) };
            let first = source.next().await;
            match (first, source.format().filter(|_| !source.is_as_it_is())) {
                (Ok(Some(first)), Some(format)) => {
                    self.coding = Some(self.begin(codec, format, source, first)?);
                }
                (first, _) => {
                    self.source = Some(source);
                    return first;
                }
            }
        }
        match &mut self.coding {
            Some(coding) => coding.next(&mut self.source).await,
            None => self.source.as_mut().ok_or_else(gone)?.next().await,
        }
    }

    fn begin(
        &self,
        codec: SoundCodec,
        (sample_rate_hz, channels): (u32, u16),
        mut source: Source,
        first: Bytes,
    ) -> Result<Coding> {
        let bits_per_s = self.wanted.bits_per_s;
        let wanted = SoundWanted { codec, sample_rate_hz, channels, bits_per_s };
        let encoding = self.app.encoders().begin(wanted)?;
        let samples = encoding.samples;
        let feed = async move {
            let mut next = Ok(Some(first));
            loop {
                match next {
                    Ok(Some(piece)) => {
                        if samples.send(piece).await.is_err() {
                            return (source, Err(gone()));
                        }
                    }
                    Ok(None) => return (source, Ok(())),
                    Err(error) => return (source, Err(error)),
                }
                next = source.next().await;
            }
        };
        Ok(Coding { feed: Some(Mutex::new(Box::pin(feed))), encoded: encoding.encoded })
    }

    /// Everything that is left, at once.
    pub(crate) async fn whole(&mut self) -> Result<Bytes> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut whole = [first, second].concat();
        while let Some(next) = self.next().await? {
            whole.extend_from_slice(&next);
        }
        Ok(whole.into())
    }

    /// The sound from this first piece on. A failure in the middle breaks the connection: the client must
    /// not take half of it for all of it.
    pub(crate) fn stream(
        self,
        first: Bytes,
    ) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
        stream::unfold((Some(first), Some(self)), |(first, flow)| async move {
            let mut flow = flow?;
            if let Some(first) = first.filter(|first| !first.is_empty()) {
                return Some((Ok(first), (None, Some(flow))));
            }
            match flow.next().await {
                Ok(next) => Some((Ok(next?), (None, Some(flow)))),
                Err(error) => Some((Err(std::io::Error::other(error.to_string())), (None, None))),
            }
        })
    }
}

impl Coding {
    async fn next(&mut self, source: &mut Option<Source>) -> Result<Option<Bytes>> {
        loop {
            let Some(feed) = &mut self.feed else { return self.encoded.recv().await.transpose() };
            let feed = feed.get_mut().unwrap_or_else(PoisonError::into_inner);
            tokio::select! {
                biased;
                encoded = self.encoded.recv() => return encoded.ok_or_else(gone)?.map(Some),
                (fed, outcome) = feed => {
                    self.feed = None;
                    *source = Some(fed);
                    outcome?;
                }
            }
        }
    }
}

fn gone() -> Error {
    Error::internal("the encoder of the sound ended before the sound did")
}

impl Encoding {
    /// The encoder that it takes, if it takes one.
    pub(super) fn codec(self) -> Option<SoundCodec> {
        match self {
            Self::Mp3 => Some(SoundCodec::Mp3),
            Self::Opus => Some(SoundCodec::Opus),
            Self::Aac => Some(SoundCodec::Aac),
            Self::Flac => Some(SoundCodec::Flac),
            Self::Wav | Self::Pcm | Self::Ulaw | Self::Alaw => None,
        }
    }
}
