package router

import (
	"os"
	"strings"
	"testing"
)

// TestDocsDrops: docs/api.md says what each name of a drop means.
func TestDocsDrops(t *testing.T) {
	b, err := os.ReadFile("../docs/api.md")
	must(t, err)
	for why := delivered + 1; why < numReasons; why++ {
		if !strings.Contains(string(b), "`"+why.String()+"`") {
			t.Errorf("nothing of %s", why)
		}
	}
}
