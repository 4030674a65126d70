//! Pictures, speech, words written down, videos.

use impasto_domain::{ErrorKind, Value, Values};
use impasto_store::RunStatus;
use impasto_testkit::model_file;
use impasto_workflow::Outcome;

use crate::here::{Here, input, until};
use crate::there::{There, model};
use crate::work;

const PATH: &str = "/openai/v1";
const PICTURE: (&str, &str) = ("gpt-image-2", "text-to-image");

async fn there() -> There {
    let pictures = [("there", "text-to-image", "show"), ("there", "edit-image", "show")];
    There::new(vec![
        model("openai/gpt-image-2", &[], &pictures),
        model("openai/tts-1", &[], &[("there", "text-to-speech", "say")]),
        model("openai/gpt-4o-transcribe", &[], &[("there", "transcribe-audio", "hear")]),
        model("test/film", &[], &[("studio", "text-to-video", "scene-clip")]),
    ])
    .await
}

fn speech(text: &str, format: &str) -> Values {
    input([("text", text.into()), ("voice", "alloy".into()), ("output_format", format.into())])
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_home() {
    let there = there().await;
    let here = Here::new(&there, "openai", PATH);
    let asked = input([("prompt", "a mug".into()), ("num_images", 2.into())]);
    let told = here.run(PICTURE, asked, false).await;
    let found: Vec<Vec<u8>> = told.assets().into_iter().map(|asset| here.bytes(asset)).collect();
    assert_eq!(found, [work::picture("a mug", 0, 0), work::picture("a mug", 1, 0)]);
    for count in [1_u8, 2] {
        let given = |number| here.file(&work::picture("given", number, 0), "image/png");
        let pictures: Vec<Value> = (0..count).map(|number| given(number.into()).into()).collect();
        let asked = input([("prompt", "more blue".into()), ("images", pictures.into())]);
        let told = here.run(("gpt-image-2", "edit-image"), asked, false).await;
        let expected = work::picture("more blue", 0, count.into());
        assert_eq!(here.bytes(told.assets()[0]), expected, "{count}");
    }
    assert_eq!(there.runs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_sees_previews() {
    let there = there().await;
    let here = Here::new(&there, "openai", PATH);
    let told = here.run(PICTURE, input([("prompt", "a mug".into())]), true).await;
    let previews = [work::picture("a mug", 90, 0), work::picture("a mug", 91, 0)];
    assert_eq!(told.pictures(), previews.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(here.bytes(told.assets()[0]), work::picture("a mug", 0, 0));
    let given: Value = here.file(&work::picture("given", 1, 0), "image/png").into();
    let asked = input([("prompt", "more blue".into()), ("images", vec![given].into())]);
    let told = here.run(("gpt-image-2", "edit-image"), asked, true).await;
    assert_eq!(told.pictures().len(), 2);
    assert_eq!(here.bytes(told.assets()[0]), work::picture("more blue", 0, 1));
    assert_eq!(there.runs().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_told_while_it_comes() {
    let there = there().await;
    let here = Here::new(&there, "openai", PATH);
    for format in ["wav", "pcm"] {
        let gate = format!("openai-{format}");
        let asked = speech(&format!("gate {gate} now"), format);
        let handle = here.begin(("tts-1", "text-to-speech"), asked, true).await;
        until(|| work::is_reached(&gate)).await;
        work::open(&gate);
        let told = here.end(handle).await;
        let (sound, pieces) = told.sound();
        assert!(sound == work::samples() && pieces > 1, "{format}: {pieces} pieces");
        assert_eq!(here.bytes(told.assets()[0]), work::wav(&work::samples()), "{format}");
    }
    let told = here.run(("tts-1", "text-to-speech"), speech("Hello.", "wav"), false).await;
    assert_eq!(here.bytes(told.assets()[0]), work::wav(&work::samples()));
    assert_eq!(there.runs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_written_down() {
    let there = there().await;
    let here = Here::new(&there, "openai", PATH);
    let sound = here.file(&work::wav(&work::samples()), "audio/wav");
    let expected = format!("{} bytes were heard.", work::wav(&work::samples()).len());
    for (format, has_segments) in [("json", false), ("verbose_json", true), ("text", false)] {
        let options = input([("output_format", format.into())]);
        let asked = input([("audio", sound.clone().into()), ("options", options.into())]);
        let told = here.run(("gpt-4o-transcribe", "transcribe-audio"), asked, false).await;
        assert_eq!(told.output()["text"].as_text(), Some(expected.as_str()), "{format}");
        let segments = told.output().get("segments").filter(|segments| !segments.is_null());
        assert_eq!(segments.is_some(), has_segments, "{format}");
    }
}

const FILM: &str = r#"[[offers]]
provider = "openai"
task = "text-to-video"
endpoint = "film"
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "second", usd = 0.1 }] }
[offers.input]
prompt = {}
duration = { to = "seconds", as = "text" }
[offers.output]
video = { file = "body" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn videos_are_jobs() {
    let there = there().await;
    let files = vec![model_file("film", FILM)];
    let here = Here::with(&there, ("openai", PATH), files);
    let asked = || input([("prompt", "a red cube".into()), ("duration", 1.into())]);
    let told = here.run(("film", "text-to-video"), asked(), false).await;
    assert_eq!(told.assets()[0].media_type, "video/mp4");
    assert_eq!(told.handles().len(), 1);
    assert_eq!(told.cost.as_micros(), 100_000);
    let long = input([("prompt", "a blue cube".into()), ("duration", 20.into())]);
    let handle = here.begin(("film", "text-to-video"), long, false).await;
    while there.runs().await.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    here.cancel(handle.id.clone()).await;
    assert_eq!(here.end(handle).await.outcome, Outcome::Cancelled);
    assert_eq!(there.runs().await[0].status, RunStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_they_were_meant() {
    let there = there().await;
    let here = Here::new(&there, "openai", PATH);
    for news in [false, true] {
        for kind in [ErrorKind::Refused, ErrorKind::InvalidInput, ErrorKind::ProviderFailed] {
            let asked = input([("prompt", format!("fail {kind} {news}").into())]);
            let told = here.run(PICTURE, asked, news).await;
            told.check_failed(kind);
            assert!(told.cost.is_zero(), "{}", told.cost);
        }
    }
    assert_eq!(there.runs().await.len(), 6);
}
