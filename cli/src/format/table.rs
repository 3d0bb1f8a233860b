//! Text in columns, as docker's tables are: Go's tabwriter with a smallest width of 10 and three
//! spaces between columns.

use std::iter;

const SMALLEST: usize = 10;
const PADDING: usize = 3;

/// A line's cells, and how wide each but the last is.
struct Line<'a> {
    cells: Vec<&'a str>,
    widths: Vec<usize>,
}

/// Aligns the cells of each line, which a tab ends. What follows a line's last tab belongs to no
/// column. Cells of one column in lines that follow one another are as wide as the widest of them.
pub(crate) fn align(text: &str) -> String {
    align_wide(text, SMALLEST)
}

/// The same with columns of at least so many places.
pub(crate) fn align_wide(text: &str, smallest: usize) -> String {
    let mut lines: Vec<Line<'_>> = text.split('\n').map(|text| line(text, smallest)).collect();
    let columns = lines.iter().map(|line| line.widths.len()).max().unwrap_or(0);
    for column in 0..columns {
        for block in lines.split_mut(|line| line.widths.len() <= column) {
            let width = block.iter().map(|line| line.widths[column]).max().unwrap_or(0);
            block.iter_mut().for_each(|line| line.widths[column] = width);
        }
    }
    lines.iter().map(Line::text).collect::<Vec<_>>().join("\n")
}

fn line(text: &str, smallest: usize) -> Line<'_> {
    let cells: Vec<&str> = text.split('\t').collect();
    let own = |cell: &&str| smallest.max(length(cell) + PADDING);
    let widths = cells.iter().take(cells.len() - 1).map(own).collect();
    Line { cells, widths }
}

impl Line<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        for (index, cell) in self.cells.iter().enumerate() {
            text.push_str(cell);
            let width = self.widths.get(index).map_or(0, |width| width - length(cell));
            text.extend(iter::repeat_n(' ', width));
        }
        text
    }
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_three_spaces_apart() {
        let text = "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n\
            container_id\tbusybox:latest\t\"top\"\tAbout a minute ago\tUp 1 minute\t\tc1\n\
            container_id\tbusybox:latest\t\"top\"\tAbout a minute ago\tUp 1 minute\t80-82/tcp\tc3\n\
            container_id\tbusybox:latest\t\"top\"\tAbout a minute ago\tUp 1 minute\t8.8.8.8:82->82/tcp\tc5\n";
        let table = "\
CONTAINER ID   IMAGE            COMMAND   CREATED              STATUS        PORTS                NAMES
container_id   busybox:latest   \"top\"     About a minute ago   Up 1 minute                        c1
container_id   busybox:latest   \"top\"     About a minute ago   Up 1 minute   80-82/tcp            c3
container_id   busybox:latest   \"top\"     About a minute ago   Up 1 minute   8.8.8.8:82->82/tcp   c5
";
        assert_eq!(align(text), table);
    }

    #[test]
    fn a_column_has_at_least_ten_places() {
        assert_eq!(
            align("DRIVER\tVOLUME NAME\nlocal\tdata\n"),
            "DRIVER    VOLUME NAME\nlocal     data\n"
        );
        assert_eq!(align("1234567\tx\n"), "1234567   x\n");
        assert_eq!(align("12345678\tx\n"), "12345678   x\n");
    }

    #[test]
    fn the_last_cell_is_not_padded_and_an_empty_one_is_no_cell() {
        assert_eq!(align("a\tb\nc\t\nd\n"), "a         b\nc         \nd\n");
        assert_eq!(align("a\t\t\n"), "a                   \n");
        assert_eq!(align(""), "");
        assert_eq!(align("a"), "a");
        assert_eq!(align("\n\n"), "\n\n");
    }

    #[test]
    fn a_line_without_the_column_starts_a_new_block() {
        assert_eq!(
            align("a long first cell\tx\nno column\nb\ty\n"),
            "a long first cell   x\nno column\nb         y\n"
        );
        assert_eq!(
            align("a\tlong second cell\tx\nb\ty\nc\td\tz"),
            "a         long second cell   x\nb         y\nc         d         z"
        );
    }

    #[test]
    fn widths_count_characters() {
        assert_eq!(align("ééééééééé\tx\nabc…\ty\n"), "ééééééééé   x\nabc…        y\n");
    }
}
