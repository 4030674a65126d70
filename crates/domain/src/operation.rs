//! Operations: work that is done inside this process, on a workbench that is lent to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{AssetRef, Digest, Error, MediaFacts, Result, Values};

/// What an operation may use of the outside world: assets, progress, and the wish to stop.
///
/// Operations are plain blocking functions; whoever runs them gives them a thread.
pub trait Workbench: Send + Sync {
    /// The bytes of an asset that was made or checked by Impasto.
    fn read(&self, asset: &AssetRef) -> Result<Arc<[u8]>>;

    /// Keeps `bytes` as an asset. `facts.bytes` is filled in here.
    fn write(&self, bytes: Vec<u8>, media_type: &str, facts: MediaFacts) -> Result<AssetRef>;

    /// Tells how far it is, from 0 to 1, with a word about what is being done.
    fn progress(&self, fraction: f64, note: &str);

    /// Tells whoever listens now what there is of the result so far. It is live only: it may be lost,
    /// and never replaces the output.
    fn tell(&self, news: News) {
        let _nobody_listens = news;
    }

    /// Whether somebody listens to news, so that making them is worth while.
    fn wants_news(&self) -> bool {
        false
    }

    /// An address at which others can fetch an asset for a while; nothing where nobody reaches us.
    fn address(&self, asset: &AssetRef) -> Option<String> {
        let _nobody_reaches_us = asset;
        None
    }

    /// Whether somebody asked for it to stop. Ask at least every tenth of a second of work.
    fn cancelled(&self) -> bool;

    /// Fails with `cancelled` if somebody asked for it to stop.
    fn check_cancelled(&self) -> Result<()> {
        if self.cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }
}

/// Something of a result before it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A line of a log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The line.
        message: String,
    },
    /// A picture as far as it is.
    Picture {
        /// The output that it will be.
        name: String,
        /// Which of the previews, from 0; a later one shows more.
        index: u32,
        /// The encoded picture.
        bytes: Vec<u8>,
        /// How it is encoded, such as `image/png`.
        media_type: String,
    },
    /// The next piece of a sound.
    Sound {
        /// The output that it will be.
        name: String,
        /// How the bytes of all pieces are to be read.
        format: SoundFormat,
        /// The piece.
        bytes: Vec<u8>,
    },
}

/// How the pieces of a sound are to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundFormat {
    /// The encoding: `audio/pcm` is signed 16-bit little-endian, channels interleaved; anything else is
    /// frames of a file of that type.
    pub media_type: String,
    /// Samples a second of each channel; 0 where only the frames tell.
    pub sample_rate_hz: u32,
    /// Channels; 0 where only the frames tell.
    pub channels: u16,
}

/// A named piece of work that runs inside this process.
#[derive(Clone, Copy)]
pub struct Operation {
    /// The endpoint under which an offer in the catalogue names it.
    pub name: &'static str,
    /// The work. Its input has been checked against the task's schema, defaults filled in.
    pub run: fn(&Values, &dyn Workbench) -> Result<Values>,
}

/// A workbench in memory, for tests and for small programs.
#[derive(Default)]
pub struct Bench {
    blobs: Mutex<HashMap<Digest, Arc<[u8]>>>,
}

impl Workbench for Bench {
    fn read(&self, asset: &AssetRef) -> Result<Arc<[u8]>> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let missing =
            || Error::not_found(format!("asset {} is not on the bench", asset.digest.short()));
        blobs.get(&asset.digest).cloned().ok_or_else(missing)
    }

    fn write(&self, bytes: Vec<u8>, media_type: &str, facts: MediaFacts) -> Result<AssetRef> {
        let digest = Digest::of(&bytes);
        let facts = MediaFacts { bytes: bytes.len() as u64, ..facts };
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.insert(digest, bytes.into());
        Ok(AssetRef { digest, media_type: media_type.to_owned(), facts })
    }

    fn progress(&self, _fraction: f64, _note: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}
