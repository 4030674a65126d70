//! The queue with its logs, cancelling, uploads, streams and errors.

use std::time::Duration;

use impasto_domain::{ErrorKind, Value};
use impasto_store::RunStatus;
use impasto_workflow::Outcome;

use crate::here::{Here, input};
use crate::there::{There, model};
use crate::work;

const PATHS: &str = "/fal/queue run=/fal/run rest=/fal/rest";

async fn there() -> There {
    There::new(vec![
        model(
            "google/nano-banana-2",
            &["fal-ai/nano-banana-2", "fal-ai/nano-banana-2/edit"],
            &[("there", "text-to-image", "show"), ("there", "edit-image", "show")],
        ),
        model(
            "elevenlabs/eleven-v3",
            &["fal-ai/elevenlabs/tts/eleven-v3"],
            &[("there", "text-to-speech", "say")],
        ),
    ])
    .await
}

const PICTURE: (&str, &str) = ("nano-banana-2", "text-to-image");

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_home_by_the_queue() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    let told = here.run(PICTURE, input([("prompt", "a mug".into())]), false).await;
    let assets = told.assets();
    assert_eq!(here.bytes(assets[0]), work::picture("a mug", 0, 0));
    assert_eq!(told.handles().len(), 1, "{:?}", told.events);
    assert!(!told.handles()[0].contains("http"), "{:?}", told.handles());
    assert_eq!(there.runs().await.len(), 1);
}
