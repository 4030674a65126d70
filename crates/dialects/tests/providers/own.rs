//! Models of one's own, at providers of which the built-in catalogue has no offer.

use impasto_catalog::{Catalog, Finding, Layer};
use impasto_testkit::model_file;

/// A workflow of ComfyUI, pasted into a model's file as it is exported.
const GRAPH: &str = r#"[[offers]]
provider = "comfyui"
task = "text-to-image"
endpoint = "own-graph"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "one's own machine", lines = [{ per = "request", usd = 0.001 }] }
template = '''
{ "prompt": {
  "3": { "class_type": "KSampler", "inputs": { "seed": 1, "steps": 20, "model": ["4", 0], "positive": ["6", 0] } },
  "4": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": "own.safetensors" } },
  "6": { "class_type": "CLIPTextEncode", "inputs": { "text": "", "clip": ["4", 1] } },
  "9": { "class_type": "SaveImage", "inputs": { "images": ["8", 0] } }
} }
'''
[offers.input]
prompt = "/prompt/6/inputs/text"
seed = "/prompt/3/inputs/seed"
num_inference_steps = "/prompt/3/inputs/steps"
[offers.output]
images = { at = "/*/outputs/*/images/*", file = "item" }

[[offers]]
provider = "comfyui"
task = "edit-image"
endpoint = "own-edit"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "one's own machine", lines = [{ per = "request", usd = 0.001 }] }
template = { prompt = { "1" = { class_type = "LoadImage", inputs = { image = "" } }, "6" = { inputs = { text = "" } } } }
[offers.input]
prompt = "/prompt/6/inputs/text"
images = { to = "/prompt/1/inputs/image", first = true }
[offers.output]
images = { at = "/*/outputs/*/images/*", file = "item" }
"#;

/// A checkpoint of the web UI.
const CHECKPOINT: &str = r#"[[offers]]
provider = "automatic1111"
task = "text-to-image"
endpoint = "own"
wire = "txt2img"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "one's own machine", lines = [{ per = "request", usd = 0.001 }] }
[offers.input]
prompt = {}
negative_prompt = {}
seed = {}
num_inference_steps = "steps"
guidance_scale = "cfg_scale"
num_images = "n_iter"
[offers.output]
images = { at = "/images/*", file = "base64" }

[[offers]]
provider = "automatic1111"
task = "edit-image"
endpoint = "own"
wire = "img2img"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "one's own machine", lines = [{ per = "request", usd = 0.001 }] }
[offers.input]
prompt = {}
images = "init_images"
[offers.output]
images = { at = "/images/*", file = "base64" }
"#;

/// A model of a provider that the built-in catalogue only describes.
const FILMS: &str = r#"[[offers]]
provider = "kling"
task = "text-to-video"
endpoint = "films-v1"
wire = "text"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "request", usd = 0.4 }] }
[offers.input]
prompt = {}
[offers.output]
video = "/data/task_result/videos/0/url"

[[offers]]
provider = "kling"
task = "image-to-video"
endpoint = "films-v1"
wire = "image"
time = { fixed_ms = 20000 }
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "request", usd = 0.4 }] }
[offers.input]
prompt = {}
image = {}
[offers.output]
video = "/data/task_result/videos/0/url"
"#;

/// The built-in catalogue with models of one's own.
pub(crate) fn catalog() -> Catalog {
    let models = [("own-graph", GRAPH), ("own-checkpoint", CHECKPOINT), ("own-films", FILMS)];
    let files = models.map(|(name, offers)| model_file(name, offers));
    let own = Layer { name: "own".to_owned(), files: files.to_vec() };
    let shown = |findings: Vec<Finding>| findings.iter().map(Finding::render).collect::<String>();
    match Catalog::load(&[Layer::embedded(), own]) {
        Ok((catalog, _)) => catalog,
        Err(findings) => panic!("{}", shown(findings)),
    }
}
