//! Encoders of sound for the server: our own in this process, ffmpeg in the sandbox.

use std::sync::Arc;

use bytes::Bytes;
use impasto_domain::{Error, Result};
use impasto_media::sandbox::{EncoderChild, Encoding, ForeignCodec, Sandbox};
use impasto_media::{OwnCodec, SoundStream};
use impasto_server::{Encoders, SoundCodec, SoundEncoding, SoundWanted};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Semaphore, mpsc};

/// Pieces that wait on either side of an encoder.
const WAITING: usize = 8;
/// The most that is read from an encoder at once.
const READ_BYTES: usize = 16 << 10;
/// Programs that encode at the same time; more wait.
const CHILDREN_MAX: usize = 32;

/// Encoders of sound for the server.
pub(crate) struct SandboxEncoders {
    sandbox: Sandbox,
    children: Arc<Semaphore>,
}

impl SandboxEncoders {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        Self { sandbox, children: Arc::new(Semaphore::new(CHILDREN_MAX)) }
    }
}

/// Who makes an encoding.
enum Maker {
    Own(OwnCodec),
    Foreign(ForeignCodec),
}

fn maker(codec: SoundCodec) -> Maker {
    match codec {
        SoundCodec::Aac => Maker::Own(OwnCodec::Aac),
        SoundCodec::Flac => Maker::Own(OwnCodec::Flac),
        SoundCodec::Mp3 => Maker::Foreign(ForeignCodec::Mp3),
        SoundCodec::Opus => Maker::Foreign(ForeignCodec::Opus),
    }
}

impl Encoders for SandboxEncoders {
    fn can(&self, codec: SoundCodec) -> bool {
        match maker(codec) {
            Maker::Own(_) => true,
            Maker::Foreign(codec) => self.sandbox.can_encode(codec),
        }
    }

    fn begin(&self, wanted: SoundWanted) -> Result<SoundEncoding> {
        let SoundWanted { codec, sample_rate_hz: sample_rate, channels, bits_per_s } = wanted;
        let (samples, input) = mpsc::channel(WAITING);
        let (output, encoded) = mpsc::channel(WAITING);
        match maker(codec) {
            Maker::Own(codec) => {
                let stream = SoundStream::new(codec, sample_rate, channels)?;
                tokio::spawn(told(output.clone(), own(stream, input, output)));
            }
            Maker::Foreign(codec) => {
                let encoding = Encoding { codec, sample_rate, channels, bits_per_s };
                let child = self.sandbox.encoder(encoding)?;
                let (places, pieces) = (Arc::clone(&self.children), output.clone());
                let work = async move {
                    let _place = places.acquire_owned().await;
                    foreign(child, input, pieces).await
                };
                tokio::spawn(told(output, work));
            }
        }
        Ok(SoundEncoding { samples, encoded })
    }
}

type Output = mpsc::Sender<Result<Bytes>>;

/// Works as long as somebody takes what comes, and tells if it goes wrong.
async fn told(output: Output, work: impl Future<Output = Result<()>>) {
    tokio::select! {
        // What worked is dropped, which ends its program.
        () = output.closed() => {}
        outcome = work => if let Err(error) = outcome {
            let _nobody = output.send(Err(error)).await;
        }
    }
}

/// Encodes in this process, off the threads that serve.
async fn own(
    mut stream: SoundStream,
    mut input: mpsc::Receiver<Bytes>,
    output: Output,
) -> Result<()> {
    let failed = |error: tokio::task::JoinError| {
        Error::internal(format!("sound cannot be encoded: {error}"))
    };
    while let Some(piece) = input.recv().await {
        let work = tokio::task::spawn_blocking(move || {
            let encoded = stream.push(&piece);
            (stream, encoded)
        });
        let (back, encoded) = work.await.map_err(failed)?;
        stream = back;
        hand_on(&output, encoded?).await;
    }
    let last = tokio::task::spawn_blocking(move || stream.finish()).await.map_err(failed)??;
    hand_on(&output, last).await;
    Ok(())
}

async fn hand_on(output: &Output, encoded: Vec<u8>) {
    if !encoded.is_empty() {
        let _nobody = output.send(Ok(encoded.into())).await;
    }
}

/// Encodes by a program in the sandbox, which is killed when this is dropped.
async fn foreign(
    EncoderChild { command, folder }: EncoderChild,
    mut input: mpsc::Receiver<Bytes>,
    output: Output,
) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("the encoder of the sound cannot be used: {error}"))
    };
    let mut child: Child = Command::from(command).kill_on_drop(true).spawn().map_err(failed)?;
    let no_pipes = || Error::internal("the encoder of the sound has no pipes");
    let mut samples: ChildStdin = child.stdin.take().ok_or_else(no_pipes)?;
    let mut encoded = child.stdout.take().ok_or_else(no_pipes)?;
    let feed = async move {
        while let Some(piece) = input.recv().await {
            // It ended early: how, is told by its status.
            if samples.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    let take = async {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = encoded.read(&mut buffer).await.map_err(failed)?;
            match buffer.get(..read) {
                Some([]) | None => return Ok::<_, Error>(()),
                Some(piece) => hand_on(&output, piece.to_vec()).await,
            }
        }
    };
    let ((), taken) = tokio::join!(feed, take);
    taken?;
    let status = child.wait().await.map_err(failed)?;
    drop(folder);
    if status.success() {
        return Ok(());
    }
    Err(Error::unavailable(format!("the encoder of the sound failed ({status})")))
}
