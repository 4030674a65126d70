//! Asking whoever makes a sound for the encoding that a client wants, so that it is passed on as it comes.

use impasto_catalog::Offer;

use super::Wanted;
use crate::app::App;
use crate::calls::{Call, Name};
use crate::faces::models::chosen;

/// The input that says what kind of file comes out.
const FORMAT: &str = "output_format";

impl Wanted {
    /// Asks for this encoding, if everyone whom the call may go to can be asked for it: each offer, usable
    /// here, of the model that is named. Answers whether it was asked for.
    pub(crate) fn ask_for(self, app: &App, call: &mut Call) -> bool {
        let catalog = app.catalog();
        let Name::Model(name) = &call.name else { return false };
        let Ok(Some(model)) = chosen(&catalog, name) else { return false };
        let word = self.encoding.extension();
        let offers = call.tasks.iter().flat_map(|task| catalog.offers_for(task));
        let may_be_taken =
            |offer: &&Offer| offer.model == model && app.engine().can_use(&offer.provider);
        let mut offers = offers.filter(may_be_taken).peekable();
        if call.input.contains_key(FORMAT) || offers.peek().is_none() {
            return false;
        }
        let can_be_asked = offers.all(|offer| {
            let known = offer.params.get(FORMAT);
            known.is_some_and(|known| known.values.iter().any(|value| value == word))
        });
        if can_be_asked {
            call.input.insert(FORMAT.to_owned(), word.into());
        }
        can_be_asked
    }
}
