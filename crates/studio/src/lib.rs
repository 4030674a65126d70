//! The offline models: a scene from words, as picture, clip, mesh and world; voice; music.
