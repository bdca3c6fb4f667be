//! Comma-separated values with a header, as RFC 4180 has them. In: text. Out: rows of as many fields as the header has.
//!
//! A field in quotes may hold commas, line breaks, and quotes written twice. Other fields lose the spaces around them.
//! Blank lines and a byte order mark are passed over.

use std::path::Path;

use crate::{Error, Result};

/// A file's content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Csv {
    /// The names of the columns.
    pub(super) header: Vec<String>,
    /// All other rows.
    pub(super) rows: Vec<Row>,
}

/// A row, with the line of the file it begins in, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) fields: Vec<String>,
}

/// Reads `text`; `file` is for errors.
///
/// # Errors
/// [`Error::Format`] without a header, for a row that is shorter or longer than it, and for wrong quotes.
pub(super) fn parse(text: &str, file: &Path) -> Result<Csv> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1, file };
    let Some(header) = reader.row()? else {
        return Err(Error::format(file, "is empty: expected a first line with the names of the columns"));
    };
    let mut rows = Vec::new();
    while let Some(row) = reader.row()? {
        let (found, expected) = (row.fields.len(), header.fields.len());
        if found != expected {
            let reason = format!("line {}: {found} fields, but the header has {expected}", row.line);
            return Err(Error::format(file, reason));
        }
        rows.push(row);
    }
    Ok(Csv { header: header.fields, rows })
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    file: &'a Path,
}

impl Reader<'_> {
    /// The next row that is not blank.
    fn row(&mut self) -> Result<Option<Row>> {
        while !self.rest.is_empty() {
            let line = self.line;
            let mut fields = Vec::new();
            loop {
                fields.push(self.field()?);
                match self.rest.strip_prefix(',') {
                    Some(rest) => self.rest = rest,
                    None => break,
                }
            }
            self.rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
            self.line += 1;
            if fields != [""] {
                return Ok(Some(Row { line, fields }));
            }
        }
        Ok(None)
    }

    /// The next field; what is left begins with a comma or a line's end, or is nothing.
    fn field(&mut self) -> Result<String> {
        let blank = |c: char| c == ' ' || c == '\t';
        let Some(quoted) = self.rest.trim_start_matches(blank).strip_prefix('"') else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (field, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(field.trim().to_owned());
        };
        let opened = self.line;
        let (mut field, mut rest) = (String::new(), quoted);
        loop {
            let Some((text, after)) = rest.split_once('"') else {
                return Err(Error::format(self.file, format!("line {opened}: a quote is not closed")));
            };
            self.line += text.matches('\n').count();
            field.push_str(text);
            rest = after;
            match rest.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        self.rest = rest.trim_start_matches(blank);
        if self.rest.is_empty() || self.rest.starts_with([',', '\n']) || self.rest.starts_with("\r\n") {
            return Ok(field);
        }
        let reason = format!("line {}: text after a closing quote: write quotes inside a field twice", self.line);
        Err(Error::format(self.file, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        let csv = parse(text, Path::new("x.csv")).unwrap();
        std::iter::once((0, csv.header)).chain(csv.rows.into_iter().map(|r| (r.line, r.fields))).collect()
    }

    fn wrong(text: &str) -> String {
        parse(text, Path::new("x.csv")).unwrap_err().to_string()
    }

    #[test]
    fn quotes_spaces_blank_lines_and_line_ends() {
        let text = "\u{feff}a, b \r\n\r\n \"x, \"\"y\"\"\n z\" ,2\n  \n3,\n\"\",\"4\"";
        let row = |line, a: &str, b: &str| (line, vec![a.to_owned(), b.to_owned()]);
        assert_eq!(rows(text), [row(0, "a", "b"), row(3, "x, \"y\"\n z", "2"), row(6, "3", ""), row(7, "", "4")]);
    }

    #[test]
    fn errors_name_file_and_line() {
        assert_eq!(wrong("a,b\n1,2\n\n3\n"), "x.csv: line 4: 1 fields, but the header has 2");
        assert!(wrong("a\n\"b\n\nc").contains("line 2: a quote is not closed"));
        assert!(wrong("a\n\"b\nc\"d\n").contains("line 3: text after a closing quote"));
        assert!(wrong(" \n\n").contains("is empty"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in prop::collection::vec("[a\",\n\r é]{0,6}", 2..5), line_end in "\r?\n") {
            let header = vec!["h"; fields.len()].join(",");
            let row = fields.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
            let found = rows(&format!("{header}{line_end}{row}{line_end}"));
            prop_assert_eq!(&found[1].1, &fields);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a,\"\n\r \u{feff}]{0,40}") {
            let _ = parse(&text, Path::new("x.csv"));
        }
    }
}
