//! A model on the day it appears: imported, used, checked, probed; and the keys that it needs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_testkit::{model_file, read_request};
use serde_json::{Value, json};

use crate::harness::{Answer, Place, answer, repository_text, small_photo};

const ENDPOINT: &str = "acme-labs/lumen-3/image-to-video";

fn schema() -> Value {
    let text = repository_text("crates/catalog/src/tests/schemas/queue.json");
    serde_json::from_str(&std::fs::read_to_string(text).unwrap()).unwrap()
}

/// A provider that answers what it is told to, and writes down what it was asked.
struct Fake {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answers = Box<dyn Fn(&str) -> (u16, Value) + Send>;

impl Fake {
    fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &answers, &log);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answers: &Answers, log: &Mutex<Vec<String>>) {
    let (head, body) = read_request(&stream).unwrap();
    let asked = head.lines().next().unwrap_or_default().to_owned();
    let key = head.lines().find(|line| line.to_lowercase().starts_with("authorization"));
    let body = String::from_utf8_lossy(&body);
    log.lock().unwrap().push(format!("{asked} {} {body}", key.unwrap_or_default()));
    let (status, answer) = answers(&asked);
    let answer = answer.to_string();
    let _gone = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

/// Runs with a provider that stands at the fake's address.
fn run_at(place: &Place, fake: &Fake, arguments: &[&str]) -> Answer {
    let settings = format!("[network]\ntrusted_hosts = [\"{}\"]\n", fake.address);
    let settings = place.write("settings.toml", settings);
    let mut command = place.command(arguments);
    command
        .env("IMPASTO_CONFIG", settings)
        .env("IMPASTO_FAL_URL", format!("http://{}", fake.address));
    command.env("IMPASTO_REPLICATE_URL", format!("http://{}", fake.address));
    command.env("IMPASTO_RUNWAY_URL", format!("http://{}", fake.address));
    command.env_remove("FAL_KEY").env_remove("REPLICATE_API_TOKEN").env("RUST_LOG", "off");
    command.env_remove("RUNWAYML_API_SECRET");
    answer(&command.output().unwrap())
}

fn set_key(place: &Place, provider: &str, key: &str) -> Answer {
    let mut command = place.command(&["providers", "set-key", provider]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("IMPASTO_MASTER_KEY");
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    answer(&child.wait_with_output().unwrap())
}

#[test]
fn an_imported_model_is_listed_planned_and_refuses_what_it_does_not_know() {
    let place = Place::new();
    let file = place.write("lumen.json", schema().to_string());
    let import = [
        "--json",
        "models",
        "import",
        file.to_str().unwrap(),
        "--provider",
        "fal",
        "--endpoint",
        ENDPOINT,
    ];
    let told = place.succeed(&import).json();
    assert_eq!(told["task"], "image-to-video");
    assert_eq!(told["kept"][0], "motion_bucket");
    let shown = place.succeed(&["--json", "models", "show", "lumen-3-image-to-video"]).json();
    assert_eq!(shown["offers"][0]["endpoint"], ENDPOINT);
    assert_eq!(shown["offers"][0]["price"]["known"], false);

    place.refuse(&import[1..], &["there is a model `lumen-3-image-to-video` already", "--replace"]);
    let again = [&import[..], &["--replace", "--price", "0.2/second"]].concat();
    place.succeed(&again);
    let shown = place.succeed(&["--json", "models", "show", ENDPOINT]).json();
    assert_eq!(shown["offers"][0]["price"]["known"], true);

    // A provider whose driver is here: the plan shows what an offer takes.
    let provider = "id = \"pretend\"\ntitle = \"Pretend\"\ndescription = \"A test.\"\ndialect = \"tools\"\n\
                    concurrency = 1\n[base]\ndefault = { url = \"https://pretend.example\" }\n";
    std::fs::create_dir_all(place.path("data/catalog/providers")).unwrap();
    place.write("data/catalog/providers/pretend.toml", provider);
    let import = ["models", "import", file.to_str().unwrap(), "--provider", "pretend"];
    place.succeed(&[&import[..], &["--endpoint", ENDPOINT, "--model", "lumen"]].concat());
    let flow = |options: &str| {
        place.write(
            "flow.yaml",
            format!(
                "workflow: shot\nversion: 1\ninputs:\n  photo: {{ type: image, required: true }}\nsteps:\n  shot:\n    \
                 task: image-to-video\n    model: lumen\n    input:\n      \
                 image: \"{{{{ inputs.photo }}}}\"\n      prompt: it turns\n      options: {options}\n\
                 outputs:\n  shot: {{ value: \"{{{{ steps.shot.video }}}}\" }}\n"
            ),
        )
    };
    let planned = |options: &str| {
        let flow = flow(options);
        place.run(&["--json", "plan", flow.to_str().unwrap()])
    };
    let plan = planned("{ shimmer: strong }").json();
    assert_eq!(plan["steps"][0]["decision"]["ranked"][0]["offer"], "lumen@pretend/image-to-video");
    let refused = planned("{ shimer: strong }");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("no parameter `shimer`; did you mean `shimmer`"), "{said}");
}

#[test]
fn a_provider_is_asked_for_schema_and_price_where_its_file_says_how() {
    let place = Place::new();
    let fake = Fake::new(Box::new(|asked| match asked {
        asked if asked.contains("/openapi.json?endpoint_id=acme-labs/lumen-3/image-to-video") => {
            (200, schema())
        }
        asked if asked.contains("/models/pricing") => {
            (200, json!({"prices": [{"unit_price": 0.3, "unit": "seconds"}]}))
        }
        _ => (404, json!({"detail": "no"})),
    }));
    assert_eq!(set_key(&place, "fal", "hush-hush\n").code, 0);
    let import =
        ["models", "import", "--provider", "fal", "--endpoint", ENDPOINT, "--model", "lumen"];
    let told = run_at(&place, &fake, &import);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!told.stderr.contains("the price is not known"), "{}", told.stderr);
    assert!(fake.asked()[0].ends_with("authorization: Key hush-hush "), "{:?}", fake.asked());
    let shown = place.succeed(&["models", "show", "lumen"]);
    assert!(shown.stdout.contains("$0.30 per second"), "{}", shown.stdout);
    let file = place.path("data/catalog/models/acme-labs/lumen.toml");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("count = { unit = \"second\" }"), "what it counts in is known: {text}");
    let unknown = run_at(
        &place,
        &fake,
        &["models", "import", "--provider", "fal", "--endpoint", "acme/none"],
    );
    assert_ne!(unknown.code, 0);
}

#[test]
fn probing_tells_what_has_changed_and_what_cannot_be_learned() {
    let place = Place::new();
    let file = place.write("lumen.json", schema().to_string());
    let file = file.to_str().unwrap();
    let import = [
        "models",
        "import",
        file,
        "--provider",
        "fal",
        "--endpoint",
        ENDPOINT,
        "--model",
        "lumen",
        "--price",
        "0.2/second",
    ];
    place.succeed(&import);
    assert_eq!(set_key(&place, "fal", "hush").code, 0);
    let probe =
        |fake: &Fake| run_at(&place, fake, &["--json", "catalog", "probe", "--model", "lumen"]);

    let same = Fake::new(Box::new(|asked| match asked {
        asked if asked.contains("pricing") => {
            (200, json!({"prices": [{"unit_price": 0.2, "unit": "second"}]}))
        }
        _ => (200, schema()),
    }));
    let told = probe(&same);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    let report: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(report["asked"], json!(["schema", "price"]));
    assert!(report["drift"].as_array().unwrap().iter().all(|drift| drift["breaks"] == false));
    assert!(same.asked().iter().all(|asked| asked.starts_with("GET ")), "nothing was started");

    let other = Fake::new(Box::new(|asked| match asked {
        asked if asked.contains("pricing") => {
            (200, json!({"prices": [{"unit_price": 0.4, "unit": "second"}]}))
        }
        _ => {
            let text = schema().to_string().replace("\"shimmer\"", "\"gloss\"");
            (200, serde_json::from_str(&text).unwrap())
        }
    }));
    let told = probe(&other);
    assert_eq!(told.code, 1);
    assert!(told.stdout.contains("no parameter `shimmer` any more"), "{}", told.stdout);
    assert!(told.stdout.contains("$0.4 per second; the file says $0.20"), "{}", told.stdout);

    let gone = Fake::new(Box::new(|_| (404, json!({"detail": "not found"}))));
    let told = probe(&gone);
    assert_eq!(told.code, 1);
    assert!(told.stdout.contains("any more (status 404)"), "{}", told.stdout);

    let unpaid = run_at(&place, &gone, &["catalog", "probe", "--provider", "stability"]);
    assert!(unpaid.stdout.contains("cannot be probed without paying"), "{}", unpaid.stdout);
    let keyless = run_at(&place, &gone, &["catalog", "probe", "--provider", "replicate"]);
    assert!(keyless.stdout.contains("set REPLICATE_API_TOKEN"), "{}", keyless.stdout);
}

#[test]
fn what_an_account_may_use_tells_what_is_gone() {
    let place = Place::new();
    assert_eq!(set_key(&place, "runway", "hush").code, 0);
    let listed = place.succeed(&["--json", "models", "--provider", "runway"]).json();
    let model = |model: &Value| model["id"].as_str().unwrap().to_owned();
    let models: Vec<String> = listed.as_array().unwrap().iter().map(model).collect();
    let first = place.succeed(&["--json", "models", "show", &models[0]]).json();
    let offers = first["offers"].as_array().unwrap().clone();
    let offer = offers.iter().find(|offer| offer["provider"] == "runway").unwrap();
    let endpoint = offer["endpoint"].as_str().unwrap().to_owned();
    let probe = ["--json", "catalog", "probe", "--provider", "runway", "--model", &models[0]];
    let there = endpoint.clone();
    let fake = Fake::new(Box::new(move |_| (200, json!({ "tier": { "models": { &there: {} } } }))));
    let told = run_at(&place, &fake, &probe);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(fake.asked()[0].starts_with("GET /v1/organization "), "{:?}", fake.asked());
    let fake = Fake::new(Box::new(|_| (200, json!({ "tier": { "models": { "other": {} } } }))));
    let told = run_at(&place, &fake, &probe);
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    let gone = format!("the provider does not list `{endpoint}` any more");
    assert!(told.stdout.contains(&gone), "{}", told.stdout);
}

#[test]
fn an_odd_endpoint_is_imported_with_no_work_by_hand_and_called() {
    let place = Place::new();
    let odd = json!({
        "openapi": "3.0.4",
        "info": {"title": "Queue", "x-fal-metadata": {"endpointId": "acme/qux", "category": "image-to-image"}},
        "components": {"schemas": {
            "Wishes": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Wish"}]},
            "Wish": {"allOf": [{"type": "object", "properties": {"again": {"$ref": "#/components/schemas/Wish"}}}]},
            "Picture": {"type": "object", "properties": {"url": {"type": "string"}}},
        }},
        "paths": {"/acme/qux": {"post": {
            "requestBody": {"content": {"application/json": {"schema": {"type": "object",
                "properties": {
                    "photo_link": {"type": "string", "format": "uri", "description": "URL of the photo"},
                    "order": {"type": "string"},
                    "wishes": {"$ref": "#/components/schemas/Wishes"},
                }, "required": ["photo_link", "order"]}}}},
            "responses": {"200": {"content": {"application/json": {"schema": {"type": "object",
                "properties": {"it": {"$ref": "#/components/schemas/Picture"}}}}}}},
        }}},
    });
    let at: Arc<Mutex<String>> = Arc::default();
    let own = Arc::clone(&at);
    let fake = Fake::new(Box::new(move |asked| match asked {
        asked if asked.contains("/openapi.json") => (200, odd.clone()),
        asked if asked.starts_with("POST /storage/") => {
            let put = format!("http://{}/put", own.lock().unwrap());
            (200, json!({"upload_url": put, "file_url": "https://files.example/mug.png"}))
        }
        asked if asked.starts_with("PUT ") => (200, json!({})),
        asked if asked.starts_with("POST ") => (422, json!({"detail": "it came through"})),
        _ => (404, json!({"detail": "no"})),
    }));
    fake.address.clone_into(&mut at.lock().unwrap());
    assert_eq!(set_key(&place, "fal", "hush").code, 0);
    let import = ["models", "import", "--provider", "fal", "--endpoint", "acme/qux"];
    let told = run_at(&place, &fake, &import);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("task    edit-image"), "{}", told.stdout);
    assert!(told.stdout.contains("fal sorts it under `image-to-image`"), "{}", told.stdout);
    assert!(told.stdout.contains("order as prompt"), "{}", told.stdout);
    let picture = place.path("mug.png");
    std::fs::write(&picture, small_photo()).unwrap();
    let input = format!("images=@{}", picture.display());
    let call = ["generate", "edit-image", "-i", &input, "-i", "prompt=blue", "--model", "qux"];
    let told = run_at(&place, &fake, &call);
    assert!(told.stderr.contains("it came through"), "{}{}", told.stdout, told.stderr);
    let asked = fake.asked();
    let posted = asked.iter().find(|asked| asked.starts_with("POST /acme/qux "));
    let posted = posted.unwrap_or_else(|| panic!("{asked:?}"));
    assert!(posted.contains("\"order\":\"blue\"") && posted.contains("files.example/mug.png"));
}

#[test]
fn an_address_of_a_schema_does_not_lead_inside() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _head = stream.read(&mut [0; 4096]);
            let inside = "location: http://169.254.169.254/latest/meta-data\r\ncontent-length: 0";
            let _gone = write!(stream, "HTTP/1.1 302 X\r\n{inside}\r\nconnection: close\r\n\r\n");
        }
    });
    let settings =
        place.write("settings.toml", format!("[network]\ntrusted_hosts = [\"{address}\"]\n"));
    for url in [format!("http://{address}/schema.json"), "http://169.254.169.254/x.json".to_owned()]
    {
        let import = ["models", "import", &url, "--provider", "fal", "--endpoint", "acme/x"];
        let mut command = place.command(&import);
        let told = answer(&command.env("IMPASTO_CONFIG", &settings).output().unwrap());
        assert_ne!(told.code, 0, "{}", told.stdout);
        assert!(told.stderr.contains("169.254.169.254"), "{}", told.stderr);
        assert!(!place.path("data/catalog/models").exists());
    }
}

#[test]
fn a_folder_is_checked_with_lines_and_remedies() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("mine/models/acme")).unwrap();
    place.refuse(&["catalog", "check", "nowhere"], &["there is no folder 'nowhere'"]);
    place.write("mine/models/acme/x.toml", "id = \"x\"\ntitel = \"X\"\n");
    let told = place.refuse(
        &["catalog", "check", "mine"],
        &["x.toml:2:1", "titel = \"X\"", "^^^^^", "did you mean `title`?"],
    );
    assert!(told.stdout.contains("error(s)"));
    let told = place.run(&["--json", "catalog", "check", "mine"]);
    assert_eq!(told.code, 1);
    let first: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["severity"]), (&json!(1), &json!("error")));
    std::fs::remove_file(place.path("mine/models/acme/x.toml")).unwrap();
    assert_eq!(place.run(&["catalog", "check", "mine"]).code, 0);
}

#[test]
fn keys_of_providers_are_kept_without_being_shown() {
    let place = Place::new();
    let listed = |place: &Place| {
        let mut command = place.command(&["--json", "providers"]);
        let told = answer(&command.env_remove("FAL_KEY").output().unwrap()).json();
        let found = told.as_array().unwrap().iter().find(|one| one["id"] == "fal").unwrap().clone();
        found["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(listed(&place), "nowhere");
    let told = set_key(&place, "fal", "hush-hush\n");
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!format!("{}{}", told.stdout, told.stderr).contains("hush"));
    assert_eq!(listed(&place), "key store");
    for entry in std::fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("hush"));
        }
    }
    assert_ne!(set_key(&place, "fal", "two words").code, 0);
    assert_ne!(set_key(&place, "fale", "x").code, 0);
    assert_ne!(set_key(&place, "builtin", "x").code, 0);
    place.succeed(&["providers", "remove-key", "fal"]);
    assert_eq!(listed(&place), "nowhere");
    place.refuse(&["providers", "remove-key", "fal"], &["no key of `fal` is kept"]);

    // With a passphrase nothing but the passphrase opens it.
    let with = |word: Option<&str>| {
        let mut command = place.command(&["providers"]);
        command.env_remove("FAL_KEY").env_remove("IMPASTO_MASTER_KEY");
        word.into_iter().for_each(|word| {
            command.env("IMPASTO_MASTER_KEY", word);
        });
        answer(&command.output().unwrap())
    };
    let mut command = place.command(&["providers", "set-key", "fal"]);
    command.env("IMPASTO_MASTER_KEY", "open sesame").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hush").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(with(Some("open sesame")).stdout.contains("key store"));
    assert!(with(None).stderr.contains("locked with a passphrase"));
    assert!(with(Some("close sesame")).stderr.contains("does not open the key store"));
}

/// A voice at a hosted provider, whose answer holds its sound.
const VOICE: &str = r#"[[offers]]
provider = "replicate"
task = "text-to-speech"
endpoint = "acme/voice"
price = "free"
input = { text = "/input/text" }
output = { audio = "/output" }
"#;

const SAID_AND_CUT: &str = "workflow: said\nversion: 1\nsteps:\n  \
    say: { task: text-to-speech, model: voice, input: { text: Hello } }\n  \
    cut: { task: trim-audio, input: { audio: \"{{ steps.say.audio }}\", duration: 0.2 } }\n\
    outputs:\n  said: { value: \"{{ steps.say.audio }}\" }\n  cut: { value: \"{{ steps.cut.audio }}\" }\n";

#[test]
fn compressed_sound_is_kept_as_its_provider_made_it_and_read_as_a_copy() {
    let place = Place::new();
    // Twenty frames of silence.
    let frame = [&[0xff, 0xfb, 0x90, 0xc4][..], &[0; 413]].concat();
    let sound = frame.repeat(20);
    let answered = format!("data:audio/mpeg;base64,{}", STANDARD.encode(&sound));
    let fake = Fake::new(Box::new(move |_| {
        let prediction = json!({
            "id": "p1", "model": "acme/voice", "version": "v", "status": "succeeded",
            "input": {}, "output": answered, "urls": { "get": "", "cancel": "" },
        });
        (201, prediction)
    }));
    assert_eq!(set_key(&place, "replicate", "hush").code, 0);
    let (path, text) = model_file("voice", VOICE);
    std::fs::create_dir_all(place.path("data/catalog/models/test")).unwrap();
    place.write(&format!("data/catalog/{path}"), text);
    let flow = place.write("flow.yaml", SAID_AND_CUT).to_string_lossy().into_owned();
    let told = run_at(&place, &fake, &["run", &flow, "-o", "out"]);
    assert_eq!(told.code, 0, "{}\n{}\n{:?}", told.stdout, told.stderr, fake.asked());
    assert_eq!(std::fs::read(place.path("out/said.mp3")).unwrap(), sound);
    assert!(std::fs::read(place.path("out/cut.wav")).unwrap().starts_with(b"RIFF"));
}
