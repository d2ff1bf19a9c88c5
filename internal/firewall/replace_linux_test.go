package firewall

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// replacements is how often a table is replaced under traffic.
const replacements = 200

// TestReplace replaces the table while one socket sends what is forbidden and
// another what is allowed, as fast as they can: nothing of the one leaves, and
// nothing of the other is refused.
func TestReplace(t *testing.T) {
	for _, test := range []struct {
		name  string
		plain bool
	}{{"owned", false}, {"plain", true}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := open(t, w.client)
			f.plain = test.plain
			a := w.config()
			b := a
			b.LAN, b.Exclude, b.TUNs = nil, nil, []string{"mh1"}
			apply(t, f, a)
			w.undisturbed(t, 20*time.Microsecond, func(i int) error {
				if i%2 == 0 {
					return f.Apply(b)
				}
				return f.Apply(a)
			})
		})
	}
}

// TestReplaceEndpoints changes the endpoints under the same traffic.
func TestReplaceEndpoints(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	c := w.config()
	apply(t, f, c)
	before := handles(t, f, &c)
	w.undisturbed(t, 20*time.Microsecond, func(i int) error {
		other := netip.AddrPortFrom(netip.MustParseAddr(sides()[0].notOurs), uint16(i+1))
		return f.SetEndpoints(append(slices.Clone(c.Endpoints), other))
	})
	if got := handles(t, f, &c); !slices.Equal(got, before) {
		t.Errorf("rules were replaced: handles %v, then %v", before, got)
	}
}

// TestReplaceChains has every base chain taken away and made anew, as it is when
// another version's were entered elsewhere.
func TestReplaceChains(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	c := w.config()
	apply(t, f, c)
	moved := rulesOf(&c)
	for i := range moved.chains {
		if h := moved.chains[i].hook; h != nil {
			h.priority = nftables.ChainPriorityRef(*h.priority + 1)
		}
	}
	table := &nftables.Table{Name: c.Table, Family: family}
	w.undisturbed(t, 0, func(i int) error {
		rs := rulesOf(&c)
		if i%2 == 0 {
			rs = moved
		}
		return rs.replace(f.conn, table)
	})
}

// TestReplaceFails has the kernel refuse a transaction: the old rules stay.
func TestReplaceFails(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	c := w.config()
	apply(t, f, c)
	rs := rulesOf(&c)
	rs.chains[0].rules = []rule{{jump("nowhere")}}
	f.mu.Lock()
	err := f.tryLocked(func() error { return rs.replace(f.conn, &nftables.Table{Name: c.Table, Family: family}) })
	f.mu.Unlock()
	if !errors.Is(err, unix.ENOENT) {
		t.Fatalf("jump to a missing chain: %v", err)
	}
	if ok, err := f.Present(c); !ok {
		t.Fatalf("Present after a failure: %v, %v", ok, err)
	}
	apply(t, f, c)
}

// undisturbed calls change again and again under traffic of a flow that is never
// allowed and one that always is, with pauses between their datagrams.
func (w *world) undisturbed(t *testing.T, pause time.Duration, change func(i int) error) {
	t.Helper()
	s := sides()[0]
	wire := w.client.Capture(t, "eth0", netlab.CaptureOptions{
		Without: []netlab.Flow{netlab.UDPFlow(s.client, s.endpoint)},
		Match:   func(p *netlab.Packet) bool { return p.Outgoing && !p.Neighbourly() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	var forbidden, allowed, refused atomic.Int64
	send := func(to netip.AddrPort, mark int, sent, failed *atomic.Int64) {
		senders.Go(func() {
			err := socket(w.client, to, func(fd int) error {
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
					return err
				}
				for ctx.Err() == nil {
					if err := unix.Sendto(fd, make([]byte, 64), unix.MSG_DONTWAIT, sockaddr(to)); err == nil {
						sent.Add(1)
					} else if errors.Is(err, unix.EPERM) {
						failed.Add(1)
					}
					time.Sleep(pause)
				}
				return nil
			})
			if err != nil && !errors.Is(err, unix.EPERM) {
				t.Error(err)
			}
		})
	}
	var left atomic.Int64
	send(netip.AddrPortFrom(s.internet, 443), 0, &left, &forbidden)
	send(s.endpoint, testMark, &allowed, &refused)
	enough := func() bool { return forbidden.Load() >= replacements && allowed.Load() >= replacements }
	for i := 0; (i < replacements || !enough()) && i < 100*replacements && !t.Failed(); i++ {
		if err := change(i); err != nil {
			t.Errorf("replacement %d: %v", i, err)
		}
	}
	cancel()
	senders.Wait()
	t.Logf("%d forbidden datagrams tried, %d allowed ones sent, %d of these refused", forbidden.Load(), allowed.Load(), refused.Load())
	if !enough() {
		t.Error("too little traffic: this test proves nothing")
	}
	if n := wire.Count(); n != 0 || left.Load() != 0 {
		t.Errorf("%d forbidden datagrams were sent: %s", left.Load(), wire.Report())
	}
	if refused.Load() != 0 {
		t.Errorf("%d allowed datagrams were refused", refused.Load())
	}
}

// handles returns the handles of all rules.
func handles(t *testing.T, f *Firewall, c *Config) []uint64 {
	t.Helper()
	table := &nftables.Table{Name: c.Table, Family: family}
	_, chains, err := contents(f.conn, table)
	if err != nil {
		t.Fatal(err)
	}
	var out []uint64
	for _, ch := range chains {
		rules, err := f.conn.GetRules(table, ch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			out = append(out, r.Handle)
		}
	}
	return out
}
