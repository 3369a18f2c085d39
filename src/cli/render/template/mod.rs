//! The part of Docker's `--format` templates that lists need.
//!
//! Fields, `json`, `table`, and the functions that Docker documents; no `if`, `range` or variables.
//! A template is checked whole before anything is read, so a misspelt field is an error and not an
//! empty column.

mod eval;
mod parse;

use crate::cli::render::table::{Column, table};

/// A field a template may name, and the header `table` gives it.
pub(crate) type Field = (&'static str, &'static str);

/// A template that was checked against the fields of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    is_table: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Action(Expr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    /// `.`: all fields at once.
    Row,
    Field(&'static str),
    Text(String),
    Number(usize),
    Call(Function, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Join,
    Json,
    Lower,
    Pad,
    Println,
    Split,
    Title,
    Truncate,
    Upper,
}

/// docker/cli templates/templates.go, docs.docker.com/engine/cli/formatting
const FUNCTIONS: [(&str, Function); 9] = [
    ("join", Function::Join),
    ("json", Function::Json),
    ("lower", Function::Lower),
    ("pad", Function::Pad),
    ("println", Function::Println),
    ("split", Function::Split),
    ("title", Function::Title),
    ("truncate", Function::Truncate),
    ("upper", Function::Upper),
];

/// A row as templates see it: the text of each of the list's fields.
pub(crate) trait Fields {
    /// Returns the text of the field called `name`.
    fn field(&self, name: &str) -> String;
}

impl Template {
    /// Parses `source`, in which only `fields` may be named.
    pub(crate) fn parse(source: &str, fields: &'static [Field]) -> Result<Self, String> {
        // docker/cli cli/command/formatter/formatter.go templateString
        if source == "json" {
            return Ok(Self { is_table: false, parts: vec![Part::Action(parse::json_row())] });
        }
        let rest = source.strip_prefix("table");
        let text = rest.unwrap_or(source).trim_matches(' ');
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        if text.is_empty() {
            let what = if rest.is_some() { "`table` needs fields" } else { "an empty template" };
            return Err(format!("{what}; {}", parse::valid_fields(fields)));
        }
        Ok(Self { is_table: rest.is_some(), parts: parse::parts(&text, fields)? })
    }

    /// Returns whether the template names `field` by itself.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Action(expr) if expr.names(field)))
    }

    /// Returns the text of all `rows`.
    pub(crate) fn render<R: Fields>(
        &self,
        rows: &[R],
        fields: &'static [Field],
    ) -> Result<String, String> {
        let mut lines = String::new();
        for row in rows {
            lines += &eval::line(&self.parts, &eval::Row { fields, row })?;
            lines.push('\n');
        }
        if !self.is_table {
            return Ok(lines);
        }
        let header = eval::header(&self.parts, fields)?;
        let mut columns: Vec<Column> = header.split('\t').map(Column::whole).collect();
        let cells = |line: &str| line.split('\t').map(String::from).collect();
        let rows: Vec<Vec<String>> = lines.lines().map(cells).collect();
        let most = rows.iter().map(Vec::len).max().unwrap_or(0).max(columns.len());
        columns.resize(most, Column::whole(""));
        Ok(table(&columns, &rows, None))
    }
}

impl Expr {
    fn names(&self, field: &str) -> bool {
        match self {
            Self::Field(name) => *name == field,
            Self::Call(_, args) => args.iter().any(|arg| arg.names(field)),
            Self::Row | Self::Text(_) | Self::Number(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
