package forest_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// Sizes of a tower's layers, in bytes.
const (
	layerCost   = 60   // what a layer adds to a packet that fills its MTU, over IPv4
	fragmentMTU = 1280 // of each layer, where links fragment
	leastMTU    = 68   // that Linux takes
)

// A tower is two hosts and a wire, with WireGuard inside WireGuard between them:
// on the server a wireguard-go per layer. Layer 0 is the wire; layer k has the
// network 10.100.k.0/24, the server at .1, the client at .2.
type tower struct {
	*netlab.Lab
	client, server *netlab.Host
	programs       *e2e.Programs
	layers         []*netlab.Tunnel // by layer, from 1
	clientKeys     []netlab.Key
}

func layerAddr(k int, host byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 100, byte(k), host}) }

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// newTower builds the hosts and the server's side of n layers. The server is a
// target in each.
func newTower(t *testing.T, n int) *tower {
	t.Helper()
	p := programs(t)
	w := &tower{Lab: netlab.New(t), programs: p, layers: make([]*netlab.Tunnel, n+1), clientKeys: make([]netlab.Key, n+1)}
	w.client, w.server = w.Machine("client"), w.Machine("server")
	w.Wire(w.client, "eth0", w.server, "eth0")
	w.client.Addr("eth0", "10.100.0.2/24")
	w.server.Addr("eth0", "10.100.0.1/24")
	for _, h := range []*netlab.Host{w.client, w.server} {
		h.Sysctl("ipv4/tcp_no_metrics_save=1")
	}
	for k := 1; k <= n; k++ {
		w.clientKeys[k] = netlab.NewKey()
		client := host(layerAddr(k, 2))
		w.layers[k] = w.server.StartTunnel(t, p.WireGuardGo, netlab.TunnelConfig{
			Name: fmt.Sprintf("layer%d", k), PrivateKey: netlab.NewKey(), ListenPort: w.endpoint(k).Port(), MTU: leastMTU,
			Addrs:  []netip.Prefix{host(layerAddr(k, 1))},
			Routes: []netip.Prefix{client},
			Peers:  []netlab.TunnelPeer{{PublicKey: w.clientKeys[k].Public(), AllowedIPs: []netip.Prefix{client}}},
		})
	}
	w.server.ServeTarget(t)
	return w
}

// endpoint is that of the server's layer k, an address of the layer below.
func (w *tower) endpoint(k int) netip.AddrPort {
	return netip.AddrPortFrom(layerAddr(k-1, 1), uint16(51820+k))
}

// shape gives the wire its MTU, and n layers on the server what is left of it; or
// each what it has where links fragment.
func (w *tower) shape(wire, n int, fragments bool) {
	w.client.SetMTU("eth0", wire)
	w.server.SetMTU("eth0", wire)
	for k := 1; k <= n; k++ {
		mtu := wire - k*layerCost
		if fragments {
			mtu = fragmentMTU
		}
		w.server.SetMTU(w.layers[k].Config.Name, mtu)
	}
}

// chain writes the client's files for n layers. Only the first says its MTU.
func (w *tower) chain(t *testing.T, wire, n int) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for k := 1; k <= n; k++ {
		file := &e2e.Conf{PrivateKey: w.clientKeys[k], Addrs: []netip.Addr{layerAddr(k, 2)}, Peers: []e2e.ConfPeer{{
			PublicKey: w.layers[k].Config.PrivateKey.Public(), Endpoint: w.endpoint(k), AllowedIPs: []string{layerAddr(k, 1).String() + "/32"},
		}}}
		if k == 1 {
			file.MTU = wire - layerCost
		}
		files = append(files, file.Write(t, dir, fmt.Sprintf("hop%d.conf", k)))
	}
	return files
}

// top is the route to the server in layer n alone.
func top(n int) []string { return []string{"--route", host(layerAddr(n, 1)).String()} }

// answers waits for the answer to a ping with 32 bytes of payload.
func (w *tower) answers(t *testing.T, to netip.Addr) {
	t.Helper()
	const patience = 40 * time.Second // a handshake per layer, one inside the other
	start := time.Now()
	for time.Since(start) < patience {
		if got, _, _ := w.client.Ping(to, 1, 32, time.Second); got == 1 {
			_, rtt, _ := w.client.Ping(to, 5, 32, time.Second)
			t.Logf("%v answers after %v; %.1f ms", to, time.Since(start).Round(10*time.Millisecond), rtt.Seconds()*1000)
			return
		}
	}
	t.Fatalf("%v does not answer", to)
}

// transfers moves size bytes each way, whole by their hash, between the client and
// the server in layer n.
func (w *tower) transfers(t *testing.T, n int, size int64) {
	t.Helper()
	for _, way := range []struct {
		name     string
		transfer func(netip.Addr, int64, time.Duration) (netlab.Transferred, error)
	}{{"up", w.client.Upload}, {"down", w.client.Download}} {
		done, err := way.transfer(layerAddr(n, 1), size, 2*time.Minute)
		if err != nil {
			t.Errorf("%s: %v", way.name, err)
			continue
		}
		if done.From.Addr() != layerAddr(n, 2) {
			t.Errorf("%s: the server saw %v, want %v", way.name, done.From, layerAddr(n, 2))
		}
		t.Logf("%d KiB %s in %v, %.1f Mbit/s", size>>10, way.name, done.Took.Round(10*time.Millisecond), done.Mbps())
	}
}

// mtus reads the MTU of each hop of a printed plan, by the hop's name.
func mtus(plan string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(plan) {
		if f := strings.Fields(line); len(f) == 5 && strings.HasPrefix(f[0], "hop") {
			found[f[0]] = f[3]
		}
	}
	return found
}
