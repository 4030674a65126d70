//! A sound as it is made: forwarded while it comes, completed from the result.

use bytes::Bytes;
use futures_util::{Stream, stream};
use impasto_domain::{AssetRef, Error, MediaKind, Result, Values};

use super::{Encoder, Encoding, Wanted, wav};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, ViewStatus};
use crate::faces::pieces::{Piece, Pieces};

/// Samples are sent in pieces of at most so many bytes when they are all there.
const PIECE_BYTES: usize = 256 << 10;

/// A sound on its way to a client.
pub(crate) struct Flow {
    app: App,
    caller: Caller,
    pieces: Pieces,
    wanted: Wanted,
    encoder: Option<Encoder>,
    /// Bytes of samples that were forwarded before the result was there.
    forwarded: usize,
    rest: Option<Rest>,
    view: Option<RunView>,
}

/// What is left of a result.
struct Rest {
    samples: Bytes,
    total: u64,
    /// The file as it is, if it is what is wanted.
    file: Option<Bytes>,
    ended: bool,
}

impl Flow {
    pub(crate) fn new(app: &App, caller: &Caller, pieces: Pieces, wanted: Wanted) -> Self {
        Self {
            app: app.clone(),
            caller: caller.clone(),
            pieces,
            wanted,
            encoder: None,
            forwarded: 0,
            rest: None,
            view: None,
        }
    }

    /// The run, when it is over.
    pub(crate) fn view(&self) -> Option<&RunView> {
        self.view.as_ref()
    }

    /// Whether the result is there, so that no waiting is left.
    pub(crate) fn is_made(&self) -> bool {
        self.rest.is_some()
    }

    /// The next piece, encoded; none at the end. Fails as the run fails.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.rest.is_none() {
            match self.pieces.next().await? {
                Some(Piece::Sound { format, bytes }) => {
                    let encoder = match &mut self.encoder {
                        Some(encoder) => encoder,
                        none => none.insert(Encoder::new(format, self.wanted)?),
                    };
                    self.forwarded += bytes.len();
                    let encoded = encoder.push(bytes.into(), None);
                    if !encoded.is_empty() {
                        return Ok(Some(encoded));
                    }
                }
                Some(Piece::Picture { .. }) => {}
                None => self.rest = Some(self.result().await?),
            }
        }
        Ok(self.next_of_rest())
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

    fn next_of_rest(&mut self) -> Option<Bytes> {
        let (rest, encoder) = (self.rest.as_mut()?, self.encoder.as_mut()?);
        if let Some(file) = rest.file.take() {
            rest.ended = true;
            return Some(file);
        }
        while !rest.samples.is_empty() {
            let piece = rest.samples.split_to(PIECE_BYTES.min(rest.samples.len()));
            let encoded = encoder.push(piece, Some(rest.total));
            if !encoded.is_empty() {
                return Some(encoded);
            }
        }
        if std::mem::replace(&mut rest.ended, true) {
            return None;
        }
        Some(encoder.finish()).filter(|end| !end.is_empty())
    }

    async fn result(&mut self) -> Result<Rest> {
        let view = succeeded(self.pieces.end().await?)?;
        let asset = sound_of(&view.outputs)?.clone();
        self.view = Some(view);
        let file = self.app.bytes(&self.caller, &asset).await?;
        let (format, range) = wav::read(&file)?;
        let as_it_is = self.encoder.is_none()
            && self.wanted == Wanted::natural(Encoding::Wav)
            && asset.media_type == Encoding::Wav.media_type();
        let samples = file.slice(range);
        let total = samples.len() as u64;
        if self.encoder.is_none() {
            self.encoder = Some(Encoder::new(format, self.wanted)?);
        }
        let samples = samples.slice(self.forwarded.min(samples.len())..);
        Ok(Rest { samples, total, file: as_it_is.then_some(file), ended: false })
    }
}

/// The run if it succeeded; its error if it did not.
pub(crate) fn succeeded(view: RunView) -> Result<RunView> {
    if view.status == ViewStatus::Succeeded {
        return Ok(view);
    }
    Err(view.error.unwrap_or_else(|| match view.status {
        ViewStatus::Cancelled => Error::cancelled(),
        _ => Error::unavailable("the run was interrupted").hint("send the request again"),
    }))
}

/// The sound among the outputs.
pub(crate) fn sound_of(outputs: &Values) -> Result<&AssetRef> {
    let assets = outputs.values().flat_map(impasto_domain::Value::assets);
    let mut sounds = assets.filter(|asset| asset.kind() == MediaKind::Audio);
    sounds.next().ok_or_else(|| Error::internal("the run gave no sound"))
}
