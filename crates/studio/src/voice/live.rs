//! The voice as it is spoken, told to whoever listens: the program's own samples, sentence by
//! sentence, with the pauses between them.
//!
//! It is the raw voice. What becomes the output is polished as a whole, once all of it is there.

use std::sync::{Mutex, PoisonError};

use impasto_domain::{News, SoundFormat, Workbench};

use super::polish;

/// Tells what the program says.
pub(super) struct Live<'a> {
    /// `None` if nobody listens.
    bench: Option<&'a dyn Workbench>,
    heard: Mutex<Heard>,
}

/// What is there of a sentence and was not told yet.
#[derive(Default)]
struct Heard {
    /// Known once the head of a sentence has come.
    rate: Option<u32>,
    /// Whether what comes next is samples.
    is_past_head: bool,
    rest: Vec<u8>,
}

impl<'a> Live<'a> {
    pub(super) fn new(bench: &'a dyn Workbench) -> Self {
        let bench = bench.wants_news().then_some(bench);
        Self { bench, heard: Mutex::default() }
    }

    /// The next sentence begins, with a head of its own.
    pub(super) fn begin(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_past_head = false;
        heard.rest.clear();
    }

    /// The next bytes of the program's answer.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let Some(bench) = self.bench else { return };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.rest.extend_from_slice(bytes);
        if !heard.is_past_head {
            let Some(head) = heard.rest.first_chunk::<{ polish::HEAD_BYTES }>() else { return };
            let Some(rate) = polish::rate_of(head) else { return };
            heard.rate.get_or_insert(rate);
            heard.is_past_head = true;
            heard.rest.drain(..polish::HEAD_BYTES);
        }
        let whole = heard.rest.len() & !1;
        if whole > 0 {
            let samples = heard.rest.drain(..whole).collect();
            tell(bench, heard.rate, samples);
        }
    }

    /// Nothing is said for a while.
    pub(super) fn pause(&self, seconds: f64) {
        let Some(bench) = self.bench else { return };
        let rate = self.heard.lock().unwrap_or_else(PoisonError::into_inner).rate;
        let count = (seconds * f64::from(rate.unwrap_or(0))).round() as usize;
        if count > 0 {
            tell(bench, rate, vec![0; count * 2]);
        }
    }
}

fn tell(bench: &dyn Workbench, rate: Option<u32>, bytes: Vec<u8>) {
    let Some(sample_rate_hz) = rate else { return };
    let format = SoundFormat { media_type: "audio/pcm".to_owned(), sample_rate_hz, channels: 1 };
    bench.tell(News::Sound { name: "audio".to_owned(), format, bytes });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Listener;

    #[test]
    fn samples_are_told_whole_whatever_pieces_they_come_in() {
        let mut answer = vec![0; polish::HEAD_BYTES];
        answer[..4].copy_from_slice(b"RIFF");
        answer[8..12].copy_from_slice(b"WAVE");
        answer[20..24].copy_from_slice(&[1, 0, 1, 0]);
        answer[24..28].copy_from_slice(&22_050_u32.to_le_bytes());
        answer[34] = 16;
        answer.extend((0..101).map(|byte| byte as u8));
        for size in [1, 3, 44, 45, 200] {
            let bench = Listener::default();
            let live = Live::new(&bench);
            for _ in 0..2 {
                live.begin();
                answer.chunks(size).for_each(|piece| live.hear(piece));
                live.pause(0.001);
            }
            let (format, bytes) = bench.sound("audio").unwrap();
            assert_eq!((format.sample_rate_hz, format.channels), (22_050, 1));
            let sentence: Vec<u8> = (0..100).chain([0; 44]).collect();
            assert_eq!(bytes, [sentence.as_slice(), &sentence].concat(), "in pieces of {size}");
        }
    }
}
