//! How long the parts of a request may be, before anything is made of them. Pure.
//!
//! Anybody who reaches the port may send anything; what is refused here is neither logged nor sent back.

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, v1::ConfigEntry};

/// Settings in one request: several times what a topic has.
const MAX_CONFIGS: usize = 100;
/// Bytes of a setting's key, and of its value.
const MAX_CONFIG_BYTES: usize = 1_024;

/// Refuses too many settings, and those that are too long.
pub(super) fn check_configs(configs: &[ConfigEntry]) -> Result<(), ErrorDetail> {
    let problem = |message: String| Err(ErrorDetail::new(ErrorCode::InvalidConfig, message));
    if configs.len() > MAX_CONFIGS {
        return problem(format!("{} settings in one request; at most {MAX_CONFIGS}", configs.len()));
    }
    let longest = |entry: &ConfigEntry| entry.key.len().max(entry.value.as_ref().map_or(0, String::len));
    match configs.iter().map(longest).max() {
        Some(bytes) if bytes > MAX_CONFIG_BYTES => {
            problem(format!("a setting has {bytes} bytes; its key and its value have at most {MAX_CONFIG_BYTES} each"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: usize, value: usize) -> ConfigEntry {
        ConfigEntry { key: "k".repeat(key), value: Some("v".repeat(value)), is_default: false }
    }

    #[test]
    fn what_is_too_long_is_refused_without_being_repeated() {
        assert!(check_configs(&vec![entry(1_024, 1_024); 100]).is_ok());
        let refused = [
            check_configs(&vec![entry(1, 1); 101]),
            check_configs(&[entry(1, 1_025)]),
            check_configs(&[entry(4 << 20, 1)]),
        ];
        for refusal in refused {
            let detail = refusal.expect_err("too long");
            assert!(detail.message.len() < 200, "{detail}");
        }
    }
}
