//! The third pass: axes and types. What a lone reference gives is known before anything runs; what a
//! longer expression gives shows only then.

use std::collections::HashMap;

use impasto_domain::{Diagnostic, Field, Span, Type, Value};

use super::{Compiler, Draft, Linked, Part};
use crate::plan::{APPROVE_OUTPUTS, Each, Work};
use crate::program::shared;
use crate::reference::{Access, Reference, Root};
use crate::source::{Data, Node};
use crate::template::Template;

/// What is known of a step before the run.
struct Known {
    /// Its axes, outermost first.
    axes: Vec<usize>,
    /// Whether its innermost axis was made by `vary`, and by which names.
    outputs: HashMap<String, Type>,
}

/// A direction in which steps fan out: of a list, or of variants with these names.
enum Axis {
    Each,
    Vary(Vec<String>),
}

struct Scene<'a> {
    inputs: &'a [Field],
    steps: HashMap<String, Known>,
    axes: Vec<Axis>,
}

/// Checks what every value gives against what is asked for, and notes the types of the outputs.
pub(crate) fn check(compiler: &mut Compiler<'_>, linked: &mut Linked) {
    check_defaults(compiler, linked);
    let mut scene = Scene { inputs: &linked.plan.inputs, steps: HashMap::new(), axes: Vec::new() };
    for draft in &linked.drafts {
        let Some(known) = scene.known(compiler, draft) else { continue };
        scene.check_step(compiler, draft, &known);
        scene.steps.insert(draft.step.name.clone(), known);
    }
    for (output, node) in &mut linked.outputs {
        for (node, template) in compiler.templates(node) {
            scene.check_roots(compiler, &node, &template, &[]);
        }
        output.ty = scene.type_of(node, &[]);
    }
    let mut files: Vec<&str> = Vec::new();
    for (output, node) in &linked.outputs {
        let Some(file) = output.file.as_deref() else { continue };
        if files.contains(&file) {
            let message = format!("two outputs are written to '{file}'");
            compiler.problem(
                Diagnostic::error(node.span, message).hint("give one of them another `file`"),
            );
        }
        files.push(file);
    }
}

fn check_defaults(compiler: &mut Compiler<'_>, linked: &Linked) {
    for (field, (_, default)) in linked.plan.inputs.iter().zip(&linked.inputs) {
        let (Some(node), Some(value)) = (default, &field.default) else { continue };
        let constant = matches!(Template::compile(value), Ok(Template::Constant(_)));
        if let (true, Some(problem)) = (constant, field.problem(value)) {
            compiler.problem(Diagnostic::error(
                node.span,
                format!("the default does not fit: {problem}"),
            ));
        }
    }
}

impl Scene<'_> {
    fn known(&mut self, compiler: &mut Compiler<'_>, draft: &Draft) -> Option<Known> {
        let mut axes = match (&draft.step.each, &draft.step.work) {
            (Some(Each::Step(other)), _) => {
                let axes = self.steps.get(other)?.axes.clone();
                if axes.is_empty() {
                    let message = format!(
                        "`{other}` does not fan out, so nothing can follow it item by item"
                    );
                    let hint = "give it an `each` or a `vary`, or leave this `each` out";
                    compiler.problem(Diagnostic::error(over_span(draft), message).hint(hint));
                }
                axes
            }
            (Some(Each::List(_)), _) => vec![self.axis(Axis::Each)],
            (None, Work::Pick(pick)) => {
                let mut axes = self.steps.get(&pick.of)?.axes.clone();
                if axes.pop().is_none() {
                    let message =
                        format!("`{}` does not fan out, so there is nothing to pick from", pick.of);
                    compiler.problem(
                        Diagnostic::error(over_span(draft), message).hint("give it a `vary`"),
                    );
                }
                axes
            }
            (None, Work::Call(_) | Work::Approve(_)) => Vec::new(),
        };
        if !draft.step.vary.is_empty() {
            let names = draft.step.vary.iter().map(|(name, _)| name.clone()).collect();
            axes.push(self.axis(Axis::Vary(names)));
        }
        let outputs = match &draft.step.work {
            Work::Call(call) => {
                call.task.output.iter().map(|f| (f.name.clone(), f.ty.clone())).collect()
            }
            Work::Pick(pick) => self.picked(&pick.of, pick.keep),
            Work::Approve(_) => {
                APPROVE_OUTPUTS.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect()
            }
        };
        Some(Known { axes, outputs })
    }

    fn axis(&mut self, axis: Axis) -> usize {
        self.axes.push(axis);
        self.axes.len() - 1
    }

    fn picked(&self, of: &str, keep: u32) -> HashMap<String, Type> {
        let list = |ty: Type| Type::List(Box::new(ty));
        let kept = |ty: Type| if keep > 1 { list(ty) } else { ty };
        let of = self.steps.get(of).map(|known| known.outputs.clone()).unwrap_or_default();
        let mut outputs: HashMap<String, Type> =
            of.into_iter().map(|(name, ty)| (name, kept(ty))).collect();
        outputs.insert("winner".into(), kept(Type::Integer));
        outputs.insert("score".into(), kept(Type::Number));
        outputs.insert("scores".into(), list(Type::Json));
        outputs.insert("labels".into(), list(Type::Text));
        outputs.insert("marked".into(), list(Type::Integer));
        outputs
    }

    fn check_step(&self, compiler: &mut Compiler<'_>, draft: &Draft, known: &Known) {
        for (part, node) in &draft.values {
            let axes = match (part, &draft.step.work) {
                (Part::By, Work::Pick(pick)) => {
                    self.steps.get(&pick.of).map(|of| of.axes.clone()).unwrap_or_default()
                }
                (Part::Each | Part::Vary, _) => Vec::new(),
                _ => known.axes.clone(),
            };
            for (node, template) in compiler.templates(node) {
                self.check_roots(compiler, &node, &template, &axes);
            }
            let Work::Call(call) = &draft.step.work else { continue };
            let Part::Input(name) = part else { continue };
            if let Some(field) = call.task.input_field(name) {
                self.check_field(compiler, node, field, &axes);
            }
        }
        if let Some((Part::Each, node)) = draft.values.iter().find(|(part, _)| *part == Part::Each)
        {
            let is_list = |ty: &Type| matches!(ty, Type::List(_) | Type::Json);
            if let Some(ty) = self.type_of(node, &[]).filter(|ty| !is_list(ty)) {
                compiler.problem(Diagnostic::error(
                    node.span,
                    format!("`each` needs a list, but this is {ty}"),
                ));
            }
        }
    }

    /// Whether `item`, `index` and `vary` mean something on these axes.
    fn check_roots(
        &self,
        compiler: &mut Compiler<'_>,
        node: &Node,
        template: &Template,
        axes: &[usize],
    ) {
        let here = || axes.iter().filter_map(|axis| self.axes.get(*axis));
        for reference in template.references() {
            let problem = match &reference.root {
                Root::Item | Root::Index if !here().any(|axis| matches!(axis, Axis::Each)) => {
                    Some("`item` and `index` mean something only in a step with `each`".to_owned())
                }
                Root::Vary(name) => {
                    let known = here()
                        .any(|axis| matches!(axis, Axis::Vary(names) if names.contains(name)));
                    (!known).then(|| format!("nothing here varies `{name}`"))
                }
                _ => None,
            };
            if let Some(message) = problem {
                let span = compiler.place_at(node, reference, &reference.place);
                compiler.problem(Diagnostic::error(span, message));
            }
        }
    }

    fn check_field(&self, compiler: &mut Compiler<'_>, node: &Node, field: &Field, axes: &[usize]) {
        let value = node.value();
        if value.is_null() {
            return;
        }
        if let Ok(Template::Constant(value)) = Template::compile(&value) {
            if let Some(problem) = field.problem(&value) {
                compiler.problem(Diagnostic::error(node.span, problem));
            }
            return;
        }
        if let Some(given) = self.type_of(node, axes).filter(|given| !field.ty.accepts(given)) {
            let message = format!("`{}` needs {}, but this is {given}", field.name, field.ty);
            let diagnostic = Diagnostic::error(node.span, message);
            compiler.problem(match given {
                Type::List(_) => {
                    diagnostic.hint("take one of the list with [0], or give the step an `each`")
                }
                _ => diagnostic,
            });
        }
    }

    /// The type of what a node gives on these axes, as far as it is known before the run.
    fn type_of(&self, node: &Node, axes: &[usize]) -> Option<Type> {
        match &node.data {
            Data::List(items) => {
                let mut types = items.iter().map(|item| self.type_of(item, axes));
                let first = types.next()??;
                types.all(|ty| ty.as_ref() == Some(&first)).then(|| Type::List(Box::new(first)))
            }
            Data::Map(_) => None,
            Data::Scalar(Value::Text(text)) => match Template::compile_text(text).ok()? {
                Template::Constant(_) | Template::Text(_) => Some(Type::Text),
                template => self.type_of_reference(template.lone()?, axes),
            },
            Data::Scalar(Value::Integer(_)) => Some(Type::Integer),
            Data::Scalar(Value::Number(_)) => Some(Type::Number),
            Data::Scalar(Value::Boolean(_)) => Some(Type::Boolean),
            Data::Scalar(_) => None,
        }
    }

    fn type_of_reference(&self, reference: &Reference, axes: &[usize]) -> Option<Type> {
        let mut ty = match &reference.root {
            Root::Input(name) => self.inputs.iter().find(|field| field.name == *name)?.ty.clone(),
            Root::Index => Type::Integer,
            Root::Item | Root::Vary(_) => return None,
            Root::Output { step, output } => {
                let known = self.steps.get(step)?;
                let further = known.axes.len() - shared(axes, &known.axes);
                let ty = known.outputs.get(output)?.clone();
                (0..further).fold(ty, |ty, _| Type::List(Box::new(ty)))
            }
        };
        for access in &reference.trail {
            ty = match (access, ty) {
                (Access::Place(_), Type::List(item)) => *item,
                (Access::Key(fact), Type::Media(_)) => match fact.as_str() {
                    "width" | "height" | "bytes" => Type::Integer,
                    "duration" | "fps" => Type::Number,
                    "media_type" | "digest" => Type::Text,
                    _ => return None,
                },
                _ => return None,
            };
        }
        Some(ty)
    }
}

fn over_span(draft: &Draft) -> Span {
    draft.over.as_ref().map_or(draft.span, |(_, span)| *span)
}
