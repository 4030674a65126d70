//! Reference pages, written from what the program itself knows, so that they cannot be wrong.
//!
//! Invariant: equal programs print equal text; nothing of the machine goes into it.

use clap::CommandFactory;
use impasto_catalog::Catalog;
use impasto_domain::{Field, Task};

use crate::args::Arguments;

/// The width of help texts, in characters, whatever the terminal.
const WIDTH: usize = 100;

/// The page of every command with its help.
pub(crate) fn commands() -> String {
    let mut page = String::from(
        "# The command line\n\nWritten by `cargo xtask generate` from the program's own help texts.\n",
    );
    let mut root = Arguments::command().term_width(WIDTH);
    root.build();
    describe(&mut root, &mut page);
    page
}

fn describe(command: &mut clap::Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n")));
    for child in command.get_subcommands_mut() {
        if !child.is_hide_set() && child.get_name() != "help" {
            describe(child, page);
        }
    }
}

/// The page of every task with its inputs and outputs.
pub(crate) fn tasks(catalog: &Catalog) -> String {
    let intro = "# Tasks\n\nWritten by `cargo xtask generate` from `catalog/tasks/`. Everything that a step can do is a task; \
                 an offer may take less of it (`impasto models show MODEL`).\n";
    catalog.tasks.values().fold(intro.to_owned(), |page, task| page + &describe_task(task))
}

fn describe_task(task: &Task) -> String {
    let head = "| name | type | default | what |\n|---|---|---|---|\n";
    let table = |fields: &[Field]| fields.iter().map(row).collect::<String>();
    format!(
        "\n## `{}`: {}\n\n{}\n\nTakes\n\n{head}{}\nGives\n\n{head}{}",
        task.id,
        task.title.to_lowercase(),
        task.description,
        table(&task.input),
        table(&task.output)
    )
}

fn row(field: &Field) -> String {
    let default = field.default.as_ref().map(|value| format!("`{}`", value.to_json()));
    let default = default.unwrap_or_else(|| match field.required {
        true => "required".to_owned(),
        false => String::new(),
    });
    let mut what = field.description.clone();
    let limits: Vec<String> = [
        field.min.map(|min| format!("at least {min}")),
        field.max.map(|max| format!("at most {max}")),
        field.max_chars.map(|most| format!("at most {most} characters")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !limits.is_empty() {
        what += &format!(" ({})", limits.join(", "));
    }
    if !field.values.is_empty() {
        what += &format!(" One of {}.", field.values.join(", "));
    }
    let what = what.replace('|', "\\|");
    format!("| `{}` | {} | {default} | {what} |\n", field.name, field.ty)
}
