package e2e_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// TestWG asks the running hops with the wg tool, which knows nothing of
// multihop.
func TestWG(t *testing.T) {
	wg := netlab.RequireTool(t, "wg", "wireguard-tools")
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Preshared: true})
	like := e2e.NearAddr().V4
	entry, exit := r.EntryConf(like, "198.51.100.2/32", "203.0.113.0/25"), r.ExitConf(like, "203.0.113.128/25", "2001:db8:4::/64")
	entry.Peers[0].Keepalive = 7
	i := n.Run(t, e2e.Chain{Entry: entry, Exit: exit})
	reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
	run := func(args ...string) (string, error) {
		return n.Client.Run(context.Background(), wg, args...)
	}

	tests := []struct {
		hop, what, want string
	}{
		{"entry", "public-key", r.OuterKey.Public().Base64()},
		{"entry", "endpoints", r.EntryKey.Public().Base64() + "\t192.0.2.1:51820"},
		{"entry", "allowed-ips", "198.51.100.2/32"},
		{"entry", "preshared-keys", "(none)"},
		{"entry", "persistent-keepalive", r.EntryKey.Public().Base64() + "\t7"},
		{"entry", "private-key", r.OuterKey.Base64()}, // root's socket, as wireguard-go's
		{"exit", "public-key", r.InnerKey.Public().Base64()},
		{"exit", "endpoints", r.ExitKey.Public().Base64() + "\t198.51.100.2:51821"},
		{"exit", "allowed-ips", "2001:db8:4::/64"},
		{"exit", "preshared-keys", r.Preshared.Base64()},
		{"exit", "persistent-keepalive", "off"},
		{"exit", "listen-port", strconv.Itoa(int(i.Hop(t, "exit").ListenPort))},
	}
	for _, tt := range tests {
		t.Run(tt.hop+" "+tt.what, func(t *testing.T) {
			out, err := run("show", i.Name+"."+tt.hop, tt.what)
			if err != nil || !strings.Contains(out, tt.want) {
				t.Errorf("got %q, %v; want %q", out, err, tt.want)
			}
		})
	}
	for _, hop := range []string{"entry", "exit"} {
		t.Run(hop, func(t *testing.T) {
			name := i.Name + "." + hop
			out, err := run("show", name)
			if err != nil || !strings.Contains(out, "interface: "+name) ||
				!strings.Contains(out, "latest handshake:") || !strings.Contains(out, "transfer:") {
				t.Errorf("show: %v\n%s", err, out)
			}
			out, err = run("show", name, "latest-handshakes")
			fields := strings.Fields(out)
			if err != nil || len(fields) != 2 || fields[1] == "0" {
				t.Errorf("no handshake: %q, %v", out, err)
			}
			out, err = run("set", name, "listen-port", "5555")
			if err == nil || !strings.Contains(out, "Operation not permitted") {
				t.Errorf("set: %q, %v", out, err)
			}
			if out, _ := run("show", name, "listen-port"); strings.TrimSpace(out) == "5555" {
				t.Error("set changed the port")
			}
		})
	}
	out, err := run("show", "all", "endpoints")
	for _, hop := range []string{"entry", "exit"} {
		if err != nil || !strings.Contains(out, i.Name+"."+hop+"\t") {
			t.Errorf("show all has no %s: %q, %v", hop, out, err)
		}
	}
}
