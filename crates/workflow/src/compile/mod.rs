//! From a file to a checked plan.
//!
//! Three passes, each of which goes on after a problem so that all are told at once: *read* the
//! file's shape ([`read`]), *link* names to what they name and find an order ([`link`]), *check* types
//! ([`types`]). A later pass runs only if the ones before found nothing wrong.

mod link;
mod read;
mod types;

use std::collections::BTreeMap;

use impasto_domain::{Diagnostic, MediaKind, Severity, Span, Task, TaskId, Type, Value, Values};

use crate::plan::{Output, Plan, Retry, Step, TaskCall, Work};
use crate::program::Program;
use crate::source::{Data, Node, parse};
use crate::template::Template;

/// The task that turns a described video into a file.
const RENDER_TASK: &str = "render-video";

/// A step as it was read, with the places of its parts.
pub(crate) struct Draft {
    pub(crate) step: Step,
    pub(crate) span: Span,
    /// Every value with expressions in it: what it is, and its node.
    pub(crate) values: Vec<(Part, Node)>,
    /// The step that `each` or `pick` names, and where.
    pub(crate) over: Option<(String, Span)>,
}

/// Which part of a step a value belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Input(String),
    Show,
    Each,
    Vary,
    When,
    By,
}

/// What the passes share.
pub(crate) struct Compiler<'a> {
    pub(crate) source: &'a str,
    pub(crate) tasks: &'a BTreeMap<TaskId, Task>,
    pub(crate) problems: Vec<Diagnostic>,
}

impl Compiler<'_> {
    pub(crate) fn problem(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    fn is_clean(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }

    /// The place in the file of a place in the text of a node. A text that is not written as it reads
    /// and cannot be followed is pointed at as a whole.
    pub(crate) fn place_in(&self, node: &Node, place: &std::ops::Range<usize>) -> Span {
        let written = self.source.get(node.span.start..node.span.end).unwrap_or_default();
        let found = node.text().and_then(|text| follow(written, text, place));
        found.map_or(node.span, |place| {
            (node.span.start + place.start..node.span.start + place.end).into()
        })
    }

    /// Compiles every expression in a value and tells what is wrong with them.
    pub(crate) fn templates(&mut self, node: &Node) -> Vec<(Node, Template)> {
        match &node.data {
            Data::List(items) => items.iter().flat_map(|item| self.templates(item)).collect(),
            Data::Map(entries) => {
                entries.iter().flat_map(|entry| self.templates(&entry.value)).collect()
            }
            Data::Scalar(Value::Text(text)) => match Template::compile_text(text) {
                Ok(template) => vec![(node.clone(), template)],
                Err(problems) => {
                    for problem in problems {
                        let span = self.place_in(node, &problem.place);
                        let mut diagnostic = Diagnostic::error(span, problem.message);
                        diagnostic.hint = problem.hint;
                        self.problem(diagnostic);
                    }
                    Vec::new()
                }
            },
            Data::Scalar(_) => Vec::new(),
        }
    }
}

/// Where `place` of `text` is in what was written for it: white space may have been folded, and what
/// is written before a character of the text (a quote, the sign of an escape) is passed over. `None`
/// if a character is not there, as where an escape stands for another one.
fn follow(
    written: &str,
    text: &str,
    place: &std::ops::Range<usize>,
) -> Option<std::ops::Range<usize>> {
    let passed =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | '|' | '>' | '-' | '+');
    let mut left = written.char_indices();
    let (mut start, mut end) = (None, None);
    for (at, wanted) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let (found, _) = left
            .by_ref()
            .take_while(|(_, c)| *c == wanted || passed(*c))
            .find(|(_, c)| *c == wanted)?;
        if at >= place.end && end.is_some() {
            break;
        }
        if at >= place.start {
            start = start.or(Some(found));
            end = Some(found + wanted.len_utf8());
        }
    }
    Some(start?..end?)
}

/// See [`Plan::compile`].
pub(crate) fn compile(
    source: &str,
    tasks: &BTreeMap<TaskId, Task>,
) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let root = parse(source)?;
    let mut compiler = Compiler { source, tasks, problems: Vec::new() };
    let draft = read::workflow(&mut compiler, &root);
    let (Some(draft), true) = (draft, compiler.is_clean()) else {
        return Err(sorted(compiler.problems));
    };
    let linked = link::link(&mut compiler, draft);
    let (Some(mut linked), true) = (linked, compiler.is_clean()) else {
        return Err(sorted(compiler.problems));
    };
    types::check(&mut compiler, &mut linked);
    if !compiler.is_clean() {
        return Err(sorted(compiler.problems));
    }
    let mut plan = linked.into_plan();
    render_videos(&mut plan, tasks);
    match Program::build(&plan) {
        Ok(_) => Ok((plan, sorted(compiler.problems))),
        Err(message) => Err(vec![Diagnostic::error(root.span, message)]),
    }
}

fn sorted(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort_by_key(|problem| (problem.severity, problem.span));
    problems.dedup();
    problems
}

/// Gives every output that is a video a last step that renders it, unless it comes from one.
fn render_videos(plan: &mut Plan, tasks: &BTreeMap<TaskId, Task>) {
    let Some(render) = tasks.get(&TaskId::new(RENDER_TASK)) else { return };
    let rendered = |value: &Value, steps: &[Step]| {
        let template = Template::compile(value).ok()?;
        let crate::reference::Root::Output { step, .. } = &template.lone()?.root else {
            return None;
        };
        let step = steps.iter().find(|one| one.name == *step)?;
        Some(matches!(&step.work, Work::Call(call) if call.task.id == render.id))
    };
    let videos = Type::Media(MediaKind::Video);
    for output in plan.outputs.iter_mut().filter(|output| output.ty.as_ref() == Some(&videos)) {
        if rendered(&output.value, &plan.steps) != Some(false) {
            continue;
        }
        let name = format!("render:{}", output.name);
        let value = Value::from(format!("{{{{ steps['{name}']['video'] }}}}"));
        let video = std::mem::replace(&mut output.value, value);
        plan.steps.push(render_step(name, video, render));
    }
}

fn render_step(name: String, video: Value, task: &Task) -> Step {
    let template = Template::compile(&video).ok();
    let references = template.as_ref().map(Template::references).unwrap_or_default();
    let needs = references.iter().filter_map(|reference| match &reference.root {
        crate::reference::Root::Output { step, .. } => Some(step.clone()),
        _ => None,
    });
    let needs = needs.collect();
    let call = TaskCall {
        task: task.clone(),
        input: Values::from([("video".to_owned(), video)]),
        policy: Default::default(),
        retry: Retry::default(),
        fallback: true,
        timeout_ms: 4 * crate::DEFAULT_TIMEOUT_MS,
        cache: true,
    };
    Step { name, work: Work::Call(Box::new(call)), each: None, vary: Vec::new(), when: None, needs }
}

/// A workflow whose names are linked: steps in an order in which they can run.
pub(crate) struct Linked {
    pub(crate) plan: Plan,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) outputs: Vec<(Output, Node)>,
    pub(crate) inputs: Vec<(String, Option<Node>)>,
}

impl Linked {
    fn into_plan(self) -> Plan {
        let steps = self.drafts.into_iter().map(|draft| draft.step).collect();
        let outputs = self.outputs.into_iter().map(|(output, _)| output).collect();
        Plan { steps, outputs, ..self.plan }
    }
}
