package terminal

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table aligns rows in columns two spaces apart. Cells are never cut: a table of
// ordinary names fits 80 columns, a long name makes it wider. What a cell has that is
// not Printable is escaped.
type Table struct {
	rows [][]Cell
}

// Cell is one field of a table.
type Cell struct {
	Text string
	// Paint colours the text after it was measured; nil leaves it.
	Paint func(string) string
}

// Row adds a row of plain cells.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, text := range texts {
		cells[i].Text = text
	}
	t.Cells(cells...)
}

// Cells adds a row.
func (t *Table) Cells(cells ...Cell) {
	row := make([]Cell, len(cells))
	for i, cell := range cells {
		row[i] = Cell{Text: Printable(cell.Text), Paint: cell.Paint}
	}
	t.rows = append(t.rows, row)
}

// WriteTo writes the table; lines carry no trailing blanks.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		pad := 0
		for i, cell := range row {
			if empty(row[i:]) {
				break
			}
			b.WriteString(strings.Repeat(" ", pad))
			b.WriteString(cell.paint())
			pad = widths[i] - utf8.RuneCountInString(cell.Text) + 2
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (t *Table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.Text))
		}
	}
	return widths
}

// empty reports whether no cell of the rest of a row has text.
func empty(rest []Cell) bool {
	for _, cell := range rest {
		if cell.Text != "" {
			return false
		}
	}
	return true
}

func (c Cell) paint() string {
	if c.Paint == nil {
		return c.Text
	}
	return c.Paint(c.Text)
}
