package main

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/router"
	"multihop/tun"
)

// A roamLab is an instance with a kill switch on the tests' own host, whose hop's
// peer, in memory, can roam.
type roamLab struct {
	*instance
	w       *demoNet
	entry   demoRelay
	from    atomic.Uint32 // the port that the peer sends from
	refused bool          // no further hop starts
}

// deaf is a bind that cannot be opened.
type deaf struct{ conn.Bind }

var errDeaf = errors.New("no socket")

func (deaf) Open(uint16) ([]conn.ReceiveFunc, uint16, error) { return nil, 0, errDeaf }

func newRoamLab(t *testing.T) *roamLab {
	t.Helper()
	if why := notPrivate(); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("cannot be skipped in CI: " + why)
		}
		t.Skip(why)
	}
	w, err := newDemoNet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.close() })
	l := &roamLab{w: w, entry: w.relays[0]}
	l.from.Store(51820)
	l.entry.relay.Outside().Divert(func(pkt []byte) [][]byte {
		out := slices.Clone(pkt)
		binary.BigEndian.PutUint16(out[20:], uint16(l.from.Load()))
		out[26], out[27] = 0, 0 // UDP without a checksum
		return [][]byte{out}
	})
	for _, args := range []string{
		"link add uplink type veth peer name far", "link set far up", "addr add 192.0.2.1/24 dev uplink", "link set uplink up", "link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "uplink").Run() })
	dev, err := tun.Open("mh9", 1420)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() })
	in := newInstance("mh9", nil, new(progress), slog.New(slog.DiscardHandler))
	l.instance = in
	in.life = t.Context()
	if in.host, err = host.New("mh9", &host.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.host.Close() })
	in.router = router.New(&router.Options{OnEvent: in.onEvent(), Bind: func(hop string) conn.Bind {
		if l.refused && hop != "entry" {
			return deaf{w.net.Bind(w.client)}
		}
		return w.net.Bind(w.client)
	}})
	t.Cleanup(func() { _ = errors.Join(in.closeUAPI(), in.router.Close()) })
	d := l.desired(t)
	if err := in.tellHost(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	in.setForce(d)
	in.routeMTUs = plannedMTUs(d.plan)
	runRouter(t, in.router, d.plan)
	return l
}

// desired is what the demo's first hop asks for, with a default route, and
// besides it hops at further endpoints.
func (l *roamLab) desired(t *testing.T, more ...string) *desired {
	t.Helper()
	cfg := l.w.config()
	cfg.Hops = cfg.Hops[:1]
	cfg.Hops[0].Peers[0].Keepalive = time.Second
	cfg.Routes = []router.Route{{Prefix: everywhere()[0], Hop: "entry"}}
	for _, at := range more {
		h := cfg.Hops[0]
		h.Name, h.PrivateKey = "more", router.NewPrivateKey()
		h.Addrs = addrs("10.9.0.2")
		h.Peers = []router.Peer{{PublicKey: router.NewPrivateKey().Public(), Endpoint: at}}
		cfg.Hops = append(cfg.Hops, h)
	}
	d, err := l.desire(t.Context(), &conf.Instance{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// roam has the peer send from another port until the kill switch lets datagrams
// out to there.
func (l *roamLab) roam(t *testing.T, port uint16) {
	t.Helper()
	l.from.Store(uint32(port))
	pkt := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 203, 0, 113, 1, 0, 0, 0, 0, 0, 9, 0, 9, 0, 8, 0, 0}
	copy(pkt[16:], l.entry.tunnel.AsSlice())
	to := netip.AddrPortFrom(l.entry.relay.Endpoint().Addr(), port)
	for deadline := time.Now().Add(20 * time.Second); !slices.Contains(l.host.Status().Endpoints, to); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the peer has not roamed to %v: %v", to, l.host.Status().Endpoints)
		}
		l.entry.relay.Inject(slices.Clone(pkt))
	}
}

// lets checks where the kill switch lets datagrams out to.
func (l *roamLab) lets(t *testing.T, when string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range l.host.Status().Endpoints {
		got = append(got, e.String())
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("%s: datagrams are let out to %q, want %q", when, got, want)
	}
}

// TestReplaceKeepsRoamed: whatever becomes of a change, peers that have roamed are
// not cut off, and what was refused is not let out.
func TestReplaceKeepsRoamed(t *testing.T) {
	const configured, more = "192.0.2.10:51820", "192.0.2.66:51820"
	l := newRoamLab(t)
	l.roam(t, 4500)
	before := l.inForce()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.routeMTUs["entry"] = 1300
	if err := l.replace(ctx, before, l.desired(t, more)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	l.lets(t, "after the host refused", "192.0.2.10:4500", configured)
	if got := l.routeMTUs["entry"]; got != before.plan.Hops[0].MTU {
		t.Errorf("the routes' MTU is taken for %d, and the host was told %d", got, before.plan.Hops[0].MTU)
	}

	l.refused = true
	if err := l.replace(t.Context(), before, l.desired(t, more)); !errors.Is(err, errDeaf) {
		t.Errorf("a hop that does not start: %v", err)
	}
	l.refused = false
	l.lets(t, "after the router refused", "192.0.2.10:4500", configured)

	next := l.desired(t, more)
	l.roam(t, 4501) // after it was worked out
	if err := l.replace(t.Context(), before, next); err != nil {
		t.Fatal(err)
	}
	l.lets(t, "after a change", "192.0.2.10:4500", "192.0.2.10:4501", configured, more)
}

// TestRouteMTUIsTriedAgain: routes that could not be given an MTU are not taken to
// have it.
func TestRouteMTUIsTriedAgain(t *testing.T) {
	l := newRoamLab(t)
	if err := l.host.SetRouteMTU("entry", 1300); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "link", "del", "mh9").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l.routeMTUs["entry"] = 1300
	l.syncRouteMTUs()
	if got := l.routeMTUs["entry"]; got != 1300 {
		t.Errorf("without a TUN its routes are taken to have the MTU %d", got)
	}
}
