//! The table of options, from which everything else about them is made.

use toml_edit::Value;

/// One option, for the printed reference.
#[derive(Clone, Debug)]
pub struct OptionDoc {
    /// Name of the key.
    pub key: &'static str,
    /// Its meaning: the lines of its doc comment, each with the blank that it begins with.
    pub doc: &'static [&'static str],
    /// Its default as TOML; empty if there is none.
    pub default: String,
    /// True if it must be given: without it the configuration is refused.
    pub required: bool,
    /// Smallest and largest value of a number.
    pub range: Option<(u64, u64)>,
}

/// A set of options, as [`options!`](crate::options) makes it.
pub trait Settings: Default {
    /// The names of all options, in the table's order.
    const KEYS: &'static [&'static str];

    /// Sets the option of this name. `Ok(false)` if there is none; `Err` says what is wrong with the value.
    fn set(&mut self, key: &str, value: &Value) -> Result<bool, String>;

    /// The TOML value that the text of a flag means for the option of this name, as its type takes it.
    fn value_of(key: &str, text: &str) -> Value;

    /// The options that have no text: empty lists and paths, and what is `None`.
    fn unset(&self) -> Vec<&'static str>;

    /// The options that must be given and were not, as the key and the message.
    fn missing(&self) -> Vec<(&'static str, String)> {
        let unset = self.unset();
        let missing = |option: &OptionDoc| option.required && unset.contains(&option.key);
        Self::reference().iter().filter(|option| missing(option)).map(must_be_given).collect()
    }

    /// Everything that is wrong between options, as the key to look at and the message.
    fn relations(&self) -> Vec<(&'static str, String)>;

    /// Every option with its meaning and default.
    fn reference() -> Vec<OptionDoc>;
}

/// The problem of an option that must be given and was not, with the first clause of its meaning.
pub(super) fn must_be_given(option: &OptionDoc) -> (&'static str, String) {
    let (key, doc) = (option.key, option.doc.concat());
    let clause = doc.trim().split(". ").next().and_then(|sentence| sentence.split(';').next()).unwrap_or_default();
    let (first, rest) = clause.split_at(clause.chars().next().map_or(0, char::len_utf8));
    (key, format!("{key}: must be given: {}{}", first.to_lowercase(), rest.trim_end_matches('.')))
}

/// Declares a program's options: doc, key, type, default, `=> required` for one that must be given (its default has no
/// text: it is empty or `None`), and for numbers the range. Makes the struct, its one `Default`, and its
/// [`Settings`](super::Settings). The struct needs a method `validate(&self) -> Vec<(&'static str, String)>` for the
/// relations between options.
#[macro_export]
macro_rules! options {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident;
        $(
            $(#[doc = $doc:literal])+
            $key:ident: $kind:ty = $default:expr $(=> $required:ident)? $(, in $low:expr, $high:expr)?;
        )*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $($(#[doc = $doc])+ $vis $key: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::settings::Settings for $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            fn set(&mut self, key: &str, value: &$crate::settings::Value) -> Result<bool, String> {
                match key {
                    $(stringify!($key) => {
                        $($crate::settings::in_range(value, $low, $high)?;)?
                        self.$key = <$kind as $crate::settings::FromToml>::from_toml(value)?;
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn value_of(key: &str, text: &str) -> $crate::settings::Value {
                match key {
                    $(stringify!($key) => <$kind as $crate::settings::FromToml>::of_text(text),)*
                    _ => $crate::settings::any_value(text),
                }
            }

            fn unset(&self) -> Vec<&'static str> {
                let texts = [$((stringify!($key), $crate::settings::FromToml::to_toml(&self.$key))),*];
                texts.iter().filter(|(_, text)| text.is_empty()).map(|(key, _)| *key).collect()
            }

            fn relations(&self) -> Vec<(&'static str, String)> {
                self.validate()
            }

            fn reference() -> Vec<$crate::settings::OptionDoc> {
                let default = Self::default();
                vec![$({
                    #[allow(unused_mut, unused_assignments)]
                    let mut range = None;
                    $(range = Some(($low as u64, $high as u64));)?
                    $crate::settings::OptionDoc {
                        key: stringify!($key),
                        doc: &[$($doc),+],
                        default: $crate::settings::FromToml::to_toml(&default.$key),
                        required: stringify!($($required)?) == "required",
                        range,
                    }
                }),*]
            }
        }
    };
}
