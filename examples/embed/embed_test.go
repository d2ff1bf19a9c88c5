package main

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

// TestRun: the site saw the exit's tunnel address.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "site 10.2.0.2\n" {
		t.Fatalf("got %q", got)
	}
}
