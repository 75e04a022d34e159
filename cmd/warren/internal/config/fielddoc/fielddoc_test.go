package fielddoc

import (
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/api/schema"
)

func TestFindTakesThePathsPeopleWrite(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"EventTopic":                                 "EventTopic object",
		"topic":                                      "EventTopic object",
		"eventtopic.spec.":                           "EventTopic.spec object",
		"EventTopic.spec.publish.ttl":                "EventTopic.spec.publish.ttl duration",
		"EventRoute.spec.rules[0].retry.on[1]":       "EventRoute.spec.rules.retry.on list of string",
		"EventRoute.spec.rules.filters[].not.any":    "EventRoute.spec.rules.filters.not.any list of object",
		"route.spec.rules[2].filters[0].exact[type]": "EventRoute.spec.rules.filters.exact map of string",
	} {
		got, err := Find(path)
		if err != nil || got.Path+" "+schema.TypeName(got.Node) != want {
			t.Errorf("%s: got %s %v, want %s", path, got.Path, err, want)
		}
	}
}

func TestFindSuggestsWhatWasMeant(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"EventTopik.spec":                `no kind "EventTopik": want one of EventBroker, EventTopic, EventRoute, EventSubscription, EventPolicy (did you mean "EventTopic"?)`,
		"spec.publish":                   `no kind "spec": want one of`,
		"EventTopic.spec.publsh.ttl":     `EventTopic.spec has no field "publsh": did you mean EventTopic.spec.publish?`,
		"EventTopic.spec.routingkey":     `did you mean EventTopic.spec.routingKey?`,
		"EventTopic.publish":             `EventTopic has no field "publish": did you mean EventTopic.spec.publish?`,
		"EventRoute.spec.weight":         `did you mean EventRoute.spec.rules.backendRefs.weight?`,
		"EventSubscription.colour":       `EventSubscription has no field "colour": want one of apiVersion, kind, metadata, spec`,
		"EventTopic.spec.publish.ttl.ms": `EventTopic.spec.publish.ttl is of type duration: it has no fields`,
	} {
		if _, err := Find(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

func TestAllListsEverythingOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		seen := map[string]bool{}
		for _, f := range kind.All() {
			if seen[f.Path] {
				t.Errorf("%s is listed twice", f.Path)
			}
			seen[f.Path] = true
			if got, err := Find(f.Path); err != nil || got.Node != f.Node {
				t.Errorf("%s is not found: %v", f.Path, err)
			}
		}
	}
}

func TestCompleteFollowsWhatIsTyped(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"EventT":                 {"EventTopic"},
		"EventTopic.":            {"EventTopic.apiVersion", "EventTopic.kind", "EventTopic.metadata", "EventTopic.spec"},
		"topic.spec.p":           {"topic.spec.partitions", "topic.spec.publish"},
		"EventTopic.spec.x":      nil,
		"EventTopik.spec.x":      nil,
		"EventTopic.spec.publ.t": nil,
	} {
		if got := Complete(path); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if got := Complete(""); len(got) != 5 {
		t.Errorf("nothing typed: got %v", got)
	}
}
