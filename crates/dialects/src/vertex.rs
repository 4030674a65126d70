//! The `vertex` dialect: that of [`crate::gemini`], under the paths of a project of one's own cloud
//! account. `GOOGLE_CLOUD_PROJECT` and `GOOGLE_CLOUD_LOCATION` say which; without them the key says it.

use crate::gemini::Gemini;
use crate::hosted::Hosted;

/// The driver, which goes out by `hosted`.
pub fn driver(hosted: Hosted) -> Gemini {
    Gemini::cloud(hosted)
}
