// Package version says which build this is.
//
// It owns the three variables the linker fills and the fallback to what the Go
// toolchain records by itself; all binaries print and report the same Info. The
// variables are never written after start, so everything here is safe for
// concurrent use.
//
//	go build -ldflags "-X github.com/warrenmesh/warren/internal/version.Version=v0.1.0 \
//	  -X github.com/warrenmesh/warren/internal/version.Commit=$(git rev-parse HEAD) \
//	  -X github.com/warrenmesh/warren/internal/version.Date=$(date -u +%FT%TZ)" ./cmd/...
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the linker; empty in a plain go build, then the toolchain's build
// information stands in.
var (
	// Version is a release such as "v0.1.0".
	Version string
	// Commit is the full revision.
	Commit string
	// Date is when it was built, RFC 3339, UTC.
	Date string
)

// Unknown stands in every field nothing is known about.
const Unknown = "unknown"

// Info describes a build.
type Info struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`
	Modified bool   `json:"modified,omitempty"` // the working tree had changes
	Go       string `json:"go"`
	Platform string `json:"platform"` // "linux/amd64"
}

// Current returns the build of the running binary. It reads no files.
func Current() Info {
	build, _ := debug.ReadBuildInfo()
	return resolve(build)
}

// String returns one line: version, short commit, date, Go version and platform.
func (i Info) String() string {
	commit := i.Commit
	if len(commit) > 12 {
		commit = commit[:12]
	}
	if i.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("%s (%s, %s) %s %s", i.Version, commit, i.Date, i.Go, i.Platform)
}

// resolve merges the linker's values with the toolchain's; b may be nil.
func resolve(b *debug.BuildInfo) Info {
	info := Info{
		Version: Version, Commit: Commit, Date: Date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if b != nil {
		settings := map[string]string{}
		for _, s := range b.Settings {
			settings[s.Key] = s.Value
		}
		info.Version = cmp.Or(info.Version, moduleVersion(b))
		if info.Commit == "" {
			info.Commit = settings["vcs.revision"]
			info.Modified = settings["vcs.modified"] == "true"
		}
		// The commit's time is the closest thing to a date that a reproducible
		// build may carry.
		info.Date = cmp.Or(info.Date, settings["vcs.time"])
	}
	info.Version = cmp.Or(info.Version, "dev")
	info.Commit = cmp.Or(info.Commit, Unknown)
	info.Date = cmp.Or(info.Date, Unknown)
	return info
}

// moduleVersion returns the main module's version as go install records it,
// nothing for a build from a checkout without one.
func moduleVersion(b *debug.BuildInfo) string {
	v := strings.TrimSpace(b.Main.Version)
	if v == "(devel)" {
		return ""
	}
	return v
}
