//! The schemas of the Kubernetes API, and whether an object keeps to them.
//!
//! They are read from the source of Kubernetes itself, where it lies in the cache of Go modules because the tests on
//! Kubernetes were built there. Checked are: known kinds, known fields, required fields, types. What the API server
//! checks beyond its schemas needs an API server.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

/// The definitions of an API version.
pub(crate) struct Api(Value);

impl Api {
    /// The newest that the module cache has; says why not where it has none.
    pub(crate) fn find() -> Option<Self> {
        let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
        let go_path = env::var_os("GOPATH").map_or_else(|| home.join("go"), PathBuf::from);
        let cache = env::var_os("GOMODCACHE").map_or_else(|| go_path.join("pkg/mod"), PathBuf::from);
        let modules = fs::read_dir(cache.join("k8s.io")).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<_> = modules
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubernetes@")))
            .map(|path| path.join("api/openapi-spec/swagger.json"))
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        let Some(file) = files.pop() else {
            eprintln!("not checked against the API's schemas: no k8s.io/kubernetes in {}", cache.display());
            return None;
        };
        let text = fs::read_to_string(file).expect("the schemas are readable");
        Some(Self(serde_json::from_str(&text).expect("the schemas are JSON")))
    }

    /// Everything that is wrong with an object, as path and problem.
    pub(crate) fn check(&self, object: &Value) -> Vec<String> {
        let (group, version) = match object["apiVersion"].as_str().unwrap_or_default().rsplit_once('/') {
            Some((group, version)) => (group, version),
            None => ("", object["apiVersion"].as_str().unwrap_or_default()),
        };
        let definitions = self.0["definitions"].as_object().expect("the schemas have definitions");
        let is_it =
            |known: &Value| known["group"] == group && known["version"] == version && known["kind"] == object["kind"];
        let schema = definitions.values().find(|schema| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.len() == 1 && is_it(&kinds[0]))
        });
        let mut problems = Vec::new();
        if let Some(schema) = schema {
            self.walk(object, schema, &object["kind"].as_str().unwrap_or_default().into(), &mut problems);
        } else {
            problems.push(format!("no kind {} in {}", object["kind"], object["apiVersion"]));
        }
        problems
    }

    fn walk(&self, value: &Value, schema: &Value, path: &String, problems: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/definitions/")) {
            // A quantity may be written as a number, though its schema says string.
            if !(name.ends_with(".Quantity") && value.is_number()) {
                self.walk(value, &self.0["definitions"][name], path, problems);
            }
            return;
        }
        let right = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("string") => value.is_string() || (schema["format"] == "int-or-string" && value.is_i64()),
            _ => true,
        };
        if !right {
            problems.push(format!("{path} is {value}, not of type {}", schema["type"]));
            return;
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(required).is_none() {
                problems.push(format!("{path} lacks {required}"));
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.walk(item, &schema["items"], &format!("{path}[{index}]"), problems);
        }
        for (field, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{field}");
            match (schema["properties"].get(field), schema.get("additionalProperties")) {
                (Some(known), _) | (None, Some(known)) => self.walk(inner, known, &path, problems),
                (None, None) if schema["properties"].is_object() => problems.push(format!("{path} is not a field")),
                (None, None) => {}
            }
        }
    }
}
