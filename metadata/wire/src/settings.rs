//! Settings of topics, as a request holds them.

use std::collections::BTreeMap;

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, v1::ConfigEntry};

/// Settings by key, `None` for a default. A key that stands twice is a mistake: which of its values counts is not said.
pub fn by_key(entries: Vec<ConfigEntry>) -> Result<BTreeMap<String, Option<String>>, ErrorDetail> {
    let mut settings = BTreeMap::new();
    for ConfigEntry { key, value, .. } in entries {
        if settings.contains_key(&key) {
            return Err(ErrorDetail::new(ErrorCode::InvalidConfig, format!("{key} is given twice")));
        }
        settings.insert(key, value);
    }
    Ok(settings)
}
