package mesh

// NameRule says in words what a name may be.
const NameRule = "of a-z, 0-9, '-' and '.', with a letter or digit at both ends; at most 63 characters for the namespace and 253 for the name (RFC 1123)"

const (
	maxLabel     = 63
	maxSubdomain = 253
)

// isSubdomain reports whether s is an RFC 1123 subdomain, as Kubernetes checks it:
// parts of a-z, 0-9 and '-' between dots, each with a letter or digit at both ends.
func isSubdomain(s string) bool {
	if len(s) > maxSubdomain {
		return false
	}
	inside := false // the character before is a letter or digit
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			inside = true
		case c == '-' && i > 0 && s[i-1] != '.':
			inside = false
		case c == '.' && inside:
			inside = false
		default:
			return false
		}
	}
	return inside
}

// isLabel reports whether s is an RFC 1123 label: a subdomain without dots.
func isLabel(s string) bool {
	if len(s) > maxLabel || !isSubdomain(s) {
		return false
	}
	for i := range len(s) {
		if s[i] == '.' {
			return false
		}
	}
	return true
}
