//! From words to a brief: what the music is to be before any note is written.
//!
//! Words decide what they name (key, tempo, instruments, genre, mood); what they leave open is drawn
//! from the seed and the words together, so that other words give another piece.

use super::instrument::Timbre;
use super::percussion::Kit;
use crate::noise::{Dice, hash_text};

/// The manner of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Genre {
    Acoustic,
    Cinematic,
    Electronic,
    LoFi,
    Upbeat,
    Ambient,
    Jazz,
}

/// The scale of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Major,
    Minor,
    Dorian,
    Lydian,
    Mixolydian,
}

impl Mode {
    /// Semitones of the seven steps above the tonic.
    pub(crate) fn steps(self) -> [i32; 7] {
        match self {
            Self::Major => [0, 2, 4, 5, 7, 9, 11],
            Self::Minor => [0, 2, 3, 5, 7, 8, 10],
            Self::Dorian => [0, 2, 3, 5, 7, 9, 10],
            Self::Lydian => [0, 2, 4, 6, 7, 9, 11],
            Self::Mixolydian => [0, 2, 4, 5, 7, 9, 10],
        }
    }

    /// Whether the third is a minor one.
    pub(crate) fn is_minor(self) -> bool {
        matches!(self, Self::Minor | Self::Dorian)
    }
}

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) lead: Option<Timbre>,
    pub(crate) chords: Option<Timbre>,
    pub(crate) pad: Option<Timbre>,
    pub(crate) bass: Option<Timbre>,
    pub(crate) drums: Option<Kit>,
}

/// What the music is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Brief {
    pub(crate) genre: Genre,
    /// Pitch class of the tonic; 0 is C.
    pub(crate) tonic: i32,
    pub(crate) mode: Mode,
    /// The tempo asked for; the form bends it a little so that the piece ends on time.
    pub(crate) tempo_bpm: f64,
    pub(crate) beats_per_bar: usize,
    /// From 0 (still) to 1 (driving).
    pub(crate) energy: f32,
    /// From 0 (dark) to 1 (bright).
    pub(crate) brightness: f32,
    /// How much of the off-beat eighth is pushed towards the next beat: 0 straight, 1 triplet.
    pub(crate) swing: f32,
    pub(crate) band: Band,
}

const GENRES: &[(Genre, &[&str])] = &[
    (
        Genre::Acoustic,
        &["acoustic", "folk", "guitar", "ukulele", "unplugged", "campfire", "country"],
    ),
    (
        Genre::Cinematic,
        &["cinematic", "epic", "film", "trailer", "orchestral", "orchestra", "dramatic", "heroic"],
    ),
    (
        Genre::Electronic,
        &[
            "electronic",
            "techno",
            "house",
            "edm",
            "synth",
            "synthwave",
            "dance",
            "club",
            "futuristic",
            "trance",
            "cyberpunk",
            "chiptune",
        ],
    ),
    (
        Genre::LoFi,
        &[
            "lofi", "lo-fi", "chillhop", "hiphop", "hip-hop", "beats", "study", "vinyl", "chill",
            "mellow",
        ],
    ),
    (
        Genre::Upbeat,
        &[
            "corporate",
            "upbeat",
            "commercial",
            "motivational",
            "inspiring",
            "pop",
            "advert",
            "optimistic",
            "uplifting",
            "positive",
        ],
    ),
    (
        Genre::Ambient,
        &[
            "ambient",
            "drone",
            "meditation",
            "meditative",
            "atmospheric",
            "spa",
            "sleep",
            "ethereal",
            "space",
            "soundscape",
        ],
    ),
    (Genre::Jazz, &["jazz", "jazzy", "swing", "bossa", "lounge", "bebop", "blues", "cafe", "café"]),
];

/// Word, change of energy, change of brightness, change of mood (negative: minor).
const MOODS: &[(&[&str], f32, f32, f32)] = &[
    (
        &["calm", "peaceful", "quiet", "gentle", "soft", "relaxing", "tender", "serene"],
        -0.25,
        -0.1,
        0.2,
    ),
    (&["slow", "sleepy", "lazy", "still"], -0.3, -0.1, 0.0),
    (
        &["fast", "energetic", "driving", "exciting", "powerful", "intense", "lively"],
        0.35,
        0.15,
        0.0,
    ),
    (
        &["happy", "joyful", "cheerful", "playful", "bright", "sunny", "fun", "fresh"],
        0.2,
        0.25,
        0.8,
    ),
    (&["sad", "melancholic", "melancholy", "sorrowful", "mournful", "lonely"], -0.2, -0.25, -1.0),
    (
        &["dark", "mysterious", "tense", "ominous", "suspense", "suspenseful", "scary"],
        0.0,
        -0.35,
        -1.0,
    ),
    (&["warm", "cosy", "cozy", "intimate", "hopeful", "romantic", "nostalgic"], -0.1, -0.05, 0.5),
    (&["elegant", "premium", "luxury", "luxurious", "sophisticated"], -0.05, 0.05, 0.2),
    (&["dreamy", "floating", "magical", "wonder", "ethereal"], -0.15, 0.1, 0.4),
    (&["epic", "heroic", "triumphant", "dramatic"], 0.3, 0.05, -0.3),
];

/// The part that an instrument named in words likes best.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Lead,
    Chords,
    Pad,
    Bass,
}

const INSTRUMENTS: &[(&[&str], Timbre, Role)] = &[
    (&["felt", "upright"], Timbre::FeltPiano, Role::Chords),
    (&["piano", "pianos", "keys"], Timbre::Piano, Role::Chords),
    (&["rhodes", "wurlitzer", "electric-piano", "e-piano"], Timbre::ElectricPiano, Role::Chords),
    (&["guitar", "guitars", "ukulele", "banjo", "mandolin"], Timbre::Guitar, Role::Chords),
    (&["harp", "koto", "kalimba"], Timbre::Harp, Role::Chords),
    (&["marimba", "xylophone"], Timbre::Marimba, Role::Lead),
    (&["vibraphone", "vibes"], Timbre::Vibraphone, Role::Lead),
    (&["bells", "bell", "glockenspiel", "celesta", "chimes"], Timbre::Bell, Role::Lead),
    (&["flute", "whistle", "ocarina"], Timbre::Flute, Role::Lead),
    (&["violin", "cello", "viola", "fiddle"], Timbre::SoloString, Role::Lead),
    (&["lead", "synth", "synths", "arpeggio"], Timbre::SynthLead, Role::Lead),
    (&["strings", "orchestra", "orchestral"], Timbre::Strings, Role::Pad),
    (&["choir", "voices"], Timbre::Choir, Role::Pad),
    (&["pad", "pads", "drone"], Timbre::WarmPad, Role::Pad),
    (&["bass", "double-bass", "contrabass"], Timbre::UprightBass, Role::Bass),
    (&["sub", "808", "synth-bass"], Timbre::SubBass, Role::Bass),
];

const DRUM_WORDS: &[&str] = &[
    "drums",
    "drum",
    "percussion",
    "beat",
    "beats",
    "brushes",
    "shaker",
    "kit",
    "claps",
    "groove",
];
const SOFT_WORDS: &[&str] = &["light", "soft", "gentle", "subtle", "minimal", "brushed", "brushes"];
const NO_WORDS: &[&str] = &["no", "without", "not", "minus"];

impl Brief {
    /// The brief that `text` asks for; `seed` decides what it leaves open.
    pub(crate) fn from_words(text: &str, seed: u64) -> Self {
        let words = words_of(text);
        let mut dice = Dice::new(seed ^ hash_text(&words.join(" ")), "music brief");
        let genre = genre_of(&words, &mut dice);
        let (mut energy, mut brightness, mut mood) = (base_energy(genre), 0.5, 0.3);
        for (names, more_energy, more_brightness, more_mood) in MOODS {
            if names.iter().any(|name| says(&words, name)) {
                energy += more_energy;
                brightness += more_brightness;
                mood += more_mood;
            }
        }
        let (tonic, stated) = key_of(&words);
        let mode = stated.unwrap_or_else(|| mode_for(genre, mood, &mut dice));
        let waltz = ["waltz", "3/4", "6/8"].iter().any(|word| says(&words, word));
        let energy = energy.clamp(0.0, 1.0);
        Self {
            genre,
            tonic: tonic.unwrap_or_else(|| dice.below(12) as i32),
            mode,
            tempo_bpm: tempo_of(&words).unwrap_or_else(|| tempo_for(genre, energy, &mut dice)),
            beats_per_bar: if waltz { 3 } else { 4 },
            energy,
            brightness: brightness.clamp(0.05, 0.95),
            swing: swing_of(genre, &words),
            band: band_for(genre, &words, &mut dice),
        }
    }
}

fn words_of(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let keep = |c: char| c.is_alphanumeric() || "-/#♯♭'".contains(c);
    lower.split(|c: char| !keep(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn is_denied(words: &[String], place: usize) -> bool {
    let before = &words[place.saturating_sub(2)..place];
    before.iter().any(|word| NO_WORDS.contains(&word.as_str()))
}

/// Whether the words name `name` without a "no" before it.
fn says(words: &[String], name: &str) -> bool {
    words.iter().enumerate().any(|(place, word)| word == name && !is_denied(words, place))
}

fn denies(words: &[String], names: &[&str]) -> bool {
    let named =
        |(place, word): (usize, &String)| names.contains(&word.as_str()) && is_denied(words, place);
    words.iter().enumerate().any(named)
}

fn genre_of(words: &[String], dice: &mut Dice) -> Genre {
    let score = |names: &[&str]| names.iter().filter(|name| says(words, name)).count();
    let best = GENRES.iter().map(|(genre, names)| (score(names), *genre)).rev();
    match best.max_by_key(|(score, _)| *score) {
        Some((score, genre)) if score > 0 => genre,
        // Nothing said: a quiet manner that fits most pictures.
        _ => [Genre::Acoustic, Genre::Cinematic, Genre::Ambient, Genre::Upbeat][dice.below(4)],
    }
}

fn base_energy(genre: Genre) -> f32 {
    match genre {
        Genre::Ambient => 0.15,
        Genre::Acoustic | Genre::LoFi => 0.4,
        Genre::Cinematic | Genre::Jazz => 0.5,
        Genre::Upbeat => 0.7,
        Genre::Electronic => 0.75,
    }
}

fn mode_for(genre: Genre, mood: f32, dice: &mut Dice) -> Mode {
    let minor = match genre {
        Genre::Cinematic | Genre::Electronic => mood < 0.4,
        _ => mood < 0.0,
    };
    match (minor, genre) {
        (true, Genre::Jazz | Genre::LoFi) => Mode::Dorian,
        (true, _) => Mode::Minor,
        (false, Genre::Ambient) if dice.chance(0.5) => Mode::Lydian,
        (false, Genre::Electronic) if dice.chance(0.4) => Mode::Mixolydian,
        (false, _) => Mode::Major,
    }
}

/// "in d minor", "f# major", "key of b flat".
fn key_of(words: &[String]) -> (Option<i32>, Option<Mode>) {
    let mode_word = |word: &str| match word {
        "major" | "ionian" => Some(Mode::Major),
        "minor" | "aeolian" => Some(Mode::Minor),
        "dorian" => Some(Mode::Dorian),
        "lydian" => Some(Mode::Lydian),
        "mixolydian" => Some(Mode::Mixolydian),
        _ => None,
    };
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    let mode = words.iter().find_map(|word| mode_word(word));
    for place in 0..words.len() {
        let Some(mut tonic) = pitch_class(word(place)) else { continue };
        let mut next = place + 1;
        match word(next) {
            "sharp" => (tonic, next) = (tonic + 1, next + 1),
            "flat" => (tonic, next) = (tonic + 11, next + 1),
            _ => {}
        }
        let before = if place == 0 { "" } else { word(place - 1) };
        let of_key = before == "of" && place >= 2 && word(place - 2) == "key";
        // The article "a" is a note only where a mode follows it.
        if of_key || mode_word(word(next)).is_some() {
            return (Some(tonic % 12), mode_word(word(next)).or(mode));
        }
    }
    (None, mode)
}

fn pitch_class(word: &str) -> Option<i32> {
    let mut letters = word.chars();
    let natural = match letters.next()? {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' => 11,
        _ => return None,
    };
    match letters.as_str() {
        "" => Some(natural),
        "#" | "♯" | "-sharp" => Some((natural + 1) % 12),
        "♭" | "b" | "-flat" => Some((natural + 11) % 12),
        _ => None,
    }
}

/// "90 bpm", "120bpm", "tempo 80".
fn tempo_of(words: &[String]) -> Option<f64> {
    let number = |word: &str| word.parse::<f64>().ok().filter(|bpm| bpm.is_finite());
    let found = words.iter().enumerate().find_map(|(place, word)| {
        let next = words.get(place + 1).map_or("", String::as_str);
        match word.strip_suffix("bpm") {
            Some("") => words.get(place.checked_sub(1)?).and_then(|before| number(before)),
            Some(digits) => number(digits),
            None if word == "tempo" => number(next),
            None => None,
        }
    })?;
    Some(found.clamp(40.0, 200.0))
}

fn tempo_for(genre: Genre, energy: f32, dice: &mut Dice) -> f64 {
    let (low, high) = match genre {
        Genre::Acoustic => (68.0, 112.0),
        Genre::Cinematic => (62.0, 110.0),
        Genre::Electronic => (100.0, 130.0),
        Genre::LoFi => (70.0, 90.0),
        Genre::Upbeat => (100.0, 128.0),
        Genre::Ambient => (52.0, 76.0),
        Genre::Jazz => (88.0, 150.0),
    };
    let place = (energy + dice.between(-0.12, 0.12)).clamp(0.0, 1.0);
    f64::from((low + (high - low) * place).round())
}

fn swing_of(genre: Genre, words: &[String]) -> f32 {
    match genre {
        Genre::Jazz if says(words, "bossa") => 0.0,
        Genre::Jazz => 0.85,
        Genre::LoFi => 0.45,
        _ if says(words, "swing") => 0.8,
        _ => 0.0,
    }
}

fn default_band(genre: Genre, dice: &mut Dice) -> Band {
    use Timbre::{
        Bell, ElectricBass, ElectricPiano, FeltPiano, Flute, Guitar, Harp, Piano, SoloString,
        Strings, SubBass, SynthLead, SynthPluck, UprightBass, Vibraphone, WarmPad,
    };
    let band = |lead, chords, pad, bass, drums| Band { lead, chords, pad, bass, drums };
    let either = |dice: &mut Dice, one, other| Some(if dice.chance(0.5) { one } else { other });
    match genre {
        Genre::Acoustic => {
            let lead = either(dice, Piano, Flute);
            band(lead, Some(Guitar), Some(Strings), Some(UprightBass), Some(Kit::Soft))
        }
        Genre::Cinematic => {
            let lead = either(dice, SoloString, Piano);
            band(
                lead,
                either(dice, FeltPiano, Harp),
                Some(Strings),
                Some(Strings),
                Some(Kit::Cinematic),
            )
        }
        Genre::Electronic => band(
            Some(SynthLead),
            Some(SynthPluck),
            Some(WarmPad),
            Some(SubBass),
            Some(Kit::Electronic),
        ),
        Genre::LoFi => {
            let lead = either(dice, Vibraphone, FeltPiano);
            band(lead, Some(ElectricPiano), Some(WarmPad), Some(ElectricBass), Some(Kit::LoFi))
        }
        Genre::Upbeat => {
            let lead = either(dice, Bell, Piano);
            band(lead, Some(Guitar), Some(WarmPad), Some(ElectricBass), Some(Kit::Pop))
        }
        Genre::Ambient => band(
            either(dice, Bell, FeltPiano),
            either(dice, Harp, ElectricPiano),
            Some(WarmPad),
            Some(SubBass),
            None,
        ),
        Genre::Jazz => {
            let lead = either(dice, Vibraphone, Piano);
            band(lead, either(dice, Piano, Guitar), None, Some(UprightBass), Some(Kit::Jazz))
        }
    }
}

fn band_for(genre: Genre, words: &[String], dice: &mut Dice) -> Band {
    let mut band = default_band(genre, dice);
    let named: Vec<(Timbre, Role)> = INSTRUMENTS
        .iter()
        .filter(|(names, _, _)| names.iter().any(|name| says(words, name)))
        .map(|(_, timbre, role)| (*timbre, *role))
        .collect();
    let mut chords_named = None;
    let mut lead_named = None;
    for (timbre, role) in named {
        match role {
            Role::Lead => lead_named = lead_named.or(Some(timbre)),
            Role::Chords if chords_named.is_none() => chords_named = Some(timbre),
            // A second instrument of chords sings the melody.
            Role::Chords => lead_named = lead_named.or(Some(timbre)),
            Role::Pad => band.pad = Some(timbre),
            Role::Bass => band.bass = Some(timbre),
        }
    }
    if let Some(chords) = chords_named {
        band.chords = Some(chords);
        // One named instrument is the voice of the piece: it sings as well.
        band.lead = Some(chords);
    }
    band.lead = lead_named.or(band.lead);
    if says(words, "solo") {
        (band.pad, band.bass, band.drums) = (None, None, None);
    }
    band.drums = drums_for(words, band.drums);
    deny(&mut band, words);
    band
}

fn drums_for(words: &[String], drums: Option<Kit>) -> Option<Kit> {
    let asked = DRUM_WORDS.iter().any(|word| says(words, word));
    let soft = words.windows(2).any(|pair| {
        SOFT_WORDS.contains(&pair[0].as_str()) && DRUM_WORDS.contains(&pair[1].as_str())
    });
    match drums {
        _ if denies(words, DRUM_WORDS) || says(words, "drumless") => None,
        Some(Kit::Pop | Kit::Cinematic | Kit::Soft) if soft => Some(Kit::Soft),
        None if asked => Some(Kit::Soft),
        drums => drums,
    }
}

fn deny(band: &mut Band, words: &[String]) {
    for (names, _, role) in INSTRUMENTS {
        if denies(words, names) {
            match role {
                Role::Pad => band.pad = None,
                Role::Bass => band.bass = None,
                Role::Lead | Role::Chords => {
                    let named = |timbre: &Timbre| {
                        INSTRUMENTS.iter().any(|(n, t, _)| t == timbre && n == names)
                    };
                    band.lead = band.lead.filter(|timbre| !named(timbre));
                    band.chords = band.chords.filter(|timbre| !named(timbre));
                }
            }
        }
    }
    if denies(words, &["melody", "lead"]) {
        band.lead = None;
    }
    if band.chords.is_none() && band.pad.is_none() {
        band.pad = Some(Timbre::WarmPad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_what_they_name() {
        let brief = |text: &str| Brief::from_words(text, 1);
        let film = brief("warm, calm acoustic piece with soft piano and light percussion");
        assert_eq!((film.genre, film.mode), (Genre::Acoustic, Mode::Major));
        assert_eq!(film.band.chords, Some(Timbre::Piano));
        assert_eq!(film.band.drums, Some(Kit::Soft));
        let dark = brief("dark cinematic trailer in f# minor at 92 bpm, no drums");
        assert_eq!((dark.tonic, dark.mode, dark.tempo_bpm), (6, Mode::Minor, 92.0));
        assert_eq!(dark.band.drums, None);
        assert_eq!(brief("a waltz in the key of B flat").tonic, 10);
        assert_eq!(brief("a waltz").beats_per_bar, 3);
        assert_eq!(brief("jazz, 120bpm").tempo_bpm, 120.0);
        assert_eq!(brief("sad ambient drone").mode, Mode::Minor);
        assert_eq!(brief("lo-fi beats to study").genre, Genre::LoFi);
    }

    #[test]
    fn the_article_is_not_a_key() {
        assert_eq!(key_of(&words_of("a calm piece")), (None, None));
        assert_eq!(key_of(&words_of("in a minor")), (Some(9), Some(Mode::Minor)));
    }
}
