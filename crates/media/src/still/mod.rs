//! Tools for still pictures.

mod composite;
mod convert;
mod cutout;
mod geometry;
mod grade;
mod lettering;
mod mask;
mod score;

use impasto_domain::Operation;

pub use grade::Grade;

/// The tools for still pictures, by endpoint.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "composite-image", run: composite::composite },
    Operation { name: "contact-sheet", run: lettering::contact_sheet },
    Operation { name: "convert-image", run: convert::convert },
    Operation { name: "convert-mask", run: mask::convert },
    Operation { name: "crop-image", run: geometry::crop },
    Operation { name: "draw-text", run: lettering::draw_text },
    Operation { name: "grade-image", run: grade::grade },
    Operation { name: "pad-image", run: geometry::pad },
    Operation { name: "probe-media", run: convert::probe },
    Operation { name: "remove-background", run: cutout::remove_background },
    Operation { name: "resize-image", run: geometry::resize },
    Operation { name: "score-image", run: score::score },
    Operation { name: "upscale-image", run: geometry::upscale },
];
