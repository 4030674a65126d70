//! The native API: types of requests and answers, and the table of its routes.
