//! What can go wrong on a wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use impasto_domain::{ErrorKind, MediaKind, Money};

use super::door::sample_bytes;
use super::server::{Arrived, Manner, Reply, Wire};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It starts a job.
    Start,
    /// It asks for a job or its result.
    Ask,
    /// It cancels a job.
    Cancel,
    /// It brings a file.
    Upload,
    /// It fetches a file of a result.
    File,
    /// Anything else.
    Other,
}

/// How jobs go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// They wait, run, and are done.
    #[default]
    Usual,
    /// They never end, unless they are cancelled.
    Endless,
    /// They run until somebody cancels them, and are done all the same.
    DoneAfterCancel,
    /// They fail.
    Failing,
}

/// Where the links of results lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// To the file.
    #[default]
    Good,
    /// To the metadata service of a cloud.
    Inward,
}

/// What happens to the first requests of a role instead of a good answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slip {
    /// How many of them; `u32::MAX` for all.
    pub times: u32,
    /// Whether the provider does what it was asked for all the same.
    pub is_done: bool,
    /// The status, if it is not that of the good answer.
    pub status: Option<u16>,
    /// How long to wait, in seconds, if the answer says so.
    pub retry_after_s: Option<u32>,
    /// The media type and the text of the body, if it is not that of the good answer.
    pub body: Option<(&'static str, &'static str)>,
    /// How the answer is given.
    pub manner: Manner,
}

/// Everything that goes wrong in one case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mischief {
    /// Nobody is there.
    pub is_deaf: bool,
    /// How many connections are reset before anything is read from them.
    pub resets: u32,
    /// What happens to the requests of each role.
    pub slips: BTreeMap<Role, Slip>,
    /// How jobs go.
    pub pace: Pace,
    /// Where links lead.
    pub link: Link,
    /// Whether a start is answered with an error inside of a good status.
    pub error_inside: bool,
}

/// A wire that answers as a provider does.
pub trait Honest: Send + Sync {
    /// What a request is for.
    fn role(&self, arrived: &Arrived) -> Role;

    /// Does what is asked for, and answers.
    fn answer(&self, arrived: &Arrived) -> Reply;

    /// Sets how jobs go.
    fn set_pace(&self, pace: Pace);

    /// Sets where files are.
    fn set_files(&self, url: &str);

    /// How a start is refused inside of a good status, and what that means.
    fn error_inside(&self) -> Option<(Reply, ErrorKind)>;

    /// Whether jobs are asked for after their start.
    fn is_asked(&self) -> bool;

    /// Whether a job can be cancelled.
    fn is_cancelled(&self) -> bool;

    /// What sorts of files results link to.
    fn links(&self) -> Vec<MediaKind>;

    /// Whether results name their files at the provider instead of linking to them.
    fn names_files(&self) -> bool {
        false
    }

    /// What the provider says that a job cost, if it says.
    fn charge(&self) -> Option<Money> {
        None
    }

    /// Whether a job can fail after it was taken.
    fn can_fail(&self) -> bool {
        self.is_asked()
    }

    /// How many jobs were taken.
    fn taken(&self) -> u32;

    /// What was wrong with requests, in words: a missing credential, a placeholder that was not filled.
    fn complaints(&self) -> Vec<String>;
}

/// A wire on which things go wrong.
pub struct Naughty<H: ?Sized> {
    honest: Arc<H>,
    mischief: Mischief,
    counts: Mutex<BTreeMap<Role, u32>>,
    connections: Mutex<u32>,
}

impl<H: Honest + ?Sized> Naughty<H> {
    /// The wire of `honest`, with mischief.
    pub fn new(honest: Arc<H>, mischief: Mischief) -> Self {
        honest.set_pace(mischief.pace);
        Self { honest, mischief, counts: Mutex::default(), connections: Mutex::default() }
    }

    /// The wire on which nothing goes wrong.
    pub fn honest(&self) -> Arc<H> {
        Arc::clone(&self.honest)
    }

    /// How many requests of a role arrived.
    pub fn count(&self, role: Role) -> u32 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&role).copied().unwrap_or(0)
    }

    fn slip(&self, role: Role) -> Option<&Slip> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(role).or_default();
        *count += 1;
        self.mischief.slips.get(&role).filter(|slip| *count <= slip.times)
    }
}

impl<H: Honest + ?Sized> Wire for Naughty<H> {
    fn answer(&self, arrived: &Arrived) -> Reply {
        let role = self.honest.role(arrived);
        let slip = self.slip(role);
        if role == Role::Start
            && self.mischief.error_inside
            && let Some((reply, _)) = self.honest.error_inside()
        {
            return reply;
        }
        match slip {
            None => self.honest.answer(arrived),
            Some(slip) => slip.bend(|| self.honest.answer(arrived)),
        }
    }

    fn resets_connection(&self) -> bool {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        *connections += 1;
        *connections <= self.mischief.resets
    }
}

impl Slip {
    /// The answer that is given instead of the good one.
    fn bend(&self, good: impl FnOnce() -> Reply) -> Reply {
        let mut reply =
            if self.is_done { good() } else { Reply::of(200, "text/plain", Vec::new()) };
        if let Some(status) = self.status {
            reply.status = status;
        }
        if let Some((media_type, body)) = self.body {
            reply.headers = vec![("content-type".to_owned(), media_type.to_owned())];
            reply.body = body.as_bytes().to_vec();
        }
        if let Some(seconds) = self.retry_after_s {
            reply = reply.header("retry-after", &seconds.to_string());
        }
        reply.manner(self.manner)
    }
}

/// Where the files of results are: `/KIND/NUMBER`.
pub struct Files {
    mischief: Option<Slip>,
    count: Mutex<u32>,
}

impl Files {
    /// A place with files, of which the first ones slip as `mischief` says.
    pub fn new(mischief: Option<Slip>) -> Self {
        Self { mischief, count: Mutex::default() }
    }
}

/// The path of a file of a kind.
pub fn path_of(kind: MediaKind, which: u8) -> String {
    format!("/{kind}/{which}")
}

impl Wire for Files {
    fn answer(&self, arrived: &Arrived) -> Reply {
        let good = || {
            let mut words = arrived.path.trim_start_matches('/').split('/');
            let kind = words.next().unwrap_or_default();
            let which = words.next().and_then(|which| which.parse().ok()).unwrap_or(0);
            let (kind, media_type) = match kind {
                "image" => (MediaKind::Image, "image/png"),
                "video" => (MediaKind::Video, "video/mp4"),
                "audio" => (MediaKind::Audio, "audio/wav"),
                "mesh" => (MediaKind::Mesh, "model/gltf-binary"),
                _ => (MediaKind::Other, "application/octet-stream"),
            };
            Reply::of(200, media_type, sample_bytes(kind, which))
        };
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        match self.mischief.as_ref().filter(|slip| *count <= slip.times) {
            None => good(),
            Some(slip) => slip.bend(good),
        }
    }
}
