//! The first pass: the shape of the file. Which keys there are, and what they hold.

use impasto_domain::{
    Diagnostic, Field, ModelId, Money, Policy, Span, TaskId, Type, Value, Values,
};

use super::{Compiler, Draft, Linked, Part};
use crate::DEFAULT_TIMEOUT_MS;
use crate::plan::{Approve, Each, Output, Pick, Plan, Retry, Step, TaskCall, Work};
use crate::source::{Data, Entry, Node};
use crate::suggest;

const TOP_KEYS: &[&str] =
    &["workflow", "version", "description", "inputs", "steps", "outputs", "policy"];
const STEP_KEYS: &[&str] = &[
    "task", "input", "each", "vary", "when", "pick", "by", "keep", "model", "policy", "retry",
    "fallback", "timeout", "cache", "approve", "show",
];
const INPUT_KEYS: &[&str] =
    &["type", "description", "required", "default", "min", "max", "max_chars", "values", "unit"];
const OUTPUT_KEYS: &[&str] = &["value", "file", "description"];
const RETRY_KEYS: &[&str] = &["attempts", "backoff_ms", "max_backoff_ms"];
const POLICY_KEYS: &[&str] = &[
    "tier",
    "min_tier",
    "max_cost",
    "max_latency_ms",
    "licences",
    "models",
    "providers",
    "in_doubt",
];
/// Keys of workflows to come, and what they will be.
const LATER_KEYS: &[(&str, &str)] = &[("workflow", "a workflow in a workflow")];
/// The longest that one attempt may be allowed, in seconds.
const MAX_TIMEOUT_S: f64 = 86_400.0;

/// Reads the whole file; steps stay in the order of the file.
pub(crate) fn workflow(compiler: &mut Compiler<'_>, root: &Node) -> Option<Linked> {
    let Some(entries) = root.entries() else {
        let message = format!("a workflow is a map, not {}", root.kind());
        let hint = "begin with `workflow: NAME`, `version: 1` and `steps:`";
        compiler.problem(Diagnostic::error(root.span, message).hint(hint));
        return None;
    };
    compiler.known_keys(entries, TOP_KEYS, "a workflow");
    let name =
        compiler.need(root, "workflow", "a workflow").and_then(|entry| compiler.text(&entry.value));
    if let (Some(name), Some(entry)) = (&name, root.get("workflow")) {
        compiler.check_name(name, entry.value.span, "the name of a workflow");
    }
    let version =
        root.get("version").and_then(|entry| compiler.whole(&entry.value, 1)).unwrap_or(1);
    let description = root.get("description").and_then(|entry| compiler.text(&entry.value));
    let policy = root.get("policy").map(|entry| compiler.policy(&entry.value)).unwrap_or_default();
    let mut fields = Vec::new();
    let mut inputs = Vec::new();
    for entry in compiler.map(root, "inputs") {
        if let Some((field, default)) = compiler.input(&entry) {
            inputs.push((field.name.clone(), default));
            fields.push(field);
        }
    }
    if compiler
        .need(root, "steps", "a workflow")
        .is_some_and(|steps| steps.value.entries().is_some_and(<[_]>::is_empty))
    {
        compiler.problem(Diagnostic::error(root.span, "the workflow has no steps"));
    }
    let drafts =
        compiler.map(root, "steps").iter().filter_map(|entry| compiler.step(entry)).collect();
    let outputs =
        compiler.map(root, "outputs").iter().filter_map(|entry| compiler.output(entry)).collect();
    let plan = Plan {
        name: name.unwrap_or_default(),
        version,
        description: description.unwrap_or_default(),
        inputs: fields,
        steps: Vec::new(),
        outputs: Vec::new(),
        policy,
    };
    Some(Linked { plan, drafts, outputs, inputs })
}

impl Compiler<'_> {
    fn known_keys(&mut self, entries: &[Entry], known: &[&str], what: &str) {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("{what} has no `{}`", entry.key);
            let hint = suggest::hint(&entry.key, known.iter().copied());
            self.problem(Diagnostic::error(entry.key_span, message).hint(hint));
        }
    }

    fn need<'n>(&mut self, node: &'n Node, key: &str, what: &str) -> Option<&'n Entry> {
        let entry = node.get(key);
        if entry.is_none() {
            let span = Span { start: node.span.start, end: node.span.start + 1 };
            self.problem(Diagnostic::error(span, format!("{what} needs `{key}`")));
        }
        entry
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong(node, "text"),
        }
    }

    fn wrong<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let message = format!("{wanted} is needed here, not {}", node.kind());
        self.problem(Diagnostic::error(node.span, message));
        None
    }

    fn whole(&mut self, node: &Node, least: i64) -> Option<u32> {
        let number = node.value().as_integer().filter(|number| *number >= least);
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.wrong(node, &format!("a whole number from {least}")),
        }
    }

    fn truth(&mut self, node: &Node) -> Option<bool> {
        node.value().as_boolean().or_else(|| self.wrong(node, "true or false"))
    }

    /// The entries of the map under a key; none if the key is absent.
    fn map(&mut self, node: &Node, key: &str) -> Vec<Entry> {
        let Some(entry) = node.get(key) else { return Vec::new() };
        match &entry.value.data {
            Data::Map(entries) => entries.clone(),
            Data::Scalar(Value::Null) => Vec::new(),
            _ => self.wrong(&entry.value, "a map").unwrap_or_default(),
        }
    }

    fn check_name(&mut self, name: &str, span: Span, what: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || !name.chars().all(allowed) {
            let message = format!("'{name}' cannot be {what}");
            let hint = "use letters, digits, '-' and '_', beginning with a letter";
            self.problem(Diagnostic::error(span, message).hint(hint));
        }
    }

    fn input(&mut self, entry: &Entry) -> Option<(Field, Option<Node>)> {
        self.check_name(&entry.key, entry.key_span, "the name of an input");
        let Some(entries) = entry.value.entries() else {
            return self.wrong(&entry.value, "a map with a `type`");
        };
        self.known_keys(entries, INPUT_KEYS, "an input");
        let ty = self.need(&entry.value, "type", "an input")?;
        let text = self.text(&ty.value)?;
        if let Err(message) = text.parse::<Type>() {
            self.problem(Diagnostic::error(ty.value.span, message));
            return None;
        }
        let json = entry.value.value().to_json();
        match serde_json::from_value::<Field>(json) {
            Ok(field) => {
                let default = entry.value.get("default").map(|default| default.value.clone());
                Some((Field { name: entry.key.clone(), ..field }, default))
            }
            Err(error) => {
                self.problem(Diagnostic::error(
                    entry.value.span,
                    format!("this input cannot be read: {error}"),
                ));
                None
            }
        }
    }

    fn output(&mut self, entry: &Entry) -> Option<(Output, Node)> {
        self.check_name(&entry.key, entry.key_span, "the name of an output");
        let output = |value: Value| Output {
            name: entry.key.clone(),
            value,
            file: None,
            ty: None,
            description: String::new(),
        };
        let Some(entries) = entry.value.entries() else {
            return Some((output(entry.value.value()), entry.value.clone()));
        };
        self.known_keys(entries, OUTPUT_KEYS, "an output");
        let value = self.need(&entry.value, "value", "an output")?.value.clone();
        let file = entry.value.get("file").and_then(|file| {
            let name = self.text(&file.value)?;
            if name.contains(['/', '\\', '\0']) || name.starts_with('.') || name.is_empty() {
                let message = format!("'{name}' is not a plain file name");
                let hint = "outputs are written into one folder; leave out '/' and a leading '.'";
                self.problem(Diagnostic::error(file.value.span, message).hint(hint));
            }
            Some(name)
        });
        let description = entry.value.get("description").and_then(|text| self.text(&text.value));
        Some((
            Output { file, description: description.unwrap_or_default(), ..output(value.value()) },
            value,
        ))
    }

    fn step(&mut self, entry: &Entry) -> Option<Draft> {
        self.check_name(&entry.key, entry.key_span, "the name of a step");
        let node = &entry.value;
        let Some(entries) = node.entries() else {
            return self.wrong(node, "a map with a `task`, a `pick` or an `approve`");
        };
        if let Some((key, what)) = LATER_KEYS.iter().find(|(key, _)| node.get(key).is_some()) {
            let span = node.get(key).map_or(node.span, |entry| entry.key_span);
            self.problem(Diagnostic::error(span, format!("`{key}` ({what}) is not supported yet")));
            return None;
        }
        self.known_keys(entries, STEP_KEYS, "a step");
        let mut values = Vec::new();
        let mut over = None;
        let works = ["task", "pick", "approve"].map(|key| node.get(key));
        if let [_, second] = works.iter().flatten().collect::<Vec<_>>()[..] {
            let message = "a step has a `task`, a `pick` or an `approve`, and only one of them";
            self.problem(Diagnostic::error(second.key_span, message));
            return None;
        }
        let work = match (node.get("task"), node.get("pick")) {
            (Some(task), None) => Work::Call(Box::new(self.call(node, task, &mut values)?)),
            (None, Some(pick)) => self.pick(node, pick, &mut values, &mut over)?,
            _ if node.get("approve").is_some() => self.approve(node, &mut values)?,
            _ => {
                let hint = "name a task: `impasto tasks` lists them";
                self.problem(
                    Diagnostic::error(
                        entry.key_span,
                        "a step needs a `task`, a `pick` or an `approve`",
                    )
                    .hint(hint),
                );
                return None;
            }
        };
        let each = node.get("each").and_then(|each| self.each(&each.value, &mut values, &mut over));
        let vary = self.vary(node, &mut values);
        let when = node.get("when").and_then(|when| {
            values.push((Part::When, when.value.clone()));
            match &when.value.data {
                Data::Scalar(Value::Boolean(truth)) => Some(format!("{{{{ {truth} }}}}")),
                _ => self.text(&when.value),
            }
        });
        let step = Step { name: entry.key.clone(), work, each, vary, when, needs: Vec::new() };
        Some(Draft { step, span: entry.key_span, values, over })
    }

    fn each(
        &mut self,
        node: &Node,
        values: &mut Vec<(Part, Node)>,
        over: &mut Option<(String, Span)>,
    ) -> Option<Each> {
        match (&node.data, node.text()) {
            (Data::List(_), _) => {}
            (_, Some(text)) if text.contains("{{") => {}
            (_, Some(step)) => {
                *over = Some((step.to_owned(), node.span));
                return Some(Each::Step(step.to_owned()));
            }
            _ => return self.wrong(node, "a list, an expression, or the name of a step"),
        }
        values.push((Part::Each, node.clone()));
        Some(Each::List(node.value()))
    }

    fn vary(&mut self, node: &Node, values: &mut Vec<(Part, Node)>) -> Vec<(String, Value)> {
        let mut variants = Vec::new();
        for entry in self.map(node, "vary") {
            let empty = matches!(&entry.value.data, Data::List(items) if items.is_empty());
            let list = matches!(entry.value.data, Data::List(_))
                || entry.value.text().is_some_and(|t| t.contains("{{"));
            if empty || !list {
                let message = format!("`{}` needs a list of at least one value", entry.key);
                let hint = format!("write {}: [first, second]", entry.key);
                self.problem(Diagnostic::error(entry.value.span, message).hint(hint));
            }
            values.push((Part::Vary, entry.value.clone()));
            variants.push((entry.key.clone(), entry.value.value()));
        }
        variants
    }

    fn pick(
        &mut self,
        node: &Node,
        pick: &Entry,
        values: &mut Vec<(Part, Node)>,
        over: &mut Option<(String, Span)>,
    ) -> Option<Work> {
        let of = self.text(&pick.value)?;
        *over = Some((of.clone(), pick.value.span));
        let by = self.need(node, "by", "a pick")?;
        let text = self.text(&by.value)?;
        values.push((Part::By, by.value.clone()));
        let keep = node.get("keep").and_then(|keep| self.whole(&keep.value, 1)).unwrap_or(1);
        for key in ["input", "each", "vary", "model", "retry"] {
            if let Some(entry) = node.get(key) {
                self.problem(Diagnostic::error(entry.key_span, format!("a pick has no `{key}`")));
            }
        }
        Some(Work::Pick(Pick { of, by: text, keep }))
    }

    /// A step that waits for a person.
    fn approve(&mut self, node: &Node, values: &mut Vec<(Part, Node)>) -> Option<Work> {
        let question = &node.get("approve")?.value;
        self.text(question)?;
        values.push((Part::Show, question.clone()));
        let mut show = Values::new();
        for entry in self.map(node, "show") {
            values.push((Part::Show, entry.value.clone()));
            show.insert(entry.key.clone(), entry.value.value());
        }
        for key in
            ["input", "by", "keep", "model", "policy", "retry", "fallback", "timeout", "cache"]
        {
            if let Some(entry) = node.get(key) {
                let message = format!("a step that waits for a person has no `{key}`");
                self.problem(Diagnostic::error(entry.key_span, message));
            }
        }
        Some(Work::Approve(Approve { question: question.value(), show }))
    }

    fn call(
        &mut self,
        node: &Node,
        task: &Entry,
        values: &mut Vec<(Part, Node)>,
    ) -> Option<TaskCall> {
        let name = self.text(&task.value)?;
        let Some(known) = self.tasks.get(&TaskId::new(name.as_str())) else {
            let names = self.tasks.keys().map(TaskId::as_str);
            let hint = suggest::hint(&name, names);
            self.problem(
                Diagnostic::error(task.value.span, format!("there is no task `{name}`")).hint(hint),
            );
            return None;
        };
        let known = known.clone();
        for key in ["by", "keep"] {
            if let Some(entry) = node.get(key) {
                self.problem(Diagnostic::error(entry.key_span, format!("only a pick has `{key}`")));
            }
        }
        let mut input = Values::new();
        for entry in self.map(node, "input") {
            if known.input_field(&entry.key).is_none() {
                let names = known.input.iter().map(|field| field.name.as_str());
                let hint = suggest::hint(&entry.key, names);
                let message = format!("`{name}` has no input `{}`", entry.key);
                self.problem(Diagnostic::error(entry.key_span, message).hint(hint));
            }
            values.push((Part::Input(entry.key.clone()), entry.value.clone()));
            input.insert(entry.key.clone(), entry.value.value());
        }
        for field in
            known.input.iter().filter(|field| field.required && !input.contains_key(&field.name))
        {
            let message = format!("`{name}` needs the input `{}`", field.name);
            let hint = format!("{} ({})", field.description, field.ty);
            self.problem(Diagnostic::error(task.value.span, message).hint(hint));
        }
        let mut policy =
            node.get("policy").map(|entry| self.policy(&entry.value)).unwrap_or_default();
        if let Some(model) = node.get("model") {
            policy.models = self.models(&model.value);
        }
        let retry = node.get("retry").map(|entry| self.retry(&entry.value)).unwrap_or_default();
        let timeout_ms = node.get("timeout").and_then(|entry| self.timeout(&entry.value));
        let mut flag =
            |key: &str| node.get(key).and_then(|entry| self.truth(&entry.value)).unwrap_or(true);
        let (fallback, cache) = (flag("fallback"), flag("cache"));
        let timeout_ms = timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        Some(TaskCall { task: known, input, policy, retry, fallback, timeout_ms, cache })
    }

    fn models(&mut self, node: &Node) -> Vec<ModelId> {
        let names: Option<Vec<ModelId>> = match &node.data {
            Data::List(items) => items.iter().map(|item| item.text().map(ModelId::new)).collect(),
            _ => node.text().map(|name| vec![ModelId::new(name)]),
        };
        names
            .or_else(|| self.wrong(node, "the id of a model, or a list of ids"))
            .unwrap_or_default()
    }

    fn timeout(&mut self, node: &Node) -> Option<u64> {
        let seconds =
            node.value().as_number().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_TIMEOUT_S);
        match seconds {
            Some(seconds) => Some((seconds * 1000.0).ceil() as u64),
            None => self.wrong(node, &format!("a number of seconds, up to {MAX_TIMEOUT_S},")),
        }
    }

    fn retry(&mut self, node: &Node) -> Retry {
        let Some(entries) = node.entries() else {
            return self.wrong(node, "a map").unwrap_or_default();
        };
        self.known_keys(entries, RETRY_KEYS, "`retry`");
        let mut retry = Retry::default();
        if let Some(entry) = node.get("attempts") {
            retry.attempts = self.whole(&entry.value, 1).unwrap_or(retry.attempts);
        }
        if let Some(entry) = node.get("backoff_ms") {
            retry.backoff_ms = self.whole(&entry.value, 0).map_or(retry.backoff_ms, u64::from);
        }
        if let Some(entry) = node.get("max_backoff_ms") {
            retry.max_backoff_ms =
                self.whole(&entry.value, 0).map_or(retry.max_backoff_ms, u64::from);
        }
        retry
    }

    fn policy(&mut self, node: &Node) -> Policy {
        let Some(entries) = node.entries() else {
            return self.wrong(node, "a map").unwrap_or_default();
        };
        self.known_keys(entries, POLICY_KEYS, "a policy");
        let mut json = node.value().to_json();
        if let (Some(cost), Some(fields)) = (node.get("max_cost"), json.as_object_mut()) {
            let shown = cost.value.value();
            let text = shown.as_text().map_or_else(|| shown.to_json().to_string(), str::to_owned);
            match text.parse::<Money>() {
                Ok(money) => {
                    fields.insert("max_cost".to_owned(), money.as_micros().into());
                }
                Err(message) => {
                    self.problem(Diagnostic::error(cost.value.span, message));
                    fields.remove("max_cost");
                }
            }
        }
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|key, _| POLICY_KEYS.contains(&key.as_str()));
        }
        serde_json::from_value(json).unwrap_or_else(|error| {
            self.problem(Diagnostic::error(
                node.span,
                format!("this policy cannot be read: {error}"),
            ));
            Policy::default()
        })
    }
}
