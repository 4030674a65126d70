//! AAC-LC for the sound of MP4 files.

use impasto_domain::{Error, Result};
use syom::{ChannelMode, DecodeOptions, Decoder, EncodeContainer, EncodeOptions, Encoder};

use super::mp4::{AudioTrack, Codec, Track};
use crate::Sound;

/// Samples per second of all sound in video files.
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Bits per second of one and of two channels.
const BITS_PER_S: [u32; 2] = [96_000, 160_000];

/// The track of a sound at [`SAMPLE_RATE`] with one or two channels. Samples beyond full scale are
/// clipped.
pub(crate) fn encode(sound: &Sound) -> Result<AudioTrack> {
    let failed =
        |error: syom::AacError| Error::internal(format!("sound cannot be encoded: {error}"));
    let count = sound.channels.len().clamp(1, 2);
    let options = EncodeOptions::default()
        .with_container(EncodeContainer::Raw)
        .with_bitrate_bps(BITS_PER_S[count - 1]);
    let mut encoder = Encoder::new(sound.sample_rate, count, &options).map_err(failed)?;
    let config = encoder.asc().to_vec();
    let clipped: Vec<Vec<f32>> = sound
        .channels
        .iter()
        .take(count)
        .map(|channel| channel.iter().map(|sample| clip(*sample)).collect())
        .collect();
    let planes: Vec<&[f32]> = clipped.iter().map(Vec::as_slice).collect();
    let mut packets = Vec::new();
    let mut keep = |frame: syom::EncodedFrame<'_>| {
        packets.push(frame.payload.to_vec());
        Ok(())
    };
    encoder.feed(&planes, &mut keep).map_err(failed)?;
    let info = encoder.finish(&mut keep).map_err(failed)?;
    Ok(AudioTrack {
        sample_rate: sound.sample_rate,
        channels: count as u16,
        config,
        priming: info.priming as u32,
        length: info.samples,
        packets,
    })
}

/// The sound of a track, without what its edit list leaves out.
pub(crate) fn decode(file: &[u8], track: &Track) -> Result<Sound> {
    let Codec::Aac { config } = &track.codec else {
        return Err(Error::invalid("only AAC sound can be decoded here"));
    };
    let failed =
        |error: syom::AacError| Error::invalid(format!("the sound cannot be decoded: {error}"));
    let options = DecodeOptions::audio().with_channel_mode(ChannelMode::Split);
    let mut decoder = Decoder::from_asc(config, options).map_err(failed)?;
    let mut sound = Sound { sample_rate: track.sample_rate.max(1), channels: Vec::new() };
    for sample in &track.samples {
        let packet = sample.bytes(file);
        decoder
            .decode_au(packet, |frame| {
                sound.sample_rate = frame.sample_rate;
                sound.channels.resize(frame.planar.len().max(sound.channels.len()), Vec::new());
                for (channel, plane) in sound.channels.iter_mut().zip(frame.planar) {
                    channel.extend_from_slice(plane);
                }
                Ok(())
            })
            .map_err(failed)?;
    }
    if sound.channels.is_empty() {
        return Err(Error::invalid("the sound of the video is empty"));
    }
    let samples = |ticks: u64| {
        (ticks as f64 * f64::from(sound.sample_rate) / f64::from(track.ticks_per_s)).round()
            as usize
    };
    let start = samples(track.start_ticks).min(sound.len());
    let length = track.length_ticks.map_or(usize::MAX, samples).min(sound.len() - start);
    for channel in &mut sound.channels {
        *channel = channel.get(start..start + length).unwrap_or_default().to_vec();
    }
    Ok(sound)
}

fn clip(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}
