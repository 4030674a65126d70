//! The reference as a page that needs nothing from anywhere.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::openapi;
use crate::routes::{Access, Content, ROUTES, Route, Takes};

const STYLE: &str = "
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.6rem}nav{columns:16rem;margin:1rem 0 2rem}nav a{display:block;text-decoration:none}
section{border-top:1px solid var(--line);padding:1rem 0}h2{font-size:1.1rem;margin:0 0 .3rem}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.7rem;border:1px solid var(--line)}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.3rem .6rem .3rem 0;vertical-align:top}
.method{display:inline-block;min-width:3.6rem;font-weight:600}.who{opacity:.7}
";

/// The reference of the native API as one HTML page.
pub fn reference_page() -> String {
    let description = openapi();
    let mut page = String::new();
    // Writing to a text cannot fail.
    let _infallible = write_page(&mut page, &description);
    page
}

fn write_page(page: &mut String, description: &Json) -> std::fmt::Result {
    writeln!(page, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">")?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    writeln!(page, "<title>Impasto: the native API</title><style>{STYLE}</style>")?;
    writeln!(page, "<h1>The native API</h1>")?;
    writeln!(
        page,
        "<p>Send a key as <code>Authorization: Bearer imp_…</code>. Errors are \
         <code>application/problem+json</code> with a <code>code</code>. The same as data: \
         <a href=\"/openapi.json\">openapi.json</a>.</p><nav>"
    )?;
    for route in ROUTES {
        let (id, method, path) = (route.id, route.method.as_str(), route.path);
        writeln!(page, "<a href=\"#{id}\"><code>{method} {path}</code></a>")?;
    }
    writeln!(page, "</nav>")?;
    for route in ROUTES {
        write_route(page, route)?;
    }
    writeln!(page, "<h1>Types</h1>")?;
    let schemas = description["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        let shown = serde_json::to_string_pretty(schema).unwrap_or_default();
        writeln!(
            page,
            "<section id=\"type-{name}\"><h2>{name}</h2><pre>{}</pre></section>",
            escaped(&shown)
        )?;
    }
    Ok(())
}

fn write_route(page: &mut String, route: &Route) -> std::fmt::Result {
    let who = match route.access {
        Access::Open => "everybody",
        Access::Read => "scope read",
        Access::Run => "scope run",
        Access::Write => "scope write",
        Access::Admin => "a key for running the server",
        Access::Signed => "whoever has the address",
    };
    let (id, method, path) = (route.id, route.method.as_str(), route.path);
    writeln!(
        page,
        "<section id=\"{id}\"><h2><span class=\"method\">{method}</span><code>{path}</code></h2>"
    )?;
    writeln!(page, "<p>{} <span class=\"who\">({who})</span></p><table>", shown(route.summary))?;
    for query in route.query {
        let (name, summary) = (query.name, shown(query.summary));
        writeln!(page, "<tr><td><code>{name}</code><td>{summary}")?;
    }
    let takes = match route.takes {
        Takes::Nothing => None,
        Takes::Json(schema) => Some(type_link(schema)),
        Takes::File => Some("a file, or a form with files".to_owned()),
        Takes::Bytes => Some("bytes".to_owned()),
    };
    if let Some(takes) = takes {
        writeln!(page, "<tr><td>takes<td>{takes}")?;
    }
    for answer in route.answers {
        let content = match answer.content {
            Content::Nothing => String::new(),
            Content::Json(schema) => type_link(schema),
            Content::Events => "server-sent events".to_owned(),
            Content::File => "bytes".to_owned(),
            Content::Text(media_type) => format!("<code>{media_type}</code>"),
        };
        writeln!(page, "<tr><td>{}<td>{content} {}", answer.status, shown(answer.summary))?;
    }
    if !route.errors.is_empty() {
        writeln!(page, "<tr><td>errors<td><code>{}</code>", route.errors.join(", "))?;
    }
    writeln!(page, "</table></section>")
}

/// A link to the type that a schema is of.
fn type_link(schema: crate::routes::SchemaOf) -> String {
    let mut generator = schemars::SchemaGenerator::default();
    let schema = schema(&mut generator);
    let reference = schema.as_value()["$ref"].as_str().unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    format!("<a href=\"#type-{name}\">{name}</a>")
}

/// A sentence; what stands between backticks is code.
fn shown(text: &str) -> String {
    let pieces = escaped(text);
    let pieces = pieces.split('`').enumerate().map(|(at, piece)| match at % 2 {
        0 => piece.to_owned(),
        _ => format!("<code>{piece}</code>"),
    });
    pieces.collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_route_and_asks_nobody_for_anything() {
        let page = reference_page();
        for route in ROUTES {
            assert!(page.contains(&format!("id=\"{}\"", route.id)), "{}", route.id);
        }
        let summaries = page.split("<h1>Types</h1>").next().unwrap_or_default();
        assert!(
            summaries.contains("<code>wait=&lt;seconds&gt;</code>") && !summaries.contains('`')
        );
        for from_elsewhere in ["<script", "<link", "src=", "@import", "url("] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}
