//! Makes a picture of a description: `look TEXT SEED WIDTH HEIGHT FILE`.

use std::error::Error;

use impasto_domain::{Bench, Value, Values, Workbench};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [text, seed, width, height, file] = words.as_slice() else {
        return Err("give a description, a seed, a width, a height and a file".into());
    };
    let input = Values::from([
        ("prompt".to_owned(), Value::from(text.as_str())),
        ("seed".to_owned(), Value::from(seed.parse::<i64>()?)),
        ("width".to_owned(), Value::from(width.parse::<i64>()?)),
        ("height".to_owned(), Value::from(height.parse::<i64>()?)),
    ]);
    let models = impasto_studio::operations();
    let model = models.iter().find(|model| model.name == "scene-picture").ok_or("no such model")?;
    let bench = Bench::default();
    let output = (model.run)(&input, &bench)?;
    let images = output.get("images").and_then(Value::as_list).unwrap_or_default();
    let image = images.first().and_then(Value::as_asset).ok_or("no picture")?;
    std::fs::write(file, bench.read(image)?)?;
    Ok(())
}
