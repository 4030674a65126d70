//! `xtask bench`: speed and memory beside a peer or a floor, measured in one run on this machine.
//!
//! Invariants: a figure is printed as a ratio to what was measured beside it; nothing is asserted,
//! since machines are shared; a peer that is not installed leaves its place empty and says how to get
//! it. A program of figures prints one JSON object a line; adding one is a row of [`PROGRAMS`].

use std::path::Path;

use serde_json::Value as Json;

use crate::process::{Failure, Program, Result};
use crate::screen::{heading, say};

/// Where the figures are kept.
const KEPT: &str = "benches/README.md";

/// A program that measures.
struct Figures {
    name: &'static str,
    about: &'static str,
    /// What follows `cargo run --release --locked`.
    run: &'static [&'static str],
    /// What the figures mean, for those who read them.
    method: &'static str,
    /// Peers that are installed under `target/bench` first, where they can be.
    peers: &'static [Peer],
}

/// A program that others wrote.
struct Peer {
    name: &'static str,
    /// Where it is installed, under `target/bench`.
    folder: &'static str,
    /// What installs it there; `{}` stands for the folder.
    commands: &'static [&'static [&'static str]],
}

/// Gateways of others, by the package registries.
const GATEWAYS: &[Peer] = &[
    Peer {
        name: "LiteLLM",
        folder: "python",
        commands: &[
            &["python3", "-m", "venv", "{}"],
            &["{}/bin/python", "-m", "pip", "install", "--quiet", "litellm[proxy]==1.106.2"],
        ],
    },
    Peer {
        name: "Portkey",
        folder: "javascript",
        commands: &[&[
            "npm",
            "install",
            "--prefix",
            "{}",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "@portkey-ai/gateway@1.15.2",
        ]],
    },
];

const PROGRAMS: &[Figures] = &[
    Figures {
        name: "media",
        about: "pictures beside libvips, clips and a film beside ffmpeg",
        run: &["--package", "impasto-media", "--example", "against_peers"],
        method: "Both sides do the same work in turn, five times each, in one process and its \
                 children; medians. `cpu` is processor time of all threads. Ours decodes, resizes and encodes in \
                 process; the peers are started as programs (`vipsthumbnail`; `ffmpeg` with zoompan, xfade, \
                 libx264 veryfast, aac).",
        peers: &[],
    },
    Figures {
        name: "engine",
        about: "what a step costs, steps a second, the memory of a run that waits",
        run: &["--package", "impasto-engine", "--example", "steps_per_second"],
        method: "Steps that do nothing, over SQLite on a disk, every event committed before the next \
                 step. The floor is the aim that the project set itself: 100 µs added by a step (median, one run \
                 alone), 10,000 steps a second (256 runs side by side), 10 KB for each of 10,000 runs that wait \
                 for a job elsewhere.",
        peers: &[],
    },
    Figures {
        name: "drivers",
        about: "what a driver adds to a call: its request made, its answer read; the catalogue",
        run: &["--package", "impasto-dialects", "--example", "cost_of_a_call"],
        method: "Without a network. The floor is what cannot be left out: the same JSON written or read, \
                 the same file in base64; for the catalogue the same files read as TOML, and their bytes. \
                 Memory is that of eight further catalogues, divided. Ours looks for errors, the state, the cost and every output too. \
                 The quickest of 15 repetitions.",
        peers: &[],
    },
    Figures {
        name: "server",
        about: "what a call through the server costs, beside other gateways",
        run: &["--package", "impasto", "--example", "server_against_peers"],
        method: "One call for one picture, or for speech in pieces, by the OpenAI protocol. A mock of the \
                 provider, one gateway at a time and the load share one core, over loopback with connections \
                 that stay open; three seconds a line after a warm-up. Ours has a key, the ledger and the \
                 journal on, on a disk: what a call may cost is synchronised to it before the call and after \
                 it, and every picture is kept as a file; the peers keep nothing. The picture is not looked \
                 into, which `impasto serve` does in a process of its own. The first byte of speech is timed \
                 twice: since the call, which is made durable before it goes on, and on its way, from where \
                 the provider sends it to where the client has it. Processor time is that of the gateway's \
                 processes, divided by calls.",
        peers: GATEWAYS,
    },
];

/// Measures, prints, and keeps what was measured.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result {
    let chosen: Vec<&Figures> = match arguments {
        [] => PROGRAMS.iter().collect(),
        [name] if PROGRAMS.iter().any(|program| program.name == name) => {
            PROGRAMS.iter().filter(|program| program.name == name).collect()
        }
        _ => return Err(usage()),
    };
    let kept = std::fs::read_to_string(root.join(KEPT)).unwrap_or_default();
    let mut sections = Vec::new();
    for program in PROGRAMS {
        if chosen.iter().any(|one| one.name == program.name) {
            sections.push(section(program, &measure(root, program)?));
        } else {
            sections.extend(kept_section(&kept, program));
        }
    }
    let text = format!("{}\n{}", intro(root), sections.join("\n"));
    std::fs::create_dir_all(root.join("benches"))?;
    std::fs::write(root.join(KEPT), text)?;
    say(&format!("\nkept in {KEPT}"));
    Ok(())
}

fn usage() -> Failure {
    let lines: Vec<String> =
        PROGRAMS.iter().map(|program| format!("  {:<8} {}", program.name, program.about)).collect();
    Failure::new("`bench` takes nothing, or the name of one program of figures")
        .remedy(format!("these are there:\n{}", lines.join("\n")))
}

/// Runs the program and reads its figures.
fn measure(root: &Path, program: &Figures) -> Result<Vec<Json>> {
    program.peers.iter().for_each(|peer| install(root, peer));
    let words = ["run", "--release", "--locked", "--quiet"].iter().chain(program.run);
    let command = Program::cargo(root, words);
    heading(&format!("{}: {command}", program.name));
    let output = command.output()?;
    let read = |line: &str| {
        serde_json::from_str(line).map_err(|error| {
            Failure::new(format!("{}: not a figure: {error}: {line}", program.name))
        })
    };
    let figures: Vec<Json> = output.lines().map(read).collect::<Result<_>>()?;
    rows(&figures).iter().for_each(|row| say(row));
    Ok(figures)
}

/// Installs a peer, once. Without it, its place stays empty.
fn install(root: &Path, peer: &Peer) {
    let folder = root.join("target/bench").join(peer.folder);
    let stamp = folder.join("installed");
    let wanted = format!("{:?}", peer.commands);
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    heading(&format!("installing {}", peer.name));
    let _absent = std::fs::remove_dir_all(&folder);
    let place = folder.display().to_string();
    let done = peer.commands.iter().try_for_each(|command| {
        let words: Vec<String> = command.iter().map(|word| word.replace("{}", &place)).collect();
        let (program, rest) = words.split_first().ok_or_else(|| Failure::new("no command"))?;
        std::fs::create_dir_all(&folder)?;
        Program::new(root, program, rest).output().map(drop)
    });
    match done.and_then(|()| Ok(std::fs::write(&stamp, wanted)?)) {
        Ok(()) => {}
        Err(failure) => say(&format!("{} cannot be installed: {}", peer.name, failure.message)),
    }
}

const HEAD: &str = "| what | ours | beside | ratio |\n|---|---|---|---|";

fn rows(figures: &[Json]) -> Vec<String> {
    figures.iter().flat_map(rows_of).collect()
}

/// The rows of one figure: of work, its times and its size; of anything else, its value.
fn rows_of(figure: &Json) -> Vec<String> {
    let name = figure["figure"].as_str().unwrap_or("?");
    let peer_name = figure["peer_name"].as_str().unwrap_or("floor");
    let Some(ours) = figure["ours"].as_object() else {
        let unit = figure["unit"].as_str().unwrap_or_default();
        return vec![row(name, (&figure["ours"], &figure["peer"]), peer_name, unit)];
    };
    let missing = Json::Null;
    let of = |part: &str| figure["peer"].get(part).unwrap_or(&missing).clone();
    let parts = [("wall_s", "wall", "s"), ("cpu_s", "cpu", "s"), ("bytes", "size", "bytes")];
    parts
        .iter()
        .filter_map(|(part, word, unit)| {
            Some(row(&format!("{name}, {word}"), (ours.get(*part)?, &of(part)), peer_name, unit))
        })
        .collect()
}

fn row(what: &str, (ours, peer): (&Json, &Json), peer_name: &str, unit: &str) -> String {
    let shown = |value: &Json| match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0} {unit}"),
        Some(number) => format!("{number:.3} {unit}"),
        None => "?".to_owned(),
    };
    let beside = match peer {
        Json::Null => format!("{peer_name}: none"),
        value => format!("{peer_name} {}", shown(value)),
    };
    let ratio = ours.as_f64().zip(peer.as_f64()).filter(|(_, peer)| *peer > 0.0);
    let ratio = ratio.map_or("–".to_owned(), |(ours, peer)| format!("{:.2}", ours / peer));
    format!("| {what} | {} | {beside} | {ratio} |", shown(ours))
}

fn title(program: &Figures) -> String {
    format!("## {}: {}", program.name, program.about)
}

fn section(program: &Figures, figures: &[Json]) -> String {
    let rows = rows(figures).join("\n");
    format!("{}\n\n{}\n\n{HEAD}\n{rows}\n", title(program), program.method)
}

/// The section of a program that was not measured this time, as it was.
fn kept_section(kept: &str, program: &Figures) -> Option<String> {
    let from = kept.find(&title(program))?;
    let rest = kept.get(from..)?;
    let end = rest.get(1..)?.find("\n## ").map_or(rest.len(), |end| end + 2);
    rest.get(..end).map(str::to_owned)
}

fn intro(_root: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model =
        model.map_or("an unknown processor", |line| line.trim_start_matches(['\t', ' ', ':']));
    format!(
        "# Figures\n\nWritten by `cargo xtask bench [NAME]`. Each ratio is ours to what was measured beside it in \
         the same run: below 1 is less. Last measured on {cores} cores of {model}, which others \
         share: take ratios, not seconds.\n\nWhat a driver adds to a call, how long the catalogue takes to load \
         and what it takes of memory: `cargo xtask bench drivers`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_becomes_rows_with_ratios() {
        let work = serde_json::json!({
            "figure": "clip", "ours": {"wall_s": 1.0, "cpu_s": 3.0, "bytes": 10},
            "peer": {"wall_s": 2.0, "cpu_s": 1.5, "bytes": 10}, "peer_name": "ffmpeg",
        });
        assert_eq!(
            rows_of(&work),
            [
                "| clip, wall | 1 s | ffmpeg 2 s | 0.50 |",
                "| clip, cpu | 3 s | ffmpeg 1.500 s | 2.00 |",
                "| clip, size | 10 bytes | ffmpeg 10 bytes | 1.00 |",
            ]
        );
        let alone =
            serde_json::json!({"figure": "a step", "ours": 50.0, "unit": "µs", "peer": 100.0});
        assert_eq!(rows_of(&alone), ["| a step | 50 µs | floor 100 µs | 0.50 |"]);
        let missing = serde_json::json!({"figure": "x", "ours": 5, "unit": "s", "peer": null, "peer_name": "p"});
        assert_eq!(rows_of(&missing), ["| x | 5 s | p: none | – |"]);
    }

    #[test]
    fn what_is_not_measured_again_is_kept() {
        let kept: String = PROGRAMS.iter().map(|program| section(program, &[])).collect();
        for program in PROGRAMS {
            assert_eq!(kept_section(&kept, program), Some(section(program, &[])));
        }
    }
}
