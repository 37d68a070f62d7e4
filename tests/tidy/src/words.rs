//! Words and names in a text.

/// Every identifier in the code of a file, comments left out.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()))
}

/// The name of the public function, constant or static that a line of code declares.
pub fn public_name(code: &str) -> Option<&str> {
    let rest = code.trim_start().strip_prefix("pub ")?;
    let mut words = rest.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).peekable();
    let mut is_callable = false;
    while let Some(word) = words.next_if(|word| ["const", "async", "unsafe", "fn", "static"].contains(word)) {
        is_callable |= ["const", "fn", "static"].contains(&word);
    }
    words.next().filter(|_| is_callable)
}

/// The words of `refused` that stand in a line as whole words, whatever their case.
pub fn refused_in<'a>(line: &str, refused: &[&'a str]) -> Vec<&'a str> {
    let line = line.to_lowercase();
    let is_apart = |at: Option<char>| at.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let stands = |word: &&&str| {
        line.match_indices(**word)
            .any(|(at, _)| is_apart(line[..at].chars().next_back()) && is_apart(line[at + word.len()..].chars().next()))
    };
    refused.iter().filter(stands).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_public_functions_and_constants_are_read() {
        assert_eq!(public_name("    pub const fn size(self) -> usize {"), Some("size"));
        assert_eq!(public_name("pub const LIMIT: usize = 1;"), Some("LIMIT"));
        assert_eq!(public_name("pub async fn run() {"), Some("run"));
        assert_eq!(public_name("pub struct Log {"), None);
        assert_eq!(public_name("pub(crate) fn own() {"), None);
        assert_eq!(public_name("fn private() {"), None);
    }

    #[test]
    fn whole_words_alone_are_refused() {
        assert_eq!(refused_in("// It begins Anew, whoever.", &["anew", "whoever", "wish"]), ["anew", "whoever"]);
        assert!(refused_in("renewed; shallow; anew_name", &["anew", "shall"]).is_empty());
    }
}
