//! What is wrong with a workflow, with its place and the remedy.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use impasto_catalog::Catalog;
use impasto_workflow::{Plan, Work};

const HEAD: &str = "workflow: w\nversion: 1\ninputs:\n  photo: { type: image }\n  look: { type: text, default: none }\n";

/// Compiles `HEAD` and `rest`; each of `expected` is "LINE:COLUMN part of the message or hint".
fn check(rest: &str, expected: &[&str]) {
    let source = format!("{HEAD}{rest}");
    let tasks = Catalog::embedded().unwrap().tasks;
    let problems = match Plan::compile(&source, &tasks) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            let (line, column) = problem.position(&source).unwrap_or((0, 0));
            let hint = problem.hint.clone().unwrap_or_default();
            format!("{line}:{column} {} {hint}", problem.message)
        })
        .collect();
    assert_eq!(shown.len(), expected.len(), "{shown:#?}\n{source}");
    for (shown, expected) in shown.iter().zip(expected) {
        let (place, part) = expected.split_once(' ').unwrap();
        assert!(
            shown.starts_with(&format!("{place} ")) && shown.contains(part),
            "{shown} | {expected}"
        );
    }
}

#[test]
fn names_that_mean_nothing() {
    check(
        "steps:\n  a:\n    task: resize-imag\n    input: { image: 1 }\n",
        &["8:11 did you mean `resize-image`?"],
    );
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { image: \"{{ inputs.foto }}\" }\n",
        &["9:32 there are photo, look"],
    );
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { image: \"{{ steps.b.image }}\" }\n",
        &["9:31 there is no step `b`"],
    );
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { image: \"{{ inputs.photo }}\" }\n  b:\n    task: resize-image\n    input: { image: \"{{ steps.a.imgae }}\" }\n",
        &["12:33 did you mean `image`?"],
    );
    check(
        "colour: 1\nsteps:\n  a: { task: resize-image, input: { image: \"{{ inputs.photo }}\" } }\n",
        &["6:1 a workflow has no `colour`"],
    );
    check(
        "steps:\n  a: { task: resize-image, input: { image: \"{{ inputs.photo }}\" }, retries: 3 }\n",
        &["7:68 a step has no `retries`"],
    );
}

#[test]
fn several_problems_at_once() {
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { width: wide, heigth: 3 }\n",
        &["8:11 needs the input `image`", "9:27 did you mean `height`?"],
    );
}

#[test]
fn types_that_do_not_fit() {
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { image: \"{{ inputs.look }}\", width: 0 }\n",
        &["9:21 `image` needs image, but this is text", "9:49 the least is 1"],
    );
    check(
        "steps:\n  a:\n    task: text-to-image\n    input: { prompt: a mug }\n  b:\n    task: resize-image\n    input: { image: \"{{ steps.a.images }}\" }\n",
        &["12:21 take one of the list with [0]"],
    );
    check(
        "steps:\n  a:\n    each: \"{{ inputs.look }}\"\n    task: text-to-image\n    input: { prompt: a mug }\n",
        &["8:11 `each` needs a list, but this is text"],
    );
}

#[test]
fn graphs_that_cannot_run() {
    check(
        "steps:\n  a:\n    task: resize-image\n    input: { image: \"{{ steps.b.image }}\" }\n  b:\n    task: resize-image\n    input: { image: \"{{ steps.a.image }}\" }\n",
        &["7:3 `a` waits for `b` waits for `a`"],
    );
    check(
        "steps:\n  a:\n    task: text-to-image\n    input: { prompt: a mug }\n  b: { pick: a, by: \"{{ 1 }}\" }\n",
        &["10:14 nothing to pick from"],
    );
    check(
        "steps:\n  a:\n    task: text-to-image\n    input: { prompt: \"{{ item }}\" }\n",
        &["9:26 only in a step with `each`"],
    );
    check(
        "steps:\n  a:\n    vary: { seed: [] }\n    task: text-to-image\n    input: { prompt: a mug }\n",
        &["8:19 at least one value"],
    );
    check("steps:\n  a: { workflow: me }\n", &["7:8 not supported yet"]);
    check(
        "steps:\n  a: { approve: Fine?, task: text-to-image, input: { prompt: a mug } }\n",
        &["7:8 only one of them"],
    );
    check("steps:\n  a: { approve: Fine?, retry: { attempts: 2 } }\n", &["7:24 has no `retry`"]);
    check(
        "steps:\n  a: { approve: Fine? }\n  b: { approve: \"{{ steps.a.said }}\" }\n",
        &["8:29 no output `said`"],
    );
}

#[test]
fn expressions_and_files_that_cannot_be_read() {
    check(
        "steps:\n  a:\n    task: text-to-image\n    input: { prompt: \"a {{ inputs.look | shout }}\" }\n",
        &["9:42 there is no filter `shout`"],
    );
    check(
        "steps:\n  a: { task: text-to-image, input: { prompt: a mug } }\noutputs:\n  x: { value: \"{{ steps.a.seed }}\", file: ../x }\n",
        &["9:43 not a plain file name"],
    );
    let tasks = Catalog::embedded().unwrap().tasks;
    for broken in ["", "[]", "workflow: [", "a: &a [*a]", "workflow: w\nworkflow: v\nsteps: {}\n"] {
        assert!(Plan::compile(broken, &tasks).is_err(), "{broken}");
    }
}

#[test]
fn a_video_among_the_outputs_gets_a_step_that_renders_it() {
    let source = format!(
        "{HEAD}steps:\n  shot:\n    task: image-to-video\n    input: {{ image: \"{{{{ inputs.photo }}}}\" }}\noutputs:\n  film: \"{{{{ steps.shot.video }}}}\"\n"
    );
    let tasks = Catalog::embedded().unwrap().tasks;
    let (plan, _) = Plan::compile(&source, &tasks).unwrap();
    let last = plan.steps.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.needs.as_slice()),
        ("render:film", &["shot".to_owned()][..])
    );
    let Work::Call(call) = &last.work else { panic!("a call") };
    assert_eq!(call.task.id.as_str(), "render-video");
}

/// Every file in `broken/`, as a person sees what is wrong with it.
#[test]
fn every_broken_workflow_says_all_that_is_wrong_with_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let tasks = Catalog::embedded().unwrap().tasks;
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        let problems = Plan::compile(&source, &tasks).expect_err(&name);
        let shown = problems.iter().map(|problem| problem.render(&format!("{name}.yaml"), &source));
        let shown = shown.collect::<Vec<_>>().join("\n");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, shown);
        });
        seen += 1;
    }
    assert!(seen >= 8);
}
