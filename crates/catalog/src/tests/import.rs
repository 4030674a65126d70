//! Schemas become files that load, and nothing of them is lost.

use impasto_domain::{AssetRef, MediaKind, Values};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::published::published;
use crate::example::value_for;
use crate::import::{Imported, Wish, import};
use crate::{Catalog, FilePart, Layer, Offer};

pub(super) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());

const QUEUE: &str = include_str!("schemas/queue.json");
const CONTAINER: &str = include_str!("schemas/container.json");
const PLAIN: &str = include_str!("schemas/plain.json");

/// The catalogue is large: so many offers are passed over for one that is looked at.
const EVERY: usize = 4;

pub(super) fn wish(provider: &str, endpoint: &str) -> Wish {
    Wish { provider: provider.to_owned(), endpoint: endpoint.to_owned(), ..Wish::default() }
}

fn read(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

/// The catalogue with the imported file in it.
pub(super) fn loaded(imported: &Imported) -> Catalog {
    let files = vec![(imported.path.clone(), imported.text.clone())];
    let own = Layer { name: "own".to_owned(), files };
    match Catalog::load(&[Layer::embedded(), own]) {
        Ok((catalog, _)) => catalog,
        Err(findings) => panic!("{}\n{}", super::shown(&findings), imported.text),
    }
}

fn offer<'c>(catalog: &'c Catalog, imported: &Imported) -> &'c Offer {
    let model = catalog.model(&imported.model.as_str().into()).unwrap();
    catalog.offer(model.offers.last().unwrap()).unwrap()
}

fn sample(kind: MediaKind) -> AssetRef {
    super::walk::sample(kind)
}

#[test]
fn a_queue_endpoint_becomes_an_offer_with_no_work_by_hand() {
    let imported =
        import(&read(QUEUE), &wish("fal", "acme-labs/lumen-3/image-to-video"), &CATALOG).unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    id = "lumen-3-image-to-video"
    title = "Lumen 3 Image To Video"
    company = "acme-labs"
    version = "1"
    licence = "unspecified"
    training_data = "unspecified"
    description = "Turns a still picture into a shot with sound."
    tier = "standard"

    [[offers]]
    provider = "fal"
    task = "image-to-video"
    endpoint = "acme-labs/lumen-3/image-to-video"
    source = "schema of the provider, read by impasto models import"
    price = "unknown"  # fill in
    [offers.input]
    prompt = { required = true, max_chars = 2500 }
    image = "image_url"
    last_frame = "end_image_url"
    duration = { snap = [5, 10], suffix = "s", default = 5 }
    resolution = { enum = { 4k = "2160p" }, values = ["720p", "1080p", "4k"], default = "720p" }
    aspect_ratio = { values = ["16:9", "9:16", "1:1"] }
    generate_audio = { default = true }
    negative_prompt = { default = "blur" }
    guidance_scale = { to = "cfg_scale", max = 1, default = 0.5 }
    seed = {}
    motion_bucket = { type = "integer", min = 1, max = 255, default = 127, description = "How much moves." }
    shimmer = { type = "text", values = ["none", "soft", "strong"], default = "none", description = "A gloss over everything." }
    style_reference_urls = { type = "list<image>", max = 3, description = "URLs of images whose style is to be taken." }
    webhook_note = { type = "json" }
    [offers.output]
    video = "/video/url"
    "#);
    insta::assert_snapshot!(imported.warnings.join("\n"), @r#"
    of `duration`, 'auto' has no word in the task; `passthrough` still takes it
    of `aspect_ratio`, 'auto' has no word in the task; `passthrough` still takes it
    the price is not known: fill in `price`, such as { as_of = "2026-01-31", source = "price page", lines = [{ per = "second", usd = 0.01 }] }; until then the offer comes after those with a price
    the licence is not known: fill in `licence`
    "#);
    loaded(&imported);
}

#[test]
fn a_container_becomes_an_offer_with_no_work_by_hand() {
    let imported =
        import(&read(CONTAINER), &wish("replicate", "acme-labs/inkwell"), &CATALOG).unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    id = "inkwell"
    title = "inkwell"
    company = "acme-labs"
    version = "1"
    licence = "unspecified"
    training_data = "unspecified"
    description = "Draws with a pen."
    tier = "standard"

    [[offers]]
    provider = "replicate"
    task = "text-to-image"
    endpoint = "acme-labs/inkwell"
    source = "schema of the provider, read by impasto models import"
    price = "unknown"  # fill in
    [offers.input]
    prompt = "/input/prompt"
    aspect_ratio = { to = "/input/aspect_ratio", values = ["1:1", "16:9", "9:16"], default = "1:1" }
    num_images = { to = "/input/num_outputs", max = 4, default = 1 }
    output_format = { to = "/input/output_format", enum = { jpeg = "jpg" }, values = ["webp", "jpeg", "png"], default = "webp" }
    nib = { to = "/input/nib", type = "text", values = ["fine", "broad"], default = "fine", description = "The pen." }
    go_fast = { to = "/input/go_fast", type = "boolean", default = true }
    seed = "/input/seed"
    style_image = { to = "/input/style_image", type = "image", description = "An image to take the style of." }
    [offers.output]
    images = ["/output/*", "/output"]
    "#);
    let catalog = loaded(&imported);
    let offer = offer(&catalog, &imported);
    let input: Values = serde_json::from_value(json!({
        "prompt": "a mug", "output_format": "jpeg", "options": {"nib": "broad", "go_fast": false},
    }))
    .unwrap();
    let body = offer.request(&input).body.plain().unwrap();
    let expected = json!({"input": {"prompt": "a mug", "output_format": "jpg", "nib": "broad", "go_fast": false}});
    assert_eq!(body, expected);
}

#[test]
fn a_bare_schema_of_an_input_is_enough() {
    let imported = import(&read(PLAIN), &wish("fal", "acme-labs/chime"), &CATALOG).unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    id = "chime"
    title = "Chime speech"
    company = "acme-labs"
    version = "1"
    licence = "unspecified"
    training_data = "unspecified"
    description = "Reads aloud."
    tier = "standard"

    [[offers]]
    provider = "fal"
    task = "text-to-speech"
    endpoint = "acme-labs/chime"
    source = "schema of the provider, read by impasto models import"
    price = "unknown"  # fill in
    [offers.input]
    breathiness = { type = "number", min = 0, max = 1 }
    speed = { min = 0.7, max = 1.2, default = 1 }
    text = { max_chars = 5000 }
    voice = { values = ["ada", "bob"], default = "ada" }
    [offers.output]
    audio = "/audio/url"
    "#);
    assert!(
        imported.warnings.iter().any(|warning| warning.contains("does not say what comes out"))
    );
    loaded(&imported);
}

#[test]
fn what_a_provider_publishes_of_an_offer_becomes_that_offer_again() {
    let (mut all, mut asked, mut guessed) = (Vec::new(), 0, 0);
    let offers = CATALOG.offers.values().filter(|offer| offer.provider.as_str() == "fal");
    for known in offers.step_by(EVERY) {
        let Some(document) = published(known) else { continue };
        let mut wish = wish("fal", &known.endpoint);
        if all.len() % 8 == 0 {
            asked += 1;
            let found =
                import(&document, &wish, &CATALOG).is_ok_and(|found| found.task == known.task);
            guessed += usize::from(found);
        }
        wish.task = Some(known.task.to_string());
        wish.model = Some(format!("imported-{}", all.len()));
        all.push((known, import(&document, &wish, &CATALOG).unwrap()));
    }
    let files = all.iter().map(|(_, imported)| (imported.path.clone(), imported.text.clone()));
    let own = Layer { name: "own".to_owned(), files: files.collect() };
    let (catalog, _) = Catalog::load(&[Layer::embedded(), own]).unwrap();
    let mut others = Vec::new();
    for (known, imported) in &all {
        let (again, task) = (offer(&catalog, imported), &CATALOG.tasks[&known.task]);
        let mut input = known.example(task, &sample);
        for name in known.map.rules.keys().filter(|name| task.input_field(name).is_some()) {
            let field = task.input_field(name).unwrap();
            let narrowed =
                known.params.get(name).map_or(field.clone(), |params| params.narrow(field));
            input.entry(name.clone()).or_insert_with(|| value_for(&narrowed, &sample));
        }
        let body = |offer: &Offer| {
            let mut file = |part: &FilePart| Ok::<_, ()>(json!(part.asset.media_type));
            offer.request(&input).body.resolve(&mut file).unwrap()
        };
        if body(again) != body(known) {
            others.push(format!("{}\n  {}\n  {}", known.id, body(again), body(known)));
        }
    }
    let (count, other) = (all.len(), others.len());
    println!("{other} of {count} are another; the task of {guessed} of {asked} was guessed");
    println!("{}", others.join("\n"));
    assert!(
        count > 700 / EVERY && other * 50 <= count,
        "{other} of {count}:\n{}",
        others.join("\n")
    );
    assert!(guessed * 10 >= asked * 9, "{guessed} of {asked}");
}

#[test]
fn references_that_multiply_come_to_an_end() {
    let again = json!({"$ref": "#/components/schemas/Node"});
    let many: serde_json::Map<String, Json> =
        (0..60).map(|number| (format!("p{number}"), again.clone())).collect();
    let all = vec![again.clone(); 12];
    for node in [
        json!({"type": "object", "properties": many, "allOf": all}),
        json!({"anyOf": all, "properties": many}),
        json!({"oneOf": all, "items": again}),
    ] {
        let document = json!({"components": {"schemas": {
            "Input": {"type": "object", "properties": {"prompt": {"type": "string"}, "tree": again}},
            "Output": again, "Node": node,
        }}});
        let began = std::time::Instant::now();
        let wish = Wish { task: Some("text-to-image".into()), ..wish("fal", "acme/tree") };
        let imported = import(&document, &wish, &CATALOG).unwrap();
        assert!(imported.kept.contains(&"tree".to_owned()), "{:?}", imported.kept);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}

fn any_schema() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "string", "format": "uri", "default": null})),
        Just(json!({"type": "string", "enum": ["a", "b\"\\", "16:9", "5s"], "default": "a"})),
        Just(json!({"type": "integer", "minimum": 3, "maximum": 2, "default": 9})),
        Just(json!({"type": "number", "maximum": 1e300, "default": 0.1, "description": "x\ny"})),
        Just(json!({"type": "integer", "enum": [1, 2, 4]})),
        Just(json!({"type": "boolean", "default": true})),
        Just(json!({"anyOf": [{"type": "null"}, {"$ref": "#/properties"}]})),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": "object", "default": {"a": null, "b c": [1, null]}})),
        Just(json!([])),
        any::<bool>().prop_map(Json::from),
    ];
    leaf.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| json!({"type": "array", "items": item})),
            inner.prop_map(|one| json!({"allOf": [one, {"title": "T"}]})),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let real = CATALOG.tasks.values().flat_map(|task| &task.input).map(|field| field.name.clone());
    let real: Vec<String> = real.collect();
    let odd = [
        "image_url",
        "image_size",
        "a/b",
        "a~b",
        "?q",
        "{p}",
        "-",
        "*",
        "",
        "7",
        "options",
        "ü\u{1}\"",
        "duration_ms",
    ];
    prop_oneof![
        proptest::sample::select(real),
        proptest::sample::select(odd.map(str::to_owned).to_vec()),
        "[a-z_]{1,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a schema says, what is written loads, and every parameter is in it or in a warning.
    #[test]
    fn whatever_a_schema_says_the_file_loads_and_nothing_is_lost(
        properties in proptest::collection::btree_map(any_name(), any_schema(), 0..7),
        required in any_name(),
        task in proptest::sample::select(CATALOG.tasks.keys().map(ToString::to_string).collect::<Vec<_>>()),
        output in any_schema(),
    ) {
        let names: Vec<String> = properties.keys().cloned().collect();
        let input = json!({"type": "object", "properties": properties, "required": [required]});
        let document = json!({"input": input, "output": {"properties": {"images": output}}});
        let wish = Wish { task: Some(task), ..wish("fal", "acme/any thing\"/x") };
        let Ok(imported) = import(&document, &wish, &CATALOG) else { return Ok(()) };
        let catalog = loaded(&imported);
        let said = |name: &String| {
            let mapped = imported.mapped.iter().any(|(own, _)| own.split(", ").any(|one| one == name));
            let kept = imported.kept.iter().any(|own| own == name || *own == format!("native_{name}"));
            mapped || kept || imported.warnings.iter().any(|warning| warning.contains(name.as_str()))
        };
        for name in &names {
            prop_assert!(said(name), "`{name}` is lost: {}", imported.text);
        }
        let (again, task) = (offer(&catalog, &imported), &CATALOG.tasks[&imported.task]);
        let example = again.example(task, &sample);
        let _request = again.request(&example);
    }
}
