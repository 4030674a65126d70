//! Composes a piece or speaks a text into a file, for the ear:
//! `listen compose "calm piano" 20 7 out.wav` or `listen speak "Hello." en 1 out.wav`.

use std::error::Error;

use impasto_domain::{Bench, Value, Values, Workbench};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operation, words, second, third, path] = &arguments[..] else {
        return Err("give an operation, its words, two settings and a file".into());
    };
    let input = match operation.as_str() {
        "compose" => Values::from([
            ("prompt".to_owned(), Value::from(words.as_str())),
            ("duration".to_owned(), Value::from(second.parse::<f64>()?)),
            ("seed".to_owned(), Value::from(third.parse::<i64>()?)),
        ]),
        _ => Values::from([
            ("text".to_owned(), Value::from(words.as_str())),
            ("language".to_owned(), Value::from(second.as_str())),
            ("speed".to_owned(), Value::from(third.parse::<f64>()?)),
        ]),
    };
    let found = impasto_studio::operations().into_iter().find(|found| found.name == operation);
    let bench = Bench::default();
    let output = (found.ok_or("there is no such operation")?.run)(&input, &bench)?;
    let audio = output.get("audio").and_then(Value::as_asset).ok_or("no audio came out")?;
    std::fs::write(path, bench.read(audio)?)?;
    Ok(())
}
