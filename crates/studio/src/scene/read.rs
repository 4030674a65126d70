//! Reading a description: words and seed to a [`Scene`].
//!
//! Invariant: total; whatever is not said is drawn from the seed.

use super::words::{self, LightWord};
use super::{
    Camera, Finish, Gobo, Light, Make, Mood, Place, Prop, Scene, Subject, SubjectKind, Substance,
    Surface, SurfaceForm,
};
use crate::color::{COLORS, PALETTES, from_hex};
use crate::noise::{Dice, hash_text};
use crate::vector::{V3, v3};

/// The longest description that is read; the rest cannot add anything.
const MAX_BYTES: usize = 8000;

/// A description in lower case, with single spaces, its words findable.
struct Text {
    all: String,
    palette: String,
    subject: String,
}

impl Text {
    fn new(given: &str) -> Self {
        let mut all = String::from(" ");
        for c in given.chars().take(MAX_BYTES).flat_map(char::to_lowercase) {
            let kept = c.is_alphanumeric() || "-'#:,.".contains(c);
            match (kept, ",.:".contains(c)) {
                (true, true) => all.extend([' ', c, ' ']),
                (true, false) => all.push(c),
                _ => all.push(' '),
            }
        }
        let all = format!(" {} ", all.split_whitespace().collect::<Vec<_>>().join(" "));
        let palette =
            ["palette", "colours", "colors"].iter().find_map(|label| section(&all, label));
        let subject = section(&all, "subject").unwrap_or_else(|| before_labels(&all));
        Self { palette: palette.unwrap_or_default(), subject, all }
    }

    fn has(&self, phrase: &str) -> bool {
        place(&self.all, phrase).is_some()
    }
}

/// Where `phrase` stands in `text` as whole words.
fn place(text: &str, phrase: &str) -> Option<usize> {
    text.find(&format!(" {phrase} "))
}

/// What follows `label :` up to the next label.
fn section(text: &str, label: &str) -> Option<String> {
    let start = format!(" {label} : ");
    let rest = &text[text.find(&start)? + start.len()..];
    Some(before_labels(&format!(" {rest}")))
}

fn before_labels(text: &str) -> String {
    let end = words::LABELS.iter().filter_map(|label| text.find(&format!(" {label} : "))).min();
    format!("{} ", &text[..end.unwrap_or(text.len())])
}

/// The entry whose phrase comes first; of those at one place the longest.
fn first<'a, T>(
    text: &str,
    table: &'a [T],
    phrase: impl Fn(&T) -> &'static str,
) -> Option<(usize, &'a T)> {
    let found = table.iter().filter_map(|row| Some((place(text, phrase(row))?, row)));
    found.min_by_key(|(at, row)| (*at, usize::MAX - phrase(row).len()))
}

/// Every entry that is named, in the order of the text, none inside another.
fn every<'a, T>(text: &str, table: &'a [(&'static str, T)]) -> Vec<(usize, &'a (&'static str, T))> {
    let mut found: Vec<_> =
        table.iter().filter_map(|row| Some((place(text, row.0)?, row))).collect();
    found.sort_by_key(|(at, row)| (*at, usize::MAX - row.0.len()));
    let mut end = 0;
    found.retain(|(at, row)| {
        let apart = *at >= end;
        if apart {
            end = at + row.0.len();
        }
        apart
    });
    found
}

/// Colours named in `text`, by word, by palette and by hex, in order.
fn colors_in(text: &str) -> Vec<V3> {
    let mut found: Vec<(usize, V3)> =
        every(text, COLORS).into_iter().map(|(at, row)| (at, from_hex(row.1))).collect();
    for (at, row) in every(text, PALETTES) {
        found.extend(row.1.iter().map(|hex| (at, from_hex(*hex))));
    }
    for (at, _) in text.match_indices('#') {
        let digits = text.get(at + 1..at + 7).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        found.extend(digits.map(|hex| (at, from_hex(hex))));
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, color)| color).collect()
}

impl Scene {
    /// The scene that `text` describes; what it leaves open is drawn from `seed`.
    pub fn from_description(text: &str, seed: u64) -> Scene {
        let text = Text::new(text);
        let mut dice = Dice::new(seed, "scene");
        let empty = words::EMPTY.iter().any(|word| place(&text.subject, word).is_some());
        let place = place_of(&text, empty);
        let palette = palette_of(&text, place, &mut dice);
        let subjects = if empty { Vec::new() } else { subjects_of(&text, &palette, &mut dice) };
        let surface = surface_of(&text, place, empty, &palette);
        let mut scene = Scene {
            seed,
            subjects,
            surface,
            place,
            props: Vec::new(),
            light: light_of(&text, place, &mut dice),
            camera: camera_of(&text, empty, surface.form, &mut dice),
            palette,
            mood: mood_of(&text),
            finish: first(&text.all, words::FINISHES, |row| row.0)
                .map_or(Finish::Photograph, |(_, row)| row.1),
        };
        scene.props = props_of(&text, &scene, &mut dice);
        scene
    }
}

fn place_of(text: &Text, empty: bool) -> Place {
    let background = section(&text.all, "background").unwrap_or_default();
    let named = first(&background, words::PLACES, |row| row.0)
        .or_else(|| first(&text.subject, words::PLACES, |row| row.0))
        .or_else(|| first(&text.all, words::PLACES, |row| row.0));
    match named {
        Some((_, row)) if row.1 == Place::DimRoom && text.has("bright") => Place::Kitchen,
        Some((_, row)) => row.1,
        None if text.has("grass") || text.has("desert") => Place::Sky,
        None if text.has("table") && !empty => Place::Kitchen,
        None => Place::Studio,
    }
}

fn palette_of(text: &Text, place: Place, dice: &mut Dice) -> Vec<V3> {
    let mut palette = colors_in(&text.palette);
    if palette.is_empty() {
        palette = every(&text.all, PALETTES)
            .iter()
            .flat_map(|(_, row)| row.1.iter().map(|hex| from_hex(*hex)))
            .collect();
    }
    if !palette.is_empty() {
        palette.truncate(6);
        return palette;
    }
    let usual: &[[u32; 2]] = match place {
        Place::Studio | Place::Plain => &[
            [0xd8d2c8, 0xa8a298],
            [0xc8d2d6, 0x8ca0a8],
            [0xe0cfc0, 0xb08a70],
            [0xccd0c0, 0x8a947c],
        ],
        Place::Kitchen => &[[0xf0e8da, 0xb8ccd8], [0xe8eae4, 0x9cac88], [0xf2e4d0, 0xd09a70]],
        Place::DimRoom => &[[0xd9902a, 0x40281a], [0xc87838, 0x2a2c34]],
        _ => &[[0xd8c8a8, 0x6c7c84], [0xe0b48c, 0x4c6070]],
    };
    let index = dice.below(usual.len());
    usual
        .get(index)
        .map_or(vec![V3::all(0.6)], |pair| pair.iter().map(|hex| from_hex(*hex)).collect())
}

/// The last words before byte `at`, for adjectives.
fn words_before(text: &str, at: usize) -> String {
    let before: Vec<&str> = text[..at].split_whitespace().rev().take(5).collect();
    let phrase: Vec<&str> = before
        .into_iter()
        .take_while(|word| {
            !matches!(*word, "and" | "with" | "on" | "," | "." | "in" | "of" | "next" | "beside")
        })
        .collect();
    format!(" {} ", phrase.into_iter().rev().collect::<Vec<_>>().join(" "))
}

fn subjects_of(text: &Text, palette: &[V3], dice: &mut Dice) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut end = 0;
    for (at, row) in every(&text.subject, words::SUBJECTS) {
        let between = text.subject.get(end..at + 1).unwrap_or_default().trim();
        end = at + 1 + row.0.len();
        let last = subjects.last().map(|subject| subject.kind);
        // "a bowl of fruit" is a bowl, "a coffee mug" a mug, but "a perfume bottle" is no bottle.
        let of_it = last.is_some()
            && (between == "of" || last == Some(SubjectKind::Perfume) && between.is_empty());
        // After "on a" comes what it stands on.
        let below = last.is_some()
            && (between.starts_with("on ") || between.contains(" on "))
            && SURFACE_NOUNS.contains(&row.0);
        if of_it || below || last == Some(row.1) {
            continue;
        }
        if last.is_some() && between.is_empty() {
            subjects.pop();
        }
        if subjects.len() == 3 {
            break;
        }
        let adjectives = words_before(&text.subject, at);
        let own = colors_in(&format!("{adjectives}{} ", row.0)).into_iter().next();
        let fallback = || usual_color(row.1, row.0, palette, dice);
        subjects.push(Subject {
            kind: row.1,
            color: own.unwrap_or_else(fallback),
            make: first(&adjectives, words::MAKES, |row| row.0)
                .map_or(Make::Usual, |(_, row)| row.1),
            seed: dice.next() ^ hash_text(row.0),
        });
    }
    if subjects.is_empty() {
        let own = colors_in(&text.subject).into_iter().next();
        let color = own.unwrap_or_else(|| usual_color(SubjectKind::Abstract, "", palette, dice));
        let make =
            first(&text.subject, words::MAKES, |row| row.0).map_or(Make::Usual, |(_, row)| row.1);
        let seed = hash_text(&text.subject) ^ dice.next();
        subjects.push(Subject { kind: SubjectKind::Abstract, color, make, seed });
    }
    subjects
}

/// Nouns that, after another noun, are what it stands on.
const SURFACE_NOUNS: &[&str] =
    &["chair", "stool", "plate", "dish", "box", "book", "crate", "tree", "house", "cafe"];

fn usual_color(kind: SubjectKind, noun: &str, palette: &[V3], dice: &mut Dice) -> V3 {
    let hex = match (kind, noun) {
        (SubjectKind::Fruit, "pear") => 0xb8bc48,
        (SubjectKind::Fruit, "lemons" | "a lemon on" | "a lemon and") => 0xf0d83c,
        (SubjectKind::Fruit, "oranges" | "an orange on" | "an orange and") => 0xe8821e,
        (SubjectKind::Fruit, "peach") => 0xf0a070,
        (SubjectKind::Fruit, "plums") => 0x542848,
        (SubjectKind::Fruit, _) => 0xb0221e,
        (SubjectKind::Plant | SubjectKind::Tree, _) => 0x3c6a34,
        (SubjectKind::Cat, "fox") => 0xc8702c,
        (SubjectKind::Cat, _) => 0xb88a5c,
        (SubjectKind::Rocket, _) => 0xe4e2de,
        (SubjectKind::Candle, _) => 0xf0e6d0,
        (SubjectKind::Glass, _) => 0xf4f6f6,
        (SubjectKind::Headphones | SubjectKind::Watch, _) => 0x26282c,
        (SubjectKind::House, _) => 0xe6dccb,
        _ => 0,
    };
    if hex != 0 {
        return from_hex(hex);
    }
    let usual = [0xece6da, 0x2f5d7c, 0xb5532f, 0x56704f, 0xd0a24c, 0x8c2f39, 0x33363c];
    let own = palette.last().copied().filter(|_| dice.chance(0.35));
    own.unwrap_or_else(|| from_hex(usual.get(dice.below(usual.len())).copied().unwrap_or(0x808080)))
}

fn surface_of(text: &Text, place: Place, empty: bool, palette: &[V3]) -> Surface {
    // "on marble", "marble tabletop", "wooden table": what stands before a form or after "on".
    let after_on = [" on ", " upon ", " over ", " in "]
        .iter()
        .find_map(|word| text.subject.find(word).map(|at| &text.subject[at + word.len() - 1..]));
    let staged = first(&text.subject, words::FORMS, |row| row.0).is_some();
    let whole = empty || after_on.is_none() && staged;
    let scope = if whole { Some(text.subject.as_str()) } else { after_on };
    let named =
        scope.and_then(|scope| first(scope, words::SUBSTANCES, |row| row.0)).map(|(_, row)| row.1);
    let form =
        scope.and_then(|scope| first(scope, words::FORMS, |row| row.0)).map(|(_, row)| row.1);
    let outside = matches!(
        place,
        Place::Forest | Place::Sky | Place::Sunset | Place::Beach | Place::Mountains | Place::Space
    );
    let usual = match place {
        Place::Studio | Place::Plain => Substance::Paper,
        Place::Kitchen => Substance::LightWood,
        Place::DimRoom | Place::CityNight => Substance::DarkWood,
        Place::Forest | Place::Sky => Substance::Grass,
        Place::Sunset | Place::Beach => Substance::Sand,
        Place::Mountains if text.has("lake") => Substance::Water,
        Place::Mountains if text.has("snow") || text.has("snowy") => Substance::Snow,
        Place::Mountains => Substance::Grass,
        Place::Space => Substance::Stone,
    };
    let substance = match (named, form) {
        (None, Some(SurfaceForm::Table)) if usual == Substance::Paper || outside => {
            Substance::LightWood
        }
        (None, Some(SurfaceForm::Plinth)) => Substance::Stone,
        (named, _) => named.unwrap_or(usual),
    };
    let loose = matches!(
        substance,
        Substance::Sand | Substance::Water | Substance::Grass | Substance::Snow
    );
    let form = match form {
        Some(form) => form,
        None if loose || outside => SurfaceForm::Ground,
        None if named.is_none() && matches!(place, Place::Studio | Place::Plain) => {
            SurfaceForm::Sweep
        }
        None => SurfaceForm::Table,
    };
    let said = scope.map(|scope| words_before_first(scope, substance)).unwrap_or_default();
    let own = colors_in(&said).into_iter().next();
    Surface { form, substance, color: own.unwrap_or_else(|| substance_color(substance, palette)) }
}

/// The words before the name of the substance: its adjectives.
fn words_before_first(scope: &str, substance: Substance) -> String {
    let rows = words::SUBSTANCES.iter().filter(|row| row.1 == substance);
    let at = rows.filter_map(|row| place(scope, row.0)).min();
    at.map(|at| words_before(scope, at)).unwrap_or_default()
}

fn substance_color(substance: Substance, palette: &[V3]) -> V3 {
    let lead = palette.first().copied().unwrap_or(V3::all(0.6));
    let hex = match substance {
        Substance::Marble => 0xe9e5df,
        Substance::DarkWood => 0x54402f,
        Substance::LightWood => 0xb98a58,
        Substance::Stone => return from_hex(0xc4b8a8).mix(lead, 0.35),
        Substance::Concrete => 0x9c9a96,
        Substance::Linen => 0xd8cdbb,
        Substance::Sand => 0xd8bd92,
        Substance::Water => 0x1c3c4c,
        Substance::Glass => 0x20262a,
        Substance::Metal => 0xb8bcc0,
        Substance::Grass => 0x56652f,
        Substance::Snow => 0xeef2f8,
        Substance::Paper => return lead,
    };
    from_hex(hex)
}

fn light_of(text: &Text, place: Place, dice: &mut Dice) -> Light {
    let lighting = section(&text.all, "lighting").unwrap_or_else(|| text.all.clone());
    let usual: &LightWord = match place {
        Place::Kitchen => &DAYLIGHT,
        Place::DimRoom | Place::CityNight => &LAMPLIGHT,
        Place::Studio | Place::Plain => &SOFTBOX,
        _ => &SUNLIGHT,
    };
    let word = first(&lighting, words::LIGHTS, |row| row.phrase).map_or(usual, |(_, row)| row);
    let side = match () {
        () if lighting.contains("left") && !lighting.contains(" right") => -1.0,
        () if lighting.contains("right") => 1.0,
        () => dice.sign(),
    };
    let behind = ["backlit", "backlight", "from behind", "rim light"]
        .iter()
        .any(|word| lighting.contains(word));
    let around = if behind { dice.between(125.0, 155.0) } else { dice.between(62.0, 104.0) };
    let warmth = word.warmth
        + if lighting.contains("warm") { 0.25 } else { 0.0 }
        + if lighting.contains("early morning") { 0.30 } else { 0.0 }
        + if place == Place::DimRoom { 0.15 } else { 0.0 };
    let warmth = warmth.clamp(-0.8, 0.75);
    let color =
        v3(1.0 + 0.30 * warmth, 1.0 - 0.08 * warmth, 1.0 - 0.62 * warmth).max(V3::all(0.12));
    let soft = if lighting.contains("soft ") { 1.5 } else { 1.0 };
    let from_above = lighting.contains("upper")
        || lighting.contains("overhead")
        || lighting.contains("from above");
    Light {
        azimuth_deg: if lighting.contains("from above") { side * 25.0 } else { side * around },
        elevation_deg: word.elevation
            + dice.between(-5.0, 6.0)
            + if from_above { 8.0 } else { 0.0 },
        size: word.size * soft,
        strength: word.strength * dice.between(0.9, 1.12),
        color,
        gobo: if word.gobo == Gobo::Window && dice.chance(0.2) { Gobo::Leaves } else { word.gobo },
        rim: word.rim,
    }
}

const DAYLIGHT: LightWord = usual_light([0.16, 2.4, 36.0, 0.0, 0.05], Gobo::Window);
const LAMPLIGHT: LightWord = usual_light([0.18, 2.2, 30.0, 0.8, 0.45], Gobo::Open);
const SOFTBOX: LightWord = usual_light([0.3, 2.2, 46.0, 0.4, 0.0], Gobo::Open);
const SUNLIGHT: LightWord = usual_light([0.03, 3.2, 38.0, 0.3, 0.12], Gobo::Open);

const fn usual_light(numbers: [f32; 5], gobo: Gobo) -> LightWord {
    let [size, strength, elevation, rim, warmth] = numbers;
    LightWord { phrase: "", size, strength, elevation, rim, warmth, gobo }
}

fn camera_of(text: &Text, empty: bool, form: SurfaceForm, dice: &mut Dice) -> Camera {
    let named = first(&text.all, words::VIEWS, |row| row.0).map(|(_, row)| row.1);
    let near = first(&text.all, words::DISTANCES, |row| row.0).map_or(1.0, |(_, row)| row.1);
    let usual = match form {
        _ if empty => 20.0,
        // Under the open sky one wants to see the sky.
        SurfaceForm::Ground => 5.5 + dice.between(-1.5, 2.0),
        _ => 14.0 + dice.between(-3.0, 6.0),
    };
    let (pitch, far) = named.unwrap_or((usual, 1.0));
    let eye_level = named.is_some_and(|(pitch, _)| (0.0..12.0).contains(&pitch));
    let pitch = match (empty && eye_level, form) {
        // On an empty stage somebody will set something: it must be seen a little from above.
        (true, SurfaceForm::Plinth) => 19.0,
        (true, _) => 17.0 + dice.between(-1.5, 2.5),
        _ => pitch,
    };
    let across = match () {
        () if text.has("negative space on the left") || text.has("space on the left") => 0.66,
        () if text.has("negative space on the right") || text.has("space on the right") => 0.34,
        () if text.has("rule of thirds") => {
            if dice.chance(0.5) {
                0.37
            } else {
                0.63
            }
        }
        () => 0.5,
    };
    let shallow = text.has("shallow depth of field") || text.has("bokeh");
    let deep = text.has("deep focus") || text.has("everything in focus") || pitch > 70.0;
    let blur = match () {
        () if deep => 0.0,
        () if shallow => 1.0,
        () if empty => 0.9,
        () => 0.75,
    };
    let edge = match () {
        () if text.has("lower third") => 0.6 + dice.between(-0.02, 0.03),
        () => 0.52 + dice.between(-0.05, 0.05),
    };
    Camera {
        pitch_deg: pitch,
        yaw_deg: if empty { 0.0 } else { dice.between(-9.0, 9.0) },
        distance: far * near * if empty { 5.0 } else { 4.2 },
        aim: if empty { 0.0 } else { 0.46 },
        centre: (across, if empty { 0.76 } else { 0.55 }),
        view_deg: 26.0,
        blur,
        edge,
    }
}

fn mood_of(text: &Text) -> Mood {
    let (mut warmth, mut contrast, mut colour, mut brightness) = (0.0, 1.0, 1.0, 1.0);
    let scope = section(&text.all, "mood").unwrap_or_else(|| text.all.clone());
    for (_, (_, [w, c, s, b])) in every(&scope, words::MOODS) {
        warmth += w;
        contrast *= c;
        colour *= s;
        brightness *= b;
    }
    if text.has("deep shadows") && !scope.contains("deep shadows") {
        contrast *= 1.1;
    }
    Mood {
        warmth: f32::clamp(warmth, -0.8, 0.8),
        contrast: f32::clamp(contrast, 0.8, 1.4),
        colour: f32::clamp(colour, 0.4, 1.6),
        brightness: f32::clamp(brightness, 0.5, 1.6),
    }
}

/// What may stand at the edges of a table in each place.
fn props_of(text: &Text, scene: &Scene, dice: &mut Dice) -> Vec<Prop> {
    let bare = text.has("minimal")
        || text.has("isolated")
        || text.has("no props")
        || scene.place == Place::Plain;
    let many: &[SubjectKind] = match scene.place {
        Place::Kitchen => &[
            SubjectKind::Plant,
            SubjectKind::Bowl,
            SubjectKind::Fruit,
            SubjectKind::Vase,
            SubjectKind::Bottle,
        ],
        Place::DimRoom => &[
            SubjectKind::Candle,
            SubjectKind::Book,
            SubjectKind::Glass,
            SubjectKind::Plant,
            SubjectKind::Bowl,
        ],
        _ => &[],
    };
    if bare
        || many.is_empty()
        || scene.surface.form != SurfaceForm::Table
        || scene.camera.pitch_deg > 60.0
    {
        return Vec::new();
    }
    let count = 1 + dice.below(3);
    let mut side = dice.sign();
    let mut props = Vec::new();
    for _ in 0..count {
        let kind = many.get(dice.below(many.len())).copied().unwrap_or(SubjectKind::Ball);
        let at = (side * dice.between(1.5, 2.0), dice.between(-1.9, -0.9));
        let crowded =
            props.iter().any(|prop: &Prop| prop.kind == kind || (prop.at.0 - at.0).abs() < 0.9);
        if crowded {
            side = -side;
            continue;
        }
        let height = match kind {
            SubjectKind::Plant | SubjectKind::Bottle | SubjectKind::Vase => dice.between(0.7, 1.0),
            SubjectKind::Fruit | SubjectKind::Bowl | SubjectKind::Book => dice.between(0.3, 0.42),
            _ => dice.between(0.45, 0.7),
        };
        let seed = dice.next();
        let color = usual_color(kind, "", &scene.palette, dice);
        props.push(Prop { kind, at, height, color, seed });
        side = -side;
    }
    props
}
