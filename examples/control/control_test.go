package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// TestRun: the other program saw the session, and the way.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	if err := run(t.Context(), filepath.Join(t.TempDir(), "api.sock"), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "there is a session\n203.0.113.80 goes by 203.0.113.0/24 to relay, which sees 10.1.0.2\n" {
		t.Fatalf("got %q", got)
	}
}
