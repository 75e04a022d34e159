package faults

import (
	"slices"
	"strings"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// sectionHead begins the section of one version of RabbitMQ on the page.
const sectionHead = "## RabbitMQ "

// others returns the sections of an earlier page about other versions, by version and
// without their headings. It leaves out the section of the same major and minor
// version, which is written anew.
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

// minorOf is the major and minor version.
func minorOf(version string) string {
	numbers := strings.SplitN(version, ".", 3)
	return strings.Join(numbers[:min(2, len(numbers))], ".")
}

// joinSections writes sections in order.
func joinSections(sections map[string]string) string {
	versions := make([]string, 0, len(sections))
	for version := range sections {
		versions = append(versions, version)
	}
	slices.SortFunc(versions, rig.ByVersion)
	var b strings.Builder
	for _, version := range versions {
		b.WriteString(sectionHead + version + "\n\n" + sections[version] + "\n")
	}
	return b.String()
}
