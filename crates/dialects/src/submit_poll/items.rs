//! Files that an answer only names: a further request for each.

use std::collections::BTreeMap;

use impasto_catalog::{Body, Call, Encoding};
use impasto_domain::{Error, Result};
use impasto_net::BoxFuture;
use serde_json::Value as Json;

use crate::hosted::{Account, Ask, FetchItem, Fetched, Payload, ask_for, sent_by};

/// The request for a named file, as the wire describes it.
pub(super) struct ItemCall<'w> {
    pub(super) call: Option<&'w Call>,
    pub(super) facts: &'w BTreeMap<String, String>,
}

impl FetchItem for ItemCall<'_> {
    fn fetch<'f>(
        &'f self,
        account: &'f Account<'f>,
        item: &'f Json,
    ) -> BoxFuture<'f, Result<Fetched>> {
        Box::pin(async move {
            let call = self.call.ok_or_else(|| {
                let message =
                    format!("`{}` does not say how to fetch a named file", account.provider.id);
                Error::internal(message)
            })?;
            let mut ask = later_ask(call, self.facts, item)?;
            ask.timeout_ms = Some(account.hosted.options().file_timeout_ms);
            ask.answer_bytes_max = Some(account.hosted.options().file_bytes_max);
            let answer = account.ask_for_file(&ask).await?;
            let media_type = answer.media_type();
            Ok(Fetched { bytes: answer.bytes, media_type, link: None })
        })
    }
}

/// A request that follows the submission: what it sends is what the call says.
pub(super) fn later_ask(
    call: &Call,
    facts: &BTreeMap<String, String>,
    answer: &Json,
) -> Result<Ask> {
    let ask = ask_for(call, facts, answer)?;
    let body = sent_by(call, facts, answer, Body::Null)?;
    let fields =
        || body.parts().into_iter().filter_map(|(name, value)| Some((name, value.as_field()?)));
    Ok(ask.payload(match call.body {
        Encoding::None | Encoding::Raw => Payload::None,
        Encoding::Json => Payload::Json(body.plain().unwrap_or_default()),
        Encoding::Form | Encoding::Multipart => Payload::Form(fields().collect()),
    }))
}
