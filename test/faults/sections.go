package faults

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// sectionHead begins the part of the page that one version of RabbitMQ has.
const sectionHead = "## RabbitMQ "

// others are the sections of an earlier page about other versions than this one, by
// version and without their headings. A section of the same major and minor version
// is the one that is written anew.
func others(earlier, version string) map[string]string {
	found := map[string]string{}
	parts := strings.Split("\n"+earlier, "\n## ")
	for _, part := range parts[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		other, about := strings.CutPrefix("## "+heading, sectionHead)
		if about && minorOf(other) != minorOf(version) {
			found[other] = strings.TrimSpace(body) + "\n"
		}
	}
	return found
}

// minorOf is a version without what follows its second number.
func minorOf(version string) string {
	numbers := strings.SplitN(version, ".", 3)
	return strings.Join(numbers[:min(2, len(numbers))], ".")
}

// byVersion orders versions, the newest first.
func byVersion(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i]) // what is no number comes last
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return cmp.Compare(n, m)
		}
	}
	return cmp.Compare(len(y), len(x))
}

// joinSections writes sections in order.
func joinSections(sections map[string]string) string {
	versions := make([]string, 0, len(sections))
	for version := range sections {
		versions = append(versions, version)
	}
	slices.SortFunc(versions, byVersion)
	var b strings.Builder
	for _, version := range versions {
		b.WriteString(sectionHead + version + "\n\n" + sections[version] + "\n")
	}
	return b.String()
}
