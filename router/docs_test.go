package router

import (
	"os"
	"strings"
	"testing"
)

// TestDocsDrops: docs/api.md and README.md say what each name of a drop means.
func TestDocsDrops(t *testing.T) {
	for _, doc := range []string{"../docs/api.md", "../README.md"} {
		b, err := os.ReadFile(doc)
		must(t, err)
		for why := delivered + 1; why < numReasons; why++ {
			if !strings.Contains(string(b), "`"+why.String()+"`") {
				t.Errorf("%s has nothing of %s", doc, why)
			}
		}
	}
}
