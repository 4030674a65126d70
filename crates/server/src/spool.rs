//! Bytes that come from outside, put into a file of ours as they come: a large upload costs no memory.

use std::io::{Read, copy};
use std::path::Path;
use std::sync::Arc;

use impasto_domain::{Digest, Digester, Error, Result};
use impasto_store::{BlobStore, BlobStoreExt};
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

fn empty(suffix: &str) -> Result<NamedTempFile> {
    let builder = tempfile::Builder::new().prefix("impasto-upload-").suffix(suffix).tempfile();
    builder.map_err(failed)
}

/// Parts that were kept, as one file.
pub(crate) async fn joined(
    pieces: Arc<dyn BlobStore>,
    parts: Vec<Digest>,
    suffix: String,
) -> Result<Spooled> {
    let joining = tokio::task::spawn_blocking(move || {
        let mut file = empty(&suffix)?;
        let (mut digester, mut bytes) = (Digester::default(), 0);
        for part in parts {
            let mut reader = Digesting { reader: pieces.open(&part)?, digester: &mut digester };
            bytes += copy(&mut reader, &mut file).map_err(failed)?;
        }
        Ok(Spooled { file, digest: digester.finish(), bytes })
    });
    joining.await.map_err(|_| Error::internal("joining parts panicked"))?
}

/// Finds the digest of what is read.
struct Digesting<'a, R> {
    reader: R,
    digester: &'a mut Digester,
}

impl<R: Read> Read for Digesting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.digester.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl Spool {
    /// An empty file whose name ends so.
    pub(crate) fn begin(suffix: &str, bytes_max: u64) -> Result<Self> {
        let file = empty(suffix)?;
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

    /// Keeps it in that store. Answers its digest and how many bytes it has.
    pub(crate) async fn keep(self, store: &Arc<dyn BlobStore>) -> Result<(Digest, u64)> {
        let (bytes, store) = (self.bytes, Arc::clone(store));
        let keeping = tokio::task::spawn_blocking(move || store.put_file(self.path()));
        let digest = keeping.await.map_err(|_| Error::internal("keeping a part panicked"))??;
        Ok((digest, bytes))
    }
}
