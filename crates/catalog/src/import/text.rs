//! The file itself.

use impasto_domain::TaskId;

use super::describe::Described;
use super::fit::Fit;
use super::guess::Guess;
use super::known::is_file;
use super::line::quoted;
use super::{Imported, Wish};
use crate::provider::Provider;

/// The longest text that is taken over for people, in characters.
const ABOUT_CHARS_MAX: usize = 240;
/// How sure a guess must be that is nothing to look at.
const SURE: f64 = 0.7;
/// What nobody has said.
const UNSAID: &str = "unspecified";

/// Everything that an offer's file is made of.
pub(crate) struct Parts<'p, 'c> {
    pub(crate) provider: &'p Provider,
    pub(crate) wire: Option<String>,
    pub(crate) fit: Fit<'c>,
    pub(crate) guess: Guess,
}

/// Writes the file.
pub(crate) fn write(described: &Described, wish: &Wish, parts: Parts<'_, '_>) -> Imported {
    let Parts { provider, wire, fit, guess } = parts;
    let model = wish.model.clone().unwrap_or_else(|| model_of(&wish.endpoint));
    let company = wish.company.clone().or_else(|| described.company.clone());
    let company = company.unwrap_or_else(|| company_of(&wish.endpoint, provider));
    let mut warnings: Vec<String> = doubt(&guess).into_iter().collect();
    warnings.extend(fit.warnings.iter().cloned());
    warnings.extend(fit.outputs.warnings.iter().cloned());
    for name in &fit.missing {
        warnings.push(format!(
            "the task needs `{name}`, and nothing of the endpoint takes it: no call can be made"
        ));
    }
    if !fit.outputs.is_whole {
        warnings.push(
            "what the task gives was not found in the answer; mend [offers.output]".to_owned(),
        );
    }
    if described.deprecated {
        warnings.push("the provider says that this endpoint will go".to_owned());
    }
    let unit = unit_of(&fit);
    if wish.price.is_none() {
        warnings.push(format!(
            "the price is not known: fill in `price`, such as {{ as_of = \"2026-01-31\", source = \"price page\", lines = [{{ per = \"{unit}\", usd = 0.01 }}] }}; \
             until then the offer comes after those with a price"
        ));
    }
    if wish.licence.is_none() {
        warnings.push("the licence is not known: fill in `licence`".to_owned());
    }
    let offer = offer(&fit, wish, provider, (wire, described.deprecated));
    let head = head(described, wish, (&model, &company), &fit);
    let (sureness, why) = guess.best.map(|(_, sureness, why)| (sureness, why)).unzip();
    Imported {
        path: format!("models/{}/{model}.toml", slug(&company)),
        text: format!("{head}\n{offer}"),
        offer,
        task: fit.task.id.clone(),
        sureness,
        why: why.unwrap_or_default(),
        others: guess.others,
        mapped: fit.mapped,
        kept: fit.kept,
        warnings,
        model,
    }
}

/// What is to be said of a task that is a guess and no more.
fn doubt(guess: &Guess) -> Option<String> {
    let (task, sureness, why) = guess.best.as_ref()?;
    let others: Vec<&str> = guess.others.iter().map(TaskId::as_str).take(3).collect();
    (*sureness < SURE).then(|| {
        format!(
            "the task is a guess, {task}, because {}; {} would fit too, and --task says which it is",
            why.join(" and "),
            others.join(", ")
        )
    })
}

fn head(
    described: &Described,
    wish: &Wish,
    (model, company): (&str, &str),
    fit: &Fit<'_>,
) -> String {
    let title =
        wish.title.clone().or_else(|| described.title.clone().filter(|title| is_name(title)));
    let title = title.unwrap_or_else(|| title_of(&wish.endpoint));
    let about = described.about.clone().unwrap_or_default();
    let about: String = about.chars().take(ABOUT_CHARS_MAX).collect();
    let about = if about.trim().is_empty() { fit.task.description.clone() } else { about };
    let tier = wish.tier.as_deref().unwrap_or("standard");
    let licence = wish.licence.as_deref().unwrap_or(UNSAID);
    [
        ("id", model),
        ("title", &title),
        ("company", company),
        ("version", "1"),
        ("licence", licence),
        ("training_data", UNSAID),
        ("description", &about),
        ("tier", tier),
    ]
    .iter()
    .map(|(key, value)| format!("{key} = {}\n", quoted(value)))
    .collect()
}

/// Whether a document's title is a name, and not a description of the document.
fn is_name(title: &str) -> bool {
    let lower = title.to_lowercase();
    !title.trim().is_empty()
        && title.chars().count() < 80
        && !["openapi", "input", "schema", "api"].iter().any(|word| lower.contains(word))
}

fn offer(
    fit: &Fit<'_>,
    wish: &Wish,
    provider: &Provider,
    (wire, deprecated): (Option<String>, bool),
) -> String {
    let mut lines = vec!["[[offers]]".to_owned()];
    let mut say = |key: &str, value: &str| lines.push(format!("{key} = {}", quoted(value)));
    say("provider", provider.id.as_str());
    say("task", fit.task.id.as_str());
    say("endpoint", &wish.endpoint);
    if let Some(variant) = &wish.variant {
        say("variant", variant);
    }
    if let Some(wire) = &wire {
        say("wire", wire);
    }
    say("source", "schema of the provider, read by impasto models import");
    let counts = provider.count.as_ref().is_some_and(|count| count.unit.is_none());
    if let Some(unit) = wish.counted_in.as_ref().filter(|_| counts) {
        lines.push(format!("count = {{ unit = {} }}", quoted(unit)));
    }
    match &wish.price {
        Some(price) => lines.push(format!("price = {price}")),
        None => lines.push("price = \"unknown\"  # fill in".to_owned()),
    }
    if deprecated {
        lines.push("lifecycle = { status = \"deprecated\" }".to_owned());
    }
    let price = wish.price.as_deref().unwrap_or_default();
    if price.contains("per =") {
        lines.extend(assumed(fit).map(|assumed| format!("assume = {assumed}")));
    }
    lines.extend(fit.size.as_ref().map(|size| format!("size = {size}")));
    lines.push("[offers.input]".to_owned());
    lines.extend(fit.lines.iter().map(super::line::Line::text));
    lines.push("[offers.output]".to_owned());
    lines.extend(fit.outputs.lines.iter().cloned());
    lines.join("\n") + "\n"
}

/// What is to be counted where no input limits it.
fn assumed(fit: &Fit<'_>) -> Option<&'static str> {
    let field = fit.task.input_field("duration");
    let limited = field.is_some_and(|field| field.default.is_some() && field.max.is_some());
    (unit_of(fit) == "second" && !limited).then_some("{ second = { usual = 5, most = 600 } }")
}

/// The unit in which such work is usually paid for.
fn unit_of(fit: &Fit<'_>) -> &'static str {
    let gives =
        |name: &str| fit.task.output.iter().any(|field| field.ty.to_string().contains(name));
    if gives("video") || gives("audio") && fit.task.input_field("text").is_none() {
        "second"
    } else if gives("audio") {
        "thousand_characters"
    } else if gives("image") && fit.task.output.iter().any(|field| is_file(&field.ty)) {
        "image"
    } else {
        "request"
    }
}

/// The id of a model that is called by its endpoint's words: `acme/pixels-2/text-to-image` is `pixels-2`
/// with what it does.
fn model_of(endpoint: &str) -> String {
    let bare = endpoint.split(':').next().unwrap_or(endpoint);
    let parts: Vec<String> = bare.split('/').map(slug).filter(|part| !part.is_empty()).collect();
    let own = if parts.len() > 1 { parts.get(1..).unwrap_or(&parts) } else { &parts };
    let id = own.join("-");
    if id.is_empty() { "model".to_owned() } else { id }
}

/// The words of an endpoint after its owner, beginning large.
fn title_of(endpoint: &str) -> String {
    let bare = endpoint.split(':').next().unwrap_or(endpoint);
    let own = bare.split_once('/').map_or(bare, |(_, rest)| rest);
    let words = own.split(['/', '-', '_']).filter(|word| !word.is_empty());
    let large = words.map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}", first.unwrap_or_default(), letters.as_str())
    });
    let title = large.collect::<Vec<_>>().join(" ");
    if title.is_empty() { endpoint.to_owned() } else { title }
}

fn company_of(endpoint: &str, provider: &Provider) -> String {
    let owner = endpoint.split('/').next().filter(|_| endpoint.contains('/'));
    owner.filter(|owner| !slug(owner).is_empty()).unwrap_or(provider.id.as_str()).to_owned()
}

/// Small letters, digits, `.` and `-`, as ids have them.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || (c == '.' && !slug.is_empty()) {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_matches(['-', '.']).to_owned()
}
