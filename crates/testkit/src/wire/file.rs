//! A provider made from its file: it answers as the wire of an offer says that it does.
//!
//! What is asked of it is compared with the same file, so that a driver which forgets a credential, a
//! field or a placeholder is noticed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_catalog::{
    Answer, AuthScheme, Body, Call, Encoding, FileIn, Offer, Outputs, Pointer, Provider, Template,
    Wire as WireFile,
};
use impasto_domain::{ErrorKind, MediaKind, Money, Type};
use serde_json::{Value as Json, json};

use super::door::sample_bytes;
use super::mischief::{Honest, Pace, Role, path_of};
use super::server::{Arrived, Reply};

/// How often a job is asked for before it is done.
const POLLS: u32 = 2;
/// What a figure of a cost says.
const COST: u32 = 3;

/// A provider made from its file.
pub struct FileWire {
    provider: Provider,
    wire: WireFile,
    outputs: Outputs,
    endpoint: String,
    model: String,
    url: String,
    key: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pace: Pace,
    files: String,
    jobs: BTreeMap<String, Job>,
    complaints: Vec<String>,
}

#[derive(Default)]
struct Job {
    polls: u32,
    is_cancelled: bool,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Submit,
    Poll,
    Result,
    Item,
    Cancel,
    Upload,
    Put,
    Unknown,
}

impl FileWire {
    /// The provider of an offer, at `url`, for whoever has `key`; nothing if its file describes no
    /// wire for the offer.
    pub fn new(provider: &Provider, offer: &Offer, url: &str, key: &str) -> Option<Self> {
        let wire = match &offer.wire {
            Some(name) => provider.wires.get(name),
            None => provider.wires.values().next(),
        };
        Some(Self {
            provider: provider.clone(),
            wire: wire?.clone(),
            outputs: offer.outputs.clone()?,
            endpoint: offer.endpoint.clone(),
            model: offer.model.to_string(),
            url: url.to_owned(),
            key: key.to_owned(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, what: String) {
        self.state().complaints.push(what);
    }

    fn asked(&self, arrived: &Arrived) -> Asked {
        let (wire, is) = (&self.wire, |call: &Call| self.is_for(call, arrived));
        let later = [
            (&wire.cancel, Asked::Cancel),
            (&wire.result, Asked::Result),
            (&wire.poll, Asked::Poll),
            (&wire.item, Asked::Item),
        ];
        if is(&wire.submit) {
            return Asked::Submit;
        }
        let found = later.into_iter().find(|(call, _)| call.as_ref().is_some_and(is));
        match found {
            Some((_, asked)) => asked,
            None if self.provider.upload.as_ref().is_some_and(|upload| is(&upload.start)) => {
                Asked::Upload
            }
            None if arrived.path.starts_with("/put/") => Asked::Put,
            None => Asked::Unknown,
        }
    }

    /// Whether a request is one of a call: by its method and the path with its placeholders.
    fn is_for(&self, call: &Call, arrived: &Arrived) -> bool {
        let facts = self.facts("*");
        let wild = facts.keys().map(|name| (name.clone(), "*".to_owned()));
        let mut wild: BTreeMap<String, String> = wild.collect();
        for name in call.path.names() {
            wild.entry(name.to_owned()).or_insert_with(|| "*".to_owned());
        }
        wild.insert("endpoint".to_owned(), self.endpoint.clone());
        if let Some(url) = whole_url_name(&call.path) {
            wild.insert(url.to_owned(), format!("{}/jobs/*", self.url));
        }
        let path = if call.path.reads_answer() {
            call.path.to_string()
        } else {
            call.path.fill(&wild, &Json::Null).unwrap_or_default()
        };
        let path = path.strip_prefix(&self.url).map_or(path.clone(), str::to_owned);
        arrived.method == call.method.as_str() && fits(&path, &arrived.path)
    }

    /// What names the job in a request: whatever part of it is the name of one.
    fn job_in(&self, arrived: &Arrived) -> Option<String> {
        let text = format!(
            "{} {:?} {}",
            arrived.path,
            arrived.query,
            String::from_utf8_lossy(&arrived.body)
        );
        let state = self.state();
        state.jobs.keys().find(|name| text.contains(name.as_str())).cloned()
    }

    /// What the handle of a job keeps.
    fn facts(&self, job: &str) -> BTreeMap<String, String> {
        let polled = self.wire.poll.as_ref().and_then(|call| whole_url_name(&call.path));
        let fact = |name: &str| match polled {
            Some(whole) if whole == name => format!("{}/jobs/{job}", self.url),
            _ => job.to_owned(),
        };
        self.wire.handle.keys().map(|name| (name.clone(), fact(name))).collect()
    }

    fn submit(&self, arrived: &Arrived) -> Reply {
        self.check_submission(arrived);
        let job = {
            let mut state = self.state();
            let name = format!("job-{}", state.jobs.len() + 1);
            state.jobs.insert(name.clone(), Job::default());
            name
        };
        if self.wire.poll.is_none() {
            return self.result(&self.wire.submit);
        }
        let mut body = self.good();
        for (name, fact) in self.facts(&job) {
            if let Some(place) = self.wire.handle.get(&name) {
                put(&mut body, place, Body::Text(fact));
            }
        }
        self.put_state(&mut body, JobWord::Queued);
        Reply::json(200, &body.plain().unwrap_or_default())
    }

    fn check_submission(&self, arrived: &Arrived) {
        let call = &self.wire.submit;
        let media_type = arrived.header("content-type").unwrap_or_default();
        let (wanted, is_right) = match call.body {
            Encoding::Json => ("JSON", arrived.json().is_some_and(|body| body.is_object())),
            Encoding::Multipart => ("a form", media_type.starts_with("multipart/form-data; ")),
            Encoding::Form => ("a form", media_type.starts_with("application/x-www-form")),
            Encoding::Raw => ("bytes", !arrived.body.is_empty()),
            Encoding::None => ("nothing", arrived.body.is_empty()),
        };
        if !is_right {
            self.complain(format!("{wanted} was to be sent, not {media_type}"));
        }
        let is_known = |template: &Template| template.names().all(|name| name != "attempt");
        for (place, template) in call.send.iter().filter(|(_, template)| is_known(template)) {
            let facts = [("endpoint", &self.endpoint), ("model", &self.model)];
            let facts = facts.map(|(name, fact)| (name.to_owned(), fact.clone())).into();
            let wanted = template.fill(&facts, &Json::Null).unwrap_or_default();
            let said = match call.body {
                Encoding::Json => arrived
                    .json()
                    .is_some_and(|body| place.first(&body).is_some_and(|found| *found == *wanted)),
                _ => String::from_utf8_lossy(&arrived.body).contains(&wanted),
            };
            if !said {
                self.complain(format!("`{place}` was not said"));
            }
        }
        for (name, value) in &call.headers {
            if arrived.header(&name.to_lowercase()) != Some(value) {
                self.complain(format!("the header {name} was not sent"));
            }
        }
    }

    /// What an answer says that is not an error.
    fn good(&self) -> Body {
        let mut body = Body::Map(BTreeMap::new());
        for row in &self.provider.errors.rows {
            if let (Some(place), Some(fine)) = (&row.at, row.not.first())
                && !self.is_about_failure(place)
            {
                put(&mut body, place, Body::from(fine.clone()));
            }
        }
        body
    }

    /// Whether anything at a place makes a job fail.
    fn is_about_failure(&self, place: &Pointer) -> bool {
        let table = self.wire.state.as_ref();
        table.is_some_and(|table| table.failed_if.as_ref() == Some(place))
    }

    fn put_state(&self, body: &mut Body, word: JobWord) {
        let Some(table) = &self.wire.state else { return };
        let words = match word {
            JobWord::Queued => {
                [&table.queued, &table.running].into_iter().find(|words| !words.is_empty())
            }
            JobWord::Running => {
                [&table.running, &table.queued].into_iter().find(|words| !words.is_empty())
            }
            JobWord::Succeeded => Some(&table.succeeded),
            JobWord::Failed => Some(&table.failed),
            JobWord::Cancelled => Some(&table.cancelled),
        };
        let said = words.and_then(|words| words.first());
        if let (Some(place), Some(word)) = (&table.at, said) {
            put(body, place, Body::from(word.clone()));
        }
        if word == JobWord::Failed
            && let Some(place) = &table.failed_if
        {
            put(body, place, Body::from(json!({"message": "it fell over"})));
        }
    }

    fn poll(&self, arrived: &Arrived) -> Reply {
        let Some(name) = self.job_in(arrived) else {
            return Reply::json(404, &json!({"message": "there is no such job"}));
        };
        let word = self.turn(&name);
        let mut body = self.good();
        self.put_state(&mut body, word);
        if let Some(place) = self.wire.progress.as_ref().and_then(|progress| progress.at.as_ref()) {
            put(&mut body, place, Body::Number(0.5));
        }
        if word == JobWord::Failed {
            if let Some(place) = self.provider.errors.message.first()
                && !self.is_about_failure(place)
            {
                put(&mut body, place, Body::from("it fell over"));
            }
            return Reply::json(200, &body.plain().unwrap_or_default());
        }
        if word == JobWord::Succeeded {
            if let Some(call) = &self.wire.result {
                let wanted = call.templates().flat_map(pointers_of);
                wanted.for_each(|place| put(&mut body, &place, Body::Text(name.clone())));
                self.put_cost(&mut body);
            } else {
                self.put_outputs(&mut body);
            }
        }
        Reply::json(200, &body.plain().unwrap_or_default())
    }

    /// The next word for a job.
    fn turn(&self, name: &str) -> JobWord {
        let mut state = self.state();
        let pace = state.pace;
        let job = state.jobs.entry(name.to_owned()).or_default();
        job.polls += 1;
        match (pace, job.is_cancelled) {
            (Pace::DoneAfterCancel, true) => JobWord::Succeeded,
            (_, true) => JobWord::Cancelled,
            (Pace::Endless | Pace::DoneAfterCancel, false) => JobWord::Running,
            (_, false) if job.polls == 1 => JobWord::Queued,
            (_, false) if job.polls <= POLLS => JobWord::Running,
            (Pace::Failing, false) => JobWord::Failed,
            (Pace::Usual, false) => JobWord::Succeeded,
        }
    }

    /// The answer to a call that has the result.
    fn result(&self, call: &Call) -> Reply {
        if call.answer == Answer::Bytes {
            let kind = self.first_kind();
            return Reply::of(200, media_type_of(kind), sample_bytes(kind, 1));
        }
        let mut body = self.good();
        self.put_outputs(&mut body);
        Reply::json(200, &body.plain().unwrap_or_default())
    }

    fn first_kind(&self) -> MediaKind {
        self.outputs.rules.first().map_or(MediaKind::Other, |rule| kind_of(&rule.ty))
    }

    /// What names a file for the request that fetches it.
    fn item(&self) -> Body {
        let mut item = Body::Map(BTreeMap::new());
        let wanted = self.wire.item.iter().flat_map(Call::templates).flat_map(pointers_of);
        wanted.for_each(|place| put(&mut item, &place, Body::from("item-1")));
        item
    }

    fn put_cost(&self, body: &mut Body) {
        if let Some(charge) = &self.wire.cost {
            put(body, &charge.at, Body::Integer(i64::from(COST)));
        }
    }

    fn put_outputs(&self, body: &mut Body) {
        let files = self.state().files.clone();
        put_answer(&self.outputs, body, &files);
        for rule in self.outputs.rules.iter().filter(|rule| rule.file == FileIn::Item) {
            rule.at.iter().take(1).for_each(|place| put(body, place, self.item()));
        }
        self.put_cost(body);
    }

    fn upload(&self, arrived: &Arrived) -> Reply {
        let Some(upload) = &self.provider.upload else { return Reply::json(404, &Json::Null) };
        if upload.put.is_none() && arrived.body.len() < 512 {
            self.complain("an upload has no file".to_owned());
        }
        let mut body = self.good();
        if let Some(place) = &upload.url {
            put(&mut body, place, Body::from("uploaded://file-1"));
        }
        if let Some(template) = &upload.url_is {
            pointers_of(template).into_iter().for_each(|at| put(&mut body, &at, Body::from("f1")));
        }
        if let Some(how) = &upload.put {
            put(&mut body, &how.url, Body::Text(format!("{}/put/1", self.url)));
            if let Some(fields) = &how.fields {
                put(&mut body, fields, Body::from(json!({"policy": "signed"})));
            }
        }
        Reply::json(200, &body.plain().unwrap_or_default())
    }

    fn cancel(&self, arrived: &Arrived) -> Reply {
        let Some(name) = self.job_in(arrived) else {
            return Reply::json(404, &json!({"message": "there is no such job"}));
        };
        self.state().jobs.entry(name).or_default().is_cancelled = true;
        Reply::json(200, &self.good().plain().unwrap_or_default())
    }

    fn check_credential(&self, arrived: &Arrived) {
        let Some(auth) = &self.provider.auth else { return };
        let (place, said, wanted) = match &auth.scheme {
            AuthScheme::Header { name, prefix } => {
                let said = arrived.header(&name.to_lowercase()).map(str::to_owned);
                (name.clone(), said, format!("{prefix}{}", self.key))
            }
            AuthScheme::Query { name } => {
                let said = arrived.query.iter().find(|(known, _)| known == name);
                (name.clone(), said.map(|(_, value)| value.clone()), self.key.clone())
            }
            AuthScheme::Basic => {
                let said = arrived.header("authorization").map(str::to_owned);
                let wanted = format!("Basic {}", STANDARD.encode(&self.key));
                ("authorization".to_owned(), said, wanted)
            }
        };
        if said.as_deref() != Some(wanted.as_str()) {
            self.complain(format!("the credential is not in {place}"));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JobWord {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl Honest for FileWire {
    fn role(&self, arrived: &Arrived) -> Role {
        match self.asked(arrived) {
            Asked::Submit => Role::Start,
            Asked::Poll | Asked::Result => Role::Ask,
            Asked::Item => Role::File,
            Asked::Cancel => Role::Cancel,
            Asked::Upload | Asked::Put => Role::Upload,
            Asked::Unknown => Role::Other,
        }
    }

    fn answer(&self, arrived: &Arrived) -> Reply {
        let asked = self.asked(arrived);
        if arrived.header("upgrade").is_some() {
            // Whoever wants a socket does without.
            return Reply::json(404, &Json::Null);
        }
        if asked != Asked::Put {
            self.check_credential(arrived);
        }
        for (name, value) in &self.provider.headers {
            if asked != Asked::Put && arrived.header(&name.to_lowercase()) != Some(value) {
                self.complain(format!("the header {name} was not sent"));
            }
        }
        if arrived.path.contains(['{', '}']) || arrived.path.contains("%7B") {
            self.complain(format!("a placeholder was not filled: {}", arrived.path));
        }
        match asked {
            Asked::Submit => self.submit(arrived),
            Asked::Poll => self.poll(arrived),
            Asked::Result => match &self.wire.result {
                Some(call) => self.result(call),
                None => Reply::json(404, &Json::Null),
            },
            Asked::Item => {
                let kind = self.first_kind();
                Reply::of(200, media_type_of(kind), sample_bytes(kind, 1))
            }
            Asked::Cancel => self.cancel(arrived),
            Asked::Upload => self.upload(arrived),
            Asked::Put => Reply::of(204, "text/plain", Vec::new()),
            Asked::Unknown => {
                self.complain(format!("nobody answers {} {}", arrived.method, arrived.path));
                Reply::json(404, &json!({"message": "there is no such place"}))
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
        let rows = self.provider.errors.rows.iter();
        let states = self.wire.state.as_ref().and_then(|table| table.at.clone());
        let of_answers = rows.filter(|row| {
            !row.retry && row.status.is_empty() && row.contains.is_empty() && row.at != states
        });
        let (place, word, kind) = of_answers
            .filter_map(|row| Some((row.at.as_ref()?, row.is.first()?, row.kind)))
            .next()?;
        let mut body = Body::Map(BTreeMap::new());
        put(&mut body, place, Body::from(word.clone()));
        Some((Reply::json(200, &body.plain().unwrap_or_default()), kind))
    }

    fn is_asked(&self) -> bool {
        self.wire.poll.is_some()
    }

    fn is_cancelled(&self) -> bool {
        self.wire.cancel.is_some()
    }

    fn charge(&self) -> Option<Money> {
        let charge = self.wire.cost.as_ref()?;
        let mut body = Body::Map(BTreeMap::new());
        put(&mut body, &charge.at, Body::Integer(i64::from(COST)));
        charge.read(&body.plain()?)
    }

    fn links(&self) -> Vec<MediaKind> {
        let is_bytes = |call: &Call| call.answer == Answer::Bytes;
        let of_bytes = self
            .wire
            .result
            .as_ref()
            .map_or_else(|| self.wire.poll.is_none() && is_bytes(&self.wire.submit), is_bytes);
        let rules =
            self.outputs.rules.iter().filter(|rule| !of_bytes && is_link(&rule.ty, rule.file));
        rules.map(|rule| kind_of(&rule.ty)).collect()
    }

    fn names_files(&self) -> bool {
        self.outputs.rules.iter().any(|rule| rule.file == FileIn::Item)
    }

    fn taken(&self) -> u32 {
        self.state().jobs.len() as u32
    }

    fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }
}

fn is_link(ty: &Type, file: FileIn) -> bool {
    matches!(file, FileIn::Url | FileIn::Item) && matches!(item_type(ty), Type::Media(_))
}

fn item_type(ty: &Type) -> &Type {
    match ty {
        Type::List(item) => item_type(item),
        other => other,
    }
}

/// What sort of file an output is.
pub(crate) fn kind_of(ty: &Type) -> MediaKind {
    match item_type(ty) {
        Type::Media(kind) => *kind,
        _ => MediaKind::Other,
    }
}

fn media_type_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/png",
        MediaKind::Video => "video/mp4",
        MediaKind::Audio => "audio/wav",
        MediaKind::Mesh => "model/gltf-binary",
        _ => "application/octet-stream",
    }
}

/// An answer that has something for every output, with its files at `files`.
pub fn answer_of(outputs: &Outputs, files: &str) -> Json {
    let mut body = Body::Map(BTreeMap::new());
    put_answer(outputs, &mut body, files);
    body.plain().unwrap_or_default()
}

fn put_answer(outputs: &Outputs, body: &mut Body, files: &str) {
    for (which, rule) in outputs.rules.iter().enumerate() {
        let Some(place) = rule.at.first() else { continue };
        let (kind, which) = (kind_of(&rule.ty), which as u8);
        let bytes = || sample_bytes(kind, which);
        let value = match (item_type(&rule.ty), rule.file) {
            (Type::Media(_), FileIn::Url) => Body::Text(format!("{files}{}", path_of(kind, which))),
            (Type::Media(_), FileIn::Base64) => Body::Text(STANDARD.encode(bytes())),
            (Type::Media(_), FileIn::Hex) => {
                Body::Text(bytes().iter().map(|byte| format!("{byte:02x}")).collect())
            }
            (Type::Media(_), FileIn::Item | FileIn::Body) => continue,
            (Type::Integer | Type::Number, _) => Body::Integer(7),
            (Type::Boolean, _) => Body::Boolean(true),
            _ => Body::from("words"),
        };
        put(body, place, value);
    }
}

/// Puts a value at a place; `*` is the first item there.
fn put(body: &mut Body, place: &Pointer, value: Body) {
    if place.is_whole() {
        *body = value;
        return;
    }
    let there: Result<Pointer, String> = place.to_string().replace("/*", "/0").parse();
    // What is in the way was put there for a reason.
    let _in_the_way = there.and_then(|there| there.put(body, value));
}

/// The name that a path is nothing but.
fn whole_url_name(path: &Template) -> Option<&str> {
    let name = path.names().next()?;
    (path.to_string() == format!("{{{name}}}")).then_some(name)
}

/// The places of an answer that a template reads.
fn pointers_of(template: &Template) -> Vec<Pointer> {
    let text = template.to_string();
    let pieces = text.split('{').skip(1).filter_map(|piece| piece.split('}').next());
    pieces.filter(|piece| piece.starts_with('/')).filter_map(|piece| piece.parse().ok()).collect()
}

/// Whether a path fits one in which `*` stands for one or more characters.
fn fits(pattern: &str, path: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| path.strip_prefix(first)) else {
        return false;
    };
    for piece in pieces {
        if piece.is_empty() {
            return !rest.is_empty() && !rest.contains('/');
        }
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.is_empty()
}
