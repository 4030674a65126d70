//! Makes a picture of a description: `look TEXT SEED WIDTH HEIGHT FILE`; the file gets the extension of its kind. The
//! variable `ENDPOINT` names another of the offline models.

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
    let name = std::env::var("ENDPOINT").unwrap_or_else(|_| "scene-picture".to_owned());
    let model = models.iter().find(|model| model.name == name).ok_or("no such model")?;
    let bench = Bench::default();
    let output = (model.run)(&input, &bench)?;
    for asset in output.values().flat_map(Value::assets) {
        std::fs::write(format!("{file}.{}", asset.extension()), bench.read(asset)?)?;
    }
    Ok(())
}
