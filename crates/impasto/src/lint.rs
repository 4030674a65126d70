//! `lint`: what is wrong with a workflow, and what a prompt leaves open. Also how a workflow file is
//! compiled, with its problems shown.

use std::path::Path;

use impasto_catalog::Catalog;
use impasto_domain::{Diagnostic, Error, Result, Severity, Type, Value};
use impasto_prompt::{Advice, Medium, PromptSpec, lint};
use impasto_workflow::{Plan, Work};

use crate::args::LintCommand;
use crate::inputs::unreadable;
use crate::runs::{Exit, FINE, RUN_FAILED};
use crate::screen::{Screen, Style};

/// The largest workflow file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Compiles a workflow file; its warnings and errors are shown.
pub(crate) fn compile(path: &Path, catalog: &Catalog, screen: Screen) -> Result<Plan> {
    let (plan, warnings, text) = read(path, catalog, screen)?;
    show(&warnings, path, &text, screen);
    Ok(plan)
}

fn read(path: &Path, catalog: &Catalog, screen: Screen) -> Result<(Plan, Vec<Diagnostic>, String)> {
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > FILE_BYTES_MAX {
        let message =
            format!("'{}' has {size} bytes, the most is {FILE_BYTES_MAX}", path.display());
        return Err(Error::invalid(message));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    match Plan::compile(&text, &catalog.tasks) {
        Ok((plan, warnings)) => Ok((plan, warnings, text)),
        Err(problems) => {
            show(&problems, path, &text, screen);
            let message = format!("'{}' has {} problem(s)", path.display(), problems.len());
            Err(Error::invalid(message).hint("mend the places shown above"))
        }
    }
}

fn show(problems: &[Diagnostic], path: &Path, text: &str, screen: Screen) {
    for problem in problems {
        if screen.json {
            let (line, column) = problem.position(text).unwrap_or((0, 0));
            let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
            screen.json_line(&serde_json::json!({
                "file": path, "line": line, "column": column, "severity": severity,
                "message": problem.message, "hint": problem.hint,
            }));
        } else {
            screen.raw_note(&format!("{}\n", problem.render(&path.display().to_string(), text)));
        }
    }
}

/// `impasto lint`.
pub(crate) fn run(command: &LintCommand, catalog: &Catalog, screen: Screen) -> Exit {
    let (mut errors, mut warnings) = (0, 0);
    for path in &command.workflows {
        match read(path, catalog, screen) {
            Ok((plan, found, text)) => {
                show(&found, path, &text, screen);
                warnings += found.len();
                for (step, advice) in prompts(&plan) {
                    warnings += advice.len();
                    advise(&advice, &format!("{}: step `{step}`", path.display()), screen);
                }
            }
            Err(error) => {
                errors += 1;
                screen.error(&error);
            }
        }
    }
    if let Some(prompt) = &command.prompt {
        let advice = lint(&PromptSpec::from_text(prompt), Medium::Image);
        warnings += advice.len();
        advise(&advice, "prompt", screen);
    }
    if !screen.json && errors + warnings == 0 {
        screen.line("nothing to say against it");
    }
    if errors > 0 || (command.strict && warnings > 0) { RUN_FAILED } else { FINE }
}

/// Advice about every prompt that stands in a workflow; expressions count as said.
fn prompts(plan: &Plan) -> Vec<(String, Vec<Advice>)> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let Work::Call(call) = &step.work else { continue };
        for field in
            call.task.input.iter().filter(|field| field.required && field.ty == Type::Prompt)
        {
            let value = call.input.get(&field.name);
            if value
                .and_then(Value::as_text)
                .is_some_and(|text| text.trim_start().starts_with("{{"))
            {
                continue;
            }
            let spec = value.and_then(|value| PromptSpec::from_value(value).ok());
            let medium = match call.task.id.as_str() {
                "text-to-music" => Medium::Music,
                "text-to-video" => Medium::Video,
                _ => Medium::Image,
            };
            found.extend(spec.map(|spec| (step.name.clone(), lint(&spec, medium))));
        }
    }
    found
}

fn advise(advice: &[Advice], place: &str, screen: Screen) {
    for one in advice {
        if screen.json {
            screen.json_line(&serde_json::json!({
                "place": place, "severity": "warning", "part": one.part.as_str(),
                "message": one.message, "example": one.example,
            }));
            continue;
        }
        let word = screen.paint("warning:", Style::Yellow);
        screen.note(format!(
            "{word} {place}: {}\n  = help: for instance: {}",
            one.message, one.example
        ));
    }
}
