//! Configurations of other programs, given by mistake.

/// Whose configuration the text is, if its first line gives it away.
pub(super) fn owner(text: &str) -> Option<&'static str> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '\u{feff}']));
    let first = lines.next()?;
    let word = first.split_whitespace().next()?;
    let is_nginx = first.ends_with([';', '{']) || first.contains("{ ");
    match word {
        "global" | "defaults" | "frontend" | "backend" | "listen" | "peers" | "userlist"
        | "resolvers" | "cache" | "program"
            if !is_nginx =>
        {
            Some("HAProxy's configuration")
        }
        _ if first.starts_with('<') => Some("Apache's configuration"),
        _ if first.starts_with('[') && first.ends_with(']') => {
            Some("a TOML file, perhaps Berth's own")
        }
        _ if first == "---" || (first.ends_with(':') && !first.contains(' ')) => {
            Some("a YAML file")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_are_known_by_their_first_line() {
        for (text, whose) in [
            (
                "# c\n\nglobal\n    daemon\n",
                Some("HAProxy's configuration"),
            ),
            ("frontend web\n bind :80", Some("HAProxy's configuration")),
            ("<VirtualHost *:80>", Some("Apache's configuration")),
            (
                "[server]\nlisten = []",
                Some("a TOML file, perhaps Berth's own"),
            ),
            ("http:\n  routers:", Some("a YAML file")),
            ("user www-data;", None),
            ("http {", None),
            ("cache {", None),
            ("", None),
        ] {
            assert_eq!(owner(text), whose, "{text}");
        }
    }
}
