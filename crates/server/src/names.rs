//! What callers call the inputs of tasks, and the shapes in which they give them.
//!
//! A client of a face says `image_url`, `n` or `size`; the task says `image`, `num_images`, `width` and
//! `height`. The table is data: `data/names.toml`. What is in neither is refused with the name that was
//! probably meant, never dropped, except where the table says that a client always sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use impasto_catalog::similar;
use impasto_domain::{Error, Field, Result, Type};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

#[derive(Deserialize, Default)]
struct Names {
    aliases: BTreeMap<String, Vec<String>>,
    scaled: Vec<Scaled>,
    sizes: BTreeMap<String, (u32, u32)>,
    swallow: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

#[derive(Deserialize)]
struct Scaled {
    name: String,
    #[serde(rename = "as")]
    canonical: String,
    by: f64,
}

static NAMES: LazyLock<Result<Names>> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/names.toml"))
        .map_err(|error| Error::internal(format!("data/names.toml: {error}")))
});

/// Names of a size that is no input of its own.
const SIZE_NAMES: [&str; 2] = ["size", "image_size"];

/// The input in the names and shapes of `fields`; `face` and `call` say what may be swallowed.
pub(crate) fn canonical(
    face: &str,
    call: &str,
    fields: &[Field],
    given: Map<String, Json>,
) -> Result<Map<String, Json>> {
    let names = NAMES.as_ref().map_err(Clone::clone)?;
    let mut canonical = Map::new();
    let mut others = Vec::new();
    for (name, value) in given {
        match field(fields, &name) {
            Some(field) if !value.is_null() => {
                canonical.insert(name, shaped(field, value));
            }
            Some(_) => {}
            None => others.push((name, value)),
        }
    }
    for (name, value) in others {
        names.place(&mut canonical, fields, (face, call), (name, value))?;
    }
    Ok(canonical)
}

fn field<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| field.name == name)
}

impl Names {
    /// Puts a value where it belongs that has no input of its own name.
    fn place(
        &self,
        canonical: &mut Map<String, Json>,
        fields: &[Field],
        (face, call): (&str, &str),
        (name, value): (String, Json),
    ) -> Result<()> {
        let free =
            |canonical: &Map<String, Json>, field: &Field| !canonical.contains_key(&field.name);
        if value.is_null() || self.swallows(face, call, &name) {
            return Ok(());
        }
        let meant = self.aliases.get(&name).into_iter().flatten();
        if let Some(field) =
            meant.filter_map(|alias| field(fields, alias)).find(|f| free(canonical, f))
        {
            canonical.insert(field.name.clone(), shaped(field, value));
            return Ok(());
        }
        let scaled = self.scaled.iter().find(|scaled| scaled.name == name);
        if let Some((scaled, field)) =
            scaled.and_then(|scaled| Some((scaled, field(fields, &scaled.canonical)?)))
        {
            let number = value.as_f64().ok_or_else(|| {
                Error::invalid(format!("`{name}` needs a number")).hint("give a number")
            })?;
            canonical.insert(field.name.clone(), Json::from(number * scaled.by));
            return Ok(());
        }
        if SIZE_NAMES.contains(&name.as_str()) {
            return self.place_size(canonical, fields, &name, &value);
        }
        Err(unknown(&name, fields))
    }

    fn swallows(&self, face: &str, call: &str, name: &str) -> bool {
        let Some(face) = self.swallow.get(face) else { return false };
        ["any", call].iter().any(|call| face.get(*call).is_some_and(|names| names.contains(name)))
    }

    /// A size becomes width and height, or the nearest of the allowed shapes.
    fn place_size(
        &self,
        canonical: &mut Map<String, Json>,
        fields: &[Field],
        name: &str,
        value: &Json,
    ) -> Result<()> {
        if value.as_str() == Some("auto") {
            return Ok(());
        }
        let Some((width, height)) = self.size(value) else {
            let known: Vec<&str> = self.sizes.keys().map(String::as_str).collect();
            let message = format!("`{name}` is {value}, which is no size");
            return Err(Error::invalid(message)
                .hint(format!("write it as 1024x768, or one of {}", known.join(", "))));
        };
        match (field(fields, "width"), field(fields, "height"), field(fields, "aspect_ratio")) {
            (Some(_), Some(_), _) => {
                canonical.entry("width").or_insert_with(|| width.into());
                canonical.entry("height").or_insert_with(|| height.into());
                Ok(())
            }
            (_, _, Some(shape)) => {
                let nearest = nearest_shape(&shape.values, f64::from(width) / f64::from(height));
                if let Some(nearest) = nearest {
                    canonical.entry("aspect_ratio").or_insert_with(|| nearest.into());
                }
                let side = width.min(height);
                let sharp = field(fields, "resolution").and_then(|f| nearest_side(&f.values, side));
                if let Some(sharp) = sharp {
                    canonical.entry("resolution").or_insert_with(|| sharp.into());
                }
                Ok(())
            }
            _ => Err(unknown(name, fields)),
        }
    }

    fn size(&self, value: &Json) -> Option<(u32, u32)> {
        let size = match value {
            Json::String(text) => match self.sizes.get(text) {
                Some(size) => *size,
                None => {
                    let (width, height) = text.split_once(['x', '*', '×'])?;
                    (width.trim().parse().ok()?, height.trim().parse().ok()?)
                }
            },
            Json::Object(size) => {
                let side = |name: &str| u32::try_from(size.get(name)?.as_u64()?).ok();
                (side("width")?, side("height")?)
            }
            _ => return None,
        };
        (size.0 > 0 && size.1 > 0).then_some(size)
    }
}

/// The shape such as `16:9` that comes nearest to `ratio`.
fn nearest_shape(shapes: &[String], ratio: f64) -> Option<&str> {
    let distance = |shape: &str| {
        let (width, height) = shape.split_once(':')?;
        let shape: f64 = width.parse::<f64>().ok()? / height.parse::<f64>().ok()?;
        Some((shape.ln() - ratio.ln()).abs())
    };
    let far = shapes.iter().filter_map(|shape| Some((distance(shape)?, shape.as_str())));
    far.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, shape)| shape)
}

/// The resolution such as `720p` whose shorter side comes nearest.
fn nearest_side(resolutions: &[String], side: u32) -> Option<&str> {
    let lines = |resolution: &str| resolution.strip_suffix('p')?.parse::<u32>().ok();
    let far = resolutions.iter().filter_map(|it| Some((lines(it)?.abs_diff(side), it.as_str())));
    far.min().map(|(_, resolution)| resolution)
}

/// The value in the shape of the field, where it is clear what is meant: one of a list, a number as text.
fn shaped(field: &Field, value: Json) -> Json {
    match (&field.ty, value) {
        (Type::List(_), Json::Array(items)) => Json::Array(items),
        (Type::List(_), one) => Json::Array(vec![one]),
        (Type::Json, value) => value,
        (_, Json::Array(mut items)) if items.len() == 1 => items.pop().unwrap_or_default(),
        (Type::Integer, Json::String(text)) => {
            text.trim().parse::<i64>().map_or(Json::String(text), Json::from)
        }
        (Type::Number, Json::String(text)) => {
            let digits = text.trim().trim_end_matches('s');
            let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map_or(Json::String(text), Json::from)
        }
        (Type::Boolean, Json::String(text)) if text == "true" => Json::Bool(true),
        (Type::Boolean, Json::String(text)) if text == "false" => Json::Bool(false),
        (Type::Text, Json::Number(number)) => Json::String(number.to_string()),
        (_, value) => value,
    }
}

fn unknown(name: &str, fields: &[Field]) -> Error {
    let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let hint = match similar(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it takes {}", known.join(", ")),
    };
    Error::invalid(format!("there is no input `{name}`")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(types: &[(&str, &str)]) -> Vec<Field> {
        let of = |(name, ty): &(&str, &str)| serde_json::json!({"name": name, "type": ty});
        serde_json::from_value(types.iter().map(of).collect()).unwrap()
    }

    fn check(types: &[(&str, &str)], given: Json, expected: Result<Json, &str>) {
        let Json::Object(given) = given else { panic!("an object is needed") };
        let got = canonical("fal", "a/call", &fields(types), given)
            .map(Json::Object)
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    const PICTURE: &[(&str, &str)] = &[
        ("prompt", "prompt"),
        ("num_images", "integer"),
        ("width", "integer"),
        ("height", "integer"),
        ("seed", "integer"),
    ];

    #[test]
    fn an_alias_is_taken_where_the_task_has_the_name_it_stands_for() {
        check(
            PICTURE,
            serde_json::json!({"prompt": "mug", "n": "2", "size": "64x32", "seed": null}),
            Ok(serde_json::json!({"prompt": "mug", "num_images": 2, "width": 64, "height": 32})),
        );
        check(
            &[("images", "list<image>")],
            serde_json::json!({"image_url": "https://a/b.png"}),
            Ok(serde_json::json!({"images": ["https://a/b.png"]})),
        );
        check(
            &[("image", "image"), ("duration", "number")],
            serde_json::json!({"image_urls": ["u"], "duration": "5s"}),
            Ok(serde_json::json!({"image": "u", "duration": 5.0})),
        );
        check(
            &[("duration", "number")],
            serde_json::json!({"music_length_ms": 1500}),
            Ok(serde_json::json!({"duration": 1.5})),
        );
    }

    #[test]
    fn the_canonical_name_goes_before_its_aliases() {
        check(
            PICTURE,
            serde_json::json!({"num_images": 3, "n": 2}),
            Err("there is no input `n` (invalid_input); \
                 it takes prompt, num_images, width, height, seed"),
        );
    }

    #[test]
    fn what_is_unknown_is_refused_and_what_is_always_sent_is_not() {
        check(PICTURE, serde_json::json!({"sync_mode": true}), Ok(serde_json::json!({})));
        check(
            PICTURE,
            serde_json::json!({"num_image": 1}),
            Err("there is no input `num_image` (invalid_input); did you mean `num_images`?"),
        );
        check(
            PICTURE,
            serde_json::json!({"image_size": "huge"}),
            Err(
                "`image_size` is \"huge\", which is no size (invalid_input); write it as 1024x768, or one \
                 of 1080p, 480p, 720p, landscape_16_9, landscape_4_3, portrait_16_9, portrait_4_3, square, \
                 square_hd",
            ),
        );
    }

    #[test]
    fn a_size_becomes_the_nearest_shape_where_there_is_no_width() {
        let mut shape = fields(&[("aspect_ratio", "text"), ("resolution", "text")]);
        shape[0].values = ["1:1", "16:9", "9:16"].map(str::to_owned).into();
        shape[1].values = ["480p", "720p", "auto"].map(str::to_owned).into();
        let given = Map::from_iter([("size".to_owned(), Json::from("1280x720"))]);
        let got = canonical("openai", "", &shape, given).unwrap();
        assert_eq!(
            Json::Object(got),
            serde_json::json!({"aspect_ratio": "16:9", "resolution": "720p"})
        );
    }
}
