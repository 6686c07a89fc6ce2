//! Everything that a person sees. Data goes to stdout, words go to stderr; nothing below this layer prints.

mod console;
pub mod render;
pub mod style;
pub mod table;
pub mod terminal;

pub use console::{Console, Level};
