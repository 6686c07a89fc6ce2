//! Lines in columns, aligned by display width.

use unicode_width::UnicodeWidthStr;

/// Aligns `rows` in columns with two spaces between them. The last column is not padded. Cells must be without colour.
#[must_use]
pub fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// One row padded to `widths`, for tables whose rows arrive one by one.
#[must_use]
pub fn line(row: &[String], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, cell) in row.iter().enumerate() {
        out.push_str(cell);
        if index + 1 < row.len() {
            let width = widths.get(index).copied().unwrap_or(0);
            out.extend(std::iter::repeat_n(
                ' ',
                width.saturating_sub(cell.width()) + 2,
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_display_width() {
        let rows = [
            vec!["日本".to_owned(), "x".to_owned()],
            vec!["abc".to_owned(), "y".to_owned()],
        ];
        assert_eq!(align(&rows), ["日本  x", "abc   y"]);
    }
}
