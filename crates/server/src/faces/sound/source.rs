//! A sound as it is made: samples while they come, completed from the result.

use bytes::Bytes;
use impasto_domain::{AssetRef, Error, MediaKind, Result, Values};

use super::{Encoder, Wanted, wav};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, ViewStatus};
use crate::faces::pieces::{Piece, Pieces};

/// Samples are sent in pieces of at most so many bytes when they are all there.
const PIECE_BYTES: usize = 256 << 10;

/// The samples of a sound, or its file if that is what is wanted.
pub(super) struct Source {
    app: App,
    caller: Caller,
    pieces: Pieces,
    wanted: Wanted,
    encoder: Option<Encoder>,
    /// Bytes of samples that were forwarded before the result was there.
    forwarded: usize,
    rest: Option<Rest>,
    as_it_is: bool,
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

impl Source {
    pub(super) fn new(app: &App, caller: &Caller, pieces: Pieces, wanted: Wanted) -> Self {
        Self {
            app: app.clone(),
            caller: caller.clone(),
            pieces,
            wanted,
            encoder: None,
            forwarded: 0,
            rest: None,
            as_it_is: false,
            view: None,
        }
    }

    /// The run, when it is over.
    pub(super) fn view(&self) -> Option<&RunView> {
        self.view.as_ref()
    }

    /// Whether the result is there, so that no waiting is left.
    pub(super) fn is_made(&self) -> bool {
        self.rest.is_some()
    }

    /// The next piece, encoded; none at the end. Fails as the run fails.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
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

    /// Rate and channels of what comes, as soon as the first of it is there.
    pub(super) fn format(&self) -> Option<(u32, u16)> {
        self.encoder.as_ref().map(|encoder| (encoder.rate_hz(), encoder.channels()))
    }

    /// Whether the file is given as it is, because it is what is wanted.
    pub(super) fn is_as_it_is(&self) -> bool {
        self.as_it_is
    }

    fn next_of_rest(&mut self) -> Option<Bytes> {
        let rest = self.rest.as_mut()?;
        if let Some(file) = rest.file.take() {
            rest.ended = true;
            return Some(file);
        }
        let encoder = self.encoder.as_mut()?;
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
        self.as_it_is = self.encoder.is_none() && self.wanted.is_made_as(&asset);
        if self.as_it_is {
            return Ok(Rest { samples: Bytes::new(), total: 0, file: Some(file), ended: true });
        }
        let (format, range) = wav::read(&file)?;
        let samples = file.slice(range);
        let total = samples.len() as u64;
        if self.encoder.is_none() {
            self.encoder = Some(Encoder::new(format, self.wanted)?);
        }
        let samples = samples.slice(self.forwarded.min(samples.len())..);
        Ok(Rest { samples, total, file: None, ended: false })
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
