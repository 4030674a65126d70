//! The dialects that have drivers of their own, against providers that speak as theirs do, with
//! everything that can go wrong on a wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use impasto_catalog::{AuthScheme, Catalog, FileIn, Layer, Offer, Outputs, Provider};
use impasto_dialects::drivers;
use impasto_domain::{ErrorKind, MediaKind, Type};
use impasto_engine::Driver;
use impasto_testkit::model_file;
use impasto_testkit::wire::{
    Arrived, Honest, MakeDriver, MakeWire, Narrowed, Pace, Reply, Role, Setting, answer_of,
    sample_bytes,
};
use serde_json::{Value as Json, json};

use crate::conformance::verdicts;
use crate::hosted;

/// The tasks of each dialect that go over the wire each in a way of its own.
const WAYS: [(&str, &[&str]); 5] = [
    ("elevenlabs", &["text-to-speech", "text-to-music", "transcribe-audio", "dub-media"]),
    ("fal", &["text-to-image", "image-to-video", "text-to-speech", "transcribe-audio"]),
    ("gemini", &["text-to-image", "edit-image", "text-to-speech", "image-to-video"]),
    (
        "openai",
        &["text-to-image", "edit-image", "text-to-speech", "transcribe-audio", "text-to-video"],
    ),
    ("replicate", &["text-to-image", "edit-image", "text-to-video", "remove-background"]),
];

/// A container that serves one model.
const CONTAINER: &str = r#"[[offers]]
provider = "cog"
task = "remove-background"
endpoint = "predictions"
price = { as_of = "2026-11-01", source = "one's own machine", lines = [{ per = "request", usd = 0.001 }] }
[offers.input]
image = "/input/image"
[offers.output]
image = ["/output/0", "/output"]
"#;

/// How often a job is asked for before it is done.
const POLLS: u32 = 2;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Start,
    Poll,
    Result,
    Cancel,
    Upload,
    Put,
    Unknown,
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// A provider that speaks a dialect.
struct Protocol {
    provider: Provider,
    outputs: Outputs,
    task: String,
    endpoint: String,
    url: String,
    key: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pace: Pace,
    files: String,
    jobs: BTreeMap<String, (u32, bool)>,
    complaints: Vec<String>,
}

impl Protocol {
    fn new(provider: &Provider, offer: &Offer, url: &str, key: &str) -> Option<Self> {
        Some(Self {
            provider: provider.clone(),
            outputs: offer.outputs.clone()?,
            task: offer.task.to_string(),
            endpoint: offer.endpoint.clone(),
            url: url.to_owned(),
            key: key.to_owned(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn dialect(&self) -> &str {
        &self.provider.dialect
    }

    fn is_container(&self) -> bool {
        self.endpoint == "predictions"
    }

    /// Whether what is made is a job.
    fn is_job(&self) -> bool {
        match self.dialect() {
            "fal" => true,
            "replicate" => !self.is_container(),
            "elevenlabs" => self.endpoint == "dubbing",
            _ => self.task.ends_with("video"),
        }
    }

    fn asked(&self, arrived: &Arrived) -> Asked {
        let (method, path) = (arrived.method.as_str(), arrived.path.as_str());
        let job = path.contains("/job-");
        match (method, path) {
            ("PUT", path) if path.starts_with("/put/") => Asked::Put,
            ("POST", "/storage/upload/initiate" | "/v1/files") => Asked::Upload,
            ("PUT" | "POST", path) if path.ends_with("/cancel") || path.ends_with(":cancel") => {
                Asked::Cancel
            }
            ("DELETE", _) if job => Asked::Cancel,
            ("POST", path) if path == self.start() => Asked::Start,
            ("PUT", path) if self.is_container() && path.starts_with("/predictions/") => {
                Asked::Start
            }
            ("GET", path) if path.ends_with("/status") => Asked::Poll,
            ("GET", path) if self.dialect() == "fal" && job && !path.ends_with("/stream") => {
                Asked::Result
            }
            ("GET", path) if path.ends_with("/content") || path.contains("/audio/") => {
                Asked::Result
            }
            ("GET", _) if job => Asked::Poll,
            _ => Asked::Unknown,
        }
    }

    /// Where jobs are started.
    fn start(&self) -> String {
        let endpoint = &self.endpoint;
        match (self.dialect(), self.task.as_str()) {
            ("fal", _) => format!("/{endpoint}"),
            ("replicate", _) => format!("/v1/models/{endpoint}/predictions"),
            ("openai", "text-to-image") => "/images/generations".to_owned(),
            ("openai", "edit-image") => "/images/edits".to_owned(),
            ("openai", "text-to-speech") => "/audio/speech".to_owned(),
            ("openai", "transcribe-audio") => "/audio/transcriptions".to_owned(),
            ("openai", _) => "/videos".to_owned(),
            ("gemini", task) if task.ends_with("video") => {
                format!("/v1beta/models/{endpoint}:predictLongRunning")
            }
            ("gemini", _) => format!("/v1beta/models/{endpoint}:generateContent"),
            // The example of a voice is any text.
            (_, "text-to-speech") => "/v1/text-to-speech/a%20red%20mug%20on%20a%20table".to_owned(),
            _ => format!("/v1/{endpoint}"),
        }
    }

    fn job_in(&self, arrived: &Arrived) -> Option<String> {
        let mut parts = arrived.path.split(['/', ':']);
        parts.find(|part| part.starts_with("job-")).map(str::to_owned)
    }

    /// The next word for a job that is asked for.
    fn turn(&self, name: &str) -> Word {
        let mut state = self.state();
        let pace = state.pace;
        let (polls, is_cancelled) = state.jobs.entry(name.to_owned()).or_default();
        *polls += 1;
        match (pace, *is_cancelled) {
            (Pace::DoneAfterCancel, true) => Word::Succeeded,
            (_, true) => Word::Cancelled,
            (Pace::Endless | Pace::DoneAfterCancel, false) => Word::Running,
            (_, false) if *polls == 1 => Word::Queued,
            (_, false) if *polls <= POLLS => Word::Running,
            (Pace::Failing, false) => Word::Failed,
            (Pace::Usual, false) => Word::Succeeded,
        }
    }

    /// How a job ended that is over.
    fn ending(&self, name: &str) -> Word {
        let state = self.state();
        let is_cancelled = state.jobs.get(name).is_some_and(|(_, is_cancelled)| *is_cancelled);
        match (state.pace, is_cancelled) {
            (Pace::DoneAfterCancel, _) => Word::Succeeded,
            (_, true) => Word::Cancelled,
            (Pace::Failing, _) => Word::Failed,
            _ => Word::Succeeded,
        }
    }

    fn started(&self) -> Reply {
        let job = {
            let mut state = self.state();
            let name = format!("job-{}", state.jobs.len() + 1);
            state.jobs.insert(name.clone(), (0, false));
            name
        };
        let answer = match self.dialect() {
            "replicate" if self.is_container() => {
                let mut answer = self.answer();
                answer["status"] = "succeeded".into();
                answer
            }
            _ if !self.is_job() => return self.output(),
            "fal" => json!({ "request_id": job, "status": "IN_QUEUE", "queue_position": 1 }),
            "replicate" => json!({ "id": job, "status": "starting", "logs": null, "urls": {} }),
            "openai" => json!({ "id": job, "object": "video", "status": "queued", "progress": 0 }),
            "gemini" => {
                json!({ "name": format!("models/{}/operations/{job}", self.endpoint) })
            }
            _ => json!({ "dubbing_id": job, "expected_duration_sec": 1 }),
        };
        Reply::json(200, &answer)
    }

    fn polled(&self, name: &str) -> Reply {
        let word = self.turn(name);
        let is_over = !matches!(word, Word::Queued | Word::Running);
        let answer = match (self.dialect(), word) {
            ("fal", Word::Queued) => json!({ "status": "IN_QUEUE", "queue_position": 1 }),
            ("fal", Word::Running) => json!({ "status": "IN_PROGRESS", "logs": null }),
            ("fal", _) => json!({ "status": "COMPLETED", "logs": [] }),
            ("replicate", Word::Queued) => json!({ "id": name, "status": "starting" }),
            ("replicate", Word::Running) => {
                json!({ "id": name, "status": "processing", "logs": "50%|##| 1/2" })
            }
            ("replicate", Word::Succeeded) => {
                let mut answer = self.answer();
                answer["id"] = name.into();
                answer["status"] = "succeeded".into();
                answer
            }
            ("replicate", Word::Failed) => {
                json!({ "id": name, "status": "failed", "error": "it fell over" })
            }
            ("replicate", Word::Cancelled) => json!({ "id": name, "status": "canceled" }),
            ("openai", Word::Queued) => json!({ "id": name, "status": "queued" }),
            ("openai", Word::Running) => {
                json!({ "id": name, "status": "in_progress", "progress": 50 })
            }
            ("openai", Word::Succeeded) => json!({ "id": name, "status": "completed" }),
            ("openai", _) => {
                json!({ "id": name, "status": "failed", "error": { "message": "it fell over" } })
            }
            ("gemini", Word::Succeeded) => {
                let mut answer = self.answer();
                answer["done"] = true.into();
                answer
            }
            ("gemini", _) if is_over => {
                json!({ "done": true, "error": { "code": 13, "message": "it fell over" } })
            }
            ("gemini", _) => json!({ "name": name }),
            (_, Word::Succeeded) => json!({ "dubbing_id": name, "status": "dubbed" }),
            _ if is_over => json!({ "status": "failed", "error": "it fell over" }),
            _ => json!({ "dubbing_id": name, "status": "dubbing" }),
        };
        Reply::json(200, &answer)
    }

    fn result(&self, name: &str) -> Reply {
        match (self.dialect(), self.ending(name)) {
            ("fal", Word::Failed) => {
                let body = json!({ "detail": "it fell over", "error_type": "runner_server_error" });
                Reply::json(500, &body)
            }
            ("fal", Word::Cancelled) => Reply::json(499, &json!({ "detail": "cancelled" })),
            _ => self.output(),
        }
    }

    fn answer(&self) -> Json {
        answer_of(&self.outputs, &self.state().files.clone())
    }

    /// What is made, as an answer.
    fn output(&self) -> Reply {
        if self.outputs.is_whole_body() {
            let rule = self.outputs.rules.first();
            let kind = rule.map_or(MediaKind::Other, |rule| kind_of(&rule.ty));
            let media_type = if kind == MediaKind::Video { "video/mp4" } else { "audio/wav" };
            return Reply::of(200, media_type, sample_bytes(kind, 1));
        }
        Reply::json(200, &self.answer())
    }

    fn check_credential(&self, arrived: &Arrived) {
        let Some(auth) = &self.provider.auth else { return };
        let AuthScheme::Header { name, prefix } = &auth.scheme else { panic!("a header") };
        let wanted = format!("{prefix}{}", self.key);
        if arrived.header(&name.to_lowercase()) != Some(wanted.as_str()) {
            self.state().complaints.push(format!("the credential is not in {name}"));
        }
    }
}

fn kind_of(ty: &Type) -> MediaKind {
    match ty {
        Type::Media(kind) => *kind,
        Type::List(item) => kind_of(item),
        _ => MediaKind::Other,
    }
}

impl Honest for Protocol {
    fn role(&self, arrived: &Arrived) -> Role {
        match self.asked(arrived) {
            Asked::Start => Role::Start,
            Asked::Poll | Asked::Result => Role::Ask,
            Asked::Cancel => Role::Cancel,
            Asked::Upload | Asked::Put => Role::Upload,
            Asked::Unknown => Role::Other,
        }
    }

    fn answer(&self, arrived: &Arrived) -> Reply {
        let asked = self.asked(arrived);
        if asked != Asked::Put {
            self.check_credential(arrived);
        }
        let job = self.job_in(arrived).unwrap_or_default();
        match asked {
            Asked::Start => self.started(),
            Asked::Poll => self.polled(&job),
            Asked::Result => self.result(&job),
            Asked::Cancel => {
                self.state().jobs.entry(job).or_default().1 = true;
                Reply::json(202, &json!({ "status": "CANCELLATION_REQUESTED" }))
            }
            Asked::Upload => {
                let (url, file) = (format!("{}/put/1", self.url), "https://files.test/1");
                let answer = json!({
                    "upload_url": url, "file_url": file, "urls": { "get": file },
                });
                Reply::json(200, &answer)
            }
            Asked::Put => Reply::of(204, "text/plain", Vec::new()),
            Asked::Unknown => {
                let what = format!("nobody answers {} {}", arrived.method, arrived.path);
                self.state().complaints.push(what);
                Reply::json(404, &json!({ "detail": "there is no such place" }))
            }
        }
    }

    fn set_pace(&self, pace: Pace) {
        self.state().pace = pace;
    }

    fn set_files(&self, url: &str) {
        url.clone_into(&mut self.state().files);
    }

    fn error_inside(&self) -> Option<(Reply, ErrorKind)> {
        let answer = match self.dialect() {
            "replicate" if self.is_container() => {
                let answer = json!({ "status": "failed", "error": "it fell over" });
                return Some((Reply::json(200, &answer), ErrorKind::ProviderFailed));
            }
            "replicate" => json!({ "id": "job-1", "status": "failed", "error": "NSFW content" }),
            "gemini" if !self.is_job() => json!({ "promptFeedback": { "blockReason": "SAFETY" } }),
            _ => return None,
        };
        Some((Reply::json(200, &answer), ErrorKind::Refused))
    }

    fn is_asked(&self) -> bool {
        self.is_job()
    }

    fn is_cancelled(&self) -> bool {
        self.is_job()
    }

    fn links(&self) -> Vec<MediaKind> {
        let is_file = |ty: &Type| kind_of(ty) != MediaKind::Other;
        let rules = self.outputs.rules.iter();
        let rules = rules.filter(|rule| rule.file == FileIn::Url && is_file(&rule.ty));
        rules.map(|rule| kind_of(&rule.ty)).collect()
    }

    fn taken(&self) -> u32 {
        self.state().jobs.len() as u32
    }

    fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }
}

/// The first offer of a task whose provider speaks the dialect, made callable even if it is retired.
fn first(catalog: &mut Catalog, dialect: &str, task: &str) -> Option<Offer> {
    let is_it = |offer: &&Offer| {
        let provider = &catalog.providers[&offer.provider];
        provider.dialect == dialect && offer.task.as_str() == task
    };
    let mut offers: Vec<&Offer> = catalog.offers.values().filter(is_it).collect();
    offers.sort_by_key(|offer| (offer.own.iter().any(|field| field.required), offer.id.clone()));
    let offer = (*offers.first()?).clone();
    catalog.offers.get_mut(&offer.id)?.lifecycle = Default::default();
    catalog.models.get_mut(&offer.model)?.lifecycle = Default::default();
    Some(offer)
}

fn settings() -> Vec<Setting> {
    let files = vec![model_file("own-box", CONTAINER)];
    let own = Layer { name: "own".to_owned(), files };
    let (mut catalog, _) = Catalog::load(&[Layer::embedded(), own]).unwrap();
    let wire: MakeWire = Arc::new(|narrowed, url, key| {
        let wire = Protocol::new(narrowed.provider().ok()?, narrowed.offer().ok()?, url, key)?;
        Some(Arc::new(wire))
    });
    let mut settings = Vec::new();
    for (dialect, tasks) in WAYS {
        let driver: MakeDriver = Arc::new(move |settings, door| -> Arc<dyn Driver> {
            let hosted = hosted(settings, door);
            let mut all = drivers::all(&hosted);
            all.find(|(name, _)| name == dialect).unwrap().1
        });
        for task in tasks {
            let offer = first(&mut catalog, dialect, task);
            let offer = offer.unwrap_or_else(|| panic!("{dialect} has no {task}"));
            let narrowed = Narrowed::new(&catalog, &offer.id).unwrap();
            let (wire, driver) = (Arc::clone(&wire), Arc::clone(&driver));
            settings.push(Setting { narrowed, wire, driver });
        }
    }
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_on_the_wire_of_a_dialect_starts_a_job_twice_or_loses_track_of_it() {
    let verdicts = verdicts(settings()).await;
    let mut counts: BTreeMap<&str, [u32; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (dialect, offer, verdict) in &verdicts {
        let [run, bad, skipped] = counts.entry(dialect).or_default();
        match (verdict.applies, verdict.faults.is_empty()) {
            (false, _) => *skipped += 1,
            (true, true) => *run += 1,
            (true, false) => {
                (*run, *bad) = (*run + 1, *bad + 1);
                wrong.push(format!("{offer}: {}: {}", verdict.case, verdict.faults.join("; ")));
            }
        }
    }
    for (dialect, [run, bad, skipped]) in &counts {
        eprintln!("{dialect}: {run} cases, {bad} wrong, {skipped} cannot happen");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.len() == WAYS.len());
}
