package octo

import "strings"

// Words splits a line at white space. Quotes and backslashes keep what is between or
// behind them together, as in a POSIX shell; nothing else has a meaning, and nothing
// is expanded. A quote that is not closed is ErrInvalid.
func Words(line string) ([]string, error) {
	var out []string
	var word strings.Builder
	inWord, quote, escaped := false, rune(0), false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				out = append(out, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, Errorf(ErrInvalid, "a quote is not closed in %s", quoteShort(line))
	}
	if inWord {
		out = append(out, word.String())
	}
	return out, nil
}
