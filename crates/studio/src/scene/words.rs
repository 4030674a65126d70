// tidy:words
//! What words mean: flat tables, earlier rows win where two match at the same place.
//!
//! Invariant: every phrase is lower case, words apart by one space.

use super::{Finish, Gobo, Make, Place, SubjectKind, Substance, SurfaceForm};

#[rustfmt::skip]
pub(super) const SUBJECTS: &[(&str, SubjectKind)] = &[
    ("mug", SubjectKind::Mug), ("cup", SubjectKind::Mug), ("teacup", SubjectKind::Mug), ("espresso", SubjectKind::Mug),
    ("coffee", SubjectKind::Mug), ("tea", SubjectKind::Mug), ("latte", SubjectKind::Mug), ("cappuccino", SubjectKind::Mug),
    ("tumbler", SubjectKind::Glass), ("glass of", SubjectKind::Glass), ("wine glass", SubjectKind::Glass),
    ("drinking glass", SubjectKind::Glass), ("cocktail", SubjectKind::Glass), ("juice", SubjectKind::Glass),
    ("bottle", SubjectKind::Bottle), ("flask", SubjectKind::Bottle), ("wine", SubjectKind::Bottle),
    ("serum", SubjectKind::Bottle), ("shampoo", SubjectKind::Bottle), ("lotion", SubjectKind::Bottle),
    ("bowl", SubjectKind::Bowl), ("dish", SubjectKind::Bowl), ("plate", SubjectKind::Bowl), ("soup", SubjectKind::Bowl),
    ("vase", SubjectKind::Vase), ("jug", SubjectKind::Vase), ("pitcher", SubjectKind::Vase), ("urn", SubjectKind::Vase),
    ("amphora", SubjectKind::Vase), ("teapot", SubjectKind::Vase), ("pottery", SubjectKind::Vase),
    ("perfume", SubjectKind::Perfume), ("fragrance", SubjectKind::Perfume), ("cologne", SubjectKind::Perfume),
    ("can", SubjectKind::Can), ("soda", SubjectKind::Can), ("beer", SubjectKind::Can), ("jar", SubjectKind::Can), ("tin", SubjectKind::Can),
    ("candle", SubjectKind::Candle), ("candles", SubjectKind::Candle), ("lamp", SubjectKind::Lamp), ("lantern", SubjectKind::Lamp),
    ("book", SubjectKind::Book), ("books", SubjectKind::Book), ("notebook", SubjectKind::Book), ("magazine", SubjectKind::Book),
    ("box", SubjectKind::Box), ("package", SubjectKind::Box), ("packaging", SubjectKind::Box), ("carton", SubjectKind::Box),
    ("gift", SubjectKind::Box), ("crate", SubjectKind::Box), ("chest", SubjectKind::Box), ("parcel", SubjectKind::Box),
    ("watch", SubjectKind::Watch), ("clock", SubjectKind::Watch), ("smartwatch", SubjectKind::Watch),
    ("headphones", SubjectKind::Headphones), ("headphone", SubjectKind::Headphones), ("headset", SubjectKind::Headphones),
    ("sneaker", SubjectKind::Shoe), ("sneakers", SubjectKind::Shoe), ("shoe", SubjectKind::Shoe), ("shoes", SubjectKind::Shoe),
    ("boot", SubjectKind::Shoe), ("trainer", SubjectKind::Shoe), ("chair", SubjectKind::Chair), ("armchair", SubjectKind::Chair),
    ("stool", SubjectKind::Chair), ("sofa", SubjectKind::Chair), ("apple", SubjectKind::Fruit), ("apples", SubjectKind::Fruit),
    ("fruit", SubjectKind::Fruit), ("fruits", SubjectKind::Fruit), ("oranges", SubjectKind::Fruit), ("an orange on", SubjectKind::Fruit), ("an orange and", SubjectKind::Fruit),
    ("pear", SubjectKind::Fruit), ("peach", SubjectKind::Fruit), ("lemons", SubjectKind::Fruit), ("a lemon on", SubjectKind::Fruit), ("a lemon and", SubjectKind::Fruit),
    ("pomegranate", SubjectKind::Fruit), ("tomato", SubjectKind::Fruit), ("plums", SubjectKind::Fruit),
    ("plant", SubjectKind::Plant), ("succulent", SubjectKind::Plant), ("cactus", SubjectKind::Plant), ("flower", SubjectKind::Plant),
    ("flowers", SubjectKind::Plant), ("bouquet", SubjectKind::Plant), ("fern", SubjectKind::Plant),
    ("tree", SubjectKind::Tree), ("oak tree", SubjectKind::Tree), ("pine", SubjectKind::Tree), ("bonsai", SubjectKind::Tree),
    ("house", SubjectKind::House), ("cottage", SubjectKind::House), ("cabin", SubjectKind::House), ("hut", SubjectKind::House),
    ("villa", SubjectKind::House), ("castle", SubjectKind::House), ("tower", SubjectKind::House), ("car", SubjectKind::Car),
    ("truck", SubjectKind::Car), ("van", SubjectKind::Car), ("vehicle", SubjectKind::Car), ("sports car", SubjectKind::Car),
    ("rocket", SubjectKind::Rocket), ("spaceship", SubjectKind::Rocket), ("spacecraft", SubjectKind::Rocket),
    ("robot", SubjectKind::Robot), ("android", SubjectKind::Robot), ("astronaut", SubjectKind::Robot),
    ("cat", SubjectKind::Cat), ("kitten", SubjectKind::Cat), ("fox", SubjectKind::Cat), ("dog", SubjectKind::Cat), ("puppy", SubjectKind::Cat),
    ("sphere", SubjectKind::Ball), ("ball", SubjectKind::Ball), ("orb", SubjectKind::Ball), ("globe", SubjectKind::Ball), ("planet", SubjectKind::Ball),
    ("sculpture", SubjectKind::Abstract), ("still life", SubjectKind::Abstract),
];

#[rustfmt::skip]
pub(super) const SUBSTANCES: &[(&str, Substance)] = &[
    ("marble", Substance::Marble), ("walnut", Substance::DarkWood), ("mahogany", Substance::DarkWood), ("dark wood", Substance::DarkWood),
    ("rustic", Substance::DarkWood), ("oak", Substance::LightWood), ("pine table", Substance::LightWood), ("birch", Substance::LightWood),
    ("bamboo", Substance::LightWood), ("wooden", Substance::LightWood), ("wood", Substance::LightWood), ("stone", Substance::Stone),
    ("granite", Substance::Stone), ("slate", Substance::Stone), ("rock", Substance::Stone), ("travertine", Substance::Stone),
    ("terrazzo", Substance::Stone), ("concrete", Substance::Concrete), ("cement", Substance::Concrete), ("plaster", Substance::Concrete),
    ("linen", Substance::Linen), ("cloth", Substance::Linen), ("fabric", Substance::Linen), ("tablecloth", Substance::Linen),
    ("velvet", Substance::Linen), ("silk", Substance::Linen), ("sand", Substance::Sand), ("sandy", Substance::Sand),
    ("dune", Substance::Sand), ("dunes", Substance::Sand), ("desert", Substance::Sand), ("beach", Substance::Sand),
    ("water", Substance::Water), ("lake", Substance::Water), ("sea", Substance::Water), ("ocean", Substance::Water), ("pond", Substance::Water),
    ("glass", Substance::Glass), ("mirror", Substance::Glass), ("metal", Substance::Metal), ("steel", Substance::Metal),
    ("aluminium", Substance::Metal), ("brass", Substance::Metal), ("grass", Substance::Grass), ("lawn", Substance::Grass),
    ("meadow", Substance::Grass), ("moss", Substance::Grass), ("garden", Substance::Grass), ("field", Substance::Grass),
    ("snow", Substance::Snow), ("snowy", Substance::Snow), ("ice", Substance::Snow), ("paper", Substance::Paper),
];

#[rustfmt::skip]
pub(super) const FORMS: &[(&str, SurfaceForm)] = &[
    ("tabletop", SurfaceForm::Table), ("table", SurfaceForm::Table), ("counter", SurfaceForm::Table), ("countertop", SurfaceForm::Table),
    ("desk", SurfaceForm::Table), ("worktop", SurfaceForm::Table), ("slab", SurfaceForm::Table), ("shelf", SurfaceForm::Table),
    ("bench", SurfaceForm::Table), ("board", SurfaceForm::Table), ("windowsill", SurfaceForm::Table), ("bar", SurfaceForm::Table),
    ("plinth", SurfaceForm::Plinth), ("pedestal", SurfaceForm::Plinth), ("podium", SurfaceForm::Plinth), ("column", SurfaceForm::Plinth),
    ("turntable", SurfaceForm::Plinth), ("stage", SurfaceForm::Plinth), ("sweep", SurfaceForm::Sweep), ("backdrop", SurfaceForm::Sweep),
];

#[rustfmt::skip]
pub(super) const PLACES: &[(&str, Place)] = &[
    ("seamless", Place::Studio), ("studio", Place::Studio), ("cyclorama", Place::Studio), ("kitchen", Place::Kitchen),
    ("window", Place::Kitchen), ("bright room", Place::Kitchen), ("cafe", Place::DimRoom), ("breakfast", Place::Kitchen),
    ("living room", Place::DimRoom), ("dim room", Place::DimRoom), ("dark room", Place::DimRoom), ("room", Place::DimRoom),
    ("warm lamps", Place::DimRoom), ("bar", Place::DimRoom), ("restaurant", Place::DimRoom), ("library", Place::DimRoom),
    ("candlelight", Place::DimRoom), ("forest", Place::Forest), ("woods", Place::Forest), ("jungle", Place::Forest),
    ("garden", Place::Forest), ("park", Place::Forest), ("sunset", Place::Sunset), ("sunrise", Place::Sunset), ("dawn", Place::Sunset),
    ("dusk", Place::Sunset), ("sky", Place::Sky), ("meadow", Place::Sky), ("clouds", Place::Sky), ("outdoors", Place::Sky),
    ("field", Place::Sky), ("desert", Place::Sunset), ("city", Place::CityNight), ("street", Place::CityNight),
    ("neon", Place::CityNight), ("skyline", Place::CityNight), ("night", Place::CityNight), ("beach", Place::Beach),
    ("sea", Place::Beach), ("ocean", Place::Beach), ("lake", Place::Mountains), ("mountain", Place::Mountains),
    ("mountains", Place::Mountains), ("alps", Place::Mountains), ("valley", Place::Mountains), ("snow", Place::Mountains),
    ("snowy", Place::Mountains), ("space", Place::Space), ("galaxy", Place::Space), ("moon", Place::Space), ("mars", Place::Space),
    ("gradient", Place::Plain), ("plain background", Place::Plain), ("solid background", Place::Plain), ("white background", Place::Plain),
    ("black background", Place::Plain), ("isolated", Place::Plain),
];

/// What a word says of the light: size, strength, elevation in degrees, rim, warmth.
pub(super) struct LightWord {
    pub(super) phrase: &'static str,
    pub(super) size: f32,
    pub(super) strength: f32,
    pub(super) elevation: f32,
    pub(super) rim: f32,
    pub(super) warmth: f32,
    pub(super) gobo: Gobo,
}

const fn lit(phrase: &'static str, numbers: [f32; 5], gobo: Gobo) -> LightWord {
    let [size, strength, elevation, rim, warmth] = numbers;
    LightWord { phrase, size, strength, elevation, rim, warmth, gobo }
}

pub(super) const LIGHTS: &[LightWord] = &[
    lit("window light", [0.10, 2.6, 34.0, 0.0, 0.05], Gobo::Window),
    lit("sunlight through", [0.05, 3.4, 34.0, 0.0, 0.25], Gobo::Window),
    lit("dappled", [0.05, 3.2, 48.0, 0.0, 0.25], Gobo::Leaves),
    lit("through leaves", [0.05, 3.2, 48.0, 0.0, 0.25], Gobo::Leaves),
    lit("blinds", [0.04, 3.4, 36.0, 0.0, 0.2], Gobo::Blinds),
    lit("softbox", [0.30, 2.2, 48.0, 0.3, 0.0], Gobo::Open),
    lit("studio lighting", [0.28, 2.2, 46.0, 0.6, 0.0], Gobo::Open),
    lit("studio light", [0.28, 2.2, 46.0, 0.6, 0.0], Gobo::Open),
    lit("golden hour", [0.04, 3.2, 16.0, 0.8, 0.7], Gobo::Open),
    lit("golden light", [0.16, 2.6, 26.0, 0.4, 0.6], Gobo::Open),
    lit("sunset", [0.04, 2.8, 13.0, 0.8, 0.7], Gobo::Open),
    lit("rim light", [0.12, 1.6, 40.0, 3.0, 0.0], Gobo::Open),
    lit("rim lighting", [0.12, 1.6, 40.0, 3.0, 0.0], Gobo::Open),
    lit("backlit", [0.12, 1.2, 30.0, 3.0, 0.1], Gobo::Open),
    lit("backlight", [0.12, 1.2, 30.0, 3.0, 0.1], Gobo::Open),
    lit("candlelight", [0.12, 2.2, 20.0, 0.3, 0.9], Gobo::Open),
    lit("candlelit", [0.12, 2.2, 20.0, 0.3, 0.9], Gobo::Open),
    lit("neon", [0.16, 2.0, 28.0, 2.6, 0.0], Gobo::Open),
    lit("moonlight", [0.05, 1.8, 42.0, 0.8, -0.7], Gobo::Open),
    lit("moonlit", [0.05, 1.8, 42.0, 0.8, -0.7], Gobo::Open),
    lit("overcast", [0.55, 1.0, 66.0, 0.0, -0.1], Gobo::Open),
    lit("diffuse", [0.50, 1.2, 60.0, 0.0, 0.0], Gobo::Open),
    lit("soft light", [0.30, 1.8, 46.0, 0.2, 0.0], Gobo::Open),
    lit("noon", [0.012, 4.2, 66.0, 0.0, 0.05], Gobo::Open),
    lit("hard sun", [0.012, 4.2, 46.0, 0.0, 0.1], Gobo::Open),
    lit("hard light", [0.015, 3.8, 44.0, 0.0, 0.0], Gobo::Open),
    lit("sunlight", [0.02, 3.8, 40.0, 0.0, 0.2], Gobo::Open),
    lit("sunny", [0.02, 3.8, 44.0, 0.0, 0.15], Gobo::Open),
    lit("dramatic", [0.08, 3.4, 34.0, 1.2, 0.0], Gobo::Open),
    lit("window", [0.10, 2.4, 34.0, 0.0, 0.05], Gobo::Window),
];

#[rustfmt::skip]
pub(super) const MAKES: &[(&str, Make)] = &[
    ("ceramic", Make::Ceramic), ("porcelain", Make::Ceramic), ("glazed", Make::Ceramic), ("glass", Make::Glass),
    ("crystal", Make::Glass), ("transparent", Make::Glass), ("metal", Make::Metal), ("steel", Make::Metal),
    ("chrome", Make::Metal), ("silver", Make::Metal), ("golden", Make::Metal), ("gold", Make::Metal), ("brass", Make::Metal),
    ("copper", Make::Metal), ("bronze", Make::Metal), ("aluminium", Make::Metal), ("wooden", Make::Wood), ("wood", Make::Wood),
    ("stone", Make::Stone), ("marble", Make::Stone), ("concrete", Make::Stone), ("plastic", Make::Plastic),
    ("matte", Make::Matte), ("clay", Make::Matte), ("terracotta", Make::Matte),
];

/// Angles of view: pitch in degrees, distance as a factor.
#[rustfmt::skip]
pub(super) const VIEWS: &[(&str, (f32, f32))] = &[
    ("top-down", (84.0, 1.1)), ("top down", (84.0, 1.1)), ("flat lay", (84.0, 1.1)), ("overhead", (80.0, 1.1)), ("bird's eye", (78.0, 1.3)),
    ("eye level", (8.0, 1.0)), ("eye-level", (8.0, 1.0)), ("low angle", (-1.5, 1.0)), ("worm's eye", (-2.0, 1.0)),
    ("high angle", (42.0, 1.05)), ("from above", (48.0, 1.05)), ("three-quarter", (26.0, 1.0)), ("three quarter", (26.0, 1.0)),
    ("isometric", (34.0, 1.2)),
];

/// How near the camera is.
#[rustfmt::skip]
pub(super) const DISTANCES: &[(&str, f32)] = &[
    ("macro", 0.5), ("extreme close-up", 0.5), ("close-up", 0.68), ("close up", 0.68), ("closeup", 0.68), ("wide shot", 1.7),
    ("wide angle", 1.5), ("wide view", 1.7), ("establishing", 1.9), ("from afar", 2.0), ("landscape", 1.6),
];

/// Moods: warmth, contrast, colourfulness, brightness.
#[rustfmt::skip]
pub(super) const MOODS: &[(&str, [f32; 4])] = &[
    ("warm", [0.3, 1.0, 1.05, 1.0]), ("cosy", [0.3, 1.0, 1.0, 0.9]), ("cozy", [0.3, 1.0, 1.0, 0.9]), ("intimate", [0.1, 1.05, 1.0, 0.88]),
    ("calm", [0.0, 0.95, 0.95, 1.04]), ("fresh", [-0.12, 0.98, 1.06, 1.1]), ("airy", [-0.05, 0.9, 0.95, 1.2]), ("bright", [0.0, 0.95, 1.0, 1.12]),
    ("elegant", [0.0, 1.06, 0.92, 0.98]), ("quiet", [0.0, 0.96, 0.95, 1.0]), ("luxurious", [0.08, 1.15, 1.0, 0.84]), ("luxury", [0.08, 1.15, 1.0, 0.84]),
    ("moody", [-0.05, 1.15, 0.9, 0.72]), ("dark", [0.0, 1.1, 0.95, 0.7]), ("dramatic", [0.0, 1.2, 1.0, 0.8]), ("mysterious", [-0.2, 1.15, 0.9, 0.72]),
    ("playful", [0.05, 1.0, 1.25, 1.1]), ("vibrant", [0.0, 1.08, 1.3, 1.05]), ("energetic", [0.0, 1.12, 1.25, 1.05]), ("cold", [-0.4, 1.02, 0.92, 1.0]),
    ("cool", [-0.25, 1.0, 0.96, 1.0]), ("serene", [-0.05, 0.92, 0.95, 1.06]), ("romantic", [0.2, 0.95, 1.0, 1.0]), ("nostalgic", [0.25, 0.94, 0.85, 1.0]),
    ("melancholic", [-0.2, 0.98, 0.75, 0.85]), ("deep shadows", [0.0, 1.12, 1.0, 0.86]), ("high key", [0.0, 0.9, 0.95, 1.3]), ("low key", [0.0, 1.2, 0.95, 0.6]),
    ("minimal", [0.0, 0.98, 0.92, 1.06]), ("editorial", [0.0, 1.08, 0.96, 1.0]), ("cinematic", [0.05, 1.14, 0.95, 0.88]), ("muted", [0.0, 0.95, 0.72, 1.0]),
];

#[rustfmt::skip]
pub(super) const FINISHES: &[(&str, Finish)] = &[
    ("watercolour", Finish::Watercolour), ("watercolor", Finish::Watercolour), ("painting", Finish::Watercolour), ("gouache", Finish::Watercolour),
    ("flat illustration", Finish::Flat), ("vector", Finish::Flat), ("illustration", Finish::Flat), ("poster art", Finish::Flat), ("cartoon", Finish::Flat),
    ("vintage", Finish::Vintage), ("retro", Finish::Vintage), ("analog film", Finish::Vintage), ("polaroid", Finish::Vintage), ("1970s", Finish::Vintage),
    ("black and white", Finish::BlackAndWhite), ("black-and-white", Finish::BlackAndWhite), ("noir", Finish::BlackAndWhite), ("monochrome", Finish::BlackAndWhite),
];

/// Words that say that nothing stands in the middle.
pub(super) const EMPTY: &[&str] = &["empty", "bare", "nothing on", "vacant", "unoccupied"];

/// What the labels of a compiled prompt are called.
pub(super) const LABELS: &[&str] = &[
    "subject",
    "action",
    "style",
    "lighting",
    "light",
    "perspective",
    "camera",
    "composition",
    "mood",
    "palette",
    "colours",
    "colors",
    "background",
    "negative",
];
