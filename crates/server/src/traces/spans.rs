//! Spans of one run, made of its events. Nothing here reads a clock or a store.

use std::collections::BTreeMap;

use impasto_domain::{
    AssetRef, Candidate, Decision, Digest, Error, InstanceKey, MediaKind, Money, Value, Values,
};
use impasto_store::{RunStatus, StoredRun};
use impasto_workflow::Event;
use serde_json::{Value as Json, json};

use crate::calls::Origin;

/// Hexadecimal digits of an id of a trace, and of a span.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;
/// Kinds of spans: work of our own, and a call to somebody else.
const INTERNAL: u32 = 1;
const CLIENT: u32 = 3;
/// The status of a span that failed.
const FAILED: u32 = 2;

/// An export request of these spans.
pub(crate) fn export(service: &str, spans: &[Json]) -> Json {
    let resource =
        [text("service.name", service), text("service.version", env!("CARGO_PKG_VERSION"))];
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": "impasto", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
}

/// The spans of a run that has ended, with its events from the first on.
pub(crate) fn spans(run: &StoredRun) -> Vec<Json> {
    let mut journal = Journal::default();
    for stored in &run.events {
        if let Ok(event) = serde_json::from_str(&stored.body) {
            journal.read(event, stored.at_ms);
        }
    }
    let record = &run.record;
    let seed = record.run.id.as_str();
    let origin: Origin = serde_json::from_str(&record.run.origin).unwrap_or_default();
    let root = Draft {
        id: seed.to_owned(),
        parent: None,
        name: format!("run {}", record.run.workflow),
        kind: INTERNAL,
        start_ms: record.run.created_ms,
        end_ms: record.updated_ms,
        attributes: vec![
            text("impasto.run.id", seed),
            text("impasto.tenant", record.run.tenant.as_str()),
            text("impasto.workflow", &record.run.workflow),
            text("impasto.run.status", record.status.as_str()),
            text("impasto.catalog.revision", &record.run.catalog_revision),
            cost(journal.cost()),
        ],
        error: (record.status != RunStatus::Succeeded).then(|| record.status.as_str().to_owned()),
    };
    let mut drafts = vec![root];
    for (key, step) in &journal.steps {
        step.drafts(seed, key, record.updated_ms, &mut drafts);
    }
    let mut spans: Vec<Json> = drafts.iter().map(|draft| draft.span(seed)).collect();
    if let Some(parent) = origin.parent {
        if let Some(root) = spans.first_mut() {
            root["parentSpanId"] = parent.span.into();
        }
        for span in &mut spans {
            span["traceId"] = parent.trace.as_str().into();
        }
    }
    spans
}

/// What the events say of each step.
#[derive(Default)]
struct Journal {
    steps: BTreeMap<String, StepSpan>,
}

struct StepSpan {
    first_ms: u64,
    last_ms: u64,
    decision: Option<Decision>,
    is_reused: bool,
    attempts: BTreeMap<u32, AttemptSpan>,
}

struct AttemptSpan {
    candidate: Option<Candidate>,
    start_ms: u64,
    end_ms: Option<u64>,
    cost: Money,
    error: Option<Error>,
    /// What it made, as the conventions for generative models name it.
    made: Option<&'static str>,
}

/// What a call to any model is called by the conventions; which task it does is an attribute of ours.
const GENERATE: &str = "generate_content";

/// How the conventions name what is in an output. They know words, pictures and speech; the rest has
/// names of ours.
fn kind_of(output: &Values) -> &'static str {
    match output.values().flat_map(Value::assets).next().map(AssetRef::kind) {
        None => "text",
        Some(MediaKind::Image) => "image",
        Some(MediaKind::Audio) => "speech",
        Some(MediaKind::Video) => "video",
        Some(MediaKind::Mesh) => "mesh",
        Some(MediaKind::World) => "world",
        Some(MediaKind::Other) => "file",
    }
}

impl Journal {
    fn cost(&self) -> Money {
        self.steps.values().map(StepSpan::cost).sum()
    }

    fn step(&mut self, key: &InstanceKey, at_ms: u64) -> &mut StepSpan {
        let step = self.steps.entry(key.to_string()).or_insert_with(|| StepSpan {
            first_ms: at_ms,
            last_ms: at_ms,
            decision: None,
            is_reused: false,
            attempts: BTreeMap::new(),
        });
        step.last_ms = at_ms;
        step
    }

    fn read(&mut self, event: Event, at_ms: u64) {
        match event {
            Event::Decided { key, decision } => self.step(&key, at_ms).decision = Some(decision),
            Event::Reused { key, decision, .. } => {
                let step = self.step(&key, at_ms);
                (step.decision, step.is_reused) = (Some(decision), true);
            }
            Event::AttemptStarted { key, attempt, offer } => {
                let step = self.step(&key, at_ms);
                let ranked = step.decision.iter().flat_map(|decision| &decision.ranked);
                let candidate = ranked.into_iter().find(|it| it.offer == offer).cloned();
                let begun = AttemptSpan {
                    candidate,
                    start_ms: at_ms,
                    end_ms: None,
                    cost: Money::ZERO,
                    error: None,
                    made: None,
                };
                step.attempts.entry(attempt).or_insert(begun);
            }
            Event::AttemptDone { key, attempt, cost, output, .. } => {
                self.end(&key, attempt, (at_ms, cost, None));
                if let Some(span) = self.step(&key, at_ms).attempts.get_mut(&attempt) {
                    span.made = Some(kind_of(&output));
                }
            }
            Event::AttemptFailed { key, attempt, cost, error, .. } => {
                self.end(&key, attempt, (at_ms, cost, Some(error)));
            }
            Event::AttemptVoid { key, attempt } => {
                self.end(&key, attempt, (at_ms, Money::ZERO, None));
            }
            Event::AttemptLost { key, .. } | Event::Answered { key, .. } => {
                self.step(&key, at_ms);
            }
            _ => {}
        }
    }

    fn end(&mut self, key: &InstanceKey, attempt: u32, how: (u64, Money, Option<Error>)) {
        let (at_ms, cost, error) = how;
        if let Some(span) = self.step(key, at_ms).attempts.get_mut(&attempt) {
            (span.end_ms, span.cost, span.error) = (Some(at_ms), cost, error);
        }
    }
}

impl StepSpan {
    fn cost(&self) -> Money {
        self.attempts.values().map(|attempt| attempt.cost).sum()
    }

    /// The step and its attempts. What never ended ended with the run.
    fn drafts(&self, seed: &str, key: &str, run_end_ms: u64, drafts: &mut Vec<Draft>) {
        let id = format!("{seed} {key}");
        let last = self.attempts.values().next_back();
        let mut attributes = vec![text("impasto.step", key), cost(self.cost())];
        attributes.extend(self.decision.iter().map(|it| text("impasto.task", it.task.as_str())));
        attributes.push(flag("impasto.reused", self.is_reused));
        drafts.push(Draft {
            id: id.clone(),
            parent: Some(seed.to_owned()),
            name: format!("step {key}"),
            kind: INTERNAL,
            start_ms: self.first_ms,
            end_ms: self.last_ms,
            attributes,
            error: last
                .and_then(|attempt| attempt.error.as_ref())
                .map(|error| error.message.clone()),
        });
        for (number, attempt) in &self.attempts {
            drafts.push(attempt.draft(&id, *number, self.decision.as_ref(), run_end_ms));
        }
    }
}

impl AttemptSpan {
    fn draft(
        &self,
        step: &str,
        number: u32,
        decision: Option<&Decision>,
        run_end_ms: u64,
    ) -> Draft {
        let mut attributes = vec![
            text("gen_ai.operation.name", GENERATE),
            number_of("impasto.attempt", i64::from(number)),
            cost(self.cost),
        ];
        if let Some(candidate) = &self.candidate {
            attributes.push(text("gen_ai.provider.name", candidate.provider.as_str()));
            attributes.push(text("gen_ai.request.model", candidate.model.as_str()));
            attributes.push(text("impasto.offer", candidate.offer.as_str()));
        }
        attributes.extend(decision.iter().map(|it| text("impasto.task", it.task.as_str())));
        attributes.extend(self.made.iter().map(|made| text("gen_ai.output.type", made)));
        attributes.extend(self.error.iter().map(|error| text("error.type", error.kind.as_str())));
        let model = self.candidate.as_ref().map_or("?", |candidate| candidate.model.as_str());
        Draft {
            id: format!("{step} {number}"),
            parent: Some(step.to_owned()),
            name: format!("{GENERATE} {model}"),
            kind: CLIENT,
            start_ms: self.start_ms,
            end_ms: self.end_ms.unwrap_or(run_end_ms),
            attributes,
            error: self.error.as_ref().map(|error| error.message.clone()),
        }
    }
}

/// A span that has no ids yet, only what they are derived from.
struct Draft {
    id: String,
    parent: Option<String>,
    name: String,
    kind: u32,
    start_ms: u64,
    end_ms: u64,
    attributes: Vec<Json>,
    error: Option<String>,
}

impl Draft {
    fn span(&self, run: &str) -> Json {
        let nanos = |ms: u64| ms.saturating_mul(1_000_000).to_string();
        let mut span = json!({
            "traceId": digits(run, TRACE_DIGITS),
            "spanId": digits(&self.id, SPAN_DIGITS),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": nanos(self.start_ms),
            "endTimeUnixNano": nanos(self.end_ms.max(self.start_ms)),
            "attributes": self.attributes,
        });
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = digits(parent, SPAN_DIGITS).into();
        }
        if let Some(message) = &self.error {
            span["status"] = json!({ "code": FAILED, "message": message });
        }
        span
    }
}

/// The first digits of a digest: enough to tell apart, and the same whenever they are asked for.
fn digits(of: &str, count: usize) -> String {
    Digest::of(of.as_bytes()).to_string().chars().take(count).collect()
}

fn text(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn flag(key: &str, value: bool) -> Json {
    json!({ "key": key, "value": { "boolValue": value } })
}

/// OTLP writes whole numbers as texts.
fn number_of(key: &str, value: i64) -> Json {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn cost(cost: Money) -> Json {
    number_of("impasto.cost_microdollars", cost.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_domain::{
        ErrorKind, ModelId, OfferId, ProviderId, RunId, TaskId, TenantId, Tier, Values,
    };
    use impasto_store::{NewRun, RunRecord, StoredEvent};

    fn decision() -> Decision {
        let candidate = |model: &str| Candidate {
            offer: OfferId::new(model),
            model: ModelId::new(model),
            provider: ProviderId::new("house"),
            version: "1".into(),
            tier: Tier::Draft,
            cost: Money::ZERO,
            is_unpriced: false,
            time_ms: 0,
            reason: String::new(),
        };
        Decision {
            task: TaskId::new("text-to-image"),
            ranked: vec![candidate("brush"), candidate("pen")],
            excluded: Vec::new(),
            absent: Vec::new(),
            catalog_revision: "r".into(),
        }
    }

    /// A run of one step whose first attempt failed and whose second went well.
    fn run() -> StoredRun {
        let key = || InstanceKey::new("draw", []);
        let offer = |name: &str| OfferId::new(name);
        let failed = Error::new(ErrorKind::ProviderFailed, "no paint");
        let (none, two) = (Money::ZERO, Money::micros(2_000));
        let events = [
            (1_000, Event::Started { input: Values::new() }),
            (1_010, Event::Decided { key: key(), decision: decision() }),
            (1_020, Event::AttemptStarted { key: key(), attempt: 1, offer: offer("brush") }),
            (
                1_030,
                Event::AttemptFailed {
                    key: key(),
                    attempt: 1,
                    error: failed,
                    cost: none,
                    time_ms: 10,
                },
            ),
            (1_040, Event::AttemptStarted { key: key(), attempt: 2, offer: offer("pen") }),
            (
                1_090,
                Event::AttemptDone {
                    key: key(),
                    attempt: 2,
                    output: Values::new(),
                    cost: two,
                    time_ms: 50,
                },
            ),
        ];
        let stored = |(at, (at_ms, event)): (usize, (u64, Event))| StoredEvent {
            seq: at as u64 + 1,
            at_ms,
            body: serde_json::to_string(&event).unwrap(),
        };
        let run = NewRun {
            id: RunId::new("run-1"),
            tenant: TenantId::new("acme"),
            workflow: "text-to-image".into(),
            plan: String::new(),
            request: String::new(),
            seed: 1,
            catalog_revision: "r".into(),
            created_ms: 999,
            origin: String::new(),
            priority: 0,
            start_by_ms: None,
            webhook: None,
            payer: String::new(),
            claim: None,
        };
        let record = RunRecord {
            run,
            status: RunStatus::Succeeded,
            updated_ms: 1_100,
            cancel_requested: false,
        };
        StoredRun { record, events: events.into_iter().enumerate().map(stored).collect() }
    }

    fn attribute<'s>(span: &'s Json, key: &str) -> Option<&'s Json> {
        let all = span["attributes"].as_array()?;
        all.iter().find(|one| one["key"] == key)?["value"].as_object()?.values().next()
    }

    #[test]
    fn a_run_is_one_trace_of_nested_spans_with_the_times_on_record() {
        let spans = spans(&run());
        let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            ["run text-to-image", "step draw", "generate_content brush", "generate_content pen"]
        );
        assert!(spans.iter().all(|span| span["traceId"] == spans[0]["traceId"]));
        assert!(spans[0].get("parentSpanId").is_none());
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[2]["parentSpanId"], spans[1]["spanId"]);
        assert_eq!(spans[3]["startTimeUnixNano"], "1040000000");
        assert_eq!(spans[3]["endTimeUnixNano"], "1090000000");
        assert_eq!(attribute(&spans[3], "gen_ai.request.model").unwrap(), "pen");
        assert_eq!(attribute(&spans[3], "gen_ai.operation.name").unwrap(), GENERATE);
        assert_eq!(attribute(&spans[3], "impasto.task").unwrap(), "text-to-image");
        assert_eq!(attribute(&spans[3], "gen_ai.output.type").unwrap(), "text");
        assert!(attribute(&spans[2], "gen_ai.output.type").is_none(), "it made nothing");
        assert_eq!(attribute(&spans[2], "error.type").unwrap(), "provider_failed");
        assert_eq!(spans[2]["status"]["code"], FAILED);
        assert!(spans[1].get("status").is_none(), "the step went well in the end");
        assert_eq!(attribute(&spans[0], "impasto.cost_microdollars").unwrap(), "2000");
    }

    #[test]
    fn what_is_made_has_the_name_of_the_conventions() {
        let check = |media_type: &str, expected: &str| {
            let facts = impasto_domain::MediaFacts::default();
            let (digest, media_type) = (Digest::of(b""), media_type.to_owned());
            let asset = AssetRef { digest, media_type, facts };
            let output = Values::from([("made".to_owned(), Value::from(asset))]);
            assert_eq!(kind_of(&output), expected);
        };
        check("image/png", "image");
        check("audio/wav", "speech");
        check("video/mp4", "video");
        assert_eq!(kind_of(&Values::from([("text".to_owned(), Value::from("words"))])), "text");
    }

    #[test]
    fn a_run_is_below_the_span_of_the_one_who_called() {
        let mut run = run();
        run.record.run.origin = r#"{"parent":{"trace":"4bf9","span":"00f0"}}"#.to_owned();
        let spans = spans(&run);
        assert!(spans.iter().all(|span| span["traceId"] == "4bf9"));
        assert_eq!(spans[0]["parentSpanId"], "00f0");
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
    }

    #[test]
    fn ids_are_as_long_as_they_must_be_and_the_same_every_time() {
        let (once, again) = (spans(&run()), spans(&run()));
        assert_eq!(once, again);
        for span in once {
            assert_eq!(span["traceId"].as_str().unwrap().len(), TRACE_DIGITS);
            assert_eq!(span["spanId"].as_str().unwrap().len(), SPAN_DIGITS);
        }
    }
}
