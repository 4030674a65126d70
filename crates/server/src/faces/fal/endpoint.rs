//! What an address names: an endpoint that is called, or a request that was made.
//!
//! An endpoint is `owner/alias`, perhaps with a path behind, perhaps with a namespace before. It is
//! called by its whole path; what becomes of the call is found below `owner/alias` alone.

use impasto_catalog::Catalog;
use impasto_domain::{Error, Result, TaskId};

use crate::calls::{ANY_MODEL, Name, find_model};

/// The namespace of workflows.
const WORKFLOWS: &str = "workflows";
/// What may stand before the owner.
const NAMESPACES: [&str; 2] = [WORKFLOWS, "comfy"];
/// The owner of what is named by our own words: `impasto/hero`, `impasto/text-to-image`.
const OURS: &str = "impasto";
/// What a name means that leaves the model open and does not say what is to be done.
const USUAL_TASK: &str = "text-to-image";
/// The names that leave the model open.
const OPEN: [&str; 4] = [ANY_MODEL, "draft", "standard", "hero"];

/// Something that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    parts: Vec<String>,
}

/// What is asked of a request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Status,
    StatusStream,
    Result,
    Cancel,
}

/// What an address of the queue names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// An endpoint.
    Call(Endpoint),
    /// A request that was made.
    Request { id: String, about: About },
}

impl Asked {
    /// Reads the path of an address of the queue.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let place = parts.iter().position(|part| *part == "requests").filter(|place| *place > 0);
        let below = place.and_then(|place| parts.get(place + 1..)).unwrap_or_default();
        let (id, about) = match below {
            [id] => (id, About::Result),
            [id, "status"] => (id, About::Status),
            [id, "status", "stream"] => (id, About::StatusStream),
            [id, "cancel"] => (id, About::Cancel),
            _ => return Endpoint::parse(path).map(Self::Call),
        };
        Ok(Self::Request { id: (*id).to_owned(), about })
    }
}

impl Endpoint {
    /// Reads what is called.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if parts.is_empty() {
            return Err(Error::not_found("no model is named").hint("call owner/alias"));
        }
        Ok(Self { parts })
    }

    /// The same without that path at its end, if it is there.
    pub(super) fn without(&self, last: &str) -> Option<Self> {
        let (end, parts) = self.parts.split_last()?;
        (end == last && !parts.is_empty()).then(|| Self { parts: parts.to_vec() })
    }

    /// Everything.
    pub(super) fn path(&self) -> String {
        self.parts.join("/")
    }

    fn part(&self, place: usize) -> Option<&str> {
        self.parts.get(place).map(String::as_str)
    }

    fn owner_at(&self) -> usize {
        usize::from(self.part(0).is_some_and(|first| NAMESPACES.contains(&first)))
    }

    /// What comes after the owner.
    pub(super) fn alias(&self) -> &str {
        self.part(self.owner_at() + 1).or_else(|| self.part(0)).unwrap_or_default()
    }

    /// Below what requests to it are found.
    pub(super) fn app(&self) -> String {
        self.parts.get(..self.owner_at() + 2).unwrap_or(&self.parts).join("/")
    }

    /// Whether it is a workflow.
    pub(super) fn is_workflow(&self) -> bool {
        self.part(0) == Some(WORKFLOWS)
    }

    /// What it stands for, and the tasks that may be meant.
    pub(super) fn meant(&self, catalog: &Catalog) -> Result<(Name, Vec<TaskId>)> {
        if self.is_workflow() {
            return self.workflow().map(|name| (name, Vec::new()));
        }
        let is_task = |name: &str| catalog.tasks.contains_key(&TaskId::new(name));
        let words = match self.part(0) {
            Some(OURS) => self.parts.get(1..).unwrap_or_default(),
            _ => &self.parts,
        };
        if let [open] | [open, _] = words
            && OPEN.contains(&open.as_str())
        {
            let task = words.get(1).map_or(USUAL_TASK, String::as_str);
            if !is_task(task) {
                return Err(Error::not_found(format!("there is no task `{task}`"))
                    .hint("GET /v1/tasks lists them"));
            }
            return Ok((Name::Model(open.clone()), vec![TaskId::new(task)]));
        }
        if let [task] = words
            && is_task(task)
        {
            return Ok((Name::Task(TaskId::new(task)), Vec::new()));
        }
        let whole = self.path();
        let found = find_model(catalog, &whole).map(drop);
        if found.is_err()
            && let Some((task, before)) = words.split_last().filter(|(task, _)| is_task(task))
            && find_model(catalog, &before.join("/")).is_ok()
        {
            return Ok((Name::Model(before.join("/")), vec![TaskId::new(task)]));
        }
        found.map(|()| (Name::Model(whole), Vec::new()))
    }

    /// A workflow; a number behind its name is its version.
    fn workflow(&self) -> Result<Name> {
        let named =
            |version| self.part(2).map(|name| Name::Workflow { name: name.to_owned(), version });
        let name = match self.part(3) {
            None => named(None),
            Some(version) => version.parse().ok().and_then(|version| named(Some(version))),
        };
        name.ok_or_else(|| {
            Error::not_found(format!("'{}' names no workflow", self.path()))
                .hint("call workflows/owner/name, or workflows/owner/name/version")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let got = match Asked::parse(path).unwrap() {
            Asked::Call(endpoint) => {
                format!("call {}, below {}, {}", endpoint.path(), endpoint.app(), endpoint.alias())
            }
            Asked::Request { id, about } => format!("{about:?} of {id}"),
        };
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn an_address_names_an_endpoint_or_a_request() {
        check("fal-ai/flux/dev", "call fal-ai/flux/dev, below fal-ai/flux, flux");
        check("hero", "call hero, below hero, hero");
        check(
            "workflows/acme/film/2",
            "call workflows/acme/film/2, below workflows/acme/film, film",
        );
        check("fal-ai/flux/requests/ab12", "Result of ab12");
        check("fal-ai/flux/requests/ab12/status", "Status of ab12");
        check("fal-ai/flux/requests/ab12/status/stream", "StatusStream of ab12");
        check("workflows/acme/film/requests/ab12/cancel", "Cancel of ab12");
        check("requests/ab12", "call requests/ab12, below requests/ab12, ab12");
        check("a/requests/b/what", "call a/requests/b/what, below a/requests, requests");
        assert!(Asked::parse("//").is_err());
    }

    #[test]
    fn a_path_at_the_end_is_taken_away_once() {
        let endpoint = Endpoint::parse("a/b/stream").unwrap();
        assert_eq!(endpoint.without("stream").unwrap().path(), "a/b");
        assert_eq!(endpoint.without("realtime"), None);
        assert_eq!(Endpoint::parse("stream").unwrap().without("stream"), None);
    }
}
