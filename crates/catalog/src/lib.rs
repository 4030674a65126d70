//! Models, providers, tasks and prices as validated data.
