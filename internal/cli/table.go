package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	color color
}

// table is aligned columns under a head. A table without head is a list of facts.
type table struct {
	head []string
	rows [][]cell
}

// add appends a row of plain fields.
func (t *table) add(fields ...string) {
	row := make([]cell, len(fields))
	for i, f := range fields {
		row[i] = cell{text: f}
	}
	t.rows = append(t.rows, row)
}

// addCells appends a row.
func (t *table) addCells(row ...cell) { t.rows = append(t.rows, row) }

// write prints the table at once.
func (t *table) write(w io.Writer, st style) error {
	rows := t.rows
	if len(t.head) > 0 {
		head := make([]cell, len(t.head))
		for i, h := range t.head {
			head[i] = cell{h, bold}
		}
		rows = append([][]cell{head}, rows...)
	}
	widths := columnWidths(rows)
	var b strings.Builder
	for _, row := range rows {
		for i, c := range row {
			text := shown(c.text)
			b.WriteString(st.paint(c.color, text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func columnWidths(rows [][]cell) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(shown(c.text)))
		}
	}
	return widths
}

// shown returns a field's text as it is printed: on one line, never empty, so that
// awk and the like can count fields.
func shown(text string) string {
	text = clean(strings.ReplaceAll(text, "\n", " "))
	if text == "" {
		return "-"
	}
	return text
}
