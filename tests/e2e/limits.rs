//! What is refused before it costs anything.
