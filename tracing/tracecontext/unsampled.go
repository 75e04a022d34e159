package tracecontext

// Plain reports whether s is a valid traceparent of version 00 in its canonical form
// without flags, or with that of being sampled, and which of these; for any other s, which
// may be valid all the same, ok is false. It costs next to nothing.
func Plain(s string) (sampled, ok bool) {
	const form = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
	if len(s) != len(form) || s[:3] != "00-" || s[35] != '-' || s[52] != '-' || s[53] != '0' || s[54] != '0' && s[54] != '1' {
		return false, false
	}
	return s[54] == '1', id(s[3:35]) && id(s[36:52])
}

// id reports whether s is an id: digits of a number in hexadecimal that is not 0.
func id(s string) bool {
	some := false
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		some = some || c != '0'
	}
	return some
}
