//! The queue with its logs, cancelling, uploads, streams and errors.

use impasto_domain::{ErrorKind, News, Value};
use impasto_store::RunStatus;
use impasto_testkit::model_file;
use impasto_workflow::Outcome;

use crate::here::{Here, input, until};
use crate::there::{There, model};
use crate::work;

const PATHS: &str = "/fal/queue run=/fal/run rest=/fal/rest";
const PICTURE: (&str, &str) = ("nano-banana-2", "text-to-image");

async fn there() -> There {
    There::new(vec![
        model(
            "google/nano-banana-2",
            &[
                "fal-ai/nano-banana-2",
                "fal-ai/nano-banana-2/edit",
                "fal-ai/gemini-3.1-flash-image-preview",
                "fal-ai/gemini-3.1-flash-image-preview/edit",
            ],
            &[("there", "text-to-image", "show"), ("there", "edit-image", "show")],
        ),
        model(
            "elevenlabs/elevenlabs-turbo-v2.5",
            &["fal-ai/elevenlabs/tts/turbo-v2.5"],
            &[("there", "text-to-speech", "say")],
        ),
        model("test/film", &[], &[("studio", "text-to-video", "scene-clip")]),
        model(
            "elevenlabs/scribe-v2",
            &["fal-ai/elevenlabs/speech-to-text/scribe-v2"],
            &[("there", "transcribe-audio", "hear")],
        ),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_home_by_the_queue() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    let asked = input([("prompt", "a mug".into()), ("num_images", 2.into())]);
    let told = here.run(PICTURE, asked, false).await;
    let found: Vec<Vec<u8>> = told.assets().into_iter().map(|asset| here.bytes(asset)).collect();
    assert_eq!(found, [work::picture("a mug", 0, 0), work::picture("a mug", 1, 0)]);
    // What is kept of the job leads nowhere by itself.
    assert_eq!(told.handles().len(), 1, "{:?}", told.events);
    assert!(!told.handles()[0].contains("http"), "{:?}", told.handles());
    assert_eq!(there.runs().await.len(), 1);
    assert_eq!(told.status, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_hears_the_log_once_and_how_far_it_is() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    let told = here.check_log_is_heard_once(PICTURE, "fal-log").await;
    assert_eq!(told.assets().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_goes_there_before_it_is_changed() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    let picture = here.file(&work::picture("given", 3, 0), "image/png");
    let asked = || {
        input([
            ("prompt", "more blue".into()),
            ("images", vec![Value::from(picture.clone())].into()),
        ])
    };
    for _ in 0..2 {
        let told = here.run(("nano-banana-2", "edit-image"), asked(), false).await;
        assert_eq!(here.bytes(told.assets()[0]), work::picture("more blue", 0, 1));
    }
    assert_eq!(there.runs().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_films_and_words_come_home() {
    let there = there().await;
    let files = vec![model_file("film", FILM)];
    let here = Here::with(&there, ("fal", PATHS), files);
    let told = here.run(
        ("elevenlabs-turbo-v2.5", "text-to-speech"),
        input([("text", "Hello.".into())]),
        false,
    );
    let told = told.await;
    let sound = told.assets()[0].clone();
    assert_eq!(here.bytes(&sound), work::wav(&work::samples()));
    let asked = input([("prompt", "a red cube".into()), ("duration", 1.into())]);
    let told = here.run(("film", "text-to-video"), asked, false).await;
    assert_eq!(told.assets()[0].media_type, "video/mp4");
    let asked = input([("audio", sound.into())]);
    let told = here.run(("scribe-v2", "transcribe-audio"), asked, false).await;
    let text = told.output()["text"].as_text().unwrap();
    assert_eq!(text, format!("{} bytes were heard.", work::wav(&work::samples()).len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_here_is_given_up_there() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    for news in [false, true] {
        let gate = format!("fal-cancel-{news}");
        let asked = input([("prompt", format!("gate {gate}").into())]);
        let handle = here.begin(PICTURE, asked, news).await;
        until(|| work::is_reached(&gate)).await;
        here.cancel(handle.id.clone()).await;
        let told = here.end(handle).await;
        assert_eq!(told.outcome, Outcome::Cancelled);
        let there = there.runs().await;
        assert_eq!(there[0].status, RunStatus::Cancelled, "{news}");
    }
    assert_eq!(there.runs().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_they_were_meant() {
    let there = there().await;
    let here = Here::new(&there, "fal", PATHS);
    for (kind, expected) in [
        (ErrorKind::Refused, ErrorKind::Refused),
        (ErrorKind::InvalidInput, ErrorKind::InvalidInput),
        (ErrorKind::ProviderFailed, ErrorKind::ProviderFailed),
    ] {
        let asked = input([("prompt", format!("fail {kind}").into())]);
        let told = here.run(PICTURE, asked, false).await;
        told.check_failed(expected);
        assert!(
            told.error().message.contains(&format!("it ended with {kind}")),
            "{}",
            told.error()
        );
        assert!(told.cost.is_zero(), "{}", told.cost);
    }
}

const FILM: &str = r#"[[offers]]
provider = "fal"
task = "text-to-video"
endpoint = "test/film"
price = "free"
[offers.input]
prompt = {}
duration = {}
[offers.output]
video = "/video/url"
"#;

const STREAMED: &str = r#"[[offers]]
provider = "fal"
task = "text-to-image"
endpoint = "fal-ai/nano-banana-2"
capabilities = ["streaming"]
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "request", usd = 0.04 }] }
[offers.input]
prompt = {}
[offers.output]
images = "/images/*/url"
[[offers]]
provider = "fal"
task = "text-to-speech"
endpoint = "fal-ai/elevenlabs/tts/turbo-v2.5"
capabilities = ["streaming"]
price = "free"
[offers.input]
text = {}
[offers.output]
audio = "/audio/url"
"#;

fn streaming(there: &There) -> Here {
    let files = vec![model_file("far-off", STREAMED)];
    Here::with(there, ("fal", PATHS), files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_there_is_before_it_is_done() {
    let there = there().await;
    let here = streaming(&there);
    let handle = here
        .begin(("far-off", "text-to-image"), input([("prompt", "gate fal-stream".into())]), true)
        .await;
    until(|| work::is_reached("fal-stream")).await;
    work::open("fal-stream");
    let told = here.end(handle).await;
    let words = "gate fal-stream";
    let previews = [work::picture(words, 90, 0), work::picture(words, 91, 0)];
    assert_eq!(told.pictures(), previews.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(here.bytes(told.assets()[0]), work::picture(words, 0, 0));
    assert_eq!(told.cost.as_micros(), 40_000);
    let told =
        here.run(("far-off", "text-to-speech"), input([("text", "Hello.".into())]), true).await;
    let (sound, pieces) = told.sound();
    assert!(sound == work::samples() && pieces > 1, "{pieces} pieces");
    let is_told = |news: &News| matches!(news, News::Sound { format, .. } if format.sample_rate_hz == work::RATE_HZ);
    assert!(told.news.iter().any(is_told));
    let told = here
        .run(("far-off", "text-to-image"), input([("prompt", "fail refused".into())]), true)
        .await;
    told.check_failed(ErrorKind::Refused);
    assert_eq!(there.runs().await.len(), 3);
}
