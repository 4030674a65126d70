//! Files for tests: a few bytes of each kind, and a door that knows them by their beginning.

use std::path::Path;

use impasto_domain::{
    AssetRef, Digest, Error, MediaFacts, MediaKind, Result, SPLATS_MEDIA_TYPE, Workbench,
};
use impasto_engine::Importer;

/// What files of each kind begin with.
const KINDS: [(MediaKind, &str, &[u8]); 4] = [
    (MediaKind::Image, "image/png", b"\x89PNG\r\n\x1a\n"),
    (MediaKind::Video, "video/mp4", b"\0\0\0\x18ftypisom"),
    (MediaKind::Audio, "audio/wav", b"RIFF\x24\0\0\0WAVE"),
    (MediaKind::Mesh, "model/gltf-binary", b"glTF\x02\0\0\0"),
];
/// How long a file for tests is.
const SAMPLE_BYTES: usize = 1024;

/// The bytes of a file of a kind; `which` makes files differ.
pub fn sample_bytes(kind: MediaKind, which: u8) -> Vec<u8> {
    let known = KINDS.iter().find(|(known, ..)| *known == kind);
    let mut bytes = known.map_or_else(|| b"some bytes".to_vec(), |(_, _, head)| head.to_vec());
    bytes.resize(SAMPLE_BYTES, which);
    bytes
}

/// The asset that such a file is.
pub fn sample_of(kind: MediaKind, which: u8) -> AssetRef {
    let bytes = sample_bytes(kind, which);
    let known = KINDS.iter().find(|(known, ..)| *known == kind);
    let media_type = match (known, kind) {
        (Some((_, media_type, _)), _) => *media_type,
        (None, MediaKind::World) => SPLATS_MEDIA_TYPE,
        (None, _) => "application/octet-stream",
    };
    let facts = MediaFacts {
        bytes: bytes.len() as u64,
        width: Some(1024),
        height: Some(1024),
        ..MediaFacts::default()
    };
    AssetRef { digest: Digest::of(&bytes), media_type: media_type.to_owned(), facts }
}

/// Takes in what begins like a file for tests, and nothing else.
pub struct PlainDoor;

impl Importer for PlainDoor {
    fn import(&self, path: &Path, _bench: &dyn Workbench) -> Result<AssetRef> {
        Err(Error::unavailable(format!("'{}' is not for tests", path.display())))
    }

    fn import_bytes(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        let known = KINDS.iter().find(|(_, _, head)| bytes.starts_with(head));
        let (_, media_type, _) =
            known.ok_or_else(|| Error::invalid(format!("'{name}' is a file of no known kind")))?;
        bench.write(bytes.to_vec(), media_type, MediaFacts::default())
    }
}
