package router

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/memnet"
	"multihop/packet"
)

// A ledger says which hop a prefix had when, and what arrived elsewhere.
type ledger struct {
	mu      sync.Mutex
	changes [][]ownership // of each prefix, oldest first
	sent    map[uint32]time.Time

	arrived, wrong atomic.Int64
	lastWrong      string // guarded by mu
}

// An ownership begins when an Apply that changes the prefix is called. The one
// before ends when that returns.
type ownership struct {
	hop         string
	begun, done time.Time // done is zero while Apply has not returned
}

// lateness is how late a relay of this test may be.
const lateness = 4 * time.Second

// judge notes that a packet to prefix i, sent as number n, arrived at a relay.
func (l *ledger) judge(i int, n uint32, relay string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	since := l.sent[n]
	if late := now.Add(-lateness); since.Before(late) {
		since = late
	}
	l.arrived.Add(1)
	list := l.changes[i]
	for k := len(list) - 1; k >= 0; k-- {
		if list[k].hop == relay {
			return
		}
		if done := list[k].done; !done.IsZero() && done.Before(since) {
			break // what was before had ended
		}
	}
	l.wrong.Add(1)
	l.lastWrong = relay
}

// TestUpdates: routes change, thousands of times a minute, while packets go through
// all of them; each packet arrives through the hop that its prefix has: the relay that
// decapsulates it says so. The detector: a change that the ledger does not know is
// seen. MULTIHOP_UPDATES is the number of changes.
func TestUpdates(t *testing.T) {
	prefixes, updates := 2000, 1000
	if testing.Short() || raceEnabled {
		prefixes, updates = 100, 60
	}
	if s := os.Getenv("MULTIHOP_UPDATES"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		updates = n
	}
	l := newLab(t, nil)
	book := &ledger{changes: make([][]ownership, prefixes), sent: make(map[uint32]time.Time)}
	hops := []string{"entry", "exit", "sibling"}
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64 + byte(i>>8), byte(i), 0}), 24)
	}
	l.cfg.Routes = nil
	for i := range prefixes {
		book.changes[i] = []ownership{{hop: hops[i%3], done: time.Now()}}
		l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: prefix(i), Hop: hops[i%3]})
	}
	_, err := l.net.Attach("targets", func(pkts [][]byte) int { return len(pkts) }, netip.MustParsePrefix("100.64.0.0/10"))
	must(t, err)
	for name, relay := range map[string]*memnet.Relay{"entry": l.entry, "exit": l.exit, "sibling": l.sibling} {
		relay.Inside().Tap(func(sent bool, pkt []byte) {
			var m packet.Meta
			if !sent || m.Parse(pkt) != packet.OK || m.DstPort != 9 || m.Dst.As4()[0] != 100 {
				return
			}
			a := m.Dst.As4()
			book.judge(int(a[1]-64)<<8|int(a[2]), binary.BigEndian.Uint32(pkt[m.L4+8:]), name)
		})
	}
	l.start()
	l.ready()
	for i := range 3 { // sessions
		eventually(t, 20*time.Second, "a session", func() bool {
			l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(prefix(i).Addr().Next(), 9), make([]byte, 64)))
			time.Sleep(20 * time.Millisecond)
			return l.hop(hops[i]).Out > 0 && book.arrived.Load() > int64(i)
		})
	}

	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		rnd := rand.New(rand.NewPCG(1, 2))
		for n := uint32(1); ; {
			select {
			case <-quit:
				return
			default:
			}
			batch := make([][]byte, 0, 32)
			book.mu.Lock()
			for range 32 {
				b := make([]byte, 600)
				binary.BigEndian.PutUint32(b, n)
				book.sent[n] = time.Now()
				delete(book.sent, n-100000)
				batch = append(batch, udp(netip.AddrPortFrom(entryTunnel, 4001), netip.AddrPortFrom(prefix(rnd.IntN(prefixes)).Addr().Next(), 9), b))
				n++
			}
			book.mu.Unlock()
			l.send(batch...)
			time.Sleep(2 * time.Millisecond)
		}
	}()
	rnd := rand.New(rand.NewPCG(3, 4))
	change := func(i int, hop string, told bool) {
		book.mu.Lock()
		if told {
			book.changes[i] = append(book.changes[i], ownership{hop: hop, begun: time.Now()})
		}
		book.mu.Unlock()
		l.cfg.Routes[i].Hop = hop
		p, err := Compile(l.cfg)
		must(t, err)
		must(t, l.r.Apply(context.Background(), p))
		book.mu.Lock()
		book.changes[i][len(book.changes[i])-1].done = time.Now()
		book.mu.Unlock()
	}
	start, slowest := time.Now(), time.Duration(0)
	for range updates {
		i := rnd.IntN(prefixes)
		began := time.Now()
		change(i, hops[rnd.IntN(3)], true)
		slowest = max(slowest, time.Since(began))
	}
	took := time.Since(start)
	arrived, wrong := book.arrived.Load(), book.wrong.Load()
	t.Logf("%d updates in %v (%.0f a minute, the slowest %v); %d packets arrived", updates, took, float64(updates)/took.Minutes(), slowest, arrived)
	if wrong != 0 || arrived < int64(min(1000, updates)) {
		t.Errorf("%d of %d packets arrived through a hop that their prefix did not have, the last through %s", wrong, arrived, book.lastWrong)
	}

	time.Sleep(lateness)
	for i := range min(200, prefixes) { // the detector
		change(i, "sibling", false)
	}
	eventually(t, 20*time.Second, "a change that the ledger does not know is seen", func() bool { return book.wrong.Load() > wrong })
	close(quit)
	<-done
}
