//! nginx's words: splits a configuration file into tokens, as `ngx_conf_read_token` does.
//!
//! Owns comments, quotes, escapes and line numbers. Knows no directive.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Without its quotes and escapes.
    Word(String),
    Open,
    Close,
    End,
}

/// What stops the reading, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) message: String,
}

pub(super) struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    /// Of the next character, from 1.
    line: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            rest: text
                .strip_prefix('\u{feff}')
                .unwrap_or(text)
                .chars()
                .peekable(),
            line: 1,
        }
    }

    /// The next token and the line that it begins on; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<(Token, usize)>, Broken> {
        self.skip_blanks();
        let line = self.line;
        let Some(first) = self.rest.peek().copied() else {
            return Ok(None);
        };
        let token = match first {
            ';' => self.mark(Token::End),
            '{' => self.mark(Token::Open),
            '}' => self.mark(Token::Close),
            '"' | '\'' => Token::Word(self.quoted(first)?),
            _ => Token::Word(self.bare()),
        };
        Ok(Some((token, line)))
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next();
        // The end of the last line is not yet another line.
        if taken == Some('\n') && self.rest.peek().is_some() {
            self.line += 1;
        }
        taken
    }

    fn mark(&mut self, token: Token) -> Token {
        self.take();
        token
    }

    fn skip_blanks(&mut self) {
        while let Some(next) = self.rest.peek().copied() {
            if next == '#' {
                while self.rest.peek().is_some_and(|c| *c != '\n') {
                    self.take();
                }
            } else if is_blank(next) {
                self.take();
            } else {
                break;
            }
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.rest.peek().copied() {
            // `${name}` is a variable, not a block.
            let opens_block = next == '{' && !word.ends_with('$');
            if is_blank(next) || next == ';' || opens_block {
                break;
            }
            self.take();
            if next == '\\' {
                self.escaped(&mut word);
            } else {
                word.push(next);
            }
        }
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, Broken> {
        let line = self.line;
        let mut word = String::new();
        self.take();
        loop {
            match self.take() {
                Some('\\') => self.escaped(&mut word),
                Some(end) if end == quote => break,
                Some(other) => word.push(other),
                None => {
                    let message = format!("the {quote} is never closed; close it");
                    return Err(Broken { line, message });
                }
            }
        }
        match self.rest.peek().copied() {
            Some(next) if !is_blank(next) && !matches!(next, ';' | '{' | ')') => Err(Broken {
                line: self.line,
                message: format!(
                    "{next:?} stands directly behind a closing {quote}; write a space between them"
                ),
            }),
            _ => Ok(word),
        }
    }

    /// Behind a backslash: quotes and the backslash lose theirs, anything unknown keeps it (regular expressions).
    fn escaped(&mut self, word: &mut String) {
        match self.take() {
            Some(plain @ ('"' | '\'' | '\\')) => word.push(plain),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }
}

/// Lua has quotes, brackets and comments of its own, in which a brace closes nothing.
impl Lexer<'_> {
    /// Passes over Lua code whose `{` was taken, and its `}`; false: there is none.
    pub(super) fn skip_lua(&mut self) -> bool {
        let mut depth = 1_usize;
        while let Some(taken) = self.take() {
            match taken {
                '{' => depth += 1,
                '}' if depth == 1 => return true,
                '}' => depth -= 1,
                '"' | '\'' => self.skip_lua_text(taken),
                '[' => {
                    self.skip_lua_bracket();
                }
                '-' if self.rest.peek() == Some(&'-') => {
                    self.take();
                    let is_long = self.rest.peek() == Some(&'[') && {
                        self.take();
                        self.skip_lua_bracket()
                    };
                    while !is_long && self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.take();
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn skip_lua_text(&mut self, quote: char) {
        while let Some(taken) = self.take() {
            if taken == '\\' {
                self.take();
            } else if taken == quote || taken == '\n' {
                return;
            }
        }
    }

    /// Behind a `[`: passes over `=[…]=]` if that is what stands there.
    fn skip_lua_bracket(&mut self) -> bool {
        let mut level = 0;
        while self.rest.peek() == Some(&'=') {
            self.take();
            level += 1;
        }
        if self.rest.peek() != Some(&'[') {
            return false;
        }
        self.take();
        let end = format!("]{}]", "=".repeat(level));
        let mut seen = String::new();
        while let Some(taken) = self.take() {
            seen.push(taken);
            if seen.ends_with(&end) {
                break;
            }
        }
        true
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens as `line:token`, words in brackets.
    #[track_caller]
    fn check(text: &str, tokens: &str) {
        let mut lexer = Lexer::new(text);
        let mut seen = Vec::new();
        loop {
            match lexer.next() {
                Ok(Some((token, line))) => seen.push(match token {
                    Token::Word(word) => format!("{line}:[{word}]"),
                    Token::Open => "{".to_owned(),
                    Token::Close => "}".to_owned(),
                    Token::End => ";".to_owned(),
                }),
                Ok(None) => break,
                Err(broken) => {
                    seen.push(format!("{}: {}", broken.line, broken.message));
                    break;
                }
            }
        }
        assert_eq!(seen.join(" "), tokens);
    }

    #[test]
    fn words_end_at_blanks_semicolons_and_braces() {
        check(
            "upstream a{server b:1;}",
            "1:[upstream] 1:[a] { 1:[server] 1:[b:1] ; }",
        );
    }

    #[test]
    fn a_comment_begins_only_where_a_word_could() {
        check("a#b c; # d {\ne;", "1:[a#b] 1:[c] ; 2:[e] ;");
    }

    #[test]
    fn quotes_hold_blanks_and_marks() {
        check(r#"map "a; {b}" '' ;"#, "1:[map] 1:[a; {b}] 1:[] ;");
        check("'a\nb' c", "1:[a\nb] 2:[c]");
        check("a \"b", "1:[a] 1: the \" is never closed; close it");
        check(
            "'a'b",
            "1: 'b' stands directly behind a closing '; write a space between them",
        );
        check("(\"a\")", "1:[(\"a\")]");
    }

    #[test]
    fn escapes_are_resolved_but_those_of_patterns_stay() {
        check(r#"\"a\;b "x\"\t\d";"#, "1:[\"a\\;b] 1:[x\"\t\\d] ;");
    }

    #[test]
    fn lua_code_ends_at_its_own_brace() {
        for code in [
            "local a = { b = {} }",
            r#"a = "}" .. '\'}'"#,
            "-- it's a } comment\n",
            "--[[ } ]] a[1] = [==[ ]] } ]==]",
        ] {
            let text = format!("{code}}} rest");
            let mut lexer = Lexer::new(&text);
            assert!(lexer.skip_lua(), "{code}");
            let next = lexer.next().map(|next| next.map(|(token, _)| token));
            assert_eq!(next, Ok(Some(Token::Word("rest".into()))), "{code}");
        }
        assert!(!Lexer::new("a = [[ }").skip_lua());
    }

    #[test]
    fn a_variable_in_braces_is_one_word() {
        check("a ${b}c;", "1:[a] 1:[${b}c] ;");
    }
}
