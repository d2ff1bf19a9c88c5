package router

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets the tests that wait most of the time run beside each other, however
// few processors there are. For fuzzing the flag says how many workers there are.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" {
		if err := flag.Set("test.parallel", "5"); err != nil {
			panic(err) // no such flag
		}
	}
	os.Exit(m.Run())
}
