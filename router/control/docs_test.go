package control

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"multihop/router"
)

// TestDocs: docs/api.md says something of every field of an answer, and of every
// kind of event.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	said := func(name string) bool { return strings.Contains(string(b), "`"+name+"`") }
	if said("colour") {
		t.Fatal("the detector sees what is not there")
	}
	for _, v := range []any{
		Status{}, Host{}, Resolver{}, Changes{}, Event{}, router.Event{}, router.Status{}, router.HopStatus{}, router.PeerStatus{},
		router.GroupStatus{}, router.MemberStatus{}, router.OnDownStatus{}, router.RouteStatus{}, router.Explanation{}, router.ExplainedHop{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" && !f.Anonymous {
				t.Errorf("%T.%s has no name", v, f.Name)
			}
			if name != "" && name != "-" && !said(name) {
				t.Errorf("%T: nothing of %s", v, name)
			}
		}
	}
	for _, kind := range []router.EventKind{
		router.EventUp, router.EventDown, router.EventHandshake, router.EventMTU, router.EventRoam, router.EventResolved,
		router.EventFailover, router.EventRoutes, router.EventDrops, EventLost,
	} {
		if !said(string(kind)) {
			t.Errorf("nothing of the event %s", kind)
		}
	}
}
