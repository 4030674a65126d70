//! `xtask demo`: from a clean tree to a finished film, in one command.
//!
//! Invariant: it does nothing that a person could not type; each command is printed before it runs.

use std::path::Path;

use crate::process::{Failure, Program, Result, find};
use crate::screen::{heading, say, size};
use crate::system::{VOICE, provide};

const WORKFLOW: &str = "workflows/product-film.yaml";
const OUT: &str = "out/";
const INPUTS: &[(&str, &str)] =
    &[("photo", "@samples/coffee.png"), ("product", "Pikolo espresso cup")];

/// Builds Impasto, runs the workflow, and lists what it made.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result {
    let given = match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    };
    heading("what the system must lend");
    provide(root, &[VOICE]);

    let build = Program::cargo(root, ["build", "--release", "--locked", "--package", "impasto"]);
    heading(&format!("building: {build}"));
    build.run().map_err(|failure| {
        failure.remedy("the lines above say what does not compile; `cargo xtask check` helps")
    })?;

    let words = words(given);
    let program = Program::new(root, "target/release/impasto", &words);
    heading(&format!("making the film: target/release/{program}"));
    program.run().map_err(|failure| {
        failure.remedy(
            "the lines above say what failed; a run that was interrupted goes on with \
             `target/release/impasto resume`",
        )
    })?;

    let out = value(&words, "-o", "--output").unwrap_or(OUT);
    list(root, Path::new(out))
}

/// The words after `impasto`: what was given, and of the demo's own flags those that were not given.
fn words(given: &[String]) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    let has_workflow = given.iter().any(|word| {
        [".yaml", ".yml", ".json"].iter().any(|end| word.ends_with(end)) && !word.contains('=')
    });
    if !has_workflow {
        words.push(WORKFLOW.to_owned());
        for (name, text) in INPUTS {
            let begins = format!("{name}=");
            if !given.iter().any(|word| word.starts_with(&begins)) {
                words.extend(["-i".to_owned(), format!("{name}={text}")]);
            }
        }
    }
    if value(given, "-o", "--output").is_none() {
        words.extend(["-o".to_owned(), OUT.to_owned()]);
    }
    words.extend_from_slice(given);
    words
}

/// The value of a flag that is written `-o DIR`, `--output DIR` or `--output=DIR`.
fn value<'a>(words: &'a [String], short: &str, long: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(index, word)| {
        if word == short || word == long {
            return words.get(index + 1).map(String::as_str);
        }
        word.strip_prefix(long)?.strip_prefix('=')
    })
}

fn list(root: &Path, out: &Path) -> Result {
    let folder = root.join(out);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", out.display())))?
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .filter(|(_, facts)| facts.is_file())
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    heading(&format!("made in {}", out.display()));
    for (path, facts) in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        say(&format!("{:>10}  {name}", size(facts.len())));
    }
    let film = files.iter().find(|(path, _)| path.extension().is_some_and(|end| end == "mp4"));
    let Some((film, _)) = film else { return Ok(()) };
    if find("ffprobe").is_some() {
        probe(root, film);
    } else {
        say("ffprobe is not there: nobody else has looked at the film");
    }
    let shown = out.join(film.file_name().unwrap_or_default());
    say(&format!("\nopen {}", shown.display()));
    Ok(())
}

/// What a program that is not ours finds in the film.
fn probe(root: &Path, film: &Path) {
    let entries =
        "stream=codec_name,width,height,r_frame_rate,channels,sample_rate:format=duration";
    let words =
        ["-v", "error", "-show_entries", entries, "-of", "compact=p=1:nk=0"].map(String::from);
    let words = words.into_iter().chain([film.display().to_string()]);
    match Program::new(root, "ffprobe", words).output() {
        Ok(answer) => answer.lines().for_each(|line| say(&format!("   ffprobe  {line}"))),
        Err(failure) => say(&format!("   ffprobe  {}", failure.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_what_the_demo_would_say() {
        let check = |given: &str, expected: &str| {
            let given: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
            assert_eq!(words(&given).join(" "), expected);
        };
        let workflow = WORKFLOW;
        let product = "-i product=Pikolo espresso cup";
        check("", &format!("run {workflow} -i photo=@samples/coffee.png {product} -o out/"));
        check(
            "-i photo=@cup.png -o there",
            &format!("run {workflow} {product} -i photo=@cup.png -o there"),
        );
        check("other.yaml --output=there", "run other.yaml --output=there");
        check("other.yaml -i a=b.yaml", "run -o out/ other.yaml -i a=b.yaml");
    }
}
