//! Bytes that come from outside, put into a file of ours as they come: a large upload costs no memory.

use std::path::Path;

use impasto_domain::{Digest, Digester, Error, Result};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::problem::Problem;

/// A file that is being filled. It is gone when this is dropped.
pub(crate) struct Spool {
    file: NamedTempFile,
    out: tokio::fs::File,
    digester: Digester,
    bytes: u64,
    bytes_max: u64,
}

/// A file that is whole. It is gone when this is dropped.
pub(crate) struct Spooled {
    file: NamedTempFile,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: std::io::Error) -> Error {
    Error::unavailable(format!("the file cannot be kept while it is looked at: {error}"))
        .hint("free some space")
}

impl Spool {
    /// An empty file whose name ends so.
    pub(crate) fn begin(suffix: &str, bytes_max: u64) -> Result<Self> {
        let file = tempfile::Builder::new()
            .prefix("impasto-upload-")
            .suffix(suffix)
            .tempfile()
            .map_err(failed)?;
        let out = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
        Ok(Self { file, out, digester: Digester::default(), bytes: 0, bytes_max })
    }

    /// Puts the next piece into it.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(Problem::too_large(self.bytes_max));
        }
        self.digester.update(piece);
        Ok(self.out.write_all(piece).await.map_err(failed)?)
    }

    /// It is whole.
    pub(crate) async fn finish(mut self) -> Result<Spooled> {
        self.out.flush().await.map_err(failed)?;
        Ok(Spooled { file: self.file, digest: self.digester.finish(), bytes: self.bytes })
    }
}

impl Spooled {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}
