//! Predictions, files, streams, errors; and a container.

use impasto_domain::{ErrorKind, Value};
use impasto_store::RunStatus;
use impasto_testkit::model_file;
use impasto_workflow::Outcome;

use crate::here::{Here, input, until};
use crate::there::{There, model};
use crate::work;

const PICTURE: (&str, &str) = ("nano-banana-pro", "text-to-image");

async fn there() -> There {
    There::new(vec![
        model(
            "google/nano-banana-pro",
            &["google/nano-banana-pro"],
            &[("there", "text-to-image", "show"), ("there", "edit-image", "show")],
        ),
        model("kokoro/kokoro-82m", &["jaaari/kokoro-82m"], &[("there", "text-to-speech", "say")]),
        model("test/film", &[], &[("studio", "text-to-video", "scene-clip")]),
    ])
    .await
}

const FILM: &str = r#"[[offers]]
provider = "replicate"
task = "text-to-video"
endpoint = "test/film"
price = "free"
[offers.input]
prompt = "/input/prompt"
duration = "/input/duration"
[offers.output]
video = ["/output/*", "/output"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn predictions_come_home() {
    let there = there().await;
    let files = vec![model_file("film", FILM)];
    let here = Here::with(&there, ("replicate", "/replicate"), files);
    let told = here.run(PICTURE, input([("prompt", "a mug".into())]), false).await;
    assert_eq!(here.bytes(told.assets()[0]), work::picture("a mug", 0, 0));
    assert_eq!(told.handles().len(), 1);
    assert!(!told.handles()[0].contains("http"), "{:?}", told.handles());
    let told =
        here.run(("kokoro-82m", "text-to-speech"), input([("text", "Hello.".into())]), false);
    assert_eq!(here.bytes(told.await.assets()[0]), work::wav(&work::samples()));
    let asked = input([("prompt", "a red cube".into()), ("duration", 1.into())]);
    let told = here.run(("film", "text-to-video"), asked, false).await;
    assert_eq!(told.assets()[0].media_type, "video/mp4");
    assert_eq!(there.runs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_goes_there_as_a_file_and_once() {
    let there = there().await;
    let here = Here::new(&there, "replicate", "/replicate");
    let picture = here.file(&work::picture("given", 3, 0), "image/png");
    for words in ["more blue", "less blue"] {
        let asked = input([
            ("prompt", words.into()),
            ("images", vec![Value::from(picture.clone())].into()),
        ]);
        let told = here.run(("nano-banana-pro", "edit-image"), asked, false).await;
        assert_eq!(here.bytes(told.assets()[0]), work::picture(words, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_hears_the_log_once() {
    let there = there().await;
    let here = Here::new(&there, "replicate", "/replicate");
    let told = here.check_log_is_heard_once(PICTURE, "replicate-log").await;
    assert_eq!(told.assets().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_here_is_given_up_there() {
    let there = there().await;
    let here = Here::new(&there, "replicate", "/replicate");
    for news in [false, true] {
        let gate = format!("replicate-cancel-{news}");
        let asked = input([("prompt", format!("gate {gate}").into())]);
        let handle = here.begin(PICTURE, asked, news).await;
        until(|| work::is_reached(&gate)).await;
        here.cancel(handle.id.clone()).await;
        assert_eq!(here.end(handle).await.outcome, Outcome::Cancelled);
        assert_eq!(there.runs().await[0].status, RunStatus::Cancelled, "{news}");
    }
    assert_eq!(there.runs().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_they_were_meant() {
    let there = there().await;
    let here = Here::new(&there, "replicate", "/replicate");
    for kind in [ErrorKind::ProviderFailed, ErrorKind::Timeout] {
        let asked = input([("prompt", format!("fail {kind}").into())]);
        let told = here.run(PICTURE, asked, false).await;
        told.check_failed(ErrorKind::ProviderFailed);
        assert!(
            told.error().message.contains(&format!("it ended with {kind}")),
            "{}",
            told.error()
        );
        assert!(told.cost.is_zero(), "{}", told.cost);
    }
    assert_eq!(there.runs().await.len(), 2);
}
