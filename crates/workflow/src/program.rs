//! A plan made ready to run: names become numbers, expressions become code, and who waits for whom
//! is worked out once.
//!
//! The axes of a step are a path in a tree: `each` makes an axis at the root, `vary` adds one below,
//! `each: STEP` takes over another step's path and `pick` goes up by one. So what two steps share is
//! the beginning of both paths, and an instance of one waits for the *group* of instances of the
//! other that begins with its own shared places.

use std::collections::HashMap;

use impasto_domain::{Policy, Value};

use crate::plan::{Each, Plan, Step, Work};
use crate::reference::{Problem, Root};
use crate::template::Template;

/// A plan made ready to run.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Node>,
    pub(crate) by_name: HashMap<String, usize>,
    pub(crate) axes: Vec<Axis>,
    pub(crate) outputs: Vec<(String, Template)>,
}

/// A step, ready to run.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) work: NodeWork,
    /// Its axes, outermost first.
    pub(crate) axes: Vec<usize>,
    pub(crate) when: Option<Template>,
    /// The groups that each instance waits for.
    pub(crate) needs: Vec<Need>,
    /// The steps that wait for groups of this one, by the number of places that name a group.
    pub(crate) feeds: Vec<Feed>,
    /// The axes whose lists are made of this step's outputs.
    pub(crate) feeds_axes: Vec<usize>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum NodeWork {
    Call { input: Vec<(String, Template)>, policy: Policy },
    Pick { of: usize, by: Template, keep: usize },
    Approve { question: Template, show: Vec<(String, Template)> },
}

/// A step's instances wait for a group of another step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) step: usize,
    /// How many places name the group: those that both steps share.
    pub(crate) depth: usize,
}

/// Who waits for groups named by `depth` places.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) depth: usize,
    pub(crate) steps: Vec<usize>,
}

/// A direction in which steps fan out.
#[derive(Debug)]
pub(crate) struct Axis {
    /// The step that brings it in.
    pub(crate) owner: usize,
    pub(crate) source: AxisSource,
    /// The steps that have to be done before its size is known.
    pub(crate) needs: Vec<usize>,
    /// The steps that lie on it.
    pub(crate) users: Vec<usize>,
}

/// Where the places of an axis come from.
#[derive(Debug)]
pub(crate) enum AxisSource {
    Each(Template),
    Vary(Vec<(String, Template)>),
}

/// How many axes two paths share.
pub(crate) fn shared(left: &[usize], right: &[usize]) -> usize {
    left.iter().zip(right).take_while(|(l, r)| l == r).count()
}

/// The step's own wishes, and the plan's where it has none.
pub(crate) fn merged(own: &Policy, general: &Policy) -> Policy {
    let either = |own: &Vec<String>, general: &Vec<String>| {
        if own.is_empty() { general.clone() } else { own.clone() }
    };
    Policy {
        tier: own.tier.or(general.tier),
        max_cost: own.max_cost.or(general.max_cost),
        max_latency_ms: own.max_latency_ms.or(general.max_latency_ms),
        min_tier: own.min_tier.or(general.min_tier),
        licences: either(&own.licences, &general.licences),
        models: if own.models.is_empty() { general.models.clone() } else { own.models.clone() },
        providers: if own.providers.is_empty() {
            general.providers.clone()
        } else {
            own.providers.clone()
        },
        in_doubt: own.in_doubt.or(general.in_doubt),
    }
}

impl Program {
    /// Makes a plan ready. A plan that came from [`Plan::compile`] has no problems.
    pub(crate) fn build(plan: &Plan) -> Result<Self, String> {
        let mut program = Self::default();
        for step in &plan.steps {
            let name = &step.name;
            let at = |problem: String| format!("step `{name}`: {problem}");
            program.add(step, &plan.policy).map_err(at)?;
        }
        for output in &plan.outputs {
            let template =
                compile(&output.value).map_err(|p| format!("output `{}`: {p}", output.name))?;
            program
                .steps_named_by(&template)
                .map_err(|p| format!("output `{}`: {p}", output.name))?;
            program.outputs.push((output.name.clone(), template));
        }
        program.connect();
        Ok(program)
    }

    /// The step's plan and node of that name.
    pub(crate) fn step(&self, name: &str) -> Option<(usize, &Node)> {
        let at = *self.by_name.get(name)?;
        Some((at, self.steps.get(at)?))
    }

    fn add(&mut self, step: &Step, policy: &Policy) -> Result<(), String> {
        let number = self.steps.len();
        let mut axes = match (&step.each, &step.work) {
            (Some(Each::Step(other)), _) => self.known(other)?.1.axes.clone(),
            (Some(Each::List(list)), _) => vec![self.add_each(number, list)?],
            (None, Work::Pick(pick)) => {
                let (axes, _) = split_last(&self.known(&pick.of)?.1.axes)?;
                axes
            }
            (None, Work::Call(_) | Work::Approve(_)) => Vec::new(),
        };
        if !step.vary.is_empty() {
            axes.push(self.add_vary(number, &step.vary)?);
        }
        let when = step.when.as_deref().map(compile_text).transpose()?;
        let mut needs = Vec::new();
        if let Some(when) = &when {
            self.need(when, &axes, axes.len(), &mut needs)?;
        }
        let work = match &step.work {
            Work::Call(call) => {
                let mut input = Vec::new();
                for (name, value) in &call.input {
                    let template = compile(value).map_err(|p| format!("`{name}`: {p}"))?;
                    self.need(&template, &axes, axes.len(), &mut needs)?;
                    input.push((name.clone(), template));
                }
                NodeWork::Call { input, policy: merged(&call.policy, policy) }
            }
            Work::Approve(approve) => {
                let question = compile(&approve.question)?;
                self.need(&question, &axes, axes.len(), &mut needs)?;
                let mut show = Vec::new();
                for (name, value) in &approve.show {
                    let template = compile(value).map_err(|p| format!("`{name}`: {p}"))?;
                    self.need(&template, &axes, axes.len(), &mut needs)?;
                    show.push((name.clone(), template));
                }
                NodeWork::Approve { question, show }
            }
            Work::Pick(pick) => {
                let (of, node) = self.known(&pick.of)?;
                let candidates = node.axes.clone();
                let by = compile_text(&pick.by)?;
                add_need(&mut needs, Need { step: of, depth: axes.len() });
                self.need(&by, &candidates, axes.len(), &mut needs)?;
                NodeWork::Pick { of, by, keep: pick.keep.max(1) as usize }
            }
        };
        self.by_name.insert(step.name.clone(), number);
        let name = step.name.clone();
        let (feeds, feeds_axes) = (Vec::new(), Vec::new());
        self.steps.push(Node { name, work, axes, when, needs, feeds, feeds_axes });
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(usize, &Node), String> {
        self.step(name).ok_or_else(|| format!("there is no step `{name}` before it"))
    }

    fn add_each(&mut self, owner: usize, list: &Value) -> Result<usize, String> {
        let list = compile(list)?;
        let needs = self.steps_named_by(&list)?;
        self.axes.push(Axis { owner, source: AxisSource::Each(list), needs, users: Vec::new() });
        Ok(self.axes.len() - 1)
    }

    fn add_vary(&mut self, owner: usize, vary: &[(String, Value)]) -> Result<usize, String> {
        let (mut variables, mut needs) = (Vec::new(), Vec::new());
        for (name, values) in vary {
            let values = compile(values)?;
            needs.extend(self.steps_named_by(&values)?);
            variables.push((name.clone(), values));
        }
        needs.sort_unstable();
        needs.dedup();
        self.axes.push(Axis {
            owner,
            source: AxisSource::Vary(variables),
            needs,
            users: Vec::new(),
        });
        Ok(self.axes.len() - 1)
    }

    fn steps_named_by(&self, template: &Template) -> Result<Vec<usize>, String> {
        let mut steps = Vec::new();
        for reference in template.references() {
            if let Root::Output { step, .. } = &reference.root {
                let (number, _) = self.known(step)?;
                if !steps.contains(&number) {
                    steps.push(number);
                }
            }
        }
        Ok(steps)
    }

    /// Adds what `template`, evaluated on `axes`, waits for. No group has more than `most` places.
    fn need(
        &self,
        template: &Template,
        axes: &[usize],
        most: usize,
        needs: &mut Vec<Need>,
    ) -> Result<(), String> {
        for step in self.steps_named_by(template)? {
            let others = self.steps.get(step).map(|node| node.axes.as_slice()).unwrap_or_default();
            add_need(needs, Need { step, depth: shared(axes, others).min(most) });
        }
        Ok(())
    }

    /// Works out the opposite directions: who is waited for by whom.
    fn connect(&mut self) {
        let mut waits = Vec::new();
        for (number, node) in self.steps.iter().enumerate() {
            waits.extend(node.needs.iter().map(|need| (need.step, need.depth, number)));
            for axis in &node.axes {
                if let Some(axis) = self.axes.get_mut(*axis) {
                    axis.users.push(number);
                }
            }
        }
        for (number, axis) in self.axes.iter().enumerate() {
            for step in &axis.needs {
                if let Some(node) = self.steps.get_mut(*step) {
                    node.feeds_axes.push(number);
                }
            }
        }
        for (step, depth, waiting) in waits {
            let Some(node) = self.steps.get_mut(step) else { continue };
            match node.feeds.iter_mut().find(|feed| feed.depth == depth) {
                Some(feed) => feed.steps.push(waiting),
                None => node.feeds.push(Feed { depth, steps: vec![waiting] }),
            }
        }
    }
}

fn add_need(needs: &mut Vec<Need>, need: Need) {
    if !needs.contains(&need) {
        needs.push(need);
    }
}

fn split_last(axes: &[usize]) -> Result<(Vec<usize>, usize), String> {
    match axes.split_last() {
        Some((last, rest)) => Ok((rest.to_vec(), *last)),
        None => Err("it picks from a step that does not fan out".into()),
    }
}

fn compile(value: &Value) -> Result<Template, String> {
    Template::compile(value).map_err(|problems| in_one_line(&problems))
}

fn compile_text(text: &str) -> Result<Template, String> {
    Template::compile_text(text).map_err(|problems| in_one_line(&problems))
}

fn in_one_line(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}
