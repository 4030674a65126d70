//! How much of a foreign file is put up with.

use impasto_domain::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a foreign file may be and cost. Everything is checked before a pixel or a sample is decoded,
/// and the process that decodes is held to the rest by the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of the file.
    pub bytes: u64,
    /// Size of what is made of it.
    pub output_bytes: u64,
    /// Pixels of a picture or of a frame.
    pub pixels: u64,
    /// Pixels of the longer side.
    pub side_px: u32,
    /// Frames of an animated picture; only the first is kept.
    pub frames: u32,
    /// Length of a sound or a film.
    pub duration_ms: u64,
    /// Frames per second of a film.
    pub fps: f64,
    /// Streams of a film.
    pub streams: u32,
    /// Channels of a sound.
    pub channels: u16,
    /// Samples per second of a sound, in hertz.
    pub sample_rate: u32,
    /// Triangles of a mesh.
    pub triangles: u64,
    /// Size of the buffers of a mesh.
    pub mesh_bytes: u64,
    /// Size of a drawing.
    pub drawing_bytes: u64,
    /// Parts of a drawing, each counted as often as it is drawn.
    pub drawing_parts: u64,
    /// Address space of the process that decodes.
    pub memory_bytes: u64,
    /// Time for it, by the clock on the wall.
    pub wall_ms: u64,
    /// Address space where ffmpeg does the decoding; it maps far more than it uses.
    pub ffmpeg_memory_bytes: u64,
    /// Time where ffmpeg does the decoding.
    pub ffmpeg_wall_ms: u64,
    /// Address space where a film is decoded without ffmpeg: its sound is held as a whole.
    pub film_memory_bytes: u64,
    /// Time for a million pixels of frames of a film that is decoded without ffmpeg, on top of
    /// `wall_ms`: a longer or a larger film may take longer.
    pub film_wall_ms_per_megapixel: u64,
    /// The most time for such a film, however long it is.
    pub film_wall_ms: u64,
    /// Processes of the user, all together, beyond which ffmpeg may start no more.
    pub user_processes: u64,
    /// Files that are decoded at the same time; more wait.
    pub imports_at_once: usize,
    /// Files that may wait; more are turned away.
    pub imports_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MEGABYTE: u64 = 1_000_000;
        Self {
            bytes: 100 * MEGABYTE,
            output_bytes: 600 * MEGABYTE,
            pixels: 50_000_000,
            side_px: 16_384,
            frames: 256,
            duration_ms: 600_000,
            fps: 120.0,
            streams: 8,
            channels: 8,
            sample_rate: 192_000,
            triangles: 2_000_000,
            mesh_bytes: 64 * MEGABYTE,
            drawing_bytes: 16 * MEGABYTE,
            drawing_parts: 200_000,
            memory_bytes: 1_000 * MEGABYTE,
            wall_ms: 30_000,
            ffmpeg_memory_bytes: 4_000 * MEGABYTE,
            ffmpeg_wall_ms: 300_000,
            film_memory_bytes: 2_500 * MEGABYTE,
            film_wall_ms_per_megapixel: 400,
            film_wall_ms: 1_800_000,
            user_processes: 8_192,
            imports_at_once: 4,
            imports_waiting: 64,
        }
    }
}

impl Limits {
    /// How long decoding a film may take without ffmpeg, by its size and length.
    pub fn film_wall_ms(&self, frame_pixels: u64, frames: u64) -> u64 {
        let megapixels = frame_pixels.saturating_mul(frames) / 1_000_000;
        let needed = megapixels.saturating_mul(self.film_wall_ms_per_megapixel);
        self.wall_ms.saturating_add(needed).min(self.film_wall_ms.max(self.wall_ms))
    }

    /// Refuses a picture or frame that is too large.
    pub fn check_size(&self, what: &str, width: u32, height: u32) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(Error::invalid(format!(
                "the {what} is {width}×{height} pixels: there is nothing in it"
            )));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width > self.side_px || height > self.side_px || pixels > self.pixels {
            return Err(Error::invalid(format!(
                "the {what} says that it is {width}×{height} pixels; the most is {} on a side and {:.1} \
                 megapixels in all",
                self.side_px,
                self.pixels as f64 / 1e6
            ))
            .hint("make it smaller before sending it"));
        }
        Ok(())
    }

    /// Refuses what is more than allowed of something that is counted.
    pub fn check_count(&self, what: &str, count: u64, most: u64) -> Result<()> {
        if count <= most {
            return Ok(());
        }
        Err(Error::invalid(format!("the file has {count} {what}, the most is {most}"))
            .hint("reduce it before sending it"))
    }

    /// Refuses what lasts too long.
    pub fn check_duration(&self, what: &str, duration_ms: u64) -> Result<()> {
        if duration_ms <= self.duration_ms {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the {what} lasts {:.1} s, the most is {:.0} s",
            duration_ms as f64 / 1000.0,
            self.duration_ms as f64 / 1000.0
        ))
        .hint("send a shorter piece"))
    }
}
