package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multihop/internal/lookup"
	"multihop/router"
)

// A nameLab is names with a chain of entry and exit, each with a name for its
// endpoint, and resolvers that answer from a table.
type nameLab struct {
	*names
	table map[string]string // addresses by name; "!" : no answer
	asked []string          // "name@servers"
	out   []string          // endpoints that were let out
}

func newNameLab(table map[string]string) *nameLab {
	l := &nameLab{table: table}
	l.names = &names{
		reaches: netip.Addr.Is4,
		carrier: func(hop string) string { return map[string]string{"exit": "entry"}[hop] },
		allow: func(e []netip.AddrPort) error {
			l.out = append(l.out, join(e))
			return nil
		},
		ask: func(c *lookup.Client, _ context.Context, name string) ([]netip.Addr, time.Duration, error) {
			l.asked = append(l.asked, fmt.Sprintf("%s@%s", name, join(c.Servers)))
			var addrs []netip.Addr
			switch found, ok := l.table[name]; {
			case !ok:
				return nil, 0, fmt.Errorf("lookup: %s: %w", name, lookup.ErrNotFound)
			case found == "!":
				return nil, 0, context.DeadlineExceeded
			default:
				for _, s := range strings.Fields(found) {
					addrs = append(addrs, netip.MustParseAddr(s))
				}
			}
			return addrs, time.Minute, nil
		},
	}
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	cfg := &router.Config{Hops: []router.Hop{
		{Name: "entry", Addrs: addrs("10.64.0.2"), DNS: addrs("10.64.0.1", "fd00::1"),
			Peers: []router.Peer{{Endpoint: "entry.example:51820", AllowedIPs: everything}, {Endpoint: "entry.example:443"}}},
		{Name: "exit", Via: "entry", Peers: []router.Peer{{Endpoint: "exit.example:51820"}}},
		{Name: "lost", Via: "exit", Peers: []router.Peer{{Endpoint: "lost.example:51820"}}},
	}}
	l.use(scope{cfg, 52820, addrs("192.0.2.53", "127.0.0.1")})
	return l
}

func TestNames(t *testing.T) {
	table := map[string]string{
		"entry.example": "2001:db8::7 192.0.2.7",
		"exit.example":  "198.51.100.7",
		"mute.example":  "!",
	}
	tests := []struct {
		name, hop, host  string
		want, asked, out string
		err              string
	}{
		{"a hop on the host's network asks the host's resolvers, and every candidate may be sent to", "entry", "entry.example",
			"192.0.2.7, 2001:db8::7", "entry.example@192.0.2.53:53, 127.0.0.1:53",
			"192.0.2.7:51820, [2001:db8::7]:51820, 192.0.2.7:443, [2001:db8::7]:443", ""},
		{"a carried one its carrier's DNS, of a family that it has, and the host lets nothing more out", "exit", "exit.example",
			"198.51.100.7", "exit.example@10.64.0.1:53", "", ""},
		{"a carrier without DNS", "lost", "lost.example", "", "", "",
			"its name lost.example cannot be looked up: its carrier exit has no DNS to ask: give it one, or lost an address"},
		{"unknown", "entry", "nosuch.example", "", "nosuch.example@192.0.2.53:53, 127.0.0.1:53", "",
			"the name nosuch.example does not exist, or has no address"},
		{"no answer", "entry", "mute.example", "", "mute.example@192.0.2.53:53, 127.0.0.1:53", "",
			"the name mute.example cannot be looked up: context deadline exceeded"},
		{"no such hop", "moon", "entry.example", "", "", "", `no hop is named "moon"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newNameLab(table)
			l.carrier = func(hop string) string { return map[string]string{"exit": "entry", "lost": "exit"}[hop] }
			got, err := l.resolve(t.Context(), tt.hop, tt.host)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if join(got) != tt.want {
				t.Errorf("addresses %s, want %s", join(got), tt.want)
			}
			if asked := strings.Join(l.asked, "; "); asked != tt.asked {
				t.Errorf("asked %s, want %s", asked, tt.asked)
			}
			if out := strings.Join(l.out, "; "); out != tt.out {
				t.Errorf("let out %q, want %q", out, tt.out)
			}
		})
	}
}

// What was just found out is not asked again, and a later failure does not take
// away what is known.
func TestNamesAreRemembered(t *testing.T) {
	l := newNameLab(map[string]string{"entry.example": "192.0.2.7"})
	if w := l.lookUpAll(t.Context(), l.scope); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
	if _, err := l.resolve(t.Context(), "entry", "entry.example"); err != nil || len(l.asked) != 1 {
		t.Errorf("%v, asked %q, want once", err, l.asked)
	}
	l.known[nameKey{"entry", "entry.example"}] = answer{l.addrs("entry", "entry.example"), time.Now().Add(-time.Minute)}
	l.table["entry.example"] = "!"
	if _, err := l.resolve(t.Context(), "entry", "entry.example"); err == nil || len(l.asked) != 2 {
		t.Errorf("%v, asked %q, want a second question without an answer", err, l.asked)
	}
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:51820"), netip.MustParseAddrPort("192.0.2.7:443")}
	if got := l.endpoints(&l.scope.cfg.Hops[0]); !slices.Equal(got, want) {
		t.Errorf("known endpoints %v, want %v", got, want)
	}
}

// A name that fails before the start is a warning: it is asked for again.
func TestLookUpAllWarns(t *testing.T) {
	l := newNameLab(map[string]string{"exit.example": "198.51.100.7"})
	w := l.lookUpAll(t.Context(), l.scope)
	if len(w) != 1 || !strings.HasPrefix(w[0], "hop entry: endpoint entry.example: ") || !strings.HasSuffix(w[0], "it will be asked for again") {
		t.Errorf("warnings %q", w)
	}
	if len(l.asked) != 1 {
		t.Errorf("asked %q: a carried hop's name is none of the host's resolvers' business", l.asked)
	}
}

// TestLookUpAllAtOnce: a dead resolver holds a start up once for lookupsAtOnce names,
// not once a name; the warnings keep the order of the hops.
func TestLookUpAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newNameLab(nil)
		l.ask = func(_ *lookup.Client, ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
			<-ctx.Done()
			return nil, 0, ctx.Err()
		}
		var cfg router.Config
		for i := range 2 * lookupsAtOnce {
			cfg.Hops = append(cfg.Hops, router.Hop{Name: fmt.Sprintf("entry%02d", i), Peers: []router.Peer{{Endpoint: fmt.Sprintf("e%d.example:51820", i)}}})
		}
		begun := time.Now()
		w := l.lookUpAll(t.Context(), scope{cfg: &cfg})
		if took := time.Since(begun); took != 2*lookupTimeout {
			t.Errorf("%d names took %v", len(cfg.Hops), took)
		}
		if len(w) != len(cfg.Hops) || !slices.IsSorted(w) {
			t.Errorf("warnings %q", w)
		}
	})
}

func TestAllowRefuses(t *testing.T) {
	l := newNameLab(map[string]string{"entry.example": "192.0.2.7"})
	no := errors.New("route 192.0.2.0/24 covers it")
	l.allow = func([]netip.AddrPort) error { return no }
	if got, err := l.resolve(t.Context(), "entry", "entry.example"); !errors.Is(err, no) || got != nil {
		t.Errorf("%v, %v: an address that nothing may be sent to was returned", got, err)
	}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}
