//! What a run knows: the places of its axes, its instances, and which groups of them are done.
//!
//! Instances of a step lie in one list in the order of their places (the last axis turns fastest), so
//! a group that shares the first places is a range of that list. Every group that somebody waits for
//! has a counter; when it reaches zero, those who wait are told. No event looks at all instances.

use std::borrow::Cow;
use std::ops::Range;

use impasto_domain::{Error, InstanceKey, Value};

use crate::instance::{Instance, Status};
use crate::program::{AxisSource, Program, shared};
use crate::reference::Root;
use crate::template::{Scope, Template};

/// The most instances of one step.
pub(crate) const MAX_INSTANCES: usize = 20_000;

/// The places of an axis, once they are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Places {
    Each(Vec<Value>),
    Vary { values: Vec<(String, Vec<Value>)>, size: usize },
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Each(items) => items.len(),
            Self::Vary { size, .. } => *size,
        }
    }

    /// The value of a variable at a place; the last variable turns fastest.
    fn variant(&self, name: &str, place: usize) -> Option<&Value> {
        let Self::Vary { values, .. } = self else { return None };
        let mut rest = place;
        for (variable, options) in values.iter().rev() {
            let count = options.len().max(1);
            if variable == name {
                return options.get(rest % count);
            }
            rest /= count;
        }
        None
    }
}

/// A step in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StepState {
    /// Whether its instances are known.
    pub(crate) expanded: bool,
    pub(crate) sizes: Vec<usize>,
    pub(crate) instances: Vec<Instance>,
    /// Instances that are not done.
    pub(crate) remaining: usize,
    /// For each of the program's feeds, instances that are not done in each group.
    groups: Vec<Vec<usize>>,
    /// Axes whose size is not known.
    pub(crate) unsized_axes: usize,
}

impl StepState {
    /// How many instances share their first `depth` places.
    fn stride(&self, depth: usize) -> usize {
        self.sizes.iter().skip(depth).product()
    }

    /// The instances that share the places of group number `group`.
    pub(crate) fn range(&self, depth: usize, group: usize) -> Range<usize> {
        let stride = self.stride(depth);
        group * stride..(group + 1) * stride
    }

    /// The number of the group that the first `depth` places of `index` name.
    pub(crate) fn group(&self, depth: usize, index: &[u32]) -> usize {
        let places = self.sizes.iter().zip(index).take(depth);
        places.fold(0, |group, (size, place)| group * size + *place as usize)
    }

    pub(crate) fn position(&self, index: &[u32]) -> Option<usize> {
        let fits = index.len() == self.sizes.len()
            && index.iter().zip(&self.sizes).all(|(place, size)| (*place as usize) < *size);
        (self.expanded && fits).then(|| self.group(self.sizes.len(), index))
    }

    /// Whether every instance of a group is done.
    fn group_is_done(&self, feed: usize, group: usize) -> bool {
        self.expanded
            && self.groups.get(feed).and_then(|g| g.get(group)).is_some_and(|left| *left == 0)
    }
}

/// Everything that the events of a run have brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fold {
    pub(crate) input: impasto_domain::Values,
    pub(crate) steps: Vec<StepState>,
    pub(crate) axes: Vec<Option<Places>>,
    /// For each axis, steps that are not done and are needed for its places.
    pub(crate) axis_needs: Vec<usize>,
    /// Steps that could not be fanned out.
    pub(crate) step_errors: Vec<(InstanceKey, Error)>,
    /// Steps that are not done.
    pub(crate) steps_left: usize,
    /// Instances whose groups are all done and that have not been looked at yet.
    pub(crate) unblocked: Vec<(usize, usize)>,
}

impl Fold {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            steps: program
                .steps
                .iter()
                .map(|node| StepState { unsized_axes: node.axes.len(), ..StepState::default() })
                .collect(),
            axes: vec![None; program.axes.len()],
            axis_needs: program.axes.iter().map(|axis| axis.needs.len()).collect(),
            steps_left: program.steps.len(),
            ..Self::default()
        }
    }

    /// Begins: steps and axes that wait for nothing.
    pub(crate) fn begin(&mut self, program: &Program) {
        for step in 0..program.steps.len() {
            if self.steps.get(step).is_some_and(|state| state.unsized_axes == 0) {
                self.expand(program, step);
            }
        }
        self.open_axes(program);
    }

    /// Works out every axis that waits for nothing and has no places yet.
    pub(crate) fn open_axes(&mut self, program: &Program) {
        for axis in 0..program.axes.len() {
            let open = self.axes.get(axis).is_some_and(Option::is_none);
            if open && self.axis_needs.get(axis) == Some(&0) {
                self.open_axis(program, axis);
            }
        }
    }

    fn open_axis(&mut self, program: &Program, number: usize) {
        let Some(axis) = program.axes.get(number) else { return };
        match self.places(program, &axis.source) {
            Ok(places) => {
                if let Some(slot) = self.axes.get_mut(number) {
                    *slot = Some(places);
                }
                for step in &axis.users {
                    if let Some(state) = self.steps.get_mut(*step) {
                        state.unsized_axes = state.unsized_axes.saturating_sub(1);
                        if state.unsized_axes == 0 {
                            self.expand(program, *step);
                        }
                    }
                }
            }
            Err(message) => self.fail_step(program, axis.owner, message),
        }
    }

    fn fail_step(&mut self, program: &Program, step: usize, message: String) {
        let name = program.steps.get(step).map(|node| node.name.as_str());
        let key = InstanceKey::new(name.unwrap_or_default(), []);
        if self.step_errors.iter().all(|(known, _)| known != &key) {
            self.step_errors.push((key, Error::invalid(message)));
        }
    }

    fn places(&self, program: &Program, source: &AxisSource) -> Result<Places, String> {
        let scope = At { fold: self, program, axes: &[], index: &[] };
        let list = |template: &Template, what: &str| match template.evaluate(&scope) {
            Ok(Value::List(items)) => Ok(items),
            Ok(other) => Err(format!("{what} needs a list, but there is {}", other.type_name())),
            Err(message) => Err(format!("{what}: {message}")),
        };
        match source {
            AxisSource::Each(template) => {
                let items = list(template, "`each`")?;
                check_count(items.len())?;
                Ok(Places::Each(items))
            }
            AxisSource::Vary(variables) => {
                let (mut values, mut size) = (Vec::new(), 1_usize);
                for (name, template) in variables {
                    let options = list(template, &format!("`vary.{name}`"))?;
                    size = size.saturating_mul(options.len());
                    check_count(size)?;
                    values.push((name.clone(), options));
                }
                Ok(Places::Vary { values, size })
            }
        }
    }

    /// Makes the instances of a step whose axes are all known.
    fn expand(&mut self, program: &Program, step: usize) {
        let Some(node) = program.steps.get(step) else { return };
        let places = node.axes.iter().map(|a| self.axes.get(*a).and_then(Option::as_ref));
        let sizes: Vec<usize> = places.map(|places| places.map_or(0, Places::len)).collect();
        let total = sizes.iter().fold(1_usize, |total, size| total.saturating_mul(*size));
        if let Err(message) = check_count(total) {
            return self.fail_step(program, step, message);
        }
        let key = |at| InstanceKey::new(node.name.as_str(), index(&sizes, at));
        let mut instances: Vec<Instance> = (0..total).map(|at| Instance::new(key(at))).collect();
        for need in &node.needs {
            let feeds = program.steps.get(need.step).map(|other| other.feeds.as_slice());
            let feed = feeds.and_then(|f| f.iter().position(|feed| feed.depth == need.depth));
            let (Some(other), Some(feed)) = (self.steps.get(need.step), feed) else { continue };
            for instance in &mut instances {
                let group = other.group(need.depth, &instance.key.index);
                instance.missing += u32::from(!other.group_is_done(feed, group));
            }
        }
        let free = instances.iter().enumerate().filter(|(_, instance)| instance.missing == 0);
        self.unblocked.extend(free.map(|(at, _)| (step, at)));
        let groups = node.feeds.iter().map(|feed| {
            let count = sizes.iter().take(feed.depth).product();
            vec![sizes.iter().skip(feed.depth).product(); count]
        });
        let groups: Vec<Vec<usize>> = groups.collect();
        let Some(state) = self.steps.get_mut(step) else { return };
        *state = StepState {
            expanded: true,
            sizes,
            instances,
            remaining: total,
            groups,
            unsized_axes: 0,
        };
        if total == 0 {
            self.empty(program, step);
        }
    }

    /// A step without instances: its empty groups are done, and so is the step.
    fn empty(&mut self, program: &Program, step: usize) {
        let Some(node) = program.steps.get(step) else { return };
        for (number, feed) in node.feeds.iter().enumerate() {
            let groups =
                self.steps.get(step).and_then(|s| s.groups.get(number)).map_or(0, Vec::len);
            for group in 0..groups {
                self.tell(&feed.steps, feed.depth, group);
            }
        }
        self.step_done(program, step);
    }

    /// An instance became done: counts it, and unblocks those that waited for its groups.
    pub(crate) fn instance_done(&mut self, program: &Program, step: usize, at: usize) {
        let Some(node) = program.steps.get(step) else { return };
        for (number, feed) in node.feeds.iter().enumerate() {
            let Some(state) = self.steps.get_mut(step) else { return };
            let group = at / state.stride(feed.depth).max(1);
            let Some(left) = state.groups.get_mut(number).and_then(|g| g.get_mut(group)) else {
                continue;
            };
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.tell(&feed.steps, feed.depth, group);
            }
        }
        let Some(state) = self.steps.get_mut(step) else { return };
        state.remaining = state.remaining.saturating_sub(1);
        if state.remaining == 0 {
            self.step_done(program, step);
        }
    }

    fn step_done(&mut self, program: &Program, step: usize) {
        self.steps_left = self.steps_left.saturating_sub(1);
        let axes =
            program.steps.get(step).map(|node| node.feeds_axes.as_slice()).unwrap_or_default();
        for axis in axes {
            let Some(needs) = self.axis_needs.get_mut(*axis) else { continue };
            *needs = needs.saturating_sub(1);
            if *needs == 0 {
                self.open_axis(program, *axis);
            }
        }
    }

    /// Tells `steps` that group `group` is done.
    fn tell(&mut self, steps: &[usize], depth: usize, group: usize) {
        for step in steps {
            let Some(state) = self.steps.get_mut(*step).filter(|state| state.expanded) else {
                continue;
            };
            for at in state.range(depth, group) {
                let Some(instance) = state.instances.get_mut(at) else { continue };
                instance.missing = instance.missing.saturating_sub(1);
                if instance.missing == 0 && instance.status == Status::Waiting {
                    self.unblocked.push((*step, at));
                }
            }
        }
    }
}

fn check_count(count: usize) -> Result<(), String> {
    if count <= MAX_INSTANCES {
        return Ok(());
    }
    Err(format!("it would have {count} instances, the most is {MAX_INSTANCES}"))
}

/// The places of instance number `at`.
fn index(sizes: &[usize], at: usize) -> Vec<u32> {
    let mut rest = at;
    let mut places: Vec<u32> = sizes
        .iter()
        .rev()
        .map(|size| {
            let place = rest % (*size).max(1);
            rest /= (*size).max(1);
            u32::try_from(place).unwrap_or(u32::MAX)
        })
        .collect();
    places.reverse();
    places
}

/// What an expression sees at a place of some axes.
pub(crate) struct At<'r> {
    pub(crate) fold: &'r Fold,
    pub(crate) program: &'r Program,
    pub(crate) axes: &'r [usize],
    pub(crate) index: &'r [u32],
}

impl At<'_> {
    fn places(&self) -> impl DoubleEndedIterator<Item = (&Places, usize)> {
        self.axes.iter().zip(self.index).filter_map(|(axis, place)| {
            Some((self.fold.axes.get(*axis)?.as_ref()?, *place as usize))
        })
    }

    fn item(&self) -> Result<(&Value, usize), String> {
        let found = self.places().rev().find_map(|(places, place)| match places {
            Places::Each(items) => Some((items.get(place)?, place)),
            Places::Vary { .. } => None,
        });
        found.ok_or_else(|| "there is no `item` here: the step is in no `each` list".to_owned())
    }

    fn output(&self, step: &str, output: &str) -> Result<Cow<'_, Value>, String> {
        let missing = || format!("there is no step `{step}`");
        let (number, node) = self.program.step(step).ok_or_else(missing)?;
        let state = self.fold.steps.get(number).ok_or_else(missing)?;
        let depth = shared(self.axes, &node.axes);
        let range = state.range(depth, state.group(depth, self.index));
        let sizes = state.sizes.get(depth..).unwrap_or_default();
        let instances = state.instances.get(range).unwrap_or_default();
        if let ([], [instance]) = (sizes, instances) {
            let value = instance.output.as_ref().and_then(|output_of| output_of.get(output));
            return Ok(value.map_or(Cow::Owned(Value::Null), Cow::Borrowed));
        }
        Ok(Cow::Owned(nested(sizes, instances, output)))
    }
}

fn nested(sizes: &[usize], instances: &[Instance], output: &str) -> Value {
    let Some((size, rest)) = sizes.split_first() else {
        let value = instances.first().and_then(|i| i.output.as_ref()).and_then(|o| o.get(output));
        return value.cloned().unwrap_or_default();
    };
    let stride: usize = rest.iter().product();
    let parts = (0..*size).map(|at| {
        let part = instances.get(at * stride..(at + 1) * stride).unwrap_or_default();
        nested(rest, part, output)
    });
    Value::List(parts.collect())
}

impl Scope for At<'_> {
    fn lookup(&self, root: &Root) -> Result<Cow<'_, Value>, String> {
        match root {
            Root::Input(name) => {
                Ok(self.fold.input.get(name).map_or(Cow::Owned(Value::Null), Cow::Borrowed))
            }
            Root::Output { step, output } => self.output(step, output),
            Root::Item => Ok(Cow::Borrowed(self.item()?.0)),
            Root::Index => {
                Ok(Cow::Owned(Value::Integer(i64::try_from(self.item()?.1).unwrap_or(i64::MAX))))
            }
            Root::Vary(name) => self
                .places()
                .rev()
                .find_map(|(places, place)| places.variant(name, place))
                .map(Cow::Borrowed)
                .ok_or_else(|| format!("there is no variant `{name}` here")),
        }
    }
}
