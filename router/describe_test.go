package router

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestCompileDeep: a chain of any depth, and groups inside groups all of which are
// down, are compiled in no time.
func TestCompileDeep(t *testing.T) {
	peers := func() []Peer {
		return []Peer{{PublicKey: NewPrivateKey().Public(), Endpoint: "192.0.2.1:51820", AllowedIPs: prefixes("0.0.0.0/0")}}
	}
	const depth = 48
	for _, tt := range []struct {
		name   string
		width  int // hops of a group at each level
		down   bool
		reject string
	}{
		{"a chain", 1, false, ""},
		{"a chain that is down", 1, true, "hop h0.0 is taken down"},
		{"groups", 2, false, ""},
		{"groups that are down", 2, true, "hop h0.0 is taken down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var cfg Config
			via := ""
			for i := range depth {
				g := Group{Name: fmt.Sprint("g", i)}
				for j := range tt.width {
					h := Hop{Name: fmt.Sprintf("h%d.%d", i, j), Via: via, PrivateKey: NewPrivateKey(), Addrs: addrs("10.0.0.2"), Peers: peers(), Fragment: i > 0, Down: tt.down && i == 0}
					cfg.Hops, g.Hops = append(cfg.Hops, h), append(g.Hops, h.Name)
				}
				if via = g.Hops[0]; tt.width > 1 {
					cfg.Groups, via = append(cfg.Groups, g), g.Name
				}
			}
			cfg.Routes = []Route{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: via}}
			began := time.Now()
			p, err := Compile(cfg)
			must(t, err)
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
			if r := p.Routes[0]; r.Reject != tt.reject || len(r.Path) != depth {
				t.Errorf("%+v", r)
			}
		})
	}
}
