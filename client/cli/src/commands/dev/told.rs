//! What was done with which nodes: a line each for people, one object for scripts.

use serde_json::{Value, json};

use holdfast_local::NodeName;

use crate::{
    exit::Result,
    output::{Output, print_json, say},
};

/// What was done so far.
#[derive(Debug)]
pub(super) struct Told {
    output: Output,
    done: Vec<Value>,
}

impl Told {
    /// Nothing was done so far.
    pub(super) const fn new(output: Output) -> Self {
        Self { output, done: Vec::new() }
    }

    /// This was done with the node.
    pub(super) fn tell(&mut self, node: NodeName, done: &str) {
        match self.output {
            Output::Table => say(format!("{node} {done}")),
            Output::Json => self.done.push(json!({ "node": node.to_string(), "done": done })),
        }
    }

    /// Prints the object, also if something failed: what went before it was done.
    pub(super) fn end(self, result: Result) -> Result {
        if self.output == Output::Json {
            print_json(&json!({ "nodes": self.done }));
        }
        result
    }
}
