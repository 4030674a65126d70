//! One description becomes one [`Scene`]; picture, clip, mesh and world are made from it, so that
//! they agree.
//!
//! Invariants: reading a description is pure and total (any text gives a scene, never an error);
//! the same text and seed give an equal scene. Lengths are in units of the subject's height.
//!
//! ```
//! use impasto_studio::{Scene, SubjectKind, Substance};
//! let scene = Scene::from_description("a red mug on marble, soft window light", 7);
//! assert_eq!(scene.subjects[0].kind, SubjectKind::Mug);
//! assert_eq!(scene.surface.substance, Substance::Marble);
//! ```

mod read;
mod words;

use crate::vector::V3;

/// Everything that is in front of the camera, and the camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// What chance is drawn from.
    pub seed: u64,
    /// What it is about; empty for an empty stage. The first is the main one.
    pub subjects: Vec<Subject>,
    /// What it stands on.
    pub surface: Surface,
    /// What lies behind.
    pub place: Place,
    /// Small things at the edges.
    pub props: Vec<Prop>,
    /// The main light.
    pub light: Light,
    /// The camera.
    pub camera: Camera,
    /// Colours for everything that has no colour of its own, in linear light; at least one.
    pub palette: Vec<V3>,
    /// How the finished picture feels.
    pub mood: Mood,
    /// How the finished picture looks.
    pub finish: Finish,
}

/// A thing the picture is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its main colour, in linear light.
    pub color: V3,
    /// What it is made of.
    pub make: Make,
    /// What its details are drawn from.
    pub seed: u64,
}

/// What a subject can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SubjectKind {
    Mug,
    Glass,
    Bottle,
    Bowl,
    Vase,
    Perfume,
    Can,
    Candle,
    Lamp,
    Book,
    Box,
    Watch,
    Headphones,
    Shoe,
    Chair,
    Fruit,
    Plant,
    Tree,
    House,
    Car,
    Rocket,
    Robot,
    Cat,
    Ball,
    /// A still life of plain bodies, for everything else.
    Abstract,
}

/// What a thing is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Make {
    /// Whatever is usual for it.
    Usual,
    Ceramic,
    Glass,
    Metal,
    Wood,
    Stone,
    Plastic,
    Matte,
}

/// What the subject stands on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    /// Its form.
    pub form: SurfaceForm,
    /// Its material.
    pub substance: Substance,
    /// Its main colour, in linear light.
    pub color: V3,
}

/// The form of the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurfaceForm {
    /// A slab with an edge at the back.
    Table,
    /// A round plinth on a floor.
    Plinth,
    /// Ground up to the horizon.
    Ground,
    /// A sweep that runs up into the backdrop.
    Sweep,
}

/// What a surface is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Substance {
    Marble,
    DarkWood,
    LightWood,
    Stone,
    Concrete,
    Linen,
    Sand,
    Water,
    Glass,
    Metal,
    Grass,
    Snow,
    Paper,
}

/// What lies behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    Studio,
    Kitchen,
    DimRoom,
    Forest,
    Sky,
    Sunset,
    CityNight,
    Beach,
    Mountains,
    Space,
    Plain,
}

/// A small thing at the edge of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prop {
    /// What it is.
    pub kind: SubjectKind,
    /// Where it stands: right and towards the viewer.
    pub at: (f32, f32),
    /// How high it is.
    pub height: f32,
    /// Its colour, in linear light.
    pub color: V3,
    /// What its details are drawn from.
    pub seed: u64,
}

/// The main light; the place gives the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Where it comes from: 0 is the viewer, 90 the right, -90 the left, 180 behind; degrees.
    pub azimuth_deg: f32,
    /// How high it stands; degrees.
    pub elevation_deg: f32,
    /// How large it looks: 0.01 is the sun, 0.4 a large softbox; radians.
    pub size: f32,
    /// Its strength as against the light of the place.
    pub strength: f32,
    /// Its colour, in linear light.
    pub color: V3,
    /// What it shines through.
    pub gobo: Gobo,
    /// Strength of a second light from behind on the other side.
    pub rim: f32,
}

/// What the main light shines through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gobo {
    /// Nothing.
    Open,
    /// A window with bars.
    Window,
    /// Slats.
    Blinds,
    /// Leaves.
    Leaves,
}

/// The camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// How far it looks down; degrees.
    pub pitch_deg: f32,
    /// How far it has gone round, to the right; degrees.
    pub yaw_deg: f32,
    /// How far it is from what it looks at.
    pub distance: f32,
    /// How high above the surface it aims.
    pub aim: f32,
    /// Where in the picture that lies: shares from the left and from the top.
    pub centre: (f32, f32),
    /// Vertical angle of view; degrees.
    pub view_deg: f32,
    /// How strongly it blurs what is out of focus: 0 is not at all, 1 a fast lens.
    pub blur: f32,
    /// Where the table's far edge lies: share from the top.
    pub edge: f32,
}

/// How the finished picture feels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mood {
    /// -1 is cold, 1 warm.
    pub warmth: f32,
    /// 1 is neutral.
    pub contrast: f32,
    /// 1 is neutral.
    pub colour: f32,
    /// 1 is neutral.
    pub brightness: f32,
}

/// How the finished picture looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As a photograph.
    Photograph,
    /// As an old photograph.
    Vintage,
    /// In black and white.
    BlackAndWhite,
    /// As a watercolour.
    Watercolour,
    /// In flat areas of colour.
    Flat,
}
