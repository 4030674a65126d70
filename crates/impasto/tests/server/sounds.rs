//! Speech in the formats that clients of the faces ask for, as programs that play it see them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::client::post;
use crate::harness::{Place, Setup};

/// What ffprobe takes a sound for; nothing where there is no ffprobe.
fn probed(sound: &[u8]) -> Option<String> {
    let asked = ["-v", "error", "-show_entries", "stream=codec_name,sample_rate", "-of", "csv=p=0"];
    let mut child = Command::new("ffprobe")
        .args(asked)
        .arg("pipe:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    // It may have seen enough before the end.
    let _enough = input.write_all(sound);
    drop(input);
    let seen = child.wait_with_output().unwrap();
    Some(String::from_utf8(seen.stdout).unwrap().trim().to_owned())
}

#[test]
fn speech_comes_in_the_format_that_was_asked_for() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    let has_ffmpeg = Command::new("ffmpeg").arg("-version").output().is_ok();
    let check = |path: &str, format: Option<&str>, media_type: &str, is: &str| {
        let mut asked =
            json!({"model": "sketch-voice", "voice": "female", "input": "Hello, world."});
        if path.contains("elevenlabs") {
            asked = json!({"model_id": "sketch-voice", "text": "Hello, world."});
        } else if let Some(format) = format {
            asked["response_format"] = format.into();
        }
        let began = Instant::now();
        let reply = post(server.address, path, &[], &asked);
        println!("{path} {format:?}: {} ms", began.elapsed().as_millis());
        assert_eq!(reply.status, 200, "{path} {format:?} {}", reply.text());
        assert_eq!(reply.header("content-type"), Some(media_type), "{path} {format:?}");
        if let Some(seen) = probed(&reply.body) {
            assert!(seen.starts_with(is), "{path} {format:?}: {seen}");
        }
    };
    let openai = "/openai/v1/audio/speech";
    check(openai, Some("wav"), "audio/wav", "pcm_s16le");
    check(openai, Some("aac"), "audio/aac", "aac,24000");
    check(openai, Some("flac"), "audio/flac", "flac");
    if has_ffmpeg {
        check(openai, None, "audio/mpeg", "mp3");
        check(openai, Some("opus"), "audio/ogg", "opus");
        let path = "/elevenlabs/v1/text-to-speech/female";
        check(path, None, "audio/mpeg", "mp3,44100");
        check(&format!("{path}?output_format=mp3_22050_32"), None, "audio/mpeg", "mp3,22050");
    } else {
        check(openai, None, "audio/wav", "pcm_s16le");
    }
}
