//! Tables: columns as wide as they must be, two spaces apart, headings in capitals.

use crate::output::{Out, Tone, printable};

/// A table with headings.
pub(crate) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

/// A cell and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// Plain.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            // A cell is one line, whatever somebody wrote into a status.
            text: printable(&text.into()).replace(['\n', '\t'], " "),
            tone: None,
        }
    }

    /// In a tone.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone: Some(tone),
            ..Self::plain(text)
        }
    }
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut table = Self {
            widths: vec![0; headings.len()],
            rows: Vec::new(),
        };
        table.row(
            headings
                .iter()
                .map(|heading| Cell::toned(Tone::Strong, *heading))
                .collect(),
        );
        table
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.text.chars().count());
        }
        self.rows.push(cells);
    }

    /// The lines, the headings first.
    pub(crate) fn lines(&self, out: &Out) -> Vec<String> {
        self.rows.iter().map(|row| self.format(row, out)).collect()
    }

    fn format(&self, row: &[Cell], out: &Out) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let Cell { text, tone } = cell;
            line.push_str(&match tone {
                Some(tone) => out.paint(*tone, text),
                None => text.into(),
            });
            if index + 1 < row.len() {
                let padding = self.widths[index] - text.chars().count() + 2;
                line.extend(std::iter::repeat_n(' ', padding));
            }
        }
        line
    }
}
