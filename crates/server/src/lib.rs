//! The server: native API, the faces that SDKs speak to, events, webhooks.
