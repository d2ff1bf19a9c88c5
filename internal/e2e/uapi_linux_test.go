package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multihop/internal/control"
	"multihop/internal/e2e"
	"multihop/internal/netlab"
	"multihop/router"
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
		})
	}
	out, err := run("show", "all", "endpoints")
	for _, hop := range []string{"entry", "exit"} {
		if err != nil || !strings.Contains(out, i.Name+"."+hop+"\t") {
			t.Errorf("show all has no %s: %q, %v", hop, out, err)
		}
	}
}

// TestWGSet changes running hops, under a kill switch, by the wg tool: what is set
// is in force in the router, on the host and in what multihop says, survives a
// change of the network, and ends with a reload. What would break the tree is
// refused.
func TestWGSet(t *testing.T) {
	wg := netlab.RequireTool(t, "wg", "wireguard-tools")
	nft := netlab.RequireTool(t, "nft", "nftables")
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	like := e2e.NearAddr().V4
	all := []string{"0.0.0.0/0", "::/0"}
	i := n.Run(t, e2e.Chain{Entry: r.EntryConf(like, all...), Exit: r.ExitConf(like, all...)})
	entry, exit := i.Name+".entry", i.Name+".exit"
	entryKey, exitKey := r.EntryKey.Public().Base64(), r.ExitKey.Public().Base64()
	far := func() { t.Helper(); reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4) }
	must := func(args ...string) string {
		t.Helper()
		out, err := n.Client.Run(context.Background(), wg, args...)
		if err != nil {
			t.Fatalf("wg %v: %v\n%s", args, err, out)
		}
		return out
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keepalive := func(hop string) time.Duration { t.Helper(); return i.Hop(t, hop).Peers[0].Keepalive }
	far()
	const port = 51899 // where the entry moves
	to := netip.AddrPortFrom(e2e.EntryAddr().V4, port).String()

	refused := []struct {
		name string
		args []string
		said string // in the log
	}{
		{"a link's port", []string{exit, "listen-port", "5555"}, "its link is a socket inside entry"},
		{"the mark", []string{entry, "fwmark", "5"}, "the rules of the host go by the instance's own"},
		{"the peer that carries", []string{entry, "peer", entryKey, "remove"}, "which would drop what is sent there"},
		{"the prefix that carries", []string{entry, "peer", entryKey, "allowed-ips", "203.0.113.0/24"}, "which would drop what is sent there"},
		{"the last peer", []string{exit, "peer", exitKey, "remove"}, "a hop needs at least one peer"},
		{"a route's prefix, and something else", []string{exit, "peer", exitKey, "persistent-keepalive", "99", "allowed-ips", "203.0.113.0/24"}, "outside the hop's AllowedIPs"},
	}
	for _, tt := range refused {
		t.Run("refused: "+tt.name, func(t *testing.T) {
			before := must("showconf", tt.args[0])
			out, err := n.Client.Run(context.Background(), wg, append([]string{"set"}, tt.args...)...)
			if err == nil || !strings.Contains(out, "Operation not permitted") {
				t.Errorf("%v: %q", err, out)
			}
			for end := time.Now().Add(5 * time.Second); !strings.Contains(i.Output(), tt.said); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the log lacks %q", tt.said)
				}
			}
			if after := must("showconf", tt.args[0]); after != before {
				t.Error("it changed something")
			}
		})
	}
	t.Run("keepalive", func(t *testing.T) {
		must("set", exit, "peer", exitKey, "persistent-keepalive", "11")
		if k := keepalive("exit"); k != 11*time.Second {
			t.Errorf("keepalive %v", k)
		}
		far()
	})
	t.Run("preshared key", func(t *testing.T) {
		psk := netlab.NewKey()
		if err := r.Exit.SetPeers([]netlab.TunnelPeer{{PublicKey: r.InnerKey.Public(), PresharedKey: psk, AllowedIPs: e2e.Prefixes("10.65.0.2/32", "fd65::2/128")}}); err != nil {
			t.Fatal(err)
		}
		must("set", exit, "peer", exitKey, "preshared-key", file("psk", psk.Base64()+"\n"))
		if !i.Hop(t, "exit").Peers[0].Preshared {
			t.Error("no preshared key")
		}
		far()
	})
	t.Run("endpoint", func(t *testing.T) { // past the kill switch
		must("set", r.Entry.Config.Name, "listen-port", fmt.Sprint(port))
		allowed := func() string {
			t.Helper()
			out, err := n.Client.Run(context.Background(), nft, "list", "set", "inet", "multihop-"+i.Name, "endpoints4")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return out
		}
		if text := allowed(); !strings.Contains(text, fmt.Sprint(e2e.EntryPort)) || strings.Contains(text, fmt.Sprint(port)) {
			t.Fatalf("the kill switch is not as it should be to begin with:\n%s", text)
		}
		must("set", entry, "peer", entryKey, "endpoint", to)
		if p := i.Hop(t, "entry").Peers[0]; p.Endpoint != to {
			t.Errorf("endpoint %s", p.Endpoint)
		}
		if text := allowed(); !strings.Contains(text, fmt.Sprint(port)) || strings.Contains(text, fmt.Sprint(e2e.EntryPort)) {
			t.Errorf("the kill switch does not know the endpoint:\n%s", text)
		}
		if out, err := n.Multihop("route", "get", e2e.FarAddr().V4.String(), "--name", i.Name); err != nil || !strings.Contains(out, to) {
			t.Errorf("%v\n%s", err, out)
		}
		far()
	})
	t.Run("another network", func(t *testing.T) { // what is desired is worked out anew
		n.Client.SetMTU("eth0", 1400)
		defer n.Client.SetMTU("eth0", 1500)
		for end := time.Now().Add(15 * time.Second); i.Hop(t, "entry").MTU != 1320; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the MTU is %d", i.Hop(t, "entry").MTU)
			}
		}
		if k, p := keepalive("exit"), i.Hop(t, "entry").Peers[0].Endpoint; k != 11*time.Second || p != to {
			t.Errorf("keepalive %v, endpoint %s", k, p)
		}
	})
	t.Run("what showconf says", func(t *testing.T) { // ports that were chosen and all
		for _, hop := range []string{entry, exit} {
			before := must("showconf", hop)
			conf := file("shown", before)
			must("setconf", hop, conf)
			must("syncconf", hop, conf)
			if after := must("showconf", hop); after != before {
				t.Errorf("%s changed", hop)
			}
		}
		far()
	})
	t.Run("what strip says", func(t *testing.T) {
		conf := r.ExitConf(like, all...)
		conf.Peers[0].Keepalive = 13
		for _, how := range []string{"setconf", "syncconf"} {
			stripped, err := n.Multihop("strip", conf.Write(t, dir, "exit.conf"))
			if err != nil {
				t.Fatalf("%v\n%s", err, stripped)
			}
			must(how, exit, file("stripped", stripped))
			if p := i.Hop(t, "exit").Peers[0]; p.Keepalive != time.Duration(conf.Peers[0].Keepalive)*time.Second || p.Preshared {
				t.Errorf("%s: %+v", how, p)
			}
			conf.Peers[0].Keepalive = 17
		}
	})
	t.Run("reload", func(t *testing.T) {
		if out, err := n.Multihop("reload", i.Name); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		e, x := i.Hop(t, "entry").Peers[0], i.Hop(t, "exit").Peers[0]
		if x.Keepalive != 0 || x.Preshared || e.Endpoint != netip.AddrPortFrom(e2e.EntryAddr().V4, e2e.EntryPort).String() {
			t.Errorf("%+v, %+v", e, x)
		}
	})
	for _, key := range []netlab.Key{r.OuterKey, r.InnerKey} {
		if strings.Contains(i.Output(), key.Base64()) || strings.Contains(i.Output(), key.Hex()) {
			t.Error("the log has a private key")
		}
	}
}

// TestApply gives a running chain other configurations over its control socket,
// and follows what happens: what is applied is in force as a reload would have it,
// what is refused changes nothing, and the next reload goes back to the files.
func TestApply(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Preshared: true})
	like := e2e.NearAddr().V4
	entry, exit := r.EntryConf(like, "198.51.100.0/24", "203.0.113.0/25"), r.ExitConf(like, "203.0.113.128/25")
	i := n.Run(t, e2e.Chain{Entry: entry, Exit: exit})
	c := control.NewClient(control.Dir, i.Name)
	dir := t.TempDir()
	events := n.Client.Start(t, nil, n.Programs.Multihop, "events", i.Name)
	follow := func(want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !strings.Contains(events.Output(), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no event %q:\n%s", want, events.Output())
			}
		}
	}
	routes := func() (all []string) {
		t.Helper()
		if err := c.Routes(t.Context(), false, func(r router.RouteStatus) error {
			all = append(all, r.Prefix.String()+" "+r.Hop+" "+r.Origin)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	same := func(want ...string) {
		t.Helper()
		if got := routes(); !slices.Equal(got, want) {
			t.Errorf("routes %q, want %q", got, want)
		}
	}
	files := []string{"198.51.100.0/24 entry allowed_ips", "203.0.113.0/25 entry allowed_ips", "203.0.113.128/25 exit allowed_ips"}
	same(files...)
	reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
	follow("exit handshake")

	inner := strings.Replace(exit.String(), "[Interface]", "[Hop]\nName = far\nVia = entry\nRoutes = 203.0.113.130/32", 1)
	profile := "[Hop]\nConfig = " + entry.Write(t, dir, "entry.conf") + "\nRoutes = 203.0.113.0/25\n" + inner
	for _, tt := range []struct{ name, text, err string }{
		{"nonsense", "nonsense", "profile:1: "},
		{"a line of the text", profile + "Colour = red\n", "Colour: "},
		{"a hook", "[Interface]\nPostUp = touch " + dir + "/hook\n" + profile, "hooks are for files"},
		{"a route outside", strings.Replace(profile, "203.0.113.130/32", "9.9.9.9/32", 1), "Routes: 9.9.9.9/32 is outside the AllowedIPs of far"},
		{"a loop", strings.Replace(profile, "Config =", "Via = far\nConfig =", 1), "Via"},
		{"another namespace", "[Interface]\nNetns = other\n" + profile, "a TUN cannot move"},
	} {
		t.Run("refused: "+tt.name, func(t *testing.T) {
			_, err := c.Apply(t.Context(), tt.text, control.ApplyOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "/run/") {
				t.Errorf("got %v, want %s", err, tt.err)
			}
			same(files...)
		})
	}
	done, err := c.Apply(t.Context(), profile, control.ApplyOptions{DryRun: true})
	if err != nil || !slices.ContainsFunc(done.Changes, func(l string) bool { return strings.Contains(l, "203.0.113.130/32") }) {
		t.Errorf("dry run: %+v, %v", done, err)
	}
	same(files...)

	if done, err = c.Apply(t.Context(), profile, control.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d changes, warnings %q", len(done.Changes), done.Warnings)
	same("203.0.113.0/25 entry routes", "203.0.113.130/32 far routes")
	reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
	reaches(t, n, e2e.NearAddr().V4, e2e.Outer().V4)
	follow("far up")
	follow("routes changed: 2 prefixes")
	if out, err := n.Multihop("tree", i.Name); err != nil || !strings.Contains(out, "└─ entry  up") || !strings.Contains(out, "   └─ far  up") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := n.Multihop("routes", i.Name); err != nil || !strings.Contains(out, "203.0.113.130/32 hop far path entry > far mtu 1360 origin routes") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, address := range []string{"203.0.113.2", "203.0.113.130"} { // the host's routes follow
		out, err := n.Client.Run(context.Background(), "ip", "route", "get", address)
		if err != nil || !strings.Contains(out, "dev "+i.Name) {
			t.Errorf("%v\n%s", err, out)
		}
	}

	if out, err := n.Multihop("reload", i.Name); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same(files...)
	reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
	follow("routes changed: 3 prefixes")
	if err := i.Stop(); err != nil {
		t.Fatal(err)
	}
	if err, ended := events.Wait(5 * time.Second); !ended || err != nil {
		t.Errorf("multihop events ends with the instance: %v, %v", ended, err)
	}
	for _, path := range []string{dir + "/hook", "/run/multihop/.apply-" + i.Name} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, key := range []netlab.Key{r.OuterKey, r.InnerKey, r.Preshared} {
		for _, text := range []string{i.Output(), events.Output(), strings.Join(done.Changes, "\n")} {
			if strings.Contains(text, key.Base64()) || strings.Contains(text, key.Hex()) {
				t.Errorf("a key is in\n%s", text)
			}
		}
	}
}
