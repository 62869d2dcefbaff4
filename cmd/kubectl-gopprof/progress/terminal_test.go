package progress

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// terminal is a screen that obeys what this package writes and takes nothing else.
type terminal struct {
	t  *testing.T
	mu sync.Mutex // guards what follows

	columns, rows int
	lines         []string
	row, column   int
	color         bool // some was used
	wrapped       bool
}

func (s *terminal) size() (int, int) { return s.columns, s.rows }

// Write implements io.Writer.
func (s *terminal) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := string(data); rest != ""; {
		rest = rest[s.take(rest):]
	}
	return len(data), nil
}

// take obeys what comes first and returns its length.
func (s *terminal) take(text string) int {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
	switch c := text[0]; {
	case c == '\n':
		s.row, s.column = s.row+1, 0
		return 1
	case c == '\r':
		s.column = 0
		return 1
	case c == '\x1b':
		return s.escape(text)
	case c < ' ' || c > '~':
		s.t.Errorf("byte %#x reaches the terminal", c)
		return 1
	}
	line := fmt.Sprintf("%-*s", s.column, s.lines[s.row])
	s.lines[s.row] = line[:s.column] + text[:1] + line[min(s.column+1, len(line)):]
	if s.column++; s.column >= s.columns {
		s.wrapped = true
	}
	return 1
}

func (s *terminal) escape(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' })
	sequence := text[:end+1]
	var n int
	switch {
	case sequence == "\x1b[K":
		s.lines[s.row] = s.lines[s.row][:min(s.column, len(s.lines[s.row]))]
	case sequence == "\x1b[J":
		s.lines = s.lines[:min(s.row, len(s.lines))]
	case strings.HasSuffix(sequence, "m"):
		s.color = true
	default:
		if _, err := fmt.Sscanf(sequence, "\x1b[%dA", &n); err != nil || n > s.row || n >= s.rows {
			s.t.Errorf("sequence %q in row %d", sequence, s.row)
		}
		s.row -= n
	}
	return len(sequence)
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}
