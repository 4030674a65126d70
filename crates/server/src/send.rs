//! Files as answers: whole or in part, read piece by piece.
//!
//! Invariant: a client that takes its time holds a reader, not a thread.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use impasto_domain::{AssetRef, Error, Result};
use impasto_store::BlobReader;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// The part of a file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes(Range<u64>),
    Nothing,
}

/// What `Range` asks for of a file of that size. More than one part at once is answered with the whole.
fn part_of(header: Option<&str>, size: u64) -> Part {
    let asked = header.and_then(|header| header.strip_prefix("bytes="));
    let Some((first, last)) = asked.and_then(|asked| asked.split_once('-')) else {
        return Part::Whole;
    };
    if last.contains(',') {
        return Part::Whole;
    }
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Nothing } else { Part::Bytes(range) }
}

impl App {
    /// A file as an answer to a request with these headers; a described video is rendered.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        asset: &AssetRef,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
        let asset = self.whole(caller, asset).await?;
        let tag = format!("\"{}\"", asset.digest);
        let is_same =
            |tags: &str| tags.split(',').any(|one| one.trim() == tag || one.trim() == "*");
        if text(header::IF_NONE_MATCH).is_some_and(is_same) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            put_kept(response.headers_mut(), &tag);
            return Ok(response);
        }
        let blobs = Arc::clone(self.blobs());
        let opening = tokio::task::spawn_blocking(move || {
            Ok::<_, Error>((blobs.size(&asset.digest)?, blobs.open(&asset.digest)?, asset))
        });
        let opened = opening.await.map_err(|_| Error::internal("opening a file panicked"))?;
        let (size, reader, asset) = opened?;
        let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(is_same));
        let (status, range) = match part_of(range, size) {
            Part::Whole => (StatusCode::OK, 0..size),
            Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
            Part::Nothing => {
                let mut response = Problem::range_not_satisfiable(size).into_response();
                put(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
                return Ok(response);
            }
        };
        let length = range.end - range.start;
        let mut response =
            (status, Body::from_stream(pieces(reader, range.clone()))).into_response();
        let headers = response.headers_mut();
        put(headers, header::CONTENT_TYPE, &asset.media_type);
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        put_kept(headers, &tag);
        if status == StatusCode::PARTIAL_CONTENT {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            put(headers, header::CONTENT_RANGE, &shown);
        }
        Ok(response)
    }
}

/// The bytes under a digest never change.
fn put_kept(headers: &mut HeaderMap, tag: &str) {
    put(headers, header::ETAG, tag);
    let for_ever = HeaderValue::from_static("private, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, for_ever);
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

struct Reading {
    reader: Box<dyn BlobReader>,
    range: Range<u64>,
    begun: bool,
}

impl Reading {
    fn read(&mut self) -> std::io::Result<Bytes> {
        if !self.begun {
            self.reader.seek(SeekFrom::Start(self.range.start))?;
            self.begun = true;
        }
        let left = self.range.end - self.range.start;
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        self.reader.read_exact(&mut piece)?;
        self.range.start += piece.len() as u64;
        Ok(piece.into())
    }
}

/// The bytes of a range, piece by piece.
fn pieces(
    reader: Box<dyn BlobReader>,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    let reading = Some(Reading { reader, range, begun: false });
    stream::unfold(reading, |reading| async move {
        let mut reading = reading.filter(|reading| !reading.range.is_empty())?;
        let read = tokio::task::spawn_blocking(move || (reading.read(), reading)).await;
        match read {
            Ok((Ok(piece), reading)) => Some((Ok(piece), Some(reading))),
            Ok((Err(error), _)) => Some((Err(error), None)),
            Err(_) => Some((Err(std::io::Error::other("reading a file panicked")), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: Part) {
        assert_eq!(part_of(Some(header), 10), expected, "{header}");
    }

    #[test]
    fn a_range_is_read_as_the_specification_has_it() {
        check("bytes=0-3", Part::Bytes(0..4));
        check("bytes=4-", Part::Bytes(4..10));
        check("bytes=-3", Part::Bytes(7..10));
        check("bytes=-99", Part::Bytes(0..10));
        check("bytes=8-99", Part::Bytes(8..10));
        check("bytes=10-", Part::Nothing);
        check("bytes=-0", Part::Nothing);
        check("bytes=3-1", Part::Whole);
        check("bytes=0-1,4-5", Part::Whole);
        check("lines=0-1", Part::Whole);
        check("bytes=a-b", Part::Whole);
        assert_eq!(part_of(None, 10), Part::Whole);
    }
}
