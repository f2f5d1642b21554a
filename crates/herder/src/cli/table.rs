//! A table of text: columns as wide as their widest cell, two spaces apart.
//! It knows neither colours' meaning nor what it shows.

use crate::cli::Paint;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// How a cell is painted, after its width is known.
pub(crate) type Colour = fn(Paint, &str) -> String;

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    colour: Option<Colour>,
}

/// Rows under headings, and notes below single rows.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<Cell>),
    Note(Cell),
}

impl Cell {
    /// A cell that is painted.
    pub(crate) fn painted(text: impl std::fmt::Display, colour: Colour) -> Self {
        Self { text: text.to_string(), colour: Some(colour) }
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        match self.colour {
            Some(colour) => colour(paint, text),
            None => text.to_owned(),
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), colour: None }
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the columns are not shown.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a line below the last row that is not bound by columns.
    pub(crate) fn note(&mut self, note: Cell) {
        self.rows.push(Row::Note(note));
    }

    /// The table as lines. Notes are not cut: a terminal wraps them, and nothing is hidden.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let widths = self.widths();
        let heading: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::from(name)).collect();
        let mut lines = vec![paint.bold(&self.line(&heading, &widths, Paint::Plain))];
        for row in &self.rows {
            lines.push(match row {
                Row::Cells(cells) => self.line(cells, &widths, paint),
                Row::Note(note) => note.paint(paint, &format!("  {}", note.text)),
            });
        }
        lines.join("\n") + "\n"
    }

    fn widths(&self) -> Vec<usize> {
        let cell_width = |row: &Row, index: usize| match row {
            Row::Cells(cells) => cells.get(index).map_or(0, |cell| cell.text.chars().count()),
            Row::Note(_) => 0,
        };
        let column_width = |(index, (name, _)): (usize, &(&str, Align))| {
            let widest = self.rows.iter().map(|row| cell_width(row, index)).max();
            widest.unwrap_or(0).max(name.chars().count())
        };
        self.columns.iter().enumerate().map(column_width).collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for ((cell, &width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let pad = " ".repeat(width.saturating_sub(cell.text.chars().count()));
            let text = cell.paint(paint, &cell.text);
            let text = match align {
                Align::Left => text + &pad,
                Align::Right => pad + &text,
            };
            line.push_str(&text);
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.row(vec!["a".into(), 1.into()]);
        table.note("why it is so".into());
        table.row(vec![Cell::painted("long-name", Paint::green), 1234.into()]);
        table
    }

    #[test]
    fn columns_line_up() {
        let expected = "NAME          N\na             1\n  why it is so\nlong-name  1234\n";
        assert_eq!(table().render(Paint::Plain), expected);
    }

    #[test]
    fn colours_take_no_room() {
        let text = table().render(Paint::Coloured);
        assert_eq!(
            text,
            "\x1b[1mNAME          N\x1b[0m\na             1\n  why it is so\n\
             \x1b[32mlong-name\x1b[0m  1234\n"
        );
    }
}
