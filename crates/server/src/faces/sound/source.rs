//! A sound as it is made: samples while they come, completed from the result.

use bytes::Bytes;
use impasto_domain::{AssetRef, Digest, Digester, Error, MediaKind, Result, SoundFormat, Values};

use super::{Encoder, PCM, Wanted, wav};
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
    /// What was passed on as it came, encoded.
    passed: Option<Passed>,
    rest: Option<Rest>,
    as_it_is: bool,
    view: Option<RunView>,
}

/// What of an encoded sound was passed on as it came.
#[derive(Default)]
struct Passed {
    digester: Digester,
    bytes: usize,
}

impl Passed {
    /// What of the file was not passed on, if it begins with what was.
    fn rest_of(self, file: &Bytes) -> Option<Bytes> {
        let begun = file.get(..self.bytes)?;
        (Digest::of(begun) == self.digester.finish()).then(|| file.slice(self.bytes..))
    }
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
            passed: None,
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
                Some(Piece::Sound { format, bytes }) if self.passes(&format) => {
                    let passed = self.passed.get_or_insert_default();
                    passed.digester.update(&bytes);
                    passed.bytes += bytes.len();
                    return Ok(Some(bytes.into()));
                }
                // What is encoded otherwise is heard as a whole only: it is decoded when it is there.
                Some(Piece::Sound { format, .. }) if !self.takes(&format) => {}
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

    /// Whether pieces of that kind are what is wanted, and nothing else was forwarded.
    fn passes(&self, told: &SoundFormat) -> bool {
        self.encoder.is_none() && self.wanted.is_told_as(told)
    }

    /// Whether pieces of that kind are samples, and nothing else was forwarded.
    fn takes(&self, told: &SoundFormat) -> bool {
        self.passed.is_none() && told.media_type == PCM
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
        if let Some(passed) = self.passed.take() {
            self.as_it_is = true;
            return self.rest_of(passed, &asset).await;
        }
        self.as_it_is = self.encoder.is_none() && self.wanted.is_made_as(&asset);
        if self.as_it_is {
            return Ok(Rest::of_file(self.app.bytes(&self.caller, &asset).await?));
        }
        let asset = self.app.own_copy(&asset).await?;
        let file = self.app.bytes(&self.caller, &asset).await?;
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

impl Rest {
    /// A file as it is, or what is left of it.
    fn of_file(file: Bytes) -> Self {
        let file = Some(file).filter(|file| !file.is_empty());
        Self { samples: Bytes::new(), total: 0, file, ended: true }
    }
}

impl Source {
    /// What was not passed on of an encoded sound. Where the result is another file than what was told
    /// of it, what was told is all there is, if nothing of it was lost.
    async fn rest_of(&self, passed: Passed, asset: &AssetRef) -> Result<Rest> {
        let file = self.app.bytes(&self.caller, asset).await?;
        match passed.rest_of(&file) {
            Some(rest) => Ok(Rest::of_file(rest)),
            None if !self.pieces.is_broken() => Ok(Rest::of_file(Bytes::new())),
            None => Err(Error::unavailable("a piece of the sound was lost on the way")
                .hint("send the request again")),
        }
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
