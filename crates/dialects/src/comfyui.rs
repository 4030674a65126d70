//! The dialect `comfyui`: a graph of nodes is submitted and asked for as the provider's file says; while
//! it runs, the server's socket tells how far it is and shows what there is to see.
//!
//! Invariant: the socket is for whoever looks on. Nothing depends on it: without it, a job goes as well.

use std::sync::Arc;

use bytes::Bytes;
use impasto_domain::{News, Result, Workbench};
use impasto_engine::{Failure, Found, Job, Polled, StartCall, Started, Stopped};
use impasto_net::{Message, WebSocket};
use serde_json::Value as Json;
use tokio::sync::oneshot;

use crate::hosted::{Ask, Handle, Hosted};
use crate::remote::Dialect;
use crate::submit_poll::{SubmitPoll, attempt_name};

/// The path of the socket.
const SOCKET: &str = "/ws";
/// The kind of a binary message that is a preview.
const PREVIEW: u32 = 1;
/// How a preview may be encoded, by the number in the message.
const ENCODINGS: [(u32, &str); 2] = [(1, "image/jpeg"), (2, "image/png")];
/// Messages after which nothing more comes of a job.
const ENDS: [&str; 3] = ["execution_success", "execution_error", "execution_interrupted"];

/// The driver.
#[derive(Clone)]
pub struct ComfyUi {
    jobs: SubmitPoll,
}

impl ComfyUi {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { jobs: SubmitPoll::new(hosted) }
    }

    /// Begins to listen before there is anything to hear, so that nothing is missed. What is heard is
    /// about a job only once it is told which.
    async fn listen(&self, call: &StartCall) -> Option<oneshot::Sender<String>> {
        let (offer, provider) = call.offered().ok()?;
        let account = self.hosted().account(provider).ok()?;
        let account = account.not_before(call.durable.clone());
        let ask =
            Ask::get(SOCKET).query("clientId", attempt_name(call)).timeout_ms(call.timeout_ms);
        let request = account.request(&ask).ok()?;
        let socket = account.way_out().await.ok()?.websocket(request).await.ok()?;
        let rules = offer.outputs.iter().flat_map(|outputs| &outputs.rules);
        let output = rules.map(|rule| rule.name.clone()).next()?;
        let (tell, told) = oneshot::channel();
        let listener = Listener { bench: Arc::clone(&call.bench), output, previews: 0 };
        tokio::spawn(listener.run(socket, told));
        Some(tell)
    }
}

impl Dialect for ComfyUi {
    fn hosted(&self) -> &Hosted {
        self.jobs.hosted()
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let told = self.listen(call).await;
        let started = self.jobs.begin(call).await?;
        if let (Started::Running(handle), Some(told)) = (&started, told)
            && let Ok(id) = Handle::read(handle).and_then(|read| read.fact("id").map(str::to_owned))
        {
            // Who listened may be gone by now.
            let _nobody = told.send(id);
        }
        Ok(started)
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        self.jobs.look(job).await
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        self.jobs.give_up(job).await
    }

    async fn find(&self, call: &StartCall) -> Result<Found> {
        self.jobs.find(call).await
    }
}

/// Tells the bench what the socket says.
struct Listener {
    bench: Arc<dyn Workbench>,
    output: String,
    previews: u32,
}

impl Listener {
    async fn run(mut self, mut socket: WebSocket, told: oneshot::Receiver<String>) {
        let Ok(job) = told.await else { return };
        while let Ok(Some(message)) = socket.next().await {
            let is_over = match message {
                Message::Text(text) => self.hear(&text, &job),
                Message::Binary(bytes) => {
                    self.see(&bytes);
                    false
                }
            };
            if is_over || self.bench.cancelled() {
                return;
            }
        }
    }

    /// Takes a message; whether it was the last about the job.
    fn hear(&self, text: &str, job: &str) -> bool {
        let Ok(message) = serde_json::from_str::<Json>(text) else { return false };
        let data = message.get("data").unwrap_or(&Json::Null);
        let about = data.get("prompt_id").and_then(Json::as_str);
        if about.is_some_and(|about| about != job) {
            return false;
        }
        let kind = message.get("type").and_then(Json::as_str).unwrap_or_default();
        let number = |name: &str| data.get(name).and_then(Json::as_f64);
        if kind == "progress"
            && let (Some(value), Some(most)) = (number("value"), number("max"))
            && most > 0.0
        {
            self.bench.progress((value / most).clamp(0.0, 1.0), "at the provider");
        }
        ENDS.contains(&kind)
    }

    /// Takes a binary message: its kind, for a preview its encoding, and the picture.
    fn see(&mut self, message: &Bytes) {
        let number = |at: usize| {
            let bytes = message.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let (Some(PREVIEW), Some(encoding)) = (number(0), number(4)) else { return };
        let known = ENCODINGS.iter().find(|(known, _)| *known == encoding);
        let (Some((_, media_type)), Some(picture)) = (known, message.get(8..)) else { return };
        let index = self.previews;
        self.previews += 1;
        self.bench.tell(News::Picture {
            name: self.output.clone(),
            index,
            bytes: picture.to_vec(),
            media_type: (*media_type).to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use impasto_domain::{AssetRef, Error, MediaFacts};

    use super::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Noting {
        told: Mutex<Vec<String>>,
    }

    impl Workbench for Noting {
        fn read(&self, _: &AssetRef) -> Result<Arc<[u8]>> {
            Err(Error::not_found("nothing is here"))
        }

        fn write(&self, _: Vec<u8>, _: &str, _: MediaFacts) -> Result<AssetRef> {
            Err(Error::unavailable("nothing is kept"))
        }

        fn progress(&self, fraction: f64, note: &str) {
            self.told.lock().unwrap().push(format!("{fraction} {note}"));
        }

        fn tell(&self, news: News) {
            if let News::Picture { name, index, bytes, media_type } = news {
                let line = format!("{name} {index} {} {media_type}", bytes.len());
                self.told.lock().unwrap().push(line);
            }
        }

        fn cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn the_socket_tells_of_one_job_and_shows_pictures() {
        let bench = Arc::new(Noting::default());
        let mut listener =
            Listener { bench: Arc::clone(&bench) as _, output: "images".to_owned(), previews: 0 };
        let of = |job: &str, kind: &str| {
            format!(r#"{{"type":"{kind}","data":{{"prompt_id":"{job}","value":5,"max":20}}}}"#)
        };
        assert!(!listener.hear(&of("mine", "progress"), "mine"));
        assert!(!listener.hear(&of("other", "progress"), "mine"));
        assert!(!listener.hear(&of("other", "execution_success"), "mine"));
        assert!(!listener.hear("not json", "mine"));
        for message in [&b"\0\0\0\x01\0\0\0\x02png"[..], b"\0\0\0\x01\0\0\0\x09x", b"\0\0", b""] {
            listener.see(&Bytes::copy_from_slice(message));
        }
        assert!(listener.hear(&of("mine", "execution_success"), "mine"));
        let told = bench.told.lock().unwrap().clone();
        assert_eq!(told, ["0.25 at the provider", "images 0 3 image/png"]);
    }
}
