//! What is said about files that will not do.

use insta::assert_snapshot;

use super::{HEAD, PROVIDER, TASK, pencil, shown, with};
use crate::Catalog;

/// What is said about `files`, over a task and a provider that are well.
fn said(files: &[(&str, &str)]) -> String {
    match Catalog::load(&with(files)) {
        Ok((_, warnings)) => shown(&warnings),
        Err(findings) => shown(&findings),
    }
}

fn said_of_pencil(extra: &str) -> String {
    said(&[("models/acme/pencil.toml", &pencil(extra))])
}

#[test]
fn a_file_that_is_well_needs_no_word() {
    assert_eq!(said_of_pencil("price = \"free\""), "");
}

#[test]
fn an_unknown_key_names_the_one_that_was_meant() {
    let text = pencil("price = \"free\"\nunsuported = [\"prompt\"]");
    assert_snapshot!(said(&[("models/acme/pencil.toml", &text)]), @r#"
    error: an offer has no key `unsuported`
      --> models/acme/pencil.toml:16:1
       |
    16 | unsuported = ["prompt"]
       | ^^^^^^^^^^
       = help: did you mean `unsupported`?
    "#);
}

#[test]
fn unknown_references_are_all_told_at_once() {
    let text = format!(
        "{HEAD}\n[[offers]]\nprovider = \"papr\"\ntask = \"drow\"\nendpoint = \"\"\ntime = {{ fixed_ms = 10 }}\nprice = \"free\"\n"
    );
    assert_snapshot!(said(&[("models/acme/pencil.toml", &text)]), @r#"
    error: there is no provider `papr`
      --> models/acme/pencil.toml:11:12
       |
    11 | provider = "papr"
       |            ^^^^^^
       = help: did you mean `paper`?

    error: there is no task `drow`
      --> models/acme/pencil.toml:12:8
       |
    12 | task = "drow"
       |        ^^^^^^
       = help: did you mean `draw`?

    error: this must not be empty
      --> models/acme/pencil.toml:13:12
       |
    13 | endpoint = ""
       |            ^^
    "#);
}

#[test]
fn inputs_that_the_task_lacks_are_told_wherever_they_are_named() {
    let extra = r#"price = { as_of = "2026-11-01", source = "page", lines = [
    { per = "image", usd = 0.04, tiers = [{ when = { resolutoin = "4k" }, usd = 0.08 }] },
] }
unsupported = ["seed"]
[offers.params.colour]
values = ["red"]
[offers.map.rename]
promt = "text"
"#;
    assert_snapshot!(said_of_pencil(extra), @r#"
    error: the task `draw` has no input `resolutoin`
      --> models/acme/pencil.toml:16:54
       |
    16 |     { per = "image", usd = 0.04, tiers = [{ when = { resolutoin = "4k" }, usd = 0.08 }] },
       |                                                      ^^^^^^^^^^
       = help: did you mean `resolution`?

    error: the task `draw` has no input `seed`
      --> models/acme/pencil.toml:18:16
       |
    18 | unsupported = ["seed"]
       |                ^^^^^^
       = help: there are duration, height, num_images, prompt, resolution, scale, sound, width

    error: the task `draw` has no input `colour`
      --> models/acme/pencil.toml:19:16
       |
    19 | [offers.params.colour]
       |                ^^^^^^
       = help: there are duration, height, num_images, prompt, resolution, scale, sound, width

    error: the task `draw` has no input `promt`
      --> models/acme/pencil.toml:22:1
       |
    22 | promt = "text"
       | ^^^^^
       = help: did you mean `prompt`?
    "#);
}

#[test]
fn bad_prices_are_told() {
    assert_snapshot!(said_of_pencil("price = \"cheap\""), @r#"
    error: 'cheap' is not a price
      --> models/acme/pencil.toml:15:9
       |
    15 | price = "cheap"
       |         ^^^^^^^
       = help: write "free", "unknown", or { lines = [{ per = "image", usd = 0.04 }] }
    "#);
    let extra = r#"price = { as_of = "1 November", source = "page", lines = [
    { per = "image", usd = 1e-3 },
    { per = "picture", usd = 0.04 },
    { per = "image", usd = -1 },
    { per = "image", usd = 1, tiers = [{ when = { resolution = "8k" }, usd = 2 }] },
] }"#;
    assert_snapshot!(said_of_pencil(extra), @r#"
    error: '1 November' is not a date
      --> models/acme/pencil.toml:15:19
       |
    15 | price = { as_of = "1 November", source = "page", lines = [
       |                   ^^^^^^^^^^^^
       = help: write year, month and day: "2026-07-10"

    error: '1e-3' is not an amount of dollars, such as 0.025
      --> models/acme/pencil.toml:16:28
       |
    16 |     { per = "image", usd = 1e-3 },
       |                            ^^^^
       = help: write dollars with at most nine decimals, such as 0.025

    error: there is no unit 'picture'
      --> models/acme/pencil.toml:17:13
       |
    17 |     { per = "picture", usd = 0.04 },
       |             ^^^^^^^^^
       = help: there are gpu_second, image, input_frame, input_image, input_second, megapixel, million_audio_tokens_out, million_image_tokens_in, million_image_tokens_out, million_text_tokens_in, million_text_tokens_out, million_tokens_in, million_video_tokens, minute, request, second, session_second, step, thousand_characters, total_megapixel, video_megapixel

    error: '-1' is not an amount of dollars, such as 0.025
      --> models/acme/pencil.toml:18:28
       |
    18 |     { per = "image", usd = -1 },
       |                            ^^
       = help: write dollars with at most nine decimals, such as 0.025

    error: this never holds: `resolution` is '8k'; it can be 720p, 1080p, 4k
      --> models/acme/pencil.toml:19:64
       |
    19 |     { per = "image", usd = 1, tiers = [{ when = { resolution = "8k" }, usd = 2 }] },
       |                                                                ^^^^
    "#);
}

#[test]
fn a_price_that_nothing_limits_is_told() {
    let task = TASK.replace("max = 15\n", "");
    let extra = r#"price = { as_of = "2026-11-01", source = "page", lines = [{ per = "second", usd = 0.1 }] }"#;
    let model = pencil(extra);
    let files = [("tasks/draw.toml", task.as_str()), ("models/acme/pencil.toml", &model)];
    assert_snapshot!(said(&files), @r#"
    error: the price cannot be known before the call: nothing limits the number of seconds
      --> models/acme/pencil.toml:15:59
       |
    15 | price = { as_of = "2026-11-01", source = "page", lines = [{ per = "second", usd = 0.1 }] }
       |                                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: say what is usual: assume = { second = { usual = 5, most = 60 } }
    "#);
    let model = pencil(&format!("{extra}\nassume = {{ second = {{ usual = 5, most = 60 }} }}"));
    assert_eq!(said(&[("tasks/draw.toml", &task), ("models/acme/pencil.toml", &model)]), "");
}

#[test]
fn narrower_inputs_must_leave_something_and_admit_the_default() {
    let extra = r#"price = "free"
[offers.params.duration]
min = 20
[offers.params.resolution]
values = ["1080p", "8k"]
[offers.params.prompt]
max = 3
"#;
    assert_snapshot!(said_of_pencil(extra), @r#"
    error: no `duration` is left: the least is 20, the most 15
      --> models/acme/pencil.toml:16:1
       |
    16 | [offers.params.duration]
       | ^^^^^^^^^^^^^^^^^^^^^^^^

    error: the task's default is excluded: `resolution` is '720p'; it can be 1080p, 8k
      --> models/acme/pencil.toml:18:1
       |
    18 | [offers.params.resolution]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: a call that says nothing about it would be refused; allow the default

    error: `resolution` is '8k'; it can be 720p, 1080p, 4k
      --> models/acme/pencil.toml:19:20
       |
    19 | values = ["1080p", "8k"]
       |                    ^^^^

    error: an input of type prompt has no least and no most
      --> models/acme/pencil.toml:21:7
       |
    21 | max = 3
       |       ^
    "#);
}

#[test]
fn an_id_has_one_file_and_the_name_of_it() {
    let model = pencil("price = \"free\"");
    let files = [
        ("models/acme/pencil.toml", model.as_str()),
        ("models/other/pencil.toml", &model),
        ("models/acme/crayon.toml", &model),
    ];
    assert_snapshot!(said(&files), @r#"
    error: there is another model `pencil`, in models/acme/pencil.toml
     --> models/other/pencil.toml:1:1
      |
    1 | id = "pencil"
      | ^
      = help: an id is used once in a folder; rename one of them

    error: the file is called crayon.toml, but the id is `pencil`
     --> models/acme/crayon.toml:1:6
      |
    1 | id = "pencil"
      |      ^^^^^^^^
      = help: name the file pencil.toml, or write id = "crayon"
    "#);
}

#[test]
fn a_model_without_offers_and_a_broken_file_are_told() {
    let empty = format!("{HEAD}offers = []\n").replace("draft", "drafty");
    let crayon = pencil("price = \"free\"").replace("id = \"pencil", "id = \"crayon");
    let files = [
        ("models/acme/pencil.toml", empty.as_str()),
        ("models/acme/crayon.toml", &crayon),
        ("providers/paper.toml", "id = \"paper\ntitle ="),
    ];
    assert_snapshot!(said(&files), @r#"
    error: invalid basic string, expected `"`
     --> providers/paper.toml:1:12
      |
    1 | id = "paper
      |            ^

    error: string values must be quoted, expected literal string
     --> providers/paper.toml:2:8
      |
    2 | title =
      |        ^

    error: there is no tier 'drafty'
     --> models/acme/pencil.toml:8:8
      |
    8 | tier = "drafty"
      |        ^^^^^^^^
      = help: did you mean `draft`?

    error: the model `pencil` has no offers
     --> models/acme/pencil.toml:9:10
      |
    9 | offers = []
      |          ^^
      = help: a model that nobody offers cannot be used; add an [[offers]] table
    "#);
}

#[test]
fn the_name_of_a_task_is_no_name_of_a_model() {
    let text = pencil("price = \"free\"").replacen(
        "\n[[offers]]",
        "\naliases = [\"draw\"]\n[[offers]]",
        1,
    );
    assert_snapshot!(said(&[("models/acme/pencil.toml", &text)]), @r#"
    error: `draw` is the name of a task
      --> models/acme/pencil.toml:10:12
       |
    10 | aliases = ["draw"]
       |            ^^^^^^
       = help: it means any model that performs it; take the alias out
    "#);
}

#[test]
fn a_name_stands_for_one_model() {
    let other = pencil("price = \"free\"").replace("\"pencil\"", "\"brush\"");
    let other = other.replacen("\n[[offers]]", "\naliases = [\"Pencil\"]\n[[offers]]", 1);
    let said = said(&[
        ("models/acme/pencil.toml", &pencil("price = \"free\"")),
        ("models/acme/brush.toml", &other),
    ]);
    assert_snapshot!(said, @r#"
    error: `Pencil` is the name of the model `pencil` already
      --> models/acme/brush.toml:10:12
       |
    10 | aliases = ["Pencil"]
       |            ^^^^^^^^
       = help: take the alias out of one of them
    "#);
}

#[test]
fn a_part_of_a_name_is_answered_with_names_that_have_it() {
    let catalog = crate::Catalog::embedded().unwrap();
    let hint = catalog.model_named("sora").unwrap_err().hint.unwrap();
    assert!(hint.starts_with("did you mean `sora-2` or "), "{hint}");
}

#[test]
fn a_default_must_be_of_its_type_and_within_its_limits() {
    let task = TASK
        .replace("default = 1\n", "default = 9\n")
        .replace("default = \"720p\"", "default = 720")
        .replace("required = true", "required = true\ndefault = \"a mug\"")
        .replace("type = \"boolean\"", "type = \"bool\"\nmaximum = 3");
    assert_snapshot!(said(&[("tasks/draw.toml", &task)]), @r#"
    error: `prompt` is required, so its default is never used
     --> tasks/draw.toml:7:11
      |
    7 | default = "a mug"
      |           ^^^^^^^
      = help: an input is either required or has a default

    error: the default will not do: `num_images` is 9, the most is 4
      --> tasks/draw.toml:11:11
       |
    11 | default = 9
       |           ^

    error: the default will not do: `resolution` needs text, but was given integer
      --> tasks/draw.toml:29:11
       |
    29 | default = 720
       |           ^^^

    error: 'bool' is not a type; there are text, prompt, integer, number, boolean, image, video, audio, mesh, world, file, json and list<…>
      --> tasks/draw.toml:36:8
       |
    36 | type = "bool"
       |        ^^^^^^

    error: an input has no key `maximum`
      --> tasks/draw.toml:37:1
       |
    37 | maximum = 3
       | ^^^^^^^
       = help: there are default, description, max, max_chars, min, required, type, unit, values
    "#);
}

#[test]
fn a_mapping_knows_its_verbs_and_loses_nothing() {
    let extra = r#"price = "free"
[offers.map]
rename = { prompt = "resolution" }
clamp = { prompt = { max = 3 }, duration = { min = 9, max = 5 } }
enum = { resolution = { "8k" = "huge" } }
template = "{{ prompt }}"
"#;
    assert_snapshot!(said_of_pencil(extra), @r#"
    error: two inputs would be called `resolution`
      --> models/acme/pencil.toml:17:21
       |
    17 | rename = { prompt = "resolution" }
       |                     ^^^^^^^^^^^^

    error: `prompt` is of type prompt, not a number
      --> models/acme/pencil.toml:18:20
       |
    18 | clamp = { prompt = { max = 3 }, duration = { min = 9, max = 5 } }
       |                    ^^^^^^^^^^^

    error: nothing lies between these limits
      --> models/acme/pencil.toml:18:44
       |
    18 | clamp = { prompt = { max = 3 }, duration = { min = 9, max = 5 } }
       |                                            ^^^^^^^^^^^^^^^^^^^^

    error: `resolution` is '8k'; it can be 720p, 1080p, 4k
      --> models/acme/pencil.toml:19:25
       |
    19 | enum = { resolution = { "8k" = "huge" } }
       |                         ^^^^

    error: a mapping has no key `template`
      --> models/acme/pencil.toml:20:1
       |
    20 | template = "{{ prompt }}"
       | ^^^^^^^^
       = help: there are clamp, const, default, enum, rename
    "#);
}

#[test]
fn a_provider_says_how_much_it_does_at_once() {
    let provider = PROVIDER.replace("concurrency = 2", "concurrency = 0");
    assert_snapshot!(said(&[("providers/paper.toml", &provider)]), @r#"
    error: this is not a number of calls at the same time
     --> providers/paper.toml:5:15
      |
    5 | concurrency = 0
      |               ^
      = help: write a whole number from 1, or "cores" for one call on each core
    "#);
}

#[test]
fn warnings_do_not_keep_a_catalogue_from_loading() {
    let model =
        pencil("price = \"free\"\n[lifecycle]\nstatus = \"retired\"\nreplacement = \"crayon\"");
    let model = model.replacen("\n[[offers]]", "\nnote = \"old\"\n[[offers]]", 1);
    let loaded = Catalog::load(&with(&[
        ("models/acme/pencil.toml", &model),
        ("tasks/carve.toml", &TASK.replace("id = \"draw\"", "id = \"carve\"")),
        ("notes/readme.md", "hello"),
    ]));
    let (catalog, warnings) = loaded.unwrap();
    assert_eq!(catalog.tasks.len(), 2);
    assert_snapshot!(shown(&warnings), @r#"
    warning: this file is not read, because it is in none of the known folders
     --> notes/readme.md:1:1
      |
    1 | hello
      | ^
      = help: put it into tasks/, providers/ or models/COMPANY/, and end it in .toml

    warning: nothing performs the task `carve`
     --> tasks/carve.toml:1:1
      |
    1 | id = "carve"
      | ^
      = help: add an offer for it to a model

    warning: the replacement `crayon` is not in the catalogue
      --> models/acme/pencil.toml:19:16
       |
    19 | replacement = "crayon"
       |                ^^^^^^
    "#);
}

/// Hostile files are refused or read, but never a panic.
#[test]
fn no_file_makes_it_panic() {
    let good = pencil("price = \"free\"\n[offers.map.clamp]\nduration = { min = 1 }");
    for cut in 0..good.len() {
        if let Some(text) = good.get(..cut) {
            let _ = said(&[("models/acme/pencil.toml", text)]);
        }
    }
    for bad in
        ["nan", "inf", "-1", "99999999999999999999", "\"\"", "[]", "{}", "2026-11-01", "[[[1]]]"]
    {
        for key in ["price", "needs", "assume", "params", "map", "unsupported", "version"] {
            let price = if key == "price" { "" } else { "price = \"free\"\n" };
            let _ = said_of_pencil(&format!("{price}{key} = {bad}"));
        }
        let _ = said(&[("tasks/draw.toml", &TASK.replace("= 4096", &format!("= {bad}")))]);
        let _ = said_of_pencil(&format!(
            "price = {{ as_of = \"2026-11-01\", source = \"x\", lines = [{{ per = \"second\", usd = {bad} }}] }}"
        ));
    }
}

#[test]
fn a_callback_goes_to_one_place_that_there_is() {
    let of = |submit: &str, poll: &str, callback: &str| {
        let text = format!(
            "{PROVIDER}\n[base]\ndefault = {{ url = \"https://x.example\" }}\n[wires.job]\n\
             submit = {{ method = \"POST\", path = \"/jobs\"{submit} }}\nhandle = {{ id = \"/id\" }}\n{poll}\
             state = {{ at = \"/state\", succeeded = [\"done\"] }}\ncallback = {{ {callback} }}\n"
        );
        said(&[("providers/paper.toml", &text)])
    };
    let poll = "poll = { method = \"GET\", path = \"/jobs/{id}\" }\n";
    let body = ", body = \"json\"";
    let check = |submit: &str, poll: &str, callback: &str, part: &str| {
        let told = of(submit, poll, callback);
        let is_wrong = told.contains("error:");
        assert!(told.contains(part) && is_wrong != part.is_empty(), "{callback}: {told}");
    };
    check(body, poll, "at = \"/hook\", with = { \"/of\" = [\"end\"] }", "");
    check("", poll, "query = \"hook\"", "");
    check(body, poll, "at = \"/hook\", query = \"hook\"", "either `at` or `query`");
    check(body, poll, "with = { \"/of\" = [\"end\"] }", "either `at` or `query`");
    check("", poll, "at = \"/hook\"", "a body that is not there");
    check("", poll, "query = \"hook\", with = { \"/of\" = 1 }", "a body that is not there");
    check(body, "", "at = \"/hook\"", "nothing is asked for then");
    check(body, poll, "to = \"/hook\"", "to");
}

#[test]
fn the_answer_is_the_file_where_the_wire_ends_in_one() {
    let provider = format!(
        "{PROVIDER}\n[base]\ndefault = {{ url = \"https://x.example\" }}\n[wires.file]\n\
         submit = {{ method = \"POST\", path = \"/f\", body = \"json\", answer = \"bytes\" }}\n[wires.call]\n\
         submit = {{ method = \"POST\", path = \"/c\", body = \"json\" }}\n"
    );
    let check = |wire: &str, output: &str, problem: &str| {
        let model = pencil(&format!(
            "price = \"free\"\nwire = \"{wire}\"\n[offers.input]\nprompt = {{}}\n[offers.output]\nimage = {output}"
        ));
        let told =
            said(&[("providers/paper.toml", &provider), ("models/acme/pencil.toml", &model)]);
        assert!(told.contains(problem) && told.is_empty() == problem.is_empty(), "{told}");
    };
    check("file", "\"body\"", "");
    check("call", "\"/picture\"", "");
    check("call", "{ file = \"body\" }", "the wire of this offer does not end in a file");
    check("file", "\"/picture\"", "the wire of this offer ends in a file");
}
