//! The second pass: names and what they name. Finds an order in which the steps can run, or a circle.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Diagnostic, Span};

use super::{Compiler, Draft, Linked, Part};
use crate::choose::PICK_OUTPUTS;
use crate::plan::{APPROVE_OUTPUTS, Work};
use crate::reference::{Reference, Root};
use crate::source::Node;
use crate::suggest;

/// What names mean: the inputs, and the outputs of every step.
struct Names {
    inputs: Vec<String>,
    steps: BTreeMap<String, Vec<String>>,
}

/// Checks every reference and puts the steps into an order.
pub(crate) fn link(compiler: &mut Compiler<'_>, mut linked: Linked) -> Option<Linked> {
    let names = names_of(&linked);
    for draft in &mut linked.drafts {
        link_step(compiler, draft, &names);
    }
    for (_, node) in &linked.outputs {
        for (node, template) in compiler.templates(&node.clone()) {
            for reference in template.references() {
                compiler.reference(&node, reference, &names);
            }
        }
    }
    for default in linked.inputs.iter().filter_map(|(_, default)| default.as_ref()) {
        for (node, template) in compiler.templates(default) {
            for reference in template.references() {
                compiler.input_reference(&node, reference, &names);
            }
        }
    }
    let order = order(compiler, &linked.drafts)?;
    let mut drafts: Vec<Option<Draft>> = linked.drafts.into_iter().map(Some).collect();
    let drafts = order.into_iter().filter_map(|place| drafts.get_mut(place).and_then(Option::take));
    Some(Linked { drafts: drafts.collect(), ..linked })
}

fn names_of(linked: &Linked) -> Names {
    let works: BTreeMap<&str, &Work> =
        linked.drafts.iter().map(|draft| (draft.step.name.as_str(), &draft.step.work)).collect();
    let outputs = |name: &str| {
        let mut outputs = Vec::new();
        let mut next = Some(name);
        // A pick has the outputs of the step that it picks from; picks may follow each other.
        for _ in 0..=works.len() {
            match next.and_then(|name| works.get(name)) {
                Some(Work::Call(call)) => {
                    outputs.extend(call.task.output.iter().map(|field| field.name.clone()));
                    break;
                }
                Some(Work::Pick(pick)) => {
                    outputs.extend(PICK_OUTPUTS.map(str::to_owned));
                    next = Some(pick.of.as_str());
                }
                Some(Work::Approve(_)) => {
                    outputs.extend(APPROVE_OUTPUTS.map(|(name, _)| name.to_owned()));
                    break;
                }
                None => break,
            }
        }
        outputs
    };
    Names {
        inputs: linked.plan.inputs.iter().map(|field| field.name.clone()).collect(),
        steps: works.keys().map(|name| ((*name).to_owned(), outputs(name))).collect(),
    }
}

fn link_step(compiler: &mut Compiler<'_>, draft: &mut Draft, names: &Names) {
    let mut needs = BTreeSet::new();
    if let Some((step, span)) = &draft.over
        && compiler.step_named(step, *span, names)
    {
        needs.insert(step.clone());
    }
    for (part, node) in &draft.values {
        if matches!(part, Part::By) && node.text().is_some_and(|text| !text.contains("{{")) {
            let hint = "write \"{{ steps.score.score }}\", for instance";
            let message = "`by` is an expression that gives a number";
            compiler.problem(Diagnostic::error(node.span, message).hint(hint));
        }
        for (node, template) in compiler.templates(node) {
            for reference in template.references() {
                compiler.reference(&node, reference, names);
                if let Root::Output { step, .. } = &reference.root {
                    needs.insert(step.clone());
                }
            }
        }
    }
    draft.step.needs = needs.into_iter().collect();
}

impl Compiler<'_> {
    fn step_named(&mut self, step: &str, span: Span, names: &Names) -> bool {
        if names.steps.contains_key(step) {
            return true;
        }
        let hint = suggest::hint(step, names.steps.keys().map(String::as_str));
        self.problem(Diagnostic::error(span, format!("there is no step `{step}`")).hint(hint));
        false
    }

    /// Checks one reference. Whether `item`, `index` and `vary` mean something here shows when the
    /// axes are known.
    fn reference(&mut self, node: &Node, reference: &Reference, names: &Names) {
        match &reference.root {
            Root::Input(_) => self.input_reference(node, reference, names),
            Root::Output { step, output } => {
                let span = self.place_at(node, reference, &reference.name_place);
                if !self.step_named(step, span, names) {
                    return;
                }
                let outputs = names.steps.get(step).cloned().unwrap_or_default();
                if !outputs.contains(output) {
                    let hint = suggest::hint(output, outputs.iter().map(String::as_str));
                    let span = self.place_at(node, reference, &reference.output_place);
                    let message = format!("`{step}` has no output `{output}`");
                    self.problem(Diagnostic::error(span, message).hint(hint));
                }
            }
            Root::Item | Root::Index | Root::Vary(_) => {}
        }
    }

    fn input_reference(&mut self, node: &Node, reference: &Reference, names: &Names) {
        let span = self.place_at(node, reference, &reference.name_place);
        let Root::Input(name) = &reference.root else {
            let message = "the default of an input can name other inputs, nothing else";
            self.problem(Diagnostic::error(span, message));
            return;
        };
        if !names.inputs.contains(name) {
            let hint = suggest::hint(name, names.inputs.iter().map(String::as_str));
            self.problem(Diagnostic::error(span, format!("there is no input `{name}`")).hint(hint));
        }
    }

    /// The place in the file of a place in the expression of a reference.
    pub(crate) fn place_at(
        &self,
        node: &Node,
        reference: &Reference,
        place: &std::ops::Range<usize>,
    ) -> Span {
        let template =
            node.text().and_then(|text| crate::template::Template::compile_text(text).ok());
        let mut start = 0;
        if let Some(template) = &template {
            template.expressions(&mut |expression| {
                if expression.references.contains(reference) {
                    start = expression.start;
                }
            });
        }
        self.place_in(node, &(place.start + start..place.end + start))
    }
}

/// An order in which every step comes after those that it waits for; file order where that is free.
fn order(compiler: &mut Compiler<'_>, drafts: &[Draft]) -> Option<Vec<usize>> {
    let place = |name: &String| drafts.iter().position(|draft| draft.step.name == *name);
    let mut order: Vec<usize> = Vec::new();
    while order.len() < drafts.len() {
        let ready = (0..drafts.len()).find(|at| {
            let needs =
                drafts.get(*at).map(|draft| draft.step.needs.as_slice()).unwrap_or_default();
            !order.contains(at) && needs.iter().filter_map(place).all(|need| order.contains(&need))
        });
        let Some(ready) = ready else {
            compiler.problem(circle(drafts, &order));
            return None;
        };
        order.push(ready);
    }
    Some(order)
}

/// Names a circle among the steps that are not in `order`.
fn circle(drafts: &[Draft], order: &[usize]) -> Diagnostic {
    let left: BTreeMap<&str, &Draft> = drafts
        .iter()
        .enumerate()
        .filter(|(at, _)| !order.contains(at))
        .map(|(_, draft)| (draft.step.name.as_str(), draft))
        .collect();
    let mut path: Vec<&str> = left.keys().take(1).copied().collect();
    while let Some(draft) = path.last().and_then(|name| left.get(name)) {
        let next = draft.step.needs.iter().find(|need| left.contains_key(need.as_str()));
        let Some(next) = next.map(String::as_str) else { break };
        if let Some(at) = path.iter().position(|name| *name == next) {
            path.drain(..at);
            path.push(next);
            break;
        }
        path.push(next);
    }
    let span =
        path.first().and_then(|name| left.get(name)).map_or(Span::default(), |draft| draft.span);
    let shown: Vec<String> = path.iter().map(|name| format!("`{name}`")).collect();
    let message =
        format!("these steps wait for each other in a circle: {}", shown.join(" waits for "));
    Diagnostic::error(span, message).hint("take one of the references out")
}
