//! What the reports as pages share.

use anyhow::{Result, bail};
use std::path::Path;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// One self-contained page.
    Html,
    /// For programs.
    Json,
}

impl ReportForm {
    /// By the file's ending; no other is known.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => Ok(Self::Html),
            Some("json") => Ok(Self::Json),
            _ => bail!("{}: a report ends in .html or .json", path.display()),
        }
    }
}

/// Text from files, guests and users, which may hold anything, as content or attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escape("<script a='\"'>&"), "&lt;script a=&#39;&quot;&#39;&gt;&amp;");
    }
}
