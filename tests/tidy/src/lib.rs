//! Rules of the source tree that the compiler does not keep; `tests/` checks them, one file a family.
//!
//! - [`sources`]: every file of the workspace, and what counts as shipping code.
//! - [`forms`]: the form of imports and of a `mod.rs`. [`words`]: words and names in a text.
//!   [`docs`]: doc comments that say too little.
//! - [`uses`]: reads `use` declarations and the paths in code.
//! - [`modules`]: which file is which module, what it defines, and where a path leads.
//! - [`circles`]: the files that import each other, as a graph, and its shortest circles.
//!
//! Depends on nothing, so that `make tidy` answers within seconds.

pub mod circles;
pub mod docs;
pub mod forms;
pub mod modules;
pub mod sources;
pub mod uses;
pub mod words;
