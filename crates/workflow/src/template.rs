//! Templates: values in which texts may hold `{{ expressions }}`, compiled once.
//!
//! A text that is one expression alone keeps the type of its value; mixed text becomes text. An
//! expression that is one reference alone is followed without Jinja.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use impasto_domain::{Value, Values};
use minijinja::{Environment, Expression as Code, UndefinedBehavior, Value as Jinja};

use crate::convert::{ASSET_FACTS, asset_fact, from_jinja, to_jinja};
use crate::product::{Path, factors, path};
use crate::reference::{Access, Problem, Reference, Root, scan};
use crate::{filters, suggest};

/// How much work one expression may do, in instructions of the Jinja machine.
const FUEL: u64 = 200_000;
/// The longest expression, in bytes: what it is made of grows with it.
const EXPRESSION_BYTES_MAX: usize = 4096;
/// The longest text that a template may give, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Filters that expressions may use.
#[rustfmt::skip]
const FILTERS: &[&str] = &[
    "abs", "attr", "batch", "bool", "capitalize", "chain", "count", "d", "default", "dictsort", "first",
    "flatten", "float", "format", "groupby", "indent", "int", "items", "join", "last", "length", "lines",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select",
    "selectattr", "slice", "sort", "split", "string", "sum", "title", "trim", "unique", "upper", "zip",
];
/// Tests that expressions may use after `is`.
#[rustfmt::skip]
const TESTS: &[&str] = &[
    "boolean", "defined", "divisibleby", "endingwith", "eq", "even", "false", "float", "ge", "gt", "in",
    "integer", "iterable", "le", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
    "startingwith", "string", "true", "undefined", "upper",
];

/// The one environment of all expressions. It holds filters and limits and no templates, so that
/// compiled expressions can live as long as the program.
static JINJA: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut jinja = Environment::new();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja.set_fuel(Some(FUEL));
    jinja.set_debug(true);
    jinja.remove_global("debug");
    filters::install(&mut jinja);
    jinja
});

/// Where an expression finds what it refers to.
pub(crate) trait Scope {
    /// The value of `root`, or why there is none.
    fn lookup(&self, root: &Root) -> Result<Cow<'_, Value>, String>;
}

/// A compiled value.
#[derive(Debug)]
pub(crate) enum Template {
    Constant(Value),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// One expression alone: keeps its type.
    Expression(Expression),
    /// Text with expressions in it.
    Text(Vec<Segment>),
}

/// A part of a text.
#[derive(Debug)]
pub(crate) enum Segment {
    Literal(String),
    Expression(Expression),
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) references: Vec<Reference>,
    /// The names that are multiplied, which must be numbers.
    factors: Vec<Path>,
    /// Absent for a reference alone, which is followed directly.
    code: Option<Code<'static, 'static>>,
    /// Where it begins in its text, in bytes.
    pub(crate) start: usize,
}

impl Template {
    /// Compiles `value`; the places of problems are in the text in which they were found.
    pub(crate) fn compile(value: &Value) -> Result<Self, Vec<Problem>> {
        Ok(match value {
            Value::Text(text) => Self::compile_text(text)?,
            Value::List(items) => {
                let parts = items.iter().map(Self::compile).collect::<Result<Vec<_>, _>>()?;
                if parts.iter().all(|part| matches!(part, Self::Constant(_))) {
                    return Ok(Self::Constant(value.clone()));
                }
                Self::List(parts)
            }
            Value::Map(entries) => {
                let parts = entries
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::compile(value)?)))
                    .collect::<Result<Vec<_>, Vec<Problem>>>()?;
                if parts.iter().all(|(_, part)| matches!(part, Self::Constant(_))) {
                    return Ok(Self::Constant(value.clone()));
                }
                Self::Map(parts)
            }
            other => Self::Constant(other.clone()),
        })
    }

    /// Compiles a text.
    pub(crate) fn compile_text(text: &str) -> Result<Self, Vec<Problem>> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(Self::Constant(Value::from(text)));
        }
        let mut segments = segments(text)?;
        let alone = segments.len() == 1
            || segments.iter().all(|segment| match segment {
                Segment::Literal(literal) => literal.trim().is_empty(),
                Segment::Expression(_) => true,
            }) && segments.iter().filter(|s| matches!(s, Segment::Expression(_))).count() == 1;
        if alone
            && let Some(at) = segments.iter().position(|s| matches!(s, Segment::Expression(_)))
            && let Segment::Expression(expression) = segments.swap_remove(at)
        {
            return Ok(Self::Expression(expression));
        }
        Ok(Self::Text(segments))
    }

    /// The value in `scope`.
    pub(crate) fn evaluate(&self, scope: &dyn Scope) -> Result<Value, String> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::List(parts) => {
                Value::List(parts.iter().map(|p| p.evaluate(scope)).collect::<Result<_, _>>()?)
            }
            Self::Map(parts) => {
                let entries = parts.iter().map(|(name, p)| Ok((name.clone(), p.evaluate(scope)?)));
                Value::Map(entries.collect::<Result<Values, String>>()?)
            }
            Self::Expression(expression) => expression.evaluate(scope)?,
            Self::Text(segments) => Value::Text(render(segments, scope)?),
        })
    }

    /// Calls `visit` with every expression in it.
    pub(crate) fn expressions<'t>(&'t self, visit: &mut dyn FnMut(&'t Expression)) {
        match self {
            Self::Constant(_) => {}
            Self::List(parts) => parts.iter().for_each(|part| part.expressions(visit)),
            Self::Map(parts) => parts.iter().for_each(|(_, part)| part.expressions(visit)),
            Self::Expression(expression) => visit(expression),
            Self::Text(segments) => segments.iter().for_each(|segment| {
                if let Segment::Expression(expression) = segment {
                    visit(expression);
                }
            }),
        }
    }

    /// Every reference in it.
    pub(crate) fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.expressions(&mut |expression| found.extend(&expression.references));
        found
    }

    /// The reference, if it is one alone.
    pub(crate) fn lone(&self) -> Option<&Reference> {
        match self {
            Self::Expression(expression) if expression.code.is_none() => {
                expression.references.first()
            }
            _ => None,
        }
    }
}

fn render(segments: &[Segment], scope: &dyn Scope) -> Result<String, String> {
    let mut text = String::new();
    for segment in segments {
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Expression(expression) => match expression.evaluate(scope)? {
                Value::Null => {}
                Value::Text(part) => text.push_str(&part),
                Value::Asset(asset) => {
                    return Err(format!("a {} cannot be part of a text", asset.kind()));
                }
                other => text.push_str(&to_jinja(&other).to_string()),
            },
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("the text grows beyond {MAX_TEXT_BYTES} bytes"));
        }
    }
    Ok(text)
}

impl Expression {
    fn compile(expression: &str, start: usize) -> Result<Self, Vec<Problem>> {
        let uses = scan(expression);
        if let Ok(uses) = &uses
            && uses.lone
        {
            let (references, factors) = (uses.references.clone(), Vec::new());
            return Ok(Self { references, factors, code: None, start });
        }
        let whole = |message: String| vec![Problem::new(0..expression.len(), message)];
        if expression.len() > EXPRESSION_BYTES_MAX {
            let message = format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes");
            return Err(whole(message));
        }
        // Before it is compiled, which computes what is constant.
        let factors = factors(expression).map_err(|problem| {
            let hint = "write `| int`, `| float` or `| length` behind what is to be a number";
            whole(problem.to_owned()).into_iter().map(|one| one.hint(hint)).collect::<Vec<_>>()
        })?;
        let code = JINJA.compile_expression_owned(expression.to_owned()).map_err(|error| {
            let place = error.range().filter(|r| r.end <= expression.len() && r.start < r.end);
            let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            vec![Problem::new(
                place.unwrap_or(0..expression.len()),
                format!("this expression cannot be read: {message}"),
            )]
        })?;
        let uses = uses?;
        let unknown = |names: &[(String, Range<usize>)], known: &'static [&'static str], what| {
            let wrong = names.iter().filter(|(name, _)| !known.contains(&name.as_str()));
            wrong
                .map(|(name, place)| {
                    let message = format!("there is no {what} `{name}`");
                    Problem::new(place.clone(), message)
                        .hint(suggest::hint(name, known.iter().copied()))
                })
                .collect::<Vec<_>>()
        };
        let mut problems = unknown(&uses.filters, FILTERS, "filter");
        problems.extend(unknown(&uses.tests, TESTS, "test"));
        if problems.is_empty() {
            Ok(Self { references: uses.references, factors, code: Some(code), start })
        } else {
            Err(problems)
        }
    }

    fn evaluate(&self, scope: &dyn Scope) -> Result<Value, String> {
        let Some(code) = &self.code else {
            let Some(reference) = self.references.first() else {
                return Err("the expression is empty".into());
            };
            return follow(reference, scope);
        };
        for reference in &self.references {
            if self.factors.contains(&path(reference)) {
                let factor = follow(reference, scope)?;
                if factor.as_number().is_none() {
                    let (name, found) = (path(reference).join("."), factor.type_name());
                    return Err(format!("only numbers are multiplied, and `{name}` is {found}"));
                }
            }
        }
        filters::begin();
        let value = code.eval(self.context(scope)?).map_err(|error| {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("the expression fails: {}{detail}", error.kind())
        })?;
        from_jinja(&value)
    }

    /// What the expression refers to, in the shape in which Jinja looks for it.
    fn context(&self, scope: &dyn Scope) -> Result<Jinja, String> {
        let mut named: [Vec<(String, Jinja)>; 2] = [Vec::new(), Vec::new()];
        let mut steps: Vec<(String, Vec<(String, Jinja)>)> = Vec::new();
        let mut top: Vec<(&str, Jinja)> = Vec::new();
        let [inputs, variants] = &mut named;
        for Reference { root, .. } in &self.references {
            let value = || scope.lookup(root).map(|value| to_jinja(&value));
            match root {
                Root::Input(name) => inputs.push((name.clone(), value()?)),
                Root::Vary(name) => variants.push((name.clone(), value()?)),
                Root::Item => top.push(("item", value()?)),
                Root::Index => top.push(("index", value()?)),
                Root::Output { step, output } => {
                    let entry = (output.clone(), value()?);
                    match steps.iter_mut().find(|(name, _)| name == step) {
                        Some((_, outputs)) => outputs.push(entry),
                        None => steps.push((step.clone(), vec![entry])),
                    }
                }
            }
        }
        let [inputs, variants] = named;
        let steps = steps.into_iter().map(|(name, outputs)| (name, Jinja::from_pairs(outputs)));
        top.push(("inputs", Jinja::from_pairs(inputs)));
        top.push(("vary", Jinja::from_pairs(variants)));
        top.push(("steps", Jinja::from_pairs(steps)));
        Ok(Jinja::from_pairs(top))
    }
}

/// The value at the end of a reference.
fn follow(reference: &Reference, scope: &dyn Scope) -> Result<Value, String> {
    let value = scope.lookup(&reference.root)?;
    if reference.trail.is_empty() {
        return Ok(value.into_owned());
    }
    let mut held: &Value = &value;
    for (at, access) in reference.trail.iter().enumerate() {
        held = match (access, held) {
            (Access::Place(place), Value::List(items)) => items.get(*place).ok_or_else(|| {
                format!("[{place}] is beyond the end of a list of {}", items.len())
            })?,
            (Access::Key(key), Value::Map(entries)) => entries.get(key).ok_or_else(|| {
                let known = entries.keys().map(String::as_str);
                format!("there is no `{key}`; {}", suggest::hint(key, known))
            })?,
            (Access::Key(key), Value::Asset(asset)) if at + 1 == reference.trail.len() => {
                return asset_fact(asset, key).ok_or_else(|| {
                    format!(
                        "an asset has no `{key}`; {}",
                        suggest::hint(key, ASSET_FACTS.iter().copied())
                    )
                });
            }
            (Access::Place(place), other) => {
                return Err(format!("[{place}] needs a list, but there is {}", other.type_name()));
            }
            (Access::Key(key), other) => {
                return Err(format!("`.{key}` needs a map, but there is {}", other.type_name()));
            }
        };
    }
    Ok(held.clone())
}

/// Splits a text into literals and expressions.
fn segments(text: &str) -> Result<Vec<Segment>, Vec<Problem>> {
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    let mut at = 0;
    let mut trim_next = false;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let open = rest.find("{{");
        let mut literal = rest.get(..open.unwrap_or(rest.len())).unwrap_or_default();
        for block in ["{%", "{#"] {
            if let Some(found) = literal.find(block) {
                let place = at + found..at + found + 2;
                problems.push(
                    Problem::new(place, format!("`{block}` is not supported"))
                        .hint("use an expression: {{ a if condition else b }}"),
                );
            }
        }
        if std::mem::take(&mut trim_next) {
            literal = literal.trim_start();
        }
        let Some(open) = open else {
            parts.push(Segment::Literal(literal.to_owned()));
            break;
        };
        let start = at + open + 2;
        let Some(end) = closing(text, start) else {
            problems.push(Problem::new(at + open..text.len(), "`{{` is not closed by `}}`"));
            break;
        };
        let (mut from, mut to) = (start, end);
        let inside = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        if inside(from, to).starts_with("- ") {
            (from, literal) = (from + 1, literal.trim_end());
        }
        if inside(from, to).ends_with(" -") {
            (to, trim_next) = (to - 1, true);
        }
        if !literal.is_empty() {
            parts.push(Segment::Literal(literal.to_owned()));
        }
        match Expression::compile(inside(from, to), from) {
            Ok(expression) => parts.push(Segment::Expression(expression)),
            Err(wrong) => problems.extend(wrong.into_iter().map(|problem| problem.shifted(from))),
        }
        at = end + 2;
    }
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

/// Where the `}}` stands that closes an expression: outside of strings and maps.
fn closing(text: &str, start: usize) -> Option<usize> {
    let (mut quote, mut escaped, mut open) = (None, false, 0_usize);
    for (at, c) in text.get(start..)?.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open > 0 => open -= 1,
            (None, '}') if text.get(start + at..)?.starts_with("}}") => return Some(start + at),
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Scope for Fixed {
        fn lookup(&self, root: &Root) -> Result<Cow<'_, Value>, String> {
            let json = match root {
                Root::Input(name) if name == "gone" => serde_json::json!(null),
                Root::Input(name) => serde_json::json!({"name": name, "list": [[1, 2], [3]]}),
                Root::Output { step, output } => serde_json::json!([format!("{step}.{output}")]),
                Root::Item => serde_json::json!(1.5),
                Root::Index => serde_json::json!(2),
                Root::Vary(_) => return Err("no variants".into()),
            };
            Ok(Cow::Owned(Value::from_json(json).unwrap()))
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better at the calls")]
    fn check(template: &str, expected: serde_json::Value) {
        let value = Template::compile_text(template).unwrap().evaluate(&Fixed).unwrap();
        assert_eq!(value.to_json(), expected, "{template}");
    }

    #[test]
    fn one_expression_alone_keeps_its_type() {
        check("{{ index }}", serde_json::json!(2));
        check(" {{ item }}\n", serde_json::json!(1.5));
        check("{{ inputs.a.list[0] }}", serde_json::json!([1, 2]));
        check("{{ inputs.a.list | flatten }}", serde_json::json!([1, 2, 3]));
        check("{{ index + 1 }}", serde_json::json!(3));
        check("{{ {'a': {'b': index}} }}", serde_json::json!({"a": {"b": 2}}));
        check("{{ steps.x.y[0] ~ '}}' }}", serde_json::json!("x.y}}"));
        check("{{ inputs.gone is none }}", serde_json::json!(true));
        check("{{ inputs.a.nothing | default('b') }}", serde_json::json!("b"));
    }

    #[test]
    fn mixed_text_becomes_text() {
        check("no. {{ index }}: {{ inputs.a.name }}", serde_json::json!("no. 2: a"));
        check("{{ index }}{{ index }}", serde_json::json!("22"));
        check("a {{- index -}} b", serde_json::json!("a2b"));
        check("<{{ inputs.gone }}>", serde_json::json!("<>"));
        check("{{ '{{' }} {{ item }} é", serde_json::json!("{{ 1.5 é"));
    }

    #[test]
    fn failures_name_the_reason() {
        for (template, reason) in [
            ("{{ inputs.a.nme }}", "did you mean `name`?"),
            ("{{ inputs.a.list[7] }}", "beyond the end"),
            ("{{ inputs.a.nme ~ 'x' }}", "undefined"),
            ("{{ vary.x }}", "no variants"),
            ("{{ 1 / 0 }}", "unable to calculate 1 / 0"),
        ] {
            let error = Template::compile_text(template).unwrap().evaluate(&Fixed).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }

    #[test]
    fn every_listed_filter_and_test_exists() {
        for filter in FILTERS {
            let code = JINJA.compile_expression_owned(format!("x | {filter}")).unwrap();
            let error = code.eval(Jinja::from_pairs([("x", 1)])).err();
            let unknown = error.is_some_and(|e| e.kind() == minijinja::ErrorKind::UnknownFilter);
            assert!(!unknown, "{filter}");
        }
        for test in TESTS {
            let code = JINJA.compile_expression_owned(format!("x is {test}")).unwrap();
            let error = code.eval(Jinja::from_pairs([("x", 1)])).err();
            let unknown = error.is_some_and(|e| e.kind() == minijinja::ErrorKind::UnknownTest);
            assert!(!unknown, "{test}");
        }
    }

    #[test]
    fn numbers_are_multiplied_and_small_things_made() {
        check("{{ index * 2 }}", serde_json::json!(4));
        check("{{ (index + 1) * item }}", serde_json::json!(4.5));
        check("{{ -index * 2 ** 3 }}", serde_json::json!(-16));
        check("{{ inputs.a.list | length * 3 }}", serde_json::json!(6));
        check("{{ inputs.a.list[0][1] * 2 }}", serde_json::json!(4));
        check("{{ (index if item else 1) * 2 }}", serde_json::json!(4));
        check("{{ [1, 2] | sum * 2 }}", serde_json::json!(6));
        check("{{ '%03d %5.1f' | format(index, item) }}", serde_json::json!("002   1.5"));
        check("{{ ['a', 'b'] | join(', ') }}", serde_json::json!("a, b"));
        check(
            "{{ 'a b' | replace(' ', '-') | indent(2, first=true) }}",
            serde_json::json!("  a-b"),
        );
        check("{{ [1, 2, 3] | batch(2, 0) }}", serde_json::json!([[1, 2], [3, 0]]));
    }

    #[test]
    fn texts_and_lists_are_not_multiplied() {
        let is_refused = |expression: &str| match Template::compile_text(expression) {
            Ok(template) => {
                template.evaluate(&Fixed).is_err_and(|error| error.contains("only numbers"))
            }
            Err(problems) => {
                problems.iter().any(|problem| problem.message.contains("only numbers"))
            }
        };
        for expression in [
            "{{ 'x' * 100000000 }}",
            "{{ 100000000 * 'x' }}",
            "{{ [1] * 100000000 }}",
            "{{ (1, 2) * 100000000 }}",
            "{{ {'a': 1} * 2 }}",
            "{{ range(9) * 100000000 }}",
            "{{ ('x' ~ index) * 100000000 }}",
            "{{ ('x' + 'y') * 100000000 }}",
            "{{ ('x' if index else 1) * 100000000 }}",
            "{{ (index and 'x') * 100000000 }}",
            "{{ ['x'][0] * 100000000 }}",
            "{{ 'x' | upper * 100000000 }}",
            "{{ 'xy'[1:] * 100000000 }}",
            "{{ [index * ('x' * 100000000)] | length }}",
            "{{ {'a': 'x' * 100000000}.b is defined }}",
            "{{ index | default('x' * 100000000) }}",
            "{{ inputs.a.name * 100000000 }}",
            "{{ inputs['a'].list * 100000000 }}",
            "{{ 3 * inputs.a.list[0] }}",
            "{{ inputs.a.list[index] * 2 }}",
        ] {
            assert!(is_refused(expression), "{expression}");
        }
    }

    #[test]
    fn no_expression_takes_all_the_memory() {
        let long = "y".repeat(3000);
        for expression in [
            "{{ [1] | slice(1000000000) | list }}",
            "{{ [1] | batch(1000000000, 0) | list }}",
            "{{ '%999999999d' | format(5) }}",
            "{{ '%.999999999f' | format(5) }}",
            "{{ '%*d' | format(999999999, 5) }}",
            "{{ 'a' | indent(999999999, true) }}",
            "{{ 'a' | indent(width=999999999, first=true) }}",
            "{{ range(90000) | list | string | indent(9999) | replace(',', '\n') | indent(9999) }}",
            &format!("{{{{ range(90000) | join('{long}') }}}}"),
            &format!("{{{{ range(90000) | list | string | replace('1', '{long}') }}}}"),
            "{{ [['a'], ['b']] | sum }}",
            "{{ range(90000) | map('string') | map('indent', 5000, true) | list }}",
            "{{ range(400) | map('string') | map('indent', 9000, true) | map('upper') | map('lower') \
               | map('title') | map('upper') | map('lower') | map('title') | map('upper') \
               | map('lower') | map('title') | map('upper') | map('lower') | map('title') \
               | map('upper') | map('lower') | map('title') | map('upper') | map('lower') \
               | map('upper') | map('lower') | map('title') | map('upper') | map('lower') }}",
        ] {
            let template = Template::compile_text(expression).unwrap();
            let error = template.evaluate(&Fixed).unwrap_err();
            assert!(error.contains("would make too much"), "{expression}: {error}");
        }
        let many = format!("{{{{ [{}] | length }}}}", "index, ".repeat(1000));
        let problems = Template::compile_text(&many).unwrap_err();
        assert!(problems[0].message.contains("at most 4096 bytes"), "{problems:?}");
    }

    #[test]
    fn every_filter_is_limited() {
        let large = Jinja::from("x".repeat(5 << 20));
        for filter in FILTERS {
            let code = JINJA.compile_expression_owned(format!("x | {filter}")).unwrap();
            let error = code.eval(Jinja::from_pairs([("x", large.clone())])).unwrap_err();
            assert!(error.to_string().contains("would make too much"), "{filter}: {error}");
        }
    }
}
