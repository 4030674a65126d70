//! Which driver speaks which dialect of hosted providers.

use std::sync::Arc;

use impasto_engine::Driver;

use crate::comfyui::ComfyUi;
use crate::elevenlabs::ElevenLabs;
use crate::fal::Fal;
use crate::gemini::Gemini;
use crate::hosted::Hosted;
use crate::openai::OpenAi;
use crate::remote::Remote;
use crate::replicate::Replicate;
use crate::submit_poll::SubmitPoll;
use crate::vertex;

/// Makes a driver that goes out by what all share.
type Make = fn(Hosted) -> Arc<dyn Driver>;

/// Every dialect, and who speaks it.
const DRIVERS: &[(&str, Make)] = &[
    ("comfyui", |hosted| Arc::new(Remote(ComfyUi::new(hosted)))),
    ("elevenlabs", |hosted| Arc::new(Remote(ElevenLabs::new(hosted)))),
    ("fal", |hosted| Arc::new(Remote(Fal::new(hosted)))),
    ("gemini", |hosted| Arc::new(Remote(Gemini::new(hosted)))),
    ("openai", |hosted| Arc::new(Remote(OpenAi::new(hosted)))),
    ("replicate", |hosted| Arc::new(Remote(Replicate::new(hosted)))),
    ("submit-poll", |hosted| Arc::new(Remote(SubmitPoll::new(hosted)))),
    ("vertex", |hosted| Arc::new(Remote(vertex::driver(hosted)))),
];

/// The dialects that are spoken here.
pub fn names() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().map(|(name, _)| *name)
}

/// The drivers, by dialect.
pub fn all(hosted: &Hosted) -> impl Iterator<Item = (String, Arc<dyn Driver>)> {
    DRIVERS.iter().map(|(name, make)| ((*name).to_owned(), make(hosted.clone())))
}
