//! Template text to expressions.

use super::{Expr, FUNCTIONS, Field, Function, Part};

/// Deeper nesting than any list needs, and shallow enough for any stack.
const DEEPEST: usize = 16;

pub(super) fn json_row() -> Expr {
    Expr::Call(Function::Json, vec![Expr::Row])
}

pub(super) fn valid_fields(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    format!("valid fields: {}", names.join(", "))
}

pub(super) fn parts(text: &str, fields: &[Field]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some(open) = rest.find("{{") {
        let action = &rest[open + 2..];
        let close = end_of_action(action).ok_or("`{{` is never closed with `}}`")?;
        let (body, trim_left, trim_right) = trim_marks(&action[..close]);
        push_text(&mut parts, &rest[..open], trim, trim_left);
        if !is_comment(body) {
            parts.push(Part::Action(Parser::new(body, fields)?.action()?));
        }
        rest = &action[close + 2..];
        trim = trim_right;
    }
    push_text(&mut parts, rest, trim, false);
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// Finds the `}}` that is not inside a quoted string.
fn end_of_action(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

/// `{{- x -}}` eats the white space around it, as in Go.
fn trim_marks(body: &str) -> (&str, bool, bool) {
    let left = body.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace));
    let body_left = left.unwrap_or(body);
    let right = body_left.strip_suffix('-').filter(|rest| rest.ends_with(char::is_whitespace));
    (right.unwrap_or(body_left), left.is_some(), right.is_some())
}

fn is_comment(body: &str) -> bool {
    let body = body.trim();
    body.starts_with("/*") && body.ends_with("*/")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Pipe,
    Word(String),
    Text(String),
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    fields: &'a [Field],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(body: &str, fields: &'a [Field]) -> Result<Self, String> {
        Ok(Self { tokens: tokens(body)?.into_iter().peekable(), fields, depth: 0 })
    }

    fn action(mut self) -> Result<Expr, String> {
        let expr = self.pipeline()?;
        match self.tokens.next() {
            None if expr == Expr::Row => Err("`.` is all fields: say `{{json .}}`".to_owned()),
            None => Ok(expr),
            Some(_) => Err("`)` has no `(`".to_owned()),
        }
    }

    /// `a | b x` is `b x a`.
    fn pipeline(&mut self) -> Result<Expr, String> {
        let mut expr = self.command(None)?;
        while self.tokens.next_if_eq(&Token::Pipe).is_some() {
            expr = self.command(Some(expr))?;
        }
        Ok(expr)
    }

    fn command(&mut self, piped: Option<Expr>) -> Result<Expr, String> {
        let first = match self.tokens.next_if(|token| matches!(token, Token::Word(_))) {
            Some(Token::Word(word)) if is_name(&word) => {
                let function = function(&word)?;
                let mut args = self.operands()?;
                args.extend(piped);
                check_count(&word, function, args.len())?;
                return Ok(Expr::Call(function, args));
            }
            Some(Token::Word(word)) => self.word(&word)?,
            _ => self.operand()?.ok_or("`{{ }}` holds no field or function")?,
        };
        let more = self.operand()?.is_some();
        match more || piped.is_some() {
            true => Err("only a function takes arguments".to_owned()),
            false => Ok(first),
        }
    }

    fn operands(&mut self) -> Result<Vec<Expr>, String> {
        std::iter::from_fn(|| self.operand().transpose()).collect()
    }

    fn operand(&mut self) -> Result<Option<Expr>, String> {
        match self.tokens.next_if(|token| !matches!(token, Token::Close | Token::Pipe)) {
            Some(Token::Word(word)) => self.word(&word).map(Some),
            Some(Token::Text(text)) => Ok(Some(Expr::Text(text))),
            Some(Token::Open) => self.nested().map(Some),
            Some(Token::Close | Token::Pipe) | None => Ok(None),
        }
    }

    fn nested(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} nested `(`"));
        }
        let inner = self.pipeline()?;
        self.depth -= 1;
        match self.tokens.next() {
            Some(Token::Close) => Ok(inner),
            _ => Err("`(` is never closed".to_owned()),
        }
    }

    fn word(&self, word: &str) -> Result<Expr, String> {
        if word == "." {
            return Ok(Expr::Row);
        }
        if let Some(name) = word.strip_prefix('.') {
            let found = self.fields.iter().find(|(field, _)| *field == name);
            return match found {
                Some((field, _)) => Ok(Expr::Field(field)),
                None => Err(format!("unknown field `.{name}`; {}", valid_fields(self.fields))),
            };
        }
        word.parse().map(Expr::Number).map_err(|_| format!("`{word}` is no field, text or number"))
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn function(word: &str) -> Result<Function, String> {
    let found = FUNCTIONS.iter().find(|(name, _)| *name == word);
    found.map(|(_, function)| *function).ok_or_else(|| {
        let names = FUNCTIONS.map(|(name, _)| name).join(", ");
        format!("unknown function `{word}`; valid functions: {names}")
    })
}

fn check_count(word: &str, function: Function, found: usize) -> Result<(), String> {
    let wanted = match function {
        Function::Println => return Ok(()),
        Function::Json | Function::Lower | Function::Title | Function::Upper => 1,
        Function::Join | Function::Split | Function::Truncate => 2,
        Function::Pad => 3,
    };
    match found == wanted {
        true => Ok(()),
        false => Err(format!("`{word}` takes {wanted} arguments, found {found}")),
    }
}

fn tokens(body: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = body.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '(' | ')' | '|' => 1,
            '"' => quoted_length(rest)?,
            '`' => rest[1..].find('`').ok_or("a text is never closed")? + 2,
            _ => rest.find([' ', '\t', '\n', '(', ')', '|', '"', '`']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(match c {
            '(' => Token::Open,
            ')' => Token::Close,
            '|' => Token::Pipe,
            '"' => Token::Text(unescape(&token[1..length - 1])?),
            '`' => Token::Text(token[1..length - 1].to_owned()),
            _ => Token::Word(token.to_owned()),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted_length(text: &str) -> Result<usize, String> {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err("a text is never closed".to_owned())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => c,
                other => return Err(format!("unknown escape `\\{}`", other.unwrap_or(' '))),
            },
            c => c,
        });
    }
    Ok(out)
}
