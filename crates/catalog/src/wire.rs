//! How a provider's jobs are spoken to, as data: the dialect `submit-poll`.
//!
//! A [`Wire`] says where a job is submitted, which part of the answer names it, how it is asked for,
//! which words mean that it is done, and where to get what it made. The vocabulary is closed: a
//! provider that it cannot describe needs a dialect of its own. Nothing here does IO; a driver sends
//! what a [`Call`] describes and reads the answer with [`StateTable::read`].
//!
//! Placeholders: paths, queries and sent fields are [`Template`]s. `{endpoint}` is the offer's
//! endpoint, `{attempt}` our own name for the attempt; `{id}` and other names are what [`Wire::handle`] took from the answer to the submission;
//! `{/a/pointer}` is read from the answer at hand (the poll's answer for [`Wire::result`], the found
//! item for [`Wire::item`]). A path that begins with `http` once it is filled is a URL of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use impasto_domain::{Error, Money, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::pointer::Pointer;

/// A text with places to be filled in.
///
/// ```
/// use impasto_catalog::Template;
/// let path: Template = "/v1/{endpoint}/{id}".parse()?;
/// let facts = [("endpoint", "videos/text2video"), ("id", "t 1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
/// assert_eq!(path.fill_path(&facts.into(), &serde_json::Value::Null).unwrap(), "/v1/videos/text2video/t%201");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Name(String),
    Found(Pointer),
}

impl Template {
    /// The names that it needs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it reads the answer at hand.
    pub fn reads_answer(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Found(_)))
    }

    /// The text with everything filled in as it is.
    ///
    /// # Errors
    /// Something is not there.
    pub fn fill(&self, facts: &BTreeMap<String, String>, answer: &Json) -> Result<String> {
        self.filled(facts, answer, &str::to_owned)
    }

    /// The text with everything filled in as it can stand in a path: what is not a letter, a digit or
    /// one of `-._~/:` is percent-encoded, unless the text is nothing but one placeholder.
    ///
    /// # Errors
    /// Something is not there.
    pub fn fill_path(&self, facts: &BTreeMap<String, String>, answer: &Json) -> Result<String> {
        if self.0.len() == 1 {
            self.fill(facts, answer)
        } else {
            self.filled(facts, answer, &encoded)
        }
    }

    fn filled(
        &self,
        facts: &BTreeMap<String, String>,
        answer: &Json,
        write: &dyn Fn(&str) -> String,
    ) -> Result<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(words) => text.push_str(words),
                Piece::Name(name) => {
                    let fact = facts.get(name).ok_or_else(|| missing(&format!("`{name}`")))?;
                    text.push_str(&write(fact));
                }
                Piece::Found(pointer) => {
                    let found = pointer.first(answer).and_then(scalar_text);
                    let found =
                        found.ok_or_else(|| missing(&format!("anything at `{pointer}`")))?;
                    text.push_str(&write(&found));
                }
            }
        }
        Ok(text)
    }
}

fn missing(what: &str) -> Error {
    Error::new(
        impasto_domain::ErrorKind::ProviderFailed,
        format!("the provider's answer does not have {what}"),
    )
}

fn encoded(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// A text, number or truth as text.
pub(crate) fn scalar_text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let unclosed = || format!("'{text}' has a {{ without its }}");
            let (name, further) = after.split_once('}').ok_or_else(unclosed)?;
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            pieces.push(if name.starts_with('/') {
                Piece::Found(name.parse()?)
            } else if !name.is_empty() && name.chars().all(is_name) {
                Piece::Name(name.to_owned())
            } else {
                return Err(format!("in '{text}', {{{name}}} is neither a name nor a pointer"));
            });
            rest = further;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Name(name) => write!(f, "{{{name}}}")?,
                // One key at the top is written with its slash here: without, it would be a name.
                Piece::Found(pointer) if pointer.is_key() => write!(f, "{{/{pointer}}}")?,
                Piece::Found(pointer) => write!(f, "{{{pointer}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// To read.
    #[default]
    Get,
    /// To make something.
    Post,
    /// To put something at a place.
    Put,
    /// To change something.
    Patch,
    /// To take something away.
    Delete,
}

impl Method {
    /// The word that goes over the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How the body of a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// There is none.
    #[default]
    None,
    /// As JSON.
    Json,
    /// As `multipart/form-data`; files are parts.
    Multipart,
    /// As `application/x-www-form-urlencoded`.
    Form,
    /// The bytes of the file and nothing else.
    Raw,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// JSON.
    #[default]
    Json,
    /// The file itself.
    Bytes,
    /// Nothing that matters.
    Empty,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Which of the provider's base URLs it goes to.
    #[serde(default = "Call::usual_base")]
    pub base: String,
    /// The path below the base, or a whole URL once it is filled in.
    pub path: Template,
    /// The query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Template>,
    /// Further headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How the body is written. The body of a submission is what the offer's mapping makes.
    #[serde(default)]
    pub body: Encoding,
    /// Fields of the body that are not the mapping's, such as `model = "{endpoint}"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub send: BTreeMap<Pointer, Template>,
    /// What the answer is.
    #[serde(default)]
    pub answer: Answer,
}

impl Call {
    fn usual_base() -> String {
        "default".to_owned()
    }

    /// Every template in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.path].into_iter().chain(self.query.values()).chain(self.send.values())
    }
}

/// Where a submission says whom the provider is to tell that something happened to the job. What it
/// tells is not read: it is a reason to ask, nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// Where the address goes in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// Under which name it goes into the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What goes into the body beside it, such as of what to tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<Pointer, Json>,
}

impl Callback {
    /// What is wrong with it in a submission whose body is written like that, if anything.
    fn problem(&self, body: Encoding) -> Option<&'static str> {
        if self.at.is_some() == self.query.is_some() {
            return Some("`callback` says either `at` or `query`");
        }
        let has_body = matches!(body, Encoding::Json | Encoding::Multipart | Encoding::Form);
        let needs_body = self.at.is_some() || !self.with.is_empty();
        (needs_body && !has_body)
            .then_some("`callback` puts something into a body that is not there")
    }
}

/// How jobs are submitted, asked for and fetched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// The submission.
    pub submit: Call,
    /// What is kept of the answer to the submission, by name: what `poll`, `result` and `cancel` need.
    /// Empty means that the answer is the result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub handle: BTreeMap<String, Pointer>,
    /// How the submission says whom to tell of the job; absent if the provider tells nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// How the job is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Call>,
    /// How to tell from an answer where the job is. If the answer to the submission says that it is
    /// done already, it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateTable>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// A further request once it has succeeded; absent if the poll's answer has the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Call>,
    /// How the file of each found item is fetched, where an item is not a URL but names a file. The
    /// answer is the file itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Call>,
    /// How it is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Call>,
    /// Where an answer says what it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Charge>,
    /// How long to wait between two polls, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_every_ms: Option<u64>,
}

impl Wire {
    /// Every request that it can make, the submission first.
    pub fn calls(&self) -> Vec<&Call> {
        let others = [&self.poll, &self.result, &self.item, &self.cancel];
        [&self.submit].into_iter().chain(others.into_iter().flatten()).collect()
    }

    /// Whether the answer that has the result is a file.
    pub fn ends_in_a_file(&self) -> bool {
        let last = self.result.as_ref().or(self.poll.as_ref()).unwrap_or(&self.submit);
        last.answer == Answer::Bytes
    }

    /// What is wrong with it as a whole, if anything; `facts` are names that are always known.
    pub(crate) fn problem(&self, facts: &[&str]) -> Option<String> {
        let known = |name: &str| facts.contains(&name) || self.handle.contains_key(name);
        let later = self.calls().into_iter().skip(1).flat_map(Call::templates);
        let unknown = later.flat_map(Template::names).find(|name| !known(name));
        if let Some(name) = unknown {
            return Some(format!("nobody says what {{{name}}} is: the handle does not keep it"));
        }
        if self.poll.is_some() && self.handle.is_empty() {
            return Some("it is asked for, but its handle keeps nothing to ask with".to_owned());
        }
        if let Some(callback) = &self.callback {
            if self.poll.is_none() {
                return Some("it has a `callback`, but nothing is asked for then".to_owned());
            }
            if let Some(problem) = callback.problem(self.submit.body) {
                return Some(problem.to_owned());
            }
        }
        if self.item.as_ref().is_some_and(|item| item.answer != Answer::Bytes) {
            return Some("the answer to `item` must be the file: `answer = \"bytes\"`".to_owned());
        }
        let ends = self.state.as_ref().is_some_and(StateTable::knows_an_end);
        if self.poll.is_some() && !ends {
            return Some("it is asked for, but no word says that it is done".to_owned());
        }
        None
    }
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued,
    /// It is under way.
    Running,
    /// It is done.
    Succeeded,
    /// It failed for good.
    Failed,
    /// It was refused for its content.
    Refused,
    /// Somebody stopped it.
    Cancelled,
    /// The answer has a word that the table does not have.
    Unknown(String),
}

/// How to tell from an answer where a job is. Words are compared without regard to case; numbers and
/// truths are words too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateTable {
    /// Where the word is. With `*`, one failed job fails all, and all must have succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// Whether the status of the HTTP answer is the word.
    #[serde(skip_serializing_if = "is_false")]
    pub http: bool,
    /// Words for waiting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<Json>,
    /// Words for being under way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Json>,
    /// Words for being done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub succeeded: Vec<Json>,
    /// Words for having failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Json>,
    /// Words for having been refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Json>,
    /// Words for having been stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<Json>,
    /// If there is something but null here, it failed, whatever the word is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_if: Option<Pointer>,
    /// What no word at all means; absent, an answer without a word is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

/// What an answer without a word for the state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// It waits.
    Queued,
    /// It is under way.
    Running,
    /// It is done.
    Succeeded,
}

impl StateTable {
    /// Where the job is, by an answer with that HTTP status.
    pub fn read(&self, status: u16, answer: &Json) -> JobState {
        if self.failed_if.as_ref().is_some_and(|pointer| pointer.first(answer).is_some()) {
            return JobState::Failed;
        }
        let words: Vec<Json> = if self.http {
            vec![Json::from(status)]
        } else {
            let found = self.at.iter().flat_map(|pointer| pointer.all(answer));
            found.filter(|word| !word.is_null()).cloned().collect()
        };
        let mut states: Vec<JobState> = words.iter().map(|word| self.of_word(word)).collect();
        if states.is_empty() {
            return match self.absent {
                Some(Absent::Queued) => JobState::Queued,
                Some(Absent::Running) => JobState::Running,
                Some(Absent::Succeeded) => JobState::Succeeded,
                None => JobState::Unknown(String::new()),
            };
        }
        // What decides for all comes last.
        states.sort_by_key(|state| match state {
            JobState::Succeeded => 0,
            JobState::Queued => 1,
            JobState::Running => 2,
            JobState::Unknown(_) => 3,
            JobState::Cancelled => 4,
            JobState::Refused => 5,
            JobState::Failed => 6,
        });
        states.pop().unwrap_or(JobState::Running)
    }

    fn of_word(&self, word: &Json) -> JobState {
        let text = scalar_text(word).unwrap_or_else(|| word.to_string());
        let is = |words: &[Json]| {
            words.iter().filter_map(scalar_text).any(|known| known.eq_ignore_ascii_case(&text))
        };
        let states = [
            (&self.succeeded, JobState::Succeeded),
            (&self.refused, JobState::Refused),
            (&self.failed, JobState::Failed),
            (&self.cancelled, JobState::Cancelled),
            (&self.queued, JobState::Queued),
            (&self.running, JobState::Running),
        ];
        let known = states.into_iter().find(|(words, _)| is(words)).map(|(_, state)| state);
        known.unwrap_or(JobState::Unknown(text))
    }

    /// Whether it has words for the end of a job.
    pub fn knows_an_end(&self) -> bool {
        (!self.succeeded.is_empty() || self.absent == Some(Absent::Succeeded))
            && (self.http || self.at.is_some())
    }
}

/// Where an answer says how far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Progress {
    /// Where the figure is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// The figure that means done: 1 or 100.
    pub of: Option<f64>,
    /// Where the place in the queue is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Pointer>,
    /// Where lines of a log are; each a text, or an object with a `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Pointer>,
}

impl Progress {
    /// How far it is, from 0 to 1, if the answer says.
    pub fn read(&self, answer: &Json) -> Option<f64> {
        let found = self.at.as_ref()?.first(answer)?;
        let text = scalar_text(found)?;
        let figure: f64 = text.trim_end_matches('%').parse().ok()?;
        let whole = self.of.filter(|whole| *whole > 0.0).unwrap_or(1.0);
        Some((figure / whole).clamp(0.0, 1.0)).filter(|share| share.is_finite())
    }
}

/// Where an answer says what a job cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// Where the figure is.
    pub at: Pointer,
    /// What one of it is in dollars: 1 for dollars, 0.01 for a credit of a cent.
    pub usd_each: f64,
}

impl Charge {
    /// What it cost, if the answer says; rounded up to a whole micro-dollar.
    pub fn read(&self, answer: &Json) -> Option<Money> {
        let figure: f64 = scalar_text(self.at.first(answer)?)?.parse().ok()?;
        // What is left of a decimal fraction in binary is no reason to round up.
        const BINARY_DUST: f64 = 1e-4;
        let micros = (figure * self.usd_each * 1e6 - BINARY_DUST).ceil();
        let known = micros.is_finite() && (0.0..9e15).contains(&micros.max(0.0));
        known.then(|| Money::micros(micros.max(0.0) as i64))
    }
}

/// How a file is brought to the provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// The first request. `{file_name}`, `{media_type}` and `{bytes}` (their number) can be sent.
    pub start: Call,
    /// The name of the part that has the file, if the first request carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A second request that carries the file, if the first only asks where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<Put>,
    /// Where the answer to the first request has what is handed on: a URL or an id. Absent: `url_is`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Pointer>,
    /// What is handed on, where it is put together from the answer, such as `asset://{/id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_is: Option<Template>,
    /// The largest file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// How long the file is kept there, in seconds; absent means that nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_s: Option<u64>,
}

/// The request that carries a file to where the first answer said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Where the answer has the URL to send it to.
    pub url: Pointer,
    /// The method.
    pub method: Method,
    /// `raw`, or `multipart` with the file as the part `file`.
    pub body: Encoding,
    /// Where the answer has further fields of the form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Pointer>,
}
