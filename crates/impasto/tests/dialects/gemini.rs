//! Content, long work, files; and the same in a project of a cloud account.

use impasto_dialects::hosted::HostedOptions;
use impasto_domain::{ErrorKind, Value};
use impasto_store::RunStatus;
use impasto_testkit::model_file;
use impasto_workflow::Outcome;

use crate::here::{Here, input};
use crate::there::{There, model};
use crate::work;

const PATH: &str = "/gemini";
const PICTURE: (&str, &str) = ("nano-banana-2", "text-to-image");

async fn there() -> There {
    let pictures = [("there", "text-to-image", "show"), ("there", "edit-image", "show")];
    There::new(vec![
        model("google/nano-banana-2", &["gemini-3.1-flash-image"], &pictures),
        model("google/gemini-3.8-flash-tts", &[], &[("there", "text-to-speech", "say")]),
        model("test/film", &[], &[("studio", "text-to-video", "scene-clip")]),
        model("test/picture", &[], &pictures),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_home() {
    let there = there().await;
    let here = Here::new(&there, "google", PATH);
    let told = here.run(PICTURE, input([("prompt", "a mug".into())]), false).await;
    assert_eq!(here.bytes(told.assets()[0]), work::picture("a mug", 0, 0));
    let given = |number| Value::from(here.file(&work::picture("given", number, 0), "image/png"));
    let asked =
        || input([("prompt", "more blue".into()), ("images", vec![given(0), given(1)].into())]);
    let told = here.run(("nano-banana-2", "edit-image"), asked(), false).await;
    assert_eq!(here.bytes(told.assets()[0]), work::picture("more blue", 0, 2));
    // Where files are too large to stand in a request they are uploaded.
    let options = HostedOptions { inline_bytes_max: 64, ..HostedOptions::default() };
    let here = Here::limited(&there, ("google", PATH), Vec::new(), options);
    let given = |number| Value::from(here.file(&work::picture("given", number, 0), "image/png"));
    let asked =
        input([("prompt", "less blue".into()), ("images", vec![given(0), given(1)].into())]);
    let told = here.run(("nano-banana-2", "edit-image"), asked, false).await;
    assert_eq!(here.bytes(told.assets()[0]), work::picture("less blue", 0, 2));
    assert_eq!(there.runs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_comes_without_a_header_and_is_told_while_it_comes() {
    let there = there().await;
    let here = Here::new(&there, "google", PATH);
    for news in [false, true] {
        let asked = input([("text", format!("Hello {news}.").into())]);
        let told = here.run(("gemini-3.8-flash-tts", "text-to-speech"), asked, news).await;
        assert_eq!(here.bytes(told.assets()[0]), work::wav(&work::samples()), "{news}");
        let (sound, pieces) = told.sound();
        assert_eq!(pieces > 1, news);
        assert!(!news || sound == work::samples());
    }
    assert_eq!(there.runs().await.len(), 2);
}

fn film(provider: &str, output: &str) -> Vec<(String, String)> {
    let film = format!(
        r#"[[offers]]
provider = "{provider}"
task = "text-to-video"
endpoint = "film"
price = {{ as_of = "2026-11-01", source = "test", lines = [{{ per = "second", usd = 0.1 }}] }}
[offers.input]
prompt = "/instances/0/prompt"
duration = {{ to = "/parameters/durationSeconds", as = "integer" }}
[offers.output]
video = {output}
"#
    );
    let picture = format!(
        r#"[[offers]]
provider = "{provider}"
task = "text-to-image"
endpoint = "picture"
price = "free"
[offers.input]
prompt = "/instances/0/prompt"
num_images = "/parameters/sampleCount"
[offers.output]
images = {{ at = "/predictions/*/bytesBase64Encoded", file = "base64" }}
"#
    );
    vec![model_file("film", &film), model_file("picture", &picture)]
}

#[tokio::test(flavor = "multi_thread")]
async fn films_are_long_work_at_either_side() {
    let there = there().await;
    let developer = "\"/response/generateVideoResponse/generatedSamples/*/video/uri\"";
    let cloud = "{ at = \"/response/videos/*/bytesBase64Encoded\", file = \"base64\" }";
    for (provider, output) in [("google", developer), ("vertex", cloud)] {
        let here = Here::with(&there, (provider, PATH), film(provider, output));
        let asked = input([
            ("prompt", format!("a red cube for {provider}").into()),
            ("duration", 1.into()),
        ]);
        let told = here.run(("film", "text-to-video"), asked, false).await;
        assert_eq!(told.assets()[0].media_type, "video/mp4", "{provider}");
        assert_eq!((told.handles().len(), told.cost.as_micros()), (1, 100_000), "{provider}");
        let asked = input([("prompt", "a mug".into()), ("num_images", 2.into())]);
        let told = here.run(("picture", "text-to-image"), asked, false).await;
        assert_eq!(here.bytes(told.assets()[1]), work::picture("a mug", 1, 0));
        let before = there.runs().await.len();
        let long = input([
            ("prompt", format!("a blue cube for {provider}").into()),
            ("duration", 20.into()),
        ]);
        let handle = here.begin(("film", "text-to-video"), long, false).await;
        while there.runs().await.len() == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        here.cancel(handle.id.clone()).await;
        assert_eq!(here.end(handle).await.outcome, Outcome::Cancelled, "{provider}");
        assert_eq!(there.runs().await[0].status, RunStatus::Cancelled, "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_they_were_meant() {
    let there = there().await;
    let here = Here::new(&there, "google", PATH);
    for kind in [ErrorKind::Refused, ErrorKind::InvalidInput, ErrorKind::ProviderFailed] {
        let asked = input([("prompt", format!("fail {kind}").into())]);
        let told = here.run(PICTURE, asked, false).await;
        told.check_failed(kind);
    }
    // What the provider calls a failure of its own is tried again.
    assert_eq!(there.runs().await.len(), 5);
}
