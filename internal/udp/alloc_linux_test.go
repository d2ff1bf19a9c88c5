package udp_test

import (
	"testing"

	"multihop/internal/udp"
)

// TestAllocs sends and receives without allocating: joined datagrams, and such
// as cannot be joined, of both families.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	a, b := udp.New(nil), udp.New(nil)
	if _, _, err := a.Open(0); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	fns, port, err := b.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	at := &end{Bind: b, port: port}
	bufs, sizes, eps := buffers(b.BatchSize())
	for i, addr := range []string{"127.0.0.1", "::1"} {
		ep := at.at(t, a, addr)
		for name, batch := range map[string][][]byte{"joined": payloads(same(128, 1452)...), "mixed": payloads(mixed()...)} {
			allocs := testing.AllocsPerRun(100, func() {
				if err := a.Send(batch, ep); err != nil {
					t.Fatal(err)
				}
				for left := len(batch); left > 0; {
					n, err := fns[i](bufs, sizes, eps)
					if err != nil {
						t.Fatal(err)
					}
					left -= n
				}
			})
			if allocs > 0 {
				t.Errorf("%s, %s: %v allocations per batch of %d", addr, name, allocs, len(batch))
			}
		}
	}
}
