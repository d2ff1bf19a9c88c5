package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// TestShow asks a running chain what it does, in every form, and looks for
// keys where none may be.
func TestShow(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Preshared: true})
	like := e2e.NearAddr().V4
	i := n.Run(t, e2e.Chain{
		Entry: r.EntryConf(like, "0.0.0.0/0", "::/0"), Exit: r.ExitConf(like, "0.0.0.0/0", "::/0"),
		Routes: providerRoutes(),
	})
	reaches(t, n, e2e.NearAddr().V4, e2e.Outer().V4)
	reaches(t, n, e2e.FarAddr().V6, e2e.Inner().V6)
	transfers(t, n, e2e.FarAddr().V4, e2e.Inner().V4, 1<<20)

	t.Run("json", func(t *testing.T) { showJSON(t, i, r) })
	var outputs []string
	t.Run("text", func(t *testing.T) {
		out, err := n.Multihop("show", i.Name)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		outputs = append(outputs, out)
		for _, want := range []string{
			"entry", "exit", "192.0.2.1:51820", "198.51.100.2:51821", "10.64.0.2", "10.65.0.2", "1420", "1360",
			"latest handshake:", "transfer:", r.EntryKey.Public().Base64(), r.ExitKey.Public().Base64(),
		} {
			if !strings.Contains(out, want) {
				t.Errorf("show lacks %q:\n%s", want, out)
			}
		}
	})
	t.Run("all instances", func(t *testing.T) {
		if out, err := n.Multihop("show"); err != nil || !strings.Contains(out, i.Name) {
			t.Errorf("show: %v\n%s", err, out)
		}
	})
	routes := []struct {
		addr string
		want []string
	}{
		{"203.0.113.2", []string{"203.0.113.0/25", "entry", "192.0.2.1:51820", "10.64.0.2", "1420"}},
		{"203.0.113.130", []string{"203.0.113.128/25", "entry", "exit", "198.51.100.2:51821", "10.65.0.2", "1360"}},
		{"2001:db8:4::2", []string{"2001:db8:4::/64", "entry", "exit", "fd65::2"}},
		{"9.9.9.9", []string{"no_route"}},
	}
	for _, tt := range routes {
		t.Run("route get "+tt.addr, func(t *testing.T) {
			out, err := n.Multihop("route", "get", tt.addr, "--name", i.Name)
			if err != nil && tt.want[0] != "no_route" {
				t.Errorf("%v\n%s", err, out)
			}
			outputs = append(outputs, out)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("lacks %q:\n%s", want, out)
				}
			}
		})
	}

	t.Run("keys", func(t *testing.T) {
		asJSON, err := n.Multihop("show", "--json", i.Name)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, asJSON, i.Output())
		for _, f := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", i.PID(), f))
			if err != nil {
				t.Fatal(err)
			}
			outputs = append(outputs, string(b))
		}
		for _, key := range []netlab.Key{r.OuterKey, r.InnerKey, r.Preshared} {
			for _, out := range outputs {
				if strings.Contains(out, key.Base64()) || strings.Contains(out, key.Hex()) {
					t.Errorf("a secret key is in:\n%s", out)
				}
			}
		}
		if !strings.Contains(asJSON, r.OuterKey.Public().Base64()) {
			t.Error("the detector is blind: no public key either")
		}
	})
}

func showJSON(t *testing.T, i *e2e.Instance, r *e2e.Relays) {
	time.Sleep(1500 * time.Millisecond) // counts are polled
	s, err := i.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.TUN != i.Name || !slices.Equal(s.Addrs, e2e.Outer().Both()) || s.MTU != 1420 {
		t.Errorf("tun %q, addresses %v, MTU %d; want %q, %v, 1420", s.TUN, s.Addrs, s.MTU, i.Name, e2e.Outer().Both())
	}
	if len(s.Hops) != 2 {
		t.Fatalf("%d hops, want 2", len(s.Hops))
	}
	all := e2e.Prefixes("0.0.0.0/0", "::/0")
	tests := []struct {
		name, via, endpoint string
		addrs               []netip.Addr
		mtu                 int
		own, peer           netlab.Key
		preshared           bool
	}{
		{"entry", "", "192.0.2.1:51820", e2e.Outer().Both(), 1420, r.OuterKey, r.EntryKey, false},
		{"exit", "entry", "198.51.100.2:51821", e2e.Inner().Both(), 1360, r.InnerKey, r.ExitKey, true},
	}
	for k, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := s.Hops[k]
			if h.Name != tt.name || h.Via != tt.via || h.Down || h.MTU != tt.mtu || !slices.Equal(h.Addrs, tt.addrs) ||
				h.PublicKey != tt.own.Public().Base64() || h.ListenPort == 0 || h.In == 0 || h.Out == 0 {
				t.Errorf("hop: %+v", h)
			}
			if len(h.Peers) != 1 {
				t.Fatalf("%d peers", len(h.Peers))
			}
			p := h.Peers[0]
			if p.PublicKey != tt.peer.Public().Base64() || p.Endpoint != tt.endpoint || p.Preshared != tt.preshared ||
				!slices.Equal(p.AllowedIPs, all) || p.RxBytes == 0 || p.TxBytes == 0 {
				t.Errorf("peer: %+v", p)
			}
			if age := time.Since(p.LatestHandshake); age < -time.Second || age > time.Minute {
				t.Errorf("latest handshake %v ago", age)
			}
		})
	}
	if exit := s.Hops[1].Peers[0]; exit.RxBytes < 1<<20 || exit.TxBytes < 1<<20 {
		t.Errorf("1 MiB crossed each way, and the exit's peer counts %d and %d bytes", exit.RxBytes, exit.TxBytes)
	}
}
