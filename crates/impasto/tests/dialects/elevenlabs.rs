//! Speech in five ways, music, sounds.

use impasto_domain::{ErrorKind, Values};
use impasto_testkit::model_file;
use impasto_workflow::Outcome;

use crate::here::{Here, input, until};
use crate::there::{There, model};
use crate::work;

const PATH: &str = "/elevenlabs";
const VOICE: &str = "21m00Tcm4TlvDq8ikWAM";

async fn there() -> There {
    There::new(vec![
        model(
            "elevenlabs/elevenlabs-flash-v2.5",
            &["eleven_flash_v2_5"],
            &[("there", "text-to-speech", "say")],
        ),
        model("test/timed", &[], &[("there", "text-to-speech", "say")]),
        model("test/bits", &[], &[("there", "text-to-speech", "say")]),
        model("elevenlabs/eleven-music", &[], &[("there", "text-to-music", "say")]),
        model("elevenlabs/eleven-sound-effects", &[], &[("there", "text-to-sound", "say")]),
    ])
    .await
}

/// Offers whose output has times, and one of them over a socket.
fn timed() -> Vec<(String, String)> {
    let offer = |id: &str, able: &str| {
        let text = format!(
            r#"[[offers]]
provider = "elevenlabs"
task = "text-to-speech"
endpoint = "{id}"
capabilities = [{able}]
price = "free"
const = {{ model_id = "{id}" }}
[offers.input]
text = {{}}
voice = {{ to = "{{voice}}", required = true, enum = {{ default = "{VOICE}" }} }}
speed = "/voice_settings/speed"
output_rate = {{ type = "text", to = "?output_format" }}
[offers.output]
audio = {{ at = "/audio_base64", file = "base64" }}
cues = "/cues"
"#
        );
        model_file(id, &text)
    };
    vec![offer("timed", ""), offer("bits", "\"websocket\"")]
}

fn speech(text: &str, format: Option<&str>) -> Values {
    let mut asked = input([("text", text.into()), ("voice", "default".into())]);
    if let Some(format) = format {
        let options: Values = input([("output_format_choice", format.into())]);
        asked.insert("options".to_owned(), options.into());
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_told_while_it_comes() {
    let there = there().await;
    let here = Here::new(&there, "elevenlabs", PATH);
    const SPEECH: (&str, &str) = ("elevenlabs-flash-v2.5", "text-to-speech");
    for (format, news) in [(None, false), (None, true), (Some("pcm_24000"), true)] {
        let gate = format!("eleven-{format:?}-{news}");
        let asked = speech(&format!("gate {gate} now"), format);
        let handle = here.begin(SPEECH, asked, news).await;
        until(|| work::is_reached(&gate)).await;
        work::open(&gate);
        let told = here.end(handle).await;
        assert_eq!(here.bytes(told.assets()[0]), work::wav(&work::samples()), "{format:?}");
        let (sound, pieces) = told.sound();
        assert_eq!(pieces > 1, news, "{format:?}");
        assert!(!news || sound == work::samples(), "{format:?}");
    }
    assert_eq!(there.runs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_comes_with_times() {
    let there = there().await;
    let here = Here::with(&there, ("elevenlabs", PATH), timed());
    for (id, news) in [("timed", false), ("timed", true), ("bits", false), ("bits", true)] {
        let text = format!("Hello {news}. Good bye.");
        let mut asked = speech(&text, None);
        let options: Values = input([("output_rate", "pcm_24000".into())]);
        asked.insert("options".to_owned(), options.into());
        let told = here.run((id, "text-to-speech"), asked, news).await;
        let sound = told.output()["audio"].as_asset().unwrap();
        assert_eq!(here.bytes(sound), work::wav(&work::samples()), "{id} {news}");
        let cues = told.output()["cues"].as_list().unwrap();
        let said: Vec<&str> =
            cues.iter().filter_map(|cue| cue.as_map()?.get("text")?.as_text()).collect();
        assert_eq!(said.join(" "), text, "{id} {news}");
        let (sound, pieces) = told.sound();
        assert_eq!(pieces > 0, news, "{id}");
        assert!(!news || sound == work::samples(), "{id}");
    }
    assert_eq!(there.runs().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn music_and_sounds_come_home() {
    let there = there().await;
    let here = Here::new(&there, "elevenlabs", PATH);
    let what = [("eleven-music", "text-to-music"), ("eleven-sound-effects", "text-to-sound")];
    for what in what {
        for news in [false, true] {
            let asked = input([("prompt", format!("rain {news}").into())]);
            let told = here.run(what, asked, news).await;
            assert_eq!(here.bytes(told.assets()[0]), work::wav(&work::samples()), "{what:?}");
        }
    }
    assert_eq!(there.runs().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_they_were_meant() {
    let there = there().await;
    let here = Here::with(&there, ("elevenlabs", PATH), timed());
    for kind in [ErrorKind::Refused, ErrorKind::InvalidInput, ErrorKind::ProviderFailed] {
        for id in ["elevenlabs-flash-v2.5", "timed", "bits"] {
            let asked = speech(&format!("fail {kind} of {id}"), None);
            let told = here.run((id, "text-to-speech"), asked, false).await;
            told.check_failed(kind);
        }
    }
    assert_eq!(there.runs().await.len(), 9);
    // What breaks off in the middle leaves everybody in doubt, unless it says why.
    for (id, ends) in [("elevenlabs-flash-v2.5", None), ("bits", Some(ErrorKind::Refused))] {
        let asked = speech(&format!("break refused of {id}"), None);
        let told = here.run((id, "text-to-speech"), asked, true).await;
        match ends {
            Some(kind) => told.check_failed(kind),
            None => assert!(matches!(told.outcome, Outcome::Parked { .. }), "{:?}", told.outcome),
        }
    }
    assert_eq!(there.runs().await.len(), 11);
}
