package host

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// Builds are the programs of a test process, compiled once.
type Builds struct {
	once     sync.Once
	dir      string
	programs *e2e.Programs
	err      error
}

// parallel is how many tests of a package run at once, however few processors
// there are: they wait most of the time.
const parallel = "6"

// Main runs the tests of m in turn with those of other packages, for TestMain,
// and returns their exit code.
func (b *Builds) Main(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err) // no such flag
	}
	defer func() {
		if b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}()
	return netlab.RunAlone(m)
}

// Network is a new Network with the programs.
func (b *Builds) Network(tb testing.TB) *Network {
	tb.Helper()
	netlab.Require(tb)
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "multihop-host-"); b.err == nil {
			b.programs, b.err = e2e.BuildPrograms(b.dir)
		}
	})
	if b.err != nil {
		tb.Fatal(fmt.Errorf("host: %w", b.err))
	}
	return NewNetwork(tb, b.programs)
}
